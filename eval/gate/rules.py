"""The gate's rules: what has to hold before a candidate is promoted. Each is a setting of the section `gate`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRules:
    """What has to hold before a candidate is promoted."""

    alpha: float = 0.05
    """Two-sided level of the paired tests."""
    min_questions: int = 30
    """Fewer held-out questions decide nothing."""
    unseen_margin: float = 0.01
    """nDCG@10 of the unseen questions may not fall by more."""
    min_unseen: int = 30
    """With fewer, the unseen slice vetoes only if its whole interval lies below zero."""
    newest_margin: float = 0.02
    """nDCG@10 of the questions that were judged last may not fall by more: a fifth of all, so chance moves them further.
    Of candidates whose gain is just significant on 150 questions it would veto 5 % by chance, 0.01 would 10 %."""
    min_newest: int = 30
    """As `min_unseen`, for the newest slice."""
    golden_margin: float = 0.02
    """nDCG@10 of the golden questions may not fall by more."""
    min_golden: int = 10
    """As `min_unseen`, for the golden questions; fewer suffice because somebody chose each of them."""
    answered_margin: float = 0.05
    """The share answered of questions with a right passage, and the share declined of those without, may not fall by more."""
    support_margin: float = 0.02
    """The share of an answer's sentences that their citations support may not fall by more."""
    min_answers: int = 30
    """As `min_unseen`, for answers and citation support."""
    harm_alpha: float = 0.4
    """A fall of a slice beyond its margin vetoes if p, two-sided and of this slice alone, lies below: one in five that
    change nothing. Without it chance on 50 questions would veto more than one in three."""
    wall_tolerance: float = 0.05
    """Of the questions whose passage people once found, and the current version has among its first ten, no larger
    share may lose it, beyond chance."""
    max_slower: float = 1.5
    """The slowest twentieth of the searches may take this many times as long,"""
    slack_ms: float = 50.0
    """and may take this much longer in any case."""
    min_coverage: float = 0.95
    """If a smaller share of the questions could be measured, the night is invalid."""
    max_mean_cosine: float = 0.95
    """Above this mean cosine the vectors point the same way and distinguish nothing."""
    max_hub_share: float = 0.20
    """No wrong passage may be among the first hits of a larger share of the questions, unless it was so before."""
    max_hub_growth: float = 0.05
    """What counts as so before: at most this much less."""
    lock_from: int = 150
    """From this many held-out questions on, a fifth of them by hash is locked: looked at for the report, never to decide."""


DEFAULT_RULES = GateRules()
