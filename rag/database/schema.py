"""The SQL database, which is the truth: its schema, how it is opened, and how it migrates itself on opening."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    Engine,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    create_engine,
    event,
)
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError

from rag.errors import NightjarError, SettingsError
from rag.state_files import make_private_database, make_private_folder

metadata = MetaData()

documents = Table(
    "documents",
    metadata,
    Column("document_id", Text, primary_key=True),
    Column("source", Text, nullable=False, unique=True),
    Column("title", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("sha256", Text, nullable=False, index=True),
    Column("text", Text, nullable=False),
    Column("added_at", Text, nullable=False),
)
passages = Table(
    "passages",
    metadata,
    Column("passage_id", Text, primary_key=True),
    Column("document_id", Text, ForeignKey("documents.document_id", ondelete="CASCADE"), nullable=False, index=True),
    Column("ordinal", Integer, nullable=False),
    Column("title", Text, nullable=False),
    Column("heading", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("start", Integer, nullable=False),
    Column("end", Integer, nullable=False),
    Column("page", Integer),
    Column("external_id", Text, index=True),
    Column("text_sha256", Text, nullable=False, index=True),
)
vectors = Table(
    "vectors",
    metadata,
    Column("passage_side", Text, primary_key=True),
    Column("text_sha256", Text, primary_key=True),
    Column("vector", LargeBinary, nullable=False),  # float32, little endian, unit length
)
turns = Table(
    "turns",
    metadata,
    Column("turn_id", Text, primary_key=True),
    Column("conversation_id", Text, nullable=False, index=True),
    Column("user", Text, nullable=False),
    Column("question", Text, nullable=False),
    Column("answer", Text, nullable=False),
    Column("declined", Integer, nullable=False),
    Column("encoder_id", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("asked_at", Text, nullable=False, index=True),
    Column("asked", Text, nullable=False, server_default=""),
    Column(
        "details", Text, nullable=False, server_default=""
    ),  # JSON: what a page shows of the answer next to its text
)
shown_passages = Table(
    "shown",
    metadata,
    Column("turn_id", Text, ForeignKey("turns.turn_id", ondelete="CASCADE"), primary_key=True),
    Column("passage_id", Text, primary_key=True),  # no foreign key: what was shown stays true when a document goes
    Column("rank", Integer, nullable=False),
    Column("score", Float, nullable=False),
    Column("dense", Float, nullable=False),
    Column("lexical", Float, nullable=False),
    Column("cited", Integer, nullable=False),
)
verdict_events = Table(
    "verdict_events",
    metadata,
    Column("event_id", Integer, primary_key=True, autoincrement=True),  # the order of events, whatever the clock says
    Column("user", Text, nullable=False),
    Column("turn_id", Text, nullable=False),
    Column("passage_id", Text, nullable=False),  # "" where the verdict is about the answer
    Column("verdict", Text, nullable=False),  # "withdrawn" takes the standing one back
    Column("comment", Text, nullable=False),
    Column("given_at", Text, nullable=False),
    Index("verdict_events_target", "user", "turn_id", "passage_id"),
)
versions = Table(
    "versions",
    metadata,
    Column("encoder_id", Text, primary_key=True),
    Column("passage_side", Text, nullable=False),
    Column("parent_id", Text),
    Column("tier", Integer, nullable=False),  # 0 is the base
    Column("lexical_weight", Float, nullable=False),
    Column("path", Text, nullable=False),  # relative to the state directory
    Column("created_at", Text, nullable=False),
    Column("note", Text, nullable=False),  # JSON: data counts, parameters, dev scores
)
promotions = Table(
    "promotions",
    metadata,
    Column("promotion_id", Integer, primary_key=True, autoincrement=True),  # the last row names the current version
    Column("encoder_id", Text, ForeignKey("versions.encoder_id"), nullable=False),
    Column("kind", Text, nullable=False),  # install, promote or rollback
    Column("reason", Text, nullable=False),
    Column("promoted_at", Text, nullable=False),
)
nights = Table(
    "nights",
    metadata,
    Column("night_id", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False, index=True),  # of everything that decides the outcome
    Column("tier", Integer, nullable=False),
    Column("stage", Text, nullable=False),
    Column("decision", Text),  # promoted, kept or invalid; absent while the night runs
    Column("candidate_id", Text),
    Column("started_at", Text, nullable=False),
    Column("finished_at", Text),
    Column("summary", Text, nullable=False),  # JSON: what `nightjar nightly --json` prints
)
jobs = Table(
    "jobs",
    metadata,
    Column("job_id", Text, primary_key=True),
    Column("state", Text, nullable=False, index=True),  # waiting, running, done, failed or cancelled
    Column("stage", Text, nullable=False),
    Column("door", Text, nullable=False),  # application or command: who runs it
    Column("asked", Text, nullable=False),  # JSON: what to ingest
    Column("note", Text, nullable=False),
    Column("n_starts", Integer, nullable=False),  # more than one if the application ended meanwhile
    Column("cancel", Integer, nullable=False),  # somebody wants its end
    Column("created_at", Text, nullable=False, index=True),
    Column("started_at", Text),
    Column("beat_at", Text),  # when it last said that it is alive
    Column("finished_at", Text),
)
job_files = Table(
    "job_files",
    metadata,
    Column("job_id", Text, ForeignKey("jobs.job_id", ondelete="CASCADE"), primary_key=True),
    Column("source", Text, primary_key=True),
    Column("stage", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("n_passages", Integer, nullable=False),
    Column("n_encoded", Integer, nullable=False),
)
app_state = Table(
    "state",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

MIGRATIONS_DIR = Path(__file__).with_name("migrations")


def open_database(url: str) -> Engine:
    """Opens the database at an SQLAlchemy URL, creating or migrating its schema first.

    SQLite runs in WAL mode with synchronous=FULL: an acknowledged write survives `kill -9` and power loss.
    Raises:
        SettingsError: the URL can't be read, or needs a driver that is not installed.
        NightjarError: the database can't be opened, or was written by a newer Nightjar.
    """
    engine = _engine(url)
    try:
        _migrate(engine)
    except (DatabaseError, NightjarError) as error:
        engine.dispose()
        if isinstance(error, NightjarError):
            raise
        raise NightjarError(
            f"the database {engine.url.render_as_string()!r} can't be opened ({error.orig}): "
            "check that it is there and yours, or restore a backup"
        ) from error
    return engine


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
        engine = create_engine(parsed)
    except (ArgumentError, ValueError):
        # Neither shown nor chained: what can't be read may hold a password all the same.
        raise SettingsError(
            "database.url is not an SQLAlchemy URL: write sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME"
        ) from None
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"database.url needs the driver {error.name!r}, which is not installed: "
            "pip install 'nightjar-rag[postgres]'"
        ) from error
    if engine.dialect.name == "sqlite":
        if parsed.database and parsed.database != ":memory:" and not parsed.database.startswith("file:"):
            make_private_folder(Path(parsed.database).parent)
            make_private_database(Path(parsed.database))
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_immediate)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # SQLAlchemy's "begin" event opens the transactions, not the driver
    for pragma in ("busy_timeout=30000", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_immediate(connection: Connection) -> None:
    """A reader that wants to write later would otherwise fail at once when somebody else wrote in between."""
    read_only = connection.get_execution_options().get("read_only", False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def read_connection(engine: Engine) -> Connection:
    """A connection for reading only: it never waits for a writer, nor a writer for it."""
    return engine.connect().execution_options(read_only=True)


def _migrate(engine: Engine) -> None:
    """Brings the schema to the newest revision; costs one query if nothing is to do."""
    newest = max(path.stem for path in (MIGRATIONS_DIR / "versions").glob("[0-9]*.py"))
    with read_connection(engine) as connection:
        found = _revision(connection)
    if found == newest:
        return
    if found is not None and found > newest:
        raise NightjarError(
            f"the database is at revision {found!r}, newer than this Nightjar's {newest!r}: "
            "install a newer Nightjar, or restore a backup"
        )
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS_DIR).replace("%", "%%"))
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":  # two processes must not create the schema at once
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(20261122)")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _revision(connection: Connection) -> str | None:
    from sqlalchemy import inspect

    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return revision
