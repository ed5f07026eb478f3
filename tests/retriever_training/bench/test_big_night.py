"""The made-up library of the big night: something to learn, nothing encoded, and figures that add up."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from rag.app.app import App, open_app
from rag.settings import Settings
from retriever_training.bench.big_night import (
    ACTIONS,
    MAX_PASSAGES,
    PARTS,
    PRODUCTS,
    SERIES,
    BigNight,
    Stopwatch,
    fill_library,
)
from retriever_training.judgments.snapshot import load_snapshot
from retriever_training.progress import no_progress
from ui.cli import app as nightjar

N_PASSAGES, N_JUDGMENTS = 1_000, 600


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    app = open_app(Settings(data=tmp_path_factory.mktemp("big") / "data"))
    fill_library(app, N_PASSAGES, N_JUDGMENTS, 13, no_progress)
    yield app
    app.close()


def test_there_are_a_hundred_thousand_things_to_ask() -> None:
    assert MAX_PASSAGES == 100_000
    assert all(len(set(words)) == len(words) for words in (PRODUCTS, SERIES, list(ACTIONS), list(PARTS)))


def test_every_passage_has_a_vector_of_unit_length_that_nobody_encoded(filled: App) -> None:
    ids, matrix = filled.vectors().matrix()
    assert filled.n_missing_vectors() == 0
    assert len(ids) == N_PASSAGES
    assert np.abs(np.linalg.norm(matrix, axis=1) - 1).max() < 1e-5


def test_no_passage_says_what_a_product_is_and_no_question_its_code_name(filled: App) -> None:
    said = {
        word
        for passage in filled.library.iterate_passages()
        for word in passage.text.casefold().replace(".", "").split()
    }
    assert not said & {product for product in PRODUCTS if " " not in product}
    asked = {word for verdict in filled.feedback.standing() for word in verdict.question.casefold().split()}
    assert not asked & {word for word in said if not word.startswith("w")} - {"the", "of", *map(str.casefold, SERIES)}


def test_every_pin_counts_and_names_the_passage_that_answers(filled: App) -> None:
    evidence = load_snapshot(filled.stores, trusted=("local",), max_per_person=5000)
    assert len(evidence.judgments.judgments) == N_JUDGMENTS
    assert {judgment.label for judgment in evidence.judgments.judgments} == {"positive"}
    assert not any(person.waits for person in evidence.judgments.people.values())
    for judgment in evidence.judgments.judgments:
        product_, series, action, part = map(int, judgment.passage_id.removeprefix("p-").split("-"))
        asked = f"{list(ACTIONS)[action]} the {list(PARTS)[part]} of the {SERIES[series]} {PRODUCTS[product_]}?"
        assert judgment.question.endswith(asked)


def test_the_same_seed_makes_the_same_library(filled: App, tmp_path: Path) -> None:
    again = open_app(Settings(data=tmp_path / "data"))
    fill_library(again, N_PASSAGES, 100, 13, no_progress)
    assert again.library.text_hashes() == filled.library.text_hashes()
    assert np.array_equal(again.vectors().matrix()[1], filled.vectors().matrix()[1])
    again.close()


def test_a_stopwatch_gives_every_second_to_one_stage() -> None:
    begun: list[str] = []

    def watch(stage: str, total: int) -> Callable[[int], None]:
        begun.append(f"{stage} {total}")
        return lambda n: None

    stopwatch = Stopwatch(watch)
    stopwatch("fit maps", 480)(1)
    stopwatch("measure", 2)
    stopwatch("fit maps", 1)
    assert begun == ["fit maps 480", "measure 2", "fit maps 1"]
    assert [stage.name for stage in stopwatch.stages()] == ["read votes and library", "fit maps", "measure"]
    assert all(stage.seconds >= 0 and stage.cpu_s >= 0 for stage in stopwatch.stages())


@pytest.mark.parametrize(("tier", "seconds", "is_in_time"), [(1, 180.0, True), (1, 181.0, False), (2, 599.0, True)])
def test_a_night_is_in_time_by_the_bar_of_its_tier(tier: int, seconds: float, is_in_time: bool) -> None:
    night = BigNight(
        decision="promoted",
        reason="",
        tier=tier,
        seconds=seconds,
        cpu_s=seconds,
        stages=(),
        n_judgments=10,
        peak_gib=1.0,
        n_threads=2,
    )
    assert night.is_in_time is is_in_time


@pytest.mark.slow
def test_a_whole_night_is_promoted_and_told_in_json(tmp_path: Path) -> None:
    flags = ["--passages", "400", "--judgments", "400", "--keep", str(tmp_path), "--json"]
    result = CliRunner().invoke(nightjar, ["bench", "big-night", *flags])
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert told["decision"] == "promoted", told["reason"]
    assert (told["n_passages"], told["n_judgments"], told["tier"]) == (400, 400, 1)
    assert sum(stage["seconds"] for stage in told["stages"]) == pytest.approx(told["seconds"], abs=1.0)
    assert {"read votes and library", "fit maps"} <= {stage["name"] for stage in told["stages"]}
    assert told["peak_gib"] > 0.1
    again = CliRunner().invoke(nightjar, ["bench", "big-night", "--passages", "200", "--keep", str(tmp_path)])
    assert again.exit_code == 2
    assert "holds 400 passages, not 200" in again.stderr
