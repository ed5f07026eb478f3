"""Nights under attack: people who vote against the truth, judged, learnt from and gated on arrays that are encoded once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from eval.gate import Decision, Rules, decide
from eval.retrieval import RetrievalScores, evaluate
from rag.lexical import Lexical
from rag.records import Passage, Shown, Verdict
from retriever_training.adapter import apply_map
from retriever_training.evidence import Evidence
from retriever_training.judgments import judge
from retriever_training.learn_map import choose_map
from retriever_training.query_rows import QuerySide
from retriever_training.simulate import Behaviour, simulate, what_is_shown

FloatArray = NDArray[np.float32]

START = datetime(2026, 1, 1, 8, tzinfo=UTC)
BETWEEN_VOTES = timedelta(seconds=20)  # an attacker's, too slow to be taken for a machine
SHOWN = 6
N_LIES = 1000
N_NIGHTS = 7
TOO_FEW = 10  # training questions, as in a real night
NIGHT_SEED = 13  # whatever people do, nights draw as they always do


@dataclass(frozen=True)
class World:
    """A library, the questions people may ask, and the golden ones, whose labels nobody votes on."""

    passages: Sequence[Passage]
    matrix: FloatArray
    """`(n, dim)`, unit rows, in the order of *passages*."""
    lexical: Lexical
    asked: Mapping[str, frozenset[str]]
    """question → ids of its right passages."""
    golden: Mapping[str, frozenset[str]]
    vector_of: Mapping[str, FloatArray]
    """question → `(dim,)`, by the base; the library's own are among them."""
    default_weight: float = 0.25

    @property
    def passage_ids(self) -> list[str]:
        """In the order of *matrix*."""
        return [passage.passage_id for passage in self.passages]

    def vectors(self, questions: Sequence[str]) -> FloatArray:
        """`(q, dim)`, by the base."""
        return np.stack([self.vector_of[question] for question in questions])


@dataclass(frozen=True)
class Served:
    """A version: the base, or a map on its query side."""

    weights: FloatArray
    lexical_weight: float
    seen: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an attack came to after its last night."""

    attack: str
    seed: int
    n_promoted: int
    golden_change: float
    """nDCG@10 of what answers in the end minus that of the base, on the golden questions."""
    worst_promotion: float
    """The largest fall on the golden questions that one promotion brought; 0 where none did."""
    waiting: tuple[str, ...] = ()
    """Who was in quarantine in the last night."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    reason: str = ""
    """The gate's first sentence in the last night."""


Nights = Iterator[list[Verdict]]
"""For each night, all verdicts that stand by then."""
Attack = Callable[[World, Mapping[str, tuple[Shown, ...]], int], Nights]


def run_attack(world: World, name: str, seed: int) -> Outcome:
    """Lets people vote as the attack *name* of ATTACKS says, and runs a tier-1 night on it, or several.

    What is measured is whether something worse is promoted: golden labels are the truth, and held-out votes are
    whatever people said. Every night starts from the base, as real ones do.
    """
    base = current = Served(np.eye(world.matrix.shape[1], dtype=np.float32), world.default_weight)
    worst, n_promoted = 0.0, 0
    at_first = before = golden_ndcg(world, base)
    evidence, decision = _no_evidence(world), Decision("invalid", ("nobody voted",))
    for verdicts in ATTACKS[name](world, _shown(world), seed):
        evidence = _evidence(world, verdicts)
        candidate = learn(world, evidence)
        decision = _gate(world, evidence, current, candidate)
        if candidate and decision.decision == "promoted":
            current, n_promoted = candidate, n_promoted + 1
            after = golden_ndcg(world, current)
            worst, before = min(worst, after - before), after
    waiting = tuple(name for name, one in evidence.judgments.people.items() if one.waits)
    return Outcome(
        name, seed, n_promoted, before - at_first, worst, waiting, evidence.judgments.dropped, decision.reasons[0]
    )


def learn(world: World, evidence: Evidence) -> Served | None:
    """The map that a tier-1 night would choose; None where there is too little to learn from."""
    if len(evidence.asked("train")) < TOO_FEW:
        return None
    side = QuerySide.of(evidence, world.vectors, world.matrix, world.default_weight, NIGHT_SEED)
    chosen = choose_map(side, NIGHT_SEED)
    return Served(chosen.weights, chosen.lexical_weight, frozenset(side.training_positives))


def golden_ndcg(world: World, version: Served) -> float:
    """Served nDCG@10 on the golden questions."""
    scores = _scores(world, version, dict.fromkeys(world.golden), world.golden, frozenset())
    return float(scores.array("fused", "nDCG@10").mean())


# ---- attacks


def flipped(error: float, voices: int = 3) -> Attack:
    """Everybody is mistaken about a question with the probability *error*; *voices* of them ask the same one."""

    def attack(world: World, shown: Mapping[str, tuple[Shown, ...]], seed: int) -> Nights:
        yield _said(world.asked, shown, Behaviour(error=error, voices=voices), seed)

    return attack


def one_liar(world: World, shown: Mapping[str, tuple[Shown, ...]], seed: int) -> Nights:
    """One person pins a wrong passage for a thousand questions, none of which anybody else asked, as far as they reach."""
    rng = np.random.default_rng(seed)
    questions = [str(question) for question in rng.permutation(sorted(world.asked))]
    n_lies = min(N_LIES, 2 * len(questions) // 3)
    honest = {question: world.asked[question] for question in questions[n_lies:]}
    verdicts = _said(honest, shown, Behaviour(voices=3), seed)
    for number, question in enumerate(questions[:n_lies]):
        wrong = [one.passage_id for one in shown[question] if one.passage_id not in world.asked[question]]
        given_at = START + number * BETWEEN_VOTES
        passage_id = wrong[int(rng.integers(len(wrong)))]
        verdicts.append(Verdict("liar", f"lie-{number}", question, passage_id, "pin", given_at=given_at))
    yield verdicts


def one_passage(world: World, shown: Mapping[str, tuple[Shown, ...]], seed: int) -> Nights:
    """Five people among twenty call the passage that answers most golden questions wrong, wherever they go."""
    counts: dict[str, int] = {}
    for right in world.golden.values():
        for passage_id in right:
            counts[passage_id] = counts.get(passage_id, 0) + 1
    target = max(counts, key=lambda passage_id: (counts[passage_id], passage_id))
    verdicts = _said(world.asked, shown, Behaviour(voices=3), seed)
    rng = np.random.default_rng(seed)
    for liar in range(1, 6):
        for number, question in enumerate(rng.permutation(sorted(world.asked))[: len(world.asked) // 2]):
            given_at = START + number * BETWEEN_VOTES
            turn_id = f"down-{liar}-{number}"
            name = f"person-{liar:02d}"
            verdicts.append(Verdict(name, turn_id, str(question), target, "not_relevant", given_at=given_at))
    yield verdicts


def minority(world: World, shown: Mapping[str, tuple[Shown, ...]], seed: int) -> Nights:
    """Two people in forty vote against the truth, for seven nights; a seventh of the questions is asked a day."""
    rng = np.random.default_rng(seed)
    questions = [str(question) for question in rng.permutation(sorted(world.asked))]
    standing: list[Verdict] = []
    for night in range(N_NIGHTS):
        today = {question: world.asked[question] for question in questions[night::N_NIGHTS]}
        honest = Behaviour(n_people=38, voices=3)
        at = START + timedelta(days=night)
        standing += _said(today, shown, honest, 100 * seed + night, at)
        liars = _said(today, shown, Behaviour(n_people=2, error=1.0, voices=1), 100 * seed + 50 + night, at)
        standing += [replace(one, user=one.user.replace("person", "liar")) for one in liars]
        yield list(standing)


ATTACKS: Mapping[str, Attack] = {
    "nobody": flipped(0.0),
    "30 % flipped": flipped(0.3),
    "alone": flipped(0.0, voices=1),
    "alone, 30 % flipped": flipped(0.3, voices=1),
    "50 % flipped": flipped(0.5),
    "one liar": one_liar,
    "one passage": one_passage,
    "5 % for seven nights": minority,
}
"""The first four say what a clean night gains, and what three wrong votes in ten leave of it: three people ask each
question, or one."""


def _said(
    asked: Mapping[str, frozenset[str]],
    shown: Mapping[str, tuple[Shown, ...]],
    behaviour: Behaviour,
    seed: int,
    at: datetime = START,
) -> list[Verdict]:
    turns = simulate(asked, shown, encoder_id="base", asked_at=at, behaviour=behaviour, seed=seed)
    return [verdict for turn in turns for verdict in turn.verdicts]


def _shown(world: World) -> dict[str, tuple[Shown, ...]]:
    questions = list(world.asked)
    return what_is_shown(questions, world.vectors(questions), world.passage_ids, world.matrix, world.lexical,
                         weight=world.default_weight, k=SHOWN)  # fmt: skip


# ---- a night


def _evidence(world: World, verdicts: Sequence[Verdict]) -> Evidence:
    judgments = judge(verdicts, {}, frozenset(world.passage_ids), trusted=(), max_per_person=5000)
    return Evidence(world.passages, world.lexical, judgments)


def _no_evidence(world: World) -> Evidence:
    return _evidence(world, [])


def _gate(world: World, evidence: Evidence, current: Served, candidate: Served | None) -> Decision:
    rules = Rules()
    held_out = evidence.held_out("gate")
    confirmed = set(evidence.held_out("gate", world.vectors).questions)
    if candidate is None or len(held_out) < max(2, rules.min_questions):
        return Decision("invalid", (f"{len(held_out)} held-out questions are too few",))
    ids = evidence.passage_ids
    right = {
        question: frozenset(ids[row] for row in rows)
        for question, rows in zip(held_out.questions, held_out.right, strict=True)
    }
    before, after = (_scores(world, version, right, right, candidate.seen) for version in (current, candidate))
    decisive = np.array([question in confirmed for question in held_out.questions], np.bool_)
    return decide(before.served(), after.served(), after.unseen, (), rules, decisive, held_out.newest())


def _scores(
    world: World,
    version: Served,
    questions: Mapping[str, object],
    right: Mapping[str, frozenset[str]],
    seen: frozenset[str],
) -> RetrievalScores:
    return evaluate(
        {question: question for question in questions},
        {question: dict.fromkeys(sorted(right[question]), 1) for question in questions},
        encode_queries=lambda texts: apply_map(version.weights, world.vectors(texts)),
        passage_ids=world.passage_ids,
        passage_vectors=world.matrix,
        lexical=world.lexical,
        weight=version.lexical_weight,
        seen=seen,
    )
