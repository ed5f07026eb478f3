"""One's own account: the password, the sessions and the tokens, by the forms of the page /account."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from rag.accounts.accounts import check_password
from rag.errors import NightjarError, RateLimitError, UsageError
from ui.auth.account_pages import account_page
from ui.auth.authenticate import Authenticated
from ui.auth.csrf_forms import get_authenticated, has_valid_csrf_token, read_form_fields, respond_with_csrf_cookie
from ui.auth.sign_in import SignInPages, SignInService
from ui.middleware.trusted_proxies import client_address
from ui.texts import accounts as texts

FormFields = Mapping[str, str]


class AccountPage:
    """The page /account."""

    def __init__(self, desk: SignInService) -> None:
        self._desk = desk
        self._acts: Mapping[str, Callable[[Request, Authenticated, FormFields], Awaitable[Response]]] = {
            "password": self._change_password,
            "everywhere": self._sign_out_everywhere,
            "make": self._make_token,
            "revoke": self._revoke_token,
        }
        """What a form's "do" says → what happens."""

    async def show(self, request: Request) -> Response:
        """Who one is, and what one can change."""
        found = get_authenticated(request)
        return await self._page(request, found) if found else _to_sign_in()

    async def change(self, request: Request) -> Response:
        """Does what a form says, and tells what came of it."""
        found, fields = get_authenticated(request), await read_form_fields(request)
        if found is None:
            return _to_sign_in()
        if found.way == "token":  # a token that leaked must not make others, or take the account over
            return await self._page(request, found, error=texts.WAYS_OF_TOKENS, status=403)
        act = self._acts.get(fields.get("do", ""))
        if act is None or not has_valid_csrf_token(request, fields):
            return await self._page(request, found, error=texts.FORM_IS_OLD, status=400)
        try:
            return await act(request, found, fields)
        except NightjarError as error:
            status = 429 if isinstance(error, RateLimitError) else 400
            return await self._page(request, found, error=str(error), status=status)

    async def _change_password(self, request: Request, found: Authenticated, fields: FormFields) -> Response:
        name, new = found.account.name, fields.get("new", "")
        if new != fields.get("again", ""):
            raise UsageError(texts.NOT_THE_SAME)
        check_password(new)
        try:
            await self._desk.check(name, fields.get("current", ""), client_address(request.scope))
        except UsageError as error:
            raise UsageError(texts.NOT_YOURS) from error
        await self._desk.run_serially(partial(self._desk.accounts.set_password, name, new))
        page = await self._page(request, found, notice=texts.CHANGED)
        return await self._desk.begin_session(request, page, name)

    async def _sign_out_everywhere(self, _request: Request, found: Authenticated, _fields: FormFields) -> Response:
        await self._desk.run_in_thread(partial(self._desk.credentials.end_sessions, found.account.name))
        return RedirectResponse("sign-in?out", 303)

    async def _make_token(self, request: Request, found: Authenticated, fields: FormFields) -> Response:
        make = partial(self._desk.credentials.create_token, found.account.name, fields.get("label", ""))
        _, secret = await self._desk.run_in_thread(make)
        return await self._page(request, found, new_token=secret)

    async def _revoke_token(self, request: Request, found: Authenticated, fields: FormFields) -> Response:
        revoke = partial(self._desk.credentials.revoke, fields.get("token_id", ""), found.account.name)
        await self._desk.run_in_thread(revoke)
        return await self._page(request, found, notice=texts.REVOKED)

    async def _page(self, request: Request, found: Authenticated, **shown: Any) -> Response:
        tokens = await self._desk.run_in_thread(partial(self._desk.credentials.tokens, found.account.name))
        return respond_with_csrf_cookie(request, lambda csrf: account_page(found, csrf, tokens, **shown))


def _to_sign_in() -> Response:
    return RedirectResponse("sign-in?next=account", 303)


def create_auth_pages(desk: SignInService) -> Starlette:
    """The pages of the door, for the doorman to hand requests to."""
    sign_in, account = SignInPages(desk), AccountPage(desk)
    return Starlette(
        routes=[
            Route("/sign-in", sign_in.show, methods=["GET"]),
            Route("/sign-in", sign_in.sign_in, methods=["POST"]),
            Route("/sign-out", sign_in.sign_out, methods=["GET", "POST"]),
            Route("/account", account.show, methods=["GET"]),
            Route("/account", account.change, methods=["POST"]),
        ]
    )
