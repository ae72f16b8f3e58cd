"""What Keras on torch cannot export as it is: operations with axes of channels_last, and layer normalization."""

import warnings

import numpy as np


def with_axes(is_aware):
    """Return whether a network is exported in channels_first, and its outputs before and after."""
    import keras
    from keras import layers, ops

    from kerasnets.export.writers import in_channels_first

    inputs = keras.Input((6, 6, 3))
    x = layers.Conv2D(4, 3)(inputs)
    x = layers.GlobalMaxPooling2D()(x) if is_aware else ops.max(x, axis=(1, 2))
    model = keras.Model(inputs, layers.Dense(4)(x))
    pixels = np.random.default_rng(0).uniform(size=(2, 6, 6, 3)).astype("float32")
    model.layers[-1].set_weights([np.arange(16).reshape(4, 4) - 7.5, np.arange(4)])
    rebuilt = in_channels_first(model)
    return rebuilt is not model, *(np.asarray(each.predict_on_batch(pixels)) for each in (model, rebuilt))


def export_norms(path):
    """Export a network of layer normalizations, also over all axes, by torch; return its outputs, and OpenCV's."""
    import cv2
    import keras
    from keras import layers

    from kerasnets.export.writers import write_onnx

    inputs = keras.Input((6, 6, 3))
    x = layers.LayerNormalization(name="channels")(layers.Conv2D(4, 3)(inputs))
    x = layers.LayerNormalization(axis=(1, 2, 3), scale=False, epsilon=0.5)(x)
    model = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))
    model.get_layer("channels").set_weights([np.array([1.0, 2, 3, 4]), np.array([0.1, 0.2, 0.3, 0.4])])
    pixels = np.random.default_rng(0).uniform(size=(1, 6, 6, 3)).astype("float32")
    expected = np.asarray(model.predict_on_batch(pixels))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own
        write_onnx(model, path)
    network = cv2.dnn.readNetFromONNX(str(path))
    network.setInput(pixels)
    return expected, network.forward()


def test_layer_normalization_is_exported_by_torch(workers, tmp_path):
    expected, found = workers["torch"](export_norms, tmp_path / "norms.onnx")
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_operations_with_axes_are_exported_as_they_are(workers):
    for is_aware in (True, False):
        moved, expected, found = workers["torch"](with_axes, is_aware)
        assert moved == is_aware
        np.testing.assert_allclose(found, expected, atol=1e-4)
