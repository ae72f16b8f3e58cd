"""torchvision's names: the path, in torchvision's module, of the weights of each layer."""

import re
from collections.abc import Callable, Sequence

import keras

from kerasnets.graph import weighted_layers

Path = str | Callable[[re.Match[str]], str]  # a template for a match, or a function of it


def block_of_resnet(match: re.Match[str]) -> str:
    part = re.sub("^norm", "bn", match[3]).replace("shortcut_conv", "downsample.0")
    return f"layer{match[1]}.{int(match[2]) - 1}.{part.replace('shortcut_norm', 'downsample.1')}"


# the paper's name of a convolution -> its path in torchvision's Inception
INCEPTION = {
    "1x1": "branch1",
    "3x3_reduce": "branch2.0",
    "3x3": "branch2.1",
    "5x5_reduce": "branch3.0",
    "5x5": "branch3.1",
    "pool_proj": "branch4.1",
}

# pattern for a network's name -> (pattern for a layer's name, its path in torchvision's module). The paths of VGG's
# features are computed.
TORCHVISION: dict[str, tuple[tuple[str, Path], ...]] = {
    "alexnet_torchvision": (
        *((f"conv{i}", f"features.{j}") for i, j in enumerate((0, 3, 6, 8, 10), start=1)),
        *((name, f"classifier.{j}") for name, j in (("fc6", 1), ("fc7", 4), ("logits", 6))),
    ),
    "vgg(11|13|16|19)(_bn)?": (("fc1", "classifier.0"), ("fc2", "classifier.3"), ("logits", "classifier.6")),
    "googlenet_torchvision": (
        (r"(aux\d)_fc", r"\1.fc1"),
        (r"(aux\d)_logits", r"\1.fc2"),
        (r"(aux\d)_conv", r"\1.conv.conv"),
        (r"(aux\d)_conv_norm", r"\1.conv.bn"),
        (r"stem_(conv\d)", r"\1.conv"),
        (r"stem_(conv\d)_norm", r"\1.bn"),
        (r"(\d[a-e])_(\w+)_norm", lambda match: f"inception{match[1]}.{INCEPTION[match[2]]}.bn"),
        (r"(\d[a-e])_(\w+)", lambda match: f"inception{match[1]}.{INCEPTION[match[2]]}.conv"),
        ("logits", "fc"),
    ),
    "resnet(18|34|50|101|152)": (
        ("stem_conv", "conv1"),
        ("stem_norm", "bn1"),
        (r"stage(\d)_block(\d+)_(\w+)", block_of_resnet),
        ("logits", "fc"),
    ),
    "densenet(121|161|169|201)": (
        (r"stem_(conv|norm)", r"features.\g<1>0"),
        (r"block(\d)_layer(\d+)_(\w+)", r"features.denseblock\1.denselayer\2.\3"),
        (r"(transition\d)_(\w+)", r"features.\1.\2"),
        ("final_norm", "features.norm5"),
        ("logits", "classifier"),
    ),
}


def torchvision_paths(network: keras.Model) -> dict[str, str] | None:
    """Return {layer name: path in torchvision's module}; None if torchvision does not have the network."""
    names = [layer.name for layer in weighted_layers(network)]
    rules = next((rules for pattern, rules in TORCHVISION.items() if re.fullmatch(pattern, network.name)), None)
    if rules is None or "dropout0" in {layer.name for layer in network.layers}:  # the compact head is not torchvision's
        return None
    paths = features_of_vgg(names) if network.name.startswith("vgg") else {}
    for name in names:
        for pattern, path in rules:
            match = re.fullmatch(pattern, name)
            if match and name not in paths:
                paths[name] = path(match) if callable(path) else match.expand(path)
    return paths if len(paths) == len(names) else None  # a person has added layers


def features_of_vgg(names: Sequence[str]) -> dict[str, str]:
    """Return {layer name: "features.N"}; N also counts ReLUs and poolings."""
    batch_norm, position, stage = any("norm" in name for name in names), 0, "1"
    paths = {}
    for name in names:
        match = re.fullmatch(r"stage(\d)_(conv|norm)\d", name)
        if match:
            position += match[1] != stage  # the pooling that ends a stage
            paths[name] = f"features.{position}"
            position += 1 if match[2] == "conv" and batch_norm else 2
            stage = match[1]
    return paths


def torchvision_name(name: str) -> str | None:
    """Return torchvision's name of our network `name`, as "googlenet"; None if torchvision does not have it."""
    known = any(re.fullmatch(pattern, name) for pattern in TORCHVISION)
    return name.removesuffix("_torchvision") if known else None
