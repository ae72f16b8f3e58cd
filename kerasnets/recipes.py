"""RECIPES: what is trained on what, and how. One row holds all that is needed to repeat it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """One row. Pixels enter the network as (pixel / 255 - mean) / deviation."""

    model: str
    dataset: str
    mean: float
    deviation: float
    optimizer: str
    learning_rate: float
    momentum: float
    batch_size: int  # pictures a step
    epochs: int
    validation: int  # pictures taken from the training set to validate on
    published: str  # the source's accuracy on test data, as a fraction

    @property
    def name(self):
        return f"{self.model}-{self.dataset}"

    @property
    def scaling(self):
        """(scale, offset) of the Rescaling layer that does the same to pixels of 0..255."""
        return 1 / (255 * self.deviation), -self.mean / self.deviation


# Settings and published figures: the tutorials', as collected in the project's specification; where those give no
# validation part, a tenth. The digits' row is ours: models_saved/README.md says why it takes Adam.
_ROWS = (
    #       model        dataset   mean    dev     optimizer  rate   mom. batch epochs valid.  published
    Recipe("mnist_cnn", "mnist",  0.0,    1.0,    "rmsprop", 0.001, 0.0, 128,  5,     12_000, "0.9881"),
    Recipe("mnist_cnn", "digits", 0.0,    1.0,    "adam",    0.002, 0.0, 64,   25,    144,    "0.978 to 0.981, ours"),
    Recipe("lenet5",    "mnist",  0.1307, 0.3081, "sgd",     0.9,   0.0, 256,  5,     6_000,  "0.9852 and 0.9794"),
    Recipe("dnn_mnist", "mnist",  0.1307, 0.3081, "sgd",     0.01,  0.5, 64,   5,     6_000,  "0.9666"),
)  # fmt: skip

RECIPES = {row.name: row for row in _ROWS}
