"""From a recipe to a trained model file. The only place that calls fit."""

import dataclasses
import functools
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kerasnets import backends

backends.choose()  # before the first import of Keras

import keras  # noqa: E402

from kerasnets import data, drawing, models, saving, stopping  # noqa: E402
from kerasnets.files import check_writable  # noqa: E402
from kerasnets.graph import copy_weights, rebuild  # noqa: E402
from kerasnets.recipes import RECIPES  # noqa: E402

MODELS_SAVED = Path("models_saved")
VALIDATION_BATCH = 500  # pictures a step where nothing is learned

# name in a recipe -> optimizer of a row
OPTIMIZERS = {
    "adam": lambda row: keras.optimizers.Adam(row.learning_rate),
    "rmsprop": lambda row: keras.optimizers.RMSprop(row.learning_rate),
    "sgd": lambda row: keras.optimizers.SGD(row.learning_rate, momentum=row.momentum),
}

# Where the channels lie inside while training; last, where nothing stands here. In channels_last, Keras' torch backend
# copies to NCHW and back around every convolution and pooling.
FASTEST_LAYOUT = {"torch": "channels_first"}


@dataclass(frozen=True)
class Run:
    """What one training came to. Accuracies are fractions, losses cross-entropy in nats; lists go by epoch."""

    recipe: str
    dataset: str
    backend: str
    seed: int
    epochs: int
    test_accuracy: float
    test_loss: float
    accuracy: list[float]
    loss: list[float]
    val_accuracy: list[float]
    val_loss: list[float]
    seconds: float
    files: list[str]
    versions: dict[str, str]

    def line(self):
        """The result as one greppable line."""
        return (
            f"result recipe={self.recipe} test_accuracy={self.test_accuracy:.4f} test_loss={self.test_loss:.4f} "
            f"val_accuracy={self.val_accuracy[-1]:.4f} epochs={self.epochs} seed={self.seed} "
            f"backend={self.backend} seconds={self.seconds:.0f} files={','.join(self.files)}"
        )

    def json(self):
        return json.dumps(dataclasses.asdict(self))


def train(recipe, *, fallback=None, epochs=None, seed=0, out=None, data_dir=None):
    """Train `recipe` (a name in RECIPES) by model.fit, judge it on the test data, save it; return the Run.

    fallback: the recipe to train where the data of `recipe` cannot be had and no `data_dir` was named; said on stderr,
        and in the file's name.
    epochs: in place of the recipe's. seed: of split, order and initial weights; a run repeats on the same backend.
    out: the model file to write, or several (.keras, .h5); models_saved/<recipe>.keras where None. The learning curves
        are drawn beside the first, as <its stem>-curves.png.
    data_dir: as in load_data.
    Raises ValueError for what cannot be meant, BadInputError for damaged data, ConnectionError where there are none,
    OSError for a file that cannot be written, FloatingPointError where the loss stops being a finite number.
    """
    if recipe not in RECIPES:
        raise ValueError(f"unknown recipe {recipe!r} (model-dataset); choose one of: {', '.join(RECIPES)}")
    if epochs is not None and epochs < 1:
        raise ValueError(f"epochs must be at least 1, not {epochs}")
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed must be from 0 to 2**32 - 1, not {seed}")
    out = [out] if isinstance(out, (str, Path)) else out or []
    for path in out:
        saving.check_suffix(path)
    row, arrays = load_with_fallback(recipe, fallback, data_dir)
    files = output_files(out, row, replaced=row.name != recipe)
    if row.name != recipe:
        print(fallback_line(RECIPES[recipe], row, files[0]), file=sys.stderr)

    keras.utils.set_random_seed(seed)
    dataset = data.DATASETS[row.dataset]
    network = models.build(row.model, input_shape=dataset.image_shape, num_classes=len(dataset.class_names))
    network.summary()
    made_with, epochs = backends.versions(), epochs or row.epochs
    started = time.monotonic()
    figures = fit(network, row, arrays, epochs, seed)
    run = Run(
        recipe=row.name,
        dataset=dataset.title,
        backend=keras.backend.backend(),
        seed=seed,
        epochs=epochs,
        **figures,
        seconds=round(time.monotonic() - started, 1),
        files=[str(path) for path in files],
        versions=made_with,
    )
    model = rebuild(network, scaling=row.scaling, probabilities=True)
    for path in files:
        saving.save(model, path, card_of(run, row))
    drawing.learning_curves(run, curves_file(files[0]))
    return run


def fit(network, row, arrays, epochs, seed):
    """Train `network` in place, in the backend's fastest layout; return the figures of a Run."""
    train, validation = data.split(arrays.train_labels, row.validation, seed)
    trainee = rebuild(network, layout=FASTEST_LAYOUT.get(keras.backend.backend(), "channels_last"), scaling=row.scaling)
    trainee.compile(
        optimizer=OPTIMIZERS[row.optimizer](row),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    batches = Batches(arrays.train_images[train], arrays.train_labels[train], row.batch_size, epochs, seed)
    with stopping.after_the_step():
        history = trainee.fit(
            batches,
            steps_per_epoch=batches.steps_per_epoch,
            validation_data=(arrays.train_images[validation], arrays.train_labels[validation]),
            validation_batch_size=VALIDATION_BATCH,
            epochs=epochs,
            shuffle=False,  # Batches does, alike on every backend
            callbacks=[keras.callbacks.TerminateOnNaN(), StopWhenAsked()],
            verbose=1 if sys.stdout.isatty() else 2,
        ).history
    figures = {name: [float(value) for value in values] for name, values in history.items()}
    if not all(np.isfinite(values).all() for values in figures.values()):
        raise FloatingPointError(
            f"the loss of {row.name} became NaN or infinite; try a smaller learning rate or another --seed"
        )
    test_loss, test_accuracy = trainee.evaluate(
        arrays.test_images, arrays.test_labels, batch_size=VALIDATION_BATCH, verbose=0
    )
    copy_weights(trainee, network)
    return {**figures, "test_loss": float(test_loss), "test_accuracy": float(test_accuracy)}


class StopWhenAsked(keras.callbacks.Callback):
    """Ends training or judging between two steps, after a signal."""

    def on_train_batch_end(self, batch, logs=None):
        stopping.check()

    def on_test_batch_end(self, batch, logs=None):
        stopping.check()


class Batches(keras.utils.PyDataset):
    """The batches of all epochs in a row, in an order that depends on (seed, epoch) alone, not on the backend.

    A batch's index says its epoch: backends differ in how often they announce an epoch, and TensorFlow reads ahead.
    images: uint8 (n, height, width, channels); labels: (n,). The last batch of an epoch may be smaller.
    """

    def __init__(self, images, labels, batch_size, epochs, seed):
        super().__init__()
        self.images, self.labels, self.batch_size, self.epochs, self.seed = images, labels, batch_size, epochs, seed
        self.steps_per_epoch = -(-len(images) // batch_size)
        self.order = functools.lru_cache(maxsize=2)(self.order_of)

    def __len__(self):
        return self.steps_per_epoch * self.epochs

    def __getitem__(self, index):
        epoch, step = divmod(index, self.steps_per_epoch)
        chosen = self.order(epoch)[step * self.batch_size : (step + 1) * self.batch_size]
        return self.images[chosen], self.labels[chosen]

    def order_of(self, epoch):
        return np.random.default_rng((self.seed, epoch)).permutation(len(self.images))


def load_with_fallback(recipe, fallback, data_dir):
    """Return (row, Data) of `recipe`, or of `fallback` where the first's data are nowhere to be had."""
    row = RECIPES[recipe]
    try:
        return row, data.load_data(row.dataset, data_dir)
    except ConnectionError:
        if fallback not in RECIPES or data_dir:  # who names a folder wants what should be in it
            raise
    return RECIPES[fallback], data.load_data(RECIPES[fallback].dataset)


def fallback_line(wanted, row, path):
    wanted, found = data.DATASETS[wanted.dataset].title, data.DATASETS[row.dataset].title
    return (
        f"{wanted} is not here and cannot be downloaded: training on {found} instead, into {path}. "
        f"For {wanted}, go online, or name the folder that holds its files by --data-dir"
    )


def output_files(out, row, replaced):
    """The model files to write. One that was meant for another data set's model gets this one's into its name."""
    files = [Path(path) for path in out] or [MODELS_SAVED / f"{row.name}.keras"]
    if replaced:
        files = [f if f.stem.endswith(f"-{row.dataset}") else f.with_stem(f"{f.stem}-{row.dataset}") for f in files]
    for path in [*files, curves_file(files[0])]:
        check_writable(path)
    return files


def curves_file(path):
    """Where the learning curves of the model file `path` are drawn."""
    return path.with_name(f"{path.stem}-curves.png")


def card_of(run, row):
    dataset = data.DATASETS[row.dataset]
    return saving.Card(
        model=row.model,
        dataset=run.dataset,
        recipe=run.recipe,
        class_names=dataset.class_names,
        input_kind=dataset.input_kind,
        input_shape=dataset.image_shape,
        accuracy=run.test_accuracy,
        val_accuracy=run.val_accuracy[-1],
        epochs=run.epochs,
        seed=run.seed,
        versions=run.versions,
        commit=saving.commit(),
    )
