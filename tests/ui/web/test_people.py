"""The page of people, by its handlers on a real database: what is done, what is refused, and what is shown only once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from html import unescape
from typing import Any

import gradio as gr
import pytest

from rag.accounts.accounts import Account, Accounts
from rag.accounts.sessions_and_tokens import CredentialStore
from rag.app.app import App, open_app
from rag.database.user_tables import conversations
from rag.errors import NotFoundError
from rag.file_lock import ProcessLock
from rag.records import Turn, Verdict, utc_now
from rag.settings import Settings
from tests.fixtures.requests import request_of
from ui.auth.authenticate import Authenticated
from ui.auth.current_user import CurrentUser
from ui.background.startup import AppStartup
from ui.texts import people as texts
from ui.web.people.list import N_ROWS, PeopleView
from ui.web.people.page import PeoplePage, fill_people_page

GOOD = "correct horse battery"
ANN = CurrentUser("ann", "administrator")


@pytest.fixture(scope="module")
def opening(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppStartup]:
    data = tmp_path_factory.mktemp("people") / "data"
    opened = AppStartup(lambda: open_app(Settings(data=data)))
    Accounts(opened.app().engine).add("ann", "administrator", GOOD)
    yield opened
    opened.close()


@pytest.fixture
def app(opening: AppStartup) -> App:
    return opening.app()


@pytest.fixture(scope="module")
def page(opening: AppStartup) -> PeoplePage:
    async def make() -> PeoplePage:  # without a running loop Gradio 6.31 opens some, and closes none
        with gr.Blocks(analytics_enabled=False):
            return PeoplePage(opening)

    return asyncio.run(make())


@pytest.fixture
def accounts(app: App) -> Iterator[Accounts]:
    """Ann alone, and whoever the test adds until it ends."""
    from rag.accounts.erasure import erase_user_data

    opened = Accounts(app.engine)
    yield opened
    for account in opened.all():
        if account.name != "ann":
            erase_user_data(app.engine, account.name)


def told(page: PeoplePage, updates: dict[Any, Any]) -> str:
    return unescape(updates[page.desk.status])


def test_an_added_person_signs_in_by_the_password_that_is_shown_once(page: PeoplePage, accounts: Accounts) -> None:
    added = page.adding.add("Bob", "reader", "", request_of(ANN))
    made = added[page.desk.secret]["value"]
    assert told(page, added) == "Added “bob” with the role reader."
    found = accounts.authenticate("bob", made)
    assert found is not None
    assert found.role == "reader"
    assert made not in repr(page.look(PeopleView(), request_of(ANN)))
    assert page.look(PeopleView(), request_of(ANN))[page.desk.secret]["visible"] is False


def test_a_password_that_was_typed_is_set_and_not_shown(page: PeoplePage, accounts: Accounts) -> None:
    added = page.adding.add("bob", "voter", GOOD, request_of(ANN))
    assert GOOD not in repr(added)
    assert accounts.authenticate("bob", GOOD) is not None


@pytest.mark.parametrize(
    ("name", "role", "password", "why"),
    [
        ("zoë", "voter", "", "the name 'zoë' is refused"),
        ("ann", "voter", "", "'ann' has an account already"),
        ("bob", "root", "", "role 'root' does not exist"),
        ("bob", "voter", "short", "a password has 10 to 1,000 characters, this one 5"),
    ],
)
def test_what_the_command_refuses_the_page_refuses_in_the_same_words(
    page: PeoplePage, accounts: Accounts, name: str, role: str, password: str, why: str
) -> None:
    assert why in told(page, page.adding.add(name, role, password, request_of(ANN)))
    assert [account.name for account in accounts.all()] == ["ann"]


def test_the_last_administrator_stays_and_the_reason_is_told(page: PeoplePage, accounts: Accounts) -> None:
    accounts.add("bob", "voter", GOOD)
    refused = [
        page.one.give_role("ann", "voter", request_of(ANN)),
        page.one.leaving.go("ann", "lock", "", request_of(ANN)),
        page.one.leaving.ask_forget("ann", request_of(ANN)),
        page.one.leaving.go("ann", "forget", "ann", request_of(ANN)),
    ]
    assert all("'ann' is the last administrator, who must stay" in told(page, refusal) for refusal in refused)
    assert accounts.get("ann") == Account(
        name="ann", role="administrator", created_at=accounts.get("ann").created_at, is_locked=False, has_password=True
    )


def test_a_role_a_password_and_the_end_of_sessions_hold_at_once(page: PeoplePage, accounts: Accounts) -> None:
    accounts.add("bob", "voter", GOOD)
    held = CredentialStore(accounts.engine)
    assert "is now administrator" in told(page, page.one.give_role("bob", "administrator", request_of(ANN)))
    assert accounts.get("bob").role == "administrator"
    first = held.begin_session("bob", 1)
    ended = page.one.sign_out("bob", request_of(ANN))
    assert texts.NO_SESSIONS in unescape(ended[page.one.sessions])
    assert held.session_owner(first) is None
    second = held.begin_session("bob", 1)
    made = page.one.give_password("bob", "", request_of(ANN))[page.desk.secret]["value"]
    assert held.session_owner(second) is None
    assert accounts.authenticate("bob", made) is not None


def test_a_token_is_revoked_and_only_one_of_the_person_who_is_shown(page: PeoplePage, accounts: Accounts) -> None:
    accounts.add("bob", "voter", GOOD)
    held = CredentialStore(accounts.engine)
    mine, _ = held.create_token("bob", "<b>the wiki</b>")
    other, other_secret = held.create_token("ann", "hers")
    shown = page.one.shown(page.desk.opening.app(), "bob", ANN)
    assert "<b>" not in shown[page.one.tokens]
    assert "no token" in told(page, page.one.revoke_token("bob", other.token_id, request_of(ANN)))
    assert held.token_owner(other_secret) is not None
    assert told(page, page.one.revoke_token("bob", None, request_of(ANN))) == texts.CHOOSE_TOKEN
    revoked = page.one.revoke_token("bob", mine.token_id, request_of(ANN))
    assert told(page, revoked) == "The token “<b>the wiki</b>” is revoked."
    assert "<b>" not in revoked[page.desk.status]
    assert [token.is_revoked for token in held.tokens("bob")] == [True]


def test_locking_out_takes_two_steps_and_can_be_undone(page: PeoplePage, accounts: Accounts) -> None:
    accounts.add("bob", "voter", GOOD)
    asked = page.one.leaving.ask_lock("bob", request_of(ANN))
    assert asked[page.one.leaving.asked] == "lock"
    assert not accounts.get("bob").is_locked
    page.one.leaving.leave("bob", request_of(ANN))
    page.one.leaving.go("bob", "", "", request_of(ANN))
    assert not accounts.get("bob").is_locked
    page.one.leaving.go("bob", "lock", "", request_of(ANN))
    assert accounts.get("bob").is_locked
    page.one.leaving.let_in("bob", request_of(ANN))
    assert not accounts.get("bob").is_locked


def test_forgetting_asks_for_the_name_and_leaves_nothing_of_the_person(
    page: PeoplePage, accounts: Accounts, app: App
) -> None:
    accounts.add("bob", "voter", GOOD)
    app.feedback.record_turns(
        [
            Turn(
                turn_id="b-1",
                conversation_id="c",
                user="bob",
                question="Who is there?",
                answer="",
                declined=False,
                encoder_id="",
                asked_at=utc_now(),
            )
        ]
    )
    app.feedback.append(
        [Verdict(user="bob", turn_id="b-1", question="Who is there?", passage_id="p", verdict="helpful")]
    )
    asked = page.one.leaving.ask_forget("bob", request_of(ANN))
    assert "1 verdict, 1 question with" in unescape(asked[page.one.leaving.told])
    assert texts.FORGET_ASKED in unescape(asked[page.one.leaving.told])
    wrong = page.one.leaving.go("bob", "forget", "ann", request_of(ANN))
    assert told(page, wrong) == "'ann' does not match: type 'bob', the name of the person to forget"
    assert accounts.find("bob") is not None
    gone = page.one.leaving.go("bob", "forget", " Bob ", request_of(ANN))
    assert told(page, gone).startswith("Removed all of 'bob': 1 verdict, 1 question with")
    assert gone[page.people.view].names == ("ann",)
    assert accounts.find("bob") is None
    assert app.feedback.standing() == []


def test_nobody_is_forgotten_while_a_night_runs(page: PeoplePage, accounts: Accounts, app: App) -> None:
    """It has read the votes already."""
    accounts.add("bob", "voter", GOOD)
    night = ProcessLock(app.settings.data / "night.lock", "the night")
    try:
        assert "the night" in told(page, page.one.leaving.go("bob", "forget", "bob", request_of(ANN)))
    finally:
        night.release()
    assert accounts.find("bob") is not None


def test_who_was_forgotten_meanwhile_is_told_as_gone(page: PeoplePage, accounts: Accounts, app: App) -> None:
    with pytest.raises(NotFoundError, match="“bob” no longer has an account"):
        page.one.shown(app, "bob", ANN)
    assert "nobody is called 'bob'" in told(page, page.one.give_role("bob", "voter", request_of(ANN)))


def test_an_administrators_token_changes_nobody(page: PeoplePage, accounts: Accounts) -> None:
    """One that leaked must not make accounts that outlive it."""
    request = request_of(ANN)
    request.request.state.identified = Authenticated(accounts.get("ann"), "token")
    assert "signed in with a token" in told(page, page.adding.add("eve", "administrator", GOOD, request))
    assert "signed in with a token" in told(page, page.look(PeopleView(), request))
    assert accounts.find("eve") is None
    request.request.state.identified = Authenticated(accounts.get("ann"), "session")
    assert "Added “eve”" in told(page, page.adding.add("eve", "reader", GOOD, request))


def test_more_people_than_a_page_holds_are_paged_and_found(page: PeoplePage, accounts: Accounts) -> None:
    for number in range(N_ROWS + 2):
        accounts.add(f"p{number:02}", "reader")
    first = page.look(PeopleView(), request_of(ANN))
    assert first[page.people.range] == f"People 1–20 of {N_ROWS + 3}"
    assert first[page.people.seek]["visible"]
    found = page.people.find("P07", request_of(ANN))
    assert found[page.people.view].names == ("p07",)
    last = page.people.shown(page.desk.opening.app(), PeopleView(offset=40), ANN)
    assert last[page.people.view].names == ("p19", "p20", "p21")


def test_without_accounts_the_page_says_how_to_begin_and_has_no_events(opening: AppStartup) -> None:
    async def make() -> gr.Blocks:
        with gr.Blocks(analytics_enabled=False) as blocks:
            fill_people_page(blocks, opening, accounts=False)
        return blocks

    blocks = asyncio.run(make())
    shown = [block.value for block in blocks.blocks.values() if isinstance(block, gr.Markdown)]
    assert any("nightjar accounts add NAME --role administrator" in str(value) for value in shown)
    assert [block_function.fn.__name__ for block_function in blocks.fns.values()] == ["show_people_link"]


def test_the_way_to_the_page_is_shown_to_administrators_alone(opening: AppStartup) -> None:
    from ui.web.chat.sources_panel import show_people_link

    shown = {
        role: show_people_link(request_of(CurrentUser("x", role)))["visible"]
        for role in ("reader", "voter", "administrator")
    }
    assert shown == {"reader": False, "voter": False, "administrator": True}


def test_no_word_of_what_somebody_asked_is_on_the_page(page: PeoplePage, accounts: Accounts, app: App) -> None:
    accounts.add("bob", "voter", GOOD)
    with app.engine.begin() as connection:
        connection.execute(
            conversations.insert().values(
                conversation_id="c",
                user="bob",
                title="my illness",
                created_at="2026-11-03T10:00:00+00:00",
                changed_at="2026-11-03T10:00:00+00:00",
            )
        )
    shown = repr(page.look(PeopleView(), request_of(ANN))) + repr(page.one.shown(app, "bob", ANN))
    assert "3 Nov 2026, 10:00 UTC" in unescape(shown)
    assert "illness" not in shown
