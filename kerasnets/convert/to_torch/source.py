"""The text of a translated network: one file of plain PyTorch."""

import re
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from kerasnets.convert.to_torch.classes import (
    BlockClass,
    arguments_text,
    block_class_name,
    fill,
    is_channels,
    signature,
)
from kerasnets.convert.to_torch.forward import forward_lines
from kerasnets.convert.to_torch.helpers import HELPERS
from kerasnets.convert.to_torch.layout import fit
from kerasnets.convert.to_torch.names import class_name, identifier, literal, quote, unique
from kerasnets.convert.to_torch.program import Block, Chain, Leaf, inner_blocks, leaves

USED_NAMES = ("torch", "nn", "F", "x", *HELPERS)


class Source:
    """The classes of a network, in the order in which they are written, and the names of its weights."""

    def __init__(self, network: Block) -> None:
        self.network = network
        self.classes: dict[Hashable, BlockClass] = {}
        self.collect(network, is_network=True)
        for block_class in self.classes.values():
            fill(block_class)
        self.weights = dict(self.named_weights(network, ""))

    @property
    def name(self) -> str:
        return self.class_of(self.network).name

    def collect(self, block: Block, is_network: bool = False) -> None:
        for step in block.steps:
            if isinstance(step.module, (Block, Chain)):
                for inner in inner_blocks(step.module):
                    self.collect(inner)
        key = signature(block)
        if key not in self.classes:
            first_choice = class_name(block.layer) if is_network else block_class_name(block)
            names = {*USED_NAMES, *(other.name for other in self.classes.values())}
            self.classes[key] = BlockClass(free_name(first_choice, names), [])
        if all(block is not other for other in self.classes[key].blocks):
            self.classes[key].blocks.append(block)

    def class_of(self, block: Block) -> BlockClass:
        return self.classes[signature(block)]

    def named_weights(self, block: Block, prefix: str) -> Any:
        block_class = self.class_of(block)
        names = block_class.attributes[block_class.index(block)]
        for key, module in {id(step.module): step.module for step in block.steps if step.module}.items():
            path = f"{prefix}{names[key]}."
            if isinstance(module, Block):
                yield from self.named_weights(module, path)
            elif isinstance(module, Chain):
                for i, inner in enumerate(module.blocks):
                    yield from self.named_weights(inner, f"{path}{i}.")
            else:
                yield from ((f"{path}{part}", np.asarray(array, order="C")) for part, array in module.weights.items())

    # ---- text ----

    def text(self, head: str, class_names: Sequence[str] = ()) -> str:
        """Return the whole file; `head` is the content of its docstring."""
        classes = [self.class_text(block_class) for block_class in self.classes.values()]
        body = "\n\n\n".join(classes)
        kinds = {leaf.kind for leaf in leaves(self.network)}
        helpers = [text for name, text in HELPERS.items() if name in kinds or f"{name}(" in body]
        names = fit(f"CLASSES = ({', '.join(map(quote, class_names))})", 0) if len(class_names) > 1 else []
        parts = "\n\n\n".join([*(text.rstrip() for text in helpers), body])
        imports = ["import torch"] if re.search(r"\btorch\.", parts) else []
        imports += ["import torch.nn.functional as F"] if re.search(r"\bF\.", parts) else []
        imports += ["from torch import nn"]
        top = "\n".join([*imports, *(["", *names] if names else [])])
        return f'"""{head}"""\n\n{top}\n\n\n{parts}\n'

    def class_text(self, block_class: BlockClass) -> str:
        block = block_class.blocks[0]
        names = block_class.attributes[0]
        parameters = ", ".join(["self", *block_class.parameters])
        lines = [f"class {block_class.name}(nn.Module):"]
        modules = {}
        for i, step in enumerate(block.steps):
            if step.module is not None and id(step.module) not in modules:
                modules[id(step.module)] = i, step.module
        if modules:
            lines += [*fit(f"def __init__({parameters}):", 4), "        super().__init__()"]
        for key, (i, module) in modules.items():
            lines += fit(f"self.{names[key]} = {self.constructor(module, block_class, i)}", 8)
        lines += [""] if modules else []
        inputs = input_names(block)
        lines += [*fit(f"def forward(self, {', '.join(inputs)}):", 4), *forward_lines(block, names, inputs)]
        frozen = list(dict.fromkeys(names[id(s.module)] for s in block.steps if s.frozen and s.module is not None))
        return "\n".join([*lines, *(train_lines(frozen) if frozen else [])])

    def constructor(self, module: Leaf | Block | Chain, block_class: BlockClass, step: int) -> str:
        if isinstance(module, Leaf):
            places = {name: text for (i, name), text in block_class.places.items() if i == step}
            return f"{module.kind}({arguments_text(module.args, places)})"
        if isinstance(module, Chain):
            parts = ", ".join(self.constructor(block, block_class, step) for block in module.blocks)
            return f"nn.Sequential({parts})"
        inner = self.class_of(module)
        index = inner.index(module)
        values = {name: values[index] for name, values in inner.parameters.items()}
        texts = [literal(value) if is_channels(name) else f"{name}={literal(value)}" for name, value in values.items()]
        return f"{inner.name}({', '.join(texts)})"


def free_name(name: str, used: set[str]) -> str:
    number, new = 2, name
    while new in used:
        new = f"{name}{number}"
        number += 1
    return new


def input_names(block: Block) -> list[str]:
    if len(block.inputs) == 1:
        return ["x"]
    names: list[str] = []
    for value in block.inputs:
        name = value.tensor.name if value.tensor is not None else "x"
        names.append(unique(identifier(name), names))
    return names


def train_lines(frozen: list[str]) -> list[str]:
    calls = [f"        self.{name}.eval()" for name in frozen]
    return [
        "",
        "    def train(self, mode=True):",
        '        """Keep in inference mode what Keras keeps there."""',
        "        super().train(mode)",
        *calls,
        "        return self",
    ]
