"""Train a network to tell ten kinds of clothes apart on Fashion-MNIST, and save it as one file.

    KERAS_BACKEND=torch python scripts/train_fashion_mnist.py
    KERAS_BACKEND=jax python scripts/train_fashion_mnist.py --model resnet_mini --seed 1 --data-dir data
    python scripts/train_fashion_mnist.py --resume

The last line on stdout is the result; with --json it is the only one. train.py trains everything else.
"""

from kerasnets.cli import train_dataset

if __name__ == "__main__":
    train_dataset.run_script(__doc__, "fashion_mnist", "fashion_cnn")
