"""The catalogue: documents found, sorted, counted and paged by SQL, on SQLite and PostgreSQL."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from sqlalchemy import Engine, update

from rag.database.schema import documents
from rag.embedding.passage_vectors import PassageVectors
from rag.errors import NotFoundError, UsageError
from rag.feedback.feedback_store import FeedbackStore
from rag.feedback.passage_tallies import PassageTally
from rag.ingestion.ingest_jobs import IngestJobs, IngestRequest
from rag.ingestion.progress import FileProgress
from rag.insights.document_listing import DocumentListing, DocumentQuery
from rag.library.library import Library
from rag.records import Document, Passage, ShownPassage, Turn, sha256_of, utc_now
from tests.rag.database.test_schema import postgres, postgres_url  # noqa: F401 - fixtures

SIDE = "ones"
_turns = itertools.count()


class Ones:
    """An encoder to which all texts are alike."""

    passage_side = SIDE

    def encode_passages(self, texts):
        return np.ones((len(texts), 1), np.float32)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.filterwarnings("default"))])
def any_engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """A new database of either kind."""
    return request.getfixturevalue("engine" if request.param == "sqlite" else "postgres")


@pytest.fixture
def library(any_engine: Engine) -> Library:
    made = Library(any_engine)
    for name, title, n in (
        ("notes/owls.md", "Owls", 3),
        ("notes/Bären.md", "Über Bären", 1),
        ("moths_1.pdf", "Moths", 2),
    ):
        made.put(*document(name, title, n))
    PassageVectors(any_engine, SIDE).fill(Ones())
    return made


@pytest.fixture
def catalogue(library: Library) -> DocumentListing:
    return DocumentListing(library.engine, SIDE)


def document(source: str, title: str, n_passages: int) -> tuple[Document, list[Passage]]:
    texts = [f"{title} {number}. " for number in range(n_passages)]
    whole, passages = "".join(texts), []
    for number, text in enumerate(texts):
        start = sum(map(len, texts[:number]))
        passages.append(
            Passage(
                passage_id=f"{source}#{number}",
                document_id=source,
                source=source,
                title=title,
                heading="",
                text=text,
                start=start,
                end=start + len(text),
                page=number + 1,
            )
        )
    return Document(
        document_id=source, source=source, title=title, media_type="text/plain", sha256=sha256_of(whole), text=whole
    ), passages


def said(library: Library, user: str, passage_id: str, verdict: str | None, *, cited: bool = False) -> str:
    """A turn that showed a passage, and what its user said of it."""
    feedback, turn_id = FeedbackStore(library.engine), f"t{next(_turns)}"
    shown = (ShownPassage(passage_id=passage_id, rank=1, score=1.0, dense=1.0, lexical=0.0, cited=cited),)
    feedback.record_turn(
        Turn(
            turn_id=turn_id,
            conversation_id="c",
            user=user,
            question="Who?",
            answer="",
            declined=False,
            encoder_id="v",
            asked_at=utc_now(),
            shown=shown,
        )
    )
    if verdict:
        feedback.record_verdict(user, turn_id, passage_id, verdict)
    return turn_id


def sources(catalogue: DocumentListing, wanted: DocumentQuery, limit: int = 10, offset: int = 0) -> list[str]:
    return [document.source for document in catalogue.page(wanted, limit, offset)[0]]


def test_a_page_is_a_part_of_all_and_says_how_many_there_are(catalogue: DocumentListing) -> None:
    found, n = catalogue.page(DocumentQuery(sort="-passages"), 2)
    assert ([(document.source, document.n_passages, document.n_characters) for document in found], n) == (
        [("notes/owls.md", 3, 24), ("moths_1.pdf", 2, 18)],
        3,
    )
    assert sources(catalogue, DocumentQuery(sort="-passages"), 2, 2) == ["notes/Bären.md"]
    assert catalogue.page(DocumentQuery(), 2, 1000) == ([], 3)


@pytest.mark.parametrize("match", ["bären", "BÄREN", "über", "Bären.md", "NOTES/B"])
def test_a_name_or_title_is_found_in_capital_and_small_letters(catalogue: DocumentListing, match: str) -> None:
    assert sources(catalogue, DocumentQuery(match)) == ["notes/Bären.md"]


def test_signs_that_sql_takes_for_others_stand_for_themselves(catalogue: DocumentListing) -> None:
    assert sources(catalogue, DocumentQuery("_")) == ["moths_1.pdf"]
    assert sources(catalogue, DocumentQuery("%")) == []
    assert sources(catalogue, DocumentQuery("\0x")) == []


def test_standing_verdicts_and_citations_are_counted_and_sorted_by(
    catalogue: DocumentListing, library: Library
) -> None:
    said(library, "ada", "notes/owls.md#0", "helpful", cited=True)
    said(library, "ben", "notes/owls.md#1", "pin", cited=True)
    said(library, "ben", "notes/owls.md#1", "not_relevant")
    taken_back = said(library, "ben", "moths_1.pdf#0", "outdated", cited=True)
    FeedbackStore(library.engine).withdraw_verdict("ben", taken_back, "moths_1.pdf#0")
    assert catalogue.get("notes/owls.md").tally == PassageTally(helpful=2, not_relevant=1, outdated=0, cited=2)
    assert catalogue.get("moths_1.pdf").tally == PassageTally(cited=1)
    assert sources(catalogue, DocumentQuery(sort="-cited"))[:2] == ["notes/owls.md", "moths_1.pdf"]
    assert sources(catalogue, DocumentQuery(sort="-helpful"))[0] == "notes/owls.md"
    assert sources(catalogue, DocumentQuery(sort="helpful"))[-1] == "notes/owls.md"
    of_passages = [tally for _, tally in catalogue.passages("notes/owls.md", 10)]
    assert of_passages == [
        PassageTally(helpful=1, cited=1),
        PassageTally(helpful=1, not_relevant=1, cited=1),
        PassageTally(),
    ]


def test_what_was_called_outdated_is_listed_by_how_often_and_by_whom(
    catalogue: DocumentListing, library: Library
) -> None:
    said(library, "ada", "moths_1.pdf#0", "outdated")
    for passage, user in ((0, "ada"), (1, "ben"), (2, "ada")):
        said(library, user, f"notes/owls.md#{passage}", "outdated")
    assert sources(catalogue, DocumentQuery(sort="-outdated", only="outdated")) == ["notes/owls.md", "moths_1.pdf"]
    assert list(catalogue.users_who_call_outdated("notes/owls.md").items()) == [("ada", 2), ("ben", 1)]


def test_a_document_is_searchable_once_each_of_its_passages_has_a_vector(
    catalogue: DocumentListing, library: Library
) -> None:
    library.put(*document("new.md", "New", 2))
    assert catalogue.get("new.md").state == "encoding"
    assert sources(catalogue, DocumentQuery(only="encoding")) == ["new.md"]
    assert DocumentListing(library.engine, "another").page(DocumentQuery(only="encoding"), 1)[1] == 4
    PassageVectors(library.engine, SIDE).fill(Ones())
    assert catalogue.get("new.md").state == "indexed"


def test_a_document_that_is_to_be_read_anew_or_being_read_is_replaced(
    catalogue: DocumentListing, library: Library
) -> None:
    with library.engine.begin() as connection:
        connection.execute(update(documents).where(documents.c.source == "moths_1.pdf").values(sha256=""))
    jobs = IngestJobs(library.engine)
    job = jobs.create(IngestRequest(("notes",), "."), "command")
    jobs.record(job.job_id, "reading", [FileProgress(source="notes/owls.md", stage="reading")])
    assert sources(catalogue, DocumentQuery(only="replaced")) == ["moths_1.pdf", "notes/owls.md"]
    jobs.finish(job.job_id, "done")
    assert [catalogue.get(source).state for source in ("moths_1.pdf", "notes/owls.md")] == ["replaced", "indexed"]


def test_passages_come_in_reading_order_a_page_at_a_time(catalogue: DocumentListing) -> None:
    found = [passage for passage, _ in catalogue.passages("notes/owls.md", 2, 1)]
    assert [(document.text, document.source, document.page) for document in found] == [
        ("Owls 1. ", "notes/owls.md", 2),
        ("Owls 2. ", "notes/owls.md", 3),
    ]
    assert catalogue.place("notes/owls.md", "notes/owls.md#2") == 2
    assert catalogue.place("notes/owls.md", "moths_1.pdf#1") == 0


def test_what_is_not_there_or_not_known_is_refused(catalogue: DocumentListing) -> None:
    with pytest.raises(NotFoundError, match="no document 'x'"):
        catalogue.get("x")
    with pytest.raises(UsageError, match="can't be sorted by '-colour'"):
        DocumentQuery(sort="-colour")
    with pytest.raises(UsageError, match="can't be narrowed to 'lost'"):
        DocumentQuery(only="lost")
