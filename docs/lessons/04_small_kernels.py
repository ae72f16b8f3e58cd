# %% [markdown]
# # 4. Two 3x3 instead of one 5x5
#
# The idea of VGG: several small convolutions in a row see as far as one large convolution, with fewer weights, fewer
# multiplications and more activations in between.

# %%
import os

os.environ.setdefault("KERAS_BACKEND", "torch")  # or "tensorflow", or "jax": before Keras is imported

import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers

import kerasnets

# %% [markdown]
# ## How far a stack sees
#
# Each output of a 3x3 convolution depends on 3x3 pixels. Each output of a second 3x3 convolution depends on 5x5 pixels,
# because its window reaches one place further on each side. With each layer, the *receptive field* grows by (k - 1) *
# j, where j is the distance between neighbouring places, counted in pixels of the picture. A stride multiplies this
# distance:
#
#     field = field + (k - 1) * j        then        j = j * stride
#
# starting from field = 1 and j = 1 (Araujo, Norris and Sim, *Computing Receptive Fields of Convolutional Neural
# Networks*, Distill 2019).


# %%
def receptive_field(sizes_and_strides):
    field = distance = 1
    for size, stride in sizes_and_strides:
        field, distance = field + (size - 1) * distance, distance * stride
    return field


def stack(sizes_and_strides, between=None):
    """A network of convolutions ("valid", no bias) for a 17x17 picture, with an activation between them or not."""
    x = inputs = keras.Input((17, 17, 1))
    for i, (size, stride) in enumerate(sizes_and_strides):
        if i and between:
            x = layers.Activation(between)(x)
        x = layers.Conv2D(1, size, stride, use_bias=False)(x)
    return keras.Model(inputs, x)


assert receptive_field([(3, 1), (3, 1)]) == receptive_field([(5, 1)]) == 5
assert receptive_field([(3, 1), (3, 1), (3, 1)]) == receptive_field([(7, 1)]) == 7

# %% [markdown]
# The formula can be tested: change one pixel, and see whether an output changes. Here each pixel of a 17x17 picture is
# changed in turn, and we look at the top left output. All weights are 1, so the change is also the number of paths from
# the pixel to the output.


# %%
def influence(network):
    """(height, width): how much the first output changes when a pixel gets brighter by 1."""
    network.set_weights([np.ones_like(weight) for weight in network.get_weights()])
    side = network.input_shape[1]
    one_each = np.eye(side * side, dtype="float32").reshape(-1, side, side, 1)
    changed = network.predict(one_each, batch_size=512, verbose=0)[:, 0, 0, 0]
    return changed.reshape(side, side)


stacks = {
    "one 3x3": [(3, 1)],
    "two 3x3": [(3, 1), (3, 1)],
    "three 3x3": [(3, 1), (3, 1), (3, 1)],
    "one 5x5": [(5, 1)],
    "one 7x7": [(7, 1)],
    "3x3, stride 2, two 3x3": [(3, 2), (3, 1), (3, 1)],
}
measured = {name: influence(stack(parts)) for name, parts in stacks.items()}
for name, parts in stacks.items():
    rows, columns = np.nonzero(measured[name])
    seen = (rows.max() + 1, columns.max() + 1)
    print(f"{name:22}  formula {receptive_field(parts):2}  measured {seen[0]}x{seen[1]}")
    assert seen == (receptive_field(parts),) * 2
    assert np.count_nonzero(measured[name]) == seen[0] * seen[1]  # without holes

ways = np.convolve([1, 1, 1], [1, 1, 1])  # 1, 2, 3, 2, 1: of two 3x3, along one axis
assert np.array_equal(measured["two 3x3"][:5, :5], np.outer(ways, ways))

figure, places = plt.subplots(1, 4, figsize=(8, 2.5), layout="constrained")
for place, name in zip(places, ("one 5x5", "two 3x3", "one 7x7", "three 3x3"), strict=True):
    field = receptive_field(stacks[name])
    shown = measured[name][:field, :field]
    place.imshow(shown, cmap="Blues", vmin=0, extent=(0, field, field, 0))
    for row, column in np.ndindex(field, field):
        colour = "white" if shown[row, column] > 0.55 * shown.max() else "black"
        place.text(column + 0.5, row + 0.5, f"{shown[row, column]:.0f}", ha="center", va="center", color=colour,
                   fontsize=7)  # fmt: skip
    place.set(title=name, xticks=[], yticks=[])
figure.suptitle("On how many ways a pixel reaches the output")
plt.show()

# %% [markdown]
# The stacks see as far, but not as evenly: more paths start in the middle than at the rim. In deep networks, only a
# small part of the field matters much (Luo, Li, Urtasun and Zemel, *Understanding the Effective Receptive Field in Deep
# Convolutional Neural Networks*, arXiv:1701.04128).
#
# ## What it costs
#
# Let all layers have C channels. One 5x5 convolution has 25 C² weights, two 3x3 convolutions have 2 x 9 C² = 18 C². For
# 7x7, the numbers are 49 C² and 27 C²: the single layer has 81 % more (Simonyan and Zisserman, arXiv:1409.1556, section
# 2.3). Each weight is used once at each place, so the multiply-adds have the same ratio. `kerasnets.describe` counts
# both.

# %%
C, SIZE = 64, 56
print("stack       weights   by formula   multiply-adds at 56x56")
counted = {}
for name, factor in [("one 5x5", 25), ("two 3x3", 18), ("one 7x7", 49), ("three 3x3", 27)]:
    x = inputs = keras.Input((SIZE, SIZE, C))
    for kernel_size, _ in stacks[name]:
        x = layers.Conv2D(C, kernel_size, padding="same", use_bias=False)(x)
    described = kerasnets.describe(keras.Model(inputs, x))
    counted[name] = described.parameters
    formula = f"{factor} C²"
    print(f"{name:9} {described.parameters:9,}   {formula:10}   {described.multiply_adds / 1e6:.0f} M")
    assert described.parameters == factor * C**2
    assert described.multiply_adds == factor * C**2 * SIZE**2
assert round(counted["one 7x7"] / counted["three 3x3"] - 1, 2) == 0.81

# %% [markdown]
# ## Why not one
#
# Without an activation in between, two 3x3 convolutions *are* one 5x5 convolution: their kernels combine into one 5x5
# kernel. They can even do less than a free 5x5 kernel, because they have fewer weights. The gain comes from the ReLU
# between them, which is not linear: the answer to a sum of two pictures is no longer the sum of the two answers, as it
# is for a single convolution. VGG's three 3x3 layers have three ReLUs, a single 7x7 layer has one.

# %%
rng = np.random.default_rng(0)
first, second = rng.normal(size=(2, 3, 3))
combined = np.zeros((5, 5))
for row, column in np.ndindex(3, 3):
    combined[row : row + 3, column : column + 3] += first[row, column] * second


def numbers(network, kernels, picture):
    network.set_weights([kernel[:, :, None, None] for kernel in kernels])
    return network.predict(picture[None, :, :, None], verbose=0)[0, :, :, 0]


one, other = rng.normal(size=(2, 17, 17)).astype("float32")
two_linear, single = stack(stacks["two 3x3"]), stack(stacks["one 5x5"])
linear = numbers(two_linear, (first, second), one)
assert np.abs(linear - numbers(single, (combined,), one)).max() < 1e-4
print("without ReLU, two 3x3 and the 5x5 of their kernels give the same")

two_bent = stack(stacks["two 3x3"], between="relu")
for name, network in [("without ReLU", two_linear), ("with ReLU", two_bent)]:
    of_sum = numbers(network, (first, second), one + other)
    sum_of = numbers(network, (first, second), one) + numbers(network, (first, second), other)
    gap = np.abs(of_sum - sum_of).max()
    print(f"{name}: the answer to a sum and the sum of the answers differ by {gap:.4f}")
    assert (gap > 0.1) == (network is two_bent)

# %% [markdown]
# ## In VGG-16
#
# VGG-16 has only 3x3 convolutions, in five stages with a pooling after each. Each pooling doubles the distance j, so a
# further 3x3 convolution adds 2 pixels in the first stage, then 4, 8, 16 and 32.

# %%
vgg = kerasnets.describe("vgg16")
walked = []
print("after          sees      of the picture's 224x224")
for row in vgg.layers:
    if row.kind in ("Conv2D", "MaxPooling2D") and row.name.startswith("stage"):
        walked.append((3, 1) if row.kind == "Conv2D" else (2, 2))
        assert row.receptive_field[0] == receptive_field(walked)
        if row.kind == "MaxPooling2D":
            print(f"{row.name}   {receptive_field(walked):3}x{receptive_field(walked)}")
assert len(walked) == 13 + 5
assert vgg.parameters == 138_357_544
