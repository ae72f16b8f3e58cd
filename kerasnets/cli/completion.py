"""Shell completion: a script for bash, zsh or tcsh, which shtab writes from the parsers.

The script is static, so a TAB starts no Python.
"""

import argparse

from kerasnets.cli import main
from kerasnets.recipes import RECIPES

FILES = {"FILE", "MODEL", "IMAGE", "NAME", "NETWORK"}  # metavars for which file names are offered


def script(shell: str) -> str:
    """Return the completion script for `shell`."""
    try:
        import shtab
    except ModuleNotFoundError as error:
        raise ImportError("shtab is not installed, which writes it: pip install shtab") from error
    parser = main.make_parser(with_arguments=True)
    for action in actions_of(parser):
        if action.metavar in FILES:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
        elif action.metavar == "FOLDER":
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
        elif action.metavar == "RECIPE":
            action.choices = list(RECIPES)
    return str(shtab.complete(parser, shell))


def actions_of(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Return the arguments of a parser and of its commands."""
    actions = list(parser._actions)  # as shtab itself finds them
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            actions += [inner for command in action.choices.values() for inner in actions_of(command)]
    return actions
