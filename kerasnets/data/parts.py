"""The parts of a data set by the names of its folders: train, test and val, in the words that published sets use."""

import re
from collections.abc import Iterable

TRAIN, TEST, VALIDATION, UNLABELLED = "train", "test", "val", "unlabelled"
WORDS = {
    TRAIN: ("train", "training", "trn"),
    TEST: ("test", "testing", "tst"),
    VALIDATION: ("val", "valid", "validation", "validate", "eval", "evaluation", "dev"),
    UNLABELLED: ("pred", "predict", "prediction", "predictions", "unlabeled", "unlabelled", "inference"),
}
# Words beside these that say nothing: seg_train, training_set, "Test Images", train2017, DATASET_train
FILLERS = {
    "set", "sets", "data", "dataset", "image", "images", "img", "imgs", "picture", "pictures", "photo", "photos", "seg",
    "split", "part", "folder", "dir", "sample", "samples", "example", "examples", "batch", "cropped", "resized",
    "small", "full", "final", "raw", "original", "clean", "color", "colour", "rgb", "jpg", "jpeg", "png", "my", "new",
}  # fmt: skip
PART_OF = {word: part for part, words in WORDS.items() for word in words}
FUSED = re.compile(rf"^({'|'.join(sorted(PART_OF, key=len, reverse=True))})(sets?|data|dataset|images?|imgs?)$")


class Parts:
    """The parts that the folders of one data set name.

    A name with other words than FILLERS beside the part's is one if another folder has the same words beside another
    part's: asl_alphabet_train and asl_alphabet_test, but not steam_train alone.

    Args:
        folders: The relative paths of all folders, each as a tuple of names.
    """

    def __init__(self, folders: Iterable[tuple[str, ...]]) -> None:
        names = {name for folder in folders for name in folder}
        parts_by_rest: dict[tuple[str, ...], set[str]] = {}
        for part, rest in map(part_and_rest, names):
            parts_by_rest.setdefault(rest, set()).add(part)
        self.part_by_name = {
            name: part
            for name, (part, rest) in zip(names, map(part_and_rest, names), strict=True)
            if FILLERS.issuperset(rest) or len(parts_by_rest[rest] - {"", part}) > 0
        }

    def of(self, name: str) -> str:
        """Return the part that a folder's name says it holds; "" if it says none."""
        return self.part_by_name.get(name, "")

    def nearest(self, folder: tuple[str, ...]) -> str:
        """Return the part that the folders above a class folder name, the nearest first; "" if they name none."""
        return next(filter(None, map(self.of, reversed(folder[:-1]))), "")


def part_and_rest(folder: str) -> tuple[str, tuple[str, ...]]:
    """Return (the part that a folder's name may say, its other words); ("", ...) if it says none or several.

    Example:
        >>> part_and_rest("seg_test"), part_and_rest("trainingSet"), part_and_rest("contest")
        (('test', ('seg',)), ('train', ('set',)), ('', ('contest',)))
    """
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])|\d+", " ", folder).lower()
    words = [word for fused in re.findall(r"[^\W_]+", spaced) for word in FUSED.sub(r"\1 \2", fused).split()]
    parts = {PART_OF[word] for word in words if word in PART_OF}
    return parts.pop() if len(parts) == 1 else "", tuple(word for word in words if word not in PART_OF)
