"""Print the packages of kerasnets by layer, and the packages that each one imports.

    python scripts/house.py

Needs grimp, which import-linter brings; the layers are those of the contract in pyproject.toml.
"""

import argparse
import tomllib
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add nothing: the script has no options."""


def run(args: argparse.Namespace) -> None:
    print(plan())


def layers() -> list[list[str]]:
    """Return the names of the packages by layer, the highest first, as pyproject.toml has them."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    (contract,) = (contract for contract in contracts if contract["type"] == "layers")
    return [[package.strip().partition(".")[2] for package in layer.split("|")] for layer in contract["layers"]]


def arrows() -> dict[str, set[str]]:
    """Return {package: the packages that it imports}; an import inside a function counts."""
    import grimp

    graph = grimp.build_graph("kerasnets")
    targets: dict[str, set[str]] = defaultdict(set)
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            package, other = package_of(module), package_of(imported)
            if package and other and package != other:
                targets[package].add(other)
    return dict(targets)


def package_of(module: str) -> str:
    """Return the package of a module's dotted name; "" of kerasnets itself."""
    return module.partition(".")[2].partition(".")[0]


def lines_of(package: str) -> int:
    """Count the lines of Python in a package or a single module."""
    folder = ROOT / "kerasnets" / package
    files = folder.rglob("*.py") if folder.is_dir() else [folder.with_suffix(".py")]
    return sum(len(file.read_text(encoding="utf-8").splitlines()) for file in files)


def plan() -> str:
    """Return the packages as text, a line each, layer by layer, and the totals."""
    imports, lines = arrows(), []
    for layer in layers():
        for package in layer:
            uses = ", ".join(sorted(imports.get(package, ()))) or "none"
            lines.append(f"{package:<12}{lines_of(package):>6} lines  imports {uses}")
        lines.append("")
    packages = sum(map(len, layers()))
    return "\n".join(
        [*lines, f"{packages} packages in {len(layers())} layers, {sum(map(len, imports.values()))} arrows"]
    )
