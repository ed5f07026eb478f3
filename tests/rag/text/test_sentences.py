"""A passage is split into what can be quoted: sentences, items, short lists; with exact offsets whatever the text."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rag.text.sentences import MAX_LIST_LENGTH, MAX_SENTENCE_LENGTH, format_quote, split_sentences

WRAPPED = (
    "There are 11 lenders in the scheme including many of the main\n"
    "retail banks. You should approach a suitable lender yourself via the lender’s\n"
    "website.\n"
    "Barclays and Lloyds take part."
)
PIECES = st.sampled_from(
    [
        "Take:\n",
        "- a mask\n",
        "It rains. ",
        "Why? ",
        "e.g. ",
        "\n\n",
        "word ",
        "# Top\n",
        "1. one\n",
        "。",
        "\t",
        "x" * 90,
    ]
)


def texts_of(text: str) -> list[str]:
    return [sentence.text for sentence in split_sentences(text)]


@given(st.one_of(st.text(max_size=300), st.lists(PIECES, max_size=30).map("".join)))
@example("Take:\r\n- a\x0b- b\r\n")
@example(" \n:\n\n:\n a")
def test_every_sentence_is_its_slice_and_none_overlap(text):
    position = 0
    for sentence in split_sentences(text):
        assert position <= sentence.start < sentence.end <= len(text)
        assert sentence.text == text[sentence.start : sentence.end]
        assert sentence.text == sentence.text.strip()
        position = sentence.end


@given(st.lists(PIECES, max_size=30).map("".join))
def test_reading_form_changes_no_word(text):
    for sentence in split_sentences(text):
        assert "".join(filter(str.isalnum, format_quote(sentence.text))) == "".join(filter(str.isalnum, sentence.text))


def test_wrapped_lines_are_one_sentence():
    assert texts_of(WRAPPED) == [
        "There are 11 lenders in the scheme including many of the main\nretail banks.",
        "You should approach a suitable lender yourself via the lender’s\nwebsite.",
        "Barclays and Lloyds take part.",
    ]


@pytest.mark.parametrize(
    "text",
    ["Dr. Smith met J. Doe at 3.5 p.m. today.", "See e.g. No. 5 and Fig. 2.", "He said “Stop! Now!” and left."],
)
def test_abbreviations_end_no_sentence(text):
    expected = [text] if "Stop" not in text else ["He said “Stop!", "Now!” and left."]
    assert texts_of(text) == expected


def test_scripts_without_spaces_are_split():
    assert texts_of("你好。再见！") == ["你好。", "再见！"]


def test_short_list_is_quoted_with_its_lead_in():
    text = "You need a few things. Bring:\n\na mask\na map of the town\n\nThen go."
    assert texts_of(text) == ["You need a few things.", "Bring:\n\na mask\na map of the town", "Then go."]


def test_long_list_is_quoted_item_by_item_with_the_lead_in_as_context():
    items = [f"- thing {number} that you will need on the way to the coast of the island" for number in range(12)]
    text = "Bring:\n" + "\n".join(items)
    assert len(text) > MAX_LIST_LENGTH
    assert texts_of(text) == [item.removeprefix("- ") for item in items]
    assert {sentence.context for sentence in split_sentences(text)} == {"Bring:"}


def test_headings_are_evidence_and_not_quoted():
    found = split_sentences("# Grants\n\nAdvance payments\nAsk for it early.")
    assert [(sentence.text, sentence.context) for sentence in found] == [("Ask for it early.", "Advance payments")]


def test_question_is_the_context_of_its_answer():
    found = split_sentences("Can I go out? Yes, once a day.")
    assert [(sentence.is_question, sentence.context) for sentence in found] == [(True, ""), (False, "Can I go out?")]


def test_rows_of_a_table_are_not_taken_for_headings():
    assert texts_of("Name: Ada\nBorn: 1815\nField: mathematics") == ["Name: Ada", "Born: 1815", "Field: mathematics"]


def test_the_last_row_of_a_table_is_no_heading_of_what_follows():
    rows = ["Ticket: Single; Adults: €6.50", "Ticket: Season; Adults: €140.00"]
    found = split_sentences("\n".join(rows) + "\n\nThe pool opens at 7:00.")
    assert [(sentence.text, sentence.context) for sentence in found] == [
        (row, "") for row in (*rows, "The pool opens at 7:00.")
    ]


def test_definitions_of_abbreviations_are_not_quoted():
    assert texts_of("Ask your school.\n*[EHC]: education, health and care plan") == ["Ask your school."]


def test_endless_sentences_are_cut_between_words():
    pieces = texts_of("word " * 400)
    assert all(len(piece) <= MAX_SENTENCE_LENGTH for piece in pieces)
    assert all(set(piece.split()) == {"word"} for piece in pieces)


def test_reading_form_of_a_list_has_an_item_a_line():
    assert format_quote("This\nincludes:\n\n• washing your hands\n2. going home") == (
        "This includes:\n- washing your hands\n- 2. going home"
    )
