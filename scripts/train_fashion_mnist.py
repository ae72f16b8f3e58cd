"""Train a network to tell ten kinds of clothes apart on Fashion-MNIST, and save it as one file.

    KERAS_BACKEND=torch python scripts/train_fashion_mnist.py
    KERAS_BACKEND=jax python scripts/train_fashion_mnist.py --model resnet_mini --seed 1 --data-dir data
    python scripts/train_fashion_mnist.py --resume

The last line on stdout is the result; with --json it is all that stdout gets. train.py trains everything else.
"""

from kerasnets.cli import app, train


def main():
    parser = app.Parser(__doc__)
    parser.add_argument("--model", choices=train.models_for("fashion_mnist"), default="fashion_cnn")
    train.add_options(parser)
    args = parser.parse_args()
    train.run(args, f"{args.model}-fashion_mnist")


if __name__ == "__main__":
    app.run(main)
