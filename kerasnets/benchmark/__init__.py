"""The time and memory that kerasnets takes, compared with hand-written code."""

from kerasnets.benchmark.figures import PAGES, run

__all__ = ["PAGES", "run"]
