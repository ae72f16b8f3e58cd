"""Turn the networks of the registry and of keras.applications into PyTorch and back, and write the page of verdicts.

    python -m kerasnets.project.translations registry lenet5 resnet18
    python -m kerasnets.project.translations applications          (all that the page lacks)
    python -m kerasnets.project.translations --page                (from docs/to-torch.csv alone)

Weights are random. Each verdict is written to docs/to-torch.csv as soon as it is there, so that a run can be stopped; a
network that is named is tried anew.
"""

import argparse
import collections
import csv
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from kerasnets.errors import in_one_line
from kerasnets.models.registry import NETWORKS
from kerasnets.reports.tables import Table
from kerasnets.runtime.processes import Worker

TOGETHER = 6  # networks in one process
FOLDER = Path(__file__).parent.parent.parent / "docs"
HEAD = """# Keras' networks in PyTorch

`kerasnets.to_torch(model)` turns a Keras model into plain PyTorch, and returns it only if it gives the model's numbers.
This page lists the networks of this project and those of `keras.applications`, with random weights. The difference is a
share of the outputs' scale; the limit is 2e-5. For the way back, `kerasnets.from_torch` makes a Keras model of the
module: the weights are equal if each array of the first model is in the second, bit by bit. The numbers of a
`Normalization` layer, which nothing trains, come back as constants. With random weights, {saturated} give
one class the whole probability, which would hide a difference; their logits are compared.
`python -m kerasnets.project.translations` writes this page.
"""
SATURATED = ("InceptionResNetV2", "ResNet101", "ResNet152", "VGG16")
TITLES = {"registry": "Networks of this project", "applications": "keras.applications"}

# name in keras.applications -> its smallest picture, in pixels
APPLICATIONS = {
    "ConvNeXtTiny": 32, "ConvNeXtSmall": 32, "ConvNeXtBase": 32, "ConvNeXtLarge": 32, "ConvNeXtXLarge": 32,
    "DenseNet121": 32, "DenseNet169": 32, "DenseNet201": 32, "EfficientNetB0": 32, "EfficientNetB1": 32,
    "EfficientNetB2": 32, "EfficientNetB3": 32, "EfficientNetB4": 32, "EfficientNetB5": 32, "EfficientNetB6": 32,
    "EfficientNetB7": 32, "EfficientNetV2B0": 32, "EfficientNetV2B1": 32, "EfficientNetV2B2": 32,
    "EfficientNetV2B3": 32, "EfficientNetV2S": 32, "EfficientNetV2M": 32, "EfficientNetV2L": 32,
    "InceptionResNetV2": 75, "InceptionV3": 75, "MobileNet": 32, "MobileNetV2": 32, "MobileNetV3Small": 32,
    "MobileNetV3Large": 32, "NASNetMobile": 32, "NASNetLarge": 32, "ResNet50": 32, "ResNet101": 32, "ResNet152": 32,
    "ResNet50V2": 32, "ResNet101V2": 32, "ResNet152V2": 32, "VGG16": 32, "VGG19": 32, "Xception": 71,
}  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """The result for one network; `weights` says whether those that come back are "equal" or "different"."""

    library: str
    network: str
    input_shape: str
    difference: str
    weights: str
    refusal: str = ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library", nargs="?", choices=[*TITLES])
    parser.add_argument("networks", nargs="*", metavar="NETWORK")
    parser.add_argument("--page", action="store_true", help="write the page alone")
    args = parser.parse_args()
    verdicts = {(each.library, each.network): each for each in read()}
    if args.library and not args.page:
        names = NETWORKS if args.library == "registry" else APPLICATIONS
        listed = args.networks or [name for name in names if (args.library, name) not in verdicts]
        for verdict in verdicts_on(args.library, listed):
            verdicts[args.library, verdict.network] = verdict
            print(f"{verdict.network}: {verdict.refusal or verdict.difference} {verdict.weights}", file=sys.stderr)
            write(sorted(verdicts.values(), key=astuple))
    (FOLDER / "to-torch.md").write_text(page(sorted(verdicts.values(), key=astuple)), encoding="utf-8")


def read() -> Iterator[Verdict]:
    path = FOLDER / "to-torch.csv"
    if path.is_file():
        with path.open(encoding="utf-8", newline="") as file:
            for fields in list(csv.reader(file))[1:]:
                yield Verdict(*fields)


def write(verdicts: Sequence[Verdict]) -> None:
    with (FOLDER / "to-torch.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(Verdict.__annotations__)
        rows.writerows(map(astuple, verdicts))


def page(verdicts: Sequence[Verdict]) -> str:
    """Return the Markdown of docs/to-torch.md."""
    parts = [HEAD.format(saturated=", ".join(SATURATED))]
    for library, title in TITLES.items():
        mine = [each for each in verdicts if each.library == library]
        good = [each for each in mine if not each.refusal]
        rows = [[each.network, each.input_shape, each.refusal or each.difference, each.weights] for each in mine]
        table = Table(("network", "input", "difference, or what is missing", "weights that come back"), rows)
        parts.append(f"## {title}\n\n{len(good)} of {len(mine)} networks are translated.\n\n{table.markdown()}")
    return "\n\n".join(map(str.strip, parts)) + "\n"


# ---- one network -----------------------------------------------------------------------------------------------------


def verdicts_on(library: str, names: Sequence[str]) -> Iterator[Verdict]:
    """Yield the Verdict on each network; a process keeps memory of large ones, and ends after some."""
    for i in range(0, len(names), TOGETHER):
        with Worker("torch") as torch, Worker("jax") as jax:
            for name in names[i : i + TOGETHER]:
                yield verdict_by(jax if name.startswith("NASNet") else torch, library, name)  # Keras refuses it there


def verdict_by(worker: Worker, library: str, name: str) -> Verdict:
    shape = shape_of(library, name)
    try:
        difference, equal = worker(there_and_back, library, name, shape)
        words = [f"{difference:.0e}", "equal" if equal else "different"]
    except Exception as error:  # the verdict on a network that cannot be translated
        words = ["", "", in_one_line(error, 120)]
    return Verdict(library, name, " x ".join(map(str, shape)), *words)


def shape_of(library: str, name: str) -> tuple[int, ...]:
    """Return an input shape that the network takes, small and for large pictures not square."""
    if library == "applications":
        return (APPLICATIONS[name], APPLICATIONS[name], 3)
    form = NETWORKS[name]
    if len(form.input_shape) < 3 or form.input_shape[0] <= 36:
        return form.input_shape
    side = max(form.smallest, 32)
    return (side, side + 4, form.input_shape[2])


def there_and_back(library: str, name: str, shape: tuple[int, ...]) -> tuple[float, bool]:
    """Return the difference of the module's outputs from the model's, and whether the weights come back equal."""
    from kerasnets.runtime import backends

    backends.admit("torch", "torchvision")
    import numpy as np
    import torch

    import kerasnets

    model = build(library, name, shape)
    module = kerasnets.to_torch(model)
    x = np.random.default_rng(1).standard_normal((2, *shape), "float32")
    inputs = torch.from_numpy(np.ascontiguousarray(np.moveaxis(x, -1, 1)) if x.ndim == 4 else x)
    with torch.no_grad():
        result = module(inputs).numpy()
    expected = model.predict_on_batch(x)
    back = kerasnets.from_torch(module, inputs)
    constants = [layer for layer in model.layers if type(layer).__name__ == "Normalization"]  # nothing trains them
    weights = [array for layer in model.layers if layer not in constants for array in layer.get_weights()]
    ours, theirs = (collections.Counter(map(bits, arrays)) for arrays in (weights, back.get_weights()))
    return float(np.abs(result - expected).max() / np.abs(expected).max()), not ours - theirs


def bits(array: Any) -> bytes:
    """Return the numbers of a weight, without axes of size 1, as bytes."""
    return f"{[size for size in array.shape if size != 1]}".encode() + array.astype("float32").tobytes()


def build(library: str, name: str, shape: tuple[int, ...]) -> Any:
    """Return a network with weights of which none is 0 or 1."""
    import keras
    import numpy as np

    import kerasnets

    if library == "registry":
        model = kerasnets.build(name, input_shape=shape)
    else:
        head = None if name in SATURATED else "softmax"
        options = {"weights": None, "input_shape": shape, "classes": 10, "classifier_activation": head}
        model = getattr(keras.applications, name)(**options)
    rng = np.random.default_rng(0)
    model.set_weights([draw(rng, weight.name, weight.shape) for weight in model.weights])
    return model


def draw(rng: Any, name: str, shape: tuple[int, ...]) -> Any:
    """Return He normal kernels, variances around 1, factors below it, and other numbers near 0."""
    if name in ("gamma", "moving_variance", "variance"):
        return rng.uniform(0.5, 1.5, shape).astype("float32") * (0.7 if name == "gamma" else 1)
    std = (2 / math.prod(shape[:-1])) ** 0.5 if len(shape) > 1 else 0.1
    return std * rng.standard_normal(shape, "float32")


if __name__ == "__main__":
    main()
