"""The benchmarks measure what they say; how fast anything is, no test says."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from typer.testing import CliRunner

from eval.bench.bm25 import measure_lexical, zipf_texts
from eval.bench.ingest import IngestBench, IngestRound, measure_ingest
from eval.bench.serving import measure_serving
from eval.bench.workloads.synthetic_library import fill_library, open_padded_library
from rag.embedding.passage_vectors import PassageVectors
from rag.errors import NotFoundError
from rag.library.library import Library
from ui.cli import app


@pytest.fixture
def beir(tmp_path):
    """Six passages, two of them with equal texts, and a question."""
    folder = tmp_path / "small"
    folder.mkdir()
    lines = [{"_id": f"p{n}", "title": "", "text": f"passage number {n % 5} of a small corpus"} for n in range(6)]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "queries.jsonl").write_text(json.dumps({"_id": "q", "text": "Which number?"}) + "\n")
    (folder / "qrels").mkdir()
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\tp1\t1\n")
    return folder


def test_made_up_texts_are_the_same_each_time_and_have_common_words():
    passages, questions = zipf_texts(50, 5)
    assert (passages, questions) == zipf_texts(50, 5)
    assert all(any(set(question.split()) <= set(passage.split()) for passage in passages) for question in questions)
    assert sum("w0" in passage.split() for passage in passages) > 25, "a word in most passages has rank-bm25's floor"


def test_all_libraries_score_the_same_questions():
    measured = measure_lexical(*zipf_texts(200, 5))
    assert (measured.n_passages, measured.n_questions) == (200, 5)
    assert measured.words_per_question == 16, "each as a stem and as a word"
    assert measured.largest_difference < 1e-9
    assert measured.upkeep.n_new == 20
    assert measured.times_faster == measured.rank_bm25.question_ms / measured.nightjar.question_ms


def test_the_lexical_benchmark_prints_json_alone():
    result = CliRunner().invoke(app, ["bench", "lexical", "--passages", "100", "--questions", "3", "--json"])
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    assert told["n_passages"] == 100
    assert told["largest_difference"] < 1e-9


def test_the_lexical_benchmark_takes_a_folder_and_says_what_it_compared(beir):
    result = CliRunner().invoke(app, ["bench", "lexical", "--beir", str(beir)])
    assert result.exit_code == 0
    assert "6 passages, 1 questions" in result.stdout
    assert "rank-bm25" in result.stdout
    assert "A file of 3 passages: added in" in result.stdout


def test_ingest_is_timed_in_turn_with_encoding_alone(beir, base_folder, tmp_path):
    steps: list[int] = []
    measured = measure_ingest(beir, base_folder, tmp_path / "work", n_rounds=2, progress=steps.append)
    assert measured.n_passages == 5, "equal texts are encoded once"
    assert measured.max_tokens == 128
    assert measured.precision == "fp32", "too few passages to try bf16"
    assert len(measured.rounds) == len(steps) == 2


def test_only_the_first_lines_are_ingested_where_a_limit_is_given(beir, base_folder, tmp_path):
    assert measure_ingest(beir, base_folder, tmp_path / "work", limit=3, n_rounds=1).n_passages == 3


def test_a_folder_without_a_corpus_is_refused(base_folder, tmp_path):
    with pytest.raises(NotFoundError, match=r"corpus\.jsonl"):
        measure_ingest(tmp_path, base_folder, tmp_path / "work")


def test_the_ratio_is_the_median_of_the_rounds():
    """10 passages; ratios 2, 0.5 and 1 → 1; ingest 10, 5 and 5 a second → 5; encoding 5, 10 and 5 → 5."""
    measured = IngestBench(
        n_passages=10,
        max_tokens=128,
        n_threads=2,
        precision="fp32",
        rounds=(IngestRound(1, 2), IngestRound(2, 1), IngestRound(2, 2)),
    )
    assert (measured.ratio, measured.ingest_per_s, measured.encode_per_s) == (1, 5, 5)


class _Answers(BaseHTTPRequestHandler):
    """A server that fails its third request and changes its version with the fifth."""

    n_asked = 0

    def do_GET(self) -> None:
        type(self).n_asked += 1
        version = "old" if self.n_asked < 5 else "new"
        body = json.dumps({"hits": [1], "encoder_id": version}).encode()
        self.send_response(500 if self.n_asked == 3 else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *said: object) -> None:
        pass


def test_the_serving_benchmark_counts_failures_and_sees_the_switch():
    with HTTPServer(("127.0.0.1", 0), _Answers) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        measured = measure_serving(f"http://127.0.0.1:{server.server_port}", ["a", "b"], seconds=0.1, per_second=80)
        server.shutdown()
        thread.join()
    assert measured.n_requests == _Answers.n_asked == 8
    assert measured.versions == ("old", "new")
    assert len(measured.failures) == 1
    assert "request 3" in measured.failures[0]
    assert measured.p50_ms and measured.p95_ms and measured.max_ms
    assert 0 < measured.p50_ms <= measured.p95_ms <= measured.max_ms


def test_the_serving_benchmark_without_a_server_has_failures_and_no_times():
    measured = measure_serving("http://127.0.0.1:9", ["a"], seconds=0.1, per_second=10)
    assert len(measured.failures) == 1
    assert measured.versions == ()
    assert (measured.p50_ms, measured.p95_ms, measured.max_ms) == (None, None, None)


def test_a_padded_library_keeps_the_real_passages_and_is_left_as_it_is(beir, base_encoder, tmp_path):
    engine = open_padded_library(tmp_path / "work")
    assert fill_library(engine, beir, base_encoder, 40, seed=1) == 6
    ids, matrix = PassageVectors(engine, base_encoder.passage_side).matrix()
    assert (len(ids), Library(engine).n_passages()) == (40, 40)
    real = base_encoder.encode_passages(["passage number 0 of a small corpus"])[0]
    assert sum(matrix @ real > 0.999) == 2, "p0 and p5"
    padding = matrix[[library_source(engine, passage_id).startswith("padding/") for passage_id in ids]]
    assert ((padding @ real) < 0.95).all()
    assert fill_library(engine, beir, base_encoder, 40, seed=1) == 6
    assert PassageVectors(engine, base_encoder.passage_side).matrix()[0] == ids
    engine.dispose()


def library_source(engine, passage_id: str) -> str:
    return Library(engine).get([passage_id])[passage_id].source


@pytest.mark.parametrize("alone", [True, False])
def test_the_search_benchmark_times_both_on_the_same_questions(beir, tmp_path, alone):
    if not alone:
        pytest.importorskip("langchain_chroma")
        pytest.importorskip("langchain_classic")
    words = ["--data", str(tmp_path / "data"), "bench", "search", "--beir", str(beir), "--split", "test"]
    result = CliRunner().invoke(app, [*words, "--passages", "60", "--json", *(["--alone"] if alone else [])])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert (told["n_passages"], told["n_real"], told["n_questions"]) == (60, 6, 1)
    assert set(told["stages"]) == {"encode", "dense", "lexical", "fetch", "fusion"}
    assert 0 < told["stages"]["encode"]["median_ms"] < told["nightjar"]["whole"]["median_ms"]
    assert told["first_answer"]["median_ms"] > 0
    assert 0 < told["nightjar"]["ndcg"] <= 1
    assert (told["theirs"] is None) == (told["times_faster"] is None) == alone
