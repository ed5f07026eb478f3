"""Turns verdicts into judgments: whose votes count and how much, how conflicts are settled, and which limits hold."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from rag.records import Judgment, Verdict
from retriever_training.judgments.reasons import DropReason, UnsettledReason
from retriever_training.judgments.reviews import Review, apply_reviews, excluded_by_reviews, training_reviews
from retriever_training.judgments.splits import Split, find_near_held_out, hash_fraction, normalise_question, split_of
from retriever_training.judgments.voters import Voter, assess_voters, over_unchecked_limit
from retriever_training.judgments.votes import (
    VERDICT_ALONGSIDE_PIN,
    VERDICT_WEIGHT,
    QuestionPassage,
    VotesByPair,
    collect_votes,
    is_positive,
)

MIN_NEGATIVE_PROBABILITY = 0.8
"""The lowest probability at which a rejected passage counts as a negative."""

MAX_PER_QUESTION = 10  # right passages of one question, and as many wrong ones
NEGATIVE_SHARE_LIMIT = (10, 0.01)  # a passage is wrong for at most this many questions, or for this share of them
POSITIVE_SHARE_LIMIT = (50, 0.10)  # the same for the questions that a passage is right for; see `_share`


@dataclass(frozen=True, slots=True, kw_only=True)
class AggregatedJudgments:
    """The judgments that a night learns from, and what was left out, with the reasons."""

    judgments: tuple[Judgment, ...]
    dropped: Mapping[DropReason, int]
    """Numbers of verdicts, votes and judgments that were left out, by reason."""
    people: Mapping[str, Voter] = field(default_factory=dict)
    """Everybody who voted, by name."""
    excluded: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Normalised question → passages that a review removed from its negatives."""
    unsettled: Mapping[QuestionPassage, UnsettledReason] = field(default_factory=dict)
    """Pairs that people judged without settling anything → why; `dropped` counts them too."""

    def split(self, name: Split) -> list[Judgment]:
        """The judgments of one split, in a fixed order."""
        return [judgment for judgment in self.judgments if split_of(judgment.question) == name]


def aggregate_votes(
    verdicts: Sequence[Verdict],
    cited: Mapping[str, Sequence[str]],
    known_passage_ids: Collection[str],
    *,
    trusted: Collection[str],
    max_per_person: int,
    quarantined: Collection[str] = (),
    reviews: Sequence[Review] = (),
) -> AggregatedJudgments:
    """Settles *verdicts*, of each person the latest ones, into one judgment for each (question, passage).

    *cited* maps a turn to the passages that its answer cited. Verdicts on passages that are no longer in
    *known_passage_ids* are dropped, so that deleted passages are forgotten; so are the votes of people who have to wait
    (see `assess_voters`), and questions too near a held-out one. A conflict is settled by the log-odds of everyone's
    record (the one-coin model of Dawid and Skene 1979). *reviews* have the last word on what is a negative.
    """
    dropped: Counter[DropReason] = Counter()
    votes = collect_votes(verdicts, cited, known_passage_ids, max_per_person, dropped)
    people = assess_voters(votes, trusted=trusted, quarantined=quarantined)
    counting = _counting(votes, people, trusted, dropped)
    settled = {pair: _settle(pair, labels, people, trusted) for pair, labels in sorted(counting.items())}
    confirmed = {
        review.pair for review in training_reviews(reviews, known_passage_ids) if review.decision == "negative"
    }
    unsettled = {
        pair: reason for pair, reason in settled.items() if not isinstance(reason, Judgment) and pair not in confirmed
    }
    dropped.update(unsettled.values())
    reviewed = apply_reviews(
        [judgment for judgment in settled.values() if isinstance(judgment, Judgment)],
        reviews,
        known_passage_ids,
        dropped,
    )
    judgments = tuple(_without_near_held_out(_within_shares(reviewed, dropped), dropped))
    return AggregatedJudgments(
        judgments=judgments,
        dropped=dict(+dropped),
        people=people,
        excluded=excluded_by_reviews(reviews, known_passage_ids),
        unsettled=unsettled,
    )


def _counting(
    votes: VotesByPair, people: Mapping[str, Voter], trusted: Collection[str], dropped: Counter[DropReason]
) -> VotesByPair:
    """Returns the votes of people who do not have to wait, without those beyond the limit for unchecked votes."""
    present = {
        pair: {name: vote for name, vote in labels.items() if not people[name].waits} for pair, labels in votes.items()
    }
    over = over_unchecked_limit({pair: labels for pair, labels in present.items() if labels}, people, trusted)
    counting: VotesByPair = {}
    for pair, labels in present.items():
        dropped["person_waits"] += len(votes[pair]) - len(labels)
        kept = {name: vote for name, vote in labels.items() if (name, pair[0]) not in over}
        dropped["unchecked_person_over_share"] += len(labels) - len(kept)
        if kept:
            counting[pair] = kept
    return counting


def _settle(
    pair: QuestionPassage,
    people: Mapping[str, Verdict],
    persons: Mapping[str, Voter],
    trusted: Collection[str],
) -> Judgment | UnsettledReason:
    """Returns the judgment that the votes on one pair add up to, or the reason why they settle nothing."""
    probability = _probability(people, {user: persons[user].record for user in people})
    label: Literal["positive", "negative"] = "positive" if probability > 0.5 else "negative"
    agreeing = [user for user, vote in people.items() if is_positive(vote) == (label == "positive")]
    sure = probability if label == "positive" else 1 - probability
    if math.isclose(probability, 0.5):
        return "people_divided"
    if label == "negative" and not _counts_as_negative(sure, people, agreeing, trusted):
        return "rejected_by_one_person"
    if not agreeing:  # a record below one half reverses the odds, so that nobody agrees with the outcome
        return "only_mistaken_people"
    kind = max(VERDICT_WEIGHT[people[user].verdict] for user in agreeing)
    latest = max(vote.given_at for vote in people.values())
    question = max(people.values(), key=lambda vote: vote.given_at).question
    return Judgment(
        question=question,
        passage_id=pair[1],
        label=label,
        probability=sure,
        n_people=len(agreeing),
        weight=kind * sure,
        latest_at=latest,
    )


def _probability(people: Mapping[str, Verdict], records: Mapping[str, float]) -> float:
    """Returns the probability that the passage is right: everyone's log-odds, weighted by their verdicts and summed.

    >>> from rag.records import Verdict
    >>> helpful = Verdict(user="ann", turn_id="t", question="q", passage_id="p", verdict="pin")
    >>> _probability({"ann": helpful}, {"ann": 0.8})
    0.8
    """
    log_odds = 0.0
    for user, vote in people.items():
        strength = VERDICT_WEIGHT[vote.verdict] * math.log(records[user] / (1 - records[user]))
        log_odds += strength if is_positive(vote) else -strength
    return round(1 / (1 + math.exp(-log_odds)), 12)


def _counts_as_negative(
    sure: float, people: Mapping[str, Verdict], agreeing: Sequence[str], trusted: Collection[str]
) -> bool:
    """Whether the rejection is sure enough and has a second signal.

    That is a second person, a trusted person, or a person who named the right passage instead.
    """
    if sure < MIN_NEGATIVE_PROBABILITY - 1e-9:
        return False
    named_another = any(people[user].verdict == VERDICT_ALONGSIDE_PIN["not_relevant"] for user in agreeing)
    return len(agreeing) >= 2 or named_another or any(user in trusted for user in agreeing)


def _within_shares(judgments: Sequence[Judgment], dropped: Counter[DropReason]) -> list[Judgment]:
    """Drops what exceeds the limit of a question, then of a passage; the surest judgments stay, in their order."""
    of_question: dict[tuple[str, str], list[Judgment]] = defaultdict(list)
    for judgment in judgments:
        of_question[normalise_question(judgment.question), judgment.label].append(judgment)
    over = {
        id(judgment)
        for group in of_question.values()
        for judgment in sorted(group, key=_surest_first)[MAX_PER_QUESTION:]
    }
    kept = [judgment for judgment in judgments if id(judgment) not in over]
    dropped["question_over_share"] += len(over)
    n_questions = len({normalise_question(judgment.question) for judgment in kept})
    of_passage: dict[tuple[str, str], list[Judgment]] = defaultdict(list)
    for judgment in kept:
        of_passage[judgment.passage_id, judgment.label].append(judgment)
    n_passages = len({judgment.passage_id for judgment in kept})
    over = {
        id(judgment)
        for (_, label), group in of_passage.items()
        for judgment in sorted(group, key=_surest_first)[_share(label, n_questions, n_passages) :]
    }
    dropped["passage_over_share"] += len(over)
    return [judgment for judgment in kept if id(judgment) not in over]


def _share(label: str, n_questions: int, n_passages: int) -> int:
    """Returns how many questions one passage may be right, or wrong, for.

    A passage that is wrong for very many questions would sink even for those that it answers, and one that is right for
    very many would rise everywhere. In a library with few passages, up to three times an even share is allowed.

    >>> _share("negative", 5000, 900), _share("positive", 5000, 900), _share("positive", 5000, 10)
    (50, 500, 1500)
    """
    least, share = NEGATIVE_SHARE_LIMIT if label == "negative" else POSITIVE_SHARE_LIMIT
    even = 3 * n_questions // n_passages if label == "positive" else 0
    return max(least, int(share * n_questions), even)


def _surest_first(judgment: Judgment) -> tuple[float, int, float]:
    """The sort key; ties are broken by the question's hash, so that no spelling is preferred."""
    return -judgment.probability, -judgment.n_people, hash_fraction(judgment.question)


def _without_near_held_out(judgments: Sequence[Judgment], dropped: Counter[DropReason]) -> Iterator[Judgment]:
    """Yields the judgments whose question is not too near one that is held out from it."""
    near = find_near_held_out({normalise_question(judgment.question) for judgment in judgments})
    for judgment in judgments:
        if normalise_question(judgment.question) in near:
            dropped["near_held_out_question"] += 1
        else:
            yield judgment
