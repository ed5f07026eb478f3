"""A document → its text as a page shows it, with the places where its passages begin and end. All of it is escaped."""

from __future__ import annotations

from collections.abc import Sequence

from rag.records import Document, Passage
from ui.web import texts
from ui.web import texts_chat as said
from ui.web.render import escaped, marked


def document_shown(document: Document, passages: Sequence[Passage], marked_passage_id: str | None = None) -> str:
    """The stretch of the document that *passages* cover, in reading order, as HTML.

    Each passage stands in a box, below its heading; what stands between two passages belongs to none, and is shown between
    the boxes. One passage may be marked.
    """
    shown: list[str] = []
    done = min((one.start for one in passages), default=0)
    page: int | None = None
    for one in sorted(passages, key=lambda one: (one.start, one.end)):
        between = document.text[done : one.start].strip()
        if between:
            shown.append(f'<div class="nj-between">{marked(between, ())}</div>')
        if one.page is not None and one.page != page:
            shown.append(f'<h3 class="nj-paper">{texts.PAGE.format(page=one.page)}</h3>')
            page = one.page
        shown.append(_passage(document, one, max(one.start, done), is_marked=one.passage_id == marked_passage_id))
        done = max(done, one.end)
    return f'<div class="nj-document">{"".join(shown)}</div>'


def _passage(document: Document, one: Passage, start: int, *, is_marked: bool) -> str:
    """One box; where passages overlap, the text that stands in the box before is not repeated."""
    facts = [escaped(one.heading) if one.heading else "", said.THIS_PASSAGE if is_marked else ""]
    line = " · ".join(fact for fact in facts if fact)
    head = f'<div class="nj-meta">{line}</div>' if line else ""
    text = marked(document.text[start : one.end].strip("\n"), ())
    return f'<div class="nj-passage{" nj-this" if is_marked else ""}">{head}<div class="nj-text">{text}</div></div>'
