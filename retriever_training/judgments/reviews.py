"""People's decisions on doubtful negatives, and how these change the judgments that a night learns from."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from sqlalchemy import Engine, insert, select

from rag.database.schema import passages, read_connection, turns
from rag.database.user_tables import reviews
from rag.errors import NotFoundError, UsageError
from rag.records import Judgment, utc_now
from retriever_training.judgments.reasons import DropReason
from retriever_training.judgments.splits import normalise_question, split_of
from retriever_training.judgments.votes import QuestionPassage

ReviewDecision = Literal["negative", "not_negative", "skip"]
"""The passage is wrong for the question; it is not, so nothing may learn to push it away; somebody else should decide."""
REVIEW_DECISIONS: tuple[str, ...] = get_args(ReviewDecision)


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """One decision."""

    question: str
    passage_id: str
    decision: ReviewDecision
    user: str
    decided_at: datetime

    @property
    def pair(self) -> QuestionPassage:
        """The question, without case and punctuation, and the passage."""
        return normalise_question(self.question), self.passage_id


class ReviewStore:
    """The decisions in SQL; the latest one on a question and passage counts."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def decide(self, question: str, passage_id: str, decision: str, user: str) -> Review:
        """Stores what *user* decided about a passage as a negative of the question.

        Raises:
            NotFoundError: nobody asked this question, or no passage has this id.
            UsageError: *decision* is not a `ReviewDecision`.
        """
        known = next((name for name in get_args(ReviewDecision) if name == decision), None)
        if known is None:
            raise UsageError(f"unknown decision {decision!r}: use one of {', '.join(REVIEW_DECISIONS)}")
        review = Review(question=question, passage_id=passage_id, decision=known, user=user, decided_at=utc_now())
        row = {
            "question": question,
            "passage_id": passage_id,
            "decision": known,
            "user": user,
            "decided_at": review.decided_at.isoformat(),
        }
        with self.engine.begin() as connection:
            # In the exact words of the person who asked: erasing that person finds the decisions by these words.
            if connection.scalar(select(turns.c.turn_id).where(turns.c.question == question).limit(1)) is None:
                raise NotFoundError(f"nobody asked {question!r}: review a question in the words in which it was asked")
            if connection.scalar(select(passages.c.ordinal).where(passages.c.passage_id == passage_id)) is None:
                raise NotFoundError(f'no passage {passage_id!r}: "nightjar reviews" lists what is in doubt')
            connection.execute(insert(reviews), row)
        return review

    def standing(self, without: Collection[str] = ()) -> list[Review]:
        """Returns the latest decision on each question and passage, oldest first, ignoring those of people in *without*."""
        latest: dict[QuestionPassage, Review] = {}
        with read_connection(self.engine) as connection:
            for row in connection.execute(select(reviews).order_by(reviews.c.review_id)):
                if row.user not in without:
                    review = Review(
                        question=row.question,
                        passage_id=row.passage_id,
                        decision=row.decision,
                        user=row.user,
                        decided_at=datetime.fromisoformat(row.decided_at),
                    )
                    latest.pop(review.pair, None)
                    latest[review.pair] = review
        return list(latest.values())


def apply_reviews(
    judgments: Sequence[Judgment], reviews: Sequence[Review], known: Collection[str], dropped: Counter[DropReason]
) -> list[Judgment]:
    """Returns the judgments after *reviews*, in the order of their pairs; removed ones are counted in *dropped*.

    A negative that a review rejected is removed; a confirmed one becomes certain, whoever rejected the passage before.
    What people call right stays right: only votes can outvote them, not reviews. Only training questions are considered,
    so that no review can change what a version is measured on, and only passages in *known*, those in the library.
    """
    by_pair = {(normalise_question(judgment.question), judgment.passage_id): judgment for judgment in judgments}
    for review in training_reviews(reviews, known):
        said = by_pair.get(review.pair)
        if said is not None and said.label == "positive":
            continue
        if review.decision == "negative":
            by_pair[review.pair] = _confirmed(review, said)
        elif review.decision == "not_negative" and said is not None:
            del by_pair[review.pair]
            dropped["reviewed_not_negative"] += 1
    return [by_pair[pair] for pair in sorted(by_pair)]


def excluded_by_reviews(reviews: Sequence[Review], known: Collection[str]) -> dict[str, frozenset[str]]:
    """Normalised question → ids of the passages that were reviewed as not being negatives of it."""
    excluded: dict[str, set[str]] = defaultdict(set)
    for review in training_reviews(reviews, known):
        if review.decision == "not_negative":
            excluded[review.pair[0]].add(review.passage_id)
    return {question: frozenset(passages) for question, passages in excluded.items()}


def training_reviews(reviews: Sequence[Review], known: Collection[str]) -> list[Review]:
    """Returns the reviews that a night may use."""
    return [review for review in reviews if review.passage_id in known and split_of(review.question) == "train"]


def excluded_pair_lines(excluded: Mapping[str, frozenset[str]]) -> list[str]:
    """Returns one line for each excluded pair, in a fixed order: part of a night's fingerprint.

    >>> excluded_pair_lines({"who": frozenset({"b", "a"})})
    ['who a', 'who b']
    """
    return [f"{question} {passage_id}" for question in sorted(excluded) for passage_id in sorted(excluded[question])]


def _confirmed(review: Review, said: Judgment | None) -> Judgment:
    n_people = 1 + (said.n_people if said else 0)
    return Judgment(
        question=said.question if said else review.question,
        passage_id=review.passage_id,
        label="negative",
        probability=1.0,
        n_people=n_people,
        weight=1.0,
        latest_at=said.latest_at if said else review.decided_at,
    )
