"""An export in 8 bits is a quarter of the file, answers as Keras does, and says how often it is right."""

import dataclasses

import numpy as np
import pytest

from kerasnets import data
from kerasnets.errors import BadInputError
from kerasnets.export import Calibration
from kerasnets.prediction import Classifier, engines
from kerasnets.saving import shipped
from tests.cli.test_app import only_line, run
from tests.exports import export

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
NETWORK = "mnist_cnn-digits"


@pytest.fixture(scope="module")
def calibration():
    digits = data.load_data("digits")
    return Calibration(digits.train_images, digits.test_images, digits.test_labels, 10)


def integers_of(path):
    """Count the weights in an ONNX file: (8-bit integers, floats)."""
    model = onnx.load(path)
    sizes = [(tensor.data_type, int(np.prod(tensor.dims))) for tensor in model.graph.initializer]
    return tuple(sum(size for kind, size in sizes if kind == wanted) for wanted in (onnx.TensorProto.INT8, 1))


def test_an_onnx_file_of_8_bits_is_small_and_as_good(workers, tmp_path, calibration):
    path = shipped.path_of(NETWORK, shipped.KERAS)
    whole = export(path, tmp_path / "whole.onnx", workers)
    small = export(path, tmp_path / "small.onnx", workers, calibration=calibration)
    assert small.bytes < 0.35 * whole.bytes
    integers, floats = integers_of(tmp_path / "small.onnx")
    assert integers > 90_000 > 1_000 > floats  # of 93,322 weights, the biases apart
    tensors = map(onnx.numpy_helper.to_array, onnx.load(tmp_path / "small.onnx").graph.initializer)
    assert max(abs(each.astype(int)).max() for each in tensors if each.dtype == np.int8 and each.ndim > 1) == 64

    session = onnxruntime.InferenceSession(tmp_path / "small.onnx", providers=["CPUExecutionProvider"])
    right = (
        session.run(["probabilities"], {"pixels": calibration.test_pictures})[0].argmax(1) == calibration.test_labels
    )
    assert small.accuracies["onnxruntime"] == pytest.approx(right.mean())
    assert min(small.accuracies.values()) > small.accuracies["keras"] - 0.01
    assert "int8_accuracy: keras=0.9" in small.line()

    card = Classifier.load(tmp_path / "small.onnx").card
    assert card == Classifier.load(tmp_path / "whole.onnx").card
    for engine in small.differences:
        answers = engines.load(tmp_path / "small.onnx", engine)(calibration.test_pictures[:50]).argmax(1)
        assert (answers == calibration.test_labels[:50]).mean() > 0.9


@pytest.mark.all_backends
@pytest.mark.parametrize(("backend", "suffix"), [("torch", ".xml"), ("tensorflow", ".tflite"), ("tensorflow", ".onnx")])
def test_other_forms_of_8_bits_are_as_good(workers, tmp_path, monkeypatch, calibration, backend, suffix):
    monkeypatch.setenv("KERAS_BACKEND", backend)
    path = shipped.path_of(NETWORK, shipped.KERAS)
    small = export(path, tmp_path / f"small{suffix}", workers, calibration=calibration)
    assert len(small.accuracies) > 1
    assert min(small.accuracies.values()) > small.accuracies["keras"] - 0.01
    assert 1e-5 < max(small.differences.values()) < 0.5  # it is another network


def test_an_engine_that_cannot_run_8_bits_is_left_out_with_a_word(workers, tmp_path):
    """OpenCV cannot run a quantized Gemm of rows."""
    rows = data.load_data("sum3")
    told = []
    calibration = Calibration(rows.train_images, rows.test_images, rows.test_labels, len(rows.class_names))
    path = shipped.path_of("dnn_tabular-sum3", shipped.KERAS)
    small = export(path, tmp_path / "rows.onnx", workers, told.append, calibration)
    assert "onnxruntime" in small.accuracies
    assert ("note: opencv cannot run this file in 8 bits" in told) == ("opencv" not in small.accuracies)


def test_pictures_of_another_number_of_classes_judge_nothing(workers, tmp_path, calibration):
    path = shipped.path_of(NETWORK, shipped.KERAS)
    other = dataclasses.replace(calibration, num_classes=3)
    with pytest.raises(BadInputError, match="gives 10 classes, and the data of --int8 have 3"):
        export(path, tmp_path / "small.onnx", workers, calibration=other)
    assert list(tmp_path.iterdir()) == []


def test_a_part_without_pictures_is_refused(calibration):
    with pytest.raises(ValueError, match="8 bits need pictures of a training part"):
        dataclasses.replace(calibration, pictures=calibration.pictures[:0])


@pytest.mark.parametrize(("arguments", "code", "words"), [
    (("--out", "folder", "--int8", "digits"), 2, "a SavedModel has no form of 8 bits; name a file that ends in .onnx"),
    (("--out", "a.onnx", "--int8", "sum3"), 3, "takes pictures, sums of three numbers has rows of numbers"),
    (("--out", "a.onnx", "--int8", "nosuch"), 2, "unknown data set 'nosuch'"),
    (("--out", "a.onnx", "--data-dir", "data"), 2, "--data-dir goes with --int8"),
])  # fmt: skip
def test_data_that_do_not_fit_are_refused_in_one_line(tmp_path, arguments, code, words):
    assert words in only_line(run(tmp_path, "export.py", NETWORK, *arguments), code)
    assert list(tmp_path.iterdir()) == []
