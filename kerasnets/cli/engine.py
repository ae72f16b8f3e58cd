"""The options of `train` that choose how a step is computed."""

import argparse
from typing import Any

from kerasnets.cli import app
from kerasnets.cli.app import UsageError
from kerasnets.recipes import PRECISIONS
from kerasnets.runtime import backends, processor, provenance

FLOAT32, BFLOAT16 = PRECISIONS


def add_engine(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    text = "mixed_bfloat16 is faster on accelerators and on processors that multiply in it, and slower on others"
    add("--precision", choices=PRECISIONS, help=text)
    text = "compile each step with torch.compile (needs a C++ compiler) or XLA; JAX always compiles"
    add("--compile", action="store_true", help=text)
    text = "mixed_bfloat16 where processor or accelerator multiply in it, and --compile on an accelerator"
    add("--fast", action="store_true", help=text)


def changes_of(args: argparse.Namespace) -> dict[str, Any]:
    """Return {field of Recipe: value of its option, None without the option}, with a note on what `--fast` chose."""
    if not args.fast:
        if args.precision == BFLOAT16 and not processor.has_bfloat16() and not accelerator():
            app.tell_on_stderr("note: this processor does not multiply in bfloat16: float32 would be faster")
        return {"precision": args.precision, "compiled": args.compile or None}
    if args.precision or args.compile:
        raise UsageError("--fast chooses --precision and --compile; leave them out")
    name = accelerator()
    if name:
        app.tell_on_stderr(f"note: --fast computes in bfloat16 and compiles each step, on {name}")
        return {"precision": BFLOAT16, "compiled": True}
    if processor.has_bfloat16():
        app.tell_on_stderr("note: --fast computes in bfloat16, in which this processor multiplies")
        return {"precision": BFLOAT16, "compiled": None}
    app.tell_on_stderr("note: --fast computes in float32, because this processor does not multiply in bfloat16")
    return {"precision": FLOAT32, "compiled": None}


def accelerator() -> str:
    """Return the name of the accelerator that the backend computes on, which is imported; "" without one."""
    backends.choose()
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return ", ".join(device.name for device in tf.config.list_physical_devices("GPU")[:1])
    return provenance.accelerator().removeprefix(" and ")
