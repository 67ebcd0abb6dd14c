"""What all pages share: one template around their content, one style sheet, one script, and Plotly.

A page is one file that loads nothing from elsewhere. Every text of the data goes through Jinja's escaping, or through
``embedded_json`` on its way into a script element. Plotly's own bundle is embedded once, compressed, and unpacked by
the browser: 2 MB in place of 4.8.
"""

import base64
import gzip
import json
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from nearfar.reports import words
from nearfar.reports.canvas import Figure

REPORT = "report.html"
"""The page of a folder."""


def render_page(template: str, *, command: str, title: str, figures: Mapping[str, Figure], **content: Any) -> str:
    """A page as text. The same content gives the same text.

    Args:
        template: a file of the package's ``assets`` that extends ``frame.html.jinja``.
        command: what made it, such as ``mine``.
        title: what it is about, such as the name of a folder.
        figures: those that the template draws, by name.
        content: everything else that the template names.
    """
    page: str = (
        environment()
        .get_template(template)
        .render(
            command=command,
            title=title,
            figures=figures,
            css=Markup(asset("report.css")),
            javascript=Markup(asset("report.js")),
            payload=embedded_json({name: _payload(one) for name, one in figures.items()}),
            plotly=plotly_bundle(),
            **content,
        )
    )
    return page


@lru_cache(maxsize=1)
def environment() -> jinja2.Environment:
    """Templates that escape, complain about what they do not know, and write numbers as ``words`` does."""
    made = jinja2.Environment(
        loader=jinja2.FunctionLoader(asset),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    made.filters |= {
        "decimal": words.decimal,
        "signed": words.signed,
        "count": words.count,
        "duration": words.duration,
        "p_value": words.p_value,
        "percent": words.percent,
        "name_of": words.name_of,
        "tint": words.tint,
    }
    return made


def _payload(figure: Figure) -> dict[str, Any]:
    """What the script needs of a figure."""
    given = {"table": figure.table} if figure.table is not None else {}
    return {"data": figure.data, "layout": figure.layout, **given}


def embedded_json(value: Mapping[str, Any]) -> Markup:
    """JSON that may stand in a script element: no character can end the element or start markup."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=True)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


@lru_cache(maxsize=1)
def plotly_bundle() -> Markup:
    """Plotly's script as base64 of gzip, the same bytes every time."""
    from plotly.offline import get_plotlyjs

    return Markup(base64.b64encode(gzip.compress(get_plotlyjs().encode(), 5, mtime=0)).decode())


@lru_cache(maxsize=16)
def asset(name: str) -> str:
    """A file of the package's ``assets``."""
    return files("nearfar.reports").joinpath("assets", name).read_text(encoding="utf-8")
