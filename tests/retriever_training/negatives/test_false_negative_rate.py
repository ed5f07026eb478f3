"""The measured share of false negatives, by small data sets whose truth is known, and the sample to read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from rag.errors import UsageError
from rag.index.bm25 import Bm25Index
from retriever_training.negatives.candidates.records import Candidate, MinedNegatives, MiningContext
from retriever_training.negatives.denoising.audit import sample_for_audit
from retriever_training.negatives.denoising.false_negative_rate import (
    ALL_SOURCES,
    FalseNegativeRate,
    PartlyLabelledQuestion,
    RuleRemovals,
    measure,
    questions_from_answers,
    questions_from_qrels,
    questions_from_ratings,
)

PASSAGE_IDS = ["a", "b", "c", "d", "e"]


def candidates(source: str, *passages: int) -> tuple[Candidate, ...]:
    return tuple(
        Candidate(passage=passage, source=source, rank=rank, score=0.0)
        for rank, passage in enumerate(passages, start=1)
    )


def test_false_negatives_are_counted_as_found_and_after_cleaning() -> None:
    """Told a; b is right, c wrong, d and e unknown. Dense finds b, c, d and loses b; BM25 finds c, b and loses both."""
    told = [
        PartlyLabelledQuestion(
            query_id="q", question="?", passage_id="a", right=frozenset({"b"}), wrong=frozenset({"c"})
        )
    ]
    b, c, d = candidates("dense", 1, 2, 3)
    c_too, b_too = candidates("bm25", 2, 1)
    by_source = {
        "dense": [MinedNegatives((c, d), ((b, "near"),))],
        "bm25": [MinedNegatives((), ((b_too, "near"), (c_too, "close")))],
    }
    found = measure(told, by_source, PASSAGE_IDS, n=2)
    assert found.as_found == (
        FalseNegativeRate("dense", 2, 2, 1),
        FalseNegativeRate("bm25", 2, 2, 1),
        FalseNegativeRate(ALL_SOURCES, 2, 2, 1),
    )
    assert found.cleaned == (
        FalseNegativeRate("dense", 2, 1, 0),
        FalseNegativeRate("bm25", 0, 0, 0),
        FalseNegativeRate(ALL_SOURCES, 2, 1, 0),
    )
    assert set(found.removals) == {RuleRemovals("near", 1, 1, 0), RuleRemovals("close", 1, 0, 1)}
    assert (found.n_questions, found.n_candidates, found.n_hidden) == (1, 3, 1)


def test_the_interval_is_wilsons() -> None:
    """k = 1 of n = 10, z = 1.96: (.1 + .19207 ± 1.96 · √(.009 + .0096036)) / 1.38415."""
    assert FalseNegativeRate("dense", 10, 10, 1).interval(10) == pytest.approx((0.01788, 0.40415), abs=1e-4)


def ratings_file(folder: Path, *lines: tuple[str, str, str, str]) -> Path:
    file = folder / "feedback.jsonl"
    rows = [{"query_id": q, "passage_id": p, "rating": r, "split": s} for q, p, r, s in lines]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return file


def test_ratings_tell_the_labelled_passage_and_hide_what_people_found_acceptable(tmp_path: Path) -> None:
    """b: (2 + 3) / 2; c: (0 + 1) / 2; d: 1, between the two; of the other split nothing counts."""
    file = ratings_file(
        tmp_path,
        ("q", "a", "Bad", "test"),
        ("q", "b", "Acceptable", "test"),
        ("q", "b", "Excellent", "test"),
        ("q", "c", "Bad", "test"),
        ("q", "c", "Could be improved", "test"),
        ("q", "d", "Could be improved", "test"),
        ("q", "d", "Excellent", "dev"),
    )
    assert questions_from_ratings(file, "test", {"q": "?"}, {"q": {"a": 1}}) == [
        PartlyLabelledQuestion(
            query_id="q", question="?", passage_id="a", right=frozenset({"b"}), wrong=frozenset({"c"})
        )
    ]


def test_without_a_label_the_best_rated_passage_is_told(tmp_path: Path) -> None:
    file = ratings_file(
        tmp_path,
        ("q", "a", "Bad", "dev"),
        ("q", "b", "Excellent", "dev"),
        ("bad", "a", "Bad", "dev"),
        ("bad", "b", "Bad", "dev"),
    )
    assert questions_from_ratings(file, "dev", {"q": "?", "bad": "??"}, {}) == [
        PartlyLabelledQuestion(query_id="q", question="?", passage_id="b", right=frozenset(), wrong=frozenset({"a"}))
    ]


def test_a_line_that_is_no_rating_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="line 1: expected query_id"):
        questions_from_ratings(ratings_file(tmp_path, ("q", "a", "Superb", "dev")), "dev", {}, {})


def test_answers_make_every_passage_that_holds_one_right() -> None:
    """The second question's own passage does not hold its answer, so the answer's words say too little of it."""
    texts = {"a": "It opened in 1994.", "b": "1994 was warm", "c": "19945", "d": "nothing"}
    qrels = {"q": {"a": 1}, "r": {"d": 1}}
    (told,) = questions_from_answers({"q": "when", "r": "who"}, qrels, {"q": ["1994"], "r": ["1994"]}, texts)
    assert told == PartlyLabelledQuestion(
        query_id="q", question="when", passage_id="a", right=frozenset({"b"}), wrong=None
    )
    assert [told.truth(passage_id) for passage_id in "bcd"] == [True, False, False]


def test_of_several_labels_one_is_told_and_the_others_hidden() -> None:
    found = questions_from_qrels({"q": "?", "r": "??"}, {"q": {"a": 1, "b": 1, "c": 0}, "r": {"a": 1}}, seed=3)
    (told,) = found
    assert {told.passage_id} | told.right == {"a", "b"}
    assert (len(told.right), told.wrong) == (1, frozenset({"c"}))
    assert [told.truth(passage_id) for passage_id in ("c", "e")] == [False, None]
    assert found == questions_from_qrels({"q": "?", "r": "??"}, {"q": {"a": 1, "b": 1, "c": 0}, "r": {"a": 1}}, seed=3)


def test_the_sample_reads_every_outcome_of_every_source_alike() -> None:
    """Ninety kept and one removed: two of the kept, and the one."""
    ids = tuple(f"p{row}" for row in range(100))
    texts = [f"text {row}" for row in range(100)]
    vectors = np.eye(100, dtype=np.float32)
    mine = MiningContext(
        questions=("who?",),
        positives=(frozenset({99}),),
        rejected=((),),
        passage_ids=ids,
        question_vectors=vectors[:1],
        passage_vectors=vectors,
        lexical=Bm25Index.build(list(ids), texts),
    )
    kept = candidates("dense", *range(90))
    (gone,) = candidates("bm25", 95)
    by_source = {"dense": [MinedNegatives(kept)], "bm25": [MinedNegatives((), ((gone, "near"),))]}
    drawn = sample_for_audit(mine, by_source, texts, n=2, seed=1)
    assert [(row.source, row.removed) for row in drawn] == [("bm25", "near"), ("dense", None), ("dense", None)]
    assert drawn[0].as_json() == {
        "question": "who?",
        "positive": "text 99",
        "candidate": "text 95",
        "passage_id": "p95",
        "source": "bm25",
        "rank": 1,
        "score": 0.0,
        "removed": "near",
    }
    assert (
        drawn
        == sample_for_audit(mine, by_source, texts, n=2, seed=1)
        != sample_for_audit(mine, by_source, texts, n=2, seed=2)
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two questions, each with two right passages, one of which says it in capitals."""
    made = tmp_path / "twins"
    (made / "qrels").mkdir(parents=True)
    texts = {
        "soap": "Wash your hands with soap.",
        "SOAP": "WASH your hands, with soap",
        "mask": "Masks cover the nose.",
        "MASK": "masks cover THE nose",
        "bus": "The bus runs every ten minutes.",
    }
    corpus = [{"_id": passage_id, "title": "", "text": text} for passage_id, text in texts.items()]
    queries = [{"_id": "q1", "text": "how to wash hands"}, {"_id": "q2", "text": "what do masks cover"}]
    (made / "corpus.jsonl").write_text("".join(json.dumps(line) + "\n" for line in corpus), "utf-8")
    (made / "queries.jsonl").write_text("".join(json.dumps(query) + "\n" for query in queries), "utf-8")
    (made / "qrels" / "test.tsv").write_text("q1\tsoap\t1\nq1\tSOAP\t1\nq2\tmask\t1\nq2\tMASK\t1\n", "utf-8")
    return made


def test_the_command_prints_the_naive_rate_beside_the_cleaned_one(folder: Path, tmp_path: Path) -> None:
    """Both hidden passages are found by words and by meaning, and neither is left."""
    from ui.cli import app

    run = CliRunner().invoke(
        app,
        ["--data", str(tmp_path / "data"), "bench", "false-negatives", "--beir", str(folder), "--audit", "1", "--json"],
    )
    assert run.exit_code == 0, run.output
    printed = json.loads(run.stdout)
    assert (printed["n_questions"], printed["n_hidden"]) == (2, 2)
    naive = {rate["source"]: rate for rate in printed["naive"]}
    cleaned = {rate["source"]: rate for rate in printed["cleaned"]}
    assert naive["dense"]["n_false"] == naive["bm25"]["n_false"] == naive[ALL_SOURCES]["n_false"] == 2
    assert cleaned[ALL_SOURCES]["n_false"] == 0
    assert printed["removed"][0] == {"reason": "duplicate_of_positive", "n": 2, "n_right": 2, "n_wrong": 0}
    assert "duplicate_of_positive" in {audit_line["removed"] for audit_line in printed["audit"]}


def test_a_data_set_that_knows_one_right_passage_a_question_is_refused(folder: Path, tmp_path: Path) -> None:
    from ui.cli import app

    (folder / "qrels" / "test.tsv").write_text("q1\tsoap\t1\nq2\tmask\t1\n", "utf-8")
    run = CliRunner().invoke(app, ["--data", str(tmp_path / "data"), "bench", "false-negatives", "--beir", str(folder)])
    assert run.exit_code == 4
    assert "says of no question of 'test' what else is right" in run.output
