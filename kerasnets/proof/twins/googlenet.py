"""GoogLeNet in torch.nn, written from the paper (arXiv:1409.4842, table 1, figures 2 and 3), and torchvision's own."""

from typing import Any

import torch
import torchvision
from torch import nn

# The rows of table 1: #1x1, #3x3 reduce, #3x3, #5x5 reduce, #5x5, pool proj. Between them, "pool" is a max pool 3x3/2.
TABLE_1: tuple[tuple[Any, ...], ...] = (
    ("3a", 64, 96, 128, 16, 32, 32),
    ("3b", 128, 128, 192, 32, 96, 64),
    ("pool",),
    ("4a", 192, 96, 208, 16, 48, 64),
    ("4b", 160, 112, 224, 24, 64, 64),
    ("4c", 128, 128, 256, 24, 64, 64),
    ("4d", 112, 144, 288, 32, 64, 64),
    ("4e", 256, 160, 320, 32, 128, 128),
    ("pool",),
    ("5a", 256, 160, 320, 32, 128, 128),
    ("5b", 384, 192, 384, 48, 128, 128),
)


class GoogLeNet(nn.Module):
    """The paper's network without response normalization: logits, or (logits, aux1, aux2) with auxiliary heads."""

    def __init__(
        self, input_shape: tuple[int, int, int], num_classes: int, auxiliary_heads: bool, dropout: float | None
    ) -> None:
        super().__init__()
        height, width, channels = input_shape
        self.stem_conv1 = nn.Conv2d(channels, 64, 7, stride=2, padding=3)
        self.stem_conv2 = nn.Conv2d(64, 64, 1)
        self.stem_conv3 = nn.Conv2d(64, 192, 3, padding=1)
        self.max_pool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.max_pool_same = nn.MaxPool2d(3, stride=1, padding=1)
        channels = 192
        self.auxiliary_heads: dict[str, str] = {}  # inception: the head that reads it
        for name, *filters in TABLE_1:
            if name == "pool":
                continue
            n1, n3_reduce, n3, n5_reduce, n5, n_proj = filters
            self.add_module(f"{name}_1x1", nn.Conv2d(channels, n1, 1))
            self.add_module(f"{name}_3x3_reduce", nn.Conv2d(channels, n3_reduce, 1))
            self.add_module(f"{name}_3x3", nn.Conv2d(n3_reduce, n3, 3, padding=1))
            self.add_module(f"{name}_5x5_reduce", nn.Conv2d(channels, n5_reduce, 1))
            self.add_module(f"{name}_5x5", nn.Conv2d(n5_reduce, n5, 5, padding=2))
            self.add_module(f"{name}_pool_proj", nn.Conv2d(channels, n_proj, 1))
            channels = n1 + n3 + n5 + n_proj
            if auxiliary_heads and name in ("4a", "4d"):
                head = self.auxiliary_heads[name] = "aux1" if name == "4a" else "aux2"
                self.add_auxiliary_head(head, channels, height, width, num_classes)
        self.aux_pool = nn.AvgPool2d(5, stride=3)
        self.aux_dropout = nn.Dropout(0.7 if dropout is None else dropout)
        self.dropout = nn.Dropout(0.4 if dropout is None else dropout)
        self.logits = nn.Linear(channels, num_classes)

    def add_auxiliary_head(self, head: str, channels: int, height: int, width: int, num_classes: int) -> None:
        self.add_module(f"{head}_conv", nn.Conv2d(channels, 128, 1))
        with torch.device("meta"):  # run the first three poolings and the pooling of the head for their size alone
            x = torch.empty(1, 1, (height + 1) // 2, (width + 1) // 2)
        for _ in range(3):
            x = self.max_pool(x)
        pixels = nn.functional.avg_pool2d(x, 5, stride=3).numel()
        self.add_module(f"{head}_fc", nn.Linear(128 * pixels, 1024))
        self.add_module(f"{head}_logits", nn.Linear(1024, num_classes))

    def layer(self, name: str, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.get_submodule(name)(x))

    def forward(self, x: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        auxiliary_logits = []
        x = self.max_pool(self.layer("stem_conv1", x))
        x = self.max_pool(self.layer("stem_conv3", self.layer("stem_conv2", x)))
        for name, *_ in TABLE_1:
            x = self.max_pool(x) if name == "pool" else self.inception(name, x)
            if name in self.auxiliary_heads:
                auxiliary_logits.append(self.auxiliary_head(self.auxiliary_heads[name], x))
        logits = self.logits(self.dropout(x.mean((2, 3))))
        return (logits, *auxiliary_logits) if auxiliary_logits else logits

    def inception(self, name: str, x: torch.Tensor) -> torch.Tensor:
        branches = (
            self.layer(f"{name}_1x1", x),
            self.layer(f"{name}_3x3", self.layer(f"{name}_3x3_reduce", x)),
            self.layer(f"{name}_5x5", self.layer(f"{name}_5x5_reduce", x)),
            self.layer(f"{name}_pool_proj", self.max_pool_same(x)),
        )
        return torch.cat(branches, dim=1)

    def auxiliary_head(self, head: str, x: torch.Tensor) -> torch.Tensor:
        x = self.layer(f"{head}_conv", self.aux_pool(x))
        x = self.aux_dropout(self.layer(f"{head}_fc", x.flatten(1)))
        return self.get_submodule(f"{head}_logits")(x)


def googlenet(
    input_shape: tuple[int, int, int] = (224, 224, 3),
    num_classes: int = 1000,
    *,
    auxiliary_heads: bool = False,
    dropout: float | None = None,
) -> nn.Module:
    return GoogLeNet(input_shape, num_classes, auxiliary_heads, dropout)


def googlenet_torchvision(
    input_shape: tuple[int, int, int] = (224, 224, 3),
    num_classes: int = 1000,
    *,
    auxiliary_heads: bool = False,
    dropout: float | None = None,
) -> nn.Module:
    """torchvision's model, for three channels. It gives (logits, aux2, aux1) in training with auxiliary heads."""
    rates = {} if dropout is None else {"dropout": dropout, "dropout_aux": dropout}
    return torchvision.models.googlenet(
        weights=None,
        num_classes=num_classes,
        aux_logits=auxiliary_heads,
        transform_input=False,
        init_weights=False,
        **rates,
    )


class GoogLeNetMini(nn.Module):
    """The tutorials' network for 28x28 images."""

    def __init__(self, input_shape: tuple[int, int, int], num_classes: int) -> None:
        super().__init__()
        height, width, channels = input_shape
        self.conv1 = nn.Conv2d(channels, 10, 5)
        self.add_inception("inception1", 10)
        self.conv2 = nn.Conv2d(88, 20, 5)
        self.add_inception("inception2", 20)
        self.pool = nn.MaxPool2d(2)
        height, width = (((side - 4) // 2 - 4) // 2 for side in (height, width))
        self.logits = nn.Linear(88 * height * width, num_classes)

    def add_inception(self, name: str, channels: int) -> None:
        self.add_module(f"{name}_1x1", nn.Conv2d(channels, 16, 1))
        self.add_module(f"{name}_3x3_reduce", nn.Conv2d(channels, 16, 1))
        self.add_module(f"{name}_3x3_1", nn.Conv2d(16, 24, 3, padding=1))
        self.add_module(f"{name}_3x3_2", nn.Conv2d(24, 24, 3, padding=1))
        self.add_module(f"{name}_5x5_reduce", nn.Conv2d(channels, 16, 1))
        self.add_module(f"{name}_5x5", nn.Conv2d(16, 24, 5, padding=2))
        self.add_module(f"{name}_proj", nn.Conv2d(channels, 24, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.inception("inception1", self.pool(torch.relu(self.conv1(x))))
        x = self.inception("inception2", self.pool(torch.relu(self.conv2(x))))
        return self.logits(x.flatten(1))

    def inception(self, name: str, x: torch.Tensor) -> torch.Tensor:
        branches = (("1x1",), ("3x3_reduce", "3x3_1", "3x3_2"), ("5x5_reduce", "5x5"), ("proj",))
        outputs = []
        for parts in branches:
            y = x
            for part in parts:
                y = self.get_submodule(f"{name}_{part}")(y)
            outputs.append(y)
        return torch.cat(outputs, dim=1)


def googlenet_mini(input_shape: tuple[int, int, int] = (28, 28, 1), num_classes: int = 10) -> nn.Module:
    return GoogLeNetMini(input_shape, num_classes)
