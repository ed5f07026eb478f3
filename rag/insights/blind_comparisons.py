"""Two versions on one question: what each finds, and which one people found better without knowing which it was."""

from __future__ import annotations

import hmac
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from sqlalchemy import Engine, insert, or_, select

from rag.database.schema import read_connection
from rag.database.user_tables import comparisons
from rag.errors import UsageError
from rag.feedback.feedback_store import FeedbackStore
from rag.parsing.formats.blocks import replace_unstorable
from rag.records import Hit, utc_now

PreferredSide = Literal["left", "right", "equal"]
PREFERRED_SIDES: tuple[str, ...] = get_args(PreferredSide)


@dataclass(frozen=True, slots=True)
class MovedHit:
    """A hit of one of two rankings."""

    hit: Hit
    before: int | None
    """Its rank in the other ranking; None if that one does not show it."""

    @property
    def n_ranks_up(self) -> int:
        """Ranks that it came up by; below 0 if it went down. 0 if it stayed, or was not there."""
        return self.before - self.hit.rank if self.before else 0


def rank_moves(hits: Sequence[Hit], other: Sequence[Hit]) -> list[MovedHit]:
    """Each of *hits* with its rank among the *other* ones."""
    rank = {hit.passage.passage_id: hit.rank for hit in other}
    return [MovedHit(hit, rank.get(hit.passage.passage_id)) for hit in hits]


def are_same_ranking(hits: Sequence[Hit], others: Sequence[Hit]) -> bool:
    """Whether both show the same passages in the same order: then nobody can prefer one."""
    return [hit.passage.passage_id for hit in hits] == [hit.passage.passage_id for hit in others]


@dataclass(frozen=True, slots=True)
class BlindComparison:
    """A comparison that somebody is asked for. Who is shown it does not learn which version is on which side."""

    comparison_id: str
    question: str
    left_id: str
    right_id: str

    def encoder_id(self, side: PreferredSide) -> str | None:
        """The version on a side; None for "equal"."""
        return {"left": self.left_id, "right": self.right_id}.get(side)


@dataclass(frozen=True, slots=True)
class PreferenceCounts:
    """How often people found the one or the other of two versions better."""

    n_first: int
    n_second: int
    n_equal: int


class BlindComparisons:
    """The comparisons in SQL. Of one person on one question and two versions the latest word counts."""

    def __init__(self, engine: Engine, feedback: FeedbackStore) -> None:
        self.engine = engine
        self._feedback = feedback

    def begin(self, question: str, first_id: str, second_id: str) -> BlindComparison:
        """A new comparison of two versions, on sides that chance decides.

        Raises:
            UsageError: it is the same version twice.
        """
        return self.resume(uuid.uuid4().hex, question, first_id, second_id)

    def resume(self, comparison_id: str, question: str, first_id: str, second_id: str) -> BlindComparison:
        """The comparison of this id, with the sides that it had: nothing has to be remembered between two requests.

        The sides follow from the id by a key that only this database holds.
        """
        if first_id == second_id:
            raise UsageError(f"version {first_id!r} is compared with itself: name two versions")
        pair = sorted((first_id, second_id))
        if int(self._feedback.token(f"sides of {comparison_id}")[:8], 16) % 2:
            pair.reverse()
        return BlindComparison(comparison_id, question, *pair)

    def token(self, blind: BlindComparison, user: str) -> str:
        """The signed proof that *user* was asked for this comparison."""
        asked = "\n".join((blind.comparison_id, user, blind.left_id, blind.right_id, blind.question))
        return self._feedback.token(f"comparison\n{asked}")

    def check_token(self, blind: BlindComparison, user: str, token: str) -> None:
        """Raises:
        UsageError: the token is not the one that came with the two rankings.
        """
        if not hmac.compare_digest(self.token(blind, user).encode(), token.encode("utf-8", "backslashreplace")):
            raise UsageError(
                "the token does not belong to this comparison: send the one that came with the rankings, "
                "with the same question and versions"
            )

    def record(self, blind: BlindComparison, user: str, better: str) -> None:
        """Keeps which side *user* found better; said twice of one comparison, the first word stays.

        Raises:
            UsageError: *better* is none of the sides.
        """
        if better not in PREFERRED_SIDES:
            raise UsageError(f"{better!r} is no side: say one of {', '.join(PREFERRED_SIDES)}")
        row = {
            "comparison_id": blind.comparison_id,
            "user": user,
            "question": replace_unstorable(blind.question),
            "left_id": blind.left_id,
            "right_id": blind.right_id,
            "better": better,
            "compared_at": utc_now().isoformat(),
        }
        there = select(comparisons.c.comparison_id).where(comparisons.c.comparison_id == blind.comparison_id)
        with self.engine.begin() as connection:
            if connection.scalar(there) is None:
                connection.execute(insert(comparisons), row)

    def preferred(self, first_id: str, second_id: str) -> PreferenceCounts:
        """What everybody's standing comparisons of the two say."""
        c = comparisons.c
        of_both = or_(
            (c.left_id == first_id) & (c.right_id == second_id), (c.left_id == second_id) & (c.right_id == first_id)
        )
        query = select(c.user, c.question, c.left_id, c.right_id, c.better).where(of_both).order_by(c.compared_at)
        with read_connection(self.engine) as connection:
            standing = {
                (row.user, row.question): {"left": row.left_id, "right": row.right_id}.get(row.better)
                for row in connection.execute(query)
            }
        chosen = list(standing.values())
        return PreferenceCounts(chosen.count(first_id), chosen.count(second_id), chosen.count(None))
