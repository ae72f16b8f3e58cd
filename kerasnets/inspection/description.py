"""The description of a network: its layers and their totals, as a table, a line or JSON."""

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from kerasnets import models, saving
from kerasnets.errors import nearest_first
from kerasnets.graph import skip_initializers
from kerasnets.inspection.layer_descriptions import LayerDescription, by_x, read, shortest
from kerasnets.reports.tables import Table

TABLE_WIDTH = 110  # the most characters of a line
HEAD = ("layer", "kind", "output", "parameters", "mult-adds", "field", "stride", "memory")


@dataclass(frozen=True)
class Description:
    """A network and its layers, one branch after another, first to last.

    Attributes:
        name: The name of the network.
        input_shape: (height, width, channels), or (columns,).
        layers: What each layer is.
    """

    name: str
    input_shape: tuple[int, ...]
    layers: tuple[LayerDescription, ...]

    @property
    def parameters(self) -> int:
        """The number of trainable parameters, which PyTorch counts too."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def non_trainable_parameters(self) -> int:
        """The number of moving means and variances, and of frozen weights."""
        return sum(layer.non_trainable_parameters for layer in self.layers)

    @property
    def multiply_adds(self) -> int:
        """The multiply-adds of the forward pass of one picture."""
        return sum(layer.multiply_adds for layer in self.layers)

    @property
    def memory(self) -> int:
        """The bytes of the outputs of all layers as float32, for one picture."""
        return sum(layer.memory for layer in self.layers)

    def as_table(self) -> Table:
        """Return a row for each layer, and a last row of totals."""
        totals = (f"{self.parameters:,}", with_prefix(self.multiply_adds), "", "", with_prefix(self.memory, "B"))
        return Table(HEAD, [*map(cells_of, self.layers), ("total", "", "", *totals)], align="<<>")

    def table(self) -> str:
        """Return the table as text of at most 110 characters a line."""
        text = self.as_table().text(TABLE_WIDTH)
        if not self.non_trainable_parameters:
            return text
        return f"{text}\nand {self.non_trainable_parameters:,} parameters that are not trainable"

    def line(self) -> str:
        """Return the totals as one greppable line, the memory in bytes."""
        return (
            f"result model={self.name} input={by_x(self.input_shape)} layers={len(self.layers)} "
            f"parameters={self.parameters} non_trainable_parameters={self.non_trainable_parameters} "
            f"multiply_adds={self.multiply_adds} memory={self.memory}"
        )

    def json(self) -> str:
        totals = ("parameters", "non_trainable_parameters", "multiply_adds", "memory")
        return json.dumps({name: getattr(self, name) for name in totals} | dataclasses.asdict(self))


def describe(name_or_model: str | keras.Model, **options: Any) -> Description:
    """Describe a network layer by layer: shapes, parameters, multiply-adds, receptive field and memory.

    Args:
        name_or_model: A name in `list_models()`, or a built keras.Model with one input.
        options: Options of `build`, such as input_shape=(32, 32, 3) and num_classes=10; only with a name.

    Returns:
        The Description: `layers`, and the totals `parameters`, `multiply_adds` and `memory`.

    Raises:
        ValueError: The name or an option is unknown, or the model has layers that cannot be counted: it is not one
            graph of Keras' own layers, each called once, from one input of fixed shape.

    Example:
        >>> import kerasnets
        >>> lenet5 = kerasnets.describe("lenet5")
        >>> lenet5.parameters, lenet5.multiply_adds
        (61706, 416520)
        >>> [(layer.name, layer.output_shape) for layer in lenet5.layers[:3]]
        [('input', (28, 28, 1)), ('c1', (28, 28, 6)), ('s2', (14, 14, 6))]
        >>> print(kerasnets.describe("dnn_tabular", input_shape=(4,)).table().splitlines()[0].split())
        ['layer', 'kind', 'output', 'parameters', 'mult-adds', 'field', 'stride', 'memory']
    """
    if isinstance(name_or_model, str):
        with skip_initializers():
            model = models.build(name_or_model, **options)
    elif options:
        raise ValueError(f"options go with a name; this model is built already: {', '.join(options)}")
    else:
        model = name_or_model
    input_shape, layers = read(model)
    return Description(model.name, input_shape, layers)


def find(text: str, guest: saving.Guest | None = None, **options: Any) -> Iterator[Description]:
    """Yield the Description of a model file, of a network, or of each network that a shell-style pattern matches."""
    if Path(text).suffix in saving.SUFFIXES:
        yield describe(saving.load(text, guest=guest or saving.UNKNOWN)[0], **options)
        return
    names = models.list_models(text) if is_pattern(text) else [text]
    if not names:
        raise ValueError(f"unknown network {text!r}; choose one of: {nearest_first(text, models.list_models())}")
    for name in names:
        yield describe(name, **options)


def is_pattern(text: str) -> bool:
    """Return whether `text` is a shell-style pattern of networks, and not a model file."""
    return Path(text).suffix not in saving.SUFFIXES and any(sign in text for sign in "*?[")


def cells_of(layer: LayerDescription) -> tuple[str, ...]:
    field = stride = ""
    if layer.receptive_field:
        field = shortest(layer.receptive_field) if layer.stride else "all"
        stride = shortest(layer.stride) if layer.stride else ""
    return (
        layer.name,
        f"{layer.kind} {layer.settings}".rstrip(),
        by_x(layer.output_shape),
        f"{layer.parameters:,}",
        with_prefix(layer.multiply_adds),
        field,
        stride,
        with_prefix(layer.memory, "B"),
    )


def with_prefix(value: int, unit: str = "") -> str:
    """Return `value` with three digits and a prefix: 1819066368 -> "1.82 G"."""
    for factor, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= 0.9995 * factor:
            return f"{value / factor:#.3g}".rstrip(".") + f" {prefix}{unit}"
    return f"{value} {unit}".rstrip()
