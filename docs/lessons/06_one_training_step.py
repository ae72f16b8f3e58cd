# %% [markdown]
# # 6. One training step from inside
#
# Softmax, cross-entropy and their gradient, computed by hand and checked; the effect of one step of SGD on the weights
# and on the loss; learning rates that are too small, right and too large; the rest of `model.fit`.

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
# ## From logits to a loss
#
# The network is LeNet-5 with fresh weights, the batch is 32 pictures. The output is *logits*: for each picture ten
# numbers of any size, one per class.


# %%
def scaled(pixels):
    return ((pixels / 255 - 0.1307) / 0.3081).astype("float32")  # MNIST's mean and deviation


data = load_present("mnist") or load_present("digits")
images, labels = scaled(data.train_images[:32]), data.train_labels[:32]
keras.utils.set_random_seed(0)
network = kerasnets.build("lenet5")


def logits_of(images):
    return network.predict(images, verbose=0).astype("float64")


logits = logits_of(images)
print(f"32 pictures of {data.title}; the first is a {labels[0]}, and has the logits")
print(np.round(logits[0], 2))

# %% [markdown]
# *Softmax* turns logits into probabilities: e to the power of each logit, divided by the sum of these powers. If the
# largest logit is subtracted from all ten first, the result is the same, and no power overflows. *Cross-entropy* is
# minus the logarithm of the probability of the right class; the loss is its mean over the batch. A network that knows
# nothing gives each of ten classes a probability of about 0.1, so training starts near a loss of ln 10 = 2.303. If it
# starts far above, the initial weights are too large.


# %%
def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def cross_entropy(logits, labels):
    return -np.log(softmax(logits)[np.arange(len(labels)), labels]).mean()


probabilities = softmax(logits)
loss_before = cross_entropy(logits, labels)
loss_of_keras = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
print("as probabilities:", np.round(probabilities[0], 2))
print(f"loss {loss_before:.4f}, by Keras {float(loss_of_keras(labels, logits)):.4f}, ln 10 is {np.log(10):.4f}")
assert np.allclose(probabilities.sum(axis=1), 1)
assert np.allclose(softmax(logits + 1000), probabilities)  # by itself, e to the power of 1000 is infinite
assert abs(loss_before - float(loss_of_keras(labels, logits))) < 1e-5
assert abs(loss_before - np.log(10)) < 0.7

# %% [markdown]
# ## The gradient at the logits
#
# How does the loss change with each logit? The derivative of softmax and cross-entropy together is a short formula
# (Goodfellow, Bengio and Courville, *Deep Learning*, section 6.2.2.3, explain why the two belong together):
#
#     d loss / d logit = (p - y) / n
#
# Here p are the probabilities, y is 1 for the right class and 0 otherwise, and n is the size of the batch. So each
# picture pulls the logit of its right class up, in proportion to 1 - p, and pushes all other logits down, in proportion
# to p. Each row of the gradient adds up to 0.

# %%
rights = np.eye(10)[labels]
by_hand = (probabilities - rights) / len(labels)

scores = keras.Input((10,))  # a network that does nothing: its picture are the logits
nothing = keras.Model(scores, layers.Identity()(scores))
by_backend = backward(nothing, lambda logits: loss_of_keras(labels, logits), training=False)(logits.astype("float32"))
print(f"largest of the gradient {np.abs(by_hand).max():.4f},", end=" ")
print(f"largest difference to the backend's {np.abs(by_hand - by_backend.pictures).max():.0e}")
assert np.abs(by_hand - by_backend.pictures).max() < 1e-6
assert np.allclose(by_hand.sum(axis=1), 0)
assert all(by_hand.argmin(axis=1) == labels)  # the only class that is pulled up is the right one

# %% [markdown]
# ## The gradient at a weight
#
# From the logits, the chain rule goes back through the network, layer by layer. The last layer computes logits =
# features x kernel + bias. So the gradient of its kernel is the transposed features times the gradient of the logits,
# and the gradient of its bias is the gradient of the logits, summed over the batch. `kerasnets.gradients` runs one
# backward pass and gives the backend's gradient of every weight; `kerasnets.trace` gives the output of every layer.

# %%
gradients = {gradient.name: gradient.after for gradient in kerasnets.gradients(network, images, labels)}
features = [activity.output for activity in kerasnets.trace(network, images) if activity.name == "f6"][-1]
assert features.shape == (32, 84)
assert np.allclose(features.T @ by_hand, gradients["logits/kernel"], atol=1e-6)
assert np.allclose(by_hand.sum(axis=0), gradients["logits/bias"], atol=1e-6)

# %% [markdown]
# For a weight in an earlier layer the formula is long, but a gradient can be checked without a formula. A derivative is
# a slope: move one weight up by a small h, then down by h, and divide the difference of the two losses by 2h. We do
# this for one weight in each convolution, the weight with the largest gradient.

# %%
variables = {variable.path: variable for variable in network.trainable_variables}


def slope(name, place, h):
    """Of the loss by one weight, from two runs of the network."""
    kept = keras.ops.convert_to_numpy(variables[name]).copy()
    losses = []
    for shift in (h, -h):
        moved = kept.copy()
        moved[place] += shift
        variables[name].assign(moved)
        losses.append(cross_entropy(logits_of(images), labels))
    variables[name].assign(kept)
    return (losses[0] - losses[1]) / (2 * h)


print("weight                     backward     h = 0.01    h = 0.0000001")
for name in ("c1/kernel", "c3/kernel", "c5/kernel"):
    place = tuple(int(i) for i in np.unravel_index(np.abs(gradients[name]).argmax(), gradients[name].shape))
    exact, good, bad = gradients[name][place], slope(name, place, 1e-2), slope(name, place, 1e-7)
    print(f"{name} {place!s:15} {exact:10.5f}   {good:10.5f}    {bad:10.5f}")
    assert abs(good - exact) < 0.02 * abs(exact)

# %% [markdown]
# If h is too small, the losses differ only in their last digits, which float32 rounds away. If h is too large, the loss
# is not a straight line between the two places. The backward pass has neither problem. It needs one run for all 61,706
# weights, and the slopes need two runs for each weight.
#
# ## One step
#
# SGD moves each weight against its gradient: new weight = weight - learning rate x gradient. Nothing else happens.

# %%
RATE = 0.1
first = network.get_weights()
second = [weight - RATE * gradients[variable.path] for variable, weight in zip(variables.values(), first, strict=True)]
network.set_weights(second)
loss_after = cross_entropy(logits_of(images), labels)
network.set_weights(first)

step = kerasnets.take_step(network, images, labels, keras.optimizers.SGD(RATE))  # on a copy
expected = -RATE * sum((gradient.astype("float64") ** 2).sum() for gradient in gradients.values())
print(f"one weight of c1: {first[0][0, 0, 0, 0]:.5f} before, {second[0][0, 0, 0, 0]:.5f} after")
print(f"loss by hand:     {loss_before:.5f} before, {loss_after:.5f} after")
print(f"by Keras:         {step.loss_before:.5f} before, {step.loss_after:.5f} after")
print(f"right of 32:      {step.right_before} before, {step.right_after} after")
print(f"the loss fell by  {loss_before - loss_after:.5f}; if it were a straight line, by {-expected:.5f}")
assert abs(step.loss_before - loss_before) < 1e-4
assert abs(step.loss_after - loss_after) < 1e-4
assert loss_after < loss_before
assert 0.8 < (loss_after - loss_before) / expected < 1.2

# %% [markdown]
# If the loss were a straight line, it would fall by learning rate x (length of the gradient) squared. This holds for a
# step that is small enough.

# %%
before, change = first[0][:, :, 0, :], (second[0] - first[0])[:, :, 0, :]
rows = {"before": before, "change": change, "after": before + change}
figure, places = plt.subplots(3, 6, figsize=(7, 4.2), layout="constrained")
for line, (title, kernels) in zip(places, rows.items(), strict=True):
    limit = np.abs(kernels).max()
    for filter, place in enumerate(line):
        shown = place.imshow(kernels[:, :, filter], cmap="RdBu_r", vmin=-limit, vmax=limit)
        place.set(xticks=[], yticks=[])
    line[0].set_ylabel(title)
    figure.colorbar(shown, ax=line)
figure.suptitle("The six 5x5 kernels of LeNet-5's first layer, and what one step adds to them")
plt.show()
assert np.abs(change).max() < 0.2 * np.abs(before).max()  # steps are small, and many are needed

# %% [markdown]
# ## How large a step?
#
# Three training runs of forty steps on the same batch, from the same initial weights.

# %%
network.compile(keras.optimizers.SGD(), loss_of_keras)
RATES = {"too small": 0.001, "right": 0.2, "too large": 20.0}
curves, logits_after = {}, {}
for words, rate in RATES.items():
    network.set_weights(first)
    network.optimizer.learning_rate = rate
    trained = network.fit(images, labels, batch_size=32, epochs=40, shuffle=False, verbose=0)  # a step an epoch
    curves[words], logits_after[words] = trained.history["loss"], logits_of(images)
    print(f"{rate:6}, {words:9}: loss {curves[words][0]:.3f} at first, {curves[words][-1]:7.3f} after 39 steps")

figure, place = plt.subplots(figsize=(7, 3.2), layout="constrained")
for words, curve in curves.items():
    place.plot(curve, label=f"{RATES[words]}, {words}")
place.set(title="Three learning rates on the same batch", xlabel="step", ylabel="loss", yscale="log")
place.legend(title="learning rate")
plt.show()
assert all(abs(curve[0] - loss_before) < 1e-3 for curve in curves.values())
assert curves["too small"][-1] > 0.8 * loss_before
assert curves["right"][-1] < 0.5 * loss_before
assert max(curves["too large"]) > 2 * loss_before

# %% [markdown]
# With too small a rate the loss falls, but very slowly. With too large a rate each step jumps across the minimum. The
# limit depends on the network and on the scale of its inputs, so the usual search is by factors of 10, or of 3 near the
# limit. (Eleven draws of initial weights, on MNIST and on scikit-learn's digits, gave the same picture.) A loss that
# falls on one batch of 32 only shows that the network can learn. Only pictures that it has not seen can show whether it
# has learned what a digit looks like.
#
# The next figure shows the probabilities and the gradient at the logits, before the first step and after the last step
# at the right rate. Blue logits are pulled up, red logits are pushed down. If an answer is right and sure, its gradient
# is nearly 0: the more the network has learned from the batch, the smaller the gradient.

# %%
later = softmax(logits_after["right"])
gradient_later = (later - rights) / len(labels)
print(f"mean size of the gradient: {np.abs(by_hand).mean():.4f} before, {np.abs(gradient_later).mean():.4f} after")
assert np.abs(gradient_later).mean() < 0.7 * np.abs(by_hand).mean()

figure, places = plt.subplots(2, 2, figsize=(8, 5), layout="constrained")
moments = {"before": (probabilities, by_hand), "after 40 steps": (later, gradient_later)}
for line, (words, (p, gradient)) in zip(places, moments.items(), strict=True):
    left = line[0].imshow(p[:8], cmap="Blues", vmin=0, vmax=1)
    right = line[1].imshow(gradient[:8], cmap="RdBu_r", vmin=-1 / 32, vmax=1 / 32)
    for place, title in zip(line, ("p", "(p - y) / n"), strict=True):
        place.set(title=f"{title}, {words}", xticks=range(10), yticks=range(8), yticklabels=labels[:8])
    line[0].set_ylabel("right class")
figure.colorbar(left, ax=places[:, 0], shrink=0.7)
figure.colorbar(right, ax=places[:, 1], shrink=0.7)
figure.suptitle("Probabilities and gradient at the logits, of the first eight pictures of the batch")
plt.show()

# %% [markdown]
# ## What `fit` does around it
#
# `fit` cuts the training data into batches and takes one such step for each. The loss that it prints is the mean over
# the batches, and the loss of each batch is computed *before* its own step. So the number of the first epoch is too
# high. Four batches by hand give the same weights:

# %%
images, labels = scaled(data.train_images[:128]), data.train_labels[:128]
network.optimizer.learning_rate = RATE
network.set_weights(first)
before_each = []
for begin in range(0, 128, 32):
    batch = slice(begin, begin + 32)
    before_each.append(cross_entropy(logits_of(images[batch]), labels[batch]))
    network.train_on_batch(images[batch], labels[batch])
by_hand = network.get_weights()

network.set_weights(first)
fitted = network.fit(images, labels, batch_size=32, epochs=1, shuffle=False, verbose=0)
print(f"mean of the four losses {np.mean(before_each):.4f}, loss that fit gives {fitted.history['loss'][0]:.4f}")
print(f"loss of the same 128 pictures when all is done {cross_entropy(logits_of(images), labels):.4f}")
assert all(np.allclose(one, other, atol=1e-5) for one, other in zip(by_hand, network.get_weights(), strict=True))
assert abs(np.mean(before_each) - fitted.history["loss"][0]) < 1e-3
assert cross_entropy(logits_of(images), labels) < np.mean(before_each)

# %% [markdown]
# `fit` does four more things. It shuffles the pictures again in each epoch (unless `shuffle=False`). It runs the
# network in training mode, in which dropout is on and batch normalization uses the mean and variance of the batch.
# After each epoch it evaluates `validation_data`, in inference mode and without a step. And it calls the callbacks,
# which print, stop or save. Other optimizers differ from SGD in one line only, the line that turns a gradient into a
# change of the weight.
