"""The time and memory of a prediction: in a fresh process, with a loaded model, and for a folder of pictures.

Each figure is measured in processes that do nothing else.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from kerasnets.benchmark.figures import Figure, Tell, in_turn, last_line
from kerasnets.prediction import engines
from kerasnets.runtime import backends, child
from kerasnets.saving import shipped

MNIST = Path(shipped.path_of("mnist_cnn-mnist", shipped.KERAS))
PHOTO = shipped.photo()
NETWORKS = ("vgg16", "resnet50")  # with fresh weights, which are as fast as trained ones
FOLDER = 1000  # pictures
# The largest value that reaches the goal
GOALS = {
    ("mnist_cnn, fresh process", "seconds"): 0.25,
    ("mnist_cnn, fresh process", "MiB"): 80,
    ("mnist_cnn, warm", "ms"): 0.5,
    ("vgg16, warm", "ms"): 90,
    ("resnet50, warm", "ms"): 35,
}


def measure(runs: int, networks: Sequence[str] = NETWORKS, tell: Tell = print) -> list[Figure]:
    """Return the figures of predictions by each installed engine that reads .keras or ONNX.

    Args:
        runs: Processes of each kind.
        networks: Networks to measure warm, at their usual input shape.
        tell: Is called with a line for each figure.
    """
    figures = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        mnist = [MNIST, export_to_onnx(MNIST, folder)]
        chosen = engines_of(mnist)
        fresh = in_turn(runs, {engine: (path, engine) for engine, path in chosen.items()}, fresh_process)
        for engine, measured in fresh.items():
            for unit, values in zip(("seconds", "MiB"), zip(*measured, strict=True), strict=True):
                figures.append(figure("mnist_cnn, fresh process", engine, unit, values))
        figures += warm_figures("mnist_cnn", chosen, runs, 200)
        figures += folder_figures(chosen, folder, runs)
        for each in figures:
            tell(each.line())
        for name in networks:
            keras_file = fresh_weights(name, folder)
            warm = warm_figures(name, engines_of([keras_file, export_to_onnx(keras_file, folder)]), runs, 10)
            for each in warm:
                tell(each.line())
            figures += warm
    return figures


def export_to_onnx(path: Path, folder: Path) -> Path:
    """Export a model file to ONNX in `folder`; return the new file."""
    from kerasnets.export import export

    return Path(export(path, folder / f"{path.stem}.onnx").file)


def engines_of(paths: Sequence[Path]) -> dict[str, Path]:
    """Return {engine: the first of `paths` that it reads} for the installed engines."""
    return {
        name: next(path for path in paths if path.suffix in engine.suffixes)
        for name, engine in engines.ENGINES.items()
        if backends.is_installed(engine.package) and any(path.suffix in engine.suffixes for path in paths)
    }


# Prints seconds and KiB of a command. It needs its own process, because Linux counts the memory that a process had
# before it became the command, here the memory of the benchmark.
TIMED = """
import os, subprocess, sys, time
from kerasnets.runtime import child
child.end_with_parent()
begin = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, preexec_fn=child.tie)
_, status, usage = os.wait4(process.pid, 0)
print(time.perf_counter() - begin, usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def fresh_process(path: Path, engine: str) -> tuple[float, float]:
    """Return (seconds, peak MiB) of `kerasnets predict` on one photo, run as from a shell."""
    command = [sys.executable, "-m", "kerasnets", "predict", str(path), str(PHOTO), "--engine", engine]
    timed = [sys.executable, "-c", TIMED, *command]
    environment = child.variables()
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package is compiled: the first run does it here
    process = subprocess.run(timed, env=environment, capture_output=True, text=True)
    if process.returncode:
        raise RuntimeError(f"kerasnets predict by {engine} failed: {last_line(process.stderr)}")
    seconds, kibibytes = process.stdout.split()
    return float(seconds), int(kibibytes) / 1024


def warm_figures(name: str, chosen: Mapping[str, Path], runs: int, repeats: int) -> list[Figure]:
    jobs = {engine: ("one_warm", path, engine, repeats) for engine, path in chosen.items()}
    return [figure(f"{name}, warm", engine, "ms", ms) for engine, ms in in_turn(runs, jobs, in_process).items()]


def folder_figures(chosen: Mapping[str, Path], folder: Path, runs: int) -> list[Figure]:
    """Return pictures a second for a folder of PNGs of MNIST's size; with no engine, pictures are only prepared."""
    place = folder / "pictures"
    write_pictures(place)
    jobs = {engine: ("folder_of", path, engine, place) for engine, path in chosen.items()}
    jobs["decoding only"] = ("measure_decoding", next(iter(chosen.values())), next(iter(chosen)), place)
    rates = in_turn(runs, jobs, in_process)
    return [figure(f"{FOLDER} PNGs of 28x28", engine, "pictures/s", values) for engine, values in rates.items()]


def figure(what: str, engine: str, unit: str, values: Iterable[float]) -> Figure:
    return Figure(what, engine, unit, tuple(values), GOALS.get((what, unit)))


def in_process(function: str, path: Path, engine: str, argument: object) -> float:
    """Return the result of a function of this module, called in its own process."""
    process = child.run("kerasnets.benchmark.predict", function, str(path), engine, str(argument), seconds=None)
    if process.returncode:
        raise RuntimeError(f"{function} by {engine} failed: {last_line(process.stderr.decode(errors='replace'))}")
    return float(last_line(process.stdout.decode()))


# ---- in their own processes; arguments are text ----


def one_warm(path: str, engine: str, repeats: str) -> float:
    """Return the median milliseconds for one array of the network's size, after the first three."""
    from kerasnets.prediction import Classifier

    classifier = Classifier.load(path, engine)
    picture = np.random.default_rng(0).integers(0, 256, classifier.input_shape, np.uint8)
    if classifier.card.input_kind == "mnist":
        [prediction] = classifier.predict([PHOTO])
        picture = prediction.pixels
    times = []
    for _ in range(int(repeats) + 3):
        begin = time.perf_counter()
        classifier.predict([picture])
        times.append(1000 * (time.perf_counter() - begin))
    return statistics.median(times[3:])


def folder_of(path: str, engine: str, folder: str) -> float:
    """Return pictures a second with a loaded model."""
    from kerasnets.prediction import Classifier

    classifier = Classifier.load(path, engine)
    paths = sorted(Path(folder).iterdir())
    classifier.predict(paths[:64])
    begin = time.perf_counter()
    classifier.predict(paths)
    return len(paths) / (time.perf_counter() - begin)


def measure_decoding(path: str, engine: str, folder: str) -> float:
    """Return pictures a second that are read and prepared, without the network."""
    from kerasnets.prediction import Classifier

    classifier = Classifier.load(path, engine)
    paths = sorted(Path(folder).iterdir())
    begin = time.perf_counter()
    for picture in paths:
        classifier.prepare(picture)
    return len(paths) / (time.perf_counter() - begin)


# ---- pictures and models ----


def write_pictures(folder: Path) -> None:
    """Write FOLDER of scikit-learn's digits as PNG, in MNIST's size."""
    import cv2

    from kerasnets.data import load_data

    folder.mkdir()
    for i, image in enumerate(load_data("digits").train_images[:FOLDER]):
        cv2.imwrite(str(folder / f"{i:04d}.png"), image)


def fresh_weights(name: str, folder: Path) -> Path:
    """Write a model file of a network with fresh weights; return it."""
    from kerasnets.export import route_of
    from kerasnets.runtime.processes import alone

    path = folder / f"{name}.keras"
    alone(route_of(".onnx"), write_fresh, name, path)
    return path


def write_fresh(name: str, path: Path) -> None:
    import kerasnets

    network = kerasnets.build(name)
    names = tuple(f"class {i}" for i in range(network.output_shape[-1]))
    kerasnets.save(network, path, kerasnets.Card(name, names, network.input_shape[1:]), scaling=(1 / 255, 0.0))


if __name__ == "__main__":
    child.end_with_parent()
    print(globals()[sys.argv[1]](*sys.argv[2:]))
