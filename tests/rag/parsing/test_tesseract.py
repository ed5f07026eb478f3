"""Pages that are pictures: recognised by real Tesseract where it is installed, and told apart everywhere."""

from __future__ import annotations

import ctypes
import io
import subprocess
import sys
from email.message import EmailMessage
from pathlib import Path

import numpy as np
import pypdfium2
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from pypdfium2 import raw

from rag.app.app import open_app
from rag.database.schema import open_database
from rag.errors import DocumentError
from rag.ingestion.ingest import ingest_paths
from rag.library.library import Library
from rag.library.reread import mark_for_ocr
from rag.parsing.format_detection import read_document, unreadable_reason
from rag.parsing.formats.blocks import ParsedDocument
from rag.parsing.parser import Parser, ParsingLimits
from rag.parsing.pdf.tesseract import PageRecogniser, missing_ocr_reason, ocr_label
from rag.settings import Settings
from rag.splitting.splitter import SplittingRules, split_document
from tests.rag.parsing.test_parser import pdf

LAMP = ["The lamp shines for many hours", "when its battery is full. Clean it", "with a dry cloth only."]
OCR = ParsingLimits(ocr_languages="eng")
needs_tesseract = pytest.mark.skipif(bool(missing_ocr_reason("eng")), reason=missing_ocr_reason("eng"))


def picture(lines: list[str], turned: int = 0, blurred: int = 0, speckled: int = 0) -> bytes:
    """One page of 600 by 800 points that is a picture of some lines.

    It is turned by degrees, blurred by pixels, and speckled by a standard deviation of shades, of which there are 256.
    """
    image = Image.new("L", (2500, 3333), 255)
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        draw.text((250, 300 + 90 * number), line, fill=0, font=ImageFont.load_default(60))
    out = io.BytesIO()
    image = image.rotate(turned, expand=True).filter(ImageFilter.GaussianBlur(blurred))
    noise = np.random.default_rng(0).normal(0, speckled, (image.height, image.width))
    image = Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))
    image.save(out, "PDF", resolution=300)
    return out.getvalue()


def text_page(text: str, size: int = 10) -> bytes:
    return pdf([(50, 700, size, text)])


def bound(*pages: bytes) -> bytes:
    """One PDF of several."""
    whole = pypdfium2.PdfDocument.new()
    for page in pages:
        whole.import_pages(pypdfium2.PdfDocument(page))
    out = io.BytesIO()
    whole.save(out)
    return out.getvalue()


def recognised(data: bytes, within_s: float = 600.0) -> ParsedDocument:
    return read_document(data, ".pdf", PageRecogniser("eng", within_s))


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(open_database(f"sqlite:///{tmp_path / 'x.db'}"))


# ---- with Tesseract


@needs_tesseract
def test_a_scanned_page_is_read_and_said_to_be_recognised() -> None:
    parsed = recognised(picture(LAMP))
    assert [(block.page, block.text) for block in parsed.blocks] == [(1, " ".join(LAMP))]
    assert parsed.note.startswith("page 1 recognised from pictures (OCR), mean confidence 9")


@needs_tesseract
def test_recognised_pages_stand_between_the_others_below_the_heading_before_them() -> None:
    first = pdf([(50, 700, 110, "Manual of our lamps"), (50, 670, 10, "This is the first page of the manual.")])
    parsed = recognised(bound(first, picture(LAMP), text_page("The third page has text of its own.")))
    assert [(block.page, block.kind, block.headings) for block in parsed.blocks] == [
        (1, "heading", ()),
        (1, "paragraph", ("Manual of our lamps",)),
        (2, "paragraph", ("Manual of our lamps",)),
        (3, "paragraph", ("Manual of our lamps",)),
    ]
    assert parsed.blocks[2].text == " ".join(LAMP)


@needs_tesseract
def test_offsets_and_pages_of_recognised_passages_are_exact() -> None:
    parsed = recognised(bound(text_page("The first page has text of its own."), picture(LAMP)))
    document, passages = split_document("lamp.pdf", "lamp", parsed, SplittingRules(90))
    assert [(p.page, document.text[p.start : p.end] == p.text) for p in passages] == [(1, True), (2, True)]
    assert passages[1].text == " ".join(LAMP)


@needs_tesseract
def test_words_divided_at_the_end_of_a_line_are_joined() -> None:
    found = recognised(
        picture(["The lamp shines for many hours when it is char-", "ged. Clean it with a dry cloth only."])
    )
    assert "when it is charged. Clean it" in found.blocks[0].text


@needs_tesseract
def test_rows_of_a_recognised_table_are_blocks_of_their_own() -> None:
    parsed = recognised(picture(["Bulb bright 2.00 3.00", "Cord yellow 1.00 1.50", "Shade green 4.00 5.50"]))
    assert [block.kind for block in parsed.blocks] == ["row", "row", "row"]


@needs_tesseract
def test_a_doubtful_page_is_told_and_not_stored() -> None:
    parsed = recognised(bound(picture(LAMP), picture(LAMP, blurred=7)))
    assert {block.page for block in parsed.blocks} == {1}
    assert "the text recognised on page 2 is too doubtful to be stored (confidence at most " in parsed.note
    with pytest.raises(DocumentError, match=r"scanned: none of its 1 page\(s\) has a text layer, and the text recogn"):
        recognised(picture(LAMP, blurred=7))


@needs_tesseract
@pytest.mark.parametrize("turned", [90, 180, 270])
def test_a_page_that_was_scanned_turned_is_read(turned: int) -> None:
    parsed = recognised(picture(LAMP, turned=turned))
    assert [(block.page, block.text) for block in parsed.blocks] == [(1, " ".join(LAMP))]


@needs_tesseract
def test_a_picture_without_text_is_told() -> None:
    note = recognised(bound(text_page("A page with text."), picture([]))).note
    assert note == "no text was recognised on the picture of page 2"


@needs_tesseract
def test_a_stamp_in_the_text_layer_is_not_there_twice() -> None:
    document = pypdfium2.PdfDocument(picture(LAMP))
    page = document[0]
    stamp = raw.FPDFPageObj_NewTextObj(document, b"Helvetica", 12.0)
    raw.FPDFText_SetText(stamp, (ctypes.c_ushort * 7)(*b"Page 7\0"))
    raw.FPDFPageObj_Transform(stamp, 1, 0, 0, 1, 500, 30)
    raw.FPDFPage_InsertObject(page, stamp)
    raw.FPDFPage_GenerateContent(page)
    out = io.BytesIO()
    document.save(out)
    parsed = recognised(out.getvalue())
    assert [block.text for block in parsed.blocks] == [" ".join(LAMP), "Page 7"]


@needs_tesseract
@pytest.mark.parametrize("speckled", [20, 30, 45])
def test_a_speckled_page_is_read(speckled: int) -> None:
    """At full size Tesseract would search the speckles for a minute, and find nothing."""
    assert [block.text for block in recognised(picture(LAMP, speckled=speckled)).blocks] == [" ".join(LAMP)]


@needs_tesseract
def test_what_the_time_of_a_file_does_not_suffice_for_is_told() -> None:
    """Each page may take 20 s: after the first one less than that is left."""
    parsed = recognised(bound(picture(LAMP), picture(LAMP), picture(LAMP)), within_s=20)
    assert {block.page for block in parsed.blocks} == {1}
    assert (
        "pages 2 and 3 are pictures without text: recognising its text takes longer than parsing.ocr_s" in parsed.note
    )


@needs_tesseract
def test_a_scanned_attachment_of_an_email_is_read() -> None:
    message = EmailMessage()
    message["Subject"] = "The lamp"
    message.set_content("See the scan.")
    message.add_attachment(picture(LAMP), maintype="application", subtype="pdf", filename="lamp.pdf")
    parsed = read_document(bytes(message), ".eml", PageRecogniser("eng", 600))
    assert parsed.blocks[-1].text == " ".join(LAMP)
    assert "attachment 'lamp.pdf': page 1 recognised from pictures" in parsed.note


@needs_tesseract
def test_a_refused_scan_is_read_once_recognition_is_on(library: Library, tmp_path: Path) -> None:
    (tmp_path / "lamp.pdf").write_bytes(picture(LAMP))
    (failed,) = ingest_paths(library, [tmp_path / "lamp.pdf"], splitting=SplittingRules(90)).failed
    assert "text recognition is off" in failed[1]
    assert len(ingest_paths(library, [tmp_path / "lamp.pdf"], splitting=SplittingRules(90), limits=OCR).added) == 1


@needs_tesseract
def test_a_file_with_unread_pages_is_read_again_once_recognition_is_on(library: Library, tmp_path: Path) -> None:
    (tmp_path / "lamp.pdf").write_bytes(bound(text_page("The first page has text of its own."), picture(LAMP)))

    def outcome(limits: ParsingLimits | None) -> list[int]:
        report = ingest_paths(library, [tmp_path / "lamp.pdf"], splitting=SplittingRules(90), limits=limits)
        return [len(report.added), len(report.changed), len(report.unchanged), library.n_passages()]

    assert outcome(None) == [1, 0, 0, 1]
    assert outcome(None) == [0, 0, 1, 1]
    assert outcome(OCR) == [0, 1, 0, 2]
    assert outcome(OCR) == [0, 0, 1, 2]
    assert outcome(None) == [0, 0, 1, 2]  # what was recognised stays


@needs_tesseract
def test_equal_scans_give_equal_blocks() -> None:
    """Verdicts hang on passages' ids, which follow from the text."""
    data = picture(LAMP)
    assert recognised(data).blocks == recognised(data).blocks


# ---- everywhere


def test_without_the_package_the_way_to_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tesserocr", None)  # as if it were not installed
    with pytest.raises(DocumentError, match=r'has a text layer, and .* run pip install "nightjar-rag\[ocr\]"'):
        recognised(picture(LAMP))
    assert ocr_label("eng") == "none"


@pytest.mark.skipif("is not installed" in missing_ocr_reason("eng"), reason=missing_ocr_reason("eng"))
def test_without_a_language_the_way_to_it_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert "apt-get install tesseract-ocr-eng tesseract-ocr-none-such, or" in missing_ocr_reason("eng+none_such")
    (tmp_path / "none_such.traineddata").touch()
    monkeypatch.setenv("TESSDATA_PREFIX", str(tmp_path))
    assert missing_ocr_reason("none_such") == ""


def test_where_recognition_is_off_pages_that_are_pictures_are_told() -> None:
    note = read_document(bound(text_page("Only here is text."), picture(LAMP)), ".pdf").note
    assert note == 'page 2 is a picture without text: text recognition is off: set parsing.ocr = "auto"'


def test_a_picture_of_its_own_is_refused_with_a_way_out() -> None:
    assert "a picture (.png) can not be read: save it as PDF" in str(unreadable_reason(Path("scan.PNG")))


def test_only_documents_with_pages_read_otherwise_are_read_anew(library: Library) -> None:
    for name, kind in [
        ("a", "application/pdf"),
        ("b", "application/pdf; ocr=none"),
        ("c", "message/rfc822; ocr=deu"),
        ("d", "application/pdf; ocr=eng"),
    ]:
        parsed = ParsedDocument(
            blocks=read_document(b"Some text.", ".txt").blocks, title=name, media_type=kind, sha256=name * 64
        )
        library.put(*split_document(name, name, parsed, SplittingRules(90)))
    mark_for_ocr(library.engine, "none")
    assert library.file_hashes() == {name: name * 64 for name in "abcd"}
    mark_for_ocr(library.engine, "eng")
    assert library.file_hashes() == {"a": "a" * 64, "b": "", "c": "", "d": "d" * 64}


def test_the_settings_decide_whether_and_in_which_languages(tmp_path: Path) -> None:
    def limits(**parsing: object) -> tuple[str, float]:
        app = open_app(Settings(data=tmp_path, parsing=parsing))
        app.close()
        return app.limits.ocr_languages, app.limits.ocr_s

    assert limits() == ("eng", 600)
    assert limits(ocr_languages="eng+deu", ocr_s=60) == ("eng+deu", 60)
    assert limits(ocr="off") == ("", 600)


def test_a_page_that_is_being_recognised_gives_the_file_more_time() -> None:
    """A child that takes 4 s after it has asked for more, where 3 are allowed."""
    program = 'import time; print(\'{"more_s": 20}\', flush=True); time.sleep(4); print(\'{"refused": "done"}\')'
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as child:
        assert Parser(ParsingLimits(timeout_s=3))._answer(child) == {"refused": "done"}
