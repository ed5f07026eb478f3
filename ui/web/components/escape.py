"""What a document, a person or a model wrote → what a page may show: nothing of it is a tag, a link or a command."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

from markupsafe import Markup

from rag.records import Passage
from ui.html.environment import strip_control_characters
from ui.html.fragments import escape_html

Span = tuple[int, int]
MAX_TITLE = 160  # characters
WRAPPED = 55  # a line at least this long that ends in mid-sentence was wrapped by its author's editor

_SOFT_BREAK = re.compile(rf"(?<=[^\n]{{{WRAPPED}}})(?<![.:;!?])\n(?=\S)(?![-*•–\d])")


def chat_message_text(text: str) -> str:
    """The text for a chat message: with `render_markdown=False` Gradio 6.31 still shows what is HTML as HTML.

    >>> chat_message_text('<img src="x"> & more')
    '&lt;img src="x"&gt; &amp; more'
    """
    return html.escape(strip_control_characters(text), quote=False)


def passage_title(passage: Passage) -> str:
    """Title and headings, or the source if there is neither."""
    above = " › ".join(part for part in (passage.title, passage.heading) if part) or passage.source
    return above if len(above) <= MAX_TITLE else above[: MAX_TITLE - 1] + "…"


def highlight(text: str, quoted: Sequence[Span]) -> Markup:
    """The text escaped, with the spans marked; lines that an editor wrapped flow again.

    >>> str(highlight("Ask. You can get it.", [(5, 20)]))
    'Ask&#46; <mark>You can get it&#46;</mark>'
    """
    flowing = _SOFT_BREAK.sub(" ", text)  # as long as before, so the spans stay true
    shown, done = "", 0
    for start, end in sorted(quoted):
        start, end = max(start, done), min(end, len(text))  # noqa: PLW2901 - overlapping spans are cut to what is left
        if start < end:
            shown += f"{escape_html(flowing[done:start])}<mark>{escape_html(flowing[start:end])}</mark>"
            done = end
    return Markup(shown + escape_html(flowing[done:]))  # noqa: S704 - every stretch was escaped
