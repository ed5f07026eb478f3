"""Versions, nights, promotion, rollback and reviews over HTTP, on a library that learnt twice."""

from __future__ import annotations

import asyncio
import html
import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import httpx
import pytest

from rag.app.app import App, open_app
from rag.records import Turn, Verdict, utc_now
from rag.settings import Settings, load_settings
from retriever_training.inspection.doubtful_negatives import DoubtfulNegative
from retriever_training.judgments.reviews import ReviewStore
from retriever_training.judgments.splits import split_of
from retriever_training.nightly.run_night import run_night
from retriever_training.nightly.sufficiency import DataSufficiency
from retriever_training.tiers.night_plan import NightPlan
from retriever_training.versions.night_store import NightRecord, NightStep
from retriever_training.versions.night_summary import NightSummary
from retriever_training.versions.timeline import version_timeline
from tests.fixtures import jargon
from ui.actions.training_admin import NightReadiness
from ui.auth.current_user import CurrentUser
from ui.server.serve import RunningServer, serve_in_thread
from ui.texts import training as ours
from ui.web.insights.compare_tab import CompareTab
from ui.web.training.page import TrainingPage
from ui.web.training.render_night import render_last_night, render_log, render_readiness
from ui.web.training.render_versions import render_review

SOON_S = 120
RIGHT = jargon.questions()
TRAIN = [question for question in RIGHT if split_of(question) == "train"]


@pytest.fixture(scope="module")
def server(_manuals: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The library of manuals: votes, a night that was promoted, and a rejection of one person alone."""
    data = Path(shutil.copytree(_manuals, tmp_path_factory.mktemp("training") / "data"))
    app = open_app(Settings(data=data))
    jargon.vote(app, RIGHT)
    app.feedback.record_turns(
        [
            Turn(
                turn_id="zoe-1",
                conversation_id="c",
                user="zoe",
                question=TRAIN[0],
                answer="",
                declined=False,
                encoder_id="",
                asked_at=utc_now(),
            )
        ]
    )
    app.feedback.append(
        [
            Verdict(
                user="zoe",
                turn_id="zoe-1",
                question=TRAIN[0],
                passage_id=passage(app, TRAIN[1]),
                verdict="not_relevant",
            )
        ]
    )
    assert run_night(app.stores, NightPlan(tier="1")).decision == "promoted"
    app.close()
    with serve_in_thread(load_settings(data, server={"port": 0})) as started:
        started.opening.app()
        yield started


@pytest.fixture(scope="module")
def client(server: RunningServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.address, timeout=60) as opened:
        yield opened


def passage(app: App, question: str) -> str:
    return app.library.resolve([RIGHT[question]])[RIGHT[question]]


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_the_timeline_says_where_each_version_stands_and_what_it_costs(client: httpx.Client) -> None:
    told = client.get("/api/versions").json()
    made, base = told["versions"]
    assert (made["standing"], base["standing"]) == ("current", "previous")
    assert (made["version"], made["tier"], made["parent"]) == (told["current"], 1, base["version"])
    assert made["note"]["n_train_questions"] == len(TRAIN)
    assert made["promotions"][0]["reason"].startswith("Served nDCG@10 rose")
    assert made["space"]["vectors"] == base["space"]["vectors"] == 288 * 384 * 4
    assert 0 < made["space"]["files"] < 5_000_000 < base["space"]["files"], "a map links the base's weights"


def test_a_night_says_how_it_ended_step_by_step_and_what_the_next_one_has(client: httpx.Client) -> None:
    told = client.get("/api/nights").json()
    (night,) = told["nights"]
    assert (night["decision"], night["stage"], night["n_judgments"]) == ("promoted", "finished", 288)
    stages = [step["stage"] for step in night["steps"] if not step["name"]]
    assert stages == ["learning", "measuring", "deciding"]
    fitted = next(step for step in night["steps"] if step["name"] == "fit maps")
    assert fitted["done"] == fitted["total"] > 0
    assert (told["running"], told["next_at"]) == (None, None), "nobody started the schedule"
    assert told["outlook"]["is_enough"]
    assert told["outlook"]["train"] == {"n": len(TRAIN), "needed": 10}
    assert told["outlook"]["tiers"]["1"]["why"] == "Tier 1 was asked for."
    assert told["outlook"]["tiers"]["auto"]["tier"] == 3 or "too few" in told["outlook"]["tiers"]["auto"]["why"]


def test_rolling_back_takes_the_short_name_and_a_reason_and_is_taken_in_at_once(
    client: httpx.Client, server: RunningServer
) -> None:
    made, base = client.get("/api/versions").json()["versions"]
    refused = client.post("/api/rollback", json={"confirm": made["version"][:8], "reason": "worse"})
    assert (refused.status_code, base["version"][:8] in refused.json()["error"]) == (400, True)
    assert client.post("/api/rollback", json={"confirm": base["version"][:8], "reason": " "}).status_code == 400
    done = client.post("/api/rollback", json={"confirm": base["version"][:8], "reason": "worse on  printers"})
    assert done.json() == {"version": base["version"]}
    assert client.get("/api/version").json()["encoder_id"] == base["version"]
    assert server.opening.app().registry.latest_promotion().reason == "worse on printers (local)"

    again = {"version": made["version"][:8], "confirm": made["version"][:8], "reason": "it was not"}
    assert client.post("/api/promote", json=again).json() == {"version": made["version"]}
    assert client.get("/api/version").json()["encoder_id"] == made["version"]
    assert client.post("/api/promote", json=again | {"version": "nothing"}).status_code == 404


def test_a_night_is_begun_by_hand_once_and_can_be_ended(client: httpx.Client, server: RunningServer) -> None:
    assert client.post("/api/nights/run", json={"tier": "4"}).status_code == 400
    assert client.delete("/api/nights/run").json() == {"cancelled": False}
    begun = client.post("/api/nights/run", json={"tier": "1"})
    assert begun.status_code == 202
    second = client.post("/api/nights/run", json={"tier": "1"})
    assert (second.status_code, f"process {begun.json()['pid']}" in second.json()["error"]) == (503, True)
    assert client.get("/api/nights").json()["running"]["pid"] == begun.json()["pid"]
    assert client.delete("/api/nights/run").json() == {"cancelled": True}
    wait_for(lambda: server.opening.nights.last_exit is not None)
    assert client.get("/api/nights").json()["running"] is None


def test_a_night_by_hand_runs_to_its_end_and_keeps_what_it_said(client: httpx.Client, server: RunningServer) -> None:
    """The same judgments: it trains nothing, and says so."""
    server.opening.nights.start_night("1")
    wait_for(lambda: server.opening.nights.last_exit is not None)
    assert server.opening.nights.last_exit.code == 0
    assert "the same judgments as before, nothing was trained" in "\n".join(
        client.get("/api/nights/log").json()["lines"]
    )


def test_a_night_of_another_process_is_seen(client: httpx.Client, server: RunningServer) -> None:
    from rag.file_lock import ProcessLock

    lock = ProcessLock(server.opening.app().settings.data / "night.lock", "the night")
    try:
        assert client.get("/api/nights").json()["running"]["pid"] is None
        assert "another process" in client.post("/api/nights/run", json={}).json()["error"]
        assert client.post("/api/versions/free").status_code == 503
    finally:
        lock.release()
    assert client.get("/api/nights").json()["running"] is None


def test_what_one_person_alone_rejected_waits_for_a_decision_and_is_gone_after_it(
    client: httpx.Client, server: RunningServer
) -> None:
    doubts = client.get("/api/reviews").json()["doubts"]
    first = doubts[0]
    assert (first["question"], first["kind"]) == (TRAIN[0], "alone")
    assert first["passage"]["passage_id"] == RIGHT[TRAIN[1]]
    assert [passage["passage_id"] for passage in first["right"]] == [RIGHT[TRAIN[0]]]
    assert {doubt["kind"] for doubt in doubts} >= {"suspected"}, "cleaning is unsure of some too"
    assert all(split_of(doubt["question"]) == "train" for doubt in doubts)

    decision = {"question": first["question"], "passage_id": first["passage"]["passage_id"], "decision": "negative"}
    assert client.post("/api/reviews", json=decision).json()["user"] == "local"
    told = client.get("/api/reviews").json()
    assert (first["question"], first["passage"]["passage_id"]) not in [
        (doubt["question"], doubt["passage"]["passage_id"]) for doubt in told["doubts"]
    ]
    assert [review["decision"] for review in told["reviews"]] == ["negative"]
    assert client.post("/api/reviews", json=decision | {"decision": "perhaps"}).status_code == 400
    assert client.post("/api/reviews", json=decision | {"question": "never asked"}).status_code == 404


# ---- reports


def test_a_report_is_read_with_a_policy_of_its_own(client: httpx.Client) -> None:
    night_id = client.get("/api/nights").json()["nights"][0]["night_id"]
    read = client.get(f"/reports/{night_id}/report.md", headers={"accept": "text/html"})
    assert read.status_code == 200
    assert read.text.startswith("# Promoted")
    assert read.headers["content-type"].startswith("text/plain")
    assert read.headers["content-security-policy"].startswith("default-src 'none'")
    assert read.headers["x-content-type-options"] == "nosniff"
    assert json.loads(client.get(f"/reports/{night_id}/metrics.json").text)["decision"] == "promoted"


@pytest.mark.parametrize(
    "path",
    [
        "{night}/secret.txt",
        "{night}/..%2f..%2f..%2fnightjar.db",
        "..%2f..%2fdata/nightjar.db",
        "%2e%2e/nightjar.db",
        "loose/report.md",
        "{night}/link.md",
    ],
)
def test_nothing_but_the_files_of_a_report_is_served(path: str, client: httpx.Client, server: RunningServer) -> None:
    data = server.opening.app().settings.data
    night = client.get("/api/nights").json()["nights"][0]["night_id"]
    folder = data / "nights" / night / "report"
    (folder / "secret.txt").write_text("secret")
    (data / "reports" / "loose").mkdir(parents=True, exist_ok=True)
    (data / "reports" / "loose" / "report.md").write_text("no manifest, no report")
    assert client.get(f"/reports/{path.format(night=night)}").status_code == 404


def test_a_manifest_cannot_name_what_lies_outside_its_folder(server: RunningServer, client: httpx.Client) -> None:
    data = server.opening.app().settings.data
    folder = data / "reports" / "forged"
    folder.mkdir(parents=True)
    (folder / "page.html").write_text("<p>fine</p>")
    (folder / "out.md").symlink_to(data / "nightjar.db")
    names = {"page.html": "", "out.md": "", "../../nightjar.db": "", "..": "", ".hidden": ""}
    (folder / "manifest.json").write_text(json.dumps({"files": names}))
    assert client.get("/reports/forged/page.html").text == "<p>fine</p>"
    for name in ("out.md", "..%2f..%2fnightjar.db", "nightjar.db", ".hidden"):
        assert client.get(f"/reports/forged/{name}").status_code == 404


# ---- the page


class Asking:
    """A request of the page, as far as handlers look at it."""

    def __init__(self, person: CurrentUser) -> None:
        self.state = SimpleNamespace(person=person)


ADMIN, RITA = Asking(CurrentUser("ada", "administrator")), Asking(CurrentUser("rita", "voter"))


@pytest.fixture(scope="module")
def page(server: RunningServer) -> TrainingPage:
    """Made in a running loop, as by the server: else Gradio 6.31 opens one for its locks, and closes none."""

    async def make() -> TrainingPage:
        with gr.Blocks(analytics_enabled=False):
            return TrainingPage(server.opening)

    return asyncio.run(make())


def test_the_page_shows_itself_to_administrators_only(page: TrainingPage) -> None:
    shown = page.admit(RITA)
    assert shown[page.body]["visible"] is False
    assert "“rita”" in html.unescape(shown[page.refusal]["value"])
    assert page.admit(ADMIN)[page.body]["visible"] is True


def test_no_handler_of_the_page_does_anything_for_others(page: TrainingPage, server: RunningServer) -> None:
    n_changes = len(server.opening.app().registry.history())
    night, versions, reviews = page.night, page.versions, page.reviews
    current = server.opening.app().current().encoder_id
    for updates, status in (
        (night.look("", RITA), night.status),
        (night.begin("1", RITA), night.status),
        (night.end(RITA), night.status),
        (night.forecast("1", RITA), night.status),
        (list(night.count("1", RITA))[-1], night.status),
        (versions.look(RITA), versions.status),
        (versions.activate(current, current, "because", RITA), versions.status),
        (versions.free_vectors(RITA), versions.status),
        (list(reviews.look(RITA))[-1], reviews.status),
        (reviews.decide("skip", (TRAIN[2], "p"), RITA), reviews.status),
        (page.reports.look(RITA), page.reports.status),
    ):
        assert set(updates) == {status}
        assert "rita" in html.unescape(updates[status])
    assert not server.opening.nights.is_running
    assert len(server.opening.app().registry.history()) == n_changes


def test_the_page_tells_the_last_night_by_its_stages_and_reasons(page: TrainingPage) -> None:
    shown = page.night.look("", ADMIN)
    last = html.unescape(shown[page.night.last])
    assert last.count('class="nj-stage nj-done"') == 4
    assert "fit maps: 240 of 240" in last
    assert "Served nDCG@10 rose" in last
    assert ours.NO_SCHEDULE in html.unescape(shown[page.night.night])
    assert set(page.night.look(shown[page.night.seen], ADMIN)) == {page.night.seen}, "nothing has changed since"
    told = list(page.night.count("1", ADMIN))[-1]
    assert ours.ENOUGH in told[page.night.outlook]
    assert "seconds to a few minutes" in html.unescape(told[page.night.told])


def test_a_version_is_called_the_same_on_the_pages_training_and_insights(
    page: TrainingPage, server: RunningServer
) -> None:
    app = server.opening.app()
    made, base = app.current().encoder_id, app.registry.version_before_current()
    named = {f"v2 · {made[:8]}", f"v1 · {base[:8]}"}
    shown = page.versions.look(ADMIN)
    timeline = html.unescape(shown[page.versions.timeline])
    assert all(f'nj-title">{name}</span>' in timeline for name in named)
    assert f"from v1 · {base[:8]}" in timeline
    assert shown[page.versions.which]["choices"][0][0].startswith(f"v1 · {base[:8]} · previous")

    async def offered() -> list[tuple[str, str]]:
        with gr.Blocks(analytics_enabled=False):
            tab = CompareTab(server.opening)
        return tab.offer_versions(ADMIN)[tab.first]["choices"]

    assert {" · ".join(name.split(" · ")[:2]) for name, _ in asyncio.run(offered())} == named


def test_what_a_page_changes_is_stored_under_the_name_of_who_did_it(page: TrainingPage, server: RunningServer) -> None:
    app = server.opening.app()
    before, current = app.registry.version_before_current(), app.current().encoder_id
    wrong = page.versions.activate(before, current[:8], "for a test", ADMIN)
    assert "does not confirm it" in html.unescape(wrong[page.versions.status])
    done = page.versions.activate(before, before[:8], "for a test", ADMIN)
    assert before[:8] in done[page.versions.status]
    assert (app.registry.latest_promotion().kind, app.registry.latest_promotion().reason) == (
        "rollback",
        "for a test (ada)",
    )
    page.versions.activate(current, current[:8], "back", ADMIN)

    first = list(page.reviews.look(ADMIN))[-1]
    pair = first[page.reviews.shown]
    after = page.reviews.decide("not_negative", pair, ADMIN)
    assert after[page.reviews.shown] != pair
    review = next(
        review for review in ReviewStore(app.engine).standing() if (review.question, review.passage_id) == pair
    )
    assert (review.user, review.decision) == ("ada", "not_negative")


def test_too_few_verdicts_are_told_by_how_many_there_are_and_are_needed() -> None:
    shown = html.unescape(
        render_readiness(NightReadiness(DataSufficiency(n_train=14, n_held_out=9, min_train=10, min_held_out=30), {}))
    )
    assert "23 of about 128 before the next night" in shown
    assert "9 held out for the gate" in shown


def test_a_night_that_was_cut_off_says_in_which_step() -> None:
    steps = (
        NightStep(stage="learning", name="", total=0, done=0, began_at=utc_now()),
        NightStep(stage="learning", name="train the query tower", total=90, done=31, began_at=utc_now()),
    )
    cut = NightRecord(
        night_id="n",
        fingerprint="f",
        tier=2,
        stage="learning",
        decision=None,
        candidate_id=None,
        started_at=utc_now(),
        finished_at=None,
        summary=None,
        steps=steps,
    )
    shown = html.unescape(render_last_night(cut))
    assert 'class="nj-stage nj-cut"><span>Learn' in shown
    assert "train the query tower: 31 of 90" in shown
    assert shown.count("nj-waits") == 2


def test_what_people_and_documents_wrote_stays_text(server: RunningServer) -> None:
    hostile = '<img src=x onerror="alert(1)">'
    passage_of = next(server.opening.app().library.iterate_passages())
    passage_of = replace(passage_of, title=hostile, text=hostile, source=hostile)
    doubt = DoubtfulNegative(question=hostile, right=("r",), passage_id="p", kind="suspected", why=hostile)
    summary = NightSummary(decision="kept", reasons=(hostile,), dropped={hostile: 1}, n_judgments=1)
    night = NightRecord(
        night_id="n",
        fingerprint="f",
        tier=1,
        stage="finished",
        decision="kept",
        candidate_id="c",
        started_at=utc_now(),
        finished_at=utc_now(),
        summary=summary,
    )
    for shown in (
        render_review(doubt, {"p": passage_of, "r": passage_of}),
        render_last_night(night),
        render_log([hostile]),
    ):
        assert "<img" not in shown


def test_vectors_far_back_in_the_history_are_freed_and_the_current_ones_stay(manuals: Path) -> None:
    from rag.embedding.passage_vectors import PassageVectors, store_vectors
    from rag.insights.version_disk_usage import free_vectors, freeable_sides

    app = open_app(Settings(data=manuals))
    app.current()
    sides = []
    for number in range(5):  # five versions with passage sides of their own, the last four once current
        made = shutil.copytree(app.registry.base().folder, manuals / f"made-{number}")
        (made / "config.json").write_text(json.dumps({"number": number}))
        version = app.registry.register(made, tier=3, parent_id=None, lexical_weight=0.1, note={})
        app.registry.promote(version.encoder_id, "a test")
        _, matrix = PassageVectors(app.engine, app.registry.base().passage_side).matrix()
        store_vectors(app.engine, version.passage_side, [f"text-{number}"], matrix[:1])
        sides.append(version.passage_side)
    assert freeable_sides(app.registry) == sorted(sides[:2])
    freed = free_vectors(app.engine, manuals, app.registry)
    assert (freed.sides, freed.n_vectors, freed.n_bytes) == (tuple(sorted(sides[:2])), 2, 2 * 384 * 4)
    assert [entry.space.n_vectors for entry in version_timeline(app.stores)] == [1, 1, 1, 0, 0, 288]
    assert free_vectors(app.engine, manuals, app.registry).sides == ()
    app.close()
