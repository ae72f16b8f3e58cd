# %% [markdown]
# # 9. From LeNet to DenseNet
#
# Seven networks from 1998 to 2016 and the idea that each of them added; their depth, size and cost, counted; and the
# accuracy that they reach.

# %%
import os

os.environ.setdefault("KERAS_BACKEND", "torch")  # or "tensorflow", or "jax": before Keras is imported

import statistics

import keras
import matplotlib.pyplot as plt
from keras import layers

import kerasnets
from kerasnets.graph import nodes, skip_initializers
from kerasnets.project import reproduction

# %% [markdown]
# ## The walk
#
# **LeNet-5**, 1998 (LeCun, Bottou, Bengio and Haffner, *Proceedings of the IEEE* 86(11), section II). A small kernel
# slides over the picture, so the same few weights look for the same feature everywhere. Pooling makes the feature maps
# smaller, while their number grows. Dense layers decide. Most networks below still follow this plan.
#
# **AlexNet**, 2012 (Krizhevsky, Sutskever and Hinton, *NIPS* 25). The same plan, a thousand times as large, trained on
# a million photos with two graphics processors. ReLU instead of tanh made training several times faster; dropout and
# augmentation reduced overfitting. It won ImageNet's contest with a top-5 error of 15.3 %; the second best entry had
# 26.2 %.
#
# **NiN**, 2013 (Lin, Chen and Yan, arXiv:1312.4400). 1x1 convolutions are a small dense network at each pixel. At the
# end there is one feature map for each class, and its mean is the logit. The network has no dense layer, and so few
# weights.
#
# **VGG**, 2014 (Simonyan and Zisserman, arXiv:1409.1556). Only 3x3 convolutions, and more of them. Two in a row see 5x5
# pixels, three see 7x7, with fewer weights than one large kernel and with a ReLU after each (section 2.3).
#
# **GoogLeNet**, 2014 (Szegedy et al., arXiv:1409.4842). Which kernel size is right? All at once: branches of 1x1, 3x3,
# 5x5 and pooling, side by side. 1x1 convolutions reduce the number of feature maps before the costly convolutions, and
# there is only one dense layer.
#
# **ResNet**, 2015 (He, Zhang, Ren and Sun, arXiv:1512.03385). Each block adds its result to its input, so a deep
# network has short paths through it ([lesson 8](08_depth_and_residuals.md)).
#
# **DenseNet**, 2016 (Huang, Liu, van der Maaten and Weinberger, arXiv:1608.06993). The input of each layer is the
# feature maps of *all* earlier layers in its block, concatenated and not added. Each layer contributes a few new
# feature maps, for example 32, and need not compute a known feature again.
#
# VGG's argument for 3x3, counted for 64 input and 64 output channels:

# %%
channels = 64
for convolutions, size in [(2, 5), (3, 7)]:
    field = 1 + convolutions * 2  # each adds one pixel on each side
    stacked, single = convolutions * 3 * 3 * channels**2, size * size * channels**2
    print(f"{convolutions} of 3x3: see {field}x{field}, {stacked:,} weights; one of {size}x{size}: {single:,}")
    assert field == size
    assert stacked < single

# %% [markdown]
# ## Counted
#
# *Depth* is the largest number of layers with weights on a path from the picture to the logits; names like ResNet-50
# count these layers. A *multiply-add* is one product that is added to a sum; the table counts them for the forward pass
# of one picture. The *field* is the receptive field in each direction, before the last pooling or the dense layers
# combine all places ([lesson 4](04_small_kernels.md) explains how it grows). The last two columns show the dense
# layers' share of the weights and of the work.
#
# The networks are counted, not run, so no weights are drawn.


# %%
def depth(network):
    """The largest number of layers with a kernel on a way through the network."""
    deepest = {}  # of each tensor
    for node in nodes(network):
        before = max((deepest[id(tensor)] for tensor in node.input_tensors), default=0)
        weighs = isinstance(node.operation, layers.Conv2D | layers.Dense)
        deepest |= {id(tensor): before + weighs for tensor in node.outputs}
    return deepest[id(network.outputs[0])]


def share_of_dense(rows, what):
    total = sum(getattr(row, what) for row in rows)
    return sum(getattr(row, what) for row in rows if row.kind == "Dense") / total


# name: (year, depth that the paper names)
WALK = {
    "lenet5": (1998, 5),  # figure 2: C1, C3, C5, F6 and the output
    "alexnet": (2012, 8),  # section 3: five convolutions, three dense layers
    "nin": (2013, 9),  # section 4.1: three mlpconv layers, which are three convolutions each
    "vgg16": (2014, 16),  # table 1, column D
    "googlenet": (2014, 22),  # section 5: "22 layers deep when counting only layers with parameters"
    "resnet50": (2015, 50),  # table 1
    "densenet121": (2016, 121),  # table 1
}
described, deep, fields = {}, {}, {}
print("network      year  input    depth   parameters   mult-adds   field  dense: weights  work")
for name, (year, named_depth) in WALK.items():
    with skip_initializers():
        network = kerasnets.build(name)
    deep[name], found = depth(network), kerasnets.describe(network)
    described[name] = found
    fields[name] = max(row.receptive_field[0] for row in found.layers if row.stride and row.kind != "Flatten")
    size, millions = "x".join(map(str, found.input_shape[:2])), found.multiply_adds / 1e6
    shares = [share_of_dense(found.layers, what) for what in ("parameters", "multiply_adds")]
    print(f"{name:12} {year}  {size:7}  {deep[name]:5}  {found.parameters:11,}", end="  ")
    print(f"{millions:8,.1f} M  {fields[name]:6}  {shares[0]:14.0%}  {shares[1]:4.0%}")
    assert deep[name] == named_depth

assert (fields["alexnet"], fields["vgg16"]) == (195, 212)  # Araujo, Norris and Sim, Distill 2019, table 1
assert described["alexnet"].parameters > 900 * described["lenet5"].parameters
assert share_of_dense(described["vgg16"].layers, "parameters") > 0.85
assert share_of_dense(described["vgg16"].layers, "multiply_adds") < 0.01
assert share_of_dense(described["nin"].layers, "parameters") == 0

# %% [markdown]
# Weights and work are in different layers. In AlexNet and VGG, nearly all weights are in dense layers, and nearly all
# work is in convolutions. Networks without large dense layers have few weights, and depth costs them little. (LeNet-5's
# field is larger than its picture because it includes the padding. The same holds for GoogLeNet, ResNet and DenseNet.)
#
# ## The accuracy that they reach
#
# torchvision publishes weights for these networks, with their parameters, their multiply-adds in thousands of millions,
# and their top-1 accuracy: the share of ImageNet's 50,000 validation pictures whose most likely class is right, with
# one crop from the middle (`torchvision.models.*_Weights.IMAGENET1K_V1.meta` of torchvision 0.29). Some networks differ
# a little from the papers: AlexNet has one tower, and GoogLeNet has batch normalization, and 3x3 instead of 5x5.

# %%
TORCHVISION = {
    "alexnet": (61_100_840, 0.714, 56.522),
    "vgg11": (132_863_336, 7.609, 69.020),
    "vgg13": (133_047_848, 11.308, 69.928),
    "vgg16": (138_357_544, 15.470, 71.592),
    "vgg19": (143_667_240, 19.632, 72.376),
    "vgg16_bn": (138_365_992, 15.470, 73.360),
    "vgg19_bn": (143_678_248, 19.632, 74.218),
    "googlenet": (6_624_904, 1.498, 69.778),
    "resnet18": (11_689_512, 1.814, 69.758),
    "resnet34": (21_797_672, 3.664, 73.314),
    "resnet50": (25_557_032, 4.089, 76.130),
    "resnet101": (44_549_160, 7.801, 77.374),
    "resnet152": (60_192_808, 11.514, 78.312),
    "densenet121": (7_978_856, 2.834, 74.434),
    "densenet169": (14_149_480, 3.360, 75.600),
    "densenet201": (20_013_928, 4.291, 76.896),
    "densenet161": (28_681_000, 7.728, 77.138),
}
BETTER_TRAINED = 80.858  # resnet50, IMAGENET1K_V2

described |= {name: kerasnets.describe(f"{name}_torchvision") for name in ("alexnet", "googlenet")}
for name in ("alexnet", "vgg16", "googlenet", "resnet50", "densenet121"):  # ours are the same networks
    assert described[name].parameters == TORCHVISION[name][0]
    assert round(described[name].multiply_adds / 1e9, 3) == TORCHVISION[name][1]

if keras.backend.backend() == "torch":  # then torchvision can be asked itself
    import torchvision

    for name, figures in TORCHVISION.items():
        meta = torchvision.models.get_model_weights(name).IMAGENET1K_V1.meta
        assert (meta["num_params"], meta["_ops"], meta["_metrics"]["ImageNet-1K"]["acc@1"]) == figures
    better = torchvision.models.get_model_weights("resnet50").IMAGENET1K_V2.meta
    assert better["_metrics"]["ImageNet-1K"]["acc@1"] == BETTER_TRAINED

# %%
FAMILIES = {"alexnet": "AlexNet", "vgg": "VGG", "googlenet": "GoogLeNet", "resnet": "ResNet", "densenet": "DenseNet"}
figure, places = plt.subplots(1, 2, figsize=(9, 4.2), sharey=True, layout="constrained")
for place, column, words in zip(places, (0, 1), ("parameters, millions", "multiply-adds, 10^9"), strict=True):
    for number, (family, title) in enumerate(FAMILIES.items()):
        members = [name for name in TORCHVISION if name.startswith(family) and not name.endswith("_bn")]
        across = [TORCHVISION[name][column] / (1e6, 1)[column] for name in members]
        up = [TORCHVISION[name][2] for name in members]
        place.plot(across, up, "o-", color=f"C{number}", label=title)
        for name, x, y in zip(members, across, up, strict=True):
            beside = (-20, 3) if family == "densenet" else (4, -11)  # so that no name lies on another family
            place.annotate(name.removeprefix(family), (x, y), xytext=beside, textcoords="offset points", fontsize=8)
    place.set(xscale="log", xlabel=words)
    place.margins(x=0.1)
    place.grid(alpha=0.25)
places[0].set_ylabel("first guess right, %")
places[0].legend(loc="lower left")
figure.suptitle("ImageNet: what torchvision's weights reach, by size and by work")
plt.show()

accuracy = {name: figures[2] for name, figures in TORCHVISION.items()}
size = {name: figures[0] for name, figures in TORCHVISION.items()}
print(f"GoogLeNet has {size['googlenet'] / size['alexnet']:.0%} of AlexNet's parameters,", end=" ")
print(f"and is right {accuracy['googlenet'] - accuracy['alexnet']:.1f} points more often")
print(f"DenseNet-121 has {size['densenet121'] / size['vgg16']:.0%} of VGG-16's,", end=" ")
print(f"and is right {accuracy['densenet121'] - accuracy['vgg16']:.1f} points more often")
print(f"batch normalization gives VGG-16 {accuracy['vgg16_bn'] - accuracy['vgg16']:.1f} points,", end=" ")
print(f"a better training gives ResNet-50 {BETTER_TRAINED - accuracy['resnet50']:.1f}")
assert size["googlenet"] < size["alexnet"] / 9
assert accuracy["googlenet"] > accuracy["alexnet"] + 13
assert size["densenet121"] < size["vgg16"] / 17
assert accuracy["densenet121"] > accuracy["vgg19"] > accuracy["vgg16"]
assert size["densenet121"] < size["vgg19"] / 18
assert accuracy["googlenet"] > accuracy["vgg11"]
assert size["googlenet"] < size["vgg11"] / 20
assert accuracy["resnet152"] == max(accuracy.values()) < BETTER_TRAINED

# %% [markdown]
# Size alone does not make a network good. Within a family, larger is better, but GoogLeNet is as good as VGG-11 with a
# twentieth of its weights, and DenseNet-121 is better than VGG-19 with an eighteenth. The last line is a warning. The
# same ResNet-50, trained longer and with more augmentation, is better than every point of the figure: networks can be
# compared only if they are trained in the same way.
#
# ## The small ones
#
# The same figure for the networks that this project has trained itself: the error on test data, as the mean over seeds
# and backends (`docs/results.csv`). The training runs differ: two networks had only one epoch, like their source. If a
# network has two recipes, the figure shows the better one.

# %%
PICTURES = ("MNIST", "Fashion-MNIST", "CIFAR-10 (JPEG)")
measured = {}  # (data set, network) -> (test error, epochs)
rows = reproduction.read(reproduction.RESULTS)
for recipe in dict.fromkeys(row["recipe"] for row in rows if row["dataset"] in PICTURES):
    of_recipe = [row for row in rows if row["recipe"] == recipe]
    error = 1 - statistics.mean(float(row["test_accuracy"]) for row in of_recipe)
    key = of_recipe[0]["dataset"], recipe.split("-")[0]
    measured[key] = min(measured.get(key, (1, 0)), (error, int(of_recipe[0]["epochs"])))
parameters = {name: kerasnets.describe(name).parameters for name in {name for _, name in measured}}

figure, place = plt.subplots(figsize=(8, 4), layout="constrained")
print("data set         network         parameters  epochs  test error")
for (dataset, name), (error, epochs) in sorted(measured.items(), key=lambda item: (item[0][0], item[1])):
    print(f"{dataset:15}  {name:14}  {parameters[name]:10,}  {epochs:6}  {error:10.2%}")
for number, dataset in enumerate(sorted({dataset for dataset, _ in measured})):
    here = {name: error for (of, name), (error, _) in measured.items() if of == dataset}
    place.scatter([parameters[name] for name in here], [100 * error for error in here.values()],
                  color=f"C{number}", label=dataset)  # fmt: skip
    for name, error in here.items():
        below = -12 if name == "resnet_mini" else -3  # beside it googlenet_mini has its place
        place.annotate(name, (parameters[name], 100 * error), xytext=(6, below), textcoords="offset points", fontsize=8)
place.set(xscale="log", yscale="log", xlabel="parameters", ylabel="test error, %", xlim=(4e3, 4e7))
place.yaxis.set_major_formatter("{x:g}")
place.set_title("Small networks, trained here: parameters and errors")
place.legend(loc="lower right")
place.grid(alpha=0.25)
plt.show()

mnist = {name: error for (dataset, name), (error, _) in measured.items() if dataset == "MNIST"}
assert mnist["small_cnn"] < mnist["fc2layer"] / 2  # with as many parameters, and one epoch each
assert mnist["lenet5_sigmoid"] < mnist["dnn_mnist"]  # with a ninth of the parameters
assert parameters["lenet5_sigmoid"] < parameters["dnn_mnist"] / 9

# %% [markdown]
# Here too, convolution matters more than size: a convolutional network makes fewer errors than a dense network with as
# many parameters, or with far more ([lesson 7](07_why_convolution.md) explains why).
