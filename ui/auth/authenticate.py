"""Who a request is from, by a proxy's header, a token or a browser session: the first that is there decides."""

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
    """An account, and how its owner signed in."""

    account: Account
    way: AuthMethod


@dataclass(frozen=True, slots=True, kw_only=True)
class Authenticator:
    """Looks up who each request is from: anew for each, so that a revoked token or a locked account ends at once."""

    accounts: Accounts
    credentials: CredentialStore
    proxies: TrustedProxies
    proxy_header: str
    """The header in which the proxies name the person; "" if they name nobody."""
    proxy_role: str
    """The role of people whom only the proxy knows; "none" refuses them."""

    def authenticate(self, scope: AsgiMessage) -> Authenticated | None:
        """Returns who the request is from; None if nobody is signed in, or the proof is not valid."""
        headers = Headers(scope=scope)
        if self.proxy_header and self.proxy_header in headers:
            return _by("proxy", self._by_proxy(headers.getlist(self.proxy_header), str(scope.get(PEER_KEY, ""))))
        scheme, _, secret = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return _by("token", self.credentials.token_owner(secret.strip()))
        secret = session_secret(scope)
        return _by("session", self.credentials.session_owner(secret)) if secret else None

    def _by_proxy(self, names: list[str], peer: str) -> Account | None:
        """Returns the account that the proxy names; None if there are two names, because a client may have sent one."""
        if len(names) != 1 or not self.proxies.contains(peer):
            return None
        account = self.accounts.find(names[0].strip())
        if account is None and self.proxy_role != "none":
            try:
                account = self.accounts.add(names[0], self.proxy_role)
            except UsageError:  # a name that is not allowed, or another request of this person was first
                account = self.accounts.find(names[0].strip())
        return account if account and not account.is_locked else None


def _by(way: AuthMethod, account: Account | None) -> Authenticated | None:
    return Authenticated(account, way) if account else None


# ---- cookies


def session_secret(scope: AsgiMessage) -> str:
    """Returns the secret in the browser's session cookie; "" if there is none."""
    return parse_cookies(scope).get(cookie_name("session", scope), "")


def parse_cookies(scope: AsgiMessage) -> dict[str, str]:
    """Returns all cookies of a request."""
    return cookie_parser("; ".join(Headers(scope=scope).getlist("cookie")))


def cookie_name(purpose: str, scope: AsgiMessage) -> str:
    """Returns a cookie's name; over https one that browsers accept from this very host only, and never over http."""
    return f"__Host-nightjar-{purpose}" if is_https(scope) else f"nightjar-{purpose}"


def is_https(scope: AsgiMessage) -> bool:
    """Whether the browser speaks https, with us or with the proxy in front."""
    return bool(scope["scheme"] == "https")
