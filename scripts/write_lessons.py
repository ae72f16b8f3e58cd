"""Run the lessons in docs/lessons, and write each one's page beside it, with what it printed and drew.

    KERAS_BACKEND=torch python scripts/write_lessons.py
    python scripts/write_lessons.py 02 05
    python scripts/write_lessons.py --list

A lesson takes MNIST where its files are on this disk, else scikit-learn's digits. The list of lessons in
docs/lessons/README.md is written too; with --list, nothing else is. The last line on stdout is the result; the exit
code is 1 where a lesson claims what does not hold.
"""

import sys
import time

from kerasnets.cli import app


def main():
    parser = app.Parser(__doc__)
    parser.add_argument("lessons", nargs="*", metavar="LESSON", help="02, or 02_convolution_by_hand (default: all)")
    parser.add_argument("--list", action="store_true", help="write the list of lessons alone")
    args = parser.parse_args()

    from kerasnets.project import lessons
    from kerasnets.runtime import backends

    chosen = [] if args.list else lessons.find(args.lessons)
    if chosen:
        backends.choose()
    started = time.monotonic()
    for path in chosen:
        print(lessons.write(path), file=sys.stderr)
    lessons.write_list()
    print(f"result lessons={len(chosen)} seconds={time.monotonic() - started:.0f} list={lessons.LESSONS / 'README.md'}")


if __name__ == "__main__":
    app.run(main)
