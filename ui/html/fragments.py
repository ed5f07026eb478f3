"""Pieces of HTML for Gradio's pages: templates whose values mean nothing to HTML nor to Markdown.

A piece may be shown by a Markdown component, which reads `**`, `[…](…)` and bare addresses in whatever it is given. So every
value is written by `escape_html`, not by Jinja's own escaping alone, and a template is laid out over many lines but
rendered as one: the blanks between its lines are no part of it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.ext import Extension
from markupsafe import Markup

from ui.html.environment import TEMPLATES, strip_control_characters


def escape_html(text: str) -> str:
    r"""Returns the text with every ASCII sign written as its number, so that it is shown as it is, whatever renders it.

    No tag, no image and no link comes of it, by HTML, by Markdown or from a bare address.

    >>> escape_html("a <b>\n")
    'a &#60;b&#62;<br>'
    >>> escape_html("![x](http://y)")
    '&#33;&#91;x&#93;&#40;http&#58;&#47;&#47;y&#41;'
    """
    return "".join(map(_escaped, text))


def render_fragment(template: str, /, **values: Any) -> str:
    """Renders a template of `ui/html/templates/` as one line of HTML, every value escaped unless it is `Markup`.

    >>> "<b>" in render_fragment("components/hint.html.j2", text="<b>")
    False
    """
    return _environment().get_template(template).render(values)


class _OneLine(Extension):
    """Takes the line breaks of a template and the blanks around them away."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """Returns the source as one line; *name* and *filename* make no difference."""
        return re.sub(r"\s*\n\s*", "", source)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=[_OneLine],
        finalize=_shown,
        auto_reload=False,
    )


def _shown(value: object) -> object:
    return value if isinstance(value, Markup) else Markup(escape_html(str(value)))  # noqa: S704 - just escaped


def _escaped(character: str) -> str:
    if character == "\n":
        return "<br>"
    if character in " \t":
        return " "
    if character.isascii() and character.isprintable() and not character.isalnum():
        return f"&#{ord(character)};"
    return strip_control_characters(character)
