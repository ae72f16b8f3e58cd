"""Model files: one self-contained .keras or .h5, written whole or not at all, with its card inside.

The file is a Keras model from raw pixels to class probabilities, which plain `keras.models.load_model` reads on any
backend. The card is an additional entry of the zip archive, or an attribute of the HDF5 file, which Keras ignores.

Modules with slow imports are imported inside functions, so that a card alone is read in milliseconds.
"""

import contextlib
import contextvars
import dataclasses
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasnets.errors import BadInputError, name_path, shorten
from kerasnets.runtime.digests import sha256
from kerasnets.saving import hdf5_check, keras_check, shipped
from kerasnets.saving.card import Card, as_json, check_card, check_present, from_json
from kerasnets.saving.guest import UNKNOWN, Guest, check_own
from kerasnets.saving.keras_check import CARD, Content

if TYPE_CHECKING:
    import keras

    from kerasnets.graph import Scaling

SUFFIXES = (".keras", ".h5")
OTHERS = (".onnx", ".xml", ".tflite")  # of model files that Keras does not read


def save(model: "keras.Model", path: str | Path, card: Card, scaling: "Scaling | None" = None) -> None:
    """Write `model`, with `card` inside, to one file, whole or not at all.

    Args:
        model: A built model. A softmax is added if it ends in logits. Its optimizer is left out, because no other
            backend loads it.
        path: A name that ends in .keras or .h5. Missing folders are made.
        card: Its `input_shape` and the number of its `class_names` must be the model's.
        scaling: (scale, offset) applied to pixels 0..255 before the network, e.g. (1 / 255, 0.0); numbers, or lists
            with one number per channel. None if the model takes raw uint8 pixels, like models from `load`, or rows of
            numbers.

    Raises:
        ValueError: The suffix is another, the model is not built or takes pictures without `scaling`, or the card
            contradicts the model.
        OSError: The file cannot be written.

    Example:
        >>> import tempfile
        >>> network = kerasnets.build("lenet5")
        >>> card = kerasnets.Card("lenet5", tuple("0123456789"), (28, 28, 1), input_kind="mnist")
        >>> path = f"{tempfile.mkdtemp()}/lenet5.keras"
        >>> kerasnets.save(network, path, card, scaling=(1 / 255, 0.0))
        >>> kerasnets.load(path)[1].model
        'lenet5'
    """
    check_suffix(path)
    if not getattr(model, "inputs", None):
        raise ValueError(f"a model file holds a built network, not {model!r:.60}; call it on pictures first")
    from kerasnets.runtime.atomic import whole_file, write_all
    from kerasnets.saving.keras_model import to_probabilities

    model, is_exclusive = to_probabilities(model, scaling)
    card = dataclasses.replace(card, multi_label=not is_exclusive)
    check_card(card, model)
    card = dataclasses.replace(card, weights_sha256=digest(model))
    content = content_of(model, Path(path).suffix, as_json(card))
    with whole_file(path) as part:
        write_all(part, content.getbuffer())


class InMemory(io.BytesIO):
    """A file in memory whose name is a suffix, by which Keras chooses the format."""

    def __init__(self, suffix: str) -> None:
        super().__init__()
        self.suffix = suffix

    def __str__(self) -> str:
        return self.suffix


def content_of(model: "keras.Model", suffix: str, card: str) -> io.BytesIO:
    """Return the model file with the JSON `card` inside.

    It is made in memory: HDF5 goes on after a failed write, and zipfile empties a file that it cannot open for reading.
    """
    file = InMemory(suffix)
    with quiet_keras():
        if suffix == ".h5":
            import h5py

            class Hdf5(h5py.File):
                def __str__(self) -> str:
                    return suffix

            with Hdf5(file, "w") as content:
                model.save(content)
                content.attrs[CARD] = card
            hdf5_check.seal(file)
        else:
            import zipfile

            model.save(file)
            with zipfile.ZipFile(file, "a") as archive:
                archive.writestr(CARD, card)
    return file


def load(path: str | Path, *, logits: bool = False, guest: Guest | None = None) -> tuple["keras.Model", Card]:
    """Return the model in a .keras or .h5 file, uncompiled, with its card. Threads may load at the same time.

    Args:
        path: The file, or the name of a shipped model, such as "mnist_cnn-mnist". The file is checked before Keras
            reads it: no code in it is run.
        logits: Return the model without its last softmax, for features and fine-tuning.
        guest: What is known about a file that kerasnets did not write; with it, and with `logits`, the model of such a
            file is one like ours, from raw pixels on.

    Returns:
        (model, card). The model takes uint8 pixels (n, height, width, channels), 0..255, or float32 rows (n, columns),
        and gives float32 class probabilities (n, num_classes). Without `guest`, a model that kerasnets did not write
        keeps its own input and output, and its card has no class names.

    Raises:
        BadInputError: The file is missing or damaged, or holds more than one network of Keras' layers.
        ImportError: The backend is not installed.

    Example:
        >>> model, card = kerasnets.load("models_saved/pretrained/mnist_cnn-mnist.keras")
        >>> model.input_shape, model.output_shape
        ((None, 28, 28, 1), (None, 10))
        >>> card.dataset
        'MNIST'
    """
    return load_with_scale(path, guest or (UNKNOWN if logits else None), logits=logits)[:2]


def load_with_scale(path: str | Path, guest: Guest | None, *, logits: bool = False) -> tuple["keras.Model", Card, str]:
    """Like `load`, and return in words how another program's model scales pixels or rows; "" for a model of ours."""
    path = shipped.path_of(path, shipped.KERAS)
    content = read(path)
    card = card_in(content, path)
    from kerasnets.runtime import backends

    backends.choose()
    from kerasnets.saving import keras_model

    scale_words = ""
    with name_path(path):
        model = keras_model.build(path, content)
        keras_model.check(model, card)
        if card.class_names:
            check_own(guest)
            kind = guest.input_kind if guest else ""
            card = dataclasses.replace(card, input_kind=kind or card.input_kind)
        else:
            if not card.model:
                card = dataclasses.replace(card, model=model.name, input_shape=model.inputs[0].shape[1:])
            if guest is not None:
                model, card, scale_words = keras_model.as_ours(model, card, guest)
        return keras_model.logits_of(model) if logits else model, card, scale_words


def load_card(path: str | Path, guest: Guest | None = None) -> Card:
    """Return the Card of a .keras or .h5 file, or of a shipped model by its name, without loading a framework.

    The card of another program's file has no class names. With `guest` it is the one of `load`, which loads the file.

    Raises:
        BadInputError: As `load`, except for faults in the weights and faults that only Keras notices. With `guest`
            also if the size of the pictures is open.
    """
    path = shipped.path_of(path, shipped.KERAS)
    card = card_in(read(path, keras_check.read_head), path)
    if guest and (guest.input_kind or not card.class_names):
        card = load(path, guest=guest)[1]
        check_size(card, path)
    return card


def read(path: str | Path, judge: Callable[[Path], Content] = keras_check.read) -> Content:
    """Return the Content of a model file; raise BadInputError if it is missing or fails a check of `judge`."""
    check_is_of_keras(path)
    check_present(path)
    with name_path(path):
        return judge(Path(path))


def check_is_of_keras(path: str | Path) -> None:
    """Raise BadInputError if no file of Keras is at `path`: it is missing, or of another form."""
    if Path(path).suffix in SUFFIXES:
        return
    if not Path(path).exists():
        check_present(path)
    is_other = Path(path).suffix in OTHERS or Path(path).is_dir()
    problem = "is a model, but no file of Keras, which is needed here" if is_other else "is not a model file"
    raise BadInputError(problem, path=path, remedy=f"name a file that ends in {' or '.join(SUFFIXES)}")


def check_size(card: Card, path: str | Path) -> None:
    """Raise BadInputError for a model of pictures of any size."""
    if not card.input_shape:
        raise BadInputError("leaves open what size its pictures have", path=path, remedy="add --image-size PIXELS")


def card_in(content: Content, path: str | Path) -> Card:
    if content.card is None:
        versions = {"keras": content.version} if content.is_keras_2 else {}
        return Card(content.name, (), content.input_shape, versions=versions)
    card = from_json(content.card, path)
    if content.input_shape and card.input_shape != content.input_shape:
        shapes = f"the input shape is {card.input_shape} in its card and {content.input_shape} in its network"
        raise BadInputError(f"contradicts itself: {shapes}", path=path, remedy="train or copy it again")
    return card


def check_suffix(path: str | Path) -> None:
    """Raise ValueError if `path` does not end as a model file."""
    if Path(path).suffix not in SUFFIXES:
        raise ValueError(f"{shorten(path)} is no name for a model file; it must end in {' or '.join(SUFFIXES)}")


def digest(model: "keras.Model") -> str:
    """Return the SHA-256 of all weights in their order. HDF5 itself does not notice a flipped bit."""
    return sha256(*model.get_weights())


# ---- the manners of Keras and HDF5 -----------------------------------------------------------------------------------

_is_quiet = contextvars.ContextVar("is_quiet", default=False)


def is_kept(record: Any) -> bool:
    """Whether a log record is printed: inside `quiet_keras`, only errors are."""
    return record.levelno >= 40 or not _is_quiet.get()  # logging.ERROR


@contextlib.contextmanager
def quiet_keras() -> Iterator[None]:
    """Hide Keras' notices in the log, such as the advice against .h5, for this thread."""
    import logging

    logging.getLogger("absl").addFilter(is_kept)  # once for the process; it looks at the calling thread alone
    token = _is_quiet.set(True)
    try:
        yield
    finally:
        _is_quiet.reset(token)
