"""What a network is made of, layer by layer: shapes, parameters, multiply-adds, receptive field, memory.

All of it follows from the shapes and settings of the layers; nothing is run, so every backend says the same.

Sources: multiply-adds are those of convolutions and dense layers, without biases, as torchvision counts its `_ops`.
Receptive field r and stride j (pixels between neighbours): a window of k with strides s and dilation d makes
r + (k - 1) * d * j and j * s of them; where branches meet, the largest counts (Araujo, Norris and Sim, Computing
Receptive Fields of Convolutional Neural Networks, Distill 2019, doi:10.23915/distill.00021).
"""

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path

import keras
from keras import layers

from kerasnets import models, saving
from kerasnets.errors import nearest_first, shorten
from kerasnets.graph import TO_LAST, nodes
from kerasnets.graph.layout import TO_FIRST
from kerasnets.graph.weights import count, drawing_nothing

TABLE_WIDTH = 110  # characters of a line at most

KERNELS = (layers.Conv2D, layers.DepthwiseConv2D, layers.Dense)  # one multiply-add per number in it and position
POOLINGS = (layers.MaxPooling2D, layers.AveragePooling2D)
GLOBAL_POOLINGS = (layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D)
RESIZING = (layers.ZeroPadding2D, layers.Cropping2D, layers.Concatenate)  # height and width change, no pixel moves
PERMUTES = {TO_FIRST: "channels_first", TO_LAST: "channels_last"}  # dims -> layout of what comes out


@dataclass(frozen=True)
class Row:
    """One layer. Shapes are of one picture: (height, width, channels) in either layout, or (units,)."""

    name: str
    kind: str  # name of its class
    output_shape: tuple[int, ...]
    parameters: int  # trainable ones
    non_trainable_parameters: int  # moving mean and variance, and what is frozen
    multiply_adds: int
    receptive_field: tuple[int, int] | None  # height, width in pixels, what lies in the padding too; None for a column
    stride: tuple[int, int] | None  # pixels from one output to the next, down and across; None: each sees all
    memory: int  # bytes of its output as float32
    settings: str = ""  # kernel, strides, padding, activation and the like, as far as they are not the usual ones


@dataclass(frozen=True)
class Description:
    """A network and its layers: one branch after the other, first to last, as the builder and the weights have them."""

    name: str
    input_shape: tuple[int, ...]  # height, width, channels
    layers: tuple[Row, ...]

    @property
    def parameters(self):
        """How many numbers training changes: what PyTorch counts."""
        return sum(row.parameters for row in self.layers)

    @property
    def non_trainable_parameters(self):
        return sum(row.non_trainable_parameters for row in self.layers)

    @property
    def multiply_adds(self):
        """Of one picture forward."""
        return sum(row.multiply_adds for row in self.layers)

    @property
    def memory(self):
        """Bytes of the outputs of all layers as float32, for one picture."""
        return sum(row.memory for row in self.layers)

    def table(self):
        """Rows for people, at most 110 characters wide, and a last one of totals."""
        head = ("layer", "kind", "output", "parameters", "mult-adds", "field", "stride", "memory")
        total = (
            "total",
            "",
            "",
            f"{self.parameters:,}",
            rounded(self.multiply_adds),
            "",
            "",
            rounded(self.memory, "B"),
        )
        cells = [head, *map(cells_of, self.layers), total]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        widths[0] = min(widths[0], TABLE_WIDTH - sum(widths[1:]) - 2 * (len(head) - 1))
        lines = []
        for name, kind, *others in cells:
            left = (shorten(name, widths[0]).ljust(widths[0]), kind.ljust(widths[1]))
            right = (cell.rjust(width) for cell, width in zip(others, widths[2:], strict=True))
            lines.append("  ".join((*left, *right)))
        if self.non_trainable_parameters:
            lines.append(f"and {self.non_trainable_parameters:,} parameters that are not trained")
        return "\n".join(lines)

    def line(self):
        """The totals as one greppable line; memory in bytes."""
        return (
            f"result model={self.name} input={sizes(self.input_shape)} layers={len(self.layers)} "
            f"parameters={self.parameters} non_trainable_parameters={self.non_trainable_parameters} "
            f"multiply_adds={self.multiply_adds} memory={self.memory}"
        )

    def json(self):
        totals = ("parameters", "non_trainable_parameters", "multiply_adds", "memory")
        return json.dumps({name: getattr(self, name) for name in totals} | dataclasses.asdict(self))


def describe(name_or_model, **options):
    """Return the Description of a network: a name in the registry, with options of `build`, or a keras.Model.

    >>> kerasnets.describe("lenet5").multiply_adds
    416520

    Raises ValueError for what `build` refuses, and for a model whose layers cannot be counted: not one graph of
    Keras' own layers from one input of fixed shape.
    """
    if isinstance(name_or_model, str):
        with drawing_nothing():
            return read(models.build(name_or_model, **options))
    if options:
        raise ValueError(f"options go with a name; this model is built already: {', '.join(options)}")
    return read(name_or_model)


def find(text, **options):
    """Yield the Descriptions of what `text` names: a model file, a network, or a shell-style pattern of networks."""
    if Path(text).suffix in saving.SUFFIXES:
        yield describe(saving.load(text)[0], **options)
        return
    names = models.list_models(text) if is_pattern(text) else [text]
    if not names:
        raise ValueError(f"no model is named like {text!r}; choose one of: {nearest_first(text, models.list_models())}")
    for name in names:
        yield describe(name, **options)


def is_pattern(text):
    return Path(text).suffix not in saving.SUFFIXES and any(sign in text for sign in "*?[")


@dataclass(frozen=True)
class Tensor:
    """What is known of an output: where it comes from, and what each of its numbers sees of the picture."""

    maker: str  # name of the layer
    layout: str
    field: tuple[int, int] | None
    stride: tuple[int, int] | None
    shape: tuple[int, ...]  # height, width, channels


def read(model):
    """The Description of a keras.Model, from its graph."""
    graph = graph_of(model)
    layout = layout_of_input(graph)
    picture = in_order(graph.inputs[0].shape[1:], layout)
    if None in picture:
        raise ValueError(f"{model.name} takes pictures of any size, {picture}; build it with an input_shape")
    known, rows = {}, []  # known: id of a tensor of Keras -> Tensor
    walked = nodes(graph)
    operations = [node.operation for node in walked]
    for node in walked:
        if operations.count(node.operation) > 1:
            raise ValueError(f"{model.name} calls {node.operation.name!r} more than once; describe cannot count that")
        sources = [known[id(tensor)] for tensor in node.input_tensors]
        output = known[id(node.outputs[0])] = pass_through(node, sources, picture, layout)
        rows.append(row_of(node.operation, output))
    return Description(model.name, picture, tuple(rows))


def graph_of(model):
    """`model`, functional or sequential, as one functional graph with an input layer."""
    inputs = getattr(model, "inputs", None) if getattr(model, "built", False) else None
    if not inputs or len(inputs) > 1:
        raise ValueError(f"describe needs a name or a built keras.Model with one input, not {model!r:.60}")
    return keras.Model(model.inputs, model.outputs)


def layout_of_input(graph):
    """Where the channels of the picture lie: what the first layer that cares says, unless they are moved before."""
    for operation in (node.operation for node in nodes(graph)):
        if isinstance(operation, layers.Permute):
            break
        if hasattr(operation, "data_format"):
            return operation.data_format
    return "channels_last"


def pass_through(node, sources, picture, layout):
    """The Tensor that the layer of `node` makes of `sources`; an input layer has none, and is in `layout`."""
    operation = node.operation
    name = operation.name
    if isinstance(operation, layers.InputLayer) and name.startswith("input_layer"):  # Keras numbers those it names
        name = "input"
    elif not isinstance(operation, layers.Layer):  # of keras.ops; numbered too
        name = f"{sources[0].maker}_{type(operation).__name__.lower()}"
    has_kernel = any(len(weight.shape) > 1 for weight in getattr(operation, "weights", ()))
    if isinstance(operation, keras.Model) or (has_kernel and not isinstance(operation, KERNELS)):
        raise ValueError(cannot_count(operation))
    layout = sources[0].layout if sources else layout
    if isinstance(operation, layers.Permute):
        layout = PERMUTES.get(operation.dims, layout)
    shape = in_order(node.outputs[0].shape[1:], layout)
    if sources:
        field, stride = view(operation, sources, shape, picture)
    else:
        field = stride = (1, 1) if len(picture) == 3 else None
    return Tensor(name, layout, field, stride, shape)


def view(operation, sources, shape, picture):
    """(receptive field, stride) of an output of this shape. Layers that are not named above work pixel by pixel."""
    field = largest(source.field for source in sources)
    stride = largest(source.stride for source in sources)
    dense = isinstance(operation, layers.Dense) and len(shape) == 1
    if field and (dense or isinstance(operation, GLOBAL_POOLINGS)):
        return picture[:2], None
    if isinstance(operation, (*KERNELS, *POOLINGS)) and stride and len(shape) == 3:
        reach, strides = window(operation)
        field = tuple(r + beyond * j for r, beyond, j in zip(field, reach, stride, strict=True))
        return field, tuple(j * s for j, s in zip(stride, strides, strict=True))
    resized = len(shape) == len(sources[0].shape) == 3 and shape[:2] != largest(source.shape[:2] for source in sources)
    if resized and not isinstance(operation, RESIZING):
        raise ValueError(cannot_count(operation))
    return field, stride


def window(layer):
    """(reach, strides) of a convolution or pooling, each (down, across): how many steps beyond its first it sees."""
    if isinstance(layer, POOLINGS):
        return tuple(size - 1 for size in layer.pool_size), layer.strides
    if isinstance(layer, layers.Dense):  # at each pixel for itself
        return (0, 0), (1, 1)
    reach = ((size - 1) * rate for size, rate in zip(layer.kernel_size, layer.dilation_rate, strict=True))
    return tuple(reach), layer.strides


def row_of(operation, output):
    """The Row of a layer or operation whose output is `output`."""
    positions = math.prod(output.shape[:-1])
    return Row(
        name=output.maker,
        kind=type(operation).__name__,
        output_shape=output.shape,
        parameters=count(getattr(operation, "trainable_weights", ())),
        non_trainable_parameters=count(getattr(operation, "non_trainable_weights", ())),
        multiply_adds=positions * count([operation.kernel]) if isinstance(operation, KERNELS) else 0,
        receptive_field=output.field,
        stride=output.stride,
        memory=4 * math.prod(output.shape),
        settings=settings_of(operation),
    )


def settings_of(layer):
    """What, beside the shapes, one must know to write the layer again: "5x5 stride 2 same relu"."""
    config = layer.get_config() if isinstance(layer, layers.Layer) else {}
    size = config.get("kernel_size") or config.get("pool_size")
    strides, usual = config.get("strides"), config.get("pool_size") or (1, 1)
    padding, rate = config.get("padding"), config.get("rate")
    said = [
        sizes(size) if size else "",
        f"stride {shortest(strides)}" if strides and tuple(strides) != tuple(usual) else "",
        padding if padding == "same" else "",
        f"dilation {shortest(config['dilation_rate'])}" if max(config.get("dilation_rate", (1,))) > 1 else "",
        f"groups {config['groups']}" if config.get("groups", 1) > 1 else "",
        "no bias" if config.get("use_bias") is False else "",
        config.get("activation", "linear") if config.get("activation", "linear") != "linear" else "",
        f"eps {config['epsilon']:g}" if "momentum" in config else "",
        f"{rate:g}" if rate is not None else "",
    ]
    if isinstance(layer, layers.ZeroPadding2D):
        same = len({pixels for sides in padding for pixels in sides}) == 1
        said = [str(padding[0][0]) if same else " ".join(f"{before}+{after}" for before, after in padding)]
    return " ".join(filter(None, said))


def in_order(shape, layout):
    """`shape` of one picture as (height, width, channels); of what is no picture, as it is."""
    return (*shape[1:], shape[0]) if len(shape) == 3 and layout == "channels_first" else tuple(shape)


def largest(pairs):
    """The largest of (down, across) pairs in each direction; None counts for nothing."""
    pairs = [pair for pair in pairs if pair]
    return tuple(map(max, zip(*pairs, strict=True))) if pairs else None


def cannot_count(operation):
    return f"describe cannot count layer {operation.name!r}: it knows no {type(operation).__name__}"


# ---- for people ----


def cells_of(row):
    if row.stride:
        field, stride = shortest(row.receptive_field), shortest(row.stride)
    else:
        field, stride = "all" if row.receptive_field else "", ""
    return (
        row.name,
        f"{row.kind} {row.settings}".rstrip(),
        sizes(row.output_shape),
        f"{row.parameters:,}",
        rounded(row.multiply_adds),
        field,
        stride,
        rounded(row.memory, "B"),
    )


def sizes(shape):
    return "x".join(map(str, shape))


def shortest(pair):
    """One number where height and width are the same."""
    return str(pair[0]) if len(set(pair)) == 1 else sizes(pair)


def rounded(value, unit=""):
    """`value` in three digits and a unit: 1819066368 -> "1.82 G"."""
    for factor, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= 0.9995 * factor:
            return f"{value / factor:#.3g}".rstrip(".") + f" {prefix}{unit}"
    return f"{value} {unit}".rstrip()
