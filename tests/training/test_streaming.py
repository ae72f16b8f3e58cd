"""A training on streamed pictures has the batches and the weights of one in memory, also when it is resumed."""

import numpy as np
import pytest

from kerasnets import data
from kerasnets.data import Data
from kerasnets.errors import BadInputError
from tests.conftest import mostly_on_torch
from tests.stand_ins import encoded, write_folder

BACKENDS = ("torch", "tensorflow", "jax")
AUGMENTATIONS = ("", "crop_flip", "crop_flip_cutout", "photo", "photo_colour")


def picture(label, i):
    """Noise with the colour of its class."""
    pixels = np.random.default_rng((label, i)).integers(0, 200, (20 + i % 5, 18, 3), np.uint8)
    pixels[..., label] += 55
    return pixels


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    files = {f"{name}/{i:02}.jpg": encoded(picture(label, i), ".jpg")
             for label, name in enumerate(("ant", "bee", "cow")) for i in range(20)}  # fmt: skip
    return write_folder(tmp_path_factory.mktemp("streaming") / "pets", files)


# ---- run in the workers ----


def batches_of(folder, stream, augmentation, first=0, batch_size=7):
    """[(images, labels)] of the epochs from `first` to 3, in the form that `fit` takes."""
    from kerasnets import data
    from kerasnets.training.batches import Batches, as_fit_takes

    reading = data.Reading(stream=stream, native=augmentation.startswith("photo"))
    pets = data.load_data(folder, None, (16, 12), "crop", reading=reading)
    plan = Batches(pets.train_images, pets.train_labels, batch_size, 3, seed=1, first=first, augmentation=augmentation)
    taken, count = as_fit_takes(plan), plan.steps_per_epoch * (3 - first)
    batches = (
        [taken[i] for i in range(count)]
        if taken is plan
        else [batch for _, batch in zip(range(count), taken, strict=False)]
    )
    return [tuple(np.asarray(part) for part in batch) for batch in batches]


def train(folder, out, stream, epochs, augmentation="", resume=False):
    """The weights and test accuracy of a training."""
    import keras

    import kerasnets
    from kerasnets import recipes

    recipe = recipes.with_changes(recipes.own("lenet5", str(folder)), augmentation=augmentation, batch_size=8)
    run = kerasnets.train(recipe, image_size=(28, 28), out=out, epochs=epochs, stream=stream, resume=resume)
    return keras.models.load_model(out, compile=False).get_weights(), run.test_accuracy


# ---- the tests ----


@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
def test_fit_gets_the_batches_of_pictures_in_memory(workers, folder, augmentation):
    first = workers["torch"](batches_of, folder, False, augmentation)
    assert len(first) == 3 * 7
    for backend in BACKENDS:
        np.testing.assert_equal(workers[backend](batches_of, folder, True, augmentation), first)


@pytest.mark.parametrize("augmentation", ["crop_flip", "photo_colour"])
def test_a_resumed_stream_has_the_remaining_batches(workers, folder, augmentation):
    whole = workers["torch"](batches_of, folder, True, augmentation)
    np.testing.assert_equal(workers["torch"](batches_of, folder, True, augmentation, 2), whole[2 * 7 :])


def test_photos_are_changed_alike_in_batches_of_any_size(workers, folder):
    def joined(batch_size):
        batches = workers["torch"](batches_of, folder, True, "photo_colour", 2, batch_size)
        return [np.concatenate(part) for part in zip(*batches, strict=True)]

    np.testing.assert_equal(joined(7), joined(48))


@mostly_on_torch
def test_a_streamed_training_equals_one_in_memory_and_one_that_is_resumed(worker, folder, tmp_path):
    streamed = worker(train, folder, str(tmp_path / "a.keras"), True, 2, "photo")
    assert (tmp_path / "a" / "index.npz").is_file()
    np.testing.assert_equal(worker(train, folder, str(tmp_path / "b.keras"), False, 2, "photo"), streamed)
    worker(train, folder, str(tmp_path / "c.keras"), True, 1, "photo")
    np.testing.assert_equal(worker(train, folder, str(tmp_path / "c.keras"), True, 2, "photo", True), streamed)


@mostly_on_torch
def test_a_training_in_memory_is_resumed_on_streamed_pictures(worker, folder, tmp_path):
    whole = worker(train, folder, str(tmp_path / "a.keras"), False, 2, "crop_flip")
    worker(train, folder, str(tmp_path / "b.keras"), False, 1, "crop_flip")
    np.testing.assert_equal(worker(train, folder, str(tmp_path / "b.keras"), True, 2, "crop_flip", True), whole)


def test_a_training_is_not_resumed_on_other_pictures(workers, folder, tmp_path):
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.jpg")}
    own, out = write_folder(tmp_path / "pets", files), str(tmp_path / "a.keras")
    workers["torch"](train, own, out, True, 1)
    for path in sorted(own.rglob("0*.jpg")):  # some of them are in the training part
        path.write_bytes(encoded(picture(0, 99), ".jpg"))
    with pytest.raises(BadInputError, match="other training data"):
        workers["torch"](train, own, out, True, 2, "", True)


def data_of(dataset, how):
    """Form and digest of the pictures that a training would take, or the words of its ValueError."""
    from kerasnets import recipes
    from kerasnets.training import jobs
    from kerasnets.training.request import Request

    recipe = recipes.with_changes(recipes.own("lenet5", dataset), augmentation="photo")
    try:
        examples = jobs.load_data(Request(recipe=recipe, **how), recipe)[1]
    except ValueError as error:
        return str(error)
    return type(examples.train_images).__name__, data.digest(examples)


def test_a_folder_given_as_arrays_is_streamed_like_one_named_in_the_recipe(workers, folder):
    how = {"stream": True, "image_size": (28, 28)}
    given = workers["torch"](data_of, "own", how | {"arrays": str(folder)})
    assert given == workers["torch"](data_of, str(folder), how)
    assert given[0] == "Pictures"


def in_memory():
    """Arrays, and the same as Data."""
    pair = np.zeros((60, 28, 28, 1), np.uint8), np.arange(60) % 3
    return pair, Data(*pair, *pair)


@pytest.mark.parametrize("form", [0, 1], ids=["arrays", "Data"])
@pytest.mark.parametrize("how", [{"stream": True}, {"skip_broken": 2}, {"synsets": "names.txt"}], ids=list)
def test_data_in_memory_are_not_said_to_be_read_otherwise(workers, form, how):
    said = workers["torch"](data_of, "own", how | {"arrays": in_memory()[form]})
    assert f"goes with a folder or zip of pictures; a {('tuple', 'Data')[form]} of Python is none" in said


def test_streamed_data_are_not_said_to_be_in_memory(folder):
    pets = data.load_data(folder, None, (28, 28), reading=data.Reading(stream=True))
    assert data.load_data(pets) is pets
    with pytest.raises(ValueError, match="the pictures of these data are streamed"):
        data.load_data(pets, reading=data.Reading(stream=False))
    with pytest.raises(ValueError, match="an image size goes with pictures of several sizes"):
        data.load_data(pets, image_size=(8, 8))


@mostly_on_torch
def test_a_picture_that_goes_during_the_training_ends_it_in_one_line(worker, folder, tmp_path):
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.jpg")}
    own = write_folder(tmp_path / "pets", files)
    with pytest.raises(BadInputError, match=r"no picture .*\.jpg: No such file") as excinfo:
        worker(train_while_a_picture_goes, own, str(tmp_path / "a.keras"))
    assert "\n" not in str(excinfo.value)


def train_while_a_picture_goes(folder, out):
    from kerasnets.training import preparation

    usual = preparation.keep_index

    def keep_index(job):
        images = job.data.train_images
        for place in images.places[-20:]:
            (folder / images.index.names[place]).unlink()
        usual(job)

    preparation.keep_index = keep_index
    try:
        train(folder, out, True, 1)
    finally:
        preparation.keep_index = usual
