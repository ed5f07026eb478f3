"""Signing in and out: from a name with a password to a session cookie, and back."""

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
MAX_QUEUED_SIGN_INS = 50  # each takes a tenth of a second and 64 MiB, one after the other
MAX_THREADS = 8


class SignInService:
    """Checks passwords and keeps sessions for the pages, outside the event loop."""

    def __init__(
        self, accounts: Accounts, credentials: CredentialStore, attempts: LoginThrottle, session_hours: float
    ) -> None:
        self.accounts = accounts
        self.credentials = credentials
        self._attempts = attempts
        self._hours = session_hours
        self._serial = anyio.CapacityLimiter(1)
        self._threads = anyio.CapacityLimiter(MAX_THREADS)

    async def run_in_thread(self, do: Callable[[], T]) -> T:
        """Runs a database query in a thread."""
        return await anyio.to_thread.run_sync(do, limiter=self._threads)

    async def run_serially(self, do: Callable[[], T]) -> T:
        """Runs what hashes a password in a thread, one call after the other.

        Raises:
            RateLimitError: too many people wait for that.
        """
        if self._serial.statistics().tasks_waiting >= MAX_QUEUED_SIGN_INS:
            raise RateLimitError(texts.BUSY, 5)
        return await anyio.to_thread.run_sync(do, limiter=self._serial)

    async def check(self, name: str, password: str, address: str) -> str:
        """Returns the name of the account if the password is right; one check after the other, so that nobody tries many.

        Raises:
            RateLimitError: there were too many wrong passwords, or too many people wait.
            UsageError: the name or the password is wrong, or the account is locked.
        """
        return await self.run_serially(partial(self._checked, name, password, address))

    def _checked(self, name: str, password: str, address: str) -> str:
        key = normalise_name(name)
        self._attempts.check(key, address)
        account = self.accounts.authenticate(name, password)
        if account is None:
            self._attempts.record_failure(key, address)
            raise UsageError(texts.WRONG)
        self._attempts.record_success(key)
        if account.is_locked:  # shown only to who knows the password
            raise UsageError(texts.LOCKED)
        return account.name

    async def begin_session(self, request: Request, response: Response, name: str) -> Response:
        """Adds a new session's cookie to the response, and ends the session that the browser had before."""
        before = session_secret(request.scope)
        await self.run_in_thread(partial(self.credentials.end_session, before))
        secret = await self.run_in_thread(partial(self.credentials.begin_session, name, self._hours))
        set_cookie(request, response, "session", secret, samesite="lax", max_age=round(self._hours * 3600))
        return response


class SignInPages:
    """The pages /sign-in and /sign-out."""

    def __init__(self, service: SignInService) -> None:
        self._service = service

    async def show(self, request: Request) -> Response:
        """Shows the form; sends whoever is already signed in on to the page that was wanted."""
        wanted = safe_next_page(request.query_params.get("next", ""))
        if get_authenticated(request):
            return RedirectResponse(f"./{wanted}", 303)
        notice = texts.SIGNED_OUT if "out" in request.query_params else ""
        return respond_with_csrf_cookie(request, lambda csrf: sign_in_page(csrf, wanted, notice=notice))

    async def sign_in(self, request: Request) -> Response:
        """Opens the page that was wanted, or shows the form again with the reason."""
        fields = await read_form_fields(request)
        wanted, name = safe_next_page(fields.get("next", "")), fields.get("name", "").strip()[:100]

        def again(error: str, status: int) -> Response:
            return respond_with_csrf_cookie(
                request, lambda csrf: sign_in_page(csrf, wanted, name=name, error=error, status=status)
            )

        if not has_valid_csrf_token(request, fields):
            return again(texts.FORM_IS_OLD, 400)
        try:
            owner = await self._service.check(name, fields.get("password", ""), client_address(request.scope))
        except RateLimitError as error:
            refused = again(str(error), 429)
            refused.headers["retry-after"] = f"{max(1, round(error.again_s))}"
            return refused
        except UsageError as error:
            return again(str(error), 401)
        return await self._service.begin_session(request, RedirectResponse(f"./{wanted}", 303), owner)

    async def sign_out(self, request: Request) -> Response:
        """Ends the session of this browser; asks first, unless the browser or the form proves that the request is ours."""
        ours = request.headers.get("sec-fetch-site") == "same-origin"
        if request.method == "POST":
            ours = has_valid_csrf_token(request, await read_form_fields(request))
        if not ours:
            return respond_with_csrf_cookie(request, sign_out_page)
        await self._service.run_in_thread(partial(self._service.credentials.end_session, session_secret(request.scope)))
        response = RedirectResponse("sign-in?out", 303)
        delete_cookie(request, response, "session")
        return response
