"""RECIPES: which network is trained on which data set, and how. One recipe has every setting that repeats the run."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Any

OWN, FINETUNED = "own", "finetuned"
PERMUTED = "-permuted"  # ends the name of a data set whose pixels are in another order
SHIFT_AND_FLIP = "crop_flip"  # pad by 4 zeros and crop at random; mirror half of the images
SHIFT_FLIP_CUTOUT = "crop_flip_cutout"  # the same, with a grey square of 16 pixels in each image
PHOTO = "photo"  # crop a part of 8 to 100 % at the photo's own size; mirror half of the photos
PHOTO_COLOUR = "photo_colour"  # the same, with other brightness, contrast and saturation
SHIFT = "shift"  # pad by 2 zeros and crop at random; mirror none
AUTO = "auto"  # one of training.augmentation.AUGMENTATIONS, by the kind of the data
PRECISIONS = ("float32", "mixed_bfloat16")
EMA = 0.99  # the momentum of an average until the number of steps is known
BY_DATA: dict[str, Any] = {"epochs": 10, "batch_size": 64, "validation": 0.1}  # of `own`, for known data and tables
OPTIMIZERS = ("sgd", "adam", "adamw", "rmsprop")
BALANCED = "balanced"
LOGGERS = ("tensorboard", "wandb", "mlflow")  # programs that can get the figures of a training

# Name of a schedule -> what follows it in a recipe. A warm-up raises the rate linearly, in epochs.
SCHEDULES = {
    "constant": "warm-up",
    "cosine": "warm-up; falls to 0 along half a cosine",
    "linear": "warm-up; falls to 0",
    "steps": "factor, (step, ...): counted in batches",
    "epochs": "factor, (epoch, ...), warm-up",
    "onecycle": "share of the rise; from 1/25 of the rate up to it, then down to almost 0, both along half a cosine",
}
OF_ALL_EPOCHS = ("cosine", "linear", "onecycle")  # schedules whose rate depends on the number of epochs

Scaling = tuple[float | Sequence[float], float | Sequence[float]]  # scale and offset of a Rescaling layer


@dataclass(frozen=True)
class Recipe:
    """The settings of one training. Pixels enter the network as (pixel / 255 - mean) / std; table rows enter as is."""

    model: str  # a name in models.MODELS
    dataset: str  # a name in data.DATASETS, or the path of own data
    _: KW_ONLY
    mean: float | tuple[float, ...]  # of pixels / 255; one number, or one for each channel
    std: float | tuple[float, ...]  # the same
    optimizer: str  # a name in OPTIMIZERS
    learning_rate: float
    momentum: float  # of SGD; the others ignore it
    batch_size: int  # images in a step; 0 for the whole training set
    epochs: int
    validation: float  # images held out of the training set: their number, or their share if below 1
    goal: float | None  # accuracy to reach as the mean of three seeds, less one binomial standard error
    published: str = ""  # the source's figure in words, if it is not the goal alone
    goal_on: str = "test"  # or "train": the data that the goal is measured on
    variant: str = ""  # ends the recipe's name: of a second recipe for a pair, of OWN data, of a FINETUNED file
    options: Mapping[str, Any] = field(default_factory=dict)  # of the network's builder
    image_shape: tuple[int, int, int] | None = None  # of the network's input, if it is not the data set's
    input_kind: str = ""  # how an image is prepared for that shape: a name in pictures.KINDS
    augmentation: str = ""  # of training.augmentation.AUGMENTATIONS or training.photos.PHOTOS, or AUTO
    progressive_size: tuple[int, ...] = ()  # of training photos in pixels: first, last, and perhaps as in `growth`
    weight_decay: float = 0.0  # PyTorch's: this multiple of each weight is added to its gradient; AdamW's is decoupled
    decay_norms: bool = True  # whether biases and the weights of normalizations decay too, as PyTorch's default has it
    label_smoothing: float = 0.0  # share of the label that is spread over all classes
    loss: str = "cross_entropy"  # or "squared_error", of the softmax against one-hot labels
    schedule: tuple[Any, ...] = ()  # a name in SCHEDULES and its options; () is a constant rate
    mixup: float = 0.0  # alpha of the Beta distribution that the share of each of two mixed images is drawn from
    cutmix: float = 0.0  # the same for a box of another image; with both, one of them by chance in each batch
    random_erasing: float = 0.0  # probability that a box of an image is filled with the mean colour
    trivial_augment: bool = False  # whether one change out of fourteen is made to each image
    class_weights: str = ""  # "balanced": an example counts by how rare its class is
    gradient_clip: float = 0.0  # the largest norm of all gradients together; 0 is no limit
    accumulate: int = 1  # batches whose gradients are averaged for one step of the optimizer
    ema: float = 0.0  # momentum, by batch, of an average of the weights, which is then what is tested and saved
    keep_best: bool = False  # whether the model has the weights of the best validation epoch, not of the last epoch
    patience: int = 0  # stop after this many epochs without a better one; 0 never stops early
    precision: str = "float32"  # of the computation inside the network: one of PRECISIONS
    compiled: bool = False  # whether the backend compiles a step into one program; JAX always does
    by_data: tuple[str, ...] = ()  # settings that nobody has named: the number of pictures decides them, or of steps

    @property
    def name(self) -> str:
        path = Path(self.dataset).resolve()  # of own data, or a name
        dataset = path.stem if path.suffix in (".zip", ".npz") else path.name.partition(".py:")[0]
        return "-".join(filter(None, (self.model, dataset, self.variant)))

    @property
    def published_figure(self) -> str:
        """The source's figure in words; "none" if it printed none."""
        return self.published or ("none" if self.goal is None else f"{self.goal}")

    @property
    def growth(self) -> tuple[int, ...]:
        """(first size, last size, and the epochs, counted from 0, between which training photos grow), or ()."""
        numbers = (*self.progressive_size, 0, self.epochs - 1)[:4] if self.progressive_size else ()
        if len(self.progressive_size) == 2 and self.epochs == 1:  # the last epoch has the last size
            return (*numbers[1:2] * 2, 0, 0)
        return numbers

    @property
    def scaling(self) -> Scaling:
        """(scale, offset) of the Rescaling layer that does the same to pixels of 0..255; lists if by channel."""
        if isinstance(self.mean, tuple) and isinstance(self.std, tuple):
            pairs = list(zip(self.mean, self.std, strict=True))
            return [1 / (255 * std) for _, std in pairs], [-mean / std for mean, std in pairs]
        if isinstance(self.mean, tuple) or isinstance(self.std, tuple):
            raise ValueError(f"{self.name}: give mean and std both by channel, or both as one number")
        return 1 / (255 * self.std), -self.mean / self.std


def with_changes(recipe: Recipe, **changes: Any) -> Recipe:
    """Return `recipe` with `changes`; a change to None is ignored."""
    told = {name: value for name, value in changes.items() if value is not None}
    return dataclasses.replace(
        recipe, **{"by_data": tuple(name for name in recipe.by_data if name not in told), **told}
    )


CIFAR_MEAN, CIFAR_STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)

# Settings and goals are the figures that the tutorials and papers published. If they hold nothing out for validation,
# a tenth is held out here, or 1,000 images if they trained on all. Our own are: the recipe for the digits
# (models_saved/README.md says why it uses Adam), lenet5_sigmoid's, resnet18's schedule, the second recipes of a pair,
# whose learning rate falls to 0 (at the published constant rate the accuracy of the last epoch is a matter of chance,
# and googlenet_mini's loss became NaN with one of two seeds), and the recipe that learns the sums. mnist_cnn and lenet5
# keep the weights of the best epoch, because their validation accuracy changes by half a point between epochs.
_ROWS: tuple[Recipe, ...] = (
    Recipe("mnist_cnn",         "mnist",          mean=0.0,        std=1.0,       optimizer="rmsprop",
           learning_rate=0.001, momentum=0.0, batch_size=128, epochs=5,    validation=12_000, goal=0.9881,
           keep_best=True),
    Recipe("mnist_cnn",         "digits",         mean=0.0,        std=1.0,       optimizer="adam",
           learning_rate=0.002, momentum=0.0, batch_size=64,  epochs=25,   validation=144,    goal=0.978,
           published="0.978 to 0.981, ours"),
    Recipe("lenet5",            "mnist",          mean=0.1307,     std=0.3081,    optimizer="sgd",
           learning_rate=0.9,   momentum=0.0, batch_size=256, epochs=5,    validation=6_000,  goal=0.982,
           published="0.9852 and 0.9794 (goal 0.982)", keep_best=True),
    Recipe("lenet5",            "mnist",          mean=0.1307,     std=0.3081,    optimizer="sgd",
           learning_rate=0.9,   momentum=0.0, batch_size=256, epochs=5,    validation=6_000,  goal=0.982,
           published="0.9852 and 0.9794, at a constant rate (goal 0.982)", variant="cosine", keep_best=True,
           schedule=("cosine", 1)),
    Recipe("lenet5_sigmoid",    "mnist",          mean=0.1307,     std=0.3081,    optimizer="adam",
           learning_rate=0.003, momentum=0.0, batch_size=64,  epochs=20,   validation=6_000,  goal=0.992,
           published="0.992 for LeNet-5 in the literature", image_shape=(32, 32, 1), input_kind="mnist_padded",
           augmentation=SHIFT, schedule=("cosine", 0)),
    Recipe("dnn_mnist",         "mnist",          mean=0.1307,     std=0.3081,    optimizer="sgd",
           learning_rate=0.01,  momentum=0.5, batch_size=64,  epochs=5,    validation=6_000,  goal=0.9666),
    Recipe("fc2layer",          "mnist",          mean=0.1307,     std=0.3081,    optimizer="sgd",
           learning_rate=0.01,  momentum=0.5, batch_size=64,  epochs=1,    validation=6_000,  goal=None),
    Recipe("small_cnn",         "mnist",          mean=0.1307,     std=0.3081,    optimizer="sgd",
           learning_rate=0.01,  momentum=0.5, batch_size=64,  epochs=1,    validation=6_000,  goal=None),
    Recipe("fc2layer",          "mnist-permuted", mean=0.1307,     std=0.3081,    optimizer="sgd",
           learning_rate=0.01,  momentum=0.5, batch_size=64,  epochs=1,    validation=6_000,  goal=None),
    Recipe("small_cnn",         "mnist-permuted", mean=0.1307,     std=0.3081,    optimizer="sgd",
           learning_rate=0.01,  momentum=0.5, batch_size=64,  epochs=1,    validation=6_000,  goal=None),
    Recipe("alexnet_plain",     "fashion_mnist",  mean=0.1307,     std=0.3081,    optimizer="sgd",
           learning_rate=0.1,   momentum=0.0, batch_size=128, epochs=10,   validation=1_000,  goal=0.9122,
           image_shape=(224, 224, 1)),
    Recipe("googlenet_mini",    "fashion_mnist",  mean=0.1307,     std=0.3081,    optimizer="sgd",
           learning_rate=0.1,   momentum=0.0, batch_size=128, epochs=10,   validation=1_000,  goal=0.8959),
    Recipe("googlenet_mini",    "fashion_mnist",  mean=0.1307,     std=0.3081,    optimizer="sgd",
           learning_rate=0.1,   momentum=0.0, batch_size=128, epochs=10,   validation=1_000,  goal=0.8959,
           published="0.8959, at a constant rate", variant="cosine", schedule=("cosine", 1)),
    Recipe("resnet_mini",       "fashion_mnist",  mean=0.1307,     std=0.3081,    optimizer="sgd",
           learning_rate=0.1,   momentum=0.0, batch_size=128, epochs=10,   validation=1_000,  goal=0.9004),
    Recipe("resnet_mini",       "fashion_mnist",  mean=0.1307,     std=0.3081,    optimizer="sgd",
           learning_rate=0.1,   momentum=0.0, batch_size=128, epochs=10,   validation=1_000,  goal=0.9004,
           published="0.9004, at a constant rate", variant="cosine", schedule=("cosine", 1)),
    Recipe("fashion_cnn",       "fashion_mnist",  mean=0.0,        std=1.0,       optimizer="adam",
           learning_rate=0.01,  momentum=0.0, batch_size=100, epochs=10,   validation=0,      goal=0.8857,
           published="0.8857 of the training data", goal_on="train"),
    Recipe("cifar_net",         "cifar10",        mean=0.5,        std=0.5,       optimizer="adam",
           learning_rate=0.001, momentum=0.0, batch_size=64,  epochs=10,   validation=1_000,  goal=0.63),
    Recipe("vgg_cifar",         "cifar10",        mean=CIFAR_MEAN, std=CIFAR_STD, optimizer="adam",
           learning_rate=0.001, momentum=0.0, batch_size=128, epochs=10,   validation=1_000,  goal=0.8287,
           augmentation=SHIFT_AND_FLIP),
    Recipe("vgg_cifar",         "cifar10",        mean=CIFAR_MEAN, std=CIFAR_STD, optimizer="adam",
           learning_rate=0.001, momentum=0.0, batch_size=128, epochs=10,   validation=1_000,  goal=0.8287,
           published="0.8287, at a constant rate", variant="cosine", augmentation=SHIFT_AND_FLIP,
           schedule=("cosine", 0)),
    Recipe("nin",               "cifar10",        mean=0.5,        std=0.5,       optimizer="sgd",
           learning_rate=0.1,   momentum=0.9, batch_size=128, epochs=100,  validation=5_000,  goal=0.9119,
           published="0.9119, the paper's", augmentation=SHIFT_AND_FLIP, weight_decay=5e-4, schedule=("cosine", 1)),
    Recipe("resnet_cifar_wide", "cifar10",        mean=0.0,        std=1.0,       optimizer="adam",
           learning_rate=0.001, momentum=0.0, batch_size=500, epochs=1000, validation=5_000,  goal=None,
           loss="squared_error"),
    Recipe("resnet20",          "cifar10",        mean=CIFAR_MEAN, std=CIFAR_STD, optimizer="sgd",
           learning_rate=0.1,   momentum=0.9, batch_size=128, epochs=182,  validation=5_000,  goal=0.9125,
           augmentation=SHIFT_AND_FLIP, weight_decay=1e-4, schedule=("steps", 0.1, (32_000, 48_000))),
    Recipe("resnet20",          "cifar10",        mean=CIFAR_MEAN, std=CIFAR_STD, optimizer="sgd",
           learning_rate=0.1,   momentum=0.9, batch_size=128, epochs=60,   validation=1_000,  goal=0.9125,
           published="0.9125, in 182 epochs", variant="onecycle", augmentation=SHIFT_AND_FLIP, weight_decay=5e-4,
           schedule=("onecycle", 0.3)),
    Recipe("resnet18",          "cifar10",        mean=CIFAR_MEAN, std=CIFAR_STD, optimizer="sgd",
           learning_rate=0.1,   momentum=0.9, batch_size=128, epochs=30,   validation=5_000,  goal=0.9302,
           published="0.9302 (pytorch-cifar); 0.96 (baseline of the speed record)", options={"small_stem": True},
           augmentation=SHIFT_AND_FLIP, weight_decay=5e-4, label_smoothing=0.1, schedule=("cosine", 5)),
    Recipe("resnet18",          "cifar10",        mean=CIFAR_MEAN, std=CIFAR_STD, optimizer="sgd",
           learning_rate=0.1,   momentum=0.9, batch_size=128, epochs=12,   validation=1_000,  goal=0.9302,
           published="0.9302 (pytorch-cifar), in 200 epochs", variant="onecycle", options={"small_stem": True},
           augmentation=SHIFT_AND_FLIP, weight_decay=5e-4, schedule=("onecycle", 0.3)),
    Recipe("resnet18",          "cifar10",        mean=CIFAR_MEAN, std=CIFAR_STD, optimizer="sgd",
           learning_rate=0.2,   momentum=0.9, batch_size=256, epochs=35,   validation=1_000,  goal=0.94,
           published="0.94 (DAWNBench's threshold)", variant="fast", options={"small_stem": True},
           augmentation=SHIFT_FLIP_CUTOUT, weight_decay=5e-4, label_smoothing=0.1, schedule=("cosine", 5),
           precision="mixed_bfloat16", compiled=True),
    Recipe("dnn_tabular",       "sum3",           mean=0.0,        std=1.0,       optimizer="sgd",
           learning_rate=0.01,  momentum=0.0, batch_size=0,   epochs=1000, validation=0,      goal=None,
           published="0.6717 (the share of the middle class)", loss="squared_error"),
    Recipe("dnn_tabular",       "sum3",           mean=0.0,        std=1.0,       optimizer="adam",
           learning_rate=0.02,  momentum=0.0, batch_size=100, epochs=30,   validation=700,    goal=None,
           published="none", variant="learned", schedule=("cosine", 0)),
)  # fmt: skip

RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in _ROWS}
"""All recipes, {name: Recipe}; a name is "<model>-<data set>", with "-<variant>" for a second recipe of a pair.

Example:
    >>> from kerasnets import RECIPES
    >>> RECIPES["lenet5-mnist"].learning_rate
    0.9
"""


IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_TORCHVISION = Recipe(  # references/classification, "default params", with which it trained on 8 GPUs of 32 images
    "resnet50", "imagenet", mean=IMAGENET_MEAN, std=IMAGENET_STD, optimizer="sgd", learning_rate=0.1, momentum=0.9,
    batch_size=256, epochs=90, validation=0, goal=0.7613, image_shape=(224, 224, 3), augmentation=PHOTO,
    weight_decay=1e-4, schedule=("epochs", 0.1, (30, 60)),
)  # fmt: skip
_FFCV = Recipe(  # libffcv/ffcv-imagenet, rn18_configs, on one A100
    "resnet18", "imagenet", mean=IMAGENET_MEAN, std=IMAGENET_STD, optimizer="sgd", learning_rate=0.5, momentum=0.9,
    batch_size=1024, epochs=16, validation=0, goal=0.669, image_shape=(256, 256, 3), augmentation=PHOTO,
    progressive_size=(160, 192, 11, 13), weight_decay=5e-5, decay_norms=False, label_smoothing=0.1,
    schedule=("linear", 2), precision="mixed_bfloat16", compiled=True,
)  # fmt: skip
_LESS = "with BlurPool, and mirrored pictures in the test"  # that ffcv has and we have not

# Recipes for ImageNet, whose folder a person names; none has been run yet. AlexNet takes a tenth of the rate
# (references/classification/README.md). DenseNet's settings are its paper's (arXiv:1608.06993, section 4.1), with which
# torchvision's weights reach 0.7443. All measure the last epoch on the 50,000 validation pictures, as the sources do.
IMAGENET: dict[str, Recipe] = {recipe.name: recipe for recipe in (
    _TORCHVISION,
    with_changes(_TORCHVISION, model="vgg16_bn", goal=0.7336),
    with_changes(_TORCHVISION, model="densenet121", goal=0.7443),
    with_changes(_TORCHVISION, model="alexnet_torchvision", goal=0.5652, learning_rate=0.01),
    with_changes(_FFCV, variant="16", published=f"0.669, {_LESS}"),
    with_changes(_FFCV, variant="32", published=f"0.700, {_LESS}", epochs=32, goal=0.7,
                 progressive_size=(160, 192, 23, 27)),
    with_changes(_FFCV, variant="88", published=f"0.724, {_LESS}", epochs=88, goal=0.724,
                 progressive_size=(160, 192, 65, 76)),
)}  # fmt: skip


def own(model: str, dataset: str) -> Recipe:
    """Return the recipe for a pair: from RECIPES, or else settings that suit most small networks, best epoch kept.

    Epochs, batch size and validation part are those of BY_DATA for a known data set, and for own pictures those that
    suit their number (training.defaults), as far as `with_changes` does not name them.

    Own data with the name of a known data set do not get the name of that recipe.
    """
    pair = f"{model}-{dataset}"
    if pair in RECIPES:
        return RECIPES[pair]
    recipe = Recipe(
        model, dataset, mean=0.5, std=0.5, optimizer="adam", learning_rate=0.001, momentum=0.0, goal=None,
        keep_best=True, by_data=tuple(BY_DATA), **BY_DATA,
    )  # fmt: skip
    return with_changes(recipe, variant=OWN) if recipe.name != pair and recipe.name in RECIPES else recipe


def permuted_pairs() -> list[str]:
    """Return the names of the recipes that show together what another order of the pixels does."""
    models = {recipe.model for recipe in _ROWS if recipe.dataset.endswith(PERMUTED)}
    datasets = {recipe.dataset.removesuffix(PERMUTED) for recipe in _ROWS if recipe.dataset.endswith(PERMUTED)}
    return [name for name, recipe in RECIPES.items()
            if recipe.model in models and recipe.dataset.removesuffix(PERMUTED) in datasets]  # fmt: skip


def as_dicts() -> list[dict[str, Any]]:
    """Return all recipes for a program to read."""
    recipes = {**RECIPES, **IMAGENET}
    return [{"recipe": name, **dataclasses.asdict(recipe)} for name, recipe in recipes.items()]
