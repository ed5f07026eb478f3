"""`nightjar golden` and what measures by it, as a person calls them, on a library with the real encoder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from rag.app.app import open_app
from rag.settings import Settings
from tests.fixtures import jargon
from tests.fixtures.chat_endpoint import KEY, Request, in_nobodys_environment, sends, serving


def nightjar(data: Path, *words: str) -> Result:
    from ui.cli import app

    result = CliRunner().invoke(app, ["--data", str(data), *words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def printed(data: Path, *words: str) -> dict:
    return json.loads(nightjar(data, *words, "--json").stdout)


@pytest.fixture
def asked(tmp_path: Path, manuals: Path) -> tuple[Path, Path]:
    """(state directory, file): four questions about the manuals, one of them lost, one that nothing answers."""
    app = open_app(Settings(data=manuals))
    zorvex = app.library.resolve(["printer/1"])["printer/1"]
    passage = app.library.get([zorvex])[zorvex]
    app.close()
    lines = [
        {
            "question": "What does the red light on the Zorvex mean?",
            "passage_id": "printer/1",
            "nuggets": [["overheated"]],
        },
        {
            "question": "Why is the Zorvex light red?",
            "source": passage.source,
            "quote": passage.text,
            "origin": "model",
        },
        {
            "question": "How old is the Zorvex?",
            "source": passage.source,
            "quote": "It is nine years old.",
            "tags": ["age"],
        },
        {"question": "Who won the chess championship of 1972?", "answerable": False},
    ]
    file = tmp_path / "golden.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)), "utf-8")
    return manuals, file


def test_golden_questions_are_imported_once_listed_exported_checked_and_retired(asked: tuple[Path, Path]) -> None:
    data, file = asked
    first, again = (printed(data, "golden", "import", str(file)) for _ in range(2))
    assert (first["n_new"], again["n_new"], again["golden_ids"]) == (4, 0, first["golden_ids"])
    out = file.with_name("out.jsonl")
    nightjar(data, "golden", "export", str(out))
    assert [json.loads(line)["question"] for line in out.read_text("utf-8").splitlines()] == [
        golden["question"] for golden in printed(data, "golden", "list")
    ]
    assert printed(data, "golden", "import", str(out))["n_new"] == 0
    checked = nightjar(data, "golden", "check")
    assert checked.exit_code == 1
    assert "4 golden questions" in checked.stdout
    assert "lost (lost): How old is the Zorvex?" in checked.stdout
    lost = next(golden for golden in printed(data, "golden", "list") if golden.get("tags") == ["age"])
    assert "How old is the Zorvex?" in nightjar(data, "golden", "retire", lost["golden_id"][:8]).stdout
    assert nightjar(data, "golden", "check").exit_code == 0
    assert len(printed(data, "golden", "list", "--retired")) == 4


def test_wrong_line_keeps_the_whole_file_out(asked: tuple[Path, Path]) -> None:
    data, file = asked
    file.write_text(file.read_text("utf-8") + '\n{"question": "Who?", "passage_id": "nowhere"}', "utf-8")
    refused = nightjar(data, "golden", "import", str(file))
    assert refused.exit_code == 2
    assert "no passage 'nowhere'" in refused.stderr
    assert printed(data, "golden", "list") == []


def test_retrieval_is_measured_by_golden_questions_and_what_can_not_be_is_named(asked: tuple[Path, Path]) -> None:
    data, file = asked
    nightjar(data, "golden", "import", str(file))
    told = printed(data, "eval", "retrieval", "--golden")
    assert (told["dataset"], told["n_questions"]) == ("golden", 2)
    assert told["slices"]["origin file"]["n_questions"] == told["slices"]["origin model"]["n_questions"] == 1
    assert [lost_question["question"] for lost_question in told["lost"]] == ["How old is the Zorvex?"]
    shown = nightjar(data, "eval", "retrieval", "--golden", "--all")
    assert "not measured with, lost: 'How old is the Zorvex?'" in shown.stderr
    assert "Judged@10" in shown.stdout
    assert told["questions_sha256"] == printed(data, "golden", "check")["sha256"]


def test_answers_are_measured_by_golden_questions_with_the_cause_of_each_failure(asked: tuple[Path, Path]) -> None:
    data, file = asked
    nightjar(data, "golden", "import", str(file))
    rows = file.with_name("rows.jsonl")
    told = printed(data, "eval", "answers", "--golden", "--rows", str(rows))
    assert (told["n_questions"], told["n_errors"], told["coverage"]) == (4, 0, 1.0)
    assert told["causes"]["not in the library"] == 1
    assert told["measures"]["nuggets_vital"] == {"mean": 1.0, "n": 1}
    assert told["measures"]["spans_exact"]["mean"] == 1.0
    assert sum(told["declining"]["unanswerable"].values()) == 1
    lines = [json.loads(line) for line in rows.read_text("utf-8").splitlines()]
    assert [line["question"] for line in lines if not line["in_library"]] == ["How old is the Zorvex?"]
    cause = {line["question"]: line["cause"] for line in lines}
    assert cause["How old is the Zorvex?"] == "not in the library"
    shown = nightjar(data, "eval", "answers", "--golden", "--why", "--before", str(rows)).stdout
    assert "0 fixed, 0 broken, 4 the same" in shown
    assert "not in the library" in shown
    assert "How old is the Zorvex?" in shown
    app = open_app(Settings(data=data))
    assert app.feedback.n_turns() == 0  # measuring leaves nothing behind
    app.close()


def test_questions_must_be_named_once(asked: tuple[Path, Path]) -> None:
    data, file = asked
    assert "--dataset FOLDER, or --golden" in nightjar(data, "eval", "retrieval").stderr
    assert nightjar(data, "eval", "answers", "--golden", "--dataset", str(file.parent)).exit_code == 2
    assert "no golden question" in nightjar(data, "eval", "retrieval", "--golden").stderr


def test_what_people_liked_becomes_the_regression_wall(manuals: Path) -> None:
    app = open_app(Settings(data=manuals))
    liked = dict(list(jargon.questions().items())[:3])
    jargon.vote(app, liked)
    app.close()
    assert printed(manuals, "golden", "add", "liked")["n_new"] == 3
    listed = printed(manuals, "golden", "list")
    assert {golden["question"] for golden in listed} == set(liked)
    assert {golden["origin"] for golden in listed} == {"liked"}
    assert printed(manuals, "golden", "add", "liked")["n_new"] == 0


def test_headings_become_questions_and_outlive_another_way_to_cut_the_documents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guide = (
        "# Owls\n\n## When owls hunt\n\nOwls hunt mice at night, for they hear them in the dark. Voles and shrews are "
        "caught on winter afternoons as well, when there is snow on the fields.\n\n"
        "## How owls nest\n\nOwls nest in barns and in hollow trees that others have left. Three to six white eggs "
        "are laid in April, on bare wood without any straw.\n"
    )
    (tmp_path / "owls.md").write_text(guide, "utf-8")
    data = tmp_path / "data"
    assert nightjar(data, "ingest", str(tmp_path / "owls.md")).exit_code == 0
    assert printed(data, "golden", "add", "headings")["n_new"] >= 1
    listed = printed(data, "golden", "list")
    assert {golden["origin"] for golden in listed} == {"heading"}
    before = printed(data, "golden", "check")
    assert (before["lost"], before["cut"]) == ([], [])
    monkeypatch.setenv("NIGHTJAR__PASSAGES__MAX_TOKENS", "16")
    assert "new passages" in nightjar(data, "ingest", str(tmp_path / "owls.md")).stdout
    after = printed(data, "golden", "check")
    assert (after["lost"], after["sha256"]) == ([], before["sha256"])
    assert len(after["cut"]) == len(listed)  # each quote is in two passages and more now, and that is told


def test_language_model_writes_questions_that_are_kept_only_where_the_base_finds_their_passage(
    manuals: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asks half of the passages for what they say, and the others for something that is nowhere."""
    in_nobodys_environment(monkeypatch)

    def asks(request: Request) -> None:
        passage = request.server.asked[-1]["messages"][-1]["content"]
        content = passage.splitlines()[-1][:90] if len(passage) % 2 else f"Who wrote song number {len(passage)}?"
        choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
        whole = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
        sends(json.dumps(whole), "application/json")(request)

    with serving() as endpoint:
        endpoint.behave = asks
        monkeypatch.setenv("NIGHTJAR__GENERATOR__MODEL", "openai:m")
        monkeypatch.setenv("NIGHTJAR__GENERATOR__BASE_URL", endpoint.url)
        monkeypatch.setenv("NIGHTJAR__GENERATOR__API_KEY", KEY)
        made = printed(manuals, "golden", "add", "model", "-n", "16")
    listed = printed(manuals, "golden", "list")
    assert len(endpoint.asked) == 16
    assert 0 < made["n_new"] < 16
    assert {golden["origin"] for golden in listed} == {"model"}
    assert not any(golden["question"].startswith("Who wrote song") for golden in listed)
