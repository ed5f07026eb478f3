"""Golden questions that a library gives of itself: what people liked, its headings, what a language model asked of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from eval.datasets.golden_questions import Golden
from rag.records import Judgment, Passage
from retriever_training.cold_start.pseudo_questions import LLM_SOURCE
from retriever_training.cold_start.pseudo_rows import PseudoQuestionSet
from retriever_training.judgments.snapshot import MIN_POSITIVE_WEIGHT, best_supported

GOLDEN_ORIGINS = {"heading": "heading", LLM_SOURCE: "model"}
"""A cold start's sources that golden questions may come from, and how these are marked."""


def golden_from_votes(judgments: Sequence[Judgment], passages: Mapping[str, Passage]) -> Iterator[Golden]:
    """The regression wall: every question with a passage that people agree is right.

    A kind word on a whole answer is not enough, nor is what people are divided about: see `judge`, whose *judgments* these
    are.
    """
    for judgment in judgments:
        if judgment.label == "positive" and judgment.weight >= MIN_POSITIVE_WEIGHT and judgment.passage_id in passages:
            passage = passages[judgment.passage_id]
            yield Golden(question=judgment.question, source=passage.source, quote=passage.text, origin="liked")


def golden_from_pseudo_questions(passages: Sequence[Passage], cold: PseudoQuestionSet) -> Iterator[Golden]:
    """The headings and written questions of a cold start that the base finds the passage for, with the surest passages."""
    for question, right, source in zip(cold.asked.questions, cold.asked.right, cold.sources, strict=True):
        if source in GOLDEN_ORIGINS:
            for row in sorted(best_supported(right)):
                yield Golden(
                    question=question,
                    source=passages[row].source,
                    quote=passages[row].text,
                    origin=GOLDEN_ORIGINS[source],
                )
