"""Splittings are measured on the tokens that are wanted, with as many shown by each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from eval.bench.baselines.splitters import all_splitters, nightjar_cut
from eval.bench.splitting import measure_splitting, split_halves
from eval.bench.token_budget import TokenSpan, token_overlap, token_set
from eval.datasets.excerpts import ExcerptQuestion, load_excerpts
from rag.errors import NotFoundError, UsageError
from rag.parsing.formats.blocks import Block, ParsedDocument
from rag.splitting.splitter import SplittingRules
from rag.splitting.token_offsets import word_starts
from ui.cli import app

OWLS = "# Owls\n\nOwls hunt at night. They hear mice below the snow.\n\nTheir **feathers** make no sound.\n"
MOLES = "Moles dig in the garden at dawn. They eat 1,250 worms a week, or 12.50 francs' worth.\n\nWorms cost 1,250 francs.\n"


def excerpts(folder: Path, *lines: dict[str, object]) -> Path:
    (folder / "owls.md").write_text(OWLS, "utf-8")
    (folder / "moles.md").write_text(MOLES, "utf-8")
    (folder / "spans.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return folder


def asks(query_id: str, question: str, document: str, *texts: str) -> dict[str, object]:
    return {
        "query_id": query_id,
        "question": question,
        "document": document,
        "references": [{"text": t} for t in texts],
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return excerpts(
        tmp_path,
        asks("q1", "What do owls hear?", "owls.md", "They hear mice below the snow."),
        asks("q2", "Which feathers are silent?", "owls.md", "Their feathers make\nno sound", "Not in there."),
        asks("q3", "When do moles dig?", "moles.md", "Moles dig in the garden at dawn."),
        asks("q4", "What do moles eat?", "moles.md", "They eat 1,250 worms a week"),
        asks("q5", "Who sings?", "moles.md", "Nobody sings."),
    )


# ---- what is wanted


def test_an_excerpt_is_found_through_markup_and_line_ends(folder: Path) -> None:
    asked = load_excerpts(folder)
    assert [question.query_id for question in asked.questions] == ["q1", "q2", "q3", "q4"]
    assert asked.n_lost == 2
    (((document, start, end),),) = asked.questions[1].wanted
    assert document == "owls.md"
    assert end - start == len("Their feathers make no sound")


def test_the_figures_of_an_answer_are_wanted_where_they_stand_in_the_documents_it_cites(tmp_path: Path) -> None:
    (tmp_path / "pdf").mkdir()
    (tmp_path / "pdf" / "moles.md").write_text(MOLES, "utf-8")
    answer = "In 2022 they ate 1,250 of them, worth 12.50, not 250 nor 9,999."
    line = {"_id": "q1", "question": "How many?", "answer": answer, "documents_cited_in_answer": ["moles.md"]}
    (tmp_path / "questions.jsonl").write_text(json.dumps(line) + "\n", "utf-8")
    asked = load_excerpts(tmp_path)
    assert [len(places) for places in asked.questions[0].wanted] == [2, 1]
    assert asked.n_lost == 1


def test_only_the_beginning_of_each_document_is_read_where_that_is_wanted(folder: Path) -> None:
    asked = load_excerpts(folder, characters=40)
    assert sum(len(block.text) for block in asked.documents["owls.md"].blocks) <= 40
    assert asked.n_lost > 2


def test_a_folder_without_questions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"spans\.jsonl"):
        load_excerpts(tmp_path)


def test_a_document_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"gone\.md"):
        load_excerpts(excerpts(tmp_path, asks("q", "Who?", "gone.md", "Nobody.")))


def test_a_line_without_references_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="line 1"):
        load_excerpts(excerpts(tmp_path, {"query_id": "q", "question": "Who?", "document": "owls.md"}))


# ---- what is seen


def test_the_last_passage_is_cut_short_at_the_budget() -> None:
    found = token_overlap([TokenSpan("a", 0, 100, "")], [(token_set("a", 8, 12),)], budget=10)
    assert (found.recall, found.precision, found.iou) == (0.5, 0.2, 2 / 12)


def test_what_overlap_shows_twice_uses_the_budget_up_and_is_wanted_once() -> None:
    found = token_overlap([TokenSpan("a", 0, 10, ""), TokenSpan("a", 5, 15, "")], [(token_set("a", 0, 20),)], budget=20)
    assert (found.recall, found.precision, found.iou) == (0.75, 0.75, 15 / 25)


def test_nothing_shown_is_nothing_seen() -> None:
    found = token_overlap([], [(token_set("a", 0, 5),)], budget=10)
    assert (found.recall, found.precision, found.iou) == (0.0, 0.0, 0.0)


def test_questions_are_halved_by_their_hash_and_none_is_in_both() -> None:
    questions = [ExcerptQuestion(f"q{n}", "", ()) for n in range(200)]
    choose, report = split_halves(questions)
    assert set(choose) | set(report) == {question.query_id for question in questions}
    assert 80 < len(choose) < 120
    assert split_halves(questions[:10])[0] == [query_id for query_id in choose if int(query_id[1:]) < 10]


# ---- the splitters


def test_an_overlapping_passage_begins_with_the_end_of_the_one_before() -> None:
    parsed = ParsedDocument(blocks=(Block("One two three four. Five six seven eight. Nine ten eleven twelve."),))
    text = "One two three four. Five six seven eight. Nine ten eleven twelve."
    stretches = list(nightjar_cut(SplittingRules(4), overlap=2)("a.md", parsed))
    assert [text[start:end] for start, end, _ in stretches] == [
        "One two three four.",
        "three four. Five six seven eight.",
        "seven eight. Nine ten eleven twelve.",
    ]
    assert stretches[1][2] == "a\nthree four. Five six seven eight."


def test_a_passage_does_not_overlap_into_another_section() -> None:
    parsed = ParsedDocument(
        blocks=(Block("One two three four.", headings=("A",)), Block("Five six seven.", headings=("B",)))
    )
    assert [start for start, _, _ in nightjar_cut(SplittingRules(4), overlap=2)("a.md", parsed)] == [0, 21]


def test_langchain_s_parts_are_where_they_were_cut_from_also_where_the_text_repeats() -> None:
    pytest.importorskip("langchain_text_splitters")
    parsed = ParsedDocument(
        blocks=tuple(Block(f"Every year is like every other year. Year {n % 3}.") for n in range(60))
    )
    for way in all_splitters(word_starts, 254, 96):
        if way.is_baseline:
            stretches = list(way.cut("a.md", parsed))
            assert [start for start, _, _ in stretches] == sorted({start for start, _, _ in stretches}), way.name
            assert sum(end - start for start, end, _ in stretches) > 2500, way.name


# ---- together


def test_a_splitter_whose_passages_are_the_excerpts_sees_all_of_them(folder: Path, base_encoder, tmp_path) -> None:
    asked = load_excerpts(folder)
    ways = [splitter for splitter in all_splitters(word_starts, 254, 96) if splitter.name == "48 tokens"]
    kept = tmp_path / "kept"
    kept.mkdir()
    measured, again = (
        measure_splitting(
            asked, ways, base_encoder, word_starts, budgets=[200, 5], lexical_weight=0.25, cache_folder=kept
        )[0]
        for _ in range(2)
    )
    everything = [question.query_id for question in asked.questions]
    assert measured.mean("recall", 200, everything) == 1.0
    assert measured.mean("recall", 5, everything) < 1.0
    assert measured == again, "from vectors that are kept"
    assert measured.n_passages == 2


def test_the_benchmark_tells_each_splitter_with_json(folder: Path, tmp_path: Path) -> None:
    told = CliRunner().invoke(
        app,
        [
            "--data",
            str(tmp_path / "data"),
            "bench",
            "splitting",
            str(folder),
            "--json",
            "--only",
            "96 tokens",
            "--only",
            "as before",
        ],
    )
    assert told.exit_code == 0, told.output
    measured = json.loads(told.stdout)
    assert (measured["n_questions"], measured["n_lost"]) == (4, 2)
    rows = measured["shown"]["512"]
    assert {"96 tokens", "90 words, as before"} <= {row["splitter"] for row in rows}
    assert all(row["recall"] == 1.0 for row in rows)


def test_a_splitter_that_there_is_not_is_refused(folder: Path, tmp_path: Path) -> None:
    told = CliRunner().invoke(
        app, ["--data", str(tmp_path / "data"), "bench", "splitting", str(folder), "--only", "97"]
    )
    assert told.exit_code == 2
    assert "no splitter's name holds any of ['97']" in told.stderr
