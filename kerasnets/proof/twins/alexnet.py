"""AlexNet in torch.nn, written from the paper and from the textbook; and torchvision's."""

from collections import OrderedDict

import torchvision
from torch import nn


def alexnet(
    input_shape: tuple[int, int, int] = (227, 227, 3),
    num_classes: int = 1000,
    *,
    dropout: float = 0.5,
    units: int = 4096,
) -> nn.Module:
    """Krizhevsky et al. 2012, section 3.5. PyTorch divides alpha by the 5 channels, the paper does not."""
    height, width, channels = input_shape
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(channels, 96, 11, stride=4),
            relu1=nn.ReLU(),
            lrn1=nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2),
            pool1=nn.MaxPool2d(3, 2),
            conv2=nn.Conv2d(96, 256, 5, padding=2, groups=2),
            relu2=nn.ReLU(),
            lrn2=nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2),
            pool2=nn.MaxPool2d(3, 2),
            conv3=nn.Conv2d(256, 384, 3, padding=1),
            relu3=nn.ReLU(),
            conv4=nn.Conv2d(384, 384, 3, padding=1, groups=2),
            relu4=nn.ReLU(),
            conv5=nn.Conv2d(384, 256, 3, padding=1, groups=2),
            relu5=nn.ReLU(),
            pool5=nn.MaxPool2d(3, 2),
            flatten=nn.Flatten(),
            fc6=nn.Linear(256 * remaining(height) * remaining(width), units),
            relu6=nn.ReLU(),
            dropout6=nn.Dropout(dropout),
            fc7=nn.Linear(units, units),
            relu7=nn.ReLU(),
            dropout7=nn.Dropout(dropout),
            logits=nn.Linear(units, num_classes),
        )
    )


def alexnet_plain(
    input_shape: tuple[int, int, int] = (224, 224, 1),
    num_classes: int = 10,
    *,
    first_padding: int = 1,
    dropout: float = 0.5,
    units: int = 4096,
) -> nn.Module:
    """Dive into Deep Learning, section 8.1."""
    height, width, channels = input_shape
    rows, columns = [remaining(side + 2 * first_padding) for side in (height, width)]
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(channels, 96, 11, stride=4, padding=first_padding),
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(3, 2),
            conv2=nn.Conv2d(96, 256, 5, padding=2),
            relu2=nn.ReLU(),
            pool2=nn.MaxPool2d(3, 2),
            conv3=nn.Conv2d(256, 384, 3, padding=1),
            relu3=nn.ReLU(),
            conv4=nn.Conv2d(384, 384, 3, padding=1),
            relu4=nn.ReLU(),
            conv5=nn.Conv2d(384, 256, 3, padding=1),
            relu5=nn.ReLU(),
            pool5=nn.MaxPool2d(3, 2),
            flatten=nn.Flatten(),
            fc6=nn.Linear(256 * rows * columns, units),
            relu6=nn.ReLU(),
            dropout6=nn.Dropout(dropout),
            fc7=nn.Linear(units, units),
            relu7=nn.ReLU(),
            dropout7=nn.Dropout(dropout),
            logits=nn.Linear(units, num_classes),
        )
    )


def alexnet_torchvision(
    input_shape: tuple[int, int, int] = (224, 224, 3),
    num_classes: int = 1000,
    *,
    dropout: float = 0.5,
    units: int = 4096,
) -> nn.Module:
    """torchvision's own, for three channels; its dense layers are replaced if `units` is not 4096."""
    twin = torchvision.models.alexnet(weights=None, num_classes=num_classes, dropout=dropout)
    if units != 4096:
        twin.classifier[1] = nn.Linear(256 * 6 * 6, units)
        twin.classifier[4] = nn.Linear(units, units)
        twin.classifier[6] = nn.Linear(units, num_classes)
    return twin


def remaining(side: int) -> int:
    """Return how many of `side` pixels conv1 and three overlapping poolings leave: of 227, 55, 27, 13 and then 6."""
    side = (side - 11) // 4 + 1
    for _ in range(3):
        side = (side - 3) // 2 + 1
    return side
