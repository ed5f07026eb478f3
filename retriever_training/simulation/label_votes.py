"""Verdicts made from a data set's labels, some of them wrong, so that a night can be measured against the truth."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from eval.datasets.beir import BeirDataset
from rag.errors import UsageError

PLAUSIBLE_SHARE = 0.5  # the share of wrong pins that name a shown passage; the others name any
VERDICT_OF_RATING: Mapping[str, str] = {
    "Excellent": "helpful",
    "Acceptable": "helpful",
    "Bad": "not_relevant",
}
"""Rating of a passage → verdict; "Could be improved" gives none."""


def pins_from_labels(
    dataset: BeirDataset, split: str, shown: Mapping[str, Sequence[str]], wrong: float = 0.0, seed: int = 13
) -> Iterator[dict[str, str]]:
    """Yields the labels of a split as pins, each a line for `feedback import`; a share *wrong* of them names another passage.

    *shown* maps the id of a question to the passages shown for it, by their ids in the data set. Half of the wrong
    pins name one of these, the others any passage.
    """
    rng = np.random.default_rng(seed)
    every = [passage_id for passage_id, _, _ in dataset.corpus()] if wrong else []
    for query_id, grades in sorted(dataset.split(split).items()):
        for right in sorted(passage_id for passage_id, grade in grades.items() if grade > 0):
            pinned = right
            if rng.random() < wrong:
                drawn_from = shown[query_id] if rng.random() < PLAUSIBLE_SHARE else every
                others = [passage_id for passage_id in drawn_from if grades.get(passage_id, 0) <= 0]
                pinned = others[int(rng.integers(len(others)))] if others else right
            yield {"query": dataset.queries[query_id], "passage_id": pinned, "verdict": "pin", "user": "labels"}


def verdicts_from_ratings(file: Path, split: str) -> Iterator[dict[str, str]]:
    """Yields ratings of passages as verdicts, from JSON lines of query, passage_id, rating, and optionally split.

    Ratings of the same question and passage are taken to be by different people.

    Raises:
        UsageError: a line is not such an object.
    """
    raters: Counter[tuple[str, str]] = Counter()
    for number, line in enumerate(file.read_text("utf-8").splitlines(), start=1):
        try:
            rating = json.loads(line)
            query, passage_id, verdict = rating["query"], rating["passage_id"], VERDICT_OF_RATING.get(rating["rating"])
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{file}, line {number}: expected query, passage_id and rating ({error!r})") from None
        if verdict and rating.get("split", split) == split:
            raters[query, passage_id] += 1
            user = f"rater-{raters[query, passage_id]}"
            yield {"query": query, "passage_id": passage_id, "verdict": verdict, "user": user}
