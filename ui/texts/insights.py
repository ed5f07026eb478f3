"""Every English string of the page of insights, and of the commands that tell the same."""

from __future__ import annotations

from collections.abc import Mapping

VOTES_TAB = "What votes did"
TIME_TAB = "Over time"
COMPARE_TAB = "Compare"

# ---- what votes did

WHOSE = "Whose votes"
MINE, ALL = "Mine", "Everybody’s, without names"
LOOK_FURTHER = "Show {n} more"
LOOKING = "Looking up the ranks under each version: {done} of {all} …"
WEIGHING = "Weighing everybody’s votes; some of these may turn out not to count …"
COUNTING = "Counting questions: {done} of {all} days …"
LOOKED = "Ranks are in today’s library, by each version alone. Showing {looked} of {all} votes, latest first."
NO_VOTES = (
    "### No votes yet\n"
    "Ask something, and say which passages helped and which did not. A night learns from it, and "
    "this page shows the effect: "
    "the rank of each passage when you voted, and its rank now."
)
NO_VOTES_OF_YOURS = (
    "### You have not voted yet\n"
    "Ask something in the chat, and say which passages helped and which did not. This page shows the effect: the rank "
    "of each passage when you voted, and its rank now."
)

OUTCOMES = {
    "moved": "Moved as wanted",
    "first": "Was first and stays first",
    "not_yet": "Has not moved",
    "other_way": "Moved the other way",
    "tonight": "Counts tonight",
    "left_out": "Does not count",
    "untold": "Can’t be told",
}
SIGNS = {"moved": "✓", "first": "★", "not_yet": "=", "other_way": "✕", "tonight": "☾", "left_out": "○", "untold": "?"}
TONIGHT = "The current version has not learned from it yet."
TONIGHT_AT_ONCE = (
    "The current version has not learned from it yet; "
    "until then it moves the passage right away for the person who gave it."
)
VERDICTS = {"pin": "Right passage", "helpful": "Helpful", "not_relevant": "Not relevant"}
BY_PEOPLE = "{n} people"
WHEN_VOTED = "when you voted"
WHEN_ALL_VOTED = "at the vote"
RANK = "rank {rank}"
RANK_WORD = "rank"
NOT_SHOWN = "not among the {n} shown"
IMPORTED = "nothing was shown"
UNKNOWN_RANK = "?"
UNKNOWN_HINT = "This version has not encoded everything in the library, or its files were deleted"
BEYOND = "beyond 100"
CHANGED_IN = "moved by {version}"
HELD_OUT = "used to measure versions, never to train one"
HELD_OUT_HINT = "Three questions in ten are held out: a version is promoted only if it does better on them"
DIFFERS = (
    "In today’s library it is at {rank} under {version}: documents have been added or removed since, "
    "or that day’s votes and the "
    "reranker counted then."
)
GONE_PASSAGE = "The passage is no longer in the library"

LEARNT = "Of {whose} {n} that a night has learned from, {parts}."
LEARNT_PARTS = {
    "moved": "**{n:,} moved the passage as {who}wanted**",
    "first": "{n:,} found it first and it stays there",
    "not_yet": "{n:,} not yet",
    "other_way": "{n:,} the other way",
    "untold": "{n:,} can’t be told",
}
LEARNT_ONE = "{whose} one vote that a night has learned from {part}."
LEARNT_PARTS_ONE = {
    "moved": "**moved the passage as {who}wanted**",
    "first": "found it first, and it stays there",
    "not_yet": "has not moved it yet",
    "other_way": "was followed by a move the other way",
    "untold": "can’t be told",
}
NONE_LEARNT = "No night has learned from {whose} {n} yet."
REST_PARTS = {"tonight": "{n} more count tonight", "left_out": "{n} do not count, with the reason shown"}
REST_PARTS_ONE = {"tonight": "1 more counts tonight", "left_out": "1 does not count, with the reason shown"}


def summary_told(counts: Mapping[str, int], *, mine: bool, all_of_them: bool = True) -> tuple[str, str]:
    """What the votes did, in a sentence and a line below it; either may be empty. Unless *all_of_them*, the latest ones.

    >>> counts = {"moved": 9, "first": 0, "not_yet": 2, "other_way": 1, "tonight": 1, "left_out": 0, "untold": 0}
    >>> summary_told(counts, mine=True)[0].replace("*", "")
    'Of your 12 votes that a night has learned from, 9 moved the passage as you wanted, 2 not yet, 1 the other way.'
    >>> summary_told(counts, mine=True)[1]
    '1 more counts tonight.'
    >>> summary_told(dict.fromkeys(counts, 0) | {"not_yet": 1}, mine=False)[0]
    'The one vote that a night has learned from has not moved it yet.'
    """
    whose = ("your" if mine else "the") + ("" if all_of_them else " latest")
    n_learnt = sum(counts[name] for name in LEARNT_PARTS)
    n_all = sum(counts.values())
    if not n_all:
        return "", ""
    who = "you " if mine else ""
    parts = [text.format(n=counts[name], who=who) for name, text in LEARNT_PARTS.items() if counts[name]]
    if n_learnt == 1:
        part = next(text for name, text in LEARNT_PARTS_ONE.items() if counts[name])
        sentence = LEARNT_ONE.format(whose=whose.capitalize(), part=part.format(who=who))
    elif n_learnt:
        sentence = LEARNT.format(whose=whose, n=n_votes(n_learnt), parts=", ".join(parts))
    else:
        sentence = NONE_LEARNT.format(whose=whose, n=n_votes(n_all))
    rest = [
        (REST_PARTS_ONE if counts[name] == 1 else REST_PARTS)[name].format(n=counts[name])
        for name in REST_PARTS
        if counts[name]
    ]
    line = ", ".join(rest).replace(" more", "" if not n_learnt else " more")
    return sentence, f"{line}." if line else ""


def n_votes(n: int) -> str:
    """
    >>> n_votes(1), n_votes(1200)
    ('1 vote', '1,200 votes')
    """
    return f"{n:,} vote{'' if n == 1 else 's'}"


# ---- over time

DAYS = "The last"
DAYS_CHOICES = {7: "7 days", 30: "30 days", 90: "90 days, by week"}
NO_QUESTIONS = "Nobody has asked anything in these days."
TILES = {
    "asked": "Questions",
    "answered": "Answered",
    "supported": "Sentences supported",
    "liked": "Answers liked",
    "disliked": "Answers disliked",
    "seconds": "Half were answered within",
}
BEFORE = "before: {value}"
SLOWEST = "95 % within {seconds}"
PANELS = {
    "asked": "Questions: answered and declined",
    "judged": "Answers liked and disliked",
    "supported": "Sentences that their passages support, in %",
    "seconds": "Seconds to the end of the answer",
}
SERIES = {
    "answered": "answered",
    "declined": "declined",
    "liked": "liked",
    "disliked": "disliked",
    "supported": "supported",
    "p50": "half of them",
    "p95": "95 % of them",
}
KEPT_SINCE = "Support and seconds are recorded since {day}; they are unknown for earlier questions."
NEVER_KEPT = "Support and seconds were not recorded for these questions."
AS_TABLE = "Show as a table"
TABLE_CAPTION = "Days are in UTC. Imported, simulated and compared questions do not count."
COLUMNS = ("days", "questions", "answered", "declined", "liked", "disliked", "supported", "50 % within", "95 % within")

# ---- two versions

COMPARE_QUESTION = "A question for both versions"
COMPARE_PLACEHOLDER = "Ask both versions the same question"
COMPARE = "Compare"
FIRST, SECOND = "Version", "and version"
BLIND = "Hide the versions, so that I can judge"
CURRENT = "{name} · answers now · {day}"
EARLIER = "{name} · {day}"
ONE_VERSION = (
    "There is only one version so far. Once a night has learned from votes and was "
    "promoted, you can compare the two here."
)
COMPARE_BEGIN = (
    "Ask both versions the same question and see which passages moved. Hide the versions "
    "to judge without knowing which is which."
)
COMPARING = "Asking both versions …"
LEFT, RIGHT = "Left", "Right"
WHICH = "### Which one is better?"
BETTER = {"left": "The left one", "equal": "They are equal", "right": "The right one"}
ALIKE = "Both rank these passages the same: there is nothing to choose."
REVEALED = "Left was **{left}**, right was **{right}**. {told}"
WAS = {"left": "{name}, was left", "right": "{name}, was right"}
OFFER_PIN = "“{title}” is the right passage"
OFFER_WHY = (
    "You preferred the side with a different passage on top. If that passage is the right one, say "
    "so, and a night learns from it. "
    "The comparison by itself teaches nothing."
)
PINNED = "Thanks. The next night learns that this passage answers the question."
UP, DOWN = "▲ {n}", "▼ {n}"
STAYED, NEW, GONE = "=", "new", "gone from {name}"
MOVE_HINTS = {
    "up": "{n} higher than in {name}",
    "down": "{n} lower than in {name}",
    "same": "same rank in {name}",
    "new": "not among the first {k} of {name}",
}
NOBODY = "No passage was found."
ONLY_VOTERS = "Judging needs the role “voter”. You can see the versions right away."
FAILED = "Something went wrong. The error was logged."
WAKING = "Starting …"
