"""The digest of the code that a verification proves. No framework is imported.

It is of the syntax tree without docstrings, so that neither a comment nor a line break changes it.
"""

import ast
import functools
from collections.abc import Sequence
from pathlib import Path

from kerasnets.models.registry import NETWORKS
from kerasnets.proof.case import title_of
from kerasnets.recipes import RECIPES
from kerasnets.runtime.digests import sha256

PACKAGE = Path(__file__).parents[1]

# What decides a network's numbers, in training and in a file: the networks, their graph, what `fit` trains, the judge.
PROVEN = (
    "models/*.py",
    *(f"graph/{module}.py" for module in ("flat", "head", "layout", "power", "steps", "walk", "weights")),
    *(f"training/{module}.py" for module in ("optimizers", "trainee")),
    "training/fast/*_layers.py",
    "training/fast/*_model.py",
    "training/fast/*_optimizers.py",
    "saving/keras_model.py",
    *(f"convert/{module}.py" for module in ("axes", "state_dict", "torchvision_names")),
    *(f"proof/{module}.py" for module in ("case", "distances", "margins", "optimizers", "reference", "verdict")),
    "proof/verification.py",
    "proof/fit_*.py",
    "proof/twins/*.py",
)
# What `engines` proves besides
ENGINES = (*PROVEN, "proof/engine*.py", "runtime/processor.py")
BUILDERS = ("models", "twins")  # the folders with a file for each architecture
PROSE = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)  # may start with a docstring


def digest(patterns: Sequence[str] = PROVEN, network: str | None = None) -> str:
    """Return 16 hexadecimal digits of the proven code, and of the recipes' optimizers.

    Args:
        patterns: The files, from the package's folder.
        network: The title of a form. The files and twins of other networks are then left out, and their recipes.
    """
    paths = sorted({path for pattern in patterns for path in PACKAGE.glob(pattern)})
    recipes = sorted({f"{recipe.model}: {title_of(recipe)}" for recipe in RECIPES.values()})
    if network is not None:
        name = network.split()[0]
        others = {file_of(other) for other in NETWORKS} - {file_of(name)}
        paths = [path for path in paths if not (path.parent.name in BUILDERS and path.stem in others)]
        recipes = [recipe for recipe in recipes if recipe.startswith(f"{name}: ")]
    return sha256(*(f"{path.relative_to(PACKAGE).as_posix()}\n{code_in(path)}" for path in paths), *recipes)[:16]


def file_of(name: str) -> str:
    """Return the name of the files of a network's builder and twin, without ending; "" if there is no such network."""
    return NETWORKS[name].builder.split(".")[0] if name in NETWORKS else ""


@functools.cache
def code_in(path: Path) -> str:
    return code_of(path.read_text("utf-8"))


def code_of(source: str) -> str:
    """Return the syntax tree of `source` as text, without docstrings; the same for each version of Python."""
    return repr(plain(ast.parse(source)))


def plain(node: object) -> object:
    """Return a node as (name, (field, value), ...), without its place and without empty fields, which versions add."""
    if isinstance(node, list):
        return [plain(each) for each in node]
    if not isinstance(node, ast.AST):
        return node
    fields = dict(ast.iter_fields(node))
    if isinstance(node, PROSE) and ast.get_docstring(node, clean=False) is not None:
        fields["body"] = node.body[1:]
    return (type(node).__name__, *((name, plain(value)) for name, value in fields.items() if value not in (None, [])))
