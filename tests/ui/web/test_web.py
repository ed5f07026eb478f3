"""The page's functions by gradio_client, what it makes of hostile text, and the process that serves it."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path

import httpx
import pytest

from rag.ingestion.ingest import ingest_paths
from rag.records import Answer, Citation, Hit, Passage
from rag.settings import load_settings
from rag.splitting.splitter import SplittingRules
from ui.background.night_scheduler import NightScheduler, nightly_command
from ui.html.fragments import escape_html
from ui.server.serve import RunningServer, serve_in_thread
from ui.texts import shared as texts
from ui.web.chat.render_answer import format_answer, format_answer_details
from ui.web.chat.render_card import render_card
from ui.web.components.sample_questions import sample_questions

# Gradio 6.31 asks pandas 3 for what pandas 4 will not have, whenever an event ends.
pytestmark = [
    pytest.mark.filterwarnings("ignore:'future.no_silent_downcasting' is deprecated"),
    pytest.mark.filterwarnings("ignore:The copy keyword is deprecated"),
]

HOSTILE = (
    '<script>alert(1)</script><img src="http://evil.example/x.png" onerror=alert(2)> ![i](http://evil.example/y) $$x$$'
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    home = tmp_path_factory.mktemp("web")
    (home / "documents").mkdir()
    (home / "documents" / "owls.md").write_text(
        "# What do owls eat?\n\nOwls hunt mice at night, by hearing alone.\n", "utf-8"
    )
    (home / "documents" / "bad.md").write_text(
        f"# Hostile beacons\n\nThe hostile beacon says {HOSTILE} to you.\n", "utf-8"
    )

    def fill(app) -> None:
        ingest_paths(app.library, [home / "documents"], splitting=SplittingRules(90))
        app.encode_missing()

    with serve_in_thread(load_settings(home / "data", server={"port": 0, "max_upload_mb": 1}), prepare=fill) as started:
        started.opening.app()
        yield started


@pytest.fixture(scope="module")
def client(server: RunningServer):
    from gradio_client import Client

    opened = Client(server.address, verbose=False, analytics_enabled=False)
    yield opened
    opened.close()


# ---- what programs see


def test_a_chat_streams_text_that_ends_as_the_whole_answer(client) -> None:
    pieces = list(client.submit("What do owls hunt at night?", api_name="/chat"))
    assert pieces[-1] == "Owls hunt mice at night, by hearing alone. [1]"
    assert all(pieces[-1].startswith(piece) for piece in pieces)


def test_a_search_by_client_finds_what_rest_finds(client, server: RunningServer) -> None:
    """To the sixth figure: right after a start the numpy encoder may answer one request, and the full one the next."""
    by_rest = httpx.get(f"{server.address}/api/search", params={"q": "owls", "k": 1}).json()["hits"]
    by_client = client.predict("owls", 1, api_name="/search")["hits"]
    assert len(by_client) == len(by_rest) == 1
    for name, value in by_rest[0].items():
        expected = pytest.approx(value, rel=1e-6) if isinstance(value, float) else value
        assert by_client[0][name] == expected


def test_only_chat_and_search_are_offered_to_programs(client) -> None:
    offered = client.view_api(return_format="dict", print_info=False)
    assert sorted(offered["named_endpoints"]) == ["/chat", "/search"]
    assert offered["unnamed_endpoints"] == {}


def test_the_page_names_no_other_host_in_what_it_loads(server: RunningServer) -> None:
    page = httpx.get(server.address, headers={"accept": "text/html"}).text
    assert 'src="http' not in page
    assert 'rel="stylesheet" href="http' not in page


def test_files_larger_than_the_setting_are_not_received(server: RunningServer) -> None:
    sent = {"files": ("a.txt", b"x" * 1_400_000)}
    assert httpx.post(f"{server.address}/gradio_api/upload", files=sent).status_code == 413


def test_no_other_place_takes_what_is_larger_than_a_question(server: RunningServer) -> None:
    sent = {"files": ("a.txt", b"x" * 300_000)}
    assert httpx.post(f"{server.address}/gradio_api/process_recording", files=sent).status_code == 413


# ---- what is shown


def passage(text: str, title: str = "T", page: int | None = None) -> Passage:
    return Passage(
        passage_id="p",
        document_id="d",
        source="a.md",
        title=title,
        heading="",
        text=text,
        start=100,
        end=100 + len(text),
        page=page,
    )


def hit(text: str, title: str = "T", page: int | None = None) -> Hit:
    return Hit(passage=passage(text, title, page), rank=1, score=0.9, dense=0.7, lexical=0.8)


def test_hostile_text_leaves_no_sign_that_html_markdown_or_tex_reads() -> None:
    shown = render_card(hit(HOSTILE, title=HOSTILE), [])
    assert "<script" not in shown and "<img" not in shown
    assert "http:" not in shown and "![" not in shown and "$$" not in shown
    assert "&#60;script&#62;alert&#40;1&#41;" in shown


def test_text_that_turns_around_or_steers_is_shown_without_that() -> None:
    assert escape_html("a\u202eb\x1b[2Jc\ud800") == "ab&#91;2Jc"


@pytest.mark.parametrize(
    ("lift", "said"), [(0.5, "raised by today’s votes"), (-0.5, "lowered by today’s votes"), (0.0, None)]
)
def test_a_card_says_where_todays_votes_moved_its_passage(lift, said) -> None:
    shown = render_card(replace(hit("Owls hunt mice."), feedback_boost=lift), [])
    assert (said in shown) if said else ("by today" not in shown)


def test_a_card_says_what_the_reranker_read_and_nothing_without_one() -> None:
    assert "reranker 0.25" in unescape(render_card(replace(hit("Owls hunt mice."), rerank=0.25), []))
    assert "reranker 0." not in unescape(render_card(hit("Owls hunt mice."), []))


def test_a_card_marks_exactly_what_the_answer_quotes() -> None:
    citation = Citation(n=1, passage_id="p", source="a.md", page=3, start=105, end=115, quote="Bring milk", support=1.0)
    shown = render_card(hit("Yes. Bring milk.", page=3), [citation])
    assert "Yes&#46; <mark>Bring milk</mark>&#46;" in shown
    assert "page 3" in shown and "supports the answer" in shown
    assert "semantic 0.70" in unescape(shown) and "keyword 0.80" in unescape(shown)


def test_a_long_passage_opens_at_its_quote_and_keeps_the_rest_below() -> None:
    text = "one two three four. " * 100 + "Here it is. " + "five six seven. " * 100
    start = text.index("Here it is.")
    shown = render_card(
        hit(text),
        [
            Citation(
                n=1,
                passage_id="p",
                source="a.md",
                page=None,
                start=100 + start,
                end=111 + start,
                quote="Here it is.",
                support=1.0,
            )
        ],
    )
    excerpt, whole = shown.split("<details>")
    assert "<mark>Here it is&#46;</mark>" in excerpt
    assert len(excerpt) < len(whole)
    assert texts.WHOLE in whole


def test_lines_that_an_editor_wrapped_flow_again_and_lists_do_not() -> None:
    wrapped = "This line was wrapped by an editor at a width of eighty characters, as many\nare. Then:\n- one\n- two"
    shown = render_card(hit(wrapped), [])
    assert "as many are&#46; Then&#58;<br>&#45; one<br>&#45; two" in shown


def test_an_answer_that_declines_says_why() -> None:
    declined = Answer(
        turn_id="t",
        question="q",
        text="I found nothing.",
        declined=True,
        reason="no passage was found.",
        encoder_id="v1",
    )
    assert format_answer(declined) == "I found nothing.\n\nNo answer: no passage was found."


def test_the_quiet_line_shows_the_question_as_it_was_searched() -> None:
    answer = Answer(
        turn_id="t",
        question="Who gets it? And nurses?",
        text="",
        declined=False,
        reason="",
        encoder_id="v1",
        seconds=0.123,
    )
    assert format_answer_details(answer, "ready", "And nurses?") == (
        "Version v1 · 0 passages · 0.12 s · index ready · searched for: “Who gets it&#63; And nurses&#63;”"
    )
    assert "searched for" not in format_answer_details(answer, "ready", "Who gets it? And nurses?")


def test_the_quiet_line_says_where_the_rerankers_time_was_too_short() -> None:
    answer = Answer(turn_id="t", question="Who?", text="They.", declined=False, reason="", encoder_id="v1")
    assert texts.RERANK_CUT not in format_answer_details(answer, "ready", "Who?")
    assert texts.RERANK_CUT in format_answer_details(replace(answer, rerank_is_cut=True), "ready", "Who?")


def test_an_empty_conversation_offers_headings_that_are_questions_first(server: RunningServer) -> None:
    assert sample_questions(server.opening.app().library) == ["What do owls eat?", "Hostile beacons"]


# ---- the process


def started(data: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "ui", "--data", str(data), "serve", "--port", "0", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_serve_prints_its_address_once_it_answers_and_ends_cleanly(tmp_path: Path) -> None:
    (tmp_path / "sample").mkdir()
    (tmp_path / "sample" / "owls.md").write_text("# Owls\n\nOwls hunt mice at night.\n", "utf-8")
    process = started(tmp_path / "data", "--no-schedule", "--sample", str(tmp_path / "sample"))
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("Nightjar answers at http://127.0.0.1:")
        address = line.split()[3]
        assert (
            httpx.post(f"{address}/api/ask", json={"question": "What do owls hunt?"})
            .json()["answer"]
            .startswith("Owls")
        )
        second = started(tmp_path / "data")
        _, complaint = second.communicate(timeout=60)
        assert second.returncode == 75
        assert f"held by process {process.pid}" in complaint
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 0
    assert "Traceback" not in stderr


def test_a_night_runs_as_a_child_and_its_outcome_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "ui.background.night_scheduler"):
        assert NightScheduler("02:00", [sys.executable, "-c", "raise SystemExit(4)"]).run() == 4
    assert "exit code 4 (too little data)" in caplog.text


def test_stopping_ends_a_night_that_runs_and_starts_no_other() -> None:
    shift = NightScheduler("02:00", [sys.executable, "-c", "import time; time.sleep(600)"])
    codes: list[int | None] = []
    night = threading.Thread(target=lambda: codes.append(shift.run()))
    night.start()
    while shift.child_pid is None:
        time.sleep(0.01)
    shift.stop()
    night.join(10)
    assert codes == [-signal.SIGTERM]
    assert shift.run() is None
    with pytest.raises(ProcessLookupError):
        os.kill(shift.child_pid, 0)


def test_the_schedule_waits_for_the_hour_in_local_time() -> None:
    shift = NightScheduler("02:30", [sys.executable, "-c", ""])
    shift.start()
    try:
        assert shift.next_start_at is not None
        assert (shift.next_start_at.hour, shift.next_start_at.minute) == (2, 30)
    finally:
        shift.stop()


def test_the_night_runs_with_the_same_state_at_a_lower_priority(tmp_path: Path) -> None:
    command = nightly_command(tmp_path, tmp_path / "n.toml")
    assert command[-4:] == ["--config", str(tmp_path / "n.toml"), "--verbose", "nightly"]
    assert command[1:3] == ["-n", "10"]
