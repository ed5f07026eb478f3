"""Where golden questions' quotes are in today's passages: exactly, up to white space, or nearly; lost ones are named."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from eval.datasets.golden_questions import Golden
from rag.library.library import Library
from rag.records import Passage
from rag.text.term_coverage import content_words

How = Literal["exact", "white space", "moved", "near", "several places", "lost", "no source", "nothing to find"]

HOLDS = 0.5
"""A passage is right if it holds at least this share of the quote, or at least this share of it is the quote."""

NEAR = 0.8
"""The least share of a changed quote's words in a passage that is taken for it."""

APART = 0.1
"""The margin by which it must be nearer than the next one."""

Stretch = tuple[int, int]


@dataclass(frozen=True, slots=True)
class GoldenLocation:
    """Where the quote of one golden question is today."""

    golden: Golden
    method: How
    passage_ids: tuple[str, ...] = ()
    """The right passages; none if the quote was not found."""
    is_cut: bool = False
    """Whether the quote was found, but no passage holds the whole of it."""

    @property
    def is_found(self) -> bool:
        """Whether retrieval can be measured by it."""
        return bool(self.passage_ids)


@dataclass(frozen=True, slots=True)
class LocatedQuestion:
    """All golden questions with the same words: one question, right if any of their passages is."""

    query_id: str
    places: tuple[GoldenLocation, ...]

    @property
    def golden(self) -> Golden:
        """The first question, which represents all."""
        return self.places[0].golden

    @property
    def right(self) -> frozenset[str]:
        """Ids of the right passages."""
        return frozenset(passage_id for location in self.places for passage_id in location.passage_ids)

    @property
    def is_cut(self) -> bool:
        """Whether no passage holds any of the quotes whole."""
        found = [location for location in self.places if location.is_found]
        return bool(found) and all(location.is_cut for location in found)


def locate_golden(questions: Iterable[Golden], library: Library) -> list[GoldenLocation]:
    """Looks every question's quote up in the library as it is now, in the order given.

    First as it is, then with any white space, in its source; then, if it is in one document alone, in
    another one (a file that was moved or renamed); then the one passage of its source that has nearly all of its words.
    What is in several places of one document is not guessed.
    """
    shelf = _Shelf(library)
    return [_place(question, shelf) for question in questions]


def group_by_wording(places: Iterable[GoldenLocation]) -> list[LocatedQuestion]:
    """Groups the questions with the same words; a group is named by the id of its first question."""
    groups: dict[str, list[GoldenLocation]] = defaultdict(list)
    for location in places:
        groups[" ".join(location.golden.question.casefold().split())].append(location)
    return [LocatedQuestion(locations[0].golden.golden_id, tuple(locations)) for locations in groups.values()]


def golden_qrels(questions: Iterable[LocatedQuestion]) -> dict[str, dict[str, int]]:
    """query_id → right passage → 1, for those whose right passage was found."""
    return {question.query_id: dict.fromkeys(sorted(question.right), 1) for question in questions if question.right}


class _Shelf:
    """The library by source; a document's text is read when it is asked for, and the last one kept."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self.by_source: Mapping[str, list[Passage]] = defaultdict(list)
        for passage in library.iterate_passages():
            self.by_source[passage.source].append(passage)
        self._last: tuple[str, str] = ("", "")

    def text(self, source: str) -> str:
        """The stored text of a source."""
        document_id = self.by_source[source][0].document_id
        if self._last[0] != document_id:
            self._last = (document_id, self._library.document(document_id).text)
        return self._last[1]

    def that_may_hold(self, quote: str) -> Iterator[str]:
        """The sources with the quote's longest word: the others' texts need not be read."""
        longest = max(quote.split(), key=len)
        for source, passages in self.by_source.items():
            if any(longest in passage.text for passage in passages):
                yield source


def _place(one: Golden, shelf: _Shelf) -> GoldenLocation:
    if not one.is_answerable or not one.quote:
        return GoldenLocation(one, "nothing to find")
    if one.source in shelf.by_source and (found := _in_source(one, one.source, shelf)):
        return found
    elsewhere = [
        place
        for source in shelf.that_may_hold(one.quote)
        if source != one.source
        if (place := _in_source(one, source, shelf))
    ]
    if len(elsewhere) == 1:
        return (
            GoldenLocation(one, "moved", elsewhere[0].passage_ids, elsewhere[0].is_cut) if one.source else elsewhere[0]
        )
    if elsewhere:
        return GoldenLocation(one, "several places")
    if one.source not in shelf.by_source:
        return GoldenLocation(one, "no source" if one.source else "lost")
    return _nearest(one, shelf.by_source[one.source])


def _in_source(one: Golden, source: str, shelf: _Shelf) -> GoldenLocation | None:
    """Where the quote is in a source, exactly or up to white space; None if it is not in it."""
    text = shelf.text(source)
    words = r"\s+".join(re.escape(word) for word in one.quote.split())
    for how, stretches in (
        ("exact", _stretches(re.escape(one.quote), text)),
        ("white space", _stretches(words, text)),
    ):
        if stretches:
            return _stands(one, how, stretches, shelf.by_source[source])  # type: ignore[arg-type]  # a literal, lost in the tuple
    return None


def _stretches(pattern: str, text: str) -> list[Stretch]:
    return [match.span() for match in re.finditer(pattern, text)]


def _stands(one: Golden, how: How, stretches: Sequence[Stretch], passages: Sequence[Passage]) -> GoldenLocation | None:
    """The passages at the one position of the quote, or the finding that it has several; None if it is in no passage."""
    right = {tuple(_overlapping(stretch, passages)): stretch for stretch in stretches}
    right.pop((), None)
    if len(right) > 1:
        return GoldenLocation(one, "several places")
    for ids, (start, end) in right.items():
        is_cut = not any(passage.start <= start and end <= passage.end for passage in passages)
        return GoldenLocation(one, how, ids, is_cut)
    return None


def _overlapping(stretch: Stretch, passages: Sequence[Passage]) -> Iterator[str]:
    """The passages that hold half of the stretch, or half of which it is; else the one that shares most with it."""
    start, end = stretch
    shared = {passage.passage_id: min(end, passage.end) - max(start, passage.start) for passage in passages}
    enough = [
        passage.passage_id
        for passage in passages
        if shared[passage.passage_id] >= HOLDS * min(end - start, passage.end - passage.start) > 0
    ]
    most = max(shared, key=lambda passage_id: shared[passage_id], default="")
    yield from enough or ([most] if most and shared[most] > 0 else [])


def _nearest(one: Golden, passages: Sequence[Passage]) -> GoldenLocation:
    """The passage with nearly all of the quote's words, if it is clearly the nearest."""
    wanted = set(content_words(one.quote))
    shares = sorted(((_share(wanted, passage), passage.passage_id) for passage in passages), reverse=True)
    if not shares or shares[0][0] < NEAR:
        return GoldenLocation(one, "lost")
    if len(shares) > 1 and shares[0][0] - shares[1][0] < APART:
        return GoldenLocation(one, "several places")
    return GoldenLocation(one, "near", (shares[0][1],))


def _share(wanted: set[str], passage: Passage) -> float:
    return len(wanted & set(content_words(passage.text))) / len(wanted) if wanted else 0.0
