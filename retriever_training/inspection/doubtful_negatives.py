"""Negatives that are in doubt, for people to look at: what people disagree on, and what cleaning is unsure of."""

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
"""One person alone rejected it; people are divided; people rejected what says the same as a right passage; the
cross-encoder takes it for right; a rule of cleaning does; it is a negative, and hardly so."""
DOUBT_KINDS: tuple[DoubtKind, ...] = get_args(DoubtKind)
DOUBT_OF_REASON: Mapping[UnsettledReason, DoubtKind] = {"rejected_by_one_person": "alone", "people_divided": "divided"}
"""What people left unsettled → the doubt that it is; a person can help with these two only."""

N_DOUBTS = 50
N_RECENT_QUESTIONS = 200  # judged last, whose candidates are looked at
N_RECENT_QUESTIONS_READ = 20  # of them, if a cross-encoder reads: eight passages of each take it a minute
MAX_PER_FINDER = 5  # candidates of each way of finding
MAX_PER_QUESTION = 2  # doubts of one question at most
NEARBY_FINDERS = ("dense", "bm25")
"""What pushes most in tiers 1 and 2, if every passage is a negative, and is near in serving."""
NEAR_MARGIN = 0.05
"""Below the margin by this share of the positive's cosine: what a slightly stricter margin would remove."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoubtfulNegative:
    """A passage that may or may not be a negative of a question."""

    question: str
    right: tuple[str, ...]
    """Ids of the passages that people call right."""
    passage_id: str
    kind: DoubtKind
    why: str
    """The reason of the rule or of the judgment, if there is one."""
    margin: float | None = None
    """The right passage's cosine with the question, of several the lowest, less its own."""

    @property
    def pair(self) -> QuestionPassage:
        """As reviews name it."""
        return normalise_question(self.question), self.passage_id


def find_doubtful_negatives(stores: Stores, plan: NightPlan, n: int = N_DOUBTS) -> list[DoubtfulNegative]:
    """Up to *n* that nobody has decided on, those of people first. Only training questions: nothing learns from others."""
    evidence = load_snapshot(
        stores, trusted=plan.trusted, max_per_person=plan.max_per_person, quarantined=plan.quarantined
    )
    found = [*_of_people(evidence), *_mined(stores, evidence, plan)]
    by_kind: dict[DoubtKind, list[DoubtfulNegative]] = defaultdict(list)
    for doubt in undecided_doubts(found, ReviewStore(stores.engine).standing(without=plan.quarantined)):
        by_kind[doubt.kind].append(doubt)
    people = [*by_kind["alone"], *by_kind["divided"], *by_kind["overruled"]]
    others = [sorted(by_kind[kind], key=_margin) for kind in ("read", "suspected", "inside")]
    queue = chain(people, (doubt for turn in zip_longest(*others) for doubt in turn if doubt is not None))
    return list(islice(_few_of_each_question(queue), n))


def undecided_doubts(doubts: Iterable[DoubtfulNegative], reviews: Iterable[Review]) -> list[DoubtfulNegative]:
    """Those that no review has decided; what somebody skipped comes last."""
    decisions = {review.pair: review.decision for review in reviews}
    left = [doubt for doubt in doubts if decisions.get(doubt.pair, "skip") == "skip"]
    return sorted(left, key=lambda doubt: doubt.pair in decisions)


def _of_people(evidence: TrainingSnapshot) -> Iterator[DoubtfulNegative]:
    """What people said something of that settled nothing."""
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
    """What cleaning removed for a reason that may be mistaken, and what it kept and nearly removed."""
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
            found = [(candidate, reason) for candidate, reason in mined.removed] + [
                (candidate, "") for candidate in mined.kept
            ]
            for candidate, reason in found:
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
    """What makes a mined candidate doubtful; None if it is not, or if nobody can help it."""
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
    """How far candidates are from the right passages, by the current version."""

    mine: MiningContext
    view: VersionView

    def of(self, place: int, passage: int) -> float:
        """The lowest right passage's cosine less this one's."""
        lowest, own = self._cosines(place, passage)
        return round(lowest - own, 4)

    def share(self, place: int, passage: int) -> float:
        """The candidate's cosine divided by that of the lowest right passage; 0 if the latter is not above 0."""
        lowest, own = self._cosines(place, passage)
        return own / lowest if lowest > 0 else 0.0

    def _cosines(self, place: int, passage: int) -> tuple[float, float]:
        query, vectors = self.view.question_vectors[place], self.view.passage_vectors
        right = sorted(self.mine.positives[place])
        return float(np.min(vectors[right] @ query)), float(vectors[passage] @ query)


def _newest(asked: JudgedQuestions, n: int) -> JudgedQuestions:
    """Those with a right passage that were judged last, *n* at most."""
    places = [index for index, right in enumerate(asked.right) if right]
    places.sort(key=lambda place: asked.given_at[place], reverse=True)
    return asked.only(places[:n])


def _few_of_each_question(doubts: Iterable[DoubtfulNegative]) -> Iterator[DoubtfulNegative]:
    """No pair twice, and OF_QUESTION of each question."""
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
