"""Conversations in a real browser: kept over a reload, asked again, stopped, corrected, filled by files, and one's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.accounts.accounts import Accounts
from rag.answering.answerer import Answerer
from rag.database.schema import open_database
from rag.generation.generator import AnswerDraft, GenerationRequest, make_generator
from rag.ingestion.ingest import ingest_paths
from rag.settings import load_settings
from rag.splitting.splitter import SplittingRules
from tests.fixtures.browser import NEEDS, Page
from tests.rag.parsing.test_parser import pdf
from ui.server.serve import RunningServer, serve_in_thread
from ui.texts import chat as said

pytestmark = NEEDS

GRANT = "# Who can get the grant?\n\nNurses who work at night can get the grant of 500 pounds. Apply before the first of May.\n"
OWLS = "# Owls\n\nOwls hunt mice at night, by hearing alone.\n"
FAR = "# Rules of the house\n\nThe boiler room stays locked from ten in the evening.\n"
SLOWLY = "Write slowly about owls"
HOSTILE = '<img src=x onerror="document.title=1"> **b**'
GOOD = "correct horse battery"


class SlowWriter:
    """The quoting generator, save for one question, whose answer goes on until somebody stops it."""

    def __init__(self) -> None:
        self._quotes = make_generator()

    def stream(self, input: GenerationRequest) -> Iterator[AnswerDraft]:
        if SLOWLY not in input.question:
            yield from self._quotes.stream(input)
            return
        for n in range(600):
            if input.stopped.wait(0.05):
                return
            yield AnswerDraft(f"word{n} ")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("chat")
    (made / "documents").mkdir()
    for name, text in (("grant.md", GRANT), ("owls.md", OWLS), ("house.md", FAR)):
        (made / "documents" / name).write_text(text, "utf-8")
    return made


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[RunningServer]:
    def fill(app) -> None:
        ingest_paths(app.library, [home / "documents"], splitting=SplittingRules(90))
        app.encode_missing()
        app.__dict__["answerer"] = Answerer(lambda: app.retriever, SlowWriter(), app.library, app.feedback, k=2)

    settings = load_settings(home / "data", server={"port": 0}, retrieval={"k": 2})
    with serve_in_thread(settings, prepare=fill) as started:
        started.opening.app()
        yield started


@pytest.fixture
def page(browser, server: RunningServer) -> Page:
    return opened(browser, server.address)


def opened(browser, address: str) -> Page:
    browser.get(address)
    browser.execute_script("localStorage.clear()")
    browser.refresh()
    page = Page(browser)
    page.see(".nj-messages .example")
    return page


def button(page: Page, text: str):
    return page.see("button, a", where=lambda one: one.text == text)


def answers(page: Page) -> list[str]:
    return [element.text for element in page.browser.find_elements("css selector", "[data-testid=bot]")]


def test_a_reload_brings_back_the_conversation_with_marks_votes_and_words(page: Page) -> None:
    page.ask("Who can get the grant?")
    page.see(".nj-evidence .nj-helpful").click()
    page.see(".nj-evidence .nj-helpful.primary")
    before = (answers(page), page.see(".nj-below .nj-quiet").text, page.see(".nj-card").text)
    page.browser.refresh()
    page.see(".nj-evidence .nj-helpful.primary")
    assert (answers(page), page.see(".nj-below .nj-quiet").text, page.see(".nj-card").text) == before
    assert page.see(".nj-card mark").text == "Nurses who work at night can get the grant of 500 pounds."
    assert page.see(".nj-titles label.selected").text == "Who can get the grant?"


def test_clicking_the_answer_that_is_shown_changes_nothing_and_is_no_error(page: Page) -> None:
    page.ask("What do owls hunt?")
    before = page.see(".nj-card").text
    page.see("[data-testid=bot]").click()
    page.see(".nj-evidence .nj-helpful").click()  # what is done next is seen, so the click before has been answered
    page.see(".nj-evidence .nj-helpful.primary")
    assert page.see(".nj-card").text.startswith(before.split("\n", maxsplit=1)[0])
    assert not [box for box in page.browser.find_elements("css selector", ".error") if box.is_displayed()]


def test_the_bar_of_a_file_is_as_wide_as_its_share(page: Page) -> None:
    width = page.browser.execute_script(
        "const file = document.createElement('div'); file.className = 'nj-file'; file.style.width = '200px';"
        'file.innerHTML = \'<div class="nj-bar nj-tenths-7"><span style="transition: none"></span></div>\';'
        "document.querySelector('.nj-chat').append(file);"
        "return file.querySelector('span').getBoundingClientRect().width"
    )
    assert width == pytest.approx(140, abs=1)


def test_a_question_asked_again_leaves_its_first_answer_and_says_so(page: Page) -> None:
    page.ask("What do owls hunt?")
    page.see(".nj-again").click()
    page.see("[data-testid=bot]", where=lambda one: said.ASKED_AGAIN in one.text)
    first, second = answers(page)
    assert first.startswith("Owls hunt mice")
    assert second == first.removesuffix(f"\n\n{said.ASKED_AGAIN}")


def test_the_last_question_is_edited_in_its_box_and_asked_as_another(page: Page) -> None:
    from selenium.webdriver.common.keys import Keys

    page.ask("What do owls hunt?")
    page.see(".nj-edit").click()
    box = page.see(".nj-question textarea", where=lambda one: one.get_attribute("value") == "What do owls hunt?")
    page.see(".nj-editing")
    box.send_keys(Keys.CONTROL, "a")
    page.ask("Who can get the grant?")
    page.see("[data-testid=bot]", where=lambda one: said.ASKED_AGAIN in one.text)
    assert answers(page)[1].startswith("Nurses who work at night")


def test_stop_ends_an_answer_and_keeps_what_there_is_of_it(page: Page, server: RunningServer) -> None:
    page.see(".nj-question textarea").send_keys(SLOWLY, "\n")
    page.see("[data-testid=bot]", where=lambda one: "word3" in one.text)
    page.see(".nj-question .stop-button").click()
    page.see(".nj-question .submit-button")
    stopped = answers(page)[-1]
    assert "word3" in stopped
    assert "word599" not in stopped
    page.browser.refresh()
    page.see("[data-testid=bot]", where=lambda one: one.text == stopped)


def test_the_right_passage_is_found_by_words_and_pinned(page: Page, server: RunningServer) -> None:
    page.ask("What do owls hunt?")
    page.see(".nj-chat .nj-not_relevant").click()
    page.see(".nj-wrong .nj-answer_wrong_source").click()
    page.see(".nj-wrong .nj-look textarea").send_keys("the house rules say it", "\n")
    page.see(".nj-which .nj-look textarea, .nj-which .nj-look input").send_keys("boiler room", "\n")
    find = page.see(".nj-find", where=lambda one: "boiler room" in one.text)
    page.see(".nj-pin", find).click()
    page.see(".nj-which .nj-note", where=lambda one: "ranks much higher" in one.text)
    app = server.opening.app()
    given = {
        verdict.verdict: verdict
        for verdict in app.feedback.standing("local")
        if verdict.question == "What do owls hunt?"
    }
    assert app.library.get([given["pin"].passage_id])[given["pin"].passage_id].source.endswith("house.md")
    assert given["answer_wrong_source"].comment == "the house rules say it"


def test_where_it_declines_a_document_is_named_and_its_passage_pinned(page: Page, server: RunningServer) -> None:
    page.ask("Which volcano erupted on Jupiter?")
    page.see(".nj-which", where=lambda one: said.DOCUMENT_LABEL in one.text)
    page.see(".nj-which .nj-offered input").send_keys(str(Path("documents", "house.md")))
    page.see("[role=option]", where=lambda one: "house.md" in one.text).click()
    find = page.see(".nj-find", where=lambda one: "boiler room" in one.text)
    assert (
        len([element for element in page.browser.find_elements("css selector", ".nj-find") if element.is_displayed()])
        == 1
    )
    page.see(".nj-pin", find).click()
    page.see(".nj-which .nj-pin.primary")
    pins = [verdict.question for verdict in server.opening.app().feedback.standing("local") if verdict.verdict == "pin"]
    assert "Which volcano erupted on Jupiter?" in pins


def test_a_passage_is_opened_in_its_document_and_closed_again(page: Page) -> None:
    page.ask("Who can get the grant?")
    page.see(".nj-evidence .nj-open").click()
    assert "Nurses who work at night" in page.see(".nj-around .nj-this").text
    button(page, said.CLOSE).click()
    button(page, said.OPEN)
    assert not [
        element for element in page.browser.find_elements("css selector", ".nj-around") if element.is_displayed()
    ]


def test_a_pdf_dropped_with_a_question_comes_in_and_answers_it(
    page: Page, tmp_path: Path, server: RunningServer
) -> None:
    file = tmp_path / "bats.pdf"
    file.write_bytes(pdf([(50, 700, 12, "Bats find moths in the dark by echoes of their own cries.")]))
    page.browser.find_element("css selector", ".nj-question input[type=file]").send_keys(str(file))
    page.see(".nj-question .thumbnail-item, .nj-question .thumbnails")
    page.see(".nj-question textarea").send_keys("How do bats find moths?", "\n")
    page.see(".nj-dropped", where=lambda one: "bats.pdf" in one.text)
    page.see(".nj-dropped", where=lambda one: said.FILE_STAGES["done"] in one.text)
    page.card("echoes of their own cries")
    page.see(".nj-only-this").click()
    page.see(".nj-only", where=lambda one: "uploads/bats.pdf" in one.text)
    assert "uploads/bats.pdf" in server.opening.app().library.file_hashes()
    assert page.foreign_requests(server.address) == []


def test_a_conversation_is_renamed_found_saved_and_deleted_and_its_name_is_text(
    page: Page, server: RunningServer
) -> None:
    page.ask("What do owls hunt?")
    button(page, said.RENAME).click()
    box = page.see(".nj-list .nj-look textarea, .nj-list .nj-look input")
    box.clear()
    box.send_keys(HOSTILE, "\n")
    page.see(".nj-titles label.selected", where=lambda one: one.text == HOSTILE)
    assert page.browser.find_elements("css selector", ".nj-list img, .nj-list strong") == []
    address = button(page, said.EXPORT_MARKDOWN).get_attribute("href")
    saved = page.browser.execute_async_script(
        "const done = arguments[1]; fetch(arguments[0]).then((one) => one.text()).then(done)", address
    )
    assert saved.startswith("# \\<img")
    assert "Owls hunt mice at night" in saved
    page.see(".nj-find-words textarea, .nj-find-words input").send_keys("onerror=")
    page.see(".nj-titles", where=lambda one: len(one.find_elements("css selector", "label")) == 1)
    button(page, said.DELETE).click()
    page.see(".nj-sure", where=lambda one: said.SURE in one.text)
    button(page, said.DO_DELETE).click()
    page.see(".nj-list .nj-note", where=lambda one: one.text == said.DELETED)
    assert HOSTILE not in [conversation.title for conversation in server.opening.app().conversations.of("local")]


# ---- two people


@pytest.fixture(scope="module")
def shared(home: Path) -> Iterator[RunningServer]:
    """An application with accounts: ann administers, vic votes, rea reads."""
    settings = load_settings(home / "shared", server={"port": 0}, accounts={"required": "always"})
    engine = open_database(settings.database_url)
    for name, role in (("ann", "administrator"), ("vic", "voter"), ("rea", "reader")):
        Accounts(engine).add(name, role, GOOD)
    engine.dispose()

    def fill(app) -> None:
        ingest_paths(app.library, [home / "documents"], splitting=SplittingRules(90))
        app.encode_missing()

    with serve_in_thread(settings, prepare=fill) as started:
        started.opening.app()
        yield started


def sign_in(browser, address: str, name: str) -> Page:
    browser.get(f"{address}/livez")
    browser.delete_all_cookies()
    browser.get(f"{address}/sign-in")
    page = Page(browser)
    page.see("input[name=name]").send_keys(name)
    page.see("input[name=password]").send_keys(GOOD, "\n")
    page.see(".nj-messages .example, [data-testid=bot]")
    return page


def test_two_people_at_one_browser_never_see_each_others_conversations(browser, shared: RunningServer) -> None:
    """Not even by the conversation that the browser remembers."""
    page = sign_in(browser, shared.address, "ann")
    page.ask("Who can get the grant?")
    address = button(page, said.EXPORT_JSON).get_attribute("href")
    other = sign_in(browser, shared.address, "vic")
    other.see(".nj-messages .example")
    assert "grant" not in other.see(".nj-list").text
    fetched = "const done = arguments[1]; fetch(arguments[0]).then((one) => done(one.status))"
    assert browser.execute_async_script(fetched, address) == 404
    other.ask("What do owls hunt?")
    kept = shared.opening.app().conversations
    assert [[conversation.title for conversation in kept.of(name)] for name in ("ann", "vic")] == [
        ["Who can get the grant?"],
        ["What do owls hunt?"],
    ]
    back = sign_in(browser, shared.address, "ann")
    back.see(".nj-titles label", where=lambda one: one.text == "Who can get the grant?")


def test_a_reader_asks_but_has_no_buttons_that_work_for_votes_and_files(browser, shared: RunningServer) -> None:
    page = sign_in(browser, shared.address, "rea")
    page.see(".nj-question textarea").send_keys("Who can get the grant?", "\n")
    page.card("500 pounds")
    page.see(".nj-below .nj-votes")
    votes = page.browser.find_elements("css selector", ".nj-evidence .nj-helpful, .nj-below .nj-helpful")
    assert not any(vote.is_enabled() for vote in votes if vote.is_displayed())
    assert page.browser.find_elements("css selector", ".nj-question .upload-button") == []
