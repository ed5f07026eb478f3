"""Headers that only a proxy in front may send: believed where they come from one that the settings name, else removed."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from starlette.datastructures import Headers

from rag.errors import SettingsError
from ui.middleware.security_headers import AsgiApp, AsgiMessage, AsgiReceive, AsgiSend

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
PEER_KEY = "nightjar.peer"
"""Where the scope keeps the address that a request really came from, before a proxy's word was taken for it."""

_OTHERS = frozenset({b"forwarded", b"x-real-ip", b"x-gradio-server"})


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """Who is in front."""

    networks: tuple[Network, ...]

    @classmethod
    def of(cls, written: tuple[str, ...]) -> TrustedProxies:
        """As the settings write them.

        >>> TrustedProxies.of(("10.0.0.5", "172.16.0.0/12")).contains("172.20.1.1")
        True

        Raises:
            SettingsError: one of them is neither an address nor a network.
        """
        try:
            return cls(tuple(ipaddress.ip_network(network) for network in written))
        except ValueError as error:
            raise SettingsError(
                f"setting 'accounts.proxies' is refused ({error}): write addresses such as 10.0.0.5, "
                "or networks such as 172.16.0.0/12"
            ) from error

    def contains(self, address: str) -> bool:
        """Whether this is the address of one of them."""
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
        return any((mapped or parsed) in network for network in self.networks)


class TrustedProxyMiddleware:
    """An ASGI application around another one, which then sees the browser's address, scheme and host."""

    def __init__(self, app: AsgiApp, proxies: TrustedProxies, header: str = "") -> None:
        """*header* is in which the proxies say who somebody is; from others it is removed."""
        self._app = app
        self._proxies = proxies
        self._own = header.lower().encode("ascii")

    async def __call__(self, scope: AsgiMessage, receive: AsgiReceive, send: AsgiSend) -> None:
        """Passes everything on."""
        if scope["type"] in ("http", "websocket"):
            peer = client_address(scope)
            scope = {**(self._as_told(scope) if self._proxies.contains(peer) else self._without(scope)), PEER_KEY: peer}
        await self._app(scope, receive, send)

    def _without(self, scope: AsgiMessage) -> AsgiMessage:
        kept = [(name, value) for name, value in scope["headers"] if not self._is_a_proxys(name)]
        return {**scope, "headers": kept}

    def _is_a_proxys(self, name: bytes) -> bool:
        return name.startswith(b"x-forwarded-") or name in _OTHERS or (bool(self._own) and name == self._own)

    def _as_told(self, scope: AsgiMessage) -> AsgiMessage:
        headers = Headers(scope=scope)
        told = {**scope, "client": (self._browser(headers, client_address(scope)), 0)}
        if (scheme := _last(headers, "x-forwarded-proto")) in ("http", "https"):
            told["scheme"] = scheme
        if host := _last(headers, "x-forwarded-host"):
            others = [(name, value) for name, value in scope["headers"] if name != b"host"]
            told["headers"] = [*others, (b"host", host.encode("latin-1"))]
        return told

    def _browser(self, headers: Headers, peer: str) -> str:
        """The last address that is none of the proxies': what is before it, anybody could have written."""
        for address in reversed(_all(headers, "x-forwarded-for")):
            if not self._proxies.contains(address):
                return address
        return peer


def client_address(scope: AsgiMessage) -> str:
    """Where a request comes from; "" where nobody knows."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def _all(headers: Headers, name: str) -> list[str]:
    return [address.strip() for line in headers.getlist(name) for address in line.split(",") if address.strip()]


def _last(headers: Headers, name: str) -> str:
    return next(reversed(_all(headers, name)), "")
