"""Post-training quantization of an ONNX file: weights of 7 and activations of 8 bits, by onnxruntime.

An integer q stands for scale * (q - zero point). The scale of an activation follows from its smallest and largest value
over the pictures of a calibration. The input's arithmetic and the last softmax or sigmoid stay in float32: in 8 bits,
probabilities would come in steps of 1/255.
"""

import contextlib
import logging
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

OPERATORS = (
    "Conv", "Gemm", "MatMul", "Add", "Relu", "Clip", "MaxPool", "AveragePool", "GlobalAveragePool", "Concat", "Flatten",
    "Reshape", "Transpose",
)  # fmt: skip
MOST_CALIBRATION, MOST_TEST = 200, 1000  # pictures at most


@dataclass(frozen=True)
class Calibration:
    """Prepared pictures, as the network takes them, that set the scales, and others that judge the result.

    pictures, test_pictures: uint8 (n, height, width, channels), or float32 rows (n, columns); at most MOST_CALIBRATION
        and MOST_TEST of them are taken.
    test_labels: int64 (n,).
    num_classes: Of the data.

    Raises:
        ValueError: One of them is empty.
    """

    pictures: np.ndarray
    test_pictures: np.ndarray
    test_labels: np.ndarray
    num_classes: int

    def __post_init__(self) -> None:
        if not len(self.pictures) or not len(self.test_pictures):
            raise ValueError(
                "8 bits need pictures of a training part, to set ranges, and of a test part, to judge them"
            )


def quantize_onnx(path: Path, pictures: np.ndarray) -> None:
    """Replace the ONNX file `path`, of one input, by its quantized form.

    Args:
        path: Takes a batch of any size.
        pictures: As of a Calibration.
    """
    import onnx
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(quantization.CalibrationDataReader):
        def __init__(self, name: str) -> None:
            self.feeds = ({name: picture[np.newaxis]} for picture in pictures)

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.feeds, None)

    with tempfile.TemporaryDirectory(prefix="kerasnets-int8-") as folder, quiet():
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(path, prepared, skip_symbolic_shape=True)
        quantization.quantize_static(
            prepared,
            path,
            Reader(onnx.load(prepared).graph.input[0].name),
            per_channel=True,
            reduce_range=True,  # weights of 7 bits: with AVX2 and without VNNI, sums of products of 8 bits saturate
            op_types_to_quantize=list(OPERATORS),
        )
    model = onnx.load(path)
    used = {node.domain for node in model.graph.node}
    for each in [each for each in model.opset_import if each.domain not in used]:  # of onnxruntime
        model.opset_import.remove(each)
    onnx.save(model, path)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Drop onnxruntime's advice to prepare the file, which it gives on the root logger."""
    root, level = logging.getLogger(), logging.getLogger().level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)
