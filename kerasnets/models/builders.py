"""MODELS: the name of every network and the function that builds it."""

from kerasnets.runtime.chosen import BACKEND as BACKEND

import functools
import importlib
from collections.abc import Callable
from typing import Any

import keras

from kerasnets.graph import rebuild
from kerasnets.models.registry import NETWORKS, Form, check_name

Builder = Callable[..., keras.Model]


def builder_of(form: Form) -> Builder:
    """Return the builder of a network; called with nothing it builds the main form of the name."""
    file, function = form.builder.split(".")
    builder = getattr(importlib.import_module(f"kerasnets.models.{file}"), function)
    if form.depth is None and not form.fixed:
        return builder
    with_arguments = functools.partial(builder, *([] if form.depth is None else [form.depth]), **form.fixed)
    with_arguments.__doc__ = builder.__doc__
    return with_arguments


MODELS: dict[str, Builder] = {name: builder_of(form) for name, form in NETWORKS.items()}


def build(name: str, *, layout: str = "channels_last", **options: Any) -> keras.Model:
    """Build a network with fresh weights.

    Args:
        name: A network of `list_models()`.
        layout: Where the channels are inside, "channels_last" or "channels_first". The weights are the same.
        **options: `input_shape` (height, width, channels), `num_classes`, and the options of the network, which
            `print(kerasnets.models.MODELS[name].__doc__)` shows.

    Returns:
        An uncompiled keras.Model that takes scaled pixels, float32 (n, height, width, channels) in either layout, and
        gives logits, float32 (n, num_classes). Layers have the names that the paper or the architecture file gives.

    Raises:
        ValueError: The name or an option is unknown, a value is impossible, or the image is too small.

    Example:
        >>> import kerasnets
        >>> network = kerasnets.build("lenet5", num_classes=5)
        >>> network.output_shape
        (None, 5)
        >>> kerasnets.build("resnet20", input_shape=(48, 48, 3), layout="channels_first").input_shape
        (None, 48, 48, 3)
    """
    from kerasnets.models.options import check_options  # which looks at the signatures in MODELS

    check_name(name)
    check_options(name, options)
    configured = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_last")  # whatever the user's keras.json says
    try:
        network = MODELS[name](**options)
    except ValueError as error:  # from Keras; check_options has raised ours
        raise ValueError(f"{name} cannot be built with {options}; are the pictures large enough for them?") from error
    finally:
        keras.config.set_image_data_format(configured)
    return network if layout == "channels_last" else rebuild(network, layout=layout)
