"""Decisions can be found: the index is complete, and whatever cites a number cites one that exists."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DECISIONS = ROOT / "docs/decisions"
CITATION = re.compile(r"\bdecisions?[ /](\d{4})\b")
INDEX_ROW = re.compile(r"^\| (\d{4}) \| \[(.+)\]\((.+\.md)\) \| (.+) \| \d{4}-\d\d-\d\d \|$", re.MULTILINE)
STATUS = re.compile(
    r"^Status: (accepted|rejected|superseded by \d{4}|accepted, to be superseded by [\w ]+) · \d{4}-\d\d-\d\d$"
)


def decision_files() -> list[Path]:
    return sorted(DECISIONS.glob("[0-9]*.md"))


def citing_files() -> list[Path]:
    folders = ("rag", "eval", "retriever_training", "ui", "tests", "docs")
    found = [file for folder in folders for ending in ("*.py", "*.md") for file in (ROOT / folder).rglob(ending)]
    return [*found, ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "pyproject.toml", ROOT / "Makefile"]


def test_the_index_lists_every_decision_by_its_number_title_and_status() -> None:
    listed = {
        name: (number, title, status)
        for number, title, name, status in INDEX_ROW.findall((DECISIONS / "README.md").read_text("utf-8"))
    }
    written = {}
    for file in decision_files():
        heading, _, status = file.read_text("utf-8").split("\n")[:3]
        number, title = heading.removeprefix("# ").split(" · ", 1)
        assert STATUS.match(status), file.name
        written[file.name] = (number, title, status.removeprefix("Status: ").rsplit(" · ", 1)[0])
    assert listed == written
    assert [number for number, _, _ in written.values()] == [f"{n:04d}" for n in range(1, len(written) + 1)]


def test_every_decision_that_is_cited_exists() -> None:
    numbers = {file.name[:4] for file in decision_files()}
    cited = {
        (file.relative_to(ROOT).as_posix(), number)
        for file in citing_files()
        for number in CITATION.findall(file.read_text("utf-8"))
    }
    assert len(cited) > 5
    assert {(name, number) for name, number in cited if number not in numbers} == set()


def test_every_lab_note_is_listed() -> None:
    notes = ROOT / "docs/lab-notes"
    listed = set(re.findall(r"\]\((.+\.md)\)", (notes / "README.md").read_text("utf-8"))) - {"../decisions/README.md"}
    assert listed == {file.name for file in notes.glob("[0-9]*.md")}


def test_a_citation_is_recognised() -> None:
    assert CITATION.findall("see decision 0012, decisions/0022 and 2026") == ["0012", "0022"]
