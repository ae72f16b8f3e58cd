"""Train a network to tell ten kinds of things apart on CIFAR-10, and save it as one file.

    KERAS_BACKEND=torch python scripts/train_cifar10.py
    KERAS_BACKEND=jax python scripts/train_cifar10.py --model vgg_cifar --data-dir data
    python scripts/train_cifar10.py --model vgg_cifar --resume

cifar_net takes minutes on two cores and vgg_cifar hours; the others need a GPU. The last line on stdout is the result;
with --json it is the only one. train.py trains everything else.
"""

from kerasnets.cli import train_dataset

if __name__ == "__main__":
    train_dataset.run_script(__doc__, "cifar10", "cifar_net")
