"""How long a prediction takes and how much memory: in a fresh process, warm, and over a folder.

Each figure is of processes that do nothing else, engines in turn, so that a machine that grows slow or quick does so to
all of them. Medians are quoted, with the smallest and the largest.
"""

import dataclasses
import datetime
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kerasnets import backends, engines
from kerasnets.files import whole_file

ROOT = Path(__file__).resolve().parent.parent
MNIST = ROOT / "models_saved/pretrained/mnist_cnn-mnist.keras"
PHOTO = ROOT / "docs/samples/three-on-paper.jpg"
LARGE = ("vgg16", "resnet50")  # with fresh weights, which take as long as trained ones
FOLDER = 1000  # pictures
# The specification's section 6: what is to be reached
GOALS = {
    ("mnist_cnn, fresh process", "seconds"): 0.25,
    ("mnist_cnn, fresh process", "MiB"): 80,
    ("mnist_cnn, warm", "ms"): 0.5,
    ("vgg16, warm", "ms"): 90,
    ("resnet50, warm", "ms"): 35,
}


@dataclass(frozen=True)
class Figure:
    """What was measured of one engine: `values` in `unit`, one a run."""

    what: str
    engine: str
    unit: str
    values: tuple[float, ...]

    @property
    def median(self):
        return statistics.median(self.values)

    @property
    def goal(self):
        return GOALS.get((self.what, self.unit))

    def line(self):
        goal = "" if self.goal is None else f" goal={self.goal:g}"
        return (
            f"{self.what}: engine={self.engine} {self.unit}={self.median:.4g} "
            f"({min(self.values):.4g} to {max(self.values):.4g}){goal}"
        )


def predict(runs=5, large=LARGE, tell=print):
    """Measure predictions by every installed engine; return the Figures. `tell` is told a line for each.

    runs: processes of each kind; large: networks at 224x224 to measure warm.
    """
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        mnist = [MNIST, *exported(MNIST, folder)]
        chosen = engines_of(mnist)
        found = in_turn(runs, {engine: (path, engine) for engine, path in chosen.items()}, fresh_process)
        for engine, measured in found.items():
            figures.append(Figure("mnist_cnn, fresh process", engine, "seconds", tuple(m[0] for m in measured)))
            figures.append(Figure("mnist_cnn, fresh process", engine, "MiB", tuple(m[1] for m in measured)))
        figures += warm_figures("mnist_cnn", chosen, runs, 200)
        figures += folder_figures(chosen, folder, runs)
        for figure in figures:
            tell(figure.line())
        for name in large:
            keras_file = fresh_weights(name, folder)
            measured = warm_figures(name, engines_of([keras_file, *exported(keras_file, folder)]), runs, 10)
            for figure in measured:
                tell(figure.line())
            figures += measured
    return figures


def exported(path, folder):
    """The ONNX file made of a model file, in `folder`."""
    from kerasnets.exporting import export

    return [Path(export(path, folder / f"{path.stem}.onnx").file)]


def engines_of(paths):
    """{engine: the first of `paths` that it reads} of those engines that are installed."""
    return {
        name: next(path for path in paths if path.suffix in row.suffixes)
        for name, row in engines.ENGINES.items()
        if backends.is_installed(row.package) and any(path.suffix in row.suffixes for path in paths)
    }


def in_turn(runs, jobs, measure):
    """{name: [measure(*arguments), one for each run]} of {name: arguments}, A B C A B C ..."""
    found = {name: [] for name in jobs}
    for _ in range(runs):
        for name, arguments in jobs.items():
            found[name].append(measure(*arguments))
    return found


# Prints seconds and KiB of a command. By a process of its own, since Linux counts what a process had before it became
# the command, which is this one's memory.
TIMED = """
import os, subprocess, sys, time
begun = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(time.perf_counter() - begun, usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def fresh_process(path, engine):
    """(seconds, MiB at most) of predict_image.py on one photo, as the shell would run it."""
    command = [sys.executable, str(ROOT / "scripts/predict_image.py"), str(path), str(PHOTO), "--engine", engine]
    done = subprocess.run([sys.executable, "-c", TIMED, *command], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"predict_image.py by {engine} failed: {last_line(done.stderr)}")
    seconds, kibibytes = done.stdout.split()
    return float(seconds), int(kibibytes) / 1024


def warm_figures(name, chosen, runs, repeats):
    jobs = {engine: ("one_warm", path, engine, repeats) for engine, path in chosen.items()}
    found = in_turn(runs, jobs, in_process)
    return [Figure(f"{name}, warm", engine, "ms", tuple(measured)) for engine, measured in found.items()]


def folder_figures(chosen, folder, runs):
    """Pictures a second from a folder of MNIST-size PNGs, and of reading and preparing them without a network."""
    place = folder / "pictures"
    write_pictures(place)
    jobs = {engine: ("folder_of", path, engine, place) for engine, path in chosen.items()}
    jobs["none"] = ("decoding_of", next(iter(chosen.values())), next(iter(chosen)), place)
    found = in_turn(runs, jobs, in_process)
    return [Figure(f"{FOLDER} PNGs of 28x28", engine, "pictures/s", tuple(them)) for engine, them in found.items()]


def in_process(function, path, engine, argument):
    """What `function` of this module returns, in a process of its own."""
    code = "import sys; from kerasnets import benchmark as b; print(getattr(b, sys.argv[1])(*sys.argv[2:]))"
    process = subprocess.run(
        [sys.executable, "-c", code, function, str(path), engine, str(argument)],
        env=backends.environment(),
        capture_output=True,
        text=True,
    )
    if process.returncode:
        raise RuntimeError(f"{function} by {engine} failed: {last_line(process.stderr)}")
    return float(last_line(process.stdout))


def last_line(text):
    return text.strip().rpartition("\n")[2]


# ---- run in processes of their own ----


def one_warm(path, engine, repeats):
    """The median milliseconds of one picture, in an array of the network's size, after the first few."""
    from kerasnets.prediction import Classifier

    classifier = Classifier.load(path, engine)
    picture = np.random.default_rng(0).integers(0, 256, classifier.input_shape, np.uint8)
    if classifier.card.input_kind == "mnist":
        (picture,) = classifier.predict([PHOTO])
        picture = picture.pixels
    times = []
    for _ in range(int(repeats) + 3):
        begun = time.perf_counter()
        classifier.predict([picture])
        times.append(1000 * (time.perf_counter() - begun))
    return statistics.median(times[3:])


def folder_of(path, engine, folder):
    """Pictures a second, the network loaded before."""
    from kerasnets.prediction import Classifier

    classifier = Classifier.load(path, engine)
    paths = sorted(Path(folder).iterdir())
    classifier.predict(paths[:64])
    begun = time.perf_counter()
    classifier.predict(paths)
    return len(paths) / (time.perf_counter() - begun)


def decoding_of(path, engine, folder):
    """The same without the network."""
    from kerasnets.prediction import Classifier

    classifier = Classifier.load(path, engine)
    paths = sorted(Path(folder).iterdir())
    begun = time.perf_counter()
    for picture in paths:
        classifier.prepared(picture)
    return len(paths) / (time.perf_counter() - begun)


# ---- what is measured on ----


def write_pictures(folder):
    """Write FOLDER of scikit-learn's digits, in MNIST's form, as PNG."""
    import cv2

    from kerasnets.data import load_data

    folder.mkdir()
    for i, image in enumerate(load_data("digits").train_images[:FOLDER]):
        cv2.imwrite(str(folder / f"{i:04d}.png"), image)


def fresh_weights(name, folder):
    """A model file of the network `name` with fresh weights, for pictures of any kind."""
    from kerasnets.exporting import route_of
    from kerasnets.workers import Worker

    path = folder / f"{name}.keras"
    worker = Worker(route_of(".onnx"))
    try:
        worker(write_fresh, name, path)
    finally:
        worker.close()
    return path


def write_fresh(name, path):
    import kerasnets

    network = kerasnets.build(name)
    names = tuple(f"class {i}" for i in range(network.output_shape[-1]))
    kerasnets.save(network, path, kerasnets.Card(name, names, network.input_shape[1:]), scaling=(1 / 255, 0.0))


# ---- told ----


def as_json(figures):
    return json.dumps([{**dataclasses.asdict(f), "median": f.median, "goal": f.goal} for f in figures], indent=1)


def write_page(figures, path):
    """Write the figures as a page of Markdown, with machine, versions and date."""
    lines = [
        "# How fast a prediction is",
        "",
        "Written by `python scripts/bench.py predict --out docs/prediction.md`: medians of several processes, engines "
        "in turn.",
        "",
        f"{backends.machine()}, {datetime.date.today().isoformat()}; {versions()}.",
        "",
        "| what | engine | median | spread | goal |",
        "|---|---|---|---|---|",
    ]
    for f in figures:
        goal = "" if f.goal is None else f"{f.goal:g} {f.unit}: {'reached' if f.median <= f.goal else 'missed'}"
        spread = f"{min(f.values):.3g} to {max(f.values):.3g}"
        lines.append(f"| {f.what} | {f.engine} | {f.median:.3g} {f.unit} | {spread} | {goal} |")
    with whole_file(path) as part:
        part.write_text("\n".join(lines) + "\n", encoding="utf-8")


def versions():
    """The versions of what was measured, as installed."""
    from importlib import metadata

    packages = ("keras", "torch", "tensorflow", "jax", "opencv-python", "onnxruntime", "openvino", "numpy")
    found = []
    for package in packages:
        try:
            found.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            continue
    return ", ".join(found)
