"""The weights of a network in a checkpoint: wherever they lie in it, and whatever wrappers put before their names."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasnets.convert.pickle_numbers import plain
from kerasnets.convert.pickle_parts import Call, Name, is_saved_module, state_of
from kerasnets.errors import BadInputError, shorten

DEEPEST, MOST_PARTS = 12, 20_000  # of a checkpoint that is searched
OPTIMIZERS = re.compile("optim|scheduler|scaler|callbacks|loops", re.IGNORECASE)  # parts that hold no network
COPIES = re.compile(r"(^|[._])(ema|swa|averaged?|shadow|teacher|target)([._]|$)|ema_|_ema", re.IGNORECASE)
WRAPPERS = ("module", "_orig_mod", "model", "net", "network", "backbone", "encoder", "state_dict")


@dataclass(frozen=True)
class Table:
    """Tensors in a checkpoint, by names without a wrapper's prefix.

    Attributes:
        place: Where they lie, for a message: "model_ema", "state_dict, backbone."; "" if they are all of it.
        tensors: By name.
        rest: Names of the tensors beside them that are not in it.
    """

    place: str
    tensors: dict[str, Any]
    rest: tuple[str, ...] = ()

    @property
    def is_copy(self) -> bool:
        """Whether its name says that it is an averaged copy of the weights."""
        return bool(COPIES.search(self.place))

    def under(self, prefix: str) -> "Table":
        """Return the part whose names begin with `prefix`."""
        tensors = {name.removeprefix(prefix): self.tensors[name] for name in self.tensors if name.startswith(prefix)}
        rest = tuple(name for name in self.tensors if not name.startswith(prefix))
        return Table(", ".join(filter(None, (self.place, prefix))), tensors, rest)

    def unwrapped(self) -> "Table":
        """Return the table without the prefixes that wrappers put before each of its names."""
        table = self
        while (heads := {name.partition(".")[0] for name in table.tensors if is_weight(table.tensors[name])}) and (
            len(heads) == 1 and (head := heads.pop()) in WRAPPERS
        ):
            table = Table(self.place, table.under(f"{head}.").tensors)
        return table


def is_tensor(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype")


def is_weight(value: Any) -> bool:
    return is_tensor(value) and len(value.shape) > 0


def tables(content: Any) -> list[Table]:
    """Return the tables of tensors in a checkpoint, the outermost first.

    Raises:
        BadInputError: There is none.
    """
    if not isinstance(content, Mapping) and not is_saved_module(content):
        problem = f"there is a {'Tensor' if is_tensor(content) else type(content).__name__} in it, not a state_dict"
        raise BadInputError(problem, remedy="save model.state_dict()")
    made = list(search(content))
    if not made:
        problem = "there are no weights in it"
        raise BadInputError(problem, remedy="pass the state_dict of a trained module")
    return made


def search(content: Any) -> Iterator[Table]:
    """Yield the mappings that hold tensors themselves, then those whose parts do, as one table of joined names."""
    waiting: list[tuple[tuple[str, ...], Any]] = [((), content)]
    joined: list[tuple[tuple[str, ...], dict[str, Any]]] = []
    seen: set[int] = set()
    for _ in range(MOST_PARTS):
        if not waiting:
            break
        path, part = waiting.pop(0)
        if id(part) in seen or len(path) > DEEPEST:
            continue
        seen.add(id(part))
        mapping = mapping_of(part)
        if any(is_weight(value) for value in mapping.values()):
            check_names(mapping)
            yield Table(".".join(path), old_names(mapping))
        inner = {str(key): mapping_of(value) for key, value in mapping.items()}
        inner = {key: value for key, value in inner.items() if value and not OPTIMIZERS.search(key)}
        if len(inner) > 1:
            joined.append((path, inner))
        waiting += [((*path, key), mapping[original]) for original in mapping if (key := str(original)) in inner]
    for path, inner in joined:
        yield Table(".".join(path), flatten(inner))


def mapping_of(part: Any) -> dict[Any, Any]:
    """Return the entries of a mapping, of a module or of an object like one; {} of anything else."""
    if is_saved_module(part):
        return state_of(part)
    entries = part.items if isinstance(part, Call) else part if isinstance(part, Mapping) else {}
    return {key: plain(value) for key, value in entries.items()}


def flatten(parts: dict[str, Any], depth: int = 0) -> dict[str, Any]:
    """Return the tensors of nested mappings by their joined names."""
    made: dict[str, Any] = {}
    for key, value in parts.items():
        inner = mapping_of(value) if depth < DEEPEST else {}
        if inner:
            made |= {f"{key}.{name}": tensor for name, tensor in flatten(inner, depth + 1).items()}
        elif is_tensor(value) and len(made) < MOST_PARTS:
            made[str(key)] = value
    return made


def check_names(mapping: Mapping[Any, Any]) -> None:
    for name, value in mapping.items():
        if is_tensor(value) and (not isinstance(name, str) or not name.isprintable()):
            problem = f"it has {shorten(repr(name))} for a tensor's name"
            raise BadInputError(problem, remedy="save model.state_dict()")


def old_names(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries without those that are no weights; DenseNet's published names as torchvision replaces them."""
    kept = {name: mapping[name] for name in mapping if not is_fact(mapping[name])}
    return {re.sub(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)", r"\1\2", str(name)): kept[name] for name in kept}


def is_fact(value: Any) -> bool:
    """Whether a value beside tensors is a number, text or a part of its own, as the epoch or an optimizer's state."""
    return value is None or isinstance(value, (bool, int, float, str, np.generic, Mapping, Call, Name))
