"""What a converted network gives after it was saved: on TensorFlow and JAX, from .keras and .h5, as ONNX in OpenCV."""

import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from kerasnets.errors import in_one_line
from kerasnets.runtime.processes import Worker

OTHERS = ("tensorflow", "jax")
FILES = ("model.keras", "model.h5")


COLUMNS = ("ONNX in OpenCV", *(f"{Path(file).suffix} on {name}" for name in ("TensorFlow", "JAX") for file in FILES))


def check(library: str, names: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield (network, verdicts by COLUMNS): the differences as shares of the outputs' scale, or why there is none."""
    with Worker("torch") as torch, Worker(OTHERS[0]) as tensorflow, Worker(OTHERS[1]) as jax:
        for name in names:
            with tempfile.TemporaryDirectory() as folder:
                try:
                    words = torch(write, library, name, Path(folder))
                    for worker in (tensorflow, jax):
                        words += worker(read, Path(folder))
                except Exception as error:  # the verdict on a network that cannot be saved or loaded
                    words = [in_one_line(error, 60)] * len(COLUMNS)
            yield name, words


# ---- run in the process of a backend ---------------------------------------------------------------------------------


def write(library: str, name: str, folder: Path) -> list[str]:
    """Convert a network and write its files, with pictures and what PyTorch gives for them; return OpenCV's verdict."""
    import torch

    import kerasnets
    from kerasnets.export.writers import write_onnx
    from kerasnets.project import conversions

    torch.manual_seed(0)
    module, inputs, expected = conversions.first_that_works(library, name)
    pictures = inputs.numpy().transpose(0, 2, 3, 1)
    model = kerasnets.from_torch(module, inputs)
    np.savez(folder / "numbers.npz", pictures=pictures, expected=expected)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # .h5 is an old format; the exporter's own
        for file in FILES:
            model.save(folder / file)
        try:
            write_onnx(model, folder / "model.onnx")
            return [f"{share(by_opencv(folder / 'model.onnx', pictures), expected):.0e}"]
        except Exception as error:
            return [in_one_line(error, 60)]


def by_opencv(path: Path, pictures: np.ndarray) -> np.ndarray:
    import cv2

    network = cv2.dnn.readNetFromONNX(str(path))
    network.setInput(np.ascontiguousarray(pictures))
    result: np.ndarray = network.forward()
    return result


def read(folder: Path) -> list[str]:
    """Return what plain Keras gives on this backend."""
    import keras

    with np.load(folder / "numbers.npz") as numbers:
        pictures, expected = numbers["pictures"], numbers["expected"]
    verdicts = []
    for file in FILES:
        try:
            model = keras.saving.load_model(folder / file, compile=False)
            difference = f"{share(model.predict_on_batch(pictures), expected):.0e}"
        except Exception as error:
            difference = "no" if file == "model.h5" else in_one_line(error, 60)
        verdicts.append(difference)
    return verdicts


def share(result: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(np.asarray(result) - expected).max() / np.abs(expected).max())
