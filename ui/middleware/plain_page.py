"""A page without a script: what the server wrote, in our colours, light and dark."""

from __future__ import annotations

import html
import unicodedata
from functools import lru_cache
from pathlib import Path

STYLE_SHEET = Path(__file__).parents[1] / "web" / "assets" / "plain.css"

_TURNS_TEXT = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # text posing as other text


def escape_text(text: str) -> str:
    r"""The text as HTML that shows it as it is.

    >>> escape_text("a <b>\x07 & more")
    'a &lt;b&gt; &amp; more'
    """
    return html.escape("".join(c for c in text if c in "\n\t" or not _is_odd(c)))


def _is_odd(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs") or character in _TURNS_TEXT


def render_plain_page(title: str, body: str) -> str:
    """A whole page; *body* is HTML, its texts escaped by `text_of`."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape_text(title)} · Nightjar</title><style>{_style()}</style></head>"
        f'<body><nav><a href="/">Nightjar</a> <a href="/api/docs">API</a></nav><main>{body}</main></body></html>'
    )


@lru_cache
def _style() -> str:
    return STYLE_SHEET.read_text("utf-8")
