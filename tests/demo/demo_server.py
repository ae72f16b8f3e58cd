"""scripts/demo.py as a process at a free port, for tests over HTTP."""

import contextlib
import http.client
import json
import re
import signal
import struct
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlencode

from tests.cli.test_app import environment
from tests.conftest import ROOT

PRETRAINED = "models_saved/pretrained"
ONNX, KERAS = f"{PRETRAINED}/mnist_cnn-mnist.onnx", f"{PRETRAINED}/mnist_cnn-mnist.keras"


class Demo:
    """A running demo."""

    def __init__(self, process, address):
        self.process, self.address = process, address
        self.port = int(address.rsplit(":")[-1])

    def request(self, path, body=None, headers=(), **parameters):
        """(status, headers, bytes) of one request; a POST if there is a body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        with contextlib.closing(connection):
            query = f"?{urlencode(parameters, errors='replace')}" if parameters else ""
            connection.request("GET" if body is None else "POST", path + query, body, dict(headers))
            response = connection.getresponse()
            return response.status, response.headers, response.read()

    def json(self, path, body=None, **parameters):
        """(status, JSON) of one request."""
        status, _, content = self.request(path, body, **parameters)
        return status, json.loads(content)

    def frame(self, path, body, **parameters):
        """(JSON, bytes) of the answer to a picture."""
        status, _, content = self.request(path, body, **parameters)
        assert status == 200, content
        (length,) = struct.unpack_from("<I", content)
        return json.loads(content[4 : 4 + length]), content[4 + length :]

    def children(self):
        """The processes that it has started (Linux)."""
        place = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(number) for number in place.read_text().split()]

    def libraries(self):
        """The names of the files that its process has mapped into memory (Linux)."""
        return Path(f"/proc/{self.process.pid}/maps").read_text()


def begin(folder, *arguments, **more):
    """A Demo in `folder`, with the models that ship."""
    (folder / "models_saved").mkdir(exist_ok=True)
    if not (folder / PRETRAINED).exists():
        (folder / PRETRAINED).symlink_to(ROOT / PRETRAINED)
    command = [sys.executable, str(ROOT / "scripts/demo.py"), "--no-browser", "--port", "0", *map(str, arguments)]
    process = subprocess.Popen(
        command, cwd=folder, env=environment(**more), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    line = process.stdout.readline()
    found = re.match(r"demo at (http://127\.0\.0\.1:\d+) ", line)
    assert found, line + process.communicate()[1]
    return Demo(process, found[1])


def end(demo, number=signal.SIGINT):
    """(exit code, stderr) of a Demo that is sent a signal."""
    demo.process.send_signal(number)
    _, errors = demo.process.communicate()
    return demo.process.returncode, errors


@contextlib.contextmanager
def running(folder, *arguments, **more):
    """A Demo that Ctrl-C ends at the end of the block."""
    demo = begin(folder, *arguments, **more)
    try:
        yield demo
    finally:
        ended = end(demo)
    assert ended == (130, "stopped by Ctrl-C\n"), ended
