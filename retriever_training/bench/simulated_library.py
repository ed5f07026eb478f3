"""A library as arrays, the people who vote on it, and a tier-1 night on their votes; no database, nothing encoded twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from eval.datasets.beir import BeirDataset
from eval.gate.decide import GateDecision, decide
from eval.gate.rules import GateRules
from eval.retrieval.evaluate import RetrievalScores, evaluate_retrieval
from rag.arrays import FloatArray
from rag.embedding.encoder import Encoder
from rag.index.bm25 import Bm25Index
from rag.records import Passage, ShownPassage, Verdict
from retriever_training.bench.harness.disk_cache import cached_vectors
from retriever_training.judgments.aggregate import aggregate_votes
from retriever_training.judgments.snapshot import TrainingSnapshot
from retriever_training.progress import ProgressReporter
from retriever_training.simulation.simulated_users import Behaviour, served_passages, simulate_users
from retriever_training.tiers.learn_tier1 import choose_map
from retriever_training.tiers.query_side_data import QuerySideData, whole_passage_questions
from retriever_training.tiers.tier1_adapter import apply_map

FIRST_DAY = datetime(2026, 1, 1, 8, tzinfo=UTC)
N_SHOWN = 6
MIN_TRAIN_QUESTIONS = 10  # training questions, as in a real night
NIGHT_SEED = 13  # whatever people do, nights draw as they always do


@dataclass(frozen=True)
class SimulatedVersion:
    """A version: the base, or a map on its query side."""

    weights: FloatArray
    lexical_weight: float
    seen: frozenset[str] = frozenset()

    def asked(self, vectors: FloatArray) -> FloatArray:
        """`(q, dim)`: how this version sees questions whose vectors by the base these are."""
        return apply_map(self.weights, vectors)


@dataclass(frozen=True, kw_only=True)
class SimulatedLibrary:
    """A library, the questions people may ask, and the golden ones, whose labels nobody votes on."""

    passages: Sequence[Passage]
    matrix: FloatArray
    """`(n, dim)`, unit rows, in the order of *passages*."""
    lexical: Bm25Index
    asked: Mapping[str, frozenset[str]]
    """question → ids of its right passages."""
    golden: Mapping[str, frozenset[str]]
    query_vector_of: Mapping[str, FloatArray]
    """question → `(dim,)`, by the base; the library's own are among them."""
    default_weight: float = 0.25

    @classmethod
    def open(
        cls,
        dataset: BeirDataset,
        encoder: Encoder,
        default_weight: float,
        n_questions: int,
        folder: Path,
        watch: ProgressReporter,
    ) -> SimulatedLibrary:
        """A data set by the base: at most *n_questions* of its train questions are asked, its test questions are golden.

        Vectors are read from *folder* where an earlier run has left them.
        """
        passages = [
            Passage(
                passage_id=name,
                document_id=name,
                source=name,
                title=title,
                heading="",
                text=text,
                start=0,
                end=len(text),
            )
            for name, title, text in dataset.corpus()
        ]
        texts = [passage.encoded_text for passage in passages]
        train, test = _right(dataset, "train"), _right(dataset, "test")
        drawn = np.random.default_rng(13).permutation(sorted(train.keys() - test.keys()))[:n_questions]
        asked = {str(text): train[str(text)] for text in drawn}
        advance = watch(f"encode {dataset.name}", len(texts))
        matrix = cached_vectors(
            folder, encoder.passage_side, texts, lambda some: encoder.encode_passages(some, advance)
        )
        questions = [*asked, *test, *whole_passage_questions(passages, NIGHT_SEED).questions]
        vectors = cached_vectors(folder, encoder.encoder_id, questions, encoder.encode_queries)
        lexical = Bm25Index.build([passage.passage_id for passage in passages], texts)
        return cls(
            passages=passages,
            matrix=matrix,
            lexical=lexical,
            asked=asked,
            golden=test,
            query_vector_of=dict(zip(questions, vectors, strict=True)),
            default_weight=default_weight,
        )

    @property
    def passage_ids(self) -> list[str]:
        """In the order of *matrix*."""
        return [passage.passage_id for passage in self.passages]

    @property
    def base(self) -> SimulatedVersion:
        """The version that every night starts from."""
        return SimulatedVersion(np.eye(self.matrix.shape[1], dtype=np.float32), self.default_weight)

    def vectors(self, questions: Sequence[str]) -> FloatArray:
        """`(q, dim)`, by the base."""
        return np.stack([self.query_vector_of[question] for question in questions])


def _right(dataset: BeirDataset, split: str) -> dict[str, frozenset[str]]:
    """question → its right passages; one text asked twice has those of both."""
    right: dict[str, frozenset[str]] = {}
    for query_id, grades in sorted(dataset.split(split).items()):
        positives = frozenset(name for name, grade in grades.items() if grade > 0)
        text = dataset.queries[query_id]
        right[text] = right.get(text, frozenset()) | positives
    return right


# ---- people


def passages_shown_by(
    world: SimulatedLibrary, version: SimulatedVersion, questions: Sequence[str] | None = None
) -> dict[str, tuple[ShownPassage, ...]]:
    """What *version* shows for each of *questions*, or for all that people may ask."""
    questions = list(world.asked) if questions is None else questions
    return served_passages(
        questions,
        version.asked(world.vectors(questions)),
        world.passage_ids,
        world.matrix,
        world.lexical,
        weight=version.lexical_weight,
        k=N_SHOWN,
    )


def simulate_verdicts(
    asked: Mapping[str, frozenset[str]],
    shown: Mapping[str, tuple[ShownPassage, ...]],
    behaviour: Behaviour,
    seed: int,
    at: datetime = FIRST_DAY,
) -> list[Verdict]:
    """What people say of what they are shown."""
    turns = simulate_users(asked, shown, encoder_id="base", asked_at=at, behaviour=behaviour, seed=seed)
    return [verdict for turn in turns for verdict in turn.verdicts]


# ---- a night


def snapshot_of(world: SimulatedLibrary, verdicts: Sequence[Verdict]) -> TrainingSnapshot:
    """What verdicts add up to."""
    judgments = aggregate_votes(verdicts, {}, frozenset(world.passage_ids), trusted=(), max_per_person=5000)
    return TrainingSnapshot(world.passages, world.lexical, judgments)


def train_map(
    world: SimulatedLibrary, evidence: TrainingSnapshot, progress: Callable[[int], None] = lambda n: None
) -> SimulatedVersion | None:
    """The map that a tier-1 night would choose; None if there is too little to learn from."""
    if len(evidence.asked("train")) < MIN_TRAIN_QUESTIONS:
        return None
    side = QuerySideData.of(evidence, world.vectors, world.matrix, world.default_weight, NIGHT_SEED)
    chosen = choose_map(side, NIGHT_SEED, progress)
    return SimulatedVersion(chosen.weights, chosen.lexical_weight, frozenset(side.training_positives))


def decide_promotion(
    world: SimulatedLibrary, evidence: TrainingSnapshot, current: SimulatedVersion, candidate: SimulatedVersion | None
) -> GateDecision:
    """What the gate says of the candidate, on held-out votes."""
    rules = GateRules()
    held_out = evidence.held_out("gate")
    confirmed = set(evidence.held_out("gate", world.vectors).questions)
    if candidate is None or len(held_out) < max(2, rules.min_questions):
        return GateDecision("invalid", (f"{len(held_out)} held-out questions are too few",))
    ids = evidence.passage_ids
    right = {
        question: frozenset(ids[row] for row in rows)
        for question, rows in zip(held_out.questions, held_out.right, strict=True)
    }
    before, after = (_scores(world, version, right, right, candidate.seen) for version in (current, candidate))
    decisive = np.array([question in confirmed for question in held_out.questions], np.bool_)
    return decide(
        before.served(), after.served(), after.unseen, rules=rules, decisive=decisive, newest=held_out.newest()
    )


def golden_ndcg(world: SimulatedLibrary, version: SimulatedVersion) -> float:
    """Served nDCG@10 on the golden questions."""
    scores = _scores(world, version, dict.fromkeys(world.golden), world.golden, frozenset())
    return float(scores.array("fused", "nDCG@10").mean())


def _scores(
    world: SimulatedLibrary,
    version: SimulatedVersion,
    questions: Mapping[str, object],
    right: Mapping[str, frozenset[str]],
    seen: frozenset[str],
) -> RetrievalScores:
    return evaluate_retrieval(
        {question: question for question in questions},
        {question: dict.fromkeys(sorted(right[question]), 1) for question in questions},
        encode_queries=lambda texts: version.asked(world.vectors(texts)),
        passage_ids=world.passage_ids,
        passage_vectors=world.matrix,
        lexical=world.lexical,
        weight=version.lexical_weight,
        seen=seen,
    )
