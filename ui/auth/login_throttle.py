"""Counts wrong passwords by name and by address: after some, the next try has to wait, longer each time."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from rag.errors import RateLimitError
from ui.middleware.rate_limit import format_wait

FIRST_WAIT_S, LONGEST_WAIT_S = 15.0, 900.0
FORGET_AFTER_S = 3600.0  # failures no longer count after this time
FAILURES_PER_NAME_FACTOR = 4
"""A name may have this many times the failures of an address, so that a stranger can't easily lock somebody out."""
MAX_TRACKED_KEYS = 20_000


@dataclass(frozen=True, slots=True)
class _Failures:
    n: int
    last: float


class LoginThrottle:
    """Makes the next try wait after too many failures. For one thread at a time: sign-ins are checked one by one."""

    def __init__(self, n_free_failures: int, clock: Callable[[], float] = time.monotonic) -> None:
        """*n_free_failures* is how many failures an address may have before it has to wait."""
        self._allowed = n_free_failures
        self._clock = clock
        self._of: OrderedDict[tuple[str, str], _Failures] = OrderedDict()

    def check(self, name: str, address: str) -> None:
        """Refuses a try that comes too early.

        Raises:
            RateLimitError: too many failures came from the address, or were made with the name.
        """
        again_s = max(self._wait_s(key) for key in _keys(name, address))
        if again_s > 0:
            raise RateLimitError(f"too many wrong passwords: try again in {format_wait(again_s)}", again_s)

    def record_failure(self, name: str, address: str) -> None:
        """Counts a wrong password."""
        for key in _keys(name, address):
            before = self._of.pop(key, None)
            n = before.n if before and self._clock() - before.last < FORGET_AFTER_S else 0
            self._of[key] = _Failures(n + 1, self._clock())
        while len(self._of) > MAX_TRACKED_KEYS:
            self._of.popitem(last=False)

    def record_success(self, name: str) -> None:
        """Forgets the failures of a name; those of the address stay, because an attacker may own an account too."""
        self._of.pop(("name", name), None)

    def _wait_s(self, key: tuple[str, str]) -> float:
        failures = self._of.get(key)
        allowed = self._allowed * (FAILURES_PER_NAME_FACTOR if key[0] == "name" else 1)
        if failures is None or failures.n < allowed:
            return 0.0
        wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(failures.n - allowed, 10))
        return wait_s - (self._clock() - failures.last)


def _keys(name: str, address: str) -> tuple[tuple[str, str], tuple[str, str]]:
    return ("name", name), ("address", client_network(address))


def client_network(address: str) -> str:
    """Returns the address, or for IPv6 the network of 64 bits that one subscriber has.

    >>> client_network("192.0.2.7"), client_network("2001:db8:1:2:3::9"), client_network("::ffff:192.0.2.7")
    ('192.0.2.7', '2001:db8:1:2::/64', '192.0.2.7')
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
