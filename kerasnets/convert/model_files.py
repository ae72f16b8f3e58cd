"""Model files from PyTorch weights, and PyTorch weights and modules from model files."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerasnets import errors, models, pictures, saving
from kerasnets.convert import state_dict, weight_files
from kerasnets.convert.torchvision_weights import pretrained
from kerasnets.graph import Scaling, count, rebuild
from kerasnets.runtime import provenance
from kerasnets.runtime.atomic import check_writable, whole_file
from kerasnets.saving.guest import scaling_of


@dataclass(frozen=True)
class Conversion:
    """The result of a conversion. A pixel p, 0..255, enters the network as p * scale + offset, by channel."""

    model: str
    source: str
    file: str
    tensors: int
    parameters: int
    classes: int
    input_shape: tuple[int, ...]
    scale: float | Sequence[float]
    offset: float | Sequence[float]
    input_kind: str
    backend: str
    difference: float | None = None  # of the outputs from the other framework's, as a share of their scale; if measured

    def line(self) -> str:
        """Return the result as one greppable line."""
        difference = "" if self.difference is None else f"difference={self.difference:.1e} "
        return (
            f"result model={self.model} source={self.source} tensors={self.tensors} parameters={self.parameters} "
            f"classes={self.classes} input={'x'.join(map(str, self.input_shape))} scale={join(self.scale)} "
            f"offset={join(self.offset)} input_kind={self.input_kind} backend={self.backend} {difference}"
            f"file={self.file}"
        )

    def json(self) -> str:
        return json.dumps(dataclasses.asdict(self))


@dataclasses.dataclass(frozen=True)
class Preparation:
    """What a file of PyTorch's weights does not tell: how pictures become the network's input, and its classes.

    Args:
        mean, std: The module was trained on (pixel / 255 - mean) / std; one number, or one for each channel.
        class_names: "0", "1", ... by default.
        input_kind: How a picture is prepared, a name in `pictures.KINDS`.

    Raises:
        ValueError: The input kind is unknown.
    """

    mean: Sequence[float] = (0,)
    std: Sequence[float] = (1,)
    class_names: Sequence[str] | None = None
    input_kind: str = "picture"

    def __post_init__(self) -> None:
        if self.input_kind not in pictures.KINDS:
            raise ValueError(f"unknown input kind {self.input_kind!r}; choose one of: {', '.join(pictures.KINDS)}")

    def scaling(self, channels: int) -> Scaling:
        """Return (scale, offset) of a pixel 0..255. Raises ValueError if mean or std does not fit the channels."""
        return scaling_of(self.mean, self.std, channels)

    def names(self, classes: int) -> tuple[str, ...]:
        """Return a name for each class; raise ValueError if there are more or fewer names."""
        names = tuple(self.class_names or map(str, range(classes)))
        if len(names) != classes:
            raise ValueError(f"{len(names)} class names for {classes} classes; name each, or none")
        return names


PLAIN = Preparation()  # pixels / 255, whole pictures, classes by number


def make_model_file(
    name: str,
    weights: str | Path,
    out: str | Path,
    preparation: Preparation = PLAIN,
    *,
    options: Mapping[str, Any] | None = None,
    in_order: bool = False,
) -> Conversion:
    """Write a model file of a network with the weights in a PyTorch file.

    Args:
        name: A name in MODELS.
        weights: A .pth, .pt or .safetensors file.
        out: The model file, .keras or .h5.
        preparation: Of the module that was trained.
        options: Options of the builder.
        in_order: Match tensors and layers in their order.

    Raises:
        ValueError: A setting is impossible.
        BadInputError: The weights do not fit.
        OSError: `out` cannot be written.
    """
    saving.check_suffix(out)
    options = dict(options or {})
    if preparation.class_names:
        options.setdefault("num_classes", len(preparation.class_names))
    network = models.build(name, **options)
    shape, classes = tuple(network.input_shape[1:]), network.outputs[0].shape[-1]
    if len(shape) != 3:
        raise ValueError(f"{name} takes no pictures, and a model file made here would; save it by kerasnets.save")
    class_names, scaling = preparation.names(classes), preparation.scaling(shape[-1])
    check_writable(out)
    state_dict.load_torch_weights(network, weights, in_order=in_order)
    card = saving.Card(name, class_names, shape, preparation.input_kind, source=Path(weights).name, **origin_fields())
    return write_model_file(network, out, scaling, card)


def make_pretrained_file(name: str, out: str | Path, version: str = "DEFAULT") -> Conversion:
    """Like `make_model_file`, with torchvision's published weights, their preprocessing and their class names."""
    saving.check_suffix(out)
    check_writable(out)
    published = pretrained(name, version)
    network = models.build(name, input_shape=published.input_shape, num_classes=len(published.class_names))
    state_dict.load_torch_weights(network, published.path)
    card = saving.Card(
        name,
        published.class_names,
        published.input_shape,
        published.input_kind,
        "ImageNet-1K",
        accuracy=published.accuracy,
        source=published.title,
        **origin_fields(),
    )
    return write_model_file(network, out, scaling_of(published.mean, published.std, 3), card)


def make_weights_file(path: str | Path, out: str | Path) -> Conversion:
    """Write the weights of a model file to `out` (.pth, .pt, .safetensors)."""
    weight_files.check_suffix(out)
    check_writable(out)
    model, card = saving.load(path)
    arrays = state_dict.named_arrays(model)
    weight_files.write_tensors(arrays, out)
    scaling = next(((layer.scale, layer.offset) for layer in model.layers if layer.name == "rescaling"), (1, 0))
    return summarize(model, out, Path(path).name, scaling, card)


def make_python_file(path: str | Path, out: str | Path) -> Conversion:
    """Write a model file as PyTorch's text in `out` (.py), with the weights in a .safetensors beside it.

    Raises:
        BadInputError: A layer has no translation to PyTorch, or the translation differs from Keras.
        OSError: A file cannot be written.
    """
    from kerasnets.convert.to_torch.module import translate_model

    weights_file = Path(out).with_suffix(".safetensors")
    for file in (out, weights_file):
        check_writable(file)
    model, card = saving.load(path)
    with errors.name_path(path):
        translation = translate_model(model, weights_file.name, card.class_names)
    weight_files.write_tensors(translation.weights, weights_file)
    with whole_file(out) as part:
        part.write_text(translation.text, encoding="utf-8")
    scaling = next(((layer.scale, layer.offset) for layer in model.layers if layer.name == "rescaling"), (1, 0))
    result = summarize(model, out, Path(path).name, scaling, card, len(translation.weights))
    return dataclasses.replace(result, difference=translation.difference)


def write_model_file(network: keras.Model, out: str | Path, scaling: Scaling, card: saving.Card) -> Conversion:
    saving.save(rebuild(network, scaling=scaling, probabilities=True), out, card)
    return summarize(network, out, card.source, scaling, card)


def summarize(
    network: keras.Model, out: str | Path, source: str, scaling: Scaling, card: saving.Card, tensors: int | None = None
) -> Conversion:
    scale, offset = ([round(float(x), 8) + 0.0 for x in np.atleast_1d(value)] for value in scaling)
    return Conversion(
        model=card.model,
        source=source.replace(" ", "_"),
        file=str(out),
        tensors=len(state_dict.named_arrays(network)) if tensors is None else tensors,
        parameters=count(weight for weight in network.weights if not weight.name.startswith("moving_")),
        classes=len(card.class_names),
        input_shape=card.input_shape,
        scale=scale[0] if len(scale) == 1 else scale,
        offset=offset[0] if len(offset) == 1 else offset,
        input_kind=card.input_kind,
        backend=keras.config.backend(),
    )


def origin_fields() -> dict[str, Any]:
    """Return the fields of a Card for the origin of a file that this process makes."""
    return {"versions": provenance.versions(), "commit": provenance.commit()}


def join(value: float | Sequence[float]) -> str:
    return ",".join(f"{x:.6g}" for x in np.atleast_1d(value))
