"""The day's memory: verdicts that no current version has learned from yet move their passages for near questions.

A pin lifts its passage, a rejection puts it lower, for questions close to the judged one, from the moment it is given
until a version that has seen it is promoted. It is a stopgap by design: remembered passages crowd out the rest, so a
vote reaches hardly further than the same question in other words.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine, func, select

from rag.arrays import FloatArray
from rag.database.schema import read_connection, turns, verdict_events
from rag.embedding.protocols import VersionQueryEncoder
from rag.embedding.query_vectors import get_query_vectors, load_query_vectors
from rag.feedback.feedback_store import FeedbackStore
from rag.versions.registry import Version

LEARNED_VERDICTS_KEY = "verdicts_until"
"""In a version's note: the number of the last verdict event that its night had read."""

# Strength at closeness 1, in units of the fused score (cosine + weight · BM25, about 0 to 1.25), and the cosine of two
# questions at which closeness begins. With the pins of all 1,664 training questions of feedbackqa-uk remembered, dev
# nDCG@10 moves by +0.3 points from .90 (unseen 0.0), +0.1 from .85 (unseen -0.6), -0.3 from .70 (unseen -4.9). Even at
# a cosine of .90 to .95 only four in ten pairs of questions name the same passage, and a rejection says still less of
# the neighbours: from .90 it costs them 0.2 points, from .95 nothing on dev.
BOOST_RULES: Mapping[str, tuple[float, float]] = {
    "pin": (1.0, 0.90),
    "helpful": (0.5, 0.90),
    "not_relevant": (-0.5, 0.95),
}
"""verdict → (strength, threshold); the other verdicts move nothing."""

SAME_QUESTION_COSINE = (
    1 - 1e-6
)  # from here a question is asked again: float32 leaves its cosine with itself a few 1e-7 away from 1
MIN_BOOST_COSINE = min(threshold for _, threshold in BOOST_RULES.values())
MAX_VOTES_PER_USER = 500  # the latest votes of one person that are remembered
MAX_PENDING_VOTES = 5000  # votes remembered altogether: one product of 5,000 × 384 takes half a millisecond
MAX_ENCODED_PER_SEARCH = (
    16  # judged questions that one search encodes itself, 25 ms each; the others wait for `catch_up`
)
MAX_ENCODED_PER_CATCH_UP = (
    128  # that one `catch_up` encodes: its thread also takes in promotions, which nobody should wait for
)


@dataclass(frozen=True, slots=True)
class PendingVote:
    """A standing verdict that counts until tonight."""

    user: str
    question: str
    passage_id: str
    verdict: str
    """A key of RULES."""


def feedback_boost(verdict: str, cosine: float) -> float:
    """What a verdict adds to its passage's fused score, given the cosine of the judged question and the new one.

    Strength · closeness; closeness rises in a straight line from 0 at the threshold to 1 at a cosine of 1.

    >>> [round(feedback_boost("pin", cosine), 3) for cosine in (0.9999999, 0.95, 0.9)], feedback_boost("not_relevant", 0.9)
    ([1.0, 0.5, 0.0], 0.0)
    """
    strength, threshold = BOOST_RULES[verdict]
    cosine = 1.0 if cosine > SAME_QUESTION_COSINE else cosine
    closeness = (cosine - threshold) / (1 - threshold)
    return strength * closeness if closeness > 0 else 0.0


def feedback_boosts(
    near: Iterable[tuple[PendingVote, float]], user: str, trusted: Collection[str], quarantined: Collection[str] = ()
) -> dict[str, float]:
    """passage id → what today's votes add to its score when *user* asks.

    *near* holds votes with the cosine of their question and the new one, oldest first. Of several votes of one person
    on one passage the one for the closest question counts, of equally close ones the latest. The asking person's own
    vote decides alone; without one, the others' do if they are `agreed`, but for those who are *quarantined*.

    >>> vote = PendingVote("ann", "q", "p", "pin")
    >>> feedback_boosts([(vote, 1.0)], "ann", trusted=()), feedback_boosts([(vote, 1.0)], "bob", trusted=())
    ({'p': 1.0}, {})
    """
    said: dict[str, dict[str, tuple[float, float]]] = defaultdict(dict)  # passage → person → (cosine, lift)
    for vote, cosine in near:
        amount = feedback_boost(vote.verdict, cosine)
        if amount and cosine >= said[vote.passage_id].get(vote.user, (-1.0, 0.0))[0]:
            said[vote.passage_id][vote.user] = cosine, amount
    found = {}
    for passage_id, people in said.items():
        others = {person: amount for person, (_, amount) in people.items() if person not in quarantined}
        found[passage_id] = people[user][1] if user in people else combine_votes(others, trusted)
    return {passage_id: amount for passage_id, amount in found.items() if amount}


def combine_votes(amounts: Mapping[str, float], trusted: Collection[str]) -> float:
    """What a passage gets from the votes of people other than the one who asks; *amounts* maps a person to a lift.

    The more numerous side counts, and only if two people are on it, or one who is trusted: the rule by which a
    night believes a rejection. So nobody can bury a passage for all the others alone.

    >>> combine_votes({"ann": -0.5}, ()), combine_votes({"ann": -0.5}, ("ann",)), combine_votes({"ann": -0.5, "bob": -0.3}, ())
    (0.0, -0.5, -0.3)
    >>> combine_votes({"ann": -0.5, "bob": 1.0}, ("ann",))
    0.0
    """
    up = {person: amount for person, amount in amounts.items() if amount > 0}
    down = {person: amount for person, amount in amounts.items() if amount < 0}
    if len(up) == len(down):
        return 0.0
    side = up if len(up) > len(down) else down
    second = sorted(side.values(), key=abs, reverse=True)[1:2]  # at least so much, say two of them
    return max([*second, *(amount for person, amount in side.items() if person in trusted)], key=abs, default=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingVotes:
    """The votes remembered, as they were after one event. Immutable: threads read it without a lock."""

    event_id: int = -1
    votes: tuple[PendingVote, ...] = ()
    """Those whose question is encoded, oldest first."""
    rows: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, np.intp))
    """`(n_votes,)`, the row of each vote's question in `matrix`."""
    questions: tuple[str, ...] = ()
    matrix: FloatArray = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    """`(n_questions, dim)`, rows of unit length; one row a question, for equal questions must be equally close."""
    n_waiting: int = 0
    """Judged questions that are not encoded yet."""

    def votes_near(self, query_vector: FloatArray) -> list[tuple[PendingVote, float]]:
        """The votes on questions near *query_vector*, `(dim,)` of unit length, with the cosines, oldest first."""
        if not self.votes:
            return []
        cosines = (self.matrix @ query_vector)[self.rows]
        return [(self.votes[index], float(cosines[index])) for index in np.flatnonzero(cosines > MIN_BOOST_COSINE)]


class SameDayFeedback:
    """What today's votes do to one version's searches. Threads may share it.

    Every search looks whether a vote was given, changed, taken back or deleted since the last one; then the votes are
    read again and the few new questions encoded, at once. If *catches_up* is said, somebody calls `catch_up` in the
    background: then no search waits for a database that another process is writing to.
    """

    def __init__(
        self,
        feedback: FeedbackStore,
        encoder: VersionQueryEncoder,
        *,
        after: int,
        trusted: Collection[str] = (),
        quarantined: Collection[str] = (),
        catches_up: bool = False,
    ) -> None:
        self._feedback = feedback
        self._encoder = encoder
        self._after = after
        self._trusted = frozenset(trusted)
        self._quarantined = frozenset(quarantined)
        self._catches_up = catches_up
        self._day = PendingVotes()
        self._swapping = threading.Lock()

    def lifts(self, query_vector: FloatArray, user: str) -> dict[str, float]:
        """passage id → what to add to its fused score when *user* asks a question with the vector *query_vector*, `(dim,)`."""
        day = self._day
        latest = self._feedback.latest_event_id()
        if day.event_id != latest:
            day = self._take(self._read(day, latest, MAX_ENCODED_PER_SEARCH, keep=not self._catches_up))
        return feedback_boosts(day.votes_near(query_vector), user, self._trusted, self._quarantined)

    def catch_up(self) -> None:
        """Reads what changed and encodes some judged questions that wait; for a thread that calls it again and again."""
        day = self._day
        latest = self._feedback.latest_event_id()
        if day.event_id != latest or day.n_waiting:
            self._take(self._read(day, latest, MAX_ENCODED_PER_CATCH_UP, keep=True))

    def _take(self, day: PendingVotes) -> PendingVotes:
        """Makes *day* what searches read, unless another thread has read further meanwhile."""
        with self._swapping:
            if (day.event_id, -day.n_waiting) >= (self._day.event_id, -self._day.n_waiting):
                self._day = day
        return day

    def _read(self, before: PendingVotes, event_id: int, n_encoded: int, *, keep: bool) -> PendingVotes:
        """The votes as they stand; up to *n_encoded* new questions are encoded, and kept in SQL if *keep* is said."""
        votes = load_pending_votes(self._feedback.engine, self._after)
        latest_first = list(dict.fromkeys(vote.question for vote in reversed(votes)))
        known = dict(zip(before.questions, before.matrix, strict=True))
        vectors = {question: known[question] for question in latest_first if question in known}
        unread = [question for question in latest_first if question not in vectors]
        vectors |= load_query_vectors(self._feedback.engine, self._encoder.encoder_id, unread)
        fresh = [question for question in unread if question not in vectors]
        some = fresh[:n_encoded]
        if some and keep:
            vectors |= zip(some, get_query_vectors(self._feedback.engine, self._encoder, some), strict=True)
        elif some:
            vectors |= zip(some, self._encoder.encode_queries(some), strict=True)
        return _day(event_id, votes, vectors, len(fresh) - len(some))


def _day(
    event_id: int, votes: Sequence[PendingVote], vectors: Mapping[str, FloatArray], n_waiting: int
) -> PendingVotes:
    if not vectors:
        return PendingVotes(event_id=event_id, n_waiting=n_waiting)
    encoded = tuple(vote for vote in votes if vote.question in vectors)
    row = {question: index for index, question in enumerate(vectors)}
    rows = np.array([row[vote.question] for vote in encoded], np.intp)
    return PendingVotes(
        event_id=event_id,
        votes=encoded,
        rows=rows,
        questions=tuple(vectors),
        matrix=np.stack(list(vectors.values())),
        n_waiting=n_waiting,
    )


def last_learned_event(version: Version, feedback: FeedbackStore) -> int:
    """The last verdict event that *version* may have learned from; 0 for a base, which has learned from nobody.

    A version whose note does not say it has seen what was given before it was made.
    """
    if version.tier == 0:
        return 0
    noted = version.note.get(LEARNED_VERDICTS_KEY)
    return int(noted) if noted is not None else feedback.latest_event_id(before=version.created_at)


def load_pending_votes(engine: Engine, after: int) -> list[PendingVote]:
    """The standing verdicts of events later than *after* that move a passage, oldest first.

    Of one person at most the latest PER_PERSON, of all people the latest AT_MOST.
    """
    event = verdict_events.c
    latest = select(func.max(event.event_id)).where(event.event_id > after)
    latest = latest.group_by(event.user, event.turn_id, event.passage_id)
    place = func.row_number().over(partition_by=event.user, order_by=event.event_id.desc()).label("place")
    standing = select(event.event_id, event.user, event.turn_id, event.passage_id, event.verdict, place)
    ranked = standing.where(event.event_id.in_(latest), event.verdict.in_(list(BOOST_RULES))).subquery()
    query = (
        select(ranked.c.user, turns.c.question, ranked.c.passage_id, ranked.c.verdict)
        .join(turns, turns.c.turn_id == ranked.c.turn_id)
        .where(ranked.c.place <= MAX_VOTES_PER_USER)
        .order_by(ranked.c.event_id.desc())
        .limit(MAX_PENDING_VOTES)
    )
    with read_connection(engine) as connection:
        return [PendingVote(*row) for row in connection.execute(query)][::-1]
