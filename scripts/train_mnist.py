"""Train a network to read handwritten digits, and save it as one file.

    KERAS_BACKEND=torch python scripts/train_mnist.py
    KERAS_BACKEND=jax python scripts/train_mnist.py --dataset mnist --data-dir data --epochs 5 --seed 1
    python scripts/train_mnist.py --model lenet5 --out models_saved/lenet5.h5

Where MNIST is neither found nor to be downloaded, mnist_cnn is trained on scikit-learn's digits, which it says.
The last line on stdout is the result; with --json it is all that stdout gets.
"""

import contextlib
import sys

from kerasnets import console


def main():
    parser = console.Parser(__doc__)
    parser.add_argument("--model", choices=("mnist_cnn", "lenet5", "dnn_mnist"), default="mnist_cnn")
    parser.add_argument(
        "--dataset",
        choices=("mnist", "digits"),
        help="this one and no other (default: mnist, else digits); digits goes with mnist_cnn",
    )
    parser.add_argument("--data-dir", metavar="FOLDER", help="where MNIST lies (default: KERASNETS_DATA, then data/)")
    parser.add_argument("--epochs", type=int, help="in place of the recipe's")
    parser.add_argument("--seed", type=int, default=0, help="of split, order and initial weights (default: 0)")
    parser.add_argument(
        "--out",
        nargs="+",
        metavar="FILE",
        help=".keras or .h5, or both (default: models_saved/<model>-<dataset>.keras)",
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON, and the progress on stderr")
    args = parser.parse_args()

    import kerasnets

    with contextlib.redirect_stdout(sys.stderr if args.json else sys.stdout):
        run = kerasnets.train(
            f"{args.model}-{args.dataset or 'mnist'}",
            fallback=None if args.dataset else f"{args.model}-digits",
            epochs=args.epochs,
            seed=args.seed,
            out=args.out,
            data_dir=args.data_dir,
        )
    print(run.json() if args.json else run.line())


if __name__ == "__main__":
    console.run(main)
