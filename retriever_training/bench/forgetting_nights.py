"""Night after night of tier 1 on simulated votes: what the standing version gains if it learns, and loses elsewhere."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from rag.records import Verdict, sha256_of
from retriever_training.bench.forgetting import SetComparison, compare_with_base, served_change
from retriever_training.bench.harness.disk_cache import cached_figures
from retriever_training.bench.harness.reported_set import ReportedSet
from retriever_training.bench.simulated_library import (
    FIRST_DAY,
    SimulatedLibrary,
    SimulatedVersion,
    decide_promotion,
    passages_shown_by,
    simulate_verdicts,
    snapshot_of,
    train_map,
)
from retriever_training.judgments.snapshot import TrainingSnapshot
from retriever_training.nightly.fingerprint import TRAINING_CODE_VERSION
from retriever_training.simulation.simulated_users import Behaviour


@dataclass(frozen=True, slots=True)
class SimulatedUse:
    """How people use the library: a share of the questions is asked for the first time on each of the days."""

    n_nights: int
    behaviour: Behaviour
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedNight:
    """One night, and what answers after it. Changes are of served nDCG@10, over the base at the same lexical weight."""

    night: int
    """1-based."""
    n_asked: int
    """Different questions so far."""
    n_votes: int
    """So far."""
    decision: str
    reason: str
    lexical_weight: float
    own: float
    """Change on the test questions of the set that people ask about."""
    elsewhere: dict[str, float] = field(default_factory=dict)
    """set → change."""

    @property
    def mean_elsewhere(self) -> float:
        """Over the sets that nobody asks about."""
        return sum(self.elsewhere.values()) / len(self.elsewhere)


@dataclass(frozen=True, slots=True)
class SimulatedNights:
    """All nights under one seed, and each set by what answers in the end."""

    nights: tuple[SimulatedNight, ...]
    own: SetComparison
    elsewhere: dict[str, SetComparison]


def simulate_nights(
    library: SimulatedLibrary,
    own: ReportedSet,
    elsewhere: Sequence[ReportedSet],
    use: SimulatedUse,
    folder: Path,
    progress: Callable[[int], None] = lambda n: None,
) -> SimulatedNights:
    """Lets people ask, vote and sleep, *life.n_nights* times.

    They see what the version of the day shows. Every night starts from the base with all votes so far, and the gate
    decides on held-out votes, as real ones do. What *folder* holds of the same life is read, not learned again.
    """
    folder = folder / f"nights-{_named(library, own, use)}"
    questions = [str(question) for question in np.random.default_rng(use.seed).permutation(sorted(library.asked))]
    verdicts: list[Verdict] = []
    current, nights = library.base, []
    measured = _measured(library, own, elsewhere, current)
    for number in range(use.n_nights):
        verdicts += _day(library, current, questions[number :: use.n_nights], use, number)
        told, standing = _night(library, snapshot_of(library, verdicts), current, folder / f"{number + 1:03d}.json")
        if standing is not current:
            current, measured = standing, _measured(library, own, elsewhere, standing)
        changes = {name: round(served_change(version), 5) for name, version in measured.items()}
        nights.append(
            SimulatedNight(
                night=number + 1,
                n_asked=len({verdict.question for verdict in verdicts}),
                n_votes=len(verdicts),
                decision=told["decision"],
                reason=told["reason"],
                lexical_weight=current.lexical_weight,
                own=changes.pop(own.name),
                elsewhere=changes,
            )
        )
        progress(1)
    of_own = measured.pop(own.name)
    return SimulatedNights(tuple(nights), of_own, measured)


def _named(world: SimulatedLibrary, own: ReportedSet, life: SimulatedUse) -> str:
    """What decides how the nights go."""
    told = {
        **asdict(life),
        "set": own.sha256,
        "n_questions": len(world.asked),
        "weight": world.default_weight,
        "base": hashlib.sha256(world.matrix.tobytes()).hexdigest(),
        "recipe": TRAINING_CODE_VERSION,
    }
    return sha256_of(json.dumps(told, sort_keys=True))[:12]


def _day(
    world: SimulatedLibrary, current: SimulatedVersion, questions: Sequence[str], life: SimulatedUse, number: int
) -> list[Verdict]:
    """What people say on one day of what *current* shows them; each day has other turns."""
    asked = {question: world.asked[question] for question in questions}
    shown = passages_shown_by(world, current, questions)
    at = FIRST_DAY + timedelta(days=number)
    given = simulate_verdicts(asked, shown, life.behaviour, 1000 * life.seed + number, at)
    return [replace(verdict, turn_id=f"{number}-{verdict.turn_id}") for verdict in given]


def _night(
    world: SimulatedLibrary, evidence: TrainingSnapshot, current: SimulatedVersion, file: Path
) -> tuple[dict[str, Any], SimulatedVersion]:
    """What the gate said, and what answers in the morning."""
    weights = file.with_suffix(".npy")

    def make() -> dict[str, Any]:
        candidate = train_map(world, evidence)
        decision = decide_promotion(world, evidence, current, candidate)
        told = {"decision": decision.decision, "reason": decision.reasons[0]}
        if candidate is None or decision.decision != "promoted":
            return told
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(weights, candidate.weights)
        return told | {"lexical_weight": candidate.lexical_weight, "seen": sorted(candidate.seen)}

    told = cached_figures(file, make)
    if told["decision"] != "promoted":
        return told, current
    return told, SimulatedVersion(np.load(weights), told["lexical_weight"], frozenset(told["seen"]))


def _measured(
    world: SimulatedLibrary, own: ReportedSet, elsewhere: Sequence[ReportedSet], version: SimulatedVersion
) -> dict[str, SetComparison]:
    return {
        dataset.name: compare_with_base(
            dataset, version.asked(dataset.asked), dataset.passages, version.lexical_weight, world.default_weight
        )
        for dataset in (own, *elsewhere)
    }
