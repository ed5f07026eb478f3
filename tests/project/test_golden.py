"""Questions of our own about documents of our own, through the real pipeline: what must be quoted, and what declined.

The file is one of golden questions, as `nightjar golden import` reads it; what only these tests need stands in its notes. A
case that fails today says so with "fails", its reason; once it passes, the test fails until the line is taken out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from eval.datasets.golden_locations import locate_golden
from eval.datasets.golden_questions import read_golden_file
from rag.app.app import App, open_app
from rag.generation.extractive import CONTRADICTION_INTRO
from rag.ingestion.ingest import ingest_paths
from rag.settings import Settings

GOLDEN = Path(__file__).parent / "golden"


def lines() -> list[dict]:
    """Each line with its notes beside the rest."""
    read = map(json.loads, (GOLDEN / "questions.jsonl").read_text("utf-8").splitlines())
    return [question | question["notes"] for question in read]


def cases() -> list[object]:
    return [
        pytest.param(
            line,
            id=line["question"],
            marks=[pytest.mark.xfail(strict=True, reason=line["fails"])] if "fails" in line else [],
        )
        for line in lines()
    ]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    opened = open_app(Settings(data=tmp_path_factory.mktemp("golden") / "data"))
    report = ingest_paths(opened.library, sorted(GOLDEN.glob("*.md")), splitting=opened.splitting_rules())
    assert not report.failed
    opened.encode_missing()
    yield opened
    opened.close()


@pytest.mark.parametrize("case", cases())
def test_golden_question(app: App, case: dict[str, str]) -> None:
    history = [(case["after"], "")] if "after" in case else []
    answer = app.answerer.answer(case["question"], history=history)
    assert answer.declined == (not case.get("answerable", True)), answer.text
    assert case.get("quote", "") in answer.text
    assert case.get("not", "\0") not in answer.text
    if "lead" in case:
        assert answer.text.startswith(f"{case['lead']} — ")
    elif " — " in answer.text:
        pytest.fail(f"a short answer in front that nobody expected: {answer.text}")
    assert (CONTRADICTION_INTRO in answer.text) == case.get("disagree", False)
    for citation in answer.citations:
        stored = app.library.document(app.library.get([citation.passage_id])[citation.passage_id].document_id).text
        assert stored[citation.start : citation.end] == citation.quote
        assert citation.found == "supported"
    assert answer.hits, "the closest passages are shown, declined or not"


def test_every_golden_case_says_why_and_its_quote_is_in_the_documents() -> None:
    documents = "".join(file.read_text("utf-8") for file in GOLDEN.glob("*.md"))
    assert len(lines()) >= 40
    assert len({line["question"] for line in lines()}) == len(lines())
    for line in lines():
        assert line["why"].endswith(".")
        assert line.get("quote", "") in documents
        assert not line.get("answerable", True) or line["quote"]


def test_every_golden_question_is_read_and_found_in_todays_passages(app: App) -> None:
    """A quote that stands in two of the documents is told, and only such a one."""
    read = [line.golden for line in read_golden_file(GOLDEN / "questions.jsonl")]
    assert len(read) == len(lines())
    places = locate_golden(read, app.library)
    assert {location.method for location in places} <= {"exact", "white space", "several places", "nothing to find"}
    found = [location for location in places if location.method != "nothing to find"]
    assert len(found) >= 30
    assert sum(match.is_found for match in found) >= 0.9 * len(found)
