"""How a version sees questions and the night's passages, from vectors that are encoded once."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rag.app.stores import Stores
from rag.embedding.protocols import VersionQueryEncoder
from rag.embedding.query_vectors import get_query_vectors
from rag.versions.registry import Version
from retriever_training.judgments.snapshot import TrainingSnapshot
from retriever_training.negatives.candidates.records import VersionView
from retriever_training.progress import ProgressReporter
from retriever_training.versions.rejected_candidates import latest_refusals

MAX_EARLIER_VERSIONS = 3  # versions that negatives are taken from next to the current one


def encode_view(
    stores: Stores,
    evidence: TrainingSnapshot,
    version: Version,
    questions: Sequence[str],
    watch: ProgressReporter,
    transient: Collection[str] = (),
    open_encoder: VersionQueryEncoder | None = None,
) -> VersionView:
    """*questions* and the snapshot's passages by *version*; only what it has not encoded yet is encoded.

    The vectors of questions *transient* are not kept. If *open_encoder* is of that version it encodes them: else its
    weights would be read a second time.
    """
    encoder, vectors = stores.open_encoder(version.encoder_id), stores.vectors(version.passage_side)
    vectors.fill(encoder, watch("encode passages", vectors.missing()))
    asks = open_encoder if open_encoder is not None and open_encoder.encoder_id == version.encoder_id else encoder
    encoded = get_query_vectors(stores.engine, asks, questions, watch("encode questions", len(questions)), transient)
    name = f"version {version.encoder_id}" if version.tier else "the base"
    return VersionView(name, encoded, evidence.matrix(vectors), version.encoder_id)


def encode_earlier_views(
    stores: Stores,
    evidence: TrainingSnapshot,
    questions: Sequence[str],
    watch: ProgressReporter,
    transient: Collection[str] = (),
) -> tuple[VersionView, ...]:
    """Encodes the questions with versions before the current one, newest first, MAX_EARLIER at most.

    Versions whose files are kept and whose passage vectors are all there: nothing but *questions* is encoded.
    """
    current = stores.current().encoder_id
    never = {
        current,
        *latest_refusals(stores),
    }  # what the gate turned down teaches nobody, whether its files are kept or not
    older = [version for version in reversed(stores.registry.versions()) if version.encoder_id not in never]
    there = [
        version for version in older if version.folder.is_dir() and not stores.vectors(version.passage_side).missing()
    ]
    return tuple(
        encode_view(stores, evidence, version=version, questions=questions, watch=watch, transient=transient)
        for version in there[:MAX_EARLIER_VERSIONS]
    )
