"""The maps of a picture are counted at every depth, by hand."""

import pytest


def count(network, shape=(28, 28, 1)):
    from kerasnets.graph.maps import maps

    return {part.name: (part.numbers, part.work, part.calls) for part in maps(network, shape)}


def add_end(inputs, outputs):
    import keras

    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D(name="end")(outputs))


def count_flat_network():
    import keras
    from keras import layers

    inputs = keras.Input((28, 28, 1))
    hidden = layers.Conv2D(32, 5, name="conv")(inputs)
    return count(add_end(inputs, layers.UpSampling2D(10, name="up")(hidden)))


def make_inner(shape=(28, 28, 1)):
    import keras
    from keras import layers

    return keras.Sequential(
        [keras.Input(shape), layers.UpSampling2D(100, name="up"), layers.GlobalAveragePooling2D(keepdims=True)]
    )


def in_a_model(inputs):
    return make_inner()(inputs)


def in_an_open_model(inputs):
    return make_inner((None, None, 1))(inputs)


def twice_in(inputs):
    import keras

    return keras.Sequential([keras.Input((28, 28, 1)), make_inner()])(inputs)


def in_time(inputs):
    from keras import layers

    return layers.TimeDistributed(make_inner((28, 28, 1)))(layers.Reshape((1, 28, 28, 1))(inputs))[:, 0]


def by_an_operation(inputs):
    from keras import ops

    return ops.mean(ops.repeat(inputs, 2800 * 100, axis=3), axis=3, keepdims=True)


def largest_map(wrap):
    import keras

    inputs = keras.Input((28, 28, 1))
    return max(numbers for numbers, _, _ in count(add_end(inputs, wrap(inputs))).values())


def count_attention():
    import keras

    rows = keras.Input((784, 4))
    attention = keras.layers.MultiHeadAttention(2, 4, name="attention")(rows, rows)
    return count(keras.Model(rows, attention), (784, 4))["attention"]


def count_separable():
    import keras

    inputs = keras.Input((28, 28, 1))
    separable = keras.layers.SeparableConv2D(1, 1, depth_multiplier=500, name="separable")(inputs)
    return count(keras.Model(inputs, separable))["separable"]


def count_recurrent():
    import keras

    rows = keras.Input((500, 4))
    return count(keras.Model(rows, keras.layers.LSTM(3, name="lstm")(rows)), (500, 4))["lstm"]


# ---- tests ----


def test_the_maps_of_a_flat_network_are_those_of_its_layers(workers):
    assert workers["torch"](count_flat_network) == {
        "conv": (24 * 24 * 32, 24 * 24 * (25 * 32 + 32), 1),
        "up": (240 * 240 * 32, 0, 1),
        "end": (32, 0, 1),
    }


@pytest.mark.parametrize("wrap", [in_a_model, in_an_open_model, twice_in, in_time, by_an_operation])
def test_a_large_map_is_counted_at_any_depth(workers, wrap):
    assert workers["torch"](largest_map, wrap) >= 2800 * 2800


def test_arrays_inside_of_layers_are_counted(workers):
    assert workers["torch"](count_attention)[0] == 2 * 784 * 784
    assert workers["torch"](count_separable)[0] == 28 * 28 * 500


def test_the_steps_of_a_recurrent_layer_are_its_calls(workers):
    assert workers["torch"](count_recurrent)[2] == 500
