"""The recipes for ImageNet: their sources' settings, and each tried on a few small pictures in ImageNet's folders."""

import contextlib
import dataclasses
import io

import pytest

import kerasnets
from kerasnets import saving
from kerasnets.data import synsets
from kerasnets.recipes import IMAGENET
from tests.conftest import ROOT, mostly_first
from tests.data.test_synsets import LINES, NAMES, write, write_pictures

# torchvision's weights that were trained by these settings; for DenseNet by its authors
PUBLISHED = {
    "resnet50-imagenet": ("resnet50", "IMAGENET1K_V1"),
    "vgg16_bn-imagenet": ("vgg16_bn", "IMAGENET1K_V1"),
    "densenet121-imagenet": ("densenet121", "IMAGENET1K_V1"),
    "alexnet_torchvision-imagenet": ("alexnet", "IMAGENET1K_V1"),
}

# libffcv/ffcv-imagenet: README.md (top_1), rn18_configs/*.yaml (epochs, start_ramp, end_ramp)
FFCV = {
    "resnet18-imagenet-16": (16, 0.669, (11, 13)),
    "resnet18-imagenet-32": (32, 0.700, (23, 27)),
    "resnet18-imagenet-88": (88, 0.724, (65, 76)),
}


def accuracies():
    from torchvision import models

    return {
        name: models.get_model_weights(model)[version].meta["_metrics"]["ImageNet-1K"]["acc@1"] / 100
        for name, (model, version) in PUBLISHED.items()
    }


def test_goals_are_the_accuracies_that_torchvision_states(workers):
    for name, accuracy in workers["torch"](accuracies).items():
        assert IMAGENET[name].goal == pytest.approx(accuracy, abs=1e-4), name


@pytest.mark.parametrize("name", FFCV)
def test_ffcvs_recipes_have_its_settings(name):
    recipe = IMAGENET[name]
    assert (recipe.epochs, recipe.goal, recipe.progressive_size[2:]) == FFCV[name]
    assert (recipe.progressive_size[:2], recipe.image_shape) == ((160, 192), (256, 256, 3))
    assert (recipe.learning_rate, recipe.batch_size, recipe.momentum) == (0.5, 1024, 0.9)
    assert (recipe.weight_decay, recipe.decay_norms, recipe.label_smoothing) == (5e-5, False, 0.1)
    assert recipe.schedule == ("linear", 2)


def test_all_recipes_together_are_those_named_here():
    assert IMAGENET.keys() == PUBLISHED.keys() | FFCV.keys()
    for name, recipe in IMAGENET.items():
        assert recipe.name == name


def test_the_page_of_results_lists_them_with_their_figures():
    page = (ROOT / "docs/results.md").read_text(encoding="utf-8")
    for name, recipe in IMAGENET.items():
        [row] = [line for line in page.splitlines() if line.startswith(f"| `{name}` |")]
        _, _, epochs, published, _, _, _ = (cell.strip() for cell in row.split("|"))
        assert (int(epochs), float(published)) == (recipe.epochs, recipe.goal), name


BATCH = 6


def rate_of(name):
    """The learning rate for so small a batch (Goyal et al. 2017, arXiv:1706.02677): the recipe's spoils vgg16_bn."""
    return IMAGENET[name].learning_rate * BATCH / IMAGENET[name].batch_size


def train(name, folder):
    """The card of a model trained for two epochs, and its evaluation from the file."""
    from kerasnets import data
    from kerasnets.training.evaluation import evaluate_file

    grows = {"progressive_size": (32, 64)} if IMAGENET[name].progressive_size else {}
    recipe = dataclasses.replace(
        IMAGENET[name], dataset=str(folder), image_shape=(64, 64, 3), epochs=2, batch_size=BATCH, compiled=False,
        learning_rate=rate_of(name), **grows,
    )  # fmt: skip
    out = folder.parent / "model.keras"
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        run = kerasnets.train(recipe, out=out)
    card = saving.load_card(out)
    judged, _ = evaluate_file(out, data.load_like(card, str(folder)))
    return card, run.test_accuracy, judged.accuracy


@pytest.mark.parametrize("name", mostly_first(["resnet18-imagenet-16", *PUBLISHED]))
def test_a_recipe_trains_on_a_folder_like_imagenets(workers, tmp_path, name):
    folder = write_pictures(tmp_path / "imagenet")
    write(tmp_path / synsets.NAME)
    card, accuracy, judged = workers["torch"](train, name, folder)
    assert card.class_names == NAMES
    assert card.recipe == name
    assert card.input_kind == "crop"
    assert len(card.class_names) == len(LINES)
    assert judged == accuracy
    assert card.settings["learning_rate"] == rate_of(name)
    assert card.input_shape == (64, 64, 3)
    assert bool(card.settings["progressive_size"]) == (name in FFCV)
