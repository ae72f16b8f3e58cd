"""What a pickle holds that is no plain container, as inert objects: names, and calls of names."""

from dataclasses import dataclass, field
from typing import Any


class Refusal(ValueError):
    """What is wrong with a pickle."""


@dataclass(eq=False)
class Name:
    """A class or function that a pickle names, which was not imported."""

    text: str


@dataclass(eq=False)
class Call:
    """What a pickle would have made by calling a name: its arguments, its state, and the items put into it."""

    name: str
    args: tuple[Any, ...] = ()
    state: Any = None
    items: dict[Any, Any] = field(default_factory=dict)

    def append(self, item: Any) -> None:
        """Forget an item of a list."""

    def extend(self, items: Any) -> None:
        """Forget items of a list."""

    def add(self, item: Any) -> None:
        """Forget an item of a set."""

    def __setitem__(self, key: Any, value: Any) -> None:
        self.items[key] = value


def is_saved_module(value: Any) -> bool:
    """Whether a value stands for a whole torch.nn.Module, which was saved instead of its state_dict."""
    return isinstance(value, Call) and isinstance(value.state, dict) and {"_parameters", "_modules"} <= set(value.state)


def state_of(module: Call) -> dict[str, Any]:
    """Return the state_dict of a module: its parameters and buffers, and those of the modules in it."""
    state, waiting, seen = {}, [("", module)], set()
    while waiting:
        path, each = waiting.pop()
        if id(each) in seen:
            raise Refusal("a module within itself")
        seen.add(id(each))
        skipped = each.state.get("_non_persistent_buffers_set")
        names = {str(name) for name in (skipped.args[0] if isinstance(skipped, Call) and skipped.args else ())}
        for part in ("_parameters", "_buffers"):
            for name, value in dict(each.state.get(part) or {}).items():
                if value is not None and name not in names:
                    state[f"{path}{name}"] = value
        children = list(dict(each.state["_modules"] or {}).items())
        waiting += [(f"{path}{name}.", child) for name, child in reversed(children) if is_saved_module(child)]
    return state
