"""Files → blocks: each format by its own library, in a child that may crash, hang or be refused."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import random
import signal
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import docx
import pypdfium2
import pytest
from docx.oxml import parse_xml
from PIL import Image

from rag.errors import DocumentError
from rag.parsing.format_detection import read_document
from rag.parsing.formats.text import decode_text
from rag.parsing.parser import Parser, ParsingLimits

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


@pytest.fixture(scope="module")
def parser() -> Iterator[Parser]:
    with Parser() as opened:
        yield opened


def shown(data: bytes | str, suffix: str) -> list[tuple[str, str]]:
    """(kind, text) of every block."""
    parsed = read_document(data.encode() if isinstance(data, str) else data, suffix)
    return [(block.kind, block.text) for block in parsed.blocks]


def pdf(*pages: list[tuple[int, int, int, str]], bold: str = "", extra: str = "") -> bytes:
    """A PDF by hand: on each page some (x, y, size, text); sizes from 100 on are bold, less 100."""
    objects = [
        b"",
        b"",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold >>",
    ]
    kids = []
    for lines in pages:
        content = "\n".join(
            f"BT /F{2 if size >= 100 else 1} {size % 100} Tf 1 0 0 1 {x} {y} Tm ({text}) Tj ET"
            for x, y, size, text in lines
        ).encode("cp1252")
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content))
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents %d 0 R "
            b"/Resources << /Font << /F1 3 0 R /F2 4 0 R >> >> >>" % len(objects)
        )
        kids.append(len(objects))
    objects[0] = b"<< /Type /Catalog /Pages 2 0 R %s >>" % extra.encode()
    objects[1] = b"<< /Type /Pages /Kids [%s] /Count %d >>" % (b" ".join(b"%d 0 R" % kid for kid in kids), len(kids))
    out, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return out + b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (
        len(objects) + 1,
        table,
        len(objects) + 1,
        len(out),
    )


def word(build) -> bytes:
    document = docx.Document()
    build(document)
    stream = io.BytesIO()
    document.save(stream)
    return stream.getvalue()


# ---- encodings

FRENCH = (
    "Les élèves déjà là-bas ont reçu leurs goûters ; où êtes-vous, à Besançon ? Ça va très bien, merci à tous. " * 4
)
JAPANESE = "これは日本語で書かれた文書です。文字コードを正しく判定しなければなりません。" * 4
RUSSIAN = "Этот текст написан по-русски, и его кодировка должна быть угадана верно. " * 4


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (FRENCH, "latin-1"),
        (FRENCH, "cp1252"),
        (FRENCH, "utf-8-sig"),
        (FRENCH, "utf-16"),
        (FRENCH, "utf-32"),
        (FRENCH, "utf-16-le"),
        (FRENCH, "utf-16-be"),
        (JAPANESE, "shift_jis"),
        (JAPANESE, "euc_jp"),
        (JAPANESE, "iso2022_jp"),
        (JAPANESE, "utf-8"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8_r"),
    ],
)
def test_text_is_read_in_the_encoding_it_was_written_in(text, encoding) -> None:
    assert decode_text(text.encode(encoding)) == text


def test_a_declared_encoding_decides_where_the_bytes_are_not_utf8() -> None:
    page = '<meta charset="{}"><p>Příliš žluťoučký kůň</p>'
    assert shown(page.format("windows-1250").encode("cp1250"), ".html") == [("paragraph", "Příliš žluťoučký kůň")]
    assert shown(page.format("latin-1").encode("utf-8"), ".html") == [("paragraph", "Příliš žluťoučký kůň")]


def test_binary_data_is_no_text() -> None:
    for data in (bytes(range(256)) * 40, b"\x01\x02\x03\x04abc" * 100):
        with pytest.raises(DocumentError, match="binary data"):
            read_document(data, ".txt")


def test_what_no_database_can_hold_is_replaced(parser, tmp_path) -> None:
    (tmp_path / "a.html").write_text("<p>a&#0;b so&shy;ft of&#xFB01;ce</p>")
    (block,) = parser.parse(tmp_path / "a.html").blocks
    assert block.text == "a\ufffdb soft office"


# ---- txt, csv


def test_blank_lines_part_paragraphs_of_plain_text() -> None:
    assert shown("One\r\ntwo\r\n\r\n  \r\nthree\r\n", ".txt") == [("paragraph", "One\ntwo"), ("paragraph", "three")]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_csv_row_is_read_with_its_column_names(delimiter) -> None:
    rows = [["Name", "Note"], ["Alice", 'says "hi"\nand; goes, away|now'], ["Bob", ""]]
    stream = io.StringIO()
    csv.writer(stream, delimiter=delimiter).writerows(rows)
    assert shown(stream.getvalue(), ".csv") == [
        ("record", 'Name: Alice\nNote: says "hi"\nand; goes, away|now'),
        ("record", "Name: Bob"),
    ]


def test_csv_without_header_and_with_ragged_rows_loses_nothing() -> None:
    assert shown("1,2\n3,4,5\n\n6\n", ".csv") == [("record", "1 | 2"), ("record", "3 | 4 | 5"), ("record", "6")]
    assert shown("Name,Age\nAlice,30,London\n", ".csv") == [("record", "Name: Alice\nAge: 30\nLondon")]


def test_a_huge_csv_cell_is_read() -> None:
    assert len(shown(f"Name,Text\nA,{'x' * 200_000}\n", ".csv")[0][1]) > 200_000


# ---- markdown

MARKDOWN = """---
title: "Lamp manual"
---
# Lamp

Intro with *stress*, `code`
and a [link](http://x.example).

## Use

1. Plug in
2. Press
   - gently

   more of two

| Part | Price |
|------|-------|
| Bulb | 2 |
| Cord | |

```sh
run --now
```

<div><p>Inside <b>HTML</b></p><script>alert(1)</script></div>

### Care
Wipe it.
"""


def test_markdown_structure_is_kept_and_its_marks_go() -> None:
    assert shown(MARKDOWN, ".md") == [
        ("heading", "Lamp"),
        ("paragraph", "Intro with stress, code and a link."),
        ("heading", "Use"),
        ("list", "1. Plug in"),
        ("list", "2. Press"),
        ("list", "- gently"),
        ("list", "more of two"),
        ("row", "Part: Bulb; Price: 2"),
        ("row", "Part: Cord"),
        ("code", "run --now"),
        ("paragraph", "Inside HTML"),
        ("heading", "Care"),
        ("paragraph", "Wipe it."),
    ]
    parsed = read_document(MARKDOWN.encode(), ".md")
    assert parsed.title == "Lamp manual"
    assert parsed.blocks[-1].headings == ("Lamp", "Use", "Care")


def test_the_first_heading_of_the_outermost_level_is_the_title() -> None:
    assert read_document(b"### Small\n\ntext\n\n# Big\n\ntext", ".md").title == "Big"


# ---- html

PAGE = """<!doctype html><html><head><title>Lamps | Shop</title><style>p{color:red}</style></head><body>
<nav><a href="/">Home</a></nav><header>Logo</header>
<main><h1>Lamps<a href="#x">¶</a></h1><p>Bright &amp; <b>warm</b><br>light.</p>
<!-- secret --><script>steal()</script><p style="display: none">hidden</p><p hidden>too</p>
<ol start="1"><li>One<ul><li>Inner</li></ul></li><li><p>Two</p></li></ol>
<pre>a  b
 c</pre>
<table><caption>Prices</caption><tr><th>Part</th><th>Price</th></tr><tr><td>Bulb</td><td>2</td></tr></table>
<h2>Care</h2>loose text<div>own line</div></main><footer>© Shop</footer></body></html>"""


def test_html_gives_the_main_part_without_scripts_styles_and_navigation() -> None:
    assert shown(PAGE, ".html") == [
        ("heading", "Lamps"),
        ("paragraph", "Bright & warm\nlight."),
        ("list", "1. One"),
        ("list", "- Inner"),
        ("list", "2. Two"),
        ("code", "a  b\n c"),
        ("paragraph", "Prices"),
        ("row", "Part: Bulb; Price: 2"),
        ("heading", "Care"),
        ("paragraph", "loose text"),
        ("paragraph", "own line"),
    ]
    assert read_document(PAGE.encode(), ".html").title == "Lamps"


def test_the_pages_title_stands_where_every_heading_is_an_h1() -> None:
    page = "<title>Resolution</title><h1>One</h1><p>a</p><h1>Two</h1><p>b</p>"
    assert read_document(page.encode(), ".html").title == "Resolution"


def test_a_table_that_lays_out_a_page_is_read_as_text() -> None:
    page = f"<table><tr><td><h1>Left</h1><p>{'word ' * 80}</p></td><td><p>Right</p></td></tr></table>"
    assert [kind for kind, _ in shown(page, ".html")] == ["heading", "paragraph", "paragraph"]


def test_html_may_nest_deeper_than_python_does() -> None:
    assert shown("<div>" * 5000 + "deep" + "</div>" * 5000, ".html") == [("paragraph", "deep")]


# ---- docx


def test_word_headings_lists_tables_and_order_are_kept() -> None:
    def build(document) -> None:
        document.add_heading("Lamp", 0)
        document.add_paragraph("Intro.")
        document.add_heading("Use", 1)
        document.add_paragraph("Plug in", style="List Bullet")
        table = document.add_table(rows=2, cols=2)
        for cell, text in zip(
            [c for row in table.rows for c in row.cells], ["Part", "Price", "Bulb", "2"], strict=True
        ):
            cell.text = text
        document.add_paragraph("After.")

    data = word(build)
    assert shown(data, ".docx") == [
        ("heading", "Lamp"),
        ("paragraph", "Intro."),
        ("heading", "Use"),
        ("list", "- Plug in"),
        ("row", "Part: Bulb; Price: 2"),
        ("paragraph", "After."),
    ]
    parsed = read_document(data, ".docx")
    assert (parsed.title, parsed.blocks[-1].headings) == ("Lamp", ("Lamp", "Use"))


def test_word_insertions_controls_and_boxes_are_read_and_deletions_are_not() -> None:
    """python-docx's own `paragraphs` miss the first three."""
    run = "<w:r><w:t xml:space='preserve'>{}</w:t></w:r>"
    pieces = [
        f"<w:p {W}>{run.format('Kept ')}<w:ins>{run.format('inserted')}</w:ins>"
        "<w:del><w:r><w:delText> deleted</w:delText></w:r></w:del></w:p>",
        f"<w:sdt {W}><w:sdtContent><w:p>{run.format('in a control')}</w:p></w:sdtContent></w:sdt>",
        f"<w:p {W}><w:r><w:pict><w:txbxContent><w:p>{run.format('in a box')}</w:p></w:txbxContent></w:pict></w:r>"
        "</w:p>",
    ]

    def build(document) -> None:
        for piece in reversed(pieces):
            document.element.body.insert(0, parse_xml(piece))

    assert [text for _, text in shown(word(build), ".docx")] == ["Kept inserted", "in a control", "in a box"]


def test_a_word_file_whose_styles_are_not_defined_is_read() -> None:
    def build(document) -> None:
        document.add_paragraph("Title here").style = document.styles["Heading 1"]
        document.add_paragraph("Text.")
        for style in list(document.styles.element):
            document.styles.element.remove(style)

    assert shown(word(build), ".docx") == [("heading", "Title here"), ("paragraph", "Text.")]


def test_a_word_file_that_unpacks_to_too_much_is_refused(monkeypatch) -> None:
    monkeypatch.setattr("rag.parsing.formats.zip_container.MAX_UNPACKED_BYTES", 20 * 1024**2)
    stream = io.BytesIO(word(lambda document: document.add_paragraph("small")))
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/bomb.xml", b"\0" * 21 * 1024**2)
    with pytest.raises(DocumentError, match="unpacks to 21 MiB, more than the 20 MiB allowed"):
        read_document(stream.getvalue(), ".docx")


# ---- pdf


def test_pdf_pages_headings_paragraphs_and_rows_are_told_apart() -> None:
    body = [
        (50, 700, 18, "Lamp manual for users"),
        (50, 670, 10, "The lamp is bright and it shines for many hours when it"),
        (50, 658, 10, "is charged. It is also warm."),
        (50, 630, 10, "Another paragraph stands further below, apart from it all."),
        (50, 600, 110, "Prices"),
        (50, 580, 10, "Bulb 2.00 3.00"),
        (50, 568, 10, "Cord 1.00 1.50"),
    ]
    parsed = read_document(pdf(body, [(50, 700, 10, "Second page has its own text, too.")]), ".pdf")
    assert [(b.page, b.kind, b.text) for b in parsed.blocks] == [
        (1, "heading", "Lamp manual for users"),
        (1, "paragraph", "The lamp is bright and it shines for many hours when it is charged. It is also warm."),
        (1, "paragraph", "Another paragraph stands further below, apart from it all."),
        (1, "heading", "Prices"),
        (1, "row", "Bulb 2.00 3.00"),
        (1, "row", "Cord 1.00 1.50"),
        (2, "paragraph", "Second page has its own text, too."),
    ]
    assert parsed.title == "Lamp manual for users"


def test_running_heads_and_page_numbers_are_left_out() -> None:
    pages = [
        [
            (50, 780, 10, "Annual report"),
            (50, 700, 10, f"Something about {name}."),
            (50, 650, 10, "And more of it."),
            (50, 600, 10, f"The end of {name}."),
            (50, 550, 10, "Truly."),
            (300, 30, 10, f"Page {number}"),
        ]
        for number, name in enumerate(("apples", "pears", "plums", "figs"), 1)
    ]
    found = " ".join(block.text for block in read_document(pdf(*pages), ".pdf").blocks)
    assert "plums" in found
    assert "Annual report" not in found
    assert "Page" not in found


def test_a_pdf_without_text_is_told_to_be_scanned() -> None:
    with pytest.raises(DocumentError, match=r"scanned: none of its 2 page\(s\) has a text layer"):
        read_document(pictures(None, None), ".pdf")
    with pytest.raises(DocumentError, match=r"its 2 page\(s\) are empty"):
        read_document(pdf([], []), ".pdf")


def pictures(*texts: str | None) -> bytes:
    """A PDF with a picture over each page, or instead of it a line of text; as a scanner with a cover sheet makes."""
    shown = []
    for text in texts:
        picture = Image.new("RGB", (600, 800), "white")
        stream = io.BytesIO()
        picture.save(stream, "PDF")
        shown.append(stream.getvalue() if text is None else pdf([(50, 700, 10, text)]))
    whole = pypdfium2.PdfDocument.new()
    for path in shown:
        whole.import_pages(pypdfium2.PdfDocument(path))
    out = io.BytesIO()
    whole.save(out)
    return out.getvalue()


def test_pages_that_are_pictures_are_noted_by_their_numbers() -> None:
    note = read_document(pictures("Only here is text.", None, "And here.", None, None, None), ".pdf").note
    assert note.startswith("pages 2 and 4-6 are pictures without text: text recognition is off")
    assert read_document(pictures("Some text.", None), ".pdf").note.startswith("page 2 is a picture without text")


def test_empty_pages_are_noted_and_are_no_pictures() -> None:
    assert read_document(pdf([(50, 700, 10, "Only here is text.")], []), ".pdf").note == "page 2 without text"


def test_a_broken_pdf_is_told_to_be_damaged() -> None:
    with pytest.raises(DocumentError, match="damaged or incomplete"):
        read_document(pdf([(50, 700, 10, "Text")])[:200], ".pdf")


# ---- what a file is


def test_the_content_decides_where_the_name_is_wrong() -> None:
    assert shown(PAGE, ".pdf") == shown(PAGE, ".html")
    assert shown(pdf([(50, 700, 10, "A text in it.")]), ".txt") == [("paragraph", "A text in it.")]
    assert shown(word(lambda d: d.add_paragraph("A text in it.")), ".pdf") == [("paragraph", "A text in it.")]


@pytest.mark.parametrize(
    ("data", "suffix", "reason"),
    [
        (b"", ".txt", r"empty \(0 bytes\)"),
        (b" \n\t\n", ".txt", "no text in it"),
        (b"{\\rtf1}", ".rtf", "no text in it"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1..", ".ppt", "old PowerPoint slides"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1..", ".docx", "one with a password"),
        (b"just text", ".docx", "neither a PDF, an Office file, an e-book nor a web page"),
        (b"PK\x03\x04broken", ".docx", "damaged or incomplete"),
        (b"text", ".xyz", r"type '\.xyz' is unknown\. Readable are \.txt \.md \.rst \.html \.pdf \.docx"),
        (b"text", "", "no ending that tells its type"),
        (b"no header", ".eml", "it is no e-mail"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1..", ".msg", "an Outlook message .* save it as"),
    ],
)
def test_a_refusal_says_why_and_what_to_do(data, suffix, reason) -> None:
    with pytest.raises(DocumentError, match=reason):
        read_document(data, suffix)


@pytest.mark.parametrize(
    ("members", "what"),
    [
        ({"[Content_Types].xml": "x", "ppt/a.xml": "x"}, "PowerPoint file is damaged"),
        ({"[Content_Types].xml": "x", "xl/a.xml": "x"}, "Excel workbook is damaged"),
        ({"[Content_Types].xml": "x", "xl/workbook.bin": "x"}, "a binary Excel workbook"),
        ({"mimetype": "application/vnd.oasis.opendocument.text"}, "OpenDocument text is damaged"),
        ({"mimetype": "application/vnd.oasis.opendocument.spreadsheet"}, "an OpenDocument sheet"),
        ({"mimetype": "application/epub+zip"}, "e-book is damaged"),
        ({"ppt/a.txt": "x"}, "an archive is read only as a file of its own"),
    ],
)
def test_a_zip_is_told_by_what_is_in_it(members, what) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(DocumentError, match=what):
        read_document(stream.getvalue(), ".docx")


# ---- the child


def test_the_child_says_what_was_read(parser, tmp_path) -> None:
    (tmp_path / "a.md").write_bytes(b"# Lamp\n\nBright.")
    parsed = parser.parse(tmp_path / "a.md")
    assert [(b.kind, b.text, b.headings) for b in parsed.blocks] == [
        ("heading", "Lamp", ()),
        ("paragraph", "Bright.", ("Lamp",)),
    ]
    assert (parsed.title, parsed.media_type) == ("Lamp", "text/markdown")
    assert parsed.sha256 == hashlib.sha256(b"# Lamp\n\nBright.").hexdigest()


def test_one_child_serves_many_files_and_a_refusal_does_not_end_it(parser, tmp_path) -> None:
    (tmp_path / "good.txt").write_text("Good.")
    (tmp_path / "bad.pdf").write_text("no pdf")
    parser.parse(tmp_path / "good.txt")
    first = parser._child.pid
    with pytest.raises(DocumentError):
        parser.parse(tmp_path / "bad.pdf")
    with pytest.raises(DocumentError, match="can't be opened"):
        parser.parse(tmp_path / "absent.txt")
    assert parser.parse(tmp_path / "good.txt").blocks[0].text == "Good."
    assert parser._child.pid == first


def test_a_killed_child_is_replaced(parser, tmp_path) -> None:
    (tmp_path / "good.txt").write_text("Good.")
    parser.parse(tmp_path / "good.txt")
    os.kill(parser._child.pid, signal.SIGKILL)
    assert parser.parse(tmp_path / "good.txt").blocks[0].text == "Good."


def test_a_file_that_takes_too_long_is_refused_and_the_next_is_read(tmp_path) -> None:
    os.mkfifo(tmp_path / "endless.txt")  # opening it waits for a writer that never comes
    (tmp_path / "good.txt").write_text("Good.")
    with Parser(ParsingLimits(timeout_s=0.5)) as parser:
        with pytest.raises(DocumentError, match=r"longer than 0\.5 s"):
            parser.parse(tmp_path / "endless.txt")
        assert parser._child is None
        parser.limits = ParsingLimits()
        assert parser.parse(tmp_path / "good.txt").blocks[0].text == "Good."


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not count memory this way")
def test_a_file_that_takes_too_much_memory_is_refused(tmp_path) -> None:
    (tmp_path / "large.txt").write_text("word " * 10_000_000)
    with (
        Parser(ParsingLimits(memory_mib=64)) as parser,
        pytest.raises(DocumentError, match="more than the 64 MiB of memory"),
    ):
        parser.parse(tmp_path / "large.txt")


def test_a_file_that_is_too_large_is_refused(tmp_path) -> None:
    with (tmp_path / "large.txt").open("wb") as file:
        file.truncate(2 * 1024**2 + 1)
    with Parser(ParsingLimits(file_mib=2)) as parser, pytest.raises(DocumentError, match="larger than the 2 MiB"):
        parser.parse(tmp_path / "large.txt")


def test_files_beside_the_user_are_never_imported(tmp_path, monkeypatch) -> None:
    """`python -m` would put the current folder first on the import path."""
    (tmp_path / "csv.py").write_text("raise SystemExit('imported')")
    (tmp_path / "a.csv").write_text("Name,Age\nAlice,30\n")
    monkeypatch.chdir(tmp_path)
    with Parser() as parser:
        assert parser.parse(Path("a.csv")).blocks[0].text == "Name: Alice\nAge: 30"


def test_the_child_gets_no_secrets(monkeypatch, parser, tmp_path) -> None:
    monkeypatch.setenv("NIGHTJAR__DATABASE__URL", "postgresql://user:secret@host/db")
    parser.close()
    (tmp_path / "good.txt").write_text("Good.")
    parser.parse(tmp_path / "good.txt")
    if sys.platform == "linux":
        assert b"secret" not in Path(f"/proc/{parser._child.pid}/environ").read_bytes()


def test_flipped_bits_never_get_past_the_child(tmp_path) -> None:
    """Each mutation is read or refused; nothing else may come out, and the parser goes on."""
    chance = random.Random(5)
    whole = {
        ".pdf": pdf([(50, 700, 10, "Some text on a page.")]),
        ".docx": word(lambda d: d.add_paragraph("Some text.")),
        ".html": PAGE.encode(),
    }
    n_read = 0
    with Parser() as parser:
        for number in range(45):
            suffix = list(whole)[number % 3]
            data = bytearray(whole[suffix])
            for _ in range(chance.randint(1, 20)):
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
            path = tmp_path / f"{number}{suffix}"
            path.write_bytes(data)
            try:
                n_read += bool(parser.parse(path).blocks)
            except DocumentError as refused:
                assert len(str(refused)) > 20
    assert n_read > 5
