"""Tokens are counted as the encoder counts them, and a passage is filled with what it can read."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.errors import EncoderError
from rag.parsing.formats.blocks import Block, HeadingStack, ParsedDocument, clean_text
from rag.splitting.splitter import SplittingRules, split_document
from rag.splitting.token_offsets import MAX_TEXT_LENGTH, PassageTokenizer

TEXT = "Ümläute, naïve cafés & 日本語 – 12,345.67 tokenisation!"


@pytest.fixture(scope="module")
def tokens(base_folder: Path) -> PassageTokenizer:
    return PassageTokenizer(base_folder)


def counted(tokens: PassageTokenizer, text: str) -> int:
    return len(tokens.starts([text])[0])


def read_by(base_encoder: Any, text: str) -> int:
    """How many tokens the model itself makes of a text, special ones included, nothing cut off."""
    return len(base_encoder.model.tokenizer(text, truncation=False, verbose=False)["input_ids"])


@pytest.mark.parametrize("text", ["", "Use the red one.", TEXT, "a\n\nb\tc  ", "x = [1, 2]; # why"])
def test_a_text_has_as_many_tokens_as_the_encoder_reads(tokens, base_encoder, text: str) -> None:
    assert counted(tokens, text) + tokens.n_overhead_tokens == read_by(base_encoder, text)


def test_every_token_has_its_place_in_the_text(tokens) -> None:
    starts = list(tokens.starts(["Press the button."])[0])
    assert starts == [0, 6, 10, 16]


def test_a_text_longer_than_one_part_keeps_its_offsets(tokens) -> None:
    text = "abcd " * (MAX_TEXT_LENGTH // 5 + 10)
    starts = tokens.starts(["before", text])[1]
    assert starts[-1] >= len(text) - 5
    assert list(starts) == sorted(starts)


def test_what_the_tokenizer_gives_up_on_counts_by_its_letters(tokens) -> None:
    """One token, [UNK], would let a kilobyte of base64 into a passage, of which a later cut leaves 700 tokens."""
    assert counted(tokens, "A1b2" * 256) == 512


def test_what_a_version_puts_before_passages_is_counted(base_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(base_folder, tmp_path / "model"))
    file = folder / "config_sentence_transformers.json"
    file.write_text('{"prompts": {"document": "passage: "}}', "utf-8")
    assert PassageTokenizer(folder).n_overhead_tokens == PassageTokenizer(base_folder).n_overhead_tokens + 2


def test_of_a_version_with_two_sides_the_passages_one_counts(base_folder: Path, base_encoder, tmp_path: Path) -> None:
    from retriever_training.tiers.router_model import save_router

    modules = list(base_encoder.model)
    save_router(base_folder, modules, modules, tmp_path / "model")
    assert PassageTokenizer(tmp_path / "model").starts([TEXT]) == PassageTokenizer(base_folder).starts([TEXT])


def test_a_folder_without_a_fast_tokenizer_is_refused(base_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(base_folder, tmp_path / "model"))
    for file in folder.rglob("tokenizer.json"):
        file.unlink()
    with pytest.raises(EncoderError, match=r"tokenizer\.json"):
        PassageTokenizer(folder)


# ---- passages by these tokens

WORDS = {
    "words": "river{} ",
    "sentences": "Stone{}. ",
    "lines": "lamp{}\n",
    "codes": "id{0}x{0}y{0}=",
    "unknown": "\u1200{0}\u1201{0}\u1202{0}\u1203{0}",
}
BLOCKS = st.lists(
    st.tuples(
        st.sampled_from([*WORDS, "chinese"]),
        st.integers(1, 120),
        st.sampled_from(["paragraph", "list", "row", "record", "code"]),
        st.sampled_from([(), ("A",), ("A", "B " * 70), ("Guide", "C")]),
        st.sampled_from([None, 1, 2]),
    ),
    max_size=8,
)


def blocks_of(drawn: list[Any]) -> tuple[Block, ...]:
    """Blocks in which nothing stands twice, for what repeats is stored once."""
    made: list[Block] = []
    place = 0
    for style, n, kind, headings, page in drawn:
        numbers = range(place, place + n)
        text = "".join(chr(0x4E00 + i) if style == "chinese" else WORDS[style].format(i) for i in numbers)
        made.append(Block(clean_text(text), kind, headings, page))
        place += n
    return tuple(made)


@given(drawn=BLOCKS, most=st.integers(24, 80), title=st.sampled_from(["", "Guide", "Long title " * 40]))
@settings(max_examples=150, deadline=None, derandomize=True, database=None)
def test_no_passage_has_more_tokens_than_it_may_and_nothing_is_lost(tokens, drawn, most: int, title: str) -> None:
    splitting = SplittingRules(most, 126, tokens.starts)
    document, passages = split_document(
        "guide.md", "guide", ParsedDocument(blocks=blocks_of(drawn), title=title), splitting
    )
    assert [document.text[p.start : p.end] for p in passages] == [p.text for p in passages]
    ends = [0, *(p.end for p in passages)]
    assert all(p.start >= before for p, before in zip(passages, ends, strict=False)), "none overlaps another"
    assert _signs("".join(p.text for p in passages)) == _signs(document.text)
    assert all(_fits(tokens, p.text, most) for p in passages)


def _signs(text: str) -> str:
    return "".join(text.split())


def _fits(tokens: PassageTokenizer, text: str, most: int) -> bool:
    """A piece of a word that had to be divided may fall into other tokens than within it."""
    return counted(tokens, text) <= most or " " not in text.strip()


@given(
    text=st.text(st.sampled_from("abc de. fg, 12\n"), min_size=200, max_size=600),
    heading=st.sampled_from(["", "Set up", "stone " * 60, "部品と設定" * 30]),
    title=st.sampled_from(["A guide " * 40, "取扱説明書" * 20]),
)
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
def test_the_encoder_reads_every_passage_to_its_end(tokens, base_encoder, text: str, heading: str, title: str) -> None:
    splitting = SplittingRules(96, 128 - tokens.n_overhead_tokens, tokens.starts)
    blocks = (Block(clean_text(text) or "a", headings=(heading.strip(),) if heading else ()),)
    _, passages = split_document("guide.md", "guide", ParsedDocument(blocks=blocks, title=title), splitting)
    assert max(read_by(base_encoder, passage.encoded_text) for passage in passages) <= 128


def test_what_has_no_blanks_is_cut_between_tokens(tokens) -> None:
    text = "id46x46y46=id47x47y47=id48x48y48=id49x49y49="
    _, passages = split_document(
        "a.md", "a", ParsedDocument(blocks=(Block(text),)), SplittingRules(8, 126, tokens.starts)
    )
    assert "".join(passage.text for passage in passages) == text
    assert max(counted(tokens, passage.text) for passage in passages) <= 8


def test_headings_take_their_room_from_the_text(tokens) -> None:
    splitting = SplittingRules(120, 126, tokens.starts)
    words = "river " * 120
    plain = split_document("a.md", "a", ParsedDocument(blocks=(Block(words.strip()),), title="Guide"), splitting)[1]
    below = split_document(
        "a.md", "a", ParsedDocument(blocks=(Block(words.strip(), headings=("stone " * 40,)),), title="Guide"), splitting
    )[1]
    assert [counted(tokens, passage.text) for passage in plain] == [120]
    assert len(below) == 2


def test_a_title_too_long_to_stand_above_every_passage_is_shortened_and_kept_as_text(tokens) -> None:
    here = HeadingStack()
    legend = "Figure S1 shows the effect of stimulation on the concentrations. " * 8
    blocks = (here.enter(1, legend.strip()), Block("Text.", headings=here.path))
    document, passages = split_document(
        "a.md", "a", ParsedDocument(blocks=blocks, title=legend.strip()), SplittingRules(96, 126, tokens.starts)
    )
    assert len(document.title) <= 122
    assert document.title.endswith(" …")
    assert "".join(passage.text for passage in passages).count("Figure S1") == 8


def test_rows_of_a_table_name_its_columns_in_every_passage(tokens, tmp_path: Path) -> None:
    from rag.parsing.parser import Parser

    lines = ["Town,Population,Founded", *(f"Town {n},{n * 1000},{1200 + n}" for n in range(1, 41))]
    (tmp_path / "towns.csv").write_text("\n".join(lines) + "\n", "utf-8")
    with Parser() as parser:
        parsed = parser.parse(tmp_path / "towns.csv")
    passages = split_document("towns.csv", "towns", parsed, SplittingRules(96, 126, tokens.starts))[1]
    assert len(passages) > 5
    assert all("Population: " in passage.text and "Founded: " in passage.text for passage in passages)
