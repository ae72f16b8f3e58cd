"""A module as a list of ATen operators: torch.export run at two batch sizes, which shows what grows with the batch."""

import contextlib
import io
import logging
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasnets.convert.from_torch.values import Batched
from kerasnets.convert.weight_files import import_torch
from kerasnets.errors import BadInputError, in_one_line
from kerasnets.runtime import backends

if TYPE_CHECKING:
    import torch

SIZES = (2, 3)  # batch sizes of the two exports; PyTorch would take a size of 1 for a fixed number
RANDOM_DEPTH = ("StochasticDepth", "DropPath")  # torchvision's and timm's: they leave no trace in evaluation
RATES = ("p", "drop_prob")  # their attributes


@dataclass(frozen=True)
class Step:
    """One node of the graph.

    Attributes:
        name: The node's.
        target: The operator, for constants that PyTorch computes itself.
        operator: ATen's name without overload and without the underscore of an operator in place: "conv2d".
        in_place: Whether it overwrites its first argument.
        args: Steps' names stand as `Reference`; sizes that grow with the batch as `Batched`.
        kwargs: Likewise.
        shape: Of its result, if that is one tensor.
        shapes: Of its results, if there are several.
        path: The innermost module's, "layer1.0.conv1".
        kind: The innermost module's class, "torch.nn.modules.conv.Conv2d".
    """

    name: str
    target: Any
    operator: str
    in_place: bool
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    shape: tuple[int, ...]
    shapes: list[tuple[int, ...]]
    path: str
    kind: str


@dataclass(frozen=True)
class Reference:
    """The result of an earlier step, by its name."""

    name: str


@dataclass
class Program:
    """The steps of a module in order.

    Attributes:
        inputs: The names of its inputs.
        tensors: Placeholder's name -> (name in the state_dict or "", tensor) of parameters, buffers and constants.
        steps: All calls of operators.
        outputs: References, constants or None, in the order of `spec`.
        spec: PyTorch's description of the outputs' structure.
        modules: All modules by path.
        shapes: Of the inputs.
        dtypes: Of the inputs.
    """

    inputs: list[str]
    tensors: dict[str, tuple[str, "torch.Tensor"]]
    steps: list[Step]
    outputs: list[Any]
    spec: Any
    modules: dict[str, Any]
    shapes: dict[str, tuple[int, ...]]
    dtypes: dict[str, str]


def export(module: "torch.nn.Module", examples: Sequence["torch.Tensor"]) -> Program:
    """Return the program of `module` in evaluation, in which dropout and batch norm are still single operators.

    Raises:
        BadInputError: torch.export cannot follow the module, or its graph depends on the batch size.
    """
    first, second = (_export(module, [_repeat(x, size) for x in examples]) for size in SIZES)
    pairs = list(zip(first.graph.nodes, second.graph.nodes, strict=False))
    if len(first.graph.nodes) != len(second.graph.nodes) or any(a.target != b.target for a, b in pairs):
        problem = f"{type(module).__name__} computes something else for another batch size"
        raise BadInputError(problem, remedy="from_torch takes one graph for every batch")
    signature = first.graph_signature
    names = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    constants = {**getattr(signature, "inputs_to_lifted_tensor_constants", {})}
    state = {**dict(module.named_buffers()), **dict(module.named_parameters(remove_duplicate=False))}
    tensors = {key: (name, state[name]) for key, name in names.items()}
    tensors |= {key: ("", first.constants[name]) for key, name in constants.items()}
    steps = [_step(a, b) for a, b in pairs if a.op == "call_function"]
    [output] = [(a, b) for a, b in pairs if a.op == "output"]
    outputs = _merge(output[0].args[0], output[1].args[0])
    inputs = {node.name: node.meta["val"] for node, _ in pairs if node.name in signature.user_inputs}
    return Program(
        inputs=list(signature.user_inputs), tensors=tensors, steps=steps, outputs=list(outputs),
        spec=first.call_spec.out_spec, modules=dict(module.named_modules()),
        shapes={name: tuple(value.shape) for name, value in inputs.items()},
        dtypes={name: str(value.dtype).removeprefix("torch.") for name, value in inputs.items()},
    )  # fmt: skip


def _repeat(example: "torch.Tensor", size: int) -> "torch.Tensor":
    return example[:1].repeat(size, *[1] * (example.ndim - 1))


def _export(module: "torch.nn.Module", examples: Sequence["torch.Tensor"]) -> Any:
    load_torch()
    import torch

    name = type(module).__name__
    try:
        with _silent(), _without_triton(), evaluation(module), _traceable(module):
            return torch.export.export(module, tuple(examples), strict=False)
    except Exception as error:  # of many classes, of which some are private
        text = str(error)
        if "data-dependent" in text or "GuardOnDataDependent" in type(error).__name__:
            problem = f"the way through {name} depends on the numbers in a tensor{_line_of(error)}"
            raise BadInputError(problem, remedy="a Keras model has one graph for every input") from error
        problem = f"torch.export cannot follow {name}: {type(error).__name__}: {in_one_line(error, 100)}"
        raise BadInputError(problem, remedy="check that module(example) works") from error


def _line_of(error: Exception) -> str:
    """Return " (line 7 of model.py)": the last line of a `forward` outside of PyTorch before the error; "" if none."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [f for f in frames if f.name == "forward" and "torch" not in Path(f.filename).parts]
    return f" (line {lines[-1].lineno} of {Path(lines[-1].filename).name})" if lines else ""


def load_torch() -> None:
    """Import PyTorch and its exporter beside any backend, also in a process of ours, which keeps other backends out."""
    backends.admit("torch", "torchvision")
    import_torch("a module of PyTorch")
    with warnings.catch_warnings(), _without_triton():
        warnings.simplefilter("ignore")
        import torch._dynamo
        import torch.export._trace  # noqa: F401  torch.export.export imports it, and so Triton


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Keep PyTorch's warnings, log and printed graphs of a failed export from the screen."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


@contextlib.contextmanager
def _without_triton() -> Iterator[None]:
    """Hide Triton if TensorFlow is loaded: both bring LLVM, and the process would end."""
    hide = "tensorflow" in sys.modules and "triton" not in sys.modules
    if hide:
        logging.getLogger("torch.utils.flop_counter").setLevel(logging.ERROR)  # it misses Triton
        sys.modules["triton"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if hide:
            del sys.modules["triton"]


@contextlib.contextmanager
def evaluation(module: "torch.nn.Module") -> Iterator[None]:
    """Set a module and all below it to evaluation, and back to what each was."""
    was = {child: child.training for child in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for child, training in was.items():
            child.training = training


@contextlib.contextmanager
def _traceable(module: "torch.nn.Module") -> Iterator[None]:
    """Give stochastic depth a trace (as a dropout), and switch attention's fast path off, which is one opaque operator.

    No gradient is needed, but without one MultiheadAttention would take the fast path.
    """
    import torch

    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    changed = [child for child in module.modules() if random_depth(child) is not None]
    for child in changed:
        rate = random_depth(child)
        child.forward = lambda x, *_, rate=rate: torch.nn.functional.dropout(x, rate, False)
    try:
        with torch.enable_grad():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for child in changed:
            del child.forward


def random_depth(module: "torch.nn.Module") -> float | None:
    """Return the rate at which a module of stochastic depth drops a whole branch; None for another module."""
    if type(module).__name__ not in RANDOM_DEPTH or "forward" in vars(module):
        return None
    return next((float(getattr(module, name) or 0) for name in RATES if hasattr(module, name)), None)


def _step(first: Any, second: Any) -> Step:
    schema = getattr(first.target, "_schema", None)
    operator = str(schema.name if schema else first.target.__name__).removeprefix("aten::")
    stack = list((first.meta.get("nn_module_stack") or {}).values())
    path, kind = stack[-1] if stack else ("", "")
    kind = kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}"
    value, other = first.meta.get("val"), second.meta.get("val")
    shape = _shape(value, other)
    shapes = [_shape(*pair) for pair in zip(value, other, strict=True)] if isinstance(value, (tuple, list)) else []
    kwargs = {key: _merge(value, second.kwargs[key]) for key, value in first.kwargs.items()}
    args = _merge(first.args, second.args)
    in_place = operator.endswith("_") and not operator.startswith("_")
    operator, path = operator.rstrip("_") if in_place else operator, path.split("@")[0]
    return Step(first.name, first.target, operator, in_place, args, kwargs, shape, shapes, path, kind)


def _shape(first: Any, second: Any) -> tuple[int, ...]:
    return tuple(_merge(tuple(first.shape), tuple(second.shape))) if hasattr(first, "shape") else ()


def _merge(first: Any, second: Any) -> Any:
    """Return an argument of both exports: nodes as References, numbers that differ as Batched."""
    if isinstance(first, (tuple, list)):
        merged = [_merge(a, b) for a, b in zip(first, second, strict=True)]
        return tuple(merged) if isinstance(first, tuple) else merged
    if hasattr(first, "graph") and hasattr(first, "name"):
        return Reference(first.name)
    if isinstance(first, int) and not isinstance(first, bool) and first != second:
        if first * SIZES[1] != second * SIZES[0]:
            problem = f"a number in the graph, {first}, becomes {second} for another batch size"
            raise BadInputError(problem, remedy="from_torch takes one graph for every batch")
        return Batched(first)
    return first
