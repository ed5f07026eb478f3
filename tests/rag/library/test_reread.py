"""Other settings of splitting mark files, and nothing else, to be read again."""

from __future__ import annotations

from rag.library.library import Library
from rag.library.reread import cut_by, n_waiting
from rag.records import Document, Passage


def filled(engine) -> Library:
    library = Library(engine)
    for name, external_id in (("a.md", None), ("b.md", None), ("toy/1", "1")):
        document = Document(name, name, "", "text/plain", f"sha of {name}", "Text.")
        library.put(document, [Passage(f"p-{name}", name, name, "", "", "Text.", 0, 5, None, external_id)])
    return library


def test_a_library_of_an_earlier_nightjar_stays_as_it_is(engine) -> None:
    library = filled(engine)
    before = library.hashes()
    assert cut_by(engine, "96") == 0
    assert library.hashes() == before


def test_files_are_read_again_once_and_lines_of_a_corpus_never(engine) -> None:
    library = filled(engine)
    cut_by(engine, "96")
    assert cut_by(engine, "96") == 0
    assert cut_by(engine, "64") == 2
    assert library.hashes() == {"a.md": "", "b.md": "", "toy/1": "sha of toy/1"}
    assert cut_by(engine, "64") == 0


def test_a_document_waits_until_it_is_stored_again(engine) -> None:
    library = filled(engine)
    cut_by(engine, "96")
    cut_by(engine, "64")
    assert n_waiting(engine) == 2
    library.put(Document("a.md", "a.md", "", "text/plain", "sha", "Text."), [])
    assert n_waiting(engine) == 1
    assert library.get(["p-b.md"])["p-b.md"].text == "Text.", "what waits is found meanwhile"
