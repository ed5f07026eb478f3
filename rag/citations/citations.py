"""Which stretch of which passage supports each sentence of an answer, and which sentences nothing supports.

The same rules hold for quoted and written answers: a mark [n] names the n-th hit; a mark that names no hit is removed;
each sentence is looked up in the passages that it names, and gets the best stretch with a support of 0 to 1.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from rag.records import CheckedSentence, Citation, Hit, Passage
from rag.text.fact_values import unsupported_values
from rag.text.sentence_features import passage_sentences, sentence_features
from rag.text.sentences import Sentence, split_sentences
from rag.text.term_coverage import coverage, idf_weights

MAX_SUPPORT_WITHOUT_NUMBER = (
    0.2  # the most support of a claim if the stretch lacks one of its numbers or dates: "not found"
)
MAX_SUPPORT_WITHOUT_NAME = (
    0.45  # the most support if the passage, its title and its headings lack one of its names: "partly"
)

_MARKS = re.compile(r"[ \t]*\[(\d{1,3}(?:\s*[,;]\s*\d{1,3})*)\]")
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class CitedSentence:
    """One sentence of an answer and the hits that it names."""

    text: str
    """Without its marks."""
    numbers: tuple[int, ...]
    """As written, 1-based; they may name no hit."""


@dataclass(frozen=True, slots=True)
class CheckedAnswer:
    """An answer after its citations were checked."""

    text: str
    """The answer without the marks that name no hit."""
    citations: tuple[Citation, ...]
    """One for each sentence and hit that it names, in reading order."""
    sentences: tuple[CheckedSentence, ...] = ()
    """Every sentence, with the support of the stretch that supports it best."""

    @property
    def unsupported(self) -> tuple[str, ...]:
        """Sentences that no stretch of a hit they name supports."""
        return tuple(sentence.text for sentence in self.sentences if sentence.found != "supported")


@dataclass(frozen=True, slots=True)
class SupportSpan:
    """A stretch of a text and how well it supports a claim."""

    start: int
    end: int
    support: float


def check_citations(answer: str, hits: Sequence[Hit]) -> CheckedAnswer:
    """Checks the marks of *answer* against *hits*, and finds the stretch that supports each sentence.

    Every citation's quote is, byte for byte, `document.text[start:end]`.
    """
    passages = {hit.rank: hit.passage for hit in hits}
    split = {rank: passage_sentences(passage.text) for rank, passage in passages.items()}
    weights = idf_weights(sentence_features(sentence.text).stems for parts in split.values() for sentence in parts)
    citations: list[Citation] = []
    checked: list[CheckedSentence] = []
    for claim in split_claims(answer):
        named = [rank for rank in dict.fromkeys(claim.numbers) if rank in passages]
        spans = [(rank, _supporting(claim.text, passages[rank], split[rank], weights)) for rank in named]
        citations.extend(_citation(rank, passages[rank], span) for rank, span in spans)
        checked.append(CheckedSentence(claim.text, round(max((span.support for _, span in spans), default=0.0), 4)))
    return CheckedAnswer(strip_unknown_citations(answer, set(passages)), tuple(citations), tuple(checked))


def drop_unsupported_sentences(answer: str, hits: Sequence[Hit]) -> str:
    """Returns the answer without the sentences that are not supported, and without their marks.

    >>> drop_unsupported_sentences("Nobody knows. Perhaps [7].", [])
    ''
    """
    bare, _ = _take_marks_out(answer)
    starts = [_with_marks(answer, sentence.start) for sentence in split_sentences(bare)]
    stretches = pairwise([0, *starts[1:], len(answer)]) if starts else ()
    checked = check_citations(answer, hits).sentences
    kept = [
        answer[start:end] for (start, end), check in zip(stretches, checked, strict=True) if check.found == "supported"
    ]
    return "".join(kept).strip()


def split_claims(answer: str) -> Iterator[CitedSentence]:
    """Yields the sentences of an answer, each with the marks inside it or right after it.

    >>> [(c.text, c.numbers) for c in split_claims("It is open. [1] Bring a mask [2][3]. Go!")]
    [('It is open.', (1,)), ('Bring a mask.', (2, 3)), ('Go!', ())]
    """
    bare, marks = _take_marks_out(answer)
    spans = [(sentence.start, sentence.end) for sentence in split_sentences(bare)]
    named: list[list[int]] = [[] for _ in spans]
    starts = [start for start, _ in spans]
    for position, numbers in marks if spans else ():
        named[max(0, bisect_left(starts, position) - 1)].extend(numbers)
    for (start, end), numbers in zip(spans, named, strict=True):
        yield CitedSentence(bare[start:end], tuple(numbers))


def strip_unknown_citations(answer: str, valid: set[int]) -> str:
    """Returns the answer without the marks that name no hit.

    >>> strip_unknown_citations("So it is [1, 9]. True [7].", {1})
    'So it is [1]. True.'
    """

    def keep(mark: re.Match[str]) -> str:
        kept = [number for number in _numbers(mark) if number in valid]
        space = mark.group()[: mark.group().index("[")]
        return f"{space}[{', '.join(map(str, kept))}]" if kept else ""

    return _MARKS.sub(keep, answer)


def neutralise_marks(text: str) -> str:
    """Replaces square brackets around numbers by round ones, so that a document's own references can't pass for citations.

    >>> neutralise_marks("as was shown [116, 117]")
    'as was shown (116, 117)'
    """
    return _MARKS.sub(lambda mark: mark.group().replace("[", "(").replace("]", ")"), text)


def find_support(claim: str, passage: str, split: Sequence[Sentence], weights: dict[str, float]) -> SupportSpan:
    """Returns the stretch of *passage* that supports *claim* best.

    Support is 1 if the passage has the claim word for word; else the share of the claim's meaning that one
    sentence, or two in a row, covers, below 1, and at most `MAX_SUPPORT_WITHOUT_NUMBER` if it lacks one of the claim's numbers.

    *split* is the passage's sentences; *weights* says how rare each word is.
    """
    verbatim = find_verbatim(claim, passage)
    if verbatim is not None:
        return SupportSpan(*verbatim, 1.0)
    best = SupportSpan(0, len(passage), 0.0)
    wanted = sentence_features(claim).stems
    for start, end in [(sentence.start, sentence.end) for sentence in split] + [
        (a.start, b.end) for a, b in pairwise(split)
    ]:
        share = min(0.99, coverage(wanted, sentence_features(passage[start:end]).stems, weights))
        share = min(share, MAX_SUPPORT_WITHOUT_NUMBER) if unsupported_values(claim, passage[start:end]) else share
        if share > best.support:  # the first and shortest of equals
            best = SupportSpan(start, end, share)
    return best


def _supporting(claim: str, passage: Passage, split: Sequence[Sentence], weights: dict[str, float]) -> SupportSpan:
    """Returns the stretch that supports the claim best; "partly" at most if the passage lacks a name of the claim."""
    span = find_support(claim, passage.text, split, weights)
    known = passage.encoded_text.casefold()
    if all(name in known for name in sentence_features(claim).names):
        return span
    return replace(span, support=min(span.support, MAX_SUPPORT_WITHOUT_NAME))


def find_verbatim(claim: str, passage: str) -> tuple[int, int] | None:
    """Where the words of *claim* are in *passage* in the same order with nothing between them; None if nowhere.

    White space, punctuation and case may differ; punctuation that touches the first or last word is included.

    >>> find_verbatim("bring: A mask", 'So: "bring\\na mask!" he said')
    (4, 19)
    >>> find_verbatim("bring masks", "bring a mask") is None
    True
    """
    wanted = [word.casefold() for word in _WORD.findall(claim)]
    found = list(_WORD.finditer(passage))
    words = [word.group().casefold() for word in found]
    for first in range(len(words) - len(wanted) + 1):
        if wanted and words[first] == wanted[0] and words[first : first + len(wanted)] == wanted:
            return _with_punctuation(passage, found[first].start(), found[first + len(wanted) - 1].end())
    return None


def _with_punctuation(text: str, start: int, end: int) -> tuple[int, int]:
    while start > 0 and not (text[start - 1].isspace() or text[start - 1].isalnum()):
        start -= 1
    while end < len(text) and not (text[end].isspace() or text[end].isalnum()):
        end += 1
    return start, end


def _numbers(mark: re.Match[str]) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", mark.group(1))]


def _take_marks_out(answer: str) -> tuple[str, list[tuple[int, list[int]]]]:
    """Returns the answer without marks, and for each mark its position in that text and its numbers."""
    pieces: list[str] = []
    marks: list[tuple[int, list[int]]] = []
    position = length = 0
    for mark in _MARKS.finditer(answer):
        pieces.append(answer[position : mark.start()])
        length += len(pieces[-1])
        marks.append((length, _numbers(mark)))
        position = mark.end()
    return "".join([*pieces, answer[position:]]), marks


def _with_marks(answer: str, position: int) -> int:
    """Translates a position in the answer without marks into one in the answer."""
    for mark in _MARKS.finditer(answer):
        if mark.start() > position:
            break
        position += len(mark.group())
    return position


def _citation(n: int, passage: Passage, span: SupportSpan) -> Citation:
    return Citation(
        n=n,
        passage_id=passage.passage_id,
        source=passage.source,
        page=passage.page,
        start=passage.start + span.start,
        end=passage.start + span.end,
        quote=passage.text[span.start : span.end],
        support=round(span.support, 4),
    )
