"""What .keras and .h5 files hold, judged before Keras sees them and without it: no code, no more than they say.

A .keras is a zip archive of a config in JSON and weights in HDF5, with a checksum for each; an .h5 is HDF5 alone, with
none but the one that we write behind it (`seal`), where HDF5 does not look. What Keras refuses by itself is refused
here too, since it tells of it in many lines, and its safe mode lets some classes through that read other files.
"""

import contextlib
import hashlib
import io
import json
import math
from dataclasses import dataclass
from pathlib import Path

from kerasnets.errors import BadInputError, in_one_line

CARD = "kerasnets.json"  # the zip entry, or the HDF5 attribute
CONFIG, WEIGHTS, METADATA = "config.json", "model.weights.h5", "metadata.json"  # Keras' entries
SEAL = b"\nkerasnets sha256 "  # behind an .h5: then 64 hexadecimal digits

MOST_CONFIG = 2**24  # bytes of JSON; DenseNet-201's has 700,000
MOST_LAYERS = 4_000  # DenseNet-201 has 709
MOST_PARTS = 50_000  # groups and arrays in HDF5, two or three for each array of weights
DEEPEST = 60  # groups in groups, lists in lists
MOST_INPUT = 150_000_000  # numbers: 50 million pixels in colour
UNPACKED = 4  # times the size of the file, beside 64 MiB: Keras packs nothing, and others gain little on weights
SPARE = 2**26  # bytes
TEXTS, THREAD = 2**28, 2**25  # bytes for all texts of an .h5, and for each thread that NumPy may keep waiting

# Where classes of a config may be from: Keras' own layers and what these are made of.
MODULES = (
    "builtins",
    "keras",
    "keras.activations",
    "keras.constraints",
    "keras.dtype_policies",
    "keras.initializers",
    "keras.layers",
    "keras.losses",
    "keras.metrics",
    "keras.models",
    "keras.ops",
    "keras.optimizers",
    "keras.random",
    "keras.regularizers",
    "keras.src.models.functional",
    "keras.src.models.sequential",
    "keras.src.ops.core",
    "keras.src.ops.image",
    "keras.src.ops.linalg",
    "keras.src.ops.math",
    "keras.src.ops.nn",
    "keras.src.ops.numpy",
)
# Of those the ones that run what is in the file, or read other files
CODE = {
    "__lambda__",
    "__typespec__",
    "FeatureSpace",
    "FlaxLayer",
    "IntegerLookup",
    "JaxLayer",
    "Lambda",
    "StringLookup",
    "TFSMLayer",
    "TextVectorization",
    "TorchModuleWrapper",
}


@dataclass(frozen=True)
class Content:
    """What a model file holds. card: its text, or None in another program's file."""

    card: str | None
    name: str  # of the network
    input_shape: tuple[int, ...]  # (height, width, channels) or (columns,); () where the file leaves one open
    numbers: int  # of all weights


def read(path):
    """Return the Content of a .keras or .h5 file.

    Raises BadInputError, whose words leave out the file's name, for one that is damaged, or holds code, links to other
    files, arrays that are no numbers, or more than its size explains.
    """
    try:
        with (keras_parts if Path(path).suffix == ".keras" else h5_parts)(Path(path)) as (card, config, weights):
            numbers = count(weights, UNPACKED * Path(path).stat().st_size + SPARE)
            config = checked_config(config)
            return Content(card, str(config.get("name", "")), input_shape(config), numbers)
    except (BadInputError, MemoryError):
        raise
    except Exception as error:  # whatever the damaged part led zipfile, HDF5 or json to
        raise damaged(error) from error


def damaged(reason):
    return BadInputError(f"is damaged or not a model file ({in_one_line(reason)}); train or copy it again")


@contextlib.contextmanager
def keras_parts(path):
    """(card, config, weights as an open HDF5 file) of a .keras, when the checksums of all its parts are right."""
    import zipfile

    import h5py

    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        names = [entry.filename for entry in entries]
        if not {CONFIG, WEIGHTS} <= set(names):
            raise BadInputError("is a zip archive without a Keras model in it; name the model's own file")
        strange = set(names) - {CARD, CONFIG, WEIGHTS, METADATA}
        if strange or len(names) > len(set(names)):
            what = repr(min(strange))[:40] if strange else "two parts of one name"
            raise BadInputError(f"holds {what}, which Keras does not write for such a model; train or copy it again")
        if sum(entry.file_size for entry in entries) > UNPACKED * path.stat().st_size + SPARE:
            raise BadInputError("unpacks to far more than its size, as no model does; train or copy it again")
        if any(entry.file_size > MOST_CONFIG for entry in entries if entry.filename != WEIGHTS):
            raise BadInputError(f"has a config of more than {MOST_CONFIG:,} bytes, unlike any model; train it again")
        broken = archive.testzip()
        if broken:
            raise zipfile.BadZipFile(f"its part {broken} fails its checksum")
        card = archive.read(CARD).decode() if CARD in names else None
        with opened_weights(archive, path) as weights, h5py.File(weights, "r") as file:
            yield card, archive.read(CONFIG), file


@contextlib.contextmanager
def opened_weights(archive, path):
    """The HDF5 file in a .keras, open; it is read where it lies, unless it is packed."""
    import zipfile

    entry = archive.getinfo(WEIGHTS)
    if entry.compress_type != zipfile.ZIP_STORED:
        yield io.BytesIO(archive.read(WEIGHTS))
        return
    with path.open("rb") as file:
        file.seek(entry.header_offset + 26)  # of the local header of 30 bytes, by APPNOTE.TXT of the zip format
        name, extra = (int.from_bytes(file.read(2), "little") for _ in range(2))
        yield io.BufferedReader(Window(file, entry.header_offset + 30 + name + extra, entry.file_size))


class Window(io.RawIOBase):
    """`size` bytes of a file from `start` on, as a file."""

    def __init__(self, file, start, size):
        self.file, self.start, self.size, self.place = file, start, size, 0

    def readable(self):
        return True

    def seekable(self):
        return True

    def tell(self):
        return self.place

    def seek(self, place, whence=io.SEEK_SET):
        self.place = place + {io.SEEK_SET: 0, io.SEEK_CUR: self.place, io.SEEK_END: self.size}[whence]
        return self.place

    def readinto(self, buffer):
        self.file.seek(self.start + self.place)
        found = self.file.read(max(0, min(len(buffer), self.size - self.place)))
        buffer[: len(found)] = found
        self.place += len(found)
        return len(found)


@contextlib.contextmanager
def h5_parts(path):
    """The same of an .h5."""
    import h5py

    if not is_sealed(path):
        check_texts(path)
    with h5py.File(path, "r") as file:
        if "model_config" not in file.attrs or "model_weights" not in file:
            raise BadInputError("is an HDF5 file without a Keras model in it; save the whole model, not its weights")
        check_attributes(file)
        yield file.attrs.get(CARD), file.attrs["model_config"], file


def seal(path):
    """Write the checksum of an .h5 behind it, where HDF5 does not look."""
    with open(path, "rb") as file:
        checksum = hashlib.file_digest(file, "sha256").hexdigest()
    with open(path, "ab") as file:
        file.write(SEAL + checksum.encode())


def is_sealed(path):
    """Whether an .h5 has a checksum; older ones, and those of others, have none. BadInputError where it differs."""
    size = path.stat().st_size - len(SEAL) - 64
    with path.open("rb") as file:
        file.seek(max(0, size))
        if file.read(len(SEAL)) != SEAL:
            return False
        wanted = file.read()
        file.seek(0)
        sha = hashlib.sha256()
        for start in range(0, size, 2**20):
            sha.update(file.read(min(2**20, size - start)))
    if sha.hexdigest().encode() != wanted:
        raise BadInputError("is damaged: it is not what was saved; train or copy it again")
    return True


def check_texts(path):
    """Let a process of limited memory read the texts in an .h5: HDF5 makes room for as long a one as is declared."""
    import subprocess
    import sys

    from kerasnets.runtime.backends import environment

    command = [sys.executable, "-c", "from kerasnets.keras_files import read_texts; read_texts()", str(path)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, errors="replace")
    if done.returncode:
        raise damaged(done.stderr.strip().rpartition("\n")[2] or "HDF5 fails on it")


def read_texts():
    """Read every attribute of the .h5 that the command line names, within TEXTS bytes of memory, where that can be."""
    import os
    import sys

    import h5py

    with contextlib.suppress(ImportError):  # Windows
        import resource

        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 + TEXTS + THREAD * os.cpu_count()
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    with h5py.File(sys.argv[1], "r") as file:
        parts = []
        file.visititems(lambda name, part: parts.append(part))
        for part in [file, *parts]:
            dict(part.attrs)


# ---- weights ----


def count(file, most):
    """How many numbers the arrays of an HDF5 file hold; BadInputError for links and for more than `most` bytes."""
    import h5py

    waiting, seen, numbers, size = [(file, 0)], set(), 0, 0
    check_attributes(file)
    while waiting:
        group, depth = waiting.pop()
        if len(group) + len(seen) > MOST_PARTS or depth > DEEPEST:
            raise BadInputError("has more parts, or deeper ones, than any model; train or copy it again")
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise BadInputError(f"has a link in place of {name!r:.40}; save the model with its weights inside")
            part = group[name]
            address = h5py.h5o.get_info(part.id).addr
            if address in seen:
                raise BadInputError(f"has {name!r:.40} in it twice; train or copy it again")
            seen.add(address)
            check_attributes(part)
            if isinstance(part, h5py.Group):
                waiting.append((part, depth + 1))
                continue
            check_array(part, name)
            numbers += part.size
            size += part.nbytes
            if size > most:
                raise BadInputError("unpacks to far more than its size, as no model does; train or copy it again")
    return numbers


def check_attributes(part):
    """Refuse what h5py would make room for, as large as it is declared, before it finds that nothing is there."""
    for name in part.attrs:
        attribute = part.attrs.get_id(name)
        count = math.prod(attribute.shape or ())
        if count > MOST_PARTS or count * attribute.dtype.itemsize > MOST_CONFIG:
            raise BadInputError(f"has an attribute {name!r:.40} larger than in any model; train or copy it again")


def check_array(array, name):
    import h5py

    if not isinstance(array, h5py.Dataset) or array.external or array.is_virtual:
        raise BadInputError(f"has {name!r:.40} in another file; save the model with its weights inside")
    if array.dtype.kind not in "fiub" or array.shape is None:
        raise BadInputError(f"has {name!r:.40}, which is no array of numbers; train or copy it again")


# ---- config ----


def checked_config(text):
    """The settings of a model, from JSON; BadInputError where they name code, or sizes without sense."""
    config = json.loads(text)
    if not isinstance(config, dict) or not isinstance(config.get("config"), dict):
        raise damaged("its config is none of a model")
    if config.get("class_name") not in ("Functional", "Sequential", "Model"):
        raise BadInputError(
            f"is of the class {config.get('class_name')!r:.40}, whose code is not in it; make it of Keras' layers alone"
        )
    waiting, classes = [(config | {"compile_config": None}, 0)], 0  # how it was trained is not loaded
    while waiting:
        part, depth = waiting.pop()
        if depth > DEEPEST:
            raise BadInputError(f"has a config nested more than {DEEPEST} deep; train or copy it again")
        if isinstance(part, dict):
            classes += part.get("class_name") not in (None, "__keras_tensor__", "DTypePolicy")
            check_class(part)
            waiting += [(value, depth + 1) for value in part.values()]
        elif isinstance(part, list):
            waiting += [(value, depth + 1) for value in part]
    if classes > 8 * MOST_LAYERS:  # a layer with its initializers, regularizers, constraints
        raise BadInputError(f"has more than {MOST_LAYERS:,} layers; make it of fewer")
    return config["config"]


def check_class(part):
    """Refuse code, and names that Keras would look for outside of itself, in what may be the config of an object."""
    if "class_name" not in part:
        return
    name, module = part["class_name"], part.get("module")
    if name in CODE or part.get("function_type") == "lambda":
        raise BadInputError(
            f"holds {name}, which is code or reads other files, and was not run; make it of other layers"
        )
    if isinstance(module, str) and module not in MODULES and not is_registered(part):
        raise BadInputError(
            f"asks for {name!r:.40} of {module!r:.40}, code that is not in it and was not run; make it of Keras' layers"
        )


def input_shape(config):
    """(height, width, channels) or (columns,) of the first input layer; () where it leaves one open."""
    inputs = [layer["config"] for layer in config.get("layers", ()) if layer["class_name"] == "InputLayer"]
    shape = (inputs[0].get("batch_shape") or inputs[0].get("batch_input_shape"))[1:] if inputs else [None]
    if math.prod(size or 1 for size in shape) > MOST_INPUT:
        raise BadInputError(f"takes pictures of {shape!s:.40}, more than any picture has; make it for smaller ones")
    return () if None in shape else tuple(shape)


def is_registered(part):
    """Whether the program that we are in has told Keras of the class."""
    import sys

    return "keras" in sys.modules and part.get("registered_name") in sys.modules["keras"].saving.get_custom_objects()
