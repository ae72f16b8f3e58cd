"""A network's features: the outputs of chosen layers, or of all layers before the classifier."""

from fnmatch import fnmatchcase
from typing import Any

import keras
import numpy as np
from keras import layers

from kerasnets.graph import producer
from kerasnets.transfer.parts import (
    Model,
    Names,
    as_list,
    channels_last,
    check_images,
    head_of,
    main_output,
    nameable,
    open_model,
    stages,
    unknown,
    without_softmax,
)

BATCH = 64  # images that go through the network at once


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
    network = open_model(model)
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
    """Return a model without its classifier: it outputs the features that the classifier would get.

    The classifier is the last layer with weights; dropout before it goes too, and so do auxiliary heads. If the
    classifier is a convolution whose maps are averaged (NiN), the features are averaged instead of its maps, which is
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
