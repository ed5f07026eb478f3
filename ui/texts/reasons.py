"""Why votes, judgments and negatives count for nothing: the words for every code of training."""

from __future__ import annotations

from collections.abc import Mapping

from retriever_training.judgments.reasons import DropReason, ExcludedVote, ExclusionCode, WaitCode, WaitReason
from retriever_training.negatives.reasons import (
    RemovalCode,
    RemovalReason,
    load_removal_reason,
    parse_removal_reason,
)

# ---- what a night leaves out

DROPPED: Mapping[DropReason, str] = {
    "people_divided": "people are divided",
    "rejected_by_one_person": "rejected by one person only",
    "only_mistaken_people": "said only by people who are mostly mistaken",
    "about_no_passage": "says nothing about a passage",
    "passage_gone": "passage no longer in the library",
    "person_over_share": "person over their share",
    "person_waits": "person’s votes wait",
    "unchecked_person_over_share": "more of one person than others could check",
    "question_over_share": "question over its share",
    "passage_over_share": "passage over its share",
    "near_held_out_question": "too near a held-out question",
    "reviewed_not_negative": "reviewed: not a negative",
}
"""As the label of a count."""


def describe_drop(reason: str) -> str:
    """The label of a count that a night stored; a text that is no code is its own label.

    >>> describe_drop("people_divided"), describe_drop("a reason of an old night")
    ('people are divided', 'a reason of an old night')
    """
    return next((label for code, label in DROPPED.items() if code == reason), reason)


# ---- whose votes wait

WAITS: Mapping[WaitCode, str] = {
    "quarantined_by_hand": "put into quarantine by hand (feedback.quarantined)",
    "disagrees": "agreed with the others on {n:,} of {n_of:,} passages",
    "too_fast": "{n:,} votes within an hour",
    "unshared_rejections": "{n:,} rejections, not one of them shared by anybody",
}


def describe_wait(reason: WaitReason) -> str:
    """Why a person's votes wait.

    >>> describe_wait(WaitReason("disagrees", 0, 1400))
    'agreed with the others on 0 of 1,400 passages'
    """
    return WAITS[reason.code].format(n=reason.n, n_of=reason.n_of)


# ---- what became of a vote

EXCLUDED: Mapping[ExclusionCode, str] = {
    "rejected_by_one_person": "One person alone can’t make a passage wrong: it takes a second person, or a pin of the right "
    "passage.",
    "people_divided": "As many people say the opposite.",
    "only_mistaken_people": "Only people whom others mostly contradict say so.",
    "reviewed_not_negative": "Somebody reviewed it and decided that it is not wrong for this question.",
    "overruled": "Others said the opposite, and their votes weigh more.",
    "passage_gone": "The document was removed or changed, so its votes no longer count.",
    "over_share_or_near_held_out": "Left out: the question is too similar to one that measures versions, or there are more votes "
    "on this question or passage, or by this person, than count.",
    "person_waits": "These votes wait: {wait}.",
}
"""Why a vote does not count, for the person who gave it."""


def describe_exclusion(excluded: ExcludedVote) -> str:
    """Why a vote counts for nothing, for the person who gave it.

    >>> describe_exclusion(ExcludedVote("person_waits", WaitReason("too_fast", 301)))
    'These votes wait: 301 votes within an hour.'
    """
    return EXCLUDED[excluded.code].format(wait=describe_wait(excluded.wait) if excluded.wait else "")


# ---- what is no negative

REMOVED: Mapping[RemovalCode, str] = {
    "is_positive": "is a positive",
    "reviewed_not_negative": "reviewed: not a negative",
    "duplicate_of_positive": "says the same as a positive",
    "near_duplicate_of_positive": "says nearly the same as a positive",
    "shares_wording_with_positive": "shares its wording with a positive",
    "exceeds_margin": "as close as a positive, under {detail}",
    "called_helpful": "somebody called it helpful",
    "positive_for_near_question": "right for nearly the same question",
    "contains_answer": "contains an answer",
    "exceeds_served_margin": "served as high as a positive",
    "teacher_says_positive": "the cross-encoder takes it for right",
    "not_read_by_teacher": "not among the few that the cross-encoder reads",
    "in_too_many_rows": "is a negative of {detail} rows already",
}
"""As the label of a candidate or a count; {detail} is the reason's detail."""

REMOVED_BECAUSE: Mapping[RemovalCode, str] = {
    "is_positive": "People’s judgments name it as right for this question.",
    "reviewed_not_negative": "Somebody reviewed it on the page Training, and decided that it is not a negative for this "
    "question.",
    "duplicate_of_positive": "It has the words of a right passage in the same order.",
    "near_duplicate_of_positive": "Its cosine with a right passage is 0.97 or more, and no name or number distinguishes them.",
    "shares_wording_with_positive": "They share most runs of five words, and no name or number distinguishes them: "
    "one was cut out of the other, or is another version of it.",
    "exceeds_margin": "Its cosine with the question is above 0.95 times that of the right passage, so it may be right as well, "
    "and nobody has said so.",
    "called_helpful": "Somebody called it helpful for this question, and was outvoted.",
    "positive_for_near_question": "People called it right for a question that asks nearly the same of the same thing.",
    "contains_answer": "It contains a known answer to the question.",
    "exceeds_served_margin": "Its score by cosine and BM25 together, as passages are served, is too close to that of the "
    "right passage.",
    "teacher_says_positive": "The cross-encoder read it with the question, and gives it a probability above 0.9 of being right.",
    "not_read_by_teacher": "The cross-encoder reads only the best few candidates of a question.",
    "in_too_many_rows": "A passage is a negative of a limited number of training rows.",
}
"""What a label means, as a sentence."""


def describe_removal(reason: RemovalReason) -> str:
    """The label of a reason; a text that is no reason is its own label.

    >>> describe_removal("exceeds_margin:the base"), describe_removal("of an old night")
    ('as close as a positive, under the base', 'of an old night')
    """
    parsed = parse_removal_reason(load_removal_reason(reason))
    return REMOVED[parsed[0]].format(detail=parsed[1]) if parsed else reason


def describe_doubt(why: str) -> str:
    """Why a negative is in doubt: the label of a removal, or that of what people left unsettled.

    >>> describe_doubt("contains_answer"), describe_doubt("people_divided")
    ('contains an answer', 'people are divided')
    """
    return describe_removal(why) if parse_removal_reason(why) else describe_drop(why)
