"""Video: the frames of a camera or a video file, each classified, with class and milliseconds drawn on it."""

import contextlib
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from kerasnets.errors import BadInputError, no_window, shorten
from kerasnets.prediction.answers import Prediction, as_dict
from kerasnets.prediction.classifier import Classifier
from kerasnets.runtime.atomic import whole_file
from kerasnets.runtime.backends import environment, quiet_stderr

Source = int | str | Path  # the number of a camera, or a video file

CODECS = {".mp4": "mp4v", ".avi": "MJPG", ".mkv": "mp4v"}  # suffix of a video to write -> FOURCC of its codec
USUAL_RATE = 25.0  # frames a second, if a source does not tell its own, as many cameras
KEY_TO_LEAVE = "q"
Color = tuple[int, int, int]
WHITE, GREY = (255, 255, 255), (150, 150, 150)  # of a sure answer, and of one that is not
WHOLE = 0.9  # of the frames that a video declares; some formats only estimate them


@dataclass(frozen=True)
class Summary:
    """The result of a camera or a video.

    Attributes:
        frames: How many frames were read.
        answered: How many of them have a prediction.
        milliseconds: Median time to prepare and classify a frame.
        answers: Prediction.as_dict() of each frame, or {"error": the reason why there is none}.
    """

    frames: int
    answered: int
    milliseconds: float
    answers: list[dict[str, Any]]

    def line(self) -> str:
        """Return the result as one greppable line."""
        return f"result frames={self.frames} answered={self.answered} milliseconds={self.milliseconds:.2f}"

    def json(self) -> str:
        return json.dumps(dataclasses.asdict(self))


def watch(
    classifier: Classifier,
    source: Source,
    save: str | Path | None = None,
    show: bool = False,
    tell: Callable[[str], object] = lambda line: None,
) -> Summary:
    """Classify each frame of a camera or a video file, until it ends or the key q is pressed.

    Args:
        classifier: What to classify with.
        source: The number of a camera, or a video file.
        save: The video file to write, with the answers drawn on the frames.
        show: Open a window.
        tell: Called with a line for each frame.

    Raises:
        BadInputError: The source gives no frame, or a video breaks off.
        ValueError: `save` has a suffix that cannot be written.
        OSError: `save` cannot be written, or there is no screen.
    """
    if save and Path(save).suffix not in CODECS:
        raise ValueError(f"cannot write {shorten(save)}: a video's name ends in {', '.join(CODECS)}")
    name = f"camera {source}" if isinstance(source, int) else Path(source).name
    answers: list[dict[str, Any]] = []
    times: list[float] = []
    left, stopped = False, None
    with open_source(source) as capture, open_target(save, capture) as write:
        if show:
            check_screen()
        declared = capture.get(cv2.CAP_PROP_FRAME_COUNT)  # 0 or less for a camera
        try:
            for i, frame in enumerate(frames(capture)):
                start = time.perf_counter()
                (result,) = classifier.try_predict([frame[..., ::-1]])  # OpenCV's colours are BGR
                times.append(1000 * (time.perf_counter() - start))
                answers.append(as_dict(result))
                line, label, color = describe_result(result)
                tell(f"{name} {i}: {line}")
                draw(frame, f"{label}  {times[-1]:.1f} ms", color)
                if write:
                    write(frame)
                left = show and not show_frame(name, frame)
                if left:
                    break
        except KeyboardInterrupt as interrupt:
            if not isinstance(source, int) or not times:
                raise
            stopped = interrupt  # the video of a camera is finished first
        if not times:
            remedy = "check that it is whole, or not in use elsewhere"
            raise BadInputError("gives no picture", path=describe(source), remedy=remedy)
    if stopped:
        raise stopped
    if not left and len(times) < WHOLE * declared:
        problem = f"breaks off after {len(times)} of {declared:.0f} frames"
        raise BadInputError(problem, path=describe(source), remedy="copy it again")
    answered = sum("error" not in answer for answer in answers)
    return Summary(len(times), answered, statistics.median(times), answers)


def describe_result(result: Prediction | BadInputError) -> tuple[str, str, Color]:
    """Return a result for a line of text, and shorter for a frame, with its colour there."""
    if isinstance(result, BadInputError):
        return "-", "-", WHITE
    line, label = f"{result.label} {result.probability:.4f}", f"{result.label} {result.probability:.0%}"
    if result.verdict.is_sure:
        return line, label, WHITE
    return f"{line}  ({result.verdict.name})", f"{label} {result.verdict.name}", GREY


@contextlib.contextmanager
def open_source(source: Source) -> Iterator[cv2.VideoCapture]:
    """Yield the open cv2.VideoCapture of a camera or a video file."""
    if isinstance(source, int) and source < 0:  # OpenCV takes any camera for -1, and may crash
        raise BadInputError("has no number of 0 or more", path=describe(source), remedy="number the cameras from 0")
    if not isinstance(source, int) and not Path(source).is_file():
        raise BadInputError("no video {path}", path=source, remedy="check the name")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # FFmpeg's AV_LOG_QUIET: the error line is ours
    with quiet_stderr():  # OpenCV's own reader of .avi prints its complaints
        capture = cv2.VideoCapture(source if isinstance(source, int) else str(source))
    try:
        if not capture.isOpened():
            remedy = "check that it is there and whole"
            raise BadInputError("cannot be opened by OpenCV", path=describe(source), remedy=remedy)
        yield capture
    finally:
        capture.release()
        with contextlib.suppress(cv2.error):  # the headless OpenCV has no windows to close
            cv2.destroyAllWindows()


@contextlib.contextmanager
def open_target(save: str | Path | None, capture: cv2.VideoCapture) -> Iterator[Callable[[np.ndarray], None] | None]:
    """Yield a function that writes a frame to the video file `save`; None without `save`.

    The file has the size and rate of `capture`, and is written whole or not at all. OpenCV reports neither a full disk
    nor a frame of another size, which it drops.
    """
    if not save:
        yield None
        return
    size = tuple(int(capture.get(side)) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    rate, count = capture.get(cv2.CAP_PROP_FPS), 0
    with whole_file(save) as part:
        codec = cv2.VideoWriter.fourcc(*CODECS[Path(save).suffix])
        writer = cv2.VideoWriter(str(part), codec, rate if rate > 0 else USUAL_RATE, size)
        try:
            if not writer.isOpened():
                raise OSError(f"OpenCV cannot write {shorten(save)} here; try a name that ends in .avi")

            def write(frame: np.ndarray) -> None:
                nonlocal count
                count += 1
                writer.write(frame if frame.shape[1::-1] == size else cv2.resize(frame, size))

            yield write
        finally:
            writer.release()
        if frames_in(part) < count:
            raise OSError(f"{shorten(save)} could not be written to its end; free some space, or name another place")


def frames_in(path: Path) -> int:
    """Count the frames that can be read from a video. The count that it declares is right even if it is cut short."""
    with quiet_stderr():
        capture = cv2.VideoCapture(str(path))
    count = 0
    while capture.grab():
        count += 1
    capture.release()
    return count


def frames(capture: cv2.VideoCapture) -> Iterator[np.ndarray]:
    while True:
        is_frame, frame = capture.read()
        if not is_frame:
            return
        yield frame


def draw(frame: np.ndarray, text: str, color: Color = WHITE) -> None:
    """Write `text` into the upper left corner of a frame, on black, in proportion to its height."""
    scale = max(frame.shape[0] / 480, 0.4)
    thickness = max(1, round(2 * scale))
    (width, height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
    cv2.rectangle(frame, (0, 0), (width + height, 2 * height + below), (0, 0, 0), cv2.FILLED)
    place = (height // 2, height + height // 2)
    cv2.putText(frame, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, color, thickness, cv2.LINE_AA)


def show_frame(name: str, frame: np.ndarray) -> bool:
    """Show a frame in its window; return False if a person has closed it or pressed the key to leave."""
    cv2.imshow(name, frame)
    left = cv2.waitKey(1) & 0xFF == ord(KEY_TO_LEAVE)
    return not left and cv2.getWindowProperty(name, cv2.WND_PROP_VISIBLE) >= 1


def check_screen() -> None:
    """Raise OSError if no window can be opened. A process of its own tries it: Qt ends its process without a screen."""
    code = "import cv2; cv2.namedWindow('kerasnets'); cv2.waitKey(1)"
    if subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True).returncode:
        raise no_window()


def describe(source: Source) -> str:
    """Return a source's name for a message."""
    return f"camera {source}" if isinstance(source, int) else str(source)
