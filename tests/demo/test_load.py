"""The demo server under load and against other sites: it answers a person meanwhile, stays small, and ends at once."""

import contextlib
import http.client
import os
import shutil
import signal
import socket
import threading
import time

import pytest

from kerasnets.demo import connections, decoding
from kerasnets.demo.newest import Newest
from kerasnets.demo.server import HEADERS
from tests.conftest import ROOT
from tests.demo.demo_server import KERAS, ONNX, begin, end, running
from tests.demo.test_server import NO_HANG, PHOTO, linux, until

COSTLY = b"P3 4000 2500 255\n" + b"0 " * 4_500_000  # text, which Pillow reads number by number


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    with running(tmp_path_factory.mktemp("demo")) as started:
        yield started


def is_three(demo):
    about, _ = demo.frame("/predict", PHOTO, model=ONNX)
    return about["probabilities"].index(max(about["probabilities"])) == 3


# ---- other sites ----

FOREIGN = (
    {"Origin": "http://example.org"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},  # another port of this machine
    {"Referer": "http://example.org/"},
    {"Referer": "http://127.0.0.1:1/"},
)
COSTS = ("/models", "/model", "/layers", "/predict", "/maps")


@pytest.mark.parametrize("path", COSTS)
@pytest.mark.parametrize("headers", FOREIGN)
def test_another_sites_page_gets_nothing_that_costs(demo, path, headers):
    body = PHOTO if path in ("/predict", "/maps") else None
    status, _, content = demo.request(path, body, headers, model=KERAS, runner="keras on jax")
    assert (status, content[:27]) == (403, b'{"error":"no answer for a p')
    assert not demo.children()


def test_our_own_page_and_a_typed_address_get_answers(demo):
    for headers in (
        {"Origin": demo.address, "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Referer": f"{demo.address}/"},
        {},
    ):
        assert demo.request("/model", headers=headers, model=ONNX)[0] == 200


def raw(demo, content):
    with socket.create_connection(("127.0.0.1", demo.port)) as connection:
        connection.sendall(content)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return answer.status, answer.headers


def test_every_answer_has_the_headers(demo):
    answers = [
        demo.request(path, body, headers, **parameters)[:2]
        for path, body, headers, parameters in (
            ("/", None, {}, {}),
            ("/nope", None, {}, {}),
            ("/models", b"", {}, {}),
            ("/model", None, {}, {"model": "nope"}),
            ("/model", None, {"Origin": "null"}, {"model": ONNX}),
            ("/predict", b"x", {}, {"model": ONNX}),
            ("/predict", PHOTO, {}, {"model": ONNX}),
            ("/maps", b"x", {}, {"model": ONNX}),
            ("/", None, {"Host": "example.org"}, {}),
        )
    ]
    answers += [raw(demo, b"no HTTP\r\n\r\n"), raw(demo, b"GET / HTTP/1.1\r\n\r\n")]
    assert {status for status, _ in answers} >= {200, 400, 403, 404, 405, 422}
    for status, headers in answers:
        assert {name: headers[name] for name in HEADERS} == HEADERS, status
        assert all(len(headers.get_all(name)) == 1 for name in HEADERS), status


# ---- connections ----


def half_request(demo, content=b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-a: "):
    connection = socket.create_connection(("127.0.0.1", demo.port))
    connection.sendall(content)
    return connection


@linux
@pytest.mark.parametrize("body", [False, True])
def test_half_requests_take_no_place_from_a_whole_one(demo, body):
    host = f"127.0.0.1:{demo.port}"
    upload = f"POST /predict?model={ONNX} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 999999\r\n\r\n".encode() + PHOTO
    handles = f"/proc/{demo.process.pid}/fd"
    with contextlib.ExitStack() as opened:
        for _ in range(6 * connections.MOST):
            opened.enter_context(half_request(demo, *([upload] if body else [])))
            assert len(os.listdir(handles)) < 4 * connections.MOST  # those that are closed in the same turn, too
        assert is_three(demo)
    assert is_three(demo)


def test_a_half_request_is_given_up(demo):
    with half_request(demo) as connection:
        connection.settimeout(NO_HANG)
        begun = time.monotonic()
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(1) == b""
        assert time.monotonic() - begun > connections.SECONDS / 2


def test_a_second_half_request_on_a_connection_is_given_up(demo):
    whole = f"GET /page.css HTTP/1.1\r\nHost: 127.0.0.1:{demo.port}\r\n\r\n".encode()
    with half_request(demo, whole + b"GET / HTTP/1.1\r\nX-a: ") as connection:
        connection.settimeout(NO_HANG)
        with contextlib.suppress(ConnectionResetError):
            while connection.recv(2**16):
                pass


# ---- costly pictures ----


def post_costly(demo, count):
    """Threads that each post a costly picture, and the list of their statuses."""
    statuses = []

    def post():
        with contextlib.suppress(OSError, http.client.HTTPException):  # the server may end before its answer
            statuses.append(demo.request("/predict", COSTLY, model=ONNX)[0])

    threads = [threading.Thread(target=post) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads, statuses


@linux
def test_costly_pictures_wait_in_a_bounded_queue_and_others_are_answered(tmp_path):
    """The server is ended while most of them still wait."""
    most = decoding.AT_ONCE + decoding.MOST_WAITING
    demo = begin(tmp_path)
    threads, statuses = post_costly(demo, most + 5)
    until(demo.children)
    assert len(demo.children()) <= decoding.AT_ONCE
    assert is_three(demo)
    until(lambda: {422, 503} <= set(statuses))
    assert set(statuses) == {422, 503}
    assert end(demo) == (130, "stopped by Ctrl-C\n")
    for thread in threads:
        thread.join()


@linux
def test_ctrl_c_ends_the_server_and_its_processes_while_pictures_are_decoded(tmp_path):
    demo = begin(tmp_path)
    threads, _ = post_costly(demo, 5)
    until(demo.children)
    children = demo.children()
    assert end(demo, signal.SIGINT) == (130, "stopped by Ctrl-C\n")
    until(lambda: not any(os.path.exists(f"/proc/{child}") for child in children))
    for thread in threads:
        thread.join()


# ---- rewritten models ----


def test_only_the_newest_version_is_kept():
    made = []
    newest = Newest()

    def make(version):
        made.append(version)
        return version

    assert [newest.get("a", version, lambda v=version: make(v)) for version in (1, 1, 2, 2, 1)] == [1, 1, 2, 2, 1]
    assert made == [1, 2, 1]
    assert newest.get("b", 1, lambda: "other") == "other"
    assert newest.values == {"a": (1, 1), "b": (1, "other")}


def test_what_cannot_be_made_is_tried_again():
    newest = Newest()

    def fail():
        raise ValueError("damaged")

    assert newest.get("a", 1, lambda: "old") == "old"
    with pytest.raises(ValueError, match="damaged"):
        newest.get("a", 2, fail)
    assert newest.values == {}
    assert newest.get("a", 2, lambda: "new") == "new"


@linux
def test_a_model_written_anew_many_times_takes_no_more_memory(tmp_path):
    def memory(demo):
        with open(f"/proc/{demo.process.pid}/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) / 1024

    with running(tmp_path) as demo:
        model = tmp_path / "models_saved/mine.onnx"
        shutil.copy(ROOT / ONNX, model)
        sizes = []
        for turn in range(60):
            os.utime(model, ns=(turn, turn))
            assert demo.request("/predict", PHOTO, model="models_saved/mine.onnx")[0] == 200
            sizes.append(memory(demo))
        assert sizes[-1] - sizes[9] < 20  # MiB; each version takes 0.8
