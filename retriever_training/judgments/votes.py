"""Turns verdicts into votes: one of each person on each passage of each question, with its weight."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from rag.records import Verdict
from retriever_training.judgments.reasons import DropReason
from retriever_training.judgments.splits import normalise_question

VERDICT_ALONGSIDE_PIN: Mapping[str, str] = {
    "helpful": "helpful_alongside_pin",
    "not_relevant": "rejected_alongside_pin",
}
"""Verdict → what it becomes if the same person pinned another passage for the same question."""

VERDICT_WEIGHT: Mapping[str, float] = {
    "pin": 1.0,
    "helpful": 0.8,
    "helpful_alongside_pin": 0.3,  # a person who names the right passage has said that the others are not it
    "answer_helpful": 0.3,
    "not_relevant": 1.0,
    "rejected_alongside_pin": 1.0,
}
"""How much each verdict says about its passage. Other verdicts say nothing about a passage."""

QuestionPassage = tuple[str, str]  # normalised question, passage id
VotesByPair = dict[QuestionPassage, dict[str, Verdict]]  # pair → person → the person's latest verdict


def collect_votes(
    verdicts: Iterable[Verdict],
    cited: Mapping[str, Sequence[str]],
    known: Collection[str],
    max_per_person: int,
    dropped: Counter[DropReason],
) -> VotesByPair:
    """Groups *verdicts* by question and passage; those about no passage in *known* are counted in *dropped*.

    *cited* maps a turn to the passages that its answer cited. At most *max_per_person* votes of a person are taken,
    the first ones.
    """
    votes: VotesByPair = defaultdict(dict)
    by_person: Counter[str] = Counter()
    for verdict in verdicts:
        if verdict.verdict not in VERDICT_WEIGHT:
            dropped["about_no_passage"] += 1
            continue
        targets = [verdict.passage_id] if verdict.passage_id else list(cited.get(verdict.turn_id, ()))
        for passage_id in targets:
            if passage_id not in known:
                dropped["passage_gone"] += 1
            elif by_person[verdict.user] >= max_per_person:
                dropped["person_over_share"] += 1
            else:
                by_person[verdict.user] += 1
                _cast(votes[normalise_question(verdict.question), passage_id], verdict)
    return _mark_votes_alongside_pins(votes)


def is_positive(verdict: Verdict) -> bool:
    """Whether the verdict speaks for its passage."""
    return verdict.verdict not in ("not_relevant", VERDICT_ALONGSIDE_PIN["not_relevant"])


def without_voters(votes: VotesByPair, people: Collection[str]) -> VotesByPair:
    """Returns the votes of everybody but *people*.

    >>> from rag.records import Verdict
    >>> without_voters({("q", "p"): {"ann": Verdict(
    ...     user="ann", turn_id="t",
    ...     question="q", passage_id="p", verdict="pin",
    ... )}}, {"ann"})
    {}
    """
    left = {pair: {user: vote for user, vote in labels.items() if user not in people} for pair, labels in votes.items()}
    return {pair: labels for pair, labels in left.items() if labels}


def _mark_votes_alongside_pins(votes: VotesByPair) -> VotesByPair:
    """Marks the verdicts of people who pinned another passage for the same question.

    "Helpful" loses most of its weight; "not relevant" gains the second signal that a negative needs.
    """
    pinned = {
        (user, pair[0]) for pair, people in votes.items() for user, vote in people.items() if vote.verdict == "pin"
    }
    return {
        pair: {
            user: replace(vote, verdict=VERDICT_ALONGSIDE_PIN[vote.verdict])
            if vote.verdict in VERDICT_ALONGSIDE_PIN and (user, pair[0]) in pinned
            else vote
            for user, vote in people.items()
        }
        for pair, people in votes.items()
    }


def _cast(people: dict[str, Verdict], verdict: Verdict) -> None:
    """Keeps one vote of each person: a verdict on the passage outweighs one on the answer, otherwise the latest counts."""
    before = people.get(verdict.user)
    if before is None or VERDICT_WEIGHT[verdict.verdict] >= VERDICT_WEIGHT[before.verdict] or verdict.passage_id:
        people[verdict.user] = verdict
