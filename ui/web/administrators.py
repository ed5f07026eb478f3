"""What handlers of pages for administrators share: who asks is checked, and what goes wrong becomes a sentence."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from rag.errors import NightjarError
from ui.person import HasState, Person, person_of
from ui.web import texts_training as texts
from ui.web.render import escaped

log = logging.getLogger(__name__)

Updates = dict[Any, Any]


def for_administrators(request: HasState | None, status: Any, act: Callable[[Person], Updates]) -> Updates:
    """What *act* updates, which gets the administrator; else *status* says why nothing is done."""
    try:
        person = person_of(request)
        person.must("administrator")
        return act(person)
    except NightjarError as error:
        return {status: escaped(str(error))}
    except Exception:
        log.exception("the page of training failed")
        return {status: texts.FAILED}
