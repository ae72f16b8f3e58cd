"""An ONNX file carries our card, which every engine ignores, and is read without an engine."""

import itertools
import os
import subprocess
import sys

import numpy as np
import pytest

from kerasnets.errors import BadInputError
from kerasnets.runtime.atomic import whole_file
from kerasnets.saving import Card, onnx_file
from tests.conftest import ROOT, kill_in, often

onnx = pytest.importorskip("onnx")

CARD = Card("tiny", ("cat", "dog", "emu"), (4, 5, 3), accuracy=0.5, source="größer")


def tiny(shape=("n", 4, 5, 3), dtype=onnx.TensorProto.UINT8, more=(), inputs=1, outputs=1, raw=True):
    """A network by onnx's own helpers: the mean of each channel or column times a matrix."""
    weights = np.random.default_rng(0).normal(size=(3, 3)).astype("float32")
    axes = [i for i in range(1, len(shape)) if not (i == len(shape) - 1 if shape[-1] == 3 else i == 1)]
    stored = onnx.numpy_helper.from_array(weights, "weights")
    if not raw:
        stored = onnx.helper.make_tensor("weights", onnx.TensorProto.FLOAT, (3, 3), weights.ravel())
    nodes = [
        onnx.helper.make_node("Cast", ["pixels"], ["floats"], to=onnx.TensorProto.FLOAT),
        onnx.helper.make_node("ReduceMean", ["floats", "axes"] if axes else ["floats"], ["means"], keepdims=0)
        if axes
        else onnx.helper.make_node("Identity", ["floats"], ["means"]),
        onnx.helper.make_node("MatMul", ["means", "weights"], ["scores0"]),
        *more,
    ]
    graph = onnx.helper.make_graph(
        nodes,
        "tiny",
        [onnx.helper.make_tensor_value_info("pixels", dtype, shape)]
        + [onnx.helper.make_tensor_value_info(f"other{i}", dtype, shape) for i in range(1, inputs)],
        [onnx.helper.make_tensor_value_info(f"scores{i}", onnx.TensorProto.FLOAT, ("n", 3)) for i in range(outputs)],
        [stored, onnx.numpy_helper.from_array(np.array(axes, "int64"), "axes")],
    )
    opsets = [onnx.helper.make_opsetid("", 18)]
    return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8)


@pytest.fixture
def path(tmp_path):
    """An exported file with our card."""
    path = tmp_path / "tiny.onnx"
    onnx.save(tiny(), path)
    onnx_file.add_card(path, CARD)
    return path


def test_the_card_comes_back_and_the_engines_ignore_it(path, tmp_path):
    assert onnx_file.load_card(path) == CARD
    onnx.checker.check_model(path, full_check=True)
    assert [each.key for each in onnx.load(path).metadata_props] == ["kerasnets", "kerasnets_sha256"]
    onnx.save(tiny(), tmp_path / "plain.onnx")
    pixels = np.random.default_rng(1).integers(0, 256, (2, 4, 5, 3), np.uint8)
    onnxruntime = pytest.importorskip("onnxruntime")
    answers = [
        onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"]).run(None, {"pixels": pixels})[0]
        for file in (path, tmp_path / "plain.onnx")
    ]
    np.testing.assert_array_equal(*answers)


def test_every_flipped_bit_is_noticed(path):
    """Every bit of the checksum at the end, and one bit of each other byte."""
    content = path.read_bytes()
    seal = len(content) - 90
    for place, bit in [(place, place % 8) for place in range(seal)] + list(
        itertools.product(range(seal, len(content)), range(8))
    ):
        flipped = bytearray(content)
        flipped[place] ^= 1 << bit
        path.write_bytes(flipped)
        with pytest.raises(BadInputError, match=r"tiny\.onnx .*damaged.*again"):
            onnx_file.load_card(path)


def test_a_card_is_added_once(path):
    with pytest.raises(BadInputError, match="has a card already"):
        onnx_file.add_card(path, CARD)


@pytest.mark.parametrize(("shape", "dtype", "card_shape", "taken"), [
    (("n", 4, 5, 3), "UINT8", (4, 5, 3), ("uint8", (None, 4, 5, 3), False)),
    ((1, 3, 4, 5), "FLOAT", (4, 5, 3), ("float32", (1, 3, 4, 5), True)),
    (("n", 3, "h", "w"), "FLOAT", (), ("float32", (None, 3, None, None), True)),
    (("n", 3, 3, 3), "FLOAT", (3, 3, 3), ("float32", (None, 3, 3, 3), True)),
    (("n", 3), "FLOAT", (3,), ("float32", (None, 3), False)),
])  # fmt: skip
@pytest.mark.parametrize("raw", [True, False])
def test_another_programs_file_has_no_class_names_but_an_input(tmp_path, shape, dtype, card_shape, taken, raw):
    path = tmp_path / "theirs.onnx"
    onnx.save(tiny(shape, getattr(onnx.TensorProto, dtype), raw=raw), path)
    assert onnx_file.load_card(path) == Card("", (), card_shape)
    assert onnx_file.read(path)[1] == onnx_file.Input("pixels", *taken)


def test_a_card_is_read_without_engine_or_framework(path):
    code = (
        f"from kerasnets.saving.onnx_file import load_card; load_card({str(path)!r}); import sys; print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {"h5py", "onnx", "onnxruntime", "cv2", "keras", "google"}.isdisjoint(done.stdout.split())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the test forks; Windows cannot")
@pytest.mark.parametrize("kills", often(14, 134))
def test_kill_9_during_a_write_leaves_the_old_file_or_the_new_one(path, kills):
    plain = tiny().SerializeToString()

    def write(card):
        with whole_file(path) as part:
            part.write_bytes(plain)
            onnx_file.add_card(part, card)

    cards = [Card(name, CARD.class_names, CARD.input_shape) for name in ("old", "new")]
    write(cards[0])
    seen = []
    for i in range(kills):
        before, new = onnx_file.load_card(path), cards[(i + 1) % 2]
        kill_in(lambda new=new: write(new), 0.02)
        after = onnx_file.load_card(path)  # raises if the file is not whole
        assert after in (before, new)
        seen.append(after == new)
    assert any(seen)  # the writes were under way
