"""Why votes and judgments count for nothing, as codes; the sentences that people read are in `ui.texts.reasons`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

UnsettledReason = Literal["people_divided", "rejected_by_one_person", "only_mistaken_people"]
"""As many people say the opposite; a rejection needs a second signal; only people whom the others mostly contradict said so."""

DropReason = Literal[
    UnsettledReason,
    "about_no_passage",
    "passage_gone",
    "person_over_share",
    "person_waits",
    "unchecked_person_over_share",
    "question_over_share",
    "passage_over_share",
    "near_held_out_question",
    "reviewed_not_negative",
]
"""Why a night leaves a verdict, a vote or a judgment out."""

WaitCode = Literal["quarantined_by_hand", "disagrees", "too_fast", "unshared_rejections"]
"""An administrator said so; the others mostly contradict the person; more votes within an hour, or more rejections that
nobody shares, than a reader can mean."""


@dataclass(frozen=True, slots=True)
class WaitReason:
    """Why the votes of one person do not count for now."""

    code: WaitCode
    n: int = 0
    """Votes on which the others agree; votes within an hour; rejections."""
    n_of: int = 0
    """Votes that were compared with the others'; 0 for other codes than "disagrees"."""


ExclusionCode = Literal[
    UnsettledReason, "passage_gone", "person_waits", "overruled", "reviewed_not_negative", "over_share_or_near_held_out"
]
"""What became of a vote that counts for nothing."""


@dataclass(frozen=True, slots=True)
class ExcludedVote:
    """Why a vote counts for nothing."""

    code: ExclusionCode
    wait: WaitReason | None = None
    """Of the person, if the code is "person_waits"."""


DROP_REASON_OF_TEXT: Mapping[str, DropReason] = {
    "people are divided": "people_divided",
    "rejected by one person only": "rejected_by_one_person",
    "said only by people who are mostly mistaken": "only_mistaken_people",
    "says nothing of a passage": "about_no_passage",
    "passage no longer in the library": "passage_gone",
    "person over their share": "person_over_share",
    "person in quarantine": "person_waits",
    "nobody can check so much of one person": "unchecked_person_over_share",
    "question over its share": "question_over_share",
    "passage over its share": "passage_over_share",
    "too near a held-out question": "near_held_out_question",
    "reviewed: not a negative": "reviewed_not_negative",
}
"""The texts that nights stored as keys before there were codes."""


def load_drop_counts(stored: Mapping[str, int]) -> dict[str, int]:
    """The counts of a stored night by code, whether they were stored by code or by an old text.

    A key that is neither stays as it is, so that no count is lost.

    >>> load_drop_counts({"people are divided": 2, "people_divided": 1, "passage_gone": 4, "of old": 1})
    {'people_divided': 3, 'passage_gone': 4, 'of old': 1}
    """
    counts: Counter[str] = Counter()
    for key, n in stored.items():
        counts[DROP_REASON_OF_TEXT.get(key, key)] += n
    return dict(counts)
