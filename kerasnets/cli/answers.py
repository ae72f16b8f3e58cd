"""Answers for pictures: the pictures are gathered, and each batch is printed as soon as it is computed."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kerasnets import pictures
from kerasnets.cli import app
from kerasnets.cli.names import expand
from kerasnets.errors import BadInputError, note, shorten
from kerasnets.prediction import rows
from kerasnets.prediction.answers import Result, as_json
from kerasnets.prediction.classifier import Classifier
from kerasnets.prediction.figures import MOST, Gallery
from kerasnets.prediction.stream import predict_pictures
from kerasnets.runtime import backends
from kerasnets.runtime.atomic import check_writable

Image = str | Path | np.ndarray | BadInputError  # a file, its pixels, or the reason why there are none
Named = tuple[str, Image]

STANDARD_INPUT = "-"
MANY = 200  # pictures from which on a bar shows the progress


@dataclass(frozen=True)
class Format:
    """How answers are given.

    Args:
        top: Number of classes to name for each picture.
        json: Whether to print one JSON list instead of lines.
        save: The file to draw pictures and answers into, or the video to write; None for none.
        show: Whether to show the drawing in a window.
        csv: Whether to print a CSV table instead of lines.
        explain: Whether to draw what each answer depends on, beside the drawing.
    """

    top: int = 1
    json: bool = False
    save: str | None = None
    show: bool = False
    csv: bool = False
    explain: bool = False


def gather(names: Iterable[str]) -> list[Named]:
    """Return (name, image) of the files, folders and patterns in `names`; "-" is standard input.

    A folder stands for the pictures in it and in its subfolders, in order; a pattern that the shell has not expanded,
    for the files that it matches. If a picture cannot be had, the BadInputError takes its place.
    """
    gathered: list[Named] = []
    for name in names:
        try:
            gathered += gather_one(name)
        except BadInputError as error:
            gathered.append((name, error))
        except OSError as error:  # a name that is too long, a folder that may not be read
            gathered.append((name, BadInputError(f"no picture {{path}}: {error.strerror}", path=name,
                                                 remedy="check the name")))  # fmt: skip
    return gathered


def gather_one(name: str) -> list[Named]:
    if name == STANDARD_INPUT:
        return [("standard input", read_standard_input())]
    if Path(name).is_fifo():  # can be read only once
        return [(name, pictures.read(name))]
    if Path(name).is_dir():
        return [(str(path), str(path)) for path in pictures_below(name)]
    return [(path, path) for path in expand(name)]


def read_standard_input() -> np.ndarray:
    content = sys.stdin.buffer.read(pictures.MAX_BYTES + 1)
    if len(content) > pictures.MAX_BYTES:
        limit = f"a picture may have {pictures.MAX_BYTES / 1e6:.0f} MB"
        raise BadInputError("standard input does not end", remedy=limit)
    return pictures.decode(content, "standard input")


def pictures_below(folder: str) -> list[Path]:
    """Return the pictures below a folder, also in linked folders, without hidden ones; a note names other files."""
    from kerasnets.data import layout, picture_sources

    names, others, _ = layout.sort_out(picture_sources.FolderSource(Path(folder)))
    if not names:
        kinds = f"no name ends in {', '.join(layout.USUAL)} or the like"
        raise BadInputError(f"no picture in {{path}}: {kinds}", path=folder)
    if others:
        note(f"left out of {shorten(folder)}, because it is no picture that can be read: {layout.some(others)}")
    return [Path(folder, name) for name in names]


def answer(classifier: Classifier, named: Sequence[Named], form: Format, *, sheets: bool = False) -> int:
    """Answer for each picture, batch by batch, and return the exit code.

    Args:
        classifier: The model.
        named: Pictures with their names, as `gather` returns them.
        form: How the answers are given.
        sheets: Whether each picture shows several digits.
    """
    if form.save or form.show:
        backends.check_packages("matplotlib")
    if form.save:
        from kerasnets.reports import plots

        plots.check_suffix(form.save)
        check_writable(form.save)
        check_not_a_source(form.save, [image for _, image in named if isinstance(image, (str, Path))])
    gallery = Gallery(form.top) if form.save or form.show else None
    if form.csv:
        print(rows.as_csv([rows.header(form.top, many=sheets)]), end="")
    results: list[Result] = []
    failed = 0
    for name, result in progress(predict_pictures(classifier, named, many=sheets, gallery=gallery), len(named)):
        if isinstance(result, BadInputError):
            failed += 1
            app.print_error(result)
        elif not (form.json or form.csv):
            print(result.line(name, form.top))
        if form.csv:
            print(rows.as_csv(rows.rows(name, result, form.top, many=sheets)), end="")
        if form.json:
            results.append(result)
    if form.json:
        print(as_json([name for name, _ in named], results, form.top))
    if failed and len(named) > 1:
        some = f"{failed} of {len(named)} pictures could not be answered; the others were"
        app.print_error(some if failed < len(named) else f"none of {len(named)} pictures could be answered")
    if gallery:
        if gallery.answered > MOST:
            print(f"note: of {gallery.answered} pictures, the first {MOST} are drawn", file=sys.stderr)
        gallery.draw(form.save, form.show)
        if form.explain:
            gallery.explain(classifier, form.save, form.show)
    return 3 if failed else 0


def check_not_a_source(save: str, sources: Iterable[str | Path]) -> None:
    """Raise ValueError if the result would overwrite a file that it is made from."""
    if any(Path(source).exists() and Path(save).exists() and Path(save).samefile(source) for source in sources):
        raise ValueError(f"--save {shorten(save)} is one of the files to read; choose another name")


def progress(answers: Iterable[tuple[str, Result]], count: int) -> Iterable[tuple[str, Result]]:
    """Return `answers`, `count` in all; a bar shows the progress on stderr if that is a terminal and stdout is not."""
    if count < MANY or sys.stdout.isatty() or not sys.stderr.isatty() or not backends.is_installed("rich"):
        return answers
    from rich.console import Console
    from rich.progress import track

    return track(answers, "pictures", total=count, console=Console(stderr=True), transient=True)


def watch(classifier: Classifier, source: int | str, form: Format) -> int:
    """Answer for the frames of a camera (its number) or a video file, and return the exit code."""
    from kerasnets.prediction import video

    is_camera = isinstance(source, int)
    if form.save and not is_camera:
        check_not_a_source(form.save, [str(source)])
    lines = sys.stderr if form.json else sys.stdout
    show = form.show or is_camera  # a key in the window ends a camera
    summary = video.watch(classifier, source, form.save, show, tell=lambda line: app.tell(line, file=lines))
    app.tell(summary.json() if form.json else summary.line())
    return 0
