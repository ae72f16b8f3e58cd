"""Every bad model file is refused in one line, quickly, without running anything in it."""

import os
import resource
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from kerasnets import saving
from kerasnets.errors import BadInputError
from kerasnets.prediction import Classifier
from kerasnets.runtime.backends import BACKENDS
from tests.conftest import turns
from tests.saving.test_onnx_file import onnx, tiny
from tests.spoilt_models import BAD_FILES, GOOD, NEEDS_KERAS, canary, good, load_card, seal_file, unsigned

SECONDS, MEBIBYTES = 5, 512  # the most that a bad file may take in addition to a good one
MUTATIONS = 200  # in each run, a tenth of 2,000: the sum of MUTATED


def refusal(path, load=load_card):
    """Return (words, seconds) of the BadInputError for a path; words is None if there is none."""
    started = computed()
    try:
        load(path)
        words = None
    except BadInputError as error:
        words = str(error)
    return words, computed() - started


def computed():
    """Return the CPU seconds of this process and its children: the machine may be busy."""
    return sum(os.times()[:4])


def check_refusal(path, words, said, seconds):
    assert said is not None
    assert words in said
    assert said.count(path.name) == 1
    assert "\n" not in said
    assert ";" in said or ":" in said.partition(path.name)[2]  # and what to do
    assert seconds < SECONDS
    assert not canary(path).exists()
    assert not Path("/tmp/ran").exists()


@pytest.mark.parametrize(
    ("case", "suffix"), [(case, suffix) for case, (suffixes, _, _) in BAD_FILES.items() for suffix in suffixes]
)
def test_a_bad_file_is_refused_in_one_line_before_any_framework_reads_it(tmp_path, monkeypatch, case, suffix):
    _, spoil, words = BAD_FILES[case]
    path = tmp_path / f"model{suffix}"
    monkeypatch.chdir(tmp_path)
    good(path)
    spoil(path)
    before = peak()
    check_refusal(path, words, *refusal(path))
    assert peak() - before < MEBIBYTES


def test_there_are_at_least_60_bad_files():
    assert sum(len(suffixes) for suffixes, _, _ in BAD_FILES.values()) >= 60


def peak():
    """The most memory since the last call, in MiB; all of this process outside of Linux."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if Path("/proc/self/status").exists():
        status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        most = int(status["VmHWM"].split()[0]) / 1024
        Path("/proc/self/clear_refs").write_text("5")
    return most


# ---- faults that only Keras notices ----


def refusals(folder):
    """Return {file: (words, seconds, MiB)} of loading by Keras, after good files."""
    for suffix in saving.SUFFIXES:
        saving.load(GOOD.with_suffix(suffix))
    found = {}
    peak()
    for path in sorted(folder.iterdir()):
        before = peak()
        found[path.name] = (*refusal(path, saving.load), peak() - before)
    return found


def test_faults_that_only_keras_notices_have_the_same_words_on_every_backend(worker, tmp_path):
    words = {}
    for case, (suffixes, spoil, said) in NEEDS_KERAS.items():
        for suffix in suffixes:
            path = tmp_path / f"{case}{suffix}".replace(" ", "-")
            good(path)
            spoil(path)
            words[path.name] = said
    (tmp_path / "inner.h5").unlink()
    for name, (said, seconds, grown) in worker(refusals, tmp_path).items():
        check_refusal(tmp_path / name, words[name], said, seconds)
        assert grown < MEBIBYTES, name


# ---- mutated files ----

MUTATED = {"own.keras": 40, "own.h5": 20, "others.keras": 20, "others.h5": 40, "own.onnx": 30, "others.onnx": 50}


def mutated(content, rng):
    """A file cut short, or with a bit, a byte of its beginning, or up to 64 bytes changed."""
    content, kind = bytearray(content), rng.integers(4)
    place = int(rng.integers(len(content)))
    if kind == 0:
        del content[place:]
    elif kind == 1:
        content[place] ^= 1 << int(rng.integers(8))
    elif kind == 2:
        content[place % 3000] = int(rng.integers(256))
    else:
        changed = content[place : place + int(rng.choice([2, 4, 8, 64]))]
        content[place : place + len(changed)] = rng.bytes(len(changed))
    return bytes(content)


def judge(path):
    """Load a mutated file, or run it as a person would."""
    if path.suffix != ".onnx":
        saving.load(path)
    else:
        Classifier.load(path, "opencv").predict(np.zeros((4, 5, 3), np.uint8))


def judge_mutations(path, count, seed):
    """Return {answer: count} over mutated files, the longest time in seconds, the growth of memory in MiB."""
    content, rng, answers, longest = path.read_bytes(), np.random.default_rng(seed), {}, 0
    mutant = path.with_name(f"mutated{path.suffix}")
    assert refusal(path, judge)[0] is None
    before = peak()
    for _ in range(count):
        while (changed := mutated(content, rng)) == content:
            pass
        mutant.write_bytes(changed)
        words, seconds = refusal(mutant, judge)
        if words and ("\n" in words or mutant.name not in words):
            return words
        if not words and path.name == "own.keras":  # some fields of a zip archive have no meaning and no checksum
            assert parts_of(mutant) == parts_of(path)
        answer = "refused" if words else "taken"
        answers[answer] = answers.get(answer, 0) + 1
        longest = max(longest, seconds)
    return answers, longest, peak() - before


def parts_of(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize("seed", turns(10))
@pytest.mark.parametrize("name", MUTATED)
def test_mutated_files_are_refused_quickly(workers, tmp_path, name, seed):
    """No file crashes the process. A file of ours that is taken has its old content. Other programs' files have no
    checksum, so a small change of a weight goes unnoticed."""
    assert sum(MUTATED.values()) == MUTATIONS
    path = tmp_path / name
    good(path)
    if name == "own.h5":
        seal_file(path)
    elif name == "others.onnx":
        onnx.save(tiny(), path)
    elif name.startswith("others"):
        unsigned(lambda path: None, path)
    judges = judge_mutations if path.suffix == ".onnx" else partial(workers[BACKENDS[seed % 3]], judge_mutations)
    answers, longest, grown = judges(path, MUTATED[name], seed)
    print(name, seed, answers, f"{longest:.2f} s {grown:.0f} MiB")
    assert answers.get("refused", 0) > MUTATED[name] // 10
    if name in ("own.h5", "own.onnx"):
        assert "taken" not in answers
    assert longest < SECONDS
    assert grown < MEBIBYTES
