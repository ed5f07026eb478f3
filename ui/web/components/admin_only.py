"""What handlers of pages for administrators share: who asks is checked, and what goes wrong becomes a sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ui.auth.current_user import HasState, Person, person_of
from ui.texts import training as texts
from ui.web.components.handler_errors import Updates, attempt


def for_administrators(request: HasState | None, status: Any, act: Callable[[Person], Updates]) -> Updates:
    """What *act* updates, which gets the administrator; else *status* says why nothing is done."""

    def by_an_administrator() -> Updates:
        person = person_of(request)
        person.must("administrator")
        return act(person)

    return attempt(by_an_administrator, lambda why: {status: why}, what="the page of training", failed=texts.FAILED)
