"""Model files whose predictions differ from picture to picture, and exports of them."""

import operator
import shutil
from unittest import mock

import cv2
import numpy as np

import kerasnets
from kerasnets import saving
from kerasnets.export import exports as exporting
from kerasnets.proof.case import SCALING, draw_weights

DEVIATION = 2  # std of each logit over the pictures: the predicted class varies, and no probability is near 0 or 1


class Lent:
    """Stands for the export's own process, which would import Keras again: calls `run(function, *args)`."""

    def __init__(self, run):
        self.run = run

    def __call__(self, function, *args):
        return self.run(function, *args)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        """The worker is needed again."""


def export(path, out, workers=None, tell=lambda line: None, calibration=None):
    """exporting.export, with Keras in the tests' workers, or in this process."""
    with mock.patch.object(exporting, "Worker", lambda backend: Lent(workers[backend] if workers else operator.call)):
        return exporting.export(path, out, tell, calibration=calibration)


class Written(Lent):
    """Stands for Keras: copies a file of `write_apart`. OpenVINO would name the parts of a second one differently."""

    def __init__(self, backend):
        super().__init__(self.copy)

    @staticmethod
    def copy(write, path, part, pixels, calibration):
        for file in path.parent.glob(f"{path.stem}-written.*"):
            shutil.copy(file, part.with_suffix(file.suffix))
        return np.load(path.with_suffix(".npy"))


def export_written(path, out):
    """Export a model file for which `write_apart` was called."""
    with mock.patch.object(exporting, "Worker", Written):
        return exporting.export(path, out)


def pictures(count, shape, seed):
    """Return uint8 (count, *shape), clouds of colour; for a shape (columns,), float32 rows."""
    rng = np.random.default_rng(seed)
    if len(shape) == 1:
        return rng.uniform(size=(count, *shape)).astype(np.float32)
    height, width, channels = shape
    seeds = rng.integers(0, 256, (count, 4, 4, channels), np.uint8)
    clouds = [cv2.resize(each, (width, height), interpolation=cv2.INTER_CUBIC).reshape(shape) for each in seeds]
    return np.stack(clouds)


# ---- run in the workers ----


def save_network(path, name, options, seed=0):
    """Write the model file of a network with weights from NumPy; return its input shape."""
    from kerasnets.graph import skip_initializers

    with skip_initializers():
        network = kerasnets.build(name, **options)
    network.set_weights(draw_weights(network, seed))
    shape, classes = network.input_shape[1:], network.output_shape[-1]
    is_row = len(shape) == 1
    images = pictures(32, shape, seed)
    spread(network, images if is_row else (images * SCALING[0] + SCALING[1]).astype("float32"))
    names = ("größer", '<"&">', *(f"class {i}" for i in range(2, classes)))
    facts = {"accuracy": 0.5, "seed": seed, "temperature": 1.7}
    card = saving.Card(name, names, shape, "row" if is_row else "picture", "none", "a recipe", **facts)
    saving.save(network, path, card, None if is_row else SCALING)
    return shape


def spread(network, images):
    """Scale the head's weights so that each logit has mean 0 and std 2 over `images`.

    Of drawn weights a deep network gives almost the same logits for any picture, or such large ones that one class has
    it all: a wrong export would go unnoticed.
    """
    from kerasnets.graph import weighted_layers

    head = weighted_layers(network)[-1]  # linear, perhaps followed by an average
    kernel, bias = head.get_weights()
    head.set_weights([kernel, 0 * bias])
    logits = network.predict_on_batch(images).astype(float)
    scale = DEVIATION / logits.std(axis=0)
    head.set_weights([kernel * scale, -logits.mean(axis=0) * scale])


def plain_keras(path, images):
    """Return the probabilities by plain Keras."""
    import keras

    return keras.models.load_model(path).predict_on_batch(images)


def write_apart(path, suffix, pixels):
    """Write a form without a card next to a model file, and Keras' probabilities for the pixels."""
    np.save(path.with_suffix(".npy"), exporting.write(path, path.with_name(f"{path.stem}-written{suffix}"), pixels))
