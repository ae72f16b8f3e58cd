"""The engines: one class for each library that runs model files, which it imports when it loads one."""

from typing import Any

import numpy as np

from kerasnets.prediction.engine import Engine
from kerasnets.runtime.backends import import_quietly, quiet_stderr

LARGEST_SCALED = 16  # lies between 1 and 255, the largest pixels with and without division by 255


class OpenCV(Engine):
    """cv2.dnn: part of OpenCV, which reads the pictures anyway, and the fastest to start."""

    title = "OpenCV"

    def read(self) -> None:
        import cv2

        self.set_onnx_input()
        for each in (cv2.dnn.ENGINE_AUTO, cv2.dnn.ENGINE_CLASSIC):  # the new one of OpenCV 5 reads no 8-bit networks
            try:
                self.network = cv2.dnn.readNetFromONNX(str(self.path), each)
                return
            except cv2.error as error:
                fault = error
        raise self.unreadable(fault) from fault

    def compute(self, pixels: np.ndarray) -> Any:
        with self.lock:  # input and output belong to the network
            self.network.setInput(pixels)
            return self.network.forward().copy()


class OnnxRuntime(Engine):
    """Microsoft's onnxruntime, on the CPU."""

    title = "onnxruntime"

    def read(self) -> None:
        import onnxruntime

        self.name = self.set_onnx_input()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # errors come as exceptions
        try:
            self.session = onnxruntime.InferenceSession(self.path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its exceptions have no other common base
            raise self.unreadable(error) from error

    def compute(self, pixels: np.ndarray) -> Any:
        return self.session.run(None, {self.name: pixels})[0]


# On processors with bfloat16, OpenVINO would compute in it: probabilities would be off by 4e-3.
OPENVINO_SETTINGS = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}


class OpenVINO(Engine):
    """Intel's OpenVINO, on the CPU: an ONNX file, or OpenVINO's own .xml with a .bin."""

    title = "OpenVINO"

    def read(self) -> None:
        import openvino

        try:
            model = openvino.Core().compile_model(self.path, "CPU", OPENVINO_SETTINGS)
        except RuntimeError as error:
            raise self.unreadable(error) from error
        tensor = model.inputs[0]
        shape = [side.get_length() if side.is_static else None for side in tensor.partial_shape]
        self.set_input(shape, tensor.element_type.to_dtype().name)
        self.request = model.create_infer_request()

    def compute(self, pixels: np.ndarray) -> Any:
        with self.lock:  # a request is one computation at a time
            return self.request.infer(pixels)[0]


class LiteRT(Engine):
    """Google's LiteRT, formerly TensorFlow Lite (.tflite)."""

    title = "LiteRT"

    def read(self) -> None:
        from ai_edge_litert.interpreter import Interpreter

        try:
            with quiet_stderr():  # it announces its delegates
                self.interpreter = Interpreter(str(self.path))
                self.interpreter.allocate_tensors()
            self.input = self.interpreter.get_input_details()[0]
            self.output = self.interpreter.get_output_details()[0]
        except (ValueError, RuntimeError) as error:
            raise self.unreadable(error) from error
        shape = [int(side) if side > 0 else None for side in self.input["shape_signature"]]
        self.set_input(shape, logical_dtype(self.input))
        self.step = self.output["quantization"][0]

    def compute(self, pixels: np.ndarray) -> Any:
        with self.lock:
            self.interpreter.resize_tensor_input(self.input["index"], pixels.shape)
            self.interpreter.allocate_tensors()
            self.interpreter.set_tensor(self.input["index"], quantize(pixels, self.input))
            self.interpreter.invoke()
            return dequantize(self.interpreter.get_tensor(self.output["index"]), self.output)


def logical_dtype(tensor: dict[str, Any]) -> str:
    """Return the dtype of a LiteRT tensor; for a quantized tensor, the dtype of the values that it encodes.

    The largest value that it can encode is 1 for pixels divided by 255, and 255 for other pixels.
    """
    scale, zero_point = tensor["quantization"]
    if not scale:
        return np.dtype(tensor["dtype"]).name
    return "uint8" if scale * (np.iinfo(tensor["dtype"]).max - zero_point) > LARGEST_SCALED else "float32"


def quantize(values: np.ndarray, tensor: dict[str, Any]) -> np.ndarray:
    """Return values as the integers q of a LiteRT tensor: value = scale * (q - zero point). No-op if it has floats."""
    scale, zero_point = tensor["quantization"]
    if not scale:
        return values
    limits = np.iinfo(tensor["dtype"])
    return np.clip(np.rint(values / scale) + zero_point, limits.min, limits.max).astype(tensor["dtype"])


def dequantize(integers: np.ndarray, tensor: dict[str, Any]) -> np.ndarray:
    """The inverse of `quantize`."""
    scale, zero_point = tensor["quantization"]
    return (integers.astype(np.float32) - zero_point) * np.float32(scale) if scale else integers


class SavedModel(Engine):
    """TensorFlow, for the folder of a SavedModel, which is a program that TensorFlow runs."""

    title = "TensorFlow"

    def read(self) -> None:
        import_quietly("tensorflow")
        import tensorflow

        try:
            self.model = tensorflow.saved_model.load(str(self.path))  # kept: its signatures do not outlive it
            self.serve = self.model.signatures["serving_default"]
            ((self.name, tensor),) = self.serve.structured_input_signature[1].items()
            (self.output,) = self.serve.structured_outputs
        except (OSError, ValueError, AttributeError, KeyError) as error:
            raise self.unreadable(error) from error
        self.set_input(tensor.shape, tensor.dtype.name)

    def compute(self, pixels: np.ndarray) -> Any:
        import tensorflow

        return self.serve(**{self.name: tensorflow.constant(pixels)})[self.output].numpy()


class Keras(Engine):
    """Keras on its backend, for .keras and .h5: by far the slowest to start."""

    title = "Keras"

    def read(self) -> None:
        from kerasnets import saving

        self.model, card, self.words = saving.load_with_scale(self.path, self.guest)
        self.multi_label = card.multi_label
        self.set_input(self.model.input_shape, self.model.inputs[0].dtype)
        self.channels_first = False  # Keras takes our arrays as they are
        self.shape = self.model.input_shape[1:]

    @property
    def scale_words(self) -> str:
        return self.words

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        return pixels  # the model does all that the guest asks for

    def compute(self, pixels: np.ndarray) -> Any:
        with self.lock:
            return self.model.predict_on_batch(pixels)
