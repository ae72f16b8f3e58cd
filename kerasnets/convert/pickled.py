"""What torch.save, and pickle itself, wrote, read without running code: every name in the file stays a name.

Python's own unpickler imports what a file names and calls it. This one makes a `Call` of each such name instead, and
reads tensors, arrays and scalars from the few that it knows. All else in a checkpoint stays an inert Call.
"""

import functools
import io
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, ClassVar, Literal

import ml_dtypes  # noqa: F401  gives NumPy the dtype bfloat16
import numpy as np

from kerasnets.convert.pickle_numbers import CALLS
from kerasnets.convert.pickle_parts import Call, Name, Refusal
from kerasnets.runtime.archive import Archive

GETATTR = ("builtins.getattr", "__builtin__.getattr")
MAGIC = 0x1950A86A20F9469CFC6C  # the first pickle of a file of torch before 1.6

# torch's classes of storages -> NumPy's dtypes
STORAGES = {
    "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16", "BFloat16Storage": "bfloat16",
    "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8",
    "ByteStorage": "uint8", "BoolStorage": "bool", "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128", "UntypedStorage": "uint8",
}  # fmt: skip
CONTAINERS = ("collections.OrderedDict", "collections.defaultdict", "builtins.dict", "torch.nn.modules.container.dict")


class Reader(pickle._Unpickler):
    """Reads one pickle into plain containers, arrays and Calls.

    Args:
        file: The pickle.
        storage: Called with a storage's key, dtype and number of elements; returns its numbers.
    """

    stack: list[Any]
    append: Callable[[Any], None]
    readline: Callable[[], bytes]
    pop_mark: Callable[[], list[Any]]
    dispatch: ClassVar[dict[int, Any]] = dict(pickle._Unpickler.dispatch)

    def __init__(self, file: IO[bytes], storage: Callable[..., np.ndarray]) -> None:
        super().__init__(file, encoding="latin1")  # as Python 2's strings are read by torch
        self.storage = storage

    def find_class(self, module: str, name: str) -> Name:
        return Name(f"{module.replace('numpy._core', 'numpy.core')}.{name}")

    def persistent_load(self, key: Any) -> Any:
        if not isinstance(key, tuple) or len(key) < 2 or not isinstance(key[1], Name):
            raise Refusal("a reference to nothing in the file")
        if key[0] == "module":  # of torch before 1.6: a class with its source text
            return key[1]
        if len(key) < 5:
            raise Refusal("a storage without a name or size")
        kind, name, count = key[1].text.rpartition(".")[2], key[2], key[4]
        if not isinstance(name, str) or type(count) is not int or kind not in STORAGES:
            raise Refusal(f"a storage of {kind!r:.40}")
        whole = self.storage(name, np.dtype(STORAGES[kind]), count)
        view = key[5] if len(key) > 5 else None  # of torch before 0.4: a part of another storage
        return whole if view is None else whole[view[1] : view[1] + view[2]]

    def load_reduce(self) -> None:
        args, called = self.stack.pop(), self.stack[-1]
        self.stack[-1] = self.call(called, args)

    def load_newobj(self) -> None:
        args, called = self.stack.pop(), self.stack.pop()
        self.append(self.call(called, args))

    def load_newobj_ex(self) -> None:
        self.stack.pop()
        self.load_newobj()

    def load_obj(self) -> None:
        called, *args = self.pop_mark()
        self.append(self.call(called, tuple(args)))

    def load_inst(self) -> None:
        module, name = (self.readline()[:-1].decode("ascii") for _ in range(2))
        self.append(self.call(self.find_class(module, name), tuple(self.pop_mark())))

    def call(self, called: Any, args: Any) -> Any:
        if isinstance(called, Call):  # the result of a call that was not made
            return Call(f"{called.name}()", (called, args))
        if not isinstance(called, Name) or not isinstance(args, tuple):
            raise Refusal("something is called that is no name")
        if called.text in GETATTR and len(args) == 2 and isinstance(args[0], Name):
            return Name(f"{args[0].text}.{args[1]!s:.40}")  # how a method is pickled
        if called.text in CONTAINERS:
            return dict_of(args)
        if called.text == "torch.storage._load_from_bytes":
            return stored(*args)
        make = CALLS.get(called.text)
        return make(*args) if make else Call(called.text, args)

    def load_build(self) -> None:
        state, built = self.stack.pop(), self.stack[-1]
        if not isinstance(built, Call):
            return  # the attributes of a dict, as an old state_dict's _metadata
        built.state = state

    def load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        put(self.stack[-1], [key, value])

    def load_setitems(self) -> None:
        items = self.pop_mark()
        put(self.stack[-1], items)

    def load_dict(self) -> None:
        made: dict[Any, Any] = {}
        put(made, self.pop_mark())
        self.append(made)

    def load_frozenset(self) -> None:
        self.append(Call("builtins.frozenset", tuple(self.pop_mark())))

    def load_empty_set(self) -> None:
        self.append(Call("builtins.set"))

    def load_additems(self) -> None:
        self.pop_mark()

    def load_get_extension(self, code: int = 0) -> None:
        raise Refusal("a name of the extension registry")

    for _opcode, _load in (
        (pickle.REDUCE, load_reduce), (pickle.NEWOBJ, load_newobj), (pickle.NEWOBJ_EX, load_newobj_ex),
        (pickle.OBJ, load_obj), (pickle.INST, load_inst), (pickle.BUILD, load_build), (pickle.SETITEM, load_setitem),
        (pickle.SETITEMS, load_setitems), (pickle.DICT, load_dict), (pickle.FROZENSET, load_frozenset),
        (pickle.EMPTY_SET, load_empty_set), (pickle.ADDITEMS, load_additems), (pickle.EXT1, load_get_extension),
        (pickle.EXT2, load_get_extension), (pickle.EXT4, load_get_extension),
    ):  # fmt: skip
        dispatch[_opcode[0]] = _load


def put(target: Any, items: list[Any]) -> None:
    """Put [key, value, key, value, ...] into a dict or Call; a nested tuple for a key could take for ever to hash."""
    if not isinstance(target, (dict, Call)) or len(items) % 2:
        raise Refusal("items are put into something that takes none")
    for key, value in zip(items[::2], items[1::2], strict=True):
        parts = key if isinstance(key, tuple) else (key,)
        if any(isinstance(part, (tuple, list, dict, np.ndarray)) for part in parts):
            raise Refusal("a key that is no text or number")
        target[key] = value


def dict_of(args: tuple[Any, ...]) -> dict[Any, Any]:
    """Return the dict of a call of dict, OrderedDict or defaultdict."""
    made: dict[Any, Any] = {}
    for arg in args:
        if isinstance(arg, dict):
            put(made, [part for pair in arg.items() for part in pair])
        elif isinstance(arg, list):  # Python 2's [[key, value], ...]
            put(made, [part for pair in arg for part in pair])
    return made


# ---- files -----------------------------------------------------------------------------------------------------------


def read_zip(path: str | Path, most: int) -> Any:
    """Return the content of a zip archive that torch.save wrote, of at most `most` parts."""
    with Archive(path, sys.maxsize, most) as archive:
        folder = next(name for name in archive.names if name.endswith("data.pkl")).removesuffix("data.pkl")
        return read_parts(archive, folder)


def read_parts(archive: Archive, folder: str) -> Any:
    has_order = f"{folder}byteorder" in archive.entries
    order: Literal["<", ">"] = ">" if has_order and archive.read(f"{folder}byteorder") == b"big" else "<"

    def storage(key: str, dtype: np.dtype[Any], count: int) -> np.ndarray:
        if f"{folder}data/{key}" not in archive.entries:
            raise Refusal(f"the numbers {key!r:.20} are not in it")
        return numbers_of(archive.read(f"{folder}data/{key}"), dtype.newbyteorder(order), count)

    return Reader(io.BytesIO(archive.read(f"{folder}data.pkl")), functools.cache(storage)).load()


def read_old(content: bytes) -> Any:
    """Return the content of a file of torch before 1.6, five pickles and then numbers; or of a plain pickle."""
    file = io.BytesIO(content)
    first = Reader(file, no_storage).load()
    if first != MAGIC:
        return first
    for _ in range(2):  # the protocol, and facts of the machine
        Reader(file, no_storage).load()
    storages: dict[str, np.ndarray] = {}

    def storage(key: str, dtype: np.dtype[Any], count: int) -> np.ndarray:
        if not 0 <= count * dtype.itemsize <= len(content):
            raise Refusal("a tensor is larger than the file")
        if storages.setdefault(key, np.zeros(count, dtype)).dtype != dtype or len(storages[key]) != count:
            raise Refusal(f"the numbers {key!r:.20} have two types")
        if sum(array.nbytes for array in storages.values()) > len(content):
            raise Refusal("its tensors are larger than the file")
        return storages[key]

    made = Reader(file, storage).load()
    keys = Reader(file, no_storage).load()
    if not isinstance(keys, list) or set(keys) != set(storages):
        raise Refusal("its tensors are not those that it lists")
    for key in keys:
        array = storages[key]
        if int.from_bytes(file.read(8), "little") != len(array):
            raise Refusal(f"the numbers {key!r:.20} are of another size")
        array[:] = numbers_of(file.read(array.nbytes), array.dtype, len(array))
    return made


def no_storage(*_: Any) -> np.ndarray:
    raise Refusal("a tensor whose numbers are in no file")


def numbers_of(content: bytes | bytearray, dtype: np.dtype[Any], count: int) -> np.ndarray:
    if len(content) < count * dtype.itemsize:
        raise Refusal("a tensor has fewer numbers than it declares")
    return np.frombuffer(content, dtype, count) if count else np.zeros(0, dtype)


def stored(content: Any) -> Any:
    """Return the storage of a tensor that pickle itself saved: a whole file of torch before 1.6 in its bytes."""
    if not isinstance(content, bytes):
        raise Refusal("a tensor without numbers")
    return read_old(content)
