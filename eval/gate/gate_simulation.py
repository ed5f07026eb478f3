"""Simulates the gate on synthetic questions with a known effect: one night, and thirty nights on the same questions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from eval.gate.decide import ServedScores, decide, significance_level
from eval.gate.rules import DEFAULT_RULES, GateRules
from eval.statistics.proportions import Proportion, wilson_interval
from eval.statistics.significance import LIGHT_BUDGET, randomisation_p
from rag.arrays import DoubleArray

CHANGED = 0.5  # the share of questions that a new version changes at all; the others are ties
SPREAD = 0.3  # standard deviation of the change in nDCG@10 of those: as on feedbackqa-uk
LOCKED_TOO = 0.25  # locked questions per question that decides


@dataclass(frozen=True, slots=True)
class PromotionRate:
    """How often candidates of one true effect were promoted."""

    effect: float
    """True change of nDCG@10."""
    n_questions: int
    share: Proportion
    predicted: float
    """By the normal approximation behind `PairedComparison.detectable`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesOfNights:
    """Many series of nights on one set of questions."""

    effect: float
    """True change of nDCG@10 of every candidate against the base."""
    likeness: float
    """Correlation of two nights' candidates."""
    shares_level: bool
    """Whether later looks get a part of the level, or every look gets all of it."""
    per_night: Proportion
    any_night: Proportion
    """Series with a promotion in any night."""
    apparent: float
    """Mean gain of the last version over the base on the questions that decided."""
    locked: float
    """The mean gain on locked questions, which never decided."""


def simulate_night(
    effect: float,
    n_questions: int,
    n_simulations: int,
    seed: int = 13,
    rules: GateRules = DEFAULT_RULES,
    progress: Callable[[int], None] = lambda n: None,
) -> PromotionRate:
    """Decides on candidates of one true effect by the whole gate, its guards included."""
    rng = np.random.default_rng(seed)
    n_promoted = 0
    for _ in range(n_simulations):
        before = rng.random(n_questions)
        after = before + changes(effect, n_questions, rng)
        unseen, newest = rng.random(n_questions) < 0.5, np.arange(n_questions) >= 0.8 * n_questions
        same = np.ones(n_questions)
        decision = decide(ServedScores(before, same), ServedScores(after, same), unseen, rules=rules, newest=newest)
        n_promoted += decision.decision == "promoted"
        progress(1)
    return PromotionRate(
        effect,
        n_questions,
        wilson_interval(n_promoted, n_simulations),
        predicted_power(effect, n_questions, rules.alpha),
    )


def changes(effect: float, n: int, rng: np.random.Generator) -> DoubleArray:
    """`(n,)`: what a candidate changes: *effect* on average, and half of the questions not at all.

    >>> float(changes(0.1, 100_000, np.random.default_rng(1)).mean().round(2))
    0.1
    """
    moved = rng.random(n) < CHANGED
    return np.asarray(moved * (effect / CHANGED + SPREAD * rng.standard_normal(n)), np.float64)


def predicted_power(effect: float, n: int, alpha: float = 0.05) -> float:
    """The chance that the primary test promotes a candidate of this effect, by the normal approximation.

    >>> round(predicted_power(0.0, 150), 3), round(predicted_power(0.06, 150), 2)
    (0.025, 0.92)
    """
    from scipy import stats

    variance = CHANGED * (SPREAD**2 + (effect / CHANGED) ** 2) - effect**2
    return float(stats.norm.sf(stats.norm.isf(alpha / 2) - effect * math.sqrt(n / variance)))


def simulate_series(
    effect: float,
    likeness: float,
    shares_level: bool,
    *,
    n_questions: int = 150,
    n_nights: int = 30,
    n_series: int = 200,
    seed: int = 13,
    rules: GateRules = DEFAULT_RULES,
    progress: Callable[[int], None] = lambda n: None,
) -> SeriesOfNights:
    """Series of nights on one set of questions; what is promoted is what the next candidate is compared with.

    By the primary test alone: guards can only refuse more.
    """
    rng = np.random.default_rng(seed)
    n_promotions, n_any, apparent, locked = 0, 0, [], []
    for _ in range(n_series):
        n_all = n_questions + int(LOCKED_TOO * n_questions)
        shared, champion, before = rng.standard_normal(n_all), np.zeros(n_all), n_promotions
        for night in range(1, n_nights + 1):
            candidate = _version(effect, likeness, shared, rng)
            look = night if shares_level else 1
            if is_better((candidate - champion)[:n_questions], rules, look):
                champion, n_promotions = candidate, n_promotions + 1
        n_any += n_promotions > before
        apparent.append(champion[:n_questions].mean())
        locked.append(champion[n_questions:].mean())
        progress(1)
    return SeriesOfNights(
        effect=effect,
        likeness=likeness,
        shares_level=shares_level,
        per_night=wilson_interval(n_promotions, n_series * n_nights),
        any_night=wilson_interval(n_any, n_series),
        apparent=float(np.mean(apparent)),
        locked=float(np.mean(locked)),
    )


def _version(effect: float, likeness: float, shared: DoubleArray, rng: np.random.Generator) -> DoubleArray:
    """`(n,)`: what one night's candidate changes of the base; two nights' have *likeness* of it in common."""
    n = len(shared)
    mixed = math.sqrt(likeness) * shared + math.sqrt(1 - likeness) * rng.standard_normal(n)
    return np.asarray(effect + SPREAD * (rng.random(n) < CHANGED) * mixed, np.float64)


def is_better(differences: DoubleArray, rules: GateRules, look: int) -> bool:
    """The primary test of the gate alone."""
    return bool(
        differences.mean() > 0
        and randomisation_p(differences, budget=LIGHT_BUDGET // 50) < significance_level(rules, look)
    )


EFFECTS: Sequence[float] = (0.0, 0.03, 0.06)
CORRELATIONS: Sequence[float] = (0.0, 0.9)
