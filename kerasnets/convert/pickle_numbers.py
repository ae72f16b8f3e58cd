"""The few calls in a pickle whose results are known: PyTorch's tensors, NumPy's arrays and scalars."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasnets.convert.pickle_parts import Call, Name, Refusal

MOST_AXES = 32

# ---- tensors ---------------------------------------------------------------------------------------------------------


def tensor(storage: Any, offset: Any, shape: Any, strides: Any, *rest: Any) -> np.ndarray:
    """Return the tensor of torch._utils._rebuild_tensor_v2: a view of its storage, which it must not leave."""
    shape, strides = sizes(shape), sizes(strides)
    if (
        not isinstance(storage, np.ndarray)
        or storage.ndim != 1
        or len(shape) != len(strides)
        or type(offset) is not int
    ):
        raise Refusal("a tensor that is none")
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if 0 in shape:
        return np.zeros(shape, storage.dtype)
    if offset < 0 or last >= len(storage) or math.prod(shape) > len(storage):
        raise Refusal("a tensor is larger than its numbers")
    steps = [stride * storage.itemsize for stride in strides]
    return np.ndarray(shape, storage.dtype, storage, offset * storage.itemsize, steps)


def typed_tensor(
    storage: Any, offset: Any, shape: Any, strides: Any, grad: Any, hooks: Any, dtype: Any, *_: Any
) -> Any:
    """Return the tensor of torch._utils._rebuild_tensor_v3, whose storage has no type; a Call for an unknown dtype."""
    try:
        numbers = np.dtype(dtype.text.removeprefix("torch."))
    except (TypeError, AttributeError):  # a float of 8 bits
        return Call("torch.Tensor", (dtype,))
    return tensor(storage[: len(storage) // numbers.itemsize * numbers.itemsize].view(numbers), offset, shape, strides)


def sizes(values: Any) -> tuple[int, ...]:
    values = values.args[0] if isinstance(values, Call) and values.name == "torch.Size" and values.args else values
    if not isinstance(values, (tuple, list)) or len(values) > MOST_AXES:
        raise Refusal("a tensor without a shape")
    if not all(type(value) is int and 0 <= value < 2**48 for value in values):
        raise Refusal("a tensor of an impossible shape")
    return tuple(values)


def wrapped(made: Any, *_: Any) -> Any:
    """Return a parameter's tensor."""
    return made


def with_attributes(called: Any, kind: Any, args: Any, *_: Any) -> Any:
    """Return the tensor of torch._tensor._rebuild_from_type_v2: one with attributes, or of a subclass."""
    make = CALLS.get(called.text) if isinstance(called, Name) else None
    return make(*args) if make and isinstance(args, tuple) else Call("torch.Tensor")


# ---- NumPy's arrays and scalars --------------------------------------------------------------------------------------


@dataclass(eq=False)
class DType(Call):
    """A dtype of NumPy's, by its short name, as "f4"."""

    @property
    def dtype(self) -> np.dtype[Any]:
        order = self.state[1] if isinstance(self.state, tuple) and len(self.state) > 1 else "="
        text = self.args[0] if self.args else ""
        if not isinstance(text, str) or len(text) > 4 or text[:1] not in "fiub" or order not in ("<", ">", "|", "="):
            raise Refusal(f"an array of {text!r:.20}, not of numbers")
        return np.dtype(text).newbyteorder(order)  # type: ignore[arg-type]


def plain(value: Any) -> Any:
    """Return the array that a Call of NumPy's stands for once its state is known; anything else as it is."""
    if not isinstance(value, Call) or value.name != "numpy.ndarray" or not isinstance(value.state, tuple):
        return value
    *_, shape, kind, is_fortran, content = value.state if len(value.state) >= 4 else (None,) * 4
    content = content.encode("latin1") if isinstance(content, str) else content
    try:
        dtype, shape = kind.dtype, sizes(shape)
    except (AttributeError, TypeError, Refusal):
        return value
    if not isinstance(content, bytes) or len(content) != math.prod(shape) * dtype.itemsize:
        raise Refusal("an array is not of the size that it declares")
    return np.ndarray(shape, dtype, content, order="F" if is_fortran else "C")


def from_buffer(content: Any, kind: Any, shape: Any, order: Any, *_: Any) -> Any:
    """Return an array as protocol 5 of pickle holds it."""
    content = bytes(content) if isinstance(content, bytearray) else content
    return plain(Call("numpy.ndarray", state=(shape, kind, order == "F", content)))


def scalar(kind: Any, content: Any = b"") -> Any:
    content = content.encode("latin1") if isinstance(content, str) else content
    try:
        return np.frombuffer(content, kind.dtype)[0]
    except (AttributeError, TypeError, ValueError, IndexError):
        return Call("numpy.scalar")


def encode(text: Any, encoding: Any = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1", "utf-8"):
        raise Refusal("text that is none")
    return text.encode(encoding)


CALLS: dict[str, Callable[..., Any]] = {
    "torch._utils._rebuild_tensor": tensor,
    "torch._utils._rebuild_tensor_v2": tensor,
    "torch._utils._rebuild_tensor_v3": typed_tensor,
    "torch._utils._rebuild_parameter": wrapped,
    "torch._utils._rebuild_parameter_with_state": wrapped,
    "torch._tensor._rebuild_from_type_v2": with_attributes,
    "numpy.core.multiarray._reconstruct": lambda *args: Call("numpy.ndarray"),
    "numpy.core.numeric._frombuffer": from_buffer,
    "numpy.core.multiarray.scalar": scalar,
    "numpy.dtype": lambda *args: DType("numpy.dtype", args),
    "_codecs.encode": encode,
}
