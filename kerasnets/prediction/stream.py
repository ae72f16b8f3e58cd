"""Any number of pictures, each decoded once and classified as it comes."""

import functools
from collections.abc import Iterator, Sequence

import numpy as np

from kerasnets.errors import BadInputError
from kerasnets.pictures import Sight
from kerasnets.prediction.ahead import batches_ahead
from kerasnets.prediction.answers import Result
from kerasnets.prediction.classifier import BATCH, Classifier, Image, pixels_of
from kerasnets.prediction.figures import Gallery, thumbnail

Source = tuple[str, Image | BadInputError]  # a name for messages, and an image or the reason why there is none


def predict_pictures(
    classifier: Classifier, sources: Sequence[Source], *, many: bool = False, gallery: Gallery | None = None
) -> Iterator[tuple[str, Result]]:
    """Yield (name, result) for each source, in order, as soon as its batch is computed.

    Args:
        classifier: What to classify with.
        sources: (name, image) pairs; an image is a path, the bytes of a picture file, or an array.
        many: Each picture shows several digits, and its result is a Sheet instead of a Prediction.
        gallery: Keeps small copies of the pictures, to draw them afterwards.

    A result is a BadInputError if the picture cannot be read; the other pictures are still classified.

    Example:
        >>> classifier = kerasnets.Classifier.load("models_saved/pretrained/mnist_cnn-mnist.onnx")
        >>> for name, result in predict_pictures(classifier, [("five", "docs/samples/screen-5.png")]):
        ...     print(result.line(name)[:9])
        five: 5 1
    """
    if many:
        for name, image in sources:
            yield name, read_sheet(classifier, name, image, gallery)
        return
    prepare = functools.partial(prepare_source, classifier, gallery)
    for number, prepared in enumerate(batches_ahead(prepare, sources, BATCH)):
        results = classifier.classify([sight for sight, _ in prepared])
        batch = sources[number * BATCH : (number + 1) * BATCH]
        for (name, _), result, (_, small) in zip(batch, results, prepared, strict=True):
            if gallery is not None:
                gallery.add(small, name, result)
            yield name, result


def prepare_source(
    classifier: Classifier, gallery: Gallery | None, source: Source
) -> tuple[Sight | BadInputError, np.ndarray | None]:
    """Return what is seen on a picture, and a thumbnail for the gallery. The picture itself does not stay in memory."""
    name, image = source
    picture = decode(name, image)
    if isinstance(picture, BadInputError):
        return picture, None
    is_kept = gallery is not None and not gallery.is_full
    return classifier.prepare(picture, name), thumbnail(picture) if is_kept else None


def read_sheet(classifier: Classifier, name: str, image: Image | BadInputError, gallery: Gallery | None) -> Result:
    """Return the Sheet of one picture, or the BadInputError of a picture without one."""
    picture = decode(name, image)
    if isinstance(picture, BadInputError):
        return picture
    try:
        sheet = classifier.read_sheet(picture, name)
    except BadInputError as error:
        return error
    if gallery is not None:
        gallery.add(picture, name, sheet)
    return sheet


def decode(name: str, image: Image | BadInputError) -> np.ndarray | BadInputError:
    """Return the pixels of an image, or the BadInputError of an image without any."""
    try:
        return image if isinstance(image, BadInputError) else pixels_of(image, name)
    except BadInputError as error:
        return error
