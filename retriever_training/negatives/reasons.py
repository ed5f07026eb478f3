"""Why a candidate does not become a negative, as codes; the sentences that people read are in `ui.texts.reasons`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal, get_args

RemovalCode = Literal[
    "is_positive",
    "reviewed_not_negative",
    "duplicate_of_positive",
    "near_duplicate_of_positive",
    "shares_wording_with_positive",
    "exceeds_margin",
    "called_helpful",
    "positive_for_near_question",
    "contains_answer",
    "exceeds_served_margin",
    "teacher_says_positive",
    "not_read_by_teacher",
    "in_too_many_rows",
]
"""The rules that remove false negatives, in the order in which they are asked; what the cross-encoder decides; and the
limit on the rows that may hold one passage."""
REMOVAL_CODES: tuple[RemovalCode, ...] = get_args(RemovalCode)

RemovalReason = str
"""A `RemovalCode`, or one with a detail: "exceeds_margin:the base" names the view whose margin it is, and
"in_too_many_rows:5" the limit. It is the key of counts in notes of versions, in training rows and in JSON."""


def removal_reason(code: RemovalCode, detail: str = "") -> RemovalReason:
    """The reason with its detail, if it has one.

    >>> removal_reason("is_positive"), removal_reason("exceeds_margin", "the base")
    ('is_positive', 'exceeds_margin:the base')
    """
    return f"{code}:{detail}" if detail else code


def parse_removal_reason(reason: RemovalReason) -> tuple[RemovalCode, str] | None:
    """The code and the detail, empty if there is none; None if the text begins with no code.

    >>> parse_removal_reason("exceeds_margin:the base"), parse_removal_reason("is_positive")
    (('exceeds_margin', 'the base'), ('is_positive', ''))
    """
    word, _, detail = reason.partition(":")
    return next(((code, detail) for code in REMOVAL_CODES if code == word), None)


CODE_OF_TEXT: Mapping[str, RemovalCode] = {
    "is a positive": "is_positive",
    "reviewed: not a negative": "reviewed_not_negative",
    "says the same as a positive": "duplicate_of_positive",
    "nearly says the same as a positive": "near_duplicate_of_positive",
    "shares its wording with a positive": "shares_wording_with_positive",
    "somebody called it helpful": "called_helpful",
    "right for nearly the same question": "positive_for_near_question",
    "holds an answer": "contains_answer",
    "served as high as a positive": "exceeds_served_margin",
    "the cross-encoder takes it for right": "teacher_says_positive",
    "not among the few that the cross-encoder reads": "not_read_by_teacher",
}
"""The texts that were stored before there were codes."""
CODE_OF_TEXT_WITH_DETAIL: Mapping[tuple[str, str], RemovalCode] = {
    ("as close as a positive, under ", ""): "exceeds_margin",
    ("is a negative of ", " rows already"): "in_too_many_rows",
}
"""What such a text had before and after the detail."""


def load_removal_reason(stored: str) -> RemovalReason:
    """The reason that was stored, by code or by an old text; any other text stays as it is.

    >>> load_removal_reason("holds an answer"), load_removal_reason("as close as a positive, under round 1")
    ('contains_answer', 'exceeds_margin:round 1')
    """
    if stored in CODE_OF_TEXT:
        return CODE_OF_TEXT[stored]
    for (before, after), code in CODE_OF_TEXT_WITH_DETAIL.items():
        if stored.startswith(before) and stored.endswith(after):
            return removal_reason(code, stored.removeprefix(before).removesuffix(after))
    return stored


def load_removal_counts(stored: Mapping[str, int]) -> dict[RemovalReason, int]:
    """Stored counts by reason, whether they were stored by code or by an old text; no count is lost.

    >>> load_removal_counts({"is a positive": 2, "is_positive": 1, "is a negative of 5 rows already": 4, "of old": 1})
    {'is_positive': 3, 'in_too_many_rows:5': 4, 'of old': 1}
    """
    counts: Counter[RemovalReason] = Counter()
    for text, n in stored.items():
        counts[load_removal_reason(text)] += n
    return dict(counts)


def load_note(stored: Mapping[str, Any]) -> dict[str, Any]:
    """What training noted about a stored version, with its counts of removals by code.

    >>> load_note({"alpha": 0.5, "removed": {"is a positive": 2}})
    {'alpha': 0.5, 'removed': {'is_positive': 2}}
    """
    removed = stored.get("removed")
    return {**stored, "removed": load_removal_counts(removed)} if isinstance(removed, Mapping) else dict(stored)
