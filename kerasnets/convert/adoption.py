"""A model file of another program made into one of ours: from raw pixels to probabilities, with a card inside."""

import contextlib
import dataclasses
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import keras

from kerasnets import saving
from kerasnets.convert.networks import copy_as
from kerasnets.errors import BadInputError, name_path
from kerasnets.runtime import provenance
from kerasnets.runtime.atomic import check_writable, whole_file, whole_folder
from kerasnets.saving import Card, Guest, formats, keras_model


@dataclass(frozen=True)
class Adoption:
    """The result of an adoption.

    Attributes:
        file: The file that was written.
        source: The file that it was made of.
        card: Its card.
        pixels: How a pixel 0..255 enters the network of `source`, for a person.
    """

    file: str
    source: str
    card: Card
    pixels: str

    def line(self) -> str:
        """Return the result as one greppable line."""
        card = self.card
        return (
            f"result model={card.model} source={self.source} classes={len(card.class_names)} "
            f"input={'x'.join(map(str, card.input_shape))} pixels={self.pixels.replace(' ', '_')} "
            f"input_kind={card.input_kind} multi_label={str(card.multi_label).lower()} file={self.file}"
        )

    def json(self) -> str:
        return json.dumps(dataclasses.asdict(self))


def adopt(path: str | Path, out: str | Path, guest: Guest = saving.UNKNOWN) -> Adoption:
    """Write a model of another program as one of ours: it needs no further options, and plain Keras loads it.

    A softmax or sigmoid inside the last layer becomes logits and a layer; a sigmoid of one unit, two classes. What the
    file tells about its pixels (Rescaling, Normalization, preprocess_input) is used, and becomes one Rescaling.

    Args:
        path: A .keras or .h5 file of Keras 3, or of Keras 2 (TensorFlow 2.x, tf_keras), whatever its suffix.
        out: The model file, .keras or .h5.
        guest: What the file does not tell. Classes without a name are called "class 0", "class 1", ...

    Returns:
        The Adoption, with the card and a line of text.

    Raises:
        BadInputError: The file is damaged, holds code, or is no classifier.
        ValueError: The suffix of `out` is unknown, or `out` is `path`.
        OSError: `out` cannot be written.

    Example:
        >>> import tempfile, keras
        >>> folder = tempfile.mkdtemp()
        >>> layers = [keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(2, activation="softmax")]
        >>> keras.Sequential(layers).save(f"{folder}/theirs.keras")
        >>> names = kerasnets.saving.Guest(class_names=("cat", "dog"))
        >>> kerasnets.adopt(f"{folder}/theirs.keras", f"{folder}/mine.keras", names).pixels
        'divided by 255'
    """
    saving.check_suffix(out)
    check_other(path, out)
    check_writable(out)
    with as_form(path) as file:
        model, card, scale_words = saving.load_with_scale(file, guest)
    return write(model, card, Path(path).name, out, scale_words)


def adopt_network(network: keras.Model, source: str, out: str | Path, guest: Guest, name: str = "") -> Adoption:
    """Write a network as `adopt` does that of a file.

    Args:
        network: From pixels, as `guest` says, to logits or probabilities.
        source: Where its weights come from, for the card.
        out: The model file, .keras or .h5.
        guest: What is known about it.
        name: Of the network, for the card; its own by default.
    """
    saving.check_suffix(out)
    check_writable(out)
    with name_path(source):
        keras_model.check(network, saving.Card("", (), ()))
        model, card, scale_words = keras_model.as_ours(network, saving.Card(name, (), ()), guest)
    return write(model, card, source, out, scale_words)


def write(model: keras.Model, card: Card, source: str, out: str | Path, scale_words: str) -> Adoption:
    saving.check_size(card, source)
    card = complete(card, source, model.outputs[0].shape[-1])
    saving.save(model, out, card)
    return Adoption(str(out), source, saving.load_card(out), scale_words or "0 to 255")


@contextlib.contextmanager
def as_form(path: str | Path) -> Iterator[Path]:
    """Yield a model file, or a copy whose suffix tells the form of its content; a BadInputError names the file."""
    form = formats.form_of(path) if Path(path).is_file() else ""
    if not form or Path(path).suffix == form:
        yield Path(path)
        return
    try:
        with copy_as(path, form) as copy:
            yield copy
    except BadInputError as error:
        error.path = path
        raise


def adopt_export(path: str | Path, out: str | Path, card: Card, guest: Guest) -> Adoption:
    """Write a copy of an .onnx or .tflite file with `card` inside; the network itself stays as it is."""
    suffix = formats.suffix_of(path)
    if suffix != Path(out).suffix or suffix not in (".onnx", ".tflite", ""):
        form = f"name an --out in {suffix}" if suffix else "name a folder as --out"
        raise ValueError(f"the card of {Path(path).name} goes into a copy of the same form; {form}")
    check_other(path, out)
    check_writable(out)
    card = dataclasses.replace(card, scaling=guest.scaling, bgr=guest.bgr, multi_label=guest.multi_label)
    with whole_file(out) if suffix else whole_folder(out) as part:
        if suffix:
            shutil.copyfile(path, part)
        else:
            shutil.copytree(path, part, dirs_exist_ok=True)
        formats.add(part, card)
    return Adoption(str(out), Path(path).name, card, "scaled as given" if guest.scaling else "divided by 255")


def complete(card: Card, path: str | Path, classes: int) -> Card:
    """Return the card with names for all classes, and with the origin of the file."""
    names = card.class_names or tuple(f"class {i}" for i in range(classes))
    versions = provenance.versions() | (
        {"source": f"Keras {card.versions['keras']}"} if "keras" in card.versions else {}
    )
    source = card.source or Path(path).name
    return dataclasses.replace(card, class_names=names, versions=versions, commit=provenance.commit(), source=source)


def check_other(path: str | Path, out: str | Path) -> None:
    """Raise ValueError if the result would take the place of its source."""
    if Path(path).exists() and Path(out).exists() and Path(path).samefile(out):
        raise ValueError("--out is the file itself; choose another name")
