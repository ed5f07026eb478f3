"""The gate: may the candidate take the current retriever's place? A pure function that answers in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from eval.gate.guards import (
    NO_EXTRA_EVIDENCE,
    BeforeAndAfter,
    ExtraEvidence,
    GuardedSlice,
    Ruling,
    extra_slices,
    guard_hubs,
    guard_latency,
    guard_recall,
    guard_regressions,
    guard_slice,
    guard_support,
    guard_vectors,
    measure_slice,
)
from eval.gate.rules import DEFAULT_RULES, GateRules
from eval.statistics.number_wording import describe_change, describe_test, format_number
from eval.statistics.significance import PairedComparison, compare_paired, holm_correction
from rag.arrays import BoolArray, DoubleArray

Verdict = Literal["promoted", "kept", "invalid"]


@dataclass(frozen=True, slots=True)
class ServedScores:
    """What a version serves for the held-out questions: one entry a question, in one order for all versions."""

    ndcg: DoubleArray
    """nDCG@10, `(n,)`; NaN if the question could not be measured."""
    recall: DoubleArray
    """Recall@10, `(n,)`; NaN as above."""
    hub_share: float = 0.0
    """See `eval.gate.embedding_checks.hub_share`."""


@dataclass(frozen=True, slots=True)
class GateDecision:
    """What the gate says, why, and with which numbers."""

    decision: Verdict
    reasons: tuple[str, ...]
    """Sentences for people; the first one is the primary measure."""
    figures: dict[str, Any] = field(default_factory=dict)
    """The numbers behind the sentences, ready for JSON."""
    rulings: tuple[Ruling, ...] = ()
    """The same sentences, each with the rule it belongs to and whether that let the candidate through."""


def decide(
    current: ServedScores,
    candidate: ServedScores,
    unseen: BoolArray,
    faults: Sequence[str] = (),
    rules: GateRules = DEFAULT_RULES,
    decisive: BoolArray | None = None,
    newest: BoolArray | None = None,
    extra: ExtraEvidence = NO_EXTRA_EVIDENCE,
    look: int = 1,
) -> GateDecision:
    """Promotes the candidate if what it serves is better beyond chance, and no guard objects.

    *unseen* `(n,)` marks the questions whose right passage was no positive of the candidate's training, *newest* those
    that were judged last. *faults* are what `embedding_faults` found. One primary measure decides (served nDCG@10,
    two-sided paired randomisation); the guards (recall@10, unseen and newest questions, and those *extra* them that
    are tests, under Holm's correction; the regression wall, latency, embeddings, hubs) can only veto. If *decisive*
    `(n,)` is given, the primary measure and recall look at these questions alone; the guards of unseen and newest ones
    look at all. Questions that could not be measured are left out, and too many of them make the night invalid.
    *look* counts how often these questions have decided, this time included: see `level`.
    """
    questions = _questions(current, candidate, unseen, decisive, newest)
    if too_little := _too_little(questions, rules):
        return _invalid(too_little, questions.n)
    primary = compare_paired(current.ndcg[questions.decisive], candidate.ndcg[questions.decisive])
    recall = compare_paired(current.recall[questions.decisive], candidate.recall[questions.decisive])
    slices = [*_of_held_out(current, candidate, questions, rules), *extra_slices(extra, rules)]
    recall_p, *slice_ps = _after_holm(recall, slices)
    rulings = (
        _rule_primary(primary, rules, look),
        *(guard_slice(guarded, p, rules) for guarded, p in zip(slices, slice_ps, strict=True)),
        *guard_support(extra),
        guard_recall(recall, recall_p, rules),
        guard_hubs(current.hub_share, candidate.hub_share, rules),
        *([guard_regressions(extra.regressions, rules)] if extra.regressions else []),
        *([guard_latency(extra.search_ms, rules)] if extra.search_ms else []),
        *guard_vectors(faults),
    )
    figures = {
        "n": questions.n,
        "n_asked": questions.n_asked,
        "look": look,
        "level": significance_level(rules, look),
        "primary": asdict(primary),
        **{guarded.key: guarded.figures_with_p(p) for guarded, p in zip(slices, slice_ps, strict=True)},
        "recall": asdict(recall) | {"p_holm": recall_p},
        "hub_share": {"current": current.hub_share, "candidate": candidate.hub_share},
    }
    promoted = all(ruling.passed for ruling in rulings)
    return GateDecision(
        "promoted" if promoted else "kept", tuple(ruling.sentence for ruling in rulings), figures, rulings
    )


@dataclass(frozen=True, slots=True)
class _Questions:
    """Which held-out questions tell what, `(n,)` each; those that could not be measured tell nothing."""

    decisive: BoolArray
    unseen: BoolArray
    newest: BoolArray
    n_asked: int
    """Decisive ones, measured or not."""

    @property
    def n(self) -> int:
        """How many decide."""
        return int(self.decisive.sum())


def _questions(
    current: ServedScores,
    candidate: ServedScores,
    unseen: BoolArray,
    decisive: BoolArray | None,
    newest: BoolArray | None,
) -> _Questions:
    every = len(current.ndcg)
    decisive = np.ones(every, np.bool_) if decisive is None else decisive
    newest = np.zeros(every, np.bool_) if newest is None else newest
    assert len(unseen) == len(newest) == len(decisive) == every == len(candidate.ndcg), (
        "both versions answer the same questions, in one order"
    )
    measured = _measured(current, candidate)
    return _Questions(decisive & measured, unseen & measured, newest & measured, int(decisive.sum()))


def _measured(current: ServedScores, candidate: ServedScores) -> BoolArray:
    """`(n,)`: a question that failed for either version tells nothing of the other one."""
    whole = [np.isfinite(scores) for scores in (current.ndcg, current.recall, candidate.ndcg, candidate.recall)]
    return np.asarray(np.logical_and.reduce(whole), np.bool_)


def _of_held_out(
    current: ServedScores, candidate: ServedScores, questions: _Questions, rules: GateRules
) -> list[GuardedSlice]:
    def pair(inside: BoolArray) -> BeforeAndAfter:
        return BeforeAndAfter(current.ndcg[inside], candidate.ndcg[inside])

    return [
        measure_slice(
            pair(questions.unseen),
            "unseen",
            name="Unseen passages",
            belonging="ask for one",
            which="on the {n} questions whose passage was never trained on",
            margin=rules.unseen_margin,
            at_least=rules.min_unseen,
        ),
        measure_slice(
            pair(questions.newest),
            "newest",
            name="Newest questions",
            belonging="stand out by their time",
            which="on the {n} questions that were judged last",
            margin=rules.newest_margin,
            at_least=rules.min_newest,
        ),
    ]


def _after_holm(recall: PairedComparison, slices: Sequence[GuardedSlice]) -> list[float]:
    """The p-values of recall and of each slice, corrected for the number of tests; 1 for slices that are not tested."""
    tested = [guarded for guarded in slices if guarded.is_tested]
    corrected = iter(holm_correction([recall.p, *(guarded.figures.p for guarded in tested if guarded.figures)]))
    return [next(corrected), *(next(corrected) if guarded.is_tested else 1.0 for guarded in slices)]


def _invalid(sentence: str, n: int) -> GateDecision:
    return GateDecision("invalid", (sentence,), {"n": n}, (Ruling("primary", "decision", "untested", sentence),))


def _too_little(questions: _Questions, rules: GateRules) -> str:
    """Why these questions can't decide; empty if they can."""
    n, n_asked = questions.n, questions.n_asked
    if n < max(2, rules.min_questions):
        return (
            f"Invalid: {n} held-out questions can't decide anything; the gate needs {rules.min_questions}. "
            "Collect more verdicts, or give the night a golden set."
        )
    if n < rules.min_coverage * n_asked:
        return (
            f"Invalid: only {n:,} of {n_asked:,} held-out questions could be measured; the gate needs "
            f"{rules.min_coverage:.0%} of them. See the errors in the report."
        )
    return ""


def significance_level(rules: GateRules, look: int) -> float:
    """What p must lie below at the *look*-th decision on the same questions: the first one has it all, later ones a part.

    Thirty nights at the full level would promote at least one of thirty equal versions in 29 to 52 % of all cases, and
    so in 7 to 10 %; see `nightjar bench gate`. Fresh judgments begin the count again.

    >>> significance_level(GateRules(alpha=0.05), 1), significance_level(GateRules(alpha=0.05), 10)
    (0.05, 0.005)
    """
    assert look >= 1, "the first look is look 1"
    return rules.alpha / look


def _rule_primary(figures: PairedComparison, rules: GateRules, look: int) -> Ruling:
    is_better = figures.difference > 0 and figures.p < significance_level(rules, look)
    return Ruling("primary", "decision", "passed" if is_better else "failed", _primary(figures, rules, look))


def _primary(figures: PairedComparison, rules: GateRules, look: int) -> str:
    said = f"Served nDCG@10 {describe_change(figures)} on {figures.n:,} held-out questions"
    if figures.wins == figures.losses == 0:
        return f"{said}: not one of them changed."
    if figures.p < significance_level(rules, look):
        return f"{said} ({describe_test(figures)})."
    if figures.p < rules.alpha:
        return (
            f"{said} ({describe_test(figures)}): not enough for look {look} at these questions, where p must lie below "
            f"{significance_level(rules, look):.4f}; fresh judgments begin the count anew."
        )
    return (
        f"{said} ({describe_test(figures)}): chance alone could do that; "
        f"so many questions show a true change of {format_number(figures.detectable)} or more."
    )
