"""A figure in a window."""

import os
import subprocess
import sys

import numpy as np

from kerasnets.errors import no_window
from kerasnets.reports.plots import encoded
from kerasnets.runtime.backends import environment


def show(figure):
    """Show a matplotlib Figure in a window of OpenCV's until a key is pressed or the window is closed.

    The window lives in a process of its own: where there is no screen, Qt ends the process that asked for one.
    Raises OSError where there is no screen, or where OpenCV was built without windows.
    """
    command = [sys.executable, "-c", "from kerasnets.reports.window import open_window; open_window()"]
    window = subprocess.run(command, input=encoded(figure, "png"), env=environment(), capture_output=True)
    if window.returncode:
        raise no_window()


def open_window():
    """Show the PNG that comes on standard input; the main function of the window's own process."""
    import cv2
    import matplotlib

    os.environ["QT_QPA_FONTDIR"] = os.path.join(matplotlib.get_data_path(), "fonts", "ttf")  # OpenCV's Qt has none
    title = "kerasnets"
    cv2.imshow(title, cv2.imdecode(np.frombuffer(sys.stdin.buffer.read(), np.uint8), cv2.IMREAD_COLOR))
    while cv2.waitKey(100) < 0 and cv2.getWindowProperty(title, cv2.WND_PROP_VISIBLE) >= 1:
        pass
