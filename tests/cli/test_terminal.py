"""Names that are hostile to a terminal or no UTF-8: one answer stays one line, and a program reads the exact name."""

import ast
import io
import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure

from kerasnets.cli import app
from kerasnets.data.summary import Summary
from kerasnets.errors import BadInputError, in_one_line, nearest_first, shorten, visible
from kerasnets.pictures import Digit
from kerasnets.prediction.answers import Prediction, Sheet, as_json
from kerasnets.reports import galleries, pages, plots
from kerasnets.reports.tables import Table
from tests.cli.test_app import SAMPLE, environment, only_line
from tests.conftest import ROOT

# name -> what a terminal is given
EVIL = {
    "three\x1b]0;owned\x07\x1b[2J": r"three\x1b]0;owned\x07\x1b[2J",
    "a\nresult recipe=mnist_cnn test_accuracy=1.0000": r"a\nresult recipe=mnist_cnn test_accuracy=1.0000",
    "a\rb\x0b\x0c\x85c": r"a\rb\x0b\x0c\x85c",
    "a\u2028b\u2029c": r"a\u2028b\u2029c",
    "abc\u202egnp.exe\u202c": r"abc\u202egnp.exe\u202c",
    "\u2066a\u2069\u200e\u200f\u061c": r"\u2066a\u2069\u200e\u200f\u061c",
    "c1\x9b2J": r"c1\x9b2J",
    "latin\udcff": r"latin\udcff",
    "\0\b\x7f": r"\x00\x08\x7f",
}
GOOD = ("żółw", "手写", "a b", "naïve", "$5 to $9", "back\\slash",
        "\u0645\u06cc\u200c\u062e\u0648", "\U0001f469\u200d\U0001f52c")  # fmt: skip


@pytest.mark.parametrize("name", EVIL)
def test_a_name_is_shown_as_it_is_written(name):
    assert visible(name) == EVIL[name]
    assert shorten(name) == EVIL[name]
    assert nearest_first("x", [name]) == EVIL[name]
    assert visible(in_one_line(name)) == in_one_line(name)


@pytest.mark.parametrize("name", GOOD)
def test_a_good_name_is_shown_unchanged(name):
    assert visible(name) == name


def is_safe(line):
    return visible(line) == line


def prediction(label):
    return Prediction(((label, 0.75), ("other", 0.25)), np.zeros((2, 2, 1), np.uint8))


@pytest.mark.parametrize("name", EVIL)
def test_every_line_is_one_line(name, capsys):
    box = Digit((0, 0, 2, 2), 0, np.zeros((2, 2), np.uint8))
    sheet = Sheet((((box, prediction(name)), (box, prediction("4"))),))
    counts = {"train": np.array([3, 4]), "test": np.array([1, 2])}
    summary = Summary(name, (name, "b"), (28, 28, 1), counts, (0.5,), (0.5,))
    table = Table((name, "n"), [(name, "1")], title=name, note=name)
    app.tell(name, f"drawn into {name}")
    app.print_error(BadInputError(f"knows the class {name}", path=name, remedy=name))
    app.print_error(OSError(2, "", name))
    told = capsys.readouterr()
    lines = {
        "answer": ([prediction(name).line(name, 2)], 1),
        "sheet": (sheet.line(name, 2).split("\n"), 3),
        "data": (list(summary.lines()), 3),
        "table": (table.text().split("\n"), 4),
        "narrow table": (table.text(30).split("\n"), 4),
        "markdown": (table.markdown().split("\n"), 3),
        "told": (told.out.split("\n")[:-1], 2),
        "errors": (told.err.split("\n")[:-1], 2),
    }
    for place, (found, count) in lines.items():
        assert len(found) == count, place
        assert all(map(is_safe, found)), place


@pytest.mark.parametrize("name", EVIL)
def test_a_terminal_gets_the_same_names_in_a_table_with_bold_headings(name):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    stream = Terminal()
    Table((name, "n"), [(name, "1")], title=name).print(stream)
    assert name not in stream.getvalue()
    assert stream.getvalue().count(EVIL[name]) == 3


@pytest.mark.parametrize("name", EVIL)
def test_a_program_reads_the_exact_names(name):
    (entry,) = json.loads(as_json([name], [prediction(name)]))
    assert (entry["image"], entry["label"]) == (name, name)


@pytest.mark.parametrize("name", EVIL)
@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_every_name_is_drawn_and_written(name, suffix, tmp_path):
    content = plots.encode(plots.confusion(np.eye(2, dtype=int), [name, "b"]), suffix)
    content = plots.encode(galleries.predictions([np.zeros((4, 4), np.uint8)], [name], [prediction(name)]), suffix)
    if suffix == "svg":
        xml.etree.ElementTree.fromstring(content)
    pages.write_page(
        tmp_path / "page.html", "inspection.html", title=name, picture=name, label=name, probability="", parts=[]
    )
    assert (tmp_path / "page.html").read_text(encoding="utf-8")


def test_a_title_of_two_lines_stays_two_lines():
    figure = Figure()
    figure.suptitle("a\nb")
    plots.encode(figure, "png")
    assert figure.get_suptitle() == "a\nb"


def test_a_command_prints_names_only_by_what_makes_them_visible():
    """`print` itself is for text without names: a version, a completion script, a table, JSON."""
    free = (
        "json",
        "kerasnets.__version__",
        "completion.script",
        ".table()",
        ".text()",
        "as_text",
        "recipes_table",
        ".line(name",
        "as_csv",
        "format_help",
    )
    for path in sorted((ROOT / "kerasnets/cli").glob("*.py")):
        source = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                words = ast.get_source_segment(source, node)
                assert any(part in words for part in (*free, "visible", "line if len", "gallery.answered")), (
                    path,
                    words,
                )


# ---- commands ----

ONNX = ROOT / "models_saved/pretrained/mnist_cnn-mnist.onnx"


def predict(folder, *words, shell="{}", **options):
    """The command, run in a folder; `shell` may redirect its streams."""
    command = [sys.executable, "-m", "kerasnets", "predict", *words]
    script = shell.format('"$@"')
    return subprocess.run(
        ["bash", "-c", script, "bash", *command], cwd=folder, env=environment(), capture_output=True, **options
    )


def test_files_of_any_name_are_answered_and_named(tmp_path):
    names = sorted(os.fsencode(f"{name.replace(chr(0), '')}.jpg".replace("/", "")) for name in EVIL)
    for name in names:
        shutil.copy(SAMPLE, os.path.join(os.fsencode(tmp_path), name))
    done = predict(tmp_path, ONNX, ".")
    lines = done.stdout.decode().split("\n")[:-1]
    assert (done.returncode, len(lines)) == (0, len(names)), done.stderr
    assert all(line.endswith(".jpg: 3 1.0000") and is_safe(line) for line in lines)
    done = predict(tmp_path, ONNX, ".", "--json")
    assert sorted(os.fsencode(entry["image"]) for entry in json.loads(done.stdout)) == names
    done = predict(tmp_path, ONNX, ".", "--save", "all.svg")
    assert (done.returncode, (tmp_path / "all.svg").exists()) == (0, True), done.stderr
    done = predict(tmp_path, ONNX, b"no\x1b[2J\n\xff.jpg", text=True)
    assert r"no\x1b[2J\n\udcff.jpg" in only_line(done, 3)


def test_a_closed_standard_output_is_one_line(tmp_path):
    done = predict(tmp_path, ONNX, SAMPLE, shell="{} >&-", text=True)
    assert only_line(done, 4) == "error: standard output is closed; let it be a file, or /dev/null"


@pytest.mark.parametrize("shell", ["{} <&-", "{} 2>&-", "{} <&- 2>&-"])
def test_a_closed_input_or_error_stream_changes_no_answer(tmp_path, shell):
    done = predict(tmp_path, ONNX, SAMPLE, shell=shell, text=True)
    assert (done.returncode, done.stdout) == (0, f"{SAMPLE}: 3 1.0000\n")
    done = predict(tmp_path, ONNX, "missing.png", shell=shell, text=True)
    assert (done.returncode, done.stdout) == (3, "")


def test_a_camera_has_a_number(tmp_path):
    line = only_line(predict(tmp_path, ONNX, "--camera", "-1", text=True), 2)
    assert "--camera is the number of a camera, 0 or more, not -1" in line


def test_a_pattern_ends_where_links_lead_to_their_parents(tmp_path):
    (tmp_path / "a/.hidden").mkdir(parents=True)
    shutil.copy(SAMPLE, tmp_path / "a/3.jpg")
    shutil.copy(SAMPLE, tmp_path / "a/.hidden/3.jpg")
    for name in ("up", "above"):
        (tmp_path / "a" / name).symlink_to("..")
    for words, names in {
        ("**/*.jpg",): ["a/3.jpg"],
        ("./**/3.*",): ["a/3.jpg"],
        (f"{tmp_path}/**/*.jpg",): [f"{tmp_path}/a/3.jpg"],
        ("a/.hidden/**/*.jpg",): ["a/.hidden/3.jpg"],
        ("a/**.jpg",): ["a/3.jpg"],
        ("a",): ["a/3.jpg"],
    }.items():
        done = predict(tmp_path, ONNX, *words, text=True)
        assert done.stdout.splitlines() == [f"{name}: 3 1.0000" for name in names], (words, done.stderr)
