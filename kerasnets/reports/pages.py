"""HTML pages: one self-contained file each."""

import base64
import html
from pathlib import Path

from kerasnets.errors import shorten
from kerasnets.reports import plots
from kerasnets.runtime.atomic import check_writable, whole_file

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
  body {{ font: 16px/1.5 system-ui, sans-serif; color: #1c2733; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }}
  h1 {{ font-size: 1.6rem; margin-bottom: 0.2rem; }}
  h2 {{ font-size: 1.15rem; margin-top: 2.2rem; }}
  img {{ max-width: 100%; height: auto; }}
  table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
  th, td {{ padding: 0.25rem 0.9rem; border-bottom: 1px solid #dfe5ec; text-align: right; }}
  th:first-child, td:first-child {{ text-align: left; padding-left: 0; }}
  .facts td, .words {{ text-align: left; }}
  .lead {{ font-size: 1.15rem; }}
  .grey {{ color: #66717d; }}
</style>
<h1>{title}</h1>
{body}
</html>
"""


def table_of(facts):
    rows = "".join(f"<tr><td>{name}</td><td>{html.escape(value)}</td></tr>" for name, value in facts.items() if value)
    return f'<table class="facts">{rows}</table>'


def section(title, content):
    return f"<h2>{title}</h2>\n{content}"


def image(figure):
    """A figure inside the page itself, so that the page is one file."""
    content = base64.b64encode(plots.encoded(figure, "png")).decode()
    return f'<img src="data:image/png;base64,{content}" alt="">'


def write_page(path, title, body):
    text = PAGE.format(title=html.escape(title), body="\n".join(body))
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8")


def check_page(path):
    """Raise ValueError or OSError now where a page cannot be written to `path`."""
    if Path(path).suffix not in (".html", ".htm"):
        raise ValueError(f"the page is HTML: {shorten(path)} must end in .html")
    check_writable(path)
