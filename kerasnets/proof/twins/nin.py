"""Network in Network in torch.nn, from arXiv:1312.4400 and the listing of the PyTorch tutorials."""

from collections import OrderedDict

from torch import nn


def nin(input_shape: tuple[int, int, int] = (32, 32, 3), num_classes: int = 10, *, dropout: float = 0.5) -> nn.Module:
    return nn.Sequential(
        OrderedDict(
            stage1_conv1=nn.Conv2d(input_shape[-1], 192, kernel_size=5, padding=2),
            relu1=nn.ReLU(),
            stage1_conv2=nn.Conv2d(192, 160, kernel_size=1),
            relu2=nn.ReLU(),
            stage1_conv3=nn.Conv2d(160, 96, kernel_size=1),
            relu3=nn.ReLU(),
            pool1=nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
            dropout1=nn.Dropout2d(dropout),
            stage2_conv1=nn.Conv2d(96, 192, kernel_size=5, padding=2),
            relu4=nn.ReLU(),
            stage2_conv2=nn.Conv2d(192, 192, kernel_size=1),
            relu5=nn.ReLU(),
            stage2_conv3=nn.Conv2d(192, 192, kernel_size=1),
            relu6=nn.ReLU(),
            pool2=nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
            dropout2=nn.Dropout2d(dropout),
            stage3_conv1=nn.Conv2d(192, 192, kernel_size=3, padding=1),
            relu7=nn.ReLU(),
            stage3_conv2=nn.Conv2d(192, 192, kernel_size=1),
            relu8=nn.ReLU(),
            stage3_conv3=nn.Conv2d(192, num_classes, kernel_size=1),
            average=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
        )
    )
