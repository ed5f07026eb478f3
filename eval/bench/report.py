"""How long a report takes over many questions: made-up ones, with two versions and an anchor, and every part that a night has."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eval.answers.failure_attribution import AttributedQuestion
from eval.answers.failure_changes import FailureCauses
from eval.gate.decide import GateDecision, ServedScores, decide
from eval.report.comparison import AbstentionScores, AnswerSummary, Comparison, PassageVotes, ReportQuestion, VersionRun
from eval.report.output.write_report import write_report
from eval.report.provenance import ReportContext, ValidityCheck
from rag.records import Citation, Passage

Ranks = NDArray[np.int64]
DEPTH = 100  # passages that a version returns for a question
FOUND = 0.15  # of all questions have their passage at rank 1, of the rest as many at rank 2, and so on
MOVES = (-2, -1, 0, 0, 1, 2, 3)  # ranks that a question may win by the candidate, each as likely
ATTRIBUTED = 60  # questions whose failures get a cause, as in a night


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportBench:
    """One report."""

    n_questions: int
    decision: str
    seconds: float
    """To decide, and to write the folder with figures and plots."""
    cpu_s: float
    page_kb: float
    folder_mb: float
    """Of all its files, every question's figures among them."""


def measure_report(folder: Path, n_questions: int, seed: int = 13) -> ReportBench:
    """Decides on made-up questions and writes the report into *folder*. Making them up is not timed."""
    comparison, ranks, background = synthetic_comparison(n_questions, seed)
    started, cpu_started = time.perf_counter(), time.process_time()
    decision = _decided(comparison, *ranks)
    page = write_report(folder, decision, {"n_questions": n_questions}, comparison, background).with_suffix(".html")
    seconds, cpu_s = time.perf_counter() - started, time.process_time() - cpu_started
    n_bytes = sum(file.stat().st_size for file in folder.iterdir())
    return ReportBench(
        n_questions=n_questions,
        decision=decision.decision,
        seconds=round(seconds, 2),
        cpu_s=round(cpu_s, 2),
        page_kb=round(page.stat().st_size / 1e3, 1),
        folder_mb=round(n_bytes / 1e6, 2),
    )


def synthetic_comparison(n: int, seed: int) -> tuple[Comparison, tuple[Ranks, Ranks], ReportContext]:
    """The comparison, the ranks of the right passages under both versions, and what else a night tells."""
    rng = np.random.default_rng(seed)
    questions = _questions(n, rng)
    current = rng.geometric(FOUND, n)
    candidate = np.maximum(1, current - rng.choice(MOVES, n))
    sure = AbstentionScores(rng.beta(4, 2, n), rng.beta(2, 4, n), current <= 5, 0.2)
    found = [
        VersionRun(name, _run(questions, ranks), sureness=sure if name != "base" else None)
        for name, ranks in (("current", current), ("candidate", candidate), ("base", np.minimum(current + 1, DEPTH)))
    ]
    comparison = Comparison(
        questions=questions,
        current=found[0],
        candidate=found[1],
        anchor=found[2],
        read=_read,
        causes=_causes(questions),
        answer=_answer,
    )
    checks = (ValidityCheck("Questions that occur twice", True, "No question occurs twice."),)
    return comparison, (current, candidate), ReportContext(title="Report on made-up questions", checks=checks)


def _questions(n: int, rng: np.random.Generator) -> tuple[ReportQuestion, ...]:
    is_unseen, is_locked = rng.random(n) < 0.6, rng.random(n) < 0.2
    return tuple(
        ReportQuestion(
            query_id=f"q{index}",
            text=f"How do I reset device number {index}?",
            right={f"p{index}": 1},
            source=f"docs/{index % 200}.md",
            language="en",
            is_unseen=bool(is_unseen[index]),
            is_newest=index >= 0.8 * n,
            is_locked=bool(is_locked[index]),
            votes=(PassageVotes(f"p{index}", "pin", 2),),
        )
        for index in range(n)
    )


def _run(questions: Sequence[ReportQuestion], ranks: Ranks) -> dict[str, list[str]]:
    """Each question's passages, the right one at its rank, the others those of its neighbours."""
    n, run = len(questions), {}
    for index, rank in enumerate(ranks.tolist()):
        found = [f"p{(index + away) % (n + DEPTH)}" for away in range(1, DEPTH + 1)]
        if rank <= DEPTH:
            found[rank - 1 :] = [f"p{index}", *found[rank - 1 : -1]]
        run[questions[index].query_id] = found
    return run


def _read(ids: Collection[str]) -> Mapping[str, Passage]:
    text = "Hold the button for ten seconds, until the light is green. " * 8
    return {
        passage_id: Passage(
            passage_id=passage_id,
            document_id=f"d-{passage_id}",
            source=f"docs/{passage_id}.md",
            title="Devices",
            heading="Reset",
            text=text,
            start=0,
            end=len(text),
        )
        for passage_id in ids
    }


def _answer(ids: Sequence[str]) -> Mapping[str, Mapping[str, AnswerSummary]]:
    said = "Hold the button for ten seconds, until the light is green. [1]"
    answers_of_passage = {
        passage_id: AnswerSummary(
            said,
            citations=(
                Citation(
                    n=1,
                    passage_id=f"p{passage_id[1:]}",
                    source="docs",
                    page=None,
                    start=0,
                    end=58,
                    quote=said[:58],
                    support=0.9,
                ),
            ),
        )
        for passage_id in ids
    }
    return {
        passage_id: {"current": answers_of_passage[passage_id], "candidate": answers_of_passage[passage_id]}
        for passage_id in ids
    }


def _causes(questions: Sequence[ReportQuestion]) -> FailureCauses:
    some = [
        AttributedQuestion(query_id=question.query_id, question=question.text, cause="right", rank=1, error="")
        for question in questions[:ATTRIBUTED]
    ]
    return FailureCauses(
        written_by="extractive",
        current=tuple(some),
        candidate=tuple(some),
        n_golden=0,
        n_without_reference=0,
        n_undecided=0,
    )


def _decided(comparison: Comparison, current: Ranks, candidate: Ranks) -> GateDecision:
    return decide(
        _served(current),
        _served(candidate),
        comparison.mask(lambda one: one.is_unseen),
        decisive=comparison.mask(lambda one: not one.is_locked),
        newest=comparison.mask(lambda one: one.is_newest),
    )


def _served(ranks: Ranks) -> ServedScores:
    """One right passage a question: nDCG@10 is 1 / log2(1 + rank), and recall@10 is 1, up to rank 10."""
    is_there = ranks <= 10
    return ServedScores(np.where(is_there, 1 / np.log2(1 + ranks), 0.0), is_there.astype(np.float64))
