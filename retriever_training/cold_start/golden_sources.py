"""Golden questions from the library itself: what people liked, its headings, and what a language model asked about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from eval.datasets.golden_questions import Golden
from rag.records import Judgment, Passage
from retriever_training.cold_start.pseudo_questions import LLM_SOURCE
from retriever_training.cold_start.pseudo_rows import PseudoQuestionSet
from retriever_training.judgments.snapshot import MIN_POSITIVE_WEIGHT, best_supported

GOLDEN_ORIGINS = {"heading": "heading", LLM_SOURCE: "model"}
"""Source of pseudo-questions that may become golden → the origin that is stored with them."""


def golden_from_votes(judgments: Sequence[Judgment], passages: Mapping[str, Passage]) -> Iterator[Golden]:
    """Yields every question with a passage that people agree is right: a guard against regressions.

    A vote for a whole answer is not enough, nor are passages on which people are divided. *judgments* are those of
    `aggregate_votes`.
    """
    for judgment in judgments:
        if judgment.label == "positive" and judgment.weight >= MIN_POSITIVE_WEIGHT and judgment.passage_id in passages:
            passage = passages[judgment.passage_id]
            yield Golden(question=judgment.question, source=passage.source, quote=passage.text, origin="liked")


def golden_from_pseudo_questions(passages: Sequence[Passage], cold: PseudoQuestionSet) -> Iterator[Golden]:
    """Yields the consistent headings and model-written questions of a cold start, with their surest passages."""
    for question, right, source in zip(cold.asked.questions, cold.asked.right, cold.sources, strict=True):
        if source in GOLDEN_ORIGINS:
            for row in sorted(best_supported(right)):
                yield Golden(
                    question=question,
                    source=passages[row].source,
                    quote=passages[row].text,
                    origin=GOLDEN_ORIGINS[source],
                )
