"""A file that is not judged to be harmless runs in a process of its own, with a deadline for each answer."""

import gc
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from kerasnets.errors import BadInputError
from kerasnets.prediction import Classifier, engines
from kerasnets.prediction.sandbox import Sandbox
from kerasnets.runtime.backends import environment
from kerasnets.saving import Card, formats, onnx_file
from tests.conftest import is_running
from tests.saving.test_onnx_file import onnx, tiny
from tests.tiny_models import WEIGHTS, write_litert, write_openvino

BLACK, WHITE = np.zeros((4, 5, 3), np.uint8), np.full((4, 5, 3), 255, np.uint8)
ROWS = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)
MEBIBYTES = 512


def number(name, value):
    return onnx.numpy_helper.from_array(np.asarray(value), name)


def node(operator, inputs, output, **options):
    return onnx.helper.make_node(operator, inputs.split(), [output], **options)


BODY = (
    [node("Identity", "go", "on"), node("Sin", "state", "next")],
    "body",
    [("turn", 7), ("go", 9), ("state", 1)],
    [("on", 9), ("next", 1)],
)


def waiting(kind):
    """A network that is quick on black pictures, and takes for ever or all memory on white ones."""
    model = tiny()
    brightest = [node("ReduceMax", "floats", "most", keepdims=0), node("Mul", "most many", "much")]
    count = [node("Cast", "much", "count", to=7)]
    if kind == "loop":
        nodes, name, *values = BODY
        values = [[onnx.helper.make_tensor_value_info(each, type_, []) for each, type_ in row] for row in values]
        body = onnx.helper.make_graph(nodes, name, *values)
        rest = [node("Loop", "count go one", "extra", body=body)]
    else:
        rest = [node("Reshape", "count row", "sizes"), node("ConstantOfShape", "sizes", "large")]
        rest += [node("ReduceSum", "large", "extra", keepdims=0)]
    rest += [node("Mul", "extra zero", "nothing"), node("Add", "scores nothing", "scores0")]
    model.graph.node[-1].output[0] = "scores"
    model.graph.node.extend([*brightest, *count, *rest])
    many = np.float32(1e9 if kind == "loop" else 4e6)
    values = {"many": many, "go": np.array(True), "one": np.float32(1), "zero": np.float32(0), "row": np.array([1])}
    model.graph.initializer.extend(number(name, value) for name, value in values.items())
    return model


def sealed(model, path):
    """Write a network with our card and its checksum, which anyone can compute."""
    path.write_bytes(model.SerializeToString() + onnx_file.entry("kerasnets", onnx_file.as_json(CARD)))
    with path.open("ab") as file:
        file.write(onnx_file.entry("kerasnets_sha256", onnx_file.sha256_of_file(path)))


CARD = Card("tiny", ("cat", "dog", "emu"), (4, 5, 3))


@pytest.mark.parametrize(("kind", "engine"), [
    ("loop", "opencv"),
    pytest.param("loop", "onnxruntime", marks=pytest.mark.all_faults),
    ("size", "onnxruntime"),
    pytest.param("size", "openvino", marks=pytest.mark.all_faults),
])  # fmt: skip
def test_a_file_that_waits_for_a_picture_gets_no_time_and_the_next_picture_an_answer(tmp_path, kind, engine):
    pytest.importorskip(engine if engine != "opencv" else "cv2")
    sealed(waiting(kind), tmp_path / "waiting.onnx")
    classifier = Classifier.load(tmp_path / "waiting.onnx", engine)
    before = peak()
    expected = classifier.predict(BLACK)[0].ranking
    with pytest.raises(BadInputError, match=r"waiting\.onnx (takes|ends|cannot be run)"):
        classifier.predict(WHITE)
    assert classifier.predict(BLACK)[0].ranking == expected
    assert peak() - before < MEBIBYTES


def peak():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM"))


def test_our_own_file_runs_in_this_process_and_a_loop_in_another_whoever_made_it(tmp_path):
    onnx.save(tiny(), tmp_path / "theirs.onnx")
    sealed(tiny(), tmp_path / "ours.onnx")
    sealed(waiting("loop"), tmp_path / "loop.onnx")
    kinds = {name: type(Classifier.load(tmp_path / f"{name}.onnx").engine) for name in ("theirs", "ours", "loop")}
    plain = engines.ENGINES["opencv"].load
    assert kinds == {"theirs": plain, "ours": plain, "loop": Sandbox}


def test_a_file_that_has_changed_since_it_was_judged_runs_apart(tmp_path):
    path = tmp_path / "theirs.onnx"
    onnx.save(tiny(), path)
    classifier = Classifier.load(path)
    onnx.save(waiting("loop"), path)
    assert isinstance(classifier.engine, Sandbox)


@pytest.mark.parametrize(("suffix", "engine", "write"), [
    (".xml", "openvino", write_openvino),
    (".tflite", "litert", write_litert),
])  # fmt: skip
def test_the_other_forms_run_apart_and_threads_get_their_own_answers(tmp_path, suffix, engine, write):
    path = tmp_path / f"tiny{suffix}"
    write(path)
    formats.add(path, Card("tiny", ("cat", "dog", "emu"), (3,)))
    network = engines.load_safely(path, engine)
    assert isinstance(network, Sandbox)
    expected = np.exp(ROWS @ WEIGHTS)
    expected /= expected.sum(axis=1, keepdims=True)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda i: network(np.roll(ROWS, i, axis=0)), range(64)))
    for i, answer in enumerate(answers):
        np.testing.assert_allclose(answer, np.roll(expected, i, axis=0), atol=1e-3)


def test_a_crash_is_a_refusal(tmp_path):
    onnx.save(tiny(), tmp_path / "tiny.onnx")
    network = Sandbox(tmp_path / "tiny.onnx", "opencv")
    expected = network(BLACK[None])
    with network.deadline(60):
        network.process.send_signal(signal.SIGSTOP)  # it has read nothing yet
        network.process.send_signal(signal.SIGSEGV)
        network.process.send_signal(signal.SIGCONT)
        with pytest.raises(BadInputError, match=r"tiny\.onnx ends opencv by SIGSEGV: damaged, or too much for it; "):
            network.ask(BLACK[None])
    np.testing.assert_array_equal(network(BLACK[None]), expected)


def test_its_process_ends_with_the_classifier(tmp_path):
    onnx.save(waiting("loop"), tmp_path / "loop.onnx")
    classifier = Classifier.load(tmp_path / "loop.onnx")
    pid = classifier.engine.process.pid
    assert is_running(pid)
    del classifier
    gc.collect()
    while is_running(pid):
        time.sleep(0.01)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends it at once")
def test_its_process_ends_with_a_process_that_is_killed_and_outlives_the_thread_that_began(tmp_path):
    onnx.save(waiting("loop"), tmp_path / "loop.onnx")
    code = (
        "import sys, threading, time, numpy as np\n"
        "from kerasnets import Classifier\n"
        f"classifier = Classifier.load({str(tmp_path / 'loop.onnx')!r})\n"
        "thread = threading.Thread(target=lambda: classifier.engine); thread.start(); thread.join(); time.sleep(0.2)\n"
        "before = classifier.engine.process.pid; classifier.predict(np.zeros((4, 5, 3), np.uint8))\n"
        "print(before, classifier.engine.process.pid, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], env=environment(), stdout=subprocess.PIPE)
    before, pid = map(int, parent.stdout.readline().split())
    assert before == pid
    parent.kill()
    parent.wait()
    parent.stdout.close()
    while is_running(pid):
        time.sleep(0.01)
