"""Blocks of one structure become one class; numbers in which they differ become arguments of its `__init__`."""

import re
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kerasnets.convert.to_torch.convolutions import DEFAULTS, ORDER
from kerasnets.convert.to_torch.names import class_name, identifier, literal, numbered_last, readable, unique
from kerasnets.convert.to_torch.program import Block, Chain, Leaf, Step, Value

CHANNELS = ("in_channels", "out_channels", "in_features", "out_features", "num_features", "num_channels", "channels",
            "groups", "normalized_shape")  # fmt: skip
POSITIONAL = {"in_channels", "out_channels", "in_features", "out_features", "num_features", "num_groups",
              "num_channels", "normalized_shape", "num_embeddings", "embedding_dim", "p", "num_parameters",
              "channels"}  # fmt: skip
OUTS = ("out_channels", "out_features")
Slot = tuple[int, str]  # the number of a step, and the name of an argument


@dataclass
class BlockClass:
    """A class of the text, and the blocks that it is the class of."""

    name: str
    blocks: list[Block]
    attributes: list[dict[int, str]] = field(default_factory=list)  # of each block: the name of each module by its id
    parameters: dict[str, list[Any]] = field(default_factory=dict)  # of __init__: the value in each block
    places: dict[Slot, str] = field(default_factory=dict)  # where a parameter, or an expression of one, stands

    def index(self, block: Block) -> int:
        return next(i for i, other in enumerate(self.blocks) if other is block)


def signature(block: Block) -> Hashable:
    """Return what blocks of one class have in common: all but names and numbers."""
    numbers: dict[int, int] = {}
    for value in block.inputs:
        numbers.setdefault(id(value), len(numbers))
    modules: dict[int, int] = {}
    parts: list[Hashable] = []
    for step in block.steps:
        wires = tuple(numbers.setdefault(id(value), len(numbers)) for value in step.inputs)
        for value in step.outputs:
            numbers.setdefault(id(value), len(numbers))
        number = modules.setdefault(id(step.module), len(modules)) if step.module else -1
        parts.append((wires, step.expression, step.frozen, number, kind_of(step), len(step.outputs)))
    outputs = tuple(numbers[id(value)] for value in block.outputs)
    return (tuple(parts), outputs, structure_of(block.structure))


def kind_of(step: Step) -> Hashable:
    module = step.module
    if isinstance(module, Block):
        return signature(module)
    if isinstance(module, Chain):
        return tuple(map(signature, module.blocks))
    if module is None:
        return None
    fixed = tuple((name, value) for name, value in sorted(module.args.items()) if not is_number(value))
    return (module.kind, fixed, tuple(sorted(name for name in module.args if name not in DEFAULTS)))


def is_number(value: Any) -> bool:
    numbers = value if isinstance(value, tuple) else (value,)
    return all(isinstance(x, (int, np.integer)) and not isinstance(x, bool) for x in numbers) or isinstance(
        value, float
    )


def structure_of(structure: Any) -> Hashable:
    return tuple(structure) if isinstance(structure, dict) else isinstance(structure, (list, tuple))


def common_prefix(names: list[str]) -> list[str]:
    """Return the words that all names begin with: ["stage1", "block2"]."""
    words = [name.split("_") for name in names]
    prefix = []
    for column in zip(*words, strict=False):
        if len(set(column)) > 1:
            break
        prefix.append(column[0])
    return prefix


def name_modules(block: Block) -> dict[int, str]:
    """Return the attribute of each module of a block by its id, without what all their names have in common."""
    modules = {id(step.module): step.module for step in block.steps if step.module is not None}
    names: dict[int, str] = {}
    for key, module in modules.items():
        words = module.layer.split("_")
        shorter = words[len(common_prefix([block.layer, module.layer])) :] or words[-1:]
        text = "_".join(shorter) or "layer"
        if shorter != words and text[0].isdigit():
            prefix = "conv" if isinstance(module, Leaf) and "Conv" in module.kind else "layer"
            text = numbered_last(text).replace("layer_", f"{prefix}_")
        if text[0].isdigit() and isinstance(module, Block):
            text = f"{block_class_name(module).lower()}_{text}"
        names[key] = unique(identifier(readable(text)), names.values())
    return names


def fill(block_class: BlockClass) -> None:
    """Find the names of the modules and the parameters of `__init__`."""
    blocks = block_class.blocks
    first = name_modules(blocks[0])
    order = list(first)
    block_class.attributes = [first]
    for block in blocks[1:]:
        keys = list(dict.fromkeys(id(step.module) for step in block.steps if step.module is not None))
        block_class.attributes.append({key: first[old] for key, old in zip(keys, order, strict=True)})
    if len(blocks) == 1:
        return
    known: dict[tuple[Any, ...], str] = {}
    for slot, values in slots(blocks).items():
        if len(set(values)) == 1:
            continue
        key = tuple(values)
        if key not in known:
            known[key] = relation(values, slot[1], block_class.parameters) or parameter(block_class, slot, values)
        block_class.places[slot] = known[key]
    parameters = sorted(block_class.parameters.items(), key=lambda item: not is_channels(item[0]))
    block_class.parameters = dict(parameters)
    if "out_channels" not in block_class.parameters:  # as many go in as come out
        renamed = {"in_channels": "channels"}
        block_class.parameters = {renamed.get(name, name): v for name, v in block_class.parameters.items()}
        places = {slot: re.sub(r"\bin_channels\b", "channels", text) for slot, text in block_class.places.items()}
        block_class.places = places


def is_channels(parameter: str) -> bool:
    return parameter.endswith("channels") or parameter.startswith("out_")


def slots(blocks: list[Block]) -> dict[Slot, list[Any]]:
    """Return the arguments of the leaves of blocks of one structure: the value in each block."""
    result: dict[Slot, list[Any]] = {}
    for i, steps in enumerate(zip(*(block.steps for block in blocks), strict=True)):
        modules = [step.module for step in steps if isinstance(step.module, Leaf)]
        if not modules:
            continue
        names = {name for module in modules for name in module.args}
        for name in sorted(names, key=lambda name: ORDER.index(name) if name in ORDER else -1):
            result[i, name] = [module.args.get(name, DEFAULTS.get(name)) for module in modules]
    return result


def relation(values: list[Any], name: str, parameters: dict[str, list[Any]]) -> str | None:
    """Return "2 * channels" or "kernel_size // 2" if the values are that of a parameter in every block."""
    if not all(isinstance(value, int) for value in values) or len(set(values)) < 2:
        return None
    for other, numbers in parameters.items():
        if not all(isinstance(number, int) and number > 0 for number in numbers):
            continue
        if name == "padding" and other.endswith("kernel_size") and values == [number // 2 for number in numbers]:
            return f"{other} // 2"
        if name not in CHANNELS or not is_channels(other):
            continue
        times = values[0] // numbers[0]
        if times > 1 and values == [times * number for number in numbers]:
            return f"{times} * {other}"
        share = numbers[0] // values[0] if values[0] else 0
        if share > 1 and numbers == [share * value for value in values]:
            return f"{other} // {share}"
    return None


def parameter(block_class: BlockClass, slot: Slot, values: list[Any]) -> str:
    step, name = slot
    parameters = block_class.parameters
    attribute = block_class.attributes[0][id(block_class.blocks[0].steps[step].module)]
    if name in ("in_channels", "in_features", "num_features", "normalized_shape"):
        text = "in_channels"
    elif name in CHANNELS:
        text = f"out_{attribute[5:]}" if re.match(r"conv_\d", attribute) else f"{attribute}_channels"
        text = "out_channels" if is_last(block_class, step, values) else text
    else:
        text = name
    text = text if text not in parameters else f"{attribute}_{name}"
    text = unique(text, parameters)
    parameters[text] = values
    return text


def is_last(block_class: BlockClass, step: int, values: list[Any]) -> bool:
    """Whether these channels are those of the output, or the only ones that the block makes."""
    channels = [tuple(v) for (_, name), v in slots(block_class.blocks).items() if name.startswith("out_")]
    differing = {key for key in channels if len(set(key)) > 1}
    ends = [channels_of(block.outputs[0]) for block in block_class.blocks]
    return differing == {tuple(values)} or ends == values


def channels_of(value: Value) -> int | None:
    return value.shape[value.order[1]] if value.rank > 1 else None


def arguments_text(args: dict[str, Any], places: dict[str, str] | None = None) -> str:
    """Return the arguments of a module's constructor; `places` has expressions instead of some values."""
    places = places or {}
    names = sorted(args.keys() | places.keys(), key=lambda name: ORDER.index(name) if name in ORDER else -1)
    names = [*args, *(name for name in places if name not in args)] if set(names) - set(ORDER) else names
    texts = []
    for name in names:
        text = places.get(name) or literal(args[name])
        texts.append(text if name in POSITIONAL else f"{name}={text}")
    return ", ".join(texts)


def block_class_name(block: Block) -> str:
    """Return a name for what the block is: ResidualBlock, Inception, DenseLayer."""
    last = block.steps[-1]
    if last.enclosed or last.encloses:
        last = next((step for step in block.steps if step.outputs[0] in last.inputs), last)
    if last.expression.startswith("torch.cat"):
        return "DenseLayer" if block.inputs[0] in last.inputs else "Inception"
    if " + " in last.expression and len(last.inputs) > 1:
        direct = block.inputs[0] in last.inputs
        return ("InvertedResidual" if widens(block) else "ResidualBlock") if direct else "ProjectionBlock"
    if " * " in last.expression and block.inputs[0] in last.inputs:
        return "SqueezeExcite"
    words = [word for word in block.layer.split("_") if not word.isdigit()]
    return class_name("_".join(words).rstrip("0123456789"), "Block")


def widens(block: Block) -> bool:
    """Whether a block has more channels inside than at its ends, and a convolution by depth."""
    arguments = [step.module.args for step in block.steps if isinstance(step.module, Leaf)]
    wider = [a for a in arguments for out in OUTS if a.get(out, 0) > a.get(out.replace("out", "in"), 0)]
    return bool(wider) and any(a.get("groups", 1) != 1 for a in arguments)
