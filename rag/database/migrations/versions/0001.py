"""The first schema: documents, passages, vectors, turns, verdicts, versions, promotions, nights."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Creates every table of the first release."""
    op.create_table(
        "documents",
        sa.Column("document_id", sa.Text(), primary_key=True),
        sa.Column("source", sa.Text(), nullable=False, unique=True),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("added_at", sa.Text(), nullable=False),
    )
    op.create_index("ix_documents_sha256", "documents", ["sha256"])
    op.create_table(
        "nights",
        sa.Column("night_id", sa.Text(), primary_key=True),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("tier", sa.Integer(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("decision", sa.Text()),
        sa.Column("candidate_id", sa.Text()),
        sa.Column("started_at", sa.Text(), nullable=False),
        sa.Column("finished_at", sa.Text()),
        sa.Column("summary", sa.Text(), nullable=False),
    )
    op.create_index("ix_nights_fingerprint", "nights", ["fingerprint"])
    op.create_table(
        "state",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("value", sa.Text(), nullable=False),
    )
    op.create_table(
        "turns",
        sa.Column("turn_id", sa.Text(), primary_key=True),
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("declined", sa.Integer(), nullable=False),
        sa.Column("encoder_id", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.Text(), nullable=False),
    )
    op.create_index("ix_turns_asked_at", "turns", ["asked_at"])
    op.create_index("ix_turns_conversation_id", "turns", ["conversation_id"])
    op.create_table(
        "vectors",
        sa.Column("passage_side", sa.Text(), primary_key=True),
        sa.Column("text_sha256", sa.Text(), primary_key=True),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "verdict_events",
        sa.Column("event_id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("turn_id", sa.Text(), nullable=False),
        sa.Column("passage_id", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("given_at", sa.Text(), nullable=False),
    )
    op.create_index("verdict_events_target", "verdict_events", ["user", "turn_id", "passage_id"])
    op.create_table(
        "versions",
        sa.Column("encoder_id", sa.Text(), primary_key=True),
        sa.Column("passage_side", sa.Text(), nullable=False),
        sa.Column("parent_id", sa.Text()),
        sa.Column("tier", sa.Integer(), nullable=False),
        sa.Column("lexical_weight", sa.Float(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
    )
    op.create_table(
        "passages",
        sa.Column("passage_id", sa.Text(), primary_key=True),
        sa.Column("document_id", sa.Text(), sa.ForeignKey("documents.document_id", ondelete="CASCADE"), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("heading", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("start", sa.Integer(), nullable=False),
        sa.Column("end", sa.Integer(), nullable=False),
        sa.Column("page", sa.Integer()),
        sa.Column("external_id", sa.Text()),
        sa.Column("text_sha256", sa.Text(), nullable=False),
    )
    op.create_index("ix_passages_document_id", "passages", ["document_id"])
    op.create_index("ix_passages_external_id", "passages", ["external_id"])
    op.create_index("ix_passages_text_sha256", "passages", ["text_sha256"])
    op.create_table(
        "promotions",
        sa.Column("promotion_id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("encoder_id", sa.Text(), sa.ForeignKey("versions.encoder_id"), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("promoted_at", sa.Text(), nullable=False),
    )
    op.create_table(
        "shown",
        sa.Column("turn_id", sa.Text(), sa.ForeignKey("turns.turn_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("passage_id", sa.Text(), primary_key=True),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("dense", sa.Float(), nullable=False),
        sa.Column("lexical", sa.Float(), nullable=False),
        sa.Column("cited", sa.Integer(), nullable=False),
    )
