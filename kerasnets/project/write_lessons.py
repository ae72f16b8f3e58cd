"""Run the lessons in docs/lessons, and write the page of each one, with its printed text and drawings.

    KERAS_BACKEND=torch python scripts/write_lessons.py
    python scripts/write_lessons.py 02 05
    python scripts/write_lessons.py --list

A lesson uses MNIST if its files are on this disk, otherwise scikit-learn's digits. The list of lessons in
docs/lessons/README.md is written too; with --list, nothing else is. The last line on stdout is the result; the exit
code is 1 if an assertion of a lesson fails.
"""

import argparse
import sys
import time


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("lessons", nargs="*", metavar="LESSON", help="02, or 02_convolution_by_hand (default: all)")
    add("--list", action="store_true", help="write the list of lessons alone")


def run(args: argparse.Namespace) -> None:
    from kerasnets.project import lessons
    from kerasnets.runtime import backends

    paths = [] if args.list else lessons.find(args.lessons)
    if paths:
        backends.choose()
    started = time.monotonic()
    for path in paths:
        print(lessons.write(path), file=sys.stderr)
    lessons.write_list()
    print(f"result lessons={len(paths)} seconds={time.monotonic() - started:.0f} list={lessons.LESSONS / 'README.md'}")
