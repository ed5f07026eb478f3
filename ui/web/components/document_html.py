"""A document → its text as a page shows it, with the places where its passages begin and end. All of it is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from rag.feedback.passage_tallies import PassageTally
from rag.records import HEADING_SEPARATOR, Document, Passage
from ui.html.fragments import render_fragment
from ui.texts import library as texts
from ui.web.components.escape import highlight

NO_TALLIES: Mapping[str, PassageTally] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentPart:
    """A passage of a document as it is shown, and the text before it that belongs to none."""

    between: Markup
    page: int | None
    """The page, if it begins here."""
    is_marked: bool
    facts: Sequence[str]
    overlaps: bool
    """Whether the passage begins inside the one before; what they share is not repeated."""
    text: Markup


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
    parts: list[DocumentPart] = []
    done = min((passage.start for passage in passages), default=0)
    page: int | None = None
    for passage in sorted(passages, key=lambda passage: (passage.start, passage.end)):
        between = document.text[done : passage.start].strip()
        start = max(passage.start, done)
        is_new_page = passage.page is not None and passage.page != page
        page = passage.page if is_new_page else page
        is_marked = passage.passage_id == marked_passage_id
        tally = format_tally(tallies.get(passage.passage_id, PassageTally()))
        facts = [_heading(passage, between), texts.THIS_PASSAGE if is_marked else "", *tally]
        parts.append(
            DocumentPart(
                between=highlight(between, ()),
                page=page if is_new_page else None,
                is_marked=is_marked,
                facts=[fact for fact in facts if fact],
                overlaps=start > passage.start,
                text=highlight(document.text[start : passage.end].strip("\n"), ()),
            )
        )
        done = max(done, passage.end)
    return render_fragment("components/document.html.j2", parts=parts, texts=texts)


def _heading(passage: Passage, above: str) -> str:
    """Returns the passage's heading, unless the text *above* ends with it: then it is not said twice."""
    return "" if above.endswith(passage.heading.rpartition(HEADING_SEPARATOR)[2]) else passage.heading


def format_tally(tally: PassageTally) -> list[Markup]:
    """What became of passages, in a few words for each count that is not zero.

    >>> [str(count) for count in format_tally(PassageTally(helpful=2, cited=1))]
    ['<span class="nj-said-helpful">2 helpful</span>', '<span class="nj-said-cited">cited once</span>']
    """
    counts = {name: getattr(tally, name) for name in ("helpful", "not_relevant", "outdated", "cited")}
    return [
        Markup(  # noqa: S704 - the template escapes
            render_fragment(
                "components/tally.html.j2",
                name=name,
                text=texts.TALLY_ONE[name] if n == 1 else texts.TALLY[name].format(n=n),
            )
        )
        for name, n in counts.items()
        if n
    ]
