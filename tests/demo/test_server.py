"""The demo server as a process, over HTTP: answers, refusals, foreign pages, and its end."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from kerasnets import Classifier
from kerasnets.demo import inference
from kerasnets.errors import BadInputError
from kerasnets.prediction.explanations import maps_of
from tests.cli.test_app import ROWS, environment, only_line, run
from tests.conftest import ROOT, is_running
from tests.demo.demo_server import KERAS, ONNX, PRETRAINED, begin, end, running
from tests.pictures.test_bad_pictures import CONTENTS

SAMPLE = ROOT / "docs/samples/three-on-paper.jpg"
PHOTO = SAMPLE.read_bytes()
NO_HANG = 600  # seconds after which a process counts as hanging

linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    with running(tmp_path_factory.mktemp("demo")) as started:
        yield started


def until(condition):
    end = time.monotonic() + NO_HANG
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


# ---- the page ----


def test_the_page_has_no_foreign_address():
    """The namespace of SVG is a name, not an address."""
    for path in (ROOT / "kerasnets/demo").glob("page.*"):
        found = re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s'\"]*", path.read_text())
        assert set(found) <= {"http://www.w3.org/2000/svg"}, path


def test_the_page_is_served_with_a_policy_against_foreign_requests(demo):
    for path, kind in (("/", "text/html"), ("/page.css", "text/css"), ("/page.js", "text/javascript")):
        status, headers, content = demo.request(path)
        assert (status, headers.get_content_type()) == (200, kind)
        assert content == (ROOT / "kerasnets/demo" / (path[1:] or "page.html")).read_bytes()
        assert headers["Content-Security-Policy"].startswith("default-src 'self';")


@pytest.mark.parametrize(
    "path", ["/../server.py", "/page.js/../server.py", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/x"]
)
def test_no_other_file_is_served(demo, path):
    assert demo.json(path)[0] == 404


def test_models_are_listed_with_their_runners(demo):
    status, found = demo.json("/models")
    assert (status, found["first"], found["most"]) == (200, ONNX, 10_000_000)
    listed = {row["name"]: row["runners"] for row in found["models"]}
    assert listed.keys() == {
        f"{PRETRAINED}/{path.name}"
        for path in (ROOT / PRETRAINED).iterdir()
        if path.suffix in (".keras", ".h5", ".onnx") and not path.name.startswith("dnn_tabular")
    }
    assert listed[ONNX] == ["opencv", "onnxruntime", "openvino"]
    assert listed[KERAS] == ["keras on torch", "keras on tensorflow", "keras on jax"]


# ---- answers ----


@pytest.mark.parametrize("sample", sorted(path.name for path in (ROOT / "docs/samples").glob("*-*.*g")))
def test_a_picture_gets_the_answer_of_the_classifier(demo, sample):
    path = ROOT / "docs/samples" / sample
    about, pixels = demo.frame("/predict", path.read_bytes(), model=ONNX, picture=sample)
    [expected] = Classifier.load(ROOT / ONNX).predict([path])
    verdict = expected.verdict
    assert about["doubt"] == ("" if verdict.name == "sure" else f"{verdict.name}: {verdict.reason}")
    shares = dict(zip("0123456789", about["probabilities"], strict=True))
    assert shares == pytest.approx(dict(expected.ranking), abs=1e-6)
    assert about["shape"] == [28, 28, 1]
    assert pixels == expected.pixels.tobytes()


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_backends_agree(demo, backend):
    first, _ = demo.frame("/predict", PHOTO, model=ONNX)
    second, _ = demo.frame("/predict", PHOTO, model=KERAS, runner=f"keras on {backend}")
    assert first["probabilities"] == pytest.approx(second["probabilities"], abs=1e-4)
    assert demo.json("/model", model=KERAS, runner=f"keras on {backend}")[1]["runner"] == f"keras on {backend}"


def test_feature_maps_agree_with_numpy(demo):
    """The first layer: a 3x3 convolution and ReLU of pixels / 255; its first 16 channels, each on its own scale."""
    _, pixels = demo.frame("/predict", PHOTO, model=ONNX)
    about, drawn = demo.frame("/maps", pixels, model=ONNX, shape="28x28x1")
    _, described = demo.json("/layers", model=ONNX)
    names = [layer["name"] for layer in described["layers"]]
    assert names == [
        "rescaling", "conv1", "pool1", "conv2", "pool2", "conv3", "dense1", "logits", "probabilities"
    ]  # fmt: skip
    assert described["layers"][1] == {"name": "conv1", "kind": "Conv2D", "shape": [26, 26, 32]}
    assert (described["file"], described["left_out"]) == ("mnist_cnn-mnist.keras", 0)

    with h5py.File(ROOT / PRETRAINED / "mnist_cnn-mnist.h5") as file:
        arrays = {}
        file["model_weights/conv1"].visititems(lambda name, item: arrays.update({name.split("/")[-1]: np.array(item)})
                                               if isinstance(item, h5py.Dataset) else None)  # fmt: skip
    image = np.frombuffer(pixels, np.uint8).reshape(28, 28) / 255
    windows = np.lib.stride_tricks.sliding_window_view(image, (3, 3))
    output = np.maximum(np.einsum("ijab,abc->ijc", windows, arrays["kernel"][:, :, 0]) + arrays["bias"], 0)
    row = about["layers"][1]
    assert (row["maps"], row["height"], row["width"]) == (16, 26, 26)
    assert row["largest"] == pytest.approx(output.max(), abs=1e-5)
    place = 28 * 28  # of the layer before
    for i in range(16):
        map_ = np.frombuffer(drawn, np.uint8, 26 * 26, place + i * 26 * 26).reshape(26, 26)
        one = output[..., i]
        span = np.ptp(one) or 1
        np.testing.assert_allclose(map_, (one - one.min()) * 255 / span, atol=0.51)


def test_the_reasons_are_those_of_the_classifier(demo):
    _, pixels = demo.frame("/predict", PHOTO, model=ONNX)
    about, drawn = demo.frame("/explain", pixels, model=ONNX, shape="28x28x1", **{"class": 3})
    assert [row["method"] for row in about["methods"]] == ["Grad-CAM", "occlusion"]
    assert [(row["height"], row["width"]) for row in about["methods"]] == [(28, 28)] * 2
    levels = np.frombuffer(drawn, np.uint8).reshape(2, 28, 28)
    assert levels.max(axis=(1, 2)).tolist() == [255, 255]
    expected = maps_of(Classifier.load(ROOT / ONNX), np.frombuffer(pixels, np.uint8).reshape(28, 28, 1), 3)
    np.testing.assert_allclose(levels[1], 255 * expected["occlusion"], atol=2.5)  # 1 - p is near 6e-8


def test_a_deep_network_shows_evenly_spread_layers(tmp_path):
    code = (
        "import kerasnets; network = kerasnets.build('resnet56'); "
        "card = kerasnets.Card('resnet56', tuple('abcdefghij'), (32, 32, 3)); "
        "kerasnets.save(network, 'deep.keras', card, (1 / 255, 0))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment(), check=True)
    with running(tmp_path, "deep.keras") as demo:
        assert demo.json("/models")[1]["first"] == "deep.keras"
        _, described = demo.json("/layers", model="deep.keras")
        assert len(described["layers"]) == 24
        assert described["left_out"] > 24
        assert described["layers"][0]["name"] == "rescaling"
        _, pixels = demo.frame("/predict", PHOTO, model="deep.keras")
        about, drawn = demo.frame("/maps", pixels, model="deep.keras", shape="32x32x3")
        assert len(drawn) == sum(row["maps"] * row["height"] * row["width"] for row in about["layers"])


def test_a_rewritten_model_is_loaded_again_and_a_new_one_is_listed(tmp_path):
    with running(tmp_path) as demo:
        name = "models_saved/mine.keras"
        assert demo.json("/model", model=name)[0] == 404
        shutil.copy(ROOT / PRETRAINED / "mnist_cnn-digits.keras", tmp_path / name)
        assert demo.json("/model", model=name)[1]["classes"][0] == "0"
        shutil.copy(ROOT / PRETRAINED / "fashion_cnn-fashion_mnist.keras", tmp_path / "new.keras")
        os.replace(tmp_path / "new.keras", tmp_path / name)
        assert demo.json("/model", model=name)[1]["classes"][0] == "T-shirt/top"


def test_an_onnx_file_without_its_keras_file_has_no_maps_and_says_why(tmp_path):
    (tmp_path / "models_saved").mkdir()
    shutil.copy(ROOT / ONNX, tmp_path / "models_saved/mine.onnx")
    with running(tmp_path) as demo:
        name = "models_saved/mine.onnx"
        about, drawn = demo.frame("/explain", bytes(784), model=name, shape="28x28x1", **{"class": 0})
        assert (about["methods"], len(drawn)) == ([{"method": "occlusion", "height": 28, "width": 28}], 784)
        assert demo.json("/layers", model=name) == (422, {
            "error": "mine.onnx has no layers that Keras can show; put mine.keras beside it to see feature maps"
        })  # fmt: skip
        shutil.copy(ROOT / PRETRAINED / "small_cnn-mnist.keras", tmp_path / "models_saved/mine.keras")
        assert demo.json("/layers", model=name) == (422, {
            "error": "mine.keras and mine.onnx have different weights; export again to see feature maps"
        })  # fmt: skip
        assert demo.frame("/predict", PHOTO, model=name)[0]["probabilities"][3] > 0.9


# ---- refusals ----


def test_a_bad_picture_gets_one_line_and_the_next_good_one_its_answer(demo):
    """The pictures of tests/pictures/test_bad_pictures.py that are not too large for the server."""
    contents = {name: content for name, (content, _) in CONTENTS.items() if len(content) <= 10_000_000}
    assert len(contents) >= 30
    for name, content in contents.items():
        status, answer = demo.json("/predict", content, model=ONNX, picture=name)
        assert status == 422, name
        assert answer["error"].isprintable(), name
        assert len(answer["error"]) <= 200, name
        assert demo.frame("/predict", PHOTO, model=ONNX)[0]["probabilities"][3] > 0.9, name


def test_a_picture_of_one_colour_shows_no_digit(demo):
    blank = b"P5 50 50 255\n" + bytes(2500)
    status, answer = demo.json("/predict", blank, model=ONNX, picture="blank.pgm")
    assert status == 422
    assert "no digit to see" in answer["error"]


def test_a_large_body_is_refused_before_it_is_sent(demo):
    """The head alone is enough: the body never comes."""
    with socket.create_connection(("127.0.0.1", demo.port)) as connection:
        head = f"POST /predict?model={ONNX} HTTP/1.1\r\nHost: localhost:{demo.port}\r\nContent-Length: 10000001\r\n\r\n"
        connection.sendall(head.encode())
        with connection.makefile("rb") as answer:
            whole = answer.read()  # the connection is closed
    assert whole.startswith(b"HTTP/1.1 413 ")
    assert whole.endswith(b'{"error":"the picture is too large; the limit is 10 MB"}')


def test_a_body_without_a_length_is_read_up_to_the_limit(demo):
    with socket.create_connection(("127.0.0.1", demo.port)) as connection:
        head = f"POST /predict?model={ONNX} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head.encode())
        with contextlib.suppress(ConnectionError):  # the server may close the connection first
            for _ in range(1000):
                connection.sendall(b"186a0\r\n" + bytes(100_000) + b"\r\n")
            pytest.fail("the server read 100 MB")


def test_a_body_of_ten_megabytes_is_read(demo):
    status, answer = demo.json("/predict", bytes(10_000_000), model=ONNX, picture="zeros")
    assert (status, answer["error"][:22]) == (422, "zeros is not a picture")


@pytest.mark.parametrize(
    "host", ["example.org", "example.org:8000", "127.0.0.1.example.org", "localhost.", "", "192.168.0.7"]
)
def test_another_host_name_gets_nothing(demo, host):
    """A foreign page whose host name resolves to this machine (DNS rebinding)."""
    for path, body in (("/", None), ("/models", None), ("/predict", PHOTO)):
        status, _, content = demo.request(path, body, {"Host": host}, model=ONNX)
        assert (status, content) == (400, b"Invalid host header")


def test_both_names_of_this_machine_are_served(demo):
    for host in ("127.0.0.1", "localhost", f"localhost:{demo.port}"):
        assert demo.request("/models", headers={"Host": host})[0] == 200


def test_a_foreign_page_gets_no_answer_for_a_picture(demo):
    for origin, status in (("http://example.org", 403), ("null", 403), (demo.address, 200)):
        assert demo.request("/predict", PHOTO, {"Origin": origin}, model=ONNX)[0] == status


@linux
def test_other_addresses_of_this_machine_are_closed(demo):
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", demo.port))


@pytest.mark.parametrize("name", [
    "", "no.keras", "../../etc/passwd", "/etc/passwd", f"{PRETRAINED}/../pretrained/mnist_cnn-mnist.onnx",
    str(ROOT / ONNX), f"{PRETRAINED}/mnist_cnn-mnist-report.html", "models_saved", f"{ONNX}\0", "x" * 5000,
])  # fmt: skip
def test_only_listed_files_are_models(demo, name):
    for path, body in (("/model", None), ("/layers", None), ("/predict", PHOTO), ("/explain", PHOTO), ("/maps", PHOTO)):
        status, answer = demo.json(path, body, model=name, shape="28x28x1")
        assert (status, answer["error"][:9]) == (404, "no model ")
        assert len(answer["error"]) <= 200


def test_a_wrong_request_gets_one_line(demo):
    for path, body, more, status, words in (
        ("/model", None, {"runner": "keras on torch"}, 400, "'keras on torch' does not run mnist_cnn-mnist.onnx"),
        (
            "/maps",
            bytes(783),
            {"shape": "28x28x1"},
            400,
            "the pixels do not fit their shape; pass HEIGHTxWIDTHxCHANNELS",
        ),
        ("/maps", bytes(784), {"shape": "-1x1"}, 400, "the pixels must have the shape that the network takes"),
        ("/maps", bytes(784), {"shape": "x"}, 400, "the pixels do not fit their shape; pass HEIGHTxWIDTHxCHANNELS"),
        ("/maps", bytes(2352), {"shape": "28x28x3"}, 400, "the pixels must have the shape that the network takes"),
        ("/explain", bytes(784), {"shape": "x"}, 400, "the pixels do not fit their shape; pass HEIGHTxWIDTHxCHANNELS"),
        ("/explain", bytes(784), {"shape": "28x28x1"}, 400, "pass the number of a class"),
        ("/explain", bytes(784), {"shape": "28x28x1", "class": 10}, 400, "there is no class 10"),
        ("/explain", bytes(75), {"shape": "5x5x3", "class": 1}, 400, "the pixels must have the shape"),
        ("/predict", None, {}, 405, "Method Not Allowed"),
    ):
        answered, answer = demo.json(path, body, model=ONNX, **more)
        assert (answered, answer["error"][: len(words)]) == (status, words)


def test_a_damaged_model_is_refused_and_others_answer(tmp_path):
    (tmp_path / "models_saved").mkdir()
    content = (ROOT / KERAS).read_bytes()
    (tmp_path / "models_saved/half.keras").write_bytes(content[: len(content) // 2])
    with running(tmp_path) as demo:
        status, answer = demo.json("/model", model="models_saved/half.keras")
        assert (status, answer["error"][:34]) == (422, "models_saved/half.keras is damaged")
        assert demo.json("/model", model=ONNX)[0] == 200


def test_a_model_of_rows_is_refused_when_it_is_loaded():
    """LiteRT and OpenVINO files of other programs show their input shape only then."""
    with pytest.raises(BadInputError, match=r"dnn_tabular-sum3\.keras takes rows of 3 numbers, no pictures"):
        inference.prepare(str(ROWS), 0, "keras")


# ---- processes ----


@linux
def test_the_server_itself_loads_no_framework(tmp_path):
    with running(tmp_path) as demo:
        demo.frame("/predict", PHOTO, model=ONNX)
        assert demo.children() == []
        demo.frame("/predict", PHOTO, model=KERAS)
        assert demo.children() != []
        for name in ("libtorch", "tensorflow", "jaxlib"):
            assert name not in demo.libraries()
        assert "cv2" in demo.libraries()


@linux
def test_a_backend_that_dies_is_restarted(tmp_path):
    with running(tmp_path) as demo:
        demo.json("/model", model=KERAS)
        [worker] = [child for child in demo.children() if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]
        os.kill(worker, signal.SIGKILL)
        statuses = [demo.request("/predict", PHOTO, model=KERAS)[0] for _ in range(2)]
        assert statuses == [503, 200]


@linux
@pytest.mark.parametrize(("number", "code", "words"), [
    (signal.SIGINT, 130, "stopped by Ctrl-C\n"),
    (signal.SIGTERM, 143, "stopped by SIGTERM\n"),
])  # fmt: skip
@pytest.mark.parametrize("seconds", [0.05, 0.5, 2])
def test_a_signal_while_a_backend_loads_ends_all_processes(tmp_path, number, code, words, seconds):
    demo = begin(tmp_path)

    def ask():
        with contextlib.suppress(Exception):  # the server has ended
            demo.request("/model", model=KERAS)

    asking = threading.Thread(target=ask)
    asking.start()
    until(demo.children)
    time.sleep(seconds)
    children = demo.children()
    assert end(demo, number) == (code, words)
    asking.join()
    until(lambda: not any(map(is_running, children)))


@linux
def test_kill_9_ends_all_processes(tmp_path):
    demo = begin(tmp_path)
    demo.json("/model", model=KERAS)
    children = demo.children()
    assert end(demo, signal.SIGKILL)[0] == -signal.SIGKILL
    until(lambda: not any(map(is_running, children)))


# ---- the command ----


def test_a_port_in_use_gets_one_line_with_a_remedy(tmp_path, demo):
    line = only_line(run(tmp_path, "demo.py", ROOT / ONNX, "--no-browser", "--port", demo.port), 4)
    assert line == (
        f"error: port {demo.port} cannot be used (Address already in use); choose another by --port, or --port 0 for a "
        "free one"
    )


FAILURES = {
    "no models": ([], 3, "no model file in models_saved or models_saved/pretrained; name one, or make one by "),
    "no such model": (["no.keras"], 3, "no model file no.keras; check name and folder, or make one by"),
    "no model": ([SAMPLE], 3, "is not a model file; those end in "),
    "model of rows": ([ROWS], 3, "dnn_tabular-sum3.keras takes rows of 3 numbers; name a model that takes pictures"),
    "impossible port": ([ROOT / ONNX, "--port", "70000"], 2, "a port is a number of 0 to 65535, not 70000"),
    "a word for a port": (["--port", "any"], 2, "argument --port: invalid int value: 'any'"),
}


@pytest.mark.parametrize("case", FAILURES)
def test_a_failure_is_one_line_and_an_exit_code(tmp_path, case):
    arguments, code, words = FAILURES[case]
    assert words in only_line(run(tmp_path, "demo.py", "--no-browser", *arguments), code)


def test_a_wrong_backend_is_wrong_usage(tmp_path):
    line = only_line(run(tmp_path, "demo.py", "--no-browser", ROOT / ONNX, backend="pytorch"), 2)
    assert line == "error: unknown KERAS_BACKEND 'pytorch'; choose one of: torch, tensorflow, jax"


@pytest.mark.parametrize("package", ["starlette", "uvicorn"])
def test_a_missing_package_gets_its_pip_install_line(tmp_path, package):
    (tmp_path / f"{package}.py").write_text(f"raise ModuleNotFoundError('No module named {package}', name={package!r})")
    paths = os.pathsep.join([str(tmp_path), str(ROOT)])
    line = only_line(run(tmp_path, "demo.py", "--no-browser", ROOT / ONNX, PYTHONPATH=paths), 4)
    assert line == f'error: {package} is not installed, which serves the page: pip install -e ".[demo]" in the clone'


def test_the_line_at_the_start_is_greppable(tmp_path):
    demo = begin(tmp_path, ROOT / ONNX, ROOT / KERAS)
    with contextlib.closing(demo.process.stdout), contextlib.closing(demo.process.stderr):
        first = json.loads(demo.request("/models")[2])["first"]
        assert first == str(ROOT / ONNX)
        assert end(demo) == (130, "stopped by Ctrl-C\n")
