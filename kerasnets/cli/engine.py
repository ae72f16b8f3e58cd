"""The options of `train` that choose how a step is computed."""

import argparse
from typing import Any

from kerasnets.cli import app
from kerasnets.cli.app import UsageError
from kerasnets.recipes import PRECISIONS
from kerasnets.runtime import backends, processor
from kerasnets.runtime.accelerators import accelerator
from kerasnets.runtime.workers import place

FLOAT32, BFLOAT16 = PRECISIONS


def add_engine(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    text = "mixed_bfloat16 is faster on accelerators and processors that multiply in bfloat16, and slower on others"
    add("--precision", choices=PRECISIONS, help=text)
    text = "compile each step with torch.compile (needs a C++ compiler) or XLA; JAX always compiles"
    add("--compile", action="store_true", help=text)
    text = "choose both for this machine, and tell the choice"
    add("--fast", action="store_true", help=text)


def changes_of(args: argparse.Namespace) -> dict[str, Any]:
    """Return {field of Recipe: value of its option, None without the option}, with a note on the choice of `--fast`.

    A process that has asked JAX for its accelerators cannot join other workers, so several workers do not ask.
    """
    is_alone = place().count == 1
    if not args.fast:
        is_half = args.precision == BFLOAT16 and is_alone
        if is_half and processor.has_bfloat16() is False and not accelerator(backends.choose()):
            app.tell_on_stderr("note: this processor does not multiply in bfloat16: float32 would be faster")
        return {"precision": args.precision, "compiled": args.compile or None}
    if args.precision or args.compile:
        raise UsageError("--fast chooses --precision and --compile; leave them out")
    if not is_alone:
        raise UsageError("--fast chooses for one process; name --precision for several workers")
    precision, compiled, reason = choice(backends.choose())
    engine = "bfloat16" if precision == BFLOAT16 else "float32"
    app.tell_on_stderr(f"note: --fast computes in {engine}{', compiled' if compiled else ''}: {reason}")
    return {"precision": precision, "compiled": compiled}


def choice(backend: str) -> tuple[str, bool | None, str]:
    """Return (precision, whether each step is compiled or None for the recipe's choice, the reason in words)."""
    if found := accelerator(backend):
        name, multiplies = found
        return (
            (BFLOAT16, True, f"on {name}") if multiplies else (FLOAT32, True, f"{name} does not multiply in bfloat16")
        )
    if processor.has_bfloat16() is None:
        return FLOAT32, None, "nothing tells whether this processor multiplies in bfloat16"
    if not processor.has_bfloat16():
        return FLOAT32, None, "bfloat16 would be slower, because this processor does not multiply in it"
    if backend != "torch":
        return FLOAT32, None, f"{backend} has not been measured in bfloat16 on a processor"
    return BFLOAT16, None, "this processor multiplies in it"
