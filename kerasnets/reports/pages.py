"""HTML pages: one self-contained file each, made of the templates in this folder, every value escaped."""

import base64
import functools
import re
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from kerasnets.errors import shorten
from kerasnets.runtime.atomic import check_writable, whole_file
from kerasnets.runtime.backends import check_packages

if TYPE_CHECKING:
    import jinja2
    from markupsafe import Markup
    from matplotlib.figure import Figure


def write_page(path: str | Path, template: str, **values: object) -> None:
    """Write a page, whole or not at all.

    Args:
        path: The file to write.
        template: The name of a file in templates/ that extends page.html.
        values: What the template uses; `title`, at least.

    Raises:
        OSError: The file cannot be written.
    """
    text = render(template, **values)
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8", errors="backslashreplace")  # a file's name may be no UTF-8


def markup(text: str) -> "Markup":
    from markupsafe import Markup

    return Markup(text)


def render(template: str, **values: object) -> "Markup":
    """Return the HTML of a template with `values`; whatever is not Markup is escaped."""
    return markup(environment().get_template(template).render(**values))


@functools.cache
def environment() -> "jinja2.Environment":
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"png": data_address, "img": img}
    return environment


def data_address(content: bytes) -> str:
    """Return a PNG as an address inside the page itself, so that the page is one file."""
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def img(figure: "Figure", words: str) -> "Markup":
    """Return a figure as an <img> with twice the pixels of its width on the page; `words` describe it."""
    from kerasnets.reports.plots import dense

    content = dense(figure)
    return render("img.html", address=data_address(content), width=content.width, words=words)


def drawing(figure: "Figure", words: str) -> "Markup":
    """Return a figure as an SVG element for a page; `words` describe it for readers who cannot see it."""
    from kerasnets.reports.plots import DENSITY, encode

    text = encode(figure, "svg").decode()
    _, _, content = text.partition("<svg")
    attributes, _, content = content.partition(">")
    (box,) = re.findall(r'viewBox="[-0-9. ]+"', attributes)
    content = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", content, flags=re.DOTALL)
    key = f"{zlib.crc32(words.encode(errors='replace')):x}-"  # an id is there once on a page
    content = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>d{key}", content)
    return render("drawing.html", box=markup(box), content=markup(content), words=words,
                  width=round(figure.get_figwidth() * DENSITY))  # fmt: skip


def check_page(path: str | Path) -> None:
    """Raise ValueError, OSError or ImportError now if a page could not be written to `path` later."""
    check_packages("jinja2", "matplotlib")
    if Path(path).suffix not in (".html", ".htm"):
        raise ValueError(f"the page is HTML: {shorten(path)} must end in .html")
    check_writable(path)
