# %% [markdown]
# # 8. Depth and residuals
#
# Why more layers made networks worse, and how a shortcut around each block helps: the gradient layer by layer, the
# training, the shapes, and the role of batch normalization.

# %%
import os

os.environ.setdefault("KERAS_BACKEND", "torch")  # or "tensorflow", or "jax": before Keras is imported

import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers

import kerasnets
from kerasnets.data import load_present
from kerasnets.inspection.backward import backward

# %% [markdown]
# ## Deeper was worse
#
# By 2014 networks had about twenty layers, and more layers did not help. A plain network of 34 layers had *more* errors
# on ImageNet than one of 18 layers, on its training data too, so overfitting was not the reason. That is surprising.
# Eighteen of the 34 layers could compute the same as the smaller network, and the rest could pass their input on; but
# training does not find this solution. He, Zhang, Ren and Sun (arXiv:1512.03385) let each pair of layers compute not
# the result, but the difference that is *added* to its input. Their errors:

# %%
IMAGENET = {"plain": {18: 27.94, 34: 28.54}, "residual": {18: 27.88, 34: 25.03}}  # table 2: first guess wrong, %
CIFAR10 = {20: (0.27, 8.75), 32: (0.46, 7.51), 44: (0.66, 7.17), 56: (0.85, 6.97), 110: (1.7, 6.43)}  # table 6
print("ImageNet, top-1 error       18 layers   34 layers")
for kind, errors in IMAGENET.items():
    print(f"{kind:25} {errors[18]:9} % {errors[34]:9} %")
print("\nCIFAR-10, residual   millions of weights   error")
for depth, (millions, error) in CIFAR10.items():
    print(f"{depth:6} layers        {millions:19}   {error} %")
assert IMAGENET["plain"][34] > IMAGENET["plain"][18]
assert IMAGENET["residual"][34] < IMAGENET["residual"][18]
for depth in (20, 56):  # ours are the same networks
    assert round(kerasnets.describe(f"resnet{depth}").parameters / 1e6, 2) == CIFAR10[depth][0]

# %% [markdown]
# Figure 6 of the paper shows the plain networks on CIFAR-10. From 20 to 32, 44 and 56 layers, the error grows on
# training data and on test data. With 110 layers it is above 60 %.
#
# ## The same in small
#
# This network trains in seconds: a first convolution, ten blocks of two convolutions, a pooling and a dense layer. All
# convolutions are 3x3 with 8 filters, and the digits have 14x14 pixels. One function builds the network plain or
# residual, with or without batch normalization after each convolution.

# %%
data = load_present("mnist") or load_present("digits")
images = ((data.train_images[:64, ::2, ::2] / 255 - 0.1307) / 0.3081).astype("float32")  # MNIST's mean and deviation
labels = data.train_labels[:64]
BLOCKS = 10
print(f"a batch of 64 pictures of {data.title}")


def convolution(x, norm, first_weights, name):
    x = layers.Conv2D(8, 3, padding="same", use_bias=not norm, kernel_initializer=first_weights, name=name)(x)
    return layers.BatchNormalization(name=f"{name}_norm")(x) if norm else x


def build(residual=False, norm=False, first_weights="glorot_uniform", last_weights=None):
    """last_weights: how the second convolution of each block begins, if not as the others do."""
    inputs = keras.Input((14, 14, 1), name="input")
    x = layers.ReLU(name="relu0")(convolution(inputs, norm, first_weights, "conv0"))
    for i in range(1, BLOCKS + 1):
        y = layers.ReLU(name=f"relu{i}a")(convolution(x, norm, first_weights, f"conv{i}a"))
        y = convolution(y, norm, last_weights or first_weights, f"conv{i}b")
        x = layers.ReLU(name=f"relu{i}")(layers.Add(name=f"add{i}")([x, y]) if residual else y)
    x = layers.Flatten(name="flatten")(layers.AveragePooling2D(2, name="pool")(x))
    return keras.Model(inputs, layers.Dense(10, name="logits")(x))


NETWORKS = {
    "plain": {},
    "plain, He's weights": {"first_weights": "he_normal"},
    "plain, batch norm": {"norm": True},
    "residual": {"residual": True, "last_weights": "zeros"},
    "residual, batch norm": {"residual": True, "norm": True},
}
networks = {}
for name, options in NETWORKS.items():
    keras.utils.set_random_seed(0)
    networks[name] = build(**options)
assert networks["plain"].count_params() == networks["residual"].count_params()  # a shortcut has no weights

# %% [markdown]
# ## A block that does nothing
#
# In "residual", the weights of the second convolution of each block are initialized with zeros. So a block adds nothing
# at first, and all ten blocks pass the output of the first convolution on unchanged. Training starts with a network
# that is in effect one layer deep, and grows from there. A plain block cannot pass its input on so easily: with zero
# weights, its output is zero.

# %%
outputs = {activity.name: activity.output for activity in kerasnets.trace(networks["residual"], images[:1])}
assert np.array_equal(outputs[f"relu{BLOCKS}"], outputs["relu0"])
assert outputs["relu0"].max() > 0

# %% [markdown]
# ## The gradient on its way back
#
# `backward` runs one backward pass, as in [lesson 6](06_one_training_step.md). How large is the gradient of the second
# convolution in each block before the first step?

# %%
cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def judge_of(network):
    """A function: images -> the gradients of the weights and what the network gave, in training mode."""
    return backward(network, lambda logits: cross_entropy(labels, logits), training=True)


judges = {name: judge_of(network) for name, network in networks.items()}
sizes = {}
for name, network in networks.items():
    judge = judges[name]
    gradients = zip(network.trainable_variables, judge(images).weights, strict=True)
    of_kernel = {variable.path: float(np.sqrt((gradient**2).mean())) for variable, gradient in gradients}
    sizes[name] = [of_kernel[f"conv{i}b/kernel"] for i in range(1, BLOCKS + 1)]
    print(f"{name:21} block 1 {sizes[name][0]:.1e}, block {BLOCKS} {sizes[name][-1]:.1e}")

figure, place = plt.subplots(figsize=(8, 3.4), layout="constrained")
for name, of_blocks in sizes.items():
    place.plot(range(1, BLOCKS + 1), of_blocks, "o-" if "residual" in name else "s--", label=name)
place.set(title="The gradient in each block before the first step", xlabel="block", yscale="log",
          ylabel="root mean square", xticks=range(1, BLOCKS + 1))  # fmt: skip
place.legend(fontsize=9, loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()


def fall(name):
    """How many times larger the gradient is in the first block than in the last."""
    return sizes[name][0] / sizes[name][-1]


assert min(sizes["residual"]) > 30 * max(sizes["plain"])
assert min(sizes["plain, He's weights"]) > 5 * max(sizes["plain"])
assert fall("plain, batch norm") > 2 * fall("residual, batch norm")

# %% [markdown]
# *Plain.* Keras' default initializer (Glorot's) suits layers without ReLU. With ReLU, each convolution at least halves
# the mean square of its input. After twenty convolutions nearly nothing is left, and the gradient loses as much on its
# way back. The shortcut solves this with any initializer: the output of a block is x + F(x), its derivative is 1 +
# F'(x), and the 1 passes through any number of blocks (He et al., arXiv:1603.05027, equation 5; exact except for the
# ReLU after the sum).
#
# *He's weights* are larger by the square root of two, which compensates for ReLU (arXiv:1502.01852, section 2.2). They
# keep the gradient of a plain network alive too. So does *batch normalization*, which brings each channel of a batch to
# mean 0 and standard deviation 1, whatever the weights are. In a plain network with batch normalization, the gradient
# even grows from each layer to the layer before it (Yang et al., arXiv:1902.08129); with the shortcut it grows much
# less.
#
# So vanishing gradients were not the problem of the plain networks in the paper. These had He's weights and batch
# normalization, and the authors found that their gradients were healthy (section 4.1). A deep plain network is hard to
# train even if its gradient has the right size.
#
# ## The training
#
# Forty steps of SGD on this batch, written out: weight - rate x gradient. The rate is 0.01 without batch normalization,
# and 0.03 with it.

# %%
STEPS = 40
curves = {}
for name, network in networks.items():
    rate = 0.03 if "norm" in name else 0.01
    judge, curves[name] = judges[name], []
    for _ in range(STEPS + 1):
        found = judge(images)
        curves[name].append(float(cross_entropy(labels, found.outputs)))
        for variable, gradient in zip(network.trainable_variables, found.weights, strict=True):
            variable.assign(keras.ops.convert_to_numpy(variable) - rate * gradient)
    print(f"{name:21} loss {curves[name][0]:.3f} before, {curves[name][-1]:.3f} after {STEPS} steps")

figure, place = plt.subplots(figsize=(8, 3.4), layout="constrained")
for name, curve in curves.items():
    place.plot(curve, "-" if "residual" in name else "--", label=name)
place.axhline(np.log(10), color="grey", linewidth=0.8)
place.set(title="22 layers: the loss on one batch", xlabel="step", ylabel="loss", ylim=(0, 3))
place.legend(fontsize=9, loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()
assert curves["residual, batch norm"][0] == max(curve[0] for curve in curves.values())
assert curves["plain"][-1] > 2.2  # from ln 10 it hardly moves
assert curves["residual"][-1] < curves["plain"][-1] - 0.05
assert curves["residual, batch norm"][-1] < 0.5
assert curves["residual, batch norm"][-1] < curves["plain, batch norm"][-1] / 2

# %% [markdown]
# The loss of the plain network does not fall. With the shortcut alone it falls, but slowly, and a larger rate makes it
# jump: each of ten blocks adds something, and nothing limits the sum. Batch normalization does. It keeps the outputs of
# every layer at the same scale while the weights before it change, and so allows larger steps (Ioffe and Szegedy,
# arXiv:1502.03167, section 3.3). The two help each other: with both, the first losses are the highest (the figure cuts
# them off), and the last loss is by far the lowest. (At a rate of 0.1, the plain network with batch normalization does
# better: two draws ended at 0.04 and 0.13. Twenty-two plain layers can still be trained; in the paper, plain networks
# fell behind from 32 layers on.) The figures depend on the initial weights. The claims asserted here held in each of
# eleven draws, on MNIST and on scikit-learn's digits.
#
# All of this uses a single batch. It shows which network can be trained, not which one is right on other pictures.
#
# ## Where the shapes differ
#
# x + F(x) needs two arrays of the same shape. But the feature maps become smaller, and their channels more. In
# ResNet-18, the first block of the second stage halves height and width, and has 128 channels instead of 64. The
# shortcut must change the shape too. The paper's option B is a *projection*, a 1x1 convolution with the same stride;
# our networks for ImageNet use it, like torchvision's. Option A, for the CIFAR-10 networks, needs no weights: it takes
# every second pixel of x, and zeros for the new channels.

# %%
print("network   layer                        output      kernel's weights")
for network, names in {
    "resnet18": ("stage1_block2_relu", "stage2_block1_conv1", "stage2_block1_conv2", "stage2_block1_shortcut_conv",
                 "stage2_block1_add"),
    "resnet20": ("stage1_block3_relu", "stage2_block1_conv2", "stage2_block1_shortcut", "stage2_block1_add"),
}.items():  # fmt: skip
    rows = {row.name: row for row in kerasnets.describe(network).layers}
    for name in names:
        print(f"{network}  {name:27}  {'x'.join(map(str, rows[name].output_shape)):10}  {rows[name].parameters:7,}")
    shortcut = rows[names[-2]]
    assert shortcut.output_shape == rows["stage2_block1_conv2"].output_shape
    height, width, channels = rows[names[0]].output_shape
    assert shortcut.output_shape == (height // 2, width // 2, 2 * channels)
    assert shortcut.parameters == {"resnet18": channels * 2 * channels, "resnet20": 0}[network]
