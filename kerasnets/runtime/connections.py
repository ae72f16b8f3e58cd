"""How the workers of one training connect: worker 0 listens at a port, the others call it; what they send is framed."""

import contextlib
import errno
import json
import socket
import struct
import time
from collections.abc import Iterator

from kerasnets.runtime.workers import Place

GREETING = "kerasnets"
LARGEST = 2**40  # bytes of a frame

Connections = dict[int, socket.socket]  # {rank of the other end: connection}


def wait_for_all(place: Place, seconds: float) -> tuple[Connections, Connections]:
    """Return ({rank: connection for talks}, {rank: connection for beats}) of all other workers."""
    kinds: dict[str, Connections] = {"talk": {}, "beat": {}}
    deadline = time.monotonic() + seconds
    with listener_of(place) as listener, closed_by_error(kinds):
        while missing := [rank for rank in range(1, place.count) if any(rank not in of for of in kinds.values())]:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(
                    f"{len(missing)} of {place.count} workers did not come within {seconds:g} s "
                    f"(worker {', '.join(map(str, missing[:5]))}); start all of them with the same command"
                )
            listener.settimeout(left)
            with contextlib.suppress(TimeoutError):
                admit(listener.accept()[0], place, kinds)
    return kinds["talk"], kinds["beat"]


def admit(guest: socket.socket, place: Place, kinds: dict[str, Connections]) -> None:
    """Add a connection to `kinds` if it is one of a worker of this run."""
    try:
        guest.settimeout(5)
        guest.sendall(frame(f"{GREETING} {place.run}".encode()))
        kind, rank, count = json.loads(receive(guest, 1000))
        of = kinds[kind]
    except (OSError, ValueError, KeyError, TypeError):  # something else
        guest.close()
        return
    if count != place.count or rank in of or not 0 < rank < count:
        guest.close()
        if count != place.count:
            raise OSError(f"worker {rank} says that there are {count} workers, and worker 0 {place.count}")
        raise OSError(f"two workers have the number {rank}; give each its own RANK")
    of[rank] = without_delay(guest)


@contextlib.contextmanager
def closed_by_error(kinds: dict[str, Connections]) -> Iterator[None]:
    """Close all connections in `kinds` if the block fails."""
    try:
        yield
    except BaseException:
        for connection in (each for of in kinds.values() for each in of.values()):
            connection.close()
        raise


def go_to_leader(place: Place, seconds: float) -> tuple[Connections, Connections]:
    """Return ({0: connection for talks}, {0: connection for beats}) of worker 0."""
    deadline = time.monotonic() + seconds
    kinds: dict[str, Connections] = {"talk": {}, "beat": {}}
    with closed_by_error(kinds):
        for kind, of in kinds.items():
            while not (found := next(filter(None, (call(place, port, kind) for port in place.ports)), None)):
                if time.monotonic() > deadline:
                    raise TimeoutError(
                        f"worker {place.rank} did not meet worker 0 at {place.address}, port {place.port}, within "
                        f"{seconds:g} s; start all of them with the same command, and check MASTER_ADDR and MASTER_PORT"
                    )
                time.sleep(0.2)
            of[0] = found
    return kinds["talk"], kinds["beat"]


def call(place: Place, port: int, kind: str) -> socket.socket | None:
    """Return a connection to worker 0 of this run at `port`; None if it is not there."""
    connection = None
    try:
        connection = socket.create_connection((place.address, port), timeout=5)
        if receive(connection, 1000).decode() == f"{GREETING} {place.run}":  # nothing is sent to anything else
            connection.sendall(frame(json.dumps((kind, place.rank, place.count)).encode()))
            return without_delay(connection)
    except (OSError, ValueError):
        pass
    if connection:
        connection.close()
    return None


def listener_of(place: Place) -> socket.socket:
    """Return the socket at which worker 0 is met."""
    for port in place.ports:
        for address in (place.address, ""):  # the address may be one that other machines see and this one has not
            try:
                return socket.create_server((address, port), backlog=2 * place.count)
            except PermissionError:
                raise OSError(f"port {port} may not be used; choose another MASTER_PORT") from None
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    break
    which = f"port {place.port}" if len(place.ports) == 1 else f"ports {place.port} to {place.ports[-1]}"
    raise OSError(f"{which} of {place.address} cannot be used, perhaps by another run; choose another MASTER_PORT")


def without_delay(connection: socket.socket) -> socket.socket:
    connection.settimeout(None)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def free_port(address: str) -> int:
    """Return a port of this machine that nothing uses now."""
    with socket.create_server((address, 0)) as server:
        return int(server.getsockname()[1])


# ---- frames: 8 bytes for a length, and so many bytes ----


def frame(content: bytes) -> bytes:
    return struct.pack(">Q", len(content)) + content


def split(content: bytes) -> list[bytes]:
    contents, start = [], 0
    while start < len(content):
        [length] = struct.unpack_from(">Q", content, start)
        contents.append(content[start + 8 : start + 8 + length])
        start += 8 + length
    return contents


def receive(connection: socket.socket, largest: int = LARGEST) -> bytes:
    """Return the next frame; raise OSError if the connection is closed."""
    [length] = struct.unpack(">Q", exactly(connection, 8))
    if length > largest:
        raise OSError("that is too long")
    return exactly(connection, length)


def exactly(connection: socket.socket, length: int) -> bytes:
    content = bytearray()
    while len(content) < length:
        part = connection.recv(min(length - len(content), 2**20))
        if not part:
            raise OSError("the connection was closed")
        content += part
    return bytes(content)
