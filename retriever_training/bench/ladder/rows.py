"""What the rows of each rung hold next to a question and its right passage, and what the loss knows of them.

One negative a row, as a second one gained nothing in DPR's table 3 (Karpukhin et al., EMNLP 2020). How it is found is
what the literature differs in: by BM25 (DPR), by an earlier version (ANCE, Xiong et al., ICLR 2021), cleaned (RocketQA,
Qu et al., NAACL 2021; NV-Retriever, arXiv 2407.15831).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from rag.arrays import FloatArray
from rag.retrieval.fusion import normalise_bm25, top_fused
from retriever_training.bench.harness.workbench import TrainingBench
from retriever_training.losses.batch_side_data import EncodeTexts, LexicalBonus
from retriever_training.losses.two_tower_loss import SCALE
from retriever_training.negatives.candidates.records import Candidate, MinedNegatives, MiningContext, VersionView
from retriever_training.negatives.denoising.false_negative_rules import count_removed
from retriever_training.negatives.finders import FINDERS
from retriever_training.negatives.mixing import POOL_SIZE, QUOTAS, choose_negatives, mine_negatives, mix_rows
from retriever_training.tiers.learn_tier3 import NEGATIVES_PER_ROW
from retriever_training.tiers.query_side_data import LEXICAL_SHARE
from retriever_training.tiers.tier3_both_towers import TowersPlan, TrainingExample

N_SHOWN = 5  # passages that a simulated person looks at, and rejects if the labels do not call them right
FALLBACK_FINDER = "random"  # what a row holds if its finder finds nothing, so that every step reads as many passages


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How both towers are trained: which negative a row holds, and by which loss."""

    source: str = ""
    """A finder; empty: rows hold no negative of their own."""
    cleaned: bool = False
    earlier: str = ""
    """A recipe whose version is the earlier one, which mines its own negatives; empty: there is none."""
    taught: bool = False
    """Whether the base's fused scores are the teacher's."""
    is_mixed: bool = False
    """Whether rows hold negatives of several sources, as `nightjar mine` mixes them."""
    uses_night_loss: bool = False
    """Whether BM25 and near-duplicates are part of the loss."""
    plan: TowersPlan = field(default_factory=TowersPlan)


RECIPES: Mapping[str, Recipe] = {
    "triplet": Recipe(source="random", plan=TowersPlan(loss="triplet")),
    "in_batch": Recipe(),
    "bm25": Recipe(source="bm25"),
    "dense": Recipe(source="dense"),
    "dense_cleaned": Recipe(source="dense", cleaned=True),
    "earlier": Recipe(source="earlier", cleaned=True, earlier="in_batch"),
    "neighbour": Recipe(source="neighbour", cleaned=True),
    "verdicts": Recipe(source="feedback", cleaned=True),
    "distilled": Recipe(source="dense", cleaned=True, taught=True, plan=TowersPlan(distil=1.0)),
    "anchored": Recipe(source="dense", cleaned=True, plan=TowersPlan(anchor=1.0)),
    "mixed": Recipe(source="dense", cleaned=True, is_mixed=True, uses_night_loss=True),
    "night": Recipe(uses_night_loss=True),
}


@dataclass(frozen=True, slots=True)
class LadderRows:
    """One example for each right passage of a train question, and where their negatives came from."""

    examples: tuple[TrainingExample, ...]
    sources: Mapping[str, int]
    """Finder → how many questions got its negative."""
    removed: Mapping[str, int]
    """Reason → candidates that were cleaned away."""


def make_rows(recipe: Recipe, bench: TrainingBench, seed: int, earlier: Sequence[VersionView] = ()) -> LadderRows:
    """Finds the negatives by vectors that exist, and puts them next to the right passages as texts."""
    data = bench.data
    if not recipe.source:
        pairs = zip(data.train.questions, data.train.right, strict=True)
        return LadderRows(
            tuple(
                TrainingExample(question=question, positive=data.texts[row])
                for question, right in pairs
                for row in right
            ),
            {},
            {},
        )
    mine = mining_context(bench, seed, earlier, rejected=recipe.source == "feedback")
    views = [VersionView("the base", mine.question_vectors, mine.passage_vectors), *earlier]
    chosen, removed = (
        choose_mixed_negatives(mine, views) if recipe.is_mixed else choose_finder_negatives(recipe, mine, views)
    )
    examples = []
    for index, (question, right) in enumerate(zip(data.train.questions, data.train.right, strict=True)):
        own = [candidate.passage for candidate in chosen[index]]
        for row in right:
            taught = base_teacher_scores(bench, index, [row, *own]) if recipe.taught else ()
            examples.append(
                TrainingExample(
                    question=question,
                    positive=data.texts[row],
                    negatives=tuple(data.texts[negative] for negative in own),
                    teacher=taught,
                )
            )
    sources = Counter(candidate.source for chosen_rows in chosen for candidate in chosen_rows)
    return LadderRows(tuple(examples), dict(sources), removed)


def mining_context(
    bench: TrainingBench, seed: int, earlier: Sequence[VersionView] = (), *, rejected: bool = False
) -> MiningContext:
    """The train questions and all passages as the base sees them, with simulated rejections if wanted."""
    data = bench.data
    return MiningContext(
        questions=data.train.questions,
        positives=data.positives,
        rejected=simulated_rejections(bench) if rejected else data.train.rejected,
        passage_ids=data.passage_ids,
        question_vectors=bench.train_vectors,
        passage_vectors=bench.base.passages,
        lexical=data.lexical,
        texts=data.texts,
        seed=seed,
        earlier=tuple(earlier),
    )


ChosenNegatives = tuple[list[list[Candidate]], dict[str, int]]
"""The negatives of each train question, and how many candidates were cleaned away, by reason."""


def choose_finder_negatives(recipe: Recipe, mine: MiningContext, views: Sequence[VersionView]) -> ChosenNegatives:
    """The finder's first for each question, cleaned or as found; a random one if it has none."""
    finders = tuple(dict.fromkeys((recipe.source, FALLBACK_FINDER)))
    if recipe.cleaned:
        by_source = mine_negatives(mine, views, mine.texts, finders, POOL_SIZE)
    else:
        by_source = {
            name: [MinedNegatives(tuple(candidates)) for candidates in FINDERS[name](mine, POOL_SIZE)]
            for name in finders
        }
    chosen = [choose_negatives(by_source, index, 1, {recipe.source: 1}) for index in range(len(mine))]
    return chosen, count_removed(by_source[recipe.source])


def choose_mixed_negatives(mine: MiningContext, views: Sequence[VersionView]) -> ChosenNegatives:
    """The negatives of each question's rows as `nightjar mine` mixes them."""
    by_source = mine_negatives(mine, views, mine.texts, tuple(QUOTAS))
    right = [dict.fromkeys(sorted(positives), 1.0) for positives in mine.positives]
    rows, removed = mix_rows(mine, by_source, right, NEGATIVES_PER_ROW)
    of_question = {row.question: list(row.negatives) for row in rows}
    return [of_question[question] for question in mine.questions], removed


def simulated_rejections(bench: TrainingBench) -> tuple[tuple[int, ...], ...]:
    """What a person who knows the labels rejects of the SHOWN passages that the base serves first, best first."""
    rejected = []
    for index, positives in enumerate(bench.data.positives):
        cosines = bench.base.passages @ bench.train_vectors[index]
        shown = top_fused(cosines, lexical_scores(bench, index), bench.default_weight, 100, N_SHOWN).tolist()
        rejected.append(tuple(row for row in shown if row not in positives))
    return tuple(rejected)


def base_teacher_scores(bench: TrainingBench, place: int, passages: list[int]) -> tuple[float, ...]:
    """SCALE · (cosine + weight · normalised BM25) by the base, of some passages for the train question in that place."""
    cosines = bench.base.passages[passages] @ bench.train_vectors[place]
    scores = SCALE * (cosines + bench.default_weight * lexical_scores(bench, place)[passages])
    return tuple(scores.tolist())


def lexical_scores(bench: TrainingBench, place: int) -> FloatArray:
    """`(n,)`: normalised BM25 of all passages for the train question in that place."""
    scores = normalise_bm25(bench.data.lexical.scores(bench.data.train.questions[place]))
    return np.asarray(scores, np.float32)


# ---- what the loss knows


def vectors_by_base(bench: TrainingBench) -> tuple[EncodeTexts, EncodeTexts]:
    """The base's vectors of train questions and of passages, by text; they exist."""
    question = {text: row for row, text in enumerate(bench.data.train.questions)}
    passage = {text: row for row, text in enumerate(bench.data.texts)}
    return (
        lambda texts: bench.train_vectors[[question[text] for text in texts]],
        lambda texts: bench.base.passages[[passage[text] for text in texts]],
    )


def lexical_bonus(bench: TrainingBench) -> LexicalBonus:
    """What BM25 adds to the cosines in the loss of a night."""
    question = {text: row for row, text in enumerate(bench.data.train.questions)}
    passage = {text: row for row, text in enumerate(bench.data.texts)}

    def added(questions: Sequence[str], passages: Sequence[str]) -> FloatArray:
        columns = [passage[text] for text in passages]
        scores = [lexical_scores(bench, question[text])[columns] for text in questions]
        return np.asarray(LEXICAL_SHARE * bench.default_weight * np.stack(scores), np.float32)

    return added
