"""What train.py and its fronts for one data set share: the options, and a training from them."""

import contextlib
import sys

from kerasnets import recipes
from kerasnets.errors import nearest_first


def add_options(parser):
    """The options of every training script."""
    parser.add_argument("--epochs", type=int, help="in place of the recipe's")
    parser.add_argument("--batch-size", type=int, metavar="N", help="in place of the recipe's")
    parser.add_argument("--seed", type=int, default=0, help="of split, order and initial weights (default: 0)")
    parser.add_argument(
        "--out",
        nargs="+",
        metavar="FILE",
        help=".keras or .h5, or both (default: models_saved/<recipe>.keras); the report goes into a folder beside it",
    )
    parser.add_argument("--data-dir", metavar="FOLDER", help="where the data lie (default: KERASNETS_DATA, then data/)")
    parser.add_argument("--resume", action="store_true", help="go on after the last epoch of a run that was stopped")
    parser.add_argument(
        "--tensorboard", action="store_true", help="write logs for TensorBoard into the report's folder"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON, and the progress on stderr")


def add_image_size(parser):
    parser.add_argument(
        "--image-size",
        type=int,
        nargs="+",
        metavar="PIXELS",
        help="resize own pictures to a square, or to height width",
    )


def image_size(parser, args):
    """(height, width) that the parsed options ask for; None where they do not."""
    size = args.image_size and (args.image_size * 2 if len(args.image_size) == 1 else args.image_size)
    if size and (len(size) != 2 or min(size) < 1):
        parser.error("--image-size takes one number, or two: height and width")
    return tuple(size) if size else None


def models_for(dataset):
    """The networks that a recipe trains on `dataset`, in the order of RECIPES."""
    return list(dict.fromkeys(row.model for row in recipes.RECIPES.values() if row.dataset == dataset))


def run(args, recipe, **options):
    """Train `recipe` as the parsed `args` say, and print the result."""
    import kerasnets

    with contextlib.redirect_stdout(sys.stderr if args.json else sys.stdout):
        done = kerasnets.train(
            recipe,
            epochs=args.epochs,
            batch_size=args.batch_size,
            seed=args.seed,
            out=args.out,
            data_dir=args.data_dir,
            resume=args.resume,
            tensorboard=args.tensorboard,
            **options,
        )
    print(done.json() if args.json else done.line())


def recipe_of(parser, args):
    """Return (Recipe, further options of `train`) from the parsed options of train.py."""
    if bool(args.recipe) == bool(args.dataset):
        parser.error("name a recipe, or a data set by --dataset with --model or --weights")
    if args.recipe and (args.model or args.weights):
        parser.error("a recipe names its model; --model and --weights go with --dataset")
    if args.recipe and args.recipe not in recipes.RECIPES:
        parser.error(f"unknown recipe {args.recipe!r}; choose one of: {nearest_first(args.recipe, recipes.RECIPES)}")
    if args.dataset and not (args.model or args.weights):
        parser.error("--dataset goes with --model, or with --weights")
    row = (
        recipes.RECIPES[args.recipe] if args.recipe else recipes.own(args.model or model_of(args.weights), args.dataset)
    )
    row = recipes.changed(
        row,
        learning_rate=args.learning_rate,
        patience=args.patience,
        keep_best=True if args.patience else None,
        augmentation=recipes.SHIFT_AND_FLIP if args.augment else None,
        precision=args.precision,
        compiled=args.compile or None,
    )
    return row, {"image_size": image_size(parser, args), "weights": args.weights, "freeze": args.freeze}


def model_of(weights):
    """The network that a model file holds."""
    from kerasnets.saving import load_card

    return load_card(weights).model
