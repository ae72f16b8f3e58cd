# %% [markdown]
# # 3. A dense layer is a convolution
#
# A dense layer over a picture is a convolution as large as the picture, and a 1x1 convolution is a dense layer at each
# pixel. So a network for one digit can read a strip of several digits in one pass.

# %%
import os

os.environ.setdefault("KERAS_BACKEND", "torch")  # or "tensorflow", or "jax": before Keras is imported

from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers

import kerasnets
from kerasnets.data import load_present


def answers(layer, pictures):
    return keras.ops.convert_to_numpy(layer(pictures))


rng = np.random.default_rng(0)
maps = rng.normal(size=(2, 7, 7, 16)).astype("float32")  # two pictures' feature maps, as before a dense layer

# %% [markdown]
# ## As large as the picture
#
# For each of its units, a dense layer multiplies each of the 7 x 7 x 16 numbers by a weight of its own and adds up the
# products. A 7x7 convolution without padding fits on a 7x7 picture at one place only, and computes the same there. The
# weights are in the same order too: Keras' `Flatten` goes through rows, columns and channels, in the order of the
# kernel's axes.

# %%
dense = layers.Dense(10)
as_dense = answers(dense, answers(layers.Flatten(), maps))
weights, bias = dense.get_weights()

convolution = layers.Conv2D(10, 7)
convolution.build(maps.shape)
convolution.set_weights([weights.reshape(7, 7, 16, 10), bias])
as_convolution = answers(convolution, maps)

print(f"dense: weights {weights.shape} give {as_dense.shape}")
print(f"convolution: kernel {tuple(convolution.kernel.shape)} gives {as_convolution.shape}, the same numbers")
assert np.abs(as_dense - as_convolution[:, 0, 0]).max() < 1e-5
assert dense.count_params() == convolution.count_params() == 7 * 7 * 16 * 10 + 10
assert np.abs(as_dense - (maps.reshape(2, -1) @ weights + bias)).max() < 1e-5  # by NumPy

# %% [markdown]
# ## A dense layer at each pixel
#
# A 1x1 convolution sees one pixel, but all its channels. Its kernel, (1, 1, input channels, output channels), is a
# matrix, and the channels of each pixel are multiplied by this matrix. That is a dense layer which all pixels share.

# %%
pointwise = layers.Conv2D(4, 1)
by_convolution = answers(pointwise, maps)
kernel, bias = pointwise.get_weights()

shared = layers.Dense(4)
shared.build((None, 16))
shared.set_weights([kernel[0, 0], bias])
by_pixel = answers(shared, maps.reshape(-1, 16)).reshape(2, 7, 7, 4)

print(f"{by_convolution.shape} from a kernel of {kernel.shape}, the same numbers from a matrix of {kernel[0, 0].shape}")
assert np.abs(by_convolution - by_pixel).max() < 1e-5
assert np.abs(by_convolution - (maps @ kernel[0, 0] + bias)).max() < 1e-5
assert np.abs(by_convolution - answers(shared, maps)).max() < 1e-5  # Keras' Dense takes the last axis anyway

# %% [markdown]
# ## A network that slides
#
# The authors of VGG tested their network in this way. Its first dense layer became a 7x7 convolution, the other two
# became 1x1 convolutions. The network then took pictures of any size, and gave a *map* of answers instead of a single
# answer (Simonyan and Zisserman, arXiv:1409.1556, section 3.2; before them Sermanet et al., OverFeat, arXiv:1312.6229).
# We do the same with the small trained network that comes with kerasnets. The input of its dense layer is 3x3 pixels of
# 64 channels.

# %%
pretrained = Path(kerasnets.__file__).parent.parent / "models_saved/pretrained/mnist_cnn-mnist.keras"
network, card = kerasnets.load(pretrained, logits=True)  # from pixels 0..255


def sliding(network, input_shape):
    """The network with convolutions instead of its dense layers, for pictures of another size."""
    x = inputs = keras.Input(input_shape, dtype=network.input.dtype)
    carried = []
    for layer in network.layers[1:]:
        if isinstance(layer, layers.Flatten):
            continue
        weights = layer.get_weights()
        if isinstance(layer, layers.Dense):
            size = 3 if layer.name == "dense1" else 1
            channels = x.shape[-1]
            weights[0] = weights[0].reshape(size, size, channels, layer.units)
            layer = layers.Conv2D(layer.units, size, activation=layer.activation, name=layer.name)
        else:
            layer = type(layer).from_config(layer.get_config())
        x = layer(x)
        carried.append((layer, weights))
    for layer, weights in carried:
        layer.set_weights(weights)
    return keras.Model(inputs, x)


data = load_present("mnist") or load_present("digits")
right = network.predict(data.test_images[:200], verbose=0).argmax(axis=1) == data.test_labels[:200]
chosen = np.flatnonzero(right)[:5]
digits, truth = data.test_images[chosen], data.test_labels[chosen]
strip = np.concatenate(digits, axis=1)  # side by side
wide = sliding(network, strip.shape)
found = wide.predict(strip[None], verbose=0)[0]
print(f"{data.title}: a strip of {strip.shape[0]}x{strip.shape[1]} gives a map of {found.shape}")

# %% [markdown]
# Two poolings halve the size twice, so neighbouring answers are 4 pixels apart. Each answer equals, number for number,
# the answer of the original network for the 28x28 pixels cut out at that place. Every seventh answer is exactly over a
# digit.

# %%
cut_out = np.stack([strip[:, 4 * i : 4 * i + 28] for i in range(found.shape[1])])
one_by_one = network.predict(cut_out, verbose=0)
assert found.shape == (1, 4 * 28 // 4 + 1, 10)
assert np.abs(found[0] - one_by_one).max() < 1e-3 * np.abs(one_by_one).max()

read = found[0, ::7].argmax(axis=1)
print(f"labels {truth}, read at every seventh place {read}")
assert np.array_equal(read, truth)

exponentials = np.exp(found[0] - found[0].max(axis=1, keepdims=True))
shares = exponentials / exponentials.sum(axis=1, keepdims=True)  # softmax
figure, (above, below) = plt.subplots(2, 1, figsize=(8, 4.4), layout="constrained", height_ratios=(1.5, 2), sharex=True)
above.imshow(strip[..., 0], cmap="grey", aspect="auto", extent=(0, strip.shape[1], 28, 0))
above.set(title="One pass over a strip gives a map of answers", yticks=[])
first, last = 14 - 2, 14 + 4 * 28 + 2  # each answer stands below the middle of its window, 4 pixels wide
below.imshow(shares.T, cmap="Blues", aspect="auto", vmin=0, vmax=1, extent=(first, last, 9.5, -0.5))
below.set(xlim=(0, strip.shape[1]), yticks=range(10), ylabel="probability of class")
below.set(xticks=range(14, 140, 28), xlabel="middle of the window, in pixels")
plt.show()

# %% [markdown]
# The network also answers between two digits, and with confidence: it was never taught to say "nothing here". The gain
# is time. Neighbouring windows share most of their convolutions, and these are now computed once.

# %%
between = np.delete(shares.max(axis=1), range(0, 29, 7))
print(f"the most confident answer between two digits: {between.max():.0%}")
assert between.max() > 0.9
together = kerasnets.describe(wide).multiply_adds
apart = len(cut_out) * kerasnets.describe(network).multiply_adds
print(f"multiply-adds: {together / 1e6:.0f} M in one pass, {apart / 1e6:.0f} M window by window")
assert apart > 4 * together

# %% [markdown]
# ## Network in Network
#
# Lin, Chen and Yan (arXiv:1312.4400) put two 1x1 convolutions behind each larger one. That is a small dense network at
# each pixel instead of a single weighted sum. They also left out the dense layers at the end. The last 1x1 convolution
# has as many channels as there are classes, and the mean of each channel is that class' logit (section 3.2).
#
# This saves the weights of the dense layers, where most networks have most of their weights, and the network fits
# pictures of any size.

# %%
nin = kerasnets.describe("nin")
print("layer         kernel  output    parameters  sees")
for row in nin.layers:
    if row.kind == "Conv2D":
        size = row.settings.split()[0]
        output = "x".join(map(str, row.output_shape))
        field = "x".join(map(str, row.receptive_field))
        print(f"{row.name}  {size}     {output:9} {row.parameters:9,}  {field}")
fields = {row.name: row.receptive_field for row in nin.layers}
assert fields["stage2_conv1"] == fields["stage2_conv2"] == fields["stage2_conv3"]  # 1x1 sees no further

head = next(row for row in nin.layers if row.name == "stage3_conv3")
assert head.parameters == 192 * 10 + 10
print(f"the head has {head.parameters:,} weights; a dense layer on 8x8x192 would have {8 * 8 * 192 * 10 + 10:,}")
assert nin.parameters == 966_986

# %% [markdown]
# VGG tried 1x1 convolutions too, in its column C: each adds a ReLU without a larger receptive field (arXiv:1409.1556,
# section 2.3). Column D, with 3x3 in their place, did better (section 4.1), and is known as VGG-16.

# %%
column_c = {row.name: row for row in kerasnets.describe("vgg16_1x1").layers}
before, pointwise = column_c["stage3_conv2"], column_c["stage3_conv3"]
print(f"{before.name} {before.settings}, {pointwise.name} {pointwise.settings}: both see {pointwise.receptive_field}")
assert pointwise.settings.startswith("1x1")
assert pointwise.receptive_field == before.receptive_field
