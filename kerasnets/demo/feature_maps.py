"""Feature maps of a model's layers for the page: the first channels of each layer, every map on its own scale."""

import threading
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kerasnets.errors import BadInputError
from kerasnets.pictures.sizes import shrink
from kerasnets.transfer import feature_extractor, nameable

if TYPE_CHECKING:
    from kerasnets.prediction.runtimes import Keras

MOST_LAYERS = 24  # layers on the page, spread evenly over a deep network
MOST_MAPS = 16  # feature maps of a layer
MOST_UNITS = 512  # units of a layer without height and width
SIDE = 64  # pixels; larger maps are shrunk to this

# Layers that move or drop values and compute nothing
MOVING = ("Flatten", "Reshape", "Permute", "Dropout", "SpatialDropout2D", "ZeroPadding2D", "Cropping2D")


class LayerMaps:
    """The feature maps of the layers of one model.

    Args:
        engine: The model, loaded by Keras.

    Raises:
        BadInputError: The model has no layer that can be drawn.
    """

    def __init__(self, engine: "Keras") -> None:
        self.engine, self.lock = engine, threading.Lock()
        layers = [layer for layer in nameable(engine.model) if type(layer).__name__ not in MOVING and is_drawn(layer)]
        if not layers:
            raise BadInputError("has no layers whose output can be drawn", path=engine.path.name)
        places = np.unique(np.linspace(0, len(layers) - 1, MOST_LAYERS).round().astype(int))
        self.layers = [layers[i] for i in places]
        self.left_out = len(layers) - len(self.layers)
        self.extractor = feature_extractor(engine.model, [escape(layer.name) for layer in self.layers])

    def describe(self) -> dict[str, Any]:
        """Return name, kind and shape of each layer, and the number of layers that are left out."""
        self.draw(np.zeros([side or 1 for side in self.engine.shape], np.uint8))
        layers = [
            {"name": layer.name, "kind": type(layer).__name__, "shape": list(layer.output.shape[1:])}
            for layer in self.layers
        ]
        return {"layers": layers, "left_out": self.left_out}

    def draw(self, pixels: np.ndarray) -> tuple[list[dict[str, Any]], bytes]:
        """Return the feature maps of all layers for one picture.

        Args:
            pixels: The network's input, uint8 (height, width, channels).

        Returns:
            For each layer the number, height and width of its maps and its smallest and largest value; and all maps as
            uint8, row by row, each from 0 (its smallest value) to 255. Units are one map of height 1.
        """
        with self.lock:
            outputs = self.extractor.predict_on_batch(self.engine.prepare(pixels[None]))
        layers, parts = [], []
        for layer in self.layers:
            output = np.asarray(outputs[layer.name])[0]
            tiles = tiles_of(output)
            count, height, width = tiles.shape
            layers.append({"maps": count, "height": height, "width": width,
                           "smallest": float(output.min()), "largest": float(output.max())})  # fmt: skip
            parts.append(tiles.tobytes())
        return layers, b"".join(parts)


def is_drawn(layer: keras.Layer) -> bool:
    return len(getattr(layer.output, "shape", ())) in (2, 4)


def escape(name: str) -> str:
    """Return the shell-style pattern that fits `name` alone."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def tiles_of(output: np.ndarray) -> np.ndarray:
    """Return the first maps of a layer's float32 (height, width, channels) or (units,) as uint8 (n, height, width)."""
    if output.ndim == 1:
        return stretch(output[None, None, :MOST_UNITS])
    return stretch(np.stack([shrink(output[..., i], SIDE) for i in range(min(output.shape[2], MOST_MAPS))]))


def stretch(maps: np.ndarray) -> np.ndarray:
    """Return maps (n, height, width) as uint8, each from 0 (its smallest value) to 255; a constant map is 0."""
    low = maps.min(axis=(1, 2), keepdims=True)
    span = maps.max(axis=(1, 2), keepdims=True) - low
    return np.rint((maps - low) * (255 / np.where(span > 0, span, 1))).astype(np.uint8)
