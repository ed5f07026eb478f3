"""Files that people send: what they are called, who may, and how they come into the library."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from rag.app.app import open_app
from rag.errors import ForbiddenError, UsageError
from rag.settings import load_settings
from ui.auth.current_user import LOCAL_ADMINISTRATOR, CurrentUser
from ui.background.ingest_worker import run_ingest
from ui.background.uploads import MAX_NAME_LENGTH, UploadMiddleware, UploadRules, safe_file_name, store_upload

READER, VOTER = CurrentUser("ada", "reader"), CurrentUser("ben", "voter")


@pytest.fixture
def app(tmp_path: Path):
    opened = open_app(load_settings(tmp_path / "data", server={"max_upload_mb": 1}))
    yield opened
    opened.close()


def sent(tmp_path: Path, text: str = "Bats find moths by echoes.\n") -> Path:
    file = tmp_path / "received"
    file.write_text(text, "utf-8")
    return file


def test_a_file_is_kept_below_the_state_directory_and_brought_in_by_a_job(app, tmp_path: Path) -> None:
    store_upload(app, sent(tmp_path), "../../bats.md", LOCAL_ADMINISTRATOR)
    job = app.jobs.start_next()
    run_ingest(app, job)
    assert [source.source for source in app.library.sources()] == ["uploads/bats.md"]
    assert (app.settings.data / "uploads" / "bats.md").read_text("utf-8") == "Bats find moths by echoes.\n"
    assert not (tmp_path / "received").exists()


def test_another_file_of_the_same_name_gets_a_number_and_the_same_file_none(app, tmp_path: Path) -> None:
    paths = [
        store_upload(app, sent(tmp_path, text), "bats.md", LOCAL_ADMINISTRATOR).asked.paths[0]
        for text in ("one", "two", "one", "two")
    ]
    assert paths == ["uploads/bats.md", "uploads/bats (2).md", "uploads/bats.md", "uploads/bats (2).md"]


def test_what_is_too_large_or_can_not_be_read_is_refused_and_kept_nowhere(app, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at most 1 are allowed"):
        store_upload(app, sent(tmp_path, "x" * (1024**2 + 1)), "large.txt", LOCAL_ADMINISTRATOR)
    with pytest.raises(UsageError, match="was not stored: the type"):
        store_upload(app, sent(tmp_path), "run.exe", LOCAL_ADMINISTRATOR)
    assert app.jobs.latest() == []


@pytest.mark.parametrize("person", [READER, VOTER])
def test_who_may_not_upload_is_refused(app, tmp_path: Path, person: CurrentUser) -> None:
    with pytest.raises(ForbiddenError, match="may not upload files here"):
        store_upload(app, sent(tmp_path), "bats.md", person)


def test_voters_may_where_the_setting_says_so_and_nobody_may_without_room() -> None:
    assert UploadRules(1, allows_voters=True).may(VOTER)
    assert not UploadRules(1, allows_voters=True).may(READER)
    assert not UploadRules(0, allows_voters=True).may(LOCAL_ADMINISTRATOR)


def test_a_long_name_keeps_its_ending() -> None:
    kept = safe_file_name("x" * 300 + ".pdf")
    assert len(kept) == MAX_NAME_LENGTH
    assert kept.endswith("xx.pdf")


async def _status(person: CurrentUser) -> int:
    """What the door answers to a file that *person* sends; what is behind it answers 200."""

    async def behind(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    door = UploadMiddleware(behind, UploadRules(1, allows_voters=False))

    async def known(scope, receive, send) -> None:
        await door(scope | {"state": {"person": person}}, receive, send)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(known), base_url="http://localhost") as client:
        return (await client.post("/gradio_api/upload", content=b"x")).status_code


def test_the_door_receives_files_only_from_those_who_may() -> None:
    assert asyncio.run(_status(READER)) == 403
    assert asyncio.run(_status(LOCAL_ADMINISTRATOR)) == 200
