"""The dense networks in torch.nn, from the tutorials' listings."""

import math
from collections import OrderedDict

from torch import nn


def dnn_mnist(input_shape: tuple[int, ...] = (28, 28, 1), num_classes: int = 10) -> nn.Module:
    """Hidden layers of 512, 256, 128 and 64, as in the tutorial's nn.Sequential."""
    return nn.Sequential(
        OrderedDict(
            flatten=nn.Flatten(),
            dense1=nn.Linear(math.prod(input_shape), 512),
            relu1=nn.ReLU(),
            dense2=nn.Linear(512, 256),
            relu2=nn.ReLU(),
            dense3=nn.Linear(256, 128),
            relu3=nn.ReLU(),
            dense4=nn.Linear(128, 64),
            relu4=nn.ReLU(),
            logits=nn.Linear(64, num_classes),
        )
    )


def dnn_tabular(input_shape: tuple[int, ...] = (3,), num_classes: int = 3) -> nn.Module:
    """Three hidden layers of 5 on the columns of a table."""
    (columns,) = input_shape
    return nn.Sequential(
        OrderedDict(
            dense1=nn.Linear(columns, 5),
            relu1=nn.ReLU(),
            dense2=nn.Linear(5, 5),
            relu2=nn.ReLU(),
            dense3=nn.Linear(5, 5),
            relu3=nn.ReLU(),
            logits=nn.Linear(5, num_classes),
        )
    )


def fc2layer(input_shape: tuple[int, ...] = (28, 28, 1), num_classes: int = 10) -> nn.Module:
    """Two hidden layers of 8, as in the course's FC2Layer."""
    return nn.Sequential(
        OrderedDict(
            flatten=nn.Flatten(),
            dense1=nn.Linear(math.prod(input_shape), 8),
            relu1=nn.ReLU(),
            dense2=nn.Linear(8, 8),
            relu2=nn.ReLU(),
            logits=nn.Linear(8, num_classes),
        )
    )
