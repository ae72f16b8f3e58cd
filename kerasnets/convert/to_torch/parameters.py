"""Parameters outside of PyTorch's layers, which `from_torch` turns into a Dense layer whose input is a one.

Such a layer becomes a module that returns its weight. If only a view of it is used, the weight has the view's shape.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import layers

from kerasnets.convert.to_torch.names import literal
from kerasnets.convert.to_torch.program import Leaf, Order, Shape, Step, Value, array, identity
from kerasnets.convert.to_torch.translate import Translator
from kerasnets.graph import node_of

HELPER = "Weight"


def is_parameter(layer: layers.Dense, x: Value) -> bool:
    """Whether a layer multiplies a single one, of no picture."""
    node = node_of(x.tensor)
    if type(node.operation).__name__ != "OnesLike" or x.rank != 2 or layer.use_bias:
        return False
    source = node_of(node.input_tensors[0])
    key = source.args[1] if type(source.operation).__name__ == "GetItem" else ()
    first = tuple(key[:2]) if isinstance(key, (tuple, list)) else ()  # a list after a file
    return first == (slice(0, 1), slice(0, 1)) and layer.activation.__name__ == "linear"


def constant(t: Translator, numbers: Any, rank: int) -> Value:
    """Return an array of Keras' graph as a module that returns it, with at least `rank` axes."""
    numbers = array(numbers)
    numbers = numbers.reshape((1,) * (rank - numbers.ndim) + numbers.shape)
    name = t.node.operation.name
    leaf = Leaf(name, "Constant", {"shape": numbers.shape}, {"value": numbers})
    value = Value(numbers.shape, identity(numbers.ndim), leaf=leaf)
    t.steps.append(Step(name, [], [value], module=leaf, enclosed=True))
    return value


def parameter(t: Translator, layer: layers.Dense) -> Value:
    """Return the weight of such a layer, (1, units), as a module that returns it."""
    shape = (1, layer.units)
    leaf = Leaf(layer.name, HELPER, {"shape": shape}, {"weight": array(layer.kernel)})
    value = Value(shape, identity(2), leaf=leaf)
    t.steps.append(Step(layer.name, [], [value], module=leaf, enclosed=True))
    return value


def is_one_for_all(x: Value) -> bool:
    """Whether `x` has no axis of pictures: a parameter, or a result of parameters alone."""
    return x.leaf is not None or None not in x.shape


def is_free(t: Translator, x: Value) -> bool:
    """Whether `x` is a parameter that is used once, so that its own axes may change."""
    return x.leaf is not None and (x.tensor is None or t.uses[id(x.tensor)] == 1)


def view(t: Translator, x: Value, shape: Shape) -> Value:
    """Return a parameter in another shape."""
    if not is_free(t, x):
        sizes = literal(tuple(map(int, filter(None, shape))))
        return t.apply(f"{{0}}.reshape({sizes})", [t.plain(x)], shape=shape, order=identity(len(shape)), mixes=True)
    numbers = numbers_of(x).transpose(np.argsort(x.order)).reshape([int(size or 1) for size in shape])
    return change(x, numbers, shape, identity(len(shape)))


def turn(x: Value, order: Order) -> Value:
    """Return a parameter with its axes in another order; it must be free."""
    numbers = numbers_of(x).transpose([x.order.index(axis) for axis in order])
    return change(x, numbers, x.shape, order, x.tensor)


def numbers_of(x: Value) -> np.ndarray:
    assert x.leaf is not None
    [numbers] = x.leaf.weights.values()
    return numbers


def change(x: Value, numbers: np.ndarray, shape: Shape, order: Order, tensor: Any = None) -> Value:
    """Return the parameter `x` with other numbers, shape and axes, changed in place."""
    assert x.leaf is not None
    [part] = x.leaf.weights
    x.leaf.args["shape"], x.leaf.weights[part] = numbers.shape, np.ascontiguousarray(numbers)
    x.shape, x.order, x.tensor = shape, order, tensor
    return x


# ---- parts of tensors ------------------------------------------------------------------------------------------------


def item(t: Translator, operation: Any, x: Value, key: Any) -> Value:
    """Return x[key], of slices and whole numbers."""
    key = tuple(key) if isinstance(key, (tuple, list)) else (key,)
    if not all(isinstance(part, (slice, int)) for part in key):
        raise t.unknown("operation {} takes other parts than slices, which has no translation to PyTorch")
    parts = [*key, *[slice(None)] * (x.rank - len(key))]
    if parts[0] != slice(None) and not becomes_ones(t):
        raise t.unknown("operation {} takes some pictures of a batch, which has no translation to PyTorch")
    x = t.plain(x) if x.rows is not None else x
    kept = [axis for axis in range(x.rank) if isinstance(parts[axis], slice)]
    order = tuple(kept.index(axis) for axis in x.order if axis in kept)
    texts = [text_of(parts[axis]) for axis in x.order]
    while texts[-1] == ":":
        texts.pop()
    text = f"{{0}}[{', '.join(texts)}]"
    return t.apply(text, [x], shape=t.shape, order=order, mixes=True, non_negative=x.non_negative)


def text_of(part: slice | int) -> str:
    if isinstance(part, int):
        return str(part)
    begin, end = ("" if border is None else str(border) for border in (part.start, part.stop))
    return f"{begin}:{end}" + (f":{part.step}" if part.step not in (None, 1) else "")


def becomes_ones(t: Translator) -> bool:
    """Whether only the shape of the step's result is used."""
    [tensor] = t.node.outputs
    users = [node for node in t.nodes if any(other is tensor for other in node.input_tensors)]
    return all(type(node.operation).__name__ == "OnesLike" for node in users)


def split(t: Translator, operation: Any, x: Value, borders: Any = None, axis: int = 0) -> list[Value]:
    """Return the parts of `x` along an axis."""
    axis = getattr(operation, "axis", axis) % x.rank
    if axis == 0:
        raise t.unknown("operation {} splits the pictures of a batch, which has no translation to PyTorch")
    x = t.plain(x) if x.rows is not None else x
    shapes: Sequence[Shape] = [tuple(tensor.shape) for tensor in t.node.outputs]
    outputs = [Value(shape, x.order, non_negative=x.non_negative) for shape in shapes]
    sizes = literal(tuple(int(shape[axis] or 0) for shape in shapes))
    text = f"{{0}}.split({sizes}, dim={x.dim(axis)})"
    t.steps.append(Step(t.node.operation.name, [x.root], outputs, expression=text))
    return outputs
