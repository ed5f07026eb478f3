"""What the chat makes of a conversation, of files on their way, and of how things stand; and conversations as files."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from html import unescape
from pathlib import Path

import pytest

from rag.answering.conversations import ListedConversation
from rag.answering.stored_answers import StoredAnswer
from rag.app.app import open_app
from rag.index.serving_index import ServingIndex
from rag.ingestion.ingest_jobs import IngestJob, IngestRequest
from rag.ingestion.progress import FileProgress
from rag.records import Answer, Citation, Hit, Passage
from rag.settings import load_settings
from ui.actions.status_messages import status_messages
from ui.serializers.conversation_export import conversation_as_json, conversation_as_markdown
from ui.texts import chat as said
from ui.web.chat.render_card import render_card, render_removed_card
from ui.web.chat.render_status import render_attached_files
from ui.web.chat.tab_state import Conversation, Exchange

HOSTILE = "<img src=x onerror=alert(1)> ![i](http://evil.example/y)"


def exchange(turn_id: str, asked: str, text: str = "Owls hunt mice. [1]", instead_of: str = "") -> Exchange:
    return Exchange(
        asked=asked,
        answer=Answer(turn_id=turn_id, question=asked, text=text, declined=False, reason="", encoder_id="v1"),
        instead_of=instead_of,
    )


def test_what_was_asked_again_is_marked_and_counts_once_in_what_follows() -> None:
    one, two = exchange("t1", "What?", "First."), exchange("t2", "What?", "Second.", instead_of="t1")
    conversation = Conversation(conversation_id="c").after(one).after(two)
    assert conversation.messages()[1]["content"] == f"First.\n\n{said.ASKED_AGAIN}"
    assert conversation.history() == [("What?", "Second.")]
    assert conversation.history("t2") == []


def test_asking_an_earlier_question_again_forgets_what_followed_it() -> None:
    conversation = (
        Conversation(conversation_id="c")
        .after(exchange("t1", "A?"))
        .after(exchange("t2", "B?"))
        .after(exchange("t3", "C?"))
    )
    assert [asked for asked, _ in conversation.history("t2")] == ["A?"]


def test_messages_hold_no_html_that_anybody_wrote() -> None:
    messages = Conversation(conversation_id="c").after(exchange("t1", HOSTILE, HOSTILE)).messages()
    assert all("<img" not in message["content"] for message in messages)


def test_a_removed_passage_shows_that_it_was_and_none_of_its_words() -> None:
    gone = Hit(
        passage=Passage(passage_id="p", document_id="", source="", title="", heading="", text="", start=0, end=0),
        rank=2,
        score=0.5,
        dense=0.4,
        lexical=0.3,
    )
    assert said.REMOVED_TITLE in render_removed_card(gone)


@pytest.mark.parametrize(("support", "badge"), [(0.9, "nj-supported"), (0.3, "nj-partly"), (0.1, "nj-not-found")])
def test_a_card_has_a_badge_by_the_best_support_and_none_without_a_citation(support: float, badge: str) -> None:
    passage = Passage(
        passage_id="p", document_id="d", source="a.md", title="T", heading="", text="Owls hunt.", start=0, end=10
    )
    cited = Citation(
        n=1, passage_id="p", source="a.md", page=None, start=0, end=10, quote="Owls hunt.", support=support
    )
    assert badge in unescape(render_card(Hit(passage=passage, rank=1, score=0.9, dense=0.7, lexical=0.8), [cited]))
    assert "nj-badge" not in render_card(Hit(passage=passage, rank=1, score=0.9, dense=0.7, lexical=0.8), [])


def job(state: str = "running", stage: str = "encoding", note: str = "") -> IngestJob:
    asked = IngestRequest((f"uploads/{HOSTILE}.md",), "/data")
    return IngestJob(
        job_id="j",
        state=state,
        stage=stage,
        door="application",
        asked=asked,
        note=note,
        n_starts=1,
        created_at="",
        started_at=None,
        finished_at=None,
        files={},
        n_passages=40,
        n_encoded=10,
    )


def test_a_file_on_its_way_shows_its_stage_and_its_name_as_text() -> None:
    shown = render_attached_files([job()], [], ["'x.exe' was not taken: <b>"])
    assert "encoding · 10 of 40 passages" in shown and "nj-tenths-2" in shown
    assert "<img" not in shown and "<b>" not in shown and "http:" not in shown


def test_a_file_that_was_refused_says_why_though_its_job_is_done() -> None:
    source = f"uploads/{HOSTILE}.md"
    shown = render_attached_files(
        [job("done", "")], [FileProgress(source=source, stage="refused", note="there is no text in it")], []
    )
    assert "could not be added" in shown and "there is no text in it" in shown


def test_a_conversation_is_saved_as_text_that_nothing_reads_as_signs() -> None:
    cited = Citation(n=1, passage_id="p", source="a.md", page=3, start=0, end=10, quote=HOSTILE, support=0.9)
    passage = Passage(
        passage_id="p",
        document_id="d",
        source="a.md",
        title="T",
        heading="",
        text=HOSTILE,
        start=0,
        end=len(HOSTILE),
        page=3,
        external_id="ext-1",
    )
    answer = Answer(
        turn_id="t1",
        question="What?",
        text="Owls. [1]",
        declined=False,
        reason="",
        encoder_id="v1",
        citations=(cited,),
        hits=(Hit(passage=passage, rank=1, score=0.9, dense=0.7, lexical=0.8),),
        asked="What?",
    )
    kept = [
        StoredAnswer(
            answer=answer,
            asked_at=datetime(2026, 11, 25, 9, tzinfo=UTC),
            index_state="ready",
            instead_of="",
            removed=frozenset(),
        )
    ]
    listed = ListedConversation("c", HOSTILE, "2026-11-25T09:00:00+00:00", "")
    text = conversation_as_markdown(listed, kept)
    assert "<img" not in text.replace("\\<img", "") and "![" not in text
    assert "## What?\n\n2026-11-25 09:00 UTC, version v1\n\nOwls. \\[1\\]" in text
    assert "- [1] a.md, page 3: “\\<img" in text
    whole = json.loads(conversation_as_json(listed, kept))
    assert [(turn["turn_id"], turn["citations"][0]["passage_id"]) for turn in whole["turns"]] == [("t1", "ext-1")]


def test_nothing_is_said_of_how_things_stand_where_all_is_well_and_ingests_are(tmp_path: Path) -> None:
    app = open_app(load_settings(tmp_path / "data"))
    try:
        calm = [
            message for message in status_messages(app) if "disk" not in message
        ]  # that of the machine that tests may be nearly full
        app.jobs.create(IngestRequest(("a.md",), str(tmp_path)))
        app.jobs.start_next()
        assert calm == []
        index = ServingIndex(tmp_path / "index", app.vectors(app.current().passage_side))
        index.state, index.share = "building", 0.634
        app._live = replace(app.active_retriever, index=index)
        version = app.current().encoder_id
        assert f"The index of version {version} is being built (63 % done)." in status_messages(app)[-1]
        assert said.INGESTING_FIRST in status_messages(app)
    finally:
        app.close()
