"""`nightjar bench answers`: questions with known answers, asked as they are and with their right passages taken away."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.answers.answer_metrics import (
    area_under_risk_coverage,
    auroc,
    contains_any_answer,
    content_f1,
    exact_match,
    n_words,
    risk_coverage,
    token_f1,
)
from eval.statistics.ranking_metrics import mean
from rag.generation.extractive import extract_answer
from rag.records import Citation, support_level
from rag.retrieval.retriever import Retriever

COVERAGES = (0.25, 0.5, 0.75, 1.0)
"""Shares of the questions at which the risk is reported."""


@dataclass(frozen=True, slots=True)
class BenchQuestion:
    """A question with a known answer."""

    query_id: str
    question: str
    answers: tuple[str, ...]
    right: frozenset[str]
    """Passage ids."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SideAnswer:
    """What one side gave for one question."""

    text: str
    """Without citation marks; empty if it declined."""
    first: str
    """The first sentence."""
    short: str
    """The short answer in front; empty if there is none."""
    declined: bool
    support: float
    """How sure it is; any scale."""
    ms: float
    citations: tuple[Citation, ...] = ()


Side = Callable[[str, frozenset[str]], SideAnswer]
"""(question, ids of passages that are not there) → answer."""


@dataclass(frozen=True, slots=True)
class SideResult:
    """One side's answers, question by question: with the right passages there, and without them."""

    asked: tuple[BenchQuestion, ...]
    there: tuple[SideAnswer, ...]
    gone: tuple[SideAnswer, ...]
    n_false_spans: int
    """Citations whose quote is not, character for character, what the stored text has at that place."""

    def figures(self) -> dict[str, Any]:
        """Every measure, for JSON; shares and scores between 0 and 1, None if there is nothing to measure."""
        pairs = list(zip(self.there, self.asked, strict=True))
        shorts = [(answered.short, asked.answers) for answered, asked in pairs if answered.short]
        spans = [citation for answered in (*self.there, *self.gone) for citation in answered.citations]
        ms = [answered.ms for answered in self.there]
        return {
            "hit": mean(float(contains_any_answer(answered.text, asked.answers)) for answered, asked in pairs),
            "hit_first": mean(float(contains_any_answer(answered.first, asked.answers)) for answered, asked in pairs),
            "content_f1": mean(content_f1(answered.text, asked.answers) for answered, asked in pairs),
            "token_f1": mean(token_f1(answered.text, asked.answers) for answered, asked in pairs),
            "content_f1_first": mean(
                content_f1(answered.short or answered.first, asked.answers) for answered, asked in pairs
            ),
            "short": len(shorts) / max(1, len(pairs)),
            "short_exact": mean(exact_match(*short) for short in shorts) if shorts else None,
            "short_right": mean(float(is_right(*short)) for short in shorts) if shorts else None,
            "words": mean(n_words(answered.text) for answered in self.there if not answered.declined),
            "citations_valid": 1 - self.n_false_spans / len(spans) if spans else None,
            "supported": mean(float(support_level(span.support) == "supported") for span in spans) if spans else None,
            "declined": mean(float(answered.declined) for answered in self.there),
            "declined_without": mean(float(answered.declined) for answered in self.gone),
            "auroc": auroc([answered.support for answered in self.there], [answered.support for answered in self.gone]),
            "aurc": area_under_risk_coverage(*self._confidence()),
            "risk": self._risks(),
            "p50_ms": float(np.percentile(ms, 50)),
            "p95_ms": float(np.percentile(ms, 95)),
        }

    def risk_coverage(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Coverage and risk over the questions as they are and without their passages, each `(2n,)`."""
        return risk_coverage(*self._confidence())

    def _confidence(self) -> tuple[list[float], list[bool]]:
        """Each answer's support, and whether it is right; without its passages none is, whatever is quoted."""
        right = [
            contains_any_answer(answered.text, asked.answers)
            for answered, asked in zip(self.there, self.asked, strict=True)
        ]
        return [answered.support for answered in (*self.there, *self.gone)], [*right, *(False for _ in self.gone)]

    def _risks(self) -> dict[str, float]:
        coverage, risk = self.risk_coverage()
        return {f"{share:.2f}": float(risk[np.searchsorted(coverage, share)]) for share in COVERAGES}


def is_right(short: str, answers: Sequence[str]) -> bool:
    """True if a short answer holds a known one, or is part of it, as "2005" is of "March 18, 2005".

    >>> is_right("in 2005", ["2005"]), is_right("2005", ["March 18, 2005"]), is_right("2006", ["2005"])
    (True, True, False)
    """
    return contains_any_answer(short, answers) or any(contains_any_answer(answer, [short]) for answer in answers)


def measure_sides(
    questions: Sequence[BenchQuestion],
    sides: Mapping[str, Side],
    stored: Callable[[Citation], str],
    progress: Callable[[int], None] = lambda n: None,
) -> dict[str, SideResult]:
    """Has every side answer every question, in turn; *stored* is the stored text at a citation's place."""
    there: dict[str, list[SideAnswer]] = {name: [] for name in sides}
    gone: dict[str, list[SideAnswer]] = {name: [] for name in sides}
    for question in questions:
        for name, answer in sides.items():
            there[name].append(answer(question.question, frozenset()))
            gone[name].append(answer(question.question, question.right))
        progress(1)
    return {
        name: SideResult(
            tuple(questions),
            tuple(there[name]),
            tuple(gone[name]),
            sum(stored(span) != span.quote for given in (*there[name], *gone[name]) for span in given.citations),
        )
        for name in sides
    }


def extractive_side(retriever: Callable[[frozenset[str]], Retriever], k: int) -> Side:
    """Our answer: the hits of the retriever without the passages that are not there, and the best of their sentences."""

    def answer(question: str, without: frozenset[str]) -> SideAnswer:
        chosen = retriever(without)
        started = time.perf_counter()
        made = extract_answer(question, chosen.search(question, k), chosen.encoder)
        ms = 1000 * (time.perf_counter() - started)
        texts = [quote.citation.quote for quote in made.quotes][1 if made.short_answer else 0 :]
        spans = tuple(quote.citation for quote in made.quotes)
        first = texts[0] if texts else ""
        return SideAnswer(
            text="\n".join(texts),
            first=first,
            short=made.short_answer,
            declined=bool(made.declined),
            support=made.support,
            ms=ms,
            citations=spans,
        )

    return answer
