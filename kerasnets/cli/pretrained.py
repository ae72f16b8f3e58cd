"""`train --pretrained`: from torchvision's ImageNet weights, first a fresh head alone, then all at a smaller rate."""

import argparse
import contextlib
import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasnets import recipes
from kerasnets.cli import app, training_settings
from kerasnets.cli.app import UsageError
from kerasnets.recipes import Recipe
from kerasnets.runtime import backends, child

if TYPE_CHECKING:
    from kerasnets.training.request import Request

RATE, HEAD_FACTOR = 1e-4, 10  # of all layers, with Adam; the head alone learns at ten times that
BODY = ("[!l]*",)  # all layers of these networks but `logits`, as a pattern of names
PHOTO_SIDE = 100  # pixels of the shorter side from which a picture is taken for a photo


def add_pretrained(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    text = "start --model from torchvision's ImageNet weights: a fresh head learns alone first, then all layers"
    add("--pretrained", action="store_true", help=text)
    text = "with --pretrained: epochs of the head alone (default: by the number of pictures)"
    add("--head-epochs", type=int, metavar="N", help=text)


def check(args: argparse.Namespace) -> None:
    """Refuse options that do not go with --pretrained, before a framework is loaded."""
    if not args.pretrained:
        if args.head_epochs is not None:
            raise UsageError("--head-epochs goes with --pretrained")
        return
    if not (args.model and args.dataset) or args.weights or args.freeze or args.image_size:
        raise UsageError(
            "--pretrained goes with --dataset, and perhaps --model, without --weights, --freeze and --image-size"
        )
    if args.head_epochs is not None and args.head_epochs < 1:
        raise UsageError(f"--head-epochs must be at least 1, not {args.head_epochs}")
    from kerasnets.data import own_code

    if own_code.is_function(args.model):
        raise UsageError("--pretrained goes with a network of torchvision, not with FILE.py:FUNCTION")


def with_defaults(args: argparse.Namespace, request: "Request") -> "Request":
    """Return the request with torchvision's weights, and what suits the pictures where no option says otherwise."""
    recipe, args.head_epochs = defaults_of(args, request.recipe)
    return dataclasses.replace(request, recipe=recipe, weights=weights_of(args.model))


def train_head(args: argparse.Namespace, request: "Request") -> "Request":
    """Train a fresh head alone; return the request for all layers, which starts from there and keeps the best epoch.

    The head is a part of its run: it lies in the folder of that, and has the seed of that.
    """
    from kerasnets.training import places
    from kerasnets.training.settings import compared

    recipe: Any = request.recipe
    head = dataclasses.replace(
        recipe, learning_rate=HEAD_FACTOR * recipe.learning_rate, schedule=(), epochs=args.head_epochs, ema=0.0
    )
    batch_size = args.batch_size or recipe.batch_size
    settings = compared(dataclasses.replace(head, batch_size=batch_size, variant=recipes.FINETUNED))
    del settings["augmentation"]  # AUTO waits for the data
    files = places.choose_with_head(
        request.named_files, {**settings, "seed": request.seed}, resume=request.resume, overwrite=request.overwrite
    )
    with contextlib.redirect_stdout(sys.stderr if args.json else sys.stdout):
        import kerasnets

        app.tell(f"first the head alone, {args.head_epochs} epochs at a rate of {head.learning_rate:g}")
        first = kerasnets.train(dataclasses.replace(
            request, recipe=head, epochs=None, out=places.head_of(files), overwrite=True, freeze=BODY,
            tensorboard=False, log=(), checkpoint_minutes=None, callbacks=(), full_report=False,
        ))  # fmt: skip
        epochs = args.epochs or recipe.epochs
        app.tell(f"now all layers, {epochs} epochs at a rate of {recipe.learning_rate:g}")
    # With `overwrite`, because `files` are chosen: the head lies there already
    return dataclasses.replace(request, weights=first.files[0], keep_head=True, out=files, overwrite=True)


def defaults_of(args: argparse.Namespace, recipe: Any) -> tuple[Recipe, int]:
    """Return (`recipe` with what suits the pictures where no option says otherwise, epochs of the head); print it."""
    from kerasnets.training.defaults import plan_for

    count, side = pictures_in(args.dataset)
    plan = plan_for(count)
    head_epochs, epochs = plan.head_epochs, plan.tuned_epochs
    is_told = args.augment is not None or args.augment_photos or args.augment_colours
    usual = None if args.schedule or args.warmup is not None else ("cosine", 1)
    recipe = recipes.with_changes(
        recipe,
        learning_rate=args.learning_rate or RATE,
        schedule=training_settings.schedule_of(args, dataclasses.replace(recipe, schedule=(), epochs=epochs)) or usual,
        epochs=epochs,
        batch_size=32,
        validation=plan.validation if args.validation is None else None,
        keep_best=True,
        augmentation=recipes.PHOTO if side >= PHOTO_SIDE and not is_told else None,
    )
    what = f"{recipe.optimizer} at {recipe.learning_rate:g}, {args.epochs or epochs} epochs"
    crops = ", random crops (--augment none leaves them out)" if recipe.augmentation == recipes.PHOTO else ""
    app.tell(f"note: about {count:,} pictures to train on: {what}{crops}", file=sys.stderr)
    return recipe, args.head_epochs or head_epochs


def with_epochs(args: argparse.Namespace, recipe: Recipe) -> Recipe:
    """Return a recipe with the epochs that suit own pictures, if options of the schedule depend on them."""
    from kerasnets import data
    from kerasnets.data import own_code

    is_needed = "epochs" in recipe.by_data and (args.schedule or args.warmup is not None)
    if not is_needed or args.epochs or args.pretrained or args.dataset in data.DATASETS:
        return recipe
    if own_code.is_function(args.dataset) or Path(args.dataset).suffix.lower() == ".npz":  # not to load it twice
        return recipes.with_changes(recipe, epochs=recipe.epochs)
    from kerasnets.training.defaults import plan_for

    count, _ = pictures_in(args.dataset)
    plan = plan_for(count)
    epochs = plan.tuned_epochs if args.weights else plan.epochs
    app.tell_on_stderr(f"note: about {count:,} pictures to train on; chosen: {epochs} epochs; change by --epochs")
    return recipes.with_changes(recipe, epochs=epochs)


def pictures_in(dataset: str) -> tuple[int, int]:
    """Return (number of training pictures, shorter side of the first) of a folder or zip, or of a known data set."""
    from kerasnets import data
    from kerasnets.data import layout, own_code, picture_sources, survey

    if dataset in data.DATASETS:
        return data.DATASETS[dataset].train, min(data.DATASETS[dataset].image_shape)
    if Path(dataset).suffix.lower() == ".npz" or own_code.is_function(dataset):
        backends.choose()  # before the file imports Keras
        images = data.load_data(dataset).train_images
        return len(images), min(images.shape[1:3])
    source = picture_sources.open_source(Path(dataset))
    listing = layout.list_pictures(source)
    return len(listing.train), min(survey.first_size(source, listing.names))


def weights_of(model: str) -> str:
    """Return the model file with torchvision's weights of a network; it is made once, in Keras' folder of models."""
    from kerasnets.data.sources import keras_cache

    path = keras_cache().with_name("models") / f"kerasnets-{model}-imagenet.keras"
    if path.is_file():
        return str(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if backends.choose() == "torch":
        from kerasnets.convert import model_files

        model_files.make_pretrained_file(model, path)
    else:  # PyTorch reads its weights; its import would end a process of TensorFlow
        command = [sys.executable, "-m", "kerasnets", "convert", model, "--pretrained", "--out", str(path)]
        done = subprocess.run(command, env=child.variables(KERAS_BACKEND="torch"), stdout=sys.stderr, stderr=sys.stderr)
        if done.returncode:
            raise SystemExit(done.returncode)
    return str(path)
