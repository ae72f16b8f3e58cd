# %% [markdown]
# # 2. Convolution by hand
#
# One convolution written out in NumPy, with padding, stride and several channels; the size of the result; the cases in
# which Keras and PyTorch pad differently.

# %%
import os

os.environ.setdefault("KERAS_BACKEND", "torch")  # or "tensorflow", or "jax": before Keras is imported

import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers

import kerasnets
from kerasnets.data import load_present
from kerasnets.graph import skip_initializers

# %% [markdown]
# ## A window, a product, a sum
#
# A kernel is a small array of numbers. It is placed over one corner of the picture, each of its numbers is multiplied
# by the pixel below it, and the products are added up. The sum is one number of the result. Then the kernel moves on,
# by one pixel, or by two with stride 2.
#
# Pictures have the shape (height, width, channels), and the kernel of a layer has the shape (height, width, input
# channels, output channels). It has one set of weights for each output channel, and each set spans *all* input
# channels. Each output channel also has a bias, which is added to its sums.


# %%
def convolve(picture, kernel, bias, stride=1, padding=((0, 0), (0, 0))):
    """picture: (height, width, channels in); padding: rows of zeros (above, below), columns (left, right)."""
    padded = np.pad(picture, (*padding, (0, 0)))
    size = kernel.shape[0]
    rows = (padded.shape[0] - size) // stride + 1
    columns = (padded.shape[1] - size) // stride + 1
    result = np.zeros((rows, columns, kernel.shape[3]))
    for row in range(rows):
        for column in range(columns):
            top, left = row * stride, column * stride
            window = padded[top : top + size, left : left + size]
            for channel in range(kernel.shape[3]):
                result[row, column, channel] = (window * kernel[..., channel]).sum() + bias[channel]
    return result


picture = np.arange(16.0).reshape(4, 4, 1)
sum_of_four = np.ones((2, 2, 1, 1))
found = convolve(picture, sum_of_four, bias=[0])
print(picture[..., 0].astype(int))
print(found[..., 0].astype(int))
assert found[0, 0, 0] == 0 + 1 + 4 + 5
assert found[2, 2, 0] == 10 + 11 + 14 + 15

# %% [markdown]
# Mathematicians call this a cross-correlation; in their convolution the kernel is turned by 180 degrees first. Deep
# learning libraries leave the turn out. It makes no difference to a learned kernel: training finds the same weights,
# turned or not (Goodfellow, Bengio and Courville, *Deep Learning*, section 9.1).
#
# Does Keras' layer do the same? Here it has three input channels, four output channels and random weights, with
# different strides and paddings. `"valid"` pads nothing. `"same"` pads with zeros until the result is as large as the
# picture; with a stride, as large as the picture divided by the stride, rounded up. If the number of zeros is odd, the
# extra row goes below and the extra column to the right.


# %%
def same_padding(size, kernel_size, stride):
    """How many zeros Keras puts (before, after) in one direction."""
    outputs = -(-size // stride)  # rounded up
    zeros = max((outputs - 1) * stride + kernel_size - size, 0)
    return zeros // 2, zeros - zeros // 2


rng = np.random.default_rng(0)
print("picture  kernel  stride  padding   zeros    result")
for size, kernel_size, stride, padding in [
    (8, 3, 1, "valid"), (8, 3, 2, "valid"), (8, 3, 1, "same"), (8, 3, 2, "same"), (9, 3, 2, "same"), (9, 4, 1, "same"),
]:  # fmt: skip
    picture = rng.normal(size=(size, size, 3)).astype("float32")
    kernel = rng.normal(size=(kernel_size, kernel_size, 3, 4)).astype("float32")
    bias = rng.normal(size=4).astype("float32")
    layer = layers.Conv2D(4, kernel_size, strides=stride, padding=padding)
    layer.build((None, size, size, 3))
    layer.set_weights([kernel, bias])
    zeros = same_padding(size, kernel_size, stride) if padding == "same" else (0, 0)
    by_hand = convolve(picture, kernel, bias, stride, (zeros, zeros))
    from_keras = keras.ops.convert_to_numpy(layer(picture[None]))[0]
    shape = "x".join(map(str, from_keras.shape))
    print(f"{size}x{size}x3    {kernel_size}x{kernel_size}     {stride}       {padding:8}  {zeros}   {shape}")
    assert by_hand.shape == from_keras.shape
    assert np.abs(by_hand - from_keras).max() < 1e-4

# %% [markdown]
# ## Which size comes out
#
# A row of n pixels with p zeros on each side has n + 2p places. The first window covers k of them, and each further
# window needs s more. So the result has
#
#     floor((n + 2p - k) / s) + 1
#
# pixels; height and width follow the formula separately (Dumoulin and Visin, *A guide to convolution arithmetic for
# deep learning*, arXiv:1603.07285, relationship 6). Pooling follows it too. Pixels at the end that do not fill a window
# are left out.
#
# The table lists the convolutions and poolings of LeNet-5, AlexNet and ResNet-18, with the size by the formula beside
# Keras' size. (AlexNet's dense layers do not matter here and are made small. ResNet-18 pads in separate layers: its 224
# pixels are 230 before the first convolution, which then has p = 0.)


# %%
def size_by_formula(n, k, s, p):
    return (n + 2 * p - k) // s + 1


print("network   layer                 picture   k  s  p  formula  Keras")
with skip_initializers():  # their weights play no part
    networks = [kerasnets.build("lenet5"), kerasnets.build("alexnet", units=16), kerasnets.build("resnet18")]
seen = 0
for network in networks:
    for layer in network.layers:
        if isinstance(layer, (layers.Conv2D, layers.MaxPooling2D, layers.AveragePooling2D)):
            n, from_keras = layer.input.shape[1], layer.output.shape[1]
            k = (layer.kernel_size if isinstance(layer, layers.Conv2D) else layer.pool_size)[0]
            s = layer.strides[0]
            p = (k - 1) / 2 if layer.padding == "same" else 0  # of these, "same" is found at stride 1 with odd k alone
            formula = int(size_by_formula(n, k, s, p))
            if network.name != "resnet18" or "stage" not in layer.name:  # they are many, and alike
                row = f"{n:3}x{n:<3}  {k:2} {s:2} {p:2.0f}  {formula:7}  {from_keras:5}"
                print(f"{network.name:8}  {layer.name:20}  {row}")
            assert formula == from_keras
            seen += 1
assert seen > 25

# %% [markdown]
# ## Where Keras and PyTorch pad differently
#
# At stride 1 with an odd kernel, Keras' `"same"` and PyTorch's `padding=(k - 1) // 2` are the same. At stride 2 they
# may differ. `padding=1` always adds one zero on *each* side. `"same"` adds only as many zeros as the size requires:
# for a 3x3 kernel on an even size, none above and on the left, one below and on the right. The results have the same
# size, so no error is raised, but each window looks at other pixels. `ZeroPadding2D(1)` followed by a `"valid"`
# convolution pads like PyTorch.


# %%
def by_keras(padding, kernel, pixels):
    layer = layers.Conv2D(1, 3, strides=2, padding=padding, use_bias=False)
    layer.build((None, None, None, 1))
    layer.set_weights([kernel])
    return keras.ops.convert_to_numpy(layer(pixels))[0]


for size in (8, 9):
    picture = rng.normal(size=(size, size, 1)).astype("float32")
    kernel = rng.normal(size=(3, 3, 1, 1)).astype("float32")
    same = by_keras("same", kernel, picture[None])
    as_pytorch = by_keras("valid", kernel, layers.ZeroPadding2D(1)(picture[None]))
    difference = np.abs(same - as_pytorch).max()
    print(f"{size}x{size}: both give {same.shape[0]}x{same.shape[1]}, and differ by {difference:.4f}")
    assert same.shape == as_pytorch.shape
    assert (difference > 0.1) == (size == 8)
    assert np.abs(as_pytorch - convolve(picture, kernel, [0], 2, ((1, 1), (1, 1)))).max() < 1e-5
    if keras.backend.backend() == "torch":  # then PyTorch can be asked itself
        import torch

        tensors = [torch.tensor(picture.transpose(2, 0, 1)[None]), torch.tensor(kernel.transpose(3, 2, 0, 1))]
        by_pytorch = torch.nn.functional.conv2d(*tensors, stride=2, padding=1)[0, 0].numpy()
        assert np.abs(as_pytorch[..., 0] - by_pytorch).max() < 1e-5

# %% [markdown]
# ## A kernel that finds edges
#
# Before kernels were learned, they were designed. Sobel's kernel subtracts the pixels on the left from the pixels on
# the right. The result is 0 on an even surface and large at an edge from dark to bright. Transposed, the kernel finds
# edges from top to bottom.

# %%
data = load_present("mnist") or load_present("digits")
print(f"a picture of {data.title}")
digit = data.test_images[0] / 255
across = np.array([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
sobel = np.stack([across, across.T], axis=-1)[:, :, None, :]  # two channels out
edges = convolve(digit, sobel, [0, 0], padding=((1, 1), (1, 1)))
strength = np.sqrt((edges**2).sum(axis=-1))
assert edges.shape == (28, 28, 2)
assert np.allclose(edges[..., 0].sum(axis=1), 0)  # as much of each line gets brighter as gets darker again

figure, places = plt.subplots(1, 4, figsize=(8, 2.4), layout="constrained")
shown = {"the digit": digit, "left to right": edges[..., 0], "top to bottom": edges[..., 1], "how strong": strength}
for place, (title, pixels) in zip(places, shown.items(), strict=True):
    signed = "to" in title.split()
    place.imshow(pixels, cmap="RdBu" if signed else "grey", vmin=-4 if signed else None, vmax=4 if signed else None)
    place.set(title=title, xticks=[], yticks=[])
figure.suptitle("A digit and its edges: blue where it gets brighter, red where it gets darker")
plt.show()

# %% [markdown]
# ## How many weights
#
# A k x k kernel has k x k x (input channels) x (output channels) weights, plus a bias for each output channel. The size
# of the picture does not matter: the same few weights are used at every place.

# %%
for layer in kerasnets.build("lenet5").layers:
    if isinstance(layer, layers.Conv2D):
        k, channels_in, channels_out = layer.kernel_size[0], layer.input.shape[3], layer.filters
        weights = k * k * channels_in * channels_out + channels_out
        print(f"{layer.name}: {k} x {k} x {channels_in:2} x {channels_out:3} + {channels_out:3} = {weights:6,}")
        assert weights == layer.count_params()
