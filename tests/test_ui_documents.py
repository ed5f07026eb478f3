"""Ingests that the application runs: begun over HTTP, watched there, and gone on with after it was killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from rag.assemble import open_app
from rag.database import open_database
from rag.errors import UsageError
from rag.ingest import ingest_paths
from rag.jobs import Asked, Jobs
from rag.library import Library
from rag.settings import load_settings
from ui.ingests import check_allowed
from ui.serve import Running, running

SOON_S = 60
N_NOTES = 120
MAX_FILE = 200 * 1024**2  # bytes that a process which is killed may write to one file


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("documents")
    (folder / "docs").mkdir()
    (folder / "docs/owls.md").write_text("# Owls\n\nOwls hunt mice at night.\n", "utf-8")
    (folder / "docs/broken.pdf").write_text("no pdf", "utf-8")
    return folder


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[Running]:
    """Its one job was under way when its application was killed."""
    (home / "data").mkdir()
    engine = open_database(f"sqlite:///{home / 'data/nightjar.db'}")
    jobs = Jobs(engine)
    jobs.create(Asked(("docs",), str(home)))
    jobs.begin_next()
    engine.dispose()
    with running(load_settings(home / "data", server={"port": 0, "folders": [home / "docs"]})) as started:
        started.opening.app()
        yield started


@pytest.fixture(scope="module")
def client(server: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.address, timeout=30) as opened:
        yield opened


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def over(client: httpx.Client, job_id: str) -> dict:
    wait_for(lambda: client.get(f"/api/jobs/{job_id}").json()["state"] in ("done", "failed", "cancelled"))
    return client.get(f"/api/jobs/{job_id}").json()


def test_a_job_whose_application_was_killed_is_gone_on_with(client: httpx.Client) -> None:
    job = over(client, client.get("/api/jobs").json()[-1]["job_id"])
    assert (job["state"], job["n_starts"], job["files"]) == ("done", 2, {"indexed": 1, "refused": 1})
    assert "went on at the next start" in job["note"]
    assert "docs/owls.md" in [one["source"] for one in client.get("/api/documents").json()]


def test_an_ingest_is_begun_watched_and_found_by_searches_when_it_is_done(client: httpx.Client, home: Path) -> None:
    (home / "docs/bats.md").write_text("Bats find moths by echoes.", "utf-8")
    begun = client.post("/api/jobs", json={"paths": [str(home / "docs")]})
    assert begun.status_code == 202
    job = over(client, begun.json()["job_id"])
    assert (job["state"], job["n_passages"], job["n_encoded"]) == ("done", 1, 1)
    files = client.get(f"/api/jobs/{job['job_id']}/files").json()
    by_name = {one["source"].rsplit("/", 1)[-1]: one for one in files}
    assert {name: one["stage"] for name, one in by_name.items()}.items() >= {("bats.md", "indexed")}
    assert by_name["broken.pdf"]["stage"] == "refused" and by_name["broken.pdf"]["note"]
    hits = client.get("/api/search", params={"q": "Who finds moths by echoes?", "k": 1}).json()["hits"]
    assert hits[0]["text"] == "Bats find moths by echoes."


def test_only_what_the_settings_allow_can_be_brought_in(client: httpx.Client, home: Path) -> None:
    (home / "secret.md").write_text("Nobody may read this.", "utf-8")
    (home / "docs/link.md").symlink_to(home / "secret.md")
    for path in ("secret.md", "docs/../secret.md", "docs/link.md", "/etc/hostname"):
        refused = client.post("/api/jobs", json={"paths": [str(home / path)]})
        assert (refused.status_code, "server.folders allows" in refused.json()["error"]) == (400, True)
    (home / "docs/link.md").unlink()
    with pytest.raises(UsageError, match="is hidden"):
        check_allowed(Path("docs/.git/a.md"), home, [Path("docs")])
    with pytest.raises(UsageError, match="no folder at all"):
        check_allowed(Path("docs"), home, [])
    assert client.post("/api/jobs", json={"paths": []}).status_code == 400


def test_a_document_is_removed_with_what_hangs_on_it(client: httpx.Client, home: Path) -> None:
    (home / "docs/foxes.md").write_text("Foxes dig dens.", "utf-8")
    over(client, client.post("/api/jobs", json={"paths": [str(home / "docs/foxes.md")]}).json()["job_id"])
    source = next(one["source"] for one in client.get("/api/documents").json() if one["source"].endswith("foxes.md"))
    removed = client.delete("/api/documents", params={"source": source})
    assert removed.json() == {"n_documents": 1, "n_passages": 1, "n_verdicts": 0, "versions": []}
    assert client.delete("/api/documents", params={"source": source}).status_code == 404


def test_a_job_that_is_over_can_not_be_cancelled_and_an_unknown_one_is_not_found(client: httpx.Client) -> None:
    done = client.get("/api/jobs").json()[-1]["job_id"]
    assert client.post(f"/api/jobs/{done}/cancel").status_code == 400
    assert client.get("/api/jobs/unknown").status_code == 404
    assert client.get("/api/jobs/unknown/files").status_code == 404


# ---- killed


def nightjar(data: Path, *arguments: str, cwd: Path) -> subprocess.Popen[str]:
    """The command, which may write no file larger than MAX_FILE."""
    limited = ["bash", "-c", f'ulimit -f {MAX_FILE // 1024} && exec "$@"', "nightjar", sys.executable, "-m", "ui"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    return subprocess.Popen([*limited, "--data", str(data), *arguments], cwd=cwd, env=environment, stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, text=True)  # fmt: skip


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """A folder of small files with several passages each."""
    folder = tmp_path / "notes"
    folder.mkdir()
    for number in range(N_NOTES):
        parts = [
            f"## Part {part}\n\n{f'Note {number} tells part {part} of the lamp and the moth. ' * 6}"
            for part in range(4)
        ]
        (folder / f"{number:03}.md").write_text(f"# Note {number}\n\n" + "\n\n".join(parts), "utf-8")
    return folder


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    """The library of the process that is killed, as it is on disk."""
    (tmp_path / "data").mkdir()
    engine = open_database(f"sqlite:///{tmp_path / 'data/nightjar.db'}")
    yield Library(engine)
    engine.dispose()


@pytest.fixture
def whole(notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How many passages each document has where nothing was killed."""
    monkeypatch.chdir(tmp_path)
    app = open_app(load_settings(tmp_path / "whole"))
    ingest_paths(app.library, [Path("notes")], splitting=app.splitting())
    found = {one.source: one.n_passages for one in app.library.sources()}
    app.close()
    return found


def sql(library: Library, query: str) -> object:
    with library.engine.connect() as connection:
        return connection.scalar(text(query))


def n_vectors(library: Library) -> int:
    return int(str(sql(library, "select count(*) from vectors")))


def n_lost(library: Library) -> int:
    """Passages without a document, and vectors without a passage."""
    of_none = "select count(*) from passages where document_id not in (select document_id from documents)"
    unused = "select count(*) from vectors where text_sha256 not in (select text_sha256 from passages)"
    return int(str(sql(library, of_none))) + int(str(sql(library, unused)))


def check_whole(library: Library, whole: dict[str, int]) -> int:
    """Every document is whole or absent; returns how many are there."""
    there = {one.source: one.n_passages for one in library.sources()}
    assert there.items() <= whole.items()
    assert n_lost(library) == 0
    assert sql(library, "pragma integrity_check") == "ok"
    return len(there)


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


@pytest.mark.chaos
def test_an_ingest_that_is_killed_leaves_documents_whole_or_absent_and_goes_on(library, whole, tmp_path) -> None:
    """Killed while it reads, then while it encodes; the third run ends, and nothing is read or encoded twice."""
    command = ("ingest", "notes", "--json")
    moments = [lambda: len(library.hashes()) > 20, lambda: n_vectors(library) > 0]
    for moment in moments:
        process = nightjar(tmp_path / "data", *command, cwd=tmp_path)
        wait_for(lambda moment=moment, process=process: moment() or process.poll() is not None)
        assert process.poll() is None, "it was over before it could be killed"
        kill(process)
        assert check_whole(library, whole) > 0
    n_before, n_encoded = len(library.hashes()), n_vectors(library)
    last = nightjar(tmp_path / "data", *command, cwd=tmp_path)
    told, _ = last.communicate(timeout=SOON_S)
    assert last.returncode == 0
    report = json.loads(told)
    assert check_whole(library, whole) == len(whole) == N_NOTES
    assert len(report["unchanged"]) == n_before
    assert n_vectors(library) == sql(library, "select count(distinct text_sha256) from passages")
    assert report["n_encoded"] == n_vectors(library) - n_encoded


@pytest.mark.chaos
def test_an_application_that_is_killed_goes_on_with_its_ingest_at_the_next_start(library, whole, tmp_path) -> None:
    jobs = Jobs(library.engine)
    job = jobs.create(Asked(("notes",), str(tmp_path)))
    serve = ("serve", "--port", "0", "--no-schedule")
    for n_starts, moment in enumerate((lambda: len(library.hashes()) > 20, lambda: n_vectors(library) > 0), 1):
        process = nightjar(tmp_path / "data", *serve, cwd=tmp_path)
        wait_for(lambda moment=moment, n=n_starts: jobs.get(job.job_id).n_starts == n and moment())
        kill(process)
        check_whole(library, whole)
    process = nightjar(tmp_path / "data", *serve, cwd=tmp_path)
    wait_for(lambda: jobs.get(job.job_id).state == "done")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=SOON_S)
    done = jobs.get(job.job_id)
    assert (done.n_starts, sum(done.files.values())) == (3, N_NOTES)
    assert done.files.keys() <= {"indexed", "unchanged"}  # some were stored just before a kill, and not told
    assert check_whole(library, whole) == N_NOTES
