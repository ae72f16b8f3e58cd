"""How long a prediction takes and how much memory: in a fresh process, warm, and over a folder.

Each figure is of processes that do nothing else.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from kerasnets.benchmark.figures import ROOT, Figure, in_turn, last_line
from kerasnets.prediction import engines
from kerasnets.runtime import backends

MNIST = ROOT / "models_saved/pretrained/mnist_cnn-mnist.keras"
PHOTO = ROOT / "docs/samples/three-on-paper.jpg"
NETWORKS = ("vgg16", "resnet50")  # with fresh weights, which take as long as trained ones
FOLDER = 1000  # pictures
# What is to be reached at most
GOALS = {
    ("mnist_cnn, fresh process", "seconds"): 0.25,
    ("mnist_cnn, fresh process", "MiB"): 80,
    ("mnist_cnn, warm", "ms"): 0.5,
    ("vgg16, warm", "ms"): 90,
    ("resnet50, warm", "ms"): 35,
}


def measure(runs, networks=NETWORKS, tell=print):
    """Measure predictions by each installed engine that reads .keras or ONNX; return the Figures.

    runs: processes of each kind; networks: those to measure warm at their usual size; `tell` is told a line for each.
    """
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        mnist = [MNIST, exported(MNIST, folder)]
        chosen = engines_of(mnist)
        found = in_turn(runs, {engine: (path, engine) for engine, path in chosen.items()}, fresh_process)
        for engine, measured in found.items():
            for unit, values in zip(("seconds", "MiB"), zip(*measured, strict=True), strict=True):
                figures.append(figure("mnist_cnn, fresh process", engine, unit, values))
        figures += warm_figures("mnist_cnn", chosen, runs, 200)
        figures += folder_figures(chosen, folder, runs)
        for each in figures:
            tell(each.line())
        for name in networks:
            keras_file = fresh_weights(name, folder)
            measured = warm_figures(name, engines_of([keras_file, exported(keras_file, folder)]), runs, 10)
            for each in measured:
                tell(each.line())
            figures += measured
    return figures


def exported(path, folder):
    """The ONNX file made of a model file, in `folder`."""
    from kerasnets.export import export

    return Path(export(path, folder / f"{path.stem}.onnx").file)


def engines_of(paths):
    """{engine: the first of `paths` that it reads} of those engines that are installed."""
    return {
        name: next(path for path in paths if path.suffix in row.suffixes)
        for name, row in engines.ENGINES.items()
        if backends.is_installed(row.package) and any(path.suffix in row.suffixes for path in paths)
    }


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
    return [figure(f"{name}, warm", engine, "ms", measured) for engine, measured in found.items()]


def folder_figures(chosen, folder, runs):
    """Pictures a second from a folder of MNIST-size PNGs, and of reading and preparing them without a network."""
    place = folder / "pictures"
    write_pictures(place)
    jobs = {engine: ("folder_of", path, engine, place) for engine, path in chosen.items()}
    jobs["none"] = ("decoding_of", next(iter(chosen.values())), next(iter(chosen)), place)
    found = in_turn(runs, jobs, in_process)
    return [figure(f"{FOLDER} PNGs of 28x28", engine, "pictures/s", them) for engine, them in found.items()]


def figure(what, engine, unit, values):
    return Figure(what, engine, unit, tuple(values), GOALS.get((what, unit)))


def in_process(function, path, engine, argument):
    """What `function` of this module returns, in a process of its own."""
    code = "import sys; from kerasnets.benchmark import predict as b; print(getattr(b, sys.argv[1])(*sys.argv[2:]))"
    process = subprocess.run(
        [sys.executable, "-c", code, function, str(path), engine, str(argument)],
        env=backends.environment(),
        capture_output=True,
        text=True,
    )
    if process.returncode:
        raise RuntimeError(f"{function} by {engine} failed: {last_line(process.stderr)}")
    return float(last_line(process.stdout))


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
        classifier.prepare(picture)
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
    from kerasnets.export import route_of
    from kerasnets.runtime.processes import Worker

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
