"""The gate's guards: each looks at one way in which a better candidate may be worse, and says what it found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from eval.gate.rules import GateRules
from eval.statistics.number_wording import describe_change, describe_p, describe_test, format_number
from eval.statistics.proportions import wilson_interval
from eval.statistics.significance import PairedComparison, compare_paired
from rag.arrays import DoubleArray

RulingOutcome = Literal["passed", "failed", "untested"]
Family = Literal["decision", "quality", "answers", "health", "bars"]

FEWEST_TIMED = 20  # searches: the slowest twentieth is one
FEWEST_FOUND = 30  # questions of the wall
SUPPORTED_BY_CONSTRUCTION = (
    "Citations: answers are quotes of the documents, word for word, so every sentence is supported by construction; "
    "there was nothing to measure."
)


@dataclass(frozen=True, slots=True)
class Ruling:
    """What one rule says of a candidate."""

    name: str
    """A word for programs: "recall"."""
    family: Family
    outcome: RulingOutcome
    sentence: str
    """For people; a failed guard's begins with "Veto"."""

    @property
    def passed(self) -> bool:
        """Whether it lets the candidate through."""
        return self.outcome != "failed"


@dataclass(frozen=True, slots=True)
class BeforeAndAfter:
    """Figures of the same questions before and after: `(n,)` numbers each."""

    before: DoubleArray
    after: DoubleArray

    def __post_init__(self) -> None:
        assert self.before.shape == self.after.shape, "both versions answer the same questions, in one order"

    def __len__(self) -> int:
        return len(self.before)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtraEvidence:
    """Measurements besides the rankings of held-out questions; None for what was not measured."""

    regressions: BeforeAndAfter | None = None
    """1 if a passage that people once found right is among the first ten, of all judged questions."""
    golden: BeforeAndAfter | None = None
    """nDCG@10 of the golden questions."""
    answered: BeforeAndAfter | None = None
    """1 if a question with a right passage is answered."""
    declined: BeforeAndAfter | None = None
    """1 if a question without one is declined."""
    support: BeforeAndAfter | None = None
    """Share of an answer's sentences that their citations support."""
    support_note: str = ""
    """A sentence that says why support was not measured; else empty."""
    search_ms: BeforeAndAfter | None = None
    """How long the searches took, in milliseconds."""


NO_EXTRA_EVIDENCE = ExtraEvidence()


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardedSlice:
    """A group of questions that may not get worse, whatever the others gain."""

    key: str
    family: Family
    name: str
    belonging: str
    """What its questions do: "ask for one"."""
    which: str
    """Before the measure: "on the 40 questions that were judged last"."""
    measure: str
    n: int
    figures: PairedComparison | None
    """None for fewer than two questions."""
    margin: float
    at_least: int
    """With fewer questions it vetoes only if its whole interval lies below zero."""

    @property
    def is_tested(self) -> bool:
        """Whether it is judged by its p-value."""
        return self.figures is not None and self.n >= self.at_least

    def figures_with_p(self, p: float) -> dict[str, Any] | None:
        """Returns the figures of the slice; *p* is after Holm, and None if an interval decides instead."""
        return asdict(self.figures) | {"p_holm": p if self.is_tested else None} if self.figures else None


def measure_slice(
    pair: BeforeAndAfter,
    key: str,
    name: str,
    belonging: str,
    which: str,
    margin: float,
    at_least: int,
    measure: str = "nDCG@10",
    family: Family = "quality",
) -> GuardedSlice:
    """Measures a pair; *which* has a placeholder for the number of questions: "on the {n} questions that …"."""
    n = len(pair)
    figures = compare_paired(pair.before, pair.after) if n >= 2 else None
    return GuardedSlice(
        key=key,
        family=family,
        name=name,
        belonging=belonging,
        which=which.format(n=f"{n:,}"),
        measure=measure,
        n=n,
        figures=figures,
        margin=margin,
        at_least=at_least,
    )


def guard_slice(guarded: GuardedSlice, p: float, rules: GateRules) -> Ruling:
    """A slice may fall within its margin if chance explains it; *p* is after Holm."""
    outcome, sentence = _judged(guarded, p, rules)
    return Ruling(guarded.key, guarded.family, outcome, sentence)


def _judged(one: GuardedSlice, p: float, rules: GateRules) -> tuple[RulingOutcome, str]:
    figures = one.figures
    if figures is None:
        return "untested", f"{one.name}: {one.n} of the held-out questions {one.belonging}, too few to guard."
    said = f"{one.which}, {one.measure} {describe_change(figures)}"
    if not one.is_tested:
        if figures.high < 0:
            return "failed", f"Veto: {said} ({describe_test(figures)}); few questions, but clearly worse."
        return "untested", f"{one.name}: {said}: too few to guard (fewer than {one.at_least})."
    if figures.difference < -one.margin and figures.p < rules.harm_alpha:
        return "failed", f"Veto: {said}, a fall of more than {format_number(one.margin)} ({describe_p(figures.p)})."
    if figures.difference < 0 and p < rules.alpha:
        return "failed", f"Veto: {said}, a small fall, but beyond chance ({describe_p(p)} after Holm)."
    verdict = "no harm" if figures.difference >= -one.margin else "chance alone could do that"
    return "passed", f"{one.name}: {said} ({describe_test(figures)}): {verdict}."


def guard_recall(figures: PairedComparison, p: float, rules: GateRules) -> Ruling:
    """Recall may not fall beyond chance; *p* is after Holm."""
    if figures.difference < 0 and p < rules.alpha:
        said = f"Veto: recall@10 {describe_change(figures)} ({describe_test(figures)}; {describe_p(p)} after Holm)."
        return Ruling("recall", "quality", "failed", said)
    return Ruling("recall", "quality", "passed", f"Recall@10 {describe_change(figures)}: not significantly worse.")


def guard_hubs(current: float, candidate: float, rules: GateRules) -> Ruling:
    """No wrong passage may turn up everywhere."""
    said = f"among the first hits of {candidate:.0%} of the questions ({current:.0%} before)"
    if candidate > rules.max_hub_share and candidate > current + rules.max_hub_growth:
        sentence = f"Veto: one wrong passage is now {said}, above {rules.max_hub_share:.0%}."
        return Ruling("hubs", "health", "failed", sentence)
    return Ruling("hubs", "health", "passed", f"The most frequent wrong passage is {said}.")


def guard_regressions(pair: BeforeAndAfter, rules: GateRules) -> Ruling:
    """What people once found right, and the current version finds, must still be found; see `GateRules.wall_tolerance`.

    >>> guard_regressions(BeforeAndAfter(np.ones(100), np.r_[np.zeros(20), np.ones(80)]), GateRules()).sentence
    'Veto: 20 of 100 passages that people found right, and the current version finds, are lost: above 5 %, beyond chance.'
    """
    found = pair.before > 0
    n = int(found.sum())
    lost = int((found & ~(pair.after > 0)).sum())
    gained = int((~found & (pair.after > 0)).sum())
    said = f"{lost:,} of {n:,} passages that people found right, and the current version finds, are lost"
    if n < FEWEST_FOUND:
        return Ruling("wall", "quality", "untested", f"Regression wall: {said}; too few to guard (fewer than 30).")
    if wilson_interval(lost, n).low > rules.wall_tolerance:
        return Ruling(
            "wall", "quality", "failed", f"Veto: {said}: above {rules.wall_tolerance * 100:.0f} %, beyond chance."
        )
    return Ruling("wall", "quality", "passed", f"Regression wall: {said}, and {gained:,} are found anew.")


def guard_latency(pair: BeforeAndAfter, rules: GateRules) -> Ruling:
    """The slowest twentieth of the searches may not take far longer; a few milliseconds never count.

    >>> guard_latency(BeforeAndAfter(np.full(40, 20.0), np.full(40, 90.0)), GateRules()).outcome
    'failed'
    """
    if len(pair) < FEWEST_TIMED:
        return Ruling("latency", "health", "untested", f"Latency: {len(pair)} timed searches are too few to guard.")
    before, after = (float(np.quantile(times, 0.95)) for times in (pair.before, pair.after))
    said = f"the slowest twentieth of {len(pair):,} searches takes {after:.0f} ms or more ({before:.0f} before)"
    if after > before * rules.max_slower and after > before + rules.slack_ms:
        return Ruling("latency", "health", "failed", f"Veto: {said}, above {rules.max_slower:g} times as long.")
    return Ruling("latency", "health", "passed", f"Latency: {said}.")


def guard_support(extra: ExtraEvidence) -> list[Ruling]:
    """Says why citations were not judged, if there is a note on it; if they were measured, a slice judges them.

    >>> guard_support(ExtraEvidence(support_note=SUPPORTED_BY_CONSTRUCTION))[0].outcome, guard_support(NO_EXTRA_EVIDENCE)
    ('untested', [])
    """
    is_told = extra.support is None and extra.support_note
    return [Ruling("support", "answers", "untested", extra.support_note)] if is_told else []


def guard_vectors(faults: Sequence[str]) -> list[Ruling]:
    """One ruling for each fault that `embedding_faults` found; none if nothing is wrong."""
    return [Ruling("vectors", "health", "failed", fault) for fault in faults]


def extra_slices(extra: ExtraEvidence, rules: GateRules) -> list[GuardedSlice]:
    """The golden questions, declining and citation support, as far as they were measured."""
    least = rules.min_answers
    known: list[tuple[BeforeAndAfter | None, str, str, str, float, int, str, Family]] = [
        (
            extra.golden,
            "golden",
            "Golden questions",
            "on the {n} golden questions",
            rules.golden_margin,
            rules.min_golden,
            "nDCG@10",
            "quality",
        ),
        (
            extra.answered,
            "answered",
            "Answering",
            "of the {n} questions with a right passage",
            rules.answered_margin,
            least,
            "the share answered",
            "answers",
        ),
        (
            extra.declined,
            "declined",
            "Declining",
            "of the {n} questions without a right passage",
            rules.answered_margin,
            least,
            "the share declined",
            "answers",
        ),
        (
            extra.support,
            "support",
            "Citations",
            "in {n} answers",
            rules.support_margin,
            least,
            "the share of supported sentences",
            "answers",
        ),
    ]
    return [
        measure_slice(
            pair,
            key,
            name=name,
            belonging="are of this kind",
            which=which,
            margin=margin,
            at_least=at_least,
            measure=measure,
            family=family,
        )
        for pair, key, name, which, margin, at_least, measure, family in known
        if pair is not None
    ]
