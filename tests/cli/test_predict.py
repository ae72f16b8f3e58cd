"""predict_image.py as a person runs it, on the shipped ONNX file: no framework, an answer for every good picture."""

import dataclasses
import json
import re
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest

from kerasnets.training import evaluation
from tests.cli.test_app import environment, only_line, run
from tests.conftest import ROOT, often

MODEL = ROOT / "models_saved/pretrained/mnist_cnn-mnist.onnx"
SAMPLES = ROOT / "docs/samples"
OTHERS = "note: left out of digits, because it is no picture that can be read: notes.txt"
HEAVY = ("keras", "torch", "tensorflow", "jax", "h5py", "matplotlib", "PIL", "sklearn", "scipy", "onnx", "onnxruntime",
         "openvino")  # fmt: skip
ANSWER = r"(\S+): (\d) [01]\.\d{4}(?:  \(unsure: .+\))?"


def lines_of(done):
    """[(name, digit)] of the answers."""
    return [re.fullmatch(ANSWER, line).groups() for line in done.stdout.splitlines()]


@pytest.fixture
def folder(tmp_path):
    """A folder of digits with a folder in it, and what is no picture."""
    (tmp_path / "digits/more").mkdir(parents=True)
    for digit in (3, 1, 2):
        shutil.copy(SAMPLES / f"screen-{digit}.png", tmp_path / f"digits/{digit}.png")
    shutil.copy(SAMPLES / "three-on-paper.jpg", tmp_path / "digits/more/3.JPG")
    (tmp_path / "digits/notes.txt").write_text("no picture, and none by its name")
    return tmp_path


def test_with_onnx_nothing_heavy_is_imported():
    code = "import runpy, sys\n"
    code += (
        f"sys.argv = ['', {str(MODEL)!r}, {str(SAMPLES / 'screen-0.png')!r}, {str(SAMPLES / 'three-on-paper.jpg')!r}]\n"
    )
    code += "try: runpy.run_path('scripts/predict_image.py', run_name='__main__')\n"
    code += f"finally: print([name for name in {HEAVY} if name in sys.modules])"
    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    assert [line.split(": ")[1][0] for line in process.stdout.splitlines()[:2]] == ["0", "3"]
    assert process.stdout.splitlines()[2:] == ["[]"]


def test_damaged_pictures_leave_no_line_of_the_library_that_decodes_them(folder):
    """libjpeg and libtiff have words of their own for these."""
    picture, written = cv2.imread(str(SAMPLES / "screen-3.png")), {}
    options = {".jpg": [], ".tif": [cv2.IMWRITE_TIFF_COMPRESSION, 5]}  # LZW
    for suffix, numbers in options.items():
        content = bytearray(cv2.imencode(suffix, picture, numbers)[1])
        half = len(content) // 2
        content[half : half + 400] = b"" if suffix == ".jpg" else b"\x55" * 400
        written[suffix] = folder / f"damaged{suffix}"
        written[suffix].write_bytes(content)
    lines = run(folder, "predict_image.py", MODEL, *written.values()).stderr.splitlines()
    assert all(line.startswith("error: ") for line in lines), lines
    loud = run(folder, "predict_image.py", MODEL, *written.values(), "--debug").stderr
    assert re.search("Corrupt JPEG data", loud)
    assert re.search("LZWDecode|code not yet in table", loud)


def test_a_folder_is_answered_in_order_with_what_lies_below_it(folder):
    process = run(folder, "predict_image.py", MODEL, "digits")
    assert (process.returncode, process.stderr) == (0, OTHERS + "\n")
    assert lines_of(process) == [
        ("digits/1.png", "1"), ("digits/2.png", "2"), ("digits/3.png", "3"), ("digits/more/3.JPG", "3"),
    ]  # fmt: skip


def test_a_pattern_that_the_shell_has_not_expanded_is_answered(folder):
    process = run(folder, "predict_image.py", MODEL, "digits/[12].png", "digits/**/*.JPG")
    assert lines_of(process) == [("digits/1.png", "1"), ("digits/2.png", "2"), ("digits/more/3.JPG", "3")]
    shutil.copy(folder / "digits/3.png", folder / "digits/[12].png")  # and a name that looks like one is a name
    assert lines_of(run(folder, "predict_image.py", MODEL, "digits/[12].png")) == [("digits/[12].png", "3")]
    assert "nothing matches digits/*.gif; check folder and pattern" in only_line(
        run(folder, "predict_image.py", MODEL, "digits/*.gif"), 3
    )


def pipe(content, *arguments):
    command = [sys.executable, str(ROOT / "scripts/predict_image.py"), str(MODEL), "-", *arguments]
    return subprocess.run(command, env=environment(), input=content, capture_output=True)


def test_a_picture_comes_through_a_pipe_whole_or_not_at_all():
    whole = (SAMPLES / "screen-7.png").read_bytes()
    process = pipe(whole)
    assert (process.returncode, process.stderr) == (0, b"")
    assert process.stdout.startswith(b"standard input: 7 ")
    for content, words in ((whole[:300], b"standard input is damaged"), (b"", b"standard input is empty")):
        process = pipe(content)
        assert (process.returncode, process.stdout) == (3, b"")
        assert words in process.stderr
        assert process.stderr.startswith(b"error: ")
        assert len(process.stderr.splitlines()) == 1


def test_more_than_a_picture_may_have_is_refused_from_a_pipe_too():
    process = pipe((SAMPLES / "screen-7.png").read_bytes() + bytes(64_000_000))
    assert (process.returncode, process.stdout) == (3, b"")
    assert b"a picture may have 64" in process.stderr


def test_good_pictures_are_answered_beside_bad_ones(folder):
    (folder / "digits/bad.png").write_text("no picture")
    (folder / "digits/half.png").write_bytes((folder / "digits/2.png").read_bytes()[:200])
    (folder / "empty").mkdir()
    process = run(folder, "predict_image.py", MODEL, "digits", "no.png", "empty", "digits/*.gif", "digits/1.png")
    assert process.returncode == 3
    assert lines_of(process) == [
        ("digits/1.png", "1"), ("digits/2.png", "2"), ("digits/3.png", "3"), ("digits/more/3.JPG", "3"),
        ("digits/1.png", "1"),
    ]  # fmt: skip
    note, *errors, last = process.stderr.splitlines()
    assert note == OTHERS
    for error, words in zip(errors, ("digits/bad.png is not a picture", "digits/half.png is damaged", "no picture no.p",
                                     "no picture in empty", "nothing matches digits/*.gif"), strict=True):  # fmt: skip
        assert error.startswith("error: ")
        assert words in error
    assert last == "error: 5 of 10 pictures could not be answered; the others were"


def test_none_answered_is_said_of_no_others(folder):
    process = run(folder, "predict_image.py", MODEL, "no.png", "none.png")
    assert process.stderr.splitlines()[-1] == "error: none of 2 pictures could be answered"


def test_a_program_reads_the_answers_as_json(folder):
    (folder / "digits/bad.png").write_text("no picture")
    process = run(folder, "predict_image.py", MODEL, "digits", "--json", "--top", 3)
    assert process.returncode == 3
    answers = json.loads(process.stdout)
    assert [each["image"] for each in answers] == [f"digits/{name}" for name in
                                                   ("1.png", "2.png", "3.png", "bad.png", "more/3.JPG")]  # fmt: skip
    assert "is not a picture" in answers.pop(3)["error"]
    assert [each["label"] for each in answers] == ["1", "2", "3", "3"]
    for each in answers:
        shares = [one["probability"] for one in each["top"]]
        assert (len(shares), shares[0]) == (3, each["probability"])
        assert shares == sorted(shares, reverse=True)
        assert sum(shares) <= 1 + 1e-6


def test_pictures_and_answers_are_drawn(folder):
    process = run(folder, "predict_image.py", MODEL, "digits", "--save", "seen.png", "--top", 2)
    assert (process.returncode, process.stderr) == (0, OTHERS + "\n")
    drawn = cv2.imread(str(folder / "seen.png"))
    blue = (drawn == (168, 95, 31)).all(2)  # drawing.BLUE, the bar of what was read
    parts = cv2.connectedComponentsWithStats(blue.astype(np.uint8))[2][1:]
    bars = parts[(parts[:, cv2.CC_STAT_WIDTH] > 50) & (parts[:, cv2.CC_STAT_HEIGHT] > 5)]
    assert len(bars) == 3  # one for each picture, but for the 1, which is unsure and grey


def test_a_thousand_pictures_are_answered(tmp_path):
    (tmp_path / "many").mkdir()
    for i in range(1000):
        shutil.copy(SAMPLES / f"screen-{i % 10}.png", tmp_path / f"many/{i:03}.png")
    process = run(tmp_path, "predict_image.py", MODEL, "many")
    assert (process.returncode, process.stderr) == (0, "")
    assert lines_of(process) == [(f"many/{i:03}.png", str(i % 10)) for i in range(1000)]


def predict_by_evaluation(path, data):
    """evaluate's answers: the likeliest class of each picture, and the probabilities at the card's temperature."""
    result, card = evaluation.evaluate_file(path, data)
    shares = np.exp(result.log_probabilities / card.temperature)
    return result.predictions, shares / shares.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("count", often(200, 10_000))
def test_real_mnist_as_png_is_answered_as_evaluate_judges_it(workers, mnist, tmp_path, count):
    (tmp_path / "png").mkdir()
    for i, picture in enumerate(mnist.test_images[:count]):
        cv2.imwrite(str(tmp_path / f"png/{i:05}.png"), picture)
    process = run(tmp_path, "predict_image.py", MODEL, "png", "--json", "--top", 10, "--engine", "opencv")
    assert (process.returncode, process.stderr) == (0, "")
    answers = json.loads(process.stdout)
    assert [each["image"] for each in answers] == [f"png/{i:05}.png" for i in range(count)]
    few = dataclasses.replace(
        mnist,
        train_images=mnist.train_images[:1],
        train_labels=mnist.train_labels[:1],
        test_images=mnist.test_images[:count],
        test_labels=mnist.test_labels[:count],
    )
    classes, probabilities = workers["torch"](predict_by_evaluation, MODEL.with_suffix(".keras"), few)
    result = [{one["label"]: one["probability"] for one in each["top"]} for each in answers]
    np.testing.assert_allclose(
        [[each[str(digit)] for digit in range(10)] for each in result], probabilities, rtol=0, atol=1e-4
    )
    assert [int(each["label"]) for each in answers] == classes.tolist()
    assert np.mean(classes == few.test_labels) > 0.97
