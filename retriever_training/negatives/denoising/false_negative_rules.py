"""Removes false negatives: passages that nobody judged but that are probably right.

A list of rules, each with a code. A candidate is removed by the first rule that matches, and keeps its code as the reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from rag.arrays import BoolArray, IntArray
from rag.retrieval.fusion import fuse_scores
from retriever_training.negatives.candidates.records import (
    Candidate,
    MinedNegatives,
    MiningContext,
    VersionView,
)
from retriever_training.negatives.candidates.similarities import row_cosines
from retriever_training.negatives.denoising.answer_match import has_answer
from retriever_training.negatives.denoising.cross_encoder_teacher import (
    Teacher,
    choose_finalists,
    zone_of,
)
from retriever_training.negatives.denoising.pair_features import (
    NO_KNOWN_LABELS,
    CandidatePairs,
    KnownLabels,
    PairFeatures,
)
from retriever_training.negatives.reasons import RemovalCode, RemovalReason, removal_reason

POSITIVE_MARGIN = 0.95
"""A negative's score is at most this share of the positive's (TopK-PercPos of NV-Retriever, arXiv 2407.15831)."""
NEAR_DUPLICATE_COSINE = 0.97
"""The cosine from which two passages say the same."""
SERVED_MARGIN = 0.9
"""POSITIVE_MARGIN for the score by which a passage is served: cosine + LEXICAL_WEIGHT · BM25 over its maximum."""
LEXICAL_WEIGHT = 0.25
MIN_CONTAINMENT = 0.8
"""The share of the shorter passage's shingles in the longer one from which both say the same."""
MIN_SHINGLE_COSINE = 0.5
"""The cosine from which shingles are compared: of 189 pairs in feedbackqa-uk that share MIN_CONTAINMENT, the lowest had .59."""


@dataclass(frozen=True, slots=True)
class FalseNegativeRule:
    """One way in which a candidate may be right after all."""

    code: RemovalCode
    matches: Callable[[PairFeatures, CandidatePairs], BoolArray]
    """`(m,)`: which of the pairs it matches."""
    applies_to_rejected: bool = False
    """Whether it applies to passages that people rejected too; a person who looked knows more than a margin."""
    detail: str = ""
    """The view's name, if it is a view's margin."""

    @property
    def reason(self) -> RemovalReason:
        """The code with its detail: what a removed candidate carries."""
        return removal_reason(self.code, self.detail)


def is_positive(grounds: PairFeatures, pairs: CandidatePairs) -> BoolArray:
    """Matches candidates that are known to be right."""
    return np.isin(grounds.keys(pairs), grounds.positives)


def is_reviewed(grounds: PairFeatures, pairs: CandidatePairs) -> BoolArray:
    """Matches candidates that a reviewer decided are not negatives for this question."""
    return np.isin(grounds.keys(pairs), grounds.reviewed)


def has_text_of_positive(grounds: PairFeatures, pairs: CandidatePairs) -> BoolArray:
    """Matches candidates that have the words of a positive in the same order."""
    return grounds.matches_any_positive(
        pairs, lambda passages, positives: grounds.text_numbers(passages) == grounds.text_numbers(positives)
    )


def shares_wording_of_positive(grounds: PairFeatures, pairs: CandidatePairs) -> BoolArray:
    """Matches candidates that share MIN_CONTAINMENT of the shorter one's shingles with a positive, if no name or number
    distinguishes the two.

    Then one was cut out of the other, or is another version of it. If names or numbers differ, both come from one
    template and say different things.
    """
    return grounds.matches_any_positive(pairs, partial(_share_wording, grounds))


def is_near_duplicate_of_positive(grounds: PairFeatures, pairs: CandidatePairs) -> BoolArray:
    """Matches candidates whose vector by the base is nearly a positive's, if no name or number distinguishes them."""
    return grounds.matches_any_positive(pairs, partial(_nearly_the_same, grounds))


def is_positive_for_near_question(grounds: PairFeatures, pairs: CandidatePairs) -> BoolArray:
    """Matches candidates that people called right for a question that asks nearly the same."""
    return np.isin(grounds.keys(pairs), grounds.near_question_keys)


def was_called_helpful(grounds: PairFeatures, pairs: CandidatePairs) -> BoolArray:
    """Matches candidates that somebody called helpful for this question, but was outvoted."""
    return np.isin(grounds.keys(pairs), grounds.suspected)


def contains_answer(grounds: PairFeatures, pairs: CandidatePairs) -> BoolArray:
    """Matches candidates that contain a known answer to the question."""
    answers = grounds.known.answers
    if not answers:
        return np.zeros(len(pairs), np.bool_)
    matches = (
        has_answer(grounds.plain(passage), answers[question])
        for question, passage in zip(pairs.questions.tolist(), pairs.passages.tolist(), strict=True)
    )
    return np.fromiter(matches, np.bool_, len(pairs))


def exceeds_margin(view: VersionView, margin: float, grounds: PairFeatures, pairs: CandidatePairs) -> BoolArray:
    """Matches candidates closer to the question than *margin* allows: s⁻ > s⁺ - (1 - margin) · |s⁺|, s⁺ of the least
    similar positive.

    If s⁺ is above 0 this is NV-Retriever's s⁻ > margin · s⁺, and below 0 it is `mine_hard_negatives`'s bound too.
    A question without a positive has no bound.
    """
    return _beyond(
        margin,
        grounds.lowest_per_question(_cosines(view, grounds.positive_pairs))[pairs.questions],
        _cosines(view, pairs),
    )


def exceeds_served_margin(view: VersionView, grounds: PairFeatures, pairs: CandidatePairs) -> BoolArray:
    """Matches candidates that are served nearly as high as the positive: `exceeds_margin` on the sum of cosine and
    weighted BM25.

    Two retrievers see more than one. On 223 questions of FeedbackQA (dev) whose passages people had rated, the cosine's
    margin let 34 of 118 hidden right passages through as negatives, both margins 14.
    """
    both = grounds.positive_pairs + pairs  # together, because each question's BM25 is computed over the whole library
    served = fuse_scores(_cosines(view, both), grounds.normalised_bm25(both), LEXICAL_WEIGHT)
    positives, candidates = np.split(served, [len(grounds.positive_pairs)])
    return _beyond(SERVED_MARGIN, grounds.lowest_per_question(positives)[pairs.questions], candidates)


NEAR_DUPLICATE_RULES: tuple[FalseNegativeRule, ...] = (
    FalseNegativeRule("is_positive", is_positive, applies_to_rejected=True),
    FalseNegativeRule("reviewed_not_negative", is_reviewed, applies_to_rejected=True),
    FalseNegativeRule("duplicate_of_positive", has_text_of_positive, applies_to_rejected=True),
    FalseNegativeRule("near_duplicate_of_positive", is_near_duplicate_of_positive, applies_to_rejected=True),
    FalseNegativeRule("shares_wording_with_positive", shares_wording_of_positive, applies_to_rejected=True),
)
LIKELY_POSITIVE_RULES: tuple[FalseNegativeRule, ...] = (
    FalseNegativeRule("called_helpful", was_called_helpful),
    FalseNegativeRule("positive_for_near_question", is_positive_for_near_question),
    FalseNegativeRule("contains_answer", contains_answer),
)


def false_negative_rules(
    views: Sequence[VersionView], margin: float = POSITIVE_MARGIN
) -> tuple[FalseNegativeRule, ...]:
    """Returns all rules in the order in which they are asked, cheap ones first, with a margin for each view; the last view is
    the current version's.
    """
    margins = (
        FalseNegativeRule("exceeds_margin", partial(exceeds_margin, view, margin), detail=view.name) for view in views
    )
    served = FalseNegativeRule("exceeds_served_margin", partial(exceeds_served_margin, views[-1]))
    return (*NEAR_DUPLICATE_RULES, *margins, *LIKELY_POSITIVE_RULES, served)


def remove_false_negatives(
    mine: MiningContext,
    found: Sequence[Sequence[Candidate]],
    views: Sequence[VersionView],
    texts: Sequence[str],
    margin: float = POSITIVE_MARGIN,
    *,
    known: KnownLabels = NO_KNOWN_LABELS,
    teacher: Teacher | None = None,
) -> list[MinedNegatives]:
    """Keeps, for each question, the candidates that no rule matches; the removed ones carry the reason.

    *texts* are the passages' texts, in the order of *mine*. Pass the candidates of all sources in one call, so that no text
    is read twice. With a *teacher* only the finalists that it reads are kept, except for what people rejected; pass a
    `CachingTeacher` and ask `scored_candidates` for its scores.
    """
    grounds, asked = PairFeatures(mine, views, texts, known), false_negative_rules(views, margin)
    pairs, rejected = as_pairs(found)
    objections = first_matching_rules(grounds, pairs, rejected, asked)
    reasons = [rule.reason for rule in asked]
    mined = []
    start = 0
    for candidates in found:
        matched = objections[start : start + len(candidates)].tolist()
        mined.append(_mined(candidates, [reasons[index] if index >= 0 else None for index in matched]))
        start += len(candidates)
    return mined if teacher is None else _read(mine, texts, mined, teacher)


def as_pairs(found: Sequence[Sequence[Candidate]]) -> tuple[CandidatePairs, BoolArray]:
    """Returns all candidates of all questions as pairs, and which of them people rejected, `(m,)`."""
    questions = np.repeat(np.arange(len(found)), [len(candidates) for candidates in found])
    passages = np.fromiter(
        (candidate.passage for candidates in found for candidate in candidates), np.int64, len(questions)
    )
    rejected = np.fromiter(
        (candidate.source == "feedback" for candidates in found for candidate in candidates), np.bool_, len(questions)
    )
    return CandidatePairs(questions, passages), rejected


def first_matching_rules(
    grounds: PairFeatures, pairs: CandidatePairs, rejected: BoolArray, rules: Sequence[FalseNegativeRule]
) -> IntArray:
    """Returns `(m,)`: the index of the first rule that matches each pair, -1 if none does.

    *rejected* says which of them people rejected.
    """
    objections = np.full(len(pairs), -1, np.int64)
    for index, rule in enumerate(rules):
        asked = np.flatnonzero((objections < 0) & (~rejected | rule.applies_to_rejected))
        objections[asked[rule.matches(grounds, pairs.at(asked))]] = index
    return objections


def count_removed(mined: Iterable[MinedNegatives]) -> dict[RemovalReason, int]:
    """Returns how many candidates were removed, by reason."""
    return dict(Counter(reason for result in mined for _, reason in result.removed))


def _mined(candidates: Sequence[Candidate], reasons: Sequence[RemovalReason | None]) -> MinedNegatives:
    marked = list(zip(candidates, reasons, strict=True))
    return MinedNegatives(
        tuple(candidate for candidate, reason in marked if reason is None),
        tuple((candidate, reason) for candidate, reason in marked if reason is not None),
    )


def _read(
    mine: MiningContext, texts: Sequence[str], mined: Sequence[MinedNegatives], teacher: Teacher
) -> list[MinedNegatives]:
    """Removes the candidates that the teacher takes for right or does not read."""
    result = []
    for question, cleaned in zip(mine.questions, mined, strict=True):
        unjudged = [candidate for candidate in cleaned.kept if candidate.source != "feedback"]
        rows = choose_finalists(
            [candidate.passage for candidate in unjudged], [candidate.rank for candidate in unjudged]
        )
        scores = dict(zip(rows, teacher.scores(question, [texts[row] for row in rows]).tolist(), strict=True))
        again = _mined(cleaned.kept, [_after_reading(candidate, scores) for candidate in cleaned.kept])
        result.append(MinedNegatives(again.kept, cleaned.removed + again.removed))
    return result


def _after_reading(candidate: Candidate, scores: Mapping[int, float]) -> RemovalCode | None:
    if candidate.source == "feedback":
        return None
    if candidate.passage not in scores:
        return "not_read_by_teacher"
    return "teacher_says_positive" if zone_of(scores[candidate.passage]) == "suspect" else None


def _beyond(margin: float, worst: NDArray[np.float64], scores: NDArray[np.float64]) -> BoolArray:
    bounded = np.isfinite(worst)
    return np.asarray(bounded & (scores > worst - (1 - margin) * np.abs(np.where(bounded, worst, 0.0))))


def _cosines(view: VersionView, pairs: CandidatePairs) -> NDArray[np.float64]:
    return row_cosines(view.question_vectors, pairs.questions, view.passage_vectors, pairs.passages)


def _alike(grounds: PairFeatures, passages: IntArray, positives: IntArray) -> NDArray[np.float64]:
    """Returns `(m,)`: the cosines between passages by the first view."""
    vectors = grounds.views[0].passage_vectors
    return row_cosines(vectors, passages, vectors, positives)


def _share_wording(grounds: PairFeatures, passages: IntArray, positives: IntArray) -> BoolArray:
    found = np.zeros(len(passages), np.bool_)
    near = np.flatnonzero(_alike(grounds, passages, positives) >= MIN_SHINGLE_COSINE)
    found[near] = grounds.shingled.containments(passages[near], positives[near]) >= MIN_CONTAINMENT
    return _without_distinguished(grounds, found, passages, positives)


def _nearly_the_same(grounds: PairFeatures, passages: IntArray, positives: IntArray) -> BoolArray:
    return _without_distinguished(
        grounds, _alike(grounds, passages, positives) >= NEAR_DUPLICATE_COSINE, passages, positives
    )


def _without_distinguished(
    grounds: PairFeatures, alike: BoolArray, passages: IntArray, positives: IntArray
) -> BoolArray:
    """Returns `(m,)`: the *alike* pairs that no name or number distinguishes."""
    same = alike.copy()
    indexes = np.flatnonzero(alike)
    same[indexes] = ~grounds.differ_in_named_terms(passages[indexes], positives[indexes])
    return same
