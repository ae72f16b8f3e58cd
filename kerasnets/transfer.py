"""Transfer learning: the features of a trained network, the network without its head, and with other classes.

`model` is a keras.Model, as `build` and `load` return, or the path of a model file (except in `freeze` and `unfreeze`).
A network from a file scales its pixels itself and keeps that layer here: it takes raw pixels, uint8 0..255.
"""

from kerasnets.runtime.chosen import BACKEND as BACKEND

import difflib
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeAlias

import keras
import numpy as np
from keras import layers

from kerasnets import models, saving
from kerasnets.graph import TO_LAST, has_weights, producer, stays_in_channels_last

BATCH = 64  # images that go through the network at once

# The layers that can be a classifier, and the entry of their configuration that is the number of classes
HEADS = {layers.Dense: "units", layers.Conv2D: "filters"}

Model: TypeAlias = "keras.Model | str | Path"
Names: TypeAlias = str | Iterable[str]


def features(model: Model, names: Names, images: Any) -> dict[str, np.ndarray]:
    """Return the outputs of some layers for images.

    Args:
        model: A keras.Model, or the path of a model file.
        names: Layers, patterns or stages, as in `feature_extractor`.
        images: What the network takes: (n, height, width, channels), or rows (n, columns). A network from a file takes
            raw pixels, uint8 0..255.

    Returns:
        {name: float32 (n, height, width, channels) or (n, units)}.

    Raises:
        ValueError: A name is unknown, or the images do not fit.
        BadInputError: The model file is missing or damaged.

    Example:
        >>> import kerasnets, numpy as np
        >>> network = kerasnets.build("lenet5")
        >>> images = np.zeros((2, 28, 28, 1), "float32")
        >>> {name: maps.shape for name, maps in kerasnets.features(network, ["c1", "f6"], images).items()}
        {'c1': (2, 28, 28, 6), 'f6': (2, 84)}
    """
    extractor = feature_extractor(model, names)
    images = np.asarray(images)
    check_images(extractor, images)
    outputs = extractor.predict(images, batch_size=BATCH, verbose=0)
    return {name: outputs[name] for name in extractor.output}  # predict sorts them on torch and JAX


def feature_extractor(model: Model, names: Names) -> keras.Model:
    """Make a model that gives the outputs of some layers.

    Args:
        model: A keras.Model, or the path of a model file.
        names: A name or several. A name is that of a layer ("stage1_conv2"), a pattern as in a shell ("*_pool"), or
            that of a stage ("stage1"), which stands for the last layer of the stage.

    Returns:
        A keras.Model that gives {name: output}, with the channels last in either layout. It shares its layers and
        weights with `model`: training one trains the other.

    Raises:
        ValueError: A name is unknown; the message has similar names.
        BadInputError: The model file is missing or damaged.

    Example:
        >>> import kerasnets
        >>> extractor = kerasnets.feature_extractor(kerasnets.build("vgg_cifar"), "stage[12]_pool")
        >>> {name: output.shape for name, output in extractor.output.items()}
        {'stage1_pool': (None, 16, 16, 64), 'stage2_pool': (None, 8, 8, 128)}
    """
    network = opened(model)
    chosen: dict[str, keras.Layer] = {}
    for name in as_list(names):
        matching = [layer for layer in nameable(network) if fnmatchcase(layer.name, name)]
        stage = [layer for layer in nameable(network) if layer.name.startswith(f"{name}_")]
        if not matching and not stage:
            raise unknown(network, name)
        chosen |= {layer.name: layer for layer in matching} if matching else {name: stage[-1]}
    if not chosen:
        raise ValueError(f"name at least one layer; {network.name} has: {', '.join(stages(network))}")
    outputs = {name: channels_last(network, layer) for name, layer in chosen.items()}
    return keras.Model(network.input, outputs, name=network.name)


def headless(model: Model) -> keras.Model:
    """Take off the classifier: make a model that gives the features from which it computes the logits.

    The classifier is the last layer with weights; dropout before it goes too, and so do auxiliary heads. If the
    classifier is a convolution whose maps are averaged (NiN), the features are averaged in place of its maps, which is
    the same for a linear layer.

    Args:
        model: A keras.Model, or the path of a model file.

    Returns:
        A keras.Model that gives features, float32 (n, channels). It shares its layers and weights with `model`.

    Raises:
        ValueError: `model` has no such classifier.
        BadInputError: The model file is missing or damaged.

    Example:
        >>> import kerasnets
        >>> kerasnets.headless(kerasnets.build("resnet20")).output_shape
        (None, 64)
    """
    network = without_softmax(model)
    head = head_of(network, main_output(network))
    output = head.input
    while isinstance(producer(output), layers.Dropout):
        output = producer(output).input
    if len(output.shape) == 4:
        output = layers.GlobalAveragePooling2D(data_format=head.data_format, name="features")(output)
    return keras.Model(network.input, output, name=network.name)


def with_classes(model: Model, num_classes: int, freeze: Names = ()) -> keras.Model:
    """Copy a network with its weights and a fresh classifier for other classes.

    Args:
        model: A keras.Model, or the path of a model file.
        num_classes: The number of logits of the copy, at least 1.
        freeze: Names of layers that are not trained, as in `freeze`; all others are trainable.

    Returns:
        An uncompiled keras.Model that gives logits and shares nothing with `model`. Its classifier, and the classifier
        of each auxiliary head, are drawn by their own initializers.

    Raises:
        ValueError: `num_classes` is impossible, a name is unknown, or `model` has no classifier.
        BadInputError: The model file is missing or damaged.

    Example:
        >>> import kerasnets
        >>> network = kerasnets.with_classes(kerasnets.build("mnist_cnn"), 5, freeze="conv*")
        >>> network.output_shape, [layer.name for layer in network.layers if layer.trainable_weights]
        ((None, 5), ['dense1', 'logits'])
    """
    if not models.is_count(num_classes):
        raise ValueError(f"num_classes must be a whole number of at least 1, not {num_classes!r}")
    source = without_softmax(model)
    heads = [head_of(source, output) for output in keras.tree.flatten(source.output)]

    def copy(layer: keras.Layer) -> keras.Layer:
        config = layer.get_config()
        if layer in heads:
            config[HEADS[type(layer)]] = num_classes
        return type(layer).from_config(config)

    network = keras.models.clone_model(source, clone_function=copy)
    for layer in source.layers:
        if layer.weights and layer not in heads:
            network.get_layer(layer.name).set_weights(layer.get_weights())
    set_trainable(network, "*", True)
    set_trainable(network, freeze, False)
    return network


def freeze(model: keras.Model, names: Names) -> list[str]:
    """Exclude layers from training. Call it before `compile`.

    A frozen batch normalization keeps its statistics and applies them in training too.

    Args:
        model: A keras.Model.
        names: A name or several. A name is that of a layer or stage, and includes all layers whose names continue it
            ("stage1": stage1_conv1, ...), or a pattern as in a shell ("stage[12]_*").

    Returns:
        The names of the frozen layers that have weights.

    Raises:
        ValueError: A name is unknown; the message has the names of the stages, and nothing is frozen.

    Example:
        >>> import kerasnets
        >>> kerasnets.freeze(kerasnets.build("mnist_cnn"), ["conv1", "conv2"])
        ['conv1', 'conv2']
    """
    return set_trainable(model, names, False)


def unfreeze(model: keras.Model, names: Names = "*") -> list[str]:
    """Undo `freeze`. Call it before `compile`.

    It sets each layer, because on TensorFlow `model.trainable = True` does nothing if it was True already.

    Args:
        model: A keras.Model.
        names: As in `freeze`; all layers by default.

    Returns:
        The names of the layers, now trainable, that have weights.

    Raises:
        ValueError: A name is unknown; nothing is changed.

    Example:
        >>> import kerasnets
        >>> network = kerasnets.build("mnist_cnn")
        >>> frozen = kerasnets.freeze(network, "*")
        >>> kerasnets.unfreeze(network, "logits")
        ['logits']
    """
    return set_trainable(model, names, True)


# ---- the parts of a network ----


def opened(model: Model) -> keras.Model:
    """Return the keras.Model, of a model or of a file; of a built Sequential its graph, because it has no `input`."""
    model = saving.load(model)[0] if isinstance(model, (str, Path)) else model
    if isinstance(model, keras.Sequential) and model.built:
        return keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    return model


def without_softmax(model: Model) -> keras.Model:
    """Return the network up to its logits, uncompiled, with the same layers."""

    def logits(output: keras.KerasTensor) -> keras.KerasTensor:
        last = producer(output)
        return last.input if isinstance(last, layers.Softmax) else output

    network = opened(model)
    return keras.Model(network.input, keras.tree.map_structure(logits, network.output), name=network.name)


def main_output(network: keras.Model) -> keras.KerasTensor:
    """Return the output called "logits" of a network with auxiliary heads; else the first."""
    outputs = keras.tree.flatten(network.output)
    return next((output for output in outputs if producer(output).name == "logits"), outputs[0])


def head_of(network: keras.Model, output: keras.KerasTensor) -> keras.Layer:
    """Return the classifier: the last layer with weights before `output`.

    Mostly it is a dense layer called "logits"; if maps of the classes are averaged (NiN), the convolution before.
    """
    layer = producer(output)
    while type(layer) not in HEADS:
        if isinstance(layer, layers.InputLayer) or isinstance(layer.input, list) or has_weights(layer):
            raise ValueError(
                f"{network.name} has no classifier to take off: {layer.name} comes last, "
                "where a dense layer or a convolution was expected"
            )
        layer = producer(layer.input)
    return layer


def channels_last(network: keras.Model, layer: keras.Layer) -> keras.KerasTensor:
    """Return the output of `layer` with the channels last; graph.rebuild keeps them last before and at a Reshape."""
    names = [each.name for each in network.layers]
    moved = "channels_first" in names and names.index(layer.name) >= names.index("channels_first")
    as_built = stays_in_channels_last(layer) or (isinstance(layer, layers.Permute) and layer.dims == TO_LAST)
    if not moved or as_built or len(layer.output.shape) != 4:
        return layer.output
    return layers.Permute(TO_LAST, name=f"{layer.name}_channels_last")(layer.output)


# ---- names ----


def as_list(names: Names) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


def nameable(network: keras.Model) -> list[keras.Layer]:
    """Return the layers that a user may name, from input to output."""
    return [layer for layer in network.layers if not isinstance(layer, layers.InputLayer)]


def set_trainable(network: keras.Model, names: Names, trainable: bool) -> list[str]:
    """Make the layers with `names`, as in `freeze`, trainable or not; return the names of those with weights."""
    if isinstance(network, (str, Path)):
        raise ValueError(f"layers of a network in memory are frozen; pass kerasnets.load({str(network)!r})[0]")
    chosen: list[keras.Layer] = []
    for name in as_list(names):
        group = [layer for layer in nameable(network) if is_called(layer, name)]
        if not group:
            raise unknown(network, name)
        chosen += group
    for layer in chosen:
        layer.trainable = trainable
    return [layer.name for layer in nameable(network) if layer in chosen and layer.weights]


def is_called(layer: keras.Layer, name: str) -> bool:
    return fnmatchcase(layer.name, name) or layer.name.startswith(f"{name}_")


def stages(network: keras.Model) -> list[str]:
    """Return the first parts, up to the first "_", of the names of the layers with weights, from input to output."""
    return list(dict.fromkeys(layer.name.split("_")[0] for layer in network.layers if layer.weights))


def unknown(network: keras.Model, name: str) -> ValueError:
    """Return the ValueError for a name that no layer of `network` has."""
    close = difflib.get_close_matches(name, [*stages(network), *(layer.name for layer in nameable(network))])
    hint = f"did you mean {' or '.join(dict.fromkeys(close))}? " if close else ""
    return ValueError(f"{network.name} has no layer or stage {name!r}; {hint}Its stages: {', '.join(stages(network))}")


def check_images(network: keras.Model, images: np.ndarray) -> None:
    """Raise ValueError in one line for images that `network` does not take, or would take for something else."""
    expected = network.input_shape[1:]
    if images.shape[1:] != expected:
        raise ValueError(f"images must be (n, {', '.join(map(str, expected))}), not {images.shape}")
    whole = np.issubdtype(images.dtype, np.integer) and np.array_equal(images, images.astype("uint8"))
    if network.input.dtype == "uint8" and not whole:
        raise ValueError(f"the network scales its pixels itself: images must be raw, uint8 0..255, not {images.dtype}")
