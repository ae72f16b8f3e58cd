"""Feature maps of a model's layers, made ready to be drawn: the first channels of each, every map on its own scale."""

import threading

import numpy as np

from kerasnets.errors import BadInputError
from kerasnets.pictures.sizes import shrink
from kerasnets.transfer import feature_extractor, nameable

MOST_LAYERS = 24  # that are drawn, spread evenly over a deep network
MOST_MAPS = 16  # of a layer
MOST_UNITS = 512  # of a layer without height and width
SIDE = 64  # pixels: larger maps are shrunk to it

# Layers that give the numbers that they were given, in another place
MOVING = ("Flatten", "Reshape", "Permute", "Dropout", "SpatialDropout2D", "ZeroPadding2D", "Cropping2D")


class LayerMaps:
    """The layers of one model. engine: an engines.Keras."""

    def __init__(self, engine):
        self.engine, self.lock = engine, threading.Lock()
        all_of = [each for each in nameable(engine.model) if type(each).__name__ not in MOVING and is_drawn(each)]
        if not all_of:
            raise BadInputError(f"{engine.path.name} has no layers whose output can be drawn")
        places = np.unique(np.linspace(0, len(all_of) - 1, MOST_LAYERS).round().astype(int))
        self.layers = [all_of[i] for i in places]
        self.left_out = len(all_of) - len(self.layers)
        self.extractor = feature_extractor(engine.model, [escaped(layer.name) for layer in self.layers])

    def describe(self):
        """name, kind and shape of each layer, and how many there are besides."""
        self.draw(np.zeros(self.engine.shape, np.uint8))
        rows = [
            {"name": layer.name, "kind": type(layer).__name__, "shape": list(layer.output.shape[1:])}
            for layer in self.layers
        ]
        return {"layers": rows, "left_out": self.left_out}

    def draw(self, pixels):
        """(rows, bytes): of each layer how many maps of what height and width there are, and its extremes; the maps.

        pixels: uint8 (height, width, channels), as the network takes them. A map is uint8, row by row: 0 its smallest
        value, 255 its largest. Units without height and width are one map of height 1.
        Raises ValueError for pixels of another shape.
        """
        if pixels.shape != tuple(self.engine.shape):
            raise ValueError(f"the pixels are not of the shape that the network takes, {self.engine.shape}")
        with self.lock:
            found = self.extractor.predict_on_batch(self.engine.fitted(pixels[None]))
        rows, parts = [], []
        for layer in self.layers:
            output = np.asarray(found[layer.name])[0]
            tiles = tiles_of(output)
            count, height, width = tiles.shape
            rows.append({"maps": count, "height": height, "width": width,
                         "smallest": float(output.min()), "largest": float(output.max())})  # fmt: skip
            parts.append(tiles.tobytes())
        return rows, b"".join(parts)


def is_drawn(layer):
    return len(getattr(layer.output, "shape", ())) in (2, 4)


def escaped(name):
    """A layer's name as the shell-style pattern of itself."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def tiles_of(output):
    """The first maps of a layer's float32 (height, width, channels) or (units,): uint8 (maps, height, width)."""
    if output.ndim == 1:
        return stretched(output[None, None, :MOST_UNITS])
    return stretched(np.stack([shrink(output[..., i], SIDE) for i in range(min(output.shape[2], MOST_MAPS))]))


def stretched(maps):
    """Maps (n, height, width) of any numbers, each from its smallest to its largest: uint8, 0..255; a flat one is 0."""
    low = maps.min(axis=(1, 2), keepdims=True)
    span = maps.max(axis=(1, 2), keepdims=True) - low
    return np.rint((maps - low) * (255 / np.where(span > 0, span, 1))).astype(np.uint8)
