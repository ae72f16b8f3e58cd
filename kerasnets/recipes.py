"""RECIPES: what is trained on what, and how. One row holds all that is needed to repeat it."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path

OWN, FINETUNED = "own", "finetuned"
PERMUTED = "-permuted"  # closes the name of a data set whose pixels lie in another order
SHIFT_AND_FLIP = "crop_flip"  # a crop of the picture's size after padding by 4 zeros, and half of them mirrored
SHIFT_FLIP_CUTOUT = "crop_flip_cutout"  # and a square of 16 pixels of each greyed
SHIFT = "shift"  # the same after padding by 2, none mirrored
PRECISIONS = ("float32", "mixed_bfloat16")


@dataclass(frozen=True)
class Recipe:
    """One row. Pixels enter the network as (pixel / 255 - mean) / deviation; a table's rows as they are."""

    model: str
    dataset: str
    mean: float | tuple[float, ...]  # of pixels / 255; one, or one per channel
    deviation: float | tuple[float, ...]
    optimizer: str  # a name in optimization.OPTIMIZERS
    learning_rate: float
    momentum: float
    batch_size: int  # pictures a step; 0 for all at once
    epochs: int
    validation: float  # pictures taken from the training set to validate on; a share of them where below 1
    goal: float | None  # accuracy to reach as the mean of three seeds, less one binomial standard error
    published: str = ""  # what the source printed, where that is not the goal alone
    goal_on: str = "test"  # or "train": the data that the goal is for
    variant: str = ""  # closes the recipe's name: of a second row for a pair, OWN data, a FINETUNED file
    options: dict = field(default_factory=dict)  # of the network's builder
    image_shape: tuple[int, int, int] | None = None  # where the network takes another than the data set has
    input_kind: str = ""  # how a picture is then brought to it: a name in pictures.KINDS
    augmentation: str = ""  # a name in augmentation.AUGMENTATIONS
    weight_decay: float = 0.0  # PyTorch's: this much of each weight is added to its gradient
    label_smoothing: float = 0.0  # share of the label that is spread over all classes
    loss: str = "cross_entropy"  # or "squared_error", of softmax against one-hot
    schedule: tuple = ()  # ("steps", factor, (step, ...)), ("cosine", warm-up epochs); () for a constant rate
    keep_best: bool = False  # whether the epoch that is best on validation data gives the model, not the last one
    patience: int = 0  # epochs without a better one after which to stop; 0 never
    precision: str = "float32"  # of what is computed in between; or another of PRECISIONS
    compiled: bool = False  # whether the backend makes one program of a step; JAX does in any case

    @property
    def name(self):
        path = Path(self.dataset).resolve()  # of own data, or a name
        dataset = path.stem if path.suffix in (".zip", ".npz") else path.name
        return "-".join(filter(None, (self.model, dataset, self.variant)))

    @property
    def published_figure(self):
        """What the source printed, in words; "none" where it printed none."""
        return self.published or ("none" if self.goal is None else f"{self.goal}")

    @property
    def scaling(self):
        """(scale, offset) of the Rescaling layer that does the same to pixels of 0..255."""
        if isinstance(self.mean, tuple):
            pairs = list(zip(self.mean, self.deviation, strict=True))
            return [1 / (255 * deviation) for _, deviation in pairs], [-mean / deviation for mean, deviation in pairs]
        return 1 / (255 * self.deviation), -self.mean / self.deviation


CIFAR_MEAN, CIFAR_DEVIATION = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)

# Settings, and goals, which are the published figures: the tutorials' and papers', as collected in the project's
# specification. Where those give no validation part, it is a tenth, or 1,000 pictures where they trained on all. Ours
# are: the digits' row (models_saved/README.md says why it takes Adam), lenet5_sigmoid's, resnet18's schedule, the
# second rows of a pair, whose rate falls to 0 (at the published constant rate the last epoch is a draw, and
# googlenet_mini's loss became NaN with one of two seeds), and the one that learns the sums. mnist_cnn and lenet5, whose
# validation accuracy drops by half a point from one epoch to the next, give the best epoch's weights, not the last's.
_ROWS = (
    #       model             dataset           mean    dev     optimizer  rate   mom. batch epochs valid.  goal
    Recipe("mnist_cnn",      "mnist",          0.0,    1.0,    "rmsprop", 0.001, 0.0, 128,  5,     12_000, 0.9881,
           keep_best=True),
    Recipe("mnist_cnn",      "digits",         0.0,    1.0,    "adam",    0.002, 0.0, 64,   25,    144,
           0.978,  published="0.978 to 0.981, ours"),
    Recipe("lenet5",         "mnist",          0.1307, 0.3081, "sgd",     0.9,   0.0, 256,  5,     6_000,
           0.982,  published="0.9852 and 0.9794", keep_best=True),
    Recipe("lenet5_sigmoid", "mnist",          0.1307, 0.3081, "adam",    0.003, 0.0, 64,   20,    6_000,
           0.992,  published="0.992 for LeNet-5 in the literature",
           image_shape=(32, 32, 1), input_kind="mnist_padded", augmentation=SHIFT, schedule=("cosine", 0)),
    Recipe("dnn_mnist",      "mnist",          0.1307, 0.3081, "sgd",     0.01,  0.5, 64,   5,     6_000,  0.9666),
    Recipe("fc2layer",       "mnist",          0.1307, 0.3081, "sgd",     0.01,  0.5, 64,   1,     6_000,  None),
    Recipe("small_cnn",      "mnist",          0.1307, 0.3081, "sgd",     0.01,  0.5, 64,   1,     6_000,  None),
    Recipe("fc2layer",       "mnist-permuted", 0.1307, 0.3081, "sgd",     0.01,  0.5, 64,   1,     6_000,  None),
    Recipe("small_cnn",      "mnist-permuted", 0.1307, 0.3081, "sgd",     0.01,  0.5, 64,   1,     6_000,  None),
    Recipe("alexnet_plain",  "fashion_mnist",  0.1307, 0.3081, "sgd",     0.1,   0.0, 128,  10,    1_000,  0.9122,
           image_shape=(224, 224, 1)),
    Recipe("googlenet_mini", "fashion_mnist",  0.1307, 0.3081, "sgd",     0.1,   0.0, 128,  10,    1_000,  0.8959),
    Recipe("googlenet_mini", "fashion_mnist",  0.1307, 0.3081, "sgd",     0.1,   0.0, 128,  10,    1_000,  0.8959,
           published="0.8959, at a constant rate", variant="cosine", schedule=("cosine", 1)),
    Recipe("resnet_mini",    "fashion_mnist",  0.1307, 0.3081, "sgd",     0.1,   0.0, 128,  10,    1_000,  0.9004),
    Recipe("resnet_mini",    "fashion_mnist",  0.1307, 0.3081, "sgd",     0.1,   0.0, 128,  10,    1_000,  0.9004,
           published="0.9004, at a constant rate", variant="cosine", schedule=("cosine", 1)),
    Recipe("fashion_cnn",    "fashion_mnist",  0.0,    1.0,    "adam",    0.01,  0.0, 100,  10,    0,
           0.8857, published="0.8857 of the training data", goal_on="train"),
    Recipe("cifar_net",      "cifar10",        0.5,    0.5,    "adam",    0.001, 0.0, 64,   10,    1_000,  0.63),
    Recipe("vgg_cifar",      "cifar10", CIFAR_MEAN, CIFAR_DEVIATION, "adam", 0.001, 0.0, 128, 10,  1_000,  0.8287,
           augmentation=SHIFT_AND_FLIP),
    Recipe("vgg_cifar",      "cifar10", CIFAR_MEAN, CIFAR_DEVIATION, "adam", 0.001, 0.0, 128, 10,  1_000,  0.8287,
           published="0.8287, at a constant rate",
           variant="cosine", augmentation=SHIFT_AND_FLIP, schedule=("cosine", 0)),
    Recipe("nin",            "cifar10",        0.5,    0.5,    "sgd",     0.1,   0.9, 128,  100,   5_000,
           0.9119, published="0.9119, the paper's",
           augmentation=SHIFT_AND_FLIP, weight_decay=5e-4, schedule=("cosine", 1)),
    Recipe("resnet_cifar_wide", "cifar10",     0.0,    1.0,    "adam",    0.001, 0.0, 500,  1000,  5_000,  None,
           loss="squared_error"),
    Recipe("resnet20",       "cifar10", CIFAR_MEAN, CIFAR_DEVIATION, "sgd", 0.1, 0.9, 128,  182,   5_000,  0.9125,
           augmentation=SHIFT_AND_FLIP, weight_decay=1e-4, schedule=("steps", 0.1, (32_000, 48_000))),
    Recipe("resnet18",       "cifar10", CIFAR_MEAN, CIFAR_DEVIATION, "sgd", 0.1, 0.9, 128,  30,    5_000,
           0.9302, published="0.9302 (pytorch-cifar); 0.96 (record-setters' baseline)",
           options={"small_stem": True}, augmentation=SHIFT_AND_FLIP, weight_decay=5e-4, label_smoothing=0.1,
           schedule=("cosine", 5)),
    Recipe("resnet18",       "cifar10", CIFAR_MEAN, CIFAR_DEVIATION, "sgd", 0.2, 0.9, 256,  35,    1_000,
           0.94,   published="0.94 (DAWNBench's threshold)", variant="fast",
           options={"small_stem": True}, augmentation=SHIFT_FLIP_CUTOUT, weight_decay=5e-4, label_smoothing=0.1,
           schedule=("cosine", 5), precision="mixed_bfloat16", compiled=True),
    Recipe("dnn_tabular",    "sum3",           0.0,    1.0,    "sgd",     0.01,  0.0, 0,    1000,  0,
           None,   published="0.6717, which is the share of the middle class", loss="squared_error"),
    Recipe("dnn_tabular",    "sum3",           0.0,    1.0,    "adam",    0.02,  0.0, 100,  30,    700,
           None,   published="none", variant="learned", schedule=("cosine", 0)),
)  # fmt: skip

RECIPES = {row.name: row for row in _ROWS}


def own(model, dataset):
    """The recipe for a pair that stands in no row: settings that serve most small networks, the best epoch kept.

    Own data that are called like a known set do not take its name.
    """
    pair = f"{model}-{dataset}"
    if pair in RECIPES:
        return RECIPES[pair]
    row = Recipe(model, dataset, 0.5, 0.5, "adam", 0.001, 0.0, 64, 10, 0.1, None, keep_best=True)
    return changed(row, variant=OWN) if row.name != pair and row.name in RECIPES else row


def changed(row, **changes):
    """`row` with those of `changes` that are not None."""
    return dataclasses.replace(row, **{name: value for name, value in changes.items() if value is not None})


def permuted_pairs():
    """The recipes that tell together what it does to put the pixels into another order."""
    models = {row.model for row in _ROWS if row.dataset.endswith(PERMUTED)}
    datasets = {row.dataset.removesuffix(PERMUTED) for row in _ROWS if row.dataset.endswith(PERMUTED)}
    return [name for name, row in RECIPES.items()
            if row.model in models and row.dataset.removesuffix(PERMUTED) in datasets]  # fmt: skip


def as_dicts():
    """All rows for a program to read."""
    return [{"recipe": name, **dataclasses.asdict(row)} for name, row in RECIPES.items()]


def as_table():
    """All rows as lines for a person: name, epochs, optimizer, published figure."""
    lines = [("recipe", "epochs", "batch", "optimizer", "published")]
    for name, row in RECIPES.items():
        optimizer = f"{row.optimizer} {row.learning_rate:g}"
        lines.append((name, str(row.epochs), str(row.batch_size or "all"), optimizer, row.published_figure))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
                     for line in lines)  # fmt: skip
