"""The night as a whole: one at a time, killed and run again, refused, forgetting."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rag.app.app import App, open_app
from rag.errors import BusyError
from rag.file_lock import ProcessLock
from rag.settings import Settings
from retriever_training.judgments.snapshot import load_snapshot
from retriever_training.negatives.mixing import QUOTAS
from retriever_training.nightly.run_night import run_night
from retriever_training.tiers.night_plan import NightPlan
from retriever_training.tiers.tier2_query_tower import QueryTowerPlan
from retriever_training.tiers.tier3_both_towers import TowersPlan
from tests.fixtures import jargon
from tests.fixtures.chat_endpoint import KEY, in_nobodys_environment, says, serving

COMMAND = [sys.executable, "-m", "ui", "nightly", "--tier", "1", "--json"]


@pytest.fixture
def app(manuals: Path) -> App:
    """Voted on by twenty people."""
    opened = open_app(Settings(data=manuals))
    jargon.vote(opened, jargon.questions())
    return opened


def test_a_second_night_is_told_to_try_later(app: App) -> None:
    lock = ProcessLock(app.settings.data / "night.lock", "the night")
    with pytest.raises(BusyError) as caught:
        run_night(app.stores, NightPlan(tier="1"))
    lock.release()
    assert caught.value.exit_code == 75


def test_a_night_of_tier_2_encodes_no_passage_and_keeps_the_index(app: App) -> None:
    before = app.current()
    summary = run_night(app.stores, NightPlan(tier="2", query_tower=QueryTowerPlan(epochs=2, learning_rate=2e-4)))
    made = app.registry.version(summary.version)
    assert (summary.decision, summary.tier, summary.n_passages_encoded) == ("promoted", 2, 0)
    assert made.passage_side == before.passage_side
    assert made.note["verdicts_until"] == app.feedback.latest_event_id()
    assert not list((app.settings.data / "nights").rglob("query-towers"))


def test_a_night_of_tier_3_encodes_the_library_anew_and_says_where_negatives_came_from(app: App) -> None:
    before = app.current()
    summary = run_night(app.stores, NightPlan(tier="3", towers=TowersPlan(epochs=1, sources=tuple(QUOTAS))))
    made = app.registry.version(summary.version)
    assert (summary.decision, summary.n_passages_encoded) == ("promoted", 288)
    assert made.passage_side != before.passage_side
    assert sum(made.note["negatives"].values()) == made.note["n_rows"]
    assert app.vectors(made.passage_side).missing() == 0
    assert not list((app.settings.data / "nights").rglob("checkpoints"))
    assert not list((app.settings.data / "nights").rglob("round-*"))


@pytest.mark.slow
def test_a_second_round_mines_the_errors_of_the_first_and_each_epoch_has_its_turn(app: App) -> None:
    stages: list[str] = []

    def watch(stage: str, _total: int) -> Callable[[int], None]:
        stages.append(stage)
        return lambda n: None

    towers = TowersPlan(epochs=2, rounds=2, pool=3, easy_first=True, sources=(*QUOTAS, "earlier"))
    summary = run_night(app.stores, NightPlan(tier="3", towers=towers), watch)
    note = app.registry.version(summary.version).note
    trained = [stage for stage in stages if stage.startswith("train")]
    assert trained == ["train both towers, round 1 of 2", "train both towers, round 2 of 2"]
    assert "exceeds_margin:round 1" in note["removed"]
    assert sum(note["negatives"].values()) > note["n_rows"], "a row keeps a pool"


def test_a_refused_version_keeps_its_row_and_loses_its_files(app: App) -> None:
    random_votes = dict(
        zip(jargon.questions(), random.Random(3).sample(list(jargon.questions().values()), 288), strict=True)
    )
    for verdict in app.feedback.standing():
        app.feedback.withdraw_verdict(verdict.user, verdict.turn_id, verdict.passage_id)
    jargon.vote(app, random_votes)

    summary = run_night(app.stores, NightPlan(tier="1", keep_refused=0))

    assert summary.decision == "kept"
    refused = app.registry.version(summary.version)
    assert not refused.folder.exists()
    assert app.vectors(app.current().passage_side).missing() == 0, "the base's vectors are not the refused version's"
    report = json.loads((Path(summary.report).parent / "metrics.json").read_text())
    assert report["decision"] == "kept"
    causes = report["causes"]
    assert causes["n_questions"] == causes["n_without_reference"] == sum(causes["candidate"].values()) == 40
    assert [rule["outcome"] for rule in report["rules"] if rule["name"] == "support"] == ["untested"], (
        "answers are quotes"
    )
    page = (Path(summary.report).parent / "report.html").read_text()
    assert page.count('<div class="answer">') >= 2, "both versions' answers, side by side"


@pytest.fixture(scope="module")
def written(_manuals: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], int]:
    """The gate's figures of a night of tier 1 whose answers a language model writes, and how often it was asked."""
    data = Path(shutil.copytree(_manuals, tmp_path_factory.mktemp("written") / "data"))
    with pytest.MonkeyPatch.context() as monkeypatch, serving() as endpoint:
        in_nobodys_environment(monkeypatch)
        endpoint.behave = says("Elephants run this workshop [1]. Ask them [1].")
        generator = {"model": "openai:small", "base_url": endpoint.url, "api_key": KEY}
        app = open_app(Settings(data=data, generator=generator))
        jargon.vote(app, jargon.questions())
        figures = run_night(app.stores, NightPlan(tier="1")).figures
        app.close()
        return figures, len(endpoint.asked)


def test_a_night_weighs_the_citations_of_what_a_language_model_writes(written: tuple[dict[str, Any], int]) -> None:
    figures, n_asked = written
    assert 0 < n_asked <= 80, "forty questions, once for each version"
    assert 0 < figures["support"]["n"] <= n_asked // 2, "where both versions answered"
    assert figures["support"]["mean_candidate"] == 0


def test_a_night_guards_the_fifth_of_its_questions_that_was_judged_last(written: tuple[dict[str, Any], int]) -> None:
    figures, _ = written
    assert figures["newest"]["n"] == figures["primary"]["n"] // 5


def test_the_next_night_holds_nothing_of_a_person_who_took_everything_back(app: App) -> None:
    mine = [verdict for verdict in app.feedback.standing() if verdict.user == "person-3"]
    assert mine
    for verdict in mine:
        app.feedback.withdraw_verdict("person-3", verdict.turn_id, verdict.passage_id)
    evidence = load_snapshot(app.stores, trusted=(), max_per_person=1000)
    asked = {judgment.question for judgment in evidence.judgments.judgments}
    assert not asked & {verdict.question for verdict in mine}


def test_the_next_night_holds_nothing_of_a_removed_document(app: App) -> None:
    app.library.remove("manuals/camera/3")
    evidence = load_snapshot(app.stores, trusted=(), max_per_person=1000)
    assert len(evidence.judgments.judgments) == 287
    assert evidence.judgments.dropped == {"passage_gone": 1}


@pytest.mark.chaos
def test_a_night_killed_at_any_moment_and_run_again_promotes_once(app: App, manuals: Path) -> None:
    """SIGKILL eight times, each a little later; then the night runs through, and its outcome is one promotion."""
    environment = {**os.environ, "NIGHTJAR_DATA": str(manuals), "OMP_NUM_THREADS": "1"}
    for delay_s in (3, 6, 8, 10, 12, 14, 16, 18):
        process = subprocess.Popen(COMMAND, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(delay_s)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert app.registry.current().folder.is_dir()
    done = subprocess.run(COMMAND, env=environment, capture_output=True, text=True, check=False)
    assert json.loads(done.stdout)["decision"] == "promoted"
    assert [promotion.kind for promotion in app.registry.history()] == ["promote", "install"]
