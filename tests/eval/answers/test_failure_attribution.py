"""The first cause of a failure, and what changed from one version to the next."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from eval.answers.failure_attribution import (
    CAUSES,
    AnswerTrace,
    attribute_failures,
    cause_changes,
    count_causes,
    first_cause,
    read_attributed,
    worst_failures,
)
from rag.errors import NotFoundError, UsageError

GOOD = AnswerTrace(query_id="q", question="When?", is_right=True, rank=2, n_read=6, is_read=True)
BAD = replace(GOOD, is_right=False)


@pytest.mark.parametrize(
    ("trace", "cause"),
    [
        (GOOD, "right"),
        (replace(GOOD, is_cited_right=False), "citation wrong"),
        (replace(GOOD, rank=None, is_read=False), "right"),  # another passage held the answer
        (replace(BAD, in_library=False, rank=None, is_read=False), "not in the library"),
        (replace(BAD, rank=None, is_read=False), "not in the top 100"),
        (replace(BAD, rank=70, is_read=False), "retrieved but not used"),
        (replace(BAD, is_cut=True), "cut by the splitting"),
        (replace(BAD, is_cut=True, rank=None, is_read=False), "not in the top 100"),  # the first cause counts
        (BAD, "answer wrong"),
        (replace(BAD, is_cited_right=False), "answer wrong"),
        (replace(BAD, declined=True), "declined wrongly"),
        (replace(BAD, declined=True, rank=70, is_read=False), "retrieved but not used"),  # declining was right then
        (replace(BAD, is_answerable=False), "answered the unanswerable"),
        (replace(BAD, is_answerable=False, declined=True), "right"),
        (replace(GOOD, error="ChatModelError: cut off"), "error"),
        (replace(BAD, is_answerable=False, declined=True, error="no answer"), "error"),
    ],
)
def test_first_cause_is_the_first_step_that_failed(trace: AnswerTrace, cause: str) -> None:
    assert first_cause(trace) == cause


def named(*causes: AnswerTrace) -> list[AnswerTrace]:
    return [replace(trace, query_id=f"q{number}") for number, trace in enumerate(causes)]


UNFOUND = replace(BAD, rank=None, is_read=False)


def test_every_question_is_counted_once_and_every_cause_is_told() -> None:
    found = count_causes(attribute_failures(named(GOOD, BAD, BAD, UNFOUND)))
    assert list(found) == list(CAUSES)
    assert {cause: n for cause, n in found.items() if n} == {"right": 1, "not in the top 100": 1, "answer wrong": 2}


def test_worst_questions_are_those_that_fail_earliest() -> None:
    assert [failure.query_id for failure in worst_failures(attribute_failures(named(GOOD, BAD, UNFOUND, BAD)), 2)] == [
        "q2",
        "q1",
    ]


def test_transitions_tell_fixed_broken_and_same() -> None:
    before = attribute_failures(named(GOOD, GOOD, BAD, UNFOUND, UNFOUND))
    after = attribute_failures(named(GOOD, BAD, GOOD, BAD, UNFOUND))
    moved = cause_changes(before, after)
    assert [question.query_id for question in moved.fixed] == ["q2"]
    assert [question.query_id for question in moved.broken] == ["q1"]
    assert [question.query_id for question in moved.same] == ["q0", "q3", "q4"]
    assert moved.table() == {
        "right": {"right": 1, "not in the top 100": 0, "answer wrong": 1},
        "not in the top 100": {"right": 0, "not in the top 100": 1, "answer wrong": 1},
        "answer wrong": {"right": 1, "not in the top 100": 0, "answer wrong": 0},
    }
    printed = json.loads(json.dumps(moved.as_json()))
    assert (printed["n_fixed"], printed["n_broken"], printed["n_same"]) == (1, 1, 3)
    assert printed["broken"] == [{"query_id": "q1", "question": "When?", "before": "right", "after": "answer wrong"}]


def test_only_questions_that_both_versions_were_asked_are_compared() -> None:
    assert (
        cause_changes(attribute_failures(named(GOOD)), attribute_failures(named(BAD, BAD))).as_json()["n_questions"]
        == 1
    )


def test_causes_are_read_from_what_a_run_wrote_and_nothing_else_is_taken_for_it(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    row = {"query_id": "q0", "question": "When?", "cause": "right", "rank": 2, "error": "", "text": "x"}
    file.write_text(json.dumps(row), "utf-8")
    assert read_attributed(file) == attribute_failures(named(GOOD))
    file.write_text(json.dumps(row | {"cause": "bad luck"}), "utf-8")
    with pytest.raises(UsageError, match=r"rows\.jsonl:1 is no row"):
        read_attributed(file)
    with pytest.raises(NotFoundError):
        read_attributed(tmp_path / "gone.jsonl")
