"""Repeated parts of a network, found by how its steps are joined and by the names of its layers."""

import re
from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial

from kerasnets.convert.to_torch.classes import common_prefix, signature
from kerasnets.convert.to_torch.names import AUTOMATIC
from kerasnets.convert.to_torch.program import Block, Chain, Step, Value

LONGEST = 150  # steps in a block
FEWEST_IN_SEQUENCE = 3


@dataclass(eq=False)
class Region:
    """Steps one after the other with one value going in and one coming out."""

    start: int
    stop: int
    block: Block

    def contains(self, other: "Region") -> bool:
        """Whether `other` is a part of it with a longer name."""
        longer = len(other.block.layer) > len(self.block.layer)
        return longer and self.start <= other.start and other.stop <= self.stop

    def overlaps(self, others: list["Region"]) -> bool:
        return any(self.start < other.stop and other.start < self.stop for other in others)


def with_blocks(network: Block) -> Block:
    """Return `network` with parts that occur twice or more as blocks, and blocks one after the other as sequences."""
    inner: dict[int, Block] = {}
    steps = []
    for step in network.steps:
        if isinstance(step.module, Block):
            block = inner.setdefault(id(step.module), with_blocks(step.module))
            step = Step(step.layer, step.inputs, step.outputs, block)
        steps.append(step)
    network = Block(network.layer, network.inputs, network.outputs, steps, network.structure)
    joined = joined_regions(network)
    inside = [region for region in joined if re.search(r"\d", region.block.layer.split("_")[-1])]
    named = [region for region in named_regions(network) if not any(region.contains(other) for other in inside)]
    return in_sequences(fold(network, choose_regions([*joined, *named])))


def choose_regions(regions: list[Region]) -> list[Region]:
    """Return the largest regions whose structure occurs at least twice, without overlaps."""
    keys: dict[int, Hashable] = {id(region): signature(region.block) for region in regions}
    regions = sorted(regions, key=lambda region: region.start - region.stop)
    while True:
        accepted: list[Region] = []
        counts = Counter(keys[id(region)] for region in regions)
        for region in regions:
            if counts[keys[id(region)]] > 1 and not region.overlaps(accepted):
                accepted.append(region)
        kept = Counter(keys[id(region)] for region in accepted)
        if all(count > 1 for count in kept.values()):
            return sorted(accepted, key=lambda region: region.start)
        regions = [region for region in regions if kept[keys[id(region)]] != 1]


def fold(network: Block, regions: list[Region]) -> Block:
    steps, position = [], 0
    for region in regions:
        block = region.block
        steps += network.steps[position : region.start]
        steps.append(Step(block.layer, block.inputs, block.outputs, block))
        position = region.stop
    steps += network.steps[position:]
    return Block(network.layer, network.inputs, network.outputs, steps, network.structure)


# ---- regions ----


def joined_regions(network: Block) -> list[Region]:
    """The regions that end where branches join: from the value that they all come from."""
    maker = Maker(network)
    regions = []
    for end, step in enumerate(network.steps):
        if len(step.inputs) < 2:
            continue
        for start in range(end - 1, max(end - LONGEST, -1), -1):
            if len(maker.inputs_of(start, end + 1)) == 1:
                regions.append(maker.region(start, end + 1))
                break
    return [region for region in regions if region]


def named_regions(network: Block) -> list[Region]:
    """The regions of layers whose names begin alike, up to a number: stage1_conv1, stage1_conv2."""
    maker = Maker(network)
    regions: list[Region | None] = []
    start = 0
    while start < len(network.steps):
        prefix = numbered_prefix(network.steps[start])
        stop = maker.extend(start, 1, prefix, partial(maker.is_whole, start)) if prefix else start
        steps = network.steps[start:stop]
        if sum(step.has_weights for step in steps) > 1 and not any(map(is_block, steps)):
            regions.append(maker.region(start, stop, prefix))
        start = max(stop, start + 1)
    return [region for region in regions if region]


class Maker:
    """Makes regions of one network."""

    def __init__(self, network: Block) -> None:
        self.network, self.steps = network, network.steps
        self.users: dict[int, list[int]] = {}
        for i, step in enumerate(self.steps):
            for value in step.inputs:
                self.users.setdefault(id(value), []).append(i)
        self.results = {id(value) for value in network.outputs}
        self.calls: dict[int, list[int]] = {}
        for i, step in enumerate(self.steps):
            self.calls.setdefault(id(step.module), []).append(i)

    def inputs_of(self, start: int, stop: int) -> list[Value]:
        """Return the values from outside that steps take."""
        inside = {id(value) for step in self.steps[start:stop] for value in step.outputs}
        outside = {id(v): v for step in self.steps[start:stop] for v in step.inputs if id(v) not in inside}
        return list(outside.values())

    def outputs_of(self, start: int, stop: int) -> list[Value]:
        """Return the values that steps make for others."""
        values = [value for step in self.steps[start:stop] for value in step.outputs]
        return [
            value
            for value in values
            if id(value) in self.results or any(not start <= i < stop for i in self.users.get(id(value), []))
        ]

    def is_whole(self, start: int, stop: int) -> bool:
        """Whether one value goes in, one comes out of the last step, and no module is called elsewhere too."""
        outputs = self.outputs_of(start, stop)
        own = all(
            start <= i < stop
            for step in self.steps[start:stop]
            if step.module is not None
            for i in self.calls[id(step.module)]
        )
        last = self.steps[stop - 1].outputs
        return own and len(self.inputs_of(start, stop)) == 1 and len(outputs) == 1 and outputs == last

    def region(self, start: int, stop: int, prefix: list[str] | None = None) -> Region | None:
        """Return the region with the steps beside it that belong to it by their names, or an activation."""
        steps = self.steps
        if not self.is_whole(start, stop) or not any(step.has_weights for step in steps[start:stop]):
            return None
        if prefix is None:
            prefix = common_prefix([s.layer for s in steps[start:stop] if s.has_weights and not is_automatic(s)])
            if prefix in (step.layer.split("_") for step in steps[start:stop] if step.has_weights):
                prefix = prefix[:-1]
            if prefix and re.search(r"\d", prefix[-1]):
                start = self.extend(start, -1, prefix, lambda new: self.is_whole(new, stop))
                stop = self.extend(stop, 1, prefix, lambda new: self.is_whole(start, new))
        after = steps[stop] if stop < len(steps) else None
        if after and after.encloses and after.module is None and self.is_whole(start, stop + 1):
            stop += 1
        inputs, outputs = self.inputs_of(start, stop), self.outputs_of(start, stop)
        named = [step.layer for step in steps[start:stop] if not is_automatic(step)]
        layer = "_".join(prefix) or (named[-1] if named else "block")
        return Region(start, stop, Block(layer, inputs, outputs, steps[start:stop]))

    def extend(self, edge: int, way: int, prefix: list[str], allows: Callable[[int], bool]) -> int:
        """Move an edge over the steps of a prefix, and the functions between them, to the last place allowed."""
        new = best = edge
        while 0 <= new + way <= len(self.steps) and abs(new - edge) < LONGEST:
            step = self.steps[new if way > 0 else new - 1]
            new += way
            if belongs(step, prefix):
                best = new if allows(new) else best
            elif step.module is not None:
                break
        return best


def belongs(step: Step, prefix: list[str]) -> bool:
    return step.layer.split("_")[: len(prefix)] == prefix


def is_automatic(step: Step) -> bool:
    return bool(AUTOMATIC.fullmatch(step.layer))


def numbered_prefix(step: Step) -> list[str]:
    """Return the words of a layer's name up to the first with a number; none if that is the whole name."""
    if is_automatic(step):
        return []
    words = step.layer.split("_")
    for i, word in enumerate(words[:-1]):
        if re.search(r"\d", word):
            return words[: i + 1]
    return []


# ---- sequences ----


def in_sequences(network: Block) -> Block:
    """Return `network` with blocks of one stage, one after the other, as nn.Sequential."""
    uses = Counter(id(value) for step in network.steps for value in step.inputs)
    uses.update(id(value) for value in network.outputs)
    steps: list[Step] = []
    run: list[Step] = []
    for step in [*network.steps, None]:
        follows = step is not None and run and is_block(step) and stage(step) == stage(run[0])
        if run and not (follows and step and step.inputs == run[-1].outputs and uses[id(step.inputs[0])] == 1):
            steps += [sequence(run)] if len(run) >= FEWEST_IN_SEQUENCE else run
            run = []
        if step and is_block(step) and stage(step):
            run.append(step)
        elif step:
            steps.append(step)
    return Block(network.layer, network.inputs, network.outputs, steps, network.structure)


def is_block(step: Step | None) -> bool:
    return step is not None and isinstance(step.module, Block) and len(step.inputs) == 1


def stage(step: Step) -> str:
    """Return the stage of a block by its name: "stage1" of stage1_block2, "blocks" of block_3, "block2" of block2a."""
    words = step.layer.split("_")
    if len(words) > 1:
        name = "_".join(words[:-1])
        return name if re.search(r"\d", name) else f"{name}s"
    match = re.fullmatch(r"([a-z]+\d+)[a-z]", step.layer)
    return match[1] if match else ""


def sequence(run: list[Step]) -> Step:
    blocks = [step.module for step in run if isinstance(step.module, Block)]
    name = stage(run[0])
    return Step(name, run[0].inputs, run[-1].outputs, Chain(name, blocks))
