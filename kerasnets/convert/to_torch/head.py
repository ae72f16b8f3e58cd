"""The docstring of a written file: what goes in and what comes out."""

import re

import keras
from keras import layers

from kerasnets.convert.to_torch.program import Block, Value, identity
from kerasnets.graph import nodes, producer

AXES = {4: "channels, height, width", 5: "channels, depth, height, width"}
FIRST_LAYERS = (layers.Permute, layers.ZeroPadding2D, layers.Reshape, layers.InputLayer)


def head(model: keras.Model, network: Block, name: str, weights: str = "") -> str:
    """Return the docstring: input, output and weights. All of it is numbers and words of ours.

    Args:
        model: The Keras model.
        network: Its translation.
        name: The name of the class.
        weights: The name of the file of weights, if there is one.
    """
    ranges = [range_of(model, tensor) for tensor in model.inputs]
    takes = [f"{dtype_of(tensor)} {axes(value)}{text}"
             for value, tensor, text in zip(network.inputs, model.inputs, ranges, strict=True)]  # fmt: skip
    gives = [f"float32 {axes(value)}{meaning(tensor)}"
             for value, tensor in zip(network.outputs, model.outputs, strict=True)]  # fmt: skip
    lines = [f"{name} in PyTorch, converted from Keras by kerasnets.", ""]
    lines += [f"Input: {text}." for text in takes] + [f"Output: {text}." for text in gives]
    file = weights if re.fullmatch(r"[\w.+-]+", weights, re.ASCII) else "weights.safetensors"
    lines += ["", "    from safetensors.torch import load_file", f"    model = {name}()"]
    lines += [f'    model.load_state_dict(load_file("{file}"))', "    model.eval()"]
    return "\n".join(lines) + "\n"


def axes(value: Value) -> str:
    """Return "(n, 3, 224, 224)" of the tensor in PyTorch."""
    sizes = ["n", *(str(value.shape[axis] or "any") for axis in value.order[1:])]
    names = f": (n, {AXES[value.rank]})" if value.rank in AXES and value.order != identity(value.rank) else ""
    return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''}){names}"


def dtype_of(tensor: keras.KerasTensor) -> str:
    return "int64" if "int" in tensor.dtype and tensor.dtype != "uint8" else "float32"


def range_of(model: keras.Model, tensor: keras.KerasTensor) -> str:
    """Return what the first layers tell about the numbers of the input: a scaling of pixels of 0 to 255."""
    return ", pixels from 0 to 255" if takes_pixels(model, tensor) else ""


def takes_pixels(model: keras.Model, tensor: keras.KerasTensor) -> bool:
    """Whether the network scales pixels itself: by a Rescaling of about 1/255, or a mean of more than 1."""
    for node in nodes(model):
        if not any(other is tensor for other in node.input_tensors):
            continue
        layer = node.operation
        if isinstance(layer, layers.Rescaling):
            scales = layer.scale if isinstance(layer.scale, (list, tuple)) else [layer.scale]
            return bool(max(scales) < 0.1)
        if isinstance(layer, layers.Normalization):
            return bool(keras.ops.convert_to_numpy(layer.mean).max() > 2)
        if isinstance(layer, FIRST_LAYERS):
            return takes_pixels(model, node.outputs[0])
    return False


def meaning(tensor: keras.KerasTensor) -> str:
    """Return ", probabilities" after a softmax or a sigmoid."""
    layer = producer(tensor)
    activation = getattr(layer, "activation", None)
    if isinstance(layer, layers.Softmax) or activation is keras.activations.softmax:
        return ", probabilities of the classes"
    if activation is keras.activations.sigmoid:
        return ", probabilities"
    return ", logits of the classes" if len(tensor.shape) == 2 and isinstance(layer, layers.Dense) else ""
