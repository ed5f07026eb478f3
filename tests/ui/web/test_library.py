"""Ingests that the application runs: begun over HTTP, watched there, and gone on with after it was killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import httpx
import pytest
from sqlalchemy import text

from rag.app.app import open_app
from rag.database.schema import open_database
from rag.errors import UsageError
from rag.feedback.passage_tallies import PassageTally
from rag.ingestion.ingest import ingest_paths
from rag.ingestion.ingest_jobs import IngestJob, IngestJobs, IngestRequest
from rag.ingestion.progress import FileProgress
from rag.ingestion.remove_documents import RemovalCounts
from rag.insights.document_listing import DocumentQuery
from rag.library.library import Library
from rag.records import Document, Passage, Turn, utc_now
from rag.settings import load_settings
from ui.auth.current_user import CurrentUser, Role
from ui.background.ingest_queue import check_path_allowed, enqueue_refused, latest_refused_job
from ui.server.api_app import create_api
from ui.server.serve import RunningServer, serve_in_thread
from ui.web.components.document_html import render_document
from ui.web.library.document_list import DocumentView
from ui.web.library.page import NOTHING, LibraryPage
from ui.web.library.render_jobs import render_jobs, share_done
from ui.web.library.render_list import format_removal_preview, render_document_head

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
def server(home: Path) -> Iterator[RunningServer]:
    """Its one job was under way when its application was killed."""
    (home / "data").mkdir()
    engine = open_database(f"sqlite:///{home / 'data/nightjar.db'}")
    jobs = IngestJobs(engine)
    jobs.create(IngestRequest(("docs",), str(home)))
    jobs.start_next()
    engine.dispose()
    with serve_in_thread(load_settings(home / "data", server={"port": 0, "folders": [home / "docs"]})) as started:
        started.opening.app()
        yield started


@pytest.fixture(scope="module")
def client(server: RunningServer) -> Iterator[httpx.Client]:
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


@pytest.fixture
def docs_in(client: httpx.Client, home: Path) -> dict:
    """The job that has just brought the folder of documents in, one of which is broken."""
    return over(client, client.post("/api/jobs", json={"paths": [str(home / "docs")]}).json()["job_id"])


def test_a_job_whose_application_was_killed_is_gone_on_with(client: httpx.Client) -> None:
    job = over(client, client.get("/api/jobs").json()[-1]["job_id"])
    assert (job["state"], job["n_starts"], job["files"]) == ("done", 2, {"indexed": 1, "refused": 1})
    assert "continued at the next start" in job["note"]
    assert "docs/owls.md" in [document["source"] for document in client.get("/api/documents").json()]


def test_an_ingest_is_begun_watched_and_found_by_searches_when_it_is_done(client: httpx.Client, home: Path) -> None:
    (home / "docs/bats.md").write_text("Bats find moths by echoes.", "utf-8")
    begun = client.post("/api/jobs", json={"paths": [str(home / "docs")]})
    assert begun.status_code == 202
    job = over(client, begun.json()["job_id"])
    assert (job["state"], job["n_passages"], job["n_encoded"]) == ("done", 1, 1)
    files = client.get(f"/api/jobs/{job['job_id']}/files").json()
    by_name = {file["source"].rsplit("/", 1)[-1]: file for file in files}
    assert {name: document["stage"] for name, document in by_name.items()}.items() >= {("bats.md", "indexed")}
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
    (home / "docs/loop.md").symlink_to("loop.md")
    for name, reason in (("docs/loop.md", "leads back to itself"), ("docs/a\0b.md", "no file name can have")):
        refused = client.post("/api/jobs", json={"paths": [str(home / name)]})
        assert (refused.status_code, reason in refused.json()["error"]) == (400, True)
    (home / "docs/loop.md").unlink()
    with pytest.raises(UsageError, match="is hidden"):
        check_path_allowed(Path("docs/.git/a.md"), home, [Path("docs")])
    with pytest.raises(UsageError, match="no folder at all"):
        check_path_allowed(Path("docs"), home, [])
    assert client.post("/api/jobs", json={"paths": []}).status_code == 400


def test_a_document_is_removed_with_what_hangs_on_it(client: httpx.Client, home: Path) -> None:
    (home / "docs/foxes.md").write_text("Foxes dig dens.", "utf-8")
    over(client, client.post("/api/jobs", json={"paths": [str(home / "docs/foxes.md")]}).json()["job_id"])
    source = next(
        document["source"]
        for document in client.get("/api/documents").json()
        if document["source"].endswith("foxes.md")
    )
    removed = client.delete("/api/documents", params={"source": source})
    assert removed.json() == {"n_documents": 1, "n_passages": 1, "n_verdicts": 0, "versions": []}
    assert client.delete("/api/documents", params={"source": source}).status_code == 404


def test_a_job_that_is_over_can_not_be_cancelled_and_an_unknown_one_is_not_found(client: httpx.Client) -> None:
    done = client.get("/api/jobs").json()[-1]["job_id"]
    assert client.post(f"/api/jobs/{done}/cancel").status_code == 400
    assert client.get("/api/jobs/unknown").status_code == 404
    assert client.get("/api/jobs/unknown/files").status_code == 404


def test_documents_come_a_page_at_a_time_with_what_people_said_of_them(client: httpx.Client, docs_in: dict) -> None:
    everything = client.get("/api/documents")
    assert everything.headers["x-total-count"] == str(len(everything.json()))
    page = client.get("/api/documents", params={"limit": 1, "sort": "-source"})
    assert [document["source"] for document in page.json()] == [everything.json()[-1]["source"]]
    assert client.get("/api/documents", params={"offset": len(everything.json())}).json() == []
    found = client.get("/api/documents", params={"q": "OWLS.md"}).json()
    assert [(document["title"], document["n_passages"], document["state"]) for document in found] == [
        ("Owls", 1, "indexed")
    ]
    assert found[0]["verdicts"] == {"helpful": 0, "not_relevant": 0, "outdated": 0}
    assert client.get("/api/documents", params={"sort": "colour"}).status_code == 400
    assert client.get("/api/documents", params={"limit": 0}).status_code == 400


def test_one_document_comes_with_its_passages_and_the_verdicts_on_each(client: httpx.Client, docs_in: dict) -> None:
    answer = client.post("/api/ask", json={"question": "What do owls hunt at night?"}).json()
    target = {
        "turn_id": answer["turn_id"],
        "token": answer["token"],
        "passage_id": answer["citations"][0]["passage_id"],
    }
    assert client.post("/api/verdicts", json=target | {"verdict": "outdated"}).status_code == 200
    document_id = client.get("/api/documents", params={"q": "owls.md"}).json()[0]["document_id"]
    told = client.get(f"/api/documents/{document_id}").json()
    passage = told["passages"][0]
    assert (passage["text"], passage["verdicts"]["outdated"], passage["cited"]) == ("Owls hunt mice at night.", 1, 1)
    assert passage["end"] - passage["start"] == len(passage["text"])
    assert (told["verdicts"]["outdated"], told["cited"]) == (1, 1)
    assert [document["source"] for document in client.get("/api/documents", params={"only": "outdated"}).json()] == [
        told["source"]
    ]
    client.request("DELETE", "/api/verdicts", json=target)
    assert client.get(f"/api/documents/{document_id}", params={"offset": 1}).json()["passages"] == []
    assert client.get("/api/documents/unknown").status_code == 404


def test_files_that_were_refused_are_tried_again_until_they_go_in(
    client: httpx.Client, server: RunningServer, home: Path, docs_in: dict
) -> None:
    app = server.opening.app()
    refused = latest_refused_job(app, 20)
    assert refused is not None
    assert [Path(refusal).name for refusal in refused[1]] == ["broken.pdf"]
    (home / "docs/broken.pdf").rename(home / "docs/kept.pdf")
    with pytest.raises(UsageError, match="none of the refused files exists any more"):
        enqueue_refused(app, *refused)
    (home / "docs/kept.pdf").rename(home / "docs/broken.pdf")
    job = over(client, enqueue_refused(app, *refused).job_id)
    assert job["files"] == {"refused": 1}
    again = latest_refused_job(app, 20)
    assert again is not None
    assert again[0].job_id == job["job_id"], "the latest that refused it"
    with pytest.raises(UsageError, match=r"server\.folders allows"):
        enqueue_refused(app, replace(again[0], asked=IngestRequest((), "/etc")), ["hostname"])


# ---- who may


def as_person(server: RunningServer, person: CurrentUser, method: str, path: str, **options: Any) -> httpx.Response:
    """What the API answers to *person*."""
    api = create_api(server.opening)

    async def door(scope, receive, send) -> None:
        await api(scope | {"state": {"person": person}}, receive, send)

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(door), base_url="http://localhost") as client:
            return await client.request(method, path, **options)

    return asyncio.run(ask())


@pytest.mark.parametrize("role", ["reader", "voter"])
def test_who_is_no_administrator_may_look_and_change_nothing(
    server: RunningServer, home: Path, docs_in: dict, role: Role
) -> None:
    ada = CurrentUser("ada", role)
    listed = as_person(server, ada, "GET", "/api/documents")
    assert listed.status_code == 200
    source = listed.json()[0]["source"]
    for method, path, options in (
        ("DELETE", "/api/documents", {"params": {"source": source}}),
        ("POST", "/api/jobs", {"json": {"paths": [str(home / "docs")]}}),
        ("POST", "/api/jobs/x/cancel", {}),
    ):
        assert as_person(server, ada, method, path, **options).status_code == 403
    assert source in server.opening.app().library.file_hashes()


def test_only_administrators_see_the_gaps_of_others_and_nobody_sees_names(server: RunningServer) -> None:
    for number, user in enumerate(("ada", "ben")):
        turn = Turn(
            turn_id=f"gap{number}",
            conversation_id="c",
            user=user,
            question=f"Which volcano did {user} climb?",
            answer="",
            declined=True,
            encoder_id="v",
            asked_at=utc_now(),
        )
        server.opening.app().feedback.record_turn(turn)

    def told(person: CurrentUser) -> list[dict]:
        return as_person(server, person, "GET", "/api/gaps").json()

    assert [document["questions"] for document in told(CurrentUser("ada", "voter"))] == [
        ["Which volcano did ada climb?"]
    ]
    everybodys = told(CurrentUser("root", "administrator"))
    assert {question for document in everybodys for question in document["questions"]} >= {
        "Which volcano did ben climb?"
    }
    assert all(
        set(document) == {"name", "questions", "n_asked", "n_people", "last_at", "closest"} for document in everybodys
    )


def test_the_page_refuses_who_may_not_and_shows_names_to_administrators_only(
    server: RunningServer, docs_in: dict
) -> None:
    async def made() -> LibraryPage:  # inside a loop: else Gradio 6.31 opens some of its own, and closes none
        with gr.Blocks():
            return LibraryPage(server.opening)

    page = asyncio.run(made())
    ada: Any = SimpleNamespace(state=SimpleNamespace(person=CurrentUser("ada", "voter")), query_params={})
    source = next(iter(server.opening.app().library.file_hashes()))
    for refused in (
        page.ask(source, ada),
        page.sure.go(source, "", ada),
        page.adding.ingest_path("docs", False, ada),
        page.adding.retry_refused(ada),
        page.adding.cancel_running(ada),
    ):
        assert "&#39;ada&#39; has the role voter" in refused[page.status]
    assert source in server.opening.app().library.file_hashes()
    assert page.adding.jobs not in page.look(NOTHING, DocumentView(), ada), "who brings in what is for administrators"
    begun = page.begin(ada)
    assert begun[page.add_tab]["visible"] is begun[page.folder_box]["visible"] is False
    assert "Which volcano did ben climb" not in page.gather(ada)[page.gaps]
    listed = server.opening.app().document_listing().page(DocumentQuery(), 1)[0][0]
    assert "by&#32;" not in render_document_head(listed, {"ben": 2, "cy": 1}, CurrentUser("ada", "voter"))
    assert "Marked as outdated 3 times by 2 people." in unescape(
        render_document_head(listed, {"ben": 2, "cy": 1}, CurrentUser("ada", "voter"))
    )
    assert "Marked as outdated by ben (2×), cy (1×)." in unescape(
        render_document_head(listed, {"ben": 2, "cy": 1}, CurrentUser("root", "administrator"))
    )


# ---- what is shown


def test_passages_that_overlap_show_each_word_once_and_what_is_between_them(base_passage: Passage) -> None:
    text = "Heading\n\nOne two three four five.\n\nEnd"
    document = Document(document_id="d", source="a.md", title="", media_type="text/plain", sha256="", text=text)
    first = replace(base_passage, passage_id="1", text=text[9:22], start=9, end=22, page=1)
    second = replace(base_passage, passage_id="2", text=text[17:33], start=17, end=33, page=2, heading="Part › Heading")
    shown = render_document(document, [second, first], "2", {"1": PassageTally(helpful=1, cited=3)})
    assert shown.count("three") == 1
    assert shown.index("Page 1") < shown.index("1 helpful") < shown.index("Page 2") < shown.index("four")
    assert "cited 3 times" in shown and "overlaps the passage above" in shown
    assert shown.count("nj-this") == 1
    apart = render_document(document, [first, replace(second, start=34, end=38, text=text[34:38])])
    assert 'class="nj-between">four five' in apart


@pytest.fixture
def base_passage() -> Passage:
    return Passage(passage_id="p", document_id="d", source="a.md", title="", heading="", text="", start=0, end=0)


def test_an_ingest_shows_its_refused_files_first_and_how_much_is_done() -> None:
    job = IngestJob(
        job_id="j",
        state="running",
        stage="encoding",
        door="application",
        asked=IngestRequest(("<b>",), "."),
        note="",
        n_starts=1,
        created_at="",
        started_at=None,
        finished_at=None,
        files={"indexed": 2, "encoding": 1, "refused": 1, "waiting": 1},
        n_passages=20,
        n_encoded=10,
    )
    assert share_done(job) == pytest.approx((3 + 1 * 0.5) / 5)
    assert share_done(replace(job, files={})) == 0
    shown = render_jobs(
        [
            (
                job,
                [
                    FileProgress(source="a.md", stage="indexed"),
                    FileProgress(source="z<i>.pdf", stage="refused", note="it is damaged"),
                ],
            )
        ]
    )
    assert 'value="70" max="100"' in shown
    assert shown.index("it is damaged") < shown.index("a&#46;md")
    assert "<b>" not in shown and "<i>" not in shown


def test_a_removal_says_what_would_go() -> None:
    told = format_removal_preview("<notes>", RemovalCounts(2, 3, 1, ("v1", "v2")))
    assert "“&#60;notes&#62;” for good: 2 documents with 3 passages. 1 verdict on them" in told
    assert "Versions that learned from them: v1, v2." in told and "stay on the disk" in told
    assert "Also deleted: 1 uploaded file." in format_removal_preview(
        "uploads/a.md", RemovalCounts(1, 1, 0, ()), n_copies=1
    )


# ---- killed


def nightjar(data: Path, *arguments: str, cwd: Path) -> subprocess.Popen[str]:
    """The command, which may write no file larger than MAX_FILE."""
    limited = ["bash", "-c", f'ulimit -f {MAX_FILE // 1024} && exec "$@"', "nightjar", sys.executable, "-m", "ui"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    return subprocess.Popen(
        [*limited, "--data", str(data), *arguments],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


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
    ingest_paths(app.library, [Path("notes")], splitting=app.splitting_rules())
    found = {source.source: source.n_passages for source in app.library.sources()}
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
    there = {source.source: source.n_passages for source in library.sources()}
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
    moments = [lambda: len(library.file_hashes()) > 20, lambda: n_vectors(library) > 0]
    for moment in moments:
        process = nightjar(tmp_path / "data", *command, cwd=tmp_path)
        wait_for(lambda moment=moment, process=process: moment() or process.poll() is not None)
        assert process.poll() is None, "it was over before it could be killed"
        kill(process)
        assert check_whole(library, whole) > 0
    n_before, n_encoded = len(library.file_hashes()), n_vectors(library)
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
    jobs = IngestJobs(library.engine)
    job = jobs.create(IngestRequest(("notes",), str(tmp_path)))
    serve = ("serve", "--port", "0", "--no-schedule")
    for n_starts, moment in enumerate((lambda: len(library.file_hashes()) > 20, lambda: n_vectors(library) > 0), 1):
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
