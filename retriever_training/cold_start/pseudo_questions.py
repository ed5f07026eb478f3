"""Pseudo-questions for a library that nobody has voted on: its own headings, first sentences and summaries."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rag.records import HEADING_SEPARATOR, Passage
from rag.splitting.token_offsets import n_words
from rag.text.sentences import format_quote, split_sentences

PassageParts = tuple[str, str, str]  # title, heading and text of a passage

PSEUDO_QUESTION_SOURCES = ("heading", "first sentence", "summary")
LLM_SOURCE = "language model"
TITLE_MARK = " | "  # separates page and section in the titles of web pages and of several BEIR corpora

MIN_WORDS, MAX_WORDS = 2, 40  # of a question, as `rag.splitting.token_offsets.n_words` counts them
MIN_REMAINDER_WORDS = 10  # of a passage without its first sentence; fewer leave nothing to find it by
MAX_PASSAGES_PER_QUESTION = 10  # that one question may stand for; a heading above more of them is that of a chapter
MAX_DOCUMENTS_PER_HEADING = 3  # that share a heading; "Introduction" and "See also" say nothing about what is below
MAX_PSEUDO_QUESTIONS = 3_000  # drawn from a larger library, because each costs the encoding of two texts

_NUMBER = re.compile(r"^(?:[A-Z]\.)?[\d.]*\d[.)]?\s+|^[A-Za-z][.)]\s+")
_SUMMARY = re.compile(
    r"(?:executive )?(?:abstract|summary|tl;?dr|key points|in brief|at a glance)\b[\s:.—–-]*", re.IGNORECASE
)
_LABEL = re.compile(r"^(?:[A-Z]{4,}(?: AND [A-Z]+)?|Background|Objectives?|Methods?|Results?|Conclusions?)\s*:\s*")


@dataclass(frozen=True, slots=True)
class PseudoQuestion:
    """A question that nobody asked, and the passages that it was made from."""

    question: str
    source: str
    """One of `PSEUDO_QUESTION_SOURCES`, or `LLM_SOURCE`."""
    left: Mapping[int, PassageParts]
    """Row of each passage that may be right → what is left of it without the question's own words."""
    verbatim_row: int | None = None
    """The row of another passage that contains the question word for word: neither right nor wrong."""


@dataclass(frozen=True, slots=True)
class PseudoQuestionDraw:
    """Pseudo-questions before anything was searched, and what was left out."""

    questions: tuple[PseudoQuestion, ...]
    texts: tuple[str, ...]
    """What encoders read of every passage of the library, without the words of all questions made from it."""
    dropped: Mapping[str, int]
    """How many questions were left out, by "source: reason"."""


def draw_pseudo_questions(
    passages: Sequence[Passage],
    seed: int,
    llm_questions: Iterable[tuple[int, str]] = (),
    sources: Sequence[str] = PSEUDO_QUESTION_SOURCES,
    n: int = MAX_PSEUDO_QUESTIONS,
) -> PseudoQuestionDraw:
    """Draws up to *n* of the questions that the passages themselves give, by *seed*.

    *llm_questions* are (row, question) pairs of a language model. Equal words of several passages make one question.
    """
    dropped: Counter[str] = Counter()
    by_words: dict[str, list[PseudoQuestion]] = defaultdict(list)
    for pseudo_question in _candidates(passages, llm_questions, sources, dropped):
        by_words[pseudo_question.question.casefold()].append(pseudo_question)
    usable = []
    for same in by_words.values():
        one, reason = _merged(same), _objection(same)
        if reason:
            dropped[f"{one.source}: {reason}"] += len(same)
        else:
            usable.append(one)
    chosen = np.sort(np.random.default_rng(seed).permutation(len(usable))[:n])
    dropped["over the number that is trained on"] += len(usable) - len(chosen)
    questions = tuple(usable[index] for index in chosen)
    return PseudoQuestionDraw(
        questions, tuple(_left(passages, questions)), {reason: k for reason, k in dropped.items() if k}
    )


def _candidates(
    passages: Sequence[Passage],
    written: Iterable[tuple[int, str]],
    sources: Sequence[str],
    dropped: Counter[str],
) -> Iterator[PseudoQuestion]:
    if "heading" in sources:
        yield from from_headings(passages, dropped)
    if "first sentence" in sources:
        yield from from_first_sentences(passages, dropped)
    if "summary" in sources:
        yield from from_summaries(passages)
    for row, question in written:
        yield PseudoQuestion(question, LLM_SOURCE, {row: _parts(passages[row])})


def _merged(same: Sequence[PseudoQuestion]) -> PseudoQuestion:
    """Merges questions with the same words into one for all their passages."""
    first = same[0]
    if len(same) == 1:
        return first
    left = dict(first.left)
    for duplicate in same[1:]:
        for row, parts in duplicate.left.items():
            left[row] = _shortest(left.get(row, parts), parts)
    return PseudoQuestion(first.question, first.source, left, first.verbatim_row)


def _objection(same: Sequence[PseudoQuestion]) -> str:
    length = n_words(same[0].question)
    if length < MIN_WORDS:
        return "too short"
    if length > MAX_WORDS:
        return "too long"
    is_summary = same[0].source == "summary"  # one passage of the document will be chosen
    return "stands for many passages" if not is_summary and len(_merged(same).left) > MAX_PASSAGES_PER_QUESTION else ""


def _left(passages: Sequence[Passage], questions: Sequence[PseudoQuestion]) -> Iterator[str]:
    left = [_parts(passage) for passage in passages]
    for pseudo_question in questions:
        for row, parts in pseudo_question.left.items():
            left[row] = _shortest(left[row], parts)
    for parts in left:
        yield "\n".join(part for part in parts if part)


def _parts(passage: Passage) -> PassageParts:
    return passage.title, passage.heading, passage.text


def _shortest(one: PassageParts, other: PassageParts) -> PassageParts:
    """Returns the parts without what either of two questions took out: questions only ever shorten them."""
    title, heading, text = (min(pair, key=len) for pair in zip(one, other, strict=True))
    return title, heading, text


# ---- headings


def heading_path(passage: Passage) -> tuple[str, ...]:
    """Returns the title and headings above a passage, outermost first, without their numbers.

    >>> heading_path(Passage(
    ...     passage_id="p", document_id="d", source="a.md", title="Manual",
    ...     heading="1. Start › 1.2 First use", text="Text.", start=0, end=5,
    ... ))
    ('Manual', 'Start', 'First use')
    >>> heading_path(Passage(
    ...     passage_id="p", document_id="d", source="uk/7", title="Offices | 3. Cleaning",
    ...     heading="", text="Text.", start=0, end=5,
    ... ))
    ('Offices', 'Cleaning')
    """
    title = [passage.title] if passage.heading else passage.title.split(TITLE_MARK)
    parts = (_NUMBER.sub("", part.strip()) for part in [*title, *passage.heading.split(HEADING_SEPARATOR)])
    return tuple(part for part in parts if part)


def from_headings(passages: Sequence[Passage], dropped: Counter[str]) -> Iterator[PseudoQuestion]:
    """Yields the last heading above each section, after the title if several sections have that heading.

    All passages of the section are right; they lose the heading, and the title too if it is part of the question.
    """
    sections: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for row, passage in enumerate(passages):
        if path := heading_path(passage):
            sections[path].append(row)
    used_in: dict[str, set[str]] = defaultdict(set)
    for path in sections:
        used_in[path[-1].casefold()].add(path[0])
    called = Counter(path[-1].casefold() for path in sections)
    for path, rows in sections.items():
        name = path[-1].casefold()
        if len(used_in[name]) > MAX_DOCUMENTS_PER_HEADING:
            dropped["heading: in many documents"] += 1
            continue
        is_clear = called[name] == 1 or len(path) == 1
        question = path[-1] if is_clear else f"{path[0]}: {path[-1]}"
        left = {row: _below(passages[row], keeps_title=is_clear) for row in rows}
        yield PseudoQuestion(question, "heading", left)


def _below(passage: Passage, *, keeps_title: bool) -> PassageParts:
    """Returns the passage without its last heading, and without its title if that is part of the question."""
    if passage.heading:
        above = HEADING_SEPARATOR.join(passage.heading.split(HEADING_SEPARATOR)[:-1])
        return passage.title if keeps_title else "", above, passage.text
    title = passage.title.split(TITLE_MARK)[0 if keeps_title else 1 : -1]
    return TITLE_MARK.join(title), "", passage.text


# ---- sentences


def from_first_sentences(passages: Sequence[Passage], dropped: Counter[str]) -> Iterator[PseudoQuestion]:
    """Yields the first sentence of each passage, taken out of it.

    This is the inverse cloze task of Lee, Chang and Toutanova (ORQA, ACL 2019), who draw any sentence and leave it in
    its passage one time in ten.
    """
    for row, passage in enumerate(passages):
        first = next(iter(split_sentences(passage.text)), None)
        if first is None:
            dropped["first sentence: none"] += 1
            continue
        left = " ".join((passage.text[: first.start] + passage.text[first.end :]).split())
        if n_words(left) < MIN_REMAINDER_WORDS:
            dropped["first sentence: nothing left of the passage"] += 1
        else:
            yield PseudoQuestion(
                format_quote(first.text), "first sentence", {row: (passage.title, passage.heading, left)}
            )


def from_summaries(passages: Sequence[Passage]) -> Iterator[PseudoQuestion]:
    """Yields the sentences of a document's summary, each as a question for the document's other passages."""
    by_document: dict[str, list[int]] = defaultdict(list)
    for row, passage in enumerate(passages):
        by_document[_document(passage)].append(row)
    for row, passage in enumerate(passages):
        start = _summary_start(passage)
        left = {sibling: _parts(passages[sibling]) for sibling in by_document[_document(passage)] if sibling != row}
        if start is not None and left:
            for sentence in split_sentences(passage.text[start:]):
                yield PseudoQuestion(_LABEL.sub("", format_quote(sentence.text)), "summary", left, verbatim_row=row)


def _document(passage: Passage) -> str:
    """Returns the key of passages that belong together: those of a file, or lines of a BEIR corpus with one title."""
    return passage.title if passage.external_id and passage.title else passage.document_id


def _summary_start(passage: Passage) -> int | None:
    """Returns where the summary begins in the passage's text; None if the passage is not a summary.

    >>> _summary_start(Passage(
    ...     passage_id="p", document_id="d", source="a.md", title="",
    ...     heading="", text="Abstract: We grew oats.", start=0, end=23,
    ... ))
    10
    """
    if at_start := _SUMMARY.match(passage.text):
        return at_start.end()
    name = heading_path(passage)[-1:]
    return 0 if name and _SUMMARY.fullmatch(name[0]) else None
