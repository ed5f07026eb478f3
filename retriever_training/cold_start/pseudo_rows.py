"""Training rows from a library's own questions, alone or alongside people's judgments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rag.arrays import FloatArray
from rag.embedding.protocols import TextEncoder
from rag.index.bm25 import Bm25Index
from rag.records import Passage
from retriever_training.cold_start.consistency_filter import MAX_RANK, find_consistent_passages
from retriever_training.cold_start.pseudo_questions import (
    MAX_PSEUDO_QUESTIONS,
    PSEUDO_QUESTION_SOURCES,
    PseudoQuestion,
    PseudoQuestionDraw,
    draw_pseudo_questions,
)
from retriever_training.judgments.snapshot import JudgedQuestions
from retriever_training.losses.full_softmax import SoftmaxRows


@dataclass(frozen=True, slots=True, kw_only=True)
class PseudoQuestionSet:
    """A library's own questions, and the library without the words that they were made from."""

    asked: JudgedQuestions
    """The questions with their right passages by row; the surest of these are trained on, and the others masked."""
    sources: tuple[str, ...]
    """The source of each question."""
    question_vectors: FloatArray
    """`(q, dim)`, unit rows."""
    texts: tuple[str, ...]
    """What is left of every passage, which both towers must read in its place."""
    passage_vectors: FloatArray
    """`(n, dim)`, unit rows: the vectors of *texts*."""
    lexical: Bm25Index
    """BM25 over *texts*."""
    counts: Mapping[str, int]
    """How many questions were kept and dropped, by "source: reason"."""

    def only(self, places: Sequence[int]) -> PseudoQuestionSet:
        """Returns the questions at these indices; the passages still lack the words of the other questions."""
        asked = JudgedQuestions(
            questions=tuple(self.asked.questions[index] for index in places),
            right=tuple(self.asked.right[index] for index in places),
            rejected=((),) * len(places),
        )
        sources = tuple(self.sources[index] for index in places)
        return replace(self, asked=asked, sources=sources, question_vectors=self.question_vectors[list(places)])


def build_pseudo_question_set(
    passages: Sequence[Passage],
    encoder: TextEncoder,
    passage_vectors: FloatArray,
    lexical_weight: float,
    weight: float,
    seed: int,
    llm_questions: Iterable[tuple[int, str]] = (),
    sources: Sequence[str] = PSEUDO_QUESTION_SOURCES,
    progress: Callable[[int], None] = lambda n: None,
    n: int = MAX_PSEUDO_QUESTIONS,
) -> PseudoQuestionSet:
    """Draws up to *n* of a library's questions, and keeps the consistent ones with *weight* (people's weigh up to 1).

    *encoder* and *passage_vectors*, `(n, dim)` in the order of *passages*, are the base's; passages that a question was
    taken out of are encoded again.
    """
    drawn = draw_pseudo_questions(passages, seed, llm_questions, sources, n)
    vectors = passage_vectors.copy()
    changed = [row for row, passage in enumerate(passages) if drawn.texts[row] != passage.encoded_text]
    if changed:
        vectors[changed] = encoder.encode_passages([drawn.texts[row] for row in changed])
    progress(len(changed))
    asked = encoder.encode_queries([pseudo_question.question for pseudo_question in drawn.questions])
    lexical = Bm25Index.build([passage.passage_id for passage in passages], drawn.texts)
    right = find_consistent_passages(drawn.questions, asked, vectors, lexical, lexical_weight)
    kept = [index for index, rows in enumerate(right) if rows]
    return PseudoQuestionSet(
        asked=JudgedQuestions(
            questions=tuple(drawn.questions[index].question for index in kept),
            right=tuple(_weighed(drawn.questions[index], right[index], weight) for index in kept),
            rejected=((),) * len(kept),
        ),
        sources=tuple(drawn.questions[index].source for index in kept),
        question_vectors=asked[kept],
        texts=drawn.texts,
        passage_vectors=vectors,
        lexical=lexical,
        counts=_counts(drawn, right),
    )


def _weighed(one: PseudoQuestion, right: Sequence[int], weight: float) -> dict[int, float]:
    """Returns the consistent passages with *weight*, and others that may answer with half of it, so none is a negative."""
    others = [*one.left] if one.source != "summary" else []
    others += [one.verbatim_row] if one.verbatim_row is not None else []
    return dict.fromkeys(others, weight / 2) | dict.fromkeys(right, weight)


def _counts(drawn: PseudoQuestionDraw, right: Sequence[Sequence[int]]) -> dict[str, int]:
    counts = Counter(drawn.dropped)
    for pseudo_question, rows in zip(drawn.questions, right, strict=True):
        counts[
            f"{pseudo_question.source}: {'kept' if rows else f'not among the first {MAX_RANK} by what is left'}"
        ] += 1
    return dict(sorted(counts.items()))


def concatenate_rows(people: SoftmaxRows, cold: SoftmaxRows) -> SoftmaxRows:
    """Joins people's rows and the library's own into one softmax, in which each sees passages of its own kind only."""
    n_questions, n_whole, n_left = len(people.questions), len(people.passages), len(cold.passages)
    whole, left = np.arange(n_whole), np.arange(n_whole, n_whole + n_left)
    return SoftmaxRows(
        questions=np.concatenate([people.questions, cold.questions]),
        passages=np.concatenate([people.passages, cold.passages]),
        question_of=np.concatenate([people.question_of, cold.question_of + n_questions]),
        positive_of=np.concatenate([people.positive_of, cold.positive_of + n_whole]),
        weight=np.concatenate([people.weight, cold.weight]),
        masked=tuple(np.concatenate([masked, left]) for masked in people.masked)
        + tuple(np.concatenate([masked + n_whole, whole]) for masked in cold.masked),
        emphasised=people.emphasised + tuple(rows + n_whole for rows in cold.emphasised),
        lexical=people.lexical + tuple((lexical_rows + n_whole, bonus) for lexical_rows, bonus in cold.lexical),
    )
