"""Every route and event of the application and the role that it needs. A new one has to be named here first."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest

from rag.accounts.accounts import Accounts
from rag.accounts.sessions_and_tokens import CredentialStore
from rag.app.app import open_app
from rag.database.schema import open_database
from rag.errors import ForbiddenError
from rag.settings import Settings, load_settings
from tests.fixtures.requests import request_of
from ui.auth.current_user import CurrentUser, current_user
from ui.background.startup import AppStartup
from ui.server.serve import RunningServer, serve_in_thread
from ui.server.uvicorn_server import create_application

pytestmark = [
    pytest.mark.filterwarnings("ignore:'future.no_silent_downcasting' is deprecated"),
    pytest.mark.filterwarnings("ignore:The copy keyword is deprecated"),
]

TURN = {"turn_id": "t", "token": "t"}
PAIR = {"question": "Who?", "a": "v", "b": "w"}
ROUTES: dict[str, tuple[str, dict[str, Any]]] = {
    "GET /livez": ("open", {}),
    "GET /readyz": ("open", {}),
    "GET /metrics": ("administrator", {}),
    "GET /api/openapi.json": ("reader", {}),
    "GET /api/docs": ("reader", {}),
    "GET /api/version": ("reader", {}),
    # questions
    "POST /api/ask": ("reader", {"json": {"question": "Who?"}}),
    "POST /api/ask/stream": ("reader", {"json": {"question": "Who?"}}),
    "GET /api/search": ("reader", {"params": {"q": "Who?"}}),
    "GET /api/passages/{id}": ("reader", {}),
    "GET /api/conversations": ("reader", {}),
    "GET /api/conversations/{id}": ("reader", {}),
    "PATCH /api/conversations/{id}": ("reader", {"json": {"title": "Grants"}}),
    "DELETE /api/conversations/{id}": ("reader", {}),
    "POST /v1/chat/completions": ("reader", {"json": {"messages": [{"role": "user", "content": "Who?"}]}}),
    "GET /v1/models": ("reader", {}),
    "GET /v1/models/{id}": ("reader", {}),
    "GET /v1/{path:path}": ("reader", {}),
    "POST /v1/{path:path}": ("reader", {}),
    # verdicts and comparisons
    "POST /api/verdicts": ("voter", {"json": TURN | {"verdict": "helpful"}}),
    "DELETE /api/verdicts": ("voter", {"json": TURN}),
    "GET /api/compare": ("reader", {"params": {"question": "Who?"}}),
    "POST /api/compare": ("voter", {"json": {"question": "Who?"}}),
    "POST /api/compare/{id}": ("voter", {"json": PAIR | {"token": "t", "better": "left"}}),
    "GET /api/insights": ("reader", {}),
    "GET /api/insights/votes": ("administrator", {"params": {"whose": "all"}}),
    # documents
    "GET /api/documents": ("reader", {}),
    "GET /api/documents/{id}": ("reader", {}),
    "GET /api/gaps": ("reader", {}),
    "GET /nightjar.js": ("reader", {}),
    "GET /api/conversations/{id}/{kind}": ("reader", {}),
    "DELETE /api/documents": ("administrator", {"params": {"source": "s"}}),
    "POST /api/jobs": ("administrator", {"json": {"paths": ["p"]}}),
    "GET /api/jobs": ("administrator", {}),
    "GET /api/jobs/{id}": ("administrator", {}),
    "GET /api/jobs/{id}/files": ("administrator", {}),
    "POST /api/jobs/{id}/cancel": ("administrator", {}),
    # versions and nights
    "GET /reports/{id}/{file}": ("administrator", {}),
    "GET /api/versions": ("administrator", {}),
    "POST /api/promote": ("administrator", {"json": {"version": "v", "confirm": "v", "reason": "r"}}),
    "POST /api/rollback": ("administrator", {"json": {"confirm": "v", "reason": "r"}}),
    "POST /api/versions/free": ("administrator", {}),
    "GET /api/nights": ("administrator", {}),
    "POST /api/nights/run": ("administrator", {"json": {"tier": "none that could begin"}}),
    "DELETE /api/nights/run": ("administrator", {}),
    "GET /api/nights/log": ("administrator", {}),
    "GET /api/reviews": ("administrator", {}),
    "POST /api/reviews": ("administrator", {"json": {"question": "q", "passage_id": "p", "decision": "skip"}}),
}
"""Of our own: who may, and a request that is well formed."""

EVENTS = {
    "signed_in_text": "reader",
    "show_people_link": "reader",
    "add_api_endpoints.<locals>.chat": "reader",
    "add_api_endpoints.<locals>.search": "reader",
    # chat
    "ChatPage.welcome": "reader",
    "ChatPage.look": "reader",
    "ChatPage.select_earlier_answer": "reader",
    "AskHandlers.stop": "reader",
    "AskHandlers.ask": "reader",
    "AskHandlers.ask_sample": "reader",
    "AskHandlers.ask_again": "reader",
    "AskHandlers.edit": "anybody",
    "AskHandlers.cancel_edit": "anybody",
    "AskHandlers.show_search_scope": "anybody",
    "AskHandlers.listen.<locals>.<lambda>": "anybody",
    "SourceCardHandlers._opener.<locals>.open_": "anybody",
    "SourceCardHandlers._judge.<locals>.judge": "voter",
    "AnswerVotes._judge.<locals>.judge": "voter",
    "AnswerVotes.ask_why": "voter",
    "AnswerVotes.save_comment": "voter",
    "AnswerVotes.keep_as_test": "administrator",
    "PinPassage.search": "reader",
    "PinPassage.search_document": "reader",
    "PinPassage._pinner.<locals>.pin": "voter",
    "ConversationList.listen.<locals>.opened": "reader",
    "ConversationList.listen.<locals>.begin_anew": "reader",
    "ConversationList.listen.<locals>.deleted": "reader",
    "ConversationList.listen.<locals>.<lambda>": "anybody",
    "ConversationList.find": "reader",
    "ConversationList.show_older": "reader",
    "ConversationList.start_rename": "reader",
    "ConversationList.rename": "reader",
    "ConversationList.confirm_delete": "reader",
    "AttachedFiles.look": "anybody",
    "AttachedFiles.limit_search_to_file": "anybody",
    # library
    "LibraryPage.begin": "reader",
    "LibraryPage.look": "reader",
    "LibraryPage.refresh": "reader",
    "LibraryPage.gather": "reader",
    "LibraryPage.back": "reader",
    "LibraryPage.close_removed_document": "reader",
    "LibraryPage._opener.<locals>.open_row": "reader",
    "LibraryPage.ask": "administrator",
    "DocumentList.find": "reader",
    "DocumentList._turner.<locals>.turn": "reader",
    "DocumentList._sorter.<locals>.sort": "reader",
    "DocumentPreview._turner.<locals>.turn": "reader",
    "DocumentPreview.ask": "administrator",
    "AddDocuments.upload": "administrator",
    "AddDocuments.ingest_path": "administrator",
    "AddDocuments.retry_refused": "administrator",
    "AddDocuments.cancel_running": "administrator",
    "RemoveRow.go": "administrator",
    "RemoveRow.leave": "anybody",
    # insights
    "VotesTab.look": "reader",
    "VotesTab.show_more_votes": "reader",
    "TimeTab.look": "reader",
    "CompareTab.offer_versions": "reader",
    "CompareTab.compare": "reader",
    "CompareTab._judging.<locals>.judge": "voter",
    "CompareTab.make_pin": "voter",
    # training
    "TrainingPage.admit": "reader",
    "NightSection.look": "administrator",
    "NightSection.count": "administrator",
    "NightSection.forecast": "administrator",
    "NightSection.begin": "administrator",
    "NightSection.end": "administrator",
    "VersionsSection.look": "administrator",
    "VersionsSection.activate": "administrator",
    "VersionsSection.free_vectors": "administrator",
    "ReviewsSection.look": "administrator",
    "ReviewsSection._deciding.<locals>.decide": "administrator",
    "ReportsSection.look": "administrator",
    "NegativesPage.look": "administrator",
    "NegativesPage.offer": "administrator",
    # people
    "PeoplePage.look": "administrator",
    "PeoplePage._opener.<locals>.open_row": "administrator",
    "PeopleList.find": "administrator",
    "PeopleList._turner.<locals>.turn": "administrator",
    "AddPerson.add": "administrator",
    "PersonDetails.give_role": "administrator",
    "PersonDetails.give_password": "administrator",
    "PersonDetails.sign_out": "administrator",
    "PersonDetails.revoke_token": "administrator",
    "Offboarding.ask_lock": "administrator",
    "Offboarding.ask_forget": "administrator",
    "Offboarding.let_in": "administrator",
    "Offboarding.go": "administrator",
    "Offboarding.leave": "administrator",
}
"""Of the pages; "anybody": of those who are signed in, without a question of who it is."""

BELOW = {"voter": ["reader"], "administrator": ["reader", "voter"]}


@pytest.fixture(scope="module")
def opening(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppStartup]:
    data = tmp_path_factory.mktemp("roles") / "data"
    opened = AppStartup(lambda: open_app(Settings(data=data)))
    opened.app()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def built(opening: AppStartup) -> Any:
    """The API with the pages on it, and nothing in front."""

    async def make() -> Any:
        return create_application(opening, Settings(), accounts=True)

    return asyncio.run(make())


def own_routes(built: Any) -> set[str]:
    found = {
        f"{method} {re.sub(r'{[a-z]+_id}|{name}', '{id}', route.path)}"
        for route in built.routes[:-1]
        for method in route.methods
    }
    return {route for route in found if not route.startswith("HEAD")}


def gradios_routes(built: Any) -> set[tuple[str, str]]:
    def flat(routes: Any) -> Iterator[Any]:
        for route in routes:
            yield from [route] if hasattr(route, "path") else flat(route.original_router.routes)

    return {(method, route.path) for route in flat(built.routes[-1].app.routes) for method in route.methods}


def events(built: Any) -> dict[str, Any]:
    """Name → function, of everything that a page calls."""
    functions = [
        block_function.fn for block_function in built.routes[-1].app.get_blocks().fns.values() if block_function.fn
    ]
    plain = [inspect.unwrap(getattr(function, "func", function)) for function in functions]
    return {plain_function.__qualname__: function for plain_function, function in zip(plain, functions, strict=True)}


# ---- routes


def test_every_route_is_named_with_its_role(built: Any) -> None:
    assert own_routes(built) == set(ROUTES)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    home: Path = tmp_path_factory.mktemp("served")
    settings = load_settings(home / "data", server={"port": 0}, accounts={"required": "always"})
    engine = open_database(settings.database_url)
    for role in ("reader", "voter", "administrator"):
        Accounts(engine).add(role, role)
    engine.dispose()
    with serve_in_thread(settings) as started:
        started.opening.app()
        yield started


@pytest.fixture(scope="module")
def clients(server: RunningServer) -> Iterator[dict[str, httpx.Client]]:
    held = CredentialStore(server.opening.app().engine)
    opened = {"nobody": httpx.Client(base_url=server.address, timeout=30)}
    for role in ("reader", "voter", "administrator"):
        _, secret = held.create_token(role, "a test")
        headers = {"authorization": f"Bearer {secret}"}
        opened[role] = httpx.Client(base_url=server.address, timeout=30, headers=headers)
    yield opened
    for client in opened.values():
        client.close()


@pytest.mark.parametrize("route", sorted(ROUTES))
def test_a_route_refuses_who_is_below_its_role(clients: dict[str, httpx.Client], route: str) -> None:
    method, path = re.sub(r"{[^}]+}", "x", route).split(" ")
    role, asked = ROUTES[route]
    statuses = {name: client.request(method, path, **asked).status_code for name, client in clients.items()}
    if role == "open":
        assert statuses["nobody"] in (200, 503)
        return
    assert statuses.pop("nobody") == 401
    refused = {name: status for name, status in statuses.items() if status == 403}
    assert sorted(refused) == BELOW.get(role, [])


def test_no_route_of_gradios_answers_whoever_is_not_signed_in(built: Any, clients: dict[str, httpx.Client]) -> None:
    routes = gradios_routes(built)
    assert len(routes) > 60
    for method, path in routes:
        filled = "/".join("x" if "{" in part else part for part in path.split("/"))
        assert clients["nobody"].request(method, filled).status_code == 401, (method, path)


# ---- events of the pages


def test_every_event_is_named_with_its_role(built: Any) -> None:
    assert sorted(events(built)) == sorted(EVENTS)


def test_every_event_that_asks_who_it_is_gets_the_request(built: Any) -> None:
    """Gradio hands it to a parameter that is annotated so, and to nothing inside a `functools.partial`."""
    from gradio.utils import get_type_hints

    for name, function in events(built).items():
        hints = get_type_hints(function).values()
        assert any(hint in (gr.Request, gr.Request | None) for hint in hints) or EVENTS[name] == "anybody", name


class Word(str):
    """Stands for whatever an event is given: text, or the state of a page."""

    __slots__ = ()

    def __getattr__(self, name: str) -> str:
        return "x"


def outcome_of(function: Any, person: CurrentUser | None) -> str:
    """Everything that the event shows to *person*, or the refusal; other arguments are words that mean nothing."""
    request = request_of(person)
    given = [
        request if "Request" in str(parameter.annotation) else Word("x")
        for parameter in inspect.signature(function).parameters.values()
    ]
    try:
        result = function(*given)
        return unescape(repr(list(result) if inspect.isgenerator(result) else result))
    except ForbiddenError as error:
        return str(error)


@pytest.mark.parametrize("name", sorted(name for name, role in EVENTS.items() if role in BELOW))
def test_an_event_refuses_who_is_below_its_role(built: Any, name: str) -> None:
    function = events(built)[name]
    for role in BELOW[EVENTS[name]]:
        told = outcome_of(function, CurrentUser("somebody", role))  # type: ignore[arg-type]
        assert f"the role {EVENTS[name]}" in told or "ask an administrator" in told
    assert "did not pass the sign-in check" in outcome_of(function, None)


def test_an_event_over_http_gets_the_person_whom_the_door_found(
    server: RunningServer, clients: dict[str, httpx.Client]
) -> None:
    functions = clients["administrator"].get("/config").json()["dependencies"]
    number = next(function["id"] for function in functions if function["api_name"] == "ingest_path")
    for role, expected in (("reader", "this takes the role administrator"), ("administrator", "/nowhere")):
        client, tab = clients[role], f"tab-of-{role}"
        wanted = {"data": ["/nowhere", False], "fn_index": number, "session_hash": tab}
        assert client.post("/gradio_api/queue/join", json=wanted).status_code == 200
        shown = client.get("/gradio_api/queue/data", params={"session_hash": tab}).text
        assert expected in unescape(shown)
    assert not any("/nowhere" in job.asked.paths for job in server.opening.app().jobs.latest(100))


def test_a_request_that_came_past_the_door_is_nobodys() -> None:
    for request in (None, request_of(None)):
        with pytest.raises(ForbiddenError, match="did not pass the sign-in check"):
            current_user(request)
    assert current_user(request_of(CurrentUser("ann", "voter"))) == CurrentUser("ann", "voter")
