"""Slides, workbooks, JSON, e-mails, books and other formats → blocks; files made by the libraries or by hand."""

from __future__ import annotations

import datetime
import io
import json
import zipfile
from email.message import EmailMessage

import openpyxl
import pptx
import pytest
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

from rag.errors import DocumentError
from rag.parsing.format_detection import read_document
from rag.parsing.formats.blocks import Block, ParsedDocument
from rag.parsing.parser import Parser


def parsed(data: bytes | str, suffix: str) -> ParsedDocument:
    return read_document(data.encode() if isinstance(data, str) else data, suffix)


def shown(data: bytes | str, suffix: str) -> list[tuple[str, str]]:
    """(kind, text) of every block."""
    return [(block.kind, block.text) for block in parsed(data, suffix).blocks]


def zipped(**members: str | bytes) -> bytes:
    """A package; in names, __ stands for / and _0 for a dot."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/").replace("_0", "."), content)
    return stream.getvalue()


# ---- reStructuredText

RST = """
======
Manual
======
:Author: Ada

Intro with *stress* and :ref:`a role <of-sphinx>`, of :class:`~a.b.Lamp`.

.. a comment
.. versionadded:: 3.2
   New here.
.. toctree::
   other

Use
===
#. Plug in
#. Press

   - gently

Term
   What it means.

.. code-block:: sh

   run --now

+------+-------+
| Part | Price |
+======+=======+
| Bulb | 2     |
| lit  |       |
+------+-------+

.. include:: /etc/passwd
.. raw:: html

   <script>x</script>
"""


def test_restructuredtext_is_read_with_sphinx_and_without_what_it_includes() -> None:
    assert shown(RST, ".rst") == [
        ("heading", "Manual"),
        ("list", "Author: Ada"),
        ("paragraph", "Intro with stress and a role, of Lamp."),
        ("paragraph", "3.2 New here."),
        ("heading", "Use"),
        ("list", "1. Plug in"),
        ("list", "2. Press"),
        ("list", "- gently"),
        ("list", "Term: What it means."),
        ("code", "run --now"),
        ("row", "Part: Bulb lit; Price: 2"),
    ]
    assert parsed(RST, ".rst").blocks[-1].headings == ("Manual", "Use")


# ---- slides


def slides(build) -> bytes:
    presentation = pptx.Presentation()
    build(presentation)
    stream = io.BytesIO()
    presentation.save(stream)
    return stream.getvalue()


def add_slide(presentation, title: str = "", *lines: str):
    slide = presentation.slides.add_slide(presentation.slide_layouts[1 if title else 6])
    if title:
        slide.shapes.title.text = title
        slide.placeholders[1].text = "\n".join(lines)
    return slide


def test_a_slide_is_a_page_and_its_title_the_heading() -> None:
    def build(presentation) -> None:
        add_slide(presentation, "Lamps", "Bright", "Warm").notes_slide.notes_text_frame.text = "Say hello."
        second = add_slide(presentation, "Prices")
        table = second.shapes.add_table(3, 2, 0, 0, Inches(4), Inches(2)).table
        for index, text in enumerate(["Part", "Price", "Bulb", "2", "All parts\nand more", ""]):
            table.cell(index // 2, index % 2).text = text
        table.cell(2, 0).merge(table.cell(2, 1))
        box = add_slide(presentation).shapes.add_group_shape().shapes.add_textbox(0, 0, Inches(2), Inches(1))
        box.text_frame.text = "In a group."

    read_back = parsed(slides(build), ".pptx")
    assert [(b.page, b.kind, b.text, b.headings) for b in read_back.blocks] == [
        (1, "heading", "Lamps", ()),
        (1, "list", "- Bright", ("Lamps",)),
        (1, "list", "- Warm", ("Lamps",)),
        (1, "paragraph", "Notes: Say hello.", ("Lamps",)),
        (2, "heading", "Prices", ()),
        (2, "row", "Part: Bulb; Price: 2", ("Prices",)),
        (2, "row", "Part: All parts and more", ("Prices",)),
        (3, "paragraph", "In a group.", ()),
    ]
    assert (read_back.title, read_back.note) == ("Lamps", "")


def test_a_chart_is_read_in_figures() -> None:
    def build(presentation) -> None:
        data = CategoryChartData()
        data.categories = ["2023", "2024"]
        data.add_series("Sales", (1.5, None))
        add_slide(presentation).shapes.add_chart(XL_CHART_TYPE.LINE, 0, 0, Inches(3), Inches(3), data)

    assert shown(slides(build), ".pptx") == [("row", "Sales: 2023: 1.5")]


def test_hidden_and_empty_slides_are_noted() -> None:
    def build(presentation) -> None:
        add_slide(presentation, "Shown", "Text")
        add_slide(presentation, "Secret", "Text").element.set("show", "0")
        add_slide(presentation)
        add_slide(presentation)

    read_back = parsed(slides(build), ".pptx")
    assert [block.text for block in read_back.blocks] == ["Shown", "Text"]
    assert read_back.note == "slide 2 hidden, left out; slides 3 and 4 without text"
    with pytest.raises(DocumentError, match=r"no text in it: .* \(slide 1 without text\)"):
        read_document(slides(add_slide), ".pptx")


# ---- workbooks


def workbook(*sheets: tuple[str, list[list[object]]], build=lambda book: None) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets:
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    build(book)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def test_a_sheet_is_read_as_a_csv_file_is() -> None:
    data = workbook(
        (
            "People",
            [
                ["Name", "Born", "Share", "Paid", "Note"],
                ["Ada", datetime.datetime(1815, 12, 10), 0.1 + 0.2, True, "two\nlines"],
                ["Bob", None, 1234567.5, False, "#N/A"],
            ],
        ),
        ("Other", [["Only a line"]]),
    )
    assert [(b.kind, b.text, b.headings) for b in parsed(data, ".xlsx").blocks] == [
        ("heading", "People", ()),
        ("record", "Name: Ada\nBorn: 1815-12-10\nShare: 0.3\nPaid: TRUE\nNote: two\nlines", ("People",)),
        ("record", "Name: Bob\nShare: 1234567.5\nPaid: FALSE", ("People",)),
        ("heading", "Other", ()),
        ("record", "Only a line", ("Other",)),
    ]


def test_several_tables_on_a_sheet_keep_their_own_headers() -> None:
    rows = [
        ["Report of lamps"],
        ["Part", "Price", None, "Shop", "City"],
        ["Bulb", 2, None, "Lux", "Rome"],
        ["Cord", 1],
        [],
        ["Tube", 3],
        [],
        [None, None, "Sum", 6],
    ]
    assert shown(workbook(("S", rows)), ".xlsx")[1:] == [
        ("paragraph", "Report of lamps"),
        ("record", "Part: Bulb\nPrice: 2"),
        ("record", "Part: Cord\nPrice: 1"),
        ("record", "Shop: Lux\nCity: Rome"),
        ("record", "Part: Tube\nPrice: 3"),
        ("record", "Sum | 6"),
    ]


def test_merged_cells_name_every_row_and_column_that_they_stand_over() -> None:
    def build(book) -> None:
        sheet = book["S"]
        for cells in ("A1:A2", "B1:C1", "D1:E1", "A3:A4"):
            sheet.merge_cells(cells)

    rows = [
        ["Region", "2023", None, "2024", None],
        [None, "Q1", "Q2", "Q1", "Q2"],
        ["North", 1, 2, 3, 4],
        [None, 5, 6, 7, 8],
    ]
    assert shown(workbook(("S", rows), build=build), ".xlsx")[1:] == [
        ("record", "Region: North\n2023 Q1: 1\n2023 Q2: 2\n2024 Q1: 3\n2024 Q2: 4"),
        ("record", "Region: North\n2023 Q1: 5\n2023 Q2: 6\n2024 Q1: 7\n2024 Q2: 8"),
    ]


def test_shares_are_read_in_percent() -> None:
    def build(book) -> None:
        book["S"]["B2"].number_format = "0.0%"

    assert shown(workbook(("S", [["Name", "Share"], ["Ada", 0.255]]), build=build), ".xlsx")[1:] == [
        ("record", "Name: Ada\nShare: 25.5%")
    ]


def test_hidden_sheets_and_formulas_without_values_are_noted() -> None:
    def build(book) -> None:
        book["Secret"].sheet_state = "hidden"

    read_back = parsed(
        workbook(("Open", [["Name", "Sum"], ["Ada", "=1+1"]]), ("Secret", [["x"]]), build=build), ".xlsx"
    )
    assert [block.text for block in read_back.blocks] == ["Open", "Name: Ada"]
    assert read_back.note == (
        "hidden sheet 'Secret' left out; 1 formula(s) without a stored value: open it in Excel or "
        "LibreOffice and save it"
    )
    with pytest.raises(DocumentError, match=r"no text in it: 2 formula\(s\) without a stored value"):
        read_document(workbook(("S", [["=1+1", "=2+2"]])), ".xlsx")


def test_a_very_wide_sheet_and_a_lone_cell_far_away_are_read() -> None:
    def build(book) -> None:
        book["S"].cell(1_000_000, 16_384, "far")

    wide = [[f"c{i}" for i in range(3000)], list(range(3000))]
    blocks = parsed(workbook(("S", wide), build=build), ".xlsx").blocks
    assert blocks[1].text.startswith("c0: 0\nc1: 1\n")
    assert blocks[-1].text == "far"


# ---- JSON


def test_json_is_read_as_lines_below_the_path_of_its_keys() -> None:
    value = {
        "title": "Shop",
        "open": True,
        "closed": None,
        "tags": ["a", "b"],
        "owner": {"name": "Ada", "at": {"city": "Rome"}},
        "lamps": [{"part": "Bulb", "price": 2, "sizes": [{"w": 1}, {"w": 2}]}, "Cord"],
    }
    text = json.dumps(value).replace(": 2,", ": 2.50,")
    read_back = parsed("\ufeff" + text, ".json")
    assert [(b.kind, b.text, b.headings) for b in read_back.blocks] == [
        ("record", "title: Shop\nopen: true\ntags: a, b", ()),
        ("heading", "owner", ()),
        ("record", "name: Ada", ("owner",)),
        ("heading", "at", ("owner",)),
        ("record", "city: Rome", ("owner", "at")),
        ("heading", "lamps", ()),
        ("record", "part: Bulb\nprice: 2.50\nsizes 1 w: 1\nsizes 2 w: 2", ("lamps",)),
        ("record", "Cord", ("lamps",)),
    ]
    assert read_back.title == "Shop"


def test_deep_json_is_read_as_far_as_python_goes_and_refused_beyond() -> None:
    deep: object = "end"
    for _ in range(100):
        deep = {"k": deep}
    blocks = parsed(json.dumps(deep), ".json").blocks
    assert blocks[-1].text == "k " * 93 + "k: end"
    assert blocks[-1].headings == ("k",) * 6
    with pytest.raises(DocumentError, match="nested deeper than documents are"):
        read_document(b"[" * 200_000, ".json")


def test_json_lines_are_one_record_a_line_and_bad_lines_are_noted() -> None:
    lines = '{"q": "One?", "a": 1}\n\n{broken\n{"q": "Two?"}\nnull\n"plain"\n'
    read_back = parsed(lines, ".jsonl")
    assert [block.text for block in read_back.blocks] == ["q: One?\na: 1", "q: Two?", "plain"]
    assert read_back.note == "line 3 no JSON, left out"
    assert parsed('{"a": 1}\n{"a": 2}', ".json").blocks == parsed('{"a": 1}\n{"a": 2}', ".jsonl").blocks
    assert "--beir FOLDER" in parsed('{"_id": "1", "text": "x"}', ".jsonl").note


@pytest.mark.parametrize(
    ("text", "suffix", "reason"),
    [
        ("{broken", ".json", "it is no JSON"),
        ("{broken\n[", ".jsonl", "none of its lines is JSON"),
        ("{}", ".json", "no text"),
    ],
)
def test_what_is_no_json_is_refused(text, suffix, reason) -> None:
    with pytest.raises(DocumentError, match=reason):
        read_document(text.encode(), suffix)


# ---- e-mail


def mail(body: str = "Hello.", subtype: str = "plain", **headers: str) -> EmailMessage:
    message = EmailMessage()
    for name, value in ({"Subject": "Lamps für alle", "From": "Ada <ada@example.org>"} | headers).items():
        message[name] = value
    message.set_content(body, subtype=subtype)
    return message


def test_an_email_is_read_with_its_people_date_and_body() -> None:
    message = mail("First.\n\nSecond – naïve.", To="bob@example.org", Date="Mon, 16 Dec 2024 10:30:00 -0500")
    message.add_alternative("<p>Not this one.</p>", subtype="html")
    read_back = parsed(bytes(message), ".eml")
    assert [(b.kind, b.text) for b in read_back.blocks] == [
        ("heading", "Lamps für alle"),
        ("paragraph", "From: Ada <ada@example.org>\nTo: bob@example.org\nDate: Mon, 16 Dec 2024 10:30:00 -0500"),
        ("paragraph", "First."),
        ("paragraph", "Second – naïve."),
    ]
    assert read_back.title == "Lamps für alle"


def test_an_email_of_html_alone_is_read_as_a_page_below_the_subject() -> None:
    page = "<style>p{}</style><h2>Prices</h2><p>Two <b>euros</b>.</p><img src='http://x.example/track.gif'>"
    assert [(b.text, b.headings) for b in parsed(bytes(mail(page, "html")), ".eml").blocks[2:]] == [
        ("Prices", ("Lamps für alle",)),
        ("Two euros.", ("Lamps für alle", "Prices")),
    ]


def test_attachments_are_named_and_read_below_their_names() -> None:
    message = mail()
    message.add_attachment(b"Name,Age\nAda,36\n", maintype="text", subtype="csv", filename="people.csv")
    message.add_attachment(b"\x89PNG", maintype="image", subtype="png", filename="lamp.png")
    message.add_attachment(mail("Inner text.", Subject="Re: inner"))
    read_back = parsed(bytes(message), ".eml")
    assert [(b.text, b.headings[1:]) for b in read_back.blocks[3:]] == [
        ("Attachments: people.csv, lamp.png, Re: inner", ()),
        ("people.csv", ()),
        ("Name: Ada\nAge: 36", ("people.csv",)),
        ("Re: inner", ()),
        ("Re: inner", ("Re: inner",)),
        ("From: Ada <ada@example.org>", ("Re: inner", "Re: inner")),
        ("Inner text.", ("Re: inner", "Re: inner")),
    ]
    assert read_back.note.startswith("attachment 'lamp.png' left out: a picture (.png) can not be read")


def test_emails_are_not_read_deeper_than_three_levels() -> None:
    message = mail("Innermost.")
    for level in range(6):
        outer = mail(f"Level {level}.")
        outer.add_attachment(message)
        message = outer
    read_back = parsed(bytes(message), ".eml")
    assert [b.text for b in read_back.blocks if b.text.startswith("Level")] == [f"Level {n}." for n in (5, 4, 3, 2)]
    assert "read to 3 levels" in read_back.note


def test_a_declared_charset_and_a_wrong_one_are_both_read() -> None:
    letter = b"Subject: x\nContent-Type: text/plain; charset=%s\nContent-Transfer-Encoding: 8bit\n\n%s"
    for charset, encoding in ((b"windows-1251", "cp1251"), (b"no-such", "utf-8")):
        assert shown(letter % (charset, "Привет, мир".encode(encoding)), ".eml")[-1] == ("paragraph", "Привет, мир")


# ---- e-books

CONTAINER = '<container><rootfiles><rootfile full-path="OEBPS/book.opf"/></rootfiles></container>'
OPF = """<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/">
<metadata><dc:title>The Lamp</dc:title></metadata>
<manifest><item id="b" href="b%20b.xhtml" media-type="application/xhtml+xml"/>
<item id="a" href="a.xhtml" media-type="application/xhtml+xml"/>{}</manifest>
<spine{}><itemref idref="a"/><itemref idref="b"/></spine></package>"""
NAV = '<item id="nav" href="nav.xhtml" properties="nav" media-type="application/xhtml+xml"/>'
NCX = '<item id="ncx" href="toc.ncx" media-type="application/x-dtbncx+xml"/>'
PAGES = {
    "OEBPS__a_0xhtml": "<html><body><h1>One</h1><p>First page.</p></body></html>",
    "OEBPS__b b_0xhtml": "<html><body><p>Second page.</p></body></html>",
}


def book(opf: str, **more: str | bytes) -> bytes:
    return zipped(
        mimetype="application/epub+zip",
        **{"META-INF__container_0xml": CONTAINER, "OEBPS__book_0opf": opf},
        **PAGES,
        **more,
    )


@pytest.mark.parametrize(
    ("opf", "more"),
    [
        (
            OPF.format(NAV, ""),
            {"OEBPS__nav_0xhtml": '<html><nav><a href="b%20b.xhtml#x">Chapter  two</a></nav></html>'},
        ),
        (
            OPF.format(NCX, ' toc="ncx"'),
            {
                "OEBPS__toc_0ncx": "<ncx><navMap><navPoint><navLabel><text>Chapter two</text>"
                '</navLabel><content src="b%20b.xhtml"/></navPoint></navMap></ncx>'
            },
        ),
    ],
)
def test_a_book_is_read_in_the_order_of_its_spine_with_names_from_its_contents(opf, more) -> None:
    read_back = parsed(book(opf, **more), ".epub")
    assert [(b.text, b.headings) for b in read_back.blocks] == [
        ("One", ()),
        ("First page.", ("One",)),
        ("Chapter two", ()),
        ("Second page.", ("Chapter two",)),
    ]
    assert read_back.title == "The Lamp"


def test_a_book_without_contents_is_read_and_missing_pages_are_noted() -> None:
    opf = OPF.format("", "").replace("a.xhtml", "gone.xhtml")
    read_back = parsed(book(opf), ".epub")
    assert [(b.text, b.headings) for b in read_back.blocks] == [("Second page.", ())]
    assert read_back.note == "1 page(s) missing in it, as 'OEBPS/gone.xhtml'"


def test_a_locked_book_is_refused() -> None:
    lock = (
        "<encryption><EncryptedData><EncryptionMethod Algorithm='http://www.w3.org/2001/04/xmlenc#aes128-cbc'/>"
        "<CipherData><CipherReference URI='OEBPS/a.xhtml'/></CipherData></EncryptedData></encryption>"
    )
    with pytest.raises(DocumentError, match="DRM"):
        read_document(book(OPF.format("", ""), **{"META-INF__encryption_0xml": lock}), ".epub")


# ---- OpenDocument, rich text

ODT = """<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"
 xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0">
<office:body><office:text><text:tracked-changes><text:p>deleted</text:p></text:tracked-changes>
<text:h text:outline-level="1">Lamp</text:h><text:p>Bright<text:s text:c="2"/>and <text:span>warm</text:span>.</text:p>
<text:list><text:list-item><text:p>Plug in</text:p></text:list-item></text:list>
<table:table><table:table-row><table:table-cell><text:p>Part</text:p></table:table-cell>
<table:table-cell><text:p>Price</text:p></table:table-cell></table:table-row>
<table:table-row><table:table-cell><text:p>Bulb</text:p></table:table-cell>
<table:table-cell><text:p>2</text:p></table:table-cell></table:table-row></table:table>
</office:text></office:body></office:document-content>"""


def test_an_opendocument_text_is_read() -> None:
    data = zipped(mimetype="application/vnd.oasis.opendocument.text", content_0xml=ODT)
    assert shown(data, ".odt") == [
        ("heading", "Lamp"),
        ("paragraph", "Bright  and warm."),
        ("list", "- Plug in"),
        ("row", "Part: Bulb; Price: 2"),
    ]


def test_rich_text_is_read_by_paragraphs() -> None:
    data = rb"{\rtf1\ansi{\fonttbl{\f0 Times;}}\pard First \b bold\b0 , caf\'e9 \u8211?.\par Second.\par}"
    assert shown(data, ".rtf") == [("paragraph", "First bold, café –."), ("paragraph", "Second.")]
    assert shown(data, ".txt") == shown(data, ".rtf")


# ---- hostile files

LAUGHS = "<!DOCTYPE x [<!ENTITY a 'ha'>" + "".join(
    f"<!ENTITY {b} '{f'&{a};' * 10}'>" for a, b in zip("abcdefghi", "bcdefghij", strict=True)
)
PADDING = f"<!--{' ' * 5000}-->"  # so that the declarations stand further in than we look ourselves


def with_part(package: bytes, name: str, content: bytes | str) -> bytes:
    """The package with one of its parts replaced."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(package)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            new.writestr(entry, content if entry.filename == name else old.read(entry))
    return out.getvalue()


def packages() -> dict[str, tuple[bytes, str]]:
    """A good file of every packed kind by suffix, and its part with the text."""
    word = io.BytesIO()
    pytest.importorskip("docx").Document().save(word)
    return {
        ".docx": (word.getvalue(), "word/document.xml"),
        ".pptx": (slides(lambda p: add_slide(p, "Title", "Text")), "ppt/slides/slide1.xml"),
        ".xlsx": (workbook(("S", [["x"]])), "xl/worksheets/sheet1.xml"),
        ".epub": (book(OPF.format("", "")), "OEBPS/a.xhtml"),
        ".odt": (zipped(mimetype="application/vnd.oasis.opendocument.text", content_0xml=ODT), "content.xml"),
    }


@pytest.mark.parametrize("suffix", [".docx", ".pptx", ".xlsx", ".epub", ".odt"])
def test_entities_that_unfold_without_end_are_refused_or_left_folded(suffix, tmp_path) -> None:
    package, part = packages()[suffix]
    with Parser() as parser:
        for name, padding in (("plain", ""), ("late", PADDING)):
            path = tmp_path / f"{name}{suffix}"
            path.write_bytes(with_part(package, part, f"{padding}{LAUGHS}]><x>&j;</x>"))
            try:
                n_characters = sum(len(block.text) for block in parser.parse(path).blocks)
            except DocumentError as refused:
                assert name == "late" or "declares XML entities" in str(refused)
            else:
                assert name == "late"
                assert n_characters < 1000


@pytest.mark.parametrize("suffix", [".docx", ".pptx", ".xlsx", ".epub", ".odt"])
def test_a_packed_file_that_unpacks_without_measure_is_refused(suffix) -> None:
    package, part = packages()[suffix]
    with pytest.raises(DocumentError, match=r"unpacks to \d+ times its size"):
        read_document(with_part(package, part, b" " * 11 * 1024**2), suffix)


@pytest.mark.parametrize("suffix", [".docx", ".pptx", ".xlsx", ".epub", ".odt"])
def test_a_packed_file_with_a_broken_part_is_told_to_be_damaged(suffix) -> None:
    package, _ = packages()[suffix]
    with pytest.raises(DocumentError, match=r"damaged or incomplete"):
        read_document(package[: len(package) // 2], suffix)


@pytest.mark.parametrize("suffix", [".rst", ".eml", ".json", ".jsonl", ".rtf", ".html", ".md"])
def test_text_formats_nested_without_end_are_read_or_refused(suffix, tmp_path) -> None:
    deep = {
        ".rst": "\n".join("  " * i + f"- {i}" for i in range(2000)),
        ".json": "[" * 50_000 + "]" * 50_000,
        ".rtf": "{\\rtf1" + "{" * 50_000 + "x" + "}" * 50_000,
        ".html": "<div>" * 50_000 + "x",
        ".md": "> " * 2_000 + "x",
        ".jsonl": '{"a":' * 50_000 + "1" + "}" * 50_000,
        ".eml": "Subject: x\n"
        + "".join(f"Content-Type: multipart/mixed; boundary=b{i}\n\n--b{i}\n" for i in range(500))
        + "Content-Type: text/plain\n\nx",
    }
    (tmp_path / f"deep{suffix}").write_text(deep[suffix])
    with Parser() as parser:
        try:
            blocks: tuple[Block, ...] = parser.parse(tmp_path / f"deep{suffix}").blocks
        except DocumentError as refused:
            assert "crashed" not in str(refused)
        else:
            assert blocks


def test_reading_twice_gives_the_same() -> None:
    for suffix, (package, _) in packages().items():
        if suffix != ".docx":  # it is empty
            assert read_document(package, suffix) == read_document(package, suffix)
