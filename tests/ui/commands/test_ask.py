"""`nightjar ask` and `nightjar search`: what they print for people, and the JSON that programs rely on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from rag.app.app import open_app
from rag.records import Document, Passage
from rag.settings import load_settings
from ui.cli import app

TEXT = "Small firms that lost a third of their income can get the grant.\x1b[31m It is paid within six weeks."
GRANT = "Who can get the grant?"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory with two documents, one of them a line of a BEIR corpus."""
    folder = tmp_path_factory.mktemp("data")
    opened = open_app(load_settings(folder))
    grant = Passage(
        passage_id="p1",
        document_id="d1",
        source="toy/uk-1",
        title="Grants",
        heading="",
        text=TEXT,
        start=0,
        end=len(TEXT),
        page=2,
        external_id="uk-1",
    )
    trips = Passage(
        passage_id="p2",
        document_id="d2",
        source="trips.txt",
        title="Trips",
        heading="",
        text="Day trips by car are allowed.",
        start=0,
        end=29,
    )
    opened.library.put(
        Document(document_id="d1", source="toy/uk-1", title="Grants", media_type="text/plain", sha256="1", text=TEXT),
        [grant],
    )
    opened.library.put(
        Document(
            document_id="d2", source="trips.txt", title="Trips", media_type="text/plain", sha256="2", text=trips.text
        ),
        [trips],
    )
    opened.encode_missing()
    opened.close()
    return folder


def run(data: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["--data", str(data), *arguments])


def test_ask_prints_the_answer_and_its_numbered_sources(data):
    result = run(data, "ask", GRANT)
    assert result.exit_code == 0
    answer, source, quote, *_ = (line for line in result.stdout.splitlines() if line)
    assert answer.startswith("Small firms that lost a third of their income can get the grant.")
    assert source == "[1] Grants · toy/uk-1, page 2"
    assert quote.strip().startswith("“Small firms")


def test_a_document_does_not_drive_the_terminal(data):
    assert "\x1b" not in run(data, "ask", GRANT).stdout + run(data, "search", GRANT).stdout


def test_ask_json_has_the_promised_keys_and_beir_ids(data):
    answer = json.loads(run(data, "ask", GRANT, "--json").stdout)
    assert list(answer) == [
        "turn_id",
        "asked",
        "question",
        "answer",
        "declined",
        "reason",
        "encoder_id",
        "citations",
        "sentences",
        "supported_share",
        "rerank_cut",
    ]
    assert (answer["declined"], answer["reason"]) == (False, "")
    citation = answer["citations"][0]
    assert list(citation) == ["n", "passage_id", "source", "page", "start", "end", "quote", "support", "found"]
    assert (citation["passage_id"], citation["page"], citation["support"]) == ("uk-1", 2, 1.0)
    assert citation["quote"] == TEXT[citation["start"] : citation["end"]]


def test_ask_says_why_it_declines(data):
    result = run(data, "ask", "How tall is the Eiffel Tower?")
    assert result.exit_code == 0
    assert "I found nothing in your documents" in result.stdout
    assert "comes close enough" in result.stdout


def test_a_conversation_by_name_says_what_a_follow_up_was_searched_as(data):
    run(data, "ask", "--conversation", "grants", GRANT)
    result = run(data, "ask", "--conversation", "grants", "When is it paid?")
    assert result.stderr.splitlines()[-1] == f"searched for: {GRANT} When is it paid?"
    assert "within six weeks" in result.stdout
    assert "searched for" not in run(data, "ask", "When is it paid?").stderr


def test_search_json_has_the_promised_keys_best_first(data):
    (hit,) = json.loads(run(data, "search", GRANT, "-k", "1", "--json").stdout)["hits"]
    assert list(hit) == [
        "rank",
        "passage_id",
        "source",
        "title",
        "text",
        "score",
        "dense",
        "lexical",
        "today",
        "rerank",
        "also_in",
    ]
    assert (hit["rank"], hit["passage_id"], hit["title"], hit["text"]) == (1, "uk-1", "Grants", TEXT)
    assert hit["rerank"] is None
    assert hit["score"] == pytest.approx(hit["dense"] + 0.25 * hit["lexical"], abs=1e-6)


def test_search_remembers_nothing_and_ask_remembers_the_turn(data):
    opened = open_app(load_settings(data))
    before = opened.feedback.n_turns()
    run(data, "search", GRANT)
    assert opened.feedback.n_turns() == before
    run(data, "ask", GRANT)
    assert opened.feedback.n_turns() == before + 1
    opened.close()


@pytest.mark.parametrize("command", ["ask", "search"])
def test_empty_question_is_a_usage_error(data, command):
    result = run(data, command, " ")
    assert result.exit_code == 2
    assert "the question is empty" in result.stderr


def test_search_of_an_empty_library_says_what_to_do(tmp_path):
    assert "nightjar ingest" in run(tmp_path / "new", "search", GRANT).stdout


def test_search_and_ask_look_only_where_they_are_told_to(data):
    hits = json.loads(run(data, "search", GRANT, "--source", "trips.txt", "--json").stdout)["hits"]
    assert [hit["source"] for hit in hits] == ["trips.txt"]
    answer = json.loads(run(data, "ask", GRANT, "--source", "toy/", "--since", "2026-11-01", "--json").stdout)
    assert {citation["source"] for citation in answer["citations"]} == {"toy/uk-1"}


def test_a_filter_that_leaves_nothing_says_so(data):
    nothing = run(data, "search", GRANT, "--until", "2001-01-01")
    assert (nothing.exit_code, nothing.stdout) == (0, "Nothing found: no document passes every filter.\n")
    answer = json.loads(run(data, "ask", GRANT, "--until", "2001-01-01", "--json").stdout)
    assert answer["declined"]
    assert "in the documents that were to be searched" in answer["reason"]


def test_a_source_that_is_not_there_ends_with_the_nearest_names(data):
    result = run(data, "search", GRANT, "--source", "trip.txt")
    assert result.exit_code == 2
    assert "did you mean 'trips.txt'?" in result.stderr
