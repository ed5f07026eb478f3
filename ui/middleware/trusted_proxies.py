"""Headers that only a proxy in front may send: believed from the proxies that the settings name, else removed."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from starlette.datastructures import Headers

from rag.errors import SettingsError
from ui.middleware.security_headers import AsgiApp, AsgiMessage, AsgiReceive, AsgiSend

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
PEER_KEY = "nightjar.peer"
"""The key of the scope under which the address is that sent the request itself, whatever a proxy's headers say."""

_PROXY_HEADERS = frozenset({b"forwarded", b"x-real-ip", b"x-gradio-server"})


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """The proxies in front of this server."""

    networks: tuple[Network, ...]

    @classmethod
    def of(cls, written: tuple[str, ...]) -> TrustedProxies:
        """Reads them as the settings write them.

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
        """Whether this is the address of one of the proxies."""
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
        return any((mapped or parsed) in network for network in self.networks)


class TrustedProxyMiddleware:
    """An ASGI application around another one, which then sees the browser's address, scheme and host."""

    def __init__(self, app: AsgiApp, proxies: TrustedProxies, header: str = "") -> None:
        """*header* names the header in which the proxies say who somebody is; it is removed from other requests."""
        self._app = app
        self._proxies = proxies
        self._user_header = header.lower().encode("ascii")

    async def __call__(self, scope: AsgiMessage, receive: AsgiReceive, send: AsgiSend) -> None:
        """Passes everything on."""
        if scope["type"] in ("http", "websocket"):
            peer = client_address(scope)
            scope = {
                **(self._with_forwarded(scope) if self._proxies.contains(peer) else self._without(scope)),
                PEER_KEY: peer,
            }
        await self._app(scope, receive, send)

    def _without(self, scope: AsgiMessage) -> AsgiMessage:
        kept = [(name, value) for name, value in scope["headers"] if not self._is_proxy_header(name)]
        return {**scope, "headers": kept}

    def _is_proxy_header(self, name: bytes) -> bool:
        return (
            name.startswith(b"x-forwarded-")
            or name in _PROXY_HEADERS
            or (bool(self._user_header) and name == self._user_header)
        )

    def _with_forwarded(self, scope: AsgiMessage) -> AsgiMessage:
        headers = Headers(scope=scope)
        forwarded = {**scope, "client": (self._browser(headers, client_address(scope)), 0)}
        if (scheme := _last(headers, "x-forwarded-proto")) in ("http", "https"):
            forwarded["scheme"] = scheme
        if host := _last(headers, "x-forwarded-host"):
            others = [(name, value) for name, value in scope["headers"] if name != b"host"]
            forwarded["headers"] = [*others, (b"host", host.encode("latin-1"))]
        return forwarded

    def _browser(self, headers: Headers, peer: str) -> str:
        """Returns the last address that is not a proxy's: anybody could have written those before it."""
        for address in reversed(_all(headers, "x-forwarded-for")):
            if not self._proxies.contains(address):
                return address
        return peer


def client_address(scope: AsgiMessage) -> str:
    """Returns the address that a request comes from; "" if it is unknown."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def _all(headers: Headers, name: str) -> list[str]:
    return [address.strip() for line in headers.getlist(name) for address in line.split(",") if address.strip()]


def _last(headers: Headers, name: str) -> str:
    return next(reversed(_all(headers, name)), "")
