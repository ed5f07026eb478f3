"""Signing in and out: what happens between a name with a password and the cookie of a session."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import anyio
import anyio.to_thread
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from rag.accounts.accounts import Accounts, normalise_name
from rag.accounts.sessions_and_tokens import CredentialStore
from rag.errors import RateLimitError, UsageError
from ui.auth.account_pages import sign_in_page, sign_out_page
from ui.auth.authenticate import session_secret
from ui.auth.csrf_forms import (
    delete_cookie,
    get_authenticated,
    has_valid_csrf_token,
    read_form_fields,
    respond_with_csrf_cookie,
    safe_next_page,
    set_cookie,
)
from ui.auth.login_throttle import LoginThrottle
from ui.middleware.trusted_proxies import client_address
from ui.texts import accounts as texts

T = TypeVar("T")
MAX_QUEUED_SIGN_INS = 50  # sign-ins in line; each takes a tenth of a second and 64 MiB, one after the other
MAX_THREADS = 8


class SignInService:
    """Checks passwords and keeps sessions for the pages, off the loop that serves everybody."""

    def __init__(
        self, accounts: Accounts, credentials: CredentialStore, attempts: LoginThrottle, session_hours: float
    ) -> None:
        self.accounts = accounts
        self.credentials = credentials
        self._attempts = attempts
        self._hours = session_hours
        self._one = anyio.CapacityLimiter(1)
        self._threads = anyio.CapacityLimiter(MAX_THREADS)

    async def run_in_thread(self, do: Callable[[], T]) -> T:
        """Runs what asks the database."""
        return await anyio.to_thread.run_sync(do, limiter=self._threads)

    async def run_serially(self, do: Callable[[], T]) -> T:
        """Runs what hashes a password.

        Raises:
            TooFastError: too many people wait for that.
        """
        if self._one.statistics().tasks_waiting >= MAX_QUEUED_SIGN_INS:
            raise RateLimitError(texts.BUSY, 5)
        return await anyio.to_thread.run_sync(do, limiter=self._one)

    async def check(self, name: str, password: str, address: str) -> str:
        """The name of who has this password; one after the other, so that nobody tries many at a time.

        Raises:
            TooFastError: there were too many wrong passwords, or too many people wait.
            UsageError: name and password do not belong together, or the account is locked.
        """
        return await self.run_serially(partial(self._checked, name, password, address))

    def _checked(self, name: str, password: str, address: str) -> str:
        key = normalise_name(name)
        self._attempts.check(key, address)
        account = self.accounts.authenticate(name, password)
        if account is None:
            self._attempts.failed(key, address)
            raise UsageError(texts.WRONG)
        self._attempts.record_success(key)
        if account.is_locked:  # said to those alone who know the password
            raise UsageError(texts.LOCKED)
        return account.name

    async def begin_session(self, request: Request, response: Response, name: str) -> Response:
        """The response with a new session's cookie; whatever session the browser held before has ended."""
        before = session_secret(request.scope)
        await self.run_in_thread(partial(self.credentials.end_session, before))
        secret = await self.run_in_thread(partial(self.credentials.begin_session, name, self._hours))
        set_cookie(request, response, "session", secret, samesite="lax", max_age=round(self._hours * 3600))
        return response


class SignInPages:
    """The pages /sign-in and /sign-out."""

    def __init__(self, desk: SignInService) -> None:
        self._desk = desk

    async def show(self, request: Request) -> Response:
        """The form; whoever is signed in already goes on."""
        wanted = safe_next_page(request.query_params.get("next", ""))
        if get_authenticated(request):
            return RedirectResponse(f"./{wanted}", 303)
        told = texts.SIGNED_OUT if "out" in request.query_params else ""
        return respond_with_csrf_cookie(request, lambda csrf: sign_in_page(csrf, wanted, notice=told))

    async def sign_in(self, request: Request) -> Response:
        """Opens the page that was wanted, or says why not."""
        fields = await read_form_fields(request)
        wanted, name = safe_next_page(fields.get("next", "")), fields.get("name", "").strip()[:100]

        def again(wrong: str, status: int) -> Response:
            return respond_with_csrf_cookie(
                request, lambda csrf: sign_in_page(csrf, wanted, name=name, error=wrong, status=status)
            )

        if not has_valid_csrf_token(request, fields):
            return again(texts.FORM_IS_OLD, 400)
        try:
            owner = await self._desk.check(name, fields.get("password", ""), client_address(request.scope))
        except RateLimitError as error:
            refused = again(str(error), 429)
            refused.headers["retry-after"] = f"{max(1, round(error.again_s))}"
            return refused
        except UsageError as error:
            return again(str(error), 401)
        return await self._desk.begin_session(request, RedirectResponse(f"./{wanted}", 303), owner)

    async def sign_out(self, request: Request) -> Response:
        """Ends the session of this browser; at once only if the browser or the form says that we asked for it."""
        ours = request.headers.get("sec-fetch-site") == "same-origin"
        if request.method == "POST":
            ours = has_valid_csrf_token(request, await read_form_fields(request))
        if not ours:
            return respond_with_csrf_cookie(request, sign_out_page)
        await self._desk.run_in_thread(partial(self._desk.credentials.end_session, session_secret(request.scope)))
        gone = RedirectResponse("sign-in?out", 303)
        delete_cookie(request, gone, "session")
        return gone
