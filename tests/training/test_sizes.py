"""Photos that grow during the training: their sizes, the weights that they give, and what cannot be."""

import dataclasses
import functools

import numpy as np
import pytest

from tests.conftest import mostly_on_torch
from tests.stand_ins import encoded, write_folder
from tests.training import together
from tests.training.test_workers import alone, distance

GROWS = {"settings": {"augmentation": "photo", "progressive_size": (8, 12)}, "pools": True}  # 8, 8 and 12 pixels

# progressive_size -> the sizes of five epochs. ffcv rounds those between to the nearest multiple of 32, of two the even
SCHEDULES = {
    (96, 160): [96, 128, 128, 128, 160],  # 112, 128 and 144
    (32, 192): [32, 64, 128, 160, 192],  # 72, 112 and 152
    (64, 64): [64] * 5,
    (160, 192, 1, 4): [160, 160, 160, 192, 192],  # 170 2/3 and 181 1/3
    (100, 120, 0, 4): [100, 100, 100, 120, 120],  # 96 and 128 are outside
    (160, 192, 2, 2): [160, 160, 160, 192, 192],
}


# ---- run in the workers ----


def sides(progressive_size, epochs=5):
    from kerasnets.training.sizes import side_in

    side = side_in(dataclasses.replace(together.RECIPE, epochs=epochs, progressive_size=progressive_size))
    return [side(epoch) for epoch in range(epochs)]


def batches_of(folder, stream, first=0):
    """[(images, labels)] of the epochs from `first` to 3, in the form that `fit` takes, without the end of an epoch."""
    from kerasnets import data
    from kerasnets.training.batches import Batches, as_fit_takes
    from kerasnets.training.sizes import side_in

    side = side_in(dataclasses.replace(together.RECIPE, epochs=3, progressive_size=(8, 16)))
    pets = data.load_data(folder, None, (16, 16), "crop", reading=data.Reading(stream=stream, native=True))
    plan = Batches(pets.train_images, pets.train_labels, 7, 3, seed=1, first=first, augmentation="photo", side_in=side)
    taken, count = as_fit_takes(plan), plan.steps_per_epoch * (3 - first)
    indexed = map(taken.__getitem__, range(count)) if taken is plan else taken
    return [tuple(np.asarray(part) for part in batch) for _, batch in zip(range(count), indexed, strict=False)]


def trained(side, progressive_size):
    """The weights of a network for `side` pixels, without dropout, after two epochs."""
    import keras
    from keras import layers

    from kerasnets.training.batches import Batches, as_fit_takes
    from kerasnets.training.sizes import side_in
    from kerasnets.training.trainee import trainee_of

    keras.utils.set_random_seed(0)
    inputs = keras.Input((side, side, 3))
    x = layers.BatchNormalization(name="norm1")(layers.Conv2D(8, 3, padding="same", name="conv1")(inputs))
    x = layers.MaxPooling2D(2, padding="same", name="pool1")(layers.Activation("tanh", name="tanh1")(x))
    network = keras.Model(inputs, layers.Dense(4, name="logits")(layers.GlobalAveragePooling2D(name="pool2")(x)))
    squares = together.squares(64)
    recipe = dataclasses.replace(together.RECIPE, epochs=2, progressive_size=progressive_size)
    plan = Batches(
        squares.train_images, squares.train_labels, 24, 2, seed=0, augmentation="photo", shape=(side, side, 3),
        side_in=side_in(recipe),
    )  # fmt: skip
    trainee = trainee_of(network, recipe, recipe.scaling, plan.steps_per_epoch)
    trainee.fit(as_fit_takes(plan), steps_per_epoch=plan.steps_per_epoch, epochs=2, shuffle=False, verbose=0)
    return trainee.get_weights()


def refusal(**changes):
    """The words of the error that a training of `changes` raises."""
    try:
        together.train_squares("/nowhere/a.keras", **changes)
    except ValueError as error:
        return str(error)
    return ""


def first_photo(folder, out, **source):
    """The shape of a network that is trained on a folder without an image size."""
    from kerasnets import recipes
    from kerasnets.training import jobs
    from kerasnets.training.request import Request

    recipe = recipes.with_changes(recipes.own("nin", str(folder)), augmentation="photo", progressive_size=(32, 48))
    return jobs.prepare(Request(recipe=recipe, out=out, **source)).network.input_shape


# ---- the tests ----


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    noise = np.random.default_rng(0)
    files = {f"{name}/{i:02}.png": encoded(noise.integers(0, 255, (20 + i % 5, 18, 3), np.uint8))
             for name in ("ant", "bee") for i in range(10)}  # fmt: skip
    return write_folder(tmp_path_factory.mktemp("sizes") / "pets", files)


def test_sizes_grow_as_ffcvs_do(workers):
    for progressive_size, expected in SCHEDULES.items():
        assert workers["torch"](sides, progressive_size) == expected, progressive_size


@mostly_on_torch
def test_fit_gets_the_same_photos_streamed_in_memory_and_resumed(worker, workers, folder):
    expected = workers["torch"](batches_of, folder, False)
    assert [images.shape[1:] for images, _ in expected] == [(8, 8, 3)] * 6 + [(16, 16, 3)] * 3
    np.testing.assert_equal(worker(batches_of, folder, True), expected)
    np.testing.assert_equal(worker(batches_of, folder, True, 2), expected[6:])


@mostly_on_torch
def test_photos_of_one_size_train_like_a_network_of_that_size(worker):
    assert distance(worker(trained, 12, (8, 8)), worker(trained, 8, ())) <= 1e-6


@mostly_on_torch
def test_a_training_stopped_after_its_photos_have_grown_goes_on_from_that_step(worker, tmp_path):
    expected = alone(worker, tmp_path / "whole.keras", **GROWS)
    out = tmp_path / "parts.keras"
    worker(functools.partial(together.train_squares, out, stop=(0, 2, 4, 15), minutes=60, **GROWS))
    assert distance(alone(worker, out, resume=True, **GROWS), expected) == 0
    assert (tmp_path / "parts/batches.csv").read_text() == (tmp_path / "whole/batches.csv").read_text()


REFUSALS = {
    "weights of one size": ({"pools": False}, "cannot train on photos of several sizes: its weights are for 12x12"),
    "larger than the test": ({"progressive_size": (8, 16)}, "grow to 16x16 pixels exceed those of the test, 12x12;"),
    "no square": ({"image_shape": (12, 16, 3), "input_kind": "crop"}, "of squares; the test has pictures of 12x16"),
    "falling": ({"progressive_size": (12, 8)}, "progressive size must rise"),
    "three numbers": ({"progressive_size": (8, 12, 1)}, "has two or four numbers, not 3"),
    "after the end": (
        {"progressive_size": (8, 12, 1, 3)},
        "until epoch 3, counted from 0, take 4 epochs or more, not 3; "
        "name --epochs 4, or --progressive-size 8:12, which grows in all epochs",
    ),
    "too small": (
        {"progressive_size": (1, 12)},
        "photos of 1x1 pixels are too small for smooth; name a larger first size",
    ),
    "no photos": ({"augmentation": "crop_flip"}, "cropped at their own size: --augment-photos"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_cannot_be_is_refused_in_one_line(workers, case):
    changes, words = REFUSALS[case]
    settings = GROWS["settings"] | {name: value for name, value in changes.items() if name != "pools"}
    message = workers["torch"](functools.partial(refusal, settings=settings, pools=changes.get("pools", True)))
    assert words in message
    assert "\n" not in message


def test_the_test_has_the_last_size_if_none_is_named(workers, folder, tmp_path):
    assert workers["torch"](first_photo, folder, tmp_path / "a.keras") == (None, 48, 48, 3)
    given = functools.partial(first_photo, "elsewhere", tmp_path / "b.keras", arrays=folder)
    assert workers["torch"](given) == (None, 48, 48, 3)


def test_one_epoch_alone_is_the_last_one(workers):
    assert workers["torch"](sides, (96, 160), 1) == [160]
    assert workers["torch"](words, (96, 160), 1) == "photos of 160 pixels in all epochs"
    assert workers["torch"](words, (96, 160), 3) == "photos of 96 pixels in epoch 1 grow to 160 in epoch 3"


def words(progressive_size, epochs):
    from kerasnets.training.facts import growth_of

    return growth_of(dataclasses.replace(together.RECIPE, epochs=epochs, progressive_size=progressive_size))
