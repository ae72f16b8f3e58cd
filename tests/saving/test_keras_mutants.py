"""Changed .keras and .h5 files, each with right checksums, are answered or refused as a person sees it."""

import io
import json
import zipfile

import h5py
import numpy as np
import pytest

from kerasnets import saving
from kerasnets.prediction import Classifier
from kerasnets.saving.hdf5_check import SEAL, seal
from tests import mutants
from tests.conftest import often
from tests.spoilt_models import GOOD
from tests.zips import stored, write_zip

IN_FAST = 20  # mutants of each form in CI
STRUCTURE = 60_000  # bytes of a file in which HDF5 keeps most of its structure
PICTURE = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
CARD, CONFIG, WEIGHTS = "kerasnets.json", "config.json", "model.weights.h5"


def changed_hdf5(content, rng):
    """Change bytes, most often where HDF5 keeps its structure."""
    size = len(content) if rng.random() < 0.3 else STRUCTURE
    return mutants.changed_bytes(content[:size], rng) + content[size:]


def changed_text(text, rng):
    """Change a JSON text: a part, or its bytes."""
    if rng.random() < 0.8:
        return json.dumps(mutants.changed_json(json.loads(text), rng)).encode()
    return mutants.changed_bytes(text, rng)


def without_digest(card):
    """Return a card that does not know its weights, so that changed ones come to Keras."""
    return json.dumps(json.loads(card) | {"weights_sha256": ""}).encode()


def write_keras(path, parts, rng):
    """Change one of the entries, or what the archive says of one; zipfile's checksums are of what is written."""
    kind, entries = rng.random(), dict(parts)
    if rng.random() < 0.7:
        entries[CARD] = without_digest(entries[CARD])
    if kind < 0.5:
        entries[WEIGHTS] = changed_hdf5(entries[WEIGHTS], rng)
    elif kind < 0.8:
        entries[CONFIG] = changed_text(entries[CONFIG], rng)
    elif kind < 0.9:
        entries[CARD] = changed_text(entries[CARD], rng)
    rows = [stored(name, content) for name, content in entries.items()]
    if kind >= 0.9:
        place, column = int(rng.integers(len(rows))), int(rng.integers(1, 5))
        row = list(rows[place])
        row[column] = row[column][:-5] if column == 2 else int(rng.choice([0, 8, 12, 14, 2**16, 2**31, 2**32 - 1]))
        row[1] %= 2**16
        rows[place] = tuple(row)
    write_zip(path, rows)


def write_h5(path, content, rng):
    """Change the bytes, or the config or card among the attributes; the checksum of the whole is ours."""
    memory = io.BytesIO(content)
    if rng.random() < 0.5:
        with h5py.File(memory, "r+") as file:
            file.attrs[CARD] = without_digest(file.attrs[CARD])
            name = CARD if rng.random() < 0.2 else "model_config"
            text = changed_text(str(file.attrs[name]).encode(), rng)
            file.attrs[name] = np.void(text) if b"\0" in text else text.decode(errors="replace")
        content = memory.getvalue()
    else:
        content = changed_hdf5(content, rng)
    memory = io.BytesIO(content)
    seal(memory)
    path.write_bytes(memory.getvalue())


def good_content(suffix):
    if suffix == ".h5":
        return GOOD.with_suffix(".h5").read_bytes().partition(SEAL)[0]
    with zipfile.ZipFile(GOOD) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def ask(path):
    """Classify a picture as `kerasnets predict` does."""
    Classifier.load(path).predict(PICTURE)


def judge(folder, suffix, count, seed):
    """Return what becomes of mutants; called in the process of a backend."""
    rng, path, content = np.random.default_rng(seed), folder / f"mutant{suffix}", good_content(suffix)

    def written():
        for _ in range(count):
            (write_h5 if suffix == ".h5" else write_keras)(path, content, rng)
            yield path

    return mutants.try_mutants(GOOD.with_suffix(suffix), written(), ask, names=("mutant", "the picture"))


@pytest.mark.parametrize("count", often(IN_FAST, 2000))
@pytest.mark.parametrize("suffix", saving.SUFFIXES)
def test_a_changed_model_file_with_right_checksums_harms_nobody(workers, tmp_path, suffix, count):
    mutants.check(workers["torch"](judge, tmp_path, suffix, count, count))
