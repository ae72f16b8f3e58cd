"""The state of a compiled network as arrays by name: its layers', its optimizer's, and the random generators'."""

import contextlib
import dataclasses
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from kerasnets.errors import BadInputError
from kerasnets.runtime.cores import cores
from kerasnets.training.checkpoints import Checkpoint

if TYPE_CHECKING:
    import keras

Value = TypeVar("Value")


def arrays_of(network: "keras.Model") -> dict[str, np.ndarray]:
    """Return a copy of the state: {"layers/...", "optimizer/...", "generators/...": array}."""
    from keras import ops

    named = {f"layers/{name}": variable for name, variable in variables(network).items()}
    named |= {f"optimizer/{variable.path}": variable for variable in network.optimizer.variables}
    arrays = {name: np.array(ops.convert_to_numpy(variable)) for name, variable in named.items()}
    return arrays | {f"generators/{name}": get() for name, (get, _) in generators().items()}


def restore(network: "keras.Model", checkpoint: "Checkpoint") -> None:
    """Give a compiled network the state in `checkpoint`; raise BadInputError if it is of another network."""
    network.optimizer.build(network.trainable_variables)
    assign(variables(network), checkpoint.part("layers"))
    saved = checkpoint.part("generators")
    for name, (_, put) in generators().items():
        if name in saved:  # a checkpoint of another backend or device lacks it
            put(saved[name])
    optimizer = {variable.path: variable for variable in network.optimizer.variables}
    assign(without_first(optimizer), without_first(checkpoint.part("optimizer")))


def metrics_of(network: "keras.Model") -> dict[str, np.ndarray]:
    """Return {"metrics/...": array}, what the metrics have added up in this epoch."""
    from keras import ops

    return {f"metrics/{i}": np.array(ops.convert_to_numpy(v)) for i, v in enumerate(network.metrics_variables)}


def restore_metrics(network: "keras.Model", checkpoint: "Checkpoint") -> None:
    """Go on with the metrics of a checkpoint within an epoch."""
    from kerasnets.training.optimizers import make_metrics

    if checkpoint.step:
        if len(network.metrics_variables) < len(checkpoint.part("metrics")):
            make_metrics(network)
        assign({str(i): variable for i, variable in enumerate(network.metrics_variables)}, checkpoint.part("metrics"))


def build_metrics(network: "keras.Model") -> None:
    """Build the loss and the metrics of a compiled network.

    `fit` would do it by a symbolic batch, for which PyTorch imports its compiler: seconds and more than 100 MiB.
    """
    from keras import ops

    from kerasnets.training.optimizers import make_metrics

    make_metrics(network)
    network.compute_loss(None, ops.zeros((1,), "int32"), ops.zeros((1, network.output_shape[-1])))


def check(network: "keras.Model", checkpoint: "Checkpoint") -> None:
    """Raise BadInputError if the state in `checkpoint` is not one of this compiled network. It is left as it is."""
    network.optimizer.build(network.trainable_variables)
    layers, best = checkpoint.part("layers"), checkpoint.part("best")
    check_shapes(variables(network), layers)
    check_shapes(variables(network), best or layers)
    optimizer = {variable.path: variable for variable in network.optimizer.variables}
    check_shapes(without_first(optimizer), without_first(checkpoint.part("optimizer")))
    if not all(np.isfinite(array).all() for array in checkpoint.arrays.values()):
        raise BadInputError("the checkpoint has numbers that are not finite")
    saved = checkpoint.part("generators")
    for name, (get, put) in generators().items():
        if name in saved:
            before = get()
            try:
                if saved[name].dtype != before.dtype:
                    raise ValueError(f"{saved[name].dtype}")
                put(saved[name])
            except Exception as error:  # torch raises several classes
                raise BadInputError(f"the checkpoint has no state of the generator {name}") from error
            finally:
                put(before)


def assign(variables: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Assign each variable the array with its name."""
    check_shapes(variables, arrays)
    for name, variable in variables.items():
        variable.assign(arrays[name].astype(variable.dtype))


def with_names_of(network: "keras.Model", checkpoint: "Checkpoint") -> "Checkpoint":
    """Return a checkpoint with the names that the variables of this compiled network have.

    Keras numbers the names that it chooses itself anew in each process, and on within it: what was dense is dense_1
    when the same function builds the network again. If names differ in such numbers alone, their order decides.
    """
    network.optimizer.build(network.trainable_variables)
    optimizer = [variable.path for variable in network.optimizer.variables]
    layers = list(variables(network))
    arrays = dict(checkpoint.arrays)
    for part, names in (("layers", layers), ("best", layers), ("optimizer", optimizer)):
        saved = list(checkpoint.part(part))
        if [*map(without_number, saved)] == [*map(without_number, names)]:
            old = [arrays.pop(f"{part}/{name}") for name in saved]
            arrays |= {f"{part}/{name}": array for name, array in zip(names, old, strict=True)}
    return dataclasses.replace(checkpoint, arrays=arrays)


def without_number(name: str) -> str:
    """Return the name of a variable without the numbers of automatic names: "adam/dense_1_kernel" is dense_kernel's."""
    return re.sub(r"_\d+(?=[_/]|$)", "", name)


def check_shapes(variables: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Raise BadInputError unless there is an array for each variable, of its shape."""
    if variables.keys() != arrays.keys():
        difference = sorted(variables.keys() ^ arrays.keys())[0]
        raise BadInputError(f"the checkpoint is of another network or optimizer: they differ in {difference}")
    for name, variable in variables.items():
        if tuple(variable.shape) != arrays[name].shape:
            raise BadInputError(f"the checkpoint is of another network: {name} has another shape")


def variables(network: "keras.Model") -> dict[str, Any]:
    """Return {name: variable} of everything that a layer keeps: weights, statistics, the state of its dropout."""
    return {f"{layer.name}/{i}": v for layer in network.layers for i, v in enumerate(layer.variables)}


def averages(network: "keras.Model") -> list[tuple[Any, Any]]:
    """Return [(trainable variable, the average of its values)]; empty if the optimizer averages none."""
    if not network.optimizer.use_ema:
        return []
    kept = [variable for variable in network.optimizer.variables if variable.path.endswith("_average")]
    return list(zip(network.trainable_variables, kept, strict=True))


def averaged(network: "keras.Model") -> dict[str, np.ndarray]:
    """Return {name: average} of the variables that have one, with the names of `variables`."""
    from keras import ops

    names = {id(variable): name for name, variable in variables(network).items()}
    return {names[id(variable)]: np.array(ops.convert_to_numpy(mean)) for variable, mean in averages(network)}


def swap_averages(network: "keras.Model") -> None:
    """Exchange the weights and their averages, exactly: Keras' SwapEMAWeights adds and subtracts on TensorFlow."""
    from keras import ops

    for variable, average in averages(network):
        weights, mean = (np.array(ops.convert_to_numpy(each)) for each in (variable, average))
        variable.assign(mean)
        average.assign(weights)


def generators() -> dict[str, tuple[Callable[[], np.ndarray], Callable[[np.ndarray], None]]]:
    """Return {name: (get its state, set its state)} of the random number generators that no Keras variable holds.

    On torch, Keras' Dropout draws from PyTorch's global generator unless its layer has a seed.
    """
    torch = sys.modules.get("torch")
    if not torch:
        return {}
    result = {"torch": (lambda: torch.get_rng_state().numpy(), lambda state: torch.set_rng_state(torch.tensor(state)))}
    if torch.cuda.is_available():
        result["cuda"] = (
            lambda: torch.cuda.get_rng_state().numpy(),
            lambda state: torch.cuda.set_rng_state(torch.tensor(state)),
        )
    return result


def without_first(named: Mapping[str, Value]) -> dict[str, Value]:
    """Drop the optimizer's own name from the start of each name: a process' second SGD is called sgd_1."""
    return {name.partition("/")[2]: value for name, value in named.items()}


# ---- threads ---------------------------------------------------------------------------------------------------------


def threads() -> int:
    """Return the number of threads that compute: PyTorch's, or as other backends have them, one for each core."""
    if torch := torch_that_computes():
        return int(torch.get_num_threads())
    return cores()


def set_threads(count: int) -> bool:
    """Compute with `count` threads if the backend can change their number; return whether it can."""
    torch = torch_that_computes()
    if torch:
        torch.set_num_threads(count)
    return bool(torch)


@contextlib.contextmanager
def keep_threads() -> Iterator[None]:
    """Set the number of threads back at the end of the block."""
    before = threads()
    try:
        yield
    finally:
        if threads() != before:
            set_threads(before)


def torch_that_computes() -> Any:
    """Return PyTorch if it is Keras' backend; else None."""
    import keras

    return sys.modules["torch"] if keras.backend.backend() == "torch" else None
