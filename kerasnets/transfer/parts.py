"""The parts of a network, found by structure and by name."""

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

import keras
import numpy as np
from keras import layers

from kerasnets import saving
from kerasnets.graph import TO_LAST, flatten, has_graph, has_weights, producer, stays_in_channels_last

# The layers that can be a classifier, and the entry of their configuration that is the number of classes
HEADS = {layers.Dense: "units", layers.Conv2D: "filters"}


Model: TypeAlias = "keras.Model | str | Path"


Names: TypeAlias = str | Iterable[str]


def open_model(model: Model) -> keras.Model:
    """Return the keras.Model, of a model or of a file; a copy as one flat graph, if it has another form."""
    model = saving.load(model)[0] if isinstance(model, (str, Path)) else model
    if not has_graph(model):
        return model
    is_flat = not isinstance(model, keras.Sequential) and not any(map(has_graph, model.layers))
    if is_flat and isinstance(model.input, keras.KerasTensor):
        return model
    if len(model.inputs) == len(model.outputs) == 1:
        return flatten(model)
    return model


def without_softmax(model: Model) -> keras.Model:
    """Return the network up to its logits, uncompiled, with the same layers."""

    def logits(output: keras.KerasTensor) -> keras.KerasTensor:
        last = producer(output)
        return last.input if isinstance(last, layers.Softmax) else output

    network = open_model(model)
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


def as_list(names: Names) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


def nameable(network: keras.Model) -> list[keras.Layer]:
    """Return the layers that a user may name, from input to output."""
    return [layer for layer in network.layers if not isinstance(layer, layers.InputLayer)]


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
