"""What others have printed of the networks: trainable parameters, by paper, torchvision or tutorial.

They judge the architecture files, and are never taken from them.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Published:
    """The trainable parameters of a network, as PyTorch counts them, at an input shape and a number of classes."""

    name: str  # in MODELS
    parameters: int | None  # None where nobody has printed them
    input_shape: tuple[int, ...] = (224, 224, 3)  # height, width, channels; a tabular network's columns
    num_classes: int = 1000
    options: dict = field(default_factory=dict)  # of the builder; none stand for the network's main form

    @property
    def title(self):
        return " ".join([self.name, *(f"{option}={value}" for option, value in self.options.items())])


MNIST, CIFAR = (28, 28, 1), (32, 32, 3)
COMPACT, AUXILIARY = {"head": "compact"}, {"auxiliary_heads": True}

# Sources: a paper's table or text; torchvision (num_params of its weights); otherwise the listing's layers, counted by
# hand where it was specified.
PUBLISHED = (
    Published("lenet5", 61_706, MNIST, 10),
    Published("lenet5_sigmoid", 61_706, (32, 32, 1), 10),
    Published("mnist_cnn", 93_322, MNIST, 10),  # Chollet 2017, listing 5.3
    Published("baseline_cnn", 198_494, CIFAR, 10),
    Published("sigmoid_cnn", 2_038, (36, 36, 1), 10),
    Published("small_cnn", 6_422, MNIST, 10),
    Published("fashion_cnn", 32_998, MNIST, 10),
    Published("cifar_net", 62_006, CIFAR, 10),
    Published("dnn_tabular", 98, (3,), 3),
    Published("dnn_mnist", 575_050, MNIST, 10),
    Published("fc2layer", 6_442, MNIST, 10),
    Published("alexnet", 60_965_224, (227, 227, 3)),
    Published("alexnet_plain", 46_764_746, (224, 224, 1), 10),
    # The default padding, named so that the row is not the main form.
    Published("alexnet_plain", 50_820_776, (224, 224, 1), 1000, {"first_padding": 1}),
    Published("alexnet_plain", None, (224, 224, 1), 10, {"first_padding": 0}),
    Published("alexnet_torchvision", 61_100_840),  # torchvision
    Published("vgg7", 73_223_528),
    Published("vgg7_bn", 73_223_528 + 2 * (64 + 128 + 2 * 256)),  # batch norm: two numbers a channel
    Published("vgg9", 128_143_720),
    Published("vgg9_bn", 128_143_720 + 2 * (64 + 128 + 2 * 256 + 2 * 512)),
    Published("vgg11", 132_863_336),  # torchvision; the paper's table 2 has 133 million
    Published("vgg11_bn", 132_868_840),  # torchvision
    Published("vgg13", 133_047_848),  # torchvision; 133 million
    Published("vgg13_bn", 133_053_736),  # torchvision
    Published("vgg16", 138_357_544),  # torchvision; 138 million
    Published("vgg16_bn", 138_365_992),  # torchvision
    Published("vgg16_1x1", 133_638_952),  # the paper: 134 million
    Published("vgg19", 143_667_240),  # torchvision; 144 million
    Published("vgg19_bn", 143_678_248),  # torchvision
    Published("vgg7", 62_784_872, options=COMPACT),
    Published("vgg7_bn", 62_786_280, options=COMPACT),
    Published("vgg9", 117_705_064, options=COMPACT),
    Published("vgg11", 122_424_680, options=COMPACT),
    Published("vgg11_bn", 122_430_184, options=COMPACT),
    Published("vgg13", 122_609_192, options=COMPACT),
    Published("vgg16", 127_918_888, options=COMPACT),
    Published("vgg19", 133_228_584, options=COMPACT),
    Published("vgg19_bn", 133_239_592, options=COMPACT),
    Published("vgg_cifar", 9_231_114, CIFAR, 10),
    Published("nin", 966_986, CIFAR, 10),
    Published("googlenet", 6_998_552),
    Published("googlenet", 13_378_280, options=AUXILIARY),  # by hand from the paper's section 5; it prints none
    Published("googlenet_torchvision", 6_624_904),  # torchvision
    Published("googlenet_torchvision", 13_004_888, options=AUXILIARY),  # torchvision
    Published("googlenet_mini", 97_298, MNIST, 10),
    Published("resnet18", 11_689_512),  # torchvision, as the four that follow
    Published("resnet34", 21_797_672),
    Published("resnet50", 25_557_032),
    Published("resnet101", 44_549_160),
    Published("resnet152", 60_192_808),
    Published("resnet18", 11_173_962, CIFAR, 10, {"small_stem": True}),  # pytorch-cifar
    Published("resnet20", 269_722, CIFAR, 10),  # the paper's table 6: 0.27 million, then 0.46, 0.66, 0.85, 1.7
    Published("resnet32", 464_154, CIFAR, 10),
    Published("resnet44", 658_586, CIFAR, 10),
    Published("resnet56", 853_018, CIFAR, 10),
    Published("resnet110", 1_727_962, CIFAR, 10),
    Published("resnet_mini", 41_514, MNIST, 10),
    Published("resnet_cifar_wide", 63_435_018, CIFAR, 10),
    Published("densenet121", 7_978_856),  # torchvision, as the three that follow
    Published("densenet161", 28_681_000),
    Published("densenet169", 14_149_480),
    Published("densenet201", 20_013_928),
    Published("densenet40", 1_019_722, CIFAR, 10),  # the paper's table 2: 1.0 million
    Published("densenet_bc100", 769_162, CIFAR, 10),  # 0.8 million
)

# name -> the row of its main form
MAIN = {row.name: row for row in PUBLISHED if not row.options}
