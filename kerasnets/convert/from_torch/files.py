"""A model file from a PyTorch module of the user's own."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from kerasnets import saving
from kerasnets.convert.from_torch.conversion import convert
from kerasnets.convert.from_torch.programs import load_torch
from kerasnets.convert.model_files import PLAIN, Conversion, Preparation, origin_fields
from kerasnets.errors import BadInputError
from kerasnets.graph import make_whole
from kerasnets.graph.weights import count
from kerasnets.runtime.atomic import check_writable

if TYPE_CHECKING:
    import torch


def make_module_file(
    make: Callable[[], "torch.nn.Module"],
    source: str,
    example: Sequence[int],
    out: str | Path,
    preparation: Preparation = PLAIN,
) -> Conversion:
    """Write the model file of a classifier that PyTorch code builds.

    Args:
        make: Function that returns the module.
        source: What the card says of where it comes from.
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
    network, difference = convert(make(), torch.randn(*example))
    check_classifier(network)
    whole = make_whole(network, scaling=scaling).model  # a softmax or sigmoid in the module stays the only one
    classes = int(whole.outputs[0].shape[-1])
    shape, names, input_kind = tuple(network.input_shape[1:]), preparation.names(classes), preparation.input_kind
    card = saving.Card(network.name, names, shape, input_kind, source=source, **origin_fields())
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
