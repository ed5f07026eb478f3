"""Authentication as the settings want it: whether people have to sign in, and what checks that."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager

from rag.accounts.accounts import Accounts
from rag.accounts.sessions_and_tokens import CredentialStore
from rag.database.schema import open_database
from rag.errors import UsageError
from rag.settings import Settings
from ui.auth.authenticate import Authenticator
from ui.auth.login_throttle import LoginThrottle
from ui.auth.middleware import AuthMiddleware, AuthStack
from ui.auth.own_account import create_auth_pages
from ui.auth.sign_in import SignInService
from ui.middleware.rate_limit import RateLimiter
from ui.middleware.security_headers import LOOPBACK_HOSTS, AsgiApp, SecurityMiddleware
from ui.middleware.trusted_proxies import TrustedProxies, TrustedProxyMiddleware


def must_sign_in(settings: Settings) -> bool:
    """Whether nobody may come in without signing in."""
    required = settings.accounts.required
    if required == "auto":
        return not is_loopback(settings.server.host) or bool(settings.accounts.proxy_header)
    return required == "always"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the host.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0"), is_loopback("example.org")
    (True, True, False, False)
    """
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def served_host_names(settings: Settings) -> frozenset[str] | None:
    """Returns the host names that requests may name, or None if any name is served.

    On a loopback address only this machine's own names and `server.hosts` are served, with or without accounts: a page
    of another site whose name was bound to 127.0.0.1 (DNS rebinding) would otherwise act as whoever sits here.
    """
    hosts = frozenset(name.lower() for name in settings.server.hosts)
    return LOOPBACK_HOSTS | hosts if hosts or is_loopback(settings.server.host) else None


@contextmanager
def open_auth_stack(settings: Settings) -> Iterator[AuthStack | None]:
    """Opens what AuthMiddleware needs, with its own database connections; None if nobody has to sign in.

    Raises:
        SettingsError: `accounts.proxies` can't be read.
        UsageError: there is no administrator yet, or a proxy's header is set and no proxy is named.
    """
    chosen = settings.accounts
    proxies = TrustedProxies.of(chosen.proxies)
    if not must_sign_in(settings):
        yield None
        return
    if chosen.proxy_header and not chosen.proxies:
        raise UsageError(
            "accounts.proxy_header is set, but accounts.proxies names no proxy whose header would be "
            "believed: add the proxy's address there"
        )
    engine = open_database(settings.database_url)
    try:
        accounts, credentials = Accounts(engine), CredentialStore(engine)
        if not accounts.has_administrator() and chosen.proxy_role != "administrator":
            raise UsageError(_no_administrator_message(settings.server.host))
        identify = Authenticator(
            accounts=accounts,
            credentials=credentials,
            proxies=proxies,
            proxy_header=chosen.proxy_header.lower(),
            proxy_role=chosen.proxy_role,
        )
        service = SignInService(accounts, credentials, LoginThrottle(chosen.attempts), chosen.session_hours)
        yield AuthStack(
            identify, create_auth_pages(service), RateLimiter("requests", settings.limits.requests_per_minute)
        )
    finally:
        engine.dispose()


def wrap_in_middleware(settings: Settings, auth_stack: AuthStack | None, app: AsgiApp, max_upload: int) -> AsgiApp:
    """Wraps *app* in what every request passes first: proxy headers, then security checks, then authentication."""
    chosen, proxies = settings.accounts, TrustedProxies.of(settings.accounts.proxies)
    guarded = SecurityMiddleware(AuthMiddleware(app, auth_stack), served_host_names(settings), max_upload)
    return TrustedProxyMiddleware(guarded, proxies, chosen.proxy_header) if auth_stack or chosen.proxies else guarded


def _no_administrator_message(host: str) -> str:
    why = "accounts.required asks for it" if is_loopback(host) else f"host {host!r} can be reached from other machines"
    return (
        f"people have to sign in ({why}), but there is no administrator yet: make one with "
        '"nightjar accounts add NAME --role administrator". Or use 127.0.0.1, or --no-accounts if something in '
        "front lets only the right people in (inside a container, say)"
    )
