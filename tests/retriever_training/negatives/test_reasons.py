"""Codes of removal are the rules' own, and what was stored by their old texts still reads."""

from __future__ import annotations

import numpy as np
import pytest

from retriever_training.negatives.candidates.records import VersionView
from retriever_training.negatives.denoising.false_negative_rules import false_negative_rules
from retriever_training.negatives.reasons import (
    CODE_OF_TEXT,
    CODE_OF_TEXT_WITH_DETAIL,
    REMOVAL_CODES,
    load_note,
    load_removal_reason,
    parse_removal_reason,
)
from retriever_training.versions.night_summary import NightSummary


def test_rules_come_in_the_order_of_their_codes() -> None:
    view = VersionView("the base", np.zeros((0, 2), np.float32), np.zeros((0, 2), np.float32))
    rules = [rule.code for rule in false_negative_rules([view])]
    assert sorted(REMOVAL_CODES.index(code) for code in rules) == list(range(len(rules)))
    assert [rule.reason for rule in false_negative_rules([view]) if rule.detail] == ["exceeds_margin:the base"]


def test_every_code_replaces_exactly_one_stored_text() -> None:
    assert sorted([*CODE_OF_TEXT.values(), *CODE_OF_TEXT_WITH_DETAIL.values()]) == sorted(REMOVAL_CODES)


@pytest.mark.parametrize(
    ("stored", "reason"),
    [
        ("is a positive", "is_positive"),
        ("as close as a positive, under version 9c07", "exceeds_margin:version 9c07"),
        ("is a negative of 12 rows already", "in_too_many_rows:12"),
        ("exceeds_margin:round 1", "exceeds_margin:round 1"),
        ("a reason of the future", "a reason of the future"),
    ],
)
def test_an_old_text_reads_as_its_code_and_anything_else_as_it_is(stored: str, reason: str) -> None:
    assert load_removal_reason(stored) == reason


def test_a_detail_may_hold_a_colon() -> None:
    assert parse_removal_reason("exceeds_margin:version a:b") == ("exceeds_margin", "version a:b")


def test_a_night_that_was_stored_with_texts_reads_with_codes() -> None:
    stored = {
        "decision": "promoted",
        "version": "9c07",
        "tier": 3,
        "note": {"alpha": 0.5, "removed": {"holds an answer": 2, "contains_answer": 1, "is a positive": 4}},
    }
    note = NightSummary.from_json(stored).note
    assert note == {"alpha": 0.5, "removed": {"contains_answer": 3, "is_positive": 4}}


def test_a_note_without_removals_stays_as_it_is() -> None:
    assert load_note({"dev_ndcg@10": 0.5}) == {"dev_ndcg@10": 0.5}
