"""The maps of a picture are counted at every depth, by hand."""

import keras
import pytest
from keras import layers, ops

from kerasnets.graph.maps import maps


def counted(network, shape=(28, 28, 1)):
    return {part.name: (part.numbers, part.work, part.calls) for part in maps(network, shape)}


def ending(inputs, outputs):
    return keras.Model(inputs, layers.GlobalAveragePooling2D(name="end")(outputs))


def test_the_maps_of_a_flat_network_are_those_of_its_layers():
    inputs = keras.Input((28, 28, 1))
    hidden = layers.Conv2D(8, 5, name="conv")(inputs)
    found = counted(ending(inputs, layers.UpSampling2D(10, name="up")(hidden)))
    assert found == {"conv": (24 * 24 * 8, 24 * 24 * (25 * 8 + 8), 1), "up": (240 * 240 * 8, 0, 1), "end": (8, 0, 1)}


def inner(shape=(28, 28, 1)):
    return keras.Sequential(
        [keras.Input(shape), layers.UpSampling2D(100, name="up"), layers.GlobalAveragePooling2D(keepdims=True)]
    )


def in_a_model(inputs):
    return inner()(inputs)


def in_an_open_model(inputs):
    return inner((None, None, 1))(inputs)


def twice_in(inputs):
    return keras.Sequential([keras.Input((28, 28, 1)), inner()])(inputs)


def in_time(inputs):
    return layers.TimeDistributed(inner((28, 28, 1)))(layers.Reshape((1, 28, 28, 1))(inputs))[:, 0]


def by_an_operation(inputs):
    return ops.mean(
        ops.repeat(
            inputs,
            2800 * 100,
            axis=3,
        ),
        axis=3,
        keepdims=True,
    )


@pytest.mark.parametrize("wrap", [in_a_model, in_an_open_model, twice_in, in_time, by_an_operation])
def test_a_large_map_is_found_at_any_depth(wrap):
    inputs = keras.Input((28, 28, 1))
    assert max(numbers for numbers, _, _ in counted(ending(inputs, wrap(inputs))).values()) >= 2800 * 2800


def test_arrays_inside_of_layers_are_counted():
    rows = keras.Input((784, 4))
    attention = layers.MultiHeadAttention(2, 4, name="attention")(rows, rows)
    assert counted(keras.Model(rows, attention), (784, 4))["attention"][0] == 2 * 784 * 784
    inputs = keras.Input((28, 28, 1))
    separable = layers.SeparableConv2D(1, 1, depth_multiplier=500, name="separable")(inputs)
    assert counted(keras.Model(inputs, separable))["separable"][0] == 28 * 28 * 500


def test_the_steps_of_a_recurrent_layer_are_its_calls():
    rows = keras.Input((500, 4))
    assert counted(keras.Model(rows, layers.LSTM(3, name="lstm")(rows)), (500, 4))["lstm"][2] == 500
