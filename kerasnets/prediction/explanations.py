"""Why a network answers what it answers: maps of the places in a picture that its answer depends on."""

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasnets.pictures.sizes import resize
from kerasnets.prediction.answers import Prediction

if TYPE_CHECKING:
    import keras

    from kerasnets.prediction.classifier import Classifier

PATCHES = 7  # that cover a picture from side to side; they move by half of their side
BATCH = 64  # covered pictures that go through the network at once

Maps = dict[str, np.ndarray]


def explain(classifier: "Classifier", prediction: Prediction) -> Maps:
    """Return {method: float32 (height, width) of 0..1}: how much the answer depends on each place of its pixels.

    Occlusion works with every form of a model. Grad-CAM needs the network itself, so a .keras or .h5 file, and a layer
    whose output has a height and a width.

    Example:
        >>> classifier = kerasnets.Classifier.load("models_saved/pretrained/mnist_cnn-mnist.onnx")
        >>> [answer] = classifier.predict("docs/samples/screen-5.png")
        >>> {method: heat.shape for method, heat in explain(classifier, answer).items()}
        {'occlusion': (28, 28)}
    """
    return maps_of(classifier, prediction.pixels, class_of(classifier, prediction))


def maps_of(classifier: "Classifier", pixels: np.ndarray, place: int) -> Maps:
    """Return the maps that `explain` returns.

    Args:
        classifier: The model.
        pixels: The network's input, uint8 (height, width, channels).
        place: The number of the class that is explained.
    """
    maps = {"occlusion": occlusion(classifier, pixels, place)}
    if classifier.engine_name == "keras":
        heat = grad_cam(classifier.engine, pixels, place)
        if heat is not None:
            maps = {"Grad-CAM": heat, **maps}
    return maps


def class_of(classifier: "Classifier", prediction: Prediction) -> int:
    """Return the number of the class that a prediction names."""
    names = classifier.card.class_names or [f"class {i}" for i in range(len(prediction.ranking))]
    return list(names).index(prediction.label)


# ---- occlusion -------------------------------------------------------------------------------------------------------


def occlusion(classifier: "Classifier", pixels: np.ndarray, place: int) -> np.ndarray:
    """Return the root of how far the logarithm of a probability falls when a place gets the colour of the rim.

    Source: Zeiler and Fergus, ECCV 2014, arXiv:1311.2901, section 4.2, which covers with grey.
    """
    height, width = pixels.shape[:2]
    color = np.median(np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]), axis=0)
    boxes = [(y, x) for y in steps(height) for x in steps(width)]
    tall, wide = patch_side(height), patch_side(width)
    drops = []
    usual = log_of(classifier.compute(pixels[None])[:, place])
    for start in range(0, len(boxes), BATCH):
        covered = np.repeat(pixels[None], len(boxes[start : start + BATCH]), axis=0)
        for each, (y, x) in zip(covered, boxes[start : start + BATCH], strict=True):
            each[y : y + tall, x : x + wide] = color
        drops.append(usual - log_of(classifier.compute(covered)[:, place]))
    total, count = np.zeros((height, width)), np.zeros((height, width))
    for (y, x), drop in zip(boxes, np.concatenate(drops), strict=True):
        total[y : y + tall, x : x + wide] += max(float(drop), 0) ** 0.5  # so that weaker places are visible too
        count[y : y + tall, x : x + wide] += 1
    return scaled(total / np.maximum(count, 1))


def patch_side(side: int) -> int:
    return max(1, round(side / PATCHES))


def steps(side: int) -> list[int]:
    """Return where patches begin along a side, so that the last one ends with it."""
    last = side - patch_side(side)
    return sorted({*range(0, last, max(1, patch_side(side) // 2)), last})


def log_of(probabilities: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(probabilities, 1e-12))


def scaled(heat: np.ndarray) -> np.ndarray:
    """Return a map divided by its largest value, float32."""
    return (heat / max(float(heat.max()), 1e-12)).astype(np.float32)


# ---- Grad-CAM --------------------------------------------------------------------------------------------------------


def grad_cam(engine: Any, pixels: np.ndarray, place: int) -> np.ndarray | None:
    """Return the map of one class of a picture, as `grad_cams`."""
    heats = grad_cams(engine.model, engine.prepare(pixels[None]), [place])
    return None if heats is None else heats[0]


def grad_cams(model: "keras.Model", images: np.ndarray, places: Sequence[int]) -> np.ndarray | None:
    """Return the last feature maps, weighted by the mean gradient of a class's score with respect to each.

    Args:
        model: The network.
        images: (n, height, width, channels), as the network takes them.
        places: The number of the class of each.

    Returns:
        float32 (n, height, width), 0..1; None if no layer's output has a height and a width, or if the layers after it
        use earlier ones too.

    Source: Selvaraju et al., ICCV 2017, arXiv:1610.02391, equations 1 and 2.
    """
    halves = halves_of(model)
    if halves is None:
        return None
    import keras

    front, rest = halves
    maps = front(keras.ops.convert_to_tensor(images), training=False)
    values = np.asarray(keras.ops.convert_to_numpy(maps), np.float32)
    slopes = slopes_of(rest, values, np.asarray(places))
    is_first = keras.backend.image_data_format() == "channels_first"
    if is_first:
        values, slopes = values.transpose(0, 2, 3, 1), slopes.transpose(0, 2, 3, 1)
    heats = np.maximum((values * slopes.mean(axis=(1, 2), keepdims=True)).sum(axis=3), 0).astype(np.float32)
    return np.stack([scaled(resize(heat, *images.shape[1:3])) for heat in heats])


def halves_of(model: "keras.Model") -> "tuple[keras.Model, keras.Model] | None":
    """Return a network up to its last convolution, and from there on; up to a later layer if it has a way around."""
    import keras

    drawn = [layer for layer in model.layers[1:] if is_drawn(layer)]
    convolutions = [layer for layer in drawn if "Conv" in type(layer).__name__]
    for layer in [*convolutions[-1:], *drawn[-1:]]:
        with contextlib.suppress(ValueError):  # a later layer uses an earlier output too
            return keras.Model(model.inputs[0], layer.output), keras.Model(layer.output, model.output)
    return None


def is_drawn(layer: "keras.Layer") -> bool:
    """Whether a layer's output has a height and a width, and channels."""
    shape = getattr(getattr(layer, "output", None), "shape", ())
    return len(shape) == 4 and 1 not in shape[1:]  # (1, 1, channels) is pooled


def slopes_of(model: "keras.Model", values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return the gradient of an output of each picture with respect to the input `values`, by the backend that runs."""
    import keras

    def score_of(tensor: Any) -> Any:  # a picture has no part in the outputs of another
        chosen = keras.ops.one_hot(places, model.output_shape[-1])
        return keras.ops.sum(model(tensor, training=False) * chosen)

    if keras.backend.backend() == "torch":
        inputs = keras.ops.convert_to_tensor(values).requires_grad_(True)
        score_of(inputs).backward()
        return np.asarray(inputs.grad.detach().cpu())
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tensor = tf.convert_to_tensor(values)
        with tf.GradientTape() as tape:
            tape.watch(tensor)
            score = score_of(tensor)
        return np.asarray(tape.gradient(score, tensor))
    import jax

    return np.asarray(jax.grad(score_of)(jax.numpy.asarray(values)))
