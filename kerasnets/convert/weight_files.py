"""Files of tensors, .pth and .safetensors: read without running code from them, and written whole.

The content of a file tells what it is, not its name, which may be last.ckpt or model_best.pth.tar. A .pth file is a zip
archive with a checksum for each part, so flipped bits are noticed. The .pth files of torch before 1.6 have no checksum,
and a .safetensors file has only the one that we write into it: in another program's file, a flipped bit is noticed only
if a number becomes impossible.
"""

import contextlib
import io
import itertools
import json
import math
import pickletools
import sys
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from kerasnets.convert import pickled
from kerasnets.convert.pickle_parts import Call, is_saved_module
from kerasnets.errors import BadInputError, in_one_line, shorten
from kerasnets.runtime.archive import Archive
from kerasnets.runtime.atomic import whole_file
from kerasnets.runtime.digests import sha256
from kerasnets.runtime.silence import SILENCE
from kerasnets.saving.card import MISTAKEN

SUFFIXES = (".pth", ".pt", ".safetensors")

HDF5 = b"\x89HDF"  # how Keras' .h5 files begin
PICKLE = (b"\x80", b"(")  # how pickles begin, also the files of torch before 1.6; that of protocol 0 by a bracket
MOST_TENSORS = 10_000  # in a file; DenseNet-201 has 1,207
MOST_NAMES = 2**21  # bytes of names, shapes and types; DenseNet-201 has 130,000
MOST_OPERATIONS = 500_000  # in a .pth of torch before 1.6
MOST_AXES, MOST_SIZE = 32, 2**48  # of a tensor
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
    """Return the content of a file of PyTorch's, whatever its name: a state_dict, or a checkpoint that holds one.

    Tensors are NumPy arrays. No code in the file is run: of other objects, only their names are read.

    Args:
        path: What torch.save wrote (.pth, .pt, .ckpt, .pth.tar, .bin, ...), a .safetensors file, or a pickle of arrays.
        in_order: Whether the caller needs the order of the tensors.

    Raises:
        BadInputError: Without a path. The file is missing or damaged, or holds no plain weights.
    """
    path = Path(path)
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
    if path.suffix.lower() != ".safetensors" and beginning[8:9] != b"{":
        return read_pth(path, beginning)
    if in_order:
        remedy = "use a .pth, or the module with an example input"
        raise BadInputError("a .safetensors file keeps no order", remedy=remedy)
    return read_safetensors(path)


def read_pth(path: Path, beginning: bytes) -> Any:
    is_zip = beginning.startswith(b"PK")
    if is_zip:
        check_archive(path)
    elif tarfile.is_tarfile(path):
        raise BadInputError("the file is a tar archive", remedy="unpack it, or save the weights by torch.save again")
    elif not beginning.startswith(PICKLE):
        raise BadInputError("the file is nothing that torch.save wrote, or damaged", remedy=AGAIN)
    else:
        check_pickles(path)
    try:
        content = pickled.read_zip(path, MOST_TENSORS + 100) if is_zip else pickled.read_old(path.read_bytes())
    except Exception as error:  # pickle raises many classes on damaged files
        reason = in_one_line(error) or type(error).__name__
        raise BadInputError(f"the file is damaged ({shorten(reason)})", remedy=AGAIN) from error
    if isinstance(content, Call) and not is_saved_module(content):
        raise BadInputError(f"holds {shorten(content.name)}, which is code and was not run", remedy=STATE_DICT)
    return content


def check_archive(path: Path) -> None:
    """Raise BadInputError for a zip archive that torch.save did not write; torch itself ignores the checksums."""
    try:
        with Archive(path, sys.maxsize, MOST_TENSORS + 100) as archive:  # what is packed is refused before it is read
            names = {name.rpartition("/")[2]: name for name in archive.names}
            if "constants.pkl" in names:
                raise BadInputError("a TorchScript program", remedy=STATE_DICT)
            if "data.pkl" not in names:
                kind = (
                    "a .keras file of Keras'"
                    if "model.weights.h5" in names
                    else "a zip archive, but not one of torch.save"
                )
                raise BadInputError(kind, remedy="name the file of PyTorch weights itself")
            if any(map(archive.is_packed, archive.names)):
                raise BadInputError(
                    "its parts are packed, as torch.save never does", remedy="save it again by torch.save"
                )
            if archive.size(names["data.pkl"]) > MOST_NAMES:
                raise BadInputError("it has more names and objects than any network", remedy=STATE_DICT)
            archive.check()
    except BadInputError:
        raise
    except zipfile.BadZipFile as error:
        raise BadInputError(f"the file is damaged or cut short ({in_one_line(error)})", remedy=AGAIN) from error


def check_pickles(path: Path) -> None:
    """Raise BadInputError if a file of torch before 1.6, which is five pickles and then numbers, has too many objects.

    Nothing is unpickled: only the operations are counted, each of which takes torch about a microsecond.
    """
    count = 0
    with path.open("rb") as file, contextlib.suppress(ValueError, EOFError), SILENCE:  # torch words other damage
        for _ in itertools.chain.from_iterable(pickletools.genops(file) for _ in range(5)):
            count += 1
            if count > MOST_OPERATIONS:
                break
    if count > MOST_OPERATIONS:
        raise BadInputError("it has more names and objects than any network", remedy=STATE_DICT)


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    import ml_dtypes  # noqa: F401  gives NumPy the dtype bfloat16

    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > min(MOST_NAMES, size - 8):
                raise ValueError(f"a header of {length:,} bytes")
            header = json.loads(file.read(length))
            content = file.read()
        metadata = header.pop("__metadata__", None) or {}
        if len(header) > MOST_TENSORS:
            raise ValueError(f"{len(header):,} tensors")
        arrays = arrays_in(header, content)
        expected = metadata.get(CHECKSUM)
    except BadInputError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BadInputError(f"the file is damaged ({in_one_line(error)})", remedy=AGAIN) from error
    if expected is not None and expected != checksum(arrays):
        problem = "the file is damaged: its numbers are not those that were saved"
        raise BadInputError(problem, remedy="copy or make it again")
    return arrays


def arrays_in(header: Mapping[str, Any], content: bytes) -> dict[str, np.ndarray]:
    """Return {name: array} of a .safetensors, whose tensors fill its content without gaps and in any order.

    Raises:
        BadInputError: A tensor is of a type that no weights have.
        ValueError: The header contradicts itself or the content.
    """
    arrays = {}
    place = 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        shape, (start, end) = entry["shape"], entry["data_offsets"]
        if entry["dtype"] not in TYPES:
            problem = (
                f"{shorten(name)} is {entry['dtype']!s:.20} {tuple(shape)!s:.40}; weights are F32, F16, BF16 or F64"
            )
            raise BadInputError(problem)
        whole = all(type(number) is int and 0 <= number <= MOST_SIZE for number in (*shape, start, end))
        if not whole or len(shape) > MOST_AXES:
            raise ValueError(f"{name!r:.60} has the shape {shape!s:.60}")
        dtype = np.dtype(TYPES[entry["dtype"]])
        if start != place or end - start != math.prod(shape) * dtype.itemsize or end > len(content):
            raise ValueError(f"{name!r:.60} is not of the size that it declares")
        place = end
        arrays[name] = np.ndarray(shape, dtype, content, start)
    if place != len(content):
        raise ValueError("there are bytes of no tensor")
    return {name: arrays[name] for name in header}


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
