"""Train a recipe, or any network on any data, and save it as one file.

    python scripts/train.py mnist_cnn-digits
    python scripts/train.py lenet5-mnist --seed 1 --epochs 10 --data-dir data
    python scripts/train.py --model vgg11_bn --dataset path/to/folder --image-size 64
    python scripts/train.py --weights models_saved/resnet18.keras --freeze stage1 stage2 --dataset path/to/folder
    python scripts/train.py lenet5-mnist --resume

A folder, or a zip, holds a folder of pictures for each class; "train" and "test" above them are taken as such, else a
fifth of each class is set apart for the test. An .npz archive holds x_train, y_train, x_test and y_test. --list shows
the recipes. The last line on stdout is the result; with --json it is all that stdout gets.
"""

import json

from kerasnets import recipes
from kerasnets.cli import app, train


def main():
    parser = app.Parser(__doc__)
    parser.add_argument(
        "recipe", nargs="?", metavar="RECIPE", help="a model and what it is trained on, as lenet5-mnist"
    )
    parser.add_argument("--list", action="store_true", help="show the recipes and what each was published to reach")
    parser.add_argument("--model", metavar="NAME", help="a network for a data set without a recipe")
    parser.add_argument("--dataset", metavar="NAME", help="mnist, cifar10, ..., or a folder, zip or .npz of your own")
    parser.add_argument(
        "--learning-rate", type=float, metavar="RATE", help="in place of the recipe's; 0.001, by Adam, without one"
    )
    train.add_image_size(parser)
    parser.add_argument("--augment", action="store_true", help="shift and mirror the pictures in each epoch")
    parser.add_argument(
        "--patience",
        type=int,
        metavar="N",
        help="stop after N epochs of which none was better on validation data: in accuracy, or loss at an equal one",
    )
    parser.add_argument("--weights", metavar="FILE", help="begin with a .keras or .h5 file, its head replaced")
    parser.add_argument(
        "--freeze", nargs="+", default=(), metavar="NAME", help="layers or stages of it to keep as they are"
    )
    parser.add_argument(
        "--precision",
        choices=recipes.PRECISIONS,
        help="mixed_bfloat16: quicker on most accelerators, slower on most CPUs",
    )
    parser.add_argument(
        "--compile",
        action="store_true",
        help="make one program of a step, by torch.compile (which wants a C++ compiler) or XLA; JAX does in any case",
    )
    train.add_options(parser)
    args = parser.parse_args()
    if args.list:
        print(json.dumps(recipes.as_dicts(), indent=1) if args.json else recipes.as_table())
        return
    row, options = train.recipe_of(parser, args)
    train.run(args, row, **options)


if __name__ == "__main__":
    app.run(main)
