"""Takes false negatives out: passages that nobody judged but that are probably right.

A list of rules, each with a name that is its reason. A candidate goes with the first rule that objects to it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from rag.retrieval.fusion import fused
from retriever_training.negatives.candidates.records import NOT_A_NEGATIVE, Candidate, Mine, Mined, View
from retriever_training.negatives.candidates.similarities import cosines
from retriever_training.negatives.denoising.answer_match import has_answer
from retriever_training.negatives.denoising.cross_encoder_teacher import (
    TAKEN_FOR_RIGHT,
    UNREAD,
    Teacher,
    finalists,
    zone,
)
from retriever_training.negatives.denoising.pair_features import (
    NOTHING_MORE,
    BoolArray,
    Grounds,
    IntArray,
    Known,
    Pairs,
)

MARGIN = 0.95
"""A negative's score is at most this share of the positive's (TopK-PercPos of NV-Retriever, arXiv 2407.15831)."""
NEAR_DUPLICATE = 0.97
"""Cosine from which two passages say the same."""
SERVED_MARGIN = 0.9
"""The same as MARGIN, of the score by which a passage is served: cosine + LEXICAL_WEIGHT · BM25 over its maximum."""
LEXICAL_WEIGHT = 0.25
CONTAINED = 0.8
"""Share of the shorter passage's shingles from which it says the same as the longer one."""
LOOK_ALIKE = 0.5
"""Cosine from which shingles are counted: of 189 pairs in feedbackqa-uk that share CONTAINED, the least had .59."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One way for a candidate to be right after all."""

    reason: str
    objects: Callable[[Grounds, Pairs], BoolArray]
    """`(m,)`: to which of the pairs it objects."""
    also_to_rejected: bool = False
    """Whether it holds for passages that people rejected too: a person who looked knows more than a margin."""


def is_positive(grounds: Grounds, pairs: Pairs) -> BoolArray:
    """It is known to be right."""
    return np.isin(grounds.keys(pairs), grounds.positives)


def is_reviewed(grounds: Grounds, pairs: Pairs) -> BoolArray:
    """Somebody looked at it as a negative of this question, and said that it is none."""
    return np.isin(grounds.keys(pairs), grounds.reviewed)


def says_the_same(grounds: Grounds, pairs: Pairs) -> BoolArray:
    """It has the words of a positive, in their order."""
    return grounds.any_positive(
        pairs, lambda passages, positives: grounds.text_numbers(passages) == grounds.text_numbers(positives)
    )


def shares_wording(grounds: Grounds, pairs: Pairs) -> BoolArray:
    """It and a positive share CONTAINED of the shorter one's shingles, and no name or number tells them apart.

    Then one was cut out of the other, or is another version of it. Where names or numbers differ, both were cut from one
    template and say different things.
    """
    return grounds.any_positive(pairs, partial(_share_wording, grounds))


def nearly_says_the_same(grounds: Grounds, pairs: Pairs) -> BoolArray:
    """Its vector by the first view, the base, is that of a positive, and no name or number tells them apart."""
    return grounds.any_positive(pairs, partial(_nearly_the_same, grounds))


def right_for_near_question(grounds: Grounds, pairs: Pairs) -> BoolArray:
    """People called it right for a question that asks nearly the same."""
    return np.isin(grounds.keys(pairs), grounds.right_for_near_questions)


def called_helpful(grounds: Grounds, pairs: Pairs) -> BoolArray:
    """Somebody called it helpful for this question, and was outvoted."""
    return np.isin(grounds.keys(pairs), grounds.suspected)


def holds_answer(grounds: Grounds, pairs: Pairs) -> BoolArray:
    """An answer to the question stands in it."""
    answers = grounds.known.answers
    if not answers:
        return np.zeros(len(pairs), np.bool_)
    found = (
        has_answer(grounds.plain(passage), answers[question])
        for question, passage in zip(pairs.questions.tolist(), pairs.passages.tolist(), strict=True)
    )
    return np.fromiter(found, np.bool_, len(pairs))


def as_close(view: View, margin: float, grounds: Grounds, pairs: Pairs) -> BoolArray:
    """It is nearer to the question than *margin* allows: s⁻ > s⁺ - (1 - margin) · |s⁺|, s⁺ of the least similar positive.

    Where s⁺ is above 0 that is NV-Retriever's s⁻ > margin · s⁺, and below it `mine_hard_negatives`'s bound too.
    A question without a positive has no bound.
    """
    return _beyond(margin, grounds.worst(_cosines(view, grounds.told))[pairs.questions], _cosines(view, pairs))


def served_as_high(view: View, grounds: Grounds, pairs: Pairs) -> BoolArray:
    """It is served nearly as high as the positive: as of `as_close`, on the cosine with BM25 beside it.

    Two retrievers see more than one: on 223 questions of FeedbackQA (dev) whose passages people had rated, the cosine's
    margin let 34 of 118 hidden right passages through as negatives, both margins 14.
    """
    both = grounds.told + pairs  # at once: each question's BM25 is worked out over the whole library
    served = fused(_cosines(view, both), grounds.by_question_words(both), LEXICAL_WEIGHT)
    positives, candidates = np.split(served, [len(grounds.told)])
    return _beyond(SERVED_MARGIN, grounds.worst(positives)[pairs.questions], candidates)


NEAR_DUPLICATES: tuple[Rule, ...] = (
    Rule("is a positive", is_positive, also_to_rejected=True),
    Rule(NOT_A_NEGATIVE, is_reviewed, also_to_rejected=True),
    Rule("says the same as a positive", says_the_same, also_to_rejected=True),
    Rule("nearly says the same as a positive", nearly_says_the_same, also_to_rejected=True),
    Rule("shares its wording with a positive", shares_wording, also_to_rejected=True),
)
LIKELY_RIGHT: tuple[Rule, ...] = (
    Rule("somebody called it helpful", called_helpful),
    Rule("right for nearly the same question", right_for_near_question),
    Rule("holds an answer", holds_answer),
)


def rules(views: Sequence[View], margin: float = MARGIN) -> tuple[Rule, ...]:
    """All rules in the order in which they are asked, cheap ones first; a margin for every view, the last being current."""
    margins = (Rule(f"as close as a positive, under {view.name}", partial(as_close, view, margin)) for view in views)
    served = Rule("served as high as a positive", partial(served_as_high, views[-1]))
    return (*NEAR_DUPLICATES, *margins, *LIKELY_RIGHT, served)


def clean(
    mine: Mine,
    found: Sequence[Sequence[Candidate]],
    views: Sequence[View],
    texts: Sequence[str],
    margin: float = MARGIN,
    *,
    known: Known = NOTHING_MORE,
    teacher: Teacher | None = None,
) -> list[Mined]:
    """Keeps, for each question, the candidates that no rule objects to; what is removed carries the reason.

    *texts* are the passages' texts, in the mine's order. Give what all sources found in one call: then no text is read
    twice. With a *teacher* only the finalists that it read are kept, except for what people rejected; give a
    `Remembered` one and ask `read_candidates` for its scores.
    """
    grounds, asked = Grounds(mine, views, texts, known), rules(views, margin)
    pairs, rejected = columns(found)
    objections = first_objections(grounds, pairs, rejected, asked)
    reasons = [rule.reason for rule in asked]
    mined = []
    start = 0
    for candidates in found:
        some = objections[start : start + len(candidates)].tolist()
        mined.append(_mined(candidates, [reasons[place] if place >= 0 else None for place in some]))
        start += len(candidates)
    return mined if teacher is None else _read(mine, texts, mined, teacher)


def columns(found: Sequence[Sequence[Candidate]]) -> tuple[Pairs, BoolArray]:
    """All candidates of all questions as pairs, and which of them people rejected, `(m,)`."""
    questions = np.repeat(np.arange(len(found)), [len(candidates) for candidates in found])
    passages = np.fromiter((one.passage for candidates in found for one in candidates), np.int64, len(questions))
    rejected = np.fromiter((one.source == "feedback" for some in found for one in some), np.bool_, len(questions))
    return Pairs(questions, passages), rejected


def first_objections(grounds: Grounds, pairs: Pairs, rejected: BoolArray, rules: Sequence[Rule]) -> IntArray:
    """`(m,)`: the place of the first rule that objects to each pair, -1 where none does.

    *rejected* says which of them people rejected.
    """
    objections = np.full(len(pairs), -1, np.int64)
    for place, rule in enumerate(rules):
        asked = np.flatnonzero((objections < 0) & (~rejected | rule.also_to_rejected))
        objections[asked[rule.objects(grounds, pairs.at(asked))]] = place
    return objections


def count_removed(mined: Iterable[Mined]) -> dict[str, int]:
    """How many candidates went, by reason."""
    return dict(Counter(reason for one in mined for _, reason in one.removed))


def _mined(candidates: Sequence[Candidate], reasons: Sequence[str | None]) -> Mined:
    marked = list(zip(candidates, reasons, strict=True))
    return Mined(
        tuple(candidate for candidate, reason in marked if reason is None),
        tuple((candidate, reason) for candidate, reason in marked if reason is not None),
    )


def _read(mine: Mine, texts: Sequence[str], mined: Sequence[Mined], teacher: Teacher) -> list[Mined]:
    """The same, less what the teacher takes for right and what it does not read."""
    result = []
    for question, one in zip(mine.questions, mined, strict=True):
        unjudged = [candidate for candidate in one.kept if candidate.source != "feedback"]
        rows = finalists([candidate.passage for candidate in unjudged], [candidate.rank for candidate in unjudged])
        scores = dict(zip(rows, teacher.scores(question, [texts[row] for row in rows]).tolist(), strict=True))
        again = _mined(one.kept, [_after_reading(candidate, scores) for candidate in one.kept])
        result.append(Mined(again.kept, one.removed + again.removed))
    return result


def _after_reading(candidate: Candidate, scores: Mapping[int, float]) -> str | None:
    if candidate.source == "feedback":
        return None
    if candidate.passage not in scores:
        return UNREAD
    return TAKEN_FOR_RIGHT if zone(scores[candidate.passage]) == "suspect" else None


def _beyond(margin: float, worst: NDArray[np.float64], scores: NDArray[np.float64]) -> BoolArray:
    bounded = np.isfinite(worst)
    return np.asarray(bounded & (scores > worst - (1 - margin) * np.abs(np.where(bounded, worst, 0.0))))


def _cosines(view: View, pairs: Pairs) -> NDArray[np.float64]:
    return cosines(view.question_vectors, pairs.questions, view.passage_vectors, pairs.passages)


def _alike(grounds: Grounds, passages: IntArray, positives: IntArray) -> NDArray[np.float64]:
    """`(m,)`: cosines between passages by the first view."""
    vectors = grounds.views[0].passage_vectors
    return cosines(vectors, passages, vectors, positives)


def _share_wording(grounds: Grounds, passages: IntArray, positives: IntArray) -> BoolArray:
    found = np.zeros(len(passages), np.bool_)
    near = np.flatnonzero(_alike(grounds, passages, positives) >= LOOK_ALIKE)
    found[near] = grounds.shingled.containments(passages[near], positives[near]) >= CONTAINED
    return _not_told_apart(grounds, found, passages, positives)


def _nearly_the_same(grounds: Grounds, passages: IntArray, positives: IntArray) -> BoolArray:
    return _not_told_apart(grounds, _alike(grounds, passages, positives) >= NEAR_DUPLICATE, passages, positives)


def _not_told_apart(grounds: Grounds, alike: BoolArray, passages: IntArray, positives: IntArray) -> BoolArray:
    """Those of the *alike* pairs, `(m,)`, whose words tell the same."""
    same = alike.copy()
    places = np.flatnonzero(alike)
    same[places] = ~grounds.tell_apart(passages[places], positives[places])
    return same
