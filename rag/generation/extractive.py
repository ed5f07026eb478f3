"""Question and hits → the best sentences as quotes, or the reason why nothing answers the question."""

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

# A sentence that holds the type of answer that the question asks for ("when": a date) scores this much higher.
ANSWER_TYPE_WEIGHT = 0.1

MIN_LEAD_COVERAGE = (
    0.5  # of the question's words in the sentence and its heading, for a short answer to be put in front
)

SUPPORT_COVERAGE_WEIGHT = 0.3  # by which the sentence is chosen whose signs decide whether anything answers
SUPPORT_PASSAGE_WEIGHT = 0.3
NO_SENTENCE_REASON = "the passages that were found hold no sentence to quote"


@dataclass(frozen=True, slots=True)
class QuotedSentence:
    """One sentence of the answer as it reads, with its mark, and its position in the document."""

    text: str
    """Begins with the space or line break that separates it from the previous quote."""
    citation: Citation


@dataclass(frozen=True, slots=True)
class ExtractiveAnswer:
    """The chosen sentences in reading order; none if nothing supports an answer."""

    quotes: tuple[QuotedSentence, ...]
    support: float
    """The probability that the hits answer the question, 0 to 1; below the threshold's least the answer is declined."""
    declined: str
    """Why nothing was chosen; empty if something was."""
    short_answer: str = ""
    """The short answer that precedes the first quote; empty if the sentence holds none, or more than one."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    hit: Hit
    sentence: Sentence
    context: str
    stems: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _ScoredSentences:
    """The sentences that were worth encoding, and the evidence for each; every array is `(n,)`."""

    everything: list[_Candidate]
    """All sentences, those that were not encoded included."""
    candidates: list[_Candidate]
    cosines: FloatArray
    covered: NDArray[np.float64]
    """The share of the question's words that each sentence has, weighted by rarity."""
    by_passage: NDArray[np.float64]
    """The share of the question's words that the sentence's passage has, weighted by rarity."""
    scores: NDArray[np.float64]
    wanted: list[str]
    rarity: dict[str, float]
    measure_terms: set[str]
    """The question's words for what it measures; a sentence with "12 kg" counts as having them."""
    is_unmeasured: bool
    """Whether the question asks for a measure, and no sentence holds a number with a unit of it."""
    document_terms: set[str]
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
            or bool(
                set(correct_misspellings(sorted(named_terms(question)), self.document_terms)) - self.document_terms
            ),
            has_words=bool(self.by_passage[best]) or shares_words(question, passage.encoded_text),
        )


def extract_answer(
    question: str, hits: Sequence[Hit], encoder: TextEncoder, threshold: AbstentionThreshold = SHIPPED_THRESHOLD
) -> ExtractiveAnswer:
    """Chooses 1 to 4 sentences of *hits* that answer *question* best, or none and the reason."""
    scored = _score_sentences(question, hits, encoder)
    if scored is None:
        return ExtractiveAnswer((), 0.0, NO_SENTENCE_REASON)
    sureness = threshold.sureness(scored.signs(question, hits))
    if sureness < threshold.least:
        return ExtractiveAnswer((), sureness, _decline_reason(hits, sureness, threshold.least))
    chosen = _choose(scored.candidates, scored.scores)
    named = sentence_features(f"{chosen[0].context} {chosen[0].sentence.text}").stems | scored.measure_terms
    against = _contradicting_quote(chosen, scored.everything)
    is_plain = not against and coverage(scored.wanted, named, scored.rarity) >= MIN_LEAD_COVERAGE
    lead = _lead(question, chosen[0]) if is_plain else ()
    quotes = _quotes(_in_reading_order(chosen))
    return ExtractiveAnswer((*lead, *quotes, *against), sureness, "", lead[0].citation.quote if lead else "")


def answerability_features(question: str, hits: Sequence[Hit], encoder: TextEncoder) -> AnswerabilityFeatures:
    """Returns the evidence that *hits* answer *question*; all 0 if they hold no sentence."""
    scored = _score_sentences(question, hits, encoder)
    return scored.signs(question, hits) if scored else NO_EVIDENCE


def _score_sentences(question: str, hits: Sequence[Hit], encoder: TextEncoder) -> _ScoredSentences | None:
    """Scores the sentences of the hits that are worth encoding; None if the hits hold no sentence."""
    everything = [candidate for hit in hits for candidate in _candidates(hit)]
    if not everything:
        return None
    features = {hit.rank: sentence_features(hit.passage.encoded_text) for hit in hits}
    document_terms = {token for passage in features.values() for token in passage.tokens}
    wanted = [stem(word) for word in correct_misspellings(tokenize(question), document_terms)]
    weights = idf_weights(candidate.stems for candidate in everything)
    fits = _answer_type_matches(question, everything)
    measure = requested_measure(question)
    measure_terms = {stem(word) for word in measure.said} if measure else set()
    stems = [
        sentence.stems | measure_terms if fit else sentence.stems
        for sentence, fit in zip(everything, fits, strict=True)
    ]
    covered = np.array(coverages(wanted, stems, weights))
    fitting = {sentence.hit.rank for sentence, fit in zip(everything, fits, strict=True) if fit}
    of_passages = [
        passage.stems | measure_terms if rank in fitting else passage.stems for rank, passage in features.items()
    ]
    shares = dict(zip(features, coverages(wanted, of_passages, weights), strict=True))
    by_passage = np.array([shares[sentence.hit.rank] for sentence in everything])
    prior = COVERAGE_WEIGHT * covered + HIT_WEIGHT * np.array([sentence.hit.score for sentence in everything])
    prior += ANSWER_TYPE_WEIGHT * fits + PASSAGE_WEIGHT * by_passage
    rows = np.sort(np.argsort(-prior, kind="stable")[:MAX_ENCODED_SENTENCES])
    candidates = [everything[row] for row in rows]
    cosines = _cosines(question, candidates, encoder)
    return _ScoredSentences(
        everything=everything,
        candidates=candidates,
        cosines=cosines,
        covered=covered[rows],
        by_passage=by_passage[rows],
        scores=cosines + prior[rows],
        wanted=wanted,
        rarity=weights,
        measure_terms=measure_terms,
        is_unmeasured=measure is not None and not fits.any(),
        document_terms=document_terms,
    )


def _answer_type_matches(question: str, candidates: Sequence[_Candidate]) -> NDArray[np.float64]:
    """Returns 1 for each sentence that holds the type of answer that the question asks for, else 0; `(n,)`."""
    return np.array(which_hold_an_answer([candidate.sentence.text for candidate in candidates], question), np.float64)


def _candidates(hit: Hit) -> list[_Candidate]:
    """Returns the sentences of a hit that are not questions; all of them if the passage has only questions."""
    sentences = passage_sentences(hit.passage.text)
    statements = [sentence for sentence in sentences if not sentence.is_question] or sentences
    above = hit.passage.heading.split(" › ")[-1] or hit.passage.title.split(" | ")[-1]
    return [
        _Candidate(
            hit,
            sentence,
            (sentence.context or above)[-MAX_CONTEXT_CHARACTERS:],
            sentence_features(sentence.text).stems,
        )
        for sentence in statements
    ]


def _cosines(question: str, candidates: Sequence[_Candidate], encoder: TextEncoder) -> FloatArray:
    """Returns the cosine of the question and each sentence, encoded below its heading; `(n,)`."""
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

    def position(candidate: _Candidate) -> tuple[bool, int, int]:
        passage = candidate.hit.passage
        return (
            passage.passage_id != first,
            documents.index(passage.document_id),
            passage.start + candidate.sentence.start,
        )

    return sorted(chosen, key=position)


def _says_the_same(one: _Candidate, other: _Candidate) -> bool:
    """True if the shorter's words are mostly in the other, or they overlap in one document."""
    if one.hit.passage.document_id == other.hit.passage.document_id:
        first, second = sorted([_span(one), _span(other)])
        if second[0] < first[1]:
            return True
    smaller = min(len(one.stems), len(other.stems))
    return len(one.stems & other.stems) >= MIN_SHARED_WORD_SHARE * smaller


def _span(candidate: _Candidate) -> tuple[int, int]:
    """Returns the sentence's (start, end) in the document's text."""
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


def _contradicting_quote(chosen: Sequence[_Candidate], candidates: Sequence[_Candidate]) -> tuple[QuotedSentence, ...]:
    """Quotes a chosen sentence and one of another passage that contradicts it; () if none does."""
    pair = find_contradiction(_with_passages(chosen), _with_passages(candidates))
    if pair is None:
        return ()
    kept, other = chosen[pair[0]], candidates[pair[1]]
    quotes = [
        f"[{candidate.hit.rank}] says “{neutralise_marks(format_quote(candidate.sentence.text))}”"
        for candidate in (kept, other)
    ]
    return (QuotedSentence(f"\n{CONTRADICTION_INTRO} {', '.join(quotes)}", _citation(other, _span(other))),)


def _with_passages(candidates: Sequence[_Candidate]) -> list[tuple[Passage, str]]:
    return [(candidate.hit.passage, candidate.sentence.text) for candidate in candidates]


def _lead(question: str, first: _Candidate) -> tuple[QuotedSentence, ...]:
    """Quotes the short answer that the first sentence holds, to precede it with its own citation; () if there is none."""
    span = find_single_short_answer(question, first.sentence.text)
    if span is None:
        return ()
    start, _ = _span(first)
    citation = _citation(first, (start + span[0], start + span[1]))
    return (QuotedSentence(f"{format_quote(citation.quote)} — ", citation),)


def named_terms(question: str) -> set[str]:
    """Returns the names in a question and its words that contain a digit, as `tokenize` writes them.

    >>> sorted(named_terms("Does the X200 of Ada's run in Germany?"))
    ['ada', 'germany', 'x200']
    """
    named = {word for name in sentence_features(question).names for word in tokenize(name)}
    return named | {word for word in tokenize(question) if any(map(str.isdigit, word))}


def _decline_reason(hits: Sequence[Hit], sureness: float, least: float) -> str:
    nearest = hits[0].passage
    named = nearest.title or nearest.source
    return (
        f"nothing in the library comes close enough to the question: the nearest passage, from “{named}”, answers it "
        f"with a probability of {sureness:.2f}, and {least:.2f} is the least"
    )
