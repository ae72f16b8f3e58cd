"""README and the pages of the site as the tests read them."""

import re
from pathlib import Path

from tests.conftest import ROOT

DOCS = ROOT / "docs"
README = ROOT / "README.md"
PAGES = [README, *sorted(DOCS.rglob("*.md"))]
WITHOUT_LESSONS = [page for page in PAGES if not re.match(r"\d\d_", page.name)]  # kerasnets.project.lessons has theirs


def text(page: str | Path) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str | Path, language: str) -> list[str]:
    """Return the blocks of code in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text(page), re.M | re.S)


def commands(page: str | Path) -> list[str]:
    """Return the lines of the bash blocks."""
    return [line for block in blocks(page, "bash") for line in block.splitlines()]
