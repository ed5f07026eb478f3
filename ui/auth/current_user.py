"""Who a request is from, and what that person may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from rag.accounts.accounts import ROLES, Role
from rag.errors import ForbiddenError

LOCAL_USER = "local"
"""The name by which votes are kept if nobody needs an account: of whoever sits at this machine."""


@dataclass(frozen=True, slots=True)
class CurrentUser:
    """The person that a request is from."""

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
"""Whoever sits at this machine, if nobody needs an account."""


class RequestWithState(Protocol):
    """A Starlette request, or Gradio's, which passes attributes of Starlette's on."""

    @property
    def state(self) -> Any: ...


def current_user(request: RequestWithState | None) -> CurrentUser:
    """Returns the person that a request is from, whom AuthMiddleware has looked up.

    Raises:
        ForbiddenError: nobody was looked up. Gradio hands a request to a function or method that asks for it by its
            annotation, and to no `functools.partial`.
    """
    person = getattr(request.state, "person", None) if request is not None else None
    if not isinstance(person, CurrentUser):
        raise ForbiddenError(
            "this request did not pass the sign-in check, so nobody knows who it is from: use the application"
        )
    return person
