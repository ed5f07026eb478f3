"""What is around a hit in its document, for a model or a person that reads: passages before and after it, or its section."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sqlalchemy import Engine, func, select

from rag.database.schema import documents, passages, read_connection
from rag.library.library import Library
from rag.records import Hit, Passage

SurroundingScope = Literal["passage", "neighbours", "section"]
"""Nothing, one passage on each side, or as much of the section as SECTION_CHARACTERS hold."""

SECTION_CHARACTERS = 2_000  # beyond the hit's own


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where a passage is in its document."""

    passage_id: str
    heading: str
    page: int | None
    start: int
    end: int


def with_surrounding_text(engine: Engine, hits: Sequence[Hit], around: SurroundingScope, room: int) -> tuple[Hit, ...]:
    """The hits, each with the text around it too: exactly `document.text[start:end]`, like the passage that it stands for.

    What is added is below the same heading and on the same page, so that title and page stay true, and belongs to no
    other hit. The best hit is widened first, until all texts together fill *room* characters.
    """
    room -= sum(len(hit.passage.text) for hit in hits)
    places = _places(engine, {hit.passage.document_id for hit in hits}) if around != "passage" and room > 0 else {}
    taken = {hit.passage.passage_id for hit in hits}
    wide: list[Hit] = []
    for hit in hits:
        start, end = _span(hit, places.get(hit.passage.document_id, ()), taken, around, room)
        room -= end - start - len(hit.passage.text)
        wide.append(_with_text(engine, hit, start, end))
    return tuple(wide)


def neighbouring_passages(library: Library, passage: Passage, n_before: int, n_after: int) -> list[Passage]:
    """A passage with those before and after it in its document, as they are there."""
    order = [
        position.passage_id for position in _places(library.engine, {passage.document_id}).get(passage.document_id, ())
    ]
    at = order.index(passage.passage_id) if passage.passage_id in order else 0
    wanted = order[max(0, at - n_before) : at + n_after + 1]
    found = library.get(wanted)
    return [found[position] for position in wanted if position in found]


def _places(engine: Engine, document_ids: Collection[str]) -> Mapping[str, Sequence[_Place]]:
    """The passages of some documents, each document's as they are in it."""
    columns = (passages.c.passage_id, passages.c.heading, passages.c.page, passages.c.start, passages.c.end)
    query = select(passages.c.document_id, *columns).where(passages.c.document_id.in_(document_ids))
    found: dict[str, list[_Place]] = {}
    with read_connection(engine) as connection:
        for document_id, *position in connection.execute(query.order_by(passages.c.start, passages.c.end)):
            passage_id, heading, page, start, end = position
            place = _Place(passage_id=passage_id, heading=heading, page=page, start=start, end=end)
            found.setdefault(document_id, []).append(place)
    return found


def _span(
    hit: Hit, places: Sequence[_Place], taken: Collection[str], around: SurroundingScope, room: int
) -> tuple[int, int]:
    """Where the widened text begins and ends."""
    own = next((row for row, position in enumerate(places) if position.passage_id == hit.passage.passage_id), None)
    if own is None:  # it was removed a moment ago
        return hit.passage.start, hit.passage.end
    most = min(room, SECTION_CHARACTERS)
    reach = 1 if around == "neighbours" else len(places)
    first, last = own, own

    def fits(row: int) -> bool:
        if not 0 <= row < len(places) or abs(row - own) > reach or places[row].passage_id in taken:
            return False
        start, end = places[min(first, row)].start, places[max(last, row)].end
        same = (places[row].heading, places[row].page) == (places[own].heading, places[own].page)
        return same and end - start - len(hit.passage.text) <= most

    while fits(last + 1) or fits(first - 1):  # what follows comes first, then both take turns
        last += fits(last + 1)
        first -= fits(first - 1)
    return places[first].start, places[last].end


def _with_text(engine: Engine, hit: Hit, start: int, end: int) -> Hit:
    if (start, end) == (hit.passage.start, hit.passage.end):
        return hit
    text = select(func.substr(documents.c.text, start + 1, end - start))
    with read_connection(engine) as connection:
        found = connection.scalar(text.where(documents.c.document_id == hit.passage.document_id))
    own = hit.passage
    if found is None or found[own.start - start : own.end - start] != own.text:  # the document changed a moment ago
        return hit
    return replace(hit, passage=replace(own, text=found, start=start, end=end))
