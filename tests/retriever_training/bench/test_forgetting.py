"""What a version forgot: figures by hand, a night's version on another set, and nights whose gate decides on votes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from eval.datasets.beir import load_beir
from rag.embedding.encoder import Encoder
from rag.errors import UsageError
from rag.index.bm25 import Bm25Index
from rag.records import Passage
from retriever_training.bench.forgetting import (
    MIN_MEAN_CHANGE,
    SetComparison,
    WeightedModel,
    check_not_trained_on,
    compare_with_base,
    judge_forgetting,
    mean_changes,
    measure_model,
    read_model,
    served_change,
    summarise_set,
)
from retriever_training.bench.forgetting_nights import SimulatedNights, SimulatedUse, simulate_nights
from retriever_training.bench.harness.disk_cache import cached_figures, cached_vectors
from retriever_training.bench.harness.reported_set import ReportedSet
from retriever_training.bench.simulated_library import SimulatedLibrary
from retriever_training.progress import no_progress
from retriever_training.simulation.simulated_users import Behaviour
from tests.fixtures import jargon
from ui.cli import app

DIM, N_PASSAGES, N_ASKED, N_GOLDEN = 12, 60, 420, 150


def values(**by_question: float) -> dict[str, dict[str, float]]:
    return {"dense": dict(by_question), "served": dict(by_question)}


# ---- figures


def test_a_set_is_compared_question_by_question_after_averaging_over_seeds() -> None:
    first = SetComparison(values(q=0.5, r=0.5), values(q=1.0, r=0.5), {"q": 0.5, "r": 0.0})
    second = SetComparison(values(q=0.5, r=0.5), values(q=0.5, r=0.5), {"q": 0.5, "r": 0.0})
    told = summarise_set("a set", [first, second])
    assert (told["served"]["base"], told["served"]["version"], told["served"]["difference"]) == (0.5, 0.625, 0.125)
    assert told["own_weights"]["difference"] == 0.375, "beside the base at its own weight"
    assert told["served_by_seed"] == [0.25, 0.0]


def test_a_large_set_counts_no_more_than_a_small_one() -> None:
    many = [f"q{n}" for n in range(50)]
    before, after = dict.fromkeys(many, 0.5), dict.fromkeys(many, 0.4)
    large = SetComparison(values(**before), values(**after), before)
    small = SetComparison(values(q=0.0, r=0.0), values(q=0.2, r=0.2), {"q": 0.1, "r": 0.1})
    mean = mean_changes({"large": [large], "small": [small]})
    assert mean["served"]["difference"] == mean["dense"]["difference"] == 0.05
    assert mean["own_weights"]["difference"] == 0.0, "the base serves the small set better at its own weight"


@pytest.mark.parametrize(("mean", "holds"), [(-0.0049, True), (-0.0051, False)])
def test_the_mean_decides_and_the_worst_set_is_named(mean: float, holds: bool) -> None:
    sets = [{"name": name, "served": {"difference": change}} for name, change in (("a", 0.01), ("b", -0.02))]
    said = judge_forgetting(sets, {"difference": mean})
    assert (said["holds"], said["bar"]) == (holds, MIN_MEAN_CHANGE)
    assert (said["worst_set"], said["worst"], said["n_sets_below"]) == ("b", -0.02, 1)


# ---- what is kept


def test_vectors_are_made_once_for_the_same_texts_by_the_same_encoder(tmp_path: Path) -> None:
    made: list[Sequence[str]] = []

    def encode(texts: Sequence[str]) -> np.ndarray:
        made.append(texts)
        return np.ones((len(texts), 2), np.float32)

    for encoded_by, texts in (("a", ["x", "y"]), ("a", ["x", "y"]), ("b", ["x", "y"]), ("a", ["xy"])):
        assert cached_vectors(tmp_path, encoded_by, texts, encode).shape == (len(texts), 2)
    assert len(made) == 3


def test_figures_are_made_once(tmp_path: Path) -> None:
    assert cached_figures(tmp_path / "below" / "one.json", lambda: {"n": 1}) == {"n": 1}
    assert cached_figures(tmp_path / "below" / "one.json", lambda: {"n": 2}) == {"n": 1}


# ---- a version on another set


def write_beir(folder: Path, products: list[str], *, train: bool) -> Path:
    """Manuals of some products; three tasks of four train (or test, where nothing trains), the others are dev and test."""
    (folder / "qrels").mkdir(parents=True)
    corpus, queries, qrels = [], [], {"train": [], "dev": [], "test": []}
    for product in products:
        for number, (task, answer) in enumerate(jargon.TASKS.items()):
            name = f"{product}-{number}"
            corpus.append({"_id": f"p-{name}", "title": "", "text": answer.format(jargon.PRODUCTS[product])})
            queries.append({"_id": f"q-{name}", "text": task.format(product)})
            split = ("train", "train", "dev", "test")[number % 4] if train else "test"
            qrels[split].append(f"q-{name}\tp-{name}\t1")
    (folder / "corpus.jsonl").write_text("".join(json.dumps(line) + "\n" for line in corpus))
    (folder / "queries.jsonl").write_text("".join(json.dumps(line) + "\n" for line in queries))
    for split, lines in qrels.items():
        (folder / "qrels" / f"{split}.tsv").write_text("query-id\tcorpus-id\tscore\n" + "\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Eight products that are trained on, and four others."""
    below = tmp_path_factory.mktemp("sets")
    products = list(jargon.PRODUCTS)
    return (
        write_beir(below / "learnt", products[:8], train=True),
        write_beir(below / "elsewhere", products[8:12], train=False),
    )


@pytest.fixture(scope="module")
def elsewhere(
    folders: tuple[Path, Path], base_encoder: Encoder, tmp_path_factory: pytest.TempPathFactory
) -> ReportedSet:
    return ReportedSet.open(
        load_beir(folders[1]), "test", base_encoder, tmp_path_factory.mktemp("vectors"), no_progress
    )


def test_the_base_has_forgotten_nothing(elsewhere: ReportedSet) -> None:
    found = compare_with_base(elsewhere, elsewhere.asked, elsewhere.passages, 0.15, 0.25)
    assert found.base == found.version
    assert served_change(found) == 0.0
    assert found.installed != found.base["served"], "BM25 counts more there"


def test_the_base_as_a_model_is_measured_without_encoding_a_passage(
    elsewhere: ReportedSet, base_encoder: Encoder, tmp_path: Path
) -> None:
    begun: list[str] = []

    def watch(stage: str, _total: int):
        begun.append(stage)
        return lambda n: None

    found = measure_model(elsewhere, base_encoder, WeightedModel(base_encoder.folder, 0.25), 0.25, tmp_path, watch)
    assert begun == []
    assert served_change(found) == pytest.approx(0.0, abs=1e-6)


def test_a_version_says_how_much_bm25_counts_and_others_get_the_usual(tmp_path: Path) -> None:
    assert read_model(tmp_path, 0.25) == WeightedModel(tmp_path, 0.25)
    (tmp_path / "retrieval.json").write_text('{"lexical_weight": 0.4}')
    assert read_model(tmp_path, 0.25) == WeightedModel(tmp_path, 0.4)


def test_the_set_that_was_trained_on_is_refused(elsewhere: ReportedSet) -> None:
    with pytest.raises(UsageError, match="'elsewhere' is what the version is trained on"):
        check_not_trained_on([elsewhere], elsewhere)


def test_a_night_of_tier_1_is_measured_on_what_it_learnt_and_elsewhere(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    learnt, other = map(str, folders)
    flags = ["--train", learnt, "--on", other, "--out", str(tmp_path / "kept"), "--json"]
    data = ["--data", str(tmp_path / "data")]
    result = CliRunner().invoke(app, [*data, "bench", "forgetting", *flags])
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert told["trained_on"]["name"] == "learnt"
    assert told["trained_on"]["served"]["difference"] > 0.05
    assert [dataset["name"] for dataset in told["sets"]] == ["elsewhere"]
    assert told["mean"]["served"]["difference"] == told["sets"][0]["served"]["difference"]
    assert told["verdict"]["holds"] == (told["mean"]["served"]["difference"] >= MIN_MEAN_CHANGE)
    (version,) = (tmp_path / "kept").glob("trained-on-*/versions/tier1-13")
    again = CliRunner().invoke(app, [*data, "bench", "forgetting", "--model", str(version), "--on", other])
    assert again.exit_code == 0, again.stderr
    assert "forgotten" in again.stdout.lower()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], "given by nothing"),
        (["--model", "m", "--train", "t"], "given by --model and --train"),
        (["--model", "m", "--nights", "3"], "--nights 3 runs nights of tier 1"),
        (["--train", "t", "--plot", "p.svg"], "there are none: give --nights"),
    ],
)
def test_what_does_not_fit_together_is_refused_before_anything_is_encoded(flags: list[str], said: str) -> None:
    result = CliRunner().invoke(app, ["bench", "forgetting", "--on", "x", *flags])
    assert isinstance(result.exception, UsageError) or result.exit_code == 2
    assert said in f"{result.exception} {result.stderr}"


# ---- nights


def unit(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def made_up(
    name: str, rng: np.random.Generator, n: int, turned: np.ndarray
) -> tuple[ReportedSet, dict[str, frozenset]]:
    """Passages anywhere, and questions that lie where their passage is, but for *turned*."""
    matrix = unit(rng.normal(size=(N_PASSAGES, DIM)))
    ids = tuple(f"p{index}" for index in range(N_PASSAGES))
    texts = tuple(f"passage{index}" for index in range(N_PASSAGES))
    right = rng.integers(N_PASSAGES, size=n)
    vectors = unit(matrix[right] @ turned + 0.2 * rng.normal(size=(n, DIM)))
    questions = {f"q{index}": f"{name}{index} thing{index}" for index in range(n)}
    qrels = {query_id: {ids[row]: 1} for query_id, row in zip(questions, right, strict=True)}
    labels = {text: frozenset(qrels[query_id]) for query_id, text in questions.items()}
    some = ReportedSet(
        name=name,
        sha256=name,
        passage_ids=ids,
        texts=texts,
        lexical=Bm25Index.build(ids, texts),
        questions=questions,
        qrels=qrels,
        passages=matrix,
        asked=vectors,
    )
    return some, labels


@pytest.fixture(scope="module")
def lived(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[SimulatedLibrary, ReportedSet, ReportedSet, Path, SimulatedNights]:
    """Four nights in a library whose base is wrong about two pairs of axes; elsewhere it is right about them."""
    rng = np.random.default_rng(5)
    turned = np.eye(DIM)
    for axis in (0, 2):
        turned[axis : axis + 2, axis : axis + 2] = [[0.2, 1.0], [-1.0, 0.2]]
    every, labels = made_up("ask", rng, N_ASKED + N_GOLDEN, turned)
    golden = dict(list(every.questions.items())[N_ASKED:])
    own = ReportedSet(
        name=every.name,
        sha256=every.sha256,
        passage_ids=every.passage_ids,
        texts=every.texts,
        lexical=every.lexical,
        questions=golden,
        qrels={name: every.qrels[name] for name in golden},
        passages=every.passages,
        asked=every.asked[N_ASKED:],
    )
    other, _ = made_up("elsewhere", rng, 100, np.eye(DIM))
    passages = [
        Passage(passage_id=name, document_id=name, source=name, title="", heading="", text=text, start=0, end=9)
        for name, text in zip(every.passage_ids, every.texts, strict=True)
    ]
    world = SimulatedLibrary(
        passages=passages,
        matrix=every.passages,
        lexical=every.lexical,
        asked=dict(list(labels.items())[:N_ASKED]),
        golden=dict(list(labels.items())[N_ASKED:]),
        query_vector_of=dict(zip(labels, every.asked, strict=True)),
    )
    folder = tmp_path_factory.mktemp("nights")
    return (
        world,
        own,
        other,
        folder,
        simulate_nights(world, own, [other], SimulatedUse(4, Behaviour(error=0.1, voices=3), 1), folder),
    )


def test_nights_gain_where_people_ask_and_show_what_they_cost_elsewhere(lived: tuple) -> None:
    *_, found = lived
    assert [night.night for night in found.nights] == [1, 2, 3, 4]
    assert found.nights[0].n_asked < found.nights[3].n_asked <= N_ASKED
    last = found.nights[-1]
    assert any(night.decision == "promoted" for night in found.nights)
    assert last.own == pytest.approx(served_change(found.own), abs=1e-5) and last.own > 0.05
    assert last.elsewhere["elsewhere"] < MIN_MEAN_CHANGE, (
        "what is turned here is straight there, and the curve has to show it"
    )
    assert last.mean_elsewhere == last.elsewhere["elsewhere"]


def test_nothing_changes_in_a_night_that_promotes_nothing(lived: tuple) -> None:
    *_, found = lived
    changes = [(0.0, {"elsewhere": 0.0}), *((night.own, night.elsewhere) for night in found.nights)]
    for before, night in zip(changes, found.nights, strict=False):
        if night.decision != "promoted":
            assert (night.own, night.elsewhere) == before


def test_the_same_life_is_read_and_not_learnt_again(lived: tuple) -> None:
    world, own, other, folder, before = lived
    files = {file: file.stat().st_mtime_ns for file in folder.rglob("*.json")}
    again = simulate_nights(world, own, [other], SimulatedUse(4, Behaviour(error=0.1, voices=3), 1), folder)
    assert again == before
    assert {file: file.stat().st_mtime_ns for file in folder.rglob("*.json")} == files
