"""Nights under attack: people who vote against the truth, judged, learned from and gated on arrays that are encoded once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

import numpy as np

from eval.gate.decide import GateDecision
from rag.records import ShownPassage, Verdict
from retriever_training.bench.simulated_library import (
    FIRST_DAY,
    SimulatedLibrary,
    decide_promotion,
    golden_ndcg,
    passages_shown_by,
    simulate_verdicts,
    snapshot_of,
    train_map,
)
from retriever_training.judgments.reasons import DropReason
from retriever_training.simulation.simulated_users import Behaviour

VOTE_INTERVAL = timedelta(seconds=20)  # an attacker's, too slow to be taken for a machine
N_LIES = 1000
N_ATTACK_NIGHTS = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackOutcome:
    """What an attack came to after its last night."""

    attack: str
    seed: int
    n_promoted: int
    golden_change: float
    """nDCG@10 of what answers in the end minus that of the base, on the golden questions."""
    worst_promotion: float
    """The largest fall on the golden questions that one promotion brought; 0 if none did."""
    waiting: tuple[str, ...] = ()
    """Who was in quarantine in the last night."""
    dropped: Mapping[DropReason, int] = field(default_factory=dict)
    reason: str = ""
    """The gate's first sentence in the last night."""


NightlyVerdicts = Iterator[list[Verdict]]
"""For each night, all verdicts that count by then."""
Attack = Callable[[SimulatedLibrary, Mapping[str, tuple[ShownPassage, ...]], int], NightlyVerdicts]


def run_attack(library: SimulatedLibrary, name: str, seed: int) -> AttackOutcome:
    """Lets people vote as the attack *name* of ATTACKS says, and runs a tier-1 night on it, or several.

    What is measured is whether something worse is promoted: golden labels are the truth, and held-out votes are
    whatever people said. Every night starts from the base, as real ones do.
    """
    current = library.base
    worst, n_promoted = 0.0, 0
    at_first = before = golden_ndcg(library, current)
    evidence, decision = snapshot_of(library, []), GateDecision("invalid", ("nobody voted",))
    for verdicts in ATTACKS[name](library, passages_shown_by(library, library.base), seed):
        evidence = snapshot_of(library, verdicts)
        candidate = train_map(library, evidence)
        decision = decide_promotion(library, evidence, current, candidate)
        if candidate and decision.decision == "promoted":
            current, n_promoted = candidate, n_promoted + 1
            after = golden_ndcg(library, current)
            worst, before = min(worst, after - before), after
    waiting = tuple(name for name, voter in evidence.judgments.people.items() if voter.waits)
    return AttackOutcome(
        attack=name,
        seed=seed,
        n_promoted=n_promoted,
        golden_change=before - at_first,
        worst_promotion=worst,
        waiting=waiting,
        dropped=evidence.judgments.dropped,
        reason=decision.reasons[0],
    )


# ---- attacks


def flipped_votes(error: float, voices: int = 3) -> Attack:
    """Everybody is mistaken about a question with the probability *error*; *voices* of them ask the same one."""

    def attack(world: SimulatedLibrary, shown: Mapping[str, tuple[ShownPassage, ...]], seed: int) -> NightlyVerdicts:
        yield simulate_verdicts(world.asked, shown, Behaviour(error=error, voices=voices), seed)

    return attack


def one_liar(world: SimulatedLibrary, shown: Mapping[str, tuple[ShownPassage, ...]], seed: int) -> NightlyVerdicts:
    """One person pins a wrong passage for a thousand questions, none of which anybody else asked, as far as they reach."""
    rng = np.random.default_rng(seed)
    questions = [str(question) for question in rng.permutation(sorted(world.asked))]
    n_lies = min(N_LIES, 2 * len(questions) // 3)
    honest = {question: world.asked[question] for question in questions[n_lies:]}
    verdicts = simulate_verdicts(honest, shown, Behaviour(voices=3), seed)
    for number, question in enumerate(questions[:n_lies]):
        wrong = [
            passage_id.passage_id
            for passage_id in shown[question]
            if passage_id.passage_id not in world.asked[question]
        ]
        given_at = FIRST_DAY + number * VOTE_INTERVAL
        passage_id = wrong[int(rng.integers(len(wrong)))]
        verdicts.append(
            Verdict(
                user="liar",
                turn_id=f"lie-{number}",
                question=question,
                passage_id=passage_id,
                verdict="pin",
                given_at=given_at,
            )
        )
    yield verdicts


def one_passage(world: SimulatedLibrary, shown: Mapping[str, tuple[ShownPassage, ...]], seed: int) -> NightlyVerdicts:
    """Five people among twenty call the passage that answers most golden questions wrong, wherever they go."""
    counts: dict[str, int] = {}
    for right in world.golden.values():
        for passage_id in right:
            counts[passage_id] = counts.get(passage_id, 0) + 1
    target = max(counts, key=lambda passage_id: (counts[passage_id], passage_id))
    verdicts = simulate_verdicts(world.asked, shown, Behaviour(voices=3), seed)
    rng = np.random.default_rng(seed)
    for liar in range(1, 6):
        for number, question in enumerate(rng.permutation(sorted(world.asked))[: len(world.asked) // 2]):
            given_at = FIRST_DAY + number * VOTE_INTERVAL
            turn_id = f"down-{liar}-{number}"
            name = f"person-{liar:02d}"
            verdicts.append(
                Verdict(
                    user=name,
                    turn_id=turn_id,
                    question=str(question),
                    passage_id=target,
                    verdict="not_relevant",
                    given_at=given_at,
                )
            )
    yield verdicts


def minority(world: SimulatedLibrary, shown: Mapping[str, tuple[ShownPassage, ...]], seed: int) -> NightlyVerdicts:
    """Two people in forty vote against the truth, for seven nights; a seventh of the questions is asked a day."""
    rng = np.random.default_rng(seed)
    questions = [str(question) for question in rng.permutation(sorted(world.asked))]
    standing: list[Verdict] = []
    for night in range(N_ATTACK_NIGHTS):
        today = {question: world.asked[question] for question in questions[night::N_ATTACK_NIGHTS]}
        honest = Behaviour(n_people=38, voices=3)
        at = FIRST_DAY + timedelta(days=night)
        standing += simulate_verdicts(today, shown, honest, 100 * seed + night, at)
        liars = simulate_verdicts(today, shown, Behaviour(n_people=2, error=1.0, voices=1), 100 * seed + 50 + night, at)
        standing += [replace(person, user=person.user.replace("person", "liar")) for person in liars]
        yield list(standing)


ATTACKS: Mapping[str, Attack] = {
    "nobody": flipped_votes(0.0),
    "30 % flipped": flipped_votes(0.3),
    "alone": flipped_votes(0.0, voices=1),
    "alone, 30 % flipped": flipped_votes(0.3, voices=1),
    "50 % flipped": flipped_votes(0.5),
    "one liar": one_liar,
    "one passage": one_passage,
    "5 % for seven nights": minority,
}
"""The first four say what a clean night gains, and what three wrong votes in ten leave of it: three people ask each
question, or one."""
