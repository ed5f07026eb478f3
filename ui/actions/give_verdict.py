"""What a person says of a passage or an answer, as every door takes it: checked against what the turn showed."""

from __future__ import annotations

from rag.feedback.feedback_store import Feedback
from ui.actions.verdict_promises import PROMISES, PROMISES_AT_ONCE
from ui.auth.current_user import LOCAL


def standing_on(feedback: Feedback, turn_id: str, user: str = LOCAL) -> dict[str | None, str]:
    """What *user* says of a turn now: passage id, or None for the answer → verdict."""
    return {one.passage_id: one.verdict for one in feedback.standing(user, turn_id)}


def toggle(
    feedback: Feedback, turn_id: str, passage_id: str | None, verdict: str, user: str = LOCAL, comment: str = ""
) -> str | None:
    """Gives a verdict, or takes it back where it stands already; returns what stands now.

    Raises:
        NotFoundError: there is no such turn.
        UsageError: the verdict is unknown, or the passage was not shown.
    """
    if standing_on(feedback, turn_id, user).get(passage_id) == verdict:
        feedback.withdraw(user, turn_id, passage_id)
        return None
    feedback.give(user, turn_id, passage_id, verdict, comment)
    return verdict


def promise_of(verdict: str | None, *, at_once: bool) -> str:
    """What a verdict will do, in one sentence; nothing where none stands. *at_once*: votes count until tonight."""
    promises = PROMISES_AT_ONCE if at_once else PROMISES
    return promises[verdict] if verdict else ""
