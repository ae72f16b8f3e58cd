"""A Keras model walked node by node; each layer becomes what its row in the tables says."""

import collections
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from kerasnets.convert.to_torch.program import Block, Leaf, Order, Shape, Step, Value, channels_first, identity
from kerasnets.errors import BadInputError, shorten
from kerasnets.graph import Node, nodes


class KerasOrderNeeded(Exception):
    """A layer that takes the columns in Keras' order comes after these Flatten layers."""

    def __init__(self, flattens: frozenset[str]) -> None:
        super().__init__("columns are needed in Keras' order")
        self.flattens = flattens


def translate(model: keras.Model) -> Block:
    """Return the network as steps of PyTorch.

    A Flatten gives PyTorch's order, and the weights of the next Dense are permuted; where another layer follows, the
    walk begins again with that Flatten in Keras' order.

    Raises:
        BadInputError: A layer is not known.
    """
    in_keras_order: frozenset[str] = frozenset()
    while True:
        try:
            return Translator(model, in_keras_order, {}).block()
        except KerasOrderNeeded as need:
            in_keras_order |= need.flattens


class Translator:
    """The steps so far, and what the tables' functions call to add one."""

    def __init__(self, model: keras.Model, in_keras_order: frozenset[str], blocks: dict[int, Block]) -> None:
        self.model, self.in_keras_order, self.blocks = model, in_keras_order, blocks
        self.nodes = nodes(model)
        self.uses = collections.Counter(id(tensor) for node in self.nodes for tensor in node.input_tensors)
        self.uses.update(map(id, model.outputs))
        self.calls = collections.Counter(id(node.operation) for node in self.nodes)
        self.values: dict[int, Value] = {}
        self.steps: list[Step] = []
        self.leaves: dict[tuple[int, str], Leaf] = {}
        self.zero_pads: dict[int, tuple[Value, Step, list[tuple[int, int]]]] = {}  # by the padded value
        self.node = self.nodes[0]

    def block(self) -> Block:
        from kerasnets.convert.to_torch.patterns import normalizations

        inputs = [self.input_value(tensor) for tensor in self.model.inputs]
        patterns = normalizations(self.nodes, self.uses)
        skipped = {id(node.operation) for pattern in patterns.values() for node in pattern.nodes}
        for node in self.nodes:
            self.node = node
            if node.is_input:
                continue
            if id(self.node.operation) in patterns:
                outputs = [patterns[id(self.node.operation)].translate(self)]
            elif id(self.node.operation) in skipped:
                continue
            else:
                outputs = self.visit(self.node)
            for tensor, value in zip(self.node.outputs, outputs, strict=True):
                if value.tensor is None:
                    value.tensor = tensor
                else:  # a layer that changes nothing: the value is that of two tensors
                    self.uses[id(value.tensor)] += self.uses[id(tensor)]
                self.values[id(tensor)] = value
        results = [self.usual(self.values[id(tensor)]) for tensor in self.model.outputs]
        outputs = [value.root for value in results]
        steps = needed(self.steps, outputs)
        return Block(self.model.name, inputs, outputs, steps, self.model.output, results)

    def input_value(self, tensor: keras.KerasTensor) -> Value:
        """Return a picture as PyTorch has it, (n, channels, height, width); of other inputs the axes stay."""
        rank = len(tensor.shape)
        value = Value(tuple(tensor.shape), self.usual_order(rank), tensor=tensor)
        self.values[id(tensor)] = value
        return value

    def usual_order(self, rank: int) -> Order:
        """Return the order of axes that PyTorch's users expect of an input or output."""
        formats = [
            (node.operation.data_format, len(windows(node.operation)))
            for node in self.nodes
            if windows(node.operation) and hasattr(node.operation, "data_format")
        ]
        norms = [layer for layer in self.model.layers if isinstance(layer, keras.layers.BatchNormalization)]
        formats = formats or [("channels_first", 2) for layer in norms if layer.axis == 1]
        if rank == 3:
            return channels_first(3) if ("channels_last", 1) in formats else identity(3)
        in_keras_too = formats and all(form == "channels_first" for form, _ in formats)
        first_there = any(getattr(node.operation, "dims", None) == (3, 1, 2) for node in self.nodes)
        if rank in (4, 5) and (not in_keras_too or first_there):
            return channels_first(rank)
        return identity(rank)

    def visit(self, node: Node) -> list[Value]:
        from kerasnets.convert.to_torch.layers import translation
        from kerasnets.convert.to_torch.operations import OPERATIONS

        operation = node.operation
        inputs = [self.values[id(tensor)] for tensor in node.input_tensors]
        if isinstance(operation, keras.Model):
            return self.inner_model(operation, inputs)
        name = type(operation).__name__
        if isinstance(operation, keras.layers.Layer):
            function = translation(operation)
            if function is None:
                raise self.unknown("layer {} is a {}, which has no translation to PyTorch")
            self.check_call(node)
            return [function(self, operation, *inputs)]
        if type(operation).__module__.startswith("keras.src.") and name in OPERATIONS:
            args, kwargs = node.fill_in(self.values)
            result = OPERATIONS[name](self, operation, *args, **kwargs)
            return result if isinstance(result, list) else [result]
        raise self.unknown("operation {} is a {}, which has no translation to PyTorch")

    def check_call(self, node: Node) -> None:
        """Refuse masks and other arguments of a call: what they do is not translated."""
        arguments = [*node.args[1:], *(value for name, value in node.kwargs.items() if name != "training")]
        others = [value for value in arguments if value is not None and not isinstance(value, keras.KerasTensor)]
        if others or node.kwargs.get("training"):
            raise self.unknown("layer {} is called with arguments that have no translation to PyTorch")

    def inner_model(self, model: keras.Model, inputs: list[Value]) -> list[Value]:
        if not getattr(model, "outputs", None):
            raise self.unknown("layer {} is a model without a graph, which has no translation to PyTorch")
        block = self.blocks.get(id(model))
        if block is None:
            block = self.blocks[id(model)] = Translator(model, self.in_keras_order, self.blocks).block()
        arguments = [self.arrange(value, inner.order) for value, inner in zip(inputs, block.inputs, strict=True)]
        outputs = [Value(value.shape, value.order) for value in block.results]
        self.steps.append(Step(model.name, [value.root for value in arguments], outputs, module=block))
        return outputs

    def unknown(self, text: str) -> BadInputError:
        operation = self.node.operation
        names = (f"{shorten(operation.name)!r}", shorten(type(operation).__name__))
        return BadInputError(text.format(*names), remedy="write that part in PyTorch, or build it of other layers")

    # ---- what the tables' functions call ----

    @property
    def shape(self) -> Shape:
        """The shape of the output of the layer, in Keras' axes."""
        return tuple(self.node.outputs[0].shape)

    def apply(self, expression: str, inputs: Sequence[Value], *, shape: Shape | None = None, order: Order | None = None,
              mixes: bool = False, **properties: Any) -> Value:  # fmt: skip
        """Add an expression of `inputs`; its value is like the first of them, if nothing else is said.

        It `mixes` if a column of its value comes from several columns: then an order of theirs ends here.
        """
        first = inputs[0]
        value = Value(shape or first.shape, order or first.order)
        if value.rank == 2 and not mixes:
            value.rows, value.flattens = first.rows, first.flattens
        value.non_negative = properties.pop("non_negative", False)
        step = Step(self.node.operation.name, [x.root for x in inputs], [value], expression=expression, **properties)
        self.steps.append(step)
        return value

    def call(self, kind: str, inputs: Sequence[Value], args: dict[str, Any] | None = None,
             weights: dict[str, np.ndarray] | None = None, *, suffix: str = "", shape: Shape | None = None,
             order: Order | None = None, encloses: bool = False, mixes: bool = False) -> Value:  # fmt: skip
        """Add a call of a module, such as "nn.Conv2d", with its arguments and weights by PyTorch's names."""
        layer = self.node.operation
        leaf = Leaf(layer.name + suffix, kind, args or {}, weights or {}, suffix)
        before = self.leaves.setdefault((id(layer), suffix), leaf)
        if before is not leaf and (before.args != leaf.args or not equal(before.weights, leaf.weights)):
            raise self.unknown("layer {} is called in two ways, which has no translation to PyTorch")
        value = self.apply("", inputs, shape=shape, order=order, encloses=encloses, mixes=mixes)
        step = self.steps[-1]
        step.module, step.frozen = before, is_frozen(self.node)
        return value

    def arrange(self, value: Value, order: Order) -> Value:
        """Return `value` with its axes in `order`, and columns as Keras has them."""
        from kerasnets.convert.to_torch.parameters import is_free, turn

        if value.rows is not None:
            raise KerasOrderNeeded(value.flattens)
        if value.order == order:
            return value
        if is_free(self, value):
            return turn(value, order)
        dims = ", ".join(str(value.order.index(axis)) for axis in order)
        return self.apply(f"{{0}}.permute({dims})", [value], order=order, non_negative=value.non_negative)

    def usual(self, value: Value) -> Value:
        """Return an output as PyTorch's users expect it: maps (n, channels, height, width), all else as in Keras."""
        return self.arrange(value, self.usual_order(value.rank))

    def plain(self, value: Value) -> Value:
        """Return `value` with axes and columns as Keras has them."""
        return self.arrange(value, identity(value.rank))

    def spatial(self, value: Value) -> Value:
        """Return `value` as (n, channels, ...), from the data_format of the layer."""
        last = self.node.operation.data_format == "channels_last"
        return self.arrange(value, channels_first(value.rank) if last else identity(value.rank))

    def without_zeros(self, value: Value) -> tuple[Value, list[tuple[int, int]]] | None:
        """Return what a ZeroPadding that this layer alone uses has padded, and by how much: (before, after) an axis."""
        if (
            id(value) not in self.zero_pads
            or self.uses[id(value.tensor)] > 1
            or self.calls[id(self.node.operation)] > 1
        ):
            return None
        source, _, pads = self.zero_pads[id(value)]
        return source, pads

    def leave_out(self, value: Value) -> None:
        self.steps.remove(self.zero_pads[id(value)][1])

    def is_shared(self) -> bool:
        return self.calls[id(self.node.operation)] > 1


def needed(steps: Sequence[Step], outputs: Sequence[Value]) -> list[Step]:
    """Return the steps without those whose result nothing takes: ones that only a parameter's layer had as input."""
    used, kept = set(map(id, outputs)), []
    for step in reversed(steps):
        if any(id(value) in used for value in step.outputs):
            kept.append(step)
            used.update(map(id, step.inputs))
    return kept[::-1]


def windows(operation: Any) -> tuple[int, ...]:
    """Return the window of a convolution or pooling, one number for each axis of a map; else ()."""
    size = getattr(operation, "kernel_size", getattr(operation, "pool_size", ()))
    return tuple(size) if isinstance(size, (tuple, list)) else (size,)


def is_frozen(node: Node) -> bool:
    """Whether the layer is a batch norm that does not train: in Keras, that is in inference mode in training too."""
    return isinstance(node.operation, keras.layers.BatchNormalization) and not node.operation.trainable


def equal(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)
