"""The command `kerasnets`: finds the command in its arguments, and loads the file of that command alone."""

import importlib
import sys
from typing import cast

from kerasnets.cli import app
from kerasnets.errors import nearest_first

# name, also of the module in this folder -> one line of `kerasnets --help`
COMMANDS = {
    "train": "train a recipe, or any network on any data",
    "predict": "read pictures with a model: class and probability",
    "compare": "compare runs: figures, settings, curves",
    "evaluate": "measure a model on the test part of a data set",
    "export": "write a model as ONNX, OpenVINO, LiteRT or SavedModel",
    "adopt": "make another program's model file one of kerasnets",
    "convert": "turn PyTorch weights into a model file, and back",
    "describe": "show a network layer by layer",
    "inspect": "look inside a network: activations, gradients, maps",
    "verify": "verify networks against plain PyTorch, on every backend",
    "data": "look at a data set",
    "bench": "measure speed and memory on this machine",
    "demo": "draw a digit in the browser, and watch a model read it",
    "list": "show shipped models, networks, recipes and data sets",
}
SHELLS = ("bash", "zsh", "tcsh")
EPILOG = """
Each command has its own --help. KERAS_BACKEND chooses the backend: torch, tensorflow or jax.
Completion with TAB, here for bash (needs: pip install shtab):

    mkdir -p ~/.local/share/bash-completion/completions
    kerasnets --print-completion bash > ~/.local/share/bash-completion/completions/kerasnets
"""


def main() -> None:
    """Run the command in sys.argv; the entry point of `kerasnets` and `python -m kerasnets`."""
    app.run(lambda: run(sys.argv[1:]))


def run(words: list[str]) -> int | None:
    name = next((word for word in words if not word.startswith("-")), "")
    if name in COMMANDS:
        words.remove(name)
        return app.run_command(load(name), f"kerasnets {name}", words)
    if name and name == words[0]:
        raise ValueError(f"unknown command {name!r}; choose one of: {nearest_first(name, COMMANDS)}")
    parser = make_parser()
    parser.words = words
    args, unknown = parser.parse_known_args(words)
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    if args.version:
        import kerasnets

        print(f"kerasnets {kerasnets.__version__}")
    elif args.print_completion:
        from kerasnets.cli import completion

        print(completion.script(args.print_completion))
    else:
        parser.print_help()  # with exit code 0, as docker, cargo and pip do
    return 0


def load(name: str) -> app.Command:
    return cast(app.Command, importlib.import_module(f"kerasnets.cli.{name}"))


def make_parser(*, with_arguments: bool = False) -> app.Parser:
    """Return the parser of all commands; without their arguments, no command is loaded."""
    parser = app.Parser("The classic convolutional networks on torch, TensorFlow and JAX.", "kerasnets")
    parser.epilog = EPILOG
    parser.add_argument("--version", action="store_true", help="print the version")
    parser.add_argument("--print-completion", choices=SHELLS, metavar="SHELL", help="bash, zsh or tcsh")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", prog="kerasnets", parser_class=app.Parser)
    for name, summary in COMMANDS.items():
        subparser = commands.add_parser(name, help=summary)
        if with_arguments:
            load(name).add_arguments(subparser)
    return parser
