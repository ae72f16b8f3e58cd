"""Show the shipped models, networks, recipes and data sets.

    kerasnets list
    kerasnets list models --json

Models: trained models that come with kerasnets, with their test accuracy; other commands take them by name. Networks:
input and number of classes by default, trainable parameters. Recipes: network, data set, number of epochs and published
accuracy. Data sets: pictures to train and to test on.
"""

import argparse
import json
from typing import Any

from kerasnets import recipes

Facts = dict[str, dict[str, Any]]  # name -> {fact: value}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", nargs="?", choices=list(LISTS), metavar="KIND", help=f"one of: {', '.join(LISTS)}")
    parser.add_argument("--json", action="store_true", help="print JSON: {kind: {name: {fact: value}}}")


def run(args: argparse.Namespace) -> None:
    kinds = [args.kind] if args.kind else list(LISTS)
    if args.json:
        print(json.dumps({kind: LISTS[kind]() for kind in kinds}, indent=1))
    else:
        print("\n\n".join(as_text(kind, LISTS[kind]()) for kind in kinds))


def as_text(title: str, facts: Facts) -> str:
    from kerasnets.reports.tables import Table

    columns = list(next(iter(facts.values()), {}))
    cells = [(name, *(as_cell(values[column]) for column in columns)) for name, values in facts.items()]
    heads = (title, *(column.replace("_", " ") for column in columns))
    return Table(heads, cells).text()


def as_cell(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def networks() -> Facts:
    from kerasnets.models.registry import NETWORKS

    return {
        name: {
            "input": "x".join(map(str, network.input_shape)),
            "classes": network.num_classes,
            "parameters": network.parameters,
        }
        for name, network in NETWORKS.items()
    }


def trainings() -> Facts:
    return {
        name: {
            "network": recipe.model,
            "data": recipe.dataset,
            "epochs": recipe.epochs,
            "published": recipe.published_figure,
        }
        for name, recipe in recipes.RECIPES.items()
    }


def datasets() -> Facts:
    from kerasnets.data import DATASETS

    return {
        name: {
            "title": dataset.title,
            "train": dataset.train,
            "test": dataset.test,
            "classes": len(dataset.class_names),
            "shape": "x".join(map(str, dataset.image_shape)),
        }
        for name, dataset in DATASETS.items()
    }


def models() -> Facts:
    from kerasnets.saving import load_card, shipped

    facts = {}
    for name in shipped.names():
        card = load_card(shipped.path_of(name, shipped.KERAS))
        facts[name] = {
            "accuracy": "" if card.accuracy is None else f"{card.accuracy:.4f}",
            "data": card.dataset,
            "files": " ".join(file.suffix for file in shipped.files_of(name)),
        }
    return facts


LISTS = {"models": models, "networks": networks, "recipes": trainings, "datasets": datasets}
