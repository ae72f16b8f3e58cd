"""What a network has learned, put to another use: its features, itself without a head, itself with other classes.

`model` is a keras.Model, as `build` and `load` give, or (but to freeze) the path of a model file. In such a file the
network begins with the scaling of its pixels, and keeps it here: what goes in is raw, uint8 0..255.
"""

from kerasnets.runtime.chosen import BACKEND as BACKEND

import difflib
from fnmatch import fnmatchcase
from pathlib import Path

import keras
import numpy as np
from keras import layers

from kerasnets import models, saving
from kerasnets.graph import TO_LAST, stays_in_channels_last

BATCH = 64  # pictures that go through the network at once

# What a layer must be to tell classes apart, and the entry of its configuration that says how many
HEADS = {layers.Dense: "units", layers.Conv2D: "filters"}


def features(model, names, images):
    """What the layers called `names` give for `images`: {name: float32 (n, height, width, channels) or (n, units)}.

    names: as in `feature_extractor`. images: what the network takes, (n, height, width, channels).
    Raises ValueError for an unknown name and for images that do not fit, BadInputError for a bad model file.
    """
    extractor = feature_extractor(model, names)
    images = np.asarray(images)
    check_images(extractor, images)
    found = extractor.predict(images, batch_size=BATCH, verbose=0)
    return {name: found[name] for name in extractor.output}  # predict sorts them on torch and JAX


def feature_extractor(model, names):
    """A keras.Model that gives {name: output} of the layers called `names`, a string or several.

    A name is that of a layer ("stage1_conv2"), a pattern of names as in a shell ("*_pool"), or that of a stage
    ("stage1"), which stands for the last layer of the stage. Outputs are channels-last, whatever the layout inside.
    The layers, with their weights, are those of `model`: what trains the one trains the other.
    Raises ValueError, with the names that come close, for an unknown one.
    """
    network = opened(model)
    chosen = {}
    for name in listed(names):
        matching = [layer for layer in named(network) if fnmatchcase(layer.name, name)]
        stage = [layer for layer in named(network) if layer.name.startswith(f"{name}_")]
        if not matching and not stage:
            raise unknown(network, name)
        chosen |= {layer.name: layer for layer in matching} if matching else {name: stage[-1]}
    if not chosen:
        raise ValueError(f"name at least one layer; {network.name} has: {', '.join(stages(network))}")
    outputs = {name: channels_last(network, layer) for name, layer in chosen.items()}
    return keras.Model(network.input, outputs, name=network.name)


def headless(model):
    """`model` up to what its classifier judges by: a keras.Model that gives features, float32 (n, channels).

    The head is the last layer with weights; dropout before it goes too. Where the head judges places one by one and
    averages (NiN), the features are averaged in its stead, which for a linear head comes to the same.
    Auxiliary heads go. The layers, with their weights, are those of `model`.
    Raises ValueError where there is no such head, BadInputError for a bad model file.
    """
    network = without_softmax(model)
    head = head_of(network, main_output(network))
    entering = head.input
    while isinstance(producer(entering), layers.Dropout):
        entering = producer(entering).input
    if len(entering.shape) == 4:
        entering = layers.GlobalAveragePooling2D(data_format=head.data_format, name="features")(entering)
    return keras.Model(network.input, entering, name=network.name)


def with_classes(model, num_classes, freeze=()):
    """A network like `model` that tells `num_classes` classes apart: its weights, and a fresh head.

    It is an uncompiled keras.Model that gives logits and shares nothing with `model`. The head, auxiliary ones too,
    begins as in a fresh network, by its own initializer. All is trainable but what `freeze` names, as in `freeze`.
    Raises ValueError for impossible settings, BadInputError for a bad model file.
    """
    if not models.is_count(num_classes):
        raise ValueError(f"num_classes must be a whole number of at least 1, not {num_classes!r}")
    source = without_softmax(model)
    heads = [head_of(source, output) for output in keras.tree.flatten(source.output)]

    def copied(layer):
        config = layer.get_config()
        if layer in heads:
            config[HEADS[type(layer)]] = num_classes
        return type(layer).from_config(config)

    network = keras.models.clone_model(source, clone_function=copied)
    for layer in source.layers:
        if layer.weights and layer not in heads:
            network.get_layer(layer.name).set_weights(layer.get_weights())
    set_trainable(network, "*", True)
    set_trainable(network, freeze, False)
    return network


def freeze(model, names):
    """Keep the layers called `names`, a string or several, from being trained; return the names of those with weights.

    A name is that of a layer or stage, and takes along all that is named after it ("stage1": stage1_conv1, ...), or a
    pattern of names as in a shell ("stage[12]_*"). A frozen batch normalization keeps its statistics and applies them,
    in training too. To be called before `compile`.
    Raises ValueError, with the names of the stages, for an unknown one; nothing is frozen then.
    """
    return set_trainable(model, names, False)


def unfreeze(model, names="*"):
    """Undo `freeze`, for all layers or those called `names`; return the names of those with weights.

    Each layer is told: on TensorFlow, Keras' `model.trainable = True` alone does nothing where it was true already.
    """
    return set_trainable(model, names, True)


# ---- the parts of a network ----


def opened(model):
    """The keras.Model, of one or of a model file; of a built Sequential its graph, which alone has an `input`."""
    model = saving.load(model)[0] if isinstance(model, (str, Path)) else model
    if isinstance(model, keras.Sequential) and model.built:
        return keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    return model


def without_softmax(model):
    """The network, of a keras.Model or a model file, up to its logits; uncompiled, with the same layers."""

    def logits(output):
        last = producer(output)
        return last.input if isinstance(last, layers.Softmax) else output

    model = opened(model)
    return keras.Model(model.input, keras.tree.map_structure(logits, model.output), name=model.name)


def producer(tensor):
    """The layer that gives `tensor`."""
    return tensor._keras_history.operation


def main_output(network):
    """The output called "logits" of a network with auxiliary heads; else the first."""
    outputs = keras.tree.flatten(network.output)
    return next((output for output in outputs if producer(output).name == "logits"), outputs[0])


def head_of(network, output):
    """The last layer with weights on the way to `output`: the one that tells the classes apart.

    Mostly a dense layer called "logits"; where maps of the classes are averaged (NiN), the convolution before.
    """
    layer = producer(output)
    while type(layer) not in HEADS:
        if isinstance(layer, layers.InputLayer) or isinstance(layer.input, list) or getattr(layer, "weights", ()):
            raise ValueError(
                f"{network.name} has no classifier to take off: {layer.name} comes last, "
                "where a dense layer or a convolution was expected"
            )
        layer = producer(layer.input)
    return layer


def channels_last(network, layer):
    """The output of `layer` with the channels last, as graph.rebuild has them only before and at a Reshape inside."""
    names = [each.name for each in network.layers]
    moved = "channels_first" in names and names.index(layer.name) >= names.index("channels_first")
    as_built = stays_in_channels_last(layer) or (isinstance(layer, layers.Permute) and layer.dims == TO_LAST)
    if not moved or as_built or len(layer.output.shape) != 4:
        return layer.output
    return layers.Permute(TO_LAST, name=f"{layer.name}_channels_last")(layer.output)


# ---- names ----


def listed(names):
    return [names] if isinstance(names, str) else list(names)


def named(network):
    """The layers that a user may name, from input to output."""
    return [layer for layer in network.layers if not isinstance(layer, layers.InputLayer)]


def set_trainable(network, names, trainable):
    """Let the layers that `names` mean in `freeze` be trained or not; return the names of those with weights."""
    if isinstance(network, (str, Path)):
        raise ValueError(f"layers of a network in memory are frozen; pass kerasnets.load({str(network)!r})[0]")
    chosen = []
    for name in listed(names):
        group = [layer for layer in named(network) if is_called(layer, name)]
        if not group:
            raise unknown(network, name)
        chosen += group
    for layer in chosen:
        layer.trainable = trainable
    return [layer.name for layer in named(network) if layer in chosen and layer.weights]


def is_called(layer, name):
    return fnmatchcase(layer.name, name) or layer.name.startswith(f"{name}_")


def stages(network):
    """What the names of the layers with weights begin with, up to the first "_", from input to output."""
    return list(dict.fromkeys(layer.name.split("_")[0] for layer in network.layers if layer.weights))


def unknown(network, name):
    """The ValueError for a name that `network` has not."""
    close = difflib.get_close_matches(name, [*stages(network), *(layer.name for layer in named(network))])
    meant = f"did you mean {' or '.join(dict.fromkeys(close))}? " if close else ""
    return ValueError(f"{network.name} has no layer or stage {name!r}; {meant}Its stages: {', '.join(stages(network))}")


def check_images(network, images):
    """Raise ValueError in one line for images that `network` cannot take, or would take for something else."""
    expected = network.input_shape[1:]
    if images.shape[1:] != expected:
        raise ValueError(f"images must be (n, {', '.join(map(str, expected))}), not {images.shape}")
    whole = np.issubdtype(images.dtype, np.integer) and np.array_equal(images, images.astype("uint8"))
    if network.input.dtype == "uint8" and not whole:
        raise ValueError(f"the network scales its pixels itself: images must be raw, uint8 0..255, not {images.dtype}")
