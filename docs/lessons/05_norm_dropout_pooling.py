# %% [markdown]
# # 5. Batch normalization, dropout, pooling
#
# Three layers that learn little or nothing, computed by hand: what they do in training, at inference, and in the
# backward pass.

# %%
import os

os.environ.setdefault("KERAS_BACKEND", "torch")  # or "tensorflow", or "jax": before Keras is imported

import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers

import kerasnets
from kerasnets.data import load_present


def answers(layer, pictures, training=False):
    return keras.ops.convert_to_numpy(layer(pictures, training=training))


rng = np.random.default_rng(0)

# %% [markdown]
# ## Batch normalization
#
# Each channel is normalized to mean 0 and variance 1 *over the batch*: over all pictures, rows and columns. Then it is
# multiplied by gamma and beta is added; both are learned (Ioffe and Szegedy, arXiv:1502.03167, algorithm 1 and section
# 3.2). Epsilon, a small number, prevents a division by 0 in a constant channel.

# %%
maps = rng.normal(5, 3, size=(8, 6, 6, 2)).astype("float32")
gamma, beta = np.array([2.0, 0.5], "float32"), np.array([1.0, -1.0], "float32")
norm = layers.BatchNormalization(momentum=0.9, epsilon=1e-3)
norm.build(maps.shape)
norm.set_weights([gamma, beta, np.zeros(2), np.ones(2)])  # the last two: moving mean and moving variance

mean, variance = maps.mean(axis=(0, 1, 2)), maps.var(axis=(0, 1, 2))
in_training = answers(norm, maps, training=True)
assert np.abs(in_training - (gamma * (maps - mean) / np.sqrt(variance + 1e-3) + beta)).max() < 1e-4
print("batch:  mean", mean.round(3), "variance", variance.round(3))
print("result: mean", in_training.mean(axis=(0, 1, 2)).round(3), "deviation", in_training.std(axis=(0, 1, 2)).round(3))
assert np.abs(in_training.mean(axis=(0, 1, 2)) - beta).max() < 1e-4
assert np.abs(in_training.std(axis=(0, 1, 2)) - gamma).max() < 1e-2

# %% [markdown]
# So in training, the answer for a picture depends on the other pictures of its batch. At inference it must not. So the
# layer then uses *moving averages* of mean and variance, which it updates during training. Each step moves them a
# little towards the batch:
#
#     moving = momentum * moving + (1 - momentum) * batch
#
# PyTorch's `momentum` is the share of the batch: PyTorch's 0.1 is Keras' 0.9, and Keras' default of 0.99 is PyTorch's
# 0.01. There is one more difference. PyTorch's moving variance is the unbiased estimate, variance * n / (n - 1), where
# n is the number of values averaged (documentation of `torch.nn.BatchNorm2d`); Keras' is the plain variance.

# %%
moving_mean, moving_variance = norm.get_weights()[2:]
assert np.abs(moving_mean - (0.9 * 0 + 0.1 * mean)).max() < 1e-5
assert np.abs(moving_variance - (0.9 * 1 + 0.1 * variance)).max() < 1e-4
print("moving mean after one batch", moving_mean.round(3))

at_inference = answers(norm, maps)
assert np.abs(at_inference - (gamma * (maps - moving_mean) / np.sqrt(moving_variance + 1e-3) + beta)).max() < 1e-4

neighbours = np.concatenate([maps[:1], maps[1:] + 10])  # the first picture among others
assert np.abs(answers(norm, neighbours, training=True)[0] - in_training[0]).max() > 0.5
norm.set_weights([gamma, beta, moving_mean, moving_variance])
assert np.abs(answers(norm, neighbours)[0] - at_inference[0]).max() < 1e-5
print("in training the first picture's answer changes with its neighbours, at inference it does not")

if keras.backend.backend() == "torch":  # then PyTorch can be asked itself
    import torch

    pytorch = torch.nn.BatchNorm2d(2, momentum=0.1)
    pytorch(torch.tensor(maps.transpose(0, 3, 1, 2)))
    n = 8 * 6 * 6
    assert np.abs(pytorch.running_mean.numpy() - moving_mean).max() < 1e-5
    assert np.abs(pytorch.running_var.numpy() - (0.9 * 1 + 0.1 * variance * n / (n - 1))).max() < 1e-4

# %% [markdown]
# With a momentum of 0.99, after 100 batches the initial values (0 and 1) still weigh 0.99^100 = 37%. For this reason
# alone, a network may do well in training mode and badly at inference after only a few batches.

# %%
left = {momentum: [momentum**steps for steps in (10, 100, 500)] for momentum in (0.9, 0.99)}
for momentum, shares in left.items():
    told = ", ".join(f"{share:.1%}" for share in shares)
    print(f"momentum {momentum}: after 10, 100, 500 batches the share of the initial value is {told}")
slow = layers.BatchNormalization(momentum=0.99)
for _ in range(100):
    slow(maps, training=True)
kept = 1 - slow.get_weights()[2] / mean  # moving mean: (1 - left) * mean
assert np.abs(kept - 0.99**100).max() < 1e-3

# %% [markdown]
# ## Dropout
#
# In training, each number becomes 0 with probability `rate`, drawn anew each time. The remaining numbers are divided by
# 1 - rate, so the sum stays the same on average. At inference, dropout does nothing. (Srivastava et al., Journal of
# Machine Learning Research 15, 2014, scale the weights at inference instead, which is the same on average.)

# %%
RATE, DRAWS = 0.3, 400
ones = np.ones((1, 500), "float32")
dropout = layers.Dropout(RATE, seed=1)
drawn = np.concatenate([answers(dropout, ones, training=True) for _ in range(DRAWS)])
print("values:", np.unique(drawn.round(4)))
assert np.allclose(np.unique(drawn), [0, 1 / (1 - RATE)])
assert np.array_equal(answers(dropout, ones), ones)  # at inference
assert not np.array_equal(drawn[0], drawn[1])

shares = (drawn == 0).mean(axis=1)
expected = np.sqrt(RATE * (1 - RATE) / 500)  # deviation of a share of 500, by the binomial distribution
print(f"share of zeros: mean {shares.mean():.3f}, deviation {shares.std():.3f}, by the formula {expected:.3f}")
print(f"mean of all that came out: {drawn.mean():.3f}")
assert abs(shares.mean() - RATE) < 6 * expected / np.sqrt(DRAWS)  # six deviations of the mean
assert abs(shares.std() / expected - 1) < 0.25
assert abs(drawn.mean() - 1) < 6 * expected / (1 - RATE) / np.sqrt(DRAWS)

figure, axes = plt.subplots(figsize=(8, 2.6), layout="constrained")
axes.hist(shares, bins=np.arange(0.2, 0.4, 0.01) - 0.001, color="#1f5fa8")
axes.axvline(RATE, color="#d9731a", label=f"rate {RATE}")
axes.set(xlabel="share of zeros in a draw of 500", ylabel="draws", title="Dropout: a probability, not a count")
axes.legend(frameon=False)
axes.spines[["top", "right"]].set_visible(False)
plt.show()

# %% [markdown]
# ## Pooling
#
# Pooling by 2 takes the maximum or the mean of each 2x2 block of pixels. In NumPy, a reshape groups rows and columns
# into pairs.


# %%
def pairs(pictures, size=2):
    n, height, width, channels = pictures.shape
    return pictures.reshape(n, height // size, size, width // size, size, channels)


data = load_present("mnist") or load_present("digits")
digits = (data.test_images[:200] / 255).astype("float32")
assert np.array_equal(answers(layers.MaxPooling2D(2), digits), pairs(digits).max(axis=(2, 4)))
assert np.abs(answers(layers.AveragePooling2D(2), digits) - pairs(digits).mean(axis=(2, 4))).max() < 1e-6
print(f"pooling by 2 of {data.title} is as by hand: {digits.shape} becomes {pairs(digits).max(axis=(2, 4)).shape}")

# %% [markdown]
# Pooling makes a network less sensitive to the position of an object. If a digit moves by one pixel to the right, how
# large is the relative change? The larger the pooling, the smaller the change. But the change does not vanish, and the
# grid remains: after pooling by 2, a shift of 2 pixels becomes a shift of exactly one, but a shift of 1 pixel does not
# become any shift (Zhang, *Making Convolutional Networks Shift-Invariant Again*, arXiv:1904.11486).


# %%
def change(pool, pictures):
    """|pool(moved) - pool(picture)| / |pool(picture)|, the mean over the pictures."""
    before, after = (pool(each).reshape(len(each), -1) for each in (pictures, np.roll(pictures, 1, axis=2)))
    return (np.linalg.norm(after - before, axis=1) / np.linalg.norm(before, axis=1)).mean()


pools = {
    "no pooling": lambda pictures: pictures,
    "maximum of 2x2": lambda pictures: answers(layers.MaxPooling2D(2), pictures),
    "maximum of 4x4": lambda pictures: answers(layers.MaxPooling2D(4), pictures),
    "mean of 2x2": lambda pictures: answers(layers.AveragePooling2D(2), pictures),
    "mean of 4x4": lambda pictures: answers(layers.AveragePooling2D(4), pictures),
}
changes = {name: change(pool, digits) for name, pool in pools.items()}
for name, share in changes.items():
    print(f"{name:15} {share:.2f}")
assert changes["no pooling"] > changes["maximum of 2x2"] > changes["maximum of 4x4"]
assert changes["no pooling"] > changes["mean of 2x2"] > changes["mean of 4x4"]

pooled, by_one, by_two = (pools["maximum of 2x2"](np.roll(digits, pixels, axis=2)) for pixels in (0, 1, 2))
assert np.array_equal(by_two, np.roll(pooled, 1, axis=2))
assert not any(np.array_equal(by_one, np.roll(pooled, places, axis=2)) for places in (0, 1))

figure, axes = plt.subplots(2, 4, figsize=(8, 4), layout="constrained")
for row, (words, pixels) in zip(axes, (("as it is", 0), ("moved by 1 pixel", 1)), strict=True):
    for ax, name in zip(row, list(pools)[:4], strict=True):
        ax.imshow(pools[name](np.roll(digits[:1], pixels, axis=2))[0, ..., 0], cmap="grey", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[], title="" if pixels else name)
    row[0].set_ylabel(words)
figure.suptitle("A digit, and the same one pixel further to the right")
plt.show()

# %% [markdown]
# ## The backward pass
#
# In max-pooling, only the largest of four pixels determines the output. So only this pixel gets a gradient, and the
# other three get none. In average pooling, each of the four gets a quarter. `kerasnets.saliency` gives the size of the
# gradient of one output with respect to each pixel. Here the gradients of all four outputs are added up.

# %%
patch = rng.permutation(16).reshape(1, 4, 4, 1).astype("float32")
for pool in (layers.MaxPooling2D, layers.AveragePooling2D):
    inputs = keras.Input((4, 4, 1))
    network = keras.Model(inputs, layers.Flatten()(pool(2)(inputs)))
    found = kerasnets.saliency(network, patch.repeat(4, axis=0), np.arange(4)).sum(axis=0)
    is_largest = pairs(patch) == pairs(patch).max(axis=(2, 4), keepdims=True)
    by_hand = is_largest.reshape(4, 4) if pool is layers.MaxPooling2D else np.full((4, 4), 0.25)
    print(f"{pool.__name__}\n{np.hstack([patch[0, ..., 0], found])}")
    assert np.array_equal(found, by_hand)
