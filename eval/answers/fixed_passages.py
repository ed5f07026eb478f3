"""Turns chosen passages into the hits that a search would have returned, and into what a generator writes from them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eval.answers.ask_questions import FALLBACK_ERROR, PerQuestionCachedEncoder
from eval.answers.faithfulness import without_citation_marks
from eval.answers.perturbations import CHANGED_SUFFIX
from eval.answers.robustness import GeneratedAnswer
from rag.generation.abstention import AbstentionThreshold
from rag.generation.generator import AnswerDraft, GenerationRequest, Generator
from rag.records import Hit, Passage
from rag.retrieval.fusion import normalise_bm25
from rag.retrieval.retriever import LexicalSearch


class FixedPassageAnswerer:
    """A generator over given passages, with the scores that they have for the question; their order is their rank."""

    def __init__(
        self,
        generator: Generator,
        encoder: PerQuestionCachedEncoder,
        lexical: LexicalSearch,
        weight: float,
        bar: AbstentionThreshold,
    ) -> None:
        self._generator = generator
        self._encoder = encoder
        self._lexical = lexical
        self._weight = weight
        self._bar = bar
        self._row = {passage_id: row for row, passage_id in enumerate(lexical.passage_ids)}

    def __call__(self, question: str, passages: Sequence[Passage]) -> GeneratedAnswer:
        """What the generator makes of the passages."""
        hits = self.hits(question, passages)
        draft = sum(
            self._generator.stream(
                GenerationRequest(
                    question=question, hits=hits, encoder=self._encoder, hits_with_context=hits, bar=self._bar
                )
            ),
            AnswerDraft(),
        )
        error = FALLBACK_ERROR if draft.fell_back else ""
        return GeneratedAnswer(without_citation_marks(draft.text), bool(draft.declined), error)

    def hits(self, question: str, passages: Sequence[Passage]) -> list[Hit]:
        """The passages as hits; a changed passage keeps the BM25 score of the original."""
        query = self._encoder.encode_queries([question])[0]
        dense = self._encoder.encode_passages([passage.encoded_text for passage in passages]) @ query
        words = normalise_bm25(np.asarray(self._lexical.scores(question)))
        lexical = [float(words[self._row[passage.passage_id.removesuffix(CHANGED_SUFFIX)]]) for passage in passages]
        return [
            Hit(
                passage=passage,
                rank=rank,
                score=float(cosine) + self._weight * by_words,
                dense=float(cosine),
                lexical=by_words,
            )
            for rank, (passage, cosine, by_words) in enumerate(zip(passages, dense, lexical, strict=True), start=1)
        ]
