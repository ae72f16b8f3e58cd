"""The parts of a data set by the names of its folders: train, test and val, in the words that published sets use."""

import re

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
FUSED = re.compile(rf"({'|'.join(sorted(PART_OF, key=len, reverse=True))})(?:sets?|data|dataset|images?|imgs?)")


def part_of(folder: str) -> str:
    """Return the part that a folder's name says it holds; "" if it says none.

    Example:
        >>> [part_of(name) for name in ("Training", "seg_test", "trainingSet", "val2017", "cat", "test_pattern")]
        ['train', 'test', 'train', 'val', '', '']
    """
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])|\d+", " ", folder).lower()
    words = [FUSED.sub(r"\1", word) for word in re.findall(r"[^\W_]+", spaced)]
    parts = {PART_OF[word] for word in words if word in PART_OF}
    is_part = len(parts) == 1 and all(word in PART_OF or word in FILLERS for word in words)
    return parts.pop() if is_part else ""
