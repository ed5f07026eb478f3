"""The negatives that a night would use, for people to look at: for one question, or all rows as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rag.app.stores import Stores
from rag.embedding.protocols import VersionQueryEncoder
from rag.errors import TooLittleDataError
from rag.records import Passage
from retriever_training.judgments.snapshot import JudgedQuestions, TrainingSnapshot, best_supported, load_snapshot
from retriever_training.judgments.splits import normalise_question
from retriever_training.negatives.candidates.records import Candidate, MiningContext, VersionView
from retriever_training.negatives.denoising.audit import AuditedCandidate, sample_for_audit
from retriever_training.negatives.denoising.cross_encoder_teacher import CachingTeacher
from retriever_training.negatives.finders import FINDERS, check_sources
from retriever_training.negatives.mixing import (
    QUOTAS,
    TrainingRow,
    mine_negatives,
    mix_rows,
    rows_as_json,
    rows_of_epoch,
    source_quotas,
)
from retriever_training.progress import ProgressReporter, no_progress
from retriever_training.tiers.learn_tier3 import NEGATIVES_PER_ROW, make_mining_context
from retriever_training.tiers.night_plan import NightPlan
from retriever_training.versions.encoded_views import encode_earlier_views, encode_view


@dataclass(frozen=True, slots=True, kw_only=True)
class MiningRequest:
    """Which rows to make from a night's questions and right passages."""

    n_negatives: int = NEGATIVES_PER_ROW
    sources: tuple[str, ...] = tuple(QUOTAS)
    pool: int = 0
    """How many negatives of a row take turns over the epochs; 0 for as many as one epoch needs."""
    epochs: int = 1
    easy_first: bool = False
    n_audited: int = 0
    """Candidates of each source and outcome that people should read; see `negatives.denoising.audit`."""


@dataclass(frozen=True, slots=True)
class MinedRows:
    """Rows as `rows_as_json` makes them, what was left out, and the passages that they name."""

    lines: list[dict[str, Any]]
    """With more than one epoch, all rows of the first have `epoch` 0 and come before those of the next."""
    removed: Mapping[str, int]
    passages: Mapping[str, Passage]
    audited: list[AuditedCandidate]


def mine_night_rows(
    stores: Stores, plan: NightPlan, request: MiningRequest, watch: ProgressReporter = no_progress
) -> MinedRows:
    """Returns rows of the questions and right passages that a tier-3 night would train on now, with negatives by *request*.

    Raises:
        TooLittleDataError: no judgment of the training split names a right passage.
        UsageError: a source is not known.
    """
    check_sources(request.sources)
    evidence = load_snapshot(
        stores, trusted=plan.trusted, max_per_person=plan.max_per_person, quarantined=stores.quarantined
    )
    train = evidence.asked("train")
    right = [best_supported(positives) for positives in train.right]
    if not any(right):
        raise TooLittleDataError(
            "nobody has named a right passage yet, so there are no rows: give verdicts, or run "
            '"nightjar feedback import"'
        )
    views = _views(stores, evidence, train.questions, watch)
    earlier = encode_earlier_views(stores, evidence, train.questions, watch) if "earlier" in request.sources else ()
    mine = make_mining_context(evidence, train, views[-1], plan.towers.seed)
    mine = replace(mine, earlier=earlier, version=stores.current().encoder_id)
    teacher = CachingTeacher(plan.teacher) if plan.teacher else None
    by_source = mine_negatives(mine, views, evidence.texts, finders=request.sources, known=train.known, teacher=teacher)
    quotas = source_quotas(request.sources)
    rows, removed = mix_rows(mine, by_source, right, max(request.pool, request.n_negatives), quotas)
    audited = (
        sample_for_audit(mine, by_source, evidence.texts, request.n_audited, mine.seed) if request.n_audited else []
    )
    passages = {passage.passage_id: passage for passage in evidence.passages}
    return MinedRows(_lines(mine, rows, request), removed, passages, audited)


def mine_for_question(
    stores: Stores,
    question: str,
    n: int,
    sources: Sequence[str] = tuple(FINDERS),
    encoder: VersionQueryEncoder | None = None,
) -> dict[str, Any]:
    """Returns what every source finds for *question*, kept or removed with the reason, and the known right passages.

    A candidate's margin is the lowest cosine of a right passage minus its own; None if no right passage is known.
    Nothing is stored for a question that nobody judged. *encoder* is one that is open already.

    Raises:
        UsageError: a source is not known.
    """
    check_sources(sources)
    evidence = load_snapshot(
        stores,
        trusted=stores.trusted,
        max_per_person=stores.max_judgments_per_person,
        quarantined=stores.quarantined,
    )
    asked = _with_neighbours(evidence, question)
    typed = () if any(question == judgment.question for judgment in evidence.judgments.judgments) else (question,)
    views = _views(stores, evidence, questions=asked.questions, watch=no_progress, in_passing=typed, opened=encoder)
    earlier = (
        encode_earlier_views(stores, evidence, asked.questions, no_progress, typed) if "earlier" in sources else ()
    )
    mine = make_mining_context(evidence, asked, views[-1], stores.seed)
    mine = replace(mine, earlier=earlier, version=stores.current().encoder_id)
    by_source = mine_negatives(mine, views, evidence.texts, finders=sources, pool=n, known=asked.known)
    candidates = []
    for mined in by_source.values():
        marked = [(candidate, None) for candidate in mined[0].kept] + list(mined[0].removed)
        for candidate, removed in sorted(marked, key=lambda pair: pair[0].rank):
            candidates.append(_candidate_json(mine, candidate, removed, evidence.passages[candidate.passage]))
    right = [evidence.passages[row] for row in asked.right[0]]
    positives = [{"passage_id": passage.public_id, "title": passage.title} for passage in right]
    return {"question": question, "positives": positives, "candidates": candidates}


def _lines(mine: MiningContext, rows: Sequence[TrainingRow], wanted: MiningRequest) -> list[dict[str, Any]]:
    if wanted.epochs == 1:
        return list(rows_as_json(mine, rows))
    lines = []
    for epoch in range(wanted.epochs):
        due = rows_of_epoch(rows, wanted.n_negatives, epoch, wanted.epochs, mine.seed, easy_first=wanted.easy_first)
        lines += [{**line, "epoch": epoch} for line in rows_as_json(mine, due)]
    return lines


def _views(
    stores: Stores,
    evidence: TrainingSnapshot,
    questions: Sequence[str],
    watch: ProgressReporter,
    in_passing: Sequence[str] = (),
    opened: VersionQueryEncoder | None = None,
) -> list[VersionView]:
    """Returns how the base and the current version, if that is a different one, see the questions, as in the night."""
    versions = {version.encoder_id: version for version in (stores.registry.base(), stores.current())}
    return [
        encode_view(
            stores,
            evidence,
            version=version,
            questions=questions,
            watch=watch,
            transient=in_passing,
            open_encoder=opened,
        )
        for version in versions.values()
    ]


def _candidate_json(mine: MiningContext, candidate: Candidate, removed: str | None, passage: Passage) -> dict[str, Any]:
    query, positives = mine.question_vectors[0], sorted(mine.positives[0])
    of_positives = mine.passage_vectors[positives] @ query
    own = mine.passage_vectors[candidate.passage] @ query
    margin = float(np.min(of_positives) - own) if positives else None
    return {
        "source": candidate.source,
        "rank": candidate.rank,
        "score": round(candidate.score, 4),
        "margin": None if margin is None else round(margin, 4),
        "version": candidate.version,
        "passage_id": passage.public_id,
        "title": passage.title,
        "removed": removed,
    }


def _with_neighbours(evidence: TrainingSnapshot, question: str) -> JudgedQuestions:
    """Returns *question* first, with its judgments whatever its split, then others, for in-batch negatives."""
    splits = [evidence.asked("train"), evidence.asked("dev"), evidence.asked("gate")]
    questions, right, rejected, spared = [question], [dict[int, float]()], [tuple[int, ...]()], [tuple[int, ...]()]
    for split in splits:
        for index, other_question in enumerate(split.questions):
            if normalise_question(other_question) == normalise_question(question):
                right[0], rejected[0] = dict(split.right[index]), split.rejected[index]
                spared[0] = split.excluded_for(index)
            elif split is splits[0]:
                questions.append(other_question)
                right.append(split.right[index])
                rejected.append(split.rejected[index])
                spared.append(split.excluded_for(index))
    return JudgedQuestions(
        questions=tuple(questions[:32]),
        right=tuple(right[:32]),
        rejected=tuple(rejected[:32]),
        excluded=tuple(spared[:32]),
    )
