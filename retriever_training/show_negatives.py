"""The night's negatives for people to look at: for one question, or all rows as data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rag.assemble import App
from retriever_training.candidate import Watch, unwatched
from retriever_training.evidence import Asked, Evidence, gather
from retriever_training.judgments import normalised
from retriever_training.learn_towers import make_mine, training_rows
from retriever_training.negatives.mix import as_json, mine_all
from retriever_training.nightly import NightPlan
from retriever_training.views import view_of


def night_rows(app: App, plan: NightPlan, watch: Watch = unwatched) -> Iterator[dict[str, Any]]:
    """The rows a tier-3 night would train on now."""
    evidence = gather(app, trusted=plan.trusted, max_per_person=plan.max_per_person)
    view = view_of(app, evidence, app.current(), evidence.asked("train").questions, watch)
    mine, rows, _ = training_rows(evidence, [view], plan.towers.seed, watch)
    return as_json(mine, rows)


def negatives_for(app: App, question: str, n: int) -> dict[str, Any]:
    """What every source finds for *question*, kept or removed with the reason, and the known right passages."""
    evidence = gather(
        app, trusted=app.settings.feedback.trusted, max_per_person=app.settings.feedback.max_judgments_per_person
    )
    asked = _with_neighbours(evidence, question)
    view = view_of(app, evidence, app.current(), asked.questions, unwatched)
    mine = make_mine(evidence, asked, view, app.settings.night.seed)
    by_source = mine_all(mine, [view], evidence.texts, pool=n)
    candidates = []
    for source, mined in by_source.items():
        marked = [(one, None) for one in mined[0].kept] + list(mined[0].removed)
        for one, removed in sorted(marked, key=lambda pair: pair[0].rank):
            passage = evidence.passages[one.passage]
            candidates.append({"source": source, "rank": one.rank, "score": round(one.score, 4),
                               "passage_id": passage.public_id, "title": passage.title, "removed": removed})  # fmt: skip
    right = [evidence.passages[row] for row in asked.right[0]]
    positives = [{"passage_id": passage.public_id, "title": passage.title} for passage in right]
    return {"question": question, "positives": positives, "candidates": candidates}


def _with_neighbours(evidence: Evidence, question: str) -> Asked:
    """The question first, with its judgments of whatever split; then others, whose right passages are in-batch negatives."""
    splits = [evidence.asked("train"), evidence.asked("dev"), evidence.asked("gate")]
    questions, right, rejected = [question], [dict[int, float]()], [tuple[int, ...]()]
    for split in splits:
        for place, other in enumerate(split.questions):
            if normalised(other) == normalised(question):
                right[0], rejected[0] = dict(split.right[place]), split.rejected[place]
            elif split is splits[0]:
                questions.append(other)
                right.append(split.right[place])
                rejected.append(split.rejected[place])
    return Asked(tuple(questions[:32]), tuple(right[:32]), tuple(rejected[:32]))
