"""The proof: the same inputs through the module and the model, in inference and in training."""

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kerasnets.convert.from_torch.programs import SIZES, Reference, evaluation, random_depth
from kerasnets.convert.from_torch.values import Value
from kerasnets.convert.from_torch.walk import Walk
from kerasnets.errors import DisagreementError

if TYPE_CHECKING:
    import torch

LIMIT = 2e-5  # of the outputs' scale
FARTHER = 16  # in training, where PyTorch's own float32 is far from its float64: as many times as far
MORE = 16  # pictures, if batch normalization of few is too far from float64 to judge
STEP = 32  # pixels: the other picture size; most networks halve a picture five times
DROPOUTS = ("dropout", "dropout_", "feature_dropout", "alpha_dropout", "feature_alpha_dropout", "dropout1d",
            "dropout2d", "dropout3d")  # fmt: skip


def prove(model: keras.Model, module: "torch.nn.Module", examples: Sequence["torch.Tensor"], walk: Walk) -> float:
    """Raise DisagreementError unless model and module give the same numbers; return the difference in inference."""
    others = [_others(x, 2 if len(x) != 2 else 3) for x in examples]
    largest = 0.0
    for inputs in (examples, others):
        distance = _distance(run_keras(model, inputs), run_torch(module, inputs))
        largest = max(largest, distance)
        if not distance <= LIMIT:
            raise DisagreementError(_explain(distance, "in inference", walk, module, inputs))
    if not walk.builder.sized and all(x.ndim == 4 for x in examples):
        _prove_size(model, module, others, walk)
    _prove_training(model, module, others, walk)
    return largest


def _others(example: "torch.Tensor", count: int) -> "torch.Tensor":
    """Return other numbers of the example's kind."""
    import torch

    if not example.is_floating_point():
        return example[:1].repeat(count, *[1] * (example.ndim - 1))
    generator = torch.Generator().manual_seed(0)
    spread = float(example.std()) if example.numel() > 1 else 0.0
    noise = torch.randn(count, *example.shape[1:], generator=generator)
    return (noise * (spread or 1.0) + float(example.mean())).to(example)


def _prove_size(model: keras.Model, module: "torch.nn.Module", examples: Sequence["torch.Tensor"], walk: Walk) -> None:
    """Compare on larger pictures, if the module takes them."""
    import torch

    larger = [torch.nn.functional.pad(x[:1], (0, STEP, 0, STEP), mode="replicate") for x in examples]
    try:
        expected = run_torch(module, larger)
    except Exception:  # it takes one size alone
        return
    arrays = [keras.ops.convert_to_tensor(_to_public(x)) for x in larger]
    try:  # not the check of the input size
        result = model.call(arrays[0] if len(arrays) == 1 else arrays, training=False)
    except Exception:  # sizes of the example's pictures are in its graph
        return
    distance = _distance(_arrays(result), expected)
    if not distance <= LIMIT:
        raise DisagreementError(f"on pictures of another size the model is {distance:.1e} off the module")


# ---- training --------------------------------------------------------------------------------------------------------


def _prove_training(
    model: keras.Model, module: "torch.nn.Module", examples: Sequence["torch.Tensor"], walk: Walk
) -> None:
    """Compare in training without dropout, by PyTorch in float64, from which it may itself be far in float32."""
    import torch

    try:
        near, exact = (train_torch(module, examples, dtype) for dtype in (torch.float32, torch.float64))
    except Exception:  # batch norm of a single number, or no float64: nothing to compare with
        return
    normalizations = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    saved = [layer.get_weights() for layer in normalizations]
    try:
        with _no_rates(model):
            outputs = run_keras(model, examples, training=True)
    finally:
        for layer, weights in zip(normalizations, saved, strict=True):
            layer.set_weights(weights)
    if len(exact) < len(outputs) or any(a.shape != b.shape for a, b in zip(outputs, exact, strict=False)):
        return  # in training the module gives something else
    count = len(outputs)
    own = _distance(near[:count], exact[:count])
    distance = _distance(outputs, exact[:count])
    if not distance <= max(LIMIT, FARTHER * own):
        if all(len(x) < MORE for x in examples):  # the mean and variance of two or three numbers can hide little
            return _prove_training(model, module, [_others(x, MORE) for x in examples], walk)
        raise DisagreementError(_explain(distance, "in training", walk, None, examples))


def train_torch(module: "torch.nn.Module", inputs: Sequence["torch.Tensor"], dtype: Any) -> list[np.ndarray]:
    """Return a module's outputs in training without dropout, computed in `dtype`; the module keeps its statistics."""
    import torch

    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    state = {name: x.detach().to(dtype) if x.is_floating_point() else x.detach().clone() for name, x in tensors.items()}
    state = {name: x.clone() for name, x in state.items()}
    was = {child: child.training for child in module.modules()}
    changed = [child for child in module.modules() if random_depth(child) is not None]
    module.train()
    for child in changed:
        child.forward = lambda x, *_: x
    try:
        with torch.no_grad(), _without_dropout():
            values = tuple(x.to(dtype) if x.is_floating_point() else x for x in inputs)
            return _tensors(torch.func.functional_call(module, state, values))
    finally:
        for child, training in was.items():
            child.training = training
        for child in changed:
            del child.forward


def _without_dropout() -> Any:
    from torch.overrides import TorchFunctionMode

    class WithoutDropout(TorchFunctionMode):
        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            name, kwargs = getattr(function, "__name__", ""), dict(kwargs or {})
            if name in DROPOUTS:
                return args[0] if args else kwargs["input"]
            if name == "scaled_dot_product_attention":
                args = (*args[:4], 0.0, *args[5:]) if len(args) > 4 else args
                kwargs = {key: 0.0 if key == "dropout_p" else value for key, value in kwargs.items()}
            return function(*args, **kwargs)

    return WithoutDropout()


@contextlib.contextmanager
def _no_rates(model: keras.Model) -> Iterator[None]:
    rates = {layer: layer.rate for layer in model.layers if getattr(layer, "rate", 0)}
    for layer in rates:
        layer.rate = 0
    try:
        yield
    finally:
        for layer, rate in rates.items():
            layer.rate = rate


# ---- runs and distances ----------------------------------------------------------------------------------------------


def run_torch(module: "torch.nn.Module", inputs: Sequence["torch.Tensor"]) -> list[np.ndarray]:
    import torch

    with torch.no_grad(), evaluation(module):
        return _tensors(module(*inputs))


def _tensors(outputs: Any) -> list[np.ndarray]:
    """Return the tensors of any structure as Keras' public outputs."""
    import torch.utils._pytree as trees

    if isinstance(outputs, dict):  # as Keras takes them out, by their names
        return [x for _, part in sorted(outputs.items()) for x in _tensors(part)]
    if isinstance(outputs, (tuple, list)):
        return [x for part in outputs for x in _tensors(part)]
    return [_to_public(x) for x in trees.tree_leaves(outputs) if hasattr(x, "detach")]


def _to_public(x: "torch.Tensor") -> np.ndarray:
    array = x.detach().cpu().numpy()
    return np.ascontiguousarray(array.transpose(0, 2, 3, 1) if array.ndim == 4 else array)


def run_keras(model: keras.Model, inputs: Sequence["torch.Tensor"], training: bool = False) -> list[np.ndarray]:
    arrays = [_to_public(x) for x in inputs]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _arrays(model(arrays[0] if len(arrays) == 1 else arrays, training=training))


def _arrays(outputs: Any) -> list[np.ndarray]:
    return [np.asarray(keras.ops.convert_to_numpy(x)) for x in keras.tree.flatten(outputs)]


def _distance(ours: Sequence[np.ndarray], theirs: Sequence[np.ndarray]) -> float:
    """Return the largest difference, as a share of the largest number of the same output."""
    distances = [0.0]
    for a, b in zip(ours, theirs, strict=True):
        if a.shape != b.shape:
            return float("inf")
        scale = max(float(np.abs(b).max(initial=0)), 1e-12)
        distances.append(float(np.abs(a - b).max(initial=0)) / scale)
    return max(distances) if np.isfinite(distances).all() else float("inf")


# ---- the first layer that differs ------------------------------------------------------------------------------------


def _explain(distance: float, when: str, walk: Walk, module: Any, inputs: Sequence["torch.Tensor"]) -> str:
    text = f"{when} the model is {distance:.1e} of the scale off the module, more than {LIMIT:.0e}"
    first = _first_difference(walk, inputs) if module is not None else ""
    return f"{text}; the first layer that differs: {first}" if first else text


def _first_difference(walk: Walk, inputs: Sequence["torch.Tensor"]) -> str:
    """Return the first step whose own result differs, computed by PyTorch step by step; "" if none does."""
    expected = _run_steps(walk, inputs)
    values = {
        step.name: walk.results[step.name]
        for step in walk.builder.program.steps
        if isinstance(walk.results[step.name], Value)
    }
    symbols = walk.builder.inputs
    probe = keras.Model(symbols[0] if len(symbols) == 1 else symbols, [value.tensor for value in values.values()])
    results = run_keras(probe, [_for_steps(x) for x in inputs])
    steps = {step.name: step for step in walk.builder.program.steps}
    for (name, value), array in zip(values.items(), results, strict=True):
        theirs = expected[name]
        ours = array.transpose(np.argsort(value.axes))
        if value.rows is not None:
            ours = ours[:, np.argsort(value.rows)]
        distance = _distance([ours], [theirs])
        if not distance <= LIMIT:
            step = steps[name]
            return f"{step.operator} in {step.path or 'the module itself'} ({distance:.1e})"
    return ""


def _for_steps(x: "torch.Tensor") -> "torch.Tensor":
    """Return an input of the batch size that the steps were exported with."""
    return x[:1].repeat(SIZES[0], *[1] * (x.ndim - 1))


def _run_steps(walk: Walk, inputs: Sequence["torch.Tensor"]) -> dict[str, np.ndarray]:
    import torch

    program = walk.builder.program
    values: dict[str, Any] = {key: tensor.detach() for key, (_, tensor) in program.tensors.items()}
    values |= dict(zip(program.inputs, map(_for_steps, inputs), strict=True))

    def lookup(argument: Any) -> Any:
        if isinstance(argument, Reference):
            return values[argument.name]
        return [lookup(item) for item in argument] if isinstance(argument, (tuple, list)) else argument

    results = {}
    with torch.no_grad():
        for step in program.steps:
            kwargs = {key: lookup(value) for key, value in step.kwargs.items()}
            value = values[step.name] = step.target(*lookup(step.args), **kwargs)
            if isinstance(value, torch.Tensor):
                results[step.name] = value.detach().cpu().numpy().copy()
    return results
