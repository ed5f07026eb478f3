"""The ladder of the literature: one way of training a rung, each by the same steps over the same number of passages.

Every rung of two towers starts from the base. What differs is the passage that stands beside the right one in each row,
and how it was found: DPR (Karpukhin et al., EMNLP 2020, table 3), ANCE (Xiong et al., ICLR 2021), RocketQA (Qu et al.,
NAACL 2021), NV-Retriever (arXiv 2407.15831).
"""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from rag.encoder import Encoder
from rag.fusion import normalised_lexical, top_fused
from retriever_training.candidate import Watch
from retriever_training.full import Example, Plan, merge_towers, needs_vectors, train_towers
from retriever_training.learn_towers import ALPHAS, N_NEGATIVES
from retriever_training.negatives import FINDERS
from retriever_training.negatives.mine import Candidate, Mine, Mined, View
from retriever_training.negatives.mix import POOL, QUOTAS, choose, mine_all, mix
from retriever_training.query_rows import LEXICAL_SHARE
from retriever_training.side_tables import Lexical, Vectors
from retriever_training.towers_loss import SCALE
from retriever_training.tune import best_weight
from retriever_training.workbench import Bench, Climbed, Cost, FloatArray

SHOWN = 5  # passages that a simulated person looks at, and rejects where the labels do not call them right
FILLER = "random"  # what a row holds where its finder finds nothing, so that every step reads as many passages

Climb = Callable[[Bench, int, Watch], Climbed]
"""Takes the bench, a seed, and who watches."""


@dataclass(frozen=True, slots=True)
class Rung:
    """One way to make a retriever."""

    label: str
    """For tables and plots."""
    climb: Climb
    is_drawn: bool = True
    """Whether another seed makes another one."""
    beside: bool = False
    """Whether it is what a user would do instead."""


@dataclass(frozen=True, slots=True)
class Towers:
    """How both towers are trained: which negative a row holds, and by which loss."""

    source: str = ""
    """A finder; empty: rows hold no negative of their own."""
    cleaned: bool = False
    earlier: str = ""
    """A rung whose version is the earlier one, which mines its own negatives; empty: there is none."""
    as_at_night: bool = False
    """Whether rows are mixed of several sources, and BM25 and near-duplicates are part of the loss, as at night."""
    taught: bool = False
    """Whether the base's fused scores are the teacher's."""
    plan: Plan = field(default_factory=Plan)


TOWERS: Mapping[str, Towers] = {
    "triplet": Towers("random", plan=Plan(loss="triplet")),
    "in_batch": Towers(),
    "bm25": Towers("bm25"),
    "dense": Towers("dense"),
    "dense_cleaned": Towers("dense", cleaned=True),
    "earlier": Towers("earlier", cleaned=True, earlier="in_batch"),
    "neighbour": Towers("neighbour", cleaned=True),
    "verdicts": Towers("feedback", cleaned=True),
    "distilled": Towers("dense", cleaned=True, taught=True, plan=Plan(distil=1.0)),
    "anchored": Towers("dense", cleaned=True, plan=Plan(anchor=1.0)),
    "night": Towers("dense", cleaned=True, as_at_night=True),
}
BUILT_ON = ("in_batch", "dense_cleaned")  # their models are kept: later rungs start there


# ---- both towers


def towers(name: str, bench: Bench, seed: int, watch: Watch) -> Climbed:
    """Trains the version that TOWERS describes, encodes the library by it, and measures it."""
    folder, cost, note = trained(name, bench, seed, watch)
    started = time.perf_counter()
    sight = bench.look(Encoder.open(folder), watch)
    cost += Cost(encode_s=time.perf_counter() - started, n_encoded=len(sight.passages))
    values, weight = bench.measured(sight)
    if name not in BUILT_ON:
        shutil.rmtree(folder.parent)
    return Climbed(values, cost, {**note, "lexical_weight": weight})


def trained(name: str, bench: Bench, seed: int, watch: Watch) -> tuple[Path, Cost, dict[str, object]]:
    """The model's folder, what it took to make, and a note; at once where an earlier rung has made it.

    One that was killed is made anew, so that its seconds are those of one training.
    """
    work = bench.folder / "models" / f"{name}-{seed}"
    told = work / "made.json"
    if told.exists():
        made = json.loads(told.read_text("utf-8"))
        return work / "towers", Cost(**made["cost"]), made["note"]
    shutil.rmtree(work, ignore_errors=True)
    recipe = TOWERS[name]
    n_negatives = 1 if recipe.source else 0
    examples, cost, sources = examples_of(recipe, bench, seed, watch)
    plan = replace(recipe.plan, epochs=1, batch_size=bench.budget.rows(n_negatives), seed=seed, bf16=bench.bf16,
                   n_negatives=n_negatives, frozen_layers=bench.budget.frozen_layers)  # fmt: skip
    rows = list(scheduled(examples, bench.budget.steps * plan.batch_size, seed))
    seen = _seen_by_base(bench) if needs_vectors(plan) or recipe.as_at_night else None
    lexical = _added_by_words(bench) if recipe.as_at_night else None
    started = time.perf_counter()
    folder = train_towers(bench.encoder.folder, rows, work, plan, watch(f"train: {name}", bench.budget.steps),
                          lexical=lexical, seen_by_base=seen)  # fmt: skip
    n_trained = bench.budget.steps * bench.budget.passages
    cost += Cost(train_s=time.perf_counter() - started, n_trained=n_trained)
    shutil.rmtree(work / "checkpoints")
    note: dict[str, object] = {"negatives": sources} if sources else {}
    told.write_text(json.dumps({"cost": asdict(cost), "note": note}), "utf-8")
    return folder, cost, note


def scheduled(examples: Sequence[Example], n_rows: int, seed: int) -> Iterator[Example]:
    """*n_rows* examples: all of them, again and again, and a random part of them at the end."""
    order = np.random.default_rng(seed)

    def rounds() -> Iterator[Example]:
        while True:
            yield from (examples[place] for place in order.permutation(len(examples)))

    return islice(rounds(), n_rows)


def examples_of(recipe: Towers, bench: Bench, seed: int, watch: Watch) -> tuple[list[Example], Cost, dict[str, int]]:
    """One example for each right passage of a train question, what finding its negative took, and their sources."""
    data = bench.data
    if not recipe.source:
        pairs = zip(data.train.questions, data.train.right, strict=True)
        return [Example(question, data.texts[row]) for question, right in pairs for row in right], Cost(), {}
    mine, views, cost = _mine(recipe, bench, seed, watch)
    started = time.perf_counter()
    chosen = mixed(mine, views) if recipe.as_at_night else negatives(recipe, mine, views)
    teacher = Teacher(bench) if recipe.taught else None
    examples = []
    for place, (question, right) in enumerate(zip(data.train.questions, data.train.right, strict=True)):
        own = [one.passage for one in chosen[place]]
        for row in right:
            scores = teacher.scores(place, [row, *own]) if teacher else ()
            examples.append(Example(question, data.texts[row], tuple(data.texts[one] for one in own), teacher=scores))
    sources = dict(Counter(one.source for some in chosen for one in some))
    return examples, cost + Cost(mine_s=time.perf_counter() - started), sources


def negatives(recipe: Towers, mine: Mine, views: Sequence[View]) -> list[list[Candidate]]:
    """At most one negative for each question: the finder's first, cleaned or as found; a random one where it has none."""
    finders = tuple(dict.fromkeys((recipe.source, FILLER)))
    if recipe.cleaned:
        by_source = mine_all(mine, views, mine.texts, finders, POOL)
    else:
        by_source = {name: [Mined(tuple(found)) for found in FINDERS[name](mine, POOL)] for name in finders}
    return [choose(by_source, place, 1, {recipe.source: 1}) for place in range(len(mine))]


def mixed(mine: Mine, views: Sequence[View]) -> list[tuple[Candidate, ...]]:
    """The negatives of each question's rows as a night mixes them."""
    by_source = mine_all(mine, views, mine.texts, tuple(QUOTAS))
    rows, _ = mix(mine, by_source, [dict.fromkeys(sorted(right), 1.0) for right in mine.positives], N_NEGATIVES)
    of_question = {row.question: row.negatives for row in rows}
    return [of_question[question] for question in mine.questions]


def _mine(recipe: Towers, bench: Bench, seed: int, watch: Watch) -> tuple[Mine, list[View], Cost]:
    """The train questions and all passages, by the base and by an earlier version, which encodes them once more."""
    data = bench.data
    views = [View("the base", bench.train_questions, bench.base.passages)]
    cost = Cost()
    if recipe.earlier:
        folder, cost, _ = trained(recipe.earlier, bench, seed, watch)
        started = time.perf_counter()
        encoder = Encoder.open(folder)
        passages = encoder.encode_passages(data.texts, watch("encode by the earlier version", len(data.texts)))
        views.append(View(recipe.earlier, encoder.encode_queries(data.train.questions), passages, recipe.earlier))
        cost += Cost(mine_s=time.perf_counter() - started, n_mined=len(passages))
    rejected = simulated_rejections(bench) if recipe.source == "feedback" else data.train.rejected
    mine = Mine(data.train.questions, data.positives, rejected, data.passage_ids, bench.train_questions,
                bench.base.passages, data.lexical, data.texts, seed, tuple(views[1:]))  # fmt: skip
    return mine, views, cost


def simulated_rejections(bench: Bench) -> tuple[tuple[int, ...], ...]:
    """What a person who knows the labels rejects of the SHOWN passages that the base serves first, best first."""
    rejected = []
    for place, (question, positives) in enumerate(zip(bench.data.train.questions, bench.data.positives, strict=True)):
        words = normalised_lexical(bench.data.lexical.scores(question))
        cosines = bench.base.passages @ bench.train_questions[place]
        shown = top_fused(cosines, words, bench.default_weight, 100, SHOWN).tolist()
        rejected.append(tuple(row for row in shown if row not in positives))
    return tuple(rejected)


class Teacher:
    """The base's fused scores, on the scale of the loss."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def scores(self, question: int, passages: Sequence[int]) -> tuple[float, ...]:
        """SCALE · (cosine + weight · normalised BM25) of some passages for the train question in that place."""
        bench = self._bench
        words = normalised_lexical(bench.data.lexical.scores(bench.data.train.questions[question]))
        cosines = bench.base.passages[list(passages)] @ bench.train_questions[question]
        return tuple((SCALE * (cosines + bench.default_weight * words[list(passages)])).tolist())


def _seen_by_base(bench: Bench) -> tuple[Vectors, Vectors]:
    """The vectors that exist, by text."""
    question = {text: row for row, text in enumerate(bench.data.train.questions)}
    passage = {text: row for row, text in enumerate(bench.data.texts)}
    return (
        lambda texts: bench.train_questions[[question[text] for text in texts]],
        lambda texts: bench.base.passages[[passage[text] for text in texts]],
    )


def _added_by_words(bench: Bench) -> Lexical:
    """What BM25 adds to the cosines of the loss at night."""
    row = {text: place for place, text in enumerate(bench.data.texts)}

    def added(questions: Sequence[str], passages: Sequence[str]) -> FloatArray:
        columns = [row[text] for text in passages]
        scores = [normalised_lexical(bench.data.lexical.scores(question))[columns] for question in questions]
        return np.asarray(LEXICAL_SHARE * bench.default_weight * np.stack(scores), np.float32)

    return added


def merged(name: str, bench: Bench, seed: int, watch: Watch) -> Climbed:
    """A rung's version, moved back towards the base as far as dev likes it best (WiSE-FT, Wortsman et al. 2022)."""
    folder, cost, note = trained(name, bench, seed, watch)
    tried = []
    started = time.perf_counter()
    for alpha in ALPHAS:
        made = bench.folder / "models" / f"merged-{seed}"
        shutil.rmtree(made, ignore_errors=True)
        merge_towers(bench.encoder.folder, folder, alpha, made)
        sight = bench.look(Encoder.open(made), watch)
        _, on_dev = best_weight(bench.dev_set, sight.dev, sight.passages, bench.default_weight)
        tried.append((on_dev, alpha, sight))
        shutil.rmtree(made)
    if name not in BUILT_ON:
        shutil.rmtree(folder.parent)
    _, alpha, sight = max(tried, key=lambda one: one[:2])
    values, weight = bench.measured(sight)
    cost += Cost(encode_s=time.perf_counter() - started, n_encoded=len(ALPHAS) * len(sight.passages))
    return Climbed(values, cost, {**note, "alpha": alpha, "lexical_weight": weight})


# ---- without training, and the query side alone


def base(bench: Bench, _seed: int, _watch: Watch) -> Climbed:
    """As it comes."""
    values, weight = bench.measured(bench.base)
    return Climbed(values, Cost(), {"lexical_weight": weight})


RUNGS: Mapping[str, Rung] = {
    "base": Rung("base", base, is_drawn=False),
    "triplet": Rung("triplet + random", partial(towers, "triplet")),
    "in_batch": Rung("in-batch", partial(towers, "in_batch")),
    "bm25": Rung("+ one BM25 negative (DPR)", partial(towers, "bm25")),
    "dense": Rung("+ one dense negative, not cleaned", partial(towers, "dense")),
    "dense_cleaned": Rung("+ one dense negative, cleaned", partial(towers, "dense_cleaned")),
    "earlier": Rung("+ one by an earlier version (ANCE)", partial(towers, "earlier")),
    "neighbour": Rung("+ one neighbour of the positive", partial(towers, "neighbour")),
    "verdicts": Rung("+ one that people rejected", partial(towers, "verdicts")),
    "distilled": Rung("+ dense, cleaned, distilled", partial(towers, "distilled")),
    "anchored": Rung("+ dense, cleaned, anchored", partial(towers, "anchored")),
    "merged": Rung("+ dense, cleaned, merged", partial(merged, "dense_cleaned")),
    "tier3": Rung("tier 3: as a night trains", partial(merged, "night")),
}
