"""Who a request is from: what a proxy says, a token, or the session of a browser, in this order; one way, then no other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from starlette.datastructures import Headers
from starlette.requests import cookie_parser

from rag.accounts.accounts import Account, Accounts
from rag.accounts.sessions_and_tokens import Credentials
from rag.errors import UsageError
from ui.middleware.security_headers import Message
from ui.middleware.trusted_proxies import PEER, Proxies

Way = Literal["proxy", "token", "session"]


@dataclass(frozen=True, slots=True)
class Identified:
    """Somebody, and how they came in."""

    account: Account
    way: Way


@dataclass(frozen=True, slots=True)
class Identify:
    """Looks people up for the door; every request anew, so that what is revoked or locked ends at once."""

    accounts: Accounts
    credentials: Credentials
    proxies: Proxies
    proxy_header: str
    """Where the proxies say who somebody is; "" where they don't."""
    proxy_role: str
    """Of those whom only the proxy knows; "none" refuses them."""

    def of(self, scope: Message) -> Identified | None:
        """Who it is; None where nobody is signed in, or what should prove it does not hold."""
        headers = Headers(scope=scope)
        if self.proxy_header and self.proxy_header in headers:
            return _by("proxy", self._by_proxy(headers.getlist(self.proxy_header), str(scope.get(PEER, ""))))
        scheme, _, secret = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return _by("token", self.credentials.by_token(secret.strip()))
        secret = session_secret(scope)
        return _by("session", self.credentials.by_session(secret)) if secret else None

    def _by_proxy(self, names: list[str], peer: str) -> Account | None:
        """Two names are one too many: somebody may have sent one along."""
        if len(names) != 1 or not self.proxies.holds(peer):
            return None
        found = self.accounts.find(names[0].strip())
        if found is None and self.proxy_role != "none":
            try:
                found = self.accounts.add(names[0], self.proxy_role)
            except UsageError:  # a name that we can't take, or another request of theirs was first
                found = self.accounts.find(names[0].strip())
        return found if found and not found.is_locked else None


def _by(way: Way, account: Account | None) -> Identified | None:
    return Identified(account, way) if account else None


# ---- cookies


def session_secret(scope: Message) -> str:
    """What the browser's session cookie holds; "" where it sends none."""
    return cookies_of(scope).get(cookie_name("session", scope), "")


def cookies_of(scope: Message) -> dict[str, str]:
    """All cookies of a request."""
    return cookie_parser("; ".join(Headers(scope=scope).getlist("cookie")))


def cookie_name(what: str, scope: Message) -> str:
    """A cookie's name; over https one that browsers take from this very host alone, and never over http."""
    return f"__Host-nightjar-{what}" if is_https(scope) else f"nightjar-{what}"


def is_https(scope: Message) -> bool:
    """Whether the browser speaks https with us, or with the proxy in front."""
    return bool(scope["scheme"] == "https")
