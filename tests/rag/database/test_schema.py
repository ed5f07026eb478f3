"""The database: one schema however it came to be, and writes that are there once they are acknowledged."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, create_engine, insert, inspect, select
from sqlalchemy.pool import NullPool

from rag.database import user_tables as app_tables  # noqa: F401 - adds its tables to the schema
from rag.database.schema import app_state, metadata, open_database, read_connection, turns
from rag.errors import NightjarError, SettingsError
from rag.feedback.feedback_store import FeedbackStore
from rag.library.library import Library


def column_of(column: dict[str, Any]) -> tuple[object, ...]:
    return (column["name"], str(column["type"]), column["nullable"], column["primary_key"])


def described(engine: Engine) -> dict[str, Any]:
    """All that a database says of its tables, save Alembic's own."""
    found, tables = inspect(engine), {}
    for table in sorted(set(found.get_table_names()) - {"alembic_version"}):
        tables[table] = {
            "columns": [column_of(dict(column)) for column in found.get_columns(table)],
            "indexes": sorted(
                (index["name"], tuple(index["column_names"]), index["unique"]) for index in found.get_indexes(table)
            ),
            "unique": sorted(tuple(unique["column_names"]) for unique in found.get_unique_constraints(table)),
            "foreign": sorted(
                (tuple(key["constrained_columns"]), key["referred_table"], str(key["options"]))
                for key in found.get_foreign_keys(table)
            ),
        }
    return tables


# ---- the schema


def test_migrations_make_exactly_the_schema_in_the_code(engine, tmp_path) -> None:
    made_whole = create_engine(f"sqlite:///{tmp_path / 'whole.db'}")
    metadata.create_all(made_whole)
    assert described(engine) == described(made_whole)
    made_whole.dispose()


def test_alembic_finds_nothing_left_to_migrate(engine) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata) == []


def test_a_database_that_was_there_opens_with_its_rows_and_the_same_schema(engine, tmp_path) -> None:
    Library(engine).bump_vectors_revision()
    again = open_database(f"sqlite:///{tmp_path / 'nightjar.db'}")
    assert Library(again).vectors_revision() == 1
    assert described(again) == described(engine)
    again.dispose()


def test_opening_a_current_database_writes_nothing(engine, tmp_path) -> None:
    """A reader must not wait for the night's writer, so opening takes no write lock."""
    with engine.begin() as writer:
        writer.execute(insert(app_state).values(name="x", value="1"))
        open_database(f"sqlite:///{tmp_path / 'nightjar.db'}").dispose()  # would fail after 30 s of waiting


def test_a_newer_database_is_refused_and_left_as_it_is(engine, tmp_path) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(NightjarError, match=r"revision '9999', newer than this Nightjar's .*install a newer Nightjar"):
        open_database(f"sqlite:///{tmp_path / 'nightjar.db'}")
    with read_connection(engine) as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == "9999"


def test_a_migration_that_fails_leaves_nothing_behind(tmp_path) -> None:
    url = f"sqlite:///{tmp_path / 'half.db'}"
    half = create_engine(url)
    with half.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE shown (wrong TEXT)")  # the last table that 0001 creates
    with pytest.raises(NightjarError, match="can't be opened"):
        open_database(url)
    assert inspect(half).get_table_names() == ["shown"]
    half.dispose()


def test_a_database_of_the_first_release_is_brought_up_with_its_turns(tmp_path) -> None:
    from alembic import command
    from alembic.config import Config

    from rag.database.schema import MIGRATIONS_DIR

    url = f"sqlite:///{tmp_path / 'first.db'}"
    first, config = create_engine(url), Config()
    config.set_main_option("script_location", str(MIGRATIONS_DIR))
    with first.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.exec_driver_sql(
            "INSERT INTO turns VALUES ('t', 'c', 'ann', 'When?', 'In May.', 0, 'v', 'asked', '2026-11-22T10:00:00+00:00')"
        )
    first.dispose()
    opened = open_database(url)
    turn = FeedbackStore(opened).turn("t")
    assert (turn.question, turn.answer, turn.asked) == ("When?", "In May.", "")
    assert {"jobs", "job_files"} <= set(inspect(opened).get_table_names())
    opened.dispose()


# ---- how it is opened


def test_sqlite_is_durable_and_waits_for_others(engine) -> None:
    wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30000}  # 2 is FULL
    with read_connection(engine) as connection:
        assert {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in wanted} == wanted


def test_a_reader_sees_one_state_and_holds_up_no_writer(engine) -> None:
    with read_connection(engine) as connection:
        assert connection.execute(select(app_state)).all() == []
        Library(engine).bump_vectors_revision()
        assert connection.execute(select(app_state)).all() == []
    assert Library(engine).vectors_revision() == 1


def test_the_folder_of_a_new_database_is_made(tmp_path) -> None:
    open_database(f"sqlite:///{tmp_path}/deep/er/nightjar.db").dispose()
    assert (tmp_path / "deep" / "er" / "nightjar.db").is_file()


@pytest.mark.parametrize("name", ["a b", "50%20off", "what?", "a#b", "ä"])
def test_a_state_directory_of_any_name_holds_its_database(tmp_path, name) -> None:
    from rag.settings import load_settings

    open_database(load_settings(tmp_path / name).database_url).dispose()
    assert (tmp_path / name / "nightjar.db").is_file()


@pytest.mark.parametrize(
    "url", ["nonsense:hunter2", "foo://ada:hunter2@host/db", "postgresql+psycopg://ada:hunter2@host:port/db", ""]
)
def test_a_url_that_can_not_be_read_is_refused_without_being_shown(url) -> None:
    with pytest.raises(SettingsError, match=r"database\.url is not an SQLAlchemy URL") as refused:
        open_database(url)
    assert "hunter2" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_file_that_is_no_database_is_refused(tmp_path) -> None:
    (tmp_path / "nightjar.db").write_bytes(b"garbage" * 1000)
    with pytest.raises(NightjarError, match=r"nightjar\.db' can't be opened \(file is not a database\)"):
        open_database(f"sqlite:///{tmp_path / 'nightjar.db'}")


# ---- several processes, and processes that are killed


def start(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True)


def test_processes_that_open_and_write_at_once_lose_nothing(tmp_path) -> None:
    """Each reads a number and writes it back raised by one, which only whole transactions survive."""
    code = (
        "import sys; from rag.database.schema import open_database; from rag.library.library import Library\n"
        "library = Library(open_database(sys.argv[1]))\n"
        "for _ in range(100): library.bump_vectors_revision()\n"
    )
    url = f"sqlite:///{tmp_path / 'nightjar.db'}"
    writers = [start(code, url) for _ in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    for writer in writers:
        assert writer.stdout is not None
        writer.stdout.close()
    opened = open_database(url)
    assert Library(opened).vectors_revision() == 300
    opened.dispose()


def test_what_was_acknowledged_survives_sigkill(tmp_path) -> None:
    code = (
        "import sys; from sqlalchemy import insert; from rag.database.schema import app_state, open_database\n"
        "engine = open_database(sys.argv[1])\n"
        "for n in range(100000):\n"
        "    with engine.begin() as connection:\n"
        "        connection.execute(insert(app_state).values(name=f'{sys.argv[2]}-{n}', value='x' * 500))\n"
        "    print(n, flush=True)\n"
    )
    url = f"sqlite:///{tmp_path / 'nightjar.db'}"
    acknowledged = set()
    for round_number, n_writes in enumerate((1, 20, 150)):
        writer = start(code, url, str(round_number))
        assert writer.stdout is not None
        for _ in range(n_writes):
            acknowledged.add(f"{round_number}-{int(writer.stdout.readline())}")
        writer.kill()
        acknowledged |= {f"{round_number}-{int(line)}" for line in writer.stdout if line.endswith("\n")}
        writer.stdout.close()
        writer.wait()
    opened = open_database(url)
    with read_connection(opened) as connection:
        assert set(connection.scalars(select(app_state.c.name))) >= acknowledged
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
    opened.dispose()


# ---- PostgreSQL


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="module")
def postgres_url() -> Iterator[str]:
    """A server of our own on loopback; it refuses to run as root, so root lends it another user."""
    pytest.importorskip("psycopg", reason="needs the extra nightjar-rag[postgres]")
    if not (shutil.which("initdb") and shutil.which("postgres")):
        pytest.skip("needs PostgreSQL's initdb and postgres on the PATH")
    user = "nobody" if os.getuid() == 0 else getpass.getuser()
    folder, port = Path(tempfile.mkdtemp(prefix="nightjar-postgres-")), free_port()
    shutil.chown(folder, user)
    quiet = {"user": user, "cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    options = ["-D", str(folder / "data"), "-p", str(port), "-k", str(folder), "-c", "listen_addresses=127.0.0.1"]
    subprocess.run(["initdb", "-D", folder / "data", "-U", "nightjar", "-A", "trust", "-N"], check=True, **quiet)
    server = subprocess.Popen(["postgres", *options], **quiet)
    try:
        wait_until_open(port, server)
        yield f"postgresql+psycopg://nightjar@127.0.0.1:{port}/postgres"
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(folder)


def wait_until_open(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and server.poll() is None:
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                time.sleep(0.5)  # it listens a moment before it lets anybody in
                return
        time.sleep(0.1)
    pytest.fail("the PostgreSQL server did not start")


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[Engine]:
    """A new, migrated database of that server."""
    name = f"nightjar_{os.urandom(6).hex()}"
    server = create_engine(postgres_url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with server.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    opened = open_database(postgres_url.rsplit("/", 1)[0] + "/" + name)
    yield opened
    opened.dispose()


def test_postgresql_gets_the_same_schema(postgres) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with postgres.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata) == []
    open_database(postgres.url.render_as_string(hide_password=False)).dispose()


def test_library_vectors_feedback_and_registry_work_on_postgresql(postgres, tmp_path) -> None:
    from rag.embedding.passage_vectors import PassageVectors
    from rag.feedback.feedback_store import FeedbackStore
    from rag.records import Document, Passage, ShownPassage, Turn, sha256_of, utc_now
    from rag.versions.registry import VersionRegistry

    class Ones:
        passage_side = "ones"

        def encode_passages(self, texts):
            return np.ones((len(texts), 1), np.float32)

    library = Library(postgres)
    passage = Passage(
        passage_id="p1",
        document_id="d1",
        source="Notes/a.txt",
        title="T",
        heading="",
        text="One.",
        start=0,
        end=4,
        external_id="e1",
    )
    library.put(
        Document(
            document_id="d1",
            source="Notes/a.txt",
            title="T",
            media_type="text/plain",
            sha256=sha256_of("One."),
            text="One.",
        ),
        [passage],
    )
    assert library.passages() == [passage]
    assert library.resolve(["e1", "x"]) == {"e1": "p1"}
    assert PassageVectors(postgres, "ones").fill(Ones()) == 1
    assert PassageVectors(postgres, "ones").matrix()[1].tolist() == [[1.0]]

    feedback = FeedbackStore(postgres)
    feedback.record_turn(
        Turn(
            turn_id="t1",
            conversation_id="c1",
            user="ada",
            question="Who?",
            answer="",
            declined=False,
            encoder_id="v",
            asked_at=utc_now(),
            shown=(ShownPassage(passage_id="p1", rank=1, score=1, dense=1, lexical=0, cited=True),),
        )
    )
    feedback.record_verdict("ada", "t1", "p1", "helpful")
    feedback.record_verdict("ada", "t1", "p1", "not_relevant")
    assert [verdict.verdict for verdict in feedback.standing()] == ["not_relevant"]
    feedback.check_token("t1", feedback.token("t1"))

    registry, ids = VersionRegistry(postgres, tmp_path), []
    for content in ("a", "b"):
        made = tmp_path / content
        made.mkdir()
        (made / "modules.json").write_text("[]")
        (made / "config.json").write_text(content)
        ids.append(registry.register(made, tier=0, parent_id=None, lexical_weight=0.25, note={}).encoder_id)
        registry.promote(ids[-1], "test")
    assert registry.current().encoder_id == ids[1]
    assert registry.rollback().encoder_id == ids[0]
    assert library.remove("Notes") == 1
    assert library.n_passages() == 0
    with read_connection(postgres) as connection:
        assert connection.scalar(select(turns.c.question)) == "Who?"
