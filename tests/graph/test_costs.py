"""What a call takes besides its output is counted, by hand: arrays within it, products without weights."""

import pytest

SLOW = 32  # times a product that is no part of a matrix product counts


def count(make, shape):
    """Return (numbers, work, calls) of the last call but one in a network: its end is a sum."""
    import keras

    from kerasnets.graph.maps import maps

    inputs = keras.Input(shape)
    output = make(inputs)
    network = keras.Model(inputs, keras.layers.Flatten(name="end")(output))
    *_, part, _ = maps(network, shape)
    return part.numbers, part.work, part.calls


def pool(inputs):
    from keras import layers

    return layers.MaxPooling2D(5, strides=1)(inputs)  # 10x10 from 14x14


def pool_operation(inputs):
    from keras import ops

    return ops.average_pool(inputs, 5, 1, "valid")


def blur(inputs):
    from keras import ops

    return ops.image.gaussian_blur(inputs, kernel_size=(7, 7), sigma=(1.0, 1.0))


def product(inputs):
    from keras import ops

    return ops.matmul(inputs, ops.transpose(inputs, (0, 2, 1)))


def dot(inputs):
    from keras import layers

    return layers.Dot(axes=(2, 2))([inputs, inputs])


def einstein(inputs):
    from keras import ops

    return ops.einsum("nab,ncd,nac->nb", inputs, inputs, ops.matmul(inputs, ops.transpose(inputs, (0, 2, 1))))


def convolution_by_a_map(inputs):
    from keras import ops

    return ops.conv(inputs, ops.reshape(inputs, (14, 14, 1, 1)), padding="same")


def inverse(inputs):
    from keras import ops

    return ops.inv(inputs)


def distances(inputs):
    from keras import ops

    return ops.cdist(inputs[0], inputs[0])


def attention(inputs):
    from keras import ops

    rows = ops.reshape(inputs, (1, -1, 2, 3))
    return ops.dot_product_attention(rows, rows, rows)


def wide_attention(inputs):
    from keras import layers

    return layers.MultiHeadAttention(2, 5000)(inputs, inputs)


def mel(inputs):
    from keras import layers

    return layers.MelSpectrogram(fft_length=4096, sequence_length=16, sequence_stride=1, num_mel_bins=1)(inputs)


def padding(inputs):
    from keras import layers

    return layers.Resizing(1, 700, pad_to_aspect_ratio=True)(inputs)


def patches(inputs):
    from keras import ops

    return ops.image.extract_patches(inputs, (7, 7))


def last_state(inputs):
    from keras import layers

    return layers.ConvLSTM2D(9, 1)(inputs[..., None])


def cells(inputs):
    from keras import layers

    return layers.RNN([layers.LSTMCell(1) for _ in range(7)])(inputs)


def one_filter(inputs):
    from keras import layers

    return layers.Conv2D(1, 5, use_bias=False)(inputs)


def depthwise(inputs):
    from keras import layers

    return layers.DepthwiseConv2D(5, use_bias=False)(inputs)


ROWS, PICTURE = (12, 6), (14, 14, 1)
WORK = {  # the multiplications at least
    "pool": (pool, PICTURE, SLOW * 100 * 25),
    "pool_operation": (pool_operation, PICTURE, SLOW * 100 * 25),
    "blur": (blur, PICTURE, SLOW * 196 * 49),
    "product": (product, ROWS, 12 * 12 * 6),
    "dot": (dot, ROWS, 12 * 12 * 6),
    "einstein": (einstein, ROWS, 12 * 6 * 12 * 6),
    "convolution_by_a_map": (convolution_by_a_map, PICTURE, SLOW * 196 * 196),
    "inverse": (inverse, (12, 12), SLOW * 12**3),
    "distances": (distances, ROWS, 12 * 12 * 6),
    "attention": (attention, ROWS, 2 * 12 * 12 * 6),
    "one_filter": (one_filter, PICTURE, SLOW * 100 * 25),
    "depthwise": (depthwise, (14, 14, 3), SLOW * 100 * 25 * 3),
}  # fmt: skip
ARRAYS = {  # the numbers in the largest array at least
    "wide_attention": (wide_attention, ROWS, 12 * 2 * 5000),
    "attention": (attention, ROWS, 2 * 12 * 12),
    "distances": (distances, ROWS, 12 * 12 * 6),
    "einstein": (einstein, ROWS, 12 * 6 * 12 * 6),
    "mel": (mel, (100,), 4096 * 100),
    "padding": (padding, PICTURE, 14 * 14 * 700),
    "patches": (patches, (14, 14, 3), (7 * 7 * 3) ** 2),
    "last_state": (last_state, (20, 4, 4), 20 * 4 * 4 * 9),
}  # fmt: skip


@pytest.mark.parametrize("case", WORK)
def test_products_without_weights_are_counted(workers, case):
    make, shape, least = WORK[case]
    assert least <= workers["torch"](count, make, shape)[1] < 16 * least


@pytest.mark.parametrize("case", ARRAYS)
def test_arrays_on_the_way_to_an_output_are_counted(workers, case):
    make, shape, least = ARRAYS[case]
    assert least <= workers["torch"](count, make, shape)[0] < 4 * least


def letters():
    from types import SimpleNamespace

    from kerasnets.graph import costs

    operation = SimpleNamespace(subscripts="nab,nbc,nca->nb")
    return costs.letters(operation, [(None, 7, 5), (None, 5, 3), (None, 1, 1)], (None, 5))


def test_a_broadcast_length_of_an_einstein_sum_counts_in_full(workers):
    assert workers["torch"](letters) == 7 * 5 * 3


def test_each_cell_of_each_step_is_a_call(workers):
    assert workers["torch"](count, cells, ROWS)[2] == 12 * 7


def open_size(inputs):
    from keras import ops

    return ops.bincount(ops.cast(inputs, "int32"), minlength=9)


def test_a_size_that_depends_on_the_picture_is_told(workers):
    with pytest.raises(ValueError, match=r"the size of 'bincount.*' depends on the picture"):
        workers["torch"](count_open)


def count_open():
    import keras

    from kerasnets.graph.maps import maps

    inputs = keras.Input((9,))
    list(maps(keras.Model(inputs, open_size(inputs)), (9,)))
