"""Accounts, sessions and tokens in SQL: what is refused, what is kept, and what ends when."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, select, update

from rag.accounts import sessions_and_tokens as credentials
from rag.accounts.account_listing import AccountListing
from rag.accounts.accounts import Accounts, generate_password
from rag.accounts.erasure import FORGOTTEN_USER, erase_user_data
from rag.accounts.sessions_and_tokens import MAX_TOKENS, CredentialStore
from rag.database.schema import read_connection, verdict_events
from rag.database.user_tables import comparisons, conversations, golden_questions, people, sessions, tokens
from rag.errors import NotFoundError, UsageError
from rag.records import utc_now

GOOD = "correct horse battery"


@pytest.fixture
def accounts(engine: Engine) -> Accounts:
    """Ann, an administrator."""
    opened = Accounts(engine)
    opened.add("ann", "administrator", GOOD)
    return opened


@pytest.fixture
def held(accounts: Accounts) -> CredentialStore:
    return CredentialStore(accounts.engine)


def everything_in(engine: Engine, table) -> str:
    with read_connection(engine) as connection:
        return repr(connection.execute(select(table)).all())


# ---- people


@pytest.mark.parametrize(
    "name", ["", " ", "local", "Forgotten", "a b", "-ann", "zoë", "an\nn", "a" * 65, "<b>ann</b>", "../ann", "а"]
)
def test_a_name_that_could_be_taken_for_another_or_break_something_is_refused(accounts: Accounts, name: str) -> None:
    with pytest.raises(UsageError, match=r"the name .* is refused"):
        accounts.add(name, "reader", GOOD)


def test_capitals_do_not_make_another_person(accounts: Accounts) -> None:
    with pytest.raises(UsageError, match="'ann' has an account already"):
        accounts.add(" Ann", "reader", GOOD)
    found = accounts.authenticate("ANN", GOOD)
    assert found is not None
    assert found.name == "ann"


@pytest.mark.parametrize("password", ["", "123456789", "x" * 1001])
def test_a_password_that_is_too_short_or_too_long_is_refused(accounts: Accounts, password: str) -> None:
    with pytest.raises(UsageError, match=r"a password has 10 to 1,000 characters, this one"):
        accounts.add("bob", "reader", password)
    assert accounts.find("bob") is None


def test_a_role_that_does_not_exist_is_refused(accounts: Accounts) -> None:
    with pytest.raises(UsageError, match="role 'root' does not exist: use one of reader, voter, administrator"):
        accounts.add("bob", "root", GOOD)
    with pytest.raises(UsageError, match="role 'root'"):
        accounts.set_role("ann", "root")


def test_of_a_password_only_its_argon2_hash_is_kept(accounts: Accounts) -> None:
    kept = everything_in(accounts.engine, people)
    assert GOOD not in kept
    assert "$argon2id$v=19$m=65536,t=3,p=4$" in kept


def test_only_the_right_password_fits_and_nothing_fits_where_there_is_none(accounts: Accounts) -> None:
    accounts.add("robot", "reader")
    assert accounts.authenticate("ann", GOOD + " ") is None
    assert accounts.authenticate("ann", "") is None
    assert accounts.authenticate("robot", "") is None
    assert accounts.authenticate("nobody", GOOD) is None
    assert accounts.authenticate("ann' OR 1=1 --", GOOD) is None
    assert accounts.authenticate("a\x00\ud800", GOOD) is None


def test_a_hash_of_weaker_parameters_is_written_anew_at_the_next_sign_in(accounts: Accounts) -> None:
    from argon2 import PasswordHasher

    weak = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(GOOD)
    with accounts.engine.begin() as connection:
        connection.execute(update(people).values(password_hash=weak))
    assert accounts.authenticate("ann", GOOD) is not None
    assert "m=65536,t=3,p=4" in everything_in(accounts.engine, people)
    assert accounts.authenticate("ann", GOOD) is not None


def test_the_last_administrator_can_not_be_locked_demoted_or_forgotten(accounts: Accounts) -> None:
    accounts.add("bob", "administrator", GOOD)
    accounts.lock("bob")  # who is locked looks after nobody
    for act in (
        lambda: accounts.lock("Ann"),
        lambda: accounts.set_role("ann", "voter"),
        lambda: erase_user_data(accounts.engine, "ann"),
    ):
        with pytest.raises(UsageError, match="'ann' is the last administrator, who must stay"):
            act()
    accounts.unlock("bob")
    accounts.set_role("ann", "voter")
    assert accounts.get("ann").role == "voter"
    assert accounts.has_administrator()


def test_who_is_not_there_can_not_be_changed(accounts: Accounts) -> None:
    for act in (lambda: accounts.lock("bob"), lambda: accounts.set_password("bob", GOOD)):
        with pytest.raises(NotFoundError, match="nobody is called 'bob'"):
            act()


# ---- sessions


def test_a_session_is_known_by_its_secret_alone_and_the_secret_is_nowhere(held: CredentialStore) -> None:
    secret = held.begin_session("ann", 1)
    found = held.session_owner(secret)
    assert found is not None
    assert found.name == "ann"
    assert secret not in everything_in(held.engine, sessions)
    assert held.session_owner(secret[:-1]) is None
    with read_connection(held.engine) as connection:
        kept = connection.scalar(select(sessions.c.secret_sha256))
    assert held.session_owner(kept) is None  # who reads the database has no session


def test_a_session_ends_by_time_by_signing_out_and_everywhere(held: CredentialStore) -> None:
    past = held.begin_session("ann", -1)
    here, there = held.begin_session("ann", 1), held.begin_session("ann", 1)
    assert held.session_owner(past) is None
    assert past not in everything_in(held.engine, sessions)
    held.end_session(here)
    assert held.session_owner(here) is None
    assert held.session_owner(there) is not None
    held.end_sessions("ann")
    assert held.session_owner(there) is None


def test_another_password_and_a_lock_end_every_session(accounts: Accounts, held: CredentialStore) -> None:
    accounts.add("bob", "voter", GOOD)
    bobs = held.begin_session("bob", 1)
    accounts.set_password("bob", "another good one")
    assert held.session_owner(bobs) is None
    bobs = held.begin_session("bob", 1)
    accounts.lock("bob")
    accounts.unlock("bob")
    assert held.session_owner(bobs) is None


def test_what_a_locked_person_holds_proves_nothing(accounts: Accounts, held: CredentialStore) -> None:
    accounts.add("bob", "voter", GOOD)
    _, token = held.create_token("bob", "a program")
    accounts.lock("bob")
    session = held.begin_session("bob", 1)  # one that began at the same moment
    assert held.token_owner(token) is None
    assert held.session_owner(session) is None


# ---- tokens


def test_a_token_is_kept_as_a_hash_and_ends_when_it_is_revoked(held: CredentialStore) -> None:
    made, secret = held.create_token("ann", "the wiki")
    assert secret.startswith("nj_")
    assert len(secret) == 46
    assert secret not in everything_in(held.engine, tokens)
    found = held.token_owner(secret)
    assert found is not None
    assert found.name == "ann"
    held.revoke(made.token_id)
    assert held.token_owner(secret) is None
    with pytest.raises(NotFoundError, match=r"no token .* that still holds"):
        held.revoke(made.token_id)
    assert [token.is_revoked for token in held.tokens()] == [True]


def test_nobody_revokes_the_token_of_somebody_else(accounts: Accounts, held: CredentialStore) -> None:
    accounts.add("bob", "voter", GOOD)
    made, secret = held.create_token("ann", "the wiki")
    with pytest.raises(NotFoundError):
        held.revoke(made.token_id, "bob")
    assert held.token_owner(secret) is not None
    assert held.tokens("bob") == []


def test_the_use_of_a_token_is_noted_to_the_minute(held: CredentialStore, monkeypatch: pytest.MonkeyPatch) -> None:
    made, secret = held.create_token("ann", "the wiki")
    assert made.used_at is None
    held.token_owner(secret)
    first = held.tokens()[0].used_at
    held.token_owner(secret)
    assert held.tokens()[0].used_at == first
    monkeypatch.setattr(credentials, "utc_now", lambda: utc_now() + timedelta(minutes=2))
    held.token_owner(secret)
    assert held.tokens()[0].used_at - first > timedelta(minutes=1)


def test_tokens_have_a_label_an_owner_and_a_number_that_is_enough(held: CredentialStore) -> None:
    for label in ("", " ", "x" * 101):
        with pytest.raises(UsageError, match="a label of"):
            held.create_token("ann", label)
    with pytest.raises(NotFoundError, match="nobody is called 'bob'"):
        held.create_token("bob", "x")
    for number in range(MAX_TOKENS):
        held.create_token("ann", str(number))
    with pytest.raises(UsageError, match="'ann' holds 50 tokens"):
        held.create_token("ann", "one more")


# ---- the list of people


def test_the_list_tells_what_people_hold_and_when_they_were_seen(accounts: Accounts, held: CredentialStore) -> None:
    accounts.add("bob", "voter", GOOD)
    for hours in (-1, 1, 2):
        held.begin_session("bob", hours)
    made, secret = held.create_token("bob", "a program")
    held.revoke(held.create_token("bob", "another")[0].token_id)
    roster = AccountListing(accounts.engine)
    bob = roster.one("Bob")
    assert bob is not None
    assert (bob.n_sessions, bob.n_tokens, made.used_at) == (2, 1, None)
    assert bob.seen_at == held.sessions("bob")[0].began_at
    held.token_owner(secret)
    assert roster.one("bob").seen_at == held.tokens("bob")[-1].used_at
    assert roster.one("ann").seen_at is None
    assert roster.one("nobody") is None


def test_a_question_and_a_vote_count_as_seen(accounts: Accounts) -> None:
    asked, judged = "2026-11-03T10:00:00+00:00", "2026-11-04T10:00:00+00:00"
    with accounts.engine.begin() as connection:
        connection.execute(
            conversations.insert().values(
                conversation_id="c", user="ann", title="t", created_at=asked, changed_at=asked
            )
        )
    assert AccountListing(accounts.engine).one("ann").seen_at == datetime.fromisoformat(asked)
    with accounts.engine.begin() as connection:
        connection.execute(
            verdict_events.insert().values(
                user="ann", turn_id="t", passage_id="p", verdict="helpful", comment="", given_at=judged
            )
        )
    assert AccountListing(accounts.engine).one("ann").seen_at == datetime.fromisoformat(judged)


def test_the_list_is_found_by_name_a_page_at_a_time(accounts: Accounts) -> None:
    for name in ("b_b", "bab", "bob"):
        accounts.add(name, "reader")
    roster = AccountListing(accounts.engine)
    found, n = roster.page("B", 2)
    assert ([account.account.name for account in found], n) == (["b_b", "bab"], 3)
    assert [account.account.name for account in roster.page("B", 2, 2)[0]] == ["bob"]
    assert [account.account.name for account in roster.page("b_", 9)[0]] == ["b_b"]  # no pattern, the sign itself


def test_a_password_that_is_made_fits_and_is_never_the_same(accounts: Accounts) -> None:
    made = generate_password()
    accounts.set_password("ann", made)
    assert accounts.authenticate("ann", made) is not None
    assert generate_password() != made


# ---- forgetting


def test_who_is_forgotten_leaves_no_account_session_token_or_conversation(
    accounts: Accounts, held: CredentialStore
) -> None:
    accounts.add("bob", "voter", GOOD)
    session, (_, token) = held.begin_session("bob", 1), held.create_token("bob", "a program")
    at = utc_now().isoformat()
    with accounts.engine.begin() as connection:
        mine = {"conversation_id": "c", "user": "bob", "title": "t", "created_at": at, "changed_at": at}
        connection.execute(conversations.insert(), [mine, mine | {"conversation_id": "d", "user": "ann"}])
        connection.execute(
            comparisons.insert().values(
                comparison_id="k", user="bob", question="q", left_id="l", right_id="r", better="left", compared_at=at
            )
        )
        connection.execute(
            golden_questions.insert().values(
                golden_id="g",
                question="q",
                answerable=0,
                source="",
                quote="",
                reference="",
                nuggets="[]",
                tags="[]",
                origin="file",
                added_by="bob",
                added_at=at,
            )
        )
    would = erase_user_data(accounts.engine, "bob", dry_run=True)
    assert (would.n_conversations, would.n_comparisons, would.has_account) == (1, 1, True)
    assert held.session_owner(session) is not None
    assert erase_user_data(accounts.engine, "bob") == would
    assert held.session_owner(session) is None
    assert held.token_owner(token) is None
    for table in (people, sessions, tokens, conversations, comparisons, golden_questions):
        assert "bob" not in everything_in(accounts.engine, table)
    assert "'ann'" in everything_in(accounts.engine, conversations)
    assert FORGOTTEN_USER in everything_in(accounts.engine, golden_questions)
