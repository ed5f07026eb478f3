"""Passages that somebody chose → the hits that a search would have made of them, and what a generator writes from them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eval.answers.ask_questions import FALLBACKS, Remembering
from eval.answers.faithfulness import bare
from eval.answers.perturbations import CHANGED
from eval.answers.robustness import Given
from rag.generation.abstention import Bar
from rag.generation.generator import Draft, Evidence, Generator
from rag.records import Hit, Passage
from rag.retrieval.fusion import normalised_lexical
from rag.retrieval.retriever import LexicalSearch


class FromGiven:
    """A generator over given passages, with the scores that they have for the question; their order is their rank."""

    def __init__(
        self, generator: Generator, encoder: Remembering, lexical: LexicalSearch, weight: float, bar: Bar
    ) -> None:
        self._generator = generator
        self._encoder = encoder
        self._lexical = lexical
        self._weight = weight
        self._bar = bar
        self._row = {passage_id: row for row, passage_id in enumerate(lexical.passage_ids)}

    def __call__(self, question: str, passages: Sequence[Passage]) -> Given:
        """What the generator makes of the passages."""
        hits = self.hits(question, passages)
        draft = sum(self._generator.stream(Evidence(question, hits, self._encoder, wide=hits, bar=self._bar)), Draft())
        error = "the language model wrote no answer" if any(one in draft.text for one in FALLBACKS) else ""
        return Given(bare(draft.text), bool(draft.declined), error)

    def hits(self, question: str, passages: Sequence[Passage]) -> list[Hit]:
        """The passages as hits; one that was changed has the word score of what it was."""
        query = self._encoder.encode_queries([question])[0]
        dense = self._encoder.encode_passages([one.encoded_text for one in passages]) @ query
        words = normalised_lexical(np.asarray(self._lexical.scores(question)))
        lexical = [float(words[self._row[one.passage_id.removesuffix(CHANGED)]]) for one in passages]
        return [
            Hit(one, rank, float(cosine) + self._weight * by_words, float(cosine), by_words)
            for rank, (one, cosine, by_words) in enumerate(zip(passages, dense, lexical, strict=True), start=1)
        ]
