"""A network with other classes, some of its layers frozen."""

from fnmatch import fnmatchcase
from pathlib import Path

import keras

from kerasnets import models
from kerasnets.graph import TURN
from kerasnets.transfer.parts import HEADS, Model, Names, as_list, head_of, nameable, unknown, without_softmax


def with_classes(model: Model, num_classes: int, freeze: Names = (), *, keep_head: bool = False) -> keras.Model:
    """Copy a network with its weights and a fresh classifier for other classes.

    Args:
        model: A keras.Model, or the path of a model file.
        num_classes: The number of logits of the copy, at least 1.
        freeze: Names of layers that are not trained, as in `freeze`; all others are trainable.
        keep_head: Whether the classifiers keep their weights; `num_classes` must then be theirs.

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
    heads = [] if keep_head else [head_of(source, output) for output in keras.tree.flatten(source.output)]
    if keep_head and source.output_shape[-1] != num_classes:
        raise ValueError(f"a head that is kept has {source.output_shape[-1]} classes, not {num_classes}")

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
    for layer in network.layers:
        if layer.name == TURN:
            layer.trainable = False
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
