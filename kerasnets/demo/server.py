"""What the page asks for, over HTTP: the page itself, the models, a model's answer for a picture, its feature maps.

Nothing is kept of a picture. Whatever is wrong comes as {"error": one line}.
"""

import asyncio
import contextlib
import json
import multiprocessing
import os
import signal
import struct
import threading
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from kerasnets import pictures
from kerasnets.demo import inference, model_list
from kerasnets.errors import BadInputError, in_one_line, is_full_memory, shorten
from kerasnets.runtime.processes import Worker

HOSTS = ("127.0.0.1", "localhost")  # by any other name a foreign page could come to us (DNS rebinding)
MOST_BYTES = 10_000_000  # of a picture
MOST_KEPT = 64_000_000  # of what a network saw, which comes back for its feature maps

FOLDER = Path(__file__).parent
PAGE = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}
HEADERS = {
    # Nothing from anywhere else, no frame around us; the page's own icon and a chosen picture are data: and blob:.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

# The first row whose class fits tells the status.
STATUSES = (
    (BadInputError, 422),
    (ImportError, 501),  # a package that is missing here
    (BrokenProcessPool, 503),
    (ValueError, 400),
)


def app(named=()):
    """The Starlette application. named: model files beside those that are found; `state.processes` is to be closed."""
    routes = [Route(path, page) for path in PAGE]
    routes += [
        Route("/models", models),
        Route("/model", model),
        Route("/layers", layers),
        Route("/predict", predict, methods=["POST"]),
        Route("/maps", maps, methods=["POST"]),
    ]
    made = Starlette(
        routes=routes,
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS, www_redirect=False)],
        exception_handlers={HTTPException: told, Exception: told, **{kind: told for kind, _ in STATUSES}},
    )
    made.state.named, made.state.processes = tuple(named), Processes()
    return made


# ---- what is asked ----


async def page(request):
    file, kind = PAGE[request.url.path]
    return Response((FOLDER / file).read_bytes(), headers=HEADERS, media_type=kind)


async def models(request):
    """The models by name, the one to begin with, what runs each, the first by default."""
    found = model_list.offered(request.app.state.named)
    rows = [{"name": name, "runners": runners_of(path)} for name, path in found.items()]
    return answered({"models": rows, "first": model_list.first_of(found, request.app.state.named), "most": MOST_BYTES})


async def model(request):
    """What a model is; it is loaded."""
    path, engine, backend = chosen(request)
    about = await on(request, backend, inference.prepare, str(path), model_list.version_of(path), engine)
    return answered(about | {"runner": f"{engine}{model_list.ON}{backend}" if engine == "keras" else engine})


async def layers(request):
    """What there is to see of a model's layers, and by which file and backend."""
    path, backend = with_layers(request)
    about = await on(request, backend, inference.layers, str(path), model_list.version_of(path))
    return answered(about | {"file": path.name, "backend": backend})


async def predict(request):
    """The probabilities for the picture in the body, and what the network saw of it."""
    path, engine, backend = chosen(request)
    content = await body_of(request, MOST_BYTES, name := request.query_params.get("picture") or "the picture")
    picture = await run_in_threadpool(pictures.decode, content, name)
    version = model_list.version_of(path)
    shares, pixels = await on(request, backend, inference.answer, str(path), version, engine, picture)
    return framed({"probabilities": shares, "shape": pixels.shape}, pixels.tobytes())


async def maps(request):
    """The feature maps of what the network saw, which is the body: uint8, as `predict` gives it."""
    path, backend = with_layers(request)
    content = await body_of(request, MOST_KEPT, "what the network saw")
    try:
        shape = [int(side) for side in request.query_params.get("shape", "").split("x")]
        pixels = np.frombuffer(content, np.uint8).reshape(shape)
    except ValueError as error:
        raise ValueError("the pixels are not of the shape that is told; pass HEIGHTxWIDTHxCHANNELS") from error
    rows, drawn = await on(request, backend, inference.maps, str(path), model_list.version_of(path), pixels)
    return framed({"layers": rows}, drawn)


# ---- what it is asked of ----


def path_of(request):
    """The file of the model that is named: one of those that are offered, and no other."""
    found = model_list.offered(request.app.state.named)
    name = request.query_params.get("model", "")
    if name not in found:
        raise HTTPException(404, f"no model {shorten(name)!r} is offered; choose one of those that are listed")
    return found[name]


def chosen(request):
    """(file, engine, backend or None) that the request names."""
    path = path_of(request)
    return path, *model_list.parts_of(path, request.query_params.get("runner", ""))


def with_layers(request):
    """(file that has the layers, backend to compute them on)."""
    path, _, backend = chosen(request)
    twin = model_list.twin_of(path)
    if backend and path == twin:
        return twin, backend
    return twin, model_list.parts_of(twin)[1]


def runners_of(path):
    """As offered.runners; none of a file that nothing here can run, which is told when it is chosen."""
    try:
        return model_list.runners(path)
    except (ImportError, BadInputError):
        return []


async def body_of(request, most, name):
    """The bytes that were sent. What is too long is refused before it is read, and what comes from another page."""
    origin = request.headers.get("origin")
    if origin and origin != f"http://{request.headers['host']}":
        raise HTTPException(403, f"no answer for a page of {shorten(origin)}")
    words = f"{shorten(name)} is too long; the page takes {most / 1e6:.0f} MB"
    too_long = HTTPException(413, words, {"Connection": "close"})
    if int(request.headers.get("content-length", 0)) > most:
        raise too_long
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > most:
            raise too_long
    return bytes(content)


# ---- what is answered ----


def answered(about):
    return JSONResponse(about, headers=HEADERS)


def framed(about, content):
    """JSON and bytes in one: the JSON's length (4 bytes, little-endian), the JSON, the bytes."""
    text = json.dumps(about).encode()
    whole = struct.pack("<I", len(text)) + text + content
    return Response(whole, headers=HEADERS, media_type="application/octet-stream")


def told(request, error):
    """The answer that says what went wrong."""
    if isinstance(error, HTTPException):
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)
    if isinstance(error, BrokenProcessPool):
        error = BrokenProcessPool("the backend's process has ended, maybe for want of memory; try again")
    if is_full_memory(error):
        return JSONResponse({"error": "the memory is full; try a smaller picture or model"}, 503)
    status = next((status for kind, status in STATUSES if isinstance(error, kind)), 500)
    words = " ".join(str(error).split()) if status != 500 else f"internal error: {in_one_line(repr(error), 150)}"
    return JSONResponse({"error": words}, status)


# ---- where models run ----


async def on(request, backend, function, *args):
    """What `function(*args)` returns: in a thread of this process, or in the process of a backend."""
    if backend is None:
        return await run_in_threadpool(function, *args)
    return await request.app.state.processes.run(backend, function, *args)


class Processes:
    """One process for each backend, begun when it is needed: this one imports no framework and stays quick."""

    def __init__(self):
        self.running = {}

    async def run(self, backend, function, *args):
        if backend not in self.running:
            self.running[backend] = Worker(backend, leave_with_parent)
        try:
            with no_interrupts():
                future = self.running[backend].submit(function, *args)
            return await asyncio.wrap_future(future)
        except BrokenProcessPool:
            self.running.pop(backend, None)
            raise

    def close(self):
        for worker in self.running.values():
            worker.kill()


@contextlib.contextmanager
def no_interrupts():
    """Within, Ctrl-C waits; a process that is begun gets none at all: a terminal's goes to it too, and we end it."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def leave_with_parent():
    """Let this process end when the one that has begun it is gone, even by kill -9."""

    def wait():
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
