"""The library: whole documents in and out, and reads that agree with them."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from rag.database.schema import open_database, passages, vectors
from rag.errors import NotFoundError
from rag.library.library import Library
from rag.records import Document, Passage, sha256_of
from rag.splitting.splitter import make_document_id, make_passage_id


@pytest.fixture
def library(engine) -> Library:
    return Library(engine)


def document(source: str, *texts: str, title: str = "Guide") -> tuple[Document, list[Passage]]:
    document_id = make_document_id(source)
    text, made = "\n\n".join(texts), []
    for part in texts:
        start = text.index(part)
        made.append(
            Passage(
                passage_id=make_passage_id(document_id, "", part),
                document_id=document_id,
                source=source,
                title=title,
                heading="",
                text=part,
                start=start,
                end=start + len(part),
            )
        )
    return Document(
        document_id=document_id, source=source, title=title, media_type="text/plain", sha256=sha256_of(text), text=text
    ), made


def beir(dataset: str, external_id: str, text: str) -> tuple[Document, list[Passage]]:
    source = f"{dataset}/{external_id}"
    document_id = make_document_id(source)
    passage = Passage(
        passage_id=make_passage_id(document_id, "", text),
        document_id=document_id,
        source=source,
        title="",
        heading="",
        text=text,
        start=0,
        end=len(text),
        external_id=external_id,
    )
    return Document(
        document_id=document_id,
        source=source,
        title="",
        media_type="application/jsonl",
        sha256=sha256_of(text),
        text=text,
    ), [passage]


def put_vector(library: Library, side: str, text_sha256: str) -> None:
    with library.engine.begin() as connection:
        connection.execute(vectors.insert().values(passage_side=side, text_sha256=text_sha256, vector=b"\0" * 8))


def vector_names(library: Library) -> set[tuple[str, str]]:
    with library.engine.connect() as connection:
        return {(row[0], row[1]) for row in connection.execute(select(vectors.c.passage_side, vectors.c.text_sha256))}


def test_what_is_put_is_what_is_read(library) -> None:
    made, its = document("a.txt", "One.", "Two.")
    assert library.put(made, its) == 2
    assert library.document(made.document_id) == made
    assert library.passages() == sorted(its, key=lambda p: p.passage_id)
    assert library.get([its[0].passage_id, "absent"]) == {its[0].passage_id: its[0]}
    (source,) = library.sources()
    assert (source.source, source.title, source.n_passages, source.n_characters) == ("a.txt", "Guide", 2, 10)
    assert library.file_hashes() == {"a.txt": made.sha256}


def test_putting_again_changes_only_what_differs(library) -> None:
    library.put(*document("a.txt", "One.", "Two.", "Three."))
    made, its = document("a.txt", "Zero.", "Two.", "Three.")
    assert library.put(made, its) == 1
    assert library.passages() == sorted(its, key=lambda p: p.passage_id)
    assert library.document(made.document_id).text == "Zero.\n\nTwo.\n\nThree."
    with library.engine.connect() as connection:
        ordered = connection.scalars(select(passages.c.text).order_by(passages.c.ordinal)).all()
    assert list(ordered) == ["Zero.", "Two.", "Three."]


def test_a_new_title_reaches_passages_that_stay(library) -> None:
    library.put(*document("a.txt", "One."))
    assert library.put(*document("a.txt", "One.", title="Handbook")) == 0
    (passage,) = library.passages()
    assert (passage.title, passage.encoded_text) == ("Handbook", "Handbook\nOne.")


def test_the_first_date_stays_when_a_document_changes(library) -> None:
    library.put(*document("a.txt", "One."))
    (first,) = library.sources()
    library.put(*document("a.txt", "Two."))
    assert library.sources()[0].added_at == first.added_at


def test_a_batch_may_hold_new_known_and_repeated_sources(library) -> None:
    library.put(*document("known.txt", "Old."))
    batch = [document("new.txt", "One."), document("known.txt", "New."), document("new.txt", "One.", "Two.")]
    assert library.put_all(batch) == 3
    assert sorted((p.source, p.text) for p in library.passages()) == [
        ("known.txt", "New."),
        ("new.txt", "One."),
        ("new.txt", "Two."),
    ]


def test_a_batch_larger_than_one_statement_goes_in_whole(library) -> None:
    assert library.put_all(beir("set", str(i), f"Text {i}.") for i in range(1203)) == 1203
    assert library.n_passages() == 1203
    assert library.resolve([str(i) for i in range(1300)]).keys() == {str(i) for i in range(1203)}
    assert len(library.get([p.passage_id for p in library.passages()])) == 1203


def test_a_batch_with_a_bad_document_leaves_nothing(library) -> None:
    made, its = document("b.txt", "Two.")
    with pytest.raises(Exception, match="UNIQUE"):
        library.put_all([document("a.txt", "One."), (made, [its[0], its[0]])])
    assert library.n_passages() == 0
    assert library.sources() == []


def test_every_change_raises_the_revision(library) -> None:
    assert library.revision() == 0
    library.put(*document("a.txt", "One."))
    library.put(*document("a.txt", "Two."))
    library.remove("a.txt")
    assert library.revision() == 3


def test_removing_a_source_leaves_the_others(library) -> None:
    for source in ("docs/a.txt", "docs/sub/b.txt", "docs.txt", "docsx/c.txt"):
        library.put(*document(source, f"In {source}."))
    assert library.remove("docs/") == 2
    assert {p.source for p in library.passages()} == {"docs.txt", "docsx/c.txt"}
    assert library.remove("docs.txt") == 1


def test_removing_takes_names_literally(library) -> None:
    """SQL's LIKE would take _ and % for any letters, and on SQLite capital letters for small ones."""
    for source in ("Notes/a.txt", "notes/b.txt", "n_tes/c.txt", "%/d.txt"):
        library.put(*document(source, f"In {source}."))
    assert library.remove("Notes") == 1
    assert library.remove("n_tes") == 1
    assert library.remove("%") == 1
    assert [p.source for p in library.passages()] == ["notes/b.txt"]


def test_removing_what_is_not_there_is_refused(library) -> None:
    library.put(*document("/abs/a.txt", "One."))
    for source in ("b.txt", "", "abs", "/abs/a"):
        with pytest.raises(NotFoundError, match="no source"):
            library.remove(source)
    assert library.n_passages() == 1


def test_vectors_go_with_the_last_passage_that_had_their_text(library) -> None:
    one, two = document("a.txt", "Shared.", "Own."), document("b.txt", "Shared.")
    library.put_all([one, two])
    shared, own = (p.text_sha256 for p in one[1])
    for name in (shared, own):
        put_vector(library, "side", name)
    put_vector(library, "questions:side", "a question")
    library.put(*document("a.txt", "Shared.", "Changed."))
    assert vector_names(library) == {("side", shared), ("questions:side", "a question")}
    library.remove("a.txt")
    assert ("side", shared) in vector_names(library)
    library.remove("b.txt")
    assert vector_names(library) == {("questions:side", "a question")}


def test_an_unknown_document_is_refused(library) -> None:
    with pytest.raises(NotFoundError, match="no document 'x'"):
        library.document("x")


def test_ids_are_resolved_whether_ours_or_beirs(library) -> None:
    made = beir("sci", "d1", "Text.")
    library.put(*made)
    ours = made[1][0].passage_id
    assert library.resolve(["d1", ours, "sci/d1", "d2"]) == {"d1": ours, ours: ours, "sci/d1": ours}


def test_an_id_of_two_datasets_needs_the_dataset(library) -> None:
    english, german = beir("xquad-en", "7", "The lamp."), beir("xquad-de", "7", "Die Lampe.")
    library.put_all([english, german])
    assert library.resolve(["7", "xquad-de/7"]) == {"xquad-de/7": german[1][0].passage_id}


def test_a_file_is_not_resolved_by_its_source(library) -> None:
    library.put(*document("a.txt", "One.", "Two."))
    assert library.resolve(["a.txt"]) == {}


def test_passages_are_iterated_in_the_order_of_their_ids(library) -> None:
    library.put_all(beir("set", str(i), f"Text {i}.") for i in range(50))
    ids = [p.passage_id for p in library.iterate_passages()]
    assert ids == sorted(ids)
    assert len(ids) == 50


def test_a_reader_sees_a_document_whole_while_it_is_replaced(library, engine) -> None:
    library.put(*document("a.txt", "One.", "Two."))
    reading = library.iterate_passages()
    first = next(reading)
    other = Library(open_database(engine.url.render_as_string()))
    other.put(*document("a.txt", "Three.", "Four."))
    other.engine.dispose()
    assert {first.text, *(p.text for p in reading)} == {"One.", "Two."}
    assert {p.text for p in library.passages()} == {"Three.", "Four."}


def test_no_passage_is_left_without_its_document(library) -> None:
    library.put_all([document("a.txt", "One."), document("b.txt", "Two.")])
    library.remove("a.txt")
    with library.engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(passages)) == 1
