"""Passages: exact offsets, nothing lost, ids that edits elsewhere leave alone."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.parsing.formats.blocks import Block, HeadingStack, ParsedDocument, clean_text, detect_header
from rag.splitting.splitter import SplittingRules, make_passage_id, split_document
from rag.splitting.token_offsets import n_words


def split(*blocks: Block, max_words: int = 90, title: str = "Guide"):
    return split_document(
        "guide.md", "guide", ParsedDocument(blocks=tuple(blocks), title=title), SplittingRules(max_words)
    )


def texts(*blocks: Block, max_words: int = 90) -> list[str]:
    return [passage.text for passage in split(*blocks, max_words=max_words)[1]]


def prose(n: int, seed: int) -> str:
    """n words in sentences of 5 to 15."""
    chance = random.Random(seed)
    words = [chance.choice(("river", "stone", "night", "lamp", "glass", "moth", "field")) + str(i) for i in range(n)]
    lengths = []
    while sum(lengths) < n:
        lengths.append(chance.randint(5, 15))
    parts, at = [], 0
    for length in lengths:
        parts.append(" ".join(words[at : at + length]).capitalize() + ".")
        at += length
    return " ".join(parts)


WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=60)
BLOCKS = st.lists(
    st.builds(
        Block,
        text=st.one_of(WORDS, st.lists(WORDS, max_size=40).map(". ".join)).map(clean_text).filter(bool),
        kind=st.sampled_from(["paragraph", "list", "row", "record", "code"]),
        headings=st.sampled_from([(), ("A",), ("A", "B"), ("Guide", "C")]),
        page=st.sampled_from([None, 1, 2]),
    ),
    max_size=12,
)


@given(blocks=BLOCKS, max_words=st.integers(10, 40))
@settings(max_examples=200, deadline=None, derandomize=True, database=None)
def test_every_passage_is_where_it_says_and_nothing_is_lost(blocks: list[Block], max_words: int) -> None:
    document, passages = split(*blocks, max_words=max_words)
    for passage in passages:
        assert document.text[passage.start : passage.end] == passage.text
        assert passage.text == passage.text.strip() != ""
        assert n_words(passage.text) <= max_words
    kept = {(passage.heading, passage.text) for passage in passages}
    assert len(kept) == len(passages) == len({passage.passage_id for passage in passages})
    wanted = "".join(c for block in blocks for c in block.text if not c.isspace())
    found = "".join(c for c in document.text if not c.isspace())
    assert found == wanted
    covered = sum(1 for p in passages for c in p.text if not c.isspace())
    repeats = len(wanted) - covered
    assert repeats == 0 or any(text.count(p.text) > 1 for p in passages for text in [document.text])


def test_headings_part_passages_and_stand_above_them() -> None:
    here = HeadingStack()
    _, passages = split(
        here.enter(1, "Guide"),
        Block("Intro.", headings=("Guide",)),
        here.enter(2, "Setup"),
        Block("Plug it in.", headings=("Guide", "Setup")),
        here.enter(3, "Cables"),
        Block("Use the red one.", headings=("Guide", "Setup", "Cables")),
    )
    assert [(p.heading, p.text) for p in passages] == [
        ("", "Intro."),
        ("Setup", "Plug it in."),
        ("Setup › Cables", "Use the red one."),
    ]
    assert passages[2].encoded_text == "Guide\nSetup › Cables\nUse the red one."


def test_a_heading_with_nothing_below_it_is_a_passage_itself() -> None:
    here = HeadingStack()
    assert texts(
        here.enter(1, "Guide"), here.enter(2, "Opening hours: 9 to 5"), here.enter(2, "Closed on Sundays")
    ) == ["Opening hours: 9 to 5\n\nClosed on Sundays"]


def test_small_paragraphs_are_packed_and_large_ones_cut_at_sentences() -> None:
    assert texts(Block("One two three."), Block("Four five six."), max_words=20) == ["One two three.\n\nFour five six."]
    long = "One two three four five six. Seven eight nine ten eleven twelve. Thirteen fourteen fifteen sixteen."
    assert texts(Block(long), max_words=10) == [
        "One two three four five six.",
        "Seven eight nine ten eleven twelve. Thirteen fourteen fifteen sixteen.",
    ]


def test_an_abbreviation_ends_no_sentence() -> None:
    text = "Ask Dr. Miller about the red lamps first. Then ask the others about the green ones too."
    assert texts(Block(text), max_words=12) == [
        "Ask Dr. Miller about the red lamps first.",
        "Then ask the others about the green ones too.",
    ]


def test_what_has_no_sentences_is_cut_at_lines_and_then_at_words() -> None:
    assert texts(Block("a b c d e f\ng h i j k l\nm n o"), max_words=10) == ["a b c d e f", "g h i j k l\nm n o"]
    words = " ".join(f"w{i}" for i in range(25))
    assert all(n_words(text) <= 10 for text in texts(Block(words), max_words=10))
    assert " ".join(texts(Block(words), max_words=10)) == words


def test_text_without_blanks_is_cut_too() -> None:
    assert max(map(len, texts(Block("x" * 5000), max_words=10))) <= 240
    chinese = texts(Block("今天天气很好。我们去公园散步吧。明天可能会下雨，记得带伞。"), max_words=18)
    assert chinese == ["今天天气很好。我们去公园散步吧。", "明天可能会下雨，记得带伞。"]


def test_no_passage_crosses_a_page() -> None:
    _, passages = split(Block("Ends here.", page=1), Block("Begins here.", page=2))
    assert [(p.page, p.text) for p in passages] == [(1, "Ends here."), (2, "Begins here.")]


def test_repeated_text_is_stored_once_below_the_same_heading_only() -> None:
    here = HeadingStack()
    _, passages = split(
        here.enter(2, "A"),
        Block("Call us.", headings=("A",)),
        here.enter(2, "A"),
        Block("Call us.", headings=("A",)),
        here.enter(2, "B"),
        Block("Call us.", headings=("B",)),
    )
    assert [(p.heading, p.start) for p in passages] == [("A", 3), ("B", 29)]


def test_an_id_follows_from_document_headings_and_text_alone() -> None:
    _, (passage,) = split(Block("Plug it in.", headings=("Setup",)))
    _, moved = split(Block("Something else.", headings=("Before",)), Block("Plug it in.", headings=("Setup",)))
    assert passage.passage_id == moved[1].passage_id == make_passage_id(passage.document_id, "Setup", "Plug it in.")
    assert passage.start != moved[1].start


@pytest.mark.parametrize("n", [3, 10, 23, 32, 40, 44])
def test_an_insertion_changes_only_passages_near_it(n) -> None:
    """Without borders that the text itself decides, rows of one length would shift in every later passage."""
    blocks = [Block(" ".join(f"w{row}x{i}" for i in range(n)), "row") for row in range(400)]
    before = {p.passage_id for p in split(*blocks)[1]}
    new = Block(" ".join(f"new{i}" for i in range(n)), "row")
    for offset in (0, 100, 250):
        after = {p.passage_id for p in split(*blocks[:offset], new, *blocks[offset:])[1]}
        assert len(after - before) <= 40  # of about 200 that follow


def test_an_insertion_into_one_endless_paragraph_changes_only_passages_near_it() -> None:
    text = prose(20_000, 7)
    before = {p.passage_id for p in split(Block(text))[1]}
    after = {p.passage_id for p in split(Block("A new sentence at the start. " + text))[1]}
    assert len(before) > 200
    assert len(after - before) <= 8


def test_the_last_passage_of_a_section_is_not_a_crumb() -> None:
    sizes = [
        [n_words(t) for t in texts(*(Block(prose(8, i + 100 * j)) for i in range(n)))]
        for j, n in enumerate((12, 23, 34))
    ]
    assert all(section[-1] >= 30 for section in sizes)


def test_rows_stand_on_lines_of_their_own_and_paragraphs_apart() -> None:
    document, _ = split(Block("Prices:"), Block("Tea: 2", "row"), Block("Milk: 1", "row"), Block("- a", "list"))
    assert document.text == "Prices:\n\nTea: 2\nMilk: 1\n\n- a"


def test_the_stem_is_the_title_where_the_file_has_none() -> None:
    assert split(Block("Text."), title="")[0].title == "guide"


def test_a_row_of_values_is_no_header() -> None:
    assert detect_header([["Emirate:", "The Emirate of Dubai."], ["Law:", "No. 27"]]) == []
    assert detect_header([["Name", "Name"], ["a", "b"]]) == []
    assert detect_header([["Name", "Age"]]) == []
