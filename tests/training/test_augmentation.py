"""Which augmentation suits which data: no change makes a picture one of another class."""

import numpy as np
import pytest

from kerasnets import data, recipes
from kerasnets.cli import app, train
from kerasnets.training.augmentation import AUGMENTATIONS, suit
from kerasnets.training.facts import AUGMENTATIONS as WORDS

AUTO = recipes.with_changes(recipes.own("small_cnn", "pets"), augmentation=recipes.AUTO)


def examples(kind="picture", names=("cat", "dog"), shape=(4, 28, 28, 1)):
    images = np.zeros(shape, np.uint8 if len(shape) == 4 else np.float32)
    labels = np.arange(len(images)) % len(names)
    return data.Data(images, labels, images, labels, class_names=names, input_kind=kind)


def changes(words):
    parser = app.Parser()
    train.add_arguments(parser)
    args = parser.parse_args(words.split())
    return train.recipe_of(args).augmentation


@pytest.mark.parametrize(("kind", "names", "suited"), [
    ("mnist", tuple("0123456789"), "shift"),
    ("mnist_padded", tuple("0123456789"), "shift"),
    ("mnist_permuted", tuple("0123456789"), ""),
    ("fashion", ("Coat", "Bag"), "shift_flip"),
    ("picture", ("cat", "dog"), "crop_flip"),
    ("crop256", ("cat", "dog"), "crop_flip"),
    ("picture", ("a", "b", "Z"), "shift"),  # a folder of letters
    ("picture", ("3", "10"), "shift"),  # numbers stand for anything, such as traffic signs
    ("picture", ("digit_3", "Digit 4"), "shift"),
    ("picture", ("three", "Four"), "shift"),
    ("picture", ("五", "六"), "shift"),
    ("picture", ("turn_left", "stop"), "shift"),
    ("picture", ("stop", "keepRight"), "shift"),
    ("picture", ("bright", "leftover"), "crop_flip"),
])  # fmt: skip
def test_the_kind_of_data_decides_what_augmentation_does(kind, names, suited):
    assert suit(AUTO, examples(kind, names)).augmentation == suited


def test_pictures_of_own_data_are_mirrored_with_a_note(capsys):
    suit(AUTO, examples())
    assert "if a mirrored one is of another class, choose --augment shift" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "kind", "names", "suited"), [
    ("photo", "crop", ("cat", "dog"), "photo"),
    ("photo", "crop", ("3", "8"), "photo_upright"),  # an own folder of digits
    ("photo_colour", "crop", ("turn_left", "stop"), "photo_colour_upright"),
    ("photo", "mnist", tuple("0123456789"), "photo_upright"),
    ("photo_upright", "crop", ("3", "8"), "photo_upright"),
    ("photo", "fashion", ("Coat", "Bag"), "photo"),
])  # fmt: skip
def test_photos_that_would_be_of_another_class_are_not_mirrored(capsys, name, kind, names, suited):
    recipe = recipes.with_changes(AUTO, augmentation=name)
    assert suit(recipe, examples(kind, names)).augmentation == suited
    notes = capsys.readouterr().err
    assert ("not mirrored, because a mirrored one may be of another class" in notes) == suited.endswith("upright")


def test_rows_of_numbers_are_refused():
    with pytest.raises(ValueError, match="augmentation changes images; these data has rows of numbers"):
        suit(AUTO, examples("row", shape=(4, 3)))


def test_a_chosen_augmentation_stays():
    recipe = recipes.with_changes(AUTO, augmentation="flip")
    assert suit(recipe, examples("mnist")) == recipe


@pytest.mark.parametrize(("words", "name"), [
    ("mnist_cnn-digits --augment", "auto"),
    ("--augment mnist_cnn-digits", "auto"),
    ("--augment shift -- mnist_cnn-digits", "shift"),
    ("mnist_cnn-digits --augment shift flip", "shift_flip"),
    ("mnist_cnn-digits --augment flip crop", "crop_flip"),
    ("mnist_cnn-digits --augment crop", "crop"),
    ("vgg_cifar-cifar10 --augment none", ""),
    ("vgg_cifar-cifar10", "crop_flip"),
])  # fmt: skip
def test_augment_takes_the_changes_in_any_order(words, name):
    assert changes(words) == name


@pytest.mark.parametrize("chosen", ["mirror", "shift crop", "none flip"])
def test_other_changes_are_refused(chosen):
    with pytest.raises(ValueError, match=r"--augment takes shift, crop, flip, .* or none, not "):
        changes(f"mnist_cnn-digits --augment {chosen}")


def test_the_report_has_words_for_each():
    assert AUGMENTATIONS.keys() <= WORDS.keys()
