"""Names for classes whose folders are called after WordNet's synsets, as ImageNet's are.

A synset file has a line for each: "n01440764 tench, Tinca tinca". ImageNet's is called LOC_synset_mapping.txt.
"""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from kerasnets.errors import BadInputError

NAME = "LOC_synset_mapping.txt"
LEVELS = 4  # from ILSVRC/Data/CLS-LOC/train up to the file
MOST_BYTES = 2**24  # of a synset file; WordNet's 80,000 nouns take 5 MB
SYNSET = re.compile(r"n\d{8}")


def class_names_of(folders: Sequence[str], data: Path, file: Path | None = None) -> tuple[str, ...]:
    """Return a name for each class.

    Args:
        folders: Names of the class folders.
        data: The folder or zip that they are in.
        file: A synset file. Without it, one called NAME is taken that lies in or above `data`, if all folders are
            called like synsets.

    Returns:
        The first word of each line; all words of classes that would share it; the folders' names without a file.

    Raises:
        BadInputError: The file cannot be read, or lacks a class.
    """
    if file is None:
        if not all(SYNSET.fullmatch(folder) for folder in folders):
            return tuple(folders)
        place = data.resolve()
        candidates = (folder / NAME for folder in (place, *place.parents[:LEVELS]))
        file = next((path for path in candidates if path.is_file()), None)
        if file is None:
            return tuple(folders)
    words = words_in(file)
    missing = next((folder for folder in folders if folder not in words), None)
    if missing is not None:
        raise BadInputError(f"has no line for the class {missing!r}", path=file, remedy="name the file of these data")
    firsts = [words[folder].partition(",")[0].strip() for folder in folders]
    names = unique(firsts, [words[folder] for folder in folders])
    return tuple(unique(names, [f"{name} ({folder})" for name, folder in zip(names, folders, strict=True)]))


def unique(names: Sequence[str], longer: Sequence[str]) -> list[str]:
    """Return `names`, and the `longer` one of each that several have."""
    counts = Counter(names)
    return [long if counts[name] > 1 else name for name, long in zip(names, longer, strict=True)]


def words_in(file: Path) -> dict[str, str]:
    """Return {synset: its words} of a synset file."""
    try:
        if file.stat().st_size > MOST_BYTES:
            raise BadInputError("is too large for a synset file", path=file, remedy="name another")
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise BadInputError("no file {path}", path=file, remedy="check the name") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError("cannot be read as text", path=file, remedy="name a synset file") from error
    pairs = (line.strip().split(maxsplit=1) for line in text.splitlines() if line.strip())
    return {pair[0]: pair[-1] for pair in pairs}
