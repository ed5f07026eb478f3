"""Who a request is from: what a proxy says, a token, or the session of a browser, in this order; one way, then no other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from starlette.datastructures import Headers
from starlette.requests import cookie_parser

from rag.accounts.accounts import Account, Accounts
from rag.accounts.sessions_and_tokens import CredentialStore
from rag.errors import UsageError
from ui.middleware.security_headers import AsgiMessage
from ui.middleware.trusted_proxies import PEER_KEY, TrustedProxies

AuthMethod = Literal["proxy", "token", "session"]


@dataclass(frozen=True, slots=True)
class Authenticated:
    """Somebody, and how they came in."""

    account: Account
    way: AuthMethod


@dataclass(frozen=True, slots=True, kw_only=True)
class Authenticator:
    """Looks people up for the door; every request again, so that what is revoked or locked ends at once."""

    accounts: Accounts
    credentials: CredentialStore
    proxies: TrustedProxies
    proxy_header: str
    """Where the proxies say who somebody is; "" where they don't."""
    proxy_role: str
    """Of those whom only the proxy knows; "none" refuses them."""

    def of(self, scope: AsgiMessage) -> Authenticated | None:
        """Who it is; None if nobody is signed in, or what should prove it does not hold."""
        headers = Headers(scope=scope)
        if self.proxy_header and self.proxy_header in headers:
            return _by("proxy", self._by_proxy(headers.getlist(self.proxy_header), str(scope.get(PEER_KEY, ""))))
        scheme, _, secret = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return _by("token", self.credentials.token_owner(secret.strip()))
        secret = session_secret(scope)
        return _by("session", self.credentials.session_owner(secret)) if secret else None

    def _by_proxy(self, names: list[str], peer: str) -> Account | None:
        """Two names are one too many: somebody may have sent one along."""
        if len(names) != 1 or not self.proxies.contains(peer):
            return None
        found = self.accounts.find(names[0].strip())
        if found is None and self.proxy_role != "none":
            try:
                found = self.accounts.add(names[0], self.proxy_role)
            except UsageError:  # a name that we can't take, or another request of theirs was first
                found = self.accounts.find(names[0].strip())
        return found if found and not found.is_locked else None


def _by(way: AuthMethod, account: Account | None) -> Authenticated | None:
    return Authenticated(account, way) if account else None


# ---- cookies


def session_secret(scope: AsgiMessage) -> str:
    """What the browser's session cookie holds; "" where it sends none."""
    return parse_cookies(scope).get(cookie_name("session", scope), "")


def parse_cookies(scope: AsgiMessage) -> dict[str, str]:
    """All cookies of a request."""
    return cookie_parser("; ".join(Headers(scope=scope).getlist("cookie")))


def cookie_name(purpose: str, scope: AsgiMessage) -> str:
    """A cookie's name; over https one that browsers take from this very host alone, and never over http."""
    return f"__Host-nightjar-{purpose}" if is_https(scope) else f"nightjar-{purpose}"


def is_https(scope: AsgiMessage) -> bool:
    """Whether the browser speaks https with us, or with the proxy in front."""
    return bool(scope["scheme"] == "https")
