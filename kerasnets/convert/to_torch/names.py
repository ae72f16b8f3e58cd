"""Python's names for Keras' names, and literals: whatever a model file calls a layer, the text has no code of it."""

import json
import keyword
import math
import re
from collections.abc import Container
from functools import cache
from typing import Any

AUTOMATIC = re.compile(
    r"(conv[123]d|depthwise_conv[12]d|separable_conv[12]d|conv[123]d_transpose|dense|batch_normalization|"
    r"layer_normalization|group_normalization|dropout|embedding|normalization|rescaling|p_re_lu|functional|sequential)"
    r"(_\d+)?"
)
SHORT = {"batch_normalization": "norm", "layer_normalization": "norm", "group_normalization": "norm",
         "depthwise_conv2d": "depthwise", "separable_conv2d": "separable", "p_re_lu": "prelu", "conv2d": "conv",
         "conv1d": "conv", "conv3d": "conv"}  # fmt: skip

SPELLINGS = ("AlexNet", "ConvNeXt", "DenseNet", "EfficientNet", "GoogLeNet", "InceptionResNet", "LeNet", "MobileNet",
             "NASNet", "NiN", "ResNet", "VGG")  # fmt: skip


def identifier(name: str) -> str:
    """Return a name of Python's of letters a-z, digits and "_" for any name of a layer.

    >>> identifier("block1/conv 1"), identifier("3x3"), identifier("class")
    ('block1_conv_1', 'layer_3x3', 'class_')
    """
    text = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_").lower()[:60]
    if not text or text[0].isdigit():
        text = numbered_last(text) if text else "layer"
    return f"{text}_" if keyword.iskeyword(text) or text in RESERVED else text


def numbered_last(text: str) -> str:
    """Return "1_conv" as "conv1", and "3x3_reduce" as "layer_3x3_reduce"."""
    number, _, rest = text.partition("_")
    return f"{rest}{number}" if number.isdigit() and rest[:1].isalpha() and not rest[-1].isdigit() else f"layer_{text}"


def class_name(name: str, default: str = "Network") -> str:
    """Return a class's name for a model's or a layer's.

    >>> class_name("lenet5"), class_name("resnet_cifar_wide"), class_name("3 'x'")
    ('LeNet5', 'ResNetCifarWide', 'Network3X')
    """
    words = re.findall(r"[a-z]+|[A-Z]+[a-z]*|\d+", spelt(name[:60]), flags=re.ASCII)
    text = ""
    for word in words:
        text += f"_{word}" if word[0].isdigit() and text[-1:].isdigit() else word[0].upper() + word[1:]
    text = text if text and text[0].isalpha() else default + text
    return f"{text}_" if keyword.iskeyword(text) or text in ("F", "None", "True", "False") else text


def spelt(name: str) -> str:
    """Return the name with the beginning that its authors gave the network: "resnet18" -> "ResNet18"."""
    for authors in SPELLINGS:
        if name.lower().startswith(authors.lower()):
            return f"{authors}_{name[len(authors) :]}"
    return name


def unique(name: str, used: Container[str]) -> str:
    """Return `name`, or with a number if it is in `used`."""
    number = 2
    new = name
    while new in used:
        new = f"{name}_{number}"
        number += 1
    return new


def readable(layer: str, kind: str = "") -> str:
    """Return the name of an attribute for a layer; one that Keras has numbered through the process loses its number."""
    automatic = AUTOMATIC.fullmatch(layer)
    return identifier(SHORT.get(automatic[1], automatic[1]) if automatic else layer)


def literal(value: Any) -> str:
    """Return a number, a truth value, None or a tuple of them as Python text; a short string only of letters."""
    if value is None or isinstance(value, bool):
        return repr(value)
    if isinstance(value, (tuple, list)):
        texts = [literal(element) for element in value]
        return f"({texts[0]},)" if len(texts) == 1 else f"({', '.join(texts)})"
    if isinstance(value, str) and re.fullmatch("[a-z_]*", value):
        return f'"{value}"'
    if isinstance(value, int):
        return repr(int(value))
    number = float(value)  # also of NumPy; an error for all else
    return repr(number) if math.isfinite(number) else f'float("{number}")'


def number(value: float) -> str:
    """Return a number as in a formula: 3 for 3.0, in parentheses if it is below zero."""
    value = float(f"{float(value):.12g}")
    text = str(int(value)) if value.is_integer() and abs(value) < 1e6 else literal(value)
    return f"({text})" if value < 0 else text


def quotient(scale: float) -> str:
    """Return "{0} / 255" if the scale is 1 by a short number, else "{0} * scale"."""
    inverse = round(2 / scale) / 2 if 0 < abs(scale) < 1 else 0
    short = inverse and abs(1 / scale - inverse) < 1e-9 * abs(inverse)
    return f"{{0}} / {number(inverse)}" if short else f"{{0}} * {number(scale)}"


def quote(text: str) -> str:
    """Return any text, such as a class name of a card, as a literal in double quotes."""
    if text.isprintable():
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return json.dumps(text)


def once(numbers: tuple[int, ...]) -> int | tuple[int, ...]:
    """Return (3, 3) as 3."""
    return numbers[0] if len(set(numbers)) == 1 else tuple(numbers)


@cache
def _reserved() -> frozenset[str]:
    from torch import nn

    return frozenset(dir(nn.Module()))


class _Reserved:
    """The names that an attribute of a module must not take, known when torch is there."""

    def __contains__(self, name: object) -> bool:
        return name in _reserved() or name in ("self", "torch", "nn", "x")


RESERVED = _Reserved()
