"""Model files from PyTorch weights, and PyTorch weights from model files."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from kerasnets import models, pictures, saving
from kerasnets.convert import state_dict, weight_files
from kerasnets.convert.torchvision_weights import pretrained
from kerasnets.errors import shorten
from kerasnets.graph import rebuild
from kerasnets.graph.weights import count
from kerasnets.runtime import provenance
from kerasnets.runtime.atomic import check_writable


@dataclass(frozen=True)
class Converted:
    """What one conversion came to. A pixel p, 0..255, enters the network as p * scale + offset, by channel."""

    model: str
    source: str
    file: str
    tensors: int
    parameters: int
    classes: int
    input_shape: tuple[int, ...]
    scale: float | list[float]
    offset: float | list[float]
    input_kind: str
    backend: str

    def line(self):
        """The result as one greppable line."""
        return (
            f"result model={self.model} source={self.source} tensors={self.tensors} parameters={self.parameters} "
            f"classes={self.classes} input={'x'.join(map(str, self.input_shape))} scale={listed(self.scale)} "
            f"offset={listed(self.offset)} input_kind={self.input_kind} backend={self.backend} file={self.file}"
        )

    def json(self):
        return json.dumps(dataclasses.asdict(self))


def make_model_file(name, weights, out, *, options=None, in_order=False, mean=(0,), std=(1,), class_names=None,
                    input_kind="picture"):  # fmt: skip
    """Write the model file `out` (.keras, .h5) of the network `name` with the weights in a file; return a Converted.

    options: of the builder. mean, std: what the module was given is (pixel / 255 - mean) / std, by channel or for all.
    class_names: "0", "1", ... where None. input_kind: how a picture is prepared, a name in pictures.KINDS.
    Raises ValueError for impossible settings, BadInputError for weights that do not fit, OSError for `out`.
    """
    saving.check_suffix(out)
    if input_kind not in pictures.KINDS:
        raise ValueError(f"unknown input kind {input_kind!r}; choose one of: {', '.join(pictures.KINDS)}")
    options = dict(options or {})
    if class_names:
        options.setdefault("num_classes", len(class_names))
    network = models.build(name, **options)
    shape, classes = tuple(network.input_shape[1:]), network.outputs[0].shape[-1]
    if len(shape) != 3:
        raise ValueError(f"{name} takes no pictures, and a model file made here would; save it by kerasnets.save")
    class_names = tuple(class_names or map(str, range(classes)))
    if len(class_names) != classes:
        raise ValueError(f"{len(class_names)} class names for {classes} classes; name each, or none")
    scaling = scaling_of(mean, std, shape[-1])
    check_writable(out)
    state_dict.load_torch_weights(network, weights, in_order=in_order)
    card = saving.Card(name, class_names, shape, input_kind, source=Path(weights).name, **made_here())
    return write_model_file(network, out, scaling, card)


def make_pretrained_file(name, out, version="DEFAULT"):
    """As `make_model_file`, of torchvision's published weights, with their preprocessing and class names."""
    saving.check_suffix(out)
    check_writable(out)
    found = pretrained(name, version)
    network = models.build(name, input_shape=found.input_shape, num_classes=len(found.class_names))
    state_dict.load_torch_weights(network, found.path)
    card = saving.Card(
        name, found.class_names, found.input_shape, found.input_kind, "ImageNet-1K", accuracy=found.accuracy,
        source=found.title, **made_here(),
    )  # fmt: skip
    return write_model_file(network, out, scaling_of(found.mean, found.std, 3), card)


def make_weights_file(path, out):
    """Write the weights of the model file `path` to `out` (.pth, .pt, .safetensors); return a Converted."""
    weight_files.check_suffix(out)
    check_writable(out)
    model, card = saving.load(path)
    arrays = state_dict.named_arrays(model)
    weight_files.write_tensors(arrays, out)
    scaling = next(((layer.scale, layer.offset) for layer in model.layers if layer.name == "rescaling"), (1, 0))
    return converted(model, out, Path(path).name, scaling, card)


def write_model_file(network, out, scaling, card):
    saving.save(rebuild(network, scaling=scaling, probabilities=True), out, card)
    return converted(network, out, card.source, scaling, card)


def converted(network, out, source, scaling, card):
    arrays = state_dict.named_arrays(network)
    scale, offset = ([round(float(x), 8) + 0.0 for x in np.atleast_1d(value)] for value in scaling)
    return Converted(
        model=card.model,
        source=source.replace(" ", "_"),
        file=str(out),
        tensors=len(arrays),
        parameters=count(weight for weight in network.weights if not weight.name.startswith("moving_")),
        classes=len(card.class_names),
        input_shape=card.input_shape,
        scale=scale[0] if len(scale) == 1 else scale,
        offset=offset[0] if len(offset) == 1 else offset,
        input_kind=card.input_kind,
        backend=keras.config.backend(),
    )


def scaling_of(mean, std, channels):
    """(scale, offset) that take a pixel 0..255 to (pixel / 255 - mean) / std: numbers, or lists by channel."""
    for name, values in (("mean", mean), ("std", std)):
        if len(values) not in (1, channels) or not np.isfinite(values).all():
            raise ValueError(f"{name} must be one number or {channels}, one per channel, not {shorten(list(values))}")
    if max(map(abs, mean)) > 1:
        raise ValueError(f"mean is of pixels 0..1, not {shorten(list(mean))}; divide one of pixels 0..255 by 255")
    if min(std) <= 0:
        raise ValueError(f"std must be above 0, not {min(std)}")
    scale = 1 / (255 * np.asarray(std, "float64"))
    offset = 0 - np.asarray(mean, "float64") / np.asarray(std, "float64")  # 0 and not -0 where the mean is
    if len(mean) == len(std) == 1:
        return float(scale[0]), float(offset[0])
    return (scale + np.zeros(channels)).tolist(), (offset + np.zeros(channels)).tolist()


def made_here():
    """What a Card tells of the place where a file was made."""
    return {"versions": provenance.versions(), "commit": provenance.commit()}


def listed(value):
    return ",".join(f"{x:.6g}" for x in np.atleast_1d(value))
