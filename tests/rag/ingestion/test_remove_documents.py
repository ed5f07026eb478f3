"""Removing a document: nothing of it is left standing, and the versions that learnt from it are named."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import func, select

from rag.database.schema import passages, vectors
from rag.embedding.passage_vectors import PassageVectors
from rag.errors import NotFoundError
from rag.feedback.feedback_store import FeedbackStore
from rag.ingestion.find_files import find_files
from rag.ingestion.ingest import ingest_paths
from rag.ingestion.remove_documents import DocumentRemoval, RemovalCounts, find_gone_sources
from rag.library.library import Library
from rag.records import ShownPassage, Turn, utc_now
from rag.splitting.splitter import SplittingRules
from rag.versions.registry import VersionRegistry


@pytest.fixture
def library(engine, tmp_path, monkeypatch) -> Library:
    """docs/owls.md and docs/moths.md, one passage each."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/owls.md").write_text("Owls hunt mice.")
    (tmp_path / "docs/moths.md").write_text("Moths seek light.")
    opened = Library(engine)
    ingest_paths(opened, [Path("docs")], splitting=SplittingRules(30))
    return opened


@pytest.fixture
def registry(engine, tmp_path) -> VersionRegistry:
    return VersionRegistry(engine, tmp_path / "data")


def version(registry: VersionRegistry, folder: Path, name: str, *, tier: int, positives: list[str], until: int) -> str:
    folder = folder / name
    folder.mkdir()
    (folder / "modules.json").write_text('[{"type": "st.Transformer", "path": ""}]')
    (folder / "config.json").write_text(name)
    note = {"verdicts_until": until}
    made = registry.register(
        folder, tier=tier, parent_id=None, lexical_weight=0.3, note=note, training_positives=positives
    )
    return made.encoder_id


def passage_of(library: Library, source: str) -> str:
    return next(passage.passage_id for passage in library.passages() if passage.source == source)


def judge(feedback: FeedbackStore, *passage_ids: str) -> None:
    shown = tuple(
        ShownPassage(passage_id=passage_id, rank=rank, score=1.0, dense=0.5, lexical=0.5, cited=True)
        for rank, passage_id in enumerate(passage_ids, 1)
    )
    feedback.record_turn(
        Turn(
            turn_id="t1",
            conversation_id="c1",
            user="ada",
            question="Who?",
            answer="They.",
            declined=False,
            encoder_id="v1",
            asked_at=utc_now(),
            shown=shown,
        )
    )
    for passage_id in passage_ids:
        feedback.record_verdict("ada", "t1", passage_id, "helpful")


def test_a_document_goes_with_its_vectors_and_the_verdicts_on_it_and_no_others(library, registry, base_encoder) -> None:
    PassageVectors(library.engine, base_encoder.passage_side).fill(base_encoder)
    feedback = FeedbackStore(library.engine)
    owls, moths = passage_of(library, "docs/owls.md"), passage_of(library, "docs/moths.md")
    judge(feedback, owls, moths)
    removed = DocumentRemoval(library, registry, feedback).below("docs/owls.md")
    assert removed == RemovalCounts(n_documents=1, n_passages=1, n_verdicts=1, was_trained_on=())
    assert [verdict.passage_id for verdict in feedback.standing()] == [moths]
    with library.engine.connect() as connection:
        counts = [connection.scalar(select(func.count()).select_from(table)) for table in (passages, vectors)]
    assert counts == [1, 1]
    ingest_paths(library, [Path("docs")], splitting=SplittingRules(30))
    assert passage_of(library, "docs/owls.md") == owls
    assert [verdict.passage_id for verdict in feedback.standing()] == [moths], (
        "what was taken out does not come back by itself"
    )


def test_versions_that_were_trained_on_it_or_knew_a_verdict_on_it_are_named(library, registry, tmp_path) -> None:
    feedback = FeedbackStore(library.engine)
    owls = passage_of(library, "docs/owls.md")
    judge(feedback, passage_of(library, "docs/moths.md"), owls)  # events 1 and 2
    version(registry, tmp_path, "base", tier=0, positives=[], until=0)
    version(registry, tmp_path, "before", tier=1, positives=[], until=1)
    trained = version(registry, tmp_path, "trained", tier=3, positives=[owls], until=0)
    judged = version(registry, tmp_path, "judged", tier=1, positives=[], until=2)
    assert set(DocumentRemoval(library, registry, feedback).below("docs/owls.md").was_trained_on) == {trained, judged}


def test_a_folder_goes_with_all_below_it_and_what_is_not_there_is_refused(library, registry) -> None:
    removal = DocumentRemoval(library, registry, FeedbackStore(library.engine))
    assert removal.below("docs").n_documents == 2
    with pytest.raises(NotFoundError, match="no source 'docs'"):
        removal.below("docs")
    assert removal.remove_sources(["docs"]) == RemovalCounts(0, 0, 0, ())


def test_what_is_gone_from_a_folder_is_known_and_what_only_can_not_be_seen_is_not(library, tmp_path) -> None:
    (tmp_path / "docs/owls.md").unlink()
    assert find_gone_sources(library, find_files([Path("docs")])) == ["docs/owls.md"]
    assert find_gone_sources(library, find_files([Path()])) == ["docs/owls.md"]
    assert find_gone_sources(library, find_files([Path("docs/moths.md")])) == []
    (tmp_path / "docs").rename(tmp_path / "away")
    assert find_gone_sources(library, find_files([Path("docs")])) == []


def test_members_of_an_archive_that_is_there_and_lines_of_beir_have_not_vanished(library, tmp_path) -> None:
    import json
    import zipfile

    from rag.ingestion.ingest import ingest_beir

    with zipfile.ZipFile(tmp_path / "docs/all.zip", "w") as archive:
        archive.writestr("fox.md", "Foxes dig.")
    (tmp_path / "sci").mkdir()
    (tmp_path / "sci/corpus.jsonl").write_text(json.dumps({"_id": "d1", "text": "Lamps."}))
    ingest_paths(library, [Path("docs")], splitting=SplittingRules(30))
    ingest_beir(library, Path("sci"))
    assert find_gone_sources(library, find_files([Path()])) == []
    (tmp_path / "docs/all.zip").unlink()
    assert find_gone_sources(library, find_files([Path()])) == ["docs/all.zip", "docs/all.zip/fox.md"]
