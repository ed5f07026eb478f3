"""Every code of training has words for people, and what was stored before there were codes still reads."""

from __future__ import annotations

from typing import get_args

import pytest

from retriever_training.judgments.reasons import (
    DROP_REASON_OF_TEXT,
    DropReason,
    ExcludedVote,
    ExclusionCode,
    WaitCode,
    WaitReason,
)
from retriever_training.negatives.reasons import REMOVAL_CODES, removal_reason
from ui.texts.reasons import (
    DROPPED,
    EXCLUDED,
    REMOVED,
    REMOVED_BECAUSE,
    WAITS,
    describe_doubt,
    describe_drop,
    describe_exclusion,
    describe_removal,
    describe_wait,
)


def test_every_code_has_words() -> None:
    assert DROPPED.keys() == set(get_args(DropReason))
    assert EXCLUDED.keys() == set(get_args(ExclusionCode))
    assert WAITS.keys() == set(get_args(WaitCode))
    assert list(REMOVED) == list(REMOVED_BECAUSE) == list(REMOVAL_CODES)


def test_every_code_replaces_exactly_one_stored_text() -> None:
    assert sorted(DROP_REASON_OF_TEXT.values()) == sorted(get_args(DropReason))


@pytest.mark.parametrize("code", get_args(ExclusionCode))
def test_an_exclusion_is_a_sentence_without_gaps(code: ExclusionCode) -> None:
    told = describe_exclusion(ExcludedVote(code, WaitReason("too_fast", 301) if code == "person_waits" else None))
    assert told.endswith(".") and "{" not in told and ": ." not in told


def test_a_wait_says_its_numbers() -> None:
    assert describe_wait(WaitReason("unshared_rejections", 1200)) == (
        "1,200 rejections, not one of them shared by anybody"
    )
    assert describe_wait(WaitReason("quarantined_by_hand")) == "put into quarantine by hand (feedback.quarantined)"


def test_a_count_of_an_unknown_reason_keeps_its_text() -> None:
    assert describe_drop("a reason of an old night") == "a reason of an old night"


def test_a_removal_is_described_by_its_code_and_detail_and_an_old_text_by_todays_words() -> None:
    assert describe_removal(removal_reason("exceeds_margin", "round 1")) == "as close as a positive, under round 1"
    assert describe_removal("nearly says the same as a positive") == "says nearly the same as a positive"
    assert describe_removal("in_too_many_rows:5") == "is a negative of 5 rows already"


def test_a_doubt_is_described_whether_a_rule_or_people_raised_it() -> None:
    assert describe_doubt("exceeds_margin:the base") == "as close as a positive, under the base"
    assert describe_doubt("rejected_by_one_person") == "rejected by one person only"
    assert describe_doubt("") == ""
