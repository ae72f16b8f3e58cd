"""A network with the weights in a file: a network of the registry, or one that a function of the user's own makes."""

import contextlib
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from kerasnets import models
from kerasnets.convert import state_dict
from kerasnets.convert.checkpoints import Table, is_weight, tables
from kerasnets.convert.choice import numbers, parts_of
from kerasnets.convert.from_torch.conversion import from_torch
from kerasnets.convert.from_torch.programs import load_torch
from kerasnets.convert.matching import is_module
from kerasnets.convert.weight_files import in_file, read_tensors
from kerasnets.errors import BadInputError, in_one_line, name_path, shorten
from kerasnets.runtime.backends import is_installed
from kerasnets.saving.keras_check import read_weights

if TYPE_CHECKING:
    import torch

Tell = Callable[[str], object]


def network_of(
    network: str | Callable[[], Any],
    weights: str | Path | None = None,
    example: Sequence[int] = (),
    num_classes: int | None = None,
    tell: Tell = lambda note: None,
) -> keras.Model:
    """Return a network, with the weights in a file.

    Args:
        network: A name in MODELS, or a function that returns a torch.nn.Module or a keras.Model.
        weights: What torch.save wrote, .safetensors, or Keras' weights in HDF5 (.weights.h5); None to keep those that
            the function gives. No code in it is run.
        example: The shape of the input of a module, (n, channels, height, width).
        num_classes: Of a network of the registry; None for its own.
        tell: Called with a note on which weights were taken, if there was a choice.

    Raises:
        BadInputError: The weights do not fit, or the code fails.
        ValueError: The example is missing, or is of no use.
    """
    if isinstance(network, str):
        options: dict[str, Any] = {} if num_classes is None else {"num_classes": num_classes}
        result = models.build(network, **options)
    else:
        if is_installed("torch"):  # before the person's own code does it, which may be of Keras alone
            load_torch()
        result = network()
    if not isinstance(result, keras.Model):  # which on torch is a module too
        if is_module(result):
            return convert(result, weights, example, tell)
        problem = f"gives {type(result).__name__}, neither a torch.nn.Module nor a keras.Model"
        raise BadInputError(problem, remedy="return the network itself")
    if example:
        raise ValueError("--example goes with a PyTorch module, and this is a network of Keras")
    if weights is not None:
        with notes_to(tell):
            (load_keras_weights if is_hdf5(weights) else state_dict.load_torch_weights)(result, weights)
    return result


def convert(module: "torch.nn.Module", weights: str | Path | None, example: Sequence[int], tell: Tell) -> keras.Model:
    """Return a module of PyTorch as a Keras model, with the weights in a file."""
    import torch

    if len(example) != 4 or min(example) < 1:
        raise ValueError("--example is the shape of a picture batch, NxCHANNELSxHEIGHTxWIDTH, as 1x3x224x224")
    if weights is not None:
        with in_file(weights):
            load_into(module, read_tensors(weights), tell)
    torch.manual_seed(0)
    return from_torch(module, torch.randn(*example))


def load_into(module: "torch.nn.Module", content: Any, tell: Tell) -> None:
    """Load the state_dict somewhere in a checkpoint, under any prefix, into a module; the trained one before copies."""
    import torch

    state = {name: tensor for name, tensor in module.state_dict().items() if is_weight(tensor)}
    found = tables(content)
    candidates = [*found, *(table.unwrapped() for table in found), *parts_of(found)]
    fits = [table for table in candidates if fits_into(state, table)]
    if not fits:
        table = max(found, key=lambda each: len(state.keys() & each.unwrapped().tensors.keys())).unwrapped()
        lacking = [name for name in state if name not in table.tensors]
        first = lacking[0] if lacking else next(name for name in state if not same_shape(state, table, name))
        problem = f"does not fit the module: {shorten(first, 40)!r} is {'missing' if lacking else 'of another shape'}"
        raise BadInputError(problem, remedy="name the function that builds the module of these weights")
    table = next((each for each in fits if not each.is_copy), fits[0])
    if any(each.is_copy != table.is_copy for each in fits) or table.is_copy:
        tell(f"took the weights in {table.place or 'its top'}")
    tensors = {name: torch.as_tensor(numbers(table.tensors[name])).to(state[name].dtype) for name in state}
    module.load_state_dict(tensors, strict=False)


def fits_into(state: dict[str, Any], table: Table) -> bool:
    return all(name in table.tensors and same_shape(state, table, name) for name in state)


def same_shape(state: dict[str, Any], table: Table, name: str) -> bool:
    return tuple(state[name].shape) == tuple(table.tensors[name].shape)


# ---- Keras' weights --------------------------------------------------------------------------------------------------


def is_hdf5(path: str | Path) -> bool:
    with open(path, "rb") as file:
        return file.read(4) == b"\x89HDF"


def load_keras_weights(network: keras.Model, path: str | Path) -> None:
    """Load what `save_weights` of Keras 3 or 2 wrote, whatever its name, into the same network.

    Raises:
        BadInputError: The file is damaged, or holds the weights of another network.
    """
    with name_path(path):
        is_old = read_weights(Path(path))
        with copy_as(path, ".h5" if is_old else ".weights.h5") as copy:
            try:
                network.load_weights(copy)
            except Exception as error:  # Keras raises several classes for weights of another network
                problem = f"does not fit {shorten(network.name, 30)} ({in_one_line(error, 80)})"
                raise BadInputError(problem, remedy="name the network of these weights") from error


@contextlib.contextmanager
def copy_as(path: str | Path, suffix: str) -> Iterator[Path]:
    """Yield `path`, or a copy with another suffix, by which Keras chooses how it reads a file."""
    if str(path).endswith(suffix) and not (suffix == ".h5" and str(path).endswith(".weights.h5")):
        yield Path(path)
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(shutil.copyfile(path, f"{folder}/{Path(path).stem}{suffix}"))


@contextlib.contextmanager
def notes_to(tell: Tell) -> Iterator[None]:
    """Pass what is said of a choice of weights to `tell`."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        yield
    for warning in caught:
        if issubclass(warning.category, UserWarning):
            tell(str(warning.message))
