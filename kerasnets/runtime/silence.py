"""Python's warnings, ignored for the length of a block in a process with many threads."""

import threading
import warnings


class Silence:
    """A context manager that ignores warnings while any thread is inside.

    The filters of warnings belong to the whole process. The first thread that enters sets them, and the last one that
    leaves restores them. With one `warnings.catch_warnings` for each thread, a thread could restore the filters that
    another had set, and warnings would stay ignored.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = 0  # threads

    def __enter__(self) -> None:
        with self.lock:
            if not self.inside:
                self.filters = warnings.catch_warnings(action="ignore")
                self.filters.__enter__()
            self.inside += 1

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.inside -= 1
            if not self.inside:
                self.filters.__exit__(None, None, None)


SILENCE = Silence()
