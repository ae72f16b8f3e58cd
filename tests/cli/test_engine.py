"""The engine of a training is chosen by the processor, and the choice is told."""

import argparse

import pytest

from kerasnets.cli import engine
from kerasnets.cli.app import UsageError
from kerasnets.runtime import processor

SPR = "processor\t: 0\nmodel name\t: X\nflags\t\t: fpu avx2 avx512_bf16 amx_tile\n\n"  # x86
ARM = "processor\t: 0\nFeatures\t: fp asimd bf16 i8mm\n\n"
OLD = "processor\t: 0\nflags\t\t: fpu avx2 fma\n\n"


def options(*words):
    parser = argparse.ArgumentParser()
    engine.add_engine(parser)
    return parser.parse_args(words)


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Return a function that sets what the processor and the accelerator are."""

    def make(has_bfloat16, accelerator=""):
        monkeypatch.setattr(processor, "has_bfloat16", lambda: has_bfloat16)
        monkeypatch.setattr(engine, "accelerator", lambda: accelerator)

    return make


@pytest.mark.parametrize(("has", "accelerator", "precision", "compiled", "words"), [
    (True, "", "mixed_bfloat16", None, "in bfloat16, in which this processor multiplies"),
    (False, "", "float32", None, "in float32, because this processor does not multiply in bfloat16"),
    (False, "H200", "mixed_bfloat16", True, "in bfloat16 and compiles each step, on H200"),
])  # fmt: skip
def test_fast_is_what_the_machine_can(machine, capsys, has, accelerator, precision, compiled, words):
    machine(has, accelerator)
    assert engine.changes_of(options("--fast")) == {"precision": precision, "compiled": compiled}
    assert capsys.readouterr().err == f"note: --fast computes {words}\n"


def test_fast_chooses_alone(machine):
    machine(True)
    for word in ("--compile", "--precision=float32"):
        with pytest.raises(UsageError, match="leave them out"):
            engine.changes_of(options("--fast", word))


def test_a_slow_precision_is_told(machine, capsys):
    machine(False)
    changes = engine.changes_of(options("--precision", "mixed_bfloat16"))
    assert changes == {"precision": "mixed_bfloat16", "compiled": None}
    assert "float32 would be faster" in capsys.readouterr().err
    machine(True)
    engine.changes_of(options("--precision", "mixed_bfloat16"))
    engine.changes_of(options())
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("text", "has"), [(SPR, True), (ARM, True), (OLD, False), ("", False), (None, False)])
def test_the_system_tells_what_a_processor_has(tmp_path, monkeypatch, text, has):
    path = tmp_path / "cpuinfo"
    if text is not None:
        path.write_text(text)
    assert processor.multiplies_in_bfloat16(path) == has
