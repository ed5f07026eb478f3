"""How a version sees questions and the night's passages, from vectors that are encoded once."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rag.app.app import App
from rag.embedding.query_vectors import QuestionEncoder, question_vectors
from rag.versions.registry import Version
from retriever_training.judgments.snapshot import Evidence
from retriever_training.negatives.candidates.records import View
from retriever_training.progress import Watch
from retriever_training.versions.rejected_candidates import refusals

MAX_EARLIER = 3  # versions that negatives are taken from beside the current one


def view_of(
    app: App,
    evidence: Evidence,
    version: Version,
    questions: Sequence[str],
    watch: Watch,
    in_passing: Collection[str] = (),
    opened: QuestionEncoder | None = None,
) -> View:
    """*questions* and the snapshot's passages by *version*; only what it has not encoded yet is encoded.

    The vectors of questions *in_passing* are not kept. Where *opened* is of that version it encodes them: else its
    weights would be read a second time.
    """
    encoder, vectors = app.open_encoder(version.encoder_id), app.vectors(version.passage_side)
    vectors.fill(encoder, watch("encode passages", vectors.missing()))
    asks = opened if opened is not None and opened.encoder_id == version.encoder_id else encoder
    encoded = question_vectors(app.engine, asks, questions, watch("encode questions", len(questions)), in_passing)
    name = f"version {version.encoder_id}" if version.tier else "the base"
    return View(name, encoded, evidence.matrix(vectors), version.encoder_id)


def earlier_views(
    app: App, evidence: Evidence, questions: Sequence[str], watch: Watch, in_passing: Collection[str] = ()
) -> tuple[View, ...]:
    """The same by versions before the current one, newest first, MAX_EARLIER at most.

    Versions whose files are kept and whose passage vectors are all there: nothing but *questions* is encoded.
    """
    current = app.current().encoder_id
    never = {current, *refusals(app)}  # what the gate turned down teaches nobody, whether its files are kept or not
    older = [version for version in reversed(app.registry.versions()) if version.encoder_id not in never]
    there = [one for one in older if one.folder.is_dir() and not app.vectors(one.passage_side).missing()]
    return tuple(view_of(app, evidence, version, questions, watch, in_passing) for version in there[:MAX_EARLIER])
