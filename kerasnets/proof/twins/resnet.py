"""ResNets in torch.nn: torchvision's, the paper's CIFAR networks (arXiv:1512.03385, section 4.2) and the tutorials'."""

import torch
import torchvision
from torch import nn
from torch.nn import functional


def resnet(
    depth: int,
    input_shape: tuple[int, int, int] = (224, 224, 3),
    num_classes: int = 1000,
    *,
    small_stem: bool = False,
) -> nn.Module:
    """torchvision's resnet18, 34, 50, 101 or 152, for three channels; `small_stem` changes it as pytorch-cifar does."""
    model = getattr(torchvision.models, f"resnet{depth}")(weights=None, num_classes=num_classes)
    if small_stem:
        model.conv1 = nn.Conv2d(3, 64, 3, stride=1, padding=1, bias=False)
        model.maxpool = nn.Identity()
    return model


class CifarResNet(nn.Module):
    """6n + 2 layers: a convolution, 6n in three stages of feature maps 32, 16 and 8 wide, global average, softmax."""

    def __init__(self, depth: int, input_shape: tuple[int, int, int], num_classes: int) -> None:
        super().__init__()
        n = (depth - 2) // 6
        self.stem_conv = nn.Conv2d(input_shape[2], 16, 3, padding=1, bias=False)
        self.stem_norm = nn.BatchNorm2d(16)
        self.blocks: list[tuple[str, int, int]] = []  # name, stride, new channels
        channels = 16
        for stage, filters in enumerate((16, 32, 64), start=1):
            for block in range(1, n + 1):
                name, stride = f"stage{stage}_block{block}", 1 if filters == channels else 2
                self.add_module(f"{name}_conv1", nn.Conv2d(channels, filters, 3, stride, padding=1, bias=False))
                self.add_module(f"{name}_norm1", nn.BatchNorm2d(filters))
                self.add_module(f"{name}_conv2", nn.Conv2d(filters, filters, 3, padding=1, bias=False))
                self.add_module(f"{name}_norm2", nn.BatchNorm2d(filters))
                self.blocks.append((name, stride, filters - channels))
                channels = filters
        self.logits = nn.Linear(channels, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        layer = self.get_submodule
        x = torch.relu(self.stem_norm(self.stem_conv(x)))
        for name, stride, new_channels in self.blocks:
            y = torch.relu(layer(f"{name}_norm1")(layer(f"{name}_conv1")(x)))
            y = layer(f"{name}_norm2")(layer(f"{name}_conv2")(y))
            identity = functional.pad(x[:, :, ::stride, ::stride], (0, 0, 0, 0, 0, new_channels))
            x = torch.relu(identity + y)
        return self.logits(functional.adaptive_avg_pool2d(x, 1).flatten(1))


def resnet_cifar(depth: int, input_shape: tuple[int, int, int] = (32, 32, 3), num_classes: int = 10) -> nn.Module:
    return CifarResNet(depth, input_shape, num_classes)


class ResNetMini(nn.Module):
    """The tutorials' network for 28x28 images."""

    def __init__(self, input_shape: tuple[int, int, int], num_classes: int) -> None:
        super().__init__()
        height, width, channels = input_shape
        self.conv1 = nn.Conv2d(channels, 16, 5)
        self.residual1_conv1 = nn.Conv2d(16, 16, 3, padding=1)
        self.residual1_conv2 = nn.Conv2d(16, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 5)
        self.residual2_conv1 = nn.Conv2d(32, 32, 3, padding=1)
        self.residual2_conv2 = nn.Conv2d(32, 32, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        height, width = (((side - 4) // 2 - 4) // 2 for side in (height, width))
        self.logits = nn.Linear(32 * height * width, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(torch.relu(self.conv1(x)))
        x = torch.relu(x + self.residual1_conv2(torch.relu(self.residual1_conv1(x))))
        x = self.pool(torch.relu(self.conv2(x)))
        x = torch.relu(x + self.residual2_conv2(torch.relu(self.residual2_conv1(x))))
        return self.logits(x.flatten(1))


def resnet_mini(input_shape: tuple[int, int, int] = (28, 28, 1), num_classes: int = 10) -> nn.Module:
    return ResNetMini(input_shape, num_classes)


class WideResNet(nn.Module):
    """The tutorials' network for CIFAR-10: residual blocks without batch norm, a dense head."""

    def __init__(
        self, input_shape: tuple[int, int, int], num_classes: int, filters: int, units: int, dropout: float
    ) -> None:
        super().__init__()
        height, width, channels = input_shape
        self.stage1_conv = nn.Conv2d(channels, filters, 3, padding=1)
        self.stage2_conv = nn.Conv2d(filters, 2 * filters, 3)
        self.stage3_conv = nn.Conv2d(2 * filters, 4 * filters, 3)
        self.stage4_conv = nn.Conv2d(4 * filters, 8 * filters, 3)
        self.num_blocks = {1: 1, 2: 2, 3: 3, 4: 1}
        for stage, num_blocks in self.num_blocks.items():
            for block in range(1, num_blocks + 1):
                for conv in ("conv1", "conv2"):
                    same = nn.Conv2d(filters, filters, 3, padding=1)
                    self.add_module(f"stage{stage}_block{block}_{conv}", same)
            filters *= 2
        self.pool = nn.MaxPool2d(2)
        self.dropout = nn.Dropout(dropout)
        pixels = (height // 2 - 6) * (width // 2 - 6)  # after one pooling and three convolutions that take off 2
        self.dense1 = nn.Linear(filters // 2 * pixels, units)
        self.dense2 = nn.Linear(units, units // 2)
        self.logits = nn.Linear(units // 2, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.residuals(1, self.pool(torch.relu(self.stage1_conv(x))))
        x = self.residuals(2, torch.relu(self.stage2_conv(x)))
        x = self.residuals(3, torch.relu(self.stage3_conv(x)))
        x = self.residuals(4, torch.relu(self.stage4_conv(x)))
        x = self.dropout(torch.relu(self.dense1(x.flatten(1))))
        x = self.dropout(torch.relu(self.dense2(x)))
        return self.logits(x)

    def residuals(self, stage: int, x: torch.Tensor) -> torch.Tensor:
        for block in range(1, self.num_blocks[stage] + 1):
            y = torch.relu(self.get_submodule(f"stage{stage}_block{block}_conv1")(x))
            x = x + torch.relu(self.get_submodule(f"stage{stage}_block{block}_conv2")(y))
        return x


def resnet_cifar_wide(
    input_shape: tuple[int, int, int] = (32, 32, 3),
    num_classes: int = 10,
    *,
    filters: int = 64,
    units: int = 1024,
    dropout: float = 0.5,
) -> nn.Module:
    return WideResNet(input_shape, num_classes, filters, units, dropout)
