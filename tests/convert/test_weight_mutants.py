"""Changed .pth and .safetensors files, with right checksums again, are read or refused as a person sees it."""

import io
import json
import pickletools
import zipfile

import numpy as np
import pytest

import kerasnets
from tests import mutants
from tests.conftest import often
from tests.docs.tutorials import load
from tests.zips import stored, write_zip

IN_FAST = 100  # mutants of each form in CI
ROOM = 8  # bytes before the header of a .safetensors, its length
OPCODES = b"".join(opcode.code.encode("latin1") for opcode in pickletools.opcodes)


# ---- .safetensors ----


def changed_safetensors(content, rng):
    """Change the header's fields or bytes, or the numbers; our checksum is made right if the rest can be read."""
    length = int.from_bytes(content[:ROOM], "little")
    text, numbers = content[ROOM : ROOM + length], content[ROOM + length :]
    kind = rng.random()
    if kind < 0.6:
        header = json.loads(text)
        for _ in range(int(rng.integers(1, 3))):
            header = mutants.changed_json(header, rng)
        text = json.dumps(header).encode()
    elif kind < 0.8:
        text = mutants.changed_bytes(text, rng)
    elif kind < 0.9:
        numbers = mutants.changed_bytes(numbers, rng)
    else:
        return mutants.changed_bytes(content[:ROOM], rng) + content[ROOM:]
    return sealed(text, numbers)


def sealed(text, numbers):
    from kerasnets.convert import weight_files

    try:
        header = json.loads(text)
        metadata = header.pop("__metadata__")
        metadata[weight_files.CHECKSUM] = weight_files.checksum(weight_files.arrays_in(header, numbers))
        text = json.dumps({"__metadata__": metadata, **header}).encode()
    except Exception:  # it contradicts itself
        pass
    return len(text).to_bytes(ROOM, "little") + text + numbers


# ---- .pth ----


def changed_pickle(content, rng):
    """Change an operation of a pickle: its code, its argument's bytes, its number; or take another one twice."""
    places = [place for _, _, place in pickletools.genops(content)] + [len(content)]
    i, j = (int(rng.integers(len(places) - 1)) for _ in range(2))
    start, end = places[i], places[i + 1]
    kind = int(rng.integers(5))
    if kind == 0:
        patch = bytes([OPCODES[int(rng.integers(len(OPCODES)))]]) + content[start + 1 : end]
    elif kind == 1:
        patch = content[start : start + 1] + mutants.changed_bytes(content[start + 1 : end] or b"\0", rng)
    elif kind == 2:
        patch = b""
    elif kind == 3:
        patch = content[places[j] : places[j + 1]]
    else:
        patch = content[start:end] * int(rng.choice([2, 100, 3000]))
    return content[:start] + patch + content[end:]


def write_pth(path, entries, rng):
    """Change one of the parts that torch.save writes, or what the archive says of one."""
    entries, kind = dict(entries), rng.random()
    place = str(rng.choice(list(entries)))
    if kind < 0.7:
        name = next(name for name in entries if name.endswith("data.pkl"))
        for _ in range(int(rng.integers(1, 3))):
            try:
                entries[name] = changed_pickle(entries[name], rng)
            except Exception:  # the first change made it no pickle
                break
    elif kind < 0.8:
        entries[place] = mutants.changed_bytes(entries[place] or b"\0", rng)
    elif kind < 0.85:
        entries[place] = entries[place][: len(entries[place]) // 2]
    elif kind < 0.9:
        del entries[place]
    rows = [stored(name, content) for name, content in entries.items()]
    if kind >= 0.9:
        row = list(rows[0])
        row[int(rng.choice([1, 3, 4]))] = int(rng.choice([0, 8, 12, 2**15]))
        rows[0] = tuple(row)
    write_zip(path, rows)


# ---- in the process of torch ----


def judge(folder, form, count, seed):
    """Return what becomes of mutants that are loaded into a network."""
    import torch

    from kerasnets import convert

    network = kerasnets.build("fc2layer")
    rng, arrays = np.random.default_rng(seed), convert.named_arrays(network)
    suffix = f".{form.rpartition(' ')[2]}"
    good, path = folder / f"good{suffix}", folder / f"mutant{suffix}"
    convert.write_tensors(arrays, good)
    if form == "old pth":
        memory = io.BytesIO()
        torch.save(convert.torch_state_dict(network), memory, _use_new_zipfile_serialization=False)
        good.write_bytes(memory.getvalue())
    content = good.read_bytes()
    if form == "pth":
        with zipfile.ZipFile(good) as archive:
            entries = {name: archive.read(name) for name in archive.namelist()}

    def written():
        for _ in range(count):
            if form == "pth":
                write_pth(path, entries, rng)
            elif form == "safetensors":
                path.write_bytes(changed_safetensors(content, rng))
            else:  # most of its structure is at the beginning
                path.write_bytes(mutants.changed_bytes(content[:2000], rng) + content[2000:])
            yield path

    return mutants.try_mutants(good, written(), lambda path: load(network, path))


@pytest.mark.parametrize("count", often(IN_FAST, 2000))
@pytest.mark.parametrize("form", ["pth", "safetensors", "old pth"])
def test_a_changed_file_of_weights_with_right_checksums_harms_nobody(workers, tmp_path, form, count):
    mutants.check(workers["torch"](judge, tmp_path, form, count, count))
