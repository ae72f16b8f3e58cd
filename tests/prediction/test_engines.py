"""Every engine gives the same answers, also in threads, and runs other programs' files."""

import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

import cv2
import numpy as np
import pytest

from kerasnets.data import folders
from kerasnets.errors import BadInputError
from kerasnets.prediction import Classifier, engines
from kerasnets.prediction.engine import are_probabilities
from tests.exports import export, pictures, save_network

onnx = pytest.importorskip("onnx")
openvino = pytest.importorskip("openvino")

SHAPE = (16, 16, 3)
HERE = {"opencv": ".onnx", "onnxruntime": ".onnx", "openvino": ".onnx", "openvino by .xml": ".xml", "litert": ".tflite"}
IN_TENSORFLOW = {"tensorflow": "", "keras": ".keras"}


@pytest.fixture(scope="module")
def files(workers, tmp_path_factory):
    """suffix -> one network with batch norm and dropout, as a model file and in every form."""
    folder = tmp_path_factory.mktemp("files")
    workers["tensorflow"](save_network, folder / "small.keras", "baseline_cnn", {"input_shape": SHAPE})
    for suffix in (".onnx", ".xml", ".tflite"):
        export(folder / "small.keras", folder / f"small{suffix}", workers)
    workers["tensorflow"](export, folder / "small.keras", folder / "small")
    return {suffix: folder / f"small{suffix}" for suffix in (".keras", ".onnx", ".xml", ".tflite", "")}


# ---- which engine ----


@pytest.mark.parametrize(("path", "missing", "chosen"), [
    ("a.onnx", (), "opencv"),
    ("a.onnx", ("cv2",), "onnxruntime"),
    ("a.onnx", ("cv2", "onnxruntime"), "openvino"),
    ("a.xml", (), "openvino"),
    ("a.tflite", (), "litert"),
    ("a", (), "tensorflow"),
    ("a.keras", (), "keras"),
    ("a.h5", (), "keras"),
])  # fmt: skip
def test_auto_takes_the_first_installed_engine(monkeypatch, path, missing, chosen):
    monkeypatch.setattr(engines, "is_installed", lambda package: package not in missing)
    assert engines.choose(path) == chosen


@pytest.mark.parametrize(("path", "name", "missing", "kind", "words"), [
    ("a.onnx", "cuda", (), ValueError, "unknown engine 'cuda'; choose one of: auto, opencv, onnxruntime, openvino, "),
    ("a.onnx", "keras", (), ValueError, "keras does not read a.onnx; choose one of: auto, opencv, onnxruntime, openv"),
    ("a.keras", "opencv", (), ValueError, "opencv does not read a.keras; choose one of: auto, keras"),
    ("a.png", "auto", (), BadInputError, "a.png is not a model file; those end in .h5, .keras, .onnx, .tflite, .xml,"),
    ("a.onnx", "onnxruntime", ("onnxruntime",), ImportError, "a.onnx needs onnxruntime, which is not installed: pip i"),
    ("a.onnx", "opencv", ("cv2",), ImportError, "a.onnx needs opencv, which is not installed: pip install opencv-pyt"),
    ("a.tflite", "auto", ("ai_edge_litert",), ImportError, "is not installed: pip install ai-edge-litert"),
    ("a.xml", "auto", ("openvino",), ImportError, "a.xml needs openvino, which is not installed: pip install openvino"),
    ("a", "auto", ("tensorflow",), ImportError, "a needs tensorflow, which is not installed: pip install tensorflow"),
])  # fmt: skip
def test_an_impossible_engine_is_refused_in_one_line(monkeypatch, path, name, missing, kind, words):
    monkeypatch.setattr(engines, "is_installed", lambda package: package not in missing)
    with pytest.raises(kind) as caught:
        engines.choose(path, name)
    assert words in str(caught.value)
    assert len(str(caught.value)) <= 190
    assert "\n" not in str(caught.value)


# ---- threads ----


def apart_in_threads(path, engine):
    """The largest difference of a probability between 8 threads that share a Classifier and one thread alone."""
    batches = [pictures(1 + i % 5, SHAPE, seed=i) for i in range(64)]
    alone = Classifier.load(path, engine)
    expected = [[dict(each.ranking) for each in alone.predict(batch)] for batch in batches]
    shared = Classifier.load(path, engine)  # the threads also load it together
    begin = threading.Barrier(8)

    def predict(i):
        if i < 8:
            begin.wait(60)
        return [dict(each.ranking) for each in shared.predict(batches[i])]

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(predict, range(64)))
    assert len({max(each, key=each.get) for batch in expected for each in batch}) > 2  # predictions vary
    return max(
        abs(ours[label] - theirs[label])
        for one, other in zip(expected, found, strict=True)
        for ours, theirs in zip(one, other, strict=True)
        for label in ours
    )


@pytest.mark.parametrize("case", HERE)
def test_threads_that_share_a_classifier_agree_with_one_thread(files, case):
    assert apart_in_threads(files[HERE[case]], case.split()[0]) < 1e-6


@pytest.mark.parametrize("engine", IN_TENSORFLOW)
def test_threads_that_share_tensorflow_agree_with_one_thread(workers, files, engine):
    assert workers["tensorflow"](apart_in_threads, files[IN_TENSORFLOW[engine]], engine) < 1e-6


# ---- one preprocessing ----


def pixels_by(path, engine, photo):
    """Return the pixels that an engine computes for one picture file, and the pixels in the answer."""
    kind, seen = engines.ENGINES[engine].load, []
    compute = kind.compute
    classifier = Classifier.load(path, engine)
    classifier.loaded = engines.load(path, engine)  # in this process
    with mock.patch.object(kind, "compute", lambda self, pixels: seen.append(pixels) or compute(self, pixels)):
        [answer] = classifier.predict([photo])
    return seen[0][0], answer.pixels


def test_a_photo_reaches_every_engine_with_the_pixels_of_training(workers, files, tmp_path):
    """They are those of OpenCV's INTER_AREA, in the order red, green, blue."""
    photo = pictures(1, (123, 157, 3), seed=5)[0]
    for name in ("cat/1.png", "cat/2.png", "dog/1.png", "dog/2.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / name), photo[..., ::-1])
    expected = cv2.resize(photo, SHAPE[:2], interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(folders.read_classes(tmp_path, SHAPE).train_images[0], expected)
    found = {case: pixels_by(files[suffix], case.split()[0], tmp_path / "cat/1.png") for case, suffix in HERE.items()}
    for engine, suffix in IN_TENSORFLOW.items():
        found[engine] = workers["tensorflow"](pixels_by, files[suffix], engine, tmp_path / "cat/1.png")
    for engine, both in found.items():
        for pixels in both:
            assert pixels.dtype == np.uint8, engine
            np.testing.assert_array_equal(pixels, expected, err_msg=engine)


# ---- other programs' files ----

WEIGHTS = np.random.default_rng(1).normal(size=(60, 3)).astype(np.float32)
THEIRS = np.random.default_rng(2).integers(0, 256, (5, 4, 5, 3), np.uint8)


def softmax(logits):
    exponentials = np.exp(logits.astype(float))
    return exponentials / exponentials.sum(1, keepdims=True)


def their_probabilities(channels_first):
    """Return their network's probabilities for THEIRS, by NumPy: pixels / 255, in their order, times a matrix."""
    pixels = THEIRS.transpose(0, 3, 1, 2) if channels_first else THEIRS
    return softmax(pixels.reshape(5, 60) / 255 @ WEIGHTS)


# what follows the logits in another program's network -> (the operator, its axes, the shape of the scores)
ENDS = {
    "probabilities": ("Softmax", (), ("n", 3)),
    "logits": ("Identity", (), ("n", 3)),
    "not finite": ("Log", (), ("n", 3)),  # of negative numbers
    "a map of one pixel for each class": ("Unsqueeze", (2, 3), ("n", 3, 1, 1)),
    "the same for all": ("ReduceMax", (0,), (1, 3)),
    "unknown": ("Softmux", (), ("n", 3)),  # an operator that ONNX does not have
}


def their_onnx(path, shape, end="probabilities", dtype="FLOAT"):
    """An ONNX file by onnx's own helpers: the pixels in their order times a matrix, then `end`."""
    operator, axes, scores = ENDS[end]
    stored = [
        onnx.numpy_helper.from_array(WEIGHTS, "weights"),
        onnx.numpy_helper.from_array(np.array(axes, "int64"), "axes"),
    ]
    nodes = [
        onnx.helper.make_node("Cast", ["image"], ["floats"], to=onnx.TensorProto.FLOAT),
        onnx.helper.make_node("Flatten", ["floats"], ["row"]),
        onnx.helper.make_node("MatMul", ["row", "weights"], ["logits"]),
        onnx.helper.make_node(operator, ["logits", "axes"] if axes else ["logits"], ["scores"]),
    ]
    graph = onnx.helper.make_graph(
        nodes,
        "theirs",
        [onnx.helper.make_tensor_value_info("image", getattr(onnx.TensorProto, dtype), shape)],
        [onnx.helper.make_tensor_value_info("scores", onnx.TensorProto.FLOAT, scores)],
        stored if axes else stored[:1],
    )
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=8), path)


def their_openvino(path, dtype=np.float32):
    """OpenVINO's own form by its own operations."""
    from openvino import opset13 as ops

    image = ops.parameter([-1, 4, 5, 3], dtype, name="image")
    row = ops.reshape(ops.convert(image, "f32"), np.array([-1, 60]), special_zero=False)
    openvino.save_model(openvino.Model([ops.softmax(ops.matmul(row, WEIGHTS, False, False), 1)], [image]), path)


def probabilities(answers):
    """float (n, classes) of Predictions, by the numbers of the classes."""
    return np.array([[dict(each.ranking)[f"class {k}"] for k in range(3)] for each in answers])


ENGINES = [engine for engine, row in engines.ENGINES.items() if ".onnx" in row.suffixes]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("shape", "end"), [
    (("n", 3, 4, 5), "probabilities"),
    (("n", 4, 5, 3), "logits"),
    ((1, 3, 4, 5), "probabilities"),  # one picture at a time, as many exporters have it
    ((1, 3, 4, 5), "logits"),
])  # fmt: skip
def test_another_programs_onnx_works_and_the_note_tells_the_assumptions(tmp_path, engine, shape, end):
    their_onnx(tmp_path / "theirs.onnx", shape, end)
    classifier = Classifier.load(tmp_path / "theirs.onnx", engine)
    assert classifier.note.endswith(
        "theirs.onnx was not made by kerasnets and names no classes: they are numbered; pictures are resized to 4x5x3, "
        "pixels divided by 255"
    )
    expected = their_probabilities(channels_first=shape[1] == 3)
    np.testing.assert_allclose(probabilities(classifier.predict(THEIRS)), expected, atol=1e-5)
    np.testing.assert_allclose(probabilities(classifier.predict(THEIRS[:1])), expected[:1], atol=1e-5)


def test_another_programs_openvino_works(tmp_path):
    their_openvino(tmp_path / "theirs.xml")
    classifier = Classifier.load(tmp_path / "theirs.xml")
    assert "pictures are resized to 4x5x3, pixels divided by 255" in classifier.note
    np.testing.assert_allclose(
        probabilities(classifier.predict(THEIRS)), their_probabilities(channels_first=False), atol=2e-3
    )  # its own saving rounds weights to 16 bits


@pytest.mark.parametrize("engine", ENGINES)
def test_a_file_that_takes_bytes_gets_unscaled_pixels(tmp_path, engine):
    their_onnx(tmp_path / "theirs.onnx", ("n", 4, 5, 3), "logits", "UINT8")
    classifier = Classifier.load(tmp_path / "theirs.onnx", engine)
    assert classifier.note.endswith("pixels 0 to 255")
    answers = classifier.predict(THEIRS)
    assert [each.label for each in answers] == [f"class {k}" for k in (THEIRS.reshape(5, 60) @ WEIGHTS).argmax(1)]


def their_function(scale=1.0):
    """Their network as TensorFlow has it, without Keras, of pixels times `scale`."""
    import tensorflow

    @tensorflow.function(input_signature=[tensorflow.TensorSpec((None, 4, 5, 3), tensorflow.float32)])
    def classify(image):
        return tensorflow.nn.softmax(tensorflow.reshape(image * scale, (-1, 60)) @ WEIGHTS)

    return classify


def their_saved_model(path):
    import tensorflow

    module = tensorflow.Module()
    module.classify = their_function()
    tensorflow.saved_model.save(module, str(path), signatures=module.classify)


def their_litert(path, dtype, raw):
    """LiteRT's form by its own converter; of integers alone as its documentation quantizes a network after training."""
    import tensorflow

    classify = their_function(1 / 255 if raw else 1.0)
    converter = tensorflow.lite.TFLiteConverter.from_concrete_functions([classify.get_concrete_function()])
    if dtype != "float32":
        converter.optimizations = [tensorflow.lite.Optimize.DEFAULT]
        examples = pictures(99, (4, 5, 3), seed=3) / np.float32(1 if raw else 255)
        converter.representative_dataset = lambda: ([each[None]] for each in examples)
        converter.target_spec.supported_ops = [tensorflow.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tensorflow.as_dtype(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it deprecates this way to quantize
        path.write_bytes(converter.convert())


@pytest.mark.parametrize(("dtype", "raw"), [("float32", False), ("int8", False), ("uint8", False), ("uint8", True)])
def test_another_programs_litert_works_with_floats_and_integers(workers, tmp_path, dtype, raw):
    """Integers encode pixels, weights and probabilities in 256 steps. raw: the file takes unscaled pixels."""
    workers["tensorflow"](their_litert, tmp_path / "theirs.tflite", dtype, raw)
    classifier = Classifier.load(tmp_path / "theirs.tflite")
    assert f"to 4x5x3, pixels {'0 to 255' if raw else 'divided by 255'}" in classifier.note
    expected = their_probabilities(channels_first=False)
    found = probabilities(classifier.predict(THEIRS))
    np.testing.assert_allclose(found, expected, atol=1e-5 if dtype == "float32" else 0.05)


def test_probabilities_in_256_steps_are_recognized():
    """A quantized network of a thousand classes rounds most probabilities to 0, and their sum is not 1."""
    shares = softmax(np.random.default_rng(0).normal(0, 3, (64, 1000)))
    assert are_probabilities(np.rint(shares * 256) / 256, step=1 / 256)
    assert not are_probabilities(shares[:, :50] / shares.max(), step=1 / 256)  # their sums are far from 1


def test_another_programs_saved_model_works_in_a_folder_with_a_dot(workers, tmp_path):
    workers["tensorflow"](their_saved_model, tmp_path / "theirs.v2")
    note, found = workers["tensorflow"](note_and_answers, tmp_path / "theirs.v2")
    assert "theirs.v2 was not made by kerasnets and names no classes" in note
    np.testing.assert_allclose(found, their_probabilities(channels_first=False), atol=1e-5)


def save_plain_keras(path, rescaling):
    """Save a network of plain Keras, flat pixels times a matrix; with `rescaling` it divides by 255 itself."""
    import keras

    parts = [keras.layers.Rescaling(1 / 255)] if rescaling else []
    dense = keras.layers.Dense(3, activation="softmax", use_bias=False)
    model = keras.Sequential([keras.Input((4, 5, 3)), *parts, keras.layers.Flatten(), dense])
    dense.set_weights([WEIGHTS])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # .h5 is an old format
        model.save(path)


def note_and_answers(path):
    classifier = Classifier.load(path)
    return classifier.note, probabilities(classifier.predict(THEIRS))


@pytest.mark.parametrize(("suffix", "rescaling", "words"), [
    (".keras", True, "pixels 0 to 255"),
    (".keras", False, "pixels divided by 255"),
    (".h5", False, "pixels divided by 255"),
])  # fmt: skip
def test_another_persons_keras_model_works(workers, tmp_path, suffix, rescaling, words):
    path = tmp_path / f"theirs{suffix}"
    workers["torch"](save_plain_keras, path, rescaling)
    note, found = workers["torch"](note_and_answers, path)
    assert f"theirs{suffix} was not made by kerasnets and names no classes: they are numbered" in note
    assert note.endswith(words)
    np.testing.assert_allclose(found, their_probabilities(channels_first=False), atol=1e-5)


# ---- invalid scores ----


def refusal(path, engine):
    with pytest.raises(BadInputError) as caught:
        engines.load(path, engine)(THEIRS)
    assert len(str(caught.value)) <= 190
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("end", "words"), [
    ("not finite", "theirs.onnx gives numbers that are not finite: "),
    ("the same for all", "theirs.onnx gives (1, 3), not a score for each class; "),
    ("unknown", "theirs.onnx cannot be run by "),
])  # fmt: skip
def test_invalid_scores_are_refused(tmp_path, engine, end, words):
    their_onnx(tmp_path / "theirs.onnx", ("n", 4, 5, 3), end)
    assert words in refusal(tmp_path / "theirs.onnx", engine)


def test_a_map_of_one_pixel_for_each_class_is_its_score(tmp_path):
    their_onnx(tmp_path / "theirs.onnx", ("n", 4, 5, 3), "a map of one pixel for each class")
    found = engines.load(tmp_path / "theirs.onnx", "onnxruntime")(THEIRS)
    their_onnx(tmp_path / "same.onnx", ("n", 4, 5, 3), "logits")
    np.testing.assert_allclose(found, engines.load(tmp_path / "same.onnx", "onnxruntime")(THEIRS), atol=1e-6)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_file_for_four_pictures_at_a_time_is_refused(tmp_path, engine):
    their_onnx(tmp_path / "theirs.onnx", (4, 4, 5, 3))
    assert "theirs.onnx takes float32 of 4 pictures at a time, not " in refusal(tmp_path / "theirs.onnx", engine)


def test_a_file_for_signed_bytes_is_refused(tmp_path):
    """Quantized networks may take them, but nothing tells how pixels are converted."""
    their_openvino(tmp_path / "theirs.xml", np.int8)
    assert "theirs.xml takes int8" in refusal(tmp_path / "theirs.xml", "openvino")


def test_a_file_of_open_size_is_refused_with_a_remedy(tmp_path):
    their_onnx(tmp_path / "theirs.onnx", ("n", "h", "w", 3))
    classifier = Classifier.load(tmp_path / "theirs.onnx")
    classifier.loaded = engines.load(tmp_path / "theirs.onnx")
    with pytest.raises(BadInputError, match="leaves open what size its pictures have; add --image-size"):
        classifier.predict(THEIRS)
