"""Train a network to tell ten kinds of things apart on CIFAR-10, and save it as one file.

    KERAS_BACKEND=torch python scripts/train_cifar10.py
    KERAS_BACKEND=jax python scripts/train_cifar10.py --model vgg_cifar --data-dir data
    python scripts/train_cifar10.py --model vgg_cifar --resume

cifar_net takes minutes on two cores, vgg_cifar hours, the others want a graphics processor. The last line on stdout is
the result; with --json it is all that stdout gets. train.py trains everything else.
"""

from kerasnets.cli import app, train


def main():
    parser = app.Parser(__doc__)
    parser.add_argument("--model", choices=train.models_for("cifar10"), default="cifar_net")
    train.add_options(parser)
    args = parser.parse_args()
    train.run(args, f"{args.model}-cifar10")


if __name__ == "__main__":
    app.run(main)
