"""The part of the schema that the web application and its people need: who they are, and what they keep or decide."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Integer, Table, Text

from rag.database.schema import metadata

people = Table(
    "people",
    metadata,
    Column("name", Text, primary_key=True),
    Column("role", Text, nullable=False),  # reader, voter or administrator
    Column("password_hash", Text, nullable=False),  # "" where nobody may sign in by password
    Column("created_at", Text, nullable=False),
    Column("locked_at", Text),  # may not come in any more; what the person said stays
)
sessions = Table(
    "sessions",
    metadata,
    Column("secret_sha256", Text, primary_key=True),  # of the cookie; the cookie itself is nowhere
    Column("name", Text, ForeignKey("people.name", ondelete="CASCADE"), nullable=False, index=True),
    Column("created_at", Text, nullable=False),
    Column("expires_at", Text, nullable=False),
)
tokens = Table(
    "tokens",
    metadata,
    Column("token_id", Text, primary_key=True),
    Column("secret_sha256", Text, nullable=False, unique=True),
    Column("name", Text, ForeignKey("people.name", ondelete="CASCADE"), nullable=False, index=True),
    Column("label", Text, nullable=False),  # what it is for, in its owner's words
    Column("created_at", Text, nullable=False),
    Column("used_at", Text),
    Column("revoked_at", Text),
)
conversations = Table(
    "conversations",
    metadata,
    Column("conversation_id", Text, primary_key=True),
    Column("user", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("changed_at", Text, nullable=False),
    Index("conversations_of", "user", "changed_at"),
)
reviews = Table(
    "reviews",  # what people decided of doubtful negatives; the latest of a (question, passage) stands
    metadata,
    Column("review_id", Integer, primary_key=True, autoincrement=True),
    Column("question", Text, nullable=False),
    Column("passage_id", Text, nullable=False),
    Column("decision", Text, nullable=False),  # negative, not_negative or skip
    Column("user", Text, nullable=False),
    Column("decided_at", Text, nullable=False),
    Index("reviews_of", "question", "passage_id"),
)
comparisons = Table(
    "comparisons",  # two versions on one question, unnamed: which one is better?
    metadata,
    Column("comparison_id", Text, primary_key=True),
    Column("user", Text, nullable=False),
    Column("question", Text, nullable=False),
    Column("left_id", Text, nullable=False),  # encoder ids, in the order that they were shown
    Column("right_id", Text, nullable=False),
    Column("better", Text, nullable=False),  # left, right or equal
    Column("compared_at", Text, nullable=False, index=True),
)
golden_questions = Table(
    "golden",  # questions with a known right passage or answer, for measuring
    metadata,
    Column("golden_id", Text, primary_key=True),
    Column("question", Text, nullable=False),
    Column("answerable", Integer, nullable=False),
    Column("source", Text, nullable=False),  # "" where no document answers
    Column("quote", Text, nullable=False),  # found again in today's passages, so it survives another splitting
    Column("reference", Text, nullable=False),  # an answer in words; may be empty
    Column("nuggets", Text, nullable=False),  # JSON: facts that an answer has to hold, each a list of spellings
    Column("tags", Text, nullable=False),  # JSON: a list of words
    Column("origin", Text, nullable=False),  # chat, liked, heading, model or file
    Column("added_by", Text, nullable=False),
    Column("added_at", Text, nullable=False),
    Column("retired_at", Text),
)
