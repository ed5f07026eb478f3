"""`nightjar eval retrieval` and `nightjar simulate`, as a person calls them, on a library with the real encoder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from eval.datasets.beir import load_beir
from eval.statistics.ranking_metrics import ALL_MEASURES
from rag.app.app import open_app
from rag.errors import UsageError
from rag.settings import Settings
from tests.fixtures.nightjar_command import nightjar
from tests.rag.retrieval.test_cross_encoder import saved
from ui.commands import demo

TEXTS = {
    "bees": ("Bees", "Honey bees dance to tell each other where flowers are."),
    "wasps": ("Wasps", "Wasps chew wood into paper and build their nests with it."),
    "ants": ("Ants", "Leafcutter ants grow a fungus on the leaves that they carry home."),
    "moths": ("Moths", "Moths steer by the moon and circle around lamps."),
}
QUESTIONS = {
    "q1": ("How do bees say where to find food?", "bees"),
    "q2": ("Which insect makes paper?", "wasps"),
    "q3": ("Who farms mushrooms underground?", "ants"),
    "q4": ("Why do insects fly around a light at night?", "moths"),
}


def a_dataset(folder: Path, texts: dict[str, tuple[str, str]] = TEXTS) -> Path:
    (folder / "qrels").mkdir(parents=True)
    corpus = [{"_id": name, "title": title, "text": text} for name, (title, text) in texts.items()]
    queries = [{"_id": name, "text": text} for name, (text, _) in QUESTIONS.items()]
    qrels = "query-id\tcorpus-id\tscore\n" + "".join(f"{name}\t{right}\t1\n" for name, (_, right) in QUESTIONS.items())
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, corpus)), "utf-8")
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)), "utf-8")
    for split in ("train", "test"):
        (folder / "qrels" / f"{split}.tsv").write_text(qrels, "utf-8")
    return folder


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(state directory, data set): the four passages are ingested."""
    folder = tmp_path_factory.mktemp("state")
    dataset = a_dataset(folder / "insects")
    assert nightjar(folder / "data", "ingest", "--beir", str(dataset)).exit_code == 0
    return folder / "data", dataset


def test_scores_are_printed_as_the_interface_says(state: tuple[Path, Path]) -> None:
    data, dataset = state
    printed = json.loads(nightjar(data, "eval", "retrieval", "--dataset", str(dataset), "--json").stdout)
    assert (printed["dataset"], printed["split"], printed["n_questions"]) == ("insects", "test", 4)
    assert set(printed["fused"]) == set(ALL_MEASURES)
    assert printed["fused"]["Judged@10"] == 0.25  # one of four passages was judged for each question
    assert printed["dense"]["nDCG@10"] == 1.0  # four passages, four plain questions
    assert printed["fused"]["RR@10"] == 1.0
    assert printed["slices"]["unseen"]["n_questions"] == 4
    assert printed["slices"]["seen"]["fused"]["nDCG@10"] is None


def test_the_demo_prints_its_table_of_both_versions(state: tuple[Path, Path], capsys: pytest.CaptureFixture) -> None:
    """It shows three measures, however many there are."""
    data, dataset = state
    app = open_app(Settings(data=data))
    demo._measured(app, load_beir(dataset), app.current(), app.current())
    app.close()
    printed = capsys.readouterr().out
    assert printed.count("base, served") == printed.count("new version, served") == 2  # of all, and of the unseen
    assert "1.000 (1.000 to 1.000)" in printed


def test_a_reranker_that_the_settings_name_is_measured_beside_what_is_served(
    state: tuple[Path, Path], base_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cross-encoder that nobody trained: what it says is noise, and that shows as a difference with an interval."""
    data, dataset = state
    words = ("eval", "retrieval", "--dataset", str(dataset))
    assert "reranked" not in json.loads(nightjar(data, *words, "--json").stdout)
    monkeypatch.setenv("NIGHTJAR__RETRIEVAL__RERANKER", str(saved(base_folder, tmp_path / "tiny", n_labels=1)))
    printed = json.loads(nightjar(data, *words, "--json").stdout)
    assert printed["reranked"]["served"].items() <= printed["fused"].items()
    assert printed["reranked"]["n_questions"] == 4
    assert printed["reranked"]["n_cut"] == 0
    assert "ms a question" in nightjar(data, *words).stdout


def test_both_searches_by_their_ranks_stand_beside_what_is_served(state: tuple[Path, Path]) -> None:
    data, dataset = state
    assert "by ranks" in nightjar(data, "eval", "retrieval", "--dataset", str(dataset)).stdout


def test_table_shows_no_slice_where_nothing_was_trained(state: tuple[Path, Path]) -> None:
    data, dataset = state
    result = nightjar(data, "eval", "retrieval", "--dataset", str(dataset))
    assert "all questions (4)" in result.stdout
    assert "passage" not in result.stdout  # nothing was trained, so the slices say nothing new
    assert "1.000 (1.000 to 1.000)" in result.stdout


def test_training_of_another_version_decides_what_is_seen(state: tuple[Path, Path]) -> None:
    from rag.app.app import open_app
    from rag.settings import load_settings

    data, dataset = state
    app = open_app(load_settings(data))
    version, ids = app.current(), app.library.resolve(["bees"])
    app.close()
    positives = version.folder / "training_positives.json"
    positives.write_text(json.dumps([ids["bees"]]), "utf-8")
    words = ("eval", "retrieval", "--dataset", str(dataset), "--seen-from", version.encoder_id[:8], "--json")
    try:
        printed = json.loads(nightjar(data, *words).stdout)
        table = nightjar(data, *words[:-1]).stdout
    finally:
        positives.unlink()
    assert printed["slices"]["seen"]["n_questions"] == 1
    assert printed["slices"]["unseen"]["n_questions"] == 3
    assert "passage seen in training (1)" in table
    assert "passage never seen (3)" in table


def test_what_is_measured_is_what_is_served(state: tuple[Path, Path]) -> None:
    from eval.retrieval.evaluate import evaluate_retrieval
    from rag.app.app import open_app
    from rag.settings import load_settings

    app = open_app(load_settings(state[0]))
    try:
        passage_ids, vectors = app.vectors().matrix()
        questions = {name: text for name, (text, _) in QUESTIONS.items()}
        scores = evaluate_retrieval(
            questions,
            {name: {passage_ids[0]: 1} for name in questions},
            encode_queries=app.open_encoder().encode_queries,
            passage_ids=passage_ids,
            passage_vectors=vectors,
            lexical=app.lexical(),
            weight=app.current().lexical_weight,
        )
        for name, text in questions.items():
            served = tuple(hit.passage.passage_id for hit in app.retriever.search(text, 10))
            assert scores.top_ten[name] == served
    finally:
        app.close()


def test_data_set_that_was_not_ingested_is_refused_with_the_command_that_helps(
    state: tuple[Path, Path], tmp_path: Path
) -> None:
    strange = a_dataset(tmp_path / "strange", TEXTS | {"flies": ("Flies", "Flies taste with their feet.")})
    with pytest.raises(UsageError, match=r"1 of 5 passages of 'strange' .* run \"nightjar ingest --beir"):
        nightjar(state[0], "eval", "retrieval", "--dataset", str(strange))


def test_library_that_holds_more_says_so(state: tuple[Path, Path], tmp_path: Path) -> None:
    smaller = a_dataset(tmp_path / "smaller", {name: TEXTS[name] for name in ("bees", "wasps", "ants")})
    result = nightjar(state[0], "eval", "retrieval", "--dataset", str(smaller))
    assert "the library holds more than 'smaller' (1 passages)" in result.stderr
    assert "that 'smaller' does not have: 1 of its judgments, first 'q4', 'moths'" in result.stderr


def test_simulated_people_vote_once_and_the_same_again(state: tuple[Path, Path]) -> None:
    data, dataset = state
    words = ("simulate", "--dataset", str(dataset), "--questions", "4", "--error", "0", "--json")
    first, again = (json.loads(nightjar(data, *words).stdout) for _ in range(2))
    assert first["n_questions"] == 4
    assert first["n_wrong_votes"] == 0
    assert first["votes"]["helpful"] == first["n_turns"] == first["n_new_votes"]  # each right passage stands on top
    assert again == first | {"n_new_votes": 0}
    assert "0 of them wrong" in nightjar(data, *words[:-1]).stdout
