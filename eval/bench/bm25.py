"""How long BM25 takes: ours, rank_bm25, whose scores it reproduces, and bm25s, which a user might pick instead.

And what a new file costs, next to building everything again.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from rag.index.bm25 import Bm25Index
from rag.records import sha256_of
from rag.text.analyzers import bm25_terms, detect_language

T = TypeVar("T")
N_NEW = 20  # passages of a new file
Score = Callable[[int], NDArray[np.floating]]
"""Question number → scores of all passages."""


@dataclass(frozen=True, slots=True)
class LibraryTiming:
    """One library in one run."""

    build_s: float
    """From words to an index; ours cuts the texts into words as well."""
    question_ms: float
    """Median time to score every passage for one question; ours cuts the question into words as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateCost:
    """The cost of changes to the library, in seconds, saving included."""

    n_new: int
    """Passages of the file that is added, changed in one passage, and removed."""
    anew_s: float
    """Reading and counting all other passages."""
    add_s: float
    change_s: float
    remove_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LexicalBench:
    """All libraries over the same words, question by question in turn."""

    n_passages: int
    n_questions: int
    words_per_question: float
    nightjar: LibraryTiming
    rank_bm25: LibraryTiming
    bm25s: LibraryTiming
    upkeep: UpdateCost
    largest_difference: float
    """Between our scores, with the new file in a block of its own, and rank_bm25's, over all questions and passages."""

    @property
    def times_faster(self) -> float:
        """How many questions we score while rank_bm25 scores one."""
        return self.rank_bm25.question_ms / self.nightjar.question_ms


def zipf_texts(
    n_passages: int, n_questions: int, *, n_words: int = 50_000, seed: int = 13
) -> tuple[list[str], list[str]]:
    """Passages of 60 words drawn by Zipf and Mandelbrot's law, and questions of 8 words, each from one passage.

    >>> passages, questions = zipf_texts(3, 2, n_words=10)
    >>> len(passages), len(passages[0].split()), len(questions[0].split())
    (3, 60, 8)
    """
    draw = random.Random(seed)  # noqa: S311 (a benchmark's words, no secret)
    words = [f"w{rank}" for rank in range(n_words)]
    weights = list(accumulate(1 / (rank + 2.7) for rank in range(n_words)))
    passages = [draw.choices(words, cum_weights=weights, k=60) for _ in range(n_passages)]
    questions = [draw.sample(draw.choice(passages), k=8) for _ in range(n_questions)]
    return [" ".join(passage) for passage in passages], [" ".join(question) for question in questions]


def measure_lexical(passages: Sequence[str], questions: Sequence[str]) -> LexicalBench:
    """Builds each index over *passages* and scores every question with each library in turn."""
    from rank_bm25 import BM25Okapi

    words = [bm25_terms(passage, detect_language(passage)) for passage in passages]
    ids = [f"{number:09}" for number in range(len(passages))]
    built, our_build_s = _timed(lambda: Bm25Index.build(ids, passages))
    lexical, upkeep = _keep_up(dict(zip(ids, passages, strict=True)))
    asked = [built.query_terms(question) for question in questions]
    reference, their_build_s = _timed(lambda: BM25Okapi(words))
    theirs, bm25s_build_s = _timed(lambda: _bm25s(words, asked))
    scorers: dict[str, Score] = {
        "nightjar": lambda number: lexical.scores(questions[number]),
        "rank_bm25": lambda number: np.asarray(reference.get_scores(asked[number])),
        "bm25s": theirs,
    }
    ms, difference = _in_turn(scorers, len(questions))
    return LexicalBench(
        n_passages=len(passages),
        n_questions=len(questions),
        words_per_question=sum(map(len, asked)) / max(1, len(asked)),
        nightjar=LibraryTiming(our_build_s, ms["nightjar"]),
        rank_bm25=LibraryTiming(their_build_s, ms["rank_bm25"]),
        bm25s=LibraryTiming(bm25s_build_s, ms["bm25s"]),
        upkeep=upkeep,
        largest_difference=difference,
    )


@dataclass(frozen=True, slots=True)
class _Text:
    passage_id: str
    encoded_text: str


def _keep_up(texts: dict[str, str]) -> tuple[Bm25Index, UpdateCost]:
    """Our index after its last few passages were added to the others, and what that and other changes cost."""
    n_new = min(N_NEW, len(texts) // 2)
    first, *_, last = texts
    old = dict(list(texts.items())[: len(texts) - n_new])
    with TemporaryDirectory(prefix="nightjar-bench-") as folder:

        def opened(there: dict[str, str], before: Bm25Index | None) -> tuple[Bm25Index, float]:
            wanted = {passage_id: sha256_of(text) for passage_id, text in there.items()}
            return _timed(
                lambda: Bm25Index.open(
                    Path(folder),
                    wanted,
                    lambda ids: (_Text(passage_id, there[passage_id]) for passage_id in ids),
                    before,
                )
            )

        whole, anew_s = opened(old, None)
        grown, add_s = opened(texts, whole)
        _, change_s = opened(texts | {first: texts[last]}, grown)
        _, remove_s = opened(old, grown)
    return grown, UpdateCost(n_new=n_new, anew_s=anew_s, add_s=add_s, change_s=change_s, remove_s=remove_s)


def _bm25s(words: list[list[str]], asked: list[list[str]]) -> Score:
    import bm25s

    logging.getLogger("bm25s").setLevel(logging.WARNING)  # on import it sets itself to DEBUG
    index = bm25s.BM25()
    index.index(words, show_progress=False)
    return lambda number: np.asarray(index.get_scores(asked[number]))


def _in_turn(scorers: dict[str, Score], n_questions: int) -> tuple[dict[str, float], float]:
    """Median milliseconds per question by scorer, and the largest difference of our scores from rank_bm25's."""
    seconds: dict[str, list[float]] = {name: [] for name in scorers}
    difference = 0.0
    for number in range(n_questions):
        scores = {}
        for name, score in scorers.items():
            scores[name], taken_s = _timed(partial(score, number))
            seconds[name].append(taken_s)
        difference = max(difference, float(np.abs(scores["nightjar"] - scores["rank_bm25"]).max(initial=0.0)))
    return {name: 1000 * median(times or [0.0]) for name, times in seconds.items()}, difference


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    start = time.perf_counter()
    return work(), time.perf_counter() - start
