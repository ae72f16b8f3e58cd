"""A network that scales its pixels by channel gives the same in either layout, and trains."""

import numpy as np

from kerasnets import recipes
from tests.conftest import mostly_on_torch

SCALING = ([1 / 255, 2 / 255, 0.5 / 255], [-1.0, 0.2, 0.1])


def outputs_in_both_layouts(pixels):
    """(probabilities in channels_last, in channels_first, of the trainee, loss of one step of it)."""
    import keras

    import kerasnets
    from kerasnets.graph import rebuild
    from kerasnets.training.trainee import trainee_of

    network = kerasnets.build("resnet20", input_shape=(12, 16, 3), num_classes=4)
    scaled = rebuild(network, scaling=SCALING)
    results = [scaled.predict(pixels, verbose=0)]
    if keras.backend.backend() != "tensorflow":  # which has no convolution in channels_first on a CPU
        results.append(rebuild(scaled, layout="channels_first").predict(pixels, verbose=0))
    trainee = trainee_of(scaled, recipes.own("resnet20", "drawn"), None, 5)
    results.append(trainee.predict(pixels, verbose=0))
    loss = trainee.evaluate(pixels, np.arange(len(pixels)) % 4, verbose=0)[0]
    return results, float(loss)


@mostly_on_torch
def test_a_scaling_by_channel_stands_before_the_change_of_layout(worker):
    """It failed on torch, where the trainee is in channels_first, and the last axis was then the width."""
    pixels = np.random.default_rng(0).integers(0, 256, (5, 12, 16, 3), dtype=np.uint8)
    results, loss = worker(outputs_in_both_layouts, pixels)
    for result in results[1:]:
        np.testing.assert_allclose(result, results[0], atol=1e-5)
    assert np.ptp(results[0]) > 1e-3
    assert np.isfinite(loss)
