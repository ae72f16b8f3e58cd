"""DenseNet in PyTorch: torchvision's for ImageNet, and the CIFAR networks in torch.nn alone.

Source: Huang et al., CVPR 2017, arXiv:1608.06993, sections 3 (composite function, bottleneck, compression) and 4.
"""

import torch
import torchvision
from torch import nn


def densenet(
    depth: int,
    input_shape: tuple[int, int, int] = (224, 224, 3),
    num_classes: int = 1000,
    *,
    dropout: float = 0.0,
) -> nn.Module:
    """torchvision's DenseNet of this depth, for three channels, with fresh weights."""
    return getattr(torchvision.models, f"densenet{depth}")(weights=None, num_classes=num_classes, drop_rate=dropout)


class CifarDenseNet(nn.Module):
    """Three blocks of layers H_l, each of which reads all features before it, with `depth` weighted layers in all.

    All modules are direct children with names of their own; `forward` follows the paper's text.
    """

    def __init__(
        self,
        depth: int,
        input_shape: tuple[int, int, int] = (32, 32, 3),
        num_classes: int = 10,
        *,
        bottleneck: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        k, theta = 12, 0.5 if bottleneck else 1.0
        self.bottleneck = bottleneck
        self.depths = [(depth - 4) // 6] * 3 if bottleneck else [(depth - 4) // 3] * 3
        channels = 24 if bottleneck else 16
        self.stem_conv = nn.Conv2d(input_shape[2], channels, 3, padding=1, bias=False)
        for block in (1, 2, 3):
            for layer in range(1, self.depths[block - 1] + 1):
                name, wide = f"block{block}_layer{layer}", channels
                if bottleneck:
                    self.add_module(f"{name}_norm1", nn.BatchNorm2d(channels))
                    self.add_module(f"{name}_conv1", nn.Conv2d(channels, 4 * k, 1, bias=False))
                    wide = 4 * k
                last = "2" if bottleneck else "1"
                self.add_module(f"{name}_norm{last}", nn.BatchNorm2d(wide))
                self.add_module(f"{name}_conv{last}", nn.Conv2d(wide, k, 3, padding=1, bias=False))
                channels += k
            if block < 3:
                self.add_module(f"transition{block}_norm", nn.BatchNorm2d(channels))
                self.add_module(f"transition{block}_conv", nn.Conv2d(channels, int(theta * channels), 1, bias=False))
                channels = int(theta * channels)
        self.final_norm = nn.BatchNorm2d(channels)
        self.dropout = nn.Dropout(dropout)
        self.logits = nn.Linear(channels, num_classes)

    def composite(self, name: str, number: str, x: torch.Tensor) -> torch.Tensor:
        """BN, ReLU and convolution: the paper's composite function."""
        x = self.get_submodule(f"{name}_norm{number}")(x).relu()
        return self.get_submodule(f"{name}_conv{number}")(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem_conv(x)
        for block, depth in enumerate(self.depths, start=1):
            features = [x]
            for layer in range(1, depth + 1):
                name, new = f"block{block}_layer{layer}", torch.cat(features, dim=1)
                for number in ("1", "2") if self.bottleneck else ("1",):
                    new = self.composite(name, number, new)
                features.append(self.dropout(new))
            x = torch.cat(features, dim=1)
            if block < 3:
                x = nn.functional.avg_pool2d(self.composite(f"transition{block}", "", x), 2)
        return self.logits(self.final_norm(x).relu().mean(dim=(2, 3)))


def densenet_cifar(
    depth: int,
    input_shape: tuple[int, int, int] = (32, 32, 3),
    num_classes: int = 10,
    *,
    bottleneck: bool = False,
    dropout: float = 0.0,
) -> nn.Module:
    return CifarDenseNet(depth, input_shape, num_classes, bottleneck=bottleneck, dropout=dropout)
