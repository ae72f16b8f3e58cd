"""ONNX files that OpenCV cannot run, or that another program made of ours, are answered by an engine that can."""

import numpy as np
import pytest

from kerasnets import data
from kerasnets.errors import BadInputError
from kerasnets.prediction import Classifier
from kerasnets.saving import Card, Guest, formats, onnx_file
from tests.conftest import ROOT

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

SHIPPED = ROOT / "models_saved/pretrained/mnist_cnn-mnist.onnx"


@pytest.fixture
def quantized(tmp_path):
    """An int8 copy of a shipped model, as onnxruntime's own tool writes it."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    path = tmp_path / "int8.onnx"
    quantize_dynamic(SHIPPED, path, weight_type=QuantType.QUInt8)
    return path


def test_an_int8_copy_of_our_export_keeps_its_card_and_is_answered(quantized):
    classifier = Classifier.load(quantized)
    assert classifier.card.class_names == tuple("0123456789")
    digits = data.load_data("digits").test_images[:20]
    answers, expected = classifier.predict(digits), Classifier.load(SHIPPED).predict(digits)
    assert [a.label for a in answers] == [b.label for b in expected]
    assert classifier.engine_name != "opencv" or not classifier.others


def test_a_copy_that_is_merely_damaged_is_still_refused(tmp_path):
    content = bytearray(SHIPPED.read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "flipped.onnx").write_bytes(content)
    with pytest.raises(BadInputError, match="is damaged: it is not what was exported"):
        onnx_file.read(tmp_path / "flipped.onnx")


def network(path, operator, version, **attributes):
    """Write a network of one operator between pixels and three means, one for each colour."""
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    given = helper.make_tensor_value_info("x", kind, ["n", 3, 8, 8])
    result = helper.make_tensor_value_info("y", kind, ["n", 3])
    nodes = [
        helper.make_node(operator, ["x"], ["a"], **attributes),
        helper.make_node("GlobalAveragePool", ["a"], ["b"]),
        helper.make_node("Flatten", ["b"], ["y"]),
    ]
    graph = helper.make_graph(nodes, "g", [given], [result])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)], ir_version=9), path)
    return path


def test_an_operator_that_opencv_lacks_goes_to_another_engine(tmp_path):
    path = network(tmp_path / "a.onnx", "LpPool", 11, kernel_shape=[2, 2])
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[..., 1] = 255
    classifier = Classifier.load(path)
    [answer] = classifier.predict(picture)
    assert answer.label == "class 1"
    assert classifier.engine_name != "opencv"


def test_without_another_engine_it_is_refused(tmp_path):
    path = network(tmp_path / "a.onnx", "LpPool", 11, kernel_shape=[2, 2])
    with pytest.raises(BadInputError, match="cannot be run by OpenCV"):
        Classifier.load(path, "opencv").predict(np.zeros((8, 8, 3), np.uint8))


def test_external_data_are_refused_with_the_way_to_export_them_whole(tmp_path):
    model = onnx.load(SHIPPED)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "a.onnx", save_as_external_data=True, location="a.data", size_threshold=0)
    with pytest.raises(BadInputError, match="external_data=False") as caught:
        onnx_file.read(tmp_path / "a.onnx")
    assert len(str(caught.value)) < 200 + len(str(tmp_path))


HEADS = {  # the score of a file that gives one, from a logit
    "a logit": ([], ["n", 1]),
    "a probability": ([("Sigmoid", {})], ["n", 1]),
    "a probability without an axis of its own": ([("Sigmoid", {}), ("Flatten", {"axis": 0}), ("Squeeze", {})], ["n"]),
}


def head_of(path, nodes, shape, row=False):
    """Write a network whose logit is 20 times the mean pixel of 0..1 minus 4."""
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    given = helper.make_tensor_value_info("x", kind, ["n", 64] if row else ["n", 1, 8, 8])
    weights = {"w": np.full((64, 1), 20 / 64, "float32"), "b": np.array([-4], "float32")}
    chain = [("Flatten", {}), ("Gemm", {}), *nodes]
    made = [
        helper.make_node(
            kind, ["x" if i == 0 else f"t{i}", *(["w", "b"] if kind == "Gemm" else [])], [f"t{i + 1}"], **more
        )
        for i, (kind, more) in enumerate(chain)
    ]
    result = helper.make_tensor_value_info(f"t{len(chain)}", kind, shape)
    tensors = [onnx.numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(made, "g", [given], [result], tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=9), path)
    return path


GREYS = {51: 0.5, 77: 1 / (1 + np.exp(4 - 20 * 77 / 255)), 0: 1 / (1 + np.exp(4))}  # pixel -> of the second class


@pytest.mark.parametrize("case", HEADS)
def test_a_single_score_is_the_probability_of_the_second_class(tmp_path, case):
    classifier = Classifier.load(head_of(tmp_path / "a.onnx", *HEADS[case]), guest=Guest(class_names=("cat", "dog")))
    for grey, expected in GREYS.items():
        answer = dict(classifier.predict(np.full((8, 8), grey, "uint8"))[0].ranking)
        assert answer["dog"] == pytest.approx(expected, abs=1e-5)
        assert answer["cat"] == pytest.approx(1 - expected, abs=1e-5)


def test_flat_pictures_are_taken_as_rows_and_a_card_tells_that_they_are_pictures(tmp_path):
    path = head_of(tmp_path / "a.onnx", *HEADS["a logit"], row=True)
    guest = Guest("picture", ("cat", "dog"), image_size=(8, 8))
    first = Classifier.load(path, guest=guest).predict(np.full((16, 16), 77, "uint8"))[0]
    formats.add(path, Card("a", ("cat", "dog"), (8, 8, 1)))
    again = Classifier.load(path).predict(np.full((16, 16), 77, "uint8"))[0]
    assert dict(first.ranking)["dog"] == pytest.approx(GREYS[77], abs=1e-5)
    assert again.ranking == first.ranking


def test_a_map_for_each_class_is_refused(tmp_path):
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    values = [helper.make_tensor_value_info(name, kind, ["n", 3, 8, 8]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", values[:1], values[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=9), tmp_path / "a.onnx")
    with pytest.raises(BadInputError, match=r"gives \(1, 3, 8, 8\), not a score for each class"):
        Classifier.load(tmp_path / "a.onnx").predict(np.zeros((8, 8, 3), "uint8"))
