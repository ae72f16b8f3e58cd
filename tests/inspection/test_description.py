"""The description of a network agrees with figures by hand, with torchvision and with PyTorch's gradients."""

import json

import numpy as np
import pytest

import kerasnets
from tests.cli.test_app import SHIPPED, only_line, run

# By hand from the network's definition: name, (height, width, channels), parameters, multiply-adds, field, stride.
# A convolution has (k*k*in + 1) * out parameters and k*k*in*out multiply-adds for each output pixel.
LENET5 = (
    ("c1", (28, 28, 6), 26 * 6, 28 * 28 * 25 * 6, 5, 1),
    ("s2", (14, 14, 6), 0, 0, 6, 2),
    ("c3", (10, 10, 16), 151 * 16, 10 * 10 * 150 * 16, 14, 2),
    ("s4", (5, 5, 16), 0, 0, 16, 4),
    ("c5", (1, 1, 120), 401 * 120, 400 * 120, 32, 4),
    ("flatten", (120,), 0, 0, 32, 4),
    ("f6", (84,), 121 * 84, 120 * 84, 28, None),
    ("logits", (10,), 85 * 10, 84 * 10, 28, None),
)

# our name: torchvision's name; it publishes multiply-adds with its weights ("_ops", in 1e9, three decimals)
TORCHVISION = {
    "alexnet_torchvision": "alexnet",
    "vgg11": "vgg11",
    "vgg11_bn": "vgg11_bn",
    "vgg13": "vgg13",
    "vgg13_bn": "vgg13_bn",
    "vgg16": "vgg16",
    "vgg16_bn": "vgg16_bn",
    "vgg19": "vgg19",
    "vgg19_bn": "vgg19_bn",
    "googlenet_torchvision": "googlenet",
    "resnet18": "resnet18",
    "resnet34": "resnet34",
    "resnet50": "resnet50",
    "resnet101": "resnet101",
    "resnet152": "resnet152",
    "densenet121": "densenet121",
    "densenet161": "densenet161",
    "densenet169": "densenet169",
    "densenet201": "densenet201",
}

# name: (kind of layer, receptive field of the last one of it), from Araujo, Norris and Sim, Distill 2019, table 1
DISTILL = {  # the authors' library prints the same: google-research/receptive_field, README
    "alexnet_torchvision": ("MaxPooling2D", 195),  # there: alexnet_v2
    "vgg16": ("MaxPooling2D", 212),
}

# Stacks of (kind, kernel, strides, dilation), each (down, across)
STACKS = {
    "plain": [("conv", (3, 3), (1, 1), (1, 1)), ("conv", (5, 5), (1, 1), (1, 1))],
    "strides": [("conv", (7, 7), (2, 2), (1, 1)), ("pool", (3, 3), (2, 2), (1, 1)), ("conv", (3, 3), (1, 1), (1, 1))],
    "dilation": [("conv", (3, 3), (1, 1), (2, 2)), ("pool", (2, 2), (2, 2), (1, 1)), ("conv", (3, 3), (1, 1), (3, 3))],
    "oblong": [("conv", (3, 5), (2, 1), (1, 1)), ("pool", (1, 2), (1, 2), (1, 1)), ("conv", (5, 1), (1, 1), (1, 1))],
}

SMALL = ("lenet5", "mnist_cnn", "baseline_cnn", "googlenet_mini", "resnet20", "nin", "dnn_tabular")


# ---- run in the workers ----


def rows(name, options=None):
    import dataclasses

    return [dataclasses.astuple(row) for row in kerasnets.describe(name, **(options or {})).layers]


def totals(name):
    described = kerasnets.describe(name)
    return described.parameters, described.non_trainable_parameters, described.multiply_adds, described.memory


def last_field(name, kind):
    return [row.receptive_field for row in kerasnets.describe(name).layers if row.kind == kind][-1]


def published(name):
    """(parameters, multiply-adds in 1e9) that torchvision publishes for a network."""
    import torchvision

    meta = torchvision.models.get_model_weights(name).IMAGENET1K_V1.meta
    return meta["num_params"], meta["_ops"]


def stack_in_keras(stack):
    """The field and stride of the last layer of a stack, on 60x60 pixels."""
    from keras import Input, Model, layers

    inputs = x = Input((60, 60, 1))
    for kind, kernel, strides, dilation in stack:
        if kind == "conv":  # Keras has no layer with both strides and dilation
            x = layers.Conv2D(2, kernel, strides, dilation_rate=dilation, padding="same")(x)
        else:
            x = layers.MaxPooling2D(kernel, strides)(x)
    last = kerasnets.describe(Model(inputs, x)).layers[-1]
    return last.receptive_field, last.stride


def stack_in_torch(stack):
    """The same by experiment: the rows and columns that change one output, and their distance for two neighbours."""
    from torch import nn

    channels, modules = 1, []
    for kind, kernel, strides, dilation in stack:
        if kind == "conv":
            modules.append(nn.Conv2d(channels, 2, kernel, strides, dilation=dilation, bias=False))
            channels = 2
        else:
            modules.append(nn.AvgPool2d(kernel, strides))
    reach, begin = support(nn.Sequential(*modules), 60, 1, (1, 1))
    _, below = support(nn.Sequential(*modules), 60, 1, (2, 2))
    return reach, tuple(b - a for a, b in zip(begin, below, strict=True))


def support(network, side, channels, at):
    """(extent, first) of the rows and columns with a gradient of the output at pixel `at`; all weights positive."""
    import torch

    network = network.double().eval()
    with torch.no_grad():
        for weight in network.parameters():
            weight.fill_(1 / weight[0].numel() if weight.ndim == 4 else 1.0)
    picture = torch.ones(1, channels, side, side, dtype=torch.double, requires_grad=True)
    network(picture)[0, :, at[0], at[1]].sum().backward()
    moved = picture.grad[0].abs().sum(0) > 0
    seen = [moved.any(1).nonzero(), moved.any(0).nonzero()]
    return tuple(int(s.max() - s.min()) + 1 for s in seen), tuple(int(s.min()) for s in seen)


def resnet18_in_torch():
    """The field of the last map of torchvision's network; average pooling has a gradient at each of its pixels."""
    import torchvision
    from torch import nn

    network = torchvision.models.resnet18(weights=None)
    network.maxpool = nn.AvgPool2d(3, 2, 1)
    return support(nn.Sequential(*list(network.children())[:-2]), 544, 3, (8, 8))[0]


def densenet_in_torch():
    """The field of the last map of a DenseNet with 16 layers in plain torch."""
    from torch import nn

    from kerasnets.proof.twins.densenet import CifarDenseNet

    class UpToPool(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = CifarDenseNet(16)
            self.network.final_norm.register_forward_hook(lambda module, inputs, output: setattr(self, "map", output))

        def forward(self, x):
            self.network(x)
            return self.map

    return support(UpToPool(), 128, 3, (16, 16))[0]


def densenet_in_keras():
    import kerasnets.models
    from kerasnets.models.densenet import densenet_cifar

    described = kerasnets.describe(densenet_cifar(16))
    return next(row.receptive_field for row in described.layers if row.name == "final_norm")


def inception_field(layout):
    """(shape, field, stride) where branches of 1x1, 5x5 and pooling with 3x3 join, after a pooling of 2."""
    return last_of_map(kerasnets.describe("googlenet_mini", layout=layout))


def last_of_map(described):
    row = next(row for row in described.layers if row.kind == "Concatenate")
    return row.output_shape, row.receptive_field, row.stride


def of_file(path):
    described = kerasnets.describe(kerasnets.load(path)[0])
    return [(row.name, row.output_shape, row.parameters, row.multiply_adds, row.receptive_field)
            for row in described.layers]  # fmt: skip


def channels_first_from_the_input():
    from keras import Input, Sequential, layers

    network = Sequential([
        Input((3, 20, 30)),
        layers.Conv2D(4, 3, data_format="channels_first", groups=1),
        layers.DepthwiseConv2D(3, data_format="channels_first"),
        layers.GlobalAveragePooling2D(data_format="channels_first"),
    ])  # fmt: skip
    described = kerasnets.describe(network)
    return [(row.output_shape, row.multiply_adds, row.receptive_field) for row in described.layers]


def table_and_json(name, options):
    described = kerasnets.describe(name, **options)
    return described.table(), described.json(), described.line()


def long_names():
    from keras import Input, Model, layers

    inputs = x = Input((32, 32, 3))
    for i in range(2):
        x = layers.BatchNormalization(name=f"{'a_very_long_name_of_a_layer_' * 4}{i}")(x)
    return kerasnets.describe(Model(inputs, layers.GlobalAveragePooling2D(name="pool")(x))).table()


def error_of(case):
    from keras import Input, Model, Sequential, layers

    inputs = Input((8, 8, 1))
    shared = layers.Conv2D(1, 3, padding="same", name="shared")
    cases = {
        "unknown name": lambda: ("lenet6", {}),
        "options": lambda: (Model(inputs, shared(inputs)), {"num_classes": 3}),
        "unbuilt": lambda: (Sequential([layers.Dense(2)], name="unbuilt"), {}),
        "no model": lambda: (3, {}),
        "two inputs": lambda: (Model([inputs, second := Input((8, 8, 1))], layers.Add()([inputs, second])), {}),
        "any size": lambda: (Model(free := Input((None, None, 3)), shared(free), name="fully"), {}),
        "shared": lambda: (Model(inputs, layers.ReLU(name="relu")(shared(shared(inputs))), name="twice"), {}),
        "nested": lambda: (Model(inputs, Model(inputs, shared(inputs), name="inner")(inputs)), {}),
        "transposed": lambda: (Model(inputs, layers.Conv2DTranspose(1, 3, name="up")(inputs)), {}),
        "larger": lambda: (Model(inputs, layers.UpSampling2D(name="up")(inputs)), {}),
    }
    model, options = cases[case]()
    try:
        kerasnets.describe(model, **options)
    except ValueError as error:
        return str(error)
    return None


# ---- tests ----


def test_lenet5_by_hand(worker):
    for ours, (name, shape, parameters, multiply_adds, field, stride) in zip(
        worker(rows, "lenet5")[1:], LENET5, strict=True
    ):
        strides = stride and (stride, stride)
        memory = 4 * int(np.prod(shape))
        assert (ours[0], *ours[2:9]) == (name, shape, parameters, 0, multiply_adds, (field, field), strides, memory)


# From the listings and torchvision's printed modules
@pytest.mark.parametrize(("name", "expected"), [
    ("lenet5", {"c1": "5x5 same tanh", "s2": "2x2", "c3": "5x5 tanh", "f6": "tanh", "logits": ""}),
    ("alexnet", {"conv1": "11x11 stride 4 relu", "pool1": "3x3 stride 2", "conv2": "5x5 same groups 2 relu",
                 "dropout6": "0.5"}),
    ("resnet18", {"stem_conv": "7x7 stride 2 no bias", "stem_norm": "eps 1e-05", "stem_pool_pad": "1"}),
    ("googlenet_torchvision", {"stem_conv1_norm": "eps 0.001", "stem_pool1_pad": "0+1 0+1", "dropout": "0.2"}),
])  # fmt: skip
def test_settings_are_enough_to_write_the_layer_again(workers, name, expected):
    result = {row[0]: row[-1] for row in workers["torch"](rows, name)}
    assert {layer: result[layer] for layer in expected} == expected


def test_batch_norm_by_hand(workers):
    """baseline_cnn: conv 6@5x5 on 32x32x3, batch norm of 6, pooling, dense 128 and 10 on 16x16x6."""
    parameters = 76 * 6 + 2 * 6 + (1536 + 1) * 128 + 129 * 10
    multiply_adds = 32 * 32 * 75 * 6 + 1536 * 128 + 128 * 10
    maps = (
        3 * 1024 + 3 * 6 * 1024 + 3 * 1536 + 2 * 128 + 10
    )  # input; conv, norm, relu; pool, dropout, flatten; the head
    assert workers["torch"](totals, "baseline_cnn") == (parameters, 12, multiply_adds, 4 * maps)


def test_a_network_of_rows_has_no_receptive_field(workers):
    """dense 5, 5, 5, 3 on 3 columns: 98 parameters, 18 of them biases."""
    described = workers["torch"](rows, "dnn_tabular")
    assert sum(row[5] for row in described) == 98 - 18
    assert {row[6:8] for row in described} == {(None, None)}


@pytest.mark.parametrize("name", TORCHVISION)
def test_multiply_adds_agree_with_torchvision(workers, name):
    num_params, giga = workers["torch"](published, TORCHVISION[name])
    parameters, _, multiply_adds, _ = workers["torch"](totals, name)
    assert round(multiply_adds / 1e9, 3) == giga
    assert parameters == num_params


@pytest.mark.parametrize("name", DISTILL)
def test_receptive_fields_agree_with_distill(workers, name):
    kind, field = DISTILL[name]
    assert workers["torch"](last_field, name, kind) == (field, field)


@pytest.mark.parametrize("name", STACKS)
def test_fields_and_strides_agree_with_gradients(workers, name):
    assert workers["torch"](stack_in_keras, STACKS[name]) == workers["torch"](stack_in_torch, STACKS[name])


def test_fields_through_shortcuts_agree_with_gradients(workers):
    assert workers["torch"](last_field, "resnet18", "ReLU") == workers["torch"](resnet18_in_torch)


def test_fields_through_dense_blocks_agree_with_gradients(workers):
    assert workers["torch"](densenet_in_keras) == workers["torch"](densenet_in_torch)


@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
def test_the_largest_field_counts_if_branches_join(workers, layout):
    """conv 5 -> 5, pool 2 -> 6 at stride 2; 5x5 -> 14, and 3x3 twice -> 14; 12x12 maps of 88 channels."""
    assert workers["torch"](inception_field, layout) == ((12, 12, 88), (14, 14), (2, 2))


@pytest.mark.parametrize("name", SMALL)
def test_backends_and_layouts_give_the_same_description(workers, name):
    reference = workers["torch"](rows, name)
    for worker in workers.values():
        assert worker(rows, name) == reference
        turned = worker(rows, name, {"layout": "channels_first"})
        assert [row for row in turned if row[1] != "Permute"] == reference


def test_alexnets_normalization_is_the_same_in_either_layout(workers):
    reference = workers["torch"](rows, "alexnet", {"units": 8})
    turned = workers["torch"](rows, "alexnet", {"units": 8, "layout": "channels_first"})
    maps = {row[0]: row for row in turned}
    reference = [row for row in reference if len(row[2]) == 3]
    assert [maps[row[0]] for row in reference] == reference
    assert maps["conv2"][5] == 27 * 27 * 5 * 5 * 48 * 256  # two groups: each filter sees half of 96 maps


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_model_file_has_the_description_of_its_network(worker, suffix):
    described = worker(of_file, str(SHIPPED.with_suffix(suffix)))
    network = [(*row[:1], *row[2:4], row[5], row[6]) for row in worker(rows, "mnist_cnn")]
    assert [row[0] for row in described[:2]] == ["pixels", "rescaling"]
    assert described[2:-1] == network[1:]
    assert described[-1] == ("probabilities", (10,), 0, 0, (28, 28))


def test_another_network_in_channels_first_can_be_described(workers):
    """20x30 pixels of 3 channels; conv 4@3x3: 18x28; depthwise 3x3: 16x26; the mean sees the whole picture."""
    assert workers["torch"](channels_first_from_the_input) == [
        ((20, 30, 3), 0, (1, 1)),
        ((18, 28, 4), 18 * 28 * 27 * 4, (3, 3)),
        ((16, 26, 4), 16 * 26 * 9 * 4, (5, 5)),
        ((4,), 0, (20, 30)),
    ]


def test_the_table_is_narrow_and_its_units_are_rounded(workers):
    table, text, line = workers["torch"](table_and_json, "resnet50", {})
    assert max(map(len, table.splitlines())) <= 110
    head, *_, total, rest = table.splitlines()
    assert head.split() == ["layer", "kind", "output", "parameters", "mult-adds", "field", "stride", "memory"]
    assert total.split()[:4] == ["total", "25,557,032", "4.09", "G"]  # torchvision: 4.089
    assert rest == "and 53,120 parameters that are not trainable"  # PyTorch's buffers, less its 53 counters
    read = json.loads(text)
    assert sum(row["multiply_adds"] for row in read["layers"]) == read["multiply_adds"]
    assert line.startswith(f"result model=resnet50 input=224x224x3 layers={len(read['layers'])} parameters=25557032 ")
    assert line.endswith(f" multiply_adds={read['multiply_adds']} memory={read['memory']}")


def test_long_names_are_shortened_at_their_beginning(workers):
    lines = workers["torch"](long_names).splitlines()
    assert max(map(len, lines)) == 110
    assert lines[2].split()[0].startswith("...")
    assert lines[2].split()[0].endswith("layer_0")


@pytest.mark.parametrize(("case", "words"), [
    ("unknown name", "unknown network 'lenet6'; choose one of: "),
    ("options", "options go with a name; this model is built already: num_classes"),
    ("unbuilt", "describe needs a name or a built keras.Model with one input, not <Sequential name=unbuilt"),
    ("no model", "describe needs a name or a built keras.Model with one input, not 3"),
    ("two inputs", "describe needs a name or a built keras.Model with one input, not <Functional"),
    ("any size", "fully takes pictures of any size, (None, None, 3); build it with an input_shape"),
    ("shared", "twice calls 'shared' more than once; describe cannot count that"),
    ("nested", "describe cannot count layer 'inner': it does not know Functional"),
    ("transposed", "describe cannot count layer 'up': it does not know Conv2DTranspose"),
    ("larger", "describe cannot count layer 'up': it does not know UpSampling2D"),
])  # fmt: skip
def test_a_network_that_cannot_be_described_gets_one_line(workers, case, words):
    assert workers["torch"](error_of, case).startswith(words)


# ---- the script ----


def test_the_script_prints_a_table_and_one_greppable_line(tmp_path):
    process = run(tmp_path, "describe.py", "mnist_cnn", "--input-shape", 40, 40, 3, "--num-classes", 7)
    assert (process.returncode, process.stderr) == (0, "")
    *table, result = process.stdout.splitlines()
    # conv1 3*3*3*32+32, conv2 18,496, conv3 36,928; 40 -> 38 -> 19 -> 17 -> 8 -> 6: 6*6*64*64+64; 64*7+7
    assert table[-1].split()[:2] == ["total", f"{896 + 18_496 + 36_928 + 147_520 + 455:,}"]
    multiply_adds = 38**2 * 864 + 17**2 * 18_432 + 36 * 36_864 + 147_456 + 448
    assert multiply_adds in [int(word.split("=")[1]) for word in result.split() if word.startswith("multiply_adds=")]
    [described] = json.loads(run(tmp_path, "describe.py", SHIPPED, "--json").stdout)
    assert (described["name"], described["parameters"]) == ("mnist_cnn", 93_322)


def test_a_pattern_gives_a_line_for_each_network(tmp_path):
    process = run(tmp_path, "describe.py", "dnn_*")
    assert (process.returncode, process.stderr) == (0, "")
    lines = [line.split()[:3] for line in process.stdout.splitlines()]
    assert ["result", "model=dnn_mnist", "input=28x28x1"] in lines
    assert ["result", "model=dnn_tabular", "input=3"] in lines


@pytest.mark.parametrize(("arguments", "code", "words"), [
    (["vgg12*"], 2, "unknown network 'vgg12*'; choose one of: "),
    ([SHIPPED, "--num-classes", "3"], 2, "options go with a name; this model is built already: num_classes"),
    (["no.keras"], 3, "no model file no.keras"),
])  # fmt: skip
def test_a_failure_of_the_script_is_one_line_with_its_exit_code(tmp_path, arguments, code, words):
    assert words in only_line(run(tmp_path, "describe.py", *arguments), code)
