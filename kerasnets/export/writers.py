"""The formats of other programs that Keras can write: ONNX, OpenVINO, LiteRT, SavedModel."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasnets.errors import shorten
from kerasnets.export.quantization import quantize_onnx

if TYPE_CHECKING:
    import keras

CLOSE = 1e-3  # of the largest number: a wrong axis is farther off, and an export is compared exactly once written
INPUT_NAME, OUTPUT_NAME = "pixels", "probabilities"  # of every ONNX export


@dataclass(frozen=True)
class ExportFormat:
    """A format of model files that Keras can write."""

    title: str
    routes: dict[str, tuple[str, ...]]  # backend that can write it -> packages that it needs; the preferred one first
    extra: str  # the extra of kerasnets that installs them: pip install kerasnets[...]
    write: "Callable[[keras.Model, Path, np.ndarray | None], None]"  # with pictures for a calibration: in 8 bits


def format_of(out: Path) -> ExportFormat:
    """Return the ExportFormat of a suffix, or raise ValueError."""
    if out.suffix not in FORMATS:
        known = ", ".join(f"{suffix} ({form.title})" for suffix, form in FORMATS.items() if suffix)
        raise ValueError(f"cannot export to {shorten(out)}: name a file that ends in {known}, or a SavedModel's folder")
    return FORMATS[out.suffix]


def write_onnx(model: "keras.Model", path: Path, calibration: np.ndarray | None = None) -> None:
    import keras

    if keras.backend.backend() == "torch":  # its exporter would write two transpositions around each convolution
        model = with_static_norms(in_channels_first(model))
    model.export(path, format="onnx", verbose=False)
    name_ends(path)
    if calibration is not None:
        quantize_onnx(path, calibration)


def in_channels_first(model: "keras.Model") -> "keras.Model":
    """Return a model in channels_first, called once as Keras' export needs it; itself if it gives other numbers there.

    A network of another program may be made of operations whose axes are those of channels_last.
    """
    from kerasnets.graph import rebuild

    pixels = np.random.default_rng(0).integers(0, 256, (1, *model.input_shape[1:])).astype(model.input.dtype)
    expected = model.predict_on_batch(pixels)
    try:
        rebuilt = rebuild(model, layout="channels_first")
        same = np.allclose(rebuilt.predict_on_batch(pixels), expected, rtol=0, atol=CLOSE * abs(expected).max())
    except Exception:  # an operation does not fit the other shapes
        return model
    return rebuilt if same else model


def with_static_norms(model: "keras.Model") -> "keras.Model":
    """Return a model on torch whose layer normalizations can be exported.

    Keras passes PyTorch sizes that it reads off the input, which PyTorch's exporter takes for numbers to be computed.
    """
    import keras
    import torch

    class StaticNorm(keras.layers.LayerNormalization):
        def call(self, x: Any) -> Any:
            gamma, beta = (None if each is None else each.value for each in (self.gamma, self.beta))
            return torch.nn.functional.layer_norm(x, self.sizes, gamma, beta, self.epsilon)

        def build(self, input_shape: Any) -> None:
            super().build(input_shape)
            self.sizes = [input_shape[axis] for axis in self.axis]

    def is_last(layer: Any) -> bool:
        if type(layer) is not keras.layers.LayerNormalization or layer.rms_scaling:
            return False
        rank = len(layer.input.shape)
        return sorted(axis % rank for axis in layer.axis) == list(range(rank - len(layer.axis), rank))

    def copy(layer: Any) -> Any:
        return StaticNorm.from_config(layer.get_config()) if is_last(layer) else layer

    if not any(map(is_last, model.layers)):
        return model
    clone = keras.models.clone_model(model, clone_function=copy)
    clone.set_weights(model.get_weights())
    clone.predict_on_batch(np.zeros((1, *model.input_shape[1:]), model.input.dtype))  # Keras needs a call before
    return clone


def name_ends(path: Path) -> None:
    """Give the input and output of an ONNX file the names that every export has, whatever the exporter numbered."""
    import onnx

    model = onnx.load(path)
    graph = model.graph
    names = {graph.input[0].name: INPUT_NAME, graph.output[0].name: OUTPUT_NAME}
    for node in graph.node:
        for ends in (node.input, node.output):
            ends[:] = [names.get(name, f"{name}_inner" if name in names.values() else name) for name in ends]
    for value in (*graph.input, *graph.output, *graph.value_info):
        value.name = names.get(value.name, f"{value.name}_inner" if value.name in names.values() else value.name)
    onnx.save(model, path)


def write_openvino(model: "keras.Model", path: Path, calibration: np.ndarray | None = None) -> None:
    """Write via ONNX: Keras' direct route loses the size of the pictures on torch, and does not exist on JAX."""
    import openvino

    between = path.with_suffix(".onnx")
    try:
        write_onnx(model, between, calibration)
        openvino.serialize(openvino.Core().read_model(between), path)
    finally:
        between.unlink(missing_ok=True)


def write_litert(model: "keras.Model", path: Path, calibration: np.ndarray | None = None) -> None:
    if calibration is None:
        model.export(path, format="litert", verbose=False)
        return
    import tensorflow

    def feeds() -> Iterator[list[np.ndarray]]:
        return ([picture[np.newaxis]] for picture in calibration)

    default = [tensorflow.lite.Optimize.DEFAULT]
    model.export(path, format="litert", verbose=False, optimizations=default, representative_dataset=feeds)


def write_saved_model(model: "keras.Model", path: Path, calibration: np.ndarray | None = None) -> None:
    model.export(path, format="tf_saved_model", verbose=False)


ONNX: dict[str, tuple[str, ...]] = {"torch": ("onnx",), "tensorflow": ("tf2onnx",)}
FORMATS = {  # by suffix
    ".onnx": ExportFormat("ONNX", ONNX, "onnx", write_onnx),
    ".xml": ExportFormat(
        "OpenVINO", {backend: (*needed, "openvino") for backend, needed in ONNX.items()}, "openvino", write_openvino
    ),
    ".tflite": ExportFormat("LiteRT", {"tensorflow": ()}, "litert", write_litert),
    "": ExportFormat("SavedModel", {"tensorflow": ()}, "tensorflow", write_saved_model),
}
