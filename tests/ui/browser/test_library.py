"""The Library page in a real browser: documents are found, read and removed; files come in; gaps are gathered."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.ingestion.ingest import ingest_paths
from rag.records import ShownPassage, Turn, utc_now
from rag.settings import load_settings
from tests.fixtures.browser import NEEDS, Page
from ui.server.serve import RunningServer, serve_in_thread
from ui.texts import library as texts

pytestmark = NEEDS

HOSTILE_NAME = "a <img src=x onerror=alert(3)>.txt"
HOSTILE = '# <img src=x onerror="document.title=1">\n\nIt says <script>document.title="owned"</script> and ![p](http://evil.example/b.png).\n'
N_NOTES = 24


def pdf(text: str) -> bytes:
    """A PDF of one page with one line of text."""
    content = f"BT /F1 14 Tf 72 720 Td ({text}) Tj ET".encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    made, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        places.append(len(made))
        made += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(made)
    made += b"xref\n0 6\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % position for position in places)
    return made + b"trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % start


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("library")
    notes = folder / "notes"
    notes.mkdir()
    for number in range(N_NOTES):
        (notes / f"{number:02}.md").write_text(f"# Note {number}\n\nNote {number} tells of moths.\n", "utf-8")
    parts = "".join(f"## Part {n}\n\nPart {n} tells of lamps.\n\n" for n in range(40))
    (folder / "lamps.md").write_text(f"# Lamps\n\n{parts}", "utf-8")
    (folder / HOSTILE_NAME).write_text(HOSTILE, "utf-8")
    return folder


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[RunningServer]:
    def fill(app) -> None:
        ingest_paths(
            app.library, [home / "notes", home / "lamps.md", home / HOSTILE_NAME], splitting=app.splitting_rules()
        )
        app.encode_missing()
        lamp = next(passage for passage in app.library.iterate_passages() if passage.text == "Part 35 tells of lamps.")
        shown = (ShownPassage(passage_id=lamp.passage_id, rank=1, score=1.0, dense=1.0, lexical=0.0, cited=True),)
        app.feedback.record_turn(
            Turn(
                turn_id="t1",
                conversation_id="c",
                user="ada",
                question="Which lamps?",
                answer="",
                declined=False,
                encoder_id="v",
                asked_at=utc_now(),
                shown=shown,
            )
        )
        app.feedback.record_verdict("ada", "t1", lamp.passage_id, "outdated")
        for number, question in enumerate(("Can I bring <b>my dog</b>?", "May I bring my dog?")):
            app.feedback.record_turn(
                Turn(
                    turn_id=f"g{number}",
                    conversation_id="c",
                    user="ben",
                    question=question,
                    answer="",
                    declined=True,
                    encoder_id="v",
                    asked_at=utc_now(),
                )
            )

    settings = load_settings(home / "data", server={"port": 0, "folders": [home]})
    with serve_in_thread(settings, prepare=fill) as started:
        started.opening.app()
        yield started


@pytest.fixture
def page(browser, server: RunningServer) -> Page:
    browser.get("about:blank")  # ends what another test's page was still fetching, which is told in the log
    browser.get_log("performance"), browser.get_log("browser")
    browser.get(f"{server.address}/documents")
    opened = Page(browser)
    opened.see(".nj-row")
    return opened


def rows(page: Page) -> list[str]:
    return [element.text for element in page.browser.find_elements("css selector", ".nj-row") if element.is_displayed()]


def find(page: Page, text: str) -> None:
    from selenium.webdriver import Keys

    box = page.see(".nj-seek input, .nj-seek textarea")
    # Selenium's clear() tells the page of no input.
    box.send_keys(Keys.CONTROL, "a", Keys.NULL, Keys.BACKSPACE, text, "\n")


def tab(page: Page, name: str) -> None:
    page.see("button[role=tab]", where=lambda one: one.text.strip() == name).click()


def status(page: Page, text: str) -> None:
    page.see(".nj-status", where=lambda one: text in one.text)


def sources(server: RunningServer) -> str:
    return " ".join(server.opening.app().library.file_hashes())


def test_documents_are_paged_sorted_found_and_narrowed_by_what_people_said(page: Page) -> None:
    page.see(".nj-pager", where=lambda one: "Documents 1–20 of 26" in one.text)
    page.see(".nj-pager button", where=lambda one: one.text == texts.LATER).click()
    page.see(".nj-pager", where=lambda one: "Documents 21–26 of 26" in one.text)
    assert len(rows(page)) == 6
    page.see(".nj-column-passages").click()
    page.see(".nj-row", where=lambda one: one.text.startswith("Lamps") and "40" in one.text)
    assert rows(page)[0].startswith("Lamps"), "the first page again, most passages first"
    find(page, "NOTE 1")
    page.see(".nj-pager", where=lambda one: "of 11" in one.text)
    find(page, "no such document")
    page.see(".nj-documents .nj-quiet", where=lambda one: one.text == texts.NONE_SUCH)
    find(page, "")
    page.see(".nj-seek .nj-offered input").click()
    page.see("[role=option]", where=lambda one: "outdated" in one.text).click()
    page.see(".nj-pager", where=lambda one: "Documents 1–1 of 1" in one.text)
    assert rows(page)[0].startswith("Lamps")


def test_a_document_is_read_with_its_passages_and_what_was_said_of_them(page: Page, server: RunningServer) -> None:
    find(page, "lamps.md")
    page.see(".nj-row .nj-entry", where=lambda one: one.text.startswith("Lamps")).click()
    page.see(".nj-reading", where=lambda one: "Marked as outdated by ada (1×)." in one.text)
    page.see(".nj-passage", where=lambda one: one.text == "Part 1 tells of lamps.")
    page.see(".nj-reading .nj-pager", where=lambda one: "Passages 1–30 of 40" in one.text)
    page.see(".nj-reading .nj-pager button", where=lambda one: one.text == texts.LATER).click()
    page.see(".nj-passage", where=lambda one: "1 outdated · cited once" in one.text and "Part 35" in one.text)
    page.see(".nj-back").click()
    page.see(".nj-row .nj-entry", where=lambda one: one.text.startswith("Lamps"))


def test_an_address_opens_a_document_at_a_passage(page: Page, server: RunningServer) -> None:
    lamp = next(
        passage
        for passage in server.opening.app().library.iterate_passages()
        if passage.text == "Part 35 tells of lamps."
    )
    page.browser.get(f"{server.address}/documents?document={lamp.document_id}&passage={lamp.passage_id}")
    page.see(".nj-passage.nj-this", where=lambda one: one.text.endswith("Part 35 tells of lamps."))


def test_a_hostile_name_and_text_stay_text(page: Page, server: RunningServer) -> None:
    find(page, "onerror")
    page.see(".nj-row .nj-entry", where=lambda one: HOSTILE_NAME in one.text).click()
    page.see(".nj-passage", where=lambda one: '<script>document.title="owned"</script>' in one.text)
    planted = "img[src=x], [src*=evil], [href*=evil], .nj-document :is(img, script, a)"
    assert page.browser.find_elements("css selector", planted) == []
    page.see(".nj-ask").click()
    page.see(".nj-removal", where=lambda one: HOSTILE_NAME in one.text)
    assert page.browser.find_elements("css selector", planted) == []
    assert page.foreign_requests(server.address) == []
    complaints = [
        entry["message"] for entry in page.browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")
    ]
    assert complaints == []


def test_uploaded_files_come_in_with_progress_and_reasons_and_go_with_their_copy(
    page: Page, server: RunningServer, tmp_path: Path
) -> None:
    (tmp_path / "bats.pdf").write_bytes(pdf("Bats find moths by echoes."))
    (tmp_path / "broken.pdf").write_text("no pdf", "utf-8")
    tab(page, texts.TAB_ADD)
    files = "\n".join(str(tmp_path / name) for name in ("bats.pdf", "broken.pdf"))
    page.browser.find_element("css selector", ".nj-upload input[type=file]").send_keys(files)
    status(page, "Adding 2 files.")
    page.see(".nj-job.nj-done", where=lambda one: "bats.pdf" in one.text and "1 searchable" in one.text)
    refused = page.see(".nj-job.nj-done .nj-step-refused", where=lambda one: "broken.pdf" in one.text)
    assert "refused" in refused.text and len(refused.text) > len("uploads/broken.pdf refused")
    page.browser.refresh()
    tab(page, texts.TAB_ADD)
    page.see(".nj-job.nj-done", where=lambda one: "bats.pdf" in one.text)
    (server.opening.app().settings.data / "uploads" / "broken.pdf").write_bytes(pdf("Foxes dig dens."))
    page.see(".nj-again").click()
    status(page, "Adding 1 file again.")
    page.see(".nj-job.nj-done", where=lambda one: "broken.pdf" in one.text and "1 searchable" in one.text)
    gone = page.browser.find_elements("css selector", ".nj-again")
    assert not any(element.is_displayed() for element in gone), "nothing is left to try"
    tab(page, texts.TAB_DOCUMENTS)
    find(page, "uploads/")
    page.see(".nj-row .nj-entry", where=lambda one: "bats.pdf" in one.text).click()
    page.see(".nj-passage", where=lambda one: "Bats find moths by echoes." in one.text)
    page.see(".nj-ask").click()
    page.see(
        ".nj-removal", where=lambda one: "1 document with 1 passage." in one.text and "1 uploaded file" in one.text
    )
    page.see(".nj-removal .nj-remove").click()
    status(page, "Removed 1 document(s)")
    page.see(".nj-row .nj-entry", where=lambda one: "broken.pdf" in one.text)
    assert "bats.pdf" not in sources(server)
    assert not (server.opening.app().settings.data / "uploads" / "bats.pdf").exists()


def test_a_folder_comes_in_and_goes_only_when_its_name_is_typed(page: Page, server: RunningServer, home: Path) -> None:
    from selenium.webdriver import Keys

    more = home / "more"
    more.mkdir()
    for name in ("hares", "boars"):
        (more / f"{name}.md").write_text(f"The {name} sleep in the field.\n", "utf-8")
    tab(page, texts.TAB_ADD)
    box = ".nj-path input, .nj-path textarea"
    page.see(box).send_keys("/etc/hostname", "\n")
    status(page, "server.folders allows")
    page.see(box).send_keys(Keys.CONTROL, "a", Keys.NULL, str(more), "\n")
    page.see(".nj-job.nj-done", where=lambda one: "hares.md" in one.text and "2 searchable" in one.text)
    tab(page, texts.TAB_DOCUMENTS)
    page.see(".nj-folder button").click()
    page.see(".nj-folder .nj-look input, .nj-folder .nj-look textarea").send_keys(str(more), "\n")
    sure = page.see(".nj-folder .nj-removal", where=lambda one: "2 documents with 2 passages." in one.text)
    page.see(".nj-remove", sure).click()
    status(page, "Nothing was removed: type")
    assert "hares.md" in sources(server)
    page.see("input, textarea", sure).send_keys(str(more))
    page.see(".nj-remove", sure).click()
    status(page, "Removed 2 document(s)")
    assert "hares.md" not in sources(server)


def test_questions_that_found_nothing_stand_together_without_names(page: Page) -> None:
    tab(page, texts.TAB_GAPS)
    gap = page.see(".nj-gap", where=lambda one: "May I bring my dog?" in one.text)
    assert "Can I bring <b>my dog</b>?" in gap.text
    assert "asked 2 times by 1 person" in gap.text
    assert texts.CLOSEST.partition(",")[0] in gap.text
    assert "ben" not in gap.text


@pytest.mark.parametrize("name", [texts.TAB_DOCUMENTS, texts.TAB_ADD, texts.TAB_GAPS])
def test_a_phone_needs_no_sideways_scrolling(page: Page, name: str) -> None:
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        page.browser.refresh()
        page.see(".nj-row")
        tab(page, name)
        time.sleep(0.5)
        assert page.browser.execute_script("return document.documentElement.scrollWidth") <= 390
    finally:
        page.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
