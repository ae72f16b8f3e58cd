"""An export is the same classifier for any program; a different or incomplete one is discarded."""

import contextlib
import hashlib
import io
import os
import random
import re
import subprocess
import sys
import time
import tomllib

import numpy as np
import pytest

from kerasnets import saving
from kerasnets.cli import app
from kerasnets.errors import BadInputError
from kerasnets.export import agreement
from kerasnets.export import exports as exporting
from kerasnets.prediction import Classifier, engines
from kerasnets.runtime import backends
from kerasnets.saving import formats
from tests.cli.test_app import environment
from tests.conftest import ROOT, often
from tests.exports import export, export_written, pictures, plain_keras, save_network, write_apart

onnxruntime = pytest.importorskip("onnxruntime")
openvino = pytest.importorskip("openvino")
litert = pytest.importorskip("ai_edge_litert.interpreter")

NETWORKS = {  # name -> (the backend that writes the model file, its suffix, options)
    "baseline_cnn": ("tensorflow", ".keras", {"input_shape": (16, 16, 3), "num_classes": 5}),  # batch norm, dropout
    "cifar_net": ("torch", ".h5", {}),  # in colour
    "dnn_tabular": ("jax", ".h5", {}),
}
ROUTES = {  # form and backend -> (the backend, the suffix)
    "ONNX by torch": ("torch", ".onnx"),
    "ONNX by tensorflow": ("tensorflow", ".onnx"),
    "OpenVINO by torch": ("torch", ".xml"),
    "LiteRT": ("tensorflow", ".tflite"),
    "SavedModel": ("tensorflow", ""),
}
SECONDS = 5  # that a bad file may take


@pytest.fixture(scope="module")
def models(workers, tmp_path_factory):
    """Return {name: (model file, shape of the input)}."""
    folder = tmp_path_factory.mktemp("models")
    result = {}
    for name, (backend, suffix, options) in NETWORKS.items():
        path = folder / f"{name}{suffix}"
        result[name] = path, workers[backend](save_network, path, name, options)
    return result


@pytest.fixture
def tabular(models):
    """The model file that is exported fastest."""
    return models["dnn_tabular"][0]


def export_by(workers, backend, path, out):
    """Export with Keras in a worker; a SavedModel all in TensorFlow's worker, which must also judge it."""
    return export(path, out, workers) if out.suffix else workers[backend](export, path, out)


def sum_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


# ---- the forms as any program runs them ----


def by_onnxruntime(path, images):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["probabilities"], {"pixels": images})[0]  # the same names from every exporter


def by_openvino(path, images):
    return openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(images)[0]


def by_litert(path, images):
    interpreter = litert.Interpreter(str(path))
    entered, given = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    interpreter.resize_tensor_input(entered["index"], images.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(entered["index"], images)
    interpreter.invoke()
    return interpreter.get_tensor(given["index"])


def by_tensorflow(path, images):
    import tensorflow

    model = tensorflow.saved_model.load(str(path))
    return model.serve(images).numpy()


def by_engine(path, engine, images):
    return engines.load(path, engine)(images)


RUN = {".onnx": by_onnxruntime, ".xml": by_openvino, ".tflite": by_litert}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("name", NETWORKS)
def test_an_export_takes_raw_pixels_and_gives_keras_probabilities(workers, models, tmp_path, monkeypatch, name, route):
    """The judge is Keras on JAX, which exports nothing; the pictures are not those that export compares."""
    (backend, suffix), (path, shape) = ROUTES[route], models[name]
    monkeypatch.setenv("KERAS_BACKEND", backend)
    out = tmp_path / (f"my [first] network{suffix}" if suffix else "network")  # TensorFlow reads brackets as a pattern
    process = export_by(workers, backend, path, out)
    assert (process.file, process.backend) == (str(out), backend)
    assert set(process.differences) == {engine for engine, row in engines.ENGINES.items() if suffix in row.suffixes}
    assert max(process.differences.values()) < 1e-5

    images = pictures(7, shape, seed=9)
    expected = workers["jax"](plain_keras, path, images)
    assert expected.std(axis=0).min() > 0.003  # the predictions differ between pictures
    for count in (1, 7):
        run = RUN.get(suffix) or (lambda *arguments: workers["tensorflow"](by_tensorflow, *arguments))
        np.testing.assert_allclose(run(out, images[:count]), expected[:count], atol=1e-5)
        for engine in process.differences:
            judge = by_engine if suffix else lambda *arguments: workers["tensorflow"](by_engine, *arguments)
            np.testing.assert_allclose(judge(out, engine, images[:count]), expected[:count], atol=1e-5)

    card = formats.load(out)
    assert card == saving.load_card(path)
    assert (card.class_names[:2], card.recipe) == (("größer", '<"&">'), "a recipe")
    names = {out.name} | ({out.with_suffix(".bin").name} if suffix == ".xml" else set())
    assert set(os.listdir(tmp_path)) == names
    assert process.bytes == sum(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file())


def test_a_folder_of_an_earlier_export_is_replaced(workers, tabular, tmp_path):
    workers["tensorflow"](export, tabular, tmp_path / "network")
    (tmp_path / "network/stale").touch()
    workers["tensorflow"](export, tabular, tmp_path / "network")
    assert not (tmp_path / "network/stale").exists()
    assert os.listdir(tmp_path) == ["network"]


def test_another_backend_exports_if_the_set_one_cannot(tabular, tmp_path):
    """By the script: each process has its backend."""
    command = [sys.executable, str(ROOT / "scripts/export.py"), str(tabular), "--out", "network.onnx"]
    process = subprocess.run(command, cwd=tmp_path, env=environment("jax"), capture_output=True, text=True)
    assert (process.returncode, process.stderr) == (0, "ONNX by Keras on torch\n")
    size = (tmp_path / "network.onnx").stat().st_size
    differences = " ".join(rf"{engine}=\d\.\de-\d\d" for engine in ("opencv", "onnxruntime", "openvino"))
    assert re.fullmatch(
        rf"result file=network\.onnx form=ONNX bytes={size} backend=torch difference: {differences}\n", process.stdout
    )
    assert formats.load(tmp_path / "network.onnx") == saving.load_card(tabular)


# ---- what is refused ----

LIARS = {"opencv": ".onnx", "onnxruntime": ".onnx", "openvino": ".xml", "litert": ".tflite"}


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("engine", LIARS)
def test_an_export_that_differs_is_discarded(workers, tabular, tmp_path, monkeypatch, engine, there):
    out = tmp_path / f"network{LIARS[engine]}"
    for suffix in (out.suffix, ".bin") if there else ():
        out.with_suffix(suffix).write_text("the old one")
    kind = engines.ENGINES[engine].load
    compute = kind.compute
    monkeypatch.setattr(kind, "compute", lambda self, pixels: compute(self, pixels) + np.float32([2e-4, -2e-4, 0]))
    with pytest.raises(ArithmeticError, match=rf"{engine} differs by 2\.\de-04 from Keras on .*where 0\.0001 is allow"):
        export(tabular, out, workers)
    left = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert left == ({out.name: "the old one", "network.bin": "the old one"} if there else {})


ONNX = "no installed backend can write ONNX; torch or tensorflow can: "
MISSING = [  # (form, the packages that are missing, words)
    (".onnx", {"torch", "tensorflow"}, ONNX),
    (".onnx", {"onnx", "tf2onnx"}, "torch needs onnx to write ONNX: "),
    (".onnx", {"torch", "tf2onnx"}, "tensorflow needs tf2onnx to write ONNX: "),
    (".xml", {"openvino"}, "torch needs openvino to write OpenVINO: "),
    (".xml", {"openvino", "torch", "tensorflow"}, "no installed backend can write OpenVINO; torch or tensorflow can: "),
    (".tflite", {"tensorflow"}, "no installed backend can write LiteRT; tensorflow can: "),
    ("", {"tensorflow"}, "no installed backend can write SavedModel; tensorflow can: "),
    (".tflite", {"ai_edge_litert"}, "nothing here runs LiteRT, to compare it with Keras: "),
]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def brought_by(extra):
    """The packages that an extra of pyproject.toml installs, by the names of import."""
    result = set()
    for each in EXTRAS[extra]:
        name = re.match(r"[\w-]+", each)[0]
        if name == "kerasnets":
            result.update(*(brought_by(other) for other in re.search(r"\[(.*)\]", each)[1].split(",")))
        result.add({"ai-edge-litert": "ai_edge_litert"}.get(name, name))
    return result


@pytest.mark.parametrize(("suffix", "missing", "words"), MISSING)
def test_a_missing_package_is_named_with_the_extra_that_installs_it(
    tabular, tmp_path, monkeypatch, suffix, missing, words
):
    monkeypatch.setattr(backends, "is_installed", lambda package: package not in missing)
    with pytest.raises(ImportError) as excinfo:
        exporting.export(tabular, tmp_path / f"network{suffix}")
    message = str(excinfo.value)
    assert message.startswith(words)
    assert len(message) <= 190
    assert os.listdir(tmp_path) == []
    # after this installation there is a route and a judge
    extras = re.search(r'pip install -e "\.\[(.*)\]"', message)[1].split(",")
    missing = missing.difference(*map(brought_by, extras))
    monkeypatch.setattr(backends, "is_installed", lambda package: package not in missing)
    assert exporting.route_of(suffix) in ("torch", "tensorflow")
    assert exporting.judges_of(suffix)


@pytest.mark.parametrize(("missing", "backend"), [
    (set(), "torch"), ({"torch"}, "tensorflow"), ({"onnx"}, "tensorflow"),
    ({"tf2onnx"}, "torch"),
])  # fmt: skip
@pytest.mark.parametrize("wanted", ["", "jax", "torch", "tensorflow"])
def test_the_set_backend_exports_if_it_can(monkeypatch, missing, backend, wanted):
    monkeypatch.setattr(backends, "is_installed", lambda package: package not in missing)
    monkeypatch.setenv("KERAS_BACKEND", wanted)
    can = {"torch": missing.isdisjoint({"torch", "onnx"}), "tensorflow": "tf2onnx" not in missing}
    assert exporting.route_of(".onnx") == (wanted if can.get(wanted) else backend)


def test_an_unknown_backend_is_refused(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "theano")
    with pytest.raises(ValueError, match="unknown KERAS_BACKEND 'theano'; choose one of: torch, tensorflow, jax"):
        exporting.route_of(".onnx")


def test_a_bad_target_or_model_is_refused_and_no_file_is_touched(tabular, tmp_path):
    (tmp_path / "pets").mkdir()
    (tmp_path / "pets/cat.png").write_text("a cat")
    (tmp_path / "file").write_text("a file")
    (tmp_path / "folder.onnx").mkdir()
    for name, kind, words in (
        ("network.pb", ValueError, r"a file that ends in \.onnx \(ONNX\), \.xml \(OpenVINO\), \.tflite \(LiteRT\)"),
        ("pets", ValueError, "is there and no SavedModel"),
        ("file", ValueError, "is there and no SavedModel"),
        ("folder.onnx", IsADirectoryError, "Is a directory"),
        ("file/network.onnx", (FileExistsError, NotADirectoryError), None),
        ("/proc/network.onnx", OSError, None),
    ):
        with pytest.raises(kind, match=words):
            exporting.export(tabular, tmp_path / name)
    for name in ("nowhere.keras", "pets/cat.png", "pets"):
        with pytest.raises(BadInputError, match=name):
            exporting.export(tmp_path / name, tmp_path / "network.onnx")
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*"))
    assert left == ["file", "folder.onnx", "pets", "pets/cat.png"]


# ---- stopped, and without room ----


def save_theirs(path):
    import keras

    layers = [keras.Input((6, 6, 1)), keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax")]
    keras.Sequential(layers).save(path)


def test_an_export_of_another_programs_file_says_what_it_assumes(workers, tmp_path):
    workers["torch"](save_theirs, tmp_path / "theirs.keras")
    lines = []
    export(tmp_path / "theirs.keras", tmp_path / "theirs.onnx", workers, lines.append)
    assert lines[-1].startswith("note: ")
    assert lines[-1].endswith(
        "theirs.keras was not made by kerasnets and names no classes: they are numbered; pictures are resized to "
        "6x6x1, pixels divided by 255"
    )
    card = formats.load(tmp_path / "theirs.onnx")
    assert (card.class_names, card.input_shape) == (("class 0", "class 1", "class 2"), (6, 6, 1))


# The export again and again, with files that Keras wrote before in place of Keras.
AGAIN_AND_AGAIN = """
import sys
from pathlib import Path
from kerasnets.export import exports as exporting
from tests.exports import export_written

exporting.judges_of = lambda suffix: sys.argv[2:]
folder, out = Path.cwd(), Path.cwd() / sys.argv[1]
print("begins", flush=True)
while True:
    for name in ("one", "other"):
        export_written(folder / f"{name}.keras", out)
"""


@pytest.mark.skipif(os.name != "posix", reason="kill -9")
@pytest.mark.parametrize(("suffix", "judge"), [(".onnx", "opencv"), (".xml", "openvino")])
@pytest.mark.parametrize("kills", often(4, 40))
def test_kill_9_during_an_export_leaves_the_old_file_or_the_new_one(workers, tmp_path, kills, suffix, judge):
    """One of OpenVINO's two files may be new and the other old: then they are refused."""
    whole = {}
    for seed, name in enumerate(("one", "other")):
        path = tmp_path / f"{name}.keras"
        shape = workers["torch"](save_network, path, "dnn_tabular", {}, seed)
        workers["torch"](write_apart, path, suffix, agreement.examples(shape))
        export_written(path, tmp_path / f"whole{suffix}")
        weights = sum_of(tmp_path / "whole.bin") if suffix == ".xml" else None
        whole[sum_of(tmp_path / f"whole{suffix}")] = saving.load_card(path), weights
    out, seen = tmp_path / f"network{suffix}", set()
    out.write_bytes((tmp_path / f"whole{suffix}").read_bytes())
    if suffix == ".xml":
        out.with_suffix(".bin").write_bytes((tmp_path / "whole.bin").read_bytes())
    command = [sys.executable, "-c", AGAIN_AND_AGAIN, out.name, judge]
    for _ in range(kills):
        running = subprocess.Popen(command, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE)
        assert running.stdout.readline() == b"begins\n"
        time.sleep(random.uniform(0, 0.2))
        running.kill()
        running.communicate()
        if suffix == ".xml" and sum_of(out.with_suffix(".bin")) != whole[sum_of(out)][1]:
            with pytest.raises(BadInputError, match="or of another export; "):
                formats.load(out)
        else:
            seen.add(formats.load(out).seed)
            assert formats.load(out) == whole[sum_of(out)][0]
    assert seen


def codes_under_a_limit(path, out, sizes):
    """Return (exit code, stderr) of an export in a worker with each limit on file sizes, in bytes."""
    import resource

    answers, (_, most) = [], resource.getrlimit(resource.RLIMIT_FSIZE)
    for size in sizes:
        said = io.StringIO()
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))
        try:
            with contextlib.redirect_stderr(said):
                code = app.exit_code_of(lambda: bool(export(path, out)) and 0)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        answers.append((code, said.getvalue()))
    return answers


@pytest.mark.skipif(os.name != "posix", reason="limits of POSIX")
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("writes", often(3, 12))
def test_a_write_that_fails_leaves_the_old_file_and_no_other(workers, tabular, tmp_path, route, writes):
    backend, suffix = ROUTES[route]
    out = tmp_path / f"network{suffix}"
    workers[backend](export, tabular, out)
    files = {path: sum_of(path) for path in tmp_path.rglob("*") if path.is_file()}
    largest = max(path.stat().st_size for path in files)
    sizes = np.linspace(0, largest - 1, writes).astype(int).tolist()
    for code, said in workers[backend](codes_under_a_limit, tabular, out, sizes):
        assert (code, len(said.splitlines())) == (4, 1), said
        assert len(said) <= 201
        assert out.name in said
        assert "File too large" in said
    assert {path: sum_of(path) for path in tmp_path.rglob("*") if path.is_file()} == files


# ---- damaged by others ----


@pytest.mark.parametrize("suffix", [".xml", ".tflite"])
def test_a_file_that_is_cut_short_is_refused_in_one_line_and_in_time(workers, models, tmp_path, suffix):
    """If nothing is left of our checksum, the engine refuses it in a process of its own."""
    path, shape = models["cifar_net"]
    out = tmp_path / f"network{suffix}"
    workers["tensorflow"](export, path, out)
    for part in (out, out.with_suffix(".bin")) if suffix == ".xml" else (out,):
        content = part.read_bytes()
        for share in (0.001, 0.3, 0.7, 0.999):
            part.write_bytes(content[: int(share * len(content))])
            begun = time.monotonic()
            with pytest.raises(BadInputError) as excinfo:
                Classifier.load(out).predict(pictures(1, shape, 0))
            assert time.monotonic() - begun < SECONDS
            assert out.name in str(excinfo.value)
            assert len(str(excinfo.value)) <= 190
            assert "\n" not in str(excinfo.value)
        part.write_bytes(content)
    assert Classifier.load(out).predict(pictures(1, shape, 0))
