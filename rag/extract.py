"""Question and hits → the best sentences, as quotes, or the reason why nothing answers it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rag.cite import without_marks
from rag.records import Citation, Hit, Passage
from rag.sentences import Sentence, readable, sentences
from rag.words import content_words, coverage, rarity

FloatArray = NDArray[np.float32]

MAX_QUOTES = 4
ENCODED = (
    16  # sentences an answer: on nq-open and newwiki dev the same answers as with all, in half a second on one core
)
CONTEXT = 80  # characters of heading encoded with a sentence; what stands nearest says most

# How often the first / the first four sentences hold the answer, where any does, on nq-open and newwiki dev: by the
# cosine of the bare sentence .47/.72 and .71/.90; with its heading .54/.88 and .72/.89; by this sum .56/.91, .83/.96.
COVERAGE_WEIGHT = 0.3
HIT_WEIGHT = 0.5
MARGIN = 0.2  # a sentence this far below the best one is left out; on average 2.3 remain
SAME = 0.7  # share of the shorter sentence's words from which the other one says it too

# Questions of dev declined, of those that the library is about | of other libraries' questions (refused rightly):
# feedbackqa-uk 1.4 % | covidqa 84 %, newwiki 100 %, nq-open 99 %, stackfaq 100 %; nq-open 1.0 % | 79 % to 100 %;
# newwiki 4.7 % | 87 % to 100 %. nq-open's own unanswerable questions, whose page is there: 16 %.
SUPPORT_COVERAGE = 0.3
LEAST_SUPPORT = 0.57


class PassageEncoder(Protocol):
    """What sentences are compared with a question by."""

    def encode_queries(self, texts: Sequence[str]) -> FloatArray:
        """`(n, dim)` float32, rows of unit length."""

    def encode_passages(self, texts: Sequence[str]) -> FloatArray:
        """`(n, dim)` float32, rows of unit length."""


@dataclass(frozen=True, slots=True)
class Quote:
    """One sentence of the answer: as it reads, with its mark, and where it stands."""

    text: str
    """Begins with the space or line break that parts it from the quote before."""
    citation: Citation


@dataclass(frozen=True, slots=True)
class Extract:
    """What was chosen, in reading order; nothing where nothing supports an answer."""

    quotes: tuple[Quote, ...]
    support: float
    """How well the hits support an answer; below LEAST_SUPPORT they don't. Between -1 and 1.3."""
    declined: str
    """Why nothing was chosen; empty where something was."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    hit: Hit
    sentence: Sentence
    context: str
    words: frozenset[str]


def extract(question: str, hits: Sequence[Hit], encoder: PassageEncoder) -> Extract:
    """Chooses 1 to 4 sentences of *hits* that answer *question* best, or none and the reason."""
    candidates = [candidate for hit in hits for candidate in _candidates(hit)]
    if not candidates:
        return Extract((), 0.0, "the passages that were found hold no sentence to quote")
    wanted = content_words(question)
    weights = rarity(candidate.words for candidate in candidates)
    evidence = np.array([coverage(wanted, one.words, weights) for one in candidates])
    prior = COVERAGE_WEIGHT * evidence + HIT_WEIGHT * np.array([one.hit.score for one in candidates])
    encoded = np.sort(np.argsort(-prior, kind="stable")[:ENCODED])
    candidates = [candidates[row] for row in encoded]
    cosines = _cosines(question, candidates, encoder)
    support = (max(hit.dense for hit in hits) + float(cosines.max())) / 2
    support += SUPPORT_COVERAGE * max(coverage(wanted, _words(hit.passage), weights) for hit in hits)
    if support < LEAST_SUPPORT:
        return Extract((), support, _reason(hits, support))
    chosen = _choose(candidates, cosines + prior[encoded])
    return Extract(_quotes(chosen), support, "")


def _candidates(hit: Hit) -> list[_Candidate]:
    """The sentences of a hit that tell something; a passage of nothing but questions keeps them all."""
    found = sentences(hit.passage.text)
    telling = [one for one in found if not one.is_question] or found
    above = hit.passage.heading.split(" › ")[-1] or hit.passage.title.split(" | ")[-1]
    return [
        _Candidate(hit, one, (one.context or above)[-CONTEXT:], frozenset(content_words(one.text))) for one in telling
    ]


def _cosines(question: str, candidates: Sequence[_Candidate], encoder: PassageEncoder) -> FloatArray:
    """The cosine of the question and each sentence below its heading, `(n,)`."""
    texts = [f"{one.context}\n{one.sentence.text}" if one.context else one.sentence.text for one in candidates]
    return np.asarray(encoder.encode_passages(texts) @ encoder.encode_queries([question])[0], np.float32)


def _choose(candidates: Sequence[_Candidate], scores: NDArray[np.float64]) -> list[_Candidate]:
    """The best ones that say something new, in reading order: the best document first, then as they stand in it."""
    chosen: list[_Candidate] = []
    for row in np.argsort(-scores, kind="stable"):
        if len(chosen) == MAX_QUOTES or scores[row] < scores.max() - MARGIN:
            break
        if not any(_says_the_same(candidates[row], other) for other in chosen):
            chosen.append(candidates[row])
    documents = list(dict.fromkeys(one.hit.passage.document_id for one in chosen))
    return sorted(
        chosen,
        key=lambda one: (
            documents.index(one.hit.passage.document_id),
            one.hit.passage.start + one.sentence.start,
        ),
    )


def _says_the_same(one: _Candidate, other: _Candidate) -> bool:
    """True where the shorter's words are mostly in the other, or they overlap in one document."""
    if one.hit.passage.document_id == other.hit.passage.document_id:
        first, second = sorted([_span(one), _span(other)])
        if second[0] < first[1]:
            return True
    smaller = min(len(one.words), len(other.words))
    return len(one.words & other.words) >= SAME * smaller


def _span(candidate: _Candidate) -> tuple[int, int]:
    """Where it stands in the document's text."""
    start = candidate.hit.passage.start
    return start + candidate.sentence.start, start + candidate.sentence.end


def _quotes(chosen: Sequence[_Candidate]) -> tuple[Quote, ...]:
    quotes: list[Quote] = []
    for one in chosen:
        text = without_marks(readable(one.sentence.text))
        broken = "\n" in text or (quotes and "\n" in quotes[-1].text)
        parting = "" if not quotes else "\n" if broken else " "
        passage, (start, end) = one.hit.passage, _span(one)
        citation = Citation(
            one.hit.rank, passage.passage_id, passage.source, passage.page, start, end, one.sentence.text, support=1.0
        )
        quotes.append(Quote(f"{parting}{text} [{one.hit.rank}]", citation))
    return tuple(quotes)


def _words(passage: Passage) -> set[str]:
    return set(content_words(passage.encoded_text))


def _reason(hits: Sequence[Hit], support: float) -> str:
    nearest = hits[0].passage
    named = nearest.title or nearest.source
    return (f"nothing in the library comes close enough to the question: the nearest passage, from “{named}”, "
            f"supports an answer by {max(support, 0):.2f}, and {LEAST_SUPPORT} is the least")  # fmt: skip
