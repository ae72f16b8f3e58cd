"""How long kerasnets takes, and how much memory, beside what a person would write by hand."""

from kerasnets.benchmark.figures import PAGES, run

__all__ = ["PAGES", "run"]
