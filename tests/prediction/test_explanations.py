"""Maps of why: a network that looks at one place depends on that place."""

from types import SimpleNamespace

import numpy as np
import pytest

from kerasnets.prediction.answers import Prediction
from kerasnets.prediction.explanations import explain, occlusion
from tests.conftest import mostly_on_torch

PLACE = (slice(16, 20), slice(4, 8))


class OnePlace:
    """A stand-in for a Classifier: of two classes, "light" is the likelier, the lighter one place is."""

    card = SimpleNamespace(class_names=("dark", "light"))
    engine_name = "opencv"

    def compute(self, pixels):
        light = pixels[:, PLACE[0], PLACE[1], 0].mean(axis=(1, 2)) / 255
        return np.stack([1 - 0.9 * light, 0.9 * light], axis=1)


def test_occlusion_shows_the_one_place_that_decides():
    pixels = np.zeros((28, 28, 1), np.uint8)
    pixels[4:24, 4:24] = 200
    heat = occlusion(OnePlace(), pixels, 1)
    assert heat.shape == (28, 28)
    assert np.unravel_index(heat.argmax(), heat.shape) in [(y, x) for y in range(14, 22) for x in range(2, 10)]
    assert heat[PLACE].min() > 0.3
    assert heat[:10].max() == heat[:, 16:].max() == 0


@pytest.mark.parametrize("size", [(1, 1), (5, 40), (7, 7)])
def test_occlusion_covers_a_picture_of_any_size(size):
    def compute(pixels):
        return np.repeat(pixels.mean(axis=(1, 2)) / 255, 2, axis=1)

    classifier = SimpleNamespace(card=OnePlace.card, engine_name="opencv", compute=compute)
    heat = explain(classifier, Prediction((("light", 0.7), ("dark", 0.3)), np.full((*size, 1), 9, np.uint8)))
    assert heat["occlusion"].shape == size


def cam_and_difference():
    """Return Grad-CAM of a small network, and the same with gradients from differences."""
    import keras

    from kerasnets.prediction import explanations

    keras.utils.set_random_seed(0)
    inputs = keras.Input((12, 12, 1))
    x = keras.layers.Conv2D(3, 3, padding="same", activation="relu")(inputs)
    outputs = keras.layers.Dense(4)(keras.layers.Flatten()(keras.layers.AveragePooling2D(2)(x)))
    model = keras.Model(inputs, outputs)
    engine = SimpleNamespace(model=model, prepare=lambda pixels: pixels.astype("float32") / 255)
    pixels = np.random.default_rng(0).integers(0, 256, (12, 12, 1), np.uint8)
    front, rest = explanations.halves_of(model)
    maps = np.asarray(keras.ops.convert_to_numpy(front(engine.prepare(pixels[None]))))
    base = np.asarray(keras.ops.convert_to_numpy(rest(maps)))[0, 2]
    slopes = np.zeros(3)
    for channel in range(3):
        for place in np.ndindex(12, 12):
            moved = maps.copy()
            moved[(0, *place, channel)] += 1e-3
            slopes[channel] += (np.asarray(keras.ops.convert_to_numpy(rest(moved)))[0, 2] - base) / 1e-3 / 144
    expected = np.maximum((maps[0] * slopes).sum(axis=2), 0)
    return explanations.grad_cam(engine, pixels, 2), expected / expected.max()


@mostly_on_torch
def test_grad_cam_weighs_maps_by_their_mean_gradient(worker):
    heat, expected = worker(cam_and_difference)
    np.testing.assert_allclose(heat, expected, atol=0.02)
