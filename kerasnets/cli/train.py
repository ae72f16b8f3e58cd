"""Train a recipe, or any network on any data, and save it as one file.

    kerasnets train mnist_cnn-digits
    kerasnets train lenet5-mnist --seed 1 --epochs 10 --data-dir data
    kerasnets train --model vgg11_bn --dataset path/to/folder --image-size 64
    kerasnets train --dataset path/to/folder --pretrained
    kerasnets train --weights models_saved/resnet18.keras --freeze stage1 stage2 --dataset path/to/folder
    kerasnets train lenet5-mnist --seeds 0 1 2
    kerasnets train lenet5-mnist --resume

A folder or zip of your own has one folder of pictures for each class. If the class folders are in two folders "train"
and "test", these are the training and test data; otherwise a fifth of each class is kept for the test. An .npz archive
holds x_train, y_train, x_test and y_test. --list shows the recipes. The last line on stdout is the result; with --json
it is the only one.
"""

import argparse
import contextlib
import dataclasses
import statistics
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kerasnets import recipes
from kerasnets.cli import app, engine, names, options, pretrained, training_settings
from kerasnets.cli.app import UsageError
from kerasnets.errors import nearest_first, notes_once
from kerasnets.runtime import backends

if TYPE_CHECKING:
    from kerasnets.training.request import Request
    from kerasnets.training.run import Run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("recipe", nargs="?", metavar="RECIPE", help="a network and its data set, such as lenet5-mnist")
    add("--list", action="store_true", help="show the recipes and the accuracy that was published for each")
    text = (
        "a network, for a data set without a recipe; or your own: FILE.py:FUNCTION, which is run (default, for a "
        f"folder or zip of pictures: {names.FROM_SCRATCH}; with --pretrained, {names.PRETRAINED})"
    )
    add("--model", metavar="NAME", help=text)
    text = "mnist, cifar10, ..., or a folder, zip or .npz of your own, or FILE.py:FUNCTION, which is run"
    options.add_dataset(parser, text)
    options.add_synsets(parser)
    options.add_image_size(parser)
    text = (
        "change the pictures in each epoch: shift (by up to 2 pixels), crop (by up to 4), flip (mirror half of them), "
        "two of these, or none (default: as the kind of data allows; digits are not mirrored)"
    )
    add("--augment", nargs="*", metavar="CHANGE", help=text)
    text = "crop a random part of each photo at its own size, and mirror it; a test takes the middle of a photo"
    add("--augment-photos", action="store_true", help=text)
    add("--augment-colours", action="store_true", help="the same, with other brightness, contrast and saturation")
    place = parser.add_mutually_exclusive_group()
    text = "read own pictures from the disk batch by batch (the default if they exceed the memory)"
    place.add_argument("--stream", action="store_true", default=None, help=text)
    text = "hold own pictures in memory"
    place.add_argument("--in-memory", dest="stream", action="store_false", default=None, help=text)
    text = "leave out up to N own pictures that cannot be read; the report names them (default: 0)"
    add("--skip-broken", type=int, metavar="N", default=0, help=text)
    text = "stop after N epochs in a row without a better validation accuracy (or, at equal accuracy, a lower loss)"
    add("--patience", type=int, metavar="N", help=text)
    add("--weights", metavar="FILE", help="start from a .keras or .h5 file, or a shipped model; its head is replaced")
    pretrained.add_pretrained(parser)
    text = "layers or stages of that model to keep as they are"
    add("--freeze", nargs="+", default=(), metavar="NAME", help=text)
    engine.add_engine(parser)
    training_settings.add_settings(parser)
    options.add_guest(parser, own_size=False)
    add_training_options(parser)


def add_training_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of every script that trains."""
    add = parser.add_argument
    add("--epochs", type=int, help="instead of the recipe's")
    add("--batch-size", type=int, metavar="N", help="instead of the recipe's")
    seeds = parser.add_mutually_exclusive_group()
    text = "of the validation split, order and initial weights (default: 0)"
    seeds.add_argument("--seed", type=int, default=0, help=text)
    text = "train once with each seed, into files that end in -seed0, -seed1, ...; mean and deviation are printed last"
    seeds.add_argument("--seeds", type=options.whole_number, nargs="+", metavar="N", help=text)
    text = (
        ".keras or .h5, or both (default: models_saved/<recipe>.keras); the report goes into a folder of the same name"
    )
    add("--out", nargs="+", metavar="FILE", help=text)
    options.add_data_dir(parser)
    options.add_report(parser)
    text = "continue the last run of these settings, from its last checkpoint"
    add("--resume", action="store_true", help=text)
    text = "write a checkpoint every N minutes too, and when the run is stopped; --resume goes on after that step"
    add("--checkpoint-minutes", type=float, metavar="N", help=text)
    text = "normalize a batch by each worker's part, which is faster; the result then depends on their number"
    add("--worker-statistics", action="store_true", help=text)
    text = "replace the model and report of an earlier run; without it, the second run of a name gets the number 2"
    add("--overwrite", action="store_true", help=text)
    add("--tensorboard", action="store_true", help="write logs for TensorBoard into the report's folder")
    text = "log each epoch with these programs too: tensorboard, wandb, mlflow"
    add("--log", nargs="+", default=(), choices=recipes.LOGGERS, metavar="PROGRAM", help=text)
    add("--json", action="store_true", help="print the result as JSON, and the progress on stderr")


def run(args: argparse.Namespace) -> None:
    if args.list:
        import json

        print(json.dumps(recipes.as_dicts(), indent=1) if args.json else recipes_table())
        return
    image_size = options.image_size(args)
    default = names.default_network(args)
    args.model = args.model or default
    pretrained.check(args)
    if default:
        hint = "" if args.pretrained else ", and --pretrained suits photos"
        app.tell_on_stderr(f"note: no --model given: {default} is trained; kerasnets list shows the others{hint}")
    from kerasnets.data import own_code

    is_own = own_code.is_function(args.model)
    recipe = recipe_of(args)
    weights = args.weights and names.shipped_or_file(args.weights)
    guest = options.guest(args, of_file=bool(args.weights), own_size=False)
    if args.find_learning_rate is not None and args.pretrained:
        weights = pretrained.weights_of(args.model)
    if is_own:
        backends.choose()  # before the file imports Keras
    request = request_of(
        args, recipe, network=own_code.load(args.model) if is_own else None,
        weights=weights, freeze=args.freeze, guest=guest, image_size=image_size, stream=args.stream,
        skip_broken=args.skip_broken, synsets=args.synsets,
    )  # fmt: skip
    if args.find_learning_rate is not None:
        find_learning_rate(args, request)
        return
    if args.pretrained:
        request = pretrained.with_defaults(args, request)
    train(args, request)


def request_of(args: argparse.Namespace, recipe: str | recipes.Recipe, **more: Any) -> "Request":
    """Return the request of the options of `add_training_options`."""
    from kerasnets.training.request import Request

    return Request(
        recipe=recipe, epochs=args.epochs, batch_size=args.batch_size, seed=args.seed, out=args.out,
        data_dir=args.data_dir, resume=args.resume, overwrite=args.overwrite, tensorboard=args.tensorboard,
        log=args.log, checkpoint_minutes=args.checkpoint_minutes, worker_statistics=args.worker_statistics,
        full_report=args.full_report, **more,
    )  # fmt: skip


@notes_once()
def train(args: argparse.Namespace, request: "Request") -> None:
    """Train once, or with each of the seeds, and print the result."""
    if not args.seeds:
        result = train_once(args, request)
        app.tell(result.json() if args.json else result.line())
        return
    results = []
    for seed in dict.fromkeys(args.seeds):
        files = [file.with_stem(f"{file.stem}-seed{seed}") for file in request.named_files]
        results.append(train_once(args, dataclasses.replace(request, seed=seed, out=files)))
        if not args.json:
            app.tell(results[-1].line())
    app.tell(f"[{', '.join(result.json() for result in results)}]" if args.json else summary(results))


def summary(results: "Sequence[Run]") -> str:
    """Return the mean and standard deviation of runs of one recipe as one greppable line."""
    accuracies = [result.test_accuracy for result in results]
    deviation = f"std={statistics.stdev(accuracies):.4f} " if len(accuracies) > 1 else ""
    seeds = ",".join(str(result.seed) for result in results)
    return (
        f"result recipe={results[0].recipe} seeds={seeds} test_accuracy={statistics.mean(accuracies):.4f} "
        f"{deviation}lowest={min(accuracies):.4f} highest={max(accuracies):.4f} backend={results[0].backend}"
    )


def train_once(args: argparse.Namespace, request: "Request") -> "Run":
    from kerasnets.training import checkpoints, places

    if args.pretrained:
        request = pretrained.train_head(args, request)
    folder = checkpoints.folder_beside(places.last_run(request.named_files)[0])
    redirection = contextlib.redirect_stdout(sys.stderr if args.json else sys.stdout)
    with redirection, checkpoints.name_resume(folder):
        import kerasnets

        return kerasnets.train(request)


def find_learning_rate(args: argparse.Namespace, request: "Request") -> None:
    """Search a learning rate instead of training, and print the result."""
    with contextlib.redirect_stdout(sys.stderr if args.json else sys.stdout):
        from kerasnets.training import rate_finder

        result = rate_finder.find_learning_rate(request, args.find_learning_rate)
    app.tell(result.json() if args.json else result.line())


def recipe_of(args: argparse.Namespace) -> recipes.Recipe:
    """Return the recipe of the options, changed as they say."""
    if args.augment and not (args.recipe or args.dataset) and args.augment[-1] not in training_settings.CHANGES:
        args.recipe = args.augment.pop()  # --augment RECIPE
    is_imagenet = args.recipe in recipes.IMAGENET
    if is_imagenet and not args.dataset:
        raise UsageError(f"{args.recipe} needs --dataset: the folder or zip with ImageNet's train and val")
    if bool(args.recipe) == bool(args.dataset) and not is_imagenet:
        raise UsageError("name a recipe, or a data set by --dataset")
    if args.recipe and (args.model or args.weights):
        raise UsageError("a recipe names its model; --model and --weights go with --dataset")
    if args.recipe and args.recipe not in recipes.RECIPES and not is_imagenet:
        args.recipe = first_recipe_of(args.recipe)
    if args.recipe and args.recipe not in recipes.RECIPES and not is_imagenet:
        known = nearest_first(args.recipe, [*recipes.RECIPES, *recipes.IMAGENET])
        raise UsageError(f"unknown recipe {args.recipe!r}; choose one of: {known}")
    if args.dataset and not (args.model or args.weights or is_imagenet):
        first = next((name for name, recipe in recipes.RECIPES.items() if recipe.dataset == args.dataset), None)
        instead = f", or train a recipe, such as {first}" if first else ""
        raise UsageError(f"name a network for {args.dataset} by --model or --weights{instead}")
    if args.dataset:
        check_names(args)
    if is_imagenet:
        shape = (*image_size, 3) if (image_size := options.image_size(args)) else None
        recipe = recipes.with_changes(recipes.IMAGENET[args.recipe], dataset=args.dataset, image_shape=shape)
    elif args.recipe:
        recipe = recipes.RECIPES[args.recipe]
    else:
        recipe = recipes.own(names.title_of(args.model) if args.model else names.network_in(args.weights), args.dataset)
    augmentations = (
        (recipes.PHOTO_COLOUR, args.augment_colours),
        (recipes.PHOTO, args.augment_photos),
    )
    recipe = pretrained.with_epochs(args, recipe)
    recipe = recipes.with_changes(
        recipe,
        patience=args.patience,
        keep_best=True if args.patience else None,
        augmentation=next((name for name, chosen in augmentations if chosen), training_settings.augmentation_of(args)),
        **engine.changes_of(args),
        **training_settings.changes_of(args, recipe),
    )
    recipe = training_settings.with_average(args, recipe)
    training_settings.check_pairs(args, recipes.with_changes(recipe, epochs=args.epochs))
    return recipe


def first_recipe_of(model: str) -> str:
    """Return the name of a network's first recipe, with a note; any other name is returned as it is."""
    from kerasnets.models import NETWORKS

    name = next((name for name, recipe in recipes.RECIPES.items() if recipe.model == model), None)
    if name:
        app.tell_on_stderr(f"note: {model} is trained by its first recipe, {name} (--list shows all)")
    elif model in NETWORKS:
        raise UsageError(f"{model} has no recipe; name your data: --model {model} --dataset path/to/folder")
    return name or model


def check_names(args: argparse.Namespace) -> None:
    """Raise if there is no such network or data set, before a framework is loaded."""
    from kerasnets import data, models
    from kerasnets.data import own_code

    if args.model:
        own_code.check(args.model) if own_code.is_function(args.model) else models.check_name(args.model)
    data.check_name(args.dataset)


def recipes_table() -> str:
    """Return all recipes as lines for a person."""
    from kerasnets.reports.tables import Table

    rows = []
    for name, recipe in {**recipes.RECIPES, **recipes.IMAGENET}.items():
        optimizer = f"{recipe.optimizer} {recipe.learning_rate:g}"
        batch = f"{recipe.batch_size:,}" if recipe.batch_size else "all"
        rows.append((name, f"{recipe.epochs:,}", batch, optimizer, recipe.published_figure))
    return Table(("recipe", "epochs", "batch", "optimizer", "published"), rows).text()
