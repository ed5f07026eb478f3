"""What stands around a hit: exact text of its document, below the same heading, within the room that there is."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from pydantic import SecretStr

from rag.answering.answerer import Answerer
from rag.embedding.passage_vectors import PassageVectors
from rag.feedback.feedback_store import FeedbackStore
from rag.generation.chat.prompt import ContextWindow, build_messages
from rag.generation.generator import make_generator
from rag.index.bm25 import Bm25Index
from rag.index.exact_search import ExactIndex
from rag.library.library import Library
from rag.library.surrounding_text import SurroundingScope, with_surrounding_text
from rag.records import Document, Hit, Passage, sha256_of
from rag.retrieval.retriever import Retriever
from tests.fixtures.chat_endpoint import KEY, in_nobodys_environment, says, serving
from ui.html.fragments import escape_html
from ui.texts import shared as texts
from ui.web.chat.render_card import render_card

PIECES = [
    ("Opening", 1, "The fund opens in May."),
    ("Bonus", 1, "Nurses work at night."),
    ("Bonus", 1, "So nurses can get the bonus."),
    ("Bonus", 1, "It is paid on 9 June, by bank transfer only."),
    ("Bonus", 1, "Midwives get it too."),
    ("Bonus", 2, "It is not taxed."),
    ("Closing", 2, "The fund closes in July."),
]
TEXT = "\n".join(text for _, _, text in PIECES)


@pytest.fixture
def library(engine) -> Library:
    opened = Library(engine)
    starts = [sum(len(text) + 1 for _, _, text in PIECES[:index]) for index in range(len(PIECES))]
    passages = [
        Passage(
            passage_id=f"p{n}",
            document_id="d",
            source="bonus.pdf",
            title="Funds",
            heading=heading,
            text=text,
            start=start,
            end=start + len(text),
            page=page,
        )
        for n, ((heading, page, text), start) in enumerate(zip(PIECES, starts, strict=True))
    ]
    opened.put(
        Document(
            document_id="d",
            source="bonus.pdf",
            title="Funds",
            media_type="application/pdf",
            sha256=sha256_of(TEXT),
            text=TEXT,
        ),
        passages,
    )
    return opened


def hits(library: Library, *names: str) -> list[Hit]:
    found = library.get(names)
    return [
        Hit(passage=found[name], rank=rank, score=0.9, dense=0.9, lexical=0.0)
        for rank, name in enumerate(names, start=1)
    ]


def wide(library: Library, around: SurroundingScope, *names: str, room: int = 1000) -> list[str]:
    found = with_surrounding_text(library.engine, hits(library, *names), around, room)
    for hit in found:
        assert hit.passage.text == TEXT[hit.passage.start : hit.passage.end]
    return [hit.passage.text for hit in found]


def joined(*numbers: int) -> str:
    return "\n".join(PIECES[n][2] for n in numbers)


def test_neighbours_are_one_passage_on_each_side(library) -> None:
    assert wide(library, "neighbours", "p2") == [joined(1, 2, 3)]


def test_a_section_ends_at_its_heading_and_at_its_page(library) -> None:
    assert wide(library, "section", "p2") == [joined(1, 2, 3, 4)]
    assert wide(library, "section", "p5") == [joined(5)]


def test_where_it_is_off_nothing_is_added(library) -> None:
    assert wide(library, "passage", "p2") == [joined(2)]


def test_what_belongs_to_another_hit_is_not_told_twice(library) -> None:
    assert wide(library, "section", "p2", "p3") == [joined(1, 2), joined(3, 4)]


def test_the_best_hit_is_widened_first_and_texts_never_outgrow_the_room(library) -> None:
    bare = len(joined(2)) + len(joined(6))
    assert wide(library, "section", "p2", "p6", room=bare) == [joined(2), joined(6)]
    with_the_next = len(joined(2, 3)) + len(joined(6))
    assert wide(library, "section", "p2", "p6", room=with_the_next) == [joined(2, 3), joined(6)]
    assert wide(library, "section", "p2", "p6", room=with_the_next - 1) == [joined(1, 2), joined(6)]


def test_a_long_section_is_not_told_whole(engine) -> None:
    library = Library(engine)
    text = "\n".join(["Nurses get the bonus, said speaker number one hundred."] * 200)
    starts = [0, *(index + 1 for index, sign in enumerate(text) if sign == "\n"), len(text) + 1]
    passages = [
        Passage(
            passage_id=f"p{n:03}",
            document_id="d",
            source="a.txt",
            title="",
            heading="",
            text=text[a : b - 1],
            start=a,
            end=b - 1,
        )
        for n, (a, b) in enumerate(pairwise(starts))
    ]
    library.put(
        Document(document_id="d", source="a.txt", title="", media_type="text/plain", sha256="1", text=text), passages
    )
    (found,) = with_surrounding_text(engine, hits(library, "p100"), "section", 100_000)
    assert 1_900 < len(found.passage.text) - len(passages[100].text) <= 2_000
    assert found.passage.text == text[found.passage.start : found.passage.end]


def test_a_passage_whose_document_went_meanwhile_stays_as_it_was(library) -> None:
    found = hits(library, "p2")
    library.remove("bonus.pdf")
    assert with_surrounding_text(library.engine, found, "section", 1000) == tuple(found)


def test_a_model_with_a_small_window_reads_the_hits_alone(library) -> None:
    def count(said: Sequence) -> int:
        return sum(len(text.content) for text in said)

    bare = hits(library, "p2")
    around = with_surrounding_text(library.engine, bare, "section", 1000)
    needed = count(build_messages("Who?", around, []))
    assert joined(1, 2, 3, 4) in build_messages("Who?", bare, [], ContextWindow(needed, count), around)[-1].content
    told = build_messages("Who?", bare, [], ContextWindow(needed - 1, count), around)[-1].content
    assert joined(2) in told
    assert PIECES[1][2] not in told


def test_what_a_model_took_from_beside_a_passage_is_cited_at_its_exact_place(
    library, base_encoder, monkeypatch
) -> None:
    in_nobodys_environment(monkeypatch)
    vectors = PassageVectors(library.engine, base_encoder.passage_side)
    vectors.fill(base_encoder)
    there = library.passages()
    lexical = Bm25Index.build([passage.passage_id for passage in there], [passage.encoded_text for passage in there])
    retriever = Retriever(base_encoder, ExactIndex(vectors), lexical, library, vectors, lexical_weight=0.25)
    with serving() as endpoint:
        endpoint.behave = says("The bonus is paid on 9 June, by bank transfer only [1].")
        generator = make_generator("openai:m", base_url=endpoint.url, api_key=SecretStr(KEY))
        answerer = Answerer(
            lambda: retriever,
            generator,
            library,
            FeedbackStore(library.engine),
            k=1,
            add_surrounding_text=lambda found: with_surrounding_text(library.engine, found, "neighbours", 1000),
        )
        answer = answerer.answer("Can nurses get the bonus?")
        assert joined(1, 2, 3) in endpoint.asked[-1]["messages"][-1]["content"]
    assert [hit.passage.text for hit in answer.hits] == [joined(2)]
    (citation,) = answer.citations
    assert (citation.passage_id, citation.page, citation.found) == ("p2", 1, "supported")
    assert citation.quote == TEXT[citation.start : citation.end] == joined(2, 3)
    assert f"{escape_html(texts.BESIDE)} <mark>So nurses can get the bonus&#46;<br>It is paid on 9 June" in render_card(
        answer.hits[0], answer.citations
    )
