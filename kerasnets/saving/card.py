"""The card: what a model file says of itself."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path

from kerasnets.errors import BadInputError, shorten

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
