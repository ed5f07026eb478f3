"""How versions see questions and the night's passages: as vectors, each of which is encoded once."""

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

MAX_EARLIER_VERSIONS = 3  # versions before the current one that negatives are taken from


def encode_view(
    stores: Stores,
    evidence: TrainingSnapshot,
    version: Version,
    questions: Sequence[str],
    watch: ProgressReporter,
    transient: Collection[str] = (),
    open_encoder: VersionQueryEncoder | None = None,
) -> VersionView:
    """Returns *questions* and the snapshot's passages as *version* sees them; encodes only what it has not encoded yet.

    Vectors of the *transient* questions are not stored. If *open_encoder* belongs to that version, it encodes the
    questions, so that the weights are not read a second time.
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
    """Returns the views of at most `MAX_EARLIER_VERSIONS` versions before the current one, the newest first.

    Only versions that have their files and all their passage vectors are used: nothing but *questions* is encoded.
    """
    current = stores.current().encoder_id
    # refused candidates teach nothing, whether they have their files or not
    excluded = {current, *latest_refusals(stores)}
    older = [version for version in reversed(stores.registry.versions()) if version.encoder_id not in excluded]
    complete = [
        version for version in older if version.folder.is_dir() and not stores.vectors(version.passage_side).missing()
    ]
    return tuple(
        encode_view(stores, evidence, version=version, questions=questions, watch=watch, transient=transient)
        for version in complete[:MAX_EARLIER_VERSIONS]
    )
