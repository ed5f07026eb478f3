"""Assesses the people who vote: how often each is right, whose votes wait, and how much unchecked votes may count.

A record is the mean of a Beta posterior over agreements and differences (the reputation system of Jøsang and Ismail, Bled
2002); agreement with the others stands in for the truth, as in the one-coin model of Dawid and Skene (1979).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from retriever_training.judgments.reasons import WaitReason
from retriever_training.judgments.votes import VotesByPair, is_positive, without_voters

RELIABILITY_PRIOR = (8.0, 2.0)
"""Beta prior of how often a person is right: people we have tested err on one verdict in five."""

MIN_CERTAINTY = 0.95
"""A person's votes wait if, by the posterior, a coin would be right more often with at least this probability."""

MAX_PER_HOUR = 300  # votes at different times: one every twelve seconds, faster than anybody reads
MANY_REJECTIONS = 200  # from this many rejections on, somebody else must share at least one
ONE_SIDED_SHARE = 0.9

MIN_UNCHECKED_QUESTIONS = 50  # questions of one person that count even if nobody else voted on them
MAX_UNCHECKED_SHARE = 0.1
MIN_OTHER_VOTERS = 5  # if fewer people vote, they know each other, or the labels come from one file
MIN_COMPARED_VOTES = 10  # votes that can be compared with the others', before a person counts as proven


@dataclass(frozen=True, slots=True, kw_only=True)
class Voter:
    """One person who votes."""

    name: str
    n_votes: int
    n_rejections: int
    n_compared: int
    """Votes on passages on which at least two others voted and were not divided."""
    n_agreed: int
    """Of these, the votes on the others' side."""
    waits: WaitReason | None = None
    """Why this person's votes do not count for now; None if they do."""

    @property
    def record(self) -> float:
        """How often this person is right: the mean of the Beta posterior."""
        agreed, differed = RELIABILITY_PRIOR
        return (agreed + self.n_agreed) / (agreed + differed + self.n_compared)

    @property
    def is_proven(self) -> bool:
        """Whether the others have confirmed this person often enough, beyond what a coin would get."""
        differed = self.n_compared - self.n_agreed
        return (
            self.n_compared >= MIN_COMPARED_VOTES
            and probability_worse_than_chance(1 + self.n_agreed, 1 + differed) < 1 - MIN_CERTAINTY
        )


def probability_worse_than_chance(agreed: float, differed: float) -> float:
    """Returns the probability that a share with the posterior Beta(*agreed*, *differed*) lies below one half.

    >>> probability_worse_than_chance(8, 2) < 0.02 < 0.5 == probability_worse_than_chance(3, 3)
    True
    """
    from scipy.special import betainc

    return float(betainc(agreed, differed, 0.5))


def assess_voters(
    votes: VotesByPair, *, trusted: Collection[str], quarantined: Collection[str] = ()
) -> dict[str, Voter]:
    """Returns everybody who voted, by name, with the reason if their votes have to wait.

    Nobody waits because of one disagreement, nor of ten: with the prior of (8, 2) it takes 14 without a single agreement.
    The person with the worst record is taken out first and everybody else is compared again, because a wrong voter makes
    honest ones look wrong. *trusted* people never wait; those in *quarantined* always do, trusted or not. Votes alone
    can't expose several people who agree on what is wrong and outnumber the others.
    """
    everybody = _compared(votes)
    reasons = {name: reason for name, reason in _floods(votes, everybody).items() if name not in trusted}
    reasons |= {name: WaitReason("quarantined_by_hand") for name in quarantined if name in everybody}
    waiting = {name: replace(everybody[name], waits=reason) for name, reason in reasons.items()}
    while True:
        others = _compared(without_voters(votes, waiting))
        doubt = {name: _doubt(voter) for name, voter in others.items() if name not in trusted}
        worst = max(doubt, key=lambda name: (doubt[name], name), default=None)
        if worst is None or doubt[worst] < MIN_CERTAINTY:
            return dict(sorted((others | waiting).items()))
        voter = others[worst]
        waiting[worst] = replace(voter, waits=WaitReason("disagrees", voter.n_agreed, voter.n_compared))


def over_unchecked_limit(
    votes: VotesByPair, people: Mapping[str, Voter], trusted: Collection[str]
) -> set[tuple[str, str]]:
    """Returns the (person, question) pairs beyond the limit for votes that nobody can check.

    For somebody who is neither proven nor trusted, questions on which nobody else voted count up to a tenth of the number
    of questions that others voted on, but `MIN_UNCHECKED_QUESTIONS` in any case: the earliest ones. Otherwise a thousand
    votes of one person would be most of what a night learns, and of what it is measured on.
    """
    voters: dict[str, set[str]] = defaultdict(set)
    first_at: dict[tuple[str, str], datetime] = {}
    for (question, _), labels in votes.items():
        voters[question] |= labels.keys()
        for name, vote in labels.items():
            first_at[name, question] = min(vote.given_at, first_at.get((name, question), vote.given_at))
    n_asked = Counter(name for names in voters.values() for name in names)
    over: set[tuple[str, str]] = set()
    if len(n_asked) <= MIN_OTHER_VOTERS:
        return over
    alone: dict[str, list[str]] = defaultdict(list)
    for question, names in voters.items():
        if len(names) == 1:
            alone[next(iter(names))].append(question)
    for name, questions in alone.items():
        if name in trusted or people[name].is_proven:
            continue
        of_others = len(voters) - len(questions)
        share = max(MIN_UNCHECKED_QUESTIONS, int(MAX_UNCHECKED_SHARE * of_others))
        in_order = sorted(questions, key=lambda question: (first_at[name, question], question))
        over |= {(name, question) for question in in_order[share:]}
    return over


def _compared(votes: VotesByPair) -> dict[str, Voter]:
    """Returns everybody, compared with the others."""
    n_votes: Counter[str] = Counter()
    n_rejections: Counter[str] = Counter()
    compared: Counter[str] = Counter()
    agreed: Counter[str] = Counter()
    for people in votes.values():
        n_for = sum(is_positive(vote) for vote in people.values())
        for name, vote in people.items():
            n_votes[name] += 1
            n_rejections[name] += not is_positive(vote)
            others_for = n_for - is_positive(vote)
            others_against = len(people) - 1 - others_for
            if others_for + others_against >= 2 and others_for != others_against:
                compared[name] += 1
                agreed[name] += is_positive(vote) == (others_for > others_against)
    return {
        name: Voter(
            name=name,
            n_votes=n_votes[name],
            n_rejections=n_rejections[name],
            n_compared=compared[name],
            n_agreed=agreed[name],
        )
        for name in n_votes
    }


def _doubt(person: Voter) -> float:
    agreed, differed = RELIABILITY_PRIOR
    return probability_worse_than_chance(agreed + person.n_agreed, differed + person.n_compared - person.n_agreed)


def _floods(votes: VotesByPair, people: dict[str, Voter]) -> dict[str, WaitReason]:
    """Returns who gave more votes, or more rejections, than a reader can mean, with the reason; never a proven person."""
    times: dict[str, list[datetime]] = defaultdict(list)
    shares_a_rejection: set[str] = set()
    for labels in votes.values():
        against = [name for name, vote in labels.items() if not is_positive(vote)]
        if len(against) > 1:
            shares_a_rejection.update(against)
        for name, vote in labels.items():
            times[name].append(vote.given_at)
    floods = {}
    for name, voter in people.items():
        busiest = n_in_busiest_hour(times[name])
        one_sided = voter.n_rejections >= MANY_REJECTIONS and voter.n_rejections >= ONE_SIDED_SHARE * voter.n_votes
        if voter.is_proven:
            continue
        if busiest > MAX_PER_HOUR:
            floods[name] = WaitReason("too_fast", busiest)
        elif one_sided and name not in shares_a_rejection:
            floods[name] = WaitReason("unshared_rejections", voter.n_rejections)
    return floods


def n_in_busiest_hour(times: Iterable[datetime]) -> int:
    """Returns the largest number of distinct times within one hour; imported votes share one time, and count once.

    >>> from datetime import UTC
    >>> noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    >>> n_in_busiest_hour([noon, noon, noon + timedelta(minutes=59), noon + timedelta(minutes=61)])
    2
    """
    ordered = sorted(set(times))
    most = start = 0
    for end, time in enumerate(ordered):
        while time - ordered[start] > timedelta(hours=1):
            start += 1
        most = max(most, end - start + 1)
    return most
