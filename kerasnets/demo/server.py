"""The demo's HTTP server: the page, the list of models, and a model's answer, its reasons and its feature maps.

No picture is stored. An error is answered as {"error": one line}.
"""

import asyncio
import contextlib
import json
import signal
import struct
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from kerasnets.demo import inference, model_list
from kerasnets.demo.decoding import BusyError, Decoder
from kerasnets.demo.parameters import MOST_BYTES, body_of, choice_of, class_of, file_with_layers, pixels_of
from kerasnets.errors import BadInputError, in_one_line, is_full_memory, shorten
from kerasnets.runtime.processes import Worker

Result = TypeVar("Result")
Answer = Callable[[Request], Awaitable[Response]]

HOSTS = ("127.0.0.1", "localhost")  # no other name, so that no foreign page reaches us by DNS rebinding

FOLDER = Path(__file__).parent
PAGE = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}
HEADERS = {
    # The page loads nothing from elsewhere and is shown in no frame; its icon is data:, a chosen picture blob:.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

# The first class that fits an error gives the status.
STATUSES: tuple[tuple[type[Exception], int], ...] = (
    (BadInputError, 422),
    (ImportError, 501),  # a package that is not installed
    (BrokenProcessPool, 503),
    (BusyError, 503),
    (ValueError, 400),
)


def app(named: Sequence[str | Path] = ()) -> Starlette:
    """Return the application. Its `state.processes` must be closed at the end.

    Args:
        named: Model files to offer, before those that are found.
    """
    routes = [
        *(Route(path, page) for path in PAGE),
        *(
            Route(path, own_page_only(answer))
            for path, answer in (("/models", models), ("/model", model), ("/layers", layers))
        ),
        Route("/predict", own_page_only(predict), methods=["POST"]),
        Route("/explain", own_page_only(explain), methods=["POST"]),
        Route("/maps", own_page_only(maps), methods=["POST"]),
    ]
    application = Starlette(
        routes=routes,
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS, www_redirect=False)],
        exception_handlers={
            kind: error_response for kind in (HTTPException, Exception, *(kind for kind, _ in STATUSES))
        },
    )
    application.state.named = tuple(named)
    application.state.processes, application.state.decoder = Processes(), Decoder()
    application.state.explaining = asyncio.Lock()
    return application


# ---- routes ----


async def page(request: Request) -> Response:
    file, kind = PAGE[request.url.path]
    return Response((FOLDER / file).read_bytes(), media_type=kind)


async def models(request: Request) -> Response:
    """The models and their runners, the default runner first; the model to show first; the most bytes of a picture."""
    named = request.app.state.named
    paths = model_list.collect(named)
    listed = [{"name": name, "runners": runners_of(path)} for name, path in paths.items()]
    return json_response({"models": listed, "first": model_list.first_of(paths, named), "most": MOST_BYTES})


async def model(request: Request) -> Response:
    """Load a model, and describe it."""
    path, engine, backend = choice_of(request)
    about = await run_on(request, backend, inference.prepare, str(path), model_list.version_of(path), engine)
    return json_response(about | {"runner": f"{engine}{model_list.ON}{backend}" if engine == "keras" else engine})


async def layers(request: Request) -> Response:
    """The layers of a model, and the file and backend that compute them."""
    path, backend = file_with_layers(request)
    about = await run_on(request, backend, inference.layers, str(path), model_list.version_of(path))
    return json_response(about | {"file": path.name, "backend": backend})


async def predict(request: Request) -> Response:
    """The probabilities for the picture in the body, and the network's input."""
    path, engine, backend = choice_of(request)
    name = request.query_params.get("picture") or "the picture"
    content = await body_of(request, MOST_BYTES, name)
    picture = await request.app.state.decoder.decode(content, name)
    version = model_list.version_of(path)
    shares, pixels, doubt = await run_on(request, backend, inference.answer, str(path), version, engine, picture)
    return framed_response({"probabilities": shares, "shape": pixels.shape, "doubt": doubt}, pixels.tobytes())


async def explain(request: Request) -> Response:
    """What a class's probability for the network's input depends on; a file without layers has no Grad-CAM."""
    path, engine, backend = choice_of(request)
    with contextlib.suppress(BadInputError, ImportError):
        path, backend = file_with_layers(request)
        engine = "keras"
    pixels, version, place = await pixels_of(request), model_list.version_of(path), class_of(request)
    if request.app.state.explaining.locked():  # hundreds of runs of the network
        raise BusyError("another picture is being explained; try again")
    async with request.app.state.explaining:
        methods, content = await run_on(request, backend, inference.explain, str(path), version, engine, pixels, place)
    return framed_response({"methods": methods}, content)


async def maps(request: Request) -> Response:
    """The feature maps for the network's input in the body."""
    path, backend = file_with_layers(request)
    pixels = await pixels_of(request)
    drawn, content = await run_on(request, backend, inference.maps, str(path), model_list.version_of(path), pixels)
    return framed_response({"layers": drawn}, content)


# ---- requests ----


def own_page_only(answer: Answer) -> Answer:
    """Refuse a request that another site's page makes: an image tag there could load a framework here."""

    async def answer_own_page(request: Request) -> Response:
        own = f"http://{request.headers['host']}"
        origin = request.headers.get("origin", own)
        referer = request.headers.get("referer", own)  # our own page sends none
        site = request.headers.get("sec-fetch-site", "none")  # "none": a person has typed the address
        if origin != own or site not in ("same-origin", "none") or not f"{referer}/".startswith(f"{own}/"):
            raise HTTPException(403, f"no answer for a page of {shorten(origin if origin != own else 'another site')}")
        return await answer(request)

    return answer_own_page


def runners_of(path: Path) -> list[str]:
    """Return the runners of a file; none if nothing here runs it, which the page says when the file is chosen."""
    try:
        return model_list.runners(path)
    except (ImportError, BadInputError):
        return []


# ---- responses ----


def json_response(about: Mapping[str, Any]) -> JSONResponse:
    return JSONResponse(about)


def framed_response(about: Mapping[str, Any], content: bytes) -> Response:
    """Return JSON and bytes in one body: the JSON's length (4 bytes, little-endian), the JSON, the bytes."""
    text = json.dumps(about).encode()
    body = struct.pack("<I", len(text)) + text + content
    return Response(body, media_type="application/octet-stream")


def error_response(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, HTTPException):
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)
    if isinstance(error, BrokenProcessPool):
        error = BrokenProcessPool("the backend's process has ended, perhaps for lack of memory; try again")
    if is_full_memory(error):
        return JSONResponse({"error": "the memory is full; try a smaller picture or model"}, 503)
    status = next((status for kind, status in STATUSES if isinstance(error, kind)), 500)
    words = " ".join(str(error).split()) if status != 500 else f"internal error: {in_one_line(repr(error), 150)}"
    return JSONResponse({"error": words}, status)


# ---- processes that run models ----


async def run_on(request: Request, backend: str | None, function: Callable[..., Result], *args: Any) -> Result:
    """Return `function(*args)`, run in the process of a backend, or in a thread of this process without one."""
    if backend is None:
        return await run_in_threadpool(function, *args)
    processes: Processes = request.app.state.processes
    return await processes.run(backend, function, *args)


class Processes:
    """A process for each backend, started on first use: the server itself imports no framework."""

    def __init__(self) -> None:
        self.running: dict[str, Worker] = {}

    async def run(self, backend: str, function: Callable[..., Result], *args: Any) -> Result:
        if backend not in self.running:
            self.running[backend] = Worker(backend)
        worker = self.running[backend]
        try:
            with blocked_interrupts():
                future = worker.submit(function, *args)
            return await asyncio.wrap_future(future)
        except BrokenProcessPool:
            if self.running.get(backend) is worker:  # no other request has started the next one
                del self.running[backend]
            worker.kill()
            raise

    def close(self) -> None:
        for worker in self.running.values():
            worker.kill()


@contextlib.contextmanager
def blocked_interrupts() -> Iterator[None]:
    """Delay Ctrl-C in this process, and block it in a process started here: the terminal sends it to both."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
