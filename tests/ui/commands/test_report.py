"""`nightjar eval report` as a CI step calls it: exit codes, bars from flags and settings, and a folder that is whole."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from rag.errors import UsageError
from tests.fixtures.nightjar_command import nightjar
from tests.ui.commands.test_retrieval import a_dataset


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(state directory, data set): four passages and four questions, each of which finds its own first."""
    folder = tmp_path_factory.mktemp("state")
    dataset = a_dataset(folder / "insects")
    assert nightjar(folder / "data", "ingest", "--beir", str(dataset)).exit_code == 0
    return folder / "data", dataset


@pytest.fixture(autouse=True)
def four_questions_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHTJAR__GATE__MIN_QUESTIONS", "4")


def reported(state: tuple[Path, Path], out: Path, *more: str) -> int:
    data, dataset = state
    return nightjar(data, "eval", "report", "--dataset", str(dataset), "--out", str(out), *more).exit_code


def test_a_version_above_its_bars_passes_and_its_report_is_whole(state: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "report"
    assert reported(state, out, "--min", "nDCG@10=0.9", "--min", "R@5=1") == 0
    assert {"report.html", "report.md", "metrics.json", "junit.xml", "per_question.jsonl"} <= {
        file.name for file in out.iterdir()
    }
    assert (out / "report.md").read_text("utf-8").startswith("# Passed: no rule objects\n")
    metrics = json.loads((out / "metrics.json").read_text("utf-8"))
    assert metrics["comparison"]["measures"][0]["alone"]["mean"] == 1.0
    causes = metrics["causes"]
    assert (causes["n_questions"], causes["candidate"], causes["transitions"]) == (4, None, None)
    assert causes["current"]["not in the top 100"] == causes["current"]["error"] == 0


def test_a_bar_of_the_settings_that_is_not_reached_exits_with_3_and_fails_in_junit(
    state: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each question has one judged passage among four: Judged@10 is .25."""
    monkeypatch.setenv("NIGHTJAR__EVAL__MINIMUM", '{"Judged@10": 0.5}')
    assert reported(state, tmp_path / "report") == 3
    (case,) = ET.parse(tmp_path / "report" / "junit.xml").getroot().iterfind("testsuite[@name='bars']/testcase")
    assert case.find("failure").get("message") == "Judged@10 is .250, below the bar of .500."  # type: ignore[union-attr]


def test_too_few_questions_exit_with_4(
    state: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIGHTJAR__GATE__MIN_QUESTIONS", "5")
    assert reported(state, tmp_path / "report", "--min", "nDCG@10=0.1") == 4


def test_two_versions_are_decided_by_the_gate_and_nothing_is_promoted(state: tuple[Path, Path], tmp_path: Path) -> None:
    data, dataset = state
    base = json.loads(nightjar(data, "eval", "retrieval", "--dataset", str(dataset), "--json").stdout)["version"]
    assert reported(state, tmp_path / "report", "--candidate", base) == 3, "a version is no better than itself"
    assert "not one of them changed" in (tmp_path / "report" / "report.md").read_text("utf-8")


def test_what_is_there_is_not_written_over_unasked(state: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there already"):
        reported(state, tmp_path)


@pytest.mark.parametrize("bar", ["nDCG=0.5", "nDCG@10", "nDCG@10=high", "R@5=1.5", "R@5=nan"])
def test_a_bar_that_makes_no_sense_is_refused(state: tuple[Path, Path], tmp_path: Path, bar: str) -> None:
    with pytest.raises(UsageError, match=r"names no measure|a number from 0 to 1"):
        reported(state, tmp_path / "report", "--min", bar)
