"""The connections of the page's server: their number is bounded, and a request must arrive in time.

A connection costs a file handle, and a program may have 1,024; one whose request never ends would keep it.
"""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST = 64  # connections; a browser opens 6
BACKLOG = 32  # connections that are accepted at once; further ones wait
SECONDS = 15  # from the first byte of a request until its last


class Connection(H11Protocol):
    """A connection that is closed if a request does not arrive in time, or if there are too many that have none."""

    timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.watch()
        is_open = [other for other in self.connections if not other.transport.is_closing()]
        if len(is_open) > MOST:
            waiting = [other for other in is_open if isinstance(other, Connection) and other.timer]
            min(waiting, key=lambda other: other.deadline).transport.abort()  # it may be this one

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self.stop_timer()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self.stop_timer()  # between two requests, the server's own limit on idle connections counts

    @property
    def deadline(self) -> float:
        return self.timer.when() if self.timer else float("inf")

    def watch(self) -> None:
        """Start the time of a request that has not arrived yet; stop it when the request has arrived."""
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self.stop_timer()
        elif not self.timer:
            self.timer = self.loop.call_later(SECONDS, self.transport.abort)

    def stop_timer(self) -> None:
        if self.timer:
            self.timer.cancel()
        self.timer = None

    def send_400_response(self, msg: str) -> None:
        """Like every answer, one to what is no HTTP has the headers of the server."""
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):  # an answer is on its way
            self.transport.close()
            return
        headers: list[tuple[Any, Any]] = [*self.server_state.default_headers, ("connection", "close")]
        body = msg.encode("ascii")
        for event in (
            h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
