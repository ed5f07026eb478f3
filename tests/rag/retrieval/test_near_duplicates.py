"""Near-duplicates: one of them is shown and names the others, and as many passages as asked for say something each."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rag.embedding.passage_vectors import PassageVectors
from rag.index.bm25 import Bm25Index
from rag.index.exact_search import ExactIndex
from rag.library.library import Library
from rag.records import Document, Hit, Passage, sha256_of
from rag.retrieval.near_duplicates import PassageWording, collapse_near_duplicates
from rag.retrieval.retriever import Retriever
from ui.commands.ask import _hit_lines
from ui.serializers.answers import format_duplicate_sources
from ui.web.chat.render_card import render_card

GRANT = (
    "Nurses who work at night can get the grant. Ask the council for the form, fill it in and send it back before the "
    "first of May. It is paid within six weeks, and nobody has to pay it back."
)
LONGER = (
    f"{GRANT} Midwives who work at night can get it as well, and so can those who drive them to work and home again."
)
OTHERS = {
    "waste": "The council collects waste on Mondays and old paper on Fridays.",
    "owls": "Owls hunt mice at night, by hearing alone.",
    "trips": "Day trips by car are allowed for nurses.",
}


def hit(name: str, text: str, score: float = 0.5) -> Hit:
    return Hit(
        passage=Passage(
            passage_id=name,
            document_id=f"of {name}",
            source=f"{name}.txt",
            title="",
            heading="",
            text=text,
            start=0,
            end=len(text),
        ),
        rank=1,
        score=score,
        dense=score,
        lexical=0.0,
    )


def names(hits) -> list[tuple[str, list[str]]]:
    return [(hit.passage.passage_id, [also.passage_id for also in hit.also_in]) for hit in hits]


def test_a_copy_is_named_in_the_better_hit_and_scores_stay_with_what_is_shown() -> None:
    hits = [hit("a", GRANT, 0.9), hit("b", OTHERS["owls"]), hit("c", GRANT.upper().replace(".", " ;")), hit("d", GRANT)]
    kept = collapse_near_duplicates(hits)
    assert names(kept) == [("a", ["c", "d"]), ("b", [])]
    assert [replace(hit, also_in=()) for hit in kept] == hits[:2]


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        (GRANT.replace("nobody has to pay it back", "nobody has to pay it again"), True),
        (GRANT[:150], True),  # cut out of it
        (LONGER, False),  # says more
        (GRANT.replace("the first of May", "30 June"), False),
        (GRANT.replace("six weeks", "6 weeks").replace("council", "ministry").replace("form", "paper"), False),
        ("Nurses at night.", False),
        ("", False),
    ],
)
def test_what_says_more_or_something_else_is_no_duplicate(changed: str, same: bool) -> None:
    assert PassageWording(changed).is_contained_in(PassageWording(GRANT)) is same


def test_templates_that_differ_in_a_number_or_a_name_are_both_shown() -> None:
    lasts = "The battery of the {} lasts {} hours when the lamp is dimmed to one half and the fan of the lamp is off."
    one, other, third = (lasts.format(*what) for what in (("X100", "nine"), ("X200", "nine"), ("X100", "five")))
    assert len(collapse_near_duplicates([hit("a", one), hit("b", other)])) == 2
    assert len(collapse_near_duplicates([hit("a", one), hit("c", third)])) == 2


@pytest.fixture
def retriever(engine, base_encoder) -> Retriever:
    """Nine copies of one passage, and three others that stand below them all."""
    library = Library(engine)
    texts = {f"copy{n}": f"{GRANT}{' ' * n}" for n in range(9)} | OTHERS
    for name, text in texts.items():
        document = Document(
            document_id=f"of {name}",
            source=f"{name}.txt",
            title="",
            media_type="text/plain",
            sha256=sha256_of(name),
            text=text,
        )
        library.put(
            document,
            [
                Passage(
                    passage_id=name,
                    document_id=document.document_id,
                    source=document.source,
                    title="",
                    heading="",
                    text=text,
                    start=0,
                    end=len(text),
                )
            ],
        )
    vectors = PassageVectors(engine, base_encoder.passage_side)
    vectors.fill(base_encoder)
    there = library.passages()
    lexical = Bm25Index.build([passage.passage_id for passage in there], [passage.encoded_text for passage in there])
    return Retriever(
        base_encoder,
        ExactIndex(vectors),
        lexical,
        library,
        vectors,
        lexical_weight=0.25,
        candidates=12,
        collapse_duplicates=True,
    )


def test_a_search_gives_as_many_distinct_passages_as_asked_for(retriever) -> None:
    hits = retriever.search("Which nurses can get the grant?", k=3)
    assert [hit.rank for hit in hits] == [1, 2, 3]
    assert len(hits[0].also_in) == 8
    assert {hit.passage.passage_id for hit in hits[1:]} <= OTHERS.keys()
    assert len(retriever.search("Which nurses can get the grant?", k=12)) == 4


def test_every_door_names_three_places_and_counts_the_rest(retriever) -> None:
    (best,) = retriever.search("Which nurses can get the grant?", k=1)
    places = format_duplicate_sources(best)
    assert places[:3] == [duplicate.source for duplicate in best.also_in[:3]]
    assert places[3:] == [f"{len(best.also_in) - 3} more"]
    assert f"also in {', '.join(places)}" in "\n".join(_hit_lines(best))
    assert "also in copy" in render_card(best, ()).replace("&#46;", ".")
