"""VGG in torch.nn: torchvision's networks, and the others from the paper's table 1 and the tutorials."""

from collections import OrderedDict

import torchvision
from torch import nn

# Table 1, after the tutorials' two short columns: channels of each 3x3 convolution ("c1-": 1x1), M a pooling.
COLUMNS: dict[int | str, str] = {
    7: "64 M 128 M 256 256 M",
    9: "64 M 128 M 256 256 M 512 512 M",
    11: "64 M 128 M 256 256 M 512 512 M 512 512 M",
    13: "64 64 M 128 128 M 256 256 M 512 512 M 512 512 M",
    16: "64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M",
    "16_1x1": "64 64 M 128 128 M 256 256 c1-256 M 512 512 c1-512 M 512 512 c1-512 M",
    19: "64 64 M 128 128 M 256 256 256 256 M 512 512 512 512 M 512 512 512 512 M",
}


def vgg(
    depth: int | str,
    input_shape: tuple[int, int, int] = (224, 224, 3),
    num_classes: int = 1000,
    *,
    batch_norm: bool = False,
    head: str = "paper",
    dropout: float | None = None,
    units: int = 4096,
    filters: int = 64,
) -> nn.Module:
    """torchvision's names (features.0, classifier.6) for columns A, B, D, E with the paper's head, else ours."""
    channels = input_shape[-1]
    if head == "paper" and isinstance(depth, int) and depth >= 11:
        return of_torchvision(depth, batch_norm, num_classes, dropout, units, filters)
    network, channels = convolutions(COLUMNS[depth], channels, batch_norm, filters)
    network["average"] = nn.AdaptiveAvgPool2d((7, 7))
    network["flatten"] = nn.Flatten()
    if head == "paper":
        rate = 0.5 if dropout is None else dropout
        network["fc1"] = nn.Linear(channels * 7 * 7, units)
        network["relu1"] = nn.ReLU()
        network["dropout1"] = nn.Dropout(rate)
        network["fc2"] = nn.Linear(units, units)
        network["relu2"] = nn.ReLU()
        network["dropout2"] = nn.Dropout(rate)
        network["logits"] = nn.Linear(units, num_classes)
    else:
        rate = 0.4 if dropout is None else dropout
        network["dropout1"] = nn.Dropout(rate)
        network["fc1"] = nn.Linear(channels * 7 * 7, units)
        network["relu1"] = nn.ReLU6()
        network["dropout2"] = nn.Dropout(rate)
        network["fc2"] = nn.Linear(units, units // 2)
        network["relu2"] = nn.ReLU6()
        network["dropout3"] = nn.Dropout(rate)
        network["logits"] = nn.Linear(units // 2, num_classes)
    return nn.Sequential(network)


def of_torchvision(
    depth: int, batch_norm: bool, num_classes: int, dropout: float | None, units: int, filters: int
) -> nn.Module:
    """torchvision's network, for three channels; its layers are replaced if `units` or `filters` are not its own."""
    rate = 0.5 if dropout is None else dropout
    network = getattr(torchvision.models, f"vgg{depth}" + "_bn" * batch_norm)(
        weights=None, init_weights=False, num_classes=num_classes, dropout=rate
    )
    if filters != 64:
        column = torchvision.models.vgg.cfgs[{11: "A", 13: "B", 16: "D", 19: "E"}[depth]]
        column = [entry if entry == "M" else entry // 64 * filters for entry in column]
        network.features = torchvision.models.vgg.make_layers(column, batch_norm)
    if (units, filters) != (4096, 64):
        network.classifier[0] = nn.Linear(8 * filters * 7 * 7, units)
        network.classifier[3] = nn.Linear(units, units)
        network.classifier[6] = nn.Linear(units, num_classes)
    return network


def vgg_cifar(input_shape: tuple[int, int, int] = (32, 32, 3), num_classes: int = 10) -> nn.Module:
    """VGG11 of pytorch-cifar."""
    network, channels = convolutions(COLUMNS[11], input_shape[-1], batch_norm=True, first_filters=64)
    network["average"] = nn.AdaptiveAvgPool2d(1)
    network["flatten"] = nn.Flatten()
    network["logits"] = nn.Linear(channels, num_classes)
    return nn.Sequential(network)


def convolutions(
    column: str, channels: int, batch_norm: bool, first_filters: int
) -> tuple[OrderedDict[str, nn.Module], int]:
    """Return the modules of one column under the names of the Keras layers, and the number of channels of the last."""
    modules: OrderedDict[str, nn.Module] = OrderedDict()
    stage, number = 1, 1
    for entry in column.split():
        if entry == "M":
            modules[f"stage{stage}_pool"] = nn.MaxPool2d(2, 2)
            stage, number = stage + 1, 1
            continue
        kernel_size = 1 if entry.startswith("c1-") else 3
        filters = int(entry.removeprefix("c1-")) // 64 * first_filters
        modules[f"stage{stage}_conv{number}"] = nn.Conv2d(channels, filters, kernel_size, padding=kernel_size // 2)
        if batch_norm:
            modules[f"stage{stage}_norm{number}"] = nn.BatchNorm2d(filters)
        modules[f"stage{stage}_relu{number}"] = nn.ReLU()
        channels, number = filters, number + 1
    return modules, channels
