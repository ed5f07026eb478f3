"""From candidates to training rows: how many of each source a question gets, each with its provenance."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from retriever_training.negatives.candidates.records import Candidate, MinedNegatives, MiningContext, VersionView
from retriever_training.negatives.candidates.similarities import row_cosines
from retriever_training.negatives.curriculum import competence, easiest_share
from retriever_training.negatives.denoising.cross_encoder_teacher import Teacher
from retriever_training.negatives.denoising.false_negative_rules import count_removed, remove_false_negatives
from retriever_training.negatives.denoising.pair_features import NO_KNOWN_LABELS, KnownLabels
from retriever_training.negatives.finders import FINDERS
from retriever_training.negatives.reasons import RemovalReason, removal_reason
from retriever_training.negatives.rotation import hash_shuffled, take_turn

POOL_SIZE = 20  # how many candidates each source is asked for, before cleaning
QUOTAS: Mapping[str, int] = {"feedback": 2, "dense": 1, "bm25": 1, "random": 1}
"""The most negatives of each source in a row, before the remaining candidates fill it up."""
MAX_ROW_SHARE = 1 / 32
"""The share of all rows that may hold the same passage: one per batch. No batch takes a text twice, so if more rows held
it, the last batches would consist of these rows alone."""
MIN_ROW_LIMIT = 5  # rows that may hold a passage whatever the share, so that a night of forty questions has enough


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRow:
    """One training row: a question, a right passage, and negatives with their provenance."""

    question: str
    positive_id: str
    weight: float
    negatives: tuple[Candidate, ...]
    margins: tuple[float, ...] = ()
    """For each negative: the right passage's cosine with the question, less the negative's, by the current version."""
    removed: tuple[tuple[RemovalReason, int], ...] = ()
    """How many candidates of this question were left out, by reason."""
    split: str = "train"
    """The split of its judgments, or "replay"."""


def mine_negatives(
    context: MiningContext,
    views: Sequence[VersionView],
    texts: Sequence[str],
    finders: Sequence[str] = tuple(FINDERS),
    pool: int = POOL_SIZE,
    *,
    known: KnownLabels = NO_KNOWN_LABELS,
    teacher: Teacher | None = None,
) -> dict[str, list[MinedNegatives]]:
    """Returns every source's candidates for every question, cleaned: source → one `MinedNegatives` per question.

    The candidates of all sources are cleaned together, so that no text is read twice; *known* and *teacher* are those of
    `remove_false_negatives`.
    """
    found = {name: FINDERS[name](context, pool) for name in finders}
    together = [[candidate for source in found.values() for candidate in source[row]] for row in range(len(context))]
    cleaned = remove_false_negatives(context, together, views, texts, known=known, teacher=teacher)
    split = [_split_by_source(mined, finders) for mined in cleaned]
    return {name: [candidates[name] for candidates in split] for name in finders}


def source_quotas(sources: Sequence[str]) -> dict[str, int]:
    """Returns the most negatives of each of these sources in a row, in their order; 1 for sources that QUOTAS lacks.

    >>> source_quotas(("neighbour", "feedback"))
    {'neighbour': 1, 'feedback': 2}
    """
    return {source: QUOTAS.get(source, 1) for source in sources}


def choose_negatives(
    by_source: Mapping[str, Sequence[MinedNegatives]],
    row: int,
    n: int,
    quotas: Mapping[str, int] = QUOTAS,
    full: Container[int] = frozenset(),
) -> list[Candidate]:
    """Returns up to *n* negatives for one question: each source up to its quota in the order given, then what is left.

    Skips the passages in *full*.
    """
    chosen: list[Candidate] = []
    taken: set[int] = set()
    for limit in (quotas, dict.fromkeys(by_source, n)):
        for source, mined in by_source.items():
            n_of_source = 0
            for candidate in mined[row].kept:
                if len(chosen) == n:
                    return chosen
                if n_of_source == limit.get(source, 0):
                    break
                if candidate.passage not in taken and candidate.passage not in full:
                    chosen.append(candidate)
                    taken.add(candidate.passage)
                    n_of_source += 1
    return chosen


def mix_rows(
    context: MiningContext,
    by_source: Mapping[str, Sequence[MinedNegatives]],
    right: Sequence[Mapping[int, float]],
    n: int,
    quotas: Mapping[str, int] = QUOTAS,
    max_share: float = MAX_ROW_SHARE,
) -> tuple[list[TrainingRow], dict[RemovalReason, int]]:
    """Returns one row for each question and right passage, with up to *n* negatives, and how many candidates were left out,
    by reason.

    *right* holds the passages to train on and their weights, for each question of the *context*. A passage is a negative of
    at most *max_share* of the rows; later rows get their next candidates instead. This also applies to people's
    rejections: a passage that is voted down everywhere is pushed away from a few questions, not from all.
    """
    most = max(MIN_ROW_LIMIT, math.ceil(max_share * sum(map(len, right))))
    held: Counter[int] = Counter()
    full: set[int] = set()
    removed: Counter[RemovalReason] = Counter()
    rows: list[TrainingRow] = []
    for index, positives in enumerate(right):
        negatives, n_replaced = _within(by_source, index, n, quotas, full)
        reasons = Counter(count_removed(mined[index] for mined in by_source.values()))
        if n_replaced:
            reasons[removal_reason("in_too_many_rows", str(most))] = n_replaced
        removed += reasons
        counts = tuple(sorted(reasons.items()))
        for positive, weight in positives.items():
            rows.append(
                TrainingRow(
                    question=context.questions[index],
                    positive_id=context.passage_ids[positive],
                    weight=weight,
                    negatives=negatives,
                    removed=counts,
                )
            )
            held.update(negative.passage for negative in negatives)
        full.update(negative.passage for negative in negatives if held[negative.passage] >= most)
    return _with_margins(context, right, rows), dict(removed)


def rows_of_epoch(
    rows: Sequence[TrainingRow], n: int, epoch: int, epochs: int, seed: int, *, easy_first: bool = False
) -> list[TrainingRow]:
    """Returns the rows, each with those *n* of its negatives that are due in *epoch*, counted from 0.

    The negatives of a row are its pool and take turns, in an order of its own. With *easy_first* the first epoch
    draws from the easier half only, and the last from all.
    """
    shares = [competence(past, epochs) if easy_first else 1.0 for past in range(epoch + 1)]
    return [_due(row, n, shares, seed) for row in rows]


def rows_as_json(mine: MiningContext, rows: Sequence[TrainingRow]) -> Iterator[dict[str, Any]]:
    """Yields the rows as `nightjar mine` writes them: ids, and for each negative its provenance and how hard it is."""
    for row in rows:
        yield {
            "query": row.question,
            "positive": row.positive_id,
            "weight": round(row.weight, 4),
            "split": row.split,
            "seed": mine.seed,
            "negatives": [
                {
                    "passage_id": mine.passage_ids[negative.passage],
                    "source": negative.source,
                    "version": negative.version,
                    "rank": negative.rank,
                    "score": round(negative.score, 4),
                    "margin": round(margin, 4),
                }
                for negative, margin in zip(row.negatives, row.margins, strict=True)
            ],
            "removed": dict(row.removed),
        }


def _split_by_source(mined: MinedNegatives, sources: Sequence[str]) -> dict[str, MinedNegatives]:
    """Returns the candidates by source, each in its order."""
    kept: dict[str, list[Candidate]] = {name: [] for name in sources}
    removed: dict[str, list[tuple[Candidate, RemovalReason]]] = {name: [] for name in sources}
    for candidate in mined.kept:
        kept[candidate.source].append(candidate)
    for candidate, reason in mined.removed:
        removed[candidate.source].append((candidate, reason))
    return {name: MinedNegatives(tuple(kept[name]), tuple(removed[name])) for name in sources}


def _within(
    by_source: Mapping[str, Sequence[MinedNegatives]], row: int, n: int, quotas: Mapping[str, int], full: set[int]
) -> tuple[tuple[Candidate, ...], int]:
    """Returns what `choose_negatives` gives without the full passages, and how many of its first choices were full."""
    first = choose_negatives(by_source, row, n, quotas)
    n_full = sum(candidate.passage in full for candidate in first)
    return tuple(choose_negatives(by_source, row, n, quotas, full) if n_full else first), n_full


def _with_margins(
    mine: MiningContext, right: Sequence[Mapping[int, float]], rows: Sequence[TrainingRow]
) -> list[TrainingRow]:
    questions = np.repeat(np.arange(len(right)), [len(positives) for positives in right])
    positives = np.fromiter((positive for positives in right for positive in positives), np.int64)
    negatives = np.fromiter((negative.passage for row in rows for negative in row.negatives), np.int64)
    lengths = [len(row.negatives) for row in rows]
    of_positives = row_cosines(mine.question_vectors, questions, mine.passage_vectors, positives)
    of_negatives = row_cosines(mine.question_vectors, np.repeat(questions, lengths), mine.passage_vectors, negatives)
    margins = (np.repeat(of_positives, lengths) - of_negatives).tolist()
    ends = np.cumsum(lengths).tolist()
    return [
        replace(row, margins=tuple(margins[end - length : end]))
        for row, length, end in zip(rows, lengths, ends, strict=True)
    ]


def _due(row: TrainingRow, n: int, shares: Sequence[float], seed: int) -> TrainingRow:
    assert len(row.margins) == len(row.negatives), "rows that take turns are made by mix_rows"
    hardness = [-margin for margin in row.margins]
    index_of = {negative.passage: index for index, negative in enumerate(row.negatives)}
    order = [index_of[passage] for passage in hash_shuffled(list(index_of), f"{row.question}\n{row.positive_id}", seed)]
    due = take_turn(order, n, [easiest_share(hardness, share, n) for share in shares])
    return replace(
        row,
        negatives=tuple(row.negatives[index] for index in due),
        margins=tuple(row.margins[index] for index in due),
    )
