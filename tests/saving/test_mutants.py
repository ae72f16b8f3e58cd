"""Files changed at a random place, and then given the right checksums again, harm nobody who asks for an answer.

Each is read and run as a person would. What is wanted: an answer or one line, in little time and memory. A crash would
end this process.
"""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest

from kerasnets.errors import BadInputError
from kerasnets.prediction import engines
from kerasnets.saving import Card, formats, onnx_file
from kerasnets.saving.card import as_json
from tests.conftest import often
from tests.mutants import MEBIBYTES, SECONDS, changed_bytes
from tests.saving.test_onnx_file import onnx, tiny
from tests.tiny_models import write_litert, write_openvino

CARD = Card("tiny", ("cat", "dog", "emu"), (4, 5, 3))
ROWS, PICTURES = np.eye(3, dtype=np.float32), np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3), np.uint8)


def mutate_onnx(path, rng):
    if not path.exists():
        onnx.save(tiny(), path)
    plain = changed_bytes(path.read_bytes(), rng) + onnx_file.entry("kerasnets", as_json(CARD))
    mutant = path.with_name("mutant.onnx")
    mutant.write_bytes(plain)
    mutant.write_bytes(plain + onnx_file.entry("kerasnets_sha256", onnx_file.sha256_of_file(mutant)))
    return mutant


def mutate_litert(path, rng):
    if not path.exists():
        write_litert(path)
    mutant = path.with_name("mutant.tflite")
    mutant.write_bytes(changed_bytes(path.read_bytes(), rng))
    formats.add(mutant, CARD)
    return mutant


def mutate_openvino(path, rng):
    """Change the .xml, in two of three cases, or the .bin."""
    if not path.exists():
        write_openvino(path)
        formats.add(path, CARD)
    mutant = path.with_name("mutant.xml")
    in_weights = not rng.integers(3)
    for suffix, is_changed in ((".xml", not in_weights), (".bin", in_weights)):
        content = path.with_suffix(suffix).read_bytes()
        mutant.with_suffix(suffix).write_bytes(changed_bytes(content, rng) if is_changed else content)
    seal = re.search(rb'kerasnets_sha256 value="([0-9a-f]{64})"', mutant.read_bytes())
    if seal:
        checksum = formats.sum_of_both(mutant, seal[1].decode())
        mutant.write_bytes(mutant.read_bytes().replace(seal[1], checksum.encode()))
    return mutant


FORMS = {
    "opencv": (mutate_onnx, ".onnx", PICTURES, 30),
    "onnxruntime": (mutate_onnx, ".onnx", PICTURES, 10),
    "litert": (mutate_litert, ".tflite", ROWS, 6),
    "openvino": (mutate_openvino, ".xml", ROWS, 6),
}


def answer_of(path, engine, inputs):
    """Read a file and run it; return what becomes of it, a refusal by its words."""
    try:
        _, onnx_input = formats.read(path)
        network = engines.load_safely(path, engine, onnx_input)
        shape = network.shape if None not in network.shape else inputs.shape[1:]
        network(np.resize(inputs, (len(inputs), *shape)) if np.prod(shape) < 10**6 else inputs)
        process = getattr(network, "process", None)
        if process:
            network.end()
            process.wait()  # so that its time is counted
    except BadInputError as error:
        return str(error)
    return "taken"


@pytest.mark.parametrize("times", often(0, 2000))
@pytest.mark.parametrize("engine", FORMS)
def test_a_mutant_with_right_checksums_harms_nobody(tmp_path, engine, times):
    mutate, suffix, inputs, few = FORMS[engine]
    rng, answers, worst = np.random.default_rng(few), {"taken": 0, "refused": 0}, (0, 0)
    for _ in range(times or few):
        mutant = mutate(tmp_path / f"tiny{suffix}", rng)
        Path("/proc/self/clear_refs").write_text("5")
        before, begun = most_memory(), sum(os.times()[:4])
        answer = answer_of(mutant, engine, inputs)
        assert answer == "taken" or ("\n" not in answer and "mutant." in answer)
        answers["taken" if answer == "taken" else "refused"] += 1
        worst = max(worst[0], sum(os.times()[:4]) - begun), max(worst[1], most_memory() - before)
    print(engine, json.dumps(answers), f"{worst[0]:.1f} s {worst[1]:.0f} MiB")
    assert worst[0] < SECONDS + 2  # the imports of a process of its own take two
    assert worst[1] < MEBIBYTES
    assert answers["refused"] > 0
    assert answer_of(tmp_path / f"tiny{suffix}", engine, inputs) == "taken"  # what is not mutated


def most_memory():
    """Return the most memory of this process since clear_refs, in MiB."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM"))
