"""A document → its text as a page shows it, with the places where its passages begin and end. All of it is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rag.feedback.passage_tallies import PassageTally
from rag.records import HEADING_SEPARATOR, Document, Passage
from ui.texts import library as texts
from ui.web.components.escape import escape_html, highlight

NO_TALLIES: Mapping[str, PassageTally] = {}


def render_document(
    document: Document,
    passages: Sequence[Passage],
    marked_passage_id: str | None = None,
    tallies: Mapping[str, PassageTally] = NO_TALLIES,
) -> str:
    """The stretch of the document that *passages* cover, in reading order, as HTML.

    Each passage is in a box below a line that says its page, its heading and, by *tallies*, what became of it. What
    is between two passages belongs to none, and is shown between the boxes. One passage may be marked.
    """
    shown: list[str] = []
    done = min((passage.start for passage in passages), default=0)
    page: int | None = None
    for passage in sorted(passages, key=lambda one: (one.start, one.end)):
        between = document.text[done : passage.start].strip()
        if between:
            shown.append(f'<div class="nj-between">{highlight(between, ())}</div>')
        if passage.page is not None and passage.page != page:
            shown.append(f'<h3 class="nj-paper">{texts.PAGE.format(page=passage.page)}</h3>')
            page = passage.page
        is_marked = passage.passage_id == marked_passage_id
        shown.append(
            _passage(
                document, passage, start=max(passage.start, done), above=between, is_marked=is_marked, tallies=tallies
            )
        )
        done = max(done, passage.end)
    return f'<div class="nj-document">{"".join(shown)}</div>'


def _passage(
    document: Document, one: Passage, start: int, above: str, is_marked: bool, tallies: Mapping[str, PassageTally]
) -> str:
    """One box; if passages overlap, the text that is in the box before is not repeated."""
    text = highlight(document.text[start : one.end].strip("\n"), ())
    is_above = above.endswith(one.heading.rpartition(HEADING_SEPARATOR)[2])  # as the text has it: not said twice
    heading = escape_html(one.heading) if one.heading and not is_above else ""
    tally = format_tally(tallies.get(one.passage_id, PassageTally()))
    facts = [heading, texts.THIS_PASSAGE if is_marked else "", *tally]
    line = " · ".join(fact for fact in facts if fact)
    head = f'<div class="nj-meta">{line}</div>' if line else ""
    overlap = f'<div class="nj-meta">{texts.OVERLAPS}</div>' if start > one.start else ""
    return (
        f'<div class="nj-passage{" nj-this" if is_marked else ""}">{head}{overlap}'
        f'<div class="nj-text">{text}</div></div>'
    )


def format_tally(tally: PassageTally) -> list[str]:
    """What became of passages, in a few words for each count that is not zero.

    >>> format_tally(PassageTally(helpful=2, cited=1))
    ['<span class="nj-said-helpful">2 helpful</span>', '<span class="nj-said-cited">cited once</span>']
    """
    counts = {name: getattr(tally, name) for name in ("helpful", "not_relevant", "outdated", "cited")}
    return [
        f'<span class="nj-said-{name}">{texts.TALLY_ONE[name] if n == 1 else texts.TALLY[name].format(n=n)}</span>'
        for name, n in counts.items()
        if n
    ]
