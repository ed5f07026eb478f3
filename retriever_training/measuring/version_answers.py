"""What two versions answer to a few questions of a report: for first causes, for their citations' support, and to be read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from eval.answers.ask_questions import Asked, Forgetful, ask_all
from eval.answers.failure_changes import Causes, can_be_told, causes_of
from eval.answers.measure_answer import AnswerRow, measure_row
from eval.datasets.question_sets import Question
from eval.gate.guards import Pair
from eval.report.comparison import Told
from rag.app.app import App
from rag.embedding.embedding_cache import Recalling
from rag.generation.abstention import Bar
from rag.generation.generator import EXTRACTIVE, Generator, generator_of
from rag.index.bm25 import Lexical
from rag.index.exact_search import ExactIndex
from rag.retrieval.retriever import Retriever
from rag.versions.registry import Version
from retriever_training.judgments.splits import place_of

SAMPLE = 40
"""Judged questions that are answered, and golden ones, at most so many of each: what a night can afford."""


@dataclass(frozen=True, slots=True)
class Side:
    """One version, ready to answer."""

    version: Version
    encoder: Recalling
    """Shared by what is read tonight, so that no text is encoded twice."""
    bar: Bar
    """By which it declines."""


@dataclass(frozen=True)
class Answers:
    """What the versions answer. They search exactly and without a reranker, as the report's figures do."""

    app: App
    lexical: Lexical
    sides: Mapping[str, Side]
    """ "current" and, where two are compared, "candidate"."""
    questions: Mapping[str, Question]
    """By id: those that may be asked."""
    watch: Callable[[str, int], Callable[[int], None]]

    def quoted(self, query_ids: Sequence[str]) -> dict[str, dict[str, Told]]:
        """Query id → version → its answer in quotes, whoever else writes answers; made once."""
        asked = self.asked(query_ids, quotes=True)
        return {
            query_id: {name: _told(some[row]) for name, some in asked.items()} for row, query_id in enumerate(query_ids)
        }

    def asked(self, query_ids: Sequence[str], *, quotes: bool) -> dict[str, list[Asked]]:
        """Version → its answers in this order: in *quotes*, or as people would get them.

        Raises:
            SettingsError: the language model of the settings can't be opened.
        """
        writer = EXTRACTIVE if quotes else self.app.settings.generator.model
        generator = generator_of(None if quotes else self.app.chat_model)
        for name in self.sides:
            new = [one for one in query_ids if (name, writer, one) not in self._known]
            self._known.update(
                ((name, writer, one.question.query_id), one) for one in self._answered(name, new, generator)
            )
        return {name: [self._known[name, writer, one] for one in query_ids] for name in self.sides}

    def sample(self, judged: Sequence[str], golden: Sequence[str]) -> tuple[list[str], int]:
        """The ids that are asked for first causes, by hash and at most SAMPLE of each kind; and how many are golden."""
        drawn = [self._drawn(judged), self._drawn(golden)]
        return [*drawn[0], *drawn[1]], len(drawn[1])

    def _drawn(self, query_ids: Sequence[str]) -> list[str]:
        told = [one for one in query_ids if can_be_told(self.questions[one])]
        return sorted(told, key=lambda one: (place_of(self.questions[one].text), one))[:SAMPLE]

    def _answered(self, name: str, query_ids: Sequence[str], generator: Generator) -> list[Asked]:
        side, retriever, forgetful = self.sides[name], self._retrievers[name], Forgetful(self.app.engine)
        return list(ask_all(
            [self.questions[one] for one in query_ids],
            lambda gone: retriever,
            lambda over: self.app.answerer_over(lambda: over, generator, forgetful, bar_of=lambda encoder_id: side.bar),
            side.bar,
            without_too=False,
            progress=self.watch("answer", len(query_ids)),
        ))  # fmt: skip

    @cached_property
    def _known(self) -> dict[tuple[str, str, str], Asked]:
        """(version, who writes, query id) → what became of it."""
        return {}

    @cached_property
    def _retrievers(self) -> dict[str, Retriever]:
        app, chosen = self.app, self.app.settings.retrieval
        dense = {
            one.version.passage_side: ExactIndex(app.vectors(one.version.passage_side)) for one in self.sides.values()
        }
        return {
            name: Retriever(one.encoder, dense[one.version.passage_side], self.lexical, app.library,
                            app.vectors(one.version.passage_side), lexical_weight=one.version.lexical_weight,
                            candidates=chosen.candidates, distinct=chosen.distinct)
            for name, one in self.sides.items()
        }  # fmt: skip


def causes_in(asked: Mapping[str, Sequence[Asked]], written_by: str, n_golden: int) -> Causes:
    """The first causes of what was *asked* of each version."""
    rows = {name: [_row(one) for one in some] for name, some in asked.items()}
    return causes_of(rows["current"], rows.get("candidate", ()), written_by, n_golden)


def support_in(asked: Mapping[str, Sequence[Asked]]) -> Pair:
    """The share of supported sentences of each answer that both versions gave, `(n,)`."""
    shares = [np.array([_supported(one) for one in asked[name]], np.float64) for name in ("current", "candidate")]
    both = np.isfinite(shares[0]) & np.isfinite(shares[1])
    return Pair(shares[0][both], shares[1][both])


def _supported(asked: Asked) -> float:
    """NaN where there is no answer to weigh."""
    answer = asked.answer
    if answer is None or asked.error or answer.declined or not answer.checked:
        return float("nan")
    return sum(one.found == "supported" for one in answer.checked) / len(answer.checked)


def _row(asked: Asked) -> AnswerRow:
    """Its citations are weighed as the guard weighs them: a heading over quotes, as "Your documents disagree:", is no claim.

    Neither exactness of quotes nor tokens are told here.
    """
    row, supported = measure_row(asked, lambda citation: citation.quote, lambda text: 0), _supported(asked)
    return replace(row, values=row.values | ({"citation_recall": supported} if np.isfinite(supported) else {}))


def _told(asked: Asked) -> Told:
    answer = asked.answer
    if answer is None:
        return Told("", "", asked.error)
    return Told(answer.text, answer.reason if answer.declined else "", asked.error, answer.citations)
