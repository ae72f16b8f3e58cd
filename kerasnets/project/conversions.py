"""Convert networks of torchvision and timm by `kerasnets.from_torch`, and write the page that lists the verdicts.

    KERAS_BACKEND=torch python -m kerasnets.project.conversions torchvision resnet18 swin_t
    KERAS_BACKEND=torch python -m kerasnets.project.conversions timm resnest14d
    KERAS_BACKEND=torch python -m kerasnets.project.conversions torchvision    (all classifiers that the page lacks)
    python -m kerasnets.project.conversions torchvision resnet18 --files       (its files, on every backend)
    python -m kerasnets.project.conversions --page                             (from docs/from-torch.csv alone)

Weights are random, and the statistics of batch normalization are not those of a fresh network. Each verdict is written
to docs/from-torch.csv as soon as it is there, so that a run can be stopped; a network that is named is tried anew.
"""

import argparse
import csv
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from kerasnets.errors import in_one_line
from kerasnets.project import conversion_files
from kerasnets.reports.tables import Table

FOLDER = Path(__file__).parent.parent.parent / "docs"
SIZES = (64, 96, 128, 224, 256)  # pixels; the first that a network takes
HEAD = """# Networks of torchvision and timm in Keras

`kerasnets.from_torch(module, example)` converts a network of PyTorch, and returns it only if it gives the module's
numbers: within 2e-5 of the outputs' scale, on two batch sizes, in inference and in training. This page lists the
networks that were tried with random weights, on torch; `python -m kerasnets.project.conversions` writes it.
"""

FILES_HEAD = """## Files on every backend

Plain Keras loaded the files of these networks on TensorFlow and JAX, and OpenCV the ONNX. The table shows the
difference from PyTorch as a share of the outputs' scale. "no" means that Keras does not load the `.h5`, because the
network contains operations that are no layers; use the `.keras`.
"""


@dataclass(frozen=True)
class Verdict:
    """The result for one network: the difference from PyTorch as a share of the outputs' scale, or the refusal."""

    library: str
    network: str
    pixels: int
    difference: str
    refusal: str = ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library", nargs="?", choices=["torchvision", "timm"])
    parser.add_argument("networks", nargs="*", metavar="NETWORK")
    parser.add_argument("--files", action="store_true", help="try the files of the networks on every backend instead")
    parser.add_argument("--page", action="store_true", help="write the page alone")
    args = parser.parse_args()
    verdicts = {(each.library, each.network): each for each in read()}
    files = dict(read_files())
    if args.library and args.files:
        for name, words in conversion_files.check(args.library, args.networks):
            files[args.library, name] = words
            print(f"{name}: {words}", file=sys.stderr)
            write_files(files)
    elif args.library and not args.page:
        listed = args.networks or [name for name in names_of(args.library) if (args.library, name) not in verdicts]
        for name in listed:
            verdict = verdicts[args.library, name] = convert(args.library, name)
            print(f"{name}: {verdict.refusal or verdict.difference}", file=sys.stderr)
            write(sorted(verdicts.values(), key=astuple))
    (FOLDER / "from-torch.md").write_text(page(sorted(verdicts.values(), key=astuple), files), encoding="utf-8")


def names_of(library: str) -> Sequence[str]:
    if library == "timm":
        raise SystemExit("timm has more than a thousand networks; name some")
    from torchvision import models

    return models.list_models(module=models)


def read() -> Iterator[Verdict]:
    path = FOLDER / "from-torch.csv"
    if path.is_file():
        with path.open(encoding="utf-8", newline="") as file:
            for library, network, pixels, difference, refusal in list(csv.reader(file))[1:]:
                yield Verdict(library, network, int(pixels), difference, refusal)


def write(verdicts: Sequence[Verdict]) -> None:
    with (FOLDER / "from-torch.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(Verdict.__annotations__)
        rows.writerows(map(astuple, verdicts))


def read_files() -> Iterator[tuple[tuple[str, str], list[str]]]:
    """Yield ((library, network), differences by FILES_COLUMNS)."""
    path = FOLDER / "from-torch-files.csv"
    if path.is_file():
        with path.open(encoding="utf-8", newline="") as file:
            for library, network, *words in list(csv.reader(file))[1:]:
                yield (library, network), words


def write_files(files: Mapping[tuple[str, str], Sequence[str]]) -> None:
    with (FOLDER / "from-torch-files.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("library", "network", *conversion_files.COLUMNS))
        rows.writerows([*key, *words] for key, words in sorted(files.items()))


def page(verdicts: Sequence[Verdict], files: Mapping[tuple[str, str], Sequence[str]]) -> str:
    """Return the Markdown of docs/from-torch.md."""
    parts = [HEAD]
    for library in dict.fromkeys(each.library for each in verdicts):
        mine = [each for each in verdicts if each.library == library]
        good = [each for each in mine if not each.refusal]
        rows = [[each.network, f"{each.pixels} x {each.pixels}", each.refusal or each.difference] for each in mine]
        table = Table(("network", "picture", "difference, or what is missing"), rows)
        parts.append(f"## {library}\n\n{len(good)} of {len(mine)} networks are converted.\n\n{table.markdown()}")
    if files:
        table = Table(("network", *conversion_files.COLUMNS), [[name, *words] for (_, name), words in files.items()])
        parts.append(f"{FILES_HEAD}\n{table.markdown()}")
    return "\n\n".join(map(str.strip, parts)) + "\n"


# ---- one network -----------------------------------------------------------------------------------------------------


def convert(library: str, name: str) -> Verdict:
    """Return the Verdict on a network of a library."""
    from kerasnets.runtime import backends

    backends.choose()
    import keras
    import numpy as np
    import torch

    import kerasnets

    torch.manual_seed(0)
    pixels = 0
    try:
        module, inputs, expected = first_that_works(library, name)
        pixels = inputs.shape[-1]
        model = kerasnets.from_torch(module, inputs)
        result = keras.ops.convert_to_numpy(model(inputs.numpy().transpose(0, 2, 3, 1)))
        difference = float(np.abs(result - expected).max() / np.abs(expected).max())
        return Verdict(library, name, pixels, f"{difference:.0e}")
    except Exception as error:  # the verdict on a network that cannot be converted, or built
        return Verdict(library, name, pixels, "", in_one_line(error, 120))


def first_that_works(library: str, name: str) -> tuple[Any, Any, Any]:
    """Return a network with random weights, pictures of the first size that it takes, and its outputs."""
    import torch

    for pixels in SIZES:
        try:
            module = build(library, name, pixels).eval()
            randomize(module)
            inputs = torch.randn(2, 3, pixels, pixels)
            with torch.no_grad():
                return module, inputs, module(inputs).numpy()
        except Exception:  # too small a picture, of many classes
            if pixels == SIZES[-1]:
                raise
    raise AssertionError(SIZES)


def build(library: str, name: str, pixels: int) -> Any:
    if library == "timm":
        import timm

        try:
            return timm.create_model(name, num_classes=10, img_size=pixels)
        except TypeError:
            return timm.create_model(name, num_classes=10)
    from torchvision import models

    options: dict[str, Any] = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    options |= {"image_size": pixels} if name.startswith("vit") else {}
    return models.get_model(name, weights=None, num_classes=10, **options)


def randomize(module: Any) -> None:
    """Give weights of one dimension, statistics, and what starts as zeros, other numbers than ones and zeros."""
    import torch

    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, tensor in (*module.named_parameters(), *module.named_buffers()):
            noise = torch.rand(tensor.shape, generator=generator)
            if name.endswith("running_var") or (name.endswith("weight") and tensor.ndim == 1):
                tensor.copy_(0.75 + 0.5 * noise)
            elif name.endswith(("bias", "running_mean")) or (tensor.is_floating_point() and not tensor.any()):
                tensor.copy_(noise - 0.5)


if __name__ == "__main__":
    main()
