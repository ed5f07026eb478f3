"""Two passages that say the same with another number or date: shown side by side, because one of them is out of date.

Precision first: a product of another name, another year's figure or another office's hours are no
contradiction, so both sentences must have the same words, names and titles, and differ in one number or date alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rag.records import Passage
from rag.text.sentence_features import sentence_features

MIN_SHARED_WORDS = 3  # content words that both sentences have; fewer don't say what the number measures
MIN_SHARED_SHARE = 0.8  # of the content words of the longer one

_WHOLE = re.compile(r"[.!?。][\"'”’»)]*$")


def find_contradiction(
    chosen: Sequence[tuple[Passage, str]], others: Sequence[tuple[Passage, str]]
) -> tuple[int, int] | None:
    """Returns the positions of the first chosen sentence that another one contradicts, and of that other one.

    Both are sentences with their passages; None if no passage on the same subject contradicts a chosen sentence.
    """
    for row, (passage, sentence) in enumerate(chosen):
        for column, (other_passage, other_sentence) in enumerate(others):
            if have_same_subject(passage, other_passage) and contradict(sentence, other_sentence):
                return row, column
    return None


def contradict(one: str, other: str) -> bool:
    """True if two sentences say the same, but for one number or date.

    >>> contradict("The grant is paid within 6 weeks.", "The grant is paid within 8 weeks.")
    True
    >>> contradict("The X200 pump weighs 12 kg.", "The X300 pump weighs 15 kg.")
    False
    >>> contradict("In 2019 the pump plant made 12 units.", "In 2020 the pump plant made 15 units.")
    False
    """
    if not (_WHOLE.search(one) and _WHOLE.search(other)):  # headings and rows of tables are numbered
        return False
    ours, theirs = sentence_features(one), sentence_features(other)
    first, second = ours.values, theirs.values
    if len(first - second) != 1 or len(second - first) != 1 or not _comparable(*(first - second), *(second - first)):
        return False
    if ours.codes != theirs.codes:
        return False
    words, others = ours.plain_stems, theirs.plain_stems
    return len(words & others) >= max(MIN_SHARED_WORDS, MIN_SHARED_SHARE * max(len(words), len(others)))


def have_same_subject(one: Passage, other: Passage) -> bool:
    """True if titles and headings name the same, or one names more than the other; years and numbers aside.

    >>> guide = Passage(
    ...     passage_id="p", document_id="d", source="a.md", title="Grant guide 2023",
    ...     heading="", text="", start=0, end=0,
    ... )
    >>> have_same_subject(guide, Passage(
    ...     passage_id="q", document_id="e", source="b.md", title="Grant guide 2024",
    ...     heading="", text="", start=0, end=0,
    ... ))
    True
    >>> have_same_subject(guide, Passage(
    ...     passage_id="q", document_id="e", source="b.md", title="Travel guide",
    ...     heading="", text="", start=0, end=0,
    ... ))
    False
    """
    if one.passage_id == other.passage_id:
        return False
    named, others = (sentence_features(f"{passage.title} {passage.heading}").plain_stems for passage in (one, other))
    return named <= others or others <= named


def _comparable(fact: str, other: str) -> bool:
    """True if both have the same unit, or both are dates given equally far."""
    if "-" in fact or "-" in other:
        return fact.count("-") == other.count("-") and len(fact) == len(other)
    return fact.partition(" ")[2] == other.partition(" ")[2]
