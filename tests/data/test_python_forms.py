"""Data sets of Python programs: objects with the methods of those of frameworks, and below, real ones."""

import numpy as np
import pytest
from PIL import Image

from kerasnets import data
from kerasnets.errors import BadInputError

COUNT, CLASSES = 60, 3
PIXELS = np.random.default_rng(0).integers(0, 256, (COUNT, 6, 8, 3), np.uint8)
LABELS = np.arange(COUNT) % CLASSES


class Batched:
    """A keras.utils.PyDataset, which has no end of its own when it is iterated."""

    def __init__(self, images=PIXELS, labels=LABELS, size=25):
        self.images, self.labels, self.size = images, labels, size

    def __len__(self):
        return -(-len(self.images) // self.size)

    def __getitem__(self, index):
        chosen = slice(index * self.size, (index + 1) * self.size)
        return self.images[chosen], self.labels[chosen]


class Rows:
    """A datasets.Dataset of pictures of Pillow."""

    class Image: ...

    class ClassLabel:
        names = ("cat", "dog", "eel")
        int2str = None

    def __init__(self, images=PIXELS, columns=("img", "label")):
        self.images, self.columns = images, columns
        self.features = dict(zip(columns, (self.Image(), self.ClassLabel()), strict=True))

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        image = self.images[index]
        image = image if isinstance(image, Image.Image) else Image.fromarray(image)
        return dict(zip(self.columns, (image, int(LABELS[index])), strict=True)) | {"id": index}


class Streamed:
    """A tf.data.Dataset."""

    def __init__(self, elements, cardinality=-2):
        self.elements, self.cardinality = elements, lambda: cardinality

    def as_numpy_iterator(self):
        return iter(self.elements)


ONE_HOT = np.eye(CLASSES, dtype="float32")[LABELS]
FORMS = {
    "arrays": (PIXELS, LABELS),
    "floats of channels first, labels in a column": (PIXELS.transpose(0, 3, 1, 2) / 255, LABELS[:, None]),
    "one-hot": (PIXELS, ONE_HOT),
    "text": (PIXELS, np.array(["cat", "dog", "eel"])[LABELS]),
    "columns": {"image": PIXELS, "label": LABELS},
    "examples": list(zip(PIXELS, LABELS, strict=True)),
    "batches": Batched(),
    "a stream": Streamed(list(zip(PIXELS, LABELS, strict=True))),
    "a stream of batches": Streamed([(PIXELS[:40] / np.float32(255), ONE_HOT[:40]), (PIXELS[40:] / 255, ONE_HOT[40:])]),
    "rows of pictures": Rows(),
    "dictionaries": [{"image": image, "label": label} for image, label in zip(PIXELS, LABELS, strict=True)],
}


def in_order(images):
    return sorted(image.tobytes() for image in images)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_has_the_same_pictures_and_labels(form):
    examples = data.load_data(FORMS[form])
    assert (len(examples.train_images), len(examples.test_images), examples.is_split) == (48, 12, True)
    images = np.concatenate([examples.train_images, examples.test_images])
    labels = np.concatenate([examples.train_labels, examples.test_labels])
    assert in_order(images) == in_order(PIXELS)
    by_picture = {image.tobytes(): label for image, label in zip(PIXELS, LABELS, strict=True)}
    assert [by_picture[image.tobytes()] for image in images] == labels.tolist()


def test_classes_have_their_names():
    assert data.load_data(Rows()).class_names == ("cat", "dog", "eel")
    assert data.load_data(FORMS["text"]).class_names == ("cat", "dog", "eel")
    named = Batched()
    named.class_names = ["x", "y", "z"]
    around = Batched()
    around.dataset = named  # as in a DataLoader of a Subset
    assert data.load_data(around).class_names == ("x", "y", "z")


def test_parts_stay_as_they_are_given():
    parts = [(PIXELS[a:b], LABELS[a:b]) for a, b in ((0, 30), (30, 45), (45, 60))]
    pair = data.load_data((parts[0], parts[1]))
    assert (len(pair.train_labels), len(pair.test_labels), pair.is_split, pair.validation) == (30, 15, False, None)
    three = data.load_data(dict(zip(("train", "validation", "test"), parts, strict=True)))
    np.testing.assert_array_equal(three.train_images, PIXELS[:45])
    np.testing.assert_array_equal(three.validation, np.arange(30, 45))
    np.testing.assert_array_equal(three.test_images, PIXELS[45:])
    two = data.load_data({"train": parts[0], "validation": parts[1]})
    assert (len(two.test_labels), two.validation) == (15, None)


def test_pictures_of_many_sizes_and_modes_are_resized():
    pictures = [Image.fromarray(pixels).resize((8 + i % 3, 6)) for i, pixels in enumerate(PIXELS)]
    pictures[0], pictures[1], pictures[2] = (pictures[i].convert(mode) for i, mode in enumerate(("L", "RGBA", "P")))
    with pytest.raises(BadInputError, match=r"different shapes, .*; give image_size=\(height, width\)"):
        data.load_data(Rows(pictures))
    assert data.load_data(Rows(pictures), image_size=(5, 7)).train_images.shape == (48, 5, 7, 3)
    grey = data.load_data((PIXELS[..., 0], LABELS), image_size=(3, 3))
    assert grey.train_images.shape == (48, 3, 3, 1)


def test_grey_pictures_may_have_one_hot_labels():
    examples = data.load_data(list(zip(PIXELS[..., 0], ONE_HOT, strict=True)))
    assert (examples.train_images.shape, examples.test_labels.shape) == ((48, 6, 8, 1), (12,))


def test_an_image_size_is_refused_for_rows():
    with pytest.raises(BadInputError, match="an image size goes with pictures"):
        data.load_data((PIXELS[:, 0, :, 0] / 255, LABELS), image_size=(3, 3))


REFUSED = {
    "the data are of the type int": 7,
    "an example of the data is of the type int; give pairs": [1, 2, 3],
    "an example of the data has 3 values": [(PIXELS[0], 1, 1.0)] * 9,
    "the data have the parts a, b; name them": {"a": (PIXELS, LABELS), "b": (PIXELS, LABELS)},
    "the data are empty": [],
    "the data never end; leave out": Streamed([], -1),
    "0 columns of labels in what, kind, id": Rows(columns=("what", "kind")),
    "a batch has 60 pictures and 59 labels": Streamed([(PIXELS, LABELS[:-1])]),
    "pixels are float64; give uint8": (PIXELS - 127.5, LABELS),
    "classes '0', '1', '2' have one picture": (PIXELS[:3], LABELS[:3]),
    "train pictures are .*, validation pictures": {
        "train": (PIXELS, LABELS), "val": (PIXELS[:, 1:], LABELS), "test": (PIXELS, LABELS)
    },
}  # fmt: skip


@pytest.mark.parametrize("words", REFUSED)
def test_what_is_no_data_set_is_refused(words):
    Rows.ClassLabel.__name__ = "Value" if "columns" in words else "ClassLabel"
    with pytest.raises(BadInputError, match=words):
        data.load_data(REFUSED[words])


def test_data_beyond_the_memory_are_refused(monkeypatch):
    from kerasnets.data import folders

    monkeypatch.setattr(folders, "memory", lambda: PIXELS.nbytes)
    with pytest.raises(BadInputError, match=r"more than 0\.0 GB of memory; give a folder"):
        data.load_data(Batched())


# ---- the real ones ----


def of_pytorch():
    """[(shape, labels)] of a TensorDataset, its loader, and a Subset."""
    import torch
    from torch.utils.data import DataLoader, TensorDataset, random_split

    whole = TensorDataset(torch.tensor(PIXELS).permute(0, 3, 1, 2) / 255, torch.tensor(LABELS))
    forms = whole, DataLoader(whole, batch_size=7, shuffle=True), random_split(whole, [40, 20])
    return [
        (each.train_images.shape, in_order([*each.train_images, *each.test_images]))
        for each in map(data.load_data, forms)
    ]


def test_those_of_pytorch_are_read(workers):
    results = workers["torch"](of_pytorch)
    assert [shape[0] for shape, _ in results] == [48, 48, 40]
    assert all(pixels == in_order(PIXELS) for _, pixels in results)


def of_tensorflow():
    import tensorflow as tf

    whole = tf.data.Dataset.from_tensor_slices((PIXELS, LABELS))
    forms = whole, whole.batch(7), (whole.take(40), whole.skip(40))
    return [in_order([*each.train_images, *each.test_images]) for each in map(data.load_data, forms)]


@pytest.mark.all_backends
def test_those_of_tensorflow_are_read(workers):
    assert all(pixels == in_order(PIXELS) for pixels in workers["tensorflow"](of_tensorflow))


def test_those_of_hugging_face_are_read():
    datasets = pytest.importorskip("datasets", reason="pip install datasets, for the data sets of Hugging Face")
    features = datasets.Features({"img": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b", "c"])})
    rows = {"img": [Image.fromarray(pixels) for pixels in PIXELS], "label": LABELS.tolist()}
    examples = data.load_data(datasets.Dataset.from_dict(rows, features=features))
    assert examples.class_names == ("a", "b", "c")
    assert in_order([*examples.train_images, *examples.test_images]) == in_order(PIXELS)
