"""The temperature and the threshold in the cards of the shipped models: how honest their probabilities are.

Both are found on the pictures that the training held out for validation, never on the test's.
"""

import dataclasses
from pathlib import Path

import numpy as np

from kerasnets import data
from kerasnets.project.pretrained import PRETRAINED, ship_forms
from kerasnets.recipes import RECIPES, Recipe
from kerasnets.reports import measures

FALSE_ALARMS = 0.003  # of the right answers for held-out digits that are called unsure; the promise is 0.005 on others
HELD_OUT = 10_000  # training pictures that stand for held-out ones if a recipe holds out none


def calibrate_shipped(
    pretrained: Path = PRETRAINED, data_dir: str | Path | None = None
) -> dict[str, tuple[float, float]]:
    """Write temperature and threshold into the card of each shipped model; return both by the model's name."""
    from kerasnets import saving
    from kerasnets.data.fitting import InOrder, fit_to_network

    result = {}
    for path in sorted(Path(pretrained).glob("*.keras")):
        recipe = RECIPES.get(path.stem)
        if recipe is None or len(saving.load_card(path).input_shape) != 3:
            continue
        model, card = saving.load(path)
        images, labels, kind = held_out(recipe, card.seed, data_dir)
        images, prepare = fit_to_network(images, kind, card.input_kind, card.input_shape)
        probabilities = model.predict(InOrder(images, batch_size=500, prepare=prepare), verbose=0)
        temperature = best_temperature(probabilities, labels) if recipe.validation else 1.0
        sure_from = card.sure_from
        if card.dataset.startswith("MNIST"):
            sure_from = threshold(at(probabilities, temperature), labels)
        card = dataclasses.replace(card, temperature=temperature, sure_from=sure_from)
        saving.save(model, path, card)
        ship_forms(path)
        result[path.stem] = temperature, sure_from
    return result


def held_out(recipe: Recipe, seed: int, data_dir: str | Path | None) -> tuple[np.ndarray, np.ndarray, str]:
    """Return the pictures, labels and kind that a training with `seed` held out; a part of all if it held out none."""
    content = data.load_data(recipe.dataset, data_dir)
    chosen = data.split(content.train_labels, recipe.validation or HELD_OUT, seed)[1]
    return content.train_images[chosen], content.train_labels[chosen], content.input_kind


def best_temperature(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the temperature that a training would find (`reports.measures`)."""
    return measures.best_temperature(measures.logarithms(probabilities), labels)


def at(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return probabilities (n, num_classes) at a temperature."""
    return np.exp(measures.soften(measures.logarithms(probabilities), temperature))


def threshold(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the least probability of a sure answer that calls FALSE_ALARMS of the right answers unsure."""
    right = probabilities.argmax(axis=1) == labels
    least = float(np.quantile(probabilities.max(axis=1)[right], FALSE_ALARMS))
    return int(100 * min(max(least, 0.5), 0.9)) / 100  # an answer as likely wrong as right is not sure
