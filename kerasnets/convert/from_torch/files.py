"""A model file from a module in a Python file of the user's own, whose code is run."""

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from kerasnets import saving
from kerasnets.convert.from_torch.conversion import convert
from kerasnets.convert.from_torch.programs import load_torch
from kerasnets.convert.model_files import PLAIN, Conversion, Preparation, origin_fields
from kerasnets.errors import BadInputError, in_one_line, name_path
from kerasnets.graph import make_whole
from kerasnets.graph.weights import count
from kerasnets.runtime.atomic import check_writable

SEPARATOR = ".py:"  # "module.py:make_model"


def make_module_file(
    place: str,
    example: Sequence[int],
    out: str | Path,
    preparation: Preparation = PLAIN,
) -> Conversion:
    """Write the model file of a classifier that PyTorch code builds.

    Args:
        place: "FILE.py:NAME" of a function without arguments that returns the module, or of a module. The file is run.
        example: The shape of its input, (n, channels, height, width).
        out: The model file, .keras or .h5.
        preparation: Of the module.

    Raises:
        ValueError: A setting is impossible.
        BadInputError: The code fails, or gives no classifier of pictures that can be converted.
        DisagreementError: The model differs from the module.
        OSError: `out` cannot be written.
    """
    saving.check_suffix(out)
    check_writable(out)
    if len(example) != 4 or min(example) < 1:
        raise ValueError("--example is the shape of a picture batch, NxCHANNELSxHEIGHTxWIDTH, as 1x3x224x224")
    scaling = preparation.scaling(example[1])
    load_torch()
    import torch

    torch.manual_seed(0)
    with name_path(place):
        network, difference = convert(load_module(place), torch.randn(*example))
        check_classifier(network)
    whole = make_whole(network, scaling=scaling).model  # a softmax or sigmoid in the module stays the only one
    classes = int(whole.outputs[0].shape[-1])
    shape, names, input_kind = tuple(network.input_shape[1:]), preparation.names(classes), preparation.input_kind
    card = saving.Card(network.name, names, shape, input_kind, source=Path(place).name, **origin_fields())
    saving.save(whole, out, card)
    scale, offset = scaling
    return Conversion(
        model=network.name, source=card.source.replace(" ", "_"), file=str(out), tensors=len(network.weights),
        parameters=count(network.trainable_weights), classes=classes, input_shape=shape, scale=scale, offset=offset,
        input_kind=input_kind, backend=keras.config.backend(), difference=difference,
    )  # fmt: skip


def check_classifier(network: Any) -> None:
    """Raise BadInputError unless a network gives one row of numbers."""
    shapes = [tuple(output.shape) for output in network.outputs]
    if len(shapes) != 1 or len(shapes[0]) != 2:
        problem = f"gives {' and '.join(map(str, shapes))}, not one number for each class"
        raise BadInputError(problem, remedy="in Python, kerasnets.from_torch converts it")


def load_module(place: str) -> Any:
    """Run the Python file in "FILE.py:NAME" and return the module that NAME is or builds."""
    path, _, name = place.rpartition(":")
    if not Path(path).is_file():
        raise BadInputError("no file {path}", path=path, remedy="check the name")
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    assert spec is not None  # of a .py file
    assert spec.loader is not None
    code = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(Path(path).resolve().parent))  # its own imports, as if it were run as a script
    try:
        sys.modules[spec.name] = code
        spec.loader.exec_module(code)
        target = getattr(code, name)
        return target if hasattr(target, "state_dict") and not isinstance(target, type) else target()
    except AttributeError as error:
        if hasattr(code, name):
            raise BadInputError(f"fails: {in_one_line(error, 100)}") from error
        raise BadInputError(f"has no {name}", path=path, remedy="name a function that returns the module") from error
    except Exception as error:  # the user's own code
        raise BadInputError(f"fails: {type(error).__name__}: {in_one_line(error, 100)}") from error
    finally:
        sys.path.pop(0)
