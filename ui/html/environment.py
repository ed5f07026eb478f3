"""The one Jinja2 environment of all pages: every value is escaped, and a name that nobody passed is an error.

A page calls `render_html("auth/sign_in.html.j2", texts=texts, name=name)`. Templates are below `ui/html/templates/`, in
a folder for each package that renders them. The result is `Markup`: it may be passed to another template, which does
not escape it again. Everything else is escaped, also inside attributes, whose values are always quoted. A template
marks nothing as safe (no `|safe`), and a link begins with text of its own or comes from `ui`, never from a document:
escaping does not stop `javascript:`.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

TEMPLATES = Path(__file__).parent / "templates"
STYLE_SHEETS = Path(__file__).parents[1] / "web" / "assets"

_BIDI_CONTROLS = frozenset(
    "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)  # they make text pose as other text


def render_html(template: str, /, **values: Any) -> Markup:
    """Renders a template of `ui/html/templates/`.

    >>> "<title>&lt;b&gt; · Nightjar</title>" in render_html("api/layout.html.j2", title="<b>", style=Markup(""))
    True
    """
    return Markup(html_environment().get_template(template).render(values))  # noqa: S704 - the environment escapes


@lru_cache
def inline_style(file_name: str) -> Markup:
    """Returns a style sheet of `ui/web/assets/`, for the element `<style>` of a page that loads nothing."""
    return Markup((STYLE_SHEETS / file_name).read_text("utf-8"))  # noqa: S704 - our own file


@lru_cache(maxsize=1)
def html_environment() -> Environment:
    """The environment; the filter `printable` removes control characters of texts that others wrote."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters["printable"] = strip_control_characters
    return environment


def strip_control_characters(text: str) -> str:
    r"""Returns the text without control characters (but line breaks and tabs), lone surrogates and bidi overrides.

    >>> strip_control_characters("a\x00<b>\n\u202e")
    'a<b>\n'
    """
    return "".join(character for character in text if character in "\n\t" or not _is_unprintable(character))


def _is_unprintable(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs") or character in _BIDI_CONTROLS
