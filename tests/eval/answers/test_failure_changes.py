"""First causes in a report: no more is claimed than can be known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from eval.answers.failure_changes import failure_causes, is_attributable
from eval.answers.measure_answer import AnswerRow
from eval.datasets.question_sets import EvalQuestion

ROW = AnswerRow(
    query_id="q",
    question="When?",
    origin="dataset",
    tags=(),
    is_answerable=True,
    is_there=True,
    answers=(),
    right=("right",),
    text="At noon. [1]",
    declined=False,
    reason="",
    error="",
    read=("other", "right"),
    cited=("other",),
    sureness=0.9,
    rank=2,
    ms=1.0,
    n_tokens_read=0,
    n_tokens_written=0,
    is_right=False,
    right_by="passage",
    values={"citation_recall": 1.0},
    in_library=True,
    is_cut=False,
)
"""An answer that read a right passage and cites another one, with nothing but the passage known."""


@pytest.mark.parametrize(
    ("row", "cause"),
    [
        (ROW, "right"),  # the other passage may be right too
        (replace(ROW, right_by="answer", answers=("noon",)), "answer wrong"),
        (replace(ROW, values={"citation_recall": 0.5}), "citation wrong"),
        (replace(ROW, read=("other",), rank=30), "retrieved but not used"),
        (replace(ROW, read=("other",), rank=None), "not in the top 100"),
        (replace(ROW, text="", declined=True, cited=()), "declined wrongly"),
        (replace(ROW, error="broke"), "error"),
    ],
)
def test_without_a_reference_an_answer_that_read_a_right_passage_is_not_called_wrong(
    row: AnswerRow, cause: str
) -> None:
    causes = failure_causes([row], [], "extractive", 0)
    assert [cause.cause for cause in causes.current] == [cause]
    assert causes.n_undecided == (cause in ("right", "citation wrong"))
    assert causes.moved is None


def test_before_and_after_are_told_of_the_same_questions() -> None:
    causes = failure_causes([replace(ROW, read=("other",), rank=None)], [ROW], "extractive", 0)
    assert causes.table() == [("right", 0, 1), ("not in the top 100", 1, 0)]
    assert causes.as_json()["transitions"]["n_fixed"] == 1
    assert "No reference answer is known of 1" in " ".join(causes.sentences())


def test_a_question_with_a_reference_and_no_passage_tells_nothing_of_the_way() -> None:
    known = EvalQuestion(query_id="q", text="When?", grades={}, answers=("noon",))
    assert not is_attributable(known)
    assert is_attributable(replace(known, grades={"right": 1}))
    assert is_attributable(replace(known, in_library=False))
    assert is_attributable(replace(known, is_answerable=False))
