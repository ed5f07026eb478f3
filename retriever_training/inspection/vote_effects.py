"""What votes did: how far each judged passage moved for its question, by which version, or why it did not move."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from rag.app.stores import Stores
from rag.feedback.same_day_boosts import last_learned_event
from rag.records import Passage
from rag.versions.registry import Promotion
from retriever_training.inspection.judged_ranks import JudgedRanks, RankTarget
from retriever_training.inspection.standing_votes import StandingVote
from retriever_training.judgments.aggregate import AggregatedJudgments
from retriever_training.judgments.reasons import ExcludedVote
from retriever_training.judgments.splits import normalise_question, split_of

Direction = Literal["up", "down"]
DIRECTION_OF_VERDICT: Mapping[str, Direction] = {"pin": "up", "helpful": "up", "not_relevant": "down"}
"""Verdict → the direction in which its passage should move. Other verdicts say nothing about its rank."""
VoteOutcome = Literal["moved", "first", "not_yet", "other_way", "tonight", "left_out", "untold"]
"""It moved as wanted; it was first and still is; it stayed; it moved against the vote; no night has learned from the vote
yet; the vote counts for nothing; the ranks are unknown."""
MAX_VERSIONS_FOLLOWED = 6  # versions through which one vote is followed: the one that answered, and the latest ones


@dataclass(frozen=True, slots=True)
class RankStep:
    """The rank of the passage under one version, in today's library."""

    encoder_id: str
    rank: int | None
    """1-based, `BEYOND_DEPTH` if it is further down; None if it is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteEffect:
    """What one vote did, or the equal votes of several people."""

    cast: StandingVote
    passage: Passage | None
    """None if the passage is no longer in the library."""
    steps: tuple[RankStep, ...]
    """The version that answered when the vote was given, and those that answered since; the last one answers now."""
    outcome: VoteOutcome
    why: ExcludedVote | None = None
    """Why it counts for nothing; None if it counts."""
    is_held_out: bool = False
    """Whether its question measures versions and never trains one."""

    @property
    def wanted(self) -> Direction:
        """The direction in which the passage should move."""
        return DIRECTION_OF_VERDICT[self.cast.verdict]

    @property
    def before(self) -> int | None:
        """The rank under the version that answered then, in today's library, for comparison with `now`."""
        return self.steps[0].rank if self.steps else None

    @property
    def now(self) -> int | None:
        """The rank under the version that answers now."""
        return self.steps[-1].rank if self.steps else None

    @property
    def moved_by(self) -> str | None:
        """The version that moved the passage furthest in the wanted direction; None if it has not moved."""
        if self.outcome != "moved":
            return None
        sign = 1 if self.wanted == "up" else -1
        known = [step for step in self.steps if step.rank is not None]
        gains = [
            (sign * ((before.rank or 0) - (after.rank or 0)), -index, after.encoder_id)
            for index, (before, after) in enumerate(pairwise(known))
        ]
        best = max(gains, default=(0, 0, ""))
        return best[2] if best[0] > 0 else None


def outcome_of(direction: Direction, before: int | None, now: int | None) -> VoteOutcome:
    """Returns what became of a vote that a night has learned from.

    >>> outcome_of("up", 7, 1), outcome_of("up", 1, 1), outcome_of("up", 2, 2), outcome_of("down", 3, 2)
    ('moved', 'first', 'not_yet', 'other_way')
    """
    if before is None or now is None:
        return "untold"
    if before == now:
        return "first" if direction == "up" and now == 1 else "not_yet"
    return "moved" if (now < before) == (direction == "up") else "other_way"


def version_path(cast: StandingVote, history: Sequence[Promotion]) -> tuple[str, ...]:
    """Returns the versions to follow a vote through, oldest first: the one that answered, then those made current since.

    *history* is that of `VersionRegistry.history`. If nothing was asked here, as for an imported vote, the first is the
    version that was current when the vote was given. Beyond `MAX_VERSIONS_FOLLOWED` those in the middle are left out.
    """
    oldest_first = sorted(history, key=lambda promotion: promotion.promotion_id)
    current_then = [promotion.encoder_id for promotion in oldest_first if promotion.promoted_at <= cast.asked_at]
    known = {promotion.encoder_id for promotion in oldest_first}
    first = cast.encoder_id if cast.encoder_id in known else (current_then or [oldest_first[0].encoder_id])[-1]
    since = [promotion.encoder_id for promotion in oldest_first if promotion.promoted_at > cast.asked_at]
    path = [first]
    for encoder_id in [*since, oldest_first[-1].encoder_id]:
        if encoder_id != path[-1]:
            path.append(encoder_id)
    return tuple(path if len(path) <= MAX_VERSIONS_FOLLOWED else [path[0], *path[-MAX_VERSIONS_FOLLOWED + 1 :]])


def required_ranks(casts: Iterable[StandingVote], history: Sequence[Promotion]) -> dict[str, list[RankTarget]]:
    """Returns encoder id → the ranks under that version that `vote_effects` needs."""
    wanted: dict[str, list[RankTarget]] = {}
    for cast in casts:
        for encoder_id in version_path(cast, history):
            wanted.setdefault(encoder_id, []).append((cast.question, cast.passage_id))
    return wanted


def vote_effects(
    stores: Stores, casts: Sequence[StandingVote], ranks: JudgedRanks, judgments: AggregatedJudgments | None
) -> list[VoteEffect]:
    """Returns what each of *casts* did, in their order, by *ranks*; without *judgments* as if all of them counted."""
    history = stores.registry.history()
    learned_until = last_learned_event(stores.current(), stores.feedback)
    passages = stores.library.get([cast.passage_id for cast in casts])
    settled = (
        {
            (normalise_question(judgment.question), judgment.passage_id): judgment.label
            for judgment in judgments.judgments
        }
        if judgments
        else {}
    )
    effects = []
    for cast in casts:
        passage = passages.get(cast.passage_id)
        target = (cast.question, cast.passage_id)
        steps = tuple(
            RankStep(encoder_id, ranks.rank(encoder_id, target)) for encoder_id in version_path(cast, history)
        )
        counts = judgments is None and passage is not None
        why = None if counts else why_excluded(cast, judgments or NO_JUDGMENTS, settled, is_there=passage is not None)
        effect = VoteEffect(
            cast=cast,
            passage=passage,
            steps=steps if passage else (),
            outcome="left_out",
            why=why,
            is_held_out=split_of(cast.question) != "train",
        )
        if why is None:
            is_learned = cast.event_id <= learned_until
            outcome = outcome_of(effect.wanted, effect.before, effect.now) if is_learned else "tonight"
            effect = replace(effect, outcome=outcome)
        effects.append(effect)
    return effects


NO_JUDGMENTS = AggregatedJudgments(judgments=(), dropped={})


def why_excluded(
    cast: StandingVote, judgments: AggregatedJudgments, settled: Mapping[tuple[str, str], str], *, is_there: bool
) -> ExcludedVote | None:
    """Returns why the vote counts for nothing; None if it counts. *settled* maps (normalised question, passage) to labels."""
    if not is_there:
        return ExcludedVote("passage_gone")
    people = [judgments.people[user] for user in cast.users if user in judgments.people]
    if people and all(person.waits for person in people):
        return ExcludedVote("person_waits", people[0].waits)
    pair = normalise_question(cast.question), cast.passage_id
    if pair in settled:
        agrees = (settled[pair] == "positive") == (DIRECTION_OF_VERDICT[cast.verdict] == "up")
        return None if agrees else ExcludedVote("overruled")
    if DIRECTION_OF_VERDICT[cast.verdict] == "down" and cast.passage_id in judgments.excluded.get(pair[0], ()):
        return ExcludedVote("reviewed_not_negative")
    return ExcludedVote(judgments.unsettled.get(pair, "over_share_or_near_held_out"))


def count_outcomes(effects: Iterable[VoteEffect]) -> dict[str, int]:
    """Returns outcome → how many votes; contains every outcome."""
    counts: Counter[VoteOutcome] = Counter()
    for effect in effects:
        counts[effect.outcome] += effect.cast.n_votes
    names: tuple[VoteOutcome, ...] = ("moved", "first", "not_yet", "other_way", "tonight", "left_out", "untold")
    return {name: counts[name] for name in names}
