# %% [markdown]
# # 1. From data to tensors
#
# What a network is given: pictures as arrays of numbers, their type, shape and range; batches, epochs and shuffling;
# where the channels lie; pixels with mean 0 and deviation 1.

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
# MNIST is 70,000 handwritten digits (LeCun, Bottou, Bengio and Haffner, Proceedings of the IEEE 86, 1998). Where its
# files are not on this disk, we take the 1,797 that come with scikit-learn. Of either, a part is set apart to test on,
# and a network never learns from it.

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
# Look at your data before you train: one can see at once if labels and pictures do not belong together, or if pictures
# lie on their side. And count: if nine of ten pictures were of one class, a network that answers nothing else would be
# right on 90 %.

# %%
figure, places = plt.subplots(3, 10, figsize=(8, 2.9), layout="constrained")
for i, place in enumerate(places.flat):
    place.imshow(images[i, ..., 0], cmap="grey")
    place.set(xticks=[], yticks=[])
    place.set_title(labels[i], fontsize=9)
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
# A pixel is a whole number from 0 to 255 in a single byte, `uint8`. That is how pictures should be kept; but not how to
# compute with them, since a byte that runs over begins again at 0. Networks compute in `float32`, four bytes a number,
# and like numbers near 0: hence the `/ 255` of all tutorials.

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
# `x / 255` is still not centred: most pixels are black. So one takes the mean away, and divides by the standard
# deviation. Both are computed over *all training pixels* (of colour, for each channel), and the test pictures get the
# same two numbers: a mean of their own would be something learned from them. For MNIST they are the 0.1307 and 0.3081
# that stand in PyTorch's example (`mnist/main.py` of pytorch/examples).

# %%
mean, deviation = float(scaled.mean(dtype="float64")), float(scaled.std(dtype="float64"))
normalized = (scaled - mean) / deviation
normalized_test = (data.test_images.astype("float32") / 255 - mean) / deviation
print(f"mean {mean:.4f}, deviation {deviation:.4f}")
for name, pixels in [("training", normalized), ("test", normalized_test)]:
    print(f"{name} pictures after it: mean {abs(pixels.mean(dtype='float64')):.4f}, deviation {pixels.std():.4f}")
print(f"black becomes {normalized.min():.4f}, white {normalized.max():.4f}, in {normalized.dtype}")
assert data.title != "MNIST" or (round(mean, 4), round(deviation, 4)) == (0.1307, 0.3081)
assert abs(normalized.mean(dtype="float64")) < 1e-6
assert abs(normalized.std(dtype="float64") - 1) < 1e-6
assert 0 < abs(normalized_test.mean()) < 0.1  # near 0, since they are alike

# %% [markdown]
# ## Batches and epochs
#
# A network learns neither from one picture at a time nor from all at once, but from a batch of, say, 64, for each of
# which it takes one step. When each picture has been in a batch once, an epoch is over. The last batch holds what is
# left.
#
# The order is shuffled anew for each epoch. Otherwise the batches would always be the same, and if the file is sorted
# by class, each would hold one class alone. Shuffling by a seed makes a run repeatable: the same seed and epoch, the
# same order.

# %%
BATCH_SIZE = 64


def batches(count, seed, epoch):
    """The places of the pictures in each batch of an epoch."""
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
# Keras' `fit` does the same by itself. Here it trains the smallest possible network for two epochs, and we count its
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
# A batch of pictures has four axes. Keras puts the channels last, (n, height, width, channels), as picture files and
# NumPy have them; PyTorch puts them first, (n, channels, height, width). To go from one to the other, *turn* the axes.
# A `reshape` to the right shape complains of nothing either, but it only cuts the same row of numbers elsewhere.

# %%
coloured = np.concatenate(images[:3], axis=-1)  # three digits as red, green and blue
turned = coloured.transpose(2, 0, 1)
reshaped = coloured.reshape(3, 28, 28)
print(f"channels last {coloured.shape}, channels first {turned.shape}")
assert turned.shape == reshaped.shape
assert np.array_equal(turned[1], images[1, ..., 0])
assert not np.array_equal(reshaped[1], images[1, ..., 0])

figure, places = plt.subplots(1, 3, figsize=(8, 2.9), layout="constrained")
shown = {"three digits as colours": coloured, "channel 0, turned": turned[0], "channel 0, reshaped": reshaped[0]}
for place, (title, pixels) in zip(places, shown.items(), strict=True):
    place.imshow(pixels, cmap="grey")
    place.set(title=title, xticks=[], yticks=[])
plt.show()

# %% [markdown]
# ## A tensor
#
# A tensor is the same array in the hands of the backend, which can compute with it on a graphics card and
# differentiate. Keras makes one from NumPy wherever it is given an array. A single picture must become a batch of one
# first.

# %%
tensor = keras.ops.convert_to_tensor(normalized[:1])
dtype = keras.backend.standardize_dtype(tensor.dtype)
print(f"a tensor of {keras.backend.backend()}: shape {tuple(tensor.shape)}, {dtype}")
assert dtype == "float32"
back = keras.ops.convert_to_numpy(tensor)
assert np.array_equal(back, normalized[0][None])
assert network(tensor).shape == (1, 10)  # one picture in, ten numbers out
