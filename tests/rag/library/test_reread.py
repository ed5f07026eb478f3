"""Other settings of splitting mark files, and nothing else, to be read again."""

from __future__ import annotations

from rag.library.library import Library
from rag.library.reread import mark_for_resplit, n_documents_to_reread
from rag.records import Document, Passage


def filled(engine) -> Library:
    library = Library(engine)
    for name, external_id in (("a.md", None), ("b.md", None), ("toy/1", "1")):
        document = Document(
            document_id=name, source=name, title="", media_type="text/plain", sha256=f"sha of {name}", text="Text."
        )
        library.put(
            document,
            [
                Passage(
                    passage_id=f"p-{name}",
                    document_id=name,
                    source=name,
                    title="",
                    heading="",
                    text="Text.",
                    start=0,
                    end=5,
                    page=None,
                    external_id=external_id,
                )
            ],
        )
    return library


def test_a_library_of_an_earlier_nightjar_stays_as_it_is(engine) -> None:
    library = filled(engine)
    before = library.file_hashes()
    assert mark_for_resplit(engine, "96") == 0
    assert library.file_hashes() == before


def test_files_are_read_again_once_and_lines_of_a_corpus_never(engine) -> None:
    library = filled(engine)
    mark_for_resplit(engine, "96")
    assert mark_for_resplit(engine, "96") == 0
    assert mark_for_resplit(engine, "64") == 2
    assert library.file_hashes() == {"a.md": "", "b.md": "", "toy/1": "sha of toy/1"}
    assert mark_for_resplit(engine, "64") == 0


def test_a_document_waits_until_it_is_stored_again(engine) -> None:
    library = filled(engine)
    mark_for_resplit(engine, "96")
    mark_for_resplit(engine, "64")
    assert n_documents_to_reread(engine) == 2
    library.put(
        Document(document_id="a.md", source="a.md", title="", media_type="text/plain", sha256="sha", text="Text."), []
    )
    assert n_documents_to_reread(engine) == 1
    assert library.get(["p-b.md"])["p-b.md"].text == "Text.", "what waits is found meanwhile"
