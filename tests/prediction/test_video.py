"""Each frame of a video is classified; a file that is not a video is refused in one line."""

import json
import os
import sys

import cv2
import numpy as np
import pytest

from kerasnets.errors import BadInputError
from kerasnets.prediction import Classifier, video
from kerasnets.prediction.answers import Prediction
from kerasnets.prediction.verdicts import Verdict
from tests.cli.test_app import only_line, run
from tests.conftest import ROOT

MODEL = ROOT / "models_saved/pretrained/mnist_cnn-mnist.onnx"
SIDE, EACH = 320, 2  # pixels of a frame; frames that show a digit
DIGITS = [digit for digit in range(10) for _ in range(EACH)]


def frame_of(digit):
    """A digit of docs/samples in the middle of its paper."""
    picture = cv2.resize(cv2.imread(str(ROOT / f"docs/samples/screen-{digit}.png")), (160, 160))
    paper = int(picture[0, 0, 0])
    return cv2.copyMakeBorder(picture, *[(SIDE - 160) // 2] * 4, cv2.BORDER_CONSTANT, value=(paper,) * 3)


@pytest.fixture
def clip(tmp_path):
    """A film of the ten digits."""
    writer = cv2.VideoWriter(str(tmp_path / "clip.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (SIDE, SIDE))
    for digit in DIGITS:
        writer.write(frame_of(digit))
    writer.release()
    return tmp_path / "clip.avi"


def frames_of(path):
    capture = cv2.VideoCapture(str(path))
    return list(video.frames(capture))


def test_each_frame_is_answered(clip):
    told = []
    done = video.watch(Classifier.load(MODEL), str(clip), tell=told.append)
    words = [line.split(maxsplit=4) for line in told]
    assert [" ".join(each[:3]) for each in words] == [f"clip.avi {i}: {digit}" for i, digit in enumerate(DIGITS)]
    assert all(0.5 < float(each[3]) <= 1 for each in words)
    assert {each[4] for each in words if len(each) > 4} <= {"(unsure)"}
    assert (done.frames, done.answered) == (len(DIGITS), len(DIGITS))
    assert 0 < done.milliseconds < 1000


def test_a_blank_frame_has_no_answer(tmp_path):
    writer = cv2.VideoWriter(str(tmp_path / "a.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (SIDE, SIDE))
    for frame in (frame_of(3), np.full((SIDE, SIDE, 3), 200, np.uint8), frame_of(4)):
        writer.write(frame)
    writer.release()
    told = []
    done = video.watch(Classifier.load(MODEL), str(tmp_path / "a.avi"), tell=told.append)
    assert [line[:10] for line in told] == ["a.avi 0: 3", "a.avi 1: -", "a.avi 2: 4"]
    assert (done.frames, done.answered) == (3, 2)


def test_an_answer_that_is_not_sure_looks_so_on_a_frame():
    ranking = (("4", 0.9), ("9", 0.1))
    pixels = np.zeros((28, 28, 1), np.uint8)
    sure = video.describe_result(Prediction(ranking, pixels))
    assert sure == ("4 0.9000", "4 90%", video.WHITE)
    unsure = video.describe_result(Prediction(ranking, pixels, Verdict("unsure", "a probability below 0.98")))
    assert unsure == ("4 0.9000  (unsure)", "4 90% unsure", video.GREY)


@pytest.mark.parametrize("suffix", video.CODECS)
def test_the_answers_are_drawn_on_the_frames_that_are_saved(clip, tmp_path, suffix):
    out = tmp_path / f"answered{suffix}"
    video.watch(Classifier.load(MODEL), str(clip), save=str(out))
    before, after = frames_of(clip), frames_of(out)
    assert len(after) == len(before)
    for one, other in zip(before, after, strict=True):
        changed = np.abs(one.astype(int) - other).max(axis=2) > 100
        rows, columns = np.nonzero(changed)
        assert rows.max() < SIDE / 8  # above the picture's middle, where the digit is
        text = other[: rows.max(), : columns.max()]
        assert (text < 60).all(axis=2).mean() > 0.4  # white or grey letters on black
        assert (text > 120).all(axis=2).mean() > 0.03
    assert not np.array_equal(after[0][: SIDE // 10], after[-1][: SIDE // 10])  # another digit
    assert set(os.listdir(tmp_path)) == {"clip.avi", out.name}


def spoil(clip, share):
    content = clip.read_bytes()
    clip.write_bytes(content[: int(share * len(content))])


BAD = {  # fault -> words
    "missing": (lambda clip: clip.unlink(), "no video "),
    "folder": (lambda clip: (clip.unlink(), clip.mkdir()), "no video "),
    "empty": (
        lambda clip: clip.write_bytes(b""),
        "clip.avi cannot be opened by OpenCV; check that it is there and whole",
    ),
    "text": (lambda clip: clip.write_text("hello\n" * 100), "clip.avi cannot be opened by OpenCV; check that"),
    "only its header": (lambda clip: spoil(clip, 0.05), "clip.avi cannot be opened by OpenCV; check that it is there"),
    "half": (lambda clip: spoil(clip, 0.5), "clip.avi breaks off after "),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_video_is_refused_and_an_earlier_result_stays(clip, tmp_path, case):
    """The answers for half a video are written nevertheless."""
    change, words = BAD[case]
    change(clip)
    (tmp_path / "answered.avi").write_text("the old one")
    told = []
    with pytest.raises(BadInputError) as caught:
        video.watch(Classifier.load(MODEL), str(clip), save=str(tmp_path / "answered.avi"), tell=told.append)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    if told:
        assert len(frames_of(tmp_path / "answered.avi")) == len(told) < len(DIGITS)
    else:
        assert (tmp_path / "answered.avi").read_text() == "the old one"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limits")
@pytest.mark.parametrize("suffix", video.CODECS)
def test_a_full_disk_is_reported_and_an_earlier_result_stays(clip, tmp_path, suffix):
    import resource

    out = tmp_path / f"answered{suffix}"
    out.write_text("the old one")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, hard))
    try:
        with pytest.raises(OSError, match=r"answered.* could not be written to its end; free some space, or name"):
            video.watch(Classifier.load(MODEL), str(clip), save=str(out))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert out.read_text() == "the old one"
    assert set(os.listdir(tmp_path)) == {"clip.avi", out.name}


def test_a_frame_of_another_size_is_resized_to_the_video(clip, tmp_path):
    """A camera that is turned gives them; OpenCV alone would drop them."""
    with video.open_source(str(clip)) as capture, video.open_target(str(tmp_path / "a.avi"), capture) as write:
        write(frame_of(3))
        write(cv2.resize(frame_of(4), (200, 100)))
    assert [frame.shape for frame in frames_of(tmp_path / "a.avi")] == [(SIDE, SIDE, 3)] * 2


def test_an_impossible_name_for_the_result_is_wrong_usage(clip, tmp_path):
    with pytest.raises(ValueError, match=r"cannot write .*a\.gif: a video's name ends in \.mp4, \.avi, \.mkv"):
        video.watch(Classifier.load(MODEL), str(clip), save=str(tmp_path / "a.gif"))


def test_the_script_classifies_a_video(clip, tmp_path):
    done = run(tmp_path, "predict_image.py", MODEL, "--video", clip, "--save", "answered.mp4")
    assert (done.returncode, done.stderr) == (0, "")
    *answers, result = done.stdout.splitlines()
    assert [line.split()[2] for line in answers] == [str(digit) for digit in DIGITS]
    assert result.startswith(f"result frames={len(DIGITS)} answered={len(DIGITS)} milliseconds=")
    assert len(frames_of(tmp_path / "answered.mp4")) == len(DIGITS)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a window opens and waits for a person")
def test_a_missing_video_or_camera_is_one_line_with_or_without_a_screen(clip, tmp_path):
    for share in (0.05, 0.5):
        content = clip.read_bytes()
        (tmp_path / f"{share}.avi").write_bytes(content[: int(share * len(content))])
    for arguments, words in (
        (["--camera", 99], "camera 99 cannot be opened by OpenCV; check that it is there and whole"),
        (["--camera", 99, "--save", "a.mp4"], "camera 99 cannot be opened by OpenCV"),
        (["--video", "no.mp4"], "no video no.mp4; check the name"),
        (["--video", "0.05.avi"], "0.05.avi cannot be opened by OpenCV"),
        (["--video", "0.5.avi", "--save", "a.mp4"], "0.5.avi breaks off after "),
    ):
        done = run(tmp_path, "predict_image.py", MODEL, *arguments, DISPLAY="", WAYLAND_DISPLAY="")
        assert words in only_line(done, 3)
    done = run(tmp_path, "predict_image.py", MODEL, "--video", clip, "--show", DISPLAY="", WAYLAND_DISPLAY="")
    assert "no window can be shown: there is no screen" in only_line(done, 4)


def test_json_holds_the_answer_for_each_frame(clip, tmp_path):
    done = run(tmp_path, "predict_image.py", MODEL, "--video", clip, "--json", DISPLAY="", WAYLAND_DISPLAY="")
    told = json.loads(done.stdout)
    assert [answer["label"] for answer in told["answers"]] == [str(digit) for digit in DIGITS]
    assert told["frames"] == told["answered"] == len(DIGITS)
