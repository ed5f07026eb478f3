"""Signing in and out: what happens between a name with a password and the cookie of a session."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import anyio
import anyio.to_thread
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from rag.accounts.accounts import Accounts, folded
from rag.accounts.sessions_and_tokens import Credentials
from rag.errors import TooFastError, UsageError
from ui.auth.account_pages import sign_in_page, sign_out_page
from ui.auth.authenticate import session_secret
from ui.auth.csrf_forms import (
    drop_cookie,
    fields_of,
    identified,
    is_our_form,
    set_cookie,
    wanted_page,
    with_form_cookie,
)
from ui.auth.login_throttle import Attempts
from ui.middleware.trusted_proxies import address_of
from ui.texts import accounts as texts

T = TypeVar("T")
MAX_WAITING = 50  # sign-ins in line; each takes a tenth of a second and 64 MiB, one after the other
N_THREADS = 8


class Desk:
    """Checks passwords and keeps sessions for the pages, off the loop that serves everybody."""

    def __init__(self, accounts: Accounts, credentials: Credentials, attempts: Attempts, session_hours: float) -> None:
        self.accounts = accounts
        self.credentials = credentials
        self._attempts = attempts
        self._hours = session_hours
        self._one = anyio.CapacityLimiter(1)
        self._threads = anyio.CapacityLimiter(N_THREADS)

    async def in_thread(self, do: Callable[[], T]) -> T:
        """Runs what asks the database."""
        return await anyio.to_thread.run_sync(do, limiter=self._threads)

    async def one_by_one(self, do: Callable[[], T]) -> T:
        """Runs what hashes a password.

        Raises:
            TooFastError: too many people wait for that.
        """
        if self._one.statistics().tasks_waiting >= MAX_WAITING:
            raise TooFastError(texts.BUSY, 5)
        return await anyio.to_thread.run_sync(do, limiter=self._one)

    async def check(self, name: str, password: str, address: str) -> str:
        """The name of who has this password; one after the other, so that nobody tries many at a time.

        Raises:
            TooFastError: there were too many wrong passwords, or too many people wait.
            UsageError: name and password do not belong together, or the account is locked.
        """
        return await self.one_by_one(partial(self._checked, name, password, address))

    def _checked(self, name: str, password: str, address: str) -> str:
        key = folded(name)
        self._attempts.check(key, address)
        account = self.accounts.by_password(name, password)
        if account is None:
            self._attempts.failed(key, address)
            raise UsageError(texts.WRONG)
        self._attempts.succeeded(key)
        if account.is_locked:  # said to those alone who know the password
            raise UsageError(texts.LOCKED)
        return account.name

    async def begin_session(self, request: Request, response: Response, name: str) -> Response:
        """The response with a new session's cookie; whatever session the browser held before has ended."""
        before = session_secret(request.scope)
        await self.in_thread(partial(self.credentials.end_session, before))
        secret = await self.in_thread(partial(self.credentials.begin_session, name, self._hours))
        set_cookie(request, response, "session", secret, samesite="lax", max_age=round(self._hours * 3600))
        return response


class SignIn:
    """The pages /sign-in and /sign-out."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def show(self, request: Request) -> Response:
        """The form; whoever is signed in already goes on."""
        wanted = wanted_page(request.query_params.get("next", ""))
        if identified(request):
            return RedirectResponse(f"./{wanted}", 303)
        told = texts.SIGNED_OUT if "out" in request.query_params else ""
        return with_form_cookie(request, lambda csrf: sign_in_page(csrf, wanted, told=told))

    async def sign_in(self, request: Request) -> Response:
        """Opens the page that was wanted, or says why not."""
        fields = await fields_of(request)
        wanted, name = wanted_page(fields.get("next", "")), fields.get("name", "").strip()[:100]

        def again(wrong: str, status: int) -> Response:
            return with_form_cookie(
                request, lambda csrf: sign_in_page(csrf, wanted, name=name, wrong=wrong, status=status)
            )

        if not is_our_form(request, fields):
            return again(texts.FORM_IS_OLD, 400)
        try:
            owner = await self._desk.check(name, fields.get("password", ""), address_of(request.scope))
        except TooFastError as error:
            refused = again(str(error), 429)
            refused.headers["retry-after"] = f"{max(1, round(error.again_s))}"
            return refused
        except UsageError as error:
            return again(str(error), 401)
        return await self._desk.begin_session(request, RedirectResponse(f"./{wanted}", 303), owner)

    async def sign_out(self, request: Request) -> Response:
        """Ends the session of this browser; at once only where the browser or the form says that we asked for it."""
        ours = request.headers.get("sec-fetch-site") == "same-origin"
        if request.method == "POST":
            ours = is_our_form(request, await fields_of(request))
        if not ours:
            return with_form_cookie(request, sign_out_page)
        await self._desk.in_thread(partial(self._desk.credentials.end_session, session_secret(request.scope)))
        gone = RedirectResponse("sign-in?out", 303)
        drop_cookie(request, gone, "session")
        return gone
