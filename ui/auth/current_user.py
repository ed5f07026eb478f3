"""Who a request is from, and what that person may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from rag.accounts.accounts import ROLES, Role
from rag.errors import ForbiddenError

LOCAL_USER = "local"
"""Who votes, as long as there are no accounts: whoever sits at this machine."""


@dataclass(frozen=True, slots=True)
class CurrentUser:
    """Somebody at the door."""

    name: str
    role: Role

    def may(self, role: Role) -> bool:
        """Whether this person has the role, or one above it."""
        return ROLES.index(self.role) >= ROLES.index(role)

    def require_role(self, role: Role) -> None:
        """Refuses what this person may not do.

        Raises:
            ForbiddenError: the role is above this person's.
        """
        if not self.may(role):
            raise ForbiddenError(
                f"{self.name!r} has the role {self.role}, and this takes the role {role}: ask an administrator for it"
            )


LOCAL_ADMINISTRATOR = CurrentUser(LOCAL_USER, "administrator")
"""Whoever sits at this machine, as long as nobody needs an account."""


class RequestWithState(Protocol):
    """A Starlette request, or Gradio's, which hands on what it does not have itself."""

    @property
    def state(self) -> Any: ...


def current_user(request: RequestWithState | None) -> CurrentUser:
    """The person that a request of a page or a program is from; the door (ui/auth/middleware.py) has looked that up.

    Raises:
        ForbiddenError: nobody looked. Gradio hands a request to a function or method that asks for it by its
            annotation, and to no `functools.partial`.
    """
    found = getattr(request.state, "person", None) if request is not None else None
    if not isinstance(found, CurrentUser):
        raise ForbiddenError("this request came past the door, so nobody knows who it is from: use the application")
    return found
