"""What predict_image.py does beyond parsing: pictures gathered, judged a batch at a time, told as they come."""

import glob
import sys
from pathlib import Path

from kerasnets import pictures
from kerasnets.cli import app
from kerasnets.errors import BadInputError, shorten
from kerasnets.prediction.answers import as_json
from kerasnets.prediction.figures import MOST, Gallery
from kerasnets.prediction.stream import predict_pictures
from kerasnets.runtime.atomic import check_writable

STANDARD_INPUT = "-"
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff")  # of pictures taken from a folder
MANY = 200  # pictures from which a bar shows the progress


def gathered(names):
    """Return [(name, image)] of what a person names: files, folders, patterns, - for standard input.

    A folder stands for the pictures in it and below it, in order; a pattern that the shell has left, for what it fits.
    In the place of an image that cannot be had stands the BadInputError that says why.
    """
    found = []
    for name in names:
        try:
            found += named_by(name)
        except BadInputError as error:
            found.append((name, error))
        except OSError as error:  # a name too long, a folder that may not be looked into
            found.append((name, BadInputError(f"no picture {shorten(name)}: {error.strerror}; check the name")))
    return found


def named_by(name):
    if name == STANDARD_INPUT:
        return [("standard input", from_standard_input())]
    if Path(name).is_fifo():  # which can be read once
        return [(name, pictures.read(name))]
    if Path(name).is_dir():
        return [(str(path), str(path)) for path in pictures_below(name)]
    if glob.has_magic(name) and not Path(name).exists():
        matching = sorted(path for path in glob.glob(name, recursive=True) if Path(path).is_file())
        if not matching:
            raise BadInputError(f"nothing fits {shorten(name)}; check folder and pattern")
        return [(path, path) for path in matching]
    return [(name, name)]


def from_standard_input():
    content = sys.stdin.buffer.read(pictures.MAX_BYTES + 1)
    if len(content) > pictures.MAX_BYTES:
        raise BadInputError(f"standard input does not end; a picture may have {pictures.MAX_BYTES / 1e6:.0f} MB")
    return pictures.decode(content, "standard input")


def pictures_below(folder):
    found = [path for path in sorted(Path(folder).rglob("*")) if path.suffix.lower() in SUFFIXES and path.is_file()]
    if not found:
        raise BadInputError(f"no picture in {shorten(folder)}: none ends in {', '.join(SUFFIXES)}")
    return found


def answer(classifier, named, args):
    """Judge [(name, image)] and print the answers as they come; return the exit code.

    args: top, json, save, show, many, as predict_image.py parses them.
    """
    if args.save:
        from kerasnets.reports import plots

        plots.check_suffix(args.save)
        check_writable(args.save)
        check_other(args.save, [image for _, image in named if isinstance(image, (str, Path))])
    gallery = Gallery() if args.save or args.show else None
    results, failed = [], 0
    answers = predict_pictures(classifier, named, many=args.many, gallery=gallery)
    for name, result in progress(answers, len(named)):
        if isinstance(result, BadInputError):
            failed += 1
            app.print_error(result)
        elif not args.json:
            print(result.line(name, args.top))
        if args.json:
            results.append(result)
    if args.json:
        print(as_json([name for name, _ in named], results, args.top))
    if failed and len(named) > 1:
        app.print_error(f"{failed} of {len(named)} pictures could not be answered; the others were")
    if gallery:
        if gallery.answered > MOST:
            print(f"note: of {gallery.answered} pictures, the first {MOST} are drawn", file=sys.stderr)
        gallery.draw(args.save, args.show)
    return 3 if failed else 0


def check_other(save, sources):
    """Raise ValueError where a result would take the place of what it is made of."""
    if any(Path(source).exists() and Path(save).exists() and Path(save).samefile(source) for source in sources):
        raise ValueError(f"--save {shorten(save)} is what was named to be read; choose another name")


def progress(answers, count):
    """`answers`, of which there are `count`, with a bar on a terminal's stderr where they go elsewhere."""
    if count < MANY or sys.stdout.isatty() or not sys.stderr.isatty():
        return answers
    from rich.console import Console
    from rich.progress import track

    return track(answers, "pictures", total=count, console=Console(stderr=True), transient=True)


def watch(classifier, args):
    """Answer for a camera or a video, as parsed; return the exit code."""
    from kerasnets.prediction import video

    source = args.camera if args.camera is not None else args.video
    if args.video and args.save:
        check_other(args.save, [args.video])
    told = sys.stderr if args.json else sys.stdout
    show = args.show or args.camera is not None  # by its window a camera is left
    done = video.watch(classifier, source, args.save, show, tell=lambda line: print(line, file=told))
    print(done.json() if args.json else done.line())
    return 0
