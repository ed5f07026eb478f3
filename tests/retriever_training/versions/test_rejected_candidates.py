"""Candidates that the gate turned down: how long their files stay, and what a person may still do with them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rag.accounts.accounts import Accounts
from rag.app.app import App, open_app
from rag.database.user_tables import reviews
from rag.errors import UsageError
from rag.records import Turn, Verdict, utc_now
from rag.settings import Settings
from rag.versions.registry import VERSION_MANIFEST, Version
from retriever_training.versions.night_store import NightStore, finish_night
from retriever_training.versions.night_summary import NightDecision, NightSummary
from retriever_training.versions.rejected_candidates import discard_old_refusals, latest_refusals
from ui.actions.erase_person import erase_person, format_erasure
from ui.actions.training_admin import TrainingAdmin
from ui.auth.current_user import CurrentUser
from ui.background.startup import AppStartup
from ui.cli import app as commands


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    opened = open_app(Settings(data=tmp_path / "data"))
    opened.current()
    yield opened
    opened.close()


@pytest.fixture
def judged(app: App, tmp_path: Path) -> Callable[..., Version]:
    """Registers a small model folder and ends a night that decided so of it."""

    def judge(content: str, decision: NightDecision = "kept", tier: int = 3) -> Version:
        made, base = tmp_path / f"made-{content}", app.registry.base()
        if content == "base":  # one that can answer
            shutil.copytree(base.folder, made, ignore=shutil.ignore_patterns(VERSION_MANIFEST))
        else:
            made.mkdir()
            (made / "modules.json").write_text('[{"type": "st.Transformer", "path": ""}]')
            (made / "config.json").write_text(content)
        version = app.registry.register(made, tier=tier, parent_id=base.encoder_id, lexical_weight=0.3, note={})
        night = NightStore(app.engine).start(content, tier)
        with app.engine.begin() as connection:
            reasons = (f"{content} was not better beyond chance.",)
            summary = NightSummary(decision=decision, version=version.encoder_id, reasons=reasons)
            finish_night(connection, night.night_id, summary)
        return version

    return judge


def with_files(app: App) -> list[str]:
    return [refusal for refusal in latest_refusals(app.stores) if app.registry.version(refusal).folder.is_dir()]


def test_the_candidates_refused_last_keep_their_files_and_older_ones_go(app: App, judged) -> None:
    first, second, third = judged("a"), judged("b", "invalid"), judged("c")
    discard_old_refusals(app.stores, 2)
    assert with_files(app) == [third.encoder_id, second.encoder_id]
    assert not first.folder.exists()
    assert first in app.registry.versions(), "its row and its report stay"
    discard_old_refusals(app.stores, 0)
    assert with_files(app) == []
    assert list(latest_refusals(app.stores)) == [third.encoder_id, second.encoder_id, first.encoder_id]


def test_what_answers_or_answered_is_never_deleted_as_refused(app: App, judged) -> None:
    promoted, overruled = judged("a", "promoted"), judged("b")
    app.registry.promote(promoted.encoder_id, "better")
    app.registry.promote(overruled.encoder_id, "by hand")
    app.registry.promote(promoted.encoder_id, "better after all")
    discard_old_refusals(app.stores, 0)
    assert promoted.folder.is_dir()
    assert overruled.folder.is_dir()
    assert app.registry.base().folder.is_dir()


def test_a_deletion_that_was_cut_off_is_done_by_the_next_night(app: App, judged) -> None:
    """Killed after the manifest went, or before anything did: the folder says that there is something left."""
    torn, untouched, last = judged("a"), judged("b"), judged("c")
    (torn.folder / VERSION_MANIFEST).unlink()
    discard_old_refusals(app.stores, 1)
    assert [version.folder.exists() for version in (torn, untouched, last)] == [False, False, True]


def test_vectors_go_with_the_files_and_those_that_others_use_stay(app: App, judged) -> None:
    from rag.database.schema import read_connection, vectors

    own, shared = judged("a"), app.registry.base().passage_side
    with app.engine.begin() as connection:
        for side in (own.passage_side, shared):
            connection.execute(vectors.insert().values(passage_side=side, text_sha256="x", vector=b"1234"))
    discard_old_refusals(app.stores, 1)
    discard_old_refusals(app.stores, 0)
    with read_connection(app.engine) as connection:
        assert [row.passage_side for row in connection.execute(vectors.select())] == [shared]


def test_whoever_promotes_a_refused_candidate_overrules_the_gate_on_record(app: App, judged) -> None:
    refused = judged("a")
    done = CliRunner().invoke(commands, ["--data", str(app.settings.data), "promote", refused.encoder_id[:8]])
    assert done.exit_code == 0, done.output
    assert "the gate refused this version" in done.stderr
    assert "a was not better beyond chance." in done.stderr
    latest = app.registry.latest_promotion()
    assert (latest.encoder_id, latest.reason) == (
        refused.encoder_id,
        "promoted by hand; a person overruled the gate, which had said: a was not better beyond chance.",
    )
    assert refused.encoder_id not in latest_refusals(app.stores)
    app.registry.rollback()
    again = CliRunner().invoke(commands, ["--data", str(app.settings.data), "promote", refused.encoder_id[:8]])
    assert "the gate" not in again.stderr, "it was overruled already"


def test_a_refused_candidate_without_files_is_not_promoted(app: App, judged) -> None:
    refused = judged("a")
    discard_old_refusals(app.stores, 0)
    with pytest.raises(UsageError, match="has no files"):
        app.registry.promote(refused.encoder_id, "after all")


def test_the_page_of_training_stores_who_overruled_the_gate(app: App, judged) -> None:
    refused = judged("base", tier=1)
    room = TrainingAdmin(AppStartup(lambda: app))
    with pytest.raises(UsageError, match="does not confirm it"):
        room.promote(refused.encoder_id, "yes", "I know better", CurrentUser("ann", "administrator"))
    room.promote(refused.encoder_id, refused.encoder_id[:8], "I know better", CurrentUser("ann", "administrator"))
    assert app.active_retriever.version.encoder_id == refused.encoder_id
    assert app.registry.latest_promotion().reason == (
        "I know better (ann); a person overruled the gate, which had said: base was not better beyond chance."
    )


def test_forgetting_a_person_deletes_the_refused_candidates_that_may_have_learnt_from_them(app: App, judged) -> None:
    before = judged("before")
    Accounts(app.engine).add("bob", "voter")
    app.feedback.record_turns(
        [
            Turn(
                turn_id="b-1",
                conversation_id="c",
                user="bob",
                question="Who is there?",
                answer="",
                declined=False,
                encoder_id="",
                asked_at=utc_now(),
            )
        ]
    )
    app.feedback.append(
        [Verdict(user="bob", turn_id="b-1", question="Who is there?", passage_id="p", verdict="helpful")]
    )
    after, promoted = judged("after"), judged("better", "promoted")
    app.registry.promote(promoted.encoder_id, "better")
    would = erase_person(app, "bob", dry_run=True)
    assert would[1:] == ([promoted.encoder_id], [after.encoder_id])
    assert after.folder.is_dir()
    done = erase_person(app, "bob")
    assert done == would
    assert any(after.encoder_id in line for line in format_erasure("bob", *done, dry_run=False))
    assert [version.folder.is_dir() for version in (before, after, promoted)] == [True, False, True]


def test_who_can_not_be_forgotten_costs_no_candidate(app: App, judged) -> None:
    Accounts(app.engine).add("ann", "administrator")
    app.feedback.record_turns(
        [
            Turn(
                turn_id="a-1",
                conversation_id="c",
                user="ann",
                question="Who?",
                answer="",
                declined=False,
                encoder_id="",
                asked_at=utc_now() - timedelta(days=1),
            )
        ]
    )
    app.feedback.append([Verdict(user="ann", turn_id="a-1", question="Who?", passage_id="p", verdict="helpful")])
    refused = judged("a")
    with pytest.raises(UsageError, match="the last administrator"):
        erase_person(app, "ann")
    assert refused.folder.is_dir()


def test_a_review_is_something_to_learn_from_too(app: App, judged) -> None:
    with app.engine.begin() as connection:
        connection.execute(
            reviews.insert().values(
                question="Who?", passage_id="p", decision="negative", user="eve", decided_at=utc_now().isoformat()
            )
        )
    refused = judged("a")
    erase_person(app, "eve")
    assert not refused.folder.exists()
