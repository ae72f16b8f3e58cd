"""The lines of a forward method: names for values, and calls inside of calls where that reads well."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from kerasnets.convert.to_torch.layout import WIDTH, fit
from kerasnets.convert.to_torch.names import quote
from kerasnets.convert.to_torch.program import Block, Step, Value

INDENT = 8
DEEPEST = 3  # calls inside of calls
FEW = ("y", "z")  # names beside x; of more values at a time: branch1, branch2, ...


def forward_lines(block: Block, attributes: Mapping[int, str], inputs: list[str]) -> list[str]:
    """Return the body of `forward`.

    Args:
        block: Its steps.
        attributes: The name of each module by its id.
        inputs: The names of the arguments.
    """
    return Forward(block, attributes, inputs).lines()


class Forward:
    """Which name holds which value while the lines are written."""

    def __init__(self, block: Block, attributes: Mapping[int, str], inputs: list[str]) -> None:
        self.block, self.attributes = block, attributes
        self.uses: Counter[int] = Counter()
        for step in block.steps:
            self.uses.update({id(value) for value in step.inputs})
        self.uses.update({id(value) for value in block.outputs})
        self.names = {id(value): name for value, name in zip(block.inputs, inputs, strict=True)}
        self.inner: dict[int, tuple[str, int, Step]] = {}  # text, depth: to be put into the next call
        self.many = most_alive(block) > 3
        self.written: list[tuple[str, str]] = []  # (names, expression)

    def lines(self) -> list[str]:
        for step, following in zip(self.block.steps, [*self.block.steps[1:], None], strict=False):
            self.write(step, following)
        results = [self.names[id(value)] for value in self.block.outputs]
        structure = self.block.structure
        result = structure_text(structure, iter(results)) if isinstance(structure, dict) else ", ".join(results)
        if self.written and self.written[-1][0] == result:
            statements = [f"{names} = {text}" for names, text in self.written[:-1]] + [f"return {self.written[-1][1]}"]
        else:
            statements = [f"{names} = {text}" for names, text in self.written] + [f"return {result}"]
        return [line for statement in statements for line in fit(statement, INDENT)]

    def write(self, step: Step, following: Step | None) -> None:
        text, depth = self.text(step)
        if self.goes_inside(step, following, depth) and len(text) + INDENT + 24 < WIDTH:
            self.inner[id(step.outputs[0])] = text, depth, step
            return
        self.assign(step, text)

    def text(self, step: Step) -> tuple[str, int]:
        """Return the expression of a step; what waits to go inside becomes a line of its own if it is too long."""
        depth = max([self.inner[id(value)][1] for value in step.inputs if id(value) in self.inner], default=0)
        text = self.expression(step)
        if depth and len(text) + INDENT + len("branch1 = ") > WIDTH:
            for value in step.inputs:
                if id(value) in self.inner:
                    inner, _, before = self.inner.pop(id(value))
                    self.assign(before, inner)
            return self.expression(step), 0
        return text, depth + 1

    def expression(self, step: Step) -> str:
        inputs = [self.inner[id(v)][0] if id(v) in self.inner else self.names[id(v)] for v in step.inputs]
        if step.module is not None:
            return f"self.{self.attributes[id(step.module)]}({', '.join(inputs)})"
        return step.expression.format(*inputs)

    def goes_inside(self, step: Step, following: Step | None, depth: int) -> bool:
        """Whether the next step is the only one that takes the value, and encloses it."""
        if following is None or len(step.outputs) > 1 or depth >= DEEPEST:
            return False
        [value] = step.outputs
        if self.uses[id(value)] != 1 or value not in following.inputs or following.expression.count("{0}") > 1:
            return False
        return (following.encloses and len(following.inputs) == 1) or step.enclosed

    def assign(self, step: Step, text: str) -> None:
        held = self.sources(step)
        self.uses.subtract(id(value) for value in held)
        alive = {self.names[key] for key, count in self.uses.items() if count > 0 and key in self.names}
        names = []
        for value in step.outputs:
            name = self.name_for([self.names[id(value)] for value in held], alive)
            alive.add(name)
            names.append(name)
        for value, name in zip(step.outputs, names, strict=True):
            self.names[id(value)] = name
        self.written.append((", ".join(names), text))

    def sources(self, step: Step) -> list[Value]:
        """Return the values with names that the expression of a step takes, those of inner calls among them."""
        values: list[Value] = []
        for value in {id(value): value for value in step.inputs}.values():
            values += self.sources(self.inner.pop(id(value))[2]) if id(value) in self.inner else [value]
        return values

    def name_for(self, sources: list[str], alive: set[str]) -> str:
        is_branch = self.many and len(sources) == 1 and any(name.startswith("branch") for name in alive)
        if len(sources) == 1 and sources[0] not in alive and not (is_branch and sources[0] == "x"):
            return sources[0]
        if "x" not in alive and not is_branch:
            return "x"
        free = [name for name in sources if name not in alive]
        if free and not is_branch:
            return free[0]
        if not self.many:
            for name in FEW:
                if name not in alive:
                    return name
        number = 1
        while f"branch{number}" in alive:
            number += 1
        return f"branch{number}"


def most_alive(block: Block) -> int:
    """Return how many values are needed at the same time at most."""
    last = {id(value): len(block.steps) for value in block.outputs}
    for i, step in reversed(list(enumerate(block.steps))):
        for value in step.inputs:
            last.setdefault(id(value), i)
    alive, most = {id(value) for value in block.inputs}, 1
    for i, step in enumerate(block.steps):
        alive = {value for value in alive if last.get(value, -1) > i} | {id(value) for value in step.outputs}
        most = max(most, len(alive))
    return most


def structure_text(structure: Any, names: Iterator[str]) -> str:
    """Return the outputs as Keras gives them: a dict by its own keys, whose order in `names` is that of Keras."""
    if isinstance(structure, dict):
        texts = {key: structure_text(structure[key], names) for key in sorted(structure)}
        return "{" + ", ".join(f"{quote(str(key))}: {texts[key]}" for key in structure) + "}"
    if isinstance(structure, (list, tuple)):
        return "(" + "".join(f"{structure_text(part, names)}, " for part in structure).rstrip() + ")"
    return next(names)
