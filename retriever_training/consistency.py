"""Keeps the pseudo-questions whose passage the base finds by what is left of it, as rows to train on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rag.fusion import normalised_lexical, top_fused
from rag.lexical import Lexical
from rag.records import Passage
from retriever_training.cold_start import SOURCES, Drawn, PseudoQuestion, draw
from retriever_training.evidence import Asked

FloatArray = NDArray[np.float32]

TOP = 10  # among which the passage must be
CANDIDATES = 100  # of each side, as in serving
QUESTIONS_AT_ONCE = 256  # × 100,000 passages: a 100 MB matrix


class TextEncoder(Protocol):
    """Both halves of an encoder."""

    def encode_queries(self, texts: Sequence[str]) -> FloatArray:
        """`(n, dim)` float32, rows of unit length."""

    def encode_passages(self, texts: Sequence[str]) -> FloatArray:
        """`(n, dim)` float32, rows of unit length."""


@dataclass(frozen=True, slots=True)
class ColdStart:
    """A library's own questions, and the library without the words that they were made of."""

    asked: Asked
    """Right passages by their row in the library; of several the surest are trained on, and the others masked."""
    sources: tuple[str, ...]
    """Of each question."""
    question_vectors: FloatArray
    """`(q, dim)`, unit rows."""
    texts: tuple[str, ...]
    """What is left of every passage: what both towers must read in its place."""
    passage_vectors: FloatArray
    """`(n, dim)`, unit rows: of *texts*."""
    lexical: Lexical
    """BM25 over *texts*."""
    counts: Mapping[str, int]
    """How many questions were kept and dropped, by "source: reason"."""


def cold_start_rows(
    passages: Sequence[Passage],
    encoder: TextEncoder,
    passage_vectors: FloatArray,
    lexical_weight: float,
    weight: float,
    seed: int,
    written: Iterable[tuple[int, str]] = (),
    sources: Sequence[str] = SOURCES,
    progress: Callable[[int], None] = lambda n: None,
) -> ColdStart:
    """Draws a library's questions, and keeps the consistent ones with *weight* (people's weigh up to 1).

    *encoder* and *passage_vectors*, `(n, dim)` in the order of *passages*, are the base's; what was changed by taking a
    question out is encoded anew.
    """
    drawn = draw(passages, seed, written, sources)
    vectors = passage_vectors.copy()
    changed = [row for row, passage in enumerate(passages) if drawn.texts[row] != passage.encoded_text]
    if changed:
        vectors[changed] = encoder.encode_passages([drawn.texts[row] for row in changed])
    progress(len(changed))
    asked = encoder.encode_queries([one.question for one in drawn.questions])
    lexical = Lexical.build([passage.passage_id for passage in passages], drawn.texts)
    right = consistent(drawn.questions, asked, vectors, lexical, lexical_weight)
    kept = [place for place, rows in enumerate(right) if rows]
    return ColdStart(
        Asked(
            tuple(drawn.questions[place].question for place in kept),
            tuple(_weighed(drawn.questions[place], right[place], weight) for place in kept),
            ((),) * len(kept),
        ),
        tuple(drawn.questions[place].source for place in kept),
        asked[kept],
        drawn.texts,
        vectors,
        lexical,
        _counts(drawn, right),
    )


def consistent(
    questions: Sequence[PseudoQuestion],
    asked: FloatArray,
    passages: FloatArray,
    lexical: Lexical,
    lexical_weight: float,
    top: int = TOP,
) -> list[list[int]]:
    """For each question those of its passages that are served among the first *top*, best first; of a summary's, one.

    *asked* `(q, dim)` and *passages* `(n, dim)`, like *lexical*, are without the questions' own words: with them nearly
    everything is found, and the check says nothing (headings .97 and first sentences .99 among the first ten on
    feedbackqa-uk, against .76 and .72). The idea is that of Promptagator's round trip (Dai et al., ICLR 2023).
    """
    found: list[list[int]] = []
    for start in range(0, len(questions), QUESTIONS_AT_ONCE):
        some = slice(start, start + QUESTIONS_AT_ONCE)
        words = lexical.score_matrix([one.question for one in questions[some]])
        for one, cosines, scores in zip(questions[some], asked[some] @ passages.T, words, strict=True):
            first = top_fused(cosines, normalised_lexical(scores), lexical_weight, CANDIDATES, top + 1)
            served = [int(row) for row in first if row != one.says_it][:top]
            right = [row for row in served if row in one.left]
            found.append(right[:1] if one.source == "summary" else right)
    return found


def _weighed(one: PseudoQuestion, right: Sequence[int], weight: float) -> dict[int, float]:
    """The consistent passages with *weight*; what else may answer with half of it, so that it is no negative either."""
    others = [*one.left] if one.source != "summary" else []
    others += [one.says_it] if one.says_it is not None else []
    return dict.fromkeys(others, weight / 2) | dict.fromkeys(right, weight)


def _counts(drawn: Drawn, right: Sequence[Sequence[int]]) -> dict[str, int]:
    counts = Counter(drawn.dropped)
    for one, rows in zip(drawn.questions, right, strict=True):
        counts[f"{one.source}: {'kept' if rows else f'not among the first {TOP} by what is left'}"] += 1
    return dict(sorted(counts.items()))
