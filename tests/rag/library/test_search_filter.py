"""Filters: a search finds what passes, however far below the rest it would stand, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from sqlalchemy import delete, update

from rag.database.schema import documents, vectors
from rag.embedding.encoder import normalise_rows
from rag.embedding.passage_vectors import PassageVectors, store_vectors
from rag.errors import NotFoundError, UsageError
from rag.index.bm25 import Bm25Index
from rag.index.exact_search import ExactIndex
from rag.ingestion.beir_corpus import BeirEntry, entry_to_document
from rag.library.library import Library
from rag.library.search_filter import MAX_FILTER_TERMS, NO_FILTER, SearchFilter, parse_filter
from rag.records import Document, Passage, sha256_of
from rag.retrieval.retriever import Retriever

QUESTION = "How long does the battery of the lamp last?"
FILES = {
    "manual/lamp.md": ("text/markdown", "The battery of the lamp lasts nine hours."),
    "manual/old/lamp.pdf": ("application/pdf", "The battery of the old lamp lasts five hours."),
    "notes/moths.md": ("text/markdown", "Moths gather around a lamp at night."),
    "manuals.txt": ("text/plain", "There is a manual for the lamp and one for its battery."),
}


class Knows:
    """A dense index that knows of these passages only."""

    def __init__(self, *found: tuple[str, float]) -> None:
        self.found = list(found)

    def search(self, queries: np.ndarray, k: int) -> list[list[tuple[str, float]]]:
        return [self.found[:k] for _ in queries]


class Pinned:
    """Today's votes put one passage first for every question."""

    def __init__(self, passage_id: str) -> None:
        self.passage_id = passage_id

    def lifts(self, query: np.ndarray, user: str) -> dict[str, float]:
        return {self.passage_id: 5.0}


def put(library: Library, source: str, media_type: str, text: str) -> None:
    document = Document(
        document_id=f"of {source}", source=source, title="", media_type=media_type, sha256=sha256_of(text), text=text
    )
    passage = Passage(
        passage_id=f"in {source}",
        document_id=document.document_id,
        source=source,
        title="",
        heading="",
        text=text,
        start=0,
        end=len(text),
    )
    library.put(document, [passage])


@pytest.fixture
def library(engine) -> Library:
    opened = Library(engine)
    for source, (media_type, text) in FILES.items():
        put(opened, source, media_type, text)
    return opened


def retriever_of(library: Library, encoder, *, dense=None, today=None) -> Retriever:
    side = PassageVectors(library.engine, encoder.passage_side)
    side.fill(encoder)
    there = library.passages()
    lexical = Bm25Index.build(
        [document.passage_id for document in there], [document.encoded_text for document in there]
    )
    index = dense or ExactIndex(side)
    return Retriever(encoder, index, lexical, library, side, lexical_weight=0.25, feedback_boosts=today)


def sources(hits) -> set[str]:
    return {hit.passage.source for hit in hits}


@pytest.mark.parametrize(
    ("where", "passing"),
    [
        ({"sources": ["manual"]}, {"manual/lamp.md", "manual/old/lamp.pdf"}),
        ({"sources": ["manual/"], "types": ["pdf"]}, {"manual/old/lamp.pdf"}),
        ({"sources": ["manual/lamp.md", "notes"]}, {"manual/lamp.md", "notes/moths.md"}),
        ({"sources": ["*lamp*"]}, {"manual/lamp.md", "manual/old/lamp.pdf"}),
        ({"sources": ["notes/moths.m?"]}, {"notes/moths.md"}),
        ({"types": [".MD"]}, {"manual/lamp.md", "notes/moths.md"}),
        ({"types": ["text/*"]}, {"manual/lamp.md", "notes/moths.md", "manuals.txt"}),
        ({"types": ["plain", "application/pdf"]}, {"manuals.txt", "manual/old/lamp.pdf"}),
        ({}, set(FILES)),
    ],
)
def test_a_search_finds_all_that_passes_and_nothing_else(library, base_encoder, where, passing) -> None:
    assert sources(retriever_of(library, base_encoder).search(QUESTION, where=parse_filter(**where))) == passing


def test_dates_count_whole_days_and_moments(library, base_encoder) -> None:
    came = {
        "manual/lamp.md": "2026-11-23T10:00",
        "notes/moths.md": "2026-11-24T23:59",
        "manuals.txt": "2026-11-26T00:00",
    }
    with library.engine.begin() as connection:
        for source, moment in came.items():
            row = documents.c.source == source
            connection.execute(update(documents).where(row).values(added_at=f"{moment}:00+00:00"))
    library.remove("manual/old")
    retriever = retriever_of(library, base_encoder)

    def found(since: str | None = None, until: str | None = None) -> set[str]:
        return sources(retriever.search(QUESTION, where=parse_filter(since=since, until=until)))

    assert found(since="2026-11-24") == {"notes/moths.md", "manuals.txt"}
    assert found(until="2026-11-24") == {"manual/lamp.md", "notes/moths.md"}
    assert found(since="2026-11-23T12:00+01:00", until="2026-11-25") == {"notes/moths.md"}
    assert found(since="2026-11-23T11:00+01:00", until="2026-11-23") == {"manual/lamp.md"}
    assert found(until="2026-11-22") == set()


def test_three_of_five_thousand_are_found_though_all_others_are_nearer(engine, base_encoder) -> None:
    """The index of neighbours is not asked at all: with a filter it would return what it meets on its way, and stop."""
    library = Library(engine)
    crowd = [
        entry_to_document("crowd", BeirEntry(str(n), "", f"The battery of lamp {n} lasts {n} hours."))
        for n in range(4_997)
    ]
    library.put_all(crowd)
    for n, text in enumerate(("Nightjars lay two eggs.", "Waste is collected on Mondays.", "Owls hunt mice.")):
        put(library, f"few/{n}.txt", "text/plain", text)
    near = base_encoder.encode_passages([QUESTION]) + 0.01 * np.random.default_rng(1).standard_normal((4_997, 384))
    hashes = [passages[0].text_sha256 for _, passages in crowd]
    store_vectors(engine, base_encoder.passage_side, hashes, normalise_rows(near.astype(np.float32)))
    retriever = retriever_of(library, base_encoder, dense=Knows(("nothing", 1.0)))
    few = retriever.search(QUESTION, 6, where=parse_filter(["few"]))
    assert sources(few) == {"few/0.txt", "few/1.txt", "few/2.txt"}
    cosines = (
        base_encoder.encode_passages([hit.passage.text for hit in few]) @ base_encoder.encode_queries([QUESTION])[0]
    )
    assert [hit.dense for hit in few] == pytest.approx(cosines.tolist(), abs=1e-5)
    many = retriever.search(QUESTION, 6, where=parse_filter(["crowd/"]))
    whole = retriever_of(library, base_encoder).search(QUESTION, 6)
    assert [hit.passage.passage_id for hit in many] == [hit.passage.passage_id for hit in whole]
    assert [hit.score for hit in many] == pytest.approx([hit.score for hit in whole], abs=1e-5)


def test_passages_without_a_vector_yet_are_passed_over_whether_few_or_many_pass(
    library, base_encoder, monkeypatch
) -> None:
    retriever = retriever_of(library, base_encoder)
    with library.engine.begin() as connection:
        lacking = library.get(["in manual/lamp.md"])["in manual/lamp.md"].text_sha256
        connection.execute(delete(vectors).where(vectors.c.text_sha256 == lacking))
    found = [hit.score for hit in retriever.search(QUESTION, where=parse_filter(types=["md", "pdf"]))]
    monkeypatch.setattr("rag.retrieval.retriever.MAX_SINGLE_LOOKUPS", 1)
    hits = retriever.search(QUESTION, where=parse_filter(types=["md", "pdf"]))
    assert sources(hits) == {"manual/old/lamp.pdf", "notes/moths.md"}
    assert [hit.score for hit in hits] == pytest.approx(found, abs=1e-6)


def test_bm25s_share_is_of_the_best_that_passes(library, base_encoder) -> None:
    (hit,) = retriever_of(library, base_encoder).search("lamp moths battery", where=parse_filter(["notes"]))
    assert hit.lexical == 1.0


def test_a_pinned_passage_that_does_not_pass_stays_out(library, base_encoder) -> None:
    retriever = retriever_of(library, base_encoder, today=Pinned("in manual/lamp.md"))
    assert retriever.search(QUESTION, user="ann")[0].passage.source == "manual/lamp.md"
    assert sources(retriever.search(QUESTION, user="ann", where=parse_filter(["notes"]))) == {"notes/moths.md"}
    passing = retriever.search(QUESTION, user="ann", where=parse_filter(["manual"]))
    assert (passing[0].passage.source, passing[0].feedback_boost) == ("manual/lamp.md", 5.0)


def test_a_passage_removed_meanwhile_does_not_pass(library, base_encoder) -> None:
    retriever = retriever_of(library, base_encoder)
    library.remove("manual/lamp.md")
    assert sources(retriever.search(QUESTION, where=parse_filter(["manual"]))) == {"manual/old/lamp.pdf"}


def test_an_unknown_source_names_the_nearest(library, base_encoder) -> None:
    with pytest.raises(NotFoundError, match=r"no source 'manual/lamp.txt'.*did you mean 'manual/lamp.md'"):
        retriever_of(library, base_encoder).search(QUESTION, where=parse_filter(["manual/lamp.txt"]))


def test_an_unknown_type_names_those_there_are(library, base_encoder) -> None:
    with pytest.raises(NotFoundError, match=r"no document of type 'docx'.*application/pdf, md, pdf, text/markdown"):
        retriever_of(library, base_encoder).search(QUESTION, where=parse_filter(types=["md", "docx"]))


def test_in_an_empty_library_every_filter_finds_nothing(engine, base_encoder) -> None:
    assert retriever_of(Library(engine), base_encoder).search(QUESTION, where=parse_filter(["notes"], ["pdf"])) == []


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ({"since": "last week"}, "'last week' is no date: write 2026-11-25"),
        ({"until": "2026-02-30"}, "'2026-02-30' is no date"),
        ({"until": "9999-12-31"}, "'9999-12-31' is no date"),
        ({"since": "2026-11-25", "until": "2026-11-24"}, "nothing lies between '2026-11-25' and '2026-11-24'"),
        ({"sources": ["a"] * (MAX_FILTER_TERMS + 1)}, "51 sources to choose from, at most 50"),
    ],
)
def test_a_filter_that_makes_no_sense_is_refused(where, says) -> None:
    with pytest.raises(UsageError, match=says):
        parse_filter(**where)


def test_what_is_left_empty_asks_for_nothing() -> None:
    assert parse_filter(["", " "], [], "", None) == NO_FILTER
    assert not NO_FILTER
    assert SearchFilter(types=("pdf",))
