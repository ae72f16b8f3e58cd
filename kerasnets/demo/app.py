"""The demo as a program: its port, its server and the browser.

The page is one file each of HTML, CSS and JavaScript, and loads nothing from the internet.
"""

import contextlib
import os
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from kerasnets.demo import model_list
from kerasnets.errors import visible
from kerasnets.runtime import backends

ADDRESS = "127.0.0.1"  # this machine alone
PORT = 8000
PATIENCE = 1  # seconds that unfinished answers get when the server ends


def serve(named: Sequence[str | Path] = (), port: int = PORT, browser: bool = True, debug: bool = False) -> None:
    """Serve the page at http://127.0.0.1:`port` until Ctrl-C, which raises runtime.signals.Stopped.

    Args:
        named: Model files to offer, before those in models_saved.
        port: The port; 0 for a free one.
        browser: Whether to open the page in the browser, if there is a screen.
        debug: Whether the server logs its requests.

    Raises:
        BadInputError: A model file is missing or damaged, or there is none.
        OSError: The port is in use.
        ImportError: The packages of the server are not installed.
    """
    try:
        import uvicorn

        from kerasnets.demo import server
        from kerasnets.demo.connections import BACKLOG, Connection
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in ("uvicorn", "starlette"):
            raise
        how = backends.install_line("demo")
        raise ImportError(f"{error.name} is not installed, which serves the page: {how}") from error
    models = model_list.check(named)
    app = server.app(named)
    config = uvicorn.Config(
        app, lifespan="off", access_log=debug, log_level="info" if debug else "critical",
        timeout_graceful_shutdown=PATIENCE, http=Connection, ws="none", backlog=BACKLOG,
        headers=list(server.HEADERS.items()), server_header=False,
    )  # fmt: skip
    with contextlib.closing(listen(port)) as listener, contextlib.closing(app.state.processes):
        address = f"http://{ADDRESS}:{listener.getsockname()[1]}"
        first = model_list.first_of(models, named)
        print(f"demo at {address} models={len(models)} first={visible(first)} (Ctrl-C ends it)", flush=True)
        if browser and has_screen():
            threading.Thread(target=show, args=[address], daemon=True).start()
        uvicorn.Server(config).run(sockets=[listener])


def listen(port: int) -> socket.socket:
    """Return a socket that listens at `port`, on this machine alone. Raises OSError if the port is in use."""
    if not 0 <= port <= 0xFFFF:
        raise ValueError(f"a port is a number of 0 to 65535, not {port}")
    # asyncio turns off Nagle's algorithm, which would delay each answer by 40 ms, only if the protocol is IPPROTO_TCP.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # on Windows the option would let us take another program's port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((ADDRESS, port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise OSError(
            f"port {port} cannot be used ({error.strerror}); choose another by --port, or --port 0 for a free one"
        ) from error
    return listener


def has_screen() -> bool:
    return sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def show(address: str) -> None:
    import webbrowser

    webbrowser.open(address)
