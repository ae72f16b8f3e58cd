"""ENGINES: what runs a model file. Each takes pixels and gives class probabilities; none but its own is loaded.

By ONNX no deep-learning framework is needed: OpenCV, which reads the pictures anyway, computes the network too.
"""

import os
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kerasnets.errors import BadInputError, in_one_line, is_full_memory, shorten
from kerasnets.runtime.backends import import_quietly, is_installed, quiet_stderr
from kerasnets.saving.formats import suffix_of

AUTO = "auto"
TAKEN = ("uint8", "float32")  # what goes in: pixels of 0..255, or of 0..1 as other programs have them; rows of a table


class Engine:
    """A model file, loaded. Called with uint8 pixels (n, height, width, channels), 0..255, or float32 rows of a table
    (n, columns), it returns float32 class probabilities (n, num_classes). Threads may share one.

    shape: (height, width, channels) or (columns,) of what goes in, with None where the file takes any.
    step: between two scores that can be told apart, where the file gives integers; else 0.
    """

    step = 0.0

    def __init__(self, path):
        self.path = Path(path)
        self.lock = threading.Lock()
        self.read()

    def __call__(self, pixels):
        parts = np.split(self.fitted(pixels), len(pixels)) if self.one_by_one else [self.fitted(pixels)]
        try:
            scores = np.concatenate([np.asarray(self.compute(part), np.float32) for part in parts])
        except Exception as error:  # onnxruntime's own have no base but this
            if is_full_memory(error):
                raise
            raise unreadable(self.path, type(self).__name__, error) from error
        if scores.ndim != 2 or len(scores) != len(pixels) or scores.shape[1] < 2:
            raise BadInputError(
                f"{shorten(self.path)} gives {scores.shape}, not a score for each class; use a classifier's file"
            )
        if not np.isfinite(scores).all():
            raise BadInputError(
                f"{shorten(self.path)} gives numbers that are not finite: its weights are damaged; export or train it "
                "again"
            )
        return scores if are_probabilities(scores, self.step) else softmax(scores)

    def fitted(self, pixels):
        """The pixels as a file of another program takes them, which says no more of them than their type and shape."""
        if self.channels_first and pixels.ndim == 4:
            pixels = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
        if self.dtype == "uint8" or pixels.ndim != 4:
            return pixels
        return pixels.astype(self.dtype) / np.asarray(255, self.dtype)

    def take(self, shape, dtype):
        """Note what goes in: the `shape`, None where it is open, with the number of pictures, and the `dtype`."""
        count, *shape = shape
        if count not in (None, 1) or dtype not in TAKEN:
            raise BadInputError(
                f"{shorten(self.path)} takes {dtype} of {count or 'any number of'} pictures at a time, not "
                f"{' or '.join(TAKEN)} of one or any number; export it so"
            )
        self.dtype, self.one_by_one = dtype, count == 1
        self.channels_first = len(shape) == 3 and shape[0] in (1, 3)
        self.shape = (*shape[1:], shape[0]) if self.channels_first else tuple(shape)

    def take_onnx(self):
        """The same of an ONNX file; return the input's name."""
        from kerasnets.saving import onnx_check

        entered = onnx_check.input_of(self.path)
        self.take(entered.shape, entered.dtype)
        return entered.name


class OpenCV(Engine):
    """cv2.dnn: nothing to install, and the fastest to begin."""

    def read(self):
        import cv2

        self.take_onnx()
        try:
            self.network = cv2.dnn.readNetFromONNX(str(self.path))
        except cv2.error as error:
            raise unreadable(self.path, "OpenCV", error) from error

    def compute(self, pixels):
        with self.lock:  # input and output belong to the network
            self.network.setInput(pixels)
            return self.network.forward().copy()


class OnnxRuntime(Engine):
    """Microsoft's onnxruntime, on the CPU."""

    def read(self):
        import onnxruntime

        self.name = self.take_onnx()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # what is wrong comes as an exception
        try:
            self.session = onnxruntime.InferenceSession(self.path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its own classes, which have no base but this
            raise unreadable(self.path, "onnxruntime", error) from error

    def compute(self, pixels):
        return self.session.run(None, {self.name: pixels})[0]


# On processors that know bfloat16, OpenVINO would compute in it: probabilities off by 4e-3.
OPENVINO_SETTINGS = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}


class OpenVINO(Engine):
    """Intel's OpenVINO, on the CPU: an ONNX file, or its own form (.xml, beside which lies the .bin)."""

    def read(self):
        import openvino

        try:
            model = openvino.Core().compile_model(self.path, "CPU", OPENVINO_SETTINGS)
        except RuntimeError as error:
            raise unreadable(self.path, "OpenVINO", error) from error
        entered = model.inputs[0]
        shape = [side.get_length() if side.is_static else None for side in entered.partial_shape]
        self.take(shape, entered.element_type.to_dtype().name)
        self.request = model.create_infer_request()

    def compute(self, pixels):
        with self.lock:  # a request is one computation at a time
            return self.request.infer(pixels)[0]


class LiteRT(Engine):
    """Google's LiteRT, which was TensorFlow Lite (.tflite)."""

    def read(self):
        from ai_edge_litert.interpreter import Interpreter

        try:
            with quiet_stderr():  # it tells of its delegates
                self.interpreter = Interpreter(str(self.path))
                self.interpreter.allocate_tensors()
            self.entered = self.interpreter.get_input_details()[0]
            self.given = self.interpreter.get_output_details()[0]
        except (ValueError, RuntimeError) as error:
            raise unreadable(self.path, "LiteRT", error) from error
        shape = [int(side) if side > 0 else None for side in self.entered["shape_signature"]]
        self.take(shape, meant(self.entered))
        self.step = self.given["quantization"][0]

    def compute(self, pixels):
        with self.lock:
            self.interpreter.resize_tensor_input(self.entered["index"], pixels.shape)
            self.interpreter.allocate_tensors()
            self.interpreter.set_tensor(self.entered["index"], quantized(pixels, self.entered))
            self.interpreter.invoke()
            return dequantized(self.interpreter.get_tensor(self.given["index"]), self.given)


class SavedModel(Engine):
    """TensorFlow, for a SavedModel's folder, which is a program that it runs."""

    def read(self):
        import_quietly("tensorflow")
        import tensorflow

        try:
            self.model = tensorflow.saved_model.load(str(self.path))  # which its signatures live by
            self.serve = self.model.signatures["serving_default"]
            ((self.name, entered),) = self.serve.structured_input_signature[1].items()
            (self.given,) = self.serve.structured_outputs
        except (OSError, ValueError, AttributeError, KeyError) as error:
            raise unreadable(self.path, "TensorFlow", error) from error
        self.take(entered.shape, entered.dtype.name)

    def compute(self, pixels):
        import tensorflow

        return self.serve(**{self.name: tensorflow.constant(pixels)})[self.given].numpy()


class Keras(Engine):
    """Keras on its backend, for .keras and .h5: the slowest to begin by far."""

    def read(self):
        from kerasnets import saving

        self.model, _ = saving.load(self.path)
        self.take(self.model.input_shape, self.model.inputs[0].dtype)  # of a Sequential too
        self.channels_first = False  # Keras' own arrays
        self.shape = self.model.input_shape[1:]
        if any(type(layer).__name__ in ("Rescaling", "Normalization") for layer in layers_of(self.model)):
            self.dtype = "uint8"  # it scales its pixels itself, whatever type they come in

    def compute(self, pixels):
        with self.lock:
            return self.model.predict_on_batch(pixels)


@dataclass(frozen=True)
class Row:
    """An engine: the class that loads a file, the package that it needs, the files that it reads by their suffix."""

    load: type
    package: str
    suffixes: tuple[str, ...]  # "" of a folder


ENGINES = {  # of those that read a file, in the order of choice
    "opencv": Row(OpenCV, "cv2", (".onnx",)),
    "onnxruntime": Row(OnnxRuntime, "onnxruntime", (".onnx",)),
    "openvino": Row(OpenVINO, "openvino", (".xml", ".onnx")),
    "litert": Row(LiteRT, "ai_edge_litert", (".tflite",)),
    "tensorflow": Row(SavedModel, "tensorflow", ("",)),
    "keras": Row(Keras, "keras", (".keras", ".h5")),
}
HALF_WAY = 16  # between 1 and 255, the largest of pixels that are divided by 255 and of those that are not
LARGE = 5_000_000  # bytes of a file, from which computing takes longer than beginning
FOR_LARGE = ("onnxruntime", "openvino")  # 2.1 to 2.7 times as fast as OpenCV (docs/benchmarks/prediction.md)
INSTALL = {"cv2": "opencv-python", "ai_edge_litert": "ai-edge-litert"}  # where pip has another name than import


def choose(path, name=AUTO):
    """The name of the engine that runs the model file `path`: `name`, or the fastest that is installed.

    Raises ValueError for an unknown engine, or one that does not read such files; ImportError for one that is not
    installed; BadInputError for a file that no engine reads.
    """
    if name not in (AUTO, *ENGINES):
        raise ValueError(f"unknown engine {name!r}; choose one of: {', '.join((AUTO, *ENGINES))}")
    suffix = suffix_of(path)
    readers = [reader for reader, row in ENGINES.items() if suffix in row.suffixes]
    if not readers:
        known = ", ".join(sorted({s for row in ENGINES.values() for s in row.suffixes if s}))
        raise BadInputError(f"{shorten(path)} is not a model file; those end in {known}, or are a SavedModel's folder")
    if name == AUTO and Path(path).is_file() and Path(path).stat().st_size > LARGE:
        readers.sort(key=lambda reader: reader not in FOR_LARGE)
    if name != AUTO and name not in readers:
        raise ValueError(f"{name} does not read {shorten(path)}; choose one of: {', '.join((AUTO, *readers))}")
    for reader in readers if name == AUTO else [name]:
        if is_installed(ENGINES[reader].package):
            return reader
    package = ENGINES[reader].package
    raise ImportError(
        f"{shorten(path)} needs {reader}, which is not installed: pip install {INSTALL.get(package, package)}"
    )


def load(path, name=AUTO):
    """The Engine that has loaded the model file `path`; as in `choose`, and BadInputError for a damaged file."""
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # what it cannot read, the exception says
    return ENGINES[choose(path, name)].load(path)


def meant(tensor):
    """The dtype of the numbers that go into a LiteRT `tensor`; of integers that stand for others, that of those.

    Of pixels divided by 255 the largest is 1, of pixels as they are 255.
    """
    scale, zero_point = tensor["quantization"]
    if not scale:
        return np.dtype(tensor["dtype"]).name
    return "uint8" if scale * (np.iinfo(tensor["dtype"]).max - zero_point) > HALF_WAY else "float32"


def quantized(numbers, tensor):
    """Numbers as integers q of a LiteRT `tensor`, where it has such: number = scale * (q - zero point)."""
    scale, zero_point = tensor["quantization"]
    if not scale:
        return numbers
    limits = np.iinfo(tensor["dtype"])
    return np.clip(np.rint(numbers / scale) + zero_point, limits.min, limits.max).astype(tensor["dtype"])


def dequantized(integers, tensor):
    scale, zero_point = tensor["quantization"]
    return (integers.astype(np.float32) - zero_point) * np.float32(scale) if scale else integers


def layers_of(model):
    """The layers of a Keras model, those of the models in it too."""
    for layer in model.layers:
        yield from layers_of(layer) if hasattr(layer, "layers") else (layer,)


def unreadable(path, engine, error):
    return BadInputError(f"{shorten(path)} cannot be run by {engine} ({in_one_line(error)}); export it again")


def are_probabilities(scores, step=0.0):
    """Whether rows are shares that add up to 1, as far as scores in steps of `step` tell them."""
    off = 0.02 + step * scores.shape[1] / 2
    return bool(scores.min() >= 0 and scores.max() <= 1 and abs(scores.sum(axis=1) - 1).max() <= off)


def softmax(logits):
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)
