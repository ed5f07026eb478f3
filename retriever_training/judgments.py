"""Verdicts → judgments: who counts, how much, what a conflict settles to, and what is held out."""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rag.records import Judgment, Verdict

Split = Literal["train", "dev", "gate"]

DEV_SHARE = 0.10  # chooses ridge, merge and lexical weight
GATE_SHARE = 0.20  # decides, and nothing else; 300 questions see a difference of three points

BESIDE_PIN: Mapping[str, str] = {"helpful": "helpful beside a pin", "not_relevant": "rejected beside a pin"}
"""What a verdict becomes where the same person pinned another passage for the same question."""

KIND_WEIGHT: Mapping[str, float] = {
    "pin": 1.0,
    "helpful": 0.8,
    "helpful beside a pin": 0.3,  # whoever names the right passage has said that the others are not it
    "answer_helpful": 0.3,
    "not_relevant": 1.0,
    "rejected beside a pin": 1.0,
}
"""How much each verdict says of its passage. The others say nothing of it."""

RECORD_PRIOR = (8.0, 2.0)
"""Beta prior of how often a person is right: people we have tested err on one verdict in five."""

NEGATIVE_FROM = 0.8
"""The least probability at which a rejected passage counts as a negative."""


@dataclass(frozen=True, slots=True)
class Judgments:
    """What a night learns from, and what it left out and why."""

    judgments: tuple[Judgment, ...]
    dropped: Mapping[str, int]
    """Verdicts or pairs left out, by reason."""

    def split(self, name: Split) -> list[Judgment]:
        """The judgments of one split, in a fixed order."""
        return [judgment for judgment in self.judgments if split_of(judgment.question) == name]


def judge(
    verdicts: Sequence[Verdict],
    cited: Mapping[str, Sequence[str]],
    known_passages: Collection[str],
    *,
    trusted: Collection[str],
    max_per_person: int,
) -> Judgments:
    """Settles standing *verdicts* into one judgment for each (question, passage).

    *cited* maps a turn to the passages that its answer cited. Verdicts on passages that are no longer in
    *known_passages* drop out, so that what was deleted is forgotten. A conflict is settled by the log-odds
    of everyone's record (the one-coin model of Dawid and Skene 1979).
    """
    dropped: Counter[str] = Counter()
    votes = _votes(verdicts, cited, known_passages, max_per_person, dropped)
    records = person_records(votes)
    judgments = [_settle(pair, people, records, trusted, dropped) for pair, people in sorted(votes.items())]
    return Judgments(tuple(judgment for judgment in judgments if judgment), dict(dropped))


Pair = tuple[str, str]  # question, normalised, and passage id
Votes = dict[Pair, dict[str, Verdict]]  # pair → person → what that person said last


def _votes(
    verdicts: Iterable[Verdict],
    cited: Mapping[str, Sequence[str]],
    known: Collection[str],
    max_per_person: int,
    dropped: Counter[str],
) -> Votes:
    votes: Votes = defaultdict(dict)
    by_person: Counter[str] = Counter()
    for verdict in verdicts:
        if verdict.verdict not in KIND_WEIGHT:
            dropped["says nothing of a passage"] += 1
            continue
        targets = [verdict.passage_id] if verdict.passage_id else list(cited.get(verdict.turn_id, ()))
        for passage_id in targets:
            if passage_id not in known:
                dropped["passage no longer in the library"] += 1
            elif by_person[verdict.user] >= max_per_person:
                dropped["person over their share"] += 1
            else:
                by_person[verdict.user] += 1
                _cast(votes[normalised(verdict.question), passage_id], verdict)
    return _seen_beside_pins(votes)


def _seen_beside_pins(votes: Votes) -> Votes:
    """Marks what somebody said of a passage who pinned another one for the same question.

    "Helpful" loses most of its weight; "not relevant" gains the second signal that a negative needs.
    """
    pinned = {
        (user, pair[0]) for pair, people in votes.items() for user, vote in people.items() if vote.verdict == "pin"
    }
    return {
        pair: {
            user: replace(vote, verdict=BESIDE_PIN[vote.verdict])
            if vote.verdict in BESIDE_PIN and (user, pair[0]) in pinned
            else vote
            for user, vote in people.items()
        }
        for pair, people in votes.items()
    }


def _cast(people: dict[str, Verdict], verdict: Verdict) -> None:
    """One vote a person: an explicit word on the passage outweighs a kind one on the answer, else the last one stands."""
    before = people.get(verdict.user)
    if before is None or KIND_WEIGHT[verdict.verdict] >= KIND_WEIGHT[before.verdict] or verdict.passage_id:
        people[verdict.user] = verdict


def is_positive(verdict: Verdict) -> bool:
    """Whether the verdict speaks for its passage."""
    return verdict.verdict not in ("not_relevant", BESIDE_PIN["not_relevant"])


def person_records(votes: Votes) -> dict[str, float]:
    """For each person, how often they are right: the mean of a Beta posterior over agreement with the others.

    Only passages on which at least two others voted teach us anything of a person.
    """
    right: Counter[str] = Counter()
    judged: Counter[str] = Counter()
    for people in votes.values():
        for_it = sum(is_positive(vote) for vote in people.values())
        for user, vote in people.items():
            others_for = for_it - is_positive(vote)
            others_against = len(people) - 1 - others_for
            if others_for + others_against >= 2 and others_for != others_against:
                judged[user] += 1
                right[user] += is_positive(vote) == (others_for > others_against)
    users = {user for people in votes.values() for user in people}
    agreed, differed = RECORD_PRIOR
    return {user: (agreed + right[user]) / (agreed + differed + judged[user]) for user in users}


def _settle(
    pair: Pair,
    people: Mapping[str, Verdict],
    records: Mapping[str, float],
    trusted: Collection[str],
    dropped: Counter[str],
) -> Judgment | None:
    probability = _probability(people, records)
    label: Literal["positive", "negative"] = "positive" if probability > 0.5 else "negative"
    agreeing = [user for user, vote in people.items() if is_positive(vote) == (label == "positive")]
    sure = probability if label == "positive" else 1 - probability
    if math.isclose(probability, 0.5):
        dropped["people are divided"] += 1
        return None
    if label == "negative" and not _counts_as_negative(sure, people, agreeing, trusted):
        dropped["rejected by one person only"] += 1
        return None
    kind = max(KIND_WEIGHT[people[user].verdict] for user in agreeing)
    latest = max(vote.given_at for vote in people.values())
    question = max(people.values(), key=lambda vote: vote.given_at).question
    return Judgment(question, pair[1], label, sure, len(agreeing), kind * sure, latest)


def _probability(people: Mapping[str, Verdict], records: Mapping[str, float]) -> float:
    """That the passage is right: everyone's log-odds summed, weighed by what their verdict says.

    >>> from rag.records import Verdict
    >>> helpful = Verdict("ann", "t", "q", "p", "pin")
    >>> _probability({"ann": helpful}, {"ann": 0.8})
    0.8
    """
    log_odds = 0.0
    for user, vote in people.items():
        strength = KIND_WEIGHT[vote.verdict] * math.log(records[user] / (1 - records[user]))
        log_odds += strength if is_positive(vote) else -strength
    return round(1 / (1 + math.exp(-log_odds)), 12)


def _counts_as_negative(
    sure: float, people: Mapping[str, Verdict], agreeing: Sequence[str], trusted: Collection[str]
) -> bool:
    """Sure enough, and by two people, or by one who is trusted or who named the right passage instead."""
    if sure < NEGATIVE_FROM - 1e-9:
        return False
    named_another = any(people[user].verdict == BESIDE_PIN["not_relevant"] for user in agreeing)
    return len(agreeing) >= 2 or named_another or any(user in trusted for user in agreeing)


def normalised(question: str) -> str:
    """A question without what does not change it: case, spaces, a final mark.

    >>> normalised("  Who  am I?")
    'who am i'
    """
    return " ".join(question.casefold().split()).rstrip("?!. ")


def split_of(question: str) -> Split:
    """The split a question belongs to, for ever: what is held out once never trains a later version.

    >>> split_of("Who am I?") == split_of("who am i")
    True
    """
    digest = hashlib.sha256(normalised(question).encode("utf-8", "backslashreplace")).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    return "dev" if place < DEV_SHARE else "gate" if place < DEV_SHARE + GATE_SHARE else "train"
