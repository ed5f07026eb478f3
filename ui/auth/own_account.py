"""The page /account: a person changes the password, ends sessions, makes and revokes tokens."""

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

    def __init__(self, service: SignInService) -> None:
        self._service = service
        self._actions: Mapping[str, Callable[[Request, Authenticated, FormFields], Awaitable[Response]]] = {
            "password": self._change_password,
            "everywhere": self._sign_out_everywhere,
            "make": self._make_token,
            "revoke": self._revoke_token,
        }
        """The value of a form's field "do" → what it does."""

    async def show(self, request: Request) -> Response:
        """Shows the page; sends whoever is not signed in to do so."""
        authenticated = get_authenticated(request)
        return await self._page(request, authenticated) if authenticated else _to_sign_in()

    async def change(self, request: Request) -> Response:
        """Does what a form asks for, and shows the result."""
        authenticated, fields = get_authenticated(request), await read_form_fields(request)
        if authenticated is None:
            return _to_sign_in()
        if authenticated.way == "token":  # a leaked token must not make others, or take the account over
            return await self._page(request, authenticated, error=texts.WAYS_OF_TOKENS, status=403)
        action = self._actions.get(fields.get("do", ""))
        if action is None or not has_valid_csrf_token(request, fields):
            return await self._page(request, authenticated, error=texts.FORM_IS_OLD, status=400)
        try:
            return await action(request, authenticated, fields)
        except NightjarError as error:
            status = 429 if isinstance(error, RateLimitError) else 400
            return await self._page(request, authenticated, error=str(error), status=status)

    async def _change_password(self, request: Request, authenticated: Authenticated, fields: FormFields) -> Response:
        name, new = authenticated.account.name, fields.get("new", "")
        if new != fields.get("again", ""):
            raise UsageError(texts.NOT_THE_SAME)
        check_password(new)
        try:
            await self._service.check(name, fields.get("current", ""), client_address(request.scope))
        except UsageError as error:
            raise UsageError(texts.NOT_YOURS) from error
        await self._service.run_serially(partial(self._service.accounts.set_password, name, new))
        page = await self._page(request, authenticated, notice=texts.CHANGED)
        return await self._service.begin_session(request, page, name)

    async def _sign_out_everywhere(
        self, _request: Request, authenticated: Authenticated, _fields: FormFields
    ) -> Response:
        await self._service.run_in_thread(partial(self._service.credentials.end_sessions, authenticated.account.name))
        return RedirectResponse("sign-in?out", 303)

    async def _make_token(self, request: Request, authenticated: Authenticated, fields: FormFields) -> Response:
        make = partial(self._service.credentials.create_token, authenticated.account.name, fields.get("label", ""))
        _, secret = await self._service.run_in_thread(make)
        return await self._page(request, authenticated, new_token=secret)

    async def _revoke_token(self, request: Request, authenticated: Authenticated, fields: FormFields) -> Response:
        revoke = partial(self._service.credentials.revoke, fields.get("token_id", ""), authenticated.account.name)
        await self._service.run_in_thread(revoke)
        return await self._page(request, authenticated, notice=texts.REVOKED)

    async def _page(self, request: Request, authenticated: Authenticated, **shown: Any) -> Response:
        tokens = await self._service.run_in_thread(
            partial(self._service.credentials.tokens, authenticated.account.name)
        )
        return respond_with_csrf_cookie(request, lambda csrf: account_page(authenticated, csrf, tokens, **shown))


def _to_sign_in() -> Response:
    return RedirectResponse("sign-in?next=account", 303)


def create_auth_pages(service: SignInService) -> Starlette:
    """Returns the application of the sign-in and account pages, to which AuthMiddleware passes their requests."""
    sign_in, account = SignInPages(service), AccountPage(service)
    return Starlette(
        routes=[
            Route("/sign-in", sign_in.show, methods=["GET"]),
            Route("/sign-in", sign_in.sign_in, methods=["POST"]),
            Route("/sign-out", sign_in.sign_out, methods=["GET", "POST"]),
            Route("/account", account.show, methods=["GET"]),
            Route("/account", account.change, methods=["POST"]),
        ]
    )
