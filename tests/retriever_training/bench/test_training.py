"""The ladder: every rung on a small set, two steps each; what a killed run keeps; what the figures say."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from eval.datasets.beir import load_beir
from eval.retrieval.evaluate import evaluate_retrieval
from rag.embedding.encoder import Encoder, load_model
from rag.errors import NotFoundError, TooLittleDataError, UsageError
from retriever_training.bench.harness.labelled_set import LabelledSet
from retriever_training.bench.harness.workbench import Budget, Cost, TrainingBench
from retriever_training.bench.ladder.rows import N_SHOWN, RECIPES, base_teacher_scores, make_rows, simulated_rejections
from retriever_training.bench.ladder.rungs import schedule_examples
from retriever_training.bench.training import (
    ALL_RUNGS,
    SeedResult,
    average_over_seeds,
    chosen_rungs,
    ladder_dots,
    run_rungs,
    summarise,
)
from retriever_training.progress import no_progress
from tests.fixtures import jargon
from ui.cli import app

PRODUCTS = list(jargon.PRODUCTS.items())[:4]
TASKS = list(jargon.TASKS.items())[:4]


@pytest.fixture(scope="module")
def beir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen passages; of each product two train questions, one dev and one test question."""
    folder = tmp_path_factory.mktemp("sets") / "manuals"
    (folder / "qrels").mkdir(parents=True)
    corpus, queries, qrels = [], [], {"train": [], "dev": [], "test": []}
    for product, code in PRODUCTS:
        for number, (task, answer) in enumerate(TASKS):
            name = f"{product}-{number}"
            corpus.append({"_id": f"p-{name}", "title": "", "text": answer.format(code)})
            queries.append({"_id": f"q-{name}", "text": task.format(product)})
            qrels[("train", "train", "dev", "test")[number]].append(f"q-{name}\tp-{name}\t1")
    # A test question asks for a passage that is a train question's too; so that there is something to see.
    queries.append({"_id": "q-again", "text": "Filter of the printer, how is it cleaned?"})
    qrels["test"].append("q-again\tp-printer-0\t1")
    (folder / "corpus.jsonl").write_text("".join(json.dumps(line) + "\n" for line in corpus))
    (folder / "queries.jsonl").write_text("".join(json.dumps(line) + "\n" for line in queries))
    for split, lines in qrels.items():
        (folder / "qrels" / f"{split}.tsv").write_text("query-id\tcorpus-id\tscore\n" + "\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def data(beir: Path) -> LabelledSet:
    return LabelledSet.of(load_beir(beir))


@pytest.fixture(scope="module")
def small_base(base_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The words of MiniLM, 48 numbers each, and no layers: all rungs train in the time of one, and passages differ."""
    from sentence_transformers.sentence_transformer.modules import Pooling
    from transformers import BertConfig, BertModel

    model = load_model(base_folder)
    words = {
        name: tensor[..., :48]
        for name, tensor in model[0].auto_model.embeddings.state_dict().items()
        if "ids" not in name
    }
    small = BertModel(BertConfig(vocab_size=30522, hidden_size=48, num_hidden_layers=0, num_attention_heads=1))
    small.embeddings.load_state_dict(words)
    model[0].model, model[1] = small, Pooling(48)
    folder = tmp_path_factory.mktemp("small")
    model.save_pretrained(str(folder), create_model_card=False)
    return folder


@pytest.fixture(scope="module")
def opened(data: LabelledSet, small_base: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainingBench:
    folder = tmp_path_factory.mktemp("ladder")
    encoder = Encoder.open(small_base, precision="fp32")
    return TrainingBench.open(data, encoder, Budget(2, pairs=4), 0.25, folder, no_progress)


CLIMBED = [name for name in ALL_RUNGS if name not in {"dense", "neighbour", "verdicts", "st_documented"}]
"""One rung of each kind; what the others' rows hold is tested without training."""


@pytest.fixture(scope="module")
def climbed(opened: TrainingBench) -> Iterator[tuple[TrainingBench, list[SeedResult]]]:
    """These rungs, once."""
    gc.freeze()  # the trainer collects garbage again and again, and pytest's own objects need no looking at
    yield opened, run_rungs(opened, CLIMBED, [13], no_progress, lambda _: None)
    gc.unfreeze()


# ---- the set


def lines_of(folder: Path, queries: dict[str, str], qrels: dict[str, list[str]]) -> LabelledSet:
    """Three passages a, b and c, and these questions."""
    (folder / "qrels").mkdir()
    (folder / "corpus.jsonl").write_text("".join(json.dumps({"_id": name, "text": name}) + "\n" for name in "abc"))
    lines = [json.dumps({"_id": name, "text": text}) + "\n" for name, text in queries.items()]
    (folder / "queries.jsonl").write_text("".join(lines))
    for split, pairs in qrels.items():
        told = "".join("\t".join([*pair.split(), "1"]) + "\n" for pair in pairs)
        (folder / "qrels" / f"{split}.tsv").write_text("query-id\tcorpus-id\tscore\n" + told)
    return LabelledSet.of(load_beir(folder))


def test_a_train_question_that_is_held_out_too_is_left_out_whatever_its_case(tmp_path: Path) -> None:
    queries = {"1": "Who am I?", "2": "What is it?", "3": "where", "4": "who am i", "5": "What is it"}
    data = lines_of(tmp_path, queries, {"train": ["1 a", "2 b", "3 c"], "dev": ["5 b"], "test": ["4 a"]})
    assert data.train.questions == ("where",)
    assert data.n_left_out == 2


def test_one_question_in_two_spellings_has_the_right_passages_of_both(tmp_path: Path) -> None:
    queries = {"1": "Who am I?", "2": "who am i", "3": "dev", "4": "test"}
    data = lines_of(tmp_path, queries, {"train": ["1 a", "2 c"], "dev": ["3 b"], "test": ["4 b"]})
    assert data.train.questions == ("Who am I?",)
    assert data.positives == (frozenset({0, 2}),)
    assert data.n_rows == 2
    assert data.seen == {"a", "c"}


def test_a_set_whose_train_questions_are_all_held_out_is_refused(tmp_path: Path) -> None:
    queries = {"1": "Who am I?", "2": "dev", "3": "who am i"}
    with pytest.raises(TooLittleDataError, match="every train question of"):
        lines_of(tmp_path, queries, {"train": ["1 a"], "dev": ["2 b"], "test": ["3 a"]})


def test_a_set_without_dev_questions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no split 'dev'"):
        lines_of(tmp_path, {"1": "x", "2": "y"}, {"train": ["1 a"], "test": ["2 a"]})


# ---- what a row holds


def test_every_row_trains_equally_often_whatever_the_budget() -> None:
    assert sorted(schedule_examples("abc", 9, seed=1)) == sorted("abc" * 3)
    assert {*schedule_examples("abcd", 6, seed=1)} == set("abcd")


@pytest.mark.parametrize("name", ["triplet", "bm25", "dense", "dense_cleaned", "neighbour", "verdicts", "mixed"])
def test_every_row_holds_one_negative_that_no_label_calls_right(opened: TrainingBench, name: str) -> None:
    rows = make_rows(RECIPES[name], opened, 13)
    right = dict(zip(opened.data.train.questions, opened.data.positives, strict=True))
    assert [len(example.negatives) for example in rows.examples] == [1] * 8
    assert all(
        opened.data.texts.index(example.negatives[0]) not in right[example.question] for example in rows.examples
    )
    assert sum(rows.sources.values()) == 8
    assert bool(rows.removed) <= RECIPES[name].cleaned


def test_the_negative_that_is_not_cleaned_is_the_nearest_passage_that_no_label_calls_right(
    opened: TrainingBench,
) -> None:
    rows = make_rows(RECIPES["dense"], opened, 13)
    cosines = opened.train_vectors @ opened.base.passages.T
    for row, positives in enumerate(opened.data.positives):
        cosines[row, sorted(positives)] = -1.0
    assert [example.negatives[0] for example in rows.examples] == [
        opened.data.texts[row] for row in cosines.argmax(axis=1)
    ]
    assert rows.sources == {"dense": 8}


def test_a_simulated_person_rejects_what_is_shown_and_not_right(opened: TrainingBench) -> None:
    for rejected, positives in zip(simulated_rejections(opened), opened.data.positives, strict=True):
        assert len(rejected) >= N_SHOWN - 1
        assert positives.isdisjoint(rejected)


def test_the_teacher_gives_cosine_and_words_on_the_scale_of_the_loss(opened: TrainingBench) -> None:
    passage = next(iter(opened.data.positives[0]))
    words = opened.data.lexical.scores(opened.data.train.questions[0])
    cosine = float(opened.base.passages[passage] @ opened.train_vectors[0])
    expected = 20 * (cosine + 0.25 * words[passage] / words.max())
    assert base_teacher_scores(opened, 0, [passage]) == pytest.approx((expected,), abs=1e-4)


# ---- the run


def test_every_rung_measures_every_test_question(climbed: tuple[TrainingBench, list[SeedResult]]) -> None:
    bench, results = climbed
    assert [result.rung for result in results] == CLIMBED
    for result in results:
        assert all(list(values) == list(bench.data.questions) for values in result.values.values()), result.rung


def test_every_training_reads_as_many_passages(climbed: tuple[TrainingBench, list[SeedResult]]) -> None:
    """Two steps of eight passages; what starts from another rung's model pays for that one too."""
    cost = {rung.rung: rung.cost for rung in climbed[1]}
    trained = {name: cost[name].n_trained for name in [*RECIPES, "merged", "st", "rank_window"] if name in cost}
    assert trained.pop("earlier") == 32
    assert set(trained.values()) == {16}
    assert {name: cost[name].n_mined for name in ("bm25", "earlier", "st")} == {"bm25": 0, "earlier": 16, "st": 16}
    assert {name: cost[name].n_encoded for name in ("base", "tier1", "bm25")} == {"base": 0, "tier1": 0, "bm25": 16}


def test_training_changes_the_model_and_the_base_stays(climbed: tuple[TrainingBench, list[SeedResult]]) -> None:
    bench, _ = climbed
    trained = Encoder.open(bench.folder / "models" / "in_batch-13" / "towers").encode_passages(bench.data.texts)
    again = bench.encoder.encode_passages(bench.data.texts)
    assert np.abs(again - bench.base.passages).max() < 1e-5
    assert np.abs(trained - bench.base.passages).max() > 1e-4


def test_models_that_nothing_builds_on_are_gone(climbed: tuple[TrainingBench, list[SeedResult]]) -> None:
    left = {path.name for path in (climbed[0].folder / "models").iterdir()}
    assert left == {"in_batch-13", "dense_cleaned-13"}


def test_bm25_alone_is_the_lexical_side_of_the_evaluation(climbed: tuple[TrainingBench, list[SeedResult]]) -> None:
    bench, results = climbed
    by_name = {result.rung: result for result in results}
    scores = evaluate_retrieval(
        bench.data.questions,
        bench.data.qrels,
        encode_queries=bench.encoder.encode_queries,
        passage_ids=bench.data.passage_ids,
        passage_vectors=bench.base.passages,
        lexical=bench.data.lexical,
        weight=0.25,
    )
    assert by_name["lexical"].values["served"] == scores.values["lexical"]["nDCG@10"]
    assert by_name["base"].values["dense"] == scores.values["dense"]["nDCG@10"]


def test_a_killed_run_goes_on_with_what_is_missing(climbed: tuple[TrainingBench, list[SeedResult]]) -> None:
    bench, before = climbed
    (bench.folder / "triplet-13.json").unlink()
    begun: list[str] = []

    def watch(stage: str, _total: int):
        begun.append(stage)
        return lambda n: None

    after = run_rungs(bench, CLIMBED, [13], watch, lambda _: None)
    assert [stage for stage in begun if stage.startswith("train")] == ["train: triplet"]
    assert [result.rung for result in after] == [result.rung for result in before]
    kept = [(result, again) for result, again in zip(before, after, strict=True) if result.rung != "triplet"]
    assert all(result == again for result, again in kept)


def test_the_same_seed_makes_the_same_rung(climbed: tuple[TrainingBench, list[SeedResult]], tmp_path: Path) -> None:
    bench, results = climbed
    again = run_rungs(replace(bench, folder=tmp_path), ["bm25"], [13], no_progress, lambda _: None)
    assert again[0].values == next(result for result in results if result.rung == "bm25").values


def test_what_is_not_drawn_is_made_once_for_all_seeds(opened: TrainingBench, tmp_path: Path) -> None:
    results = run_rungs(replace(opened, folder=tmp_path), ["base", "rrf"], [1, 2], no_progress, lambda _: None)
    assert [(result.rung, result.seed) for result in results] == [("base", 1), ("rrf", 1)]


def test_results_of_another_budget_are_refused(climbed: tuple[TrainingBench, list[SeedResult]]) -> None:
    bench, _ = climbed
    with pytest.raises(UsageError, match="holds a ladder with steps 2, this one has 3"):
        TrainingBench.open(bench.data, bench.encoder, Budget(3, pairs=4), 0.25, bench.folder, no_progress)


def test_an_unknown_rung_is_refused() -> None:
    with pytest.raises(UsageError, match="rung 'hard' is unknown: use one of base, triplet"):
        chosen_rungs(["hard"])


# ---- what the figures say


def test_the_summary_compares_question_by_question_on_every_slice(opened: TrainingBench) -> None:
    """Five test questions, of which the last is seen; the base finds none of them first, the rung the unseen ones."""
    names = list(opened.data.questions)

    def result(rung: str, seed: int, values: list[float]) -> SeedResult:
        told = dict(zip(names, values, strict=True))
        return SeedResult(
            rung=rung,
            seed=seed,
            values={"dense": told, "served": told},
            cost=Cost(train_s=2.0 * seed),
            peak_mib=100.0 * seed,
            note={},
        )

    told = summarise(
        opened,
        [
            result("base", 1, [0.5] * 5),
            result("bm25", 1, [1.0, 1.0, 1.0, 1.0, 0.5]),
            result("bm25", 2, [0.5, 0.5, 0.5, 0.5, 0.5]),
        ],
    )
    assert told["n_questions"] == {"all": 5, "seen": 1, "unseen": 4}
    base, rung = told["rungs"]
    assert base["served"] == {"all": 0.5, "seen": 0.5, "unseen": 0.5}
    assert rung["served"] == {"all": 0.7, "seen": 0.5, "unseen": 0.75}
    assert rung["served_by_seed"] == [0.9, 0.5]
    assert rung["against_base"]["served"]["unseen"] == {"difference": 0.25, "low": 0.25, "high": 0.25, "p": 0.125}
    assert rung["against_base"]["served"]["seen"] is None, "one question has no spread"
    assert "against_in_batch" not in rung
    assert (rung["seconds"], rung["peak_mib"]) == (3.0, 200.0)
    assert told["seeds"] == [1, 2]
    dot = ladder_dots(told)[1]
    gain = rung["against_base"]["served"]["all"]
    assert (dot.at, dot.marks) == (0.7, {"seen": 0.5, "unseen": 0.75})
    assert (dot.low, dot.high) == (pytest.approx(0.5 + gain["low"]), pytest.approx(0.5 + gain["high"]))


def test_questions_are_averaged_over_seeds_before_anything_else() -> None:
    results = [
        SeedResult(
            rung="bm25", seed=seed, values={"served": {"q": value, "r": 0.0}}, cost=Cost(), peak_mib=None, note={}
        )
        for seed, value in ((1, 1.0), (2, 0.0))
    ]
    assert average_over_seeds(results)["served"].tolist() == [0.5, 0.0]


# ---- the command


def test_the_command_prints_json_alone_and_draws(beir: Path, tmp_path: Path) -> None:
    flags = ["--rung", "base", "--rung", "lexical", "--steps", "2", "--json"]
    places = ["--plot", str(tmp_path / "ladder.svg"), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, ["bench", "training", "--beir", str(beir), *flags, *places])
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert [rung["name"] for rung in told["rungs"]] == ["base", "lexical"]
    assert (told["budget"]["passages_a_step"], told["budget"]["rows_in_batch"]) == (64, 64)
    assert "base, seed 13:" in result.stderr
    assert "BM25 alone" in (tmp_path / "ladder.svg").read_text()
    assert (tmp_path / "out" / "base-any.json").exists()


def test_the_command_says_what_the_budget_was(beir: Path) -> None:
    result = CliRunner().invoke(app, ["bench", "training", "--beir", str(beir), "--rung", "base", "--steps", "3"])
    assert result.exit_code == 0, result.stderr
    assert "3 steps of 64 passages: 64 rows" in " ".join(result.stdout.split())
