"""What the loss knows of a batch next to its texts: which passages are no negatives, what BM25 adds, if the base puts them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rag.arrays import FloatArray, IntArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array


PADDING = -1  # in place of a negative that a row does not have
QUESTIONS_PER_BLOCK = 256
MAX_LEXICAL_PASSAGES = 1_000  # passages that BM25 adds most to, for each row

LexicalBonus = Callable[[Sequence[str], Sequence[str]], FloatArray]
"""Takes questions and passages; gives what BM25 adds to their cosines in serving, `(q, p)`."""
EncodeTexts = Callable[[Sequence[str]], FloatArray]
"""Takes texts; gives the base's vectors, `(n, dim)`, unit rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingExample:
    """One row as texts."""

    question: str
    positive: str
    negatives: tuple[str, ...] = ()
    """As many as there are; a row may have fewer than others."""
    weight: float = 1.0
    """How far the positive is believed, 0 to 1."""
    excluded: tuple[str, ...] = ()
    """Passages that are no negatives for the question: its other known and suspected positives."""
    teacher: tuple[float, ...] = ()
    """A teacher's scores of the positive and of each negative; empty if there is no teacher."""


@dataclass(frozen=True, slots=True)
class BaseVectors:
    """How the base sees the texts of a training; every vector exists before it starts."""

    questions: FloatArray
    """`(r, dim)`, unit rows, one for each example."""
    passages: FloatArray
    """`(p, dim)`, unit rows, in the order of `SideTable.passages`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSideData:
    """The rows of a training by number; a passage's number is the place of its text among all that take part."""

    passages: tuple[str, ...]
    columns: IntArray
    """`(r, 1 + n)`: the positive, then the negatives, PADDING if there are fewer."""
    weight: FloatArray
    """`(r,)`."""
    excluded: tuple[IntArray, ...]
    """For each row, passages that are no negatives for it, its own positive among them."""
    lexical: csr_array | None
    """`(r, p)`."""
    base: BaseVectors | None
    teacher: FloatArray
    """`(r, 1 + n)`, NaN if the teacher said nothing."""

    @classmethod
    def of(
        cls,
        examples: Sequence[TrainingExample],
        n_negatives: int,
        lexical: LexicalBonus | None = None,
        base: tuple[EncodeTexts, EncodeTexts] | None = None,
        near_duplicate: float = 2.0,
    ) -> BatchSideData:
        """Numbers the texts of the examples; *base* gives vectors of questions and of passages.

        Passages as near to the positive as *near_duplicate*, a cosine under the base, are spared too.
        """
        texts = [(example.positive, *example.negatives[:n_negatives]) for example in examples]
        number = {text: index for index, text in enumerate(dict.fromkeys(text for row in texts for text in row))}
        width = max((len(row) for row in texts), default=1)
        columns = np.full((len(examples), width), PADDING, np.int64)
        for row, own in enumerate(texts):
            columns[row, : len(own)] = [number[text] for text in own]
        passages = tuple(number)
        questions = [example.question for example in examples]
        seen = BaseVectors(base[0](questions), base[1](passages)) if base is not None else None
        return cls(
            passages=passages,
            columns=columns,
            weight=np.array([example.weight for example in examples], np.float32),
            excluded=_spared(examples, number, columns[:, 0], seen, near_duplicate),
            lexical=None if lexical is None else _lexical_table(lexical, questions, passages),
            base=seen,
            teacher=_teacher(examples, width),
        )

    @property
    def n_negatives(self) -> int:
        """Columns of negatives."""
        return int(self.columns.shape[1]) - 1

    def text(self, row: int, column: int) -> str:
        """Returns the text at a position; an empty one for PADDING."""
        passage = self.columns[row, column]
        return "" if passage == PADDING else self.passages[passage]

    def masked(self, rows: IntArray, passages: IntArray) -> NDArray[np.bool_]:
        """`(b, c)`: which of the batch's passages are no negatives of each of its rows."""
        masked = np.stack([np.isin(passages, self.excluded[row]) for row in rows])
        return np.asarray(masked | (passages == PADDING))

    def suspected(self, rows: IntArray, passages: IntArray, share: float) -> NDArray[np.bool_]:
        """`(b, c)`: passages above *share* of the positive's cosine under the base.

        The guided in-batch masking of GISTEmbed (Solatorio 2024, arXiv 2402.16829) with the margin of NV-Retriever.
        """
        assert self.base is not None
        asked = self.base.questions[rows]
        of_positive = (asked * self.base.passages[self.columns[rows, 0]]).sum(axis=1, keepdims=True)
        return np.asarray(asked @ self.base.passages[passages].T > share * of_positive)

    def offsets(self, rows: IntArray, passages: IntArray) -> FloatArray:
        """`(b, c)`: what BM25 adds to the cosines."""
        assert self.lexical is not None
        return np.asarray(self.lexical[rows].toarray()[:, passages], np.float32)


def _spared(
    examples: Sequence[TrainingExample],
    number: dict[str, int],
    positive: IntArray,
    base: BaseVectors | None,
    near: float,
) -> tuple[IntArray, ...]:
    of_question: dict[str, set[int]] = defaultdict(set)
    for example, own in zip(examples, positive, strict=True):
        of_question[example.question] |= {int(own)} | {number[text] for text in example.excluded if text in number}
    spared = []
    for example, own in zip(examples, positive, strict=True):
        twins: list[int] = []
        if base is not None:
            twins = np.flatnonzero(base.passages @ base.passages[own] >= near).tolist()
        spared.append(np.array(sorted(of_question[example.question].union(twins)), np.int64))
    return tuple(spared)


def _teacher(examples: Sequence[TrainingExample], width: int) -> FloatArray:
    scores = np.full((len(examples), width), np.nan, np.float32)
    for row, example in enumerate(examples):
        some = example.teacher[:width]
        scores[row, : len(some)] = some
    return scores


def _lexical_table(lexical: LexicalBonus, questions: Sequence[str], passages: Sequence[str]) -> csr_array:
    from scipy.sparse import csr_array, vstack

    blocks = []
    for start in range(0, len(questions), QUESTIONS_PER_BLOCK):
        scores = lexical(questions[start : start + QUESTIONS_PER_BLOCK], passages).astype(np.float32)
        if scores.shape[1] > MAX_LEXICAL_PASSAGES:
            least = -np.partition(-scores, MAX_LEXICAL_PASSAGES - 1, axis=1)[
                :, MAX_LEXICAL_PASSAGES - 1 : MAX_LEXICAL_PASSAGES
            ]
            scores[scores < least] = 0.0
        blocks.append(csr_array(scores))
    return csr_array(vstack(blocks, format="csr"))
