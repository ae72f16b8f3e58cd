"""Train a network to read handwritten digits, and save it as one file.

    KERAS_BACKEND=torch python scripts/train_mnist.py
    KERAS_BACKEND=jax python scripts/train_mnist.py --dataset mnist --data-dir data --epochs 5 --seed 1
    python scripts/train_mnist.py --model lenet5 --out models_saved/lenet5.h5

Where MNIST is neither found nor to be downloaded, mnist_cnn is trained on scikit-learn's digits, which it says.
The last line on stdout is the result; with --json it is all that stdout gets. train.py trains everything else.
"""

from kerasnets.cli import app, train


def main():
    parser = app.Parser(__doc__)
    parser.add_argument("--model", choices=train.models_for("mnist"), default="mnist_cnn")
    parser.add_argument(
        "--dataset",
        choices=("mnist", "digits"),
        help="this one and no other (default: mnist, else digits); digits goes with mnist_cnn",
    )
    train.add_options(parser)
    args = parser.parse_args()
    fallback = None if args.dataset else f"{args.model}-digits"
    train.run(args, f"{args.model}-{args.dataset or 'mnist'}", fallback=fallback)


if __name__ == "__main__":
    app.run(main)
