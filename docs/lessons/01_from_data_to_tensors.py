# %% [markdown]
# # 1. From data to tensors
#
# The input of a network: pictures as arrays of numbers, with type, shape and range; batches, epochs and shuffling; the
# axis of the channels; pixels with mean 0 and standard deviation 1.

# %%
import os

os.environ.setdefault("KERAS_BACKEND", "torch")  # or "tensorflow", or "jax": before Keras is imported

import keras
import matplotlib.pyplot as plt
import numpy as np

from kerasnets.data import load_present

# %% [markdown]
# ## A picture is an array
#
# MNIST is 70,000 handwritten digits (LeCun, Bottou, Bengio and Haffner, Proceedings of the IEEE 86, 1998). If its files
# are not on this disk, we take the 1,797 digits that come with scikit-learn. In both, some pictures are held out for
# testing; a network never trains on them.

# %%
data = load_present("mnist") or load_present("digits")
images, labels = data.train_images, data.train_labels
print(f"{data.title}: {len(images):,} pictures to learn from, {len(data.test_images):,} to test on")
print(f"images: {images.shape} of {images.dtype}, from {images.min()} to {images.max()}")
print(f"labels: {labels.shape} of {labels.dtype}, from {labels.min()} to {labels.max()}")
assert images.shape[1:] == (28, 28, 1)  # height, width, channels: grey has one
assert (images.dtype, images.min(), images.max()) == (np.uint8, 0, 255)
assert set(labels) == set(range(10))

print(f"\nthe middle of the first picture, a {labels[0]}:")
print(images[0, 10:18, 8:20, 0])

# %% [markdown]
# Look at your data before you train. You see at once if labels and pictures do not belong together, or if pictures are
# rotated. Count the classes too: if nine of ten pictures show the same class, a network that always gives that answer
# is right 90% of the time.

# %%
figure, axes = plt.subplots(3, 10, figsize=(8, 2.9), layout="constrained")
for i, ax in enumerate(axes.flat):
    ax.imshow(images[i, ..., 0], cmap="grey")
    ax.set(xticks=[], yticks=[])
    ax.set_title(labels[i], fontsize=9)
figure.suptitle("The first 30 pictures and their labels")
plt.show()

counts = np.bincount(labels)
for digit, count in enumerate(counts):
    print(f"{digit}: {count:5,} {'#' * round(40 * count / counts.max())}")
print(f"always answering {counts.argmax()} is right on {counts.max() / counts.sum():.1%}")
assert counts.sum() == len(images)
assert counts.max() / counts.sum() < 0.12  # well balanced: a tenth each would be 0.1

# %% [markdown]
# ## Type and range
#
# A pixel is a whole number from 0 to 255 in a single byte, `uint8`. Keep pictures in this type, but do not compute in
# it: after 255, a byte wraps around to 0. Networks compute in `float32`, with four bytes per number, and they learn
# best from numbers near 0. That is why all tutorials divide by 255.

# %%
bright = np.array([250], "uint8")
print(f"250 + 10 is {(bright + np.uint8(10))[0]} in uint8, and {bright[0].astype('float32') + 10:.0f} in float32")
assert (bright + np.uint8(10))[0] == 260 - 256

scaled = images.astype("float32") / 255
print(f"in uint8 {images.nbytes / 1e6:.1f} MB, in float32 {scaled.nbytes / 1e6:.1f} MB")
print(f"from {scaled.min()} to {scaled.max()}")
assert (scaled.min(), scaled.max()) == (0, 1)
assert scaled.nbytes == 4 * images.nbytes

# %% [markdown]
# `x / 255` is never negative, so its mean is not 0. So we subtract the mean and divide by the standard deviation. Both
# are computed over *all training pixels* (in colour pictures, for each channel). The test pictures get the same two
# numbers: computing a separate mean from the test pictures would leak information about them. For MNIST, the two
# numbers are 0.1307 and 0.3081, as in PyTorch's example (`mnist/main.py` of pytorch/examples).

# %%
mean, deviation = float(scaled.mean(dtype="float64")), float(scaled.std(dtype="float64"))
normalized = (scaled - mean) / deviation
normalized_test = (data.test_images.astype("float32") / 255 - mean) / deviation
print(f"mean {mean:.4f}, deviation {deviation:.4f}")
for name, pixels in [("training", normalized), ("test", normalized_test)]:
    print(f"{name} pictures, normalized: mean {abs(pixels.mean(dtype='float64')):.4f}, deviation {pixels.std():.4f}")
print(f"black becomes {normalized.min():.4f}, white {normalized.max():.4f}, in {normalized.dtype}")
assert data.title != "MNIST" or (round(mean, 4), round(deviation, 4)) == (0.1307, 0.3081)
assert abs(normalized.mean(dtype="float64")) < 1e-6
assert abs(normalized.std(dtype="float64") - 1) < 1e-6
assert 0 < abs(normalized_test.mean()) < 0.1  # near 0, since they are alike

# %% [markdown]
# ## Batches and epochs
#
# A network learns neither from one picture at a time nor from all pictures at once, but from batches of, for example,
# 64 pictures. It takes one step for each batch. An epoch is over when each picture has been in a batch once. The last
# batch holds the remaining pictures, so it is often smaller.
#
# The order is shuffled again for each epoch. Otherwise the batches would always be the same, and in a file sorted by
# class, each batch would hold only one class. A seed makes a training run repeatable: the same seed and epoch give the
# same order.

# %%
BATCH_SIZE = 64


def batches(count, seed, epoch):
    """The indices of the pictures in each batch of an epoch."""
    order = np.random.default_rng([seed, epoch]).permutation(count)
    return [order[start : start + BATCH_SIZE] for start in range(0, count, BATCH_SIZE)]


count = 1000  # pictures, to be quick
first, second = batches(count, seed=1, epoch=0), batches(count, seed=1, epoch=1)
print(f"{len(first)} batches: {len(first) - 1} of {len(first[0])}, the last of {len(first[-1])}")
print(f"epoch 0 begins with pictures {first[0][:5]}, epoch 1 with {second[0][:5]}")
assert len(first) == -(-count // BATCH_SIZE)  # divided, rounded up
assert sorted(np.concatenate(first)) == list(range(count))  # each once
assert all(np.array_equal(one, again) for one, again in zip(first, batches(count, 1, 0), strict=True))
assert not np.array_equal(first[0], second[0])

# %% [markdown]
# Keras' `fit` makes such batches itself. Here it trains the smallest possible network for two epochs, and we count its
# steps.

# %%
keras.utils.set_random_seed(1)
network = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10)])
network.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
steps = []
counting = keras.callbacks.LambdaCallback(on_train_batch_end=lambda step, logs: steps.append(step))
network.fit(normalized[:count], labels[:count], batch_size=BATCH_SIZE, epochs=2, callbacks=[counting], verbose=0)
print(f"fit took {len(steps)} steps in two epochs")
assert len(steps) == 2 * len(first)

# %% [markdown]
# ## Channels first, channels last
#
# A batch of pictures has four axes. Keras puts the channels last, (n, height, width, channels), like picture files and
# NumPy; PyTorch puts them first, (n, channels, height, width). To convert one into the other, *transpose* the axes. A
# `reshape` to the same shape raises no error, but it scrambles the pixels: it cuts the same sequence of numbers at
# other places.

# %%
coloured = np.concatenate(images[:3], axis=-1)  # three digits as red, green and blue
turned = coloured.transpose(2, 0, 1)
reshaped = coloured.reshape(3, 28, 28)
print(f"channels last {coloured.shape}, channels first {turned.shape}")
assert turned.shape == reshaped.shape
assert np.array_equal(turned[1], images[1, ..., 0])
assert not np.array_equal(reshaped[1], images[1, ..., 0])

figure, axes = plt.subplots(1, 3, figsize=(8, 2.9), layout="constrained")
shown = {"three digits as colours": coloured, "channel 0, turned": turned[0], "channel 0, reshaped": reshaped[0]}
for ax, (title, pixels) in zip(axes, shown.items(), strict=True):
    ax.imshow(pixels, cmap="grey")
    ax.set(title=title, xticks=[], yticks=[])
plt.show()

# %% [markdown]
# ## A tensor
#
# A tensor is the backend's form of the same array. The backend can compute with it on a GPU and compute gradients.
# Keras converts NumPy arrays automatically. A single picture must become a batch of one first.

# %%
tensor = keras.ops.convert_to_tensor(normalized[:1])
dtype = keras.backend.standardize_dtype(tensor.dtype)
print(f"a tensor of {keras.backend.backend()}: shape {tuple(tensor.shape)}, {dtype}")
assert dtype == "float32"
back = keras.ops.convert_to_numpy(tensor)
assert np.array_equal(back, normalized[0][None])
assert network(tensor).shape == (1, 10)  # one picture in, ten numbers out
