"""What suits own pictures by their number and sizes is chosen, said, and overridden by whatever a person names."""

import dataclasses

import numpy as np
import pytest

from kerasnets import data, recipes
from kerasnets.cli import app, train
from kerasnets.training import defaults
from tests.stand_ins import encoded, write_folder

OWN = recipes.own("resnet20", "path/to/pets")


def examples(count, shape=(8, 8, 3), validation=None):
    images = np.zeros((count, *shape), np.uint8 if len(shape) == 3 else np.float32)
    return data.Data(images, np.arange(count) % 2, images[:4], np.arange(4) % 2, validation=validation)


def chosen(recipe, count=48, is_fresh=True, **options):
    result = defaults.choose(recipe, examples(count, **options), is_fresh=is_fresh)
    return result.epochs, result.batch_size, result.validation


@pytest.mark.parametrize(("count", "fresh", "tuned"), [
    (48, (60, 16, 0.2), (30, 16, 0.2)), (300, (60, 16, 0.2), (30, 16, 0.2)), (600, (40, 32, 0.1), (15, 32, 0.1)),
    (20_000, (20, 64, 0.1), (10, 64, 0.1)), (50_000, (10, 64, 0.1), (5, 64, 0.1)),
])  # fmt: skip
def test_few_pictures_are_seen_more_often_in_smaller_batches(count, fresh, tuned):
    assert chosen(OWN, count) == fresh
    assert chosen(OWN, count, is_fresh=False) == tuned


def test_the_choice_is_told_in_a_line_with_the_options_that_change_it(capsys):
    chosen(OWN)
    assert capsys.readouterr().err == (
        "note: 48 training pictures; chosen: 60 epochs, batches of 16, 20% of them for validation; change by --epochs, "
        "--batch-size, --validation\n"
    )


@pytest.mark.parametrize(("recipe", "expected"), [
    (recipes.with_changes(OWN, epochs=10), (10, 16, 0.2)),  # the value that known data get, but named
    (recipes.with_changes(OWN, epochs=7, batch_size=64, validation=0.1), (7, 64, 0.1)),
    (dataclasses.replace(OWN, epochs=7), (7, 16, 0.2)),
    (recipes.own("resnet20", "digits"), (10, 64, 0.1)),  # a known data set
    (recipes.RECIPES["lenet5-mnist"], (5, 256, 6000)),
])  # fmt: skip
def test_what_a_person_or_a_recipe_names_stays(recipe, expected):
    assert chosen(recipe) == expected


def test_tables_and_given_validation_parts_stay():
    assert chosen(OWN, shape=(5,)) == (10, 64, 0.1)
    assert chosen(OWN, validation=np.arange(3)) == (60, 16, 3)
    assert chosen(OWN, validation=np.arange(0)) == (60, 16, 0.2)  # as folders have it


def test_a_validation_part_that_comes_with_the_data_is_the_one_that_counts(capsys):
    """It is no training picture, and another number has no effect."""
    assert chosen(OWN, 48, validation=np.arange(10)) == (60, 16, 10)
    assert "note: 38 training pictures; chosen: 60 epochs, batches of 16; change by" in capsys.readouterr().err
    named = recipes.with_changes(OWN, validation=2000)
    assert chosen(named, 48, validation=np.arange(10)) == (60, 16, 10)
    assert "10 pictures for validation come with the data: a validation of 2000 has no" in capsys.readouterr().err


@pytest.mark.parametrize(("words", "count", "momentum"), [
    ("--model resnet20 --dataset pets --ema", 48, 0.9444),  # 60 epochs of 3 batches
    ("--model resnet20 --dataset pets --ema --epochs 1", 48, 0.5),
    ("--model resnet20 --dataset pets --ema --epochs 100", 1000, 0.9966),  # of 29 batches
    ("--model resnet20 --dataset pets --ema 0.9", 48, 0.9),
    ("--model resnet20 --dataset pets", 48, 0.0),
    ("lenet5-mnist --ema", 54_000, 0.9894),  # 5 epochs of 188 batches,
])  # fmt: skip
def test_an_average_is_over_the_last_tenth_of_the_steps(monkeypatch, words, count, momentum):
    monkeypatch.setattr(train, "check_names", lambda args: None)
    args = parsed(words)
    recipe = recipes.with_changes(train.recipe_of(args), epochs=args.epochs)
    result = defaults.choose(recipe, examples(count), is_fresh=True)
    assert (result.ema, result.by_data) == (momentum, ())


def folder_of(path, sizes):
    pixels = {f"{name}/{i}.png": np.zeros((*size, 3), np.uint8)
              for name in ("cat", "dog") for i, size in enumerate(sizes)}  # fmt: skip
    return write_folder(path, {name: encoded(each) for name, each in pixels.items()})


@pytest.mark.parametrize(("model", "side"), [
    ("resnet18", 60), ("resnet20", 32), ("lenet5", 28), ("alexnet", 63), ("my_net", 60),
])  # fmt: skip
def test_pictures_of_several_sizes_get_their_median_within_what_the_network_takes(tmp_path, capsys, model, side):
    path = folder_of(tmp_path / "pets", [(50, 90), (80, 60), (70, 90)])
    recipe = recipes.own(model, str(path))
    side = max(side, next((form.smallest for form in defaults.models.FORMS if form.name == model), 1))
    assert defaults.size_for(recipe, path) == (side, side)
    squashed = f"chosen: {side}x{side} pixels, to which they are squashed (--augment-photos crops them); change by"
    assert f"several sizes; {squashed} --image-size" in capsys.readouterr().err
    assert defaults.size_for(recipes.with_changes(recipe, augmentation="photo"), path) == (side, side)
    assert f"several sizes; chosen: {side}x{side} pixels; change by --image-size" in capsys.readouterr().err


def test_pictures_of_one_size_keep_it(tmp_path, capsys):
    path = folder_of(tmp_path / "pets", [(50, 90)] * 3)
    assert defaults.size_for(OWN, path) is None
    assert capsys.readouterr().err == ""


def parsed(words):
    parser = app.Parser("", "train")
    train.add_arguments(parser)
    return parser.parse_args(words.split())


def recipe_of(words):
    return train.recipe_of(parsed(words))


def test_a_schedule_on_the_command_line_is_that_of_the_chosen_epochs(tmp_path):
    path = folder_of(tmp_path / "pets", [(50, 90)] * 6)
    words = f"--model resnet20 --dataset {path}"
    assert recipe_of(f"{words} --schedule steps").schedule == ("epochs", 0.1, (20, 40), 0)
    assert recipe_of(f"{words} --schedule steps --epochs 9").schedule == ("epochs", 0.1, (3, 6), 0)
    named = recipe_of(f"{words} --validation 0.25 --batch-size 8")
    assert (named.validation, named.by_data) == (0.25, ("epochs", "batch_size"))


def prepared(folder, options):
    """(epochs, batch size, validation, input shape, what is left to the data) of a job of Python."""
    from kerasnets.training import jobs
    from kerasnets.training.request import Request

    request = Request(recipe=recipes.own("lenet5", str(folder)), out=folder.parent / "a.keras", **options)
    job = jobs.prepare(request)
    recipe = job.recipe
    return recipe.epochs, recipe.batch_size, recipe.validation, job.network.input_shape[1:], "by_data" in job.settings


def test_a_training_from_python_gets_the_same_choice(workers, tmp_path):
    folder = folder_of(tmp_path / "pets", [(50, 90), (80, 60), (70, 90)] * 4)
    prepare = workers["torch"]
    assert prepare(prepared, folder, {}) == (60, 16, 0.2, (28, 28, 1), False)
    options = {"epochs": 10, "image_size": (40, 30)}
    assert prepare(prepared, folder, options) == (10, 16, 0.2, (40, 30, 1), False)
