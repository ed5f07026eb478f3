"""What handlers of pages for administrators share: who asks is checked, and what goes wrong becomes a sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ui.auth.current_user import CurrentUser, RequestWithState, current_user
from ui.texts import training as texts
from ui.web.components.handler_errors import Updates, run_handler


def guarded_for_administrator(
    request: RequestWithState | None, status: Any, act: Callable[[CurrentUser], Updates]
) -> Updates:
    """What *act* updates, which gets the administrator; else *status* says why nothing is done."""

    def by_an_administrator() -> Updates:
        person = current_user(request)
        person.require_role("administrator")
        return act(person)

    return run_handler(by_an_administrator, lambda why: {status: why}, what="the page of training", failed=texts.FAILED)
