"""Questions of our own about documents of our own, through the real pipeline: what must be quoted, and what declined.

A case that fails today says so with "fails", its reason; once it passes, the test fails until the line is taken out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.assemble import App, open_app
from rag.extract import DISAGREE
from rag.ingest import ingest_paths
from rag.settings import Settings

GOLDEN = Path(__file__).parent / "golden"


def cases() -> list[object]:
    lines = map(json.loads, (GOLDEN / "questions.jsonl").read_text("utf-8").splitlines())
    return [
        pytest.param(
            one,
            id=one["ask"],
            marks=[pytest.mark.xfail(strict=True, reason=one["fails"])] if "fails" in one else [],
        )
        for one in lines
    ]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    opened = open_app(Settings(data=tmp_path_factory.mktemp("golden") / "data"))
    report = ingest_paths(opened.library, sorted(GOLDEN.glob("*.md")), splitting=opened.splitting())
    assert not report.failed
    opened.encode_missing()
    yield opened
    opened.close()


@pytest.mark.parametrize("case", cases())
def test_golden_question(app: App, case: dict[str, str]) -> None:
    history = [(case["after"], "")] if "after" in case else []
    answer = app.answerer.answer(case["ask"], history=history)
    assert answer.declined == case.get("declines", False), answer.text
    assert case.get("quote", "") in answer.text
    assert case.get("not", "\0") not in answer.text
    if "lead" in case:
        assert answer.text.startswith(f"{case['lead']} — ")
    elif " — " in answer.text:
        pytest.fail(f"a short answer in front that nobody expected: {answer.text}")
    assert (DISAGREE in answer.text) == case.get("disagree", False)
    for citation in answer.citations:
        stored = app.library.document(app.library.get([citation.passage_id])[citation.passage_id].document_id).text
        assert stored[citation.start : citation.end] == citation.quote
        assert citation.found == "supported"
    assert answer.hits, "the closest passages are shown, declined or not"


def test_every_golden_case_says_why_and_its_quote_is_in_the_documents() -> None:
    documents = "".join(file.read_text("utf-8") for file in GOLDEN.glob("*.md"))
    lines = list(map(json.loads, (GOLDEN / "questions.jsonl").read_text("utf-8").splitlines()))
    assert len(lines) >= 40
    assert len({one["ask"] for one in lines}) == len(lines)
    for one in lines:
        assert one["why"].endswith(".")
        assert one.get("quote", "") in documents
        assert one.get("declines") or one["quote"]
