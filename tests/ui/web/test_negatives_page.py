"""The page of negatives: what it says of a judged question, of one nobody judged, and of hostile documents."""

from __future__ import annotations

import asyncio
import logging
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import func, select

from rag.app.app import App, open_app
from rag.database.schema import read_connection, vectors
from rag.embedding.query_vectors import load_query_vectors
from rag.errors import SettingsError
from rag.ingestion.ingest import ingest_paths
from rag.records import Passage, Turn, Verdict, utc_now
from rag.settings import Settings, load_settings
from rag.splitting.splitter import SplittingRules
from retriever_training.inspection.negatives_of_question import mine_for_question
from retriever_training.negatives.candidates.records import VersionView
from retriever_training.negatives.denoising.false_negative_rules import false_negative_rules
from retriever_training.negatives.finders import FINDERS
from tests.fixtures import jargon
from tests.fixtures.browser import CHROMIUM, DRIVER, Page
from tests.fixtures.requests import request_of
from tests.ui.browser.test_first_visit import HOSTILE
from ui.background.startup import AppStartup
from ui.html.fragments import escape_html
from ui.server.serve import RunningServer, serve_in_thread
from ui.texts import shared as texts
from ui.texts.reasons import REMOVED_BECAUSE
from ui.web.components.theme import MAIN_STYLE_SHEET
from ui.web.pages import build_pages
from ui.web.training.negatives_page import NegativesPage, judged_questions, negatives_html
from ui.web.training.render_negatives import FinderCandidates, render_candidate, render_negatives

# Gradio 6.31 asks pandas 3 for what pandas 4 will not have, whenever an event ends.
pytestmark = [
    pytest.mark.filterwarnings("ignore:'future.no_silent_downcasting' is deprecated"),
    pytest.mark.filterwarnings("ignore:The copy keyword is deprecated"),
]
in_a_browser = [
    pytest.mark.browser,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs Debian's chromium and chromium-driver"),
]

JUDGED = dict(list(jargon.questions().items())[::2])
FILTER = "How do I clean the filter of my printer?"
UNJUDGED = "Who sells spare parts?"


def judge(app: App, documents: Path) -> None:
    """People name the right passages of half the questions; beside the manuals lies a hostile document."""
    jargon.vote(app, JUDGED)
    documents.mkdir()
    (documents / "hostile.txt").write_text(HOSTILE, "utf-8")
    ingest_paths(app.library, [documents], splitting=SplittingRules(90))
    app.encode_missing()


@pytest.fixture
def app(manuals: Path, tmp_path: Path) -> Iterator[App]:
    opened = open_app(Settings(data=manuals))
    judge(opened, tmp_path / "documents")
    yield opened
    opened.close()


def column(page: str, way: str) -> str:
    """What the page says of one way."""
    return re.split(r'<div class="nj-way |<div class="nj-why">', page.split(f"nj-way-{way}")[1])[0]


# ---- what is found


def test_a_judged_question_shows_its_right_passage_and_what_is_kept_and_removed_and_why(app: App) -> None:
    page = negatives_html(app, FILTER)
    right, ways = page.split('<div class="nj-ways">')
    assert "Zorvex&#58; take the filter out" in right
    assert right.count("nj-fate nj-right") == 1
    dense, random = column(ways, "dense"), column(ways, "random")
    assert escape_html("Removed: as close as a positive, under the base") in dense
    assert re.search(r"cosine 0\.\d\d · margin [+-]0\.\d\d", dense)
    assert "5 found, 0 kept" in dense
    assert "5 found, 5 kept" in random
    assert random.count('nj-fate nj-kept">Kept<') == 5
    assert escape_html(REMOVED_BECAUSE["exceeds_margin"]) in ways


def test_a_way_that_found_nothing_says_why_and_comes_last(app: App) -> None:
    page = negatives_html(app, FILTER)
    assert re.findall(r"nj-way-(\w+)", page) == [
        "dense",
        "bm25",
        "neighbour",
        "word_neighbour",
        "random",
        "in_batch",
        "feedback",
        "earlier",
    ]
    assert "There is no earlier version" in column(page, "earlier")


def test_a_question_nobody_judged_says_what_the_rules_can_not_know(app: App) -> None:
    page = negatives_html(app, UNJUDGED)
    assert texts.NO_RIGHT_PASSAGE in page
    assert "5 found, not checked" in column(page, "dense")
    assert "This method starts from a right passage, and none is known" in column(page, "neighbour")
    assert "nj-kept" not in page and "margin +" not in page and "margin -" not in page


def test_a_passage_that_people_rejected_is_shown_without_their_names(app: App) -> None:
    rejected = app.library.resolve(["toaster/3"])["toaster/3"]
    turns = [
        Turn(
            turn_id=f"no-{who}",
            conversation_id="c",
            user=f"person-{who}",
            question=FILTER,
            answer="",
            declined=False,
            encoder_id="",
            asked_at=utc_now(),
        )
        for who in range(3)
    ]
    app.feedback.record_turns(turns)
    app.feedback.append(
        [
            Verdict(user=turn.user, turn_id=turn.turn_id, question=FILTER, passage_id=rejected, verdict="not_relevant")
            for turn in turns
        ]
    )
    page = negatives_html(app, FILTER)
    assert "1 found, 1 kept" in column(page, "feedback")
    assert "Draskel" in column(page, "feedback")
    assert "person" not in page


def test_a_hostile_document_is_text(app: App) -> None:
    page = negatives_html(app, "What does the hostile beacon say?")
    assert "&#60;script&#62;document&#46;title" in page
    assert "<script" not in page and "<img" not in page and "http:" not in page


def n_vectors(app: App) -> int:
    with read_connection(app.engine) as connection:
        return int(connection.execute(select(func.count()).select_from(vectors)).scalar_one())


def test_nothing_is_kept_of_a_typed_question_that_nobody_judged(app: App) -> None:
    """Neither its own vector, nor one of the same words in other letters; a judged one's is kept, as the night keeps it."""
    negatives_html(app, FILTER)
    before = n_vectors(app)
    negatives_html(app, UNJUDGED)
    negatives_html(app, FILTER.upper())
    assert n_vectors(app) == before
    kept = load_query_vectors(app.engine, app.current().encoder_id, [UNJUDGED, FILTER.upper(), FILTER])
    assert list(kept) == [FILTER]
    assert np.array_equal(kept[FILTER], app.active_retriever.retriever.encoder.encode_queries([FILTER])[0])


class Opened:
    """The encoder that answers, which notes what it is asked."""

    def __init__(self, app: App) -> None:
        self.encoder_id = app.current().encoder_id
        self.asked: list[str] = []
        self._encoder = app.active_retriever.retriever.encoder

    def encode_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.asked += texts
        return self._encoder.encode_queries(list(texts))


def test_the_encoder_that_answers_looks_at_a_question_and_no_second_one_is_loaded(app: App) -> None:
    opened = Opened(app)
    first = mine_for_question(app.stores, UNJUDGED, 5, encoder=opened)
    assert opened.asked[0] == UNJUDGED
    assert mine_for_question(app.stores, UNJUDGED, 5, encoder=opened) == first
    assert opened.asked[-1] == UNJUDGED and opened.asked.count(UNJUDGED) == 2, "kept nowhere, so encoded again"


# ---- cards


def found(removed: str | None = None, margin: float | None = 0.125, way: str = "dense") -> FinderCandidates:
    passage = Passage(
        passage_id="p", document_id="d", source="a.md", title="Owls", heading="", text="word " * 100, start=0, end=500
    )
    return FinderCandidates(way=way, version="v1", rank=2, score=0.5, margin=margin, removed=removed, passage=passage)


def test_a_card_has_rank_score_margin_fate_and_first_words_with_the_rest_below() -> None:
    card = render_candidate(found(), ["in_batch"], checked=True)
    assert '<span class="nj-n">2</span>' in card
    assert "cosine 0.50 · margin +0.12 · also in: In the same batch" in card
    first, whole = card.split("<details>")
    assert first.count("word") == 32  # of five characters each, in the first 160
    assert whole.count("word") == 100


def test_a_margin_of_nothing_has_no_minus() -> None:
    assert "margin +0.00" in render_candidate(found(margin=-0.001), [], checked=True)


def test_an_earlier_versions_find_names_the_version() -> None:
    assert "version v1" in render_candidate(found(way="earlier"), [], checked=True)


def test_a_removal_is_told_in_words_where_nothing_could_be_checked_too() -> None:
    assert "Removed&#58; is a positive" in render_candidate(found("is_positive"), [], checked=False)
    assert "Not checked" in render_candidate(found(margin=None), [], checked=False)


def test_only_the_reasons_that_were_given_are_explained() -> None:
    page = render_negatives([], [found("exceeds_margin:the base")])
    explained = page.split("nj-why")[1]
    assert escape_html("as close as a positive, under …") in explained
    assert "above 0&#46;95 times" in explained
    assert "contains an answer" not in explained


def test_every_way_and_every_rule_has_its_words() -> None:
    assert list(texts.WAYS) == list(FINDERS)
    view = VersionView("the base", np.zeros((0, 2), np.float32), np.zeros((0, 2), np.float32))
    assert {rule.code for rule in false_negative_rules([view])} <= REMOVED_BECAUSE.keys()


# ---- what is offered and said


def test_judged_questions_are_offered_and_each_once(app: App) -> None:
    offered = judged_questions(app, n=1000)
    assert set(offered) <= set(JUDGED)
    assert FILTER in offered and UNJUDGED not in offered
    assert len(judged_questions(app, n=7)) == 7


def inside_a_loop(make):
    """What *make* returns; without a running loop Gradio 6.31 opens one for each of its locks, and closes none."""

    async def made():
        return make()

    return asyncio.run(made())


def page_over(opening: AppStartup) -> NegativesPage:
    def make() -> NegativesPage:
        import gradio as gr

        with gr.Blocks(analytics_enabled=False):
            return NegativesPage(opening)

    return inside_a_loop(make)


def test_where_nobody_judged_headings_are_offered(tmp_path: Path) -> None:
    owls = tmp_path / "owls.md"
    owls.write_text("# What do owls eat?\n\nMice.\n", "utf-8")
    data = tmp_path / "other"

    def opened() -> App:
        app = open_app(Settings(data=data))
        ingest_paths(app.library, [owls], splitting=SplittingRules(90))
        app.encode_missing()
        return app

    opening = AppStartup(opened)
    page = page_over(opening)
    offered = page.offer(request_of())[page.offered]
    assert (offered["label"], offered["choices"]) == (texts.SAMPLE_QUESTIONS, ["What do owls eat?"])
    opening.close()


def test_an_empty_library_is_told_how_it_is_filled(tmp_path: Path) -> None:
    opening = AppStartup(lambda: open_app(Settings(data=tmp_path / "data")))
    page = page_over(opening)
    assert page.offer(request_of()) == {page.status: texts.EMPTY_LIBRARY}
    assert list(page.look("Who?", request_of()))[-1] == {page.status: texts.EMPTY_LIBRARY, page.found: ""}
    opening.close()


def test_an_error_is_a_sentence_and_nothing_typed_is_nothing_asked(caplog: pytest.LogCaptureFixture) -> None:
    def refuse() -> App:
        raise SettingsError("the disk <is> full")

    page = page_over(AppStartup(refuse))
    assert list(page.look("Who?", request_of()))[-1] == {page.status: "the disk &#60;is&#62; full"}
    assert list(page.look("  ", request_of())) == []
    broken = page_over(AppStartup(lambda: None))
    with caplog.at_level(logging.ERROR, "ui.web.training.negatives_page"):
        assert list(broken.look("Who?", request_of()))[-1] == {broken.status: texts.FAILED}
    assert "looking at a question's negatives failed" in caplog.text


def test_looking_waits_in_a_line_of_its_own() -> None:
    """A look reads the whole library: it must not take the places of those who chat."""
    pages = inside_a_loop(lambda: build_pages(AppStartup(lambda: None), 3, at_once=True))
    lines = {fn.name: (fn.concurrency_id, fn.concurrency_limit) for fn in pages.fns.values()}
    assert lines["look"] == ("negatives", 1)
    assert lines["ask_sample"] == ("answers", 16)


# ---- how it looks


def luminance(colour: str) -> float:
    """Relative, 0 to 1 (WCAG 2.2)."""
    channels = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    linear = [channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4 for channel in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [":root", ".dark"])
def test_what_became_of_a_passage_can_be_read_against_its_ground(scheme: str) -> None:
    """At least 4.5 to 1, as WCAG asks of text (AA)."""
    block = MAIN_STYLE_SHEET.read_text("utf-8").split(f"\n{scheme} {{")[1].split("}")[0]
    colours = dict(re.findall(r"--nj-([\w-]+): (#\w{6});", block))
    for ink, ground in (("good", "good-back"), ("gone", "gone-back"), ("soft", "card"), ("ink", "card")):
        light, dark = sorted((luminance(colours[ink]), luminance(colours[ground])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (ink, ground)


# ---- in a browser


@pytest.fixture(scope="module")
def server(_manuals: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    home = tmp_path_factory.mktemp("negatives")
    data = Path(shutil.copytree(_manuals, home / "data"))
    with serve_in_thread(
        load_settings(data, server={"port": 0}), prepare=lambda app: judge(app, home / "docs")
    ) as started:
        negatives_html(started.opening.app(), UNJUDGED)  # what is heavy is imported by now
        yield started


@pytest.fixture
def page(request: pytest.FixtureRequest, server: RunningServer) -> Page:
    opened = Page(request.getfixturevalue("browser"))
    opened.browser.get_log("performance"), opened.browser.get_log("browser")  # what came before is another test's
    opened.browser.get(server.address)
    opened.see(".nj-page-link", where=lambda one: one.text == "Negatives").click()
    opened.see(".nj-look textarea")
    return opened


def look(page: Page, question: str) -> None:
    page.see(".nj-look textarea").send_keys(question, "\n")
    page.see(".nj-ways")


class TestInABrowser:
    pytestmark = in_a_browser

    def test_a_typed_question_is_looked_at(self, page: Page) -> None:
        look(page, FILTER)
        assert page.see(".nj-rights").text.startswith("Right, according to people’s judgments")
        kept = page.see(".nj-way-random .nj-fate")
        assert kept.text == "Kept"
        sign = page.browser.execute_script("return getComputedStyle(arguments[0], '::before').content", kept)
        assert "✓" in sign
        assert page.see(".nj-way-dense .nj-fate").text == "Removed: as close as a positive, under the base"

    def test_a_judged_question_is_picked_by_keyboard(self, page: Page) -> None:
        from selenium.webdriver.common.keys import Keys

        page.see(".nj-offered input").send_keys("warranty of the printer", Keys.ARROW_DOWN, Keys.ENTER)
        page.see(".nj-rights", where=lambda one: "three years" in one.text)
        assert page.see(".nj-look textarea").get_attribute("value") == "How long is the warranty of the printer?"

    def test_a_hostile_document_stays_text_and_no_other_host_is_asked(self, page: Page, server: RunningServer) -> None:
        look(page, "What does the hostile beacon say?")
        page.see(".nj-unjudged h2", where=lambda one: one.text == texts.NO_RIGHT_PASSAGE)
        assert '<script>document.title="owned"</script>' in page.see(".nj-looked").text
        planted = "[src*=evil], [href*=evil], .nj-looked :is(img, script, a, .katex)"
        assert page.browser.find_elements("css selector", planted) == []
        assert page.browser.title == texts.TITLE
        assert page.foreign_requests(server.address) == []

    def test_a_phone_needs_no_sideways_scrolling(self, page: Page) -> None:
        size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
        page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        try:
            look(page, FILTER)
            assert page.browser.execute_script("return document.documentElement.scrollWidth") <= 390
            lefts = {round(element.rect["x"]) for element in page.browser.find_elements("css selector", ".nj-way")}
            assert len(lefts) == 1
        finally:
            page.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
