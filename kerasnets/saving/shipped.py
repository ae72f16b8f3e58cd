"""The trained models that come with kerasnets, by name: "mnist_cnn-mnist" stands for its file."""

from collections.abc import Sequence
from pathlib import Path

from kerasnets.errors import UnknownNameError, nearest_first

PACKAGE = Path(__file__).resolve().parents[1]
INSTALLED = PACKAGE / "pretrained"  # pyproject.toml puts the files there in a wheel
CHECKED_OUT = PACKAGE.parent / "models_saved/pretrained"
PHOTO = "three-on-paper.jpg"  # a digit; it ships too
SUFFIXES = (".onnx", ".keras")  # in the order of preference: ONNX runs without a framework
KERAS = (".keras",)


def folder() -> Path:
    """Return the folder of the shipped models: inside an installed package, or in a checkout."""
    return INSTALLED if INSTALLED.is_dir() else CHECKED_OUT


def photo() -> Path:
    """Return the picture of a handwritten 3, drawn to look like a photo, for a first try and for benchmarks."""
    installed = INSTALLED / PHOTO
    return installed if installed.is_file() else PACKAGE.parent / "docs/samples" / PHOTO


def names() -> list[str]:
    return sorted(path.stem for path in folder().glob("*.keras"))


def files_of(name: str) -> list[Path]:
    """Return the files of one shipped model, each in another format."""
    return sorted(path for path in folder().glob(f"{name}.*") if path.suffix in (".keras", ".h5", ".onnx"))


def path_of(model: str | Path, suffixes: Sequence[str] = SUFFIXES) -> str | Path:
    """Return the path of a model file.

    Args:
        model: A path, which is returned as it is; or the name of a shipped model, unless a file or folder of that
            name is in the working directory.
        suffixes: Forms of file that the caller can read, the preferred one first.

    Raises:
        UnknownNameError: `model` is a bare name, and neither a file nor a shipped model has it.

    Example:
        >>> [Path(path_of("mnist_cnn-mnist", suffixes)).name for suffixes in (SUFFIXES, KERAS)]
        ['mnist_cnn-mnist.onnx', 'mnist_cnn-mnist.keras']
    """
    path = Path(model)
    if path.suffix or path.name != str(model) or path.exists():
        return model
    files = [folder() / f"{model}{suffix}" for suffix in suffixes]
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        remedy = f"choose one of: {nearest_first(model, names(), 80)}, or name a file"
        raise UnknownNameError(f"unknown model {str(model)!r:.60}", remedy=remedy)
    return file


def is_name(model: str) -> bool:
    """Whether `model` is the name of a shipped model, and no file or folder in the working directory has it."""
    return model in names() and not Path(model).exists()
