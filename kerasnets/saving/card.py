"""The card: what a model file states about its network."""

import dataclasses
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasnets.errors import BadInputError, in_one_line

if TYPE_CHECKING:
    import keras

    from kerasnets.graph import Scaling

MOST_NUMBERS = 2**28  # in the input of a network
LARGEST = 1e300  # number in a card
COLDEST, HOTTEST = 1e-3, 1e3  # temperatures; networks for pictures have 0.5 to 5
OTHERWISE = ("class_names", "input_shape", "scaling")  # fields that are checked in another way

# Files that people take for a model: (what it is, remedy) -> how it begins
MISTAKEN = {
    ("a web page", "download the file itself, not the page about it"): (b"<!", b"<h", b"<H", b"<?"),
    ("a pointer of Git LFS", "fetch the file itself by git lfs pull"): (b"version https://git-lfs",),
    ("packed", "unpack it before"): (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf", b"Rar!"),
}


@dataclass(frozen=True)
class Card:
    """The facts in a model file: the first four fields say how to use the network, the others where it comes from.

    Args:
        model: Name of the network.
        class_names: One name for each output, in the order of the outputs; () if the file names no classes.
        input_shape: (height, width, channels) of a picture, or (columns,) of a row; () if unspecified.
        input_kind: How a picture is prepared, a name in `pictures.KINDS`: "picture" resizes it, "mnist" cuts out and
            centres one digit, "crop256" and "crop232" take its middle as torchvision does.
        dataset: Title of the data set.
        recipe: Name in RECIPES.
        accuracy: On test data, as a fraction; None if the weights come from elsewhere.
        val_accuracy: On validation data, as a fraction.
        epochs: Epochs of training.
        seed: Seed of the training.
        versions: {package: version} in the training.
        commit: Commit of kerasnets in the training; "" outside a checkout.
        weights_sha256: SHA-256 of all weights in their order.
        source: Origin of weights that were trained elsewhere: the name of their file, or torchvision's name for them.
        multi_label: Whether each class has a probability by itself, as several sigmoids give them.
        scaling: (scale, offset) of an adopted export, which takes pixel * scale + offset; None of all other files.
        bgr: Whether an adopted export takes blue first.
        settings: All settings of the training, as JSON has them: the fields of a Recipe, and the frozen layers.
        date: Of the end of the training, as "2026-01-31T12:00:00Z".
        parent: Name of the model file that the training started from; "" for random weights.
        parent_sha256: `weights_sha256` of that file.
        data_digest: Digest of the pictures, or rows, and labels that were trained and validated on.
        temperature: By which the logits are divided to make the probabilities honest, found on validation data.
        sure_from: The least probability, calibrated, of an answer that is called sure.

    Example:
        >>> card = Card("lenet5", class_names=("cat", "dog"), input_shape=(28, 28, 1))
        >>> card.input_kind
        'picture'
    """

    model: str
    class_names: tuple[str, ...]
    input_shape: tuple[int, ...]
    input_kind: str = "picture"
    dataset: str = ""
    recipe: str = ""
    accuracy: float | None = None
    val_accuracy: float | None = None
    epochs: int = 0
    seed: int = 0
    versions: dict[str, str] = field(default_factory=dict)
    commit: str = ""
    weights_sha256: str = ""
    source: str = ""
    multi_label: bool = False
    scaling: "Scaling | None" = None
    bgr: bool = False
    settings: dict[str, Any] = field(default_factory=dict)
    date: str = ""
    parent: str = ""
    parent_sha256: str = ""
    data_digest: str = ""
    temperature: float = 1.0
    sure_from: float = 0.9  # of the answers called sure, nine in ten at least are right


def as_json(card: Card) -> str:
    return json.dumps(dataclasses.asdict(card), indent=1)


def from_json(text: str | bytes, path: str | Path) -> Card:
    """Return the Card in JSON text that `path` holds; raise BadInputError if there is none."""
    try:
        fields = json.loads(text)
        for name in ("class_names", "input_shape"):
            fields[name] = tuple(fields[name])
        card = Card(**fields)
        strange = next((name for name in fields if not has_its_kind(name, fields[name])), None)
        if strange is not None:
            raise TypeError(f"{strange} is {fields[strange]!r:.40}")
        if not all(isinstance(name, str) for name in card.class_names):
            raise TypeError("a name is not text")
        if not all(type(size) is int and size > 0 for size in card.input_shape):
            raise ValueError(f"input_shape {card.input_shape}")
        if not COLDEST <= card.temperature <= HOTTEST:
            raise ValueError(f"temperature {card.temperature!r:.20}")
        if card.scaling is not None and not is_scaling(card.scaling):
            raise TypeError(f"scaling {card.scaling!r:.40}")
        if len(card.input_shape) > 3 or math.prod(card.input_shape) > MOST_NUMBERS:
            raise ValueError(f"input_shape {card.input_shape} is larger than any picture")
        check_names(card)
        return card
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        problem = f"has a card that cannot be read ({in_one_line(error)})"
        raise BadInputError(problem, path=path, remedy="train or copy it again") from error


def has_its_kind(name: str, value: object) -> bool:
    """Whether the value of a card's field is of the field's kind, so that every command can show it."""
    if name in ("accuracy", "val_accuracy"):
        return value is None or is_number(value)
    if name in ("temperature", "sure_from"):
        return is_number(value)
    if name == "versions":
        return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())
    kinds = {"multi_label": bool, "bgr": bool, "settings": dict, "epochs": int, "seed": int}
    return name in OTHERWISE or isinstance(value, kinds.get(name, str))


def is_number(value: object) -> bool:
    """Whether a value of JSON is a finite number; JSON's whole numbers may be larger than any other."""
    return isinstance(value, (int, float)) and abs(value) < LARGEST


def is_scaling(value: object) -> bool:
    """Whether a value of JSON is (scale, offset): numbers, or lists by channel."""

    def are_numbers(part: object) -> bool:
        return all(map(is_number, part if isinstance(part, list) and 0 < len(part) <= 4 else [part]))

    return isinstance(value, list) and len(value) == 2 and all(map(are_numbers, value))


def check_card(card: Card, model: "keras.Model") -> None:
    """Raise ValueError if `card` contradicts `model`, which would mislead a user of their file."""
    from kerasnets.pictures import KINDS

    shape, classes = model.input_shape[1:], model.output_shape[-1]
    if tuple(card.input_shape) != shape:
        raise ValueError(f"the card's input_shape is {tuple(card.input_shape)}, but {model.name} takes {shape}")
    if len(card.class_names) != classes:
        raise ValueError(f"the card names {len(card.class_names)} classes, but {model.name} has {classes} outputs")
    check_names(card)
    if card.input_kind not in KINDS:
        raise ValueError(f"unknown input kind {card.input_kind!r}; choose one of: {', '.join(KINDS)}")


def check_names(card: Card) -> None:
    """Raise ValueError if two classes have one name: an answer by name would give one of them the other's place."""
    if len(set(card.class_names)) < len(card.class_names):
        twice = max(card.class_names, key=card.class_names.count)
        raise ValueError(f"two classes have the name {twice!r:.40}; give each its own")


def check_present(path: str | Path) -> None:
    """Raise BadInputError if a model file is missing, a folder, empty, or a file of another sort."""
    path = Path(path)
    if path.is_dir():
        raise BadInputError("is a folder, not a model file", path=path, remedy="name the file in it")
    if not path.is_file():
        remedy = "check name and folder, or make one by kerasnets train mnist_cnn-digits"
        raise BadInputError("no model file {path}", path=path, remedy=remedy)
    with path.open("rb") as file:
        beginning = file.read(32)
    if not beginning:
        raise BadInputError("is empty", path=path, remedy="train or copy it again")
    for (mistake, remedy), beginnings in MISTAKEN.items():
        if beginning.startswith(beginnings):
            raise BadInputError(f"is {mistake}", path=path, remedy=remedy)
