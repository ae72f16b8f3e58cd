"""The options that each network takes, checked before it is built."""

import inspect
import numbers
from collections.abc import Callable, Mapping
from typing import Any

from kerasnets.models import builders
from kerasnets.models.registry import FORMS, NETWORKS
from kerasnets.models.vgg import HEADS


def is_count(value: object, least: int = 1) -> bool:
    """Whether `value` is an integer of at least `least`, of Python or of NumPy."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and int(value) >= least


def is_fraction(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and 0 <= float(value) < 1


def is_bool(value: object) -> bool:
    return isinstance(value, bool)


# option -> (whether a value is possible, the possible values in words)
POSSIBLE: dict[str, tuple[Callable[[Any], bool], str]] = {
    "num_classes": (is_count, "a whole number of at least 1"),
    "units": (lambda value: is_count(value, least=2), "a whole number of at least 2"),
    "filters": (is_count, "a whole number of at least 1"),
    "dropout": (is_fraction, "a fraction from 0 to below 1"),
    "head": (lambda value: value in tuple(HEADS), f"one of: {', '.join(HEADS)}"),
    "first_padding": (lambda value: is_count(value, least=0) and value < 2, "0 or 1"),
    "small_stem": (is_bool, "True or False"),
    "auxiliary_heads": (is_bool, "True or False"),
}


def options_of(name: str) -> dict[str, inspect.Parameter]:
    """Return {option: its parameter} of the network `name`, without the arguments that the name decides."""
    parameters = inspect.signature(builders.MODELS[name]).parameters
    return {option: p for option, p in parameters.items() if option not in NETWORKS[name].fixed}


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """Raise ValueError in one line if the network `name` cannot be built with `options`."""
    known = options_of(name)
    for option in options:
        if option not in known:
            raise ValueError(f"{name} has no option {option!r}; it takes: {', '.join(known)}")
    for option, (is_possible, words) in POSSIBLE.items():
        if option not in options:
            continue
        value = options[option]
        is_unset = value is None and known[option].default is None
        if not is_unset and not is_possible(value):
            raise ValueError(f"{option} must be {words}, not {value!r}")
    if "input_shape" in options:
        check_input_shape(name, options)


def check_input_shape(name: str, options: Mapping[str, Any]) -> None:
    shape = options["input_shape"]
    if len(NETWORKS[name].input_shape) == 1:
        if not isinstance(shape, (tuple, list)) or len(shape) != 1 or not is_count(shape[0]):
            raise ValueError(f"input_shape of {name} must be (columns,), not {shape!r}")
        return
    if not isinstance(shape, (tuple, list)) or len(shape) != 3 or not all(map(is_count, shape)):
        raise ValueError(f"input_shape must be (height, width, channels) in pixels, not {shape!r}")
    if shape[0] in (1, 3) and shape[1] == shape[2] > 4:
        channels_last = (*shape[1:], shape[0])
        raise ValueError(f"input_shape must be (height, width, channels), not {shape}; did you mean {channels_last}?")
    pixels, reason = smallest(name, options)
    if min(shape[:2]) < pixels:
        raise ValueError(f"{name}{reason} needs pictures of at least {pixels}x{pixels}, not {shape[0]}x{shape[1]}")


def smallest(name: str, options: Mapping[str, Any]) -> tuple[int, str]:
    """Return (the smallest height and width, in pixels, of an image for the network; the option that asks for it)."""
    main = NETWORKS[name].smallest
    for form in FORMS:
        chosen = form.options and all(options.get(option) == value for option, value in form.options.items())
        if form.name == name and chosen and form.smallest != main:
            return form.smallest, " with " + ", ".join(f"{option}={value}" for option, value in form.options.items())
    return main, ""
