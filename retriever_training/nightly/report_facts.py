"""The background of a night's report: data, negatives, settings, leakage checks, and how to run it again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

from eval.report.provenance import ReportContext, ValidityCheck, past_reports, repeated_questions
from rag.versions.registry import Version
from retriever_training.judgments.snapshot import TrainingSnapshot
from retriever_training.judgments.splits import find_near_duplicates_of, normalise_question
from retriever_training.measuring.held_out import HeldOutQuestions
from retriever_training.negatives.reasons import load_note
from retriever_training.tiers.night_plan import NightPlan

NIGHTS = "nights"  # the folder in the state directory that has one folder a night, with `report` in it


@dataclass(frozen=True, slots=True, kw_only=True)
class NightFacts:
    """One night, as its report needs it."""

    night_id: str
    fingerprint: str
    tier: int
    plan: NightPlan
    evidence: TrainingSnapshot
    held_out: HeldOutQuestions
    current: Version
    candidate: Version

    def plan_settings(self) -> dict[str, Any]:
        """Returns every setting of this night's plan, by a dotted name."""
        return flattened_settings(self.plan)


def night_provenance(night: NightFacts, folder: Path) -> ReportContext:
    """Returns the report's background; *folder* holds the earlier nights."""
    history = past_reports(folder, before=night.night_id)
    earlier = _settings_of(folder / history[-1].name / "report" / "metrics.json") if history else None
    return ReportContext(
        title=f"Night {night.night_id}",
        changed=(
            ("Data", tuple(_data(night))),
            ("Training and negatives", tuple(_training(night))),
            ("Settings", tuple(_changed_settings(night, earlier))),
        ),
        checks=tuple(_checks(night)),
        history=history,
        reproduce=tuple(_reproduce(night)),
        advice=tuple(_advice(night)),
    )


def _data(night: NightFacts) -> Iterator[tuple[str, str]]:
    evidence, held_out = night.evidence, night.held_out
    judgments = evidence.judgments.judgments
    yield "judgments that count", f"{len(judgments):,}"
    yield "of them right passages", f"{sum(judgment.label == 'positive' for judgment in judgments):,}"
    yield "of them wrong passages", f"{sum(judgment.label == 'negative' for judgment in judgments):,}"
    yield "training questions", f"{len(evidence.asked('train')):,}"
    yield "questions for choosing (dev)", f"{len(evidence.asked('dev')):,}"
    yield "held-out questions", f"{len(held_out):,}, {int(held_out.locked.sum()):,} of them locked"
    yield "people whose votes count", f"{len(evidence.judgments.people):,}"
    yield "passages", f"{len(evidence.passages):,}"
    for reason, n in sorted(evidence.judgments.dropped.items()):
        yield f"left out: {reason.replace('_', ' ')}", f"{n:,}"


def _training(night: NightFacts) -> Iterator[tuple[str, str]]:
    for name, value in night.candidate.note.items():
        if name not in ("negatives", "removed"):
            yield name, f"{value}"
    note = load_note(night.candidate.note)
    for word in ("negatives", "removed"):
        counts = note.get(word)
        if isinstance(counts, Mapping):
            for reason, n in sorted(counts.items()):
                yield (
                    f"{'negatives from' if word == 'negatives' else 'negatives removed'}: {_in_words(reason)}",
                    f"{n:,}",
                )
    yield "BM25's weight", f"{night.current.lexical_weight:g} → {night.candidate.lexical_weight:g}"


def _in_words(code: str) -> str:
    """A code, or one with a detail, as words.

    >>> _in_words("exceeds_margin:the base"), _in_words("in_batch")
    ('exceeds margin, the base', 'in batch')
    """
    word, _, detail = code.partition(":")
    return word.replace("_", " ") + (f", {detail}" if detail else "")


def _changed_settings(night: NightFacts, earlier: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    mine = night.plan_settings()
    before, what = (earlier, "the night before") if earlier else (flattened_settings(NightPlan()), "the defaults")
    different = [name for name in sorted(mine) if mine[name] != before.get(name, mine[name])]
    for name in different:
        yield name, f"{before[name]} → {mine[name]}"
    yield f"settings unlike {what}", f"{len(different)} of {len(mine)}"


def flattened_settings(plan: NightPlan) -> dict[str, Any]:
    """Returns dotted name → value, as they read after a round trip through JSON."""
    named = {
        "rules": asdict(plan.rules),
        "towers": asdict(plan.towers),
        "query_tower": asdict(plan.query_tower),
        "tier": plan.tier,
        "max_minutes": plan.max_minutes,
        "cold_start": plan.cold_start,
        "max_per_person": plan.max_per_person,
        "n_quarantined": len(plan.quarantined),
    }
    flattened: dict[str, Any] = json.loads(json.dumps(dict(_flat(named))))
    return flattened


def _checks(night: NightFacts) -> Iterator[ValidityCheck]:
    held = list(night.held_out.questions_by_id.values())
    trained = list(night.evidence.asked("train").questions)
    same = {normalise_question(question) for question in held} & {normalise_question(positive) for positive in trained}
    near = list(find_near_duplicates_of(trained, held))
    yield ValidityCheck(
        "Held-out questions in training",
        not same,
        f"{len(same)} of {len(held):,} held-out questions were trained on."
        if same
        else f"None of the {len(held):,} held-out questions is among the {len(trained):,} training questions.",
    )
    yield ValidityCheck(
        "Held-out questions in other words",
        not near,
        f"{len(near)} training questions say nearly what a held-out one says."
        if near
        else "No training question says nearly what a held-out one says; those that did were left out.",
    )
    twice = list(repeated_questions(held))
    yield ValidityCheck(
        "Questions held out twice",
        not twice,
        f"{len(twice)} held-out questions say what another one says, so they count double."
        if twice
        else "No held-out question occurs twice.",
    )
    n_decisive = int((night.held_out.decisive & ~night.held_out.locked).sum())
    yield ValidityCheck(
        "Questions that decide",
        n_decisive >= night.plan.rules.min_questions,
        f"{n_decisive:,} held-out questions decide; at least {night.plan.rules.min_questions} are needed.",
    )


def _advice(night: NightFacts) -> Iterator[str]:
    dropped = night.evidence.judgments.dropped
    n_lost = dropped.get("passage_gone", 0)
    if n_lost:
        yield (
            f"{n_lost:,} verdicts name passages that no longer exist because documents were changed or split again: "
            "judge these questions again if they matter."
        )


def _reproduce(night: NightFacts) -> Iterator[tuple[str, str]]:
    yield "command", f"nightjar nightly --tier {night.tier}"
    yield "seed", str(night.plan.towers.seed)
    yield "judgments, passages and parameters", night.fingerprint
    yield "passages", corpus_hash(night.evidence)
    yield "held-out questions", questions_hash(night.held_out)
    yield "current version", night.current.encoder_id
    yield "candidate", night.candidate.encoder_id
    yield "nightjar-rag", _installed("nightjar-rag")
    for package in ("numpy", "scipy", "ir-measures"):
        yield package, _installed(package)


def _installed(package: str) -> str:
    try:
        return installed(package)
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "not installed"


def corpus_hash(evidence: TrainingSnapshot) -> str:
    """Returns a hash of all passages' ids and texts, in order."""
    digest = hashlib.sha256()
    for passage in evidence.passages:
        digest.update(f"{passage.passage_id} {passage.text_sha256}\n".encode())
    return digest.hexdigest()


def questions_hash(held_out: HeldOutQuestions) -> str:
    """Returns a hash of the held-out questions and the passages that are right for them."""
    lines = [[text, sorted(held_out.right[query_id])] for query_id, text in held_out.questions_by_id.items()]
    return hashlib.sha256(json.dumps(lines, sort_keys=True).encode()).hexdigest()


def _settings_of(file: Path) -> Mapping[str, Any] | None:
    """Returns the settings of an earlier report; None if it did not store them."""
    try:
        settings = json.loads(file.read_text("utf-8"))["facts"]["settings"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return settings if isinstance(settings, dict) else None


def _flat(named: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in named.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value
