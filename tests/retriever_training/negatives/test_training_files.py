"""Training rows as files: what each format holds, that others can train on it, and what is never overwritten."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rag.errors import NightjarError, NotFoundError, TooLittleDataError, UsageError
from rag.records import Passage
from retriever_training.negatives.training_files import PROVENANCE_FILE, check_writable, dpr_entries, write_rows
from tests.fixtures import jargon
from tests.fixtures.nightjar_command import nightjar


def a_passage(name: str, heading: str = "") -> Passage:
    text = f"All about {name}."
    return Passage(
        passage_id=name,
        document_id=f"document-{name}",
        source=f"set/{name}",
        title=name.title(),
        heading=heading,
        text=text,
        start=0,
        end=len(text),
    )


PASSAGES = {name: a_passage(name) for name in ("bees", "wasps", "moths")} | {"ants": a_passage("ants", "Farming")}


def a_negative(passage_id: str, source: str) -> dict[str, Any]:
    return {"passage_id": passage_id, "source": source, "version": "abc", "rank": 1, "score": 0.5, "margin": 0.25}


def a_line(query: str, positive: str, *negatives: dict[str, Any]) -> dict[str, Any]:
    return {
        "query": query,
        "positive": positive,
        "weight": 0.9,
        "split": "train",
        "seed": 13,
        "negatives": list(negatives),
        "removed": {"is_positive": 1},
    }


LINES = [
    a_line("Who dances?", "bees", a_negative("wasps", "dense"), a_negative("moths", "random")),
    a_line("Who dances?", "moths", a_negative("wasps", "dense"), a_negative("ants", "bm25")),
    a_line("Who farms?", "ants", a_negative("bees", "feedback"), a_negative("wasps", "bm25")),
    a_line("Who bites?", "wasps", a_negative("bees", "dense")),
]


def read_lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_json_lines_give_back_what_was_written(tmp_path: Path) -> None:
    assert write_rows(tmp_path / "rows.jsonl", "jsonl", LINES, PASSAGES, 2, force=False) == 4
    assert read_lines(tmp_path / "rows.jsonl") == LINES
    assert names_in(tmp_path) == ["rows.jsonl"]


def test_a_datasets_folder_holds_texts_in_order_and_tells_of_each_row_beside_them(tmp_path: Path) -> None:
    from datasets import load_from_disk

    assert write_rows(tmp_path / "rows", "datasets", LINES, PASSAGES, 2, force=False) == 3
    loaded = load_from_disk(str(tmp_path / "rows"))
    assert loaded.column_names == ["anchor", "positive", "negative_1", "negative_2"]
    assert loaded[1] == {
        "anchor": "Who dances?",
        "positive": "Moths\nAll about moths.",
        "negative_1": "Wasps\nAll about wasps.",
        "negative_2": "Ants\nFarming\nAll about ants.",
    }
    assert read_lines(tmp_path / "rows" / PROVENANCE_FILE) == LINES[:3], "the fourth row has one negative only"
    assert names_in(tmp_path) == ["rows"]


def test_a_datasets_folder_without_a_row_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(TooLittleDataError, match="none of 4 rows has 3 negatives"):
        write_rows(tmp_path / "rows", "datasets", LINES, PASSAGES, 3, force=False)
    assert names_in(tmp_path) == []


def test_plain_sentence_transformers_trains_on_the_datasets_folder(tmp_path: Path, base_folder: Path) -> None:
    """Two steps at a high rate, on the folder as it is: the question comes to prefer its passage more than before."""
    from datasets import load_from_disk
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    write_rows(tmp_path / "rows", "datasets", LINES, PASSAGES, 1, force=False)
    model = SentenceTransformer(str(base_folder), device="cpu", local_files_only=True)

    def margin() -> float:
        vectors = model.encode(["Who farms?", PASSAGES["ants"].encoded_text, PASSAGES["bees"].encoded_text])
        return float(vectors[0] @ vectors[1] - vectors[0] @ vectors[2])

    before = margin()
    SentenceTransformerTrainer(
        model=model,
        args=SentenceTransformerTrainingArguments(
            output_dir=str(tmp_path / "out"),
            max_steps=2,
            per_device_train_batch_size=4,
            learning_rate=1e-3,
            use_cpu=True,
            report_to="none",
            save_strategy="no",
            disable_tqdm=True,
            seed=1,
        ),
        train_dataset=load_from_disk(str(tmp_path / "rows")),
        loss=MultipleNegativesRankingLoss(model),
    ).train()
    assert margin() > before


def test_dprs_file_gathers_the_right_passages_of_a_question_and_parts_easy_from_hard(tmp_path: Path) -> None:
    assert write_rows(tmp_path / "rows.json", "dpr", LINES, PASSAGES, 2, force=False) == 4
    entries = json.loads((tmp_path / "rows.json").read_text("utf-8"))
    assert [entry["question"] for entry in entries] == ["Who dances?", "Who farms?", "Who bites?"]
    first = entries[0]
    assert set(first) == {"question", "answers", "positive_ctxs", "negative_ctxs", "hard_negative_ctxs"}
    assert first["positive_ctxs"] == [
        {"title": "Bees", "text": "All about bees.", "score": 0.9, "passage_id": "bees"},
        {"title": "Moths", "text": "All about moths.", "score": 0.9, "passage_id": "moths"},
    ]
    assert [context["passage_id"] for context in first["negative_ctxs"]] == ["moths"]
    assert [context["passage_id"] for context in first["hard_negative_ctxs"]] == ["wasps", "ants"]
    assert first["hard_negative_ctxs"][1]["text"] == "Farming\nAll about ants."
    assert first["hard_negative_ctxs"][0]["margin"] == 0.25


def test_dprs_file_keeps_epochs_apart() -> None:
    lines = [{**LINES[0], "epoch": epoch} for epoch in range(2)]
    assert len(list(dpr_entries(lines, PASSAGES))) == 2


# ---- what is there is not lost


def test_what_is_there_is_replaced_only_by_force(tmp_path: Path) -> None:
    for name, kind in (("rows.jsonl", "jsonl"), ("rows", "datasets")):
        write_rows(tmp_path / name, kind, LINES, PASSAGES, 1, force=False)
        with pytest.raises(UsageError, match="is there already"):
            write_rows(tmp_path / name, kind, LINES[:1], PASSAGES, 1, force=False)
        assert write_rows(tmp_path / name, kind, LINES[:1], PASSAGES, 1, force=True) == 1
    assert len(read_lines(tmp_path / "rows.jsonl")) == len(read_lines(tmp_path / "rows" / PROVENANCE_FILE)) == 1
    assert names_in(tmp_path) == ["rows", "rows.jsonl"]


@pytest.mark.parametrize("kind", ["jsonl", "datasets", "dpr"])
def test_a_folder_of_somebody_elses_is_never_replaced(tmp_path: Path, kind: Any) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"a cat")
    with pytest.raises(UsageError, match="did not write"):
        write_rows(tmp_path / "photos", kind, LINES, PASSAGES, 1, force=True)
    assert (tmp_path / "photos" / "cat.jpg").read_bytes() == b"a cat"


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="nowhere"):
        check_writable(tmp_path / "nowhere" / "rows.jsonl", "jsonl", force=True)


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("before\n", "utf-8")
    with pytest.raises(TypeError):
        write_rows(tmp_path / "rows.jsonl", "jsonl", [*LINES, {"query": {1, 2}}], PASSAGES, 1, force=True)
    assert (tmp_path / "rows.jsonl").read_text("utf-8") == "before\n"
    assert names_in(tmp_path) == ["rows.jsonl"]


# ---- the commands, on a library with the real encoder


@pytest.fixture(scope="module")
def state(_manuals: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory with the library of manuals, on which twenty people voted."""
    import shutil

    from rag.app.app import open_app
    from rag.settings import Settings

    data = Path(shutil.copytree(_manuals, tmp_path_factory.mktemp("voted") / "data"))
    app = open_app(Settings(data=data))
    jargon.vote(app, dict(list(jargon.questions().items())[:120]))
    app.close()
    return data


def test_mine_writes_rows_to_stdout_and_reasons_to_stderr(state: Path) -> None:
    result = nightjar(state, "mine", "--out", "-", "--negatives", "2", "--seed", "7")
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(rows) > 50
    assert {len(row["negatives"]) for row in rows} == {2}
    assert {row["seed"] for row in rows} == {7}
    assert "candidates left out: " in result.stderr
    one = rows[0]["negatives"][0]
    assert set(one) == {"passage_id", "source", "version", "rank", "score", "margin"}
    again = nightjar(state, "mine", "--out", "-", "--negatives", "2", "--seed", "7")
    assert again.stdout == result.stdout


@pytest.mark.parametrize("kind", ["jsonl", "datasets", "dpr"])
def test_mine_writes_every_format_and_does_not_overwrite(state: Path, tmp_path: Path, kind: str) -> None:
    words = ("mine", "--out", str(tmp_path / "rows"), "--format", kind)
    assert "rows written to" in nightjar(state, *words).stderr
    assert names_in(tmp_path) == ["rows"]
    with pytest.raises(UsageError, match="--force"):
        nightjar(state, *words)
    assert nightjar(state, *words, "--force").stdout == ""


def test_mine_asks_only_the_sources_named(state: Path) -> None:
    result = nightjar(state, "mine", "--out", "-", "--negatives", "3", "--sources", "bm25,neighbour")
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert {negative["source"] for row in rows for negative in row["negatives"]} == {"bm25", "neighbour"}


def test_mine_reads_a_sample_aloud_without_touching_stdout(state: Path) -> None:
    words = ("mine", "--out", "-", "--sources", "dense,bm25")
    silent, told = nightjar(state, *words), nightjar(state, *words, "--audit", "1")
    assert told.stdout == silent.stdout
    assert "  right: " in told.stderr
    assert "  kept: " in told.stderr
    assert "  right: " not in silent.stderr


def test_mine_gives_each_epoch_other_negatives(state: Path) -> None:
    result = nightjar(state, "mine", "--out", "-", "--epochs", "2", "--easy-first")
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    first, second = ([row for row in rows if row["epoch"] == epoch] for epoch in range(2))
    assert [row["query"] for row in first] == [row["query"] for row in second]
    assert all(a["negatives"] != b["negatives"] for a, b in zip(first, second, strict=True))

    def easiness(some: list[dict[str, Any]]) -> float:
        return sum(row["negatives"][0]["margin"] for row in some) / len(some)

    assert easiness(first) > easiness(second)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--out", "-", "--format", "dpr"], "can't go to stdout"),
        (["--out", "-", "--sources", "dens"], "did you mean 'dense'"),
        (["--out", "-", "--sources", ""], "no source ''"),
        (["--out", "-", "--easy-first"], "add --epochs"),
        (["--out", "nowhere/rows.jsonl"], "no folder"),
    ],
)
def test_mine_refuses_before_it_works(state: Path, words: list[str], said: str) -> None:
    with pytest.raises(NightjarError, match=said):
        nightjar(state, "mine", *words)


def test_mine_without_a_verdict_says_what_to_do(manuals: Path) -> None:
    with pytest.raises(TooLittleDataError, match="give verdicts"):
        nightjar(manuals, "mine", "--out", "-")


def test_negatives_tell_the_margin_and_the_reason(state: Path) -> None:
    question, right = next(iter(jargon.questions().items()))
    result = nightjar(state, "negatives", question, "-n", "3", "--source", "dense", "--source", "bm25", "--json")
    told = json.loads(result.stdout)
    assert [positive["passage_id"] for positive in told["positives"]] == [right]
    assert {(candidate["source"], bool(candidate["version"])) for candidate in told["candidates"]} == {
        ("dense", True),
        ("bm25", False),
    }
    for candidate in told["candidates"]:
        if candidate["removed"] is None:
            assert candidate["margin"] > 0, "what is kept is less similar than the right passage"


def test_negatives_of_a_question_that_nobody_asked_have_no_margin(state: Path) -> None:
    told = json.loads(nightjar(state, "negatives", "Is this new?", "-n", "2", "--json").stdout)
    assert told["positives"] == []
    assert {candidate["margin"] for candidate in told["candidates"]} == {None}
    assert "–" in nightjar(state, "negatives", "Is this new?", "-n", "2").stdout
