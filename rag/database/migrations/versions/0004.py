"""People, sessions and tokens; conversations; what was reviewed and compared; golden questions; a turn's details."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Adds the tables of the web application. Conversations that there are get a row, unnamed."""
    op.create_table(
        "people",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("locked_at", sa.Text()),
    )
    op.create_table(
        "sessions",
        sa.Column("secret_sha256", sa.Text(), primary_key=True),
        sa.Column("name", sa.Text(), sa.ForeignKey("people.name", ondelete="CASCADE"), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.Text(), nullable=False),
    )
    op.create_table(
        "tokens",
        sa.Column("token_id", sa.Text(), primary_key=True),
        sa.Column("secret_sha256", sa.Text(), nullable=False, unique=True),
        sa.Column("name", sa.Text(), sa.ForeignKey("people.name", ondelete="CASCADE"), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("used_at", sa.Text()),
        sa.Column("revoked_at", sa.Text()),
    )
    op.create_table(
        "conversations",
        sa.Column("conversation_id", sa.Text(), primary_key=True),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.Text(), nullable=False),
    )
    op.create_table(
        "reviews",
        sa.Column("review_id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("passage_id", sa.Text(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("decided_at", sa.Text(), nullable=False),
    )
    op.create_table(
        "comparisons",
        sa.Column("comparison_id", sa.Text(), primary_key=True),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("left_id", sa.Text(), nullable=False),
        sa.Column("right_id", sa.Text(), nullable=False),
        sa.Column("better", sa.Text(), nullable=False),
        sa.Column("compared_at", sa.Text(), nullable=False),
    )
    op.create_table(
        "golden",
        sa.Column("golden_id", sa.Text(), primary_key=True),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("answerable", sa.Integer(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("quote", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("nuggets", sa.Text(), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("added_by", sa.Text(), nullable=False),
        sa.Column("added_at", sa.Text(), nullable=False),
        sa.Column("retired_at", sa.Text()),
    )
    op.create_index("ix_sessions_name", "sessions", ["name"])
    op.create_index("ix_tokens_name", "tokens", ["name"])
    op.create_index("conversations_of", "conversations", ["user", "changed_at"])
    op.create_index("reviews_of", "reviews", ["question", "passage_id"])
    op.create_index("ix_comparisons_compared_at", "comparisons", ["compared_at"])
    op.add_column("turns", sa.Column("details", sa.Text(), nullable=False, server_default=""))
    # Questions that a program asked on their own are no conversation; their turn's id stands in its place.
    op.execute(
        sa.text(
            """
            INSERT INTO conversations (conversation_id, "user", title, created_at, changed_at)
            SELECT conversation_id, min("user"), '', min(asked_at), max(asked_at) FROM turns
            WHERE origin = 'asked' AND conversation_id <> turn_id GROUP BY conversation_id
            """
        )
    )
