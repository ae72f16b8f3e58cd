"""from_torch: export the module, walk over its operators, prove the model."""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import keras

from kerasnets.convert.from_torch import proof
from kerasnets.convert.from_torch.builder import Builder
from kerasnets.convert.from_torch.programs import Program, export
from kerasnets.convert.from_torch.values import Batched, Value, channels_last
from kerasnets.convert.from_torch.walk import Walk
from kerasnets.convert.matching import is_module, unwrap_module
from kerasnets.errors import BadInputError
from kerasnets.graph import skip_initializers
from kerasnets.graph.walk import register_parameters

if TYPE_CHECKING:
    import torch


def from_torch(module: "torch.nn.Module", example: "torch.Tensor | Sequence[torch.Tensor]") -> keras.Model:
    """Turn a PyTorch network into a plain Keras model of the same numbers, on any backend.

    The model is functional and made of Keras' own layers and operations, so that plain Keras loads its `.keras` file.
    Layers have the names of the modules (`layer1.0.conv1` becomes `layer1_0_conv1`); dropout and batch normalization
    train as they did. Before it is returned, its outputs are compared with the module's: on the example, on another
    batch size and, if the network allows it, on another picture size; in inference, and in training without dropout.

    Args:
        module: The network, with float32 weights. Its own code runs.
        example: An input, float (n, channels, height, width), or several. Height and width are those of the model.

    Returns:
        A model whose pictures are (n, height, width, channels), with the outputs of `module.eval()`; outputs with four
        axes are (n, height, width, channels) too. It has the input size of the example and any batch size.

    Raises:
        BadInputError: torch.export cannot follow the module, or an operator is unknown. The message names it.
        DisagreementError: The model differs by more than 2e-5 of the outputs' scale. The message names the first layer.
        ImportError: PyTorch is not installed.

    Example:
        >>> import torch
        >>> conv, dense = torch.nn.Conv2d(3, 8, 3), torch.nn.Linear(8 * 36, 10)
        >>> module = torch.nn.Sequential(conv, torch.nn.ReLU(), torch.nn.Flatten(), dense)
        >>> model = kerasnets.from_torch(module, torch.rand(1, 3, 8, 8))
        >>> [layer.name for layer in model.layers], model.output_shape
        (['input', '0', '1', '2', '3'], (None, 10))
    """
    return convert(module, example)[0]


def convert(module: Any, example: Any) -> tuple[keras.Model, float]:
    """Return (model, the largest difference of its outputs from the module's, as a share of their scale)."""
    module, examples = _check(module, example)
    program = export(module, examples)
    with skip_initializers():
        model, walk = build(program, type(module).__name__)
        register_parameters(model)
    return model, proof.prove(model, module, examples, walk)


def _check(module: Any, example: Any) -> tuple[Any, list[Any]]:
    if not is_module(module):
        problem = f"from_torch takes a torch.nn.Module, not {type(module).__name__}"
        raise BadInputError(problem, remedy="build the network and load its state_dict first")
    module = unwrap_module(module)
    examples = list(example) if isinstance(example, (tuple, list)) else [example]
    if not examples or not all(hasattr(x, "detach") and x.ndim > 1 and len(x) for x in examples):
        raise BadInputError("the example must be a tensor (n, channels, height, width), or several in a tuple")
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if tensor.is_floating_point() and str(tensor.dtype) != "torch.float32":
            raise BadInputError(f"{name} is {tensor.dtype}", remedy="call module.float() first")
        if tensor.is_meta:
            raise BadInputError(f"{name} is on the meta device, without numbers", remedy="load the weights first")
    return module, [x.detach() for x in examples]


def build(program: Program, name: str) -> tuple[keras.Model, Walk]:
    """Return the model of a program, and the walk that has each step's value."""
    inputs, values = [], {}
    for key in program.inputs:
        shape = program.shapes[key]
        axes = channels_last(4) if len(shape) == 4 else tuple(range(len(shape)))
        dtype = program.dtypes[key]
        tensor = keras.Input([int(shape[axis]) for axis in axes[1:]], name=key, dtype=dtype)
        values[key] = Value(tensor, axes, (Batched(shape[0]), *map(int, shape[1:])))
        inputs.append(tensor)
    builder = Builder(program, inputs)
    walk = Walk(builder, values)
    outputs = [_public(builder, output) for output in walk.run()]
    structure = _structure(program, outputs)
    with _deep_recursion(4 * len(program.steps)):
        return keras.Model(inputs[0] if len(inputs) == 1 else inputs, structure, name=name), walk


@contextlib.contextmanager
def _deep_recursion(more: int) -> Iterator[None]:
    """Let Python call `more` levels deeper: Keras maps a graph by recursion, a level or more for each layer."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(limit + more)
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


def _public(builder: Builder, output: Any) -> Any:
    if not isinstance(output, Value):
        raise BadInputError("an output does not depend on the input")
    axes = channels_last(4) if output.rank == 4 else range(output.rank)
    tensor = builder.arrange(output, axes).tensor
    builder.name_operations([tensor])
    return tensor


def _structure(program: Program, outputs: list[Any]) -> Any:
    """Return the outputs as the module does: one, a dict, or a list."""
    import torch.utils._pytree as trees

    tree = trees.tree_unflatten(outputs, program.spec)
    return dict(tree) if isinstance(tree, dict) else outputs[0] if len(outputs) == 1 else outputs
