"""The network of kerasnets/prediction/rejection.onnx, which tells digits from letters and signs: its training.

    KERAS_BACKEND=torch python -m kerasnets.project.rejection models_saved/rejection.keras

It learns MNIST's digits, and drawn digits, letters and signs. Both kinds are drawn in the same fonts, so that nothing
but the shape tells them apart. Other fonts are held out to judge it. The answer is one line: at the LEAST that is
printed too, the shares of MNIST's test digits, of printed digits, and of letters and signs that are rejected. Copy the
LEAST into kerasnets/prediction/rejection.py.
"""

from kerasnets.runtime.chosen import BACKEND as BACKEND

import argparse
import string
import sys
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from kerasnets import Classifier, data, recipes
from kerasnets.data import Data
from kerasnets.export import export
from kerasnets.project.letters import FONTS, HELD_OUT, OTHERS, draw_forms
from kerasnets.runtime.provenance import CHECKOUT
from kerasnets.training.train import train

NETWORK = CHECKOUT / "kerasnets/prediction/rejection.onnx"
NAMES = "digit", "other"
COUNTS = {NAMES[0]: 9_000, NAMES[1]: 24_000}  # drawn for training; a tenth of them, in other fonts, for the test
KEPT = 10_000  # of MNIST's training digits that are not trained on, for the threshold
ALARMS = 0.0005  # of these that are rejected
RECIPE = recipes.with_changes(
    recipes.own("rejection", "digits_and_letters"), learning_rate=0.002, batch_size=128, epochs=6, validation=0.0,
    keep_best=False, schedule=("cosine", 0),
)  # fmt: skip


def network(shape: tuple[int, ...], num_classes: int) -> keras.Model:
    """Build three convolutions and a dense layer: 14,600 weights."""
    layers = keras.layers
    inputs = x = keras.Input(shape, name="input")
    for i, filters in enumerate((16, 32, 32)):
        x = layers.Conv2D(filters, 3, activation="relu", name=f"conv{i}")(x)
        x = layers.MaxPooling2D(2, name=f"pool{i}")(x) if i < 2 else x
    x = layers.Dropout(0.3, name="dropout")(layers.Flatten(name="flatten")(x))
    return keras.Model(inputs, layers.Dense(num_classes, name="logits")(x), name="rejection")


def examples(mnist: Data) -> Data:
    """Return MNIST's training digits but for the last KEPT, and drawn pictures; the test is of the other fonts."""
    random = np.random.default_rng(0)
    parts = {}
    for fonts, share in ((FONTS, 1.0), (HELD_OUT, 0.1)):
        digits = draw_forms(string.digits, fonts, int(share * COUNTS["digit"]), random)
        others = draw_forms(OTHERS, fonts, int(share * COUNTS["other"]), random)
        if fonts is FONTS:
            digits = np.concatenate([mnist.train_images[:-KEPT], digits])
        parts[fonts] = np.concatenate([digits, others]), np.repeat([0, 1], [len(digits), len(others)])
    return Data(*parts[FONTS], *parts[HELD_OUT], "digits and letters", NAMES)


def main(argv: Sequence[str] | None = None) -> None:
    """Train the network, put it into kerasnets/prediction, and print what it rejects."""
    parser = argparse.ArgumentParser(description="Train the network that tells digits from letters and signs.")
    parser.add_argument("out", type=Path, help="the .keras file to write")
    parser.add_argument("--data-dir", help="where MNIST lies")
    options = parser.parse_args(argv)
    mnist = data.load_data("mnist", options.data_dir)
    content = examples(mnist)
    train(RECIPE, network=network, arrays=content, out=options.out, overwrite=True)
    export(options.out, NETWORK)
    score = Classifier.load(NETWORK).engine
    least = float(np.quantile(score(mnist.train_images[-KEPT:])[:, 0], ALARMS))
    sets = {
        "MNIST's test digits": mnist.test_images,
        "printed digits": content.test_images[content.test_labels == 0],
        "letters and signs": content.test_images[content.test_labels == 1],
    }
    shares = (f"{name} {np.mean(score(images)[:, 0] < least):.4f}" for name, images in sets.items())
    print(f"least {least:.3f}; rejected: {', '.join(shares)}")


if __name__ == "__main__":
    main(sys.argv[1:])
