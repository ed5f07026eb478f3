"""Question and hits → the best sentences, as quotes, or the reason why nothing answers it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rag.arrays import FloatArray
from rag.citations.citations import neutralise_marks
from rag.citations.contradictions import find_contradiction
from rag.embedding.protocols import TextEncoder
from rag.generation.abstention import (
    NO_EVIDENCE,
    SHIPPED_THRESHOLD,
    AbstentionThreshold,
    AnswerabilityFeatures,
    shares_words,
)
from rag.records import Citation, Hit, Passage
from rag.text.answer_types import find_single_short_answer, which_hold_an_answer
from rag.text.quantities import requested_measure
from rag.text.sentence_features import passage_sentences, sentence_features
from rag.text.sentences import Sentence, format_quote
from rag.text.term_coverage import correct_misspellings, coverage, coverages, idf_weights, stem
from rag.text.tokenize import tokenize

CONTRADICTION_INTRO = "Your documents disagree:"

MAX_QUOTES = 4
MAX_ENCODED_SENTENCES = (
    16  # sentences an answer: on nq-open and newwiki dev the same answers as with all, in half a second on one core
)
MAX_CONTEXT_CHARACTERS = 80  # characters of heading encoded with a sentence; what is nearest says most

# How often the first / the first four sentences hold the answer, if any does, on nq-open and newwiki dev: by the
# cosine of the bare sentence .47/.72 and .71/.90; with its heading .54/.88 and .72/.89; by this sum .56/.91, .83/.96.
COVERAGE_WEIGHT = 0.3
HIT_WEIGHT = 0.5
PASSAGE_WEIGHT = 0.2
MAX_SCORE_GAP = 0.2  # a sentence this far below the best one is left out; on average 2.3 remain
MIN_SHARED_WORD_SHARE = 0.7  # share of the shorter sentence's words from which the other one says it too

# What a question wants by its form ("when": a date) lifts a sentence that holds one.
ANSWER_TYPE_WEIGHT = 0.1

MIN_LEAD_COVERAGE = (
    0.5  # of the question's words in the sentence and its heading, for a short answer to be put in front
)

SUPPORT_COVERAGE_WEIGHT = 0.3  # by which the sentence is chosen whose signs decide whether anything answers
SUPPORT_PASSAGE_WEIGHT = 0.3
NO_SENTENCE_REASON = "the passages that were found hold no sentence to quote"


@dataclass(frozen=True, slots=True)
class QuotedSentence:
    """One sentence of the answer: as it reads, with its mark, and where it is."""

    text: str
    """Begins with the space or line break that parts it from the quote before."""
    citation: Citation


@dataclass(frozen=True, slots=True)
class ExtractiveAnswer:
    """The chosen sentences in reading order; none if nothing supports an answer."""

    quotes: tuple[QuotedSentence, ...]
    support: float
    """The probability that the hits answer the question, 0 to 1; below the bar's least they don't."""
    declined: str
    """Why nothing was chosen; empty if something was."""
    short_answer: str = ""
    """The short answer that the first quote puts in front; empty if it is not plain which one it is."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    hit: Hit
    sentence: Sentence
    context: str
    stems: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Weighed:
    """The sentences that were worth encoding, and what speaks for each, every array `(n,)`."""

    everything: list[_Candidate]
    """Also those that were not worth it."""
    candidates: list[_Candidate]
    cosines: FloatArray
    covered: NDArray[np.float64]
    """Share of the question's words in the sentence, the rare ones counting more."""
    by_passage: NDArray[np.float64]
    """The same of its passage."""
    scores: NDArray[np.float64]
    wanted: list[str]
    rarity: dict[str, float]
    said: set[str]
    """The question's words for what it measures, which "12 kg" says."""
    is_unmeasured: bool
    """Whether it measures something, and no sentence holds a number with such a unit."""
    written: set[str]
    """Every word of the hits."""

    def signs(self, question: str, hits: Sequence[Hit]) -> AnswerabilityFeatures:
        """Returns the features of the sentence that answers best, by meaning and by words."""
        best = int(
            (self.cosines + SUPPORT_COVERAGE_WEIGHT * self.covered + SUPPORT_PASSAGE_WEIGHT * self.by_passage).argmax()
        )
        passage = self.candidates[best].hit.passage
        scores = [hit.score for hit in hits]
        return AnswerabilityFeatures(
            meaning=float(self.cosines[best]),
            words=float(self.covered[best]),
            passage=float(self.by_passage[best]),
            gap=max(scores) - float(np.median(scores)),
            crowd=float(np.mean([hit.lexical for hit in hits])),
            is_strange=self.is_unmeasured
            or bool(set(correct_misspellings(sorted(named_terms(question)), self.written)) - self.written),
            has_words=bool(self.by_passage[best]) or shares_words(question, passage.encoded_text),
        )


def extract_answer(
    question: str, hits: Sequence[Hit], encoder: TextEncoder, threshold: AbstentionThreshold = SHIPPED_THRESHOLD
) -> ExtractiveAnswer:
    """Chooses 1 to 4 sentences of *hits* that answer *question* best, or none and the reason."""
    weighed = _weigh(question, hits, encoder)
    if weighed is None:
        return ExtractiveAnswer((), 0.0, NO_SENTENCE_REASON)
    sureness = threshold.sureness(weighed.signs(question, hits))
    if sureness < threshold.least:
        return ExtractiveAnswer((), sureness, _reason(hits, sureness, threshold.least))
    chosen = _choose(weighed.candidates, weighed.scores)
    named = sentence_features(f"{chosen[0].context} {chosen[0].sentence.text}").stems | weighed.said
    against = _against(chosen, weighed.everything)
    is_plain = not against and coverage(weighed.wanted, named, weighed.rarity) >= MIN_LEAD_COVERAGE
    lead = _lead(question, chosen[0]) if is_plain else ()
    quotes = _quotes(_in_reading_order(chosen))
    return ExtractiveAnswer((*lead, *quotes, *against), sureness, "", lead[0].citation.quote if lead else "")


def answerability_features(question: str, hits: Sequence[Hit], encoder: TextEncoder) -> AnswerabilityFeatures:
    """What speaks for an answer to *question* among *hits*; all 0 if they hold no sentence."""
    weighed = _weigh(question, hits, encoder)
    return weighed.signs(question, hits) if weighed else NO_EVIDENCE


def _weigh(question: str, hits: Sequence[Hit], encoder: TextEncoder) -> _Weighed | None:
    """The sentences of the hits that are worth encoding, weighed; None if there is none."""
    everything = [candidate for hit in hits for candidate in _candidates(hit)]
    if not everything:
        return None
    features = {hit.rank: sentence_features(hit.passage.encoded_text) for hit in hits}
    written = {token for passage in features.values() for token in passage.tokens}
    wanted = [stem(word) for word in correct_misspellings(tokenize(question), written)]
    weights = idf_weights(candidate.stems for candidate in everything)
    fits = _fits(question, everything)
    measure = requested_measure(question)
    said = {stem(word) for word in measure.said} if measure else set()
    stems = [sentence.stems | said if fit else sentence.stems for sentence, fit in zip(everything, fits, strict=True)]
    covered = np.array(coverages(wanted, stems, weights))
    fitting = {sentence.hit.rank for sentence, fit in zip(everything, fits, strict=True) if fit}
    of_passages = [passage.stems | said if rank in fitting else passage.stems for rank, passage in features.items()]
    shares = dict(zip(features, coverages(wanted, of_passages, weights), strict=True))
    by_passage = np.array([shares[sentence.hit.rank] for sentence in everything])
    prior = COVERAGE_WEIGHT * covered + HIT_WEIGHT * np.array([sentence.hit.score for sentence in everything])
    prior += ANSWER_TYPE_WEIGHT * fits + PASSAGE_WEIGHT * by_passage
    rows = np.sort(np.argsort(-prior, kind="stable")[:MAX_ENCODED_SENTENCES])
    candidates = [everything[row] for row in rows]
    cosines = _cosines(question, candidates, encoder)
    return _Weighed(
        everything=everything,
        candidates=candidates,
        cosines=cosines,
        covered=covered[rows],
        by_passage=by_passage[rows],
        scores=cosines + prior[rows],
        wanted=wanted,
        rarity=weights,
        said=said,
        is_unmeasured=measure is not None and not fits.any(),
        written=written,
    )


def _fits(question: str, candidates: Sequence[_Candidate]) -> NDArray[np.float64]:
    """1 for each sentence that holds what the question's form asks for, 0 for the others, `(n,)`."""
    return np.array(which_hold_an_answer([candidate.sentence.text for candidate in candidates], question), np.float64)


def _candidates(hit: Hit) -> list[_Candidate]:
    """The sentences of a hit that tell something; a passage of nothing but questions keeps them all."""
    found = passage_sentences(hit.passage.text)
    telling = [sentence for sentence in found if not sentence.is_question] or found
    above = hit.passage.heading.split(" › ")[-1] or hit.passage.title.split(" | ")[-1]
    return [
        _Candidate(
            hit,
            sentence,
            (sentence.context or above)[-MAX_CONTEXT_CHARACTERS:],
            sentence_features(sentence.text).stems,
        )
        for sentence in telling
    ]


def _cosines(question: str, candidates: Sequence[_Candidate], encoder: TextEncoder) -> FloatArray:
    """The cosine of the question and each sentence below its heading, `(n,)`."""
    texts = [
        f"{sentence.context}\n{sentence.sentence.text}" if sentence.context else sentence.sentence.text
        for sentence in candidates
    ]
    return np.asarray(encoder.encode_passages(texts) @ encoder.encode_queries([question])[0], np.float32)


def _choose(candidates: Sequence[_Candidate], scores: NDArray[np.float64]) -> list[_Candidate]:
    """Returns the best sentence and the next ones that say something new, at most `MAX_QUOTES`, best first."""
    chosen: list[_Candidate] = []
    for row in np.argsort(-scores, kind="stable"):
        if len(chosen) == MAX_QUOTES or scores[row] < scores.max() - MAX_SCORE_GAP:
            break
        if not any(_says_the_same(candidates[row], kept) for kept in chosen):
            chosen.append(candidates[row])
    return chosen


def _in_reading_order(chosen: Sequence[_Candidate]) -> list[_Candidate]:
    """Sorts the sentences as their passages read, the passage of the first one in front; the others by document."""
    first = chosen[0].hit.passage.passage_id
    documents = list(dict.fromkeys(candidate.hit.passage.document_id for candidate in chosen))

    def place(candidate: _Candidate) -> tuple[bool, int, int]:
        passage = candidate.hit.passage
        return (
            passage.passage_id != first,
            documents.index(passage.document_id),
            passage.start + candidate.sentence.start,
        )

    return sorted(chosen, key=place)


def _says_the_same(one: _Candidate, other: _Candidate) -> bool:
    """True if the shorter's words are mostly in the other, or they overlap in one document."""
    if one.hit.passage.document_id == other.hit.passage.document_id:
        first, second = sorted([_span(one), _span(other)])
        if second[0] < first[1]:
            return True
    smaller = min(len(one.stems), len(other.stems))
    return len(one.stems & other.stems) >= MIN_SHARED_WORD_SHARE * smaller


def _span(candidate: _Candidate) -> tuple[int, int]:
    """Where it is in the document's text."""
    start = candidate.hit.passage.start
    return start + candidate.sentence.start, start + candidate.sentence.end


def _quotes(chosen: Sequence[_Candidate]) -> tuple[QuotedSentence, ...]:
    quotes: list[QuotedSentence] = []
    for kept in chosen:
        text = neutralise_marks(format_quote(kept.sentence.text))
        broken = _has_lines(text) or (quotes and _has_lines(quotes[-1].text))
        parting = "" if not quotes else "\n" if broken else " "
        quotes.append(QuotedSentence(f"{parting}{text} [{kept.hit.rank}]", _citation(kept, _span(kept))))
    return tuple(quotes)


def _has_lines(text: str) -> bool:
    return "\n" in text.strip() or text.lstrip().startswith("- ")


def _citation(one: _Candidate, span: tuple[int, int]) -> Citation:
    """*span* is in the document's text."""
    passage, (start, end) = one.hit.passage, span
    quote = passage.text[start - passage.start : end - passage.start]
    return Citation(
        n=one.hit.rank,
        passage_id=passage.passage_id,
        source=passage.source,
        page=passage.page,
        start=start,
        end=end,
        quote=quote,
        support=1.0,
    )


def _against(chosen: Sequence[_Candidate], candidates: Sequence[_Candidate]) -> tuple[QuotedSentence, ...]:
    """A line that sets a sentence of another passage next to a chosen one that it contradicts; () where none does."""
    found = find_contradiction(_with_passages(chosen), _with_passages(candidates))
    if found is None:
        return ()
    kept, other = chosen[found[0]], candidates[found[1]]
    quotes = [
        f"[{candidate.hit.rank}] says “{neutralise_marks(format_quote(candidate.sentence.text))}”"
        for candidate in (kept, other)
    ]
    return (QuotedSentence(f"\n{CONTRADICTION_INTRO} {', '.join(quotes)}", _citation(other, _span(other))),)


def _with_passages(candidates: Sequence[_Candidate]) -> list[tuple[Passage, str]]:
    return [(candidate.hit.passage, candidate.sentence.text) for candidate in candidates]


def _lead(question: str, first: _Candidate) -> tuple[QuotedSentence, ...]:
    """The short answer that the first sentence holds, to be in front of it with a place of its own; () where none."""
    span = find_single_short_answer(question, first.sentence.text)
    if span is None:
        return ()
    start, _ = _span(first)
    citation = _citation(first, (start + span[0], start + span[1]))
    return (QuotedSentence(f"{format_quote(citation.quote)} — ", citation),)


def named_terms(question: str) -> set[str]:
    """The names of a question, and its words with a figure in them, as `tokenize` writes them.

    >>> sorted(named_terms("Does the X200 of Ada's run in Germany?"))
    ['ada', 'germany', 'x200']
    """
    named = {word for name in sentence_features(question).names for word in tokenize(name)}
    return named | {word for word in tokenize(question) if any(map(str.isdigit, word))}


def _reason(hits: Sequence[Hit], sureness: float, least: float) -> str:
    nearest = hits[0].passage
    named = nearest.title or nearest.source
    return (
        f"nothing in the library comes close enough to the question: the nearest passage, from “{named}”, answers it "
        f"with a probability of {sureness:.2f}, and {least:.2f} is the least"
    )
