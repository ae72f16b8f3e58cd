"""Training repeats, has one order of the data on every backend, and records itself in its files."""

import contextlib
import dataclasses
import io
import json
import types

import numpy as np
import pytest

import kerasnets
from kerasnets import data, recipes
from kerasnets.recipes import RECIPES
from tests.conftest import mostly_on_torch
from tests.data.test_dataset import BAD_DATA

CIFAR = ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))

# Settings of the tutorials and papers: optimizer, learning rate, momentum, batch, epochs, mean, std, published
SETTINGS = {
    "mnist_cnn-mnist": ("rmsprop", 0.001, 0.0, 128, 5, 0.0, 1.0, "0.9881"),
    "lenet5-mnist": ("sgd", 0.9, 0.0, 256, 5, 0.1307, 0.3081, "0.9852 and 0.9794 (goal 0.982)"),
    "dnn_mnist-mnist": ("sgd", 0.01, 0.5, 64, 5, 0.1307, 0.3081, "0.9666"),
    "fc2layer-mnist": ("sgd", 0.01, 0.5, 64, 1, 0.1307, 0.3081, "none"),
    "small_cnn-mnist": ("sgd", 0.01, 0.5, 64, 1, 0.1307, 0.3081, "none"),
    "fc2layer-mnist-permuted": ("sgd", 0.01, 0.5, 64, 1, 0.1307, 0.3081, "none"),
    "small_cnn-mnist-permuted": ("sgd", 0.01, 0.5, 64, 1, 0.1307, 0.3081, "none"),
    "alexnet_plain-fashion_mnist": ("sgd", 0.1, 0.0, 128, 10, 0.1307, 0.3081, "0.9122"),
    "googlenet_mini-fashion_mnist": ("sgd", 0.1, 0.0, 128, 10, 0.1307, 0.3081, "0.8959"),
    "resnet_mini-fashion_mnist": ("sgd", 0.1, 0.0, 128, 10, 0.1307, 0.3081, "0.9004"),
    "fashion_cnn-fashion_mnist": ("adam", 0.01, 0.0, 100, 10, 0.0, 1.0, "0.8857 of the training data"),
    "cifar_net-cifar10": ("adam", 0.001, 0.0, 64, 10, 0.5, 0.5, "0.63"),
    "vgg_cifar-cifar10": ("adam", 0.001, 0.0, 128, 10, *CIFAR, "0.8287"),
    "nin-cifar10": ("sgd", 0.1, 0.9, 128, 100, 0.5, 0.5, "0.9119, the paper's"),
    "resnet_cifar_wide-cifar10": ("adam", 0.001, 0.0, 500, 1000, 0.0, 1.0, "none"),
    "resnet20-cifar10": ("sgd", 0.1, 0.9, 128, 182, *CIFAR, "0.9125"),
    "dnn_tabular-sum3": ("sgd", 0.01, 0.0, 0, 1000, 0.0, 1.0, "0.6717 (the share of the middle class)"),
}


# Their further settings: crops of padding 4 and flips; PyTorch's weight decay; squared error; validation images. The
# schedule of ResNet-20 is its paper's (arXiv:1512.03385, section 4.2: 1e-4, a tenth at 32k and 48k steps, end at 64k).
FURTHER = {
    "mnist_cnn-mnist": {"validation": 12_000},
    "alexnet_plain-fashion_mnist": {"image_shape": (224, 224, 1)},
    "lenet5_sigmoid-mnist": {"image_shape": (32, 32, 1), "input_kind": "mnist_padded", "goal": 0.992},
    "vgg_cifar-cifar10": {"augmentation": "crop_flip", "schedule": ()},
    "vgg_cifar-cifar10-cosine": {"augmentation": "crop_flip", "goal": 0.8287, "learning_rate": 0.001, "epochs": 10},
    "nin-cifar10": {"augmentation": "crop_flip", "weight_decay": 5e-4},
    "resnet_cifar_wide-cifar10": {"loss": "squared_error", "augmentation": ""},
    "resnet20-cifar10": {"augmentation": "crop_flip", "weight_decay": 1e-4, "validation": 5_000,
                         "schedule": ("steps", 0.1, (32_000, 48_000))},
    "resnet18-cifar10": {"options": {"small_stem": True}, "goal": 0.9302},
    "fashion_cnn-fashion_mnist": {"goal": 0.8857, "goal_on": "train"},  # 53,143 of 60,000
    "dnn_tabular-sum3": {"loss": "squared_error", "validation": 0},
}  # fmt: skip


def test_resnet20_ends_after_the_papers_64_000_steps():
    recipe = RECIPES["resnet20-cifar10"]
    assert abs(recipe.epochs * -(-(50_000 - recipe.validation) // recipe.batch_size) - 64_000) < 100


@pytest.mark.parametrize("name", FURTHER)
def test_further_settings_are_those_of_the_sources(name):
    assert {field: getattr(RECIPES[name], field) for field in FURTHER[name]} == FURTHER[name]


def test_mnist_cnn_keeps_48000_pictures_to_train_on_and_12000_to_validate(mnist):
    train, validation = data.split(mnist.train_labels, RECIPES["mnist_cnn-mnist"].validation, seed=0)
    assert (len(train), len(validation)) == (48_000, 12_000)


@pytest.mark.parametrize("name", SETTINGS)
def test_recipes_have_the_settings_of_their_sources(name):
    recipe = RECIPES[name]
    optimizer = (recipe.optimizer, recipe.learning_rate, recipe.momentum)
    result = (*optimizer, recipe.batch_size, recipe.epochs, recipe.mean, recipe.std, recipe.published_figure)
    assert result == SETTINGS[name]


def test_every_recipe_trains_a_model_that_exists_on_data_that_exist(workers):
    models = workers["torch"](list_models)
    for name, recipe in RECIPES.items():
        assert name == f"{recipe.model}-{recipe.dataset}{'-' if recipe.variant else ''}{recipe.variant}"
        assert recipe.model in models
        assert recipe.dataset in data.DATASETS


@pytest.mark.parametrize(("model", "dataset", "name"), [
    ("lenet5", "mnist", "lenet5-mnist"),
    ("lenet5", "cifar10", "lenet5-cifar10"),
    ("lenet5", "path/to/pets", "lenet5-pets"),
    ("lenet5", "path/to/pets.zip", "lenet5-pets"),
    ("lenet5", "path/to/pets/..", "lenet5-to"),
    ("lenet5", "./mnist", "lenet5-mnist-own"),
    ("lenet5", "path/to/mnist.npz", "lenet5-mnist-own"),
])  # fmt: skip
def test_own_data_are_named_after_their_folder_and_never_like_a_known_recipe(model, dataset, name):
    assert recipes.own(model, dataset).name == name


def test_scaling_equals_torchvisions_to_tensor_and_normalize():
    recipe = RECIPES["lenet5-mnist"]
    scale, offset = recipe.scaling
    pixels = np.arange(256)
    np.testing.assert_allclose(pixels * scale + offset, (pixels / 255 - 0.1307) / 0.3081, atol=1e-12)


# ---- run in the workers ----


def list_models():
    return kerasnets.list_models()


def slope_after_fit(pixels, targets, batch_size, epochs, seed, learning_rate):
    """Fit targets = slope * pixels by SGD from a slope of 0; return the slope."""
    import keras

    from kerasnets.training.batches import Batches

    batches = Batches(pixels, targets, batch_size, epochs, seed=seed)
    inputs = keras.Input((1, 1, 1), dtype="uint8")
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")(x))
    model.compile(keras.optimizers.SGD(learning_rate), loss="mse")
    model.fit(batches, steps_per_epoch=batches.steps_per_epoch, epochs=epochs, shuffle=False, verbose=0)
    return float(model.get_weights()[0][0, 0])


def train_digits(folder, name, options):
    """(fields, line and JSON of the Run), the file's card, its accuracy, its weights."""
    run = kerasnets.train("mnist_cnn-digits", out=folder / name, **options)
    model, card = kerasnets.load(folder / name)
    digits = data.load_data("digits")
    predictions = model.predict(digits.test_images, verbose=0).argmax(1)
    accuracy = float((predictions == digits.test_labels).mean())
    return (dataclasses.asdict(run), run.line(), run.json()), card, accuracy, [w.tolist() for w in model.get_weights()]


def train_error(recipe, options):
    try:
        kerasnets.train(recipe, **options)
    except Exception as error:
        return type(error).__name__, str(error)


def train_in_vain(out, name, changes):
    """(fields of the Run of a recipe with changes, its output on stderr)."""
    with contextlib.redirect_stderr(io.StringIO()) as output:
        run = kerasnets.train(recipes.with_changes(RECIPES[name], **changes), out=out)
    return dataclasses.asdict(run), output.getvalue()


def train_to_nan(folder):
    """Train with a learning rate that makes any loss NaN."""
    RECIPES["nan"] = dataclasses.replace(RECIPES["mnist_cnn-digits"], optimizer="sgd", learning_rate=1e30)
    try:
        return train_error("nan", {"out": folder / "nan.keras", "epochs": 2}), [
            path for path in folder.rglob("*") if path.is_file()
        ]
    finally:
        del RECIPES["nan"]


# ---- tests ----


def test_every_backend_trains_in_the_order_of_seed_and_epoch(worker):
    """Steps of SGD do not commute: the result shows the order. NumPy takes the steps in the documented order."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(1, 256, (10, 1, 1, 1), np.uint8)
    targets = rng.normal(0, 1, 10).astype("float32")

    def walk(orders):
        slope = 0.0
        for order in orders:
            for start in range(0, 10, 4):
                x, y = pixels.ravel()[order[start : start + 4]] / 255, targets[order[start : start + 4]]
                slope -= 0.5 * np.mean(2 * (slope * x - y) * x)
        return slope

    documented = walk([np.random.default_rng((11, epoch)).permutation(10) for epoch in range(3)])
    repeated = walk([np.random.default_rng((11, 0)).permutation(10)] * 3)
    assert abs(documented - repeated) > 1e-3
    assert worker(slope_after_fit, pixels, targets, 4, 3, 11, 0.5) == pytest.approx(documented, abs=1e-5)


@mostly_on_torch
def test_a_run_on_digits_reaches_0_97_and_its_card_says_so(worker, tmp_path):
    (fields, line, as_json), card, accuracy, _ = worker(train_digits, tmp_path, "model.keras", {})
    run = types.SimpleNamespace(**fields)
    assert run.test_accuracy >= 0.97
    assert accuracy == pytest.approx(run.test_accuracy, abs=1e-6)  # the file is the model that was judged
    assert run.dataset == card.dataset == "scikit-learn's digits"
    assert (card.recipe, card.model, card.epochs, card.seed) == ("mnist_cnn-digits", "mnist_cnn", 25, 0)
    assert card.accuracy == run.test_accuracy
    assert card.temperature == run.temperature != 1
    assert card.class_names == tuple("0123456789")
    assert {"python", "keras", "kerasnets", "numpy", run.backend} == set(card.versions)
    assert len(run.loss) == len(run.val_accuracy) == run.epochs == 25
    assert json.loads(as_json)["test_accuracy"] == run.test_accuracy
    assert "\n" not in line
    folder = tmp_path / "model"
    assert {path.name for path in folder.iterdir()} == {
        "report.html", "curves.png", "confusion.png", "mistakes.png", "epochs.csv", "batches.csv", "checkpoints",
    }  # fmt: skip
    assert run.report == str(folder / "report.html")
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in folder.glob("*.png"))


@mostly_on_torch
def test_a_run_repeats(worker, tmp_path):
    first = worker(train_twice, tmp_path)
    assert first[0] == first[1]
    assert first[0] != first[2]


def train_twice(folder):
    """The weights of two runs with one seed, and of one with another."""
    return [train_digits(folder, "model.h5", {"epochs": 1, "seed": seed, "overwrite": True})[3] for seed in (4, 4, 5)]


@pytest.mark.parametrize(("recipe", "options", "words"), [
    ("mnist_cnn-cifar", {}, "unknown recipe 'mnist_cnn-cifar' (model-dataset); choose one of: mnist_cnn-mnist, "),
    ("mnist_cnn-digits", {"epochs": 0}, "epochs must be at least 1, not 0"),
    ("mnist_cnn-digits", {"seed": -1}, "seed must be from 0 to 2**32 - 1, not -1"),
    ("mnist_cnn-digits", {"out": "model.pth"}, "model.pth is no name for a model file; it must end in .keras or .h5"),
])  # fmt: skip
def test_impossible_arguments_are_refused_before_training(workers, recipe, options, words):
    kind, message = workers["torch"](train_error, recipe, options)
    assert kind == "ValueError"
    assert message.startswith(words)


def error_of_a_request(options):
    from kerasnets.training.request import Request

    return train_error(Request(recipe="mnist_cnn-digits", seed=-1), options)


def test_a_request_takes_no_other_arguments_beside_it(workers):
    words = "a Request has all arguments; change its epochs, out by dataclasses.replace"
    assert workers["torch"](error_of_a_request, {"epochs": 3, "out": "a.keras"}) == ("ValueError", words)
    assert workers["torch"](error_of_a_request, {})[1].startswith("seed must be from 0")


def test_a_loss_of_nan_ends_the_run_and_writes_nothing(worker, tmp_path):
    (kind, message), left = worker(train_to_nan, tmp_path)
    assert kind == "FloatingPointError"
    assert "try a smaller --learning-rate" in message
    assert left == []


@pytest.mark.parametrize(("name", "changes"), [
    ("dnn_tabular-sum3", {"epochs": 20}),  # nor after its 1,000, when it names the middle class
    ("mnist_cnn-digits", {"epochs": 1, "learning_rate": 50.0}),
])  # fmt: skip
def test_a_run_that_learned_nothing_prints_a_note_with_advice(workers, tmp_path, name, changes):
    run, output = workers["torch"](train_in_vain, tmp_path / "a.keras", name, changes)
    assert run["test_accuracy"] <= run["majority"]
    assert output == (
        f"note: the model is no better than always naming the most frequent class ({run['majority']:.4f} of the test "
        "data); try a smaller --learning-rate or more --epochs\n"
    )
    assert "no better than that" in (tmp_path / "a/report.html").read_text()


def parts_of(validation):
    """The training and the validation part of ten pictures, some of which are given for validation."""
    from kerasnets.training import train

    labels, pixels = np.arange(10) % 2, np.zeros((10, 4, 4, 1), np.uint8)
    given = data.Data(pixels, labels, pixels, labels, validation=np.array(validation, int))
    job = types.SimpleNamespace(data=given, recipe=recipes.own("small_cnn", "pets"), seed=0)
    return [part.tolist() for part in train.split_indices(job)]


def test_a_given_validation_part_is_the_one_that_validates(workers):
    assert workers["torch"](parts_of, [8, 9]) == [[*range(8)], [8, 9]]
    training, validation = workers["torch"](parts_of, [])
    assert (len(training), len(validation)) == (9, 1)  # a tenth


def refusals(out):
    """{case: (class, message)} of the error of a training on each of BAD_DATA; a call of fit would be another error."""
    from kerasnets.training import train

    def fit(*args):
        raise AssertionError("fit was called")

    usual, train.fit = train.fit, fit
    try:
        return {
            case: train_error(recipes.own("fc2layer", "pets"), {"arrays": result, "out": out})
            for case, (result, _) in BAD_DATA.items()
        }
    finally:
        train.fit = usual


def test_bad_arrays_are_refused_before_training_in_the_same_words_everywhere(workers, tmp_path):
    answers = [worker(refusals, tmp_path / "a.keras") for worker in workers.values()]
    for case, (_, words) in BAD_DATA.items():
        kind, message = answers[0][case]
        assert kind == "BadInputError", (case, message)
        assert words in message, case
    assert answers[0] == answers[1] == answers[2]
    assert list(tmp_path.iterdir()) == []
