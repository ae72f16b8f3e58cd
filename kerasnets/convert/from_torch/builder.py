"""What the operators are built with: Keras layers by the module's own names, weights, parameters, orders of axes."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from kerasnets.convert.from_torch.programs import Program, Step
from kerasnets.convert.from_torch.values import Value, channels_last
from kerasnets.errors import BadInputError
from kerasnets.graph import node_of

if TYPE_CHECKING:
    import torch

MOST_IN_CONFIG = 4096  # numbers of a constant that is written into the model's JSON; a larger one becomes a weight
OPAQUE = ("MultiheadAttention",)  # modules of torch.nn that are more than one operator


class Builder:
    """Builds layers for one step after the other.

    Attributes:
        step: The step at hand.
        sized: Whether the graph holds a number that depends on the example's height and width.
    """

    def __init__(self, program: Program, inputs: Sequence[Any]) -> None:
        self.program, self.inputs = program, inputs
        self.step: Step = program.steps[0]
        self.sized = False
        self.layers: dict[str, Any] = {}  # and operations
        self.known: dict[int, Any] = {}  # operations that have a name
        self.owners: dict[int, tuple[Any, ...]] = {}  # id of a weight -> key of the layer that holds it
        self.shared: dict[tuple[Any, ...], keras.Layer] = {}
        self.parameters: dict[int, Any] = {}
        self.slices: dict[int, Any] = {}
        self.names = {id(tensor): name for name, tensor in program.tensors.values()}
        self.one: Any = None

    # ---- names ---------------------------------------------------------------------------------------------------

    def name(self, suffix: str = "") -> str:
        """Return the step's layer name: its module's if that is one operator, else with the operator's name."""
        whole = self.step.kind.startswith("torch.nn.modules") and not self.step.kind.endswith(OPAQUE)
        parts = (self.step.path, "" if whole and self.step.path else self.step.operator, suffix)
        return self.unused_name("_".join(filter(None, parts)))

    def unused_name(self, name: str) -> str:
        name = name.replace(".", "_").lstrip("_")  # TensorFlow takes no leading underscore
        if name not in self.layers:
            return name
        return next(other for i in range(1, 10**6) if (other := f"{name}_{i}") not in self.layers)

    def name_operations(self, tensors: Sequence[Any]) -> None:
        """Name the operations without a layer that led to `tensors`: Keras' own names could be those of layers."""
        waiting = list(tensors)
        while waiting:
            node = node_of(waiting.pop())
            if id(node.operation) in self.known:
                continue
            self.known[id(node.operation)] = node.operation
            if not isinstance(node.operation, keras.Layer):
                node.operation.name = self.name()
                self.layers[node.operation.name] = node.operation
            waiting.extend(node.input_tensors)

    def refuse(self, problem: str, remedy: str = "") -> BadInputError:
        where = f" in {self.step.path}" if self.step.path else ""
        return BadInputError(f"{self.step.operator}{where}: {problem}", remedy=remedy)

    def attention_rate(self, rate: float) -> float:
        """Return the dropout rate of an attention in training; its operator has the rate 0 in evaluation."""
        if self.step.kind.endswith(OPAQUE):
            return float(self.program.modules[self.step.path].dropout)
        return rate

    # ---- layers --------------------------------------------------------------------------------------------------

    def layer(self, kind: Callable[..., Any], tensors: Any, suffix: str = "", **options: Any) -> Any:
        """Return the result of a new layer without weights."""
        name = self.name(suffix)
        layer = self.layers[name] = kind(**options, name=name)
        return layer(tensors)

    def layer_with_weights(
        self, kind: Callable[..., Any], tensor: Any, tensors: Sequence["torch.Tensor | None"], arrays: Sequence[Any],
        frozen: bool | None = None, call: Mapping[str, Any] | None = None, **options: Any,
    ) -> Any:  # fmt: skip
        """Return the result of a layer with weights; one weight belongs to one layer, however often it is called.

        Args:
            kind: The layer's class.
            tensor: Its input.
            tensors: PyTorch's parameters, None where one is missing.
            arrays: The same numbers in Keras' axes and order.
            frozen: Whether nothing in it is trained (default: if none of the parameters is).
            call: Arguments of its call.
            options: Of the class.
        """
        present = [x for x in tensors if x is not None]
        key = (kind, *map(id, present), repr(options))
        if not present or key not in self.shared:
            for weight in present:
                if self.owners.setdefault(id(weight), key) != key:
                    name = self.names.get(id(weight), "a weight")
                    raise self.refuse(f"{name} is used twice, in different ways; a Keras layer cannot share it so")
            name = self.unused_name(
                self.name_of(present[0]) if present and self.names.get(id(present[0])) else self.name()
            )
            layer = self.layers[name] = self.shared[key] = kind(**options, name=name)
            result = layer(tensor, **(call or {}))
            layer.set_weights([np.ascontiguousarray(array, "float32") for array in arrays])
            layer.trainable = not (_is_frozen(present) if frozen is None else frozen)
            return result
        return self.shared[key](tensor, **(call or {}))

    def name_of(self, weight: "torch.Tensor") -> str:
        """Return the name of the layer that holds a parameter: its module's, or its own unless it is a plain weight."""
        owner, _, part = self.names[id(weight)].rpartition(".")
        if part in ("weight", "bias", "running_mean"):
            return owner or self.step.operator
        return f"{owner}_{part.removesuffix('_weight')}" if owner else part

    # ---- parameters and constants --------------------------------------------------------------------------------

    def array(self, tensor: "torch.Tensor") -> np.ndarray:
        return np.asarray(tensor.detach().cpu().float().numpy() if tensor.is_floating_point() else tensor.cpu().numpy())

    def corner(self) -> Any:
        """Return a one, (1, 1), that hangs on the input, as every tensor of a functional model must."""
        if self.one is None:
            picture = self.inputs[0]
            self.one = ops.ones_like(picture[(slice(0, 1), slice(0, 1), *[0] * (len(picture.shape) - 2))])
        return self.one

    def as_value(self, tensor: "torch.Tensor") -> Value:
        """Return a constant as a Value, for a layer to work on."""
        shape = (1,) * tensor.ndim
        array = ops.multiply(ops.reshape(self.corner(), shape), self.array(tensor))
        return Value(array, tuple(range(tensor.ndim)), tuple(tensor.shape))

    def parameter(self, tensor: "torch.Tensor") -> Value:
        """Return a parameter that is no layer's weight: the kernel of a Dense layer whose input is a one.

        It is trained as PyTorch trains it, and is found in the model by its name.
        """
        shape = tuple(tensor.shape)
        if id(tensor) not in self.parameters:
            options: dict[str, Any] = {"use_bias": False, "units": max(1, math.prod(shape))}
            array = self.array(tensor).reshape(1, -1)
            flat = self.layer_with_weights(keras.layers.Dense, self.corner(), [tensor], [array], **options)
            self.parameters[id(tensor)] = tensor, ops.reshape(flat, shape)
        return Value(self.parameters[id(tensor)][1], tuple(range(len(shape))), shape)

    def parts(self, tensor: "torch.Tensor", count: int) -> Sequence["torch.Tensor"]:
        """Return a parameter cut along its first axis, the same parts at each call: they are weights of layers."""
        if id(tensor) not in self.slices:
            self.slices[id(tensor)] = tensor.chunk(count)
        parts: Sequence[torch.Tensor] = self.slices[id(tensor)]
        return parts

    def constant(self, tensor: "torch.Tensor", rank: int, axes: Sequence[int]) -> Any:
        """Return numbers that nothing trains, with `rank` axes in the order `axes`: a number, an array or a weight."""
        if tensor.numel() == 1:
            return tensor.item()
        if tensor.numel() > MOST_IN_CONFIG and tensor.is_floating_point():
            return self.arrange(self.widen(self.parameter(tensor), rank), axes).tensor
        array = self.array(tensor).reshape((1,) * (rank - tensor.ndim) + tuple(tensor.shape))
        return np.ascontiguousarray(array.transpose(axes))

    # ---- orders of axes ------------------------------------------------------------------------------------------

    def widen(self, x: Value, rank: int) -> Value:
        """Return a value with leading axes of size 1 in PyTorch's order, as broadcasting adds them."""
        more = rank - x.rank
        if not more:
            return x
        tensor = x.tensor
        for _ in range(more):
            tensor = ops.expand_dims(tensor, 0)
        axes = (*range(more), *(axis + more for axis in x.axes))
        return Value(tensor, axes, (1,) * more + tuple(x.shape), x.nonnegative)

    def arrange(self, x: Value, axes: Sequence[int]) -> Value:
        """Return a value whose tensor has PyTorch's axes in the order `axes`."""
        x, axes = self.in_order(x), tuple(axes)
        if x.axes == axes:
            return x
        order = [x.axes.index(axis) for axis in axes]
        target = [x.tensor.shape[i] for i in order]
        wide = [i for i in order if x.tensor.shape[i] != 1]
        with_batch = order[0] == 0 and x.tensor.shape[0] is None
        if wide == sorted(wide) and sum(size is None for size in target) <= 1:  # only sizes of 1 move
            if with_batch:
                tensor = self.layer(keras.layers.Reshape, x.tensor, "axes", target_shape=target[1:])
            else:
                tensor = ops.reshape(x.tensor, [-1 if size is None else size for size in target])
        elif with_batch:
            tensor = self.layer(keras.layers.Permute, x.tensor, "axes", dims=order[1:])
        else:
            tensor = ops.transpose(x.tensor, order)
        return replace(x, tensor=tensor, axes=axes)

    def in_order(self, x: Value) -> Value:
        """Return a flattened value with PyTorch's order of features."""
        if x.rows is None:
            return x
        return replace(x, tensor=ops.take(x.tensor, np.argsort(x.rows).astype("int32"), axis=1), rows=None)

    def to_channels_last(self, x: Value) -> Value:
        return self.arrange(x, channels_last(x.rank))


def _is_frozen(weights: Sequence["torch.Tensor"]) -> bool:
    return bool(weights) and not any(weight.requires_grad for weight in weights)
