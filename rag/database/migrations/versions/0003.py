"""A turn keeps its question as it was typed beside the one that was searched."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Adds the column; earlier turns keep only what was searched."""
    op.add_column("turns", sa.Column("asked", sa.Text(), nullable=False, server_default=""))
