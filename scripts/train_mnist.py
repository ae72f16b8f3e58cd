"""Train a network to read handwritten digits, and save it as one file.

    KERAS_BACKEND=torch python scripts/train_mnist.py
    KERAS_BACKEND=jax python scripts/train_mnist.py --dataset mnist --data-dir data --epochs 5 --seed 1
    python scripts/train_mnist.py --model lenet5 --out models_saved/lenet5.h5

If MNIST is neither on this disk nor can be downloaded, mnist_cnn is trained on scikit-learn's digits, and a line says
so. The last line on stdout is the result; with --json it is the only one. train.py trains everything else.
"""

from kerasnets.cli import train_dataset

if __name__ == "__main__":
    train_dataset.run_script(__doc__, "mnist", "mnist_cnn", or_digits=True)
