"""Files of tensors, .pth and .safetensors: read without running anything that is in them, and written whole.

A .pth is a zip archive with a checksum for each part, so flipped bits are noticed; one that torch wrote before 1.6 is
not, and a .safetensors has none but the one that we write into it: in those of others, a flipped bit shows only where a
number becomes impossible.
"""

import contextlib
import hashlib
import io
import json
import re
import tarfile
import warnings
import zipfile
from pathlib import Path

import numpy as np

from kerasnets.errors import BadInputError, shorten
from kerasnets.runtime.atomic import whole_file

SUFFIXES = (".pth", ".pt", ".safetensors")

# What is found in place of weights -> how it begins
MISTAKEN = {
    "a web page: download the file itself, not the page about it": (b"<!", b"<h", b"<H", b"<?"),
    "a pointer of Git LFS: fetch the file itself by git lfs pull": (b"version https://git-lfs",),
    "packed: unpack it before": (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf", b"Rar!"),
    "an HDF5 file, as Keras writes it: it is no file of PyTorch's": (b"\x89HDF",),
}
PICKLE = b"\x80"  # how a file of torch before 1.6 begins
CHECKSUM = "sha256"  # entry of ours in the metadata of a .safetensors

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


def read_tensors(path, in_order=False):
    """{name: tensor} in a .pth, .pt or .safetensors file, torch's tensors or NumPy's; or what else a checkpoint holds.

    in_order: whether the order of the tensors is to be leant on.
    Raises BadInputError for a file that is missing, damaged, or holds more than tensors; ImportError without torch.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise BadInputError(f"no file of PyTorch weights; those end in {', '.join(SUFFIXES)}")
    if in_order and path.suffix == ".safetensors":
        raise BadInputError("a .safetensors file keeps no order; use a .pth, or the module with an example input")
    if path.is_dir():
        raise BadInputError("a folder, not a file of weights; name the file in it")
    try:
        with path.open("rb") as file:
            beginning = file.read(32)
    except OSError as error:
        raise BadInputError(f"{error.strerror}; check name and folder") from error
    if not beginning:
        raise BadInputError("the file is empty; copy or download it again")
    for mistake, beginnings in MISTAKEN.items():
        if beginning.startswith(beginnings):
            raise BadInputError(f"the file is {mistake}")
    return read_safetensors(path) if path.suffix == ".safetensors" else read_pth(path, beginning)


def read_pth(path, beginning):
    if beginning.startswith(b"PK"):
        check_archive(path)
    elif tarfile.is_tarfile(path):
        raise BadInputError("the file is a tar archive; unpack it, or save the weights by torch.save again")
    elif not beginning.startswith(PICKLE):
        raise BadInputError("the file is nothing that torch.save wrote, or damaged; copy or download it again")
    torch = import_torch(f"a {path.suffix} file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of how old the file is
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever the damaged part led torch to
        code = re.search(r"(?:GLOBAL|Unsupported class|function) ([\w.]+)", str(error))
        if code:
            raise BadInputError(
                f"holds {code[1]}, which is code and was not run; where it was made, save model.state_dict() alone"
            ) from error
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise BadInputError(f"the file is damaged ({shorten(reason)}); copy or download it again") from error


def check_archive(path):
    """Refuse a zip archive that torch.save did not write so: torch itself does not look at the checksums."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            names = {entry.filename.rpartition("/")[2] for entry in entries}
            if "constants.pkl" in names:
                raise BadInputError("a TorchScript program; where it was made, save model.state_dict() alone")
            if "data.pkl" not in names:
                raise BadInputError("a zip archive, but not one of torch.save; name the file of weights itself")
            packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
            if packed or sum(entry.file_size for entry in entries) > path.stat().st_size:
                raise BadInputError("its parts are packed, as torch.save never does; save it again by torch.save")
            damaged = archive.testzip()
    except BadInputError:
        raise
    except Exception as error:  # BadZipFile, RuntimeError, NotImplementedError, OSError, ... by what is damaged
        raise BadInputError(f"the file is damaged or cut short ({error}); copy or download it again") from error
    if damaged:
        raise BadInputError(f"its part {damaged} fails its checksum; copy or download it again")


def read_safetensors(path):
    try:
        import safetensors
    except ImportError as error:
        raise ImportError("a .safetensors file needs a package: pip install safetensors") from error
    import ml_dtypes  # noqa: F401  names bfloat16 to NumPy

    try:
        content = path.read_bytes()
        entries = dict(safetensors.deserialize(content))
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        metadata = header.get("__metadata__", {})
    except Exception as error:  # SafetensorError, which is an Exception and no more
        raise BadInputError(f"the file is damaged ({shorten(str(error))}); copy or download it again") from error
    for name, entry in entries.items():
        if entry["dtype"] not in TYPES:
            raise BadInputError(
                f"{name} is {entry['dtype']} {tuple(entry['shape'])}; weights are F32, F16, BF16 or F64"
            )
    arrays = {
        name: np.frombuffer(entry["data"], TYPES[entry["dtype"]]).reshape(entry["shape"])
        for name, entry in entries.items()
    }
    if CHECKSUM in metadata and metadata[CHECKSUM] != checksum(arrays):
        raise BadInputError("the file is damaged: its numbers are not those that were saved; copy or make it again")
    return arrays


def write_tensors(arrays, path):
    """Write {name: array} to `path` (.pth, .pt or .safetensors), whole or not at all."""
    check_suffix(path)
    content = io.BytesIO()
    if Path(path).suffix == ".safetensors":
        try:
            import safetensors.numpy
        except ImportError as error:
            raise ImportError("a .safetensors file needs a package: pip install safetensors") from error
        content.write(safetensors.numpy.save(arrays, metadata={"format": "pt", CHECKSUM: checksum(arrays)}))
    else:
        torch = import_torch(f"a {Path(path).suffix} file")
        torch.save({name: torch.from_numpy(array) for name, array in arrays.items()}, content)
    with whole_file(path) as part:
        part.write_bytes(content.getbuffer())


def checksum(arrays):
    """SHA-256 of names and numbers, in the names' order."""
    sha = hashlib.sha256()
    for name in sorted(arrays):
        sha.update(name.encode())
        sha.update(np.ascontiguousarray(arrays[name]))
    return sha.hexdigest()


def check_suffix(path):
    if Path(path).suffix not in SUFFIXES:
        raise ValueError(f"{shorten(path)} is no name for PyTorch weights; it must end in {', '.join(SUFFIXES)}")


@contextlib.contextmanager
def blaming(path):
    """Let what is wrong with weights name the file that they came from."""
    try:
        yield
    except BadInputError as error:
        raise BadInputError(f"{shorten(path)}: {error}") from error


def import_torch(what):
    """torch, or an ImportError that says how `what`, which needs it, is to be had."""
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
