"""What a person says of a passage or an answer, as every door takes it: checked against what the turn showed."""

from __future__ import annotations

from rag.feedback.feedback_store import FeedbackStore
from ui.actions.verdict_promises import VERDICT_NOTICES, VERDICT_NOTICES_WITH_BOOST
from ui.auth.current_user import LOCAL_USER


def current_verdicts(feedback: FeedbackStore, turn_id: str, user: str = LOCAL_USER) -> dict[str | None, str]:
    """What *user* says of a turn now: passage id, or None for the answer → verdict."""
    return {verdict.passage_id: verdict.verdict for verdict in feedback.standing(user, turn_id)}


def toggle_verdict(
    feedback: FeedbackStore,
    turn_id: str,
    passage_id: str | None,
    verdict: str,
    user: str = LOCAL_USER,
    comment: str = "",
) -> str | None:
    """Gives a verdict, or takes it back where it is already; returns what counts now.

    Raises:
        NotFoundError: there is no such turn.
        UsageError: the verdict is unknown, or the passage was not shown.
    """
    if current_verdicts(feedback, turn_id, user).get(passage_id) == verdict:
        feedback.withdraw_verdict(user, turn_id, passage_id)
        return None
    feedback.record_verdict(user, turn_id, passage_id, verdict, comment)
    return verdict


def verdict_notice(verdict: str | None, *, boosts_immediately: bool) -> str:
    """What a verdict will do, in one sentence; nothing if none is. *boosts_immediately*: votes count until tonight."""
    promises = VERDICT_NOTICES_WITH_BOOST if boosts_immediately else VERDICT_NOTICES
    return promises[verdict] if verdict else ""
