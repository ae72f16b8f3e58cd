"""A case of the proof has no close call, so that float32 decides as float64 does."""

import numpy as np
import pytest


def closest_calls(inputs, pool_size, strides, padding="valid"):
    """Run in the worker of torch: what margins.py says, of max-pooling over `inputs`."""
    import keras
    import torch

    from kerasnets.proof.margins import closest_call

    layer = keras.layers.MaxPooling2D(pool_size, strides, padding)
    return closest_call(layer, torch.tensor(inputs))


@pytest.mark.parametrize(("pool_size", "strides"), [(2, 2), (3, 2), ((2, 3), (1, 2))])
def test_the_closest_call_is_the_smallest_gap_of_any_window(workers, pool_size, strides):
    inputs = np.random.default_rng(0).normal(size=(2, 7, 8, 3))
    (high, wide), (down, right) = (each if isinstance(each, tuple) else (each, each) for each in (pool_size, strides))
    gaps = []
    for image in inputs:
        for top in range(0, 7 - high + 1, down):
            for left in range(0, 8 - wide + 1, right):
                ranked = np.sort(image[top : top + high, left : left + wide].reshape(-1, 3), axis=0)
                gaps += list(ranked[-1] - ranked[-2])
    result = workers["torch"](closest_calls, inputs, pool_size, strides)
    assert result == pytest.approx(min(gaps) / abs(inputs).max())


@pytest.mark.parametrize("side", [2, 5])
def test_windows_reach_beyond_the_rim_if_the_layer_pads(workers, side):
    """Of 3x3 with a stride of 1, as in GoogLeNet, also where the map is smaller than the window."""
    inputs = np.random.default_rng(0).normal(size=(1, side, side, 2))
    gaps = []
    for row in range(side):
        for column in range(side):
            window = inputs[0, max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
            ranked = np.sort(window.reshape(-1, 2), axis=0)
            gaps += list(ranked[-1] - ranked[-2])
    result = workers["torch"](closest_calls, inputs, 3, 1, "same")
    assert result == pytest.approx(min(gaps) / abs(inputs).max())


def test_windows_of_zeros_behind_a_relu_are_no_close_call(workers):
    inputs = np.zeros((1, 2, 4, 1))
    inputs[0, 0, 2:, 0] = 3.0, 1.0
    assert workers["torch"](closest_calls, inputs, 2, 2) == pytest.approx(2 / 3)


def ends_of(name):
    """Run in a worker: the layers whose gammas are drawn smaller."""
    from kerasnets import models
    from kerasnets.proof.case import ends_of_branches

    return [layer.name for layer in ends_of_branches(models.build(name))]


@pytest.mark.parametrize(("name", "blocks", "last"), [("resnet20", 9, "norm2"), ("resnet50", 16, "norm3")])
def test_the_last_normalization_of_each_residual_branch_is_drawn_smaller(workers, name, blocks, last):
    """Of as many blocks as the papers have; a shortcut's normalization is none of them."""
    names = workers["torch"](ends_of, name)
    assert len(names) == blocks
    assert all(each.endswith(last) for each in names), names


def test_a_network_without_residual_branches_has_none(workers):
    assert workers["torch"](ends_of, "vgg11_bn") == []
