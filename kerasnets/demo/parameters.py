"""What a request to the demo's server asks for: the model and its runner, a picture, the network's input, a class."""

from pathlib import Path

import numpy as np
from starlette.exceptions import HTTPException
from starlette.requests import Request

from kerasnets.demo import model_list
from kerasnets.errors import shorten

MOST_BYTES = 10_000_000  # of a picture
MOST_INPUT_BYTES = 64_000_000  # of a network's input, which the page sends back for reasons and feature maps


def path_of(request: Request) -> Path:
    """Return the file of the requested model, which must be an offered one."""
    paths = model_list.collect(request.app.state.named)
    name = request.query_params.get("model", "")
    if name not in paths:
        raise HTTPException(404, f"no model {shorten(name)!r} is offered; choose one from the list")
    return paths[name]


def choice_of(request: Request) -> tuple[Path, str, str | None]:
    """Return (file, engine, backend or None) of the request."""
    path = path_of(request)
    return path, *model_list.parts_of(path, request.query_params.get("runner", ""))


def file_with_layers(request: Request) -> tuple[Path, str | None]:
    """Return (file that has the layers, backend to compute them)."""
    path, _, backend = choice_of(request)
    other = model_list.file_with_layers(path)
    if backend and path == other:
        return other, backend
    return other, model_list.parts_of(other)[1]


async def body_of(request: Request, most: int, name: str) -> bytes:
    """Return the body of a request; refuse one of more than `most` bytes before reading it."""
    words = f"{shorten(name)} is too large; the limit is {most / 1e6:.0f} MB"
    too_large = HTTPException(413, words, {"Connection": "close"})
    if int(request.headers.get("content-length", 0)) > most:
        raise too_large
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > most:
            raise too_large
    return bytes(content)


def class_of(request: Request) -> int:
    """Return the number of the requested class."""
    try:
        return int(request.query_params.get("class", ""))
    except ValueError as error:
        raise ValueError("pass the number of a class") from error


async def pixels_of(request: Request) -> np.ndarray:
    """Return the network's input in the body of a request: uint8, as `predict` answered it."""
    content = await body_of(request, MOST_INPUT_BYTES, "the network's input")
    try:
        shape = [int(side) for side in request.query_params.get("shape", "").split("x")]
        return np.frombuffer(content, np.uint8).reshape(shape)
    except ValueError as error:
        raise ValueError("the pixels do not fit their shape; pass HEIGHTxWIDTHxCHANNELS") from error
