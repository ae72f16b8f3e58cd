"""Checkpoints: what a training needs to go on as if it had never been stopped, on any backend.

One .npz for each epoch, written whole or not at all: weights, moving statistics and the states of dropout by layer, the
optimizer's variables by name, the figures so far, and the settings, which must be the same when the run goes on.
"""

import json
import shutil
import sys
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kerasnets.errors import BadInputError, in_one_line, shorten
from kerasnets.runtime.atomic import whole_file

KEPT = 2  # the last one, and the one before it in case that is damaged

# What zipfile, NumPy and json raise of a damaged file. RuntimeError: a flipped bit says that it is encrypted.
DAMAGE = (OSError, EOFError, ValueError, KeyError, TypeError, RuntimeError, zipfile.BadZipFile, zlib.error)


# What a setting that differs is called, where its value tells a person nothing.
IN_WORDS = {"data": "other training data", "weights": "other weights to begin with", "frozen": "other layers frozen"}


@dataclass(frozen=True)
class Checkpoint:
    """State after `epoch` epochs. arrays: {name: NumPy array}; settings: what the run was started with."""

    epoch: int
    settings: dict
    arrays: dict[str, np.ndarray]

    def part(self, name):
        """The arrays below `name`, without it: part("optimizer")."""
        return {key.removeprefix(f"{name}/"): array for key, array in self.arrays.items() if key.startswith(f"{name}/")}


def save(folder, checkpoint, alone=False):
    """Write a Checkpoint into `folder`, and remove those before the last two; with `alone`, all others."""
    path = Path(folder) / f"epoch-{checkpoint.epoch:05d}.npz"
    meta = json.dumps({"epoch": checkpoint.epoch, "settings": checkpoint.settings})
    with whole_file(path) as part, part.open("wb") as file:
        np.savez(file, meta=np.array(meta), **checkpoint.arrays)
    old = [file for file in files(folder) if file != path] if alone else files(folder)[:-KEPT]
    for file in [*old, *Path(folder).glob(".epoch-*.part.npz")]:  # and what a killed run left of one
        file.unlink(missing_ok=True)


def files(folder):
    """The checkpoints in `folder`, the last one last."""
    return sorted(Path(folder).glob("epoch-*.npz"))


def load(folder, settings):
    """The last Checkpoint in `folder` that is whole; None where there is none.

    A damaged one is named on stderr and the one before it taken.
    Raises BadInputError where all are damaged, or where one was made with other `settings`.
    """
    found = files(folder)
    for path in reversed(found):
        try:
            checkpoint = read(path)
        except DAMAGE as error:
            print(f"note: checkpoint {shorten(path)} is damaged ({in_one_line(error)})", file=sys.stderr)
            continue
        check_settings(checkpoint.settings, settings, path)
        return checkpoint
    if found:
        raise BadInputError(f"all checkpoints in {shorten(folder)} are damaged; start anew, without --resume")
    return None


def are_unfinished(folder, last_written):
    """Whether `folder` holds checkpoints, and of a run that did not come to write the file `last_written`."""
    found = files(folder)
    if not found or not last_written.is_file():
        return bool(found)
    return found[-1].stat().st_mtime > last_written.stat().st_mtime


def aside(folder):
    """Where the checkpoints in `folder` are kept while another run has their place."""
    return Path(folder).with_name(f"{Path(folder).name}-before")


def set_aside(folder):
    """Put all that is in `folder` aside, in place of what lay there; return where.

    In one step, so that a kill -9 leaves them here or there.
    """
    place = aside(folder)
    if place.exists():
        shutil.rmtree(place)
    Path(folder).rename(place)
    return place


def take_back(folder):
    """Put what was set aside from `folder` back, where no checkpoint has taken its place; return whether."""
    place = aside(folder)
    if files(folder) or not files(place):
        return False
    if Path(folder).exists():
        shutil.rmtree(folder)  # where a killed run may have left a part of one
    place.rename(folder)
    return True


def read(path):
    """The Checkpoint in a file, every byte of it checked by the zip's checksums."""
    with zipfile.ZipFile(path) as archive:  # NumPy reads no further than an array's header says, which may be damaged
        damaged = archive.testzip()
        if damaged:
            raise zipfile.BadZipFile(f"its part {damaged} fails its checksum")
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    meta = json.loads(str(arrays.pop("meta")))
    return Checkpoint(int(meta["epoch"]), dict(meta["settings"]), arrays)


def check_settings(made_with, settings, path):
    """Raise BadInputError where a checkpoint belongs to another run."""
    wanted = json.loads(json.dumps(settings))
    both = made_with.keys() & wanted.keys()
    for name in [*sorted(both), *sorted((made_with.keys() | wanted.keys()) - both)]:
        if made_with.get(name) != wanted.get(name):
            how = f"{name} {in_words(made_with.get(name))}, not {in_words(wanted.get(name))}"
            raise BadInputError(
                f"the checkpoint {shorten(path, 40)} was made with {IN_WORDS.get(name, how)}; go on as it began, or "
                "start anew without --resume"
            )


def in_words(setting):
    return setting if setting or isinstance(setting, int) else "none"


# ---- of a network ----


def arrays_of(network):
    """{name: array} of the state of a compiled network: its layers' and its optimizer's."""
    from keras import ops

    named = {f"layers/{name}": variable for name, variable in variables(network).items()}
    named |= {f"optimizer/{variable.path}": variable for variable in network.optimizer.variables}
    arrays = {name: np.array(ops.convert_to_numpy(variable)) for name, variable in named.items()}
    return arrays | {f"generators/{name}": get() for name, (get, _) in generators().items()}


def generators():
    """{name: (function that gets its state, function that sets it)} of the random numbers that no variable holds.

    On torch, Keras' Dropout draws from PyTorch's global generator unless its layer has a seed.
    """
    torch = sys.modules.get("torch")
    if not torch:
        return {}
    found = {"torch": (lambda: torch.get_rng_state().numpy(), lambda state: torch.set_rng_state(torch.tensor(state)))}
    if torch.cuda.is_available():
        found["cuda"] = (
            lambda: torch.cuda.get_rng_state().numpy(),
            lambda state: torch.cuda.set_rng_state(torch.tensor(state)),
        )
    return found


def variables(network):
    """{name: variable} of all that a layer keeps: weights, statistics, the state of its dropout."""
    return {f"{layer.name}/{i}": v for layer in network.layers for i, v in enumerate(layer.variables)}


def restore(network, checkpoint):
    """Give a compiled network the state that `checkpoint` holds; BadInputError where it is that of another network."""
    network.optimizer.build(network.trainable_variables)
    assign(variables(network), checkpoint.part("layers"))
    kept = checkpoint.part("generators")
    for name, (_, put) in generators().items():
        if name in kept:  # not where another backend, or another device, made the checkpoint
            put(kept[name])
    optimizer = {variable.path: variable for variable in network.optimizer.variables}
    assign(without_first(optimizer), without_first(checkpoint.part("optimizer")))


def without_first(named):
    """{name: ...} less the optimizer's own name, which begins each: a process's second one is called sgd_1."""
    return {name.partition("/")[2]: value for name, value in named.items()}


def assign(variables, arrays):
    if variables.keys() != arrays.keys():
        strange = sorted(variables.keys() ^ arrays.keys())[0]
        raise BadInputError(f"the checkpoint is of another network or optimizer: they differ in {strange}")
    for name, variable in variables.items():
        if tuple(variable.shape) != arrays[name].shape:
            raise BadInputError(f"the checkpoint is of another network: {name} has another shape")
        variable.assign(arrays[name].astype(variable.dtype))
