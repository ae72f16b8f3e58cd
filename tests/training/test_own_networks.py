"""Networks, functions and callbacks of one's own."""

import contextlib
import io

import numpy as np
import pytest

import kerasnets
from kerasnets import recipes
from tests.conftest import mostly_on_torch

COUNT, CLASSES, SHAPE = 240, 3, (10, 10, 3)
LABELS = np.arange(COUNT) % CLASSES
PIXELS = (np.random.default_rng(0).integers(0, 100, (COUNT, *SHAPE)) + 70 * LABELS[:, None, None, None]).astype(
    np.uint8
)
RECIPE = recipes.with_changes(
    recipes.own("mine", "bright"), epochs=6, batch_size=40, learning_rate=0.02, validation=0.1
)


def functional(shape, num_classes):
    import keras

    inputs = keras.Input(shape)
    x = keras.layers.Conv2D(8, 3, activation="relu", name="conv")(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(num_classes)(x), name="functional")


def sequential():
    """With its own scaling, a softmax, and no input before it sees the data."""
    from keras import Sequential, layers

    first = layers.Rescaling(1 / 255), layers.Conv2D(8, 3, activation="relu"), layers.MaxPooling2D(), layers.Flatten()
    return Sequential([*first, layers.Dense(CLASSES, activation="softmax")])


def nested():
    import keras

    inner = functional(SHAPE, 16)
    return keras.Sequential([keras.Input(SHAPE), inner, keras.layers.ReLU(), keras.layers.Dense(CLASSES)])


def binary():
    from keras import Input, Sequential, layers

    inner = layers.Conv2D(8, 3, activation="relu"), layers.GlobalAveragePooling2D()
    return Sequential([Input(SHAPE), *inner, layers.Dense(1, activation="sigmoid")])


def quietly(*arguments, **options):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return kerasnets.train(*arguments, **options)


def train_own(folder, build, classes=CLASSES):
    """Train `build`; return accuracies of the run and of the file, and the names of what Keras loads from the file."""
    import keras

    shown = classes > LABELS
    run = quietly(RECIPE, network=build, arrays=(PIXELS[shown], LABELS[shown]), out=folder / "a.keras")
    probabilities = keras.models.load_model(folder / "a.keras").predict(PIXELS[shown], verbose=0)
    accuracy = float((probabilities.argmax(1) == LABELS[shown]).mean())
    return run.test_accuracy, accuracy, probabilities.shape[1], kerasnets.load(folder / "a.keras")[1].model


@mostly_on_torch
@pytest.mark.parametrize(
    ("build", "classes"), [(functional, CLASSES), (sequential, CLASSES), (nested, CLASSES), (binary, 2)]
)
def test_a_network_of_ones_own_learns_and_its_file_is_plain_keras(worker, tmp_path, build, classes):
    test, of_file, outputs, name = worker(train_own, tmp_path, build, classes)
    assert test > 0.9
    assert of_file > 0.9
    assert (outputs, name) == (classes, "mine")


def train_model_objects(folder):
    """(frozen weights before and after, weights of the person's model before and after, recipe of a plain call)."""
    network = functional(SHAPE, CLASSES)
    network.get_layer("conv").trainable = False
    before = [weight.copy() for weight in network.get_weights()]
    quietly(RECIPE, network=network, arrays=(PIXELS, LABELS), epochs=1, out=folder / "a.keras")
    after = kerasnets.load(folder / "a.keras")[0].get_layer("conv").get_weights()[0]
    run = quietly(network, arrays=(PIXELS, LABELS), epochs=1, out=folder / "b.keras")
    resumed = quietly(RECIPE, network=network, arrays=(PIXELS, LABELS), epochs=2, out=folder / "a.keras", resume=True)
    return before[0], after, before, network.get_weights(), run.recipe, resumed.epochs


def test_a_model_keeps_its_frozen_layers_and_is_left_as_it_is(workers, tmp_path):
    frozen, after, before, now, name, epochs = workers["torch"](train_model_objects, tmp_path)
    np.testing.assert_array_equal(frozen, after)
    for old, new in zip(before, now, strict=True):
        np.testing.assert_array_equal(old, new)
    assert (name, epochs) == ("functional-own", 2)


def unnamed(input_shape, num_classes, pooling="MaxPooling2D", units=8):
    """A network whose layers have the names that Keras chooses, with other numbers in each call."""
    import keras

    layers = keras.layers
    x = inputs = keras.Input(input_shape)
    x = layers.Conv2D(units, 3, activation="relu")(x)
    x = layers.BatchNormalization()(x)
    x = getattr(layers, pooling)()(x)
    x = layers.Dense(units, activation="relu")(layers.Flatten()(x))
    return keras.Model(inputs, layers.Dense(num_classes)(x))


def resume_unnamed(folder):
    """(weights after four epochs, after two and two more, refusals of networks of other shapes and kinds)."""
    import functools

    import keras

    def activated(input_shape, num_classes):
        network = unnamed(input_shape, num_classes)
        return keras.Sequential([keras.Input(input_shape), network, keras.layers.BatchNormalization()])

    shared = {"arrays": (PIXELS, LABELS)}
    whole = quietly(RECIPE, network=unnamed, epochs=4, out=folder / "a.keras", **shared)
    quietly(RECIPE, network=unnamed, epochs=2, out=folder / "b.keras", **shared)
    again = quietly(RECIPE, network=unnamed, epochs=4, out=folder / "b.keras", resume=True, **shared)
    weights = [kerasnets.load(run.files[0])[0].get_weights() for run in (whole, again)]
    refusals = []
    for other in (functools.partial(unnamed, units=9), activated, renamed):
        try:
            quietly(RECIPE, network=other, epochs=5, out=folder / "b.keras", resume=True, **shared)
        except kerasnets.BadInputError as error:
            refusals.append(str(error))
    return *weights, again.epochs, refusals


def renamed(input_shape, num_classes):
    """The same shapes, but another kind of layer in one place."""
    import keras

    layers = keras.layers
    x = inputs = keras.Input(input_shape)
    x = layers.Conv2D(8, 3, activation="relu")(x)
    x = layers.GroupNormalization(4)(x)
    x = layers.MaxPooling2D()(x)
    x = layers.Dense(8, activation="relu")(layers.Flatten()(x))
    return keras.Model(inputs, layers.Dense(num_classes)(x))


def test_a_network_with_automatic_names_is_resumed_in_the_same_process(workers, tmp_path):
    whole, again, epochs, refusals = workers["torch"](resume_unnamed, tmp_path)
    assert epochs == 4
    for one, other in zip(whole, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(refusals) == 3
    assert all("another network" in refusal for refusal in refusals)
    assert not any("damaged" in refusal for refusal in refusals)


def refusals(folder):
    """{case: message}."""
    import keras

    class Own(keras.layers.Layer):
        def call(self, x):
            return 2 * x

    class Subclassed(keras.Model):
        def call(self, x):
            return x

    two = keras.Input(SHAPE)
    cases = {
        "layer": keras.Sequential([keras.Input(SHAPE), Own(), keras.layers.Flatten(), keras.layers.Dense(CLASSES)]),
        "subclass": Subclassed(),
        "classes": functional(SHAPE, 5),
        "shape": functional((28, 28, 1), CLASSES),
        "outputs": keras.Model(two, [two, two]),
        "returns": lambda shape, num_classes: 7,
    }
    messages = {}
    for case, network in cases.items():
        try:
            quietly(RECIPE, network=network, arrays=(PIXELS, LABELS), out=folder / "a.keras")
        except kerasnets.BadInputError as error:
            messages[case] = str(error)
    return messages


def test_what_cannot_be_trained_or_saved_is_refused_before_the_training(workers, tmp_path):
    assert workers["torch"](refusals, tmp_path) == {
        "layer": "mine has a layer of your own class Own, which a model file cannot hold; compose it of Keras' layers "
        "and keras.ops",
        "subclass": "mine is a Subclassed, which has no graph of layers; make it a functional or Sequential model",
        "classes": "mine has 5 outputs, and the data have 3 classes; build it with one output for each class",
        "shape": "mine takes (28, 28, 1), and the data are (10, 10, 3); build it for them, or resize them",
        "outputs": "mine has 1 inputs and 2 outputs; give it one of each: pictures and a number for each class",
        "returns": "mine is built by a function that returns a int; let it return a keras.Model",
    }
    assert not (tmp_path / "a.keras").exists()


# ---- callbacks ----


def train_with_callbacks(folder):
    """(figures that a callback of one's own sees, its steps, rates by epoch, epochs of a run that stops early)."""
    import keras

    class Own(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.names, self.steps, self.rates = set(), 0, []

        def on_epoch_end(self, epoch, logs=None):
            self.names |= set(logs)
            self.rates.append(round(float(self.model.optimizer.learning_rate), 6))

        def on_train_batch_end(self, batch, logs=None):
            self.steps += 1

    own = Own()
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch: 0.01 / (epoch + 1))
    options = {"network": functional, "arrays": (PIXELS, LABELS)}
    weights = keras.callbacks.ModelCheckpoint(folder / "best.weights.h5", save_weights_only=True)
    quietly(RECIPE, epochs=3, out=folder / "a.keras", callbacks=[schedule, own, weights], **options)
    stop = keras.callbacks.EarlyStopping(monitor="val_loss", min_delta=100, patience=1, restore_best_weights=True)
    stopped = quietly(RECIPE, epochs=5, out=folder / "b.keras", callbacks=[stop], **options)
    return own.names, own.steps, own.rates, stopped.epochs, (folder / "best.weights.h5").exists()


@mostly_on_torch
def test_callbacks_see_every_step_change_the_rate_and_stop_the_run(worker, tmp_path):
    names, steps, rates, epochs, has_weights = worker(train_with_callbacks, tmp_path)
    assert names >= {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert (steps, rates) == (3 * 5, [0.01, 0.005, 0.003333])  # 172 pictures in batches of 40
    assert (epochs, has_weights) == (2, True)


def notes_on_size(folder):
    """{case: whether a network that is too large for 240 pictures is remarked} before its training, which ends here."""
    from unittest import mock

    from keras import Input, Sequential, layers

    from kerasnets.training import train

    def large(trained=None, trainable=True):
        body = Sequential([Input(SHAPE), layers.Conv2D(8, 3), layers.BatchNormalization()], name="body")
        model = Sequential([body, layers.Flatten(), layers.Dense(3000), layers.Dense(900), layers.Dense(CLASSES)])
        for weight in body.weights:
            if weight.name == trained:
                weight.assign(weight + 0.1)
        body.trainable = trainable
        return model

    cases = {
        "fresh": large(),
        "a function": large,
        "trained": large("bias"),
        "trained before batch norm": large("moving_mean"),
        "a trained body that is frozen": large("beta", trainable=False),
        "a function that reads weights": lambda: large("bias"),
    }
    data, result = ((PIXELS, LABELS), (PIXELS[:90], LABELS[:90])), {}
    for case, network in cases.items():
        notes = io.StringIO()
        with (
            mock.patch.object(train, "fit", side_effect=ZeroDivisionError),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(notes),
            contextlib.suppress(ZeroDivisionError),
        ):
            kerasnets.train(RECIPE, network=network, arrays=data, out=folder / "large.keras")
        result[case] = "by heart" in notes.getvalue()
    return result


def test_a_network_that_has_learned_before_is_not_called_too_large(workers, tmp_path):
    result = workers["torch"](notes_on_size, tmp_path)
    assert [case for case, is_noted in result.items() if is_noted] == ["fresh", "a function"]
