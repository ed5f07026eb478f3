"""Exact forgetting: the next night's data is, to the byte, what it would be had the person or document never been there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rag.accounts.erasure import erase_user_data
from rag.app.app import App, open_app
from rag.records import Turn, Verdict, utc_now
from rag.settings import Settings
from retriever_training.judgments.snapshot import JudgedQuestions, TrainingSnapshot, load_snapshot
from tests.fixtures import jargon


def voted(data: Path, people: tuple[str, ...]) -> App:
    """Eve agrees with half of everybody's pins, rejects, asks questions of her own, and praises answers."""
    app = open_app(Settings(data=data))
    jargon.vote(app, jargon.questions())
    if "eve" in people:
        asked = list(jargon.questions().items())
        ids = app.library.resolve(jargon.questions().values())
        turns = [
            Turn(
                turn_id=f"eve-{number}",
                conversation_id="c",
                user="eve",
                question=question,
                answer="an answer",
                declined=False,
                encoder_id="",
                asked_at=utc_now(),
            )
            for number, (question, _) in enumerate(asked[::2])
        ]
        turns += [
            Turn(
                turn_id=f"own-{number}",
                conversation_id="c",
                user="eve",
                question=f"what of thing {number}",
                answer="",
                declined=False,
                encoder_id="",
                asked_at=utc_now(),
            )
            for number in range(40)
        ]
        app.feedback.record_turns(turns)
        kinds = ("pin", "helpful", "not_relevant")
        app.feedback.append(
            [
                Verdict(
                    user="eve",
                    turn_id=turn.turn_id,
                    question=turn.question,
                    passage_id=ids[asked[number][1]],
                    verdict=kinds[number % 3],
                )
                for number, turn in enumerate(turns)
            ]
        )
        app.feedback.append(
            [Verdict(user="eve", turn_id="turn-5", question="", passage_id=ids[asked[0][1]], verdict="not_relevant")]
        )
    return app


def evidence(app: App) -> TrainingSnapshot:
    return load_snapshot(app.stores, trusted=("eve",), max_per_person=1000)


def everything(gathered: TrainingSnapshot) -> list[JudgedQuestions]:
    return [gathered.asked("train"), gathered.asked("dev"), gathered.asked("gate"), gathered.held_out("gate")]


@pytest.fixture
def with_eve(manuals: Path) -> App:
    return voted(manuals, ("eve",))


@pytest.fixture
def without_eve(_manuals: Path, tmp_path: Path) -> App:
    return voted(Path(shutil.copytree(_manuals, tmp_path / "without")), ())


def test_a_forgotten_person_leaves_the_night_as_if_they_had_never_been_there(with_eve: App, without_eve: App) -> None:
    expected = evidence(without_eve)
    assert evidence(with_eve).fingerprint() != expected.fingerprint(), "she did make a difference"

    erase_user_data(with_eve.engine, "eve")

    found = evidence(with_eve)
    assert found.fingerprint() == expected.fingerprint()
    assert [(record.questions, record.right, record.rejected) for record in everything(found)] == [
        (record.questions, record.right, record.rejected) for record in everything(expected)
    ]
    assert found.judgments.dropped == expected.judgments.dropped
    assert found.judgments.people == expected.judgments.people


def test_who_forgets_nobody_changes_nothing(with_eve: App) -> None:
    before = evidence(with_eve).fingerprint()
    erase_user_data(with_eve.engine, "eve", dry_run=True)
    assert evidence(with_eve).fingerprint() == before


def test_a_removed_document_leaves_the_night_as_if_nobody_had_voted_on_it(with_eve: App, without_eve: App) -> None:
    """Without the document, votes on it or no votes on it are the same night."""
    gone = "manuals/camera/3"
    passage = next(passage for passage in with_eve.library.passages() if passage.source == gone)
    with_eve.feedback.append(
        [
            Verdict(user="zoe", turn_id=f"turn-{number}", question="", passage_id=passage.passage_id, verdict=verdict)
            for number, verdict in enumerate(["pin", "not_relevant", "helpful"] * 20)
        ]
    )
    erase_user_data(with_eve.engine, "eve")
    for app in (with_eve, without_eve):
        app.library.remove(gone)
    assert evidence(with_eve).fingerprint() == evidence(without_eve).fingerprint()
    assert passage.passage_id not in evidence(with_eve).row
