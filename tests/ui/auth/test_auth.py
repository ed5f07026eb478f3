"""Authentication, tried from outside on a real server: who gets in by what, and all the ways in which nobody should."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import httpx
import pytest

from rag.accounts.accounts import Accounts
from rag.accounts.sessions_and_tokens import CredentialStore
from rag.database.schema import open_database
from rag.errors import RateLimitError, SettingsError, UsageError
from rag.ingestion.ingest import ingest_paths
from rag.settings import load_settings
from rag.splitting.splitter import SplittingRules
from ui.auth.csrf_forms import safe_next_page
from ui.auth.login_throttle import LoginThrottle
from ui.auth.setup import must_sign_in, open_auth_stack, served_host_names
from ui.middleware.rate_limit import RateLimiter
from ui.server.serve import RunningServer, serve_in_thread
from ui.texts import accounts as texts

# Gradio 6.31 asks pandas 3 for what pandas 4 will not have, whenever an event ends.
pytestmark = [
    pytest.mark.filterwarnings("ignore:'future.no_silent_downcasting' is deprecated"),
    pytest.mark.filterwarnings("ignore:The copy keyword is deprecated"),
]

GOOD = "correct horse battery"
PEOPLE = {"ann": "administrator", "vic": "voter", "rea": "reader"}
PROXY = "127.0.0.9"
GRANT = "# The grant\n\nNurses who work at night can get the grant of 500 pounds. Apply before the first of May.\n"
PAGE = {"accept": "text/html"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Accounts are needed; 127.0.0.9 is a proxy, whose header says who somebody is."""
    home = tmp_path_factory.mktemp("accounts")
    (home / "grant.md").write_text(GRANT, "utf-8")
    settings = load_settings(
        home / "data",
        server={"port": 0, "hosts": ["nightjar.example"]},
        accounts={"required": "always", "proxies": [PROXY], "proxy_header": "X-Remote-User", "proxy_role": "reader"},
    )
    engine = open_database(settings.database_url)
    for name, role in PEOPLE.items():
        Accounts(engine).add(name, role, GOOD)
    engine.dispose()

    def fill(app) -> None:
        ingest_paths(app.library, [home / "grant.md"], splitting=SplittingRules(90))
        app.encode_missing()

    with serve_in_thread(settings, prepare=fill) as started:
        started.opening.app()
        yield started


@pytest.fixture
def comes(server: RunningServer) -> Iterator[Callable[..., httpx.Client]]:
    """A browser or a program that comes from an address of its own; each has its own cookies."""
    opened: list[httpx.Client] = []

    def come(address: str = "127.0.0.1", **headers: str) -> httpx.Client:
        transport = httpx.HTTPTransport(local_address=address)
        opened.append(httpx.Client(base_url=server.address, timeout=30, transport=transport, headers=headers))
        return opened[-1]

    yield come
    for client in opened:
        client.close()


@pytest.fixture
def held(server: RunningServer) -> CredentialStore:
    return CredentialStore(server.opening.app().engine)


@pytest.fixture
def accounts(server: RunningServer) -> Accounts:
    return Accounts(server.opening.app().engine)


def csrf_of(page: httpx.Response) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found is not None
    return found.group(1)


def sign_in(client: httpx.Client, name: str, password: str = GOOD, **more: str) -> httpx.Response:
    fields = {"name": name, "password": password, "csrf": csrf_of(client.get("/sign-in?out"))} | more
    return client.post("/sign-in", data=fields)


def told(page: httpx.Response) -> str:
    return " ".join(re.findall(r'<p class="(?:told|wrong)"[^>]*>(.*?)</p>', page.text))


def cookie_lines(response: httpx.Response, name: str) -> list[str]:
    return [line for line in response.headers.get_list("set-cookie") if line.startswith(f"{name}=")]


# ---- nobody


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/documents",
        "/documents/",
        "/negatives",
        "//",
        "//livez",
        "/livez/",
        "/LIVEZ",
        "/livez%2F",
        "/sign-in/",
        "/./livez/../documents",
        "/static/../config",
        "/%2e%2e/config",
    ],
)
def test_a_page_sends_whoever_is_not_signed_in_to_sign_in(comes, server: RunningServer, path: str) -> None:
    for method in ("GET", "HEAD"):
        response = comes().request(method, httpx.URL(server.address, raw_path=path.encode()), headers=PAGE)
        assert response.status_code in (303, 401), path
        assert "Nurses" not in response.text


def test_where_one_is_sent_to_is_relative_and_names_the_page(comes) -> None:
    client = comes()
    assert client.get("/", headers=PAGE).headers["location"] == "sign-in"
    assert client.get("/documents?of=a b", headers=PAGE).headers["location"] == "sign-in?next=documents%3Fof%3Da%2520b"
    assert client.get("/api/docs", headers=PAGE).headers["location"] == "../sign-in?next=api%2Fdocs"
    assert sign_in(client, "vic", next="api/docs").headers["location"] == "./api/docs"


@pytest.mark.parametrize(
    "path",
    [
        "/api/version",
        "/config",
        "/gradio_api/info",
        "/gradio_api/queue/data?session_hash=a",
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/heartbeat/a",
        "/API/version",
    ],
)
def test_a_program_that_nobody_signed_in_is_told_how(comes, path: str) -> None:
    for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
        response = comes().request(method, path)
        assert response.status_code == 401
        assert response.headers["www-authenticate"].startswith("Bearer")
        assert "Authorization: Bearer nj_" in response.json()["error"]


def test_health_needs_nobody(comes) -> None:
    assert comes().get("/livez").json() == {"status": "ok"}
    assert comes().get("/readyz").status_code == 200


# ---- by password


def test_who_signs_in_gets_the_page_that_was_wanted_and_a_cookie_that_no_script_reads(comes) -> None:
    client = comes()
    response = sign_in(client, " Vic ", next="documents")
    assert (response.status_code, response.headers["location"]) == (303, "./documents")
    (line,) = cookie_lines(response, "nightjar-session")
    assert "HttpOnly" in line
    assert "SameSite=lax" in line
    assert "Max-Age=604800" in line
    assert "Secure" not in line  # this is http
    assert client.get("/documents", headers=PAGE).status_code == 200
    assert client.get("/api/version").status_code == 200
    assert client.get("/sign-in?next=negatives").headers["location"] == "./negatives"


def test_a_wrong_password_and_a_name_that_nobody_has_get_the_same_answer(comes) -> None:
    answers = {
        (response.status_code, told(response))
        for response in (sign_in(comes("127.0.1.1"), "vic", "wrong password"), sign_in(comes("127.0.1.2"), "nobody"))
    }
    assert answers == {(401, texts.WRONG)}


def test_after_five_wrong_passwords_an_address_waits_even_with_the_right_one(comes) -> None:
    client = comes("127.0.1.3")
    for name in ("vic", "vic", "rea", "nobody", "vic"):
        assert sign_in(client, name, "wrong password").status_code == 401
    refused = sign_in(client, "vic")
    assert refused.status_code == 429
    assert re.fullmatch(r"too many wrong passwords: try again in 1\d seconds", told(refused))
    assert 10 <= int(refused.headers["retry-after"]) <= 15
    assert sign_in(comes("127.0.1.4"), "vic").status_code == 303  # others are not locked out


def test_an_address_that_was_made_up_changes_nothing(comes) -> None:
    client = comes("127.0.1.5")
    for number in range(5):
        client.headers["x-forwarded-for"] = f"10.1.2.{number}"
        assert sign_in(client, "vic", "wrong password").status_code == 401
    assert sign_in(client, "vic").status_code == 429


def test_a_locked_account_is_told_so_to_who_knows_the_password_only(comes, accounts: Accounts) -> None:
    accounts.add("lou", "voter", GOOD)
    accounts.lock("lou")
    assert told(sign_in(comes("127.0.1.6"), "lou", "wrong password")) == texts.WRONG
    refused = sign_in(comes("127.0.1.6"), "lou")
    assert (refused.status_code, told(refused)) == (401, texts.LOCKED)
    assert cookie_lines(refused, "nightjar-session") == []


def test_what_was_typed_is_shown_as_text(comes) -> None:
    page = sign_in(comes("127.0.1.7"), '"><script>alert(1)</script>', next='"><img src=x>')
    assert "<script>" not in page.text
    assert "<img" not in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")


@pytest.mark.parametrize(
    "wanted",
    [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "\\\\evil.example",
        "a/../../b",
        "%2F%2Fevil.example",
        "x\r\na: b",
        ".",
    ],
)
def test_signing_in_never_leads_to_another_site(comes, wanted: str) -> None:
    assert safe_next_page(wanted) == ""
    assert sign_in(comes(), "rea", next=wanted).headers["location"] == "./"


# ---- sessions


def test_the_session_that_a_browser_held_before_is_not_the_one_it_gets(comes, held: CredentialStore) -> None:
    """Or somebody could put a session of theirs into a browser and wait."""
    client, planted = comes(), held.begin_session("rea", 1)
    fields = {"name": "vic", "password": GOOD, "csrf": csrf_of(client.get("/sign-in"))}
    cookies = f"nightjar-form={client.cookies['nightjar-form']}; nightjar-session={planted}"
    (line,) = cookie_lines(client.post("/sign-in", data=fields, headers={"cookie": cookies}), "nightjar-session")
    assert planted not in line
    assert held.session_owner(planted) is None
    made_up = comes(cookie=f"nightjar-session={'a' * 43}")
    assert made_up.get("/api/version").status_code == 401
    assert held.session_owner("a" * 43) is None


def test_a_session_ends_when_its_time_is_over(comes, held: CredentialStore) -> None:
    with_session = comes(cookie=f"nightjar-session={held.begin_session('vic', 1)}")
    assert with_session.get("/api/version").status_code == 200
    over = comes(cookie=f"nightjar-session={held.begin_session('vic', -1)}")
    assert over.get("/api/version").status_code == 401


def test_signing_out_ends_the_session_itself_and_needs_our_own_page(comes, held: CredentialStore) -> None:
    secret = held.begin_session("vic", 1)
    client = comes(cookie=f"nightjar-session={secret}")
    for asked in (
        client.get("/sign-out"),
        client.get("/sign-out", headers={"sec-fetch-site": "cross-site"}),
        client.post("/sign-out"),
        client.post("/sign-out", data={"csrf": "a"}),
    ):
        assert asked.status_code == 200
        assert texts.SIGN_OUT_QUESTION in asked.text
    assert held.session_owner(secret) is not None
    gone = client.get("/sign-out", headers={"sec-fetch-site": "same-origin"})
    assert (gone.status_code, gone.headers["location"]) == (303, "sign-in?out")
    assert held.session_owner(secret) is None
    assert client.get("/api/version").status_code == 401


def test_a_role_that_changes_and_a_lock_hold_from_the_next_request_on(
    comes, held: CredentialStore, accounts: Accounts
) -> None:
    accounts.add("max", "reader", GOOD)
    client = comes(cookie=f"nightjar-session={held.begin_session('max', 1)}")
    assert client.get("/api/jobs").status_code == 403
    accounts.set_role("max", "administrator")
    assert client.get("/api/jobs").status_code == 200
    accounts.lock("max")
    assert client.get("/api/jobs").status_code == 401


# ---- forms of other sites


def test_a_form_without_our_secret_changes_nothing(comes, held: CredentialStore) -> None:
    client = comes()
    refused = client.post("/sign-in", data={"name": "vic", "password": GOOD})
    assert (refused.status_code, told(refused)) == (400, texts.FORM_IS_OLD)
    sign_in(client, "vic")
    n_tokens = len(held.tokens("vic"))
    for csrf in ("", "a" * 43):
        response = client.post("/account", data={"do": "make", "label": "x", "csrf": csrf})
        assert (response.status_code, told(response)) == (400, texts.FORM_IS_OLD)
    assert len(held.tokens("vic")) == n_tokens


def test_a_form_from_another_origin_is_refused_even_with_the_secret(comes, held: CredentialStore) -> None:
    client = comes()
    sign_in(client, "vic")
    csrf = csrf_of(client.get("/account"))
    for origin in ("https://evil.example", "null", "http://127.0.0.1"):
        response = client.post("/account", data={"do": "make", "label": "x", "csrf": csrf}, headers={"origin": origin})
        assert response.status_code == 403
    ours = str(client.base_url).rstrip("/")
    made = client.post("/account", data={"do": "make", "label": "mine", "csrf": csrf}, headers={"origin": ours})
    assert made.status_code == 200


def test_a_form_that_is_no_form_is_nothing(comes) -> None:
    client = comes()
    csrf = csrf_of(client.get("/sign-in"))
    plain = {"content-type": "application/x-www-form-urlencoded"}
    for response in (
        client.post("/sign-in", json={"name": "vic", "password": GOOD, "csrf": csrf}),
        client.post("/sign-in", files={"csrf": (None, csrf)}),
        client.post("/sign-in", content=b"\xff" * 10, headers=plain),
        client.post("/sign-in", content=b"csrf=a&" * 100, headers=plain),
    ):
        assert response.status_code == 400


# ---- the account


def test_a_person_changes_the_password_with_the_one_they_have(comes, accounts: Accounts, held: CredentialStore) -> None:
    accounts.add("pat", "voter", GOOD)
    elsewhere = held.begin_session("pat", 1)
    client = comes("127.0.2.1")
    sign_in(client, "pat")

    def change(current: str, new: str, again: str | None = None) -> str:
        fields = {"do": "password", "current": current, "new": new, "again": new if again is None else again}
        return told(client.post("/account", data=fields | {"csrf": csrf_of(client.get("/account"))}))

    assert change("not this one", "another good one") == texts.NOT_YOURS
    assert change(GOOD, "another good one", "another one") == texts.NOT_THE_SAME
    assert "10 to 1,000 characters" in change(GOOD, "short")
    assert accounts.authenticate("pat", GOOD) is not None
    assert change(GOOD, "another good one") == texts.CHANGED
    assert accounts.authenticate("pat", "another good one") is not None
    assert held.session_owner(elsewhere) is None
    assert client.get("/api/version").status_code == 200  # here one stays signed in


def test_a_person_makes_and_revokes_their_tokens_only(comes, held: CredentialStore) -> None:
    annas, annas_secret = held.create_token("ann", "<b>not for vic</b>")
    client = comes()
    sign_in(client, "vic")
    csrf = csrf_of(client.get("/account"))
    made = client.post("/account", data={"do": "make", "label": "<i>wiki</i>", "csrf": csrf})
    secret = re.search(r'value="(nj_[\w-]{43})"', made.text)
    assert secret is not None
    assert "&lt;i&gt;wiki&lt;/i&gt;" in made.text
    assert "not for vic" not in made.text
    assert secret.group(1) not in client.get("/account").text
    program = comes(authorization=f"Bearer {secret.group(1)}")
    assert program.get("/api/version").status_code == 200
    theirs = client.post("/account", data={"do": "revoke", "token_id": annas.token_id, "csrf": csrf})
    assert theirs.status_code == 400
    assert held.token_owner(annas_secret) is not None
    mine = next(token for token in held.tokens("vic") if token.label == "<i>wiki</i>")
    revoked = client.post("/account", data={"do": "revoke", "token_id": mine.token_id, "csrf": csrf})
    assert told(revoked) == texts.REVOKED
    assert program.get("/api/version").status_code == 401


def test_signing_out_everywhere_ends_all_sessions(comes, held: CredentialStore) -> None:
    elsewhere, client = held.begin_session("rea", 1), comes()
    sign_in(client, "rea")
    client.post("/account", data={"do": "everywhere", "csrf": csrf_of(client.get("/account"))})
    assert held.session_owner(elsewhere) is None
    assert client.get("/api/version").status_code == 401


# ---- by token


def test_a_token_that_does_not_hold_is_refused_though_a_session_would(comes, held: CredentialStore) -> None:
    session = f"nightjar-session={held.begin_session('vic', 1)}"
    made, secret = held.create_token("vic", "x")
    held.revoke(made.token_id)
    for token in (secret, "nj_", "nj_" + "a" * 43, "vic", secret.upper()):
        assert comes(authorization=f"Bearer {token}", cookie=session).get("/api/version").status_code == 401
    assert comes(cookie=f"nightjar-session={secret}").get("/api/version").status_code == 401


def test_a_token_can_not_change_the_account_of_its_owner(comes, held: CredentialStore) -> None:
    _, secret = held.create_token("vic", "x")
    program, n_tokens = comes(authorization=f"bearer {secret}"), len(held.tokens("vic"))
    csrf = csrf_of(program.get("/account"))
    response = program.post("/account", data={"do": "make", "label": "y", "csrf": csrf})
    assert (response.status_code, told(response)) == (403, texts.WAYS_OF_TOKENS)
    assert len(held.tokens("vic")) == n_tokens


def test_gradios_client_comes_in_by_a_token(server: RunningServer, held: CredentialStore) -> None:
    from gradio_client import Client

    _, secret = held.create_token("rea", "gradio")
    client = Client(
        server.address, verbose=False, analytics_enabled=False, headers={"Authorization": f"Bearer {secret}"}
    )
    assert client.predict("Who can get the grant?", api_name="/chat").startswith("Nurses who work at night")
    client.close()
    app = server.opening.app()
    with app.engine.connect() as connection:
        asked = connection.exec_driver_sql('SELECT "user" FROM turns ORDER BY asked_at DESC').first()
    assert asked == ("rea",)


def test_openais_client_comes_in_by_a_token_and_is_told_where_it_may_not(
    server: RunningServer, held: CredentialStore
) -> None:
    openai = pytest.importorskip("openai")
    made, secret = held.create_token("vic", "openai")
    with openai.OpenAI(base_url=f"{server.address}/v1", api_key=secret, max_retries=0) as client:
        assert len(client.models.list().data) >= 1
        held.revoke(made.token_id)
        with pytest.raises(openai.AuthenticationError, match="nobody is signed in, or the token is not valid"):
            client.models.list()


# ---- by a proxy


def test_a_proxys_header_is_believed_from_the_proxy_alone(comes, accounts: Accounts) -> None:
    assert comes(PROXY, **{"x-remote-user": "ann"}).get("/api/jobs").status_code == 200
    for address, headers in (
        ("127.0.0.1", {"x-remote-user": "ann"}),
        ("127.0.0.1", {"X-REMOTE-USER": "ann", "x-forwarded-for": PROXY}),
        ("127.0.0.1", {"x-remote-user": "ann", "x-real-ip": PROXY, "forwarded": f"for={PROXY}"}),
        (PROXY, {"x_remote_user": "ann"}),
        (PROXY, {"x-remote-user": ""}),
        (PROXY, {"x-remote-user": "local"}),
    ):
        assert comes(address, **headers).get("/api/jobs").status_code == 401
    accounts.add("lena", "administrator")
    accounts.lock("lena")
    assert comes(PROXY, **{"x-remote-user": "lena"}).get("/api/jobs").status_code == 401


def test_a_header_that_stands_twice_is_nobodys(comes) -> None:
    client = comes(PROXY)
    twice = [("x-remote-user", "ann"), ("x-remote-user", "vic")]
    assert client.get("/api/version", headers=httpx.Headers(twice)).status_code == 401


def test_whom_only_the_proxy_knows_gets_the_role_of_the_settings_and_no_password(comes, accounts: Accounts) -> None:
    client = comes(PROXY, **{"x-remote-user": "New@Example.org"})
    assert client.get("/api/version").status_code == 200
    assert client.get("/api/jobs").status_code == 403
    known = accounts.get("new@example.org")
    assert (known.role, known.has_password) == ("reader", False)
    assert texts.CHANGE_PASSWORD not in client.get("/account").text


def test_behind_a_proxy_with_https_cookies_are_of_this_host_alone(comes) -> None:
    client = comes(
        PROXY,
        **{"x-forwarded-proto": "https", "x-forwarded-for": "198.51.100.7", "x-forwarded-host": "nightjar.example"},
    )
    page = client.get("/sign-in")
    (form,) = cookie_lines(page, "__Host-nightjar-form")
    assert "Secure" in form
    cookie = form.partition(";")[0]
    fields = {"name": "vic", "password": GOOD, "csrf": csrf_of(page)}
    foreign = client.post("/sign-in", data=fields, headers={"cookie": cookie, "origin": "https://evil.example"})
    assert foreign.status_code == 403
    response = client.post("/sign-in", data=fields, headers={"cookie": cookie, "origin": "https://nightjar.example"})
    (line,) = cookie_lines(response, "__Host-nightjar-session")
    assert "Secure" in line
    session = line.partition(";")[0]
    assert client.get("/api/version", headers={"cookie": session}).status_code == 200
    plain = session.removeprefix("__Host-")
    assert client.get("/api/version", headers={"cookie": plain}).status_code == 401


def test_wrong_passwords_through_a_proxy_count_for_the_browser_behind_it(comes) -> None:
    def tries(browser: str, password: str) -> int:
        return sign_in(comes(PROXY, **{"x-forwarded-for": f"203.0.113.1, {browser}"}), "rea", password).status_code

    assert [tries("198.51.100.8", "wrong password") for _ in range(6)] == [401] * 5 + [429]
    assert tries("198.51.100.9", GOOD) == 303


# ---- what is whose


def test_two_people_do_not_see_each_others_conversations(comes, held: CredentialStore) -> None:
    clients = [comes(authorization=f"Bearer {held.create_token(name, 'x')[1]}") for name in ("vic", "rea")]
    first = {"question": "Who can get the grant?", "conversation_id": "c-1"}
    assert clients[0].post("/api/ask", json=first).status_code == 200
    then = {"question": "How much is it?", "conversation_id": "c-1"}
    assert clients[0].post("/api/ask", json=then).json()["question"] == "Who can get the grant? How much is it?"
    theirs = clients[1].post("/api/ask", json=then)
    assert theirs.status_code == 404
    assert "somebody else's" in theirs.json()["error"]
    for method in ("GET", "DELETE"):
        assert clients[1].request(method, "/api/conversations/c-1").status_code == 404
    assert clients[1].patch("/api/conversations/c-1", json={"title": "mine now"}).status_code == 404
    assert clients[1].get("/api/conversations/c-1/text").status_code == 404
    assert clients[1].get("/api/conversations").json() == []
    assert clients[0].get("/api/conversations/c-1").status_code == 200


def test_a_vote_is_of_who_gives_it_and_a_readers_is_refused(
    comes, held: CredentialStore, server: RunningServer
) -> None:
    vic, rea = (comes(authorization=f"Bearer {held.create_token(name, 'x')[1]}") for name in ("vic", "rea"))
    answer = vic.post("/api/ask", json={"question": "Who can get the grant?"}).json()
    vote = {"turn_id": answer["turn_id"], "token": answer["token"], "verdict": "answer_helpful"}
    refused = rea.post("/api/verdicts", json=vote)
    assert refused.status_code == 403
    assert (
        "'rea' has the role reader, and this takes the role voter: ask an administrator for it"
        in refused.json()["error"]
    )
    assert vic.post("/api/verdicts", json=vote).status_code == 200
    assert [verdict.user for verdict in server.opening.app().feedback.standing(turn_id=answer["turn_id"])] == ["vic"]


def test_a_tab_of_somebody_else_can_not_be_used(comes, held: CredentialStore) -> None:
    vic, rea = (comes(authorization=f"Bearer {held.create_token(name, 'x')[1]}") for name in ("vic", "rea"))
    joins = {"data": ["Who?"], "fn_index": 0, "session_hash": "tab-of-vic"}
    assert vic.post("/gradio_api/queue/join", json=joins).status_code != 403
    twice = b'{"data": [], "fn_index": 0, "session_hash": "tab-of-vic", "session_hash": "mine"}'
    for response in (
        rea.post("/gradio_api/queue/join", json=joins),
        rea.post("/gradio_api/queue/join/", json=joins),
        rea.post("/gradio_api/queue/join", content=twice, headers={"content-type": "application/json"}),
        rea.post("/gradio_api/run/chat", json=joins),
        rea.post("/gradio_api/call/chat", json={"data": ["Who?"], "session_hash": "tab-of-vic"}),
        rea.post("/gradio_api/cancel", json={"session_hash": "tab-of-vic", "fn_index": 0, "event_id": "e"}),
        rea.post("/gradio_api/component_server", files={"session_hash": (None, "tab-of-vic")}),
        rea.get("/gradio_api/queue/data", params={"session_hash": "tab-of-vic"}),
        rea.get("/gradio_api/queue/data?session_hash=mine&session_hash=tab-of-vic"),
        rea.get("/gradio_api/call/chat/tab-of-vic"),
        rea.get("/gradio_api/heartbeat/tab-of-vic"),
        rea.get("/gradio_api/stream/tab-of-vic/1/2/playlist.m3u8"),
    ):
        assert response.status_code == 403, response.request.url


def test_what_gradio_offers_beyond_our_pages_is_closed(comes, held: CredentialStore) -> None:
    ann = comes(authorization=f"Bearer {held.create_token('ann', 'x')[1]}")
    for path in ("deep_link?session_hash=a", "proxy=http://evil.example/", "vibe-code", "dev/reload"):
        assert ann.get(f"/gradio_api/{path}").status_code == 404
    assert ann.post("/gradio_api/process_recording", files={"file": ("a.wav", b"x")}).status_code == 404


def test_two_people_call_one_function_each_for_themselves(comes, held: CredentialStore) -> None:
    for name in ("vic", "rea"):
        client = comes(authorization=f"Bearer {held.create_token(name, 'x')[1]}")
        called = client.post("/gradio_api/call/chat", json={"data": ["Who can get the grant?"]})
        assert called.status_code == 200
        answer = client.get(f"/gradio_api/call/chat/{called.json()['event_id']}").text
        assert "Nurses who work at night" in answer


def test_a_reader_uploads_nothing(comes, held: CredentialStore) -> None:
    rea = comes(authorization=f"Bearer {held.create_token('rea', 'x')[1]}")
    for path in ("/gradio_api/upload", "/gradio_api/upload/"):
        assert rea.post(path, files={"files": ("a.txt", b"x")}).status_code == 403
    assert comes().post("/gradio_api/upload", files={"files": ("a.txt", b"x")}).status_code == 401


def test_files_of_the_machine_are_nobodys(comes, held: CredentialStore, server: RunningServer) -> None:
    ann = comes(authorization=f"Bearer {held.create_token('ann', 'x')[1]}")
    database = server.opening.app().settings.data / "nightjar.db"
    for path in ("/etc/passwd", str(database), f"{database.parent}/../data/nightjar.db"):
        assert ann.get(f"/gradio_api/file={path}").status_code in (403, 404)


def test_nothing_that_is_for_one_person_is_kept_by_caches(comes) -> None:
    client = comes()
    assert client.get("/", headers=PAGE).headers["cache-control"] == "private, no-store"
    sign_in(client, "vic")
    for path in ("/", "/account", "/api/version", "/config"):
        assert client.get(path, headers=PAGE).headers["cache-control"] == "private, no-store", path


# ---- how often


def test_who_asks_too_often_is_told_when_to_try_again(comes, held: CredentialStore, server: RunningServer) -> None:
    """By a clock that stands still, for on a busy machine nobody can ask too often."""
    answerer = server.opening.app().answerer
    assert answerer.admit.__self__._per_s == 0.5  # as the settings say
    before, answerer.admit = answerer.admit, RateLimiter("questions", 30, clock=lambda: 0.0).take
    hasty, vic = (comes(authorization=f"Bearer {held.create_token(name, 'x')[1]}") for name in ("rea", "vic"))
    try:
        asked = [hasty.post("/api/ask", json={"question": "Who can get the grant?"}) for _ in range(11)]
        others = vic.post("/api/ask", json={"question": "Who can get the grant?"})
        by_openai = hasty.post(
            "/v1/chat/completions", json={"model": "nightjar", "messages": [{"role": "user", "content": "Who?"}]}
        )
    finally:
        answerer.admit = before
    assert [response.status_code for response in asked] == [200] * 10 + [429]
    told = "too many questions from 'rea', at most 30 a minute are allowed: try again in 2 seconds"
    assert (asked[-1].json()["error"], asked[-1].headers["retry-after"]) == (told, "2")
    assert (by_openai.status_code, by_openai.json()["error"]["message"]) == (429, told)
    assert others.status_code == 200


def test_a_pace_lets_a_burst_pass_and_then_one_after_the_other() -> None:
    at = 0.0
    pace = RateLimiter("votes", 6, clock=lambda: at)  # one in ten seconds, two at once
    pace.take("ann"), pace.take("ann")
    pace.take("bob")
    with pytest.raises(
        RateLimitError, match="too many votes from 'ann', at most 6 a minute are allowed: try again in 10 seconds"
    ):
        pace.take("ann")
    at = 9.0
    with pytest.raises(RateLimitError):
        pace.take("ann")
    at = 10.0
    pace.take("ann")
    unlimited = RateLimiter("votes", 0, clock=lambda: at)
    for _ in range(1000):
        unlimited.take("ann")


def test_wrong_passwords_make_one_wait_longer_each_time_and_are_forgotten() -> None:
    at = 0.0
    attempts = LoginThrottle(2, clock=lambda: at)

    def wait_of(name: str, address: str) -> float:
        try:
            attempts.check(name, address)
        except RateLimitError as error:
            return error.again_s
        return 0

    waits = []
    for _ in range(12):
        attempts.record_failure("ann", "192.0.2.1")
        waits.append(wait_of("ann", "192.0.2.1"))
    assert waits == [0, 15, 30, 60, 120, 240, 480, 900, 900, 900, 900, 900]
    assert wait_of("bob", "192.0.2.1") == 900
    assert wait_of("ann", "192.0.2.2") == 240  # the name, from elsewhere: eight of twelve failures are free
    attempts.record_success("ann")
    assert wait_of("ann", "192.0.2.2") == 0
    assert wait_of("ann", "192.0.2.1") == 900  # who has one account must not clear the way for guessing others
    at = 3700.0
    assert wait_of("ann", "192.0.2.1") == 0
    attempts.record_failure("ann", "192.0.2.1")
    assert wait_of("ann", "192.0.2.1") == 0


# ---- when people have to sign in


def test_people_sign_in_beyond_this_machine_and_behind_a_proxy_that_names_them() -> None:
    def needed(host: str = "127.0.0.1", **accounts: object) -> bool:
        return must_sign_in(load_settings(server={"host": host}, accounts=accounts))

    assert [needed(host) for host in ("127.0.0.1", "localhost", "::1", "0.0.0.0", "192.0.2.1", "nightjar.example")] == [
        False,
        False,
        False,
        True,
        True,
        True,
    ]
    assert needed(required="always")
    assert not needed("0.0.0.0", required="never")
    assert needed(proxy_header="X-Remote-User")


def test_the_names_that_it_goes_by() -> None:
    def names(host: str, *hosts: str, **accounts: object) -> frozenset[str] | None:
        return served_host_names(load_settings(server={"host": host, "hosts": hosts}, accounts=accounts))

    local = {"localhost", "127.0.0.1", "::1"}
    assert names("127.0.0.1") == local
    assert names("0.0.0.0") is None
    assert names("0.0.0.0", "Nightjar.example") == local | {"nightjar.example"}
    assert names("127.0.0.1", "Nightjar.example", required="never") == local | {"nightjar.example"}
    assert names("0.0.0.0", required="never") is None


@pytest.mark.parametrize("required", ["auto", "never", "always"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_on_loopback_only_this_machines_names_are_served_whether_people_sign_in_or_not(host, required) -> None:
    settings = load_settings(server={"host": host}, accounts={"required": required})
    assert served_host_names(settings) == {"localhost", "127.0.0.1", "::1"}


def test_without_an_administrator_nothing_is_served_beyond_this_machine(tmp_path) -> None:
    settings = load_settings(tmp_path / "data", server={"host": "0.0.0.0", "port": 0})
    refused = pytest.raises(
        UsageError, match=r"0\.0\.0\.0.*no administrator yet.*accounts add NAME --role administrator"
    )
    with refused, serve_in_thread(settings):
        pass
    with open_auth_stack(load_settings(tmp_path / "data")) as auth_stack:
        assert auth_stack is None


def test_a_proxys_header_without_an_address_or_with_a_wrong_one_is_refused(tmp_path) -> None:
    nobodys = load_settings(tmp_path / "data", accounts={"proxy_header": "X-Remote-User"})
    with pytest.raises(UsageError, match=r"accounts\.proxies names no proxy"), open_auth_stack(nobodys):
        pass
    unreadable = load_settings(tmp_path / "data", accounts={"proxies": ["10.0.0.0/33"]})
    with pytest.raises(SettingsError, match=r"accounts\.proxies.*10\.0\.0\.0/33"), open_auth_stack(unreadable):
        pass
