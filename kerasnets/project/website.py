"""The parts of the documentation site that are no file in docs: notebooks of the lessons, and the list of modules.

mkdocs.yml names this file as a hook: MkDocs calls the functions `on_...` while it builds the site. `Docstrings` is
named there as an extension of Griffe, which reads the docstrings.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import griffe
import jupytext
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
LESSONS = ROOT / "docs/lessons"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
WIDE = (
    "porting.md",
    "proof.md",
    "proof-engines.md",
    "results.md",
    "benchmarks/",
)  # pages whose tables take the place of the contents
MODULES = "<!-- modules -->"  # source.md has it where the list belongs


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a notebook of each lesson to the files of the site."""
    for lesson in sorted(LESSONS.glob("[0-9][0-9]_*.py")):
        files.append(File.generated(config, f"lessons/{lesson.stem}.ipynb", content=notebook(lesson)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put the list of modules into source.md, and the files to download on top of each lesson; widen some pages."""
    if page.file.src_uri.startswith(WIDE):
        page.meta["hide"] = ["toc"]
    lesson = LESSONS / Path(page.file.src_uri).with_suffix(".py").name
    if page.file.src_uri.startswith("lessons/") and lesson.is_file():
        heading, body = markdown.split("\n\n", 2)[1:]  # below the comment that says which script wrote the page
        downloads = f"Download: [notebook]({lesson.stem}.ipynb), [Python file]({lesson.name})"
        return f"{heading}\n\n{downloads}\n\n{body}"
    return markdown.replace(MODULES, "\n".join(modules()))


def notebook(lesson: Path) -> str:
    """The lesson as a Jupyter notebook, without outputs."""
    contents = jupytext.read(lesson)
    contents.metadata["kernelspec"] = KERNEL
    for number, cell in enumerate(contents.cells):
        cell.id = f"{lesson.stem[:2]}-{number}"  # random by default, and another in each build
    return str(jupytext.writes(contents, fmt="ipynb"))


def modules() -> Iterator[str]:
    """Markdown: a table of the modules of each package, with the first line of each docstring."""
    folder = None
    for path in sorted(ROOT.glob("kerasnets/**/*.py"), key=lambda path: (path.parent, path.name)):
        summary = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n\n")[0]
        if path.parent != folder:
            folder = path.parent
            yield from ("", f"### {folder.relative_to(ROOT)}", "", "| module | content |", "|---|---|")
        yield f"| `{path.name}` | {escape_brackets(' '.join(summary.split())).replace('|', chr(92) + '|')} |"


class Docstrings(griffe.Extension):
    """Makes Markdown of each docstring: an example becomes code, and "<name>" keeps its brackets."""

    def on_object(self, *, obj: griffe.Object, **kwargs: object) -> None:
        """Rewrite the docstring of a function, class or attribute that Griffe has loaded."""
        if obj.docstring:
            text = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.M)
            text = re.sub(r"^>>> .*?(?=\n\n|\Z)", r"```pycon\n\g<0>\n```", text, flags=re.M | re.S)
            obj.docstring.value = "\n\n".join(
                part if ">>> " in part else escape_brackets(part) for part in text.split("\n\n")
            )


def escape_brackets(text: str) -> str:
    """The text with "<" as HTML has it, except in code."""
    return re.sub(r"`[^`]*`|<(?=\w)", lambda match: "&lt;" if match[0] == "<" else match[0], text)
