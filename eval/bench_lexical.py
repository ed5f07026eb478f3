"""How long BM25 takes: ours, rank_bm25, whose scores it reproduces, and bm25s, which a user might pick instead."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from itertools import accumulate
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from rag.lexical import Lexical, tokenize

T = TypeVar("T")
Score = Callable[[int], NDArray[np.floating]]
"""Question number → scores of all passages."""


@dataclass(frozen=True, slots=True)
class Timing:
    """One library in one run."""

    build_s: float
    """From words to an index; ours cuts the texts into words as well."""
    question_ms: float
    """Mean time to score every passage for one question; ours cuts the question into words as well."""


@dataclass(frozen=True, slots=True)
class LexicalBench:
    """All libraries over the same words, question by question in turn."""

    n_passages: int
    n_questions: int
    words_per_question: float
    nightjar: Timing
    rank_bm25: Timing
    bm25s: Timing | None
    """None where bm25s is not installed."""
    largest_difference: float
    """Between our scores and rank_bm25's, over all questions and passages."""

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

    words = [tokenize(passage) for passage in passages]
    asked = [tokenize(question) for question in questions]
    lexical, our_build_s = _timed(lambda: Lexical.build([str(number) for number in range(len(passages))], passages))
    reference, their_build_s = _timed(lambda: BM25Okapi(words))
    scorers: dict[str, Score] = {
        "nightjar": lambda number: lexical.scores(questions[number]),
        "rank_bm25": lambda number: np.asarray(reference.get_scores(asked[number])),
    }
    bm25s_build_s = 0.0
    if find_spec("bm25s"):
        scorers["bm25s"], bm25s_build_s = _timed(lambda: _bm25s(words, asked))
    ms, difference = _in_turn(scorers, len(questions))
    return LexicalBench(
        n_passages=len(passages),
        n_questions=len(questions),
        words_per_question=sum(map(len, asked)) / max(1, len(asked)),
        nightjar=Timing(our_build_s, ms["nightjar"]),
        rank_bm25=Timing(their_build_s, ms["rank_bm25"]),
        bm25s=Timing(bm25s_build_s, ms["bm25s"]) if "bm25s" in ms else None,
        largest_difference=difference,
    )


def _bm25s(words: list[list[str]], asked: list[list[str]]) -> Score:
    import bm25s

    logging.getLogger("bm25s").setLevel(logging.WARNING)  # on import it sets itself to DEBUG
    index = bm25s.BM25()
    index.index(words, show_progress=False)
    return lambda number: np.asarray(index.get_scores(asked[number]))


def _in_turn(scorers: dict[str, Score], n_questions: int) -> tuple[dict[str, float], float]:
    """Mean milliseconds a question by scorer, and how far ours is from rank_bm25 at most."""
    seconds = dict.fromkeys(scorers, 0.0)
    difference = 0.0
    for number in range(n_questions):
        scores = {}
        for name, score in scorers.items():
            scores[name], taken_s = _timed(partial(score, number))
            seconds[name] += taken_s
        difference = max(difference, float(np.abs(scores["nightjar"] - scores["rank_bm25"]).max(initial=0.0)))
    return {name: 1000 * total / max(1, n_questions) for name, total in seconds.items()}, difference


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    start = time.perf_counter()
    return work(), time.perf_counter() - start
