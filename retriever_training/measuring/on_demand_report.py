"""Reports outside the night: on one version or two, on a data set or people's held-out judgments; promotes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from eval.datasets.beir import BeirDataset, locate_passages, translate_qrels
from eval.datasets.question_sets import EvalQuestion as KnownQuestion
from eval.gate.decide import GateDecision, decide
from eval.gate.guards import Ruling
from eval.gate.rules import GateRules
from eval.report.ci_thresholds import check_thresholds
from eval.report.compare_versions import REPORTED, compare_measures, measure_values
from eval.report.comparison import Comparison, ReportQuestion, VersionRun
from eval.report.provenance import ReportContext, ValidityCheck, repeated_questions
from eval.retrieval.evaluate import RetrievalScores, evaluate_retrieval
from rag.app.stores import Stores
from rag.embedding.embedding_cache import EmbeddingCache
from rag.generation.abstention import load_threshold
from rag.generation.generator import EXTRACTIVE
from rag.text.analyzers import detect_language
from rag.versions.registry import Version
from retriever_training.judgments.snapshot import TrainingSnapshot
from retriever_training.measuring.held_out import load_held_out_questions
from retriever_training.measuring.reported_questions import reported_questions
from retriever_training.measuring.version_answers import AnsweringVersion, VersionAnswers, failure_causes_of_versions
from retriever_training.progress import no_progress

HEADLINES = {
    "promoted": "Passed: no rule objects",
    "kept": "Not passed: a rule objects",
    "invalid": "Invalid: too little to decide",
}


@dataclass(frozen=True, slots=True)
class OnDemandReport:
    """Everything that `write_report` needs."""

    decision: GateDecision
    facts: Mapping[str, Any]
    comparison: Comparison
    background: ReportContext

    @property
    def headline(self) -> str:
        """The title of the page, because the gate's own words would speak of a promotion that does not happen."""
        return HEADLINES[self.decision.decision]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportQuestions:
    """The questions of a report, and where they come from."""

    questions: tuple[ReportQuestion, ...]
    name: str
    sha256: str
    left_out: int = 0
    """Judgments that name a question or passage that does not exist."""
    answers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """query id → right answers in words, if they are known."""


def questions_of_dataset(stores: Stores, dataset: BeirDataset, split: str) -> ReportQuestions:
    """Returns the questions of one split of a BEIR folder.

    Raises:
        NotFoundError: the data set has no such split.
        UsageError: its passages are not in the library.
    """
    qrels = translate_qrels(dataset.split(split), locate_passages(dataset, stores.library))
    passages = stores.library.get(sorted({query_id for grades in qrels.values() for query_id in grades}))
    questions = tuple(
        ReportQuestion(
            query_id=query_id,
            text=dataset.queries[query_id],
            right=grades,
            source=_source(grades, passages),
            language=detect_language(dataset.queries[query_id]),
        )
        for query_id, grades in qrels.items()
    )
    n_unknown = sum(query_id.split == split for query_id in dataset.unknown)
    answers = {question.query_id: dataset.answers.get(question.query_id, ()) for question in questions}
    return ReportQuestions(
        questions=questions, name=f"{dataset.name}, {split}", sha256=dataset.sha256, left_out=n_unknown, answers=answers
    )


def questions_of_judgments(
    stores: Stores, evidence: TrainingSnapshot, rules: GateRules, sha256: str
) -> ReportQuestions:
    """Returns people's held-out questions, as a night uses them."""
    held_out = load_held_out_questions(stores, evidence, rules.lock_from)
    questions = reported_questions(stores, evidence, held_out, np.zeros(len(held_out), np.bool_))
    return ReportQuestions(questions=questions, name="people's held-out judgments", sha256=sha256)


def build_report(
    stores: Stores,
    question_set: ReportQuestions,
    current: Version,
    candidate: Version | None,
    rules: GateRules,
    thresholds: Mapping[str, float],
    command: str,
) -> OnDemandReport:
    """Measures one version or two, and decides: by the gate's rules if there are two, by *thresholds* in any case."""
    seen = stores.registry.training_positives((candidate or current).encoder_id)
    questions = tuple(replace(question, is_unseen=not question.right_ids & seen) for question in question_set.questions)
    before = _scores(stores, current, questions, seen)
    after = _scores(stores, candidate, questions, seen) if candidate else None
    answers = _answers(stores, question_set, {"current": current, "candidate": candidate})
    sample, _ = answers.sample([question.query_id for question in questions], [])
    comparison = Comparison(
        questions=questions,
        current=VersionRun(current.encoder_id, before.found),
        candidate=VersionRun(candidate.encoder_id, after.found) if candidate and after else None,
        read=stores.library.get,
        causes=failure_causes_of_versions(answers.asked(sample, quotes=True), EXTRACTIVE, 0) if sample else None,
        answer=answers.quoted_answers,
    )
    decision = _with_bars(_decision(comparison, before, after, rules), comparison, thresholds)
    facts = {
        "questions": question_set.name,
        "n_questions": len(questions),
        "current": current.encoder_id,
        "candidate": candidate.encoder_id if candidate else "none",
        "bars": dict(thresholds),
    }
    background = ReportContext(
        title=f"Report on {question_set.name}",
        checks=tuple(_checks(question_set, questions)),
        reproduce=(
            ("command", command),
            ("questions", question_set.sha256),
            ("passages", str(stores.library.n_passages())),
            ("library revision", str(stores.library.revision())),
        ),
    )
    return OnDemandReport(decision, facts, comparison, background)


def _scores(
    stores: Stores, version: Version, questions: Sequence[ReportQuestion], seen: frozenset[str]
) -> RetrievalScores:
    encoder, vectors, lexical = (
        stores.open_encoder(version.encoder_id),
        stores.vectors(version.passage_side),
        stores.lexical(),
    )
    vectors.fill(encoder)
    ids, matrix = vectors.matrix()
    row_of = {passage_id: row for row, passage_id in enumerate(ids)}
    return evaluate_retrieval(
        {question.query_id: question.text for question in questions},
        {question.query_id: dict(question.right) for question in questions},
        encode_queries=encoder.encode_queries,
        passage_ids=lexical.passage_ids,
        passage_vectors=np.ascontiguousarray(matrix[[row_of[passage_id] for passage_id in lexical.passage_ids]]),
        lexical=lexical,
        weight=version.lexical_weight,
        seen=seen,
        candidates=stores.candidates,
    )


def _answers(stores: Stores, asked: ReportQuestions, versions: Mapping[str, Version | None]) -> VersionAnswers:
    """Returns the versions' answers in quotes: such a report asks no language model, which `nightjar eval answers` does."""
    recent = EmbeddingCache()
    sides = {
        name: AnsweringVersion(
            version,
            recent.of(stores.open_encoder(version.encoder_id)),
            load_threshold(stores.data, version.encoder_id),
        )
        for name, version in versions.items()
        if version
    }
    questions = {
        question.query_id: KnownQuestion(
            query_id=question.query_id,
            text=question.text,
            grades=dict(question.right),
            answers=asked.answers.get(question.query_id, ()),
        )
        for question in asked.questions
    }
    return VersionAnswers(stores=stores, lexical=stores.lexical(), sides=sides, questions=questions, watch=no_progress)


def _decision(
    comparison: Comparison, before: RetrievalScores, after: RetrievalScores | None, rules: GateRules
) -> GateDecision:
    n = len(comparison.questions)
    if after is None:
        if n < max(2, rules.min_questions):
            reason = f"Invalid: {n} questions can't decide anything; {rules.min_questions} are needed."
            return GateDecision("invalid", (reason,), {"n": n}, (Ruling("primary", "decision", "untested", reason),))
        reason = f"{n:,} questions were asked; one version is measured alone, so nothing is compared."
        return GateDecision("promoted", (reason,), {"n": n}, (Ruling("primary", "decision", "passed", reason),))
    return decide(
        before.served(),
        after.served(),
        after.unseen,
        rules=rules,
        decisive=comparison.mask(lambda question: question.is_decisive and not question.is_locked),
        newest=comparison.mask(lambda question: question.is_newest),
    )


def _with_bars(decision: GateDecision, comparison: Comparison, bars: Mapping[str, float]) -> GateDecision:
    """Returns the decision after the thresholds *bars* as well; an invalid one stays invalid."""
    if not bars:
        return decision
    named = [measure for measure in REPORTED if measure in bars]
    decisive = comparison.mask(lambda question: question.is_decisive and not question.is_locked)
    values = {name: measure_values(run, comparison.questions, named) for name, run in comparison.versions.items()}
    rulings = tuple(
        check_thresholds(
            {name: bars[name] for name in named}, compare_measures(values["current"], values.get("candidate"), decisive)
        )
    )
    is_kept = decision.decision == "promoted" and not all(ruling.passed for ruling in rulings)
    return GateDecision(
        "kept" if is_kept else decision.decision,
        (*decision.reasons, *(ruling.sentence for ruling in rulings)),
        decision.figures | {"bars": dict(bars)},
        (*decision.rulings, *rulings),
    )


def _checks(asked: ReportQuestions, questions: Sequence[ReportQuestion]) -> list[ValidityCheck]:
    twice = len(list(repeated_questions([question.text for question in questions])))
    return [
        ValidityCheck(
            "Questions that occur twice",
            not twice,
            f"{twice:,} of {len(questions):,} questions say what another one says, so they count double."
            if twice
            else "No question occurs twice.",
        ),
        ValidityCheck(
            "Judgments that could not be used",
            not asked.left_out,
            f"{asked.left_out:,} judgments name a question or a passage that does not exist."
            if asked.left_out
            else "Every judgment names a question and a passage that exist.",
        ),
    ]


def _source(grades: Mapping[str, int], passages: Mapping[str, Any]) -> str:
    best = max(grades, key=lambda passage_id: grades[passage_id])
    return str(passages[best].source) if best in passages else ""
