"""The frames of a camera or a video file, each answered, with class and milliseconds drawn on it."""

import contextlib
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import cv2

from kerasnets.errors import BadInputError, no_window, shorten
from kerasnets.prediction.classifier import as_dict
from kerasnets.runtime.atomic import whole_file
from kerasnets.runtime.backends import environment, quiet_stderr

CODECS = {".mp4": "mp4v", ".avi": "MJPG", ".mkv": "mp4v"}  # suffix of a video that is written -> FOURCC of its codec
USUAL_RATE = 25.0  # frames a second of a source that does not tell its own, as many cameras do not
KEY_TO_LEAVE = "q"
WHOLE = 0.9  # of the frames that a video declares; some forms only estimate them


@dataclass(frozen=True)
class Watched:
    """What came of a camera or a video. milliseconds: the median of a frame, prepared and answered.

    answers: of each frame, as Prediction.as_dict gives it, or {"error": why there is none}.
    """

    frames: int
    answered: int
    milliseconds: float
    answers: list[dict]

    def line(self):
        """The result as one greppable line."""
        return f"result frames={self.frames} answered={self.answered} milliseconds={self.milliseconds:.2f}"

    def json(self):
        return json.dumps(dataclasses.asdict(self))


def watch(classifier, source, save=None, show=False, tell=lambda line: None):
    """Answer for each frame of `source`, the number of a camera or a video file, to its end or until `q`.

    save: the video file to write, with what was answered drawn on each frame. show: open a window.
    tell: is told a line for each frame.
    Raises BadInputError for a camera or file that gives no frame, and at the end of a video that breaks off; ValueError
    for a suffix that cannot be written, OSError where the file cannot be written or there is no screen.
    """
    if save and Path(save).suffix not in CODECS:
        raise ValueError(f"cannot write {shorten(save)}: a video's name ends in {', '.join(CODECS)}")
    name = f"camera {source}" if isinstance(source, int) else Path(source).name
    answers, times, left, stopped = [], [], False, None
    with opened(source) as capture, written(save, capture) as write:
        if show:
            check_screen()
        declared = capture.get(cv2.CAP_PROP_FRAME_COUNT)  # of a camera, 0 or below
        try:
            for i, frame in enumerate(frames(capture)):
                begun = time.perf_counter()
                (result,) = classifier.try_predict([frame[..., ::-1]])  # OpenCV's colours are BGR
                times.append(1000 * (time.perf_counter() - begun))
                failed = isinstance(result, BadInputError)
                answers.append(as_dict(result))
                label = "-" if failed else f"{result.label} {result.probability:.0%}"
                tell(f"{name} {i}: {'-' if failed else f'{result.label} {result.probability:.4f}'}")
                draw(frame, f"{label}  {times[-1]:.1f} ms")
                if write:
                    write(frame)
                left = show and not shown(name, frame)
                if left:
                    break
        except KeyboardInterrupt as asked:
            if not isinstance(source, int) or not times:
                raise
            stopped = asked  # what a camera saw so far is kept
        if not times:
            raise BadInputError(f"{words(source)} gives no picture; check that it is whole, or not in use elsewhere")
    if stopped:
        raise stopped
    if not left and len(times) < WHOLE * declared:
        raise BadInputError(f"{words(source)} breaks off after {len(times)} of {declared:.0f} frames; copy it again")
    answered = sum("error" not in answer for answer in answers)
    return Watched(len(times), answered, statistics.median(times), answers)


@contextlib.contextmanager
def opened(source):
    """A cv2.VideoCapture of `source`."""
    if not isinstance(source, int) and not Path(source).is_file():
        raise BadInputError(f"no video {shorten(source)}; check the name")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # FFmpeg's AV_LOG_QUIET: what is wrong, we say
    with quiet_stderr():  # OpenCV's own reader of .avi prints what it misses
        capture = cv2.VideoCapture(source if isinstance(source, int) else str(source))
    try:
        if not capture.isOpened():
            raise BadInputError(f"{words(source)} cannot be opened by OpenCV; check that it is there and whole")
        yield capture
    finally:
        capture.release()
        with contextlib.suppress(cv2.error):  # the headless OpenCV has no windows to close
            cv2.destroyAllWindows()


@contextlib.contextmanager
def written(save, capture):
    """A function that writes a frame to the video file `save`, like `capture`; None without `save`.

    The file is written whole or not at all. OpenCV tells neither of a full disk nor of a frame of another size, which
    it leaves out.
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

            def write(frame):
                nonlocal count
                count += 1
                writer.write(frame if frame.shape[1::-1] == size else cv2.resize(frame, size))

            yield write
        finally:
            writer.release()
        if frames_in(part) < count:
            raise OSError(f"{shorten(save)} could not be written to its end; free some space, or name another place")


def frames_in(path):
    """How many frames can be had of a video; what it declares is right in one that is not whole too."""
    with quiet_stderr():
        capture = cv2.VideoCapture(str(path))
    count = 0
    while capture.grab():
        count += 1
    capture.release()
    return count


def frames(capture):
    while True:
        there, frame = capture.read()
        if not there:
            return
        yield frame


def draw(frame, text):
    """Write `text` into the upper left corner of a frame, white on black, as large as suits it."""
    scale = max(frame.shape[0] / 480, 0.4)
    thickness = max(1, round(2 * scale))
    (width, height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
    cv2.rectangle(frame, (0, 0), (width + height, 2 * height + below), (0, 0, 0), cv2.FILLED)
    place = (height // 2, height + height // 2)
    cv2.putText(frame, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, (255, 255, 255), thickness, cv2.LINE_AA)


def shown(name, frame):
    """Show a frame; whether to go on."""
    cv2.imshow(name, frame)
    left = cv2.waitKey(1) & 0xFF == ord(KEY_TO_LEAVE)
    return not left and cv2.getWindowProperty(name, cv2.WND_PROP_VISIBLE) >= 1


def check_screen():
    """Raise OSError where no window can be opened; asked in a process of its own, which Qt ends without a screen."""
    code = "import cv2; cv2.namedWindow('kerasnets'); cv2.waitKey(1)"
    if subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True).returncode:
        raise no_window()


def words(source):
    return f"camera {source}" if isinstance(source, int) else shorten(source)
