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
from rag.errors import NightjarError, TooFastError, UsageError
from ui.auth.account_pages import account_page
from ui.auth.authenticate import Identified
from ui.auth.csrf_forms import fields_of, identified, is_our_form, with_form_cookie
from ui.auth.sign_in import Desk, SignIn
from ui.middleware.trusted_proxies import address_of
from ui.texts import accounts as texts

Fields = Mapping[str, str]


class OwnAccount:
    """The page /account."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._acts: Mapping[str, Callable[[Request, Identified, Fields], Awaitable[Response]]] = {
            "password": self._change_password,
            "everywhere": self._sign_out_everywhere,
            "make": self._make_token,
            "revoke": self._revoke_token,
        }
        """What a form's "do" says → what happens."""

    async def show(self, request: Request) -> Response:
        """Who one is, and what one can change."""
        found = identified(request)
        return await self._page(request, found) if found else _to_sign_in()

    async def change(self, request: Request) -> Response:
        """Does what a form says, and tells what came of it."""
        found, fields = identified(request), await fields_of(request)
        if found is None:
            return _to_sign_in()
        if found.way == "token":  # a token that leaked must not make others, or take the account over
            return await self._page(request, found, wrong=texts.WAYS_OF_TOKENS, status=403)
        act = self._acts.get(fields.get("do", ""))
        if act is None or not is_our_form(request, fields):
            return await self._page(request, found, wrong=texts.FORM_IS_OLD, status=400)
        try:
            return await act(request, found, fields)
        except NightjarError as error:
            status = 429 if isinstance(error, TooFastError) else 400
            return await self._page(request, found, wrong=str(error), status=status)

    async def _change_password(self, request: Request, found: Identified, fields: Fields) -> Response:
        name, new = found.account.name, fields.get("new", "")
        if new != fields.get("again", ""):
            raise UsageError(texts.NOT_THE_SAME)
        check_password(new)
        try:
            await self._desk.check(name, fields.get("current", ""), address_of(request.scope))
        except UsageError as error:
            raise UsageError(texts.NOT_YOURS) from error
        await self._desk.one_by_one(partial(self._desk.accounts.set_password, name, new))
        page = await self._page(request, found, told=texts.CHANGED)
        return await self._desk.begin_session(request, page, name)

    async def _sign_out_everywhere(self, _request: Request, found: Identified, _fields: Fields) -> Response:
        await self._desk.in_thread(partial(self._desk.credentials.end_sessions, found.account.name))
        return RedirectResponse("sign-in?out", 303)

    async def _make_token(self, request: Request, found: Identified, fields: Fields) -> Response:
        make = partial(self._desk.credentials.make_token, found.account.name, fields.get("label", ""))
        _, secret = await self._desk.in_thread(make)
        return await self._page(request, found, secret=secret)

    async def _revoke_token(self, request: Request, found: Identified, fields: Fields) -> Response:
        revoke = partial(self._desk.credentials.revoke, fields.get("token_id", ""), found.account.name)
        await self._desk.in_thread(revoke)
        return await self._page(request, found, told=texts.REVOKED)

    async def _page(self, request: Request, found: Identified, **shown: Any) -> Response:
        tokens = await self._desk.in_thread(partial(self._desk.credentials.tokens, found.account.name))
        return with_form_cookie(request, lambda csrf: account_page(found, csrf, tokens, **shown))


def _to_sign_in() -> Response:
    return RedirectResponse("sign-in?next=account", 303)


def make_pages(desk: Desk) -> Starlette:
    """The pages of the door, for the doorman to hand requests to."""
    sign_in, account = SignIn(desk), OwnAccount(desk)
    return Starlette(routes=[
        Route("/sign-in", sign_in.show, methods=["GET"]),
        Route("/sign-in", sign_in.sign_in, methods=["POST"]),
        Route("/sign-out", sign_in.sign_out, methods=["GET", "POST"]),
        Route("/account", account.show, methods=["GET"]),
        Route("/account", account.change, methods=["POST"]),
    ])  # fmt: skip
