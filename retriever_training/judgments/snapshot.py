"""One snapshot of the library with the judgments on it, by split: all that a night looks at."""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import get_args

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine, select

from rag.app.stores import Stores
from rag.arrays import FloatArray
from rag.database.schema import read_connection, shown_passages, verdict_events
from rag.embedding.passage_vectors import PassageVectors
from rag.index.bm25 import Bm25Index
from rag.records import Judgment, Passage
from retriever_training.judgments.aggregate import AggregatedJudgments, aggregate_votes
from retriever_training.judgments.reviews import ReviewStore, excluded_pair_lines
from retriever_training.judgments.splits import Split, normalise_question
from retriever_training.negatives.denoising.pair_features import KnownLabels

EncodeQuestions = Callable[[Sequence[str]], FloatArray]
"""Questions → `(q, dim)` float32, unit rows."""
MIN_CONFIRMED_QUESTIONS = (
    100  # from this many questions on which two people agree, only these are measured on; see decision 0012
)
NEARBY_COSINE = 0.6  # of two questions; of .5, .6 and .7 the one with the smallest p on clean and on wrong pins
NEWEST_SHARE = 0.2  # the share of held-out questions, the newest ones, that is also looked at separately
MIN_POSITIVE_WEIGHT = (
    0.5  # a positive of at least this weight counts as right in measuring: a vote for the whole answer weighs less
)


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedQuestions:
    """Questions with people's judgments on passages, which are named by their row."""

    questions: tuple[str, ...]
    right: tuple[dict[int, float], ...]
    """Row → weight of the right passages, for each question."""
    rejected: tuple[tuple[int, ...], ...]
    """Rows of the rejected passages, the surest first, for each question."""
    given_at: tuple[datetime, ...] = ()
    """When somebody last judged the question."""
    excluded: tuple[tuple[int, ...], ...] = ()
    """Passages that are not negatives, though nobody called them right, for each question; empty without reviews."""

    def __len__(self) -> int:
        return len(self.questions)

    def excluded_for(self, place: int) -> tuple[int, ...]:
        """Returns the excluded passages of one question."""
        return self.excluded[place] if self.excluded else ()

    @property
    def known(self) -> KnownLabels:
        """All known passages of each question; mining takes none of them."""
        return KnownLabels(reviewed=tuple(frozenset(excluded) for excluded in self.excluded))

    def measurable(self) -> JudgedQuestions:
        """Returns the questions that may be measured on: those with a passage that more than a liked answer supports.

        Of each question's passages only the best supported count. A mistaken thumb always goes to a passage that the
        current version shows, so to believe it alongside a passage that more people named would favour that version.
        """
        sure = [best_supported(right) for right in self.right]
        kept = [index for index, right in enumerate(sure) if max(right.values(), default=0.0) >= MIN_POSITIVE_WEIGHT]
        return replace(self, right=tuple(sure)).only(kept)

    def only(self, places: Sequence[int]) -> JudgedQuestions:
        """Returns the questions at these indices."""
        return JudgedQuestions(
            questions=tuple(self.questions[index] for index in places),
            right=tuple(self.right[index] for index in places),
            rejected=tuple(self.rejected[index] for index in places),
            given_at=tuple(self.given_at[index] for index in places),
            excluded=tuple(self.excluded_for(index) for index in places) if self.excluded else (),
        )

    def newest(self, share: float = NEWEST_SHARE) -> NDArray[np.bool_]:
        """Returns `(n,)`: the questions judged last, at most *share* of them; none if all times are equal.

        What people ask changes: a version may be better overall and worse on what they ask now.
        """
        times = sorted(self.given_at)
        n_older = len(times) - int(share * len(times))
        since = times[n_older - 1] if times else None
        return np.array([since is not None and given_at > since for given_at in self.given_at], np.bool_)


def best_supported(right: Mapping[int, float]) -> dict[int, float]:
    """Returns the passages of one question that have the highest weight.

    Training uses them as well: with three voters a question and one person in five mistaken, .75 of all positives were
    right, and .93 of the best supported.

    >>> best_supported({4: 0.94, 7: 0.64, 9: 0.94})
    {4: 0.94, 9: 0.94}
    """
    highest = max(right.values(), default=0.0)
    return {row: weight for row, weight in right.items() if math.isclose(weight, highest)}


def is_confirmed_nearby(
    asked: JudgedQuestions, others: Sequence[JudgedQuestions], encode_questions: EncodeQuestions
) -> NDArray[np.bool_]:
    """Returns `(n,)`: whether another question with a cosine of `NEARBY_COSINE` or more names the same passage.

    In this way people who each ask alone confirm each other: of the pins of feedbackqa-uk with three wrong ones in ten,
    .70 of all are right and .91 of the 30 % that are confirmed. The idea of labels that agree with their neighbours' is
    Bahri, Jiang and Gupta's (ICML 2020); they filter for training, we filter for measuring.
    """
    among = (asked, *others)
    vectors = encode_questions([question for questions in among for question in questions.questions])
    naming: dict[int, list[int]] = defaultdict(list)
    for index, rows in enumerate(rows for questions in among for rows in questions.right):
        for row in rows:
            naming[row].append(index)
    confirmed = np.zeros(len(asked), np.bool_)
    for index, rows in enumerate(asked.right):
        same = sorted({question for row in rows for question in naming[row]} - {index})
        confirmed[index] = bool((vectors[same] @ vectors[index] >= NEARBY_COSINE).any())
    return confirmed


@dataclass(frozen=True)
class TrainingSnapshot:
    """The library's passages in one order, and the judgments on them that count."""

    passages: Sequence[Passage]
    lexical: Bm25Index
    judgments: AggregatedJudgments

    @cached_property
    def passage_ids(self) -> tuple[str, ...]:
        """The passages' ids, in the order of every array of the night."""
        return tuple(passage.passage_id for passage in self.passages)

    @cached_property
    def row(self) -> dict[str, int]:
        """Passage id → row."""
        return {passage_id: row for row, passage_id in enumerate(self.passage_ids)}

    @cached_property
    def texts(self) -> list[str]:
        """The texts that encoders read, in order."""
        return [passage.encoded_text for passage in self.passages]

    def held_out(self, split: Split, encode_questions: EncodeQuestions | None = None) -> JudgedQuestions:
        """Returns the questions of a split that may be measured on: see `JudgedQuestions.measurable`.

        If `MIN_CONFIRMED_QUESTIONS` of them have a passage that two people named, only these: one person in five may be
        mistaken, two who agree hardly ever are. Failing that, with *encode_questions* (by the base), also those whose
        passage was named for a nearby question, if that makes as many: see `is_confirmed_nearby`.
        """
        every = self.asked(split).measurable()
        confirmed = self.asked(split, min_people=2).measurable()
        if len(confirmed) < MIN_CONFIRMED_QUESTIONS and encode_questions is not None:
            by_people = set(confirmed.questions)
            others = [self.asked(name).measurable() for name in get_args(Split) if name != split]
            nearby = is_confirmed_nearby(every, others, encode_questions)
            confirmed = every.only(
                [index for index, question in enumerate(every.questions) if nearby[index] or question in by_people]
            )
        return confirmed if len(confirmed) >= MIN_CONFIRMED_QUESTIONS else every

    def asked(self, split: Split, min_people: int = 1) -> JudgedQuestions:
        """Returns the judgments of one split on which at least *min_people* agree, grouped by question."""
        by_question: dict[str, list[Judgment]] = defaultdict(list)
        for judgment in self.judgments.split(split):
            if judgment.n_people >= min_people:
                by_question[normalise_question(judgment.question)].append(judgment)
        groups = [by_question[key] for key in sorted(by_question)]
        return JudgedQuestions(
            questions=tuple(group[0].question for group in groups),
            right=tuple(
                {self.row[judgment.passage_id]: judgment.weight for judgment in group if judgment.label == "positive"}
                for group in groups
            ),
            rejected=tuple(self._rejected(group) for group in groups),
            given_at=tuple(max(judgment.latest_at for judgment in group) for group in groups),
            excluded=tuple(self._spared(group[0].question) for group in groups) if self.judgments.excluded else (),
        )

    def matrix(self, vectors: PassageVectors) -> FloatArray:
        """Returns `(n, dim)`, the vectors of the snapshot's passages, all of which must have been encoded.

        The matrix of the latest passage side is cached: a night asks for the base's four times.
        """
        if self._matrices.keys() != {vectors.passage_side}:
            self._matrices.clear()
            self._matrices[vectors.passage_side] = self._read(vectors)
        return self._matrices[vectors.passage_side]

    @cached_property
    def _matrices(self) -> dict[str, FloatArray]:
        """Passage side → matrix; one entry at most."""
        return {}

    def _read(self, vectors: PassageVectors) -> FloatArray:
        ids, matrix = vectors.matrix()
        if tuple(ids) == self.passage_ids:
            return matrix
        place = {passage_id: row for row, passage_id in enumerate(ids)}
        return np.ascontiguousarray(matrix[[place[passage_id] for passage_id in self.passage_ids]])

    def fingerprint(self, *parameters: object) -> str:
        """Returns a hash of everything that determines what a night makes: passages, judgments and parameters."""
        digest = hashlib.sha256(repr(parameters).encode())
        for passage in self.passages:
            digest.update(f"{passage.passage_id} {passage.text_sha256}\n".encode())
        for judgment in self.judgments.judgments:
            digest.update(f"{judgment.question} {judgment.passage_id} {judgment.label} {judgment.weight}\n".encode())
        for line in excluded_pair_lines(self.judgments.excluded):
            digest.update(f"spared {line}\n".encode())
        return digest.hexdigest()

    def _rejected(self, group: Sequence[Judgment]) -> tuple[int, ...]:
        negatives = sorted(
            (judgment for judgment in group if judgment.label == "negative"), key=lambda judgment: -judgment.probability
        )
        return tuple(self.row[judgment.passage_id] for judgment in negatives)

    def _spared(self, question: str) -> tuple[int, ...]:
        spared = self.judgments.excluded.get(normalise_question(question), frozenset())
        return tuple(self.row[passage_id] for passage_id in sorted(spared) if passage_id in self.row)


def load_snapshot(
    stores: Stores, *, trusted: Sequence[str], max_per_person: int, quarantined: Sequence[str] = ()
) -> TrainingSnapshot:
    """Takes a snapshot of the library, with the judgments that people's latest verdicts add up to on it."""
    lexical = stores.lexical()
    in_library = stores.library.get(lexical.passage_ids)
    passages = [in_library[passage_id] for passage_id in lexical.passage_ids if passage_id in in_library]
    judgments = load_judgments(
        stores, in_library, trusted=trusted, max_per_person=max_per_person, quarantined=quarantined
    )
    return TrainingSnapshot(passages, lexical, judgments)


def load_judgments(
    stores: Stores,
    passage_ids: Collection[str],
    *,
    trusted: Sequence[str],
    max_per_person: int,
    quarantined: Sequence[str] = (),
) -> AggregatedJudgments:
    """Returns the judgments that people's latest verdicts add up to on these passages."""
    return aggregate_votes(
        stores.feedback.standing(),
        _cited(stores.engine),
        frozenset(passage_ids),
        trusted=trusted,
        max_per_person=max_per_person,
        quarantined=quarantined,
        reviews=ReviewStore(stores.engine).standing(without=quarantined),
    )


def _cited(engine: Engine) -> dict[str, list[str]]:
    """Turn → passages that its answer cited, only for turns whose answer somebody judged: the others are not needed."""
    cited: dict[str, list[str]] = defaultdict(list)
    judged_answers = select(verdict_events.c.turn_id).where(verdict_events.c.passage_id == "")
    query = (
        select(shown_passages.c.turn_id, shown_passages.c.passage_id)
        .where(shown_passages.c.cited == 1, shown_passages.c.turn_id.in_(judged_answers))
        .order_by(shown_passages.c.turn_id, shown_passages.c.rank)
    )
    with read_connection(engine) as connection:
        for turn_id, passage_id in connection.execute(query):
            cited[turn_id].append(passage_id)
    return cited
