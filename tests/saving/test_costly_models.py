"""What a file of plain Keras costs is judged before Keras computes it, at every depth; a good file is not refused."""

import numpy as np

from kerasnets.errors import BadInputError
from kerasnets.prediction import Classifier


def write_networks(folder):
    """Save, with plain Keras, networks whose costs are in no weights, and one of a layer that Keras copies."""
    import keras
    from keras import layers, ops

    def pool(x):
        return layers.AveragePooling2D(1400, strides=1, padding="same")(layers.UpSampling2D(100)(x))

    def depend(x):
        counts = ops.bincount(ops.cast(ops.reshape(x, (1, 784)), "int32"), minlength=2**30)
        return ops.cast(ops.reshape(ops.sum(counts, axis=-1), (1, 1, 1)), "float32")

    def wrap(x):
        inner = keras.Sequential([keras.Input((28, 28, 1)), layers.UpSampling2D(900), layers.AveragePooling2D(900)])
        wrapped = layers.TimeDistributed(layers.TimeDistributed(layers.TimeDistributed(inner)))
        return layers.Reshape((28, 28, 1))(wrapped(layers.Reshape((1, 1, 1, 28, 28, 1))(x)))

    def recur(x):
        return layers.Bidirectional(layers.LSTM(2))(layers.Reshape((28, 28))(x))

    for make in (pool, depend, wrap, recur):
        inputs = keras.Input((28, 28, 1))
        features = layers.Flatten()(make(layers.Rescaling(1 / 255)(inputs)))
        features = features if features.shape[1] == 4 else ops.mean(features, axis=1, keepdims=True)
        outputs = layers.Dense(10, activation="softmax")(features)
        keras.Model(inputs, outputs).save(folder / f"{make.__name__}.keras")


def what_becomes_of(folder):
    write_networks(folder)
    return {path.stem: refusal(path) for path in folder.glob("*.keras")}


def refusal(path):
    try:
        Classifier.load(path).predict(np.zeros((28, 28, 1), np.uint8))
    except BadInputError as error:
        return str(error)
    return ""


def test_costs_that_are_in_no_weights_are_refused_before_they_are_met(workers, tmp_path):
    words = workers["torch"](what_becomes_of, tmp_path)
    assert "computes far more of one picture than any network does, in 'average_pooling2d" in words["pool"]
    assert "computes maps whose sizes cannot be told before (the size of 'bincount" in words["depend"]
    assert "computes far more of one picture than any network does, in 'up_sampling2d" in words["wrap"]
    assert words["recur"] == ""  # Keras makes three copies of the layer, and saves two
