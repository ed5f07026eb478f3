"""A library's own questions: what is asked, what is left of the passages, what is left out, and what is consistent."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from rag.index.bm25 import Bm25Index
from rag.records import Passage
from retriever_training.cold_start.consistency_filter import find_consistent_passages
from retriever_training.cold_start.pseudo_questions import (
    MAX_DOCUMENTS_PER_HEADING,
    MAX_PASSAGES_PER_QUESTION,
    PseudoQuestion,
    draw_pseudo_questions,
)
from retriever_training.cold_start.pseudo_rows import _weighed, build_pseudo_question_set, concatenate_rows
from retriever_training.losses.full_softmax import SoftmaxRows
from tests.fixtures import jargon
from ui.cli import app


def passage(
    document: str, heading: str, text: str, title: str | None = None, external_id: str | None = None
) -> Passage:
    name = f"{document}/{heading}/{text[:20]}"
    return Passage(
        passage_id=name,
        document_id=document,
        source=document,
        title=document if title is None else title,
        heading=heading,
        text=text,
        start=0,
        end=len(text),
        page=None,
        external_id=external_id,
    )


OATS = "Oats are sown in early spring on firm soil. They need little nitrogen, but rolling the field twice helps them."
RYE = "Rye endures poor, sandy ground better than wheat does. It is harvested in the first half of August, when dry."
OATS_LEFT = "They need little nitrogen, but rolling the field twice helps them."
RYE_LEFT = "It is harvested in the first half of August, when dry."


# ---- headings


def test_the_last_heading_is_the_question_and_leaves_the_passage() -> None:
    drawn = draw_pseudo_questions([passage("Crops", "2. Cereals › 2.1 Growing oats", OATS)], 13, sources=("heading",))
    assert [
        (pseudo_question.question, pseudo_question.source, list(pseudo_question.left))
        for pseudo_question in drawn.questions
    ] == [("Growing oats", "heading", [0])]
    assert drawn.texts == (f"Crops\n2. Cereals\n{OATS}",)


def test_a_heading_that_two_documents_use_is_asked_with_the_title() -> None:
    drawn = draw_pseudo_questions(
        [passage("Oats", "When to sow", OATS), passage("Rye", "When to sow", RYE)], 13, sources=("heading",)
    )
    assert [pseudo_question.question for pseudo_question in drawn.questions] == [
        "Oats: When to sow",
        "Rye: When to sow",
    ]
    assert drawn.texts == (OATS, RYE)


def test_a_heading_of_many_documents_is_boilerplate() -> None:
    documents = [f"Crop {number}" for number in range(MAX_DOCUMENTS_PER_HEADING + 1)]
    drawn = draw_pseudo_questions(
        [passage(name, "See also this", OATS) for name in documents], 13, sources=("heading",)
    )
    assert drawn.questions == ()
    assert drawn.dropped == {"heading: in many documents": len(documents)}
    assert drawn.texts[0] == f"Crop 0\nSee also this\n{OATS}"


def test_a_heading_is_right_for_every_passage_of_its_section_but_not_of_a_chapter() -> None:
    few = [passage("Crops", "Growing oats", f"{OATS} {number}") for number in range(MAX_PASSAGES_PER_QUESTION)]
    assert list(draw_pseudo_questions(few, 13, sources=("heading",)).questions[0].left) == list(
        range(MAX_PASSAGES_PER_QUESTION)
    )
    many = [*few, passage("Crops", "Growing oats", RYE)]
    assert draw_pseudo_questions(many, 13, sources=("heading",)).dropped == {"heading: stands for many passages": 1}


def test_the_title_of_a_beir_line_is_its_heading() -> None:
    line = passage("uk/1", "", OATS, title="Farming | 3. Growing oats", external_id="1")
    drawn = draw_pseudo_questions([line], 13, sources=("heading",))
    assert [pseudo_question.question for pseudo_question in drawn.questions] == ["Growing oats"]
    assert drawn.texts == (f"Farming\n{OATS}",)


def test_a_word_is_no_question_and_a_page_is_none_either() -> None:
    drawn = draw_pseudo_questions(
        [passage("a", "Oats", OATS), passage("b", "word " * 41, RYE)], 13, sources=("heading",)
    )
    assert drawn.dropped == {"heading: too short": 1, "heading: too long": 1}


# ---- sentences


def test_the_first_sentence_is_really_out_of_its_passage() -> None:
    drawn = draw_pseudo_questions([passage("Crops", "", OATS)], 13, sources=("first sentence",))
    assert [pseudo_question.question for pseudo_question in drawn.questions] == [
        "Oats are sown in early spring on firm soil."
    ]
    assert drawn.texts == (f"Crops\n{OATS_LEFT}",)


def test_heading_and_first_sentence_both_leave_a_passage_that_is_asked_for_by_both() -> None:
    drawn = draw_pseudo_questions([passage("Crops", "Growing oats", OATS)], 13)
    assert [pseudo_question.source for pseudo_question in drawn.questions] == ["heading", "first sentence"]
    assert drawn.texts == (f"Crops\n{OATS_LEFT}",)


def test_a_passage_of_one_sentence_has_nothing_left() -> None:
    drawn = draw_pseudo_questions(
        [passage("Crops", "", "Oats are sown in early spring.")], 13, sources=("first sentence",)
    )
    assert (drawn.questions, drawn.dropped) == ((), {"first sentence: nothing left of the passage": 1})


def test_the_same_sentence_in_two_passages_is_one_question_with_two_right_passages() -> None:
    twins = [
        passage("a", "", f"Keep it dry and cool. {OATS_LEFT}"),
        passage("b", "", f"Keep it dry and cool. {RYE_LEFT}"),
    ]
    (one,) = draw_pseudo_questions(twins, 13, sources=("first sentence",)).questions
    assert (one.question, list(one.left)) == ("Keep it dry and cool.", [0, 1])


def test_a_summary_is_asked_of_the_other_passages_of_its_document() -> None:
    library = [
        passage("Crops", "Summary", "Oats want a rolled field. Rye is ripe in August."),
        passage("Crops", "Oats", OATS),
        passage("Crops", "Rye", RYE),
        passage("Cows", "Milk", "Milk is cooled at once."),
    ]
    drawn = draw_pseudo_questions(library, 13, sources=("summary",))
    assert [pseudo_question.question for pseudo_question in drawn.questions] == [
        "Oats want a rolled field.",
        "Rye is ripe in August.",
    ]
    assert [(list(pseudo_question.left), pseudo_question.verbatim_row) for pseudo_question in drawn.questions] == [
        ([1, 2], 0),
        ([1, 2], 0),
    ]


def test_more_questions_than_asked_for_are_drawn_by_the_seed() -> None:
    library = [passage(f"Crop {number}", f"Growing crop {number}", OATS) for number in range(8)]
    first, again, other = (draw_pseudo_questions(library, seed, sources=("heading",), n=4) for seed in (13, 13, 14))
    assert first == again
    assert first.questions != other.questions
    assert first.dropped == {"over the number that is trained on": 4}
    assert sum(text == passage.encoded_text for text, passage in zip(first.texts, library, strict=True)) == 4


# ---- consistency

AXES = np.eye(3, dtype=np.float32)
THREE = Bm25Index.build(["a", "b", "c"], ["oats", "rye", "hay"])


def asks(question: str, *rows: int, **others: object) -> PseudoQuestion:
    return PseudoQuestion(question, **{"source": "heading", "left": dict.fromkeys(rows, ("", "", ""))} | others)


def test_a_question_is_kept_only_where_its_passage_is_among_the_first() -> None:
    asked = np.array([[0.8, 0.6, 0.0], [0.8, 0.6, 0.0]], np.float32)
    both = [asks("which", 1), asks("what", 2)]
    assert find_consistent_passages(both, asked, AXES, THREE, 0.25, top=2) == [[1], []]


def test_the_words_count_as_in_serving() -> None:
    asked = np.array([[0.8, 0.6, 0.0]], np.float32)
    assert find_consistent_passages([asks("rye", 1)], asked, AXES, THREE, 0.25, top=1) == [[1]]
    assert find_consistent_passages([asks("rye", 1)], asked, AXES, THREE, 0.1, top=1) == [[]]


def test_a_summary_has_one_right_passage_and_its_own_does_not_compete() -> None:
    asked = np.array([[0.8, 0.6, 0.0]], np.float32)
    summary = asks("which", 1, 2, source="summary", verbatim_row=0)
    assert find_consistent_passages([summary], asked, AXES, THREE, 0.25, top=2) == [[1]]


# ---- rows, with the real encoder


def test_rows_are_the_same_twice_and_every_question_is_counted(base_encoder) -> None:
    told = [text.format(code) for code in list(jargon.PRODUCTS.values())[:4] for text in jargon.TASKS.values()]
    advice = "Keep part {} of it in a dry, well aired room, and away from small children."
    library = [passage("Manual", "", f"{text} {advice.format(number)}") for number, text in enumerate(told)]
    vectors = base_encoder.encode_passages([passage.encoded_text for passage in library])
    first, again = (build_pseudo_question_set(library, base_encoder, vectors, 0.25, 0.2, 13) for _ in range(2))
    assert first.asked == again.asked
    assert 0 < len(first.asked) == first.counts["first sentence: kept"] < len(library) == sum(first.counts.values()) - 1
    assert first.counts["heading: too short"] == 1  # "Manual"
    assert first.question_vectors == pytest.approx(base_encoder.encode_queries(first.asked.questions), abs=1e-5)
    assert first.passage_vectors == pytest.approx(base_encoder.encode_passages(first.texts), abs=1e-5)
    assert {max(right.values()) for right in first.asked.right} == {0.2}


def test_what_may_answer_too_is_no_negative_and_no_training_row() -> None:
    assert _weighed(asks("which", 1, 2), [2], 0.2) == {1: 0.1, 2: 0.2}
    assert _weighed(asks("which", 1, 2, source="summary", verbatim_row=0), [2], 0.2) == {0: 0.1, 2: 0.2}


# ---- the command


def test_the_command_writes_questions_with_what_is_left_of_their_passages(tmp_path: Path) -> None:
    folder = tmp_path / "beir"
    (folder / "qrels").mkdir(parents=True)
    lines = [("1", "Farming | Growing oats", OATS), ("2", "Farming | Growing rye", RYE)]
    corpus = (json.dumps({"_id": name, "title": title, "text": text}) + "\n" for name, title, text in lines)
    (folder / "corpus.jsonl").write_text("".join(corpus))
    data = ["--data", str(tmp_path / "data")]
    for command in ([*data, "ingest", "--beir", str(folder)], [*data, "cold-start", "--out", str(tmp_path / "out")]):
        assert CliRunner().invoke(app, command).exit_code == 0
    written = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
    assert {
        "query": "Growing oats",
        "source": "heading",
        "passages": [{"passage_id": "1", "text": f"Farming\n{OATS_LEFT}"}],
    } in written
    assert {question["source"] for question in written} == {"heading", "first sentence"}


# ---- beside people's


def test_each_kind_of_row_sees_passages_of_its_own_kind_only() -> None:
    def rows(weight: float, masked: int, rejected: int) -> SoftmaxRows:
        return SoftmaxRows(
            questions=AXES[:1],
            passages=AXES[:2],
            question_of=np.array([0]),
            positive_of=np.array([1]),
            weight=np.array([weight], np.float32),
            masked=(np.array([masked]),),
            emphasised=(np.array([rejected]),),
            lexical=((np.array([1]), np.array([0.5], np.float32)),),
        )

    both = concatenate_rows(rows(1.0, 0, 0), rows(0.2, 0, 0))
    assert both.question_of.tolist() == [0, 1]
    assert both.positive_of.tolist() == [1, 3]
    assert both.weight.tolist() == pytest.approx([1.0, 0.2])
    assert [sorted(masked.tolist()) for masked in both.masked] == [[0, 2, 3], [0, 1, 2]]
    assert [rejected.tolist() for rejected in both.emphasised] == [[0], [2]]
    assert [rows.tolist() for rows, _ in both.lexical] == [[1], [3]]
