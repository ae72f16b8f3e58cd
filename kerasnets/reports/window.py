"""A figure in a window."""

import os
import sys
from typing import TYPE_CHECKING

import numpy as np

from kerasnets.errors import no_window
from kerasnets.reports.plots import encode
from kerasnets.runtime import child

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def show(figure: "Figure") -> None:
    """Show a figure in a window of OpenCV until a key is pressed or the window is closed.

    The window has its own process, because Qt ends a process that asks for a window if there is no screen.

    Raises:
        OSError: There is no screen, or OpenCV was built without windows.
    """
    if child.run("kerasnets.reports.window", seconds=None, stdin=encode(figure, "png")).returncode:
        raise no_window()


def open_window() -> None:
    """Show the PNG on standard input; the main function of the window's own process."""
    child.end_with_parent()
    import cv2
    import matplotlib

    os.environ["QT_QPA_FONTDIR"] = os.path.join(matplotlib.get_data_path(), "fonts", "ttf")  # OpenCV's Qt has none
    title = "kerasnets"
    picture = cv2.imdecode(np.frombuffer(sys.stdin.buffer.read(), np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None  # `encode` wrote it
    cv2.imshow(title, picture)
    while cv2.waitKey(100) < 0 and cv2.getWindowProperty(title, cv2.WND_PROP_VISIBLE) >= 1:
        pass


if __name__ == "__main__":
    open_window()
