"""A report outside the night: one version or two, on a data set or on people's held-out judgments; nothing is promoted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from eval.datasets.beir import BeirDataset, locate, translated
from eval.datasets.question_sets import Question as KnownQuestion
from eval.gate.decide import Decision, decide
from eval.gate.guards import Ruling
from eval.gate.rules import Rules
from eval.report.ci_thresholds import held_to
from eval.report.compare_versions import REPORTED, rows, values_of
from eval.report.comparison import Comparison, Found, Question
from eval.report.provenance import Background, Check, duplicates
from eval.retrieval.evaluate import RetrievalScores, evaluate
from rag.app.app import App
from rag.embedding.embedding_cache import RecentVectors
from rag.generation.abstention import load_bar
from rag.generation.generator import EXTRACTIVE
from rag.text.analyzers import language_of
from rag.versions.registry import Version
from retriever_training.judgments.snapshot import Evidence
from retriever_training.measuring.held_out import held_out_questions
from retriever_training.measuring.reported_questions import reported_questions
from retriever_training.measuring.version_answers import Answers, Side, causes_in
from retriever_training.progress import unwatched

HEADLINES = {
    "promoted": "Passed: no rule objects",
    "kept": "Not passed: a rule objects",
    "invalid": "Invalid: too little to decide",
}


@dataclass(frozen=True, slots=True)
class Made:
    """Everything that `write_report` wants."""

    decision: Decision
    facts: Mapping[str, Any]
    comparison: Comparison
    background: Background

    @property
    def headline(self) -> str:
        """What stands above the page; the gate's own words would speak of a promotion that does not happen."""
        return HEADLINES[self.decision.decision]


@dataclass(frozen=True, slots=True)
class Asked:
    """The questions of a report, and where they come from."""

    questions: tuple[Question, ...]
    name: str
    sha256: str
    left_out: int = 0
    """Judgments that name a question or passage that is not there."""
    answers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """query id → right answers in words, where they are known."""


def of_dataset(app: App, dataset: BeirDataset, split: str) -> Asked:
    """The questions of one split of a BEIR folder.

    Raises:
        NotFoundError: no such split.
        UsageError: its passages are not in the library.
    """
    qrels = translated(dataset.split(split), locate(dataset, app.library))
    passages = app.library.get(sorted({one for grades in qrels.values() for one in grades}))
    questions = tuple(
        Question(
            query_id,
            dataset.queries[query_id],
            grades,
            _source(grades, passages),
            language_of(dataset.queries[query_id]),
        )
        for query_id, grades in qrels.items()
    )
    n_unknown = sum(one.split == split for one in dataset.unknown)
    answers = {one.query_id: dataset.answers.get(one.query_id, ()) for one in questions}
    return Asked(questions, f"{dataset.name}, {split}", dataset.sha256, n_unknown, answers)


def of_judgments(app: App, evidence: Evidence, rules: Rules, sha256: str) -> Asked:
    """People's held-out questions, as a night has them."""
    held_out = held_out_questions(app, evidence, rules.lock_from)
    questions = reported_questions(app, evidence, held_out, np.zeros(len(held_out), np.bool_))
    return Asked(questions, "people's held-out judgments", sha256)


def report_now(
    app: App, asked: Asked, current: Version, candidate: Version | None, rules: Rules, bars: Mapping[str, float],
    command: str,
) -> Made:  # fmt: skip
    """Measures, and decides by the gate's rules where there are two versions, and by *bars* in any case."""
    seen = app.registry.training_positives((candidate or current).encoder_id)
    questions = tuple(replace(one, is_unseen=not one.right_ids & seen) for one in asked.questions)
    before = _scores(app, current, questions, seen)
    after = _scores(app, candidate, questions, seen) if candidate else None
    answers = _answers(app, asked, {"current": current, "candidate": candidate})
    sample, _ = answers.sample([one.query_id for one in questions], [])
    comparison = Comparison(
        questions,
        Found(current.encoder_id, before.found),
        Found(candidate.encoder_id, after.found) if candidate and after else None,
        read=app.library.get,
        causes=causes_in(answers.asked(sample, quotes=True), EXTRACTIVE, 0) if sample else None,
        answer=answers.quoted,
    )
    decision = _with_bars(_decision(comparison, before, after, rules), comparison, bars)
    facts = {"questions": asked.name, "n_questions": len(questions), "current": current.encoder_id,
             "candidate": candidate.encoder_id if candidate else "none", "bars": dict(bars)}  # fmt: skip
    background = Background(
        title=f"Report on {asked.name}",
        checks=tuple(_checks(asked, questions)),
        reproduce=(("command", command), ("questions", asked.sha256), ("passages", str(app.library.n_passages())),
                   ("library revision", str(app.library.revision()))),
    )  # fmt: skip
    return Made(decision, facts, comparison, background)


def _scores(app: App, version: Version, questions: Sequence[Question], seen: frozenset[str]) -> RetrievalScores:
    encoder, vectors, lexical = app.open_encoder(version.encoder_id), app.vectors(version.passage_side), app.lexical()
    vectors.fill(encoder)
    ids, matrix = vectors.matrix()
    place = {passage_id: row for row, passage_id in enumerate(ids)}
    return evaluate(
        {one.query_id: one.text for one in questions},
        {one.query_id: dict(one.right) for one in questions},
        encode_queries=encoder.encode_queries,
        passage_ids=lexical.passage_ids,
        passage_vectors=np.ascontiguousarray(matrix[[place[one] for one in lexical.passage_ids]]),
        lexical=lexical,
        weight=version.lexical_weight,
        seen=seen,
        candidates=app.settings.retrieval.candidates,
    )


def _answers(app: App, asked: Asked, versions: Mapping[str, Version | None]) -> Answers:
    """By quotes alone: a report outside the night asks no language model; `nightjar eval answers` does."""
    recent = RecentVectors()
    sides = {
        name: Side(one, recent.of(app.open_encoder(one.encoder_id)), load_bar(app.settings.data, one.encoder_id))
        for name, one in versions.items()
        if one
    }
    questions = {
        one.query_id: KnownQuestion(one.query_id, one.text, dict(one.right), asked.answers.get(one.query_id, ()))
        for one in asked.questions
    }
    return Answers(app, app.lexical(), sides, questions, unwatched)


def _decision(comparison: Comparison, before: RetrievalScores, after: RetrievalScores | None, rules: Rules) -> Decision:
    n = len(comparison.questions)
    if after is None:
        if n < max(2, rules.min_questions):
            said = f"Invalid: {n} questions can't decide anything; {rules.min_questions} are needed."
            return Decision("invalid", (said,), {"n": n}, (Ruling("primary", "decision", "untested", said),))
        said = f"{n:,} questions were asked; one version is measured alone, so nothing is compared."
        return Decision("promoted", (said,), {"n": n}, (Ruling("primary", "decision", "passed", said),))
    return decide(
        before.served(), after.served(), after.unseen, rules=rules,
        decisive=comparison.mask(lambda one: one.is_decisive and not one.is_locked),
        newest=comparison.mask(lambda one: one.is_newest),
    )  # fmt: skip


def _with_bars(decision: Decision, comparison: Comparison, bars: Mapping[str, float]) -> Decision:
    """The decision held to the bars as well; what is invalid stays so."""
    if not bars:
        return decision
    named = [one for one in REPORTED if one in bars]
    decisive = comparison.mask(lambda one: one.is_decisive and not one.is_locked)
    values = {name: values_of(found, comparison.questions, named) for name, found in comparison.versions.items()}
    rulings = tuple(
        held_to({name: bars[name] for name in named}, rows(values["current"], values.get("candidate"), decisive))
    )
    is_kept = decision.decision == "promoted" and not all(one.passed for one in rulings)
    return Decision(
        "kept" if is_kept else decision.decision,
        (*decision.reasons, *(one.sentence for one in rulings)),
        decision.figures | {"bars": dict(bars)},
        (*decision.rulings, *rulings),
    )


def _checks(asked: Asked, questions: Sequence[Question]) -> list[Check]:
    twice = len(list(duplicates([one.text for one in questions])))
    return [
        Check("Questions that stand there twice", not twice,
              f"{twice:,} of {len(questions):,} questions say what another one says: they count double." if twice else
              "No question stands there twice."),
        Check("Judgments that could not be used", not asked.left_out,
              f"{asked.left_out:,} judgments name a question or a passage that is not there." if asked.left_out else
              "Every judgment names a question and a passage that are there."),
    ]  # fmt: skip


def _source(grades: Mapping[str, int], passages: Mapping[str, Any]) -> str:
    best = max(grades, key=lambda one: grades[one])
    return str(passages[best].source) if best in passages else ""
