"""Finds doubtful negatives for people to review: those that people disagree on, and those that cleaning is unsure of."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice, zip_longest
from typing import Literal, get_args

import numpy as np

from rag.app.stores import Stores
from retriever_training.judgments.reasons import UnsettledReason
from retriever_training.judgments.reviews import Review, ReviewStore
from retriever_training.judgments.snapshot import JudgedQuestions, TrainingSnapshot, load_snapshot
from retriever_training.judgments.splits import normalise_question, split_of
from retriever_training.judgments.votes import QuestionPassage
from retriever_training.negatives.candidates.records import Candidate, MiningContext, VersionView
from retriever_training.negatives.denoising.cross_encoder_teacher import CachingTeacher
from retriever_training.negatives.denoising.false_negative_rules import NEAR_DUPLICATE_RULES, POSITIVE_MARGIN
from retriever_training.negatives.mixing import mine_negatives
from retriever_training.negatives.reasons import RemovalReason
from retriever_training.progress import no_progress
from retriever_training.tiers.learn_tier3 import make_mining_context
from retriever_training.tiers.night_plan import NightPlan
from retriever_training.versions.encoded_views import encode_view

DoubtKind = Literal["alone", "divided", "overruled", "read", "suspected", "inside"]
"""Only one person rejected the passage; people are divided; people rejected it, but it says the same as a right one; the
cross-encoder takes it for right; a cleaning rule does; it counts as a negative, but only just."""
DOUBT_KINDS: tuple[DoubtKind, ...] = get_args(DoubtKind)
DOUBT_OF_REASON: Mapping[UnsettledReason, DoubtKind] = {"rejected_by_one_person": "alone", "people_divided": "divided"}
"""Why people's votes settled nothing → the kind of doubt; a review helps in these two cases only."""

N_DOUBTS = 50
N_RECENT_QUESTIONS = 200  # questions whose candidates are looked at, those judged last
N_RECENT_QUESTIONS_READ = 20  # the same if a cross-encoder reads: eight passages of each question take it a minute
MAX_PER_FINDER = 5  # candidates of each finder for a question
MAX_PER_QUESTION = 2  # doubts about one question
NEARBY_FINDERS = ("dense", "bm25")
"""They find the passages that are near in serving, which are pushed most in tiers 1 and 2, where all are negatives."""
NEAR_MARGIN = 0.05
"""A candidate within this share of the positive's cosine below the margin is in doubt: a stricter margin would remove it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoubtfulNegative:
    """A passage that may or may not be a negative of a question."""

    question: str
    right: tuple[str, ...]
    """Ids of the passages that people call right."""
    passage_id: str
    kind: DoubtKind
    why: str
    """The reason that the rule gives, or the code of the unsettled judgment; empty if there is none."""
    margin: float | None = None
    """The lowest cosine of a right passage with the question, minus this passage's."""

    @property
    def pair(self) -> QuestionPassage:
        """The normalised question and the passage id, as reviews name them."""
        return normalise_question(self.question), self.passage_id


def find_doubtful_negatives(stores: Stores, plan: NightPlan, n: int = N_DOUBTS) -> list[DoubtfulNegative]:
    """Returns up to *n* doubts that no review has decided, people's disagreements first.

    Only training questions are considered, because nothing learns from the others.
    """
    evidence = load_snapshot(
        stores, trusted=plan.trusted, max_per_person=plan.max_per_person, quarantined=plan.quarantined
    )
    doubts = [*_of_people(evidence), *_mined(stores, evidence, plan)]
    by_kind: dict[DoubtKind, list[DoubtfulNegative]] = defaultdict(list)
    for doubt in undecided_doubts(doubts, ReviewStore(stores.engine).standing(without=plan.quarantined)):
        by_kind[doubt.kind].append(doubt)
    people = [*by_kind["alone"], *by_kind["divided"], *by_kind["overruled"]]
    others = [sorted(by_kind[kind], key=_margin) for kind in ("read", "suspected", "inside")]
    queue = chain(people, (doubt for turn in zip_longest(*others) for doubt in turn if doubt is not None))
    return list(islice(_few_of_each_question(queue), n))


def undecided_doubts(doubts: Iterable[DoubtfulNegative], reviews: Iterable[Review]) -> list[DoubtfulNegative]:
    """Returns the doubts that no review has decided; those that somebody skipped come last."""
    decisions = {review.pair: review.decision for review in reviews}
    left = [doubt for doubt in doubts if decisions.get(doubt.pair, "skip") == "skip"]
    return sorted(left, key=lambda doubt: doubt.pair in decisions)


def _of_people(evidence: TrainingSnapshot) -> Iterator[DoubtfulNegative]:
    """Yields the pairs on which people's votes settled nothing."""
    train = evidence.asked("train")
    right = {
        normalise_question(question): positives
        for question, positives in zip(train.questions, train.right, strict=True)
    }
    worded = {normalise_question(question): question for question in train.questions}
    for (question, passage_id), reason in evidence.judgments.unsettled.items():
        if question in worded and split_of(question) == "train" and reason in DOUBT_OF_REASON:
            ids = tuple(evidence.passage_ids[row] for row in right[question])
            yield DoubtfulNegative(
                question=worded[question],
                right=ids,
                passage_id=passage_id,
                kind=DOUBT_OF_REASON[reason],
                why=reason,
            )


def _mined(stores: Stores, evidence: TrainingSnapshot, plan: NightPlan) -> Iterator[DoubtfulNegative]:
    """Yields the candidates that cleaning removed for a reason that may be mistaken, and those that it nearly removed."""
    asked = _newest(evidence.asked("train"), N_RECENT_QUESTIONS_READ if plan.teacher else N_RECENT_QUESTIONS)
    if not len(asked):
        return
    versions = {version.encoder_id: version for version in (stores.registry.base(), stores.current())}
    views = [encode_view(stores, evidence, version, asked.questions, no_progress) for version in versions.values()]
    mine = make_mining_context(evidence, asked, views[-1], plan.towers.seed)
    finders = tuple(
        dict.fromkeys(
            (
                *(source for source in plan.towers.sources if source not in ("random", "in_batch", "earlier")),
                "feedback",
                *NEARBY_FINDERS,
            )
        )
    )
    teacher = CachingTeacher(plan.teacher) if plan.teacher else None
    by_source = mine_negatives(mine, views, evidence.texts, finders, MAX_PER_FINDER, known=asked.known, teacher=teacher)
    margins = _Margins(mine, views[-1])
    for index, question in enumerate(asked.questions):
        right = tuple(evidence.passage_ids[row] for row in asked.right[index])
        for mined in (by_source[source][index] for source in finders):
            outcomes = [(candidate, reason) for candidate, reason in mined.removed] + [
                (candidate, "") for candidate in mined.kept
            ]
            for candidate, reason in outcomes:
                kind = _kind(candidate, reason, margins.share(index, candidate.passage))
                if kind is not None:
                    margin = margins.of(index, candidate.passage)
                    yield DoubtfulNegative(
                        question=question,
                        right=right,
                        passage_id=evidence.passage_ids[candidate.passage],
                        kind=kind,
                        why=reason,
                        margin=margin,
                    )


def _kind(candidate: Candidate, reason: RemovalReason, share: float) -> DoubtKind | None:
    """Returns what makes a mined candidate doubtful; None if nothing does, or if a review could not change it."""
    if reason in ("reviewed_not_negative", "not_read_by_teacher", "is_positive"):
        return None
    if candidate.source == "feedback":
        return "overruled" if reason else None
    if reason == "teacher_says_positive":
        return "read"
    if reason:
        return None if reason in {rule.reason for rule in NEAR_DUPLICATE_RULES} else "suspected"
    return "inside" if share > POSITIVE_MARGIN - NEAR_MARGIN else None


@dataclass(frozen=True, slots=True)
class _Margins:
    """Distances of candidates from the right passages, by the current version."""

    mine: MiningContext
    view: VersionView

    def of(self, index: int, passage: int) -> float:
        """Returns the lowest cosine of a right passage of the question *index*, minus that of *passage*."""
        lowest, own = self._cosines(index, passage)
        return round(lowest - own, 4)

    def share(self, index: int, passage: int) -> float:
        """The candidate's cosine divided by that of the lowest right passage; 0 if the latter is not above 0."""
        lowest, own = self._cosines(index, passage)
        return own / lowest if lowest > 0 else 0.0

    def _cosines(self, index: int, passage: int) -> tuple[float, float]:
        query, vectors = self.view.question_vectors[index], self.view.passage_vectors
        right = sorted(self.mine.positives[index])
        return float(np.min(vectors[right] @ query)), float(vectors[passage] @ query)


def _newest(asked: JudgedQuestions, n: int) -> JudgedQuestions:
    """Returns the *n* questions with a right passage that were judged last."""
    indices = [index for index, right in enumerate(asked.right) if right]
    indices.sort(key=lambda index: asked.given_at[index], reverse=True)
    return asked.only(indices[:n])


def _few_of_each_question(doubts: Iterable[DoubtfulNegative]) -> Iterator[DoubtfulNegative]:
    """Yields no pair twice, and at most `MAX_PER_QUESTION` doubts about each question."""
    seen: set[QuestionPassage] = set()
    n_of: Counter[str] = Counter()
    for doubt in doubts:
        question = doubt.pair[0]
        if doubt.pair not in seen and n_of[question] < MAX_PER_QUESTION:
            seen.add(doubt.pair)
            n_of[question] += 1
            yield doubt


def _margin(doubt: DoubtfulNegative) -> float:
    return abs(doubt.margin or 0.0)
