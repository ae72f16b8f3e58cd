"""Files of tensors, .pth and .safetensors: read without running code from them, and written whole.

A .pth file is a zip archive with a checksum for each part, so flipped bits are noticed. The .pth files of torch before
1.6 have no checksum, and a .safetensors file has only the one that we write into it: in another program's file, a
flipped bit is noticed only if a number becomes impossible.
"""

import contextlib
import io
import json
import re
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from kerasnets.errors import BadInputError, in_one_line, shorten
from kerasnets.runtime.atomic import whole_file
from kerasnets.runtime.digests import sha256
from kerasnets.runtime.silence import SILENCE
from kerasnets.saving.card import MISTAKEN

SUFFIXES = (".pth", ".pt", ".safetensors")

HDF5 = b"\x89HDF"  # how Keras' .h5 files begin
PICKLE = b"\x80"  # how the files of torch before 1.6 begin
CHECKSUM = "sha256"  # our entry in the metadata of a .safetensors
AGAIN = "copy or download it again"
STATE_DICT = "where it was made, save model.state_dict() alone"

# safetensors' names of types -> NumPy's
TYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",  # a type of ml_dtypes, which Keras brings
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}


def read_tensors(path: str | Path, in_order: bool = False) -> Any:
    """Return {name: tensor} of a .pth, .pt or .safetensors file, or another content of a checkpoint.

    The tensors of a .safetensors file are NumPy arrays.

    Args:
        path: The file.
        in_order: Whether the caller needs the order of the tensors.

    Raises:
        BadInputError: Without a path. The file is missing or damaged, or holds code.
        ImportError: torch is not installed, and the file needs it.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise BadInputError(f"no file of PyTorch weights; those end in {', '.join(SUFFIXES)}")
    if in_order and path.suffix == ".safetensors":
        remedy = "use a .pth, or the module with an example input"
        raise BadInputError("a .safetensors file keeps no order", remedy=remedy)
    if path.is_dir():
        raise BadInputError("a folder, not a file of weights", remedy="name the file in it")
    try:
        with path.open("rb") as file:
            beginning = file.read(32)
    except OSError as error:
        raise BadInputError(f"{error.strerror}", remedy="check name and folder") from error
    if not beginning:
        raise BadInputError("the file is empty", remedy=AGAIN)
    if beginning.startswith(HDF5):
        raise BadInputError("the file is an HDF5 file, as Keras writes it", remedy="name a file of PyTorch's")
    for (mistake, remedy), beginnings in MISTAKEN.items():
        if beginning.startswith(beginnings):
            raise BadInputError(f"the file is {mistake}", remedy=remedy)
    return read_safetensors(path) if path.suffix == ".safetensors" else read_pth(path, beginning)


def read_pth(path: Path, beginning: bytes) -> Any:
    if beginning.startswith(b"PK"):
        check_archive(path)
    elif tarfile.is_tarfile(path):
        raise BadInputError("the file is a tar archive", remedy="unpack it, or save the weights by torch.save again")
    elif not beginning.startswith(PICKLE):
        raise BadInputError("the file is nothing that torch.save wrote, or damaged", remedy=AGAIN)
    torch = import_torch(f"a {path.suffix} file")
    try:
        with SILENCE:  # torch warns of old files
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many classes on damaged files
        code = re.search(r"(?:GLOBAL|Unsupported class|function) ([\w.]+)", str(error))
        if code:
            raise BadInputError(f"holds {code[1]}, which is code and was not run", remedy=STATE_DICT) from error
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise BadInputError(f"the file is damaged ({shorten(reason)})", remedy=AGAIN) from error


def check_archive(path: Path) -> None:
    """Raise BadInputError for a zip archive that torch.save did not write; torch itself ignores the checksums."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            names = {entry.filename.rpartition("/")[2] for entry in entries}
            if "constants.pkl" in names:
                raise BadInputError("a TorchScript program", remedy=STATE_DICT)
            if "data.pkl" not in names:
                raise BadInputError(
                    "a zip archive, but not one of torch.save", remedy="name the file of weights itself"
                )
            packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
            if packed or sum(entry.file_size for entry in entries) > path.stat().st_size:
                raise BadInputError(
                    "its parts are packed, as torch.save never does", remedy="save it again by torch.save"
                )
            damaged = archive.testzip()
    except BadInputError:
        raise
    except Exception as error:  # BadZipFile, RuntimeError, NotImplementedError, OSError, ...
        raise BadInputError(f"the file is damaged or cut short ({in_one_line(error)})", remedy=AGAIN) from error
    if damaged:
        raise BadInputError(f"its part {damaged} fails its checksum", remedy=AGAIN)


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    try:
        import safetensors
    except ImportError as error:
        raise ImportError("a .safetensors file needs a package: pip install safetensors") from error
    import ml_dtypes  # noqa: F401  gives NumPy the dtype bfloat16

    try:
        content = path.read_bytes()
        entries: dict[str, Any] = dict(safetensors.deserialize(content))  # type: ignore[no-untyped-call, unused-ignore]
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        metadata = header.get("__metadata__", {})
    except Exception as error:  # SafetensorError has no other base
        raise BadInputError(f"the file is damaged ({shorten(error)})", remedy=AGAIN) from error
    for name, entry in entries.items():
        if entry["dtype"] not in TYPES:
            problem = f"{name} is {entry['dtype']} {tuple(entry['shape'])}; weights are F32, F16, BF16 or F64"
            raise BadInputError(problem)
    arrays = {
        name: np.frombuffer(entry["data"], TYPES[entry["dtype"]]).reshape(entry["shape"])
        for name, entry in entries.items()
    }
    if CHECKSUM in metadata and metadata[CHECKSUM] != checksum(arrays):
        problem = "the file is damaged: its numbers are not those that were saved"
        raise BadInputError(problem, remedy="copy or make it again")
    return arrays


def write_tensors(arrays: Mapping[str, np.ndarray], path: str | Path) -> None:
    """Write {name: array} to `path` (.pth, .pt or .safetensors), whole or not at all."""
    check_suffix(path)
    content = io.BytesIO()
    if Path(path).suffix == ".safetensors":
        try:
            import safetensors.numpy
        except ImportError as error:
            raise ImportError("a .safetensors file needs a package: pip install safetensors") from error
        content.write(safetensors.numpy.save(dict(arrays), metadata={"format": "pt", CHECKSUM: checksum(arrays)}))
    else:
        torch = import_torch(f"a {Path(path).suffix} file")
        torch.save({name: torch.from_numpy(array) for name, array in arrays.items()}, content)
    with whole_file(path) as part:
        part.write_bytes(content.getbuffer())


def checksum(arrays: Mapping[str, np.ndarray]) -> str:
    """Return the SHA-256 of names and numbers, in the order of the names."""
    parts: list[str | np.ndarray] = []
    for name in sorted(arrays):
        parts += [name, np.ascontiguousarray(arrays[name]).reshape(-1).view("uint8")]  # bfloat16 has no other buffer
    return sha256(*parts)


def check_suffix(path: str | Path) -> None:
    """Raise ValueError if `path` does not end as a file of PyTorch weights."""
    if Path(path).suffix not in SUFFIXES:
        raise ValueError(f"{shorten(path)} is no name for PyTorch weights; it must end in {', '.join(SUFFIXES)}")


@contextlib.contextmanager
def in_file(path: str | Path) -> Iterator[None]:
    """Begin the message of a BadInputError with the file that the weights are in."""
    try:
        yield
    except BadInputError as error:
        if error.path is None:
            error.problem, error.path = f"{{path}}: {error.problem}", path
        raise


def import_torch(what: str) -> ModuleType:
    """Return torch, or raise an ImportError with a remedy for `what`, which needs it."""
    try:
        import torch
    except ImportError as error:
        if "kept out" not in str(error):
            raise ImportError(f"{what} needs PyTorch: pip install torch torchvision") from error
        raise ImportError(
            f"{what} needs PyTorch, which a script loads under KERAS_BACKEND=torch alone; set that (the model file is "
            "the same for every backend), or use .safetensors"
        ) from error
    return torch
