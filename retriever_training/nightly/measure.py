"""Measures base, current version and candidate on the gate's questions, and gathers the evidence for its guards."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from eval.answers.ask_questions import AnswerOutcome
from eval.datasets.golden_store import list_golden
from eval.datasets.question_sets import EvalQuestion as GoldenQuestion
from eval.datasets.question_sets import questions_from_golden
from eval.gate.decide import GateDecision, ServedScores, decide
from eval.gate.embedding_checks import embedding_faults
from eval.gate.guards import SUPPORTED_BY_CONSTRUCTION, BeforeAndAfter, ExtraEvidence
from eval.gate.rules import GateRules
from eval.report.comparison import AbstentionScores, Comparison, VersionRun
from eval.retrieval.evaluate import RetrievalScores, evaluate_retrieval
from rag.app.stores import Stores
from rag.embedding.embedding_cache import CachedEncoder, EmbeddingCache
from rag.embedding.query_vectors import get_query_vectors
from rag.errors import SettingsError
from rag.generation.abstention import AbstentionThreshold, load_threshold
from rag.versions.registry import Version
from retriever_training.abstention.equal_false_declines import abstention_guard_pairs, at_equal_false_decline_rate
from retriever_training.abstention.leave_out_examples import (
    AnswerableQuestions,
    SearchableLibrary,
    with_and_without_positives,
)
from retriever_training.judgments.snapshot import TrainingSnapshot
from retriever_training.judgments.splits import Split, hash_fraction
from retriever_training.measuring.held_out import HeldOutQuestions
from retriever_training.measuring.reported_questions import reported_questions
from retriever_training.measuring.version_answers import (
    AnsweringVersion,
    VersionAnswers,
    citation_support,
    failure_causes_of_versions,
)
from retriever_training.progress import ProgressReporter

MAX_REGRESSION_QUESTIONS = 300  # judged questions on which regressions are looked for, drawn by hash
MAX_ABSTENTION_QUESTIONS = 40  # held-out questions on which answering is compared, with and without their passages
MIN_ABSTENTION_QUESTIONS = 30  # with fewer of them answering is not compared
MAX_CACHED_SENTENCES = 40_000  # sentences whose vectors are cached: about 160 questions by two versions need fewer
N_TIMED_QUESTIONS = 20  # questions whose search is timed
N_TIMING_REPEATS = 2  # searches of each of them; the fastest counts, because a busy machine only ever adds time


@dataclass(frozen=True, slots=True)
class NightMeasurement:
    """The gate's decision, and the questions it rests on."""

    decision: GateDecision
    comparison: Comparison


@dataclass(frozen=True, kw_only=True)
class NightMeasurer:
    """One night's measurement of one candidate."""

    stores: Stores
    evidence: TrainingSnapshot
    held_out: HeldOutQuestions
    rules: GateRules
    watch: ProgressReporter
    current: Version
    candidate: Version
    look: int
    """How many times these held-out questions have decided, including this time."""

    def measured(self) -> NightMeasurement:
        """Measures what all versions serve for the held-out questions, and lets the gate decide."""
        before, after = self._scores(self.current), self._scores(self.candidate)
        looked_at = self._shown_by_both(before, after)
        sure_before, sure_after = at_equal_false_decline_rate(
            self._sureness(self.current, looked_at), self._sureness(self.candidate, looked_at)
        )
        answers = self._answers(sure_before, sure_after)
        asked, n_golden, why_not = self._asked(answers)
        is_open = ~self.held_out.locked
        decision = decide(
            _only(before.served(), is_open),
            _only(after.served(), is_open),
            after.unseen[is_open],
            faults=self._faults(),
            rules=self.rules,
            decisive=self.held_out.decisive[is_open],
            newest=self.held_out.newest[is_open],
            extra=ExtraEvidence(
                regressions=self._wall(),
                golden=self._golden(),
                search_ms=self._milliseconds(),
                support=None if why_not else citation_support(asked),
                support_note=why_not,
                **abstention_guard_pairs(sure_before, sure_after),
            ),
            look=self.look,
        )
        base = self.stores.registry.base()
        anchor = before if base.encoder_id == self.current.encoder_id else self._scores(base)
        questions = reported_questions(self.stores, self.evidence, self.held_out, after.unseen)
        return NightMeasurement(
            decision,
            Comparison(
                questions=questions,
                current=VersionRun(self.current.encoder_id, before.found, sureness=sure_before),
                candidate=VersionRun(self.candidate.encoder_id, after.found, sureness=sure_after),
                anchor=VersionRun(base.encoder_id, anchor.found),
                read=self.stores.library.get,
                causes=failure_causes_of_versions(asked, self.stores.writer, n_golden) if asked else None,
                answer=answers.quoted_answers,
            ),
        )

    @cached_property
    def _seen(self) -> frozenset[str]:
        return self.stores.registry.training_positives(self.candidate.encoder_id)

    def _scores(self, version: Version) -> RetrievalScores:
        qrels = self.held_out.qrels(self.evidence.passage_ids)
        return self._evaluate(version, self.held_out.questions_by_id, qrels, f"measure {version.encoder_id}")

    def _evaluate(
        self, version: Version, questions: dict[str, str], qrels: dict[str, dict[str, int]], stage: str
    ) -> RetrievalScores:
        encoder = self.stores.open_encoder(version.encoder_id)
        vectors = self.stores.vectors(version.passage_side)
        vectors.fill(encoder, self.watch("encode passages", vectors.missing()))
        return evaluate_retrieval(
            questions,
            qrels,
            encode_queries=lambda texts: get_query_vectors(self.stores.engine, encoder, texts),
            passage_ids=self.evidence.passage_ids,
            passage_vectors=self.evidence.matrix(vectors),
            lexical=self.evidence.lexical,
            weight=version.lexical_weight,
            seen=self._seen,
            candidates=self.stores.candidates,
            progress=self.watch(stage, len(qrels)),
        )

    def _faults(self) -> list[str]:
        encoder = self.stores.open_encoder(self.candidate.encoder_id)
        questions = get_query_vectors(self.stores.engine, encoder, list(self.held_out.questions_by_id.values()))
        passages = self.evidence.matrix(self.stores.vectors(self.candidate.passage_side))
        return [
            *embedding_faults("the candidate's passages", passages, self.rules),
            *embedding_faults("the candidate's questions", questions, self.rules),
        ]

    # ---- next to the held-out questions

    def _wall(self) -> BeforeAndAfter | None:
        """Returns recall@10 before and after, on questions that people judged, whatever these were used for since."""
        splits: tuple[Split, ...] = ("train", "dev", "gate")
        locked = {
            text
            for text, is_locked in zip(self.held_out.questions_by_id.values(), self.held_out.locked, strict=True)
            if is_locked
        }
        ids = self.evidence.passage_ids
        judged = {
            question: {ids[row]: 1 for row in right}
            for asked in (self.evidence.asked(split).measurable() for split in splits)
            for question, right in zip(asked.questions, asked.right, strict=True)
            if question not in locked
        }
        drawn = sorted(judged, key=hash_fraction)[:MAX_REGRESSION_QUESTIONS]
        if not drawn:
            return None
        texts, qrels = {question: question for question in drawn}, {question: judged[question] for question in drawn}
        found = [
            self._evaluate(version, texts, qrels, "the regression wall").array("fused", "R@10")
            for version in (self.current, self.candidate)
        ]
        return BeforeAndAfter(*found)

    def _golden(self) -> BeforeAndAfter | None:
        """Returns nDCG@10 of the golden questions whose passages are in the library today; None if there are none."""
        questions = [golden for golden in load_golden_questions(self.stores) if golden.right]
        if not questions:
            return None
        texts, qrels = (
            {golden.query_id: golden.text for golden in questions},
            {golden.query_id: dict(golden.grades) for golden in questions},
        )
        values = [
            self._evaluate(version, texts, qrels, "golden questions").array("fused", "nDCG@10")
            for version in (self.current, self.candidate)
        ]
        return BeforeAndAfter(*values)

    def _shown_by_both(self, before: RetrievalScores, after: RetrievalScores) -> list[str]:
        """Returns ids of open questions whose right passage both versions show, at most `MAX_ABSTENTION_QUESTIONS`, by hash.

        If a version does not show the right passage, declining is right too, so such questions say nothing. Returns none
        if there are fewer than `MIN_ABSTENTION_QUESTIONS`: too few to compare, and reading their sentences costs seconds.
        """
        k, ids = self.stores.k, self.evidence.passage_ids
        right = {query_id: {ids[row] for row in rows} for query_id, rows in self.held_out.right.items()}
        shown = [
            query_id
            for query_id in self._open_ids
            if all(right[query_id].intersection(scores.found[query_id][:k]) for scores in (before, after))
        ]
        return shown[:MAX_ABSTENTION_QUESTIONS] if len(shown) >= MIN_ABSTENTION_QUESTIONS else []

    @cached_property
    def _open_ids(self) -> list[str]:
        """Ids of the questions that may decide, in the order of their hash, so that every night draws the same ones."""
        ids = [
            query_id
            for query_id, is_locked in zip(self.held_out.right, self.held_out.locked, strict=True)
            if not is_locked
        ]
        return sorted(ids, key=lambda query_id: hash_fraction(self.held_out.questions_by_id[query_id]))

    def _sureness(self, version: Version, query_ids: Sequence[str]) -> AbstentionScores | None:
        """Returns how sure a version is of an answer, with the right passages in the library and without them."""
        if not query_ids:
            return None
        texts = [self.held_out.questions_by_id[query_id] for query_id in query_ids]
        right = [self.held_out.right[query_id] for query_id in query_ids]
        encoder = self._readers[version.encoder_id]
        asked = AnswerableQuestions(texts, get_query_vectors(self.stores.engine, encoder, texts), right)
        progress = self.watch("how sure it is", len(texts))
        seen = list(with_and_without_positives(self._holdings(version), asked, encoder, self.stores.k, progress))
        bar = load_threshold(self.stores.data, version.encoder_id)
        return AbstentionScores(
            np.array([bar.sureness(there.signs) for there, _ in seen]),
            np.array([bar.sureness(gone.signs) for _, gone in seen]),
            np.array([there.is_answered for there, _ in seen], np.bool_),
            bar.least,
        )

    # ---- answers

    @cached_property
    def _readers(self) -> dict[str, CachedEncoder]:
        """A caching encoder for each version: it encodes no sentence twice, and once for both if they share a side."""
        recent, versions = EmbeddingCache(MAX_CACHED_SENTENCES), (self.current, self.candidate)
        return {version.encoder_id: recent.of(self.stores.open_encoder(version.encoder_id)) for version in versions}

    def _answers(self, before: AbstentionScores | None, after: AbstentionScores | None) -> VersionAnswers:
        sides = {
            name: AnsweringVersion(version, self._readers[version.encoder_id], self._bar(version, sureness))
            for name, version, sureness in (("current", self.current, before), ("candidate", self.candidate, after))
        }
        held_out, ids = self.held_out, self.evidence.passage_ids
        judged = {
            query_id: GoldenQuestion(
                query_id=query_id, text=text, grades=dict.fromkeys((ids[row] for row in held_out.right[query_id]), 1)
            )
            for query_id, text in held_out.questions_by_id.items()
        }
        golden = {golden.query_id: golden for golden in load_golden_questions(self.stores)}
        return VersionAnswers(
            stores=self.stores, lexical=self.evidence.lexical, sides=sides, questions=golden | judged, watch=self.watch
        )

    def _bar(self, version: Version, sureness: AbstentionScores | None) -> AbstentionThreshold:
        """Returns the version's own threshold, moved to where both decline equally many questions, if that is known."""
        bar = load_threshold(self.stores.data, version.encoder_id)
        return replace(bar, least=sureness.least) if sureness else bar

    def _asked(self, answers: VersionAnswers) -> tuple[dict[str, list[AnswerOutcome]], int, str]:
        """Returns both versions' answers to the sample, how many of its questions are golden, and why support is untested."""
        golden = [question for question in answers.questions if question not in self.held_out.questions_by_id]
        sample, n_golden = answers.sample(self._open_ids, golden)
        try:
            is_quoting = self.stores.chat_model() is None
            return answers.asked(sample, quotes=is_quoting), n_golden, SUPPORTED_BY_CONSTRUCTION if is_quoting else ""
        except SettingsError as error:
            return {}, 0, f"Citations: not compared, because the language model is not available: {error}"

    def _holdings(self, version: Version) -> SearchableLibrary:
        matrix = self.evidence.matrix(self.stores.vectors(version.passage_side))
        return SearchableLibrary(self.evidence.passages, matrix, self.evidence.lexical, version.lexical_weight)

    def _milliseconds(self) -> BeforeAndAfter:
        """Times searches, from the words of the question to its hits; the versions take turns."""
        texts = [self.held_out.questions_by_id[query_id] for query_id in self._open_ids[:N_TIMED_QUESTIONS]]
        sides = [
            (self.stores.open_encoder(version.encoder_id), self._holdings(version))
            for version in (self.current, self.candidate)
        ]
        took = np.full((len(sides), len(texts)), np.inf)
        for row, text in enumerate(texts):
            for _ in range(N_TIMING_REPEATS):
                for side, (encoder, holdings) in enumerate(sides):
                    started = time.perf_counter()
                    holdings.hits(text, encoder.encode_queries([text])[0], self.stores.k)
                    took[side, row] = min(took[side, row], 1_000 * (time.perf_counter() - started))
        return BeforeAndAfter(took[0], took[1])


def load_golden_questions(stores: Stores) -> tuple[GoldenQuestion, ...]:
    """Returns the library's golden questions; none if nobody has stored any."""
    return questions_from_golden(stores.engine, stores.library).questions if list_golden(stores.engine) else ()


def _only(served: ServedScores, inside: NDArray[np.bool_]) -> ServedScores:
    return ServedScores(served.ndcg[inside], served.recall[inside], served.hub_share)
