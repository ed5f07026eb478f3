"""Accounts, sessions and tokens in SQL: what is refused, what is kept, and what ends when."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, select, update

from rag.accounts import sessions_and_tokens as credentials
from rag.accounts.account_listing import Roster
from rag.accounts.accounts import Accounts, made_password
from rag.accounts.erasure import NOBODY, forget_person
from rag.accounts.sessions_and_tokens import MAX_TOKENS, Credentials
from rag.database.schema import reading, verdict_events
from rag.database.user_tables import comparisons, conversations, golden, people, sessions, tokens
from rag.errors import NotFoundError, UsageError
from rag.records import now

GOOD = "correct horse battery"


@pytest.fixture
def accounts(engine: Engine) -> Accounts:
    """Ann, an administrator."""
    opened = Accounts(engine)
    opened.add("ann", "administrator", GOOD)
    return opened


@pytest.fixture
def held(accounts: Accounts) -> Credentials:
    return Credentials(accounts.engine)


def everything_in(engine: Engine, table) -> str:
    with reading(engine) as connection:
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
    found = accounts.by_password("ANN", GOOD)
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
    assert accounts.by_password("ann", GOOD + " ") is None
    assert accounts.by_password("ann", "") is None
    assert accounts.by_password("robot", "") is None
    assert accounts.by_password("nobody", GOOD) is None
    assert accounts.by_password("ann' OR 1=1 --", GOOD) is None
    assert accounts.by_password("a\x00\ud800", GOOD) is None


def test_a_hash_of_weaker_parameters_is_written_anew_at_the_next_sign_in(accounts: Accounts) -> None:
    from argon2 import PasswordHasher

    weak = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(GOOD)
    with accounts.engine.begin() as connection:
        connection.execute(update(people).values(password_hash=weak))
    assert accounts.by_password("ann", GOOD) is not None
    assert "m=65536,t=3,p=4" in everything_in(accounts.engine, people)
    assert accounts.by_password("ann", GOOD) is not None


def test_the_last_administrator_can_not_be_locked_demoted_or_forgotten(accounts: Accounts) -> None:
    accounts.add("bob", "administrator", GOOD)
    accounts.lock("bob")  # who is locked looks after nobody
    for act in (
        lambda: accounts.lock("Ann"),
        lambda: accounts.set_role("ann", "voter"),
        lambda: forget_person(accounts.engine, "ann"),
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


def test_a_session_is_known_by_its_secret_alone_and_the_secret_is_nowhere(held: Credentials) -> None:
    secret = held.begin_session("ann", 1)
    found = held.by_session(secret)
    assert found is not None
    assert found.name == "ann"
    assert secret not in everything_in(held.engine, sessions)
    assert held.by_session(secret[:-1]) is None
    with reading(held.engine) as connection:
        kept = connection.scalar(select(sessions.c.secret_sha256))
    assert held.by_session(kept) is None  # who reads the database has no session


def test_a_session_ends_by_time_by_signing_out_and_everywhere(held: Credentials) -> None:
    past = held.begin_session("ann", -1)
    here, there = held.begin_session("ann", 1), held.begin_session("ann", 1)
    assert held.by_session(past) is None
    assert past not in everything_in(held.engine, sessions)
    held.end_session(here)
    assert held.by_session(here) is None
    assert held.by_session(there) is not None
    held.end_sessions("ann")
    assert held.by_session(there) is None


def test_another_password_and_a_lock_end_every_session(accounts: Accounts, held: Credentials) -> None:
    accounts.add("bob", "voter", GOOD)
    bobs = held.begin_session("bob", 1)
    accounts.set_password("bob", "another good one")
    assert held.by_session(bobs) is None
    bobs = held.begin_session("bob", 1)
    accounts.lock("bob")
    accounts.unlock("bob")
    assert held.by_session(bobs) is None


def test_what_a_locked_person_holds_proves_nothing(accounts: Accounts, held: Credentials) -> None:
    accounts.add("bob", "voter", GOOD)
    _, token = held.make_token("bob", "a program")
    accounts.lock("bob")
    session = held.begin_session("bob", 1)  # one that began at the same moment
    assert held.by_token(token) is None
    assert held.by_session(session) is None


# ---- tokens


def test_a_token_is_kept_as_a_hash_and_ends_when_it_is_revoked(held: Credentials) -> None:
    made, secret = held.make_token("ann", "the wiki")
    assert secret.startswith("nj_")
    assert len(secret) == 46
    assert secret not in everything_in(held.engine, tokens)
    found = held.by_token(secret)
    assert found is not None
    assert found.name == "ann"
    held.revoke(made.token_id)
    assert held.by_token(secret) is None
    with pytest.raises(NotFoundError, match=r"no token .* that still holds"):
        held.revoke(made.token_id)
    assert [one.is_revoked for one in held.tokens()] == [True]


def test_nobody_revokes_the_token_of_somebody_else(accounts: Accounts, held: Credentials) -> None:
    accounts.add("bob", "voter", GOOD)
    made, secret = held.make_token("ann", "the wiki")
    with pytest.raises(NotFoundError):
        held.revoke(made.token_id, "bob")
    assert held.by_token(secret) is not None
    assert held.tokens("bob") == []


def test_the_use_of_a_token_is_noted_to_the_minute(held: Credentials, monkeypatch: pytest.MonkeyPatch) -> None:
    made, secret = held.make_token("ann", "the wiki")
    assert made.used_at is None
    held.by_token(secret)
    first = held.tokens()[0].used_at
    held.by_token(secret)
    assert held.tokens()[0].used_at == first
    monkeypatch.setattr(credentials, "now", lambda: now() + timedelta(minutes=2))
    held.by_token(secret)
    assert held.tokens()[0].used_at - first > timedelta(minutes=1)


def test_tokens_have_a_label_an_owner_and_a_number_that_is_enough(held: Credentials) -> None:
    for label in ("", " ", "x" * 101):
        with pytest.raises(UsageError, match="a label of"):
            held.make_token("ann", label)
    with pytest.raises(NotFoundError, match="nobody is called 'bob'"):
        held.make_token("bob", "x")
    for number in range(MAX_TOKENS):
        held.make_token("ann", str(number))
    with pytest.raises(UsageError, match="'ann' holds 50 tokens"):
        held.make_token("ann", "one more")


# ---- the list of people


def test_the_list_tells_what_people_hold_and_when_they_were_seen(accounts: Accounts, held: Credentials) -> None:
    accounts.add("bob", "voter", GOOD)
    for hours in (-1, 1, 2):
        held.begin_session("bob", hours)
    made, secret = held.make_token("bob", "a program")
    held.revoke(held.make_token("bob", "another")[0].token_id)
    roster = Roster(accounts.engine)
    bob = roster.one("Bob")
    assert bob is not None
    assert (bob.n_sessions, bob.n_tokens, made.used_at) == (2, 1, None)
    assert bob.seen_at == held.sessions("bob")[0].began_at
    held.by_token(secret)
    assert roster.one("bob").seen_at == held.tokens("bob")[-1].used_at
    assert roster.one("ann").seen_at is None
    assert roster.one("nobody") is None


def test_a_question_and_a_vote_count_as_seen(accounts: Accounts) -> None:
    asked, judged = "2026-11-03T10:00:00+00:00", "2026-11-04T10:00:00+00:00"
    with accounts.engine.begin() as connection:
        connection.execute(conversations.insert().values(
            conversation_id="c", user="ann", title="t", created_at=asked, changed_at=asked))  # fmt: skip
    assert Roster(accounts.engine).one("ann").seen_at == datetime.fromisoformat(asked)
    with accounts.engine.begin() as connection:
        connection.execute(verdict_events.insert().values(
            user="ann", turn_id="t", passage_id="p", verdict="helpful", comment="", given_at=judged))  # fmt: skip
    assert Roster(accounts.engine).one("ann").seen_at == datetime.fromisoformat(judged)


def test_the_list_is_found_by_name_a_page_at_a_time(accounts: Accounts) -> None:
    for name in ("b_b", "bab", "bob"):
        accounts.add(name, "reader")
    roster = Roster(accounts.engine)
    found, n = roster.page("B", 2)
    assert ([one.account.name for one in found], n) == (["b_b", "bab"], 3)
    assert [one.account.name for one in roster.page("B", 2, 2)[0]] == ["bob"]
    assert [one.account.name for one in roster.page("b_", 9)[0]] == ["b_b"]  # no pattern, the sign itself


def test_a_password_that_is_made_fits_and_is_never_the_same(accounts: Accounts) -> None:
    made = made_password()
    accounts.set_password("ann", made)
    assert accounts.by_password("ann", made) is not None
    assert made_password() != made


# ---- forgetting


def test_who_is_forgotten_leaves_no_account_session_token_or_conversation(
    accounts: Accounts, held: Credentials
) -> None:
    accounts.add("bob", "voter", GOOD)
    session, (_, token) = held.begin_session("bob", 1), held.make_token("bob", "a program")
    at = now().isoformat()
    with accounts.engine.begin() as connection:
        mine = {"conversation_id": "c", "user": "bob", "title": "t", "created_at": at, "changed_at": at}
        connection.execute(conversations.insert(), [mine, mine | {"conversation_id": "d", "user": "ann"}])
        connection.execute(comparisons.insert().values(
            comparison_id="k", user="bob", question="q", left_id="l", right_id="r", better="left", compared_at=at))  # fmt: skip
        connection.execute(golden.insert().values(
            golden_id="g", question="q", answerable=0, source="", quote="", reference="", nuggets="[]", tags="[]",
            origin="file", added_by="bob", added_at=at))  # fmt: skip
    would = forget_person(accounts.engine, "bob", dry_run=True)
    assert (would.n_conversations, would.n_comparisons, would.has_account) == (1, 1, True)
    assert held.by_session(session) is not None
    assert forget_person(accounts.engine, "bob") == would
    assert held.by_session(session) is None
    assert held.by_token(token) is None
    for table in (people, sessions, tokens, conversations, comparisons, golden):
        assert "bob" not in everything_in(accounts.engine, table)
    assert "'ann'" in everything_in(accounts.engine, conversations)
    assert NOBODY in everything_in(accounts.engine, golden)
