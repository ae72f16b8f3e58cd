"""LeNet-5 in torch.nn, written from the paper and from the tutorials."""

from collections import OrderedDict

from torch import nn


def lenet5(input_shape: tuple[int, int, int] = (28, 28, 1), num_classes: int = 10) -> nn.Module:
    """LeCun et al. 1998, figure 2: the image is padded by 2; C5 covers the whole map of a 28x28 image."""
    height, width, channels = input_shape
    rows, columns = [(side // 2 - 4) // 2 - 4 for side in (height, width)]
    return nn.Sequential(
        OrderedDict(
            c1=nn.Conv2d(channels, 6, 5, padding=2),
            tanh1=nn.Tanh(),
            s2=nn.AvgPool2d(2),
            c3=nn.Conv2d(6, 16, 5),
            tanh3=nn.Tanh(),
            s4=nn.AvgPool2d(2),
            c5=nn.Conv2d(16, 120, 5),
            tanh5=nn.Tanh(),
            flatten=nn.Flatten(),
            f6=nn.Linear(120 * rows * columns, 84),
            tanh6=nn.Tanh(),
            logits=nn.Linear(84, num_classes),
        )
    )


def lenet5_sigmoid(input_shape: tuple[int, int, int] = (32, 32, 1), num_classes: int = 10) -> nn.Module:
    """The same with sigmoid, on an image padded beforehand, with C5 as a dense layer."""
    height, width, channels = input_shape
    rows, columns = [((side - 4) // 2 - 4) // 2 for side in (height, width)]
    return nn.Sequential(
        OrderedDict(
            c1=nn.Conv2d(channels, 6, 5),
            sigmoid1=nn.Sigmoid(),
            s2=nn.AvgPool2d(2),
            c3=nn.Conv2d(6, 16, 5),
            sigmoid3=nn.Sigmoid(),
            s4=nn.AvgPool2d(2),
            flatten=nn.Flatten(),
            c5=nn.Linear(16 * rows * columns, 120),
            sigmoid5=nn.Sigmoid(),
            f6=nn.Linear(120, 84),
            sigmoid6=nn.Sigmoid(),
            logits=nn.Linear(84, num_classes),
        )
    )
