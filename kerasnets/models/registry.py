"""FORMS: one row for each network, with the parameters that others have published for it, and for its variants.

This file loads no framework: a row names its builder, and `builders.py` finds it. A new network needs a row here, its
builder in an architecture file of this folder, and its twin under the same name in kerasnets/proof/twins.
"""

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kerasnets.errors import nearest_first

Shape = tuple[int, ...]  # (height, width, channels) in pixels; (columns,) of a table


@dataclass(frozen=True)
class Form:
    """A network, or a network with some options.

    The number of parameters judges the architecture files: it is never computed by them.
    """

    name: str
    builder: str  # file and function, here and among the twins
    description: str
    parameters: int | None  # that train, as PyTorch counts; None if nobody has published them
    input_shape: Shape = (224, 224, 3)  # at which they were counted, and the builder's default
    num_classes: int = 1000
    smallest: int = 1  # height and width, in pixels, of which convolutions and poolings leave something
    depth: int | str | None = None  # the builder's first argument, if it has several depths
    fixed: Mapping[str, Any] = field(default_factory=dict)  # arguments of the builder that the name decides
    options: Mapping[str, Any] = field(default_factory=dict)  # arguments that a user chooses; empty in the main form
    source: str = "the source of the network: its layers, counted by hand"  # of the number of parameters

    @property
    def title(self) -> str:
        return " ".join([self.name, *(f"{option}={value}" for option, value in self.options.items())])


MNIST, PADDED_MNIST, CIFAR, GREY = (28, 28, 1), (32, 32, 1), (32, 32, 3), (224, 224, 1)
TORCHVISION, TABLE_2, TABLE_6 = "torchvision's num_params", "the paper's table 2", "the paper's table 6"
PLAIN, NORM = {"batch_norm": False}, {"batch_norm": True}
COMPACT, AUXILIARY = {"head": "compact"}, {"auxiliary_heads": True}
COMPACT_SOURCE = "the tutorials' head, counted by hand"

# fmt: off
FORMS = (
    # LeNet-5 and the small networks of the tutorials
    Form("lenet5", "lenet.lenet5", "LeNet-5 of 1998, with tanh and average pooling",
         61_706, MNIST, 10, smallest=28),
    Form("lenet5_sigmoid", "lenet.lenet5_sigmoid", "LeNet-5 with sigmoid, as in textbooks",
         61_706, PADDED_MNIST, 10, smallest=16),
    Form("mnist_cnn", "small.mnist_cnn", "three 3x3 convolutions, two max-poolings, dense 64",
         93_322, MNIST, 10, smallest=18, source="Chollet 2017, listing 5.3"),
    Form("baseline_cnn", "small.baseline_cnn", "5x5 convolution, batch norm, ReLU, max-pooling, dropout; dense 128",
         198_494, CIFAR, 10),
    Form("sigmoid_cnn", "small.sigmoid_cnn", "three times: 5x5 convolution, sigmoid, max-pooling",
         2_038, (36, 36, 1), 10, smallest=36),
    Form("small_cnn", "small.small_cnn", "two 5x5 convolutions of 6 filters, dense 50",
         6_422, MNIST, 10, smallest=16),
    Form("fashion_cnn", "small.fashion_cnn", "two 5x5 convolutions of 6 and 12 filters, dense 120 and 60",
         32_998, MNIST, 10, smallest=16),
    Form("cifar_net", "small.cifar_net", "two 5x5 convolutions of 6 and 16 filters, dense 120 and 84",
         62_006, CIFAR, 10, smallest=16),

    # Dense networks
    Form("dnn_tabular", "dense.dnn_tabular", "dense 5, 5, 5, for rows of numbers", 98, (3,), 3),
    Form("dnn_mnist", "dense.dnn_mnist", "dense 512, 256, 128, 64, no convolution", 575_050, MNIST, 10),
    Form("fc2layer", "dense.fc2layer", "dense 8, 8, as many parameters as `small_cnn`", 6_442, MNIST, 10),

    # AlexNet
    Form("alexnet", "alexnet.alexnet", "AlexNet of 2012, with two groups and local response normalization",
         60_965_224, (227, 227, 3), smallest=67),
    Form("alexnet_plain", "alexnet.alexnet_plain", "AlexNet of the textbooks, with one group and no normalization",
         46_764_746, GREY, 10, smallest=65),
    Form("alexnet_plain", "alexnet.alexnet_plain", "the same with 1000 classes; its first padding is the default",
         50_820_776, GREY, smallest=65, options={"first_padding": 1}),
    Form("alexnet_plain", "alexnet.alexnet_plain", "the same without the first padding",
         None, GREY, 10, smallest=67, options={"first_padding": 0}),
    Form("alexnet_torchvision", "alexnet.alexnet_torchvision", "torchvision's AlexNet, for torchvision's weights",
         61_100_840, smallest=63, source=TORCHVISION),

    # VGG. The paper's table 2 has 133, 133, 134, 138 and 144 million for columns A, B, C, D and E.
    Form("vgg7", "vgg.vgg", "VGG with four convolutions",
         73_223_528, smallest=8, depth=7, fixed=PLAIN),
    Form("vgg7_bn", "vgg.vgg", "`vgg7` with batch norm",  # which has two numbers per channel
         73_223_528 + 2 * (64 + 128 + 2 * 256), smallest=8, depth=7, fixed=NORM),
    Form("vgg9", "vgg.vgg", "VGG with six convolutions",
         128_143_720, smallest=16, depth=9, fixed=PLAIN),
    Form("vgg9_bn", "vgg.vgg", "`vgg9` with batch norm",
         128_143_720 + 2 * (64 + 128 + 2 * 256 + 2 * 512), smallest=16, depth=9, fixed=NORM),
    Form("vgg11", "vgg.vgg", "VGG, column A of the paper",
         132_863_336, smallest=32, depth=11, fixed=PLAIN, source=TORCHVISION),
    Form("vgg11_bn", "vgg.vgg", "`vgg11` with batch norm",
         132_868_840, smallest=32, depth=11, fixed=NORM, source=TORCHVISION),
    Form("vgg13", "vgg.vgg", "VGG, column B",
         133_047_848, smallest=32, depth=13, fixed=PLAIN, source=TORCHVISION),
    Form("vgg13_bn", "vgg.vgg", "`vgg13` with batch norm",
         133_053_736, smallest=32, depth=13, fixed=NORM, source=TORCHVISION),
    Form("vgg16", "vgg.vgg", "VGG, column D",
         138_357_544, smallest=32, depth=16, fixed=PLAIN, source=TORCHVISION),
    Form("vgg16_bn", "vgg.vgg", "`vgg16` with batch norm",
         138_365_992, smallest=32, depth=16, fixed=NORM, source=TORCHVISION),
    Form("vgg16_1x1", "vgg.vgg", "VGG, column C, with 1x1 convolutions",
         133_638_952, smallest=32, depth="16_1x1", fixed=PLAIN, source="the paper's table 1, counted by hand"),
    Form("vgg19", "vgg.vgg", "VGG, column E",
         143_667_240, smallest=32, depth=19, fixed=PLAIN, source=TORCHVISION),
    Form("vgg19_bn", "vgg.vgg", "`vgg19` with batch norm",
         143_678_248, smallest=32, depth=19, fixed=NORM, source=TORCHVISION),
    *(Form(name, "vgg.vgg", "the same with the compact head",
           parameters, smallest=smallest, depth=depth, fixed=fixed, options=COMPACT, source=COMPACT_SOURCE)
      for name, parameters, smallest, depth, fixed in (
          ("vgg7", 62_784_872, 8, 7, PLAIN),
          ("vgg7_bn", 62_786_280, 8, 7, NORM),
          ("vgg9", 117_705_064, 16, 9, PLAIN),
          ("vgg11", 122_424_680, 32, 11, PLAIN),
          ("vgg11_bn", 122_430_184, 32, 11, NORM),
          ("vgg13", 122_609_192, 32, 13, PLAIN),
          ("vgg16", 127_918_888, 32, 16, PLAIN),
          ("vgg19", 133_228_584, 32, 19, PLAIN),
          ("vgg19_bn", 133_239_592, 32, 19, NORM),
      )),
    Form("vgg_cifar", "vgg.vgg_cifar", "column A with batch norm and one dense layer",
         9_231_114, CIFAR, 10, smallest=32),

    # Network in Network
    Form("nin", "nin.nin", "Network in Network: 1x1 convolutions, no dense layer", 966_986, CIFAR, 10),

    # GoogLeNet
    Form("googlenet", "googlenet.googlenet", "GoogLeNet: Inception V1 of the paper",
         6_998_552, smallest=31, source="the paper's table 1, counted by hand"),
    Form("googlenet", "googlenet.googlenet", "the same with auxiliary heads",
         13_378_280, smallest=79, options=AUXILIARY, source="the paper's section 5, counted by hand"),
    Form("googlenet_torchvision", "googlenet.googlenet_torchvision",
         "torchvision's GoogLeNet, for torchvision's weights", 
         6_624_904, smallest=15, source=TORCHVISION),
    Form("googlenet_torchvision", "googlenet.googlenet_torchvision", "the same with auxiliary heads",
         13_004_888, smallest=15, options=AUXILIARY, source=TORCHVISION),
    Form("googlenet_mini", "googlenet.googlenet_mini", "two Inception blocks for small pictures",
         97_298, MNIST, 10, smallest=16),

    # ResNet
    Form("resnet18", "resnet.resnet", "ResNet in torchvision's form, 18 layers",
         11_689_512, depth=18, source=TORCHVISION),
    Form("resnet34", "resnet.resnet", "ResNet with 34 layers", 21_797_672, depth=34, source=TORCHVISION),
    Form("resnet50", "resnet.resnet", "ResNet with bottlenecks, 50 layers", 25_557_032, depth=50, source=TORCHVISION),
    Form("resnet101", "resnet.resnet", "ResNet with bottlenecks, 101 layers",
         44_549_160, depth=101, source=TORCHVISION),
    Form("resnet152", "resnet.resnet", "ResNet with bottlenecks, 152 layers",
         60_192_808, depth=152, source=TORCHVISION),
    Form("resnet18", "resnet.resnet", "ResNet-18 with a stem for small images",
         11_173_962, CIFAR, 10, depth=18, options={"small_stem": True}, source="pytorch-cifar"),
    # Table 6 has 0.27, 0.46, 0.66, 0.85 and 1.7 million.
    Form("resnet20", "resnet.resnet_cifar", "the paper's ResNet for CIFAR, 20 layers",
         269_722, CIFAR, 10, depth=20, source=TABLE_6),
    Form("resnet32", "resnet.resnet_cifar", "the paper's ResNet for CIFAR, 32 layers",
         464_154, CIFAR, 10, depth=32, source=TABLE_6),
    Form("resnet44", "resnet.resnet_cifar", "the paper's ResNet for CIFAR, 44 layers",
         658_586, CIFAR, 10, depth=44, source=TABLE_6),
    Form("resnet56", "resnet.resnet_cifar", "the paper's ResNet for CIFAR, 56 layers",
         853_018, CIFAR, 10, depth=56, source=TABLE_6),
    Form("resnet110", "resnet.resnet_cifar", "the paper's ResNet for CIFAR, 110 layers",
         1_727_962, CIFAR, 10, depth=110, source=TABLE_6),
    Form("resnet_mini", "resnet.resnet_mini", "two residual blocks for small pictures",
         41_514, MNIST, 10, smallest=16),
    Form("resnet_cifar_wide", "resnet.resnet_cifar_wide",
         "seven residual blocks of 64 to 512 filters, dense 1024 and 512",
         63_435_018, CIFAR, 10, smallest=14),

    # DenseNet. Table 2 has 1.0 and 0.8 million for the two networks for CIFAR.
    Form("densenet121", "densenet.densenet", "DenseNet with growth rate 32, 121 layers",
         7_978_856, smallest=29, depth=121, source=TORCHVISION),
    Form("densenet161", "densenet.densenet", "DenseNet with growth rate 48, 161 layers",
         28_681_000, smallest=29, depth=161, source=TORCHVISION),
    Form("densenet169", "densenet.densenet", "DenseNet with growth rate 32, 169 layers",
         14_149_480, smallest=29, depth=169, source=TORCHVISION),
    Form("densenet201", "densenet.densenet", "DenseNet with growth rate 32, 201 layers",
         20_013_928, smallest=29, depth=201, source=TORCHVISION),
    Form("densenet40", "densenet.densenet_cifar", "the paper's DenseNet for CIFAR, 40 layers",
         1_019_722, CIFAR, 10, smallest=4, depth=40, fixed={"bottleneck": False}, source=TABLE_2),
    Form("densenet_bc100", "densenet.densenet_cifar",
         "the paper's DenseNet for CIFAR with bottlenecks and compression, 100 layers", 
         769_162, CIFAR, 10, smallest=4, depth=100, fixed={"bottleneck": True}, source=TABLE_2),
)
# fmt: on

NETWORKS = {form.name: form for form in FORMS if not form.options}


def list_models(pattern: str = "*") -> list[str]:
    """Return the names of the networks that match `pattern`, sorted. It loads no framework.

    Args:
        pattern: A name with the wildcards of a shell: "resnet*", "vgg1[136]", "*_bn".

    Returns:
        Names for `build`; an empty list if none matches.

    Example:
        >>> import kerasnets
        >>> kerasnets.list_models("densenet*")
        ['densenet121', 'densenet161', 'densenet169', 'densenet201', 'densenet40', 'densenet_bc100']
    """
    return sorted(fnmatch.filter(NETWORKS, pattern))


def check_name(name: str) -> None:
    """Raise ValueError if no network is called `name`."""
    if name not in NETWORKS:
        raise ValueError(f"unknown network {name!r}; choose one of: {nearest_first(name, list_models())}")


def forms(patterns: Sequence[str] = ()) -> list[Form]:
    """Return the forms of the networks that match one of the shell-style `patterns`; all without a pattern.

    Raises:
        ValueError: A pattern matches no network.
    """
    for pattern in patterns:
        if not fnmatch.filter(NETWORKS, pattern):
            raise ValueError(f"unknown network {pattern!r}; choose one of: {nearest_first(pattern, NETWORKS)}")
    return [form for form in FORMS if not patterns or any(fnmatch.fnmatchcase(form.name, p) for p in patterns)]
