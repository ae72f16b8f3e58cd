"""The scripts as a person runs them: results, one line for each failure, exit codes, Ctrl-C."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

from kerasnets import errors, saving
from kerasnets.cli import app
from kerasnets.models.registry import NETWORKS
from kerasnets.recipes import IMAGENET, RECIPES
from kerasnets.runtime.backends import BACKENDS
from kerasnets.training import checkpoints
from tests.conftest import ROOT, mostly_torch, turns
from tests.data.test_sources import stand_in, write_idx

SHIPPED = ROOT / "models_saved/pretrained/mnist_cnn-mnist.keras"
ROWS = ROOT / "models_saved/pretrained/dnn_tabular-sum3.keras"
SAMPLE = ROOT / "docs/samples/three-on-paper.jpg"
NO_NETWORK = {name: "http://127.0.0.1:9" for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")}


def environment(backend="torch", **more):
    kept = {name: value for name, value in os.environ.items() if name not in ("KERAS_BACKEND", "KERASNETS_DATA")}
    kept.pop("PYTHONUNBUFFERED", None)
    return kept | NO_NETWORK | {"KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT)} | more


def run(folder, script, *arguments, **more):
    command = [sys.executable, str(ROOT / "scripts" / script), *map(str, arguments)]
    more = {"KERAS_HOME": f"{folder}-keras", **more}
    return subprocess.run(command, cwd=folder, env=environment(**more), capture_output=True, text=True)


def only_line(done, code):
    """The one line on stderr of a failure with this exit code."""
    assert done.returncode == code, done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    assert len(lines[0]) <= 200
    return lines[0]


# ---- wrong usage, bad input, bad environment; each of these ends before a framework is loaded, or soon after ----

FAILURES = {
    "no arguments": ("predict_image.py", [], 2, "the following arguments are required: MODEL"),
    "unknown option": ("train_mnist.py", ["--epoch", "x", "--fast"], 2, "argument --epochs: invalid int value: 'x'"),
    "unknown model": ("train_mnist.py", ["--model", "vgg"], 2, "argument --model: invalid choice: 'vgg'"),
    "unknown data set": ("train_mnist.py", ["--dataset", "svhn"], 2, "invalid choice: 'svhn'"),
    "impossible epochs": ("train_mnist.py", ["--epochs", "0"], 2, "epochs must be at least 1"),
    "unknown suffix": ("train_mnist.py", ["--out", "a.pth"], 2, "a.pth is no name for a model file"),
    "index alone": ("predict_image.py", [SHIPPED, SAMPLE, "--index", "3"], 2, "--index goes with --dataset"),
    "file for a folder": ("train_mnist.py", ["--dataset", "digits", "--out", "file/a.keras"], 4, "file/a.keras: "),
    "no folder of data": ("train_mnist.py", ["--data-dir", "nowhere"], 3, "no folder nowhere; it was to hold MNIST"),
    "MNIST not in its folder": ("train_mnist.py", ["--data-dir", "folder.keras"], 4, "MNIST is in no known folder"),
    "no MNIST": ("train_mnist.py", ["--dataset", "mnist"], 4, "MNIST is in no known folder"),
    "unwritable": ("train_mnist.py", ["--dataset", "digits", "--out", "/proc/a.keras"], 4, "/proc/a.keras: "),
    "folder in the way": ("train_mnist.py", ["--dataset", "digits", "--out", "folder.keras"], 4, "Is a directory"),
    "no model": ("predict_image.py", ["no.keras", SAMPLE], 3, "no model file no.keras"),
    "no picture": ("predict_image.py", [SHIPPED, "no.png"], 3, "no picture no.png: No such file"),
    "nothing to judge": ("predict_image.py", [SHIPPED], 2, "after the model, name pictures, or"),
    "both": ("predict_image.py", [SHIPPED, SAMPLE, "--dataset", "digits"], 2, "after the model, name pictures, or"),
    "impossible top": ("predict_image.py", [SHIPPED, SAMPLE, "--top", "0"], 2, "--top must be at least 1, not 0"),
    "no such index": ("predict_image.py", [SHIPPED, "--dataset", "digits", "--index", "360"], 2, "there is no 360"),
    "nothing to train": ("train.py", [], 2, "name a recipe, or a data set by --dataset"),
    "recipe and model": ("train.py", ["lenet5-mnist", "--model", "lenet5"], 2, "a recipe names its model"),
    "unknown recipe": ("train.py", ["lenet6-mnist"], 2, "unknown recipe 'lenet6-mnist'; choose one of: lenet5-mnist, "),
    "data alone": ("train.py", ["--dataset", "digits"], 2,
                   "for digits by --model or --weights, or train a recipe, such as mnist_cnn-digits"),
    "seeds with commas": ("train.py", ["lenet5-mnist", "--seeds", "0,1"], 2, "is no whole number; separate several by"),
    "three sizes": ("train.py", ["--model", "lenet5", "--dataset", "d/", "--image-size", 1, 2, 3], 2, "takes one"),
    "size of a known set": ("show_data.py", ["digits", "--image-size", 32], 2, "an image size goes with own pictures"),
    "unknown data": ("show_data.py", ["svhn"], 2, "unknown data set 'svhn'; choose one of: mnist, fashion_mnist"),
    "no such folder": ("show_data.py", ["no/pets"], 3, "no folder or zip no/pets; check the name"),
    "no folders in it": ("train.py", ["--model", "lenet5", "--dataset", "./empty"], 3, "empty holds no pictures; give"),
    "frozen as drawn": ("train.py", ["mnist_cnn-digits", "--freeze", "conv1"], 2, "freeze goes with weights"),
    "unknown network": ("train.py", ["--model", "vgg12", "--dataset", "digits"], 2, "one of: vgg1"),
    "too small a picture": ("train.py", ["--model", "sigmoid_cnn", "--dataset", "digits"], 2, "sigmoid_cnn"),
    "unknown layer": ("train.py", ["--weights", SHIPPED, "--dataset", "digits", "--freeze", "conv9"], 2, "conv9"),
    "size beside weights": ("train.py", ["--weights", SHIPPED, "--dataset", "./empty", "--image-size", 32], 2,
                            "an image size cannot be chosen:"),
    "pictures for rows": ("evaluate.py", [ROWS, "--dataset", "./empty"], 3, "takes rows of numbers; name an .npz"),
    "no data to judge": ("evaluate.py", [SHIPPED], 2, "the following arguments are required: --dataset"),
    "other classes": ("evaluate.py", [SHIPPED, "--dataset", "sum3"], 3, "knows 10 classes (0, 1, ...), sums of three"),
    "unknown engine": ("predict_image.py", [SHIPPED, SAMPLE, "--engine", "cuda"], 2, "'cuda'; choose one of: auto, op"),
    "another's engine": ("predict_image.py", [SHIPPED, SAMPLE, "--engine", "opencv"], 2, "opencv does not read "),
    "folder of no data set": ("predict_image.py", [SHIPPED, SAMPLE, "--data-dir", "."], 2, "--data-dir goes with --"),
    "sheets in a video": ("predict_image.py", [SHIPPED, "--video", "no.mp4", "--many"], 2, "--many and --top go with"),
    "drawn over its picture": ("predict_image.py", [SHIPPED, "a.png", "--save", "empty/../a.png"], 2, "is one of the "),
    "no place to draw": ("predict_image.py", [SHIPPED, SAMPLE, "--save", "/proc/a.png"], 4, "/proc/a.png: "),
    "no video": ("predict_image.py", [SHIPPED, "--video", "no.mp4", "--save", "a.mp4"], 3, "no video no.mp4; check"),
    "video drawn": ("predict_image.py", [SHIPPED, "--video", "no.mp4", "--save", "a.png"], 2, "cannot write a.png: a"),
    "no export": ("export.py", [SHIPPED], 2, "the following arguments are required: --out"),
    "unknown form": ("export.py", [SHIPPED, "--out", "a.onx"], 2, "cannot export to a.onx: name a file that ends in"),
    "export of none": ("export.py", ["no.keras", "--out", "a.onnx"], 3, "no model file no.keras; check name and"),
    "export of a picture": ("export.py", [SAMPLE, "--out", "a.onnx"], 3, "is not a model file; name a file that"),
    "unwritable export": ("export.py", [SHIPPED, "--out", "/proc/a.onnx"], 4, "/proc/a.onnx: "),
    "export to a folder": ("export.py", [SHIPPED, "--out", "empty"], 2, "empty is there and no SavedModel, which"),
    "export below a file": ("export.py", [SHIPPED, "--out", "file/a.onnx"], 4, "file/a.onnx: "),
    "unknown drawing": ("predict_image.py", [SHIPPED, SAMPLE, "--save", "a.xyz"], 2, "cannot draw a.xyz: it must"),
}  # fmt: skip


@pytest.mark.parametrize("case", FAILURES)
def test_a_failure_is_one_line_with_its_exit_code(tmp_path, case):
    script, arguments, code, words = FAILURES[case]
    for folder in ("folder.keras", "empty"):
        (tmp_path / folder).mkdir()
    for file in ("file", "a.png"):
        (tmp_path / file).touch()
    assert words in only_line(run(tmp_path, script, *arguments), code)
    assert sorted(os.listdir(tmp_path)) == ["a.png", "empty", "file", "folder.keras"]


@pytest.mark.parametrize("words", ["a --top 3 b c", "--top 3 a b c", "a b --top 3 c", "a b c --top 3"])
def test_options_may_stand_anywhere(words):
    parser = app.Parser("")
    parser.add_argument("model")
    parser.add_argument("images", nargs="*")
    parser.add_argument("--top", type=int)
    args = parser.parse_args(words.split())
    assert (args.model, args.images, args.top) == ("a", ["b", "c"], 3)
    with pytest.raises(ValueError, match="unrecognized arguments: --pot"):
        parser.parse_args([*words.split(), "--pot"])


FULL = {  # as Python, NumPy, torch, TensorFlow and JAX say it
    "MemoryError()",
    'RuntimeError("OpenCV(5.0.0) alloc.cpp:73: error: (-4:Insufficient memory) Failed to allocate 9437184 bytes")',
    "MemoryError('Unable to allocate 9.31 TiB for an array with shape (1280000000000,) and data type float64')",
    'RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can\'t allocate memory")',
    "RuntimeError('CUDA out of memory. Tried to allocate 20.00 GiB.')",
    "RuntimeError('RESOURCE_EXHAUSTED: Out of memory allocating 4000000000000 bytes.')",
    "RuntimeError('OOM when allocating tensor with shape[50000,64,224,224] and type float')",
}


@pytest.mark.parametrize("error", sorted(FULL))
def test_a_full_memory_is_reported_in_one_way(error):
    code = f"from kerasnets.cli import app\ndef main(): raise {error}\napp.run(main)"
    process = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True)
    assert "error: too little memory; try smaller pictures or a smaller network, in training a smaller" in only_line(
        process, 4
    )


def test_a_wrong_backend_is_wrong_usage(tmp_path):
    for script, arguments in (("train_mnist.py", []), ("predict_image.py", [SHIPPED, SAMPLE])):
        line = only_line(run(tmp_path, script, *arguments, backend="pytorch"), 2)
        assert line == "error: unknown KERAS_BACKEND 'pytorch'; choose one of: torch, tensorflow, jax"


def test_damaged_mnist_is_refused_and_nothing_else_is_trained_instead(tmp_path):
    folder = write_idx(tmp_path / "data/MNIST/raw", stand_in())
    path = folder / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:1000])
    for arguments in ([], ["--dataset", "mnist"]):
        line = only_line(run(tmp_path, "train_mnist.py", *arguments), 3)
        assert "train-images-idx3-ubyte.gz is damaged" in line
    assert not (tmp_path / "models_saved").exists()


def test_debug_shows_the_traceback(tmp_path):
    process = run(tmp_path, "predict_image.py", "no.keras", SAMPLE, "--debug")
    assert process.returncode == 3
    assert "Traceback" in process.stderr
    assert process.stderr.splitlines()[-1].startswith("error: no model file no.keras")


def test_long_names_are_shortened(tmp_path):
    name = "a" * 240 + ".png"
    assert "aaa.png" in only_line(run(tmp_path, "predict_image.py", SHIPPED, name), 3)


@pytest.mark.parametrize(("name", "first"), [
    ("resnet", {"resnet18", "resnet34"}),  # begin with it
    ("vgg12", {"vgg13", "vgg16", "vgg19"}),  # difflib gives three of the names that differ in one letter
    ("vgg7_", {"vgg7_bn", "vgg7"}),
])  # fmt: skip
def test_of_many_choices_the_nearest_are_named_in_full(name, first):
    known = list(NETWORKS)
    text = errors.nearest_first(name, known)
    assert set(text.split(", ")[: len(first)]) == first
    assert len(text) <= 100
    assert set(text.split(", ")) - set(known) == {"..."}
    assert errors.nearest_first(name, known[:3]) == ", ".join(known[:3])


def test_opencv_without_its_system_library_names_the_remedy(tmp_path):
    (tmp_path / "cv2.py").write_text(
        "raise ImportError('libGL.so.1: cannot open shared object file: No such file or directory')"
    )
    paths = os.pathsep.join([str(tmp_path), str(ROOT)])
    line = only_line(run(tmp_path, "predict_image.py", SHIPPED, SAMPLE, PYTHONPATH=paths), 4)
    assert "libGL.so.1" in line
    assert "apt-get install libgl1 libglib2.0-0" in line


@pytest.mark.parametrize("script", sorted(path.name for path in (ROOT / "scripts").glob("*.py")))
def test_help_works_without_a_framework(tmp_path, script):
    code = f"import sys, runpy; sys.argv = [{script!r}, '--help']\n"
    code += f"try: runpy.run_path({str(ROOT / 'scripts' / script)!r}, run_name='__main__')\n"
    code += "finally: print([name for name in ('keras', 'torch', 'tensorflow', 'jax', 'cv2') if name in sys.modules])"
    process = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True)
    assert process.returncode == 0
    assert f"python scripts/{script}" in process.stdout
    assert process.stdout.splitlines()[-1] == "[]"


# ---- results ----


def test_without_mnist_one_line_says_that_digits_are_trained_and_every_name_says_digits(tmp_path):
    process = run(tmp_path, "train_mnist.py", "--epochs", 1)
    assert process.returncode == 0, process.stderr
    [line] = process.stderr.splitlines()
    assert line.startswith(
        "MNIST is not here and cannot be downloaded: training on scikit-learn's digits instead, into "
    )
    assert "models_saved/mnist_cnn-digits.keras" in line
    assert "--data-dir" in line
    result = process.stdout.splitlines()[-1]
    assert result.startswith("result recipe=mnist_cnn-digits test_accuracy=0.")
    assert result.endswith("files=models_saved/mnist_cnn-digits.keras report=models_saved/mnist_cnn-digits/report.html")
    assert sorted(os.listdir(tmp_path / "models_saved")) == ["mnist_cnn-digits", "mnist_cnn-digits.keras"]
    assert "Output Shape" in process.stdout
    assert "93,322" in process.stdout


def test_a_file_that_was_meant_for_mnist_is_not_overwritten_by_digits(tmp_path):
    (tmp_path / "my_digits.keras").write_text("an MNIST model")
    process = run(tmp_path, "train_mnist.py", "--epochs", 1, "--out", "my_digits.keras", "--json")
    assert json.loads(process.stdout)["files"] == ["my_digits-digits.keras"]
    assert json.loads(process.stdout)["dataset"] == "scikit-learn's digits"
    assert (tmp_path / "my_digits.keras").read_text() == "an MNIST model"


def test_a_person_trains_on_own_pictures_judges_the_model_and_asks_it(tmp_path):
    """Red and blue squares of noise, told apart within two epochs."""
    rng = np.random.default_rng(0)
    for name, channel in (("red", 2), ("blue", 0)):  # OpenCV writes BGR
        (tmp_path / "squares" / name).mkdir(parents=True)
        for i in range(40):
            picture = rng.integers(0, 60, (20 + i % 3, 24, 3), np.uint8)
            picture[..., channel] += 150
            cv2.imwrite(str(tmp_path / "squares" / name / f"{i}.png"), picture)
    folder = ["--dataset", "squares"]
    process = run(tmp_path, "train.py", "--model", "cifar_net", *folder, "--image-size", 32, "--epochs", 4, "--json")
    trained = json.loads(process.stdout)
    assert trained["test_accuracy"] == 1
    assert trained["files"] == ["models_saved/cifar_net-squares.keras"]
    process = run(tmp_path, "evaluate.py", *trained["files"], *folder, "--out", "judged", "--json")
    assert json.loads(process.stdout)["confusion"] == [[8, 0], [0, 8]]  # a fifth of each class: blue, red
    assert (tmp_path / "judged/report.html").is_file()
    process = run(tmp_path, "predict_image.py", *trained["files"], "squares/blue/3.png")
    assert process.stdout.startswith("squares/blue/3.png: blue ")


@pytest.mark.parametrize("backend", BACKENDS)
def test_judging_prints_its_result_and_none_of_the_backends_notices(tmp_path, backend):
    process = run(tmp_path, "evaluate.py", SHIPPED, "--dataset", "digits", backend=backend)
    assert (process.returncode, process.stderr) == (0, "")
    temperature = re.escape(f"{saving.load_card(SHIPPED).temperature:g}")
    figures = rf"examples=360 temperature={temperature} ece=0\.\d+ ece_before=0\.\d+"
    assert re.fullmatch(rf"result test_accuracy=0\.\d+ .* {figures} model=.*\n", process.stdout)


def test_recipes_and_data_are_shown(tmp_path):
    process = run(tmp_path, "train.py", "--list")
    assert [line.split()[0] for line in process.stdout.splitlines()[1:]] == [*RECIPES, *IMAGENET]
    assert "0.9122" in next(line for line in process.stdout.splitlines() if line.startswith("alexnet_plain-"))
    process = run(tmp_path, "show_data.py", "digits")
    assert 'result data="scikit-learn\'s digits" train=1437 test=360 classes=10 shape=28x28x1' in process.stdout
    assert (tmp_path / "models_saved/digits-data.png").read_bytes().startswith(b"\x89PNG")


def test_predictions_are_lines_or_json_and_the_good_ones_come_all_the_same(tmp_path):
    process = run(tmp_path, "predict_image.py", SHIPPED, "--top", 2, SAMPLE, "no.png")
    error, count = process.stderr.splitlines()
    assert (process.returncode, error[:24]) == (3, "error: no picture no.png")
    assert count == "error: 1 of 2 pictures could not be answered; the others were"
    assert re.fullmatch(rf"{re.escape(str(SAMPLE))}: 3 [01]\.\d{{4}}, \d 0\.\d{{4}}\n", process.stdout)

    process = run(tmp_path, "predict_image.py", SHIPPED, SAMPLE, "no.png", "--json", "--save", "drawn.png")
    good, bad = json.loads(process.stdout)
    assert (good["image"], good["label"], good["probability"]) == (str(SAMPLE), "3", good["top"][0]["probability"])
    assert bad == {"image": "no.png", "error": "no picture no.png: No such file or directory; check the name"}
    assert (tmp_path / "drawn.png").read_bytes().startswith(b"\x89PNG")


def test_a_data_sets_own_pictures_are_read(tmp_path):
    process = run(tmp_path, "predict_image.py", SHIPPED, "--dataset", "digits", "--index", 0, 1)
    assert process.returncode == 0, process.stderr
    assert [line.split(" (")[0] for line in process.stdout.splitlines()] == ["digits test 0", "digits test 1"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a window opens and waits for a person")
def test_without_a_screen_one_line_says_so(tmp_path):
    process = run(tmp_path, "predict_image.py", SHIPPED, SAMPLE, "--show", DISPLAY="", WAYLAND_DISPLAY="")
    assert "no window can be shown: there is no screen" in only_line(process, 4)


def test_real_mnist_is_read_by_its_index(tmp_path, mnist):
    more = {"KERASNETS_DATA": os.path.abspath(os.environ["KERASNETS_DATA"])}
    process = run(tmp_path, "predict_image.py", SHIPPED, "--dataset", "mnist", **more)
    assert (process.returncode, process.stderr) == (0, "")
    assert re.fullmatch(r"mnist test 0 \(a 7\): 7 [01]\.\d{4}\n", process.stdout)


@pytest.mark.skipif(os.name != "posix", reason="pipes and limits of a POSIX shell")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_leaves_early_gets_no_traceback(tmp_path, unbuffered):
    command = f"{sys.executable} {ROOT}/scripts/predict_image.py {SHIPPED} {SAMPLE} {SAMPLE} | true"
    shell = ["bash", "-o", "pipefail", "-c", command]
    process = subprocess.run(shell, env=environment(PYTHONUNBUFFERED=unbuffered), capture_output=True, text=True)
    assert (process.returncode, process.stderr) == (141, "")


@pytest.mark.skipif(os.name != "posix", reason="pipes and limits of a POSIX shell")
@pytest.mark.parametrize(
    "line", ["print('line', flush=True)", "import rich.console; rich.console.Console().print('line')"]
)
def test_every_way_of_printing_ends_as_by_sigpipe(line):
    """Rich ends the program with exit code 1, and no word, if the reader has left."""
    command = f"from kerasnets.cli import app\ndef main():\n for _ in range(100): {line}\napp.run(main)"
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-c", command], stdout=writer, stderr=subprocess.PIPE, env=environment())
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_write_that_fails_after_training_is_one_line_and_leaves_the_old_file(tmp_path):
    """A limit of 100 kB on files stands for a full disk: the first checkpoint has more."""
    (tmp_path / "a.h5").write_text("the old one")
    training = f"{ROOT}/scripts/train_mnist.py --dataset digits --epochs 1 --out a.h5 --overwrite"
    command = f"ulimit -f 100; exec {sys.executable} {training}"
    shell = ["bash", "-c", command]
    process = subprocess.run(shell, cwd=tmp_path, env=environment(), capture_output=True, text=True)
    line = only_line(process, 4)
    place = "a/checkpoints/epoch-00001.npz"
    assert line == f"error: {place}: File too large; raise the limit on file sizes (ulimit -f), or name another place"
    assert (tmp_path / "a.h5").read_text() == "the old one"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / "a.h5"]


@pytest.mark.skipif(os.name != "posix", reason="pipes and limits of a POSIX shell")
def test_a_full_disk_in_training_names_the_epochs_that_are_kept_and_how_to_go_on(tmp_path):
    """A checkpoint grows by the figures of an epoch: under a limit of whole kB above the first, a later one fails."""
    rows = np.arange(60, dtype="float32").reshape(20, 3)
    np.savez(tmp_path / "rows.npz", x_train=rows, y_train=np.arange(20) % 2, x_test=rows, y_test=np.arange(20) % 2)
    training = f"{ROOT}/scripts/train.py --model dnn_tabular --dataset rows.npz --out a.keras --epochs"
    assert run(tmp_path, *training.removeprefix(f"{ROOT}/scripts/").split(), 1).returncode == 0
    limit = -(-(tmp_path / "a/checkpoints/epoch-00001.npz").stat().st_size // 1024)
    shell = ["bash", "-c", f"ulimit -f {limit}; exec {sys.executable} {training} 9 --resume"]
    process = subprocess.run(shell, cwd=tmp_path, env=environment(), capture_output=True, text=True)
    kept = len((tmp_path / "a/epochs.csv").read_text().splitlines()) - 2  # a line of names; the epoch that was lost
    assert 1 <= kept < 9
    assert only_line(process, 4) == (
        f"error: a/checkpoints/epoch-{kept + 1:05}.npz: File too large; raise the limit on file sizes (ulimit -f), or "
        f"name another place; {kept} of 9 epochs are kept; --resume goes on with them"
    )
    process = run(tmp_path, *training.removeprefix(f"{ROOT}/scripts/").split(), 9, "--resume")
    assert process.returncode == 0, process.stderr
    assert f"resuming after epoch {kept} of 9" in process.stdout


def test_a_name_that_the_terminal_cannot_show_is_no_failure(tmp_path):
    shutil.copy(SAMPLE, tmp_path / "手写.jpg")
    process = run(tmp_path, "predict_image.py", SHIPPED, "手写.jpg", PYTHONIOENCODING="cp1252")
    assert (process.returncode, process.stderr) == (0, "")
    assert process.stdout.startswith("\\u624b\\u5199.jpg: 3 ")


# ---- stopping ----


@pytest.mark.parametrize("turn", turns(7))  # 21 of each signal
@pytest.mark.parametrize("backend", mostly_torch())
@pytest.mark.parametrize(("number", "code", "words"), [
    (signal.SIGINT, 130, "stopped by Ctrl-C"),
    (signal.SIGTERM, 143, "stopped by SIGTERM"),
])  # fmt: skip
def test_a_stopped_training_says_so_in_one_line_and_leaves_the_old_file(tmp_path, backend, number, code, words, turn):
    (tmp_path / "a.keras").write_text("the old one")
    command = [sys.executable, "-u", str(ROOT / "scripts/train_mnist.py"), "--dataset", "digits", "--epochs", "1000"]
    running = subprocess.Popen(
        [*command, "--out", "a.keras", "--overwrite"],
        cwd=tmp_path,
        env=environment(backend),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in running.stdout:
        if line.startswith("epoch ") and "val_loss" in line:  # the end of an epoch; a slow one also prints its steps
            break
    time.sleep(random.uniform(0, 2))  # into whatever a training does
    running.send_signal(number)
    _, errors = running.communicate()
    assert running.returncode == code
    kept = re.fullmatch(
        rf"{words}; (\d+) of 1000 epochs are kept in a/checkpoints; --resume goes on with them\n", errors
    )
    assert checkpoints.read(checkpoints.files(tmp_path / "a/checkpoints")[-1]).epoch == int(kept[1])
    assert (tmp_path / "a.keras").read_text() == "the old one"
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} == {".keras", ".npz", ".csv"}
    assert len((tmp_path / "a/epochs.csv").read_text().splitlines()) == 1 + int(kept[1])


SWALLOWS = """
import os, signal
from kerasnets.cli import app
from kerasnets.runtime import signals
def main():
    with signals.after_the_step():
        for step in range(3):
            os.kill(os.getpid(), signal.SIGTERM if step < {first} else 0)
            print("step", step, flush=True)
            if step == 1: signals.check()
app.run(main)
"""


@pytest.mark.parametrize(
    ("first", "steps"), [(0, "step 0\nstep 1\nstep 2\n"), (1, "step 0\nstep 1\n"), (2, "step 0\n")]
)
def test_a_signal_waits_for_the_step_at_hand_and_a_second_one_does_not(first, steps):
    code = SWALLOWS.format(first=first)
    process = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True)
    expected = (0, "") if first == 0 else (143, "stopped by SIGTERM\n")
    assert (process.stdout, process.returncode, process.stderr) == (steps, *expected)
