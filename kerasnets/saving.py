"""Model files: one self-contained .keras or .h5, written whole or not at all, with its card inside.

The file is a Keras model from raw pixels to class probabilities; plain `keras.models.load_model` reads it on any
backend. The card is an entry of our own in the zip archive, or an attribute of the HDF5 file, which Keras passes over.

Modules that take long to import are imported where they are needed: a card alone is read in milliseconds.
"""

import contextlib
import dataclasses
import errno
import hashlib
import json
import math
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from kerasnets.errors import BadInputError, shorten

SUFFIXES = (".keras", ".h5")
CARD = "kerasnets.json"  # the zip entry, or the HDF5 attribute

# What is found in place of a model -> how it begins
MISTAKEN = {
    "a web page: download the file itself, not the page about it": (b"<!", b"<h", b"<H", b"<?"),
    "a pointer of Git LFS: fetch the file itself by git lfs pull": (b"version https://git-lfs",),
    "packed: unpack it before": (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf", b"Rar!"),
}


@dataclass(frozen=True)
class Card:
    """What a model file says of itself. Who uses it needs the first four; the others tell where it comes from."""

    model: str  # name of the network
    class_names: tuple[str, ...]  # one for each output, in their order
    input_shape: tuple[int, int, int]  # height, width, channels
    input_kind: str = "picture"  # how a picture is prepared for it: "picture" resized, "mnist" one digit cut out and
    # centred, "crop256" and "crop232" its middle as torchvision does
    dataset: str = ""  # title of the data set
    recipe: str = ""  # name in RECIPES
    accuracy: float | None = None  # on test data, as a fraction; None where the weights come from elsewhere
    val_accuracy: float | None = None  # on validation data, as a fraction
    epochs: int = 0
    seed: int = 0
    versions: dict[str, str] = field(default_factory=dict)
    commit: str = ""  # of kerasnets, when it was trained; "" where it was not a checkout
    weights_sha256: str = ""
    source: str = ""  # of weights that were trained elsewhere: the file they were in, or torchvision's name for them


def save(model, path, card, scaling=None):
    """Write `model`, with `card` inside, to `path` (.keras or .h5), whole or not at all.

    model: a built keras.Model; where it ends in logits, the file gets a softmax. What `compile` added is left out: no
        other backend loads it.
    scaling: (scale, offset) by which pixels 0..255 become what `model` was trained on, numbers or one per channel:
        (1 / 255, 0.0) where it was given pixels / 255. None for one that takes uint8 pixels, as those that `load`
        gives, or rows of numbers.
    Raises ValueError for another suffix, a model that is not built, pictures without `scaling`, and a card that says
    something else than the model; OSError where the file cannot be written.
    """
    check_suffix(path)
    if not getattr(model, "inputs", None):
        raise ValueError(f"a model file holds a built network, not {model!r:.60}; call it on pictures first")
    from kerasnets.files import reserve, whole_file
    from kerasnets.graph import rebuild, up_to_probabilities

    if scaling is None and len(model.input_shape) == 4 and model.input.dtype != "uint8":
        raise ValueError(
            f"{model.name} takes scaled pixels and a model file raw ones: pass the scaling it was trained with, as "
            "scaling=(1 / 255, 0.0)"
        )
    model = up_to_probabilities(model) if scaling is None else rebuild(model, scaling=scaling, probabilities=True)
    check_card(card, model)
    card = dataclasses.replace(card, weights_sha256=digest(model))
    text = as_json(card)
    with whole_file(path) as part, quiet_keras(), hdf5_errors_as_os_errors():
        if part.suffix == ".h5":
            reserve(part, size_as_h5(model))
        model.save(part)
        if part.suffix == ".h5":
            import h5py

            with h5py.File(part, "r+") as file:
                file.attrs[CARD] = text
        else:
            import zipfile

            with zipfile.ZipFile(part, "a") as archive:
                archive.writestr(CARD, text)


def as_json(card):
    return json.dumps(dataclasses.asdict(card), indent=1)


def from_json(text, path):
    """The Card in the JSON that `path` holds. Raises BadInputError, naming `path`, where it is none."""
    try:
        fields = json.loads(text)
        for name in ("class_names", "input_shape"):
            fields[name] = tuple(fields[name])
        card = Card(**fields)
        if not all(isinstance(name, str) for name in (card.model, card.input_kind, *card.class_names)):
            raise TypeError("names that are no text")
        if not all(type(size) is int and size > 0 for size in card.input_shape):
            raise ValueError(f"input_shape {card.input_shape}")
        return card
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise BadInputError(
            f"{shorten(path)} has a card that cannot be read ({error!s:.60}); train or copy it again"
        ) from error


def size_as_h5(model):
    """Bytes of the .h5 file of `model` at most. HDF5 takes 1 to 2 kB for each array and layer beside their content."""
    weights = model.weights
    content = sum(math.prod(variable.shape) * 4 for variable in weights)
    return content + 4_000 * (len(weights) + len(model.layers)) + 2 * len(model.to_json()) + 20_000


def check_card(card, model):
    """Raise ValueError where `card` would mislead who uses the file of `model`."""
    from kerasnets.pictures import KINDS

    shape, classes = model.input_shape[1:], model.output_shape[-1]
    if tuple(card.input_shape) != shape:
        raise ValueError(f"the card's input_shape is {tuple(card.input_shape)}, that of {model.name} {shape}")
    if len(card.class_names) != classes:
        raise ValueError(f"the card names {len(card.class_names)} classes, {model.name} tells {classes} apart")
    if card.input_kind not in KINDS:
        raise ValueError(f"unknown input kind {card.input_kind!r}; choose one of: {', '.join(KINDS)}")


def load(path, *, logits=False):
    """Return (model, card) from a file that `save` wrote; the model is uncompiled and runs on any backend.

    model: uint8 pixels (n, height, width, channels), 0..255 -> float32 class probabilities (n, num_classes);
    with `logits`, up to the layer before the softmax, for features and fine-tuning.
    Raises BadInputError for a file that is missing, damaged, or not a model of kerasnets.
    """
    card = load_card(path)
    from kerasnets import backends

    backends.choose()
    import keras
    import numpy as np

    from kerasnets import operations  # noqa: F401

    try:
        with quiet_keras():
            model = keras.models.load_model(path, compile=False)
    except Exception as error:  # Keras raises whatever the damaged part led it to
        raise BadInputError(
            f"{shorten(path)} is damaged or was made by an incompatible Keras: {error}; train or copy it again"
        ) from error
    if digest(model) != card.weights_sha256:
        raise BadInputError(
            f"{shorten(path)} is damaged: its weights are not those that were saved; train or copy it again"
        )
    if not all(np.isfinite(weights).all() for weights in model.get_weights()):
        raise BadInputError(f"{shorten(path)} holds weights that are not finite numbers; train it again")
    if not logits:
        return model, card
    if not isinstance(model.layers[-1], keras.layers.Softmax):
        raise BadInputError(f"{shorten(path)} has no logits: the softmax is inside its layer {model.layers[-1].name}")
    return keras.Model(model.input, model.layers[-1].input, name=model.name), card


def load_card(path):
    """Return the Card of a model file without loading a framework. Raises BadInputError as `load` does."""
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise BadInputError(f"{shorten(path)} is not a model file; those end in {' or '.join(SUFFIXES)}")
    check_present(path)
    import zipfile

    try:
        text = (card_of_keras if path.suffix == ".keras" else card_of_h5)(path)
    except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise BadInputError(
            f"{shorten(path)} is damaged or not a model file ({error}); train or copy it again"
        ) from error
    except KeyError as error:
        raise BadInputError(
            f"{shorten(path)} was not saved by kerasnets: it has no card with class names; use kerasnets.save"
        ) from error
    return from_json(text, path)


def check_present(path):
    """Refuse a model file that is missing, a folder, empty, or plainly something else."""
    path = Path(path)
    if path.is_dir():
        raise BadInputError(f"{shorten(path)} is a folder, not a model file; name the file in it")
    if not path.is_file():
        raise BadInputError(
            f"no model file {shorten(path)}; check name and folder, or make one by scripts/train_mnist.py"
        )
    with path.open("rb") as file:
        beginning = file.read(32)
    if not beginning:
        raise BadInputError(f"{shorten(path)} is empty; train or copy it again")
    for mistake, beginnings in MISTAKEN.items():
        if beginning.startswith(beginnings):
            raise BadInputError(f"{shorten(path)} is {mistake}")


def card_of_keras(path):
    import zipfile

    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
        if damaged:
            raise zipfile.BadZipFile(f"its part {damaged} fails its checksum")
        return archive.read(CARD)


def card_of_h5(path):
    import h5py

    with h5py.File(path, "r") as file:
        return file.attrs[CARD]


def check_suffix(path):
    if Path(path).suffix not in SUFFIXES:
        raise ValueError(f"{shorten(path)} is no name for a model file; it must end in {' or '.join(SUFFIXES)}")


def digest(model):
    """SHA-256 of all weights in their order: HDF5 alone would not notice a flipped bit."""
    import numpy as np

    sha = hashlib.sha256()
    for weights in model.get_weights():
        sha.update(np.ascontiguousarray(weights))
    return sha.hexdigest()


def commit():
    """The commit that kerasnets is checked out at, "-dirty" where its code differs from it; "" without a checkout."""
    folder = Path(__file__).resolve().parent.parent
    if not (folder / ".git").exists():
        return ""
    try:
        number = git(folder, "rev-parse", "--short=12", "HEAD")
        return number + ("-dirty" if number and git(folder, "status", "--porcelain", "kerasnets") else "")
    except FileNotFoundError:  # no git here
        return ""


def git(folder, *arguments):
    """What git prints; "" where it fails."""
    import subprocess

    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True).stdout.strip()


@contextlib.contextmanager
def quiet_keras():
    """Hold back Keras' log lines about .h5 being old: it is one of our two formats, chosen on purpose."""
    import logging

    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextlib.contextmanager
def hdf5_errors_as_os_errors():
    """HDF5 reports a write that failed in several ways, the cause at times in its text alone, at times not at all."""
    try:
        yield
    except (RuntimeError, OSError) as error:
        cause = re.search(r"errno = (\d+)", str(error))
        if getattr(error, "errno", None) or not (cause or isinstance(error, OSError)):
            raise
        number = int(cause[1]) if cause else errno.EIO
        raise OSError(number, os.strerror(number)) from error
