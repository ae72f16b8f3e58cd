"""`train --fast` chooses precision and compilation for the machine, and prints its choice."""

import argparse
from types import SimpleNamespace

import pytest

from kerasnets.cli import engine
from kerasnets.cli.app import UsageError
from kerasnets.runtime import backends, processor

X86 = "processor\t: 0\nmodel name\t: X\nflags\t\t: fpu avx2 avx512_bf16 amx_tile\n\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd bf16 i8mm\n\n"
OLD = "processor\t: 0\nflags\t\t: fpu avx2 fma\n\n"


def changes_of(*words):
    parser = argparse.ArgumentParser()
    engine.add_engine(parser)
    return engine.changes_of(parser.parse_args(words))


@pytest.fixture
def machine(monkeypatch):
    """Return a function that sets the backend, and what processor and accelerator can."""

    def make(has_bfloat16, accelerator=None, backend="torch"):
        monkeypatch.setattr(processor, "has_bfloat16", lambda: has_bfloat16)
        monkeypatch.setattr(engine, "accelerator", lambda backend: accelerator)
        monkeypatch.setattr(backends, "choose", lambda: backend)

    return make


@pytest.mark.parametrize(("of_machine", "precision", "compiled", "words"), [
    ((True,), "mixed_bfloat16", None, "bfloat16: this processor multiplies in it"),
    ((True, None, "jax"), "float32", None, "float32: jax has not been measured in bfloat16 on a processor"),
    ((False,), "float32", None, "float32: bfloat16 would be slower, because this processor does not multiply in it"),
    ((None,), "float32", None, "float32: nothing tells whether this processor multiplies in bfloat16"),
    ((False, ("H200", True)), "mixed_bfloat16", True, "bfloat16, compiled: on H200"),
    ((True, ("T4", False)), "float32", True, "float32, compiled: T4 does not multiply in bfloat16"),
])  # fmt: skip
def test_fast_is_as_the_machine_can(machine, capsys, of_machine, precision, compiled, words):
    machine(*of_machine)
    assert changes_of("--fast") == {"precision": precision, "compiled": compiled}
    assert capsys.readouterr().err == f"note: --fast computes in {words}\n"


@pytest.mark.parametrize("word", ["--compile", "--precision=float32"])
def test_fast_chooses_alone(machine, word):
    machine(True)
    with pytest.raises(UsageError, match="leave them out"):
        changes_of("--fast", word)


def test_several_workers_do_not_ask_for_accelerators(machine, monkeypatch, capsys):
    """A JAX process that has asked cannot join the others."""
    machine(False)
    monkeypatch.setattr(engine, "accelerator", None)
    monkeypatch.setattr(engine, "place", lambda: SimpleNamespace(count=2))
    assert changes_of("--precision", "mixed_bfloat16") == {"precision": "mixed_bfloat16", "compiled": None}
    assert capsys.readouterr().err == ""
    with pytest.raises(UsageError, match="name --precision for several workers"):
        changes_of("--fast")


@pytest.mark.parametrize(("of_machine", "words"), [
    ((False,), "note: this processor does not multiply in bfloat16: float32 would be faster\n"),
    ((True,), ""),
    ((None,), ""),
    ((False, ("H200", True)), ""),
])  # fmt: skip
def test_a_slow_precision_is_told(machine, capsys, of_machine, words):
    machine(*of_machine)
    assert changes_of("--precision", "mixed_bfloat16") == {"precision": "mixed_bfloat16", "compiled": None}
    assert changes_of() == {"precision": None, "compiled": None}
    assert capsys.readouterr().err == words


@pytest.mark.parametrize(("text", "multiplies"), [(X86, True), (ARM, True), (OLD, False), ("", None), (None, None)])
def test_linux_tells_the_instructions_of_a_processor(tmp_path, text, multiplies):
    path = tmp_path / "cpuinfo"
    if text is not None:
        path.write_text(text)
    assert processor.multiplies_in_bfloat16(path) is multiplies
