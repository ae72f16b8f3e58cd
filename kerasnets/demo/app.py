"""The demo page: a digit is drawn, a picture dropped, a camera held at something, and models say what they see in it.

`serve` is what scripts/demo.py does. The page is one file each of HTML, CSS and JavaScript of our own, and nothing of
it comes from the internet.
"""

import contextlib
import os
import socket
import sys
import threading

from kerasnets.demo import model_list

ADDRESS = "127.0.0.1"  # this machine alone
PORT = 8000
PATIENCE = 1  # seconds that answers under way are given when the server ends


def serve(named=(), port=PORT, browser=True, debug=False):
    """Serve the page at http://127.0.0.1:`port` until Ctrl-C, which raises stopping.Stopped.

    named: model files that are offered beside those in models_saved. port: 0 takes a free one. browser: open the page
    in the person's browser, where there is a screen. debug: let the server tell what it does.
    Raises BadInputError for a bad file and where there is none, OSError for a port in use, ImportError without the
    server's packages.
    """
    try:
        import uvicorn

        from kerasnets.demo import server
    except ModuleNotFoundError as error:
        if error.name.split(".")[0] not in ("uvicorn", "starlette"):
            raise
        raise ImportError(f'{error.name} is not installed, which serves the page: pip install -e ".[demo]"') from error
    models = model_list.check(named)
    app = server.app(named)
    config = uvicorn.Config(
        app, lifespan="off", access_log=debug, log_level="info" if debug else "critical",
        timeout_graceful_shutdown=PATIENCE,
    )  # fmt: skip
    with contextlib.closing(listening(port)) as place, contextlib.closing(app.state.processes):
        address = f"http://{ADDRESS}:{place.getsockname()[1]}"
        first = model_list.first_of(models, named)
        print(f"demo at {address} models={len(models)} first={first} (Ctrl-C ends it)", flush=True)
        if browser and has_screen():
            threading.Thread(target=show, args=[address], daemon=True).start()
        uvicorn.Server(config).run(sockets=[place])


def listening(port):
    """A socket at `port` of this machine alone, which queues who comes. Raises OSError where the port is taken."""
    if not 0 <= port <= 0xFFFF:
        raise ValueError(f"a port is a number of 0 to 65535, not {port}")
    # By its protocol's number asyncio knows that TCP need not wait to fill a packet, which would take 40 ms an answer.
    place = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # elsewhere it would take a port that another program has
            place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        place.bind((ADDRESS, port))
        place.listen()
    except OSError as error:
        place.close()
        raise OSError(
            f"port {port} cannot be had ({error.strerror}); choose another by --port, or --port 0 for a free one"
        ) from error
    return place


def has_screen():
    return sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def show(address):
    import webbrowser

    webbrowser.open(address)
