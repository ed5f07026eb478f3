"""What votes did: for each question and passage that somebody judged, how far the passage moved, by which version, or why not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from rag.app.app import App
from rag.feedback.same_day_boosts import taught_until
from rag.records import Passage
from rag.versions.registry import Promotion
from retriever_training.inspection.judged_ranks import Ranks, Target
from retriever_training.inspection.standing_votes import Cast
from retriever_training.judgments.aggregate import Judgments
from retriever_training.judgments.splits import normalised, split_of
from retriever_training.negatives.candidates.records import NOT_A_NEGATIVE

Wanted = Literal["up", "down"]
WANTED: Mapping[str, Wanted] = {"pin": "up", "helpful": "up", "not_relevant": "down"}
"""Verdict → where its passage ought to go. The others say nothing of its rank."""
Outcome = Literal["moved", "first", "not_yet", "other_way", "tonight", "left_out", "untold"]
"""As wanted; was first and is; stayed; against the vote; not learnt yet; counts for nothing; can't be told."""
MAX_STEPS = 6  # versions that one vote is followed through: the one that answered, and the latest ones


@dataclass(frozen=True, slots=True)
class Step:
    """Where the passage stands under one version, in today's library."""

    encoder_id: str
    rank: int | None
    """1-based, `BEYOND` where it is further down; None where it can't be told."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What one vote, or the equal votes of several people, did."""

    cast: Cast
    passage: Passage | None
    """None where its document is gone."""
    steps: tuple[Step, ...]
    """The version that answered when the vote was given, and those that answered since; the last one answers now."""
    outcome: Outcome
    why: str = ""
    """Why it counts for nothing, as the night says it; empty where it counts."""
    is_held_out: bool = False
    """Its question measures versions and never trains one."""

    @property
    def wanted(self) -> Wanted:
        """Where the passage ought to go."""
        return WANTED[self.cast.verdict]

    @property
    def before(self) -> int | None:
        """The rank under the version that answered then, in today's library: the yardstick of `now`."""
        return self.steps[0].rank if self.steps else None

    @property
    def now(self) -> int | None:
        """The rank under the version that answers now."""
        return self.steps[-1].rank if self.steps else None

    @property
    def turned_by(self) -> str | None:
        """The version whose step in the wanted direction is the largest, where the passage has moved; else None."""
        if self.outcome != "moved":
            return None
        sign = 1 if self.wanted == "up" else -1
        told = [step for step in self.steps if step.rank is not None]
        gains = [
            (sign * ((before.rank or 0) - (after.rank or 0)), -place, after.encoder_id)
            for place, (before, after) in enumerate(pairwise(told))
        ]
        best = max(gains, default=(0, 0, ""))
        return best[2] if best[0] > 0 else None


def outcome_of(wanted: Wanted, before: int | None, now: int | None) -> Outcome:
    """What became of a vote that was learnt from.

    >>> outcome_of("up", 7, 1), outcome_of("up", 1, 1), outcome_of("up", 2, 2), outcome_of("down", 3, 2)
    ('moved', 'first', 'not_yet', 'other_way')
    """
    if before is None or now is None:
        return "untold"
    if before == now:
        return "first" if wanted == "up" and now == 1 else "not_yet"
    return "moved" if (now < before) == (wanted == "up") else "other_way"


def path_of(cast: Cast, history: Sequence[Promotion]) -> tuple[str, ...]:
    """The versions to follow a vote through, oldest first: the one that answered, then those made current since.

    *history* as of `Registry.history`. Where nothing was asked here, as with an imported vote, the first is the version that was
    current when the vote was given. Of more than MAX_STEPS those in the middle are left out.
    """
    oldest_first = sorted(history, key=lambda one: one.promotion_id)
    current_then = [one.encoder_id for one in oldest_first if one.promoted_at <= cast.asked_at]
    known = {one.encoder_id for one in oldest_first}
    first = cast.encoder_id if cast.encoder_id in known else (current_then or [oldest_first[0].encoder_id])[-1]
    since = [one.encoder_id for one in oldest_first if one.promoted_at > cast.asked_at]
    path = [first]
    for encoder_id in [*since, oldest_first[-1].encoder_id]:
        if encoder_id != path[-1]:
            path.append(encoder_id)
    return tuple(path if len(path) <= MAX_STEPS else [path[0], *path[-MAX_STEPS + 1 :]])


def wanted_ranks(casts: Iterable[Cast], history: Sequence[Promotion]) -> dict[str, list[Target]]:
    """encoder id → what has to be known of it before `effects` can tell."""
    wanted: dict[str, list[Target]] = {}
    for cast in casts:
        for encoder_id in path_of(cast, history):
            wanted.setdefault(encoder_id, []).append((cast.question, cast.passage_id))
    return wanted


def effects(app: App, casts: Sequence[Cast], ranks: Ranks, judgments: Judgments | None) -> list[Effect]:
    """What each of *casts* did, in their order, by the *ranks* that were found; without *judgments* as if all counted."""
    history = app.registry.history()
    learnt_until = taught_until(app.current(), app.feedback)
    passages = app.library.get([cast.passage_id for cast in casts])
    settled = (
        {(normalised(one.question), one.passage_id): one.label for one in judgments.judgments} if judgments else {}
    )
    found = []
    for cast in casts:
        passage = passages.get(cast.passage_id)
        target = (cast.question, cast.passage_id)
        steps = tuple(Step(encoder_id, ranks.rank(encoder_id, target)) for encoder_id in path_of(cast, history))
        counts = judgments is None and passage is not None
        why = "" if counts else left_out_because(cast, judgments or NOBODYS, settled, is_there=passage is not None)
        effect = Effect(cast, passage, steps if passage else (), "left_out", why, split_of(cast.question) != "train")
        if not why:
            is_learnt = cast.event_id <= learnt_until
            outcome = outcome_of(effect.wanted, effect.before, effect.now) if is_learnt else "tonight"
            effect = replace(effect, outcome=outcome)
        found.append(effect)
    return found


NOBODYS = Judgments((), {})
WAITS = "waits"
OVERRULED = "overruled"
GONE = "passage no longer in the library"
CROWDED_OUT = "too much or too near"
"""Why a vote counts for nothing, beside the night's own reasons; "waits" is followed by why its person waits."""


def left_out_because(
    cast: Cast, judgments: Judgments, settled: Mapping[tuple[str, str], str], *, is_there: bool
) -> str:
    """Why the vote counts for nothing; empty where it counts. *settled* maps question, normalised, and passage to the label."""
    if not is_there:
        return GONE
    people = [judgments.people[user] for user in cast.users if user in judgments.people]
    if people and all(one.waits for one in people):
        return f"{WAITS}: {people[0].waits}"
    pair = normalised(cast.question), cast.passage_id
    if pair in settled:
        agrees = (settled[pair] == "positive") == (WANTED[cast.verdict] == "up")
        return "" if agrees else OVERRULED
    if WANTED[cast.verdict] == "down" and cast.passage_id in judgments.spared.get(pair[0], ()):
        return NOT_A_NEGATIVE
    return judgments.unsettled.get(pair, CROWDED_OUT)


def summed_up(found: Iterable[Effect]) -> dict[str, int]:
    """Outcome → how many votes; every outcome is there."""
    counts: Counter[Outcome] = Counter()
    for effect in found:
        counts[effect.outcome] += effect.cast.n_votes
    names: tuple[Outcome, ...] = ("moved", "first", "not_yet", "other_way", "tonight", "left_out", "untold")
    return {name: counts[name] for name in names}
