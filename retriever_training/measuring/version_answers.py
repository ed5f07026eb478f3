"""Two versions' answers to a few questions of a report: for causes of failure, citation support, and for reading."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from eval.answers.ask_questions import AnswerOutcome, NullFeedback, ask_questions
from eval.answers.failure_changes import FailureCauses, failure_causes, is_attributable
from eval.answers.measure_answer import AnswerRow, measure_answer
from eval.datasets.question_sets import EvalQuestion
from eval.gate.guards import BeforeAndAfter
from eval.report.comparison import AnswerSummary
from rag.app.stores import Stores
from rag.embedding.embedding_cache import CachedEncoder
from rag.generation.abstention import AbstentionThreshold
from rag.generation.generator import EXTRACTIVE, Generator, generator_of
from rag.index.bm25 import Bm25Index
from rag.index.exact_search import ExactIndex
from rag.retrieval.retriever import Retriever
from rag.versions.registry import Version
from retriever_training.judgments.splits import hash_fraction

MAX_SAMPLED_QUESTIONS = 40
"""At most this many judged questions are answered, and as many golden ones: what a night can afford."""


@dataclass(frozen=True, slots=True)
class AnsweringVersion:
    """One version that is ready to answer."""

    version: Version
    encoder: CachedEncoder
    """Shared by everything that is read tonight, so that no text is encoded twice."""
    bar: AbstentionThreshold
    """The threshold by which the version declines."""


@dataclass(frozen=True, kw_only=True)
class VersionAnswers:
    """The versions' answers. The versions search exactly and without a reranker, as for the report's figures."""

    stores: Stores
    lexical: Bm25Index
    sides: Mapping[str, AnsweringVersion]
    """ "current" and, if two are compared, "candidate"."""
    questions: Mapping[str, EvalQuestion]
    """Query id → a question that may be asked."""
    watch: Callable[[str, int], Callable[[int], None]]

    def quoted_answers(self, query_ids: Sequence[str]) -> dict[str, dict[str, AnswerSummary]]:
        """Returns query id → version → its answer in quotes, whatever writes answers otherwise; each is made once."""
        asked = self.asked(query_ids, quotes=True)
        return {
            query_id: {name: _told(questions[row]) for name, questions in asked.items()}
            for row, query_id in enumerate(query_ids)
        }

    def asked(self, query_ids: Sequence[str], *, quotes: bool) -> dict[str, list[AnswerOutcome]]:
        """Returns version → its answers in the order of *query_ids*: in *quotes*, or as people would get them.

        Raises:
            SettingsError: the language model of the settings can't be opened.
        """
        writer = EXTRACTIVE if quotes else self.stores.writer
        generator = generator_of(None if quotes else self.stores.chat_model())
        for name in self.sides:
            new = [query_id for query_id in query_ids if (name, writer, query_id) not in self._known]
            self._known.update(
                ((name, writer, answer.question.query_id), answer) for answer in self._answered(name, new, generator)
            )
        return {name: [self._known[name, writer, query_id] for query_id in query_ids] for name in self.sides}

    def sample(self, judged: Sequence[str], golden: Sequence[str]) -> tuple[list[str], int]:
        """Draws the ids to ask, by hash, at most `MAX_SAMPLED_QUESTIONS` of each kind; returns how many are golden too."""
        drawn_judged, drawn_golden = self._drawn(judged), self._drawn(golden)
        return [*drawn_judged, *drawn_golden], len(drawn_golden)

    def _drawn(self, query_ids: Sequence[str]) -> list[str]:
        usable = [query_id for query_id in query_ids if is_attributable(self.questions[query_id])]
        by_hash = sorted(usable, key=lambda query_id: (hash_fraction(self.questions[query_id].text), query_id))
        return by_hash[:MAX_SAMPLED_QUESTIONS]

    def _answered(self, name: str, query_ids: Sequence[str], generator: Generator) -> list[AnswerOutcome]:
        side, retriever, forgetful = self.sides[name], self._retrievers[name], NullFeedback(self.stores.engine)
        return list(
            ask_questions(
                [self.questions[query_id] for query_id in query_ids],
                lambda gone: retriever,
                lambda over: self.stores.answerer_with(
                    lambda: over, generator, forgetful, threshold_for=lambda encoder_id: side.bar
                ),
                side.bar,
                leave_out_too=False,
                progress=self.watch("answer", len(query_ids)),
            )
        )

    @cached_property
    def _known(self) -> dict[tuple[str, str, str], AnswerOutcome]:
        """(version, writer, query id) → the outcome."""
        return {}

    @cached_property
    def _retrievers(self) -> dict[str, Retriever]:
        stores = self.stores
        dense = {
            side.version.passage_side: ExactIndex(stores.vectors(side.version.passage_side))
            for side in self.sides.values()
        }
        return {
            name: Retriever(
                side.encoder,
                dense[side.version.passage_side],
                self.lexical,
                stores.library,
                stores.vectors(side.version.passage_side),
                lexical_weight=side.version.lexical_weight,
                candidates=stores.candidates,
                collapse_duplicates=stores.collapses_duplicates,
            )
            for name, side in self.sides.items()
        }


def failure_causes_of_versions(
    asked: Mapping[str, Sequence[AnswerOutcome]], written_by: str, n_golden: int
) -> FailureCauses:
    """Returns the first causes of failures among the outcomes *asked* of each version."""
    rows = {name: [_row(question) for question in questions] for name, questions in asked.items()}
    return failure_causes(rows["current"], rows.get("candidate", ()), written_by, n_golden)


def citation_support(asked: Mapping[str, Sequence[AnswerOutcome]]) -> BeforeAndAfter:
    """Returns the share of supported sentences of each answer that both versions gave, `(n,)`."""
    shares = [
        np.array([_supported(question) for question in asked[name]], np.float64) for name in ("current", "candidate")
    ]
    both = np.isfinite(shares[0]) & np.isfinite(shares[1])
    return BeforeAndAfter(shares[0][both], shares[1][both])


def _supported(asked: AnswerOutcome) -> float:
    """Returns the share of supported sentences; NaN if there is no answer."""
    answer = asked.answer
    if answer is None or asked.error or answer.declined or not answer.sentences:
        return float("nan")
    return sum(sentence.found == "supported" for sentence in answer.sentences) / len(answer.sentences)


def _row(asked: AnswerOutcome) -> AnswerRow:
    """Returns the citation support of an answer; a heading over quotes, as "Your documents disagree:", is not a claim.

    Neither the exactness of quotes nor tokens are measured here.
    """
    row, supported = measure_answer(asked, lambda citation: citation.quote, lambda text: 0), _supported(asked)
    return replace(row, values=row.values | ({"citation_recall": supported} if np.isfinite(supported) else {}))


def _told(asked: AnswerOutcome) -> AnswerSummary:
    answer = asked.answer
    if answer is None:
        return AnswerSummary("", "", asked.error)
    return AnswerSummary(answer.text, answer.reason if answer.declined else "", asked.error, answer.citations)
