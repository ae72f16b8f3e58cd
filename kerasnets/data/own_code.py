"""A person's own function or network in a file, such as "my_net.py:build". The file is run like any program."""

import functools
import importlib.util
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeGuard

from kerasnets.errors import BadInputError, in_one_line

FORM = re.compile(r"(?P<file>.+\.py):(?P<function>[^\W\d]\w*)")


def is_function(name: object) -> TypeGuard[str]:
    """Whether a name is of the form "file.py:function"."""
    return isinstance(name, str) and FORM.fullmatch(name) is not None


def parts(name: str) -> tuple[Path, str]:
    """Return (the file, the function's name); ValueError if the name has another form."""
    match = FORM.fullmatch(name)
    if match is None:
        raise ValueError(f"{name!r:.60} is no function in a file; write file.py:function")
    return Path(match["file"]), match["function"]


def title_of(name: str) -> str:
    """Return the name of the file, as a title: "my_net"."""
    return re.sub(r"\W+", "_", parts(name)[0].stem)


def check(name: str) -> None:
    """Raise BadInputError if there is no such file; nothing is run."""
    file, _ = parts(name)
    if not file.is_file():
        raise BadInputError("no file {path}", path=file, remedy="check the name")


def load(name: str) -> Callable[..., Any]:
    """Run the file as a module and return its function, which raises a BadInputError in one line if it fails.

    A network in place of the function, of Keras or PyTorch, is returned as it is. The file can import modules beside
    it.

    Raises:
        BadInputError: The file is missing, fails, or has no such function.
    """
    check(name)
    file, function = parts(name)
    beside = str(file.resolve().parent)
    if beside not in sys.path:
        sys.path.insert(0, beside)
    spec = importlib.util.spec_from_file_location(f"own_{title_of(name)}", file)
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    sys.modules[module.__name__] = module  # which a data class in it looks up
    in_words(spec.loader.exec_module, file)(module)  # type: ignore[union-attr]
    target = getattr(module, function, None)
    if not callable(target):
        raise BadInputError(f"has no function {function!r:.60}", path=file, remedy="check the name")
    return target if is_network(target) else in_words(target, file)


def make(name: str) -> Any:
    """Run the file and return the network that the name stands for, or that the function of the name returns."""
    target = load(name)
    return target if is_network(target) else target()


def is_network(target: Any) -> bool:
    """Whether something is a keras.Model or a torch.nn.Module, and not the class of one or a function."""
    return not isinstance(target, type) and (hasattr(target, "state_dict") or hasattr(target, "get_weights"))


def in_words(function: Callable[..., Any], file: Path) -> Callable[..., Any]:
    """Return `function` with any error as a BadInputError that names the file; --debug shows the traceback."""

    @functools.wraps(function, updated=())  # not the attributes of a class
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            problem = f"failed: {type(error).__name__}: {in_one_line(error, 100)}"
            raise BadInputError(problem, path=file, remedy="mend it (--debug shows where)") from error

    return call
