"""torchvision's names: where its module of a network holds what is a layer of ours."""

import re

from kerasnets.graph import weighted_layers


def block_of_resnet(match):
    part = re.sub("^norm", "bn", match[3]).replace("shortcut_conv", "downsample.0")
    return f"layer{match[1]}.{int(match[2]) - 1}.{part.replace('shortcut_norm', 'downsample.1')}"


# Where a branch of torchvision's Inception holds the convolution of the paper's name.
INCEPTION = {
    "1x1": "branch1",
    "3x3_reduce": "branch2.0",
    "3x3": "branch2.1",
    "5x5_reduce": "branch3.0",
    "5x5": "branch3.1",
    "pool_proj": "branch4.1",
}

# name of a network -> (name of a layer, its path in torchvision's module); VGG's features are counted
TORCHVISION = {
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


def torchvision_paths(network):
    """{layer name: path in torchvision's module} for a network of torchvision's, else None."""
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
    return paths if len(paths) == len(names) else None  # someone added layers


def features_of_vgg(names):
    """{layer name: "features.N"}, where N counts ReLUs and poolings too."""
    batch_norm, position, stage, paths = any("norm" in name for name in names), 0, "1", {}
    for name in names:
        match = re.fullmatch(r"stage(\d)_(conv|norm)\d", name)
        if match:
            position += match[1] != stage  # the pooling that closed the stage before
            paths[name] = f"features.{position}"
            position += 1 if match[2] == "conv" and batch_norm else 2
            stage = match[1]
    return paths


def torchvision_name(name):
    """What torchvision calls the network that is `name` here, as "googlenet"; None where it has none of that kind."""
    known = any(re.fullmatch(pattern, name) for pattern in TORCHVISION)
    return name.removesuffix("_torchvision") if known else None
