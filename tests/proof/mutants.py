"""Networks and trainings that are wrong in one place, for the test of the proof. Imported in the process of torch."""

import contextlib
import dataclasses
import functools
import tempfile
from pathlib import Path

import keras
import pytest
from keras import layers, ops

from kerasnets import models
from kerasnets.models.registry import NETWORKS
from kerasnets.proof import distances, fit_distances, reference
from kerasnets.proof.report import FIT, HEADINGS
from kerasnets.proof.verdict import Proof

NAME = "baseline_cnn"  # of the network that is broken: a convolution, batch norm, ReLU, max pooling, dropout, two dense


class ShiftedConv(layers.Conv2D):
    def call(self, x):
        return super().call(ops.pad(x, ((0, 0), (1, 0), (0, 0), (0, 0)))[:, :-1])


class TransposedConv(layers.Conv2D):
    def convolution_op(self, inputs, kernel):
        return super().convolution_op(inputs, ops.transpose(kernel, (1, 0, 2, 3)))


class ConvOfBGR(layers.Conv2D):
    def call(self, x):
        return super().call(ops.flip(x, axis=-1))


class NormInEvalMode(layers.BatchNormalization):
    def call(self, x, training=None, mask=None):
        return super().call(x, training=False)


class NormOfUnbiasedVariance(layers.BatchNormalization):
    def call(self, x, training=None, mask=None):
        before = ops.copy(self.moving_variance)
        result = super().call(x, training=training)
        if training:
            count = ops.size(x) / x.shape[-1]
            new = (self.moving_variance - self.momentum * before) * count / (count - 1)
            self.moving_variance.assign(self.momentum * before + new)
        return result


class FlattenOfChannelsFirst(layers.Flatten):
    def call(self, x):
        return super().call(ops.transpose(x, (0, 3, 1, 2)))


class DenseWithoutBias(layers.Dense):
    def call(self, x, training=None):
        return self.activation(ops.matmul(x, self.kernel) + 0 * self.bias)


class DenseOfHalfTheGradient(layers.Dense):
    def call(self, x, training=None):
        return super().call((x + ops.stop_gradient(x)) / 2)


# mutant -> (layer, the class that takes the place of its own or None, changes of its configuration)
LAYERS = {
    "shifted padding": ("conv1", ShiftedConv, {}),
    "transposed kernel": ("conv1", TransposedConv, {}),
    "BGR": ("conv1", ConvOfBGR, {}),
    "epsilon": ("norm1", None, {"epsilon": 1e-5}),
    "slope": ("relu1", layers.LeakyReLU, {"negative_slope": 0.01, "activation": None}),
    "average pooling": ("pool1", layers.AveragePooling2D, {}),
    "wider pooling": ("pool1", None, {"pool_size": (3, 3)}),
    "flatten order": ("flatten", FlattenOfChannelsFirst, {}),
    "missing bias": ("dense1", DenseWithoutBias, {}),
    "softmax": ("logits", None, {"activation": "softmax"}),
    "eval mode": ("norm1", NormInEvalMode, {}),
    "dropout": ("dropout1", None, {"rate": 0.2}),
    "momentum": ("norm1", None, {"momentum": 0.9}),
    "unbiased variance": ("norm1", NormOfUnbiasedVariance, {}),
    "frozen weight": ("dense1", None, {"trainable": False}),
    "half the gradient": ("dense1", DenseOfHalfTheGradient, {}),
}

# mutant -> changes of the recipe
RECIPES = {
    "pixels": {},
    "learning rate": {"learning_rate": 1.01},
    "momentum of SGD": {"momentum": 0.89},
    "no decay": {"weight_decay": 0.0},
    "decay of kernels": {"decay_norms": False},
    "smoothing": {"label_smoothing": 0.01},
    "accumulation": {"accumulate": 2},
    "bfloat16": {"precision": "mixed_bfloat16"},
    "learns though frozen": {},
}


def columns_that_find(names):
    """Return {mutant: the columns of the proof whose tolerance it exceeds}."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        judged = reference.judge(NETWORKS[NAME], Path(folder) / "case")
        for name in names:
            with mutated(name):
                far, _ = distances.measure(judged.case, "channels_last", trains=True)
                fit = fit_distances.measure(judged.case)
            proof = Proof(NAME, pytorch=judged.yardstick, pytorch_fit=judged.of_fit)
            columns = [HEADINGS[quantity] for quantity in far if not far[quantity] <= proof.tolerance_of(quantity)]
            found[name] = columns + [FIT] * any(not d <= proof.tolerance_of_fit(title) for title, d in fit.items())
    return found


@contextlib.contextmanager
def mutated(name):
    """Let one thing be wrong; nothing if the name is ""."""
    with pytest.MonkeyPatch.context() as patch:
        if name in LAYERS:
            patch.setitem(models.MODELS, NAME, builder_of_wrong(models.MODELS[NAME], name))
        elif name:
            trainee_of = fit_distances.trainee_of
            patch.setattr(
                fit_distances, "trainee_of", lambda *job, **options: wrong_trainee(trainee_of, name, *job, **options)
            )
        yield


def builder_of_wrong(build, name):
    """Return a builder like `build` whose networks are wrong in one layer."""
    place, kind, changes = LAYERS[name]

    def change(layer):
        if layer.name != place:
            return type(layer).from_config(layer.get_config())
        config = {key: value for key, value in (layer.get_config() | changes).items() if value is not None}
        return (kind or type(layer)).from_config(config)

    @functools.wraps(build)
    def build_wrong(*shape, **options):
        return keras.models.clone_model(build(*shape, **options), clone_function=change)

    return build_wrong


def wrong_trainee(trainee_of, name, network, recipe, scaling, **options):
    changes = dict(RECIPES[name])
    if name == "learning rate":
        changes["learning_rate"] *= recipe.learning_rate
    if name == "pixels":
        scaling = (1 / 255, 0.0)
    if name == "learns though frozen":
        for layer in network.layers:
            layer.trainable = True
    return trainee_of(network, dataclasses.replace(recipe, **changes), scaling, **options)
