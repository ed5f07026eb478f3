"""Lines and bars for declining, from questions with their right passages and without them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from rag.app.app import open_app
from rag.generation.abstention import (
    ABSTENTION_FILE,
    NO_EVIDENCE,
    SHIPPED_THRESHOLD,
    AnswerabilityFeatures,
    load_threshold,
)
from rag.index.bm25 import Bm25Index
from rag.records import Passage
from rag.settings import Settings
from retriever_training.abstention.fit import FALSE_DECLINE_RATE, at_false_decline_rate, fit_abstention
from retriever_training.abstention.leave_out_examples import (
    AbstentionExample,
    AnswerableQuestions,
    SearchableLibrary,
    out_of_domain,
    with_and_without_positives,
)
from retriever_training.bench.abstention import SetExamples, fit_threshold, leave_one_out_figures, threshold_figures
from tests.fixtures import jargon
from tests.fixtures.jargon import PRODUCTS, TASKS
from tests.rag.generation.test_generator import Everywhere
from ui.cli import app as cli

SIGNS = AnswerabilityFeatures(meaning=0.5, words=0.5, passage=0.5, gap=0.3, crowd=0.4, is_strange=False, has_words=True)


def example(words: float, *, is_answered: bool, meaning: float = 0.5) -> AbstentionExample:
    return AbstentionExample(replace(SIGNS, words=words, meaning=meaning), is_answered, meaning)


def examples(n: int = 40) -> list[AbstentionExample]:
    """Where the words are there the question is answered, but for a few."""
    rng = np.random.default_rng(0)
    right = [example(float(rng.uniform(0.4, 1.0)), is_answered=True) for _ in range(n)]
    return right + [example(float(rng.uniform(0.0, 0.6)), is_answered=False) for _ in range(n)]


def test_a_line_learns_which_sign_tells():
    seen = examples()
    bar = fit_abstention(seen, np.ones(len(seen)))
    assert bar.sureness(replace(SIGNS, words=0.9)) > 0.9
    assert bar.sureness(replace(SIGNS, words=0.1)) < 0.1
    assert bar.by_meaning.weights[1:3] == (0.0, 0.0)


def test_few_questions_hardly_move_a_line_that_is_held():
    seen = examples(4)
    held = fit_abstention(seen, np.ones(len(seen)), SHIPPED_THRESHOLD, ridge=1e6)
    assert held.by_words.weights == pytest.approx(SHIPPED_THRESHOLD.by_words.weights, abs=1e-3)
    assert held.least == SHIPPED_THRESHOLD.least


def test_an_example_of_weight_nought_counts_for_nothing():
    seen = examples()
    wrong = [example(0.9, is_answered=False) for _ in range(40)]
    alone, beside = fit_abstention(seen, np.ones(80)), fit_abstention(seen + wrong, np.r_[np.ones(80), np.zeros(40)])
    assert beside.by_words.weights == pytest.approx(alone.by_words.weights)


def test_the_bar_declines_three_in_a_hundred_answered_questions():
    seen = [example(words, is_answered=True) for words in np.linspace(0, 1, 100)]
    bar = at_false_decline_rate(SHIPPED_THRESHOLD, [*seen, *(example(0.0, is_answered=False) for _ in range(50))])
    assert sum(bar.sureness(example.signs) < bar.least for example in seen) == round(100 * FALSE_DECLINE_RATE)


def holdings() -> SearchableLibrary:
    texts = ["The lamp is red.", "The pump weighs 12 kg.", "The door is open."]
    passages = [
        Passage(
            passage_id=f"p{n}", document_id="d", source="d.txt", title="", heading="", text=text, start=0, end=len(text)
        )
        for n, text in enumerate(texts)
    ]
    return SearchableLibrary(passages, np.eye(3, dtype=np.float32), Bm25Index.build(["p0", "p1", "p2"], texts), 0.2)


def test_a_question_is_seen_with_its_passage_and_without_it():
    asked = AnswerableQuestions(["How heavy is the pump?"], np.eye(3, dtype=np.float32)[1:2], [[1]])
    ((there, gone),) = with_and_without_positives(holdings(), asked, Everywhere(), k=2)
    assert (there.is_answered, gone.is_answered) == (True, False)
    assert (there.best_cosine, gone.best_cosine) == (1.0, 0.0)
    assert (there.signs.words, gone.signs.words) == (1.0, 0.0)


def test_a_question_whose_passage_is_not_shown_is_not_answered():
    asked = AnswerableQuestions(["Which lamp?"], np.eye(3, dtype=np.float32)[0:1], [[2]])
    ((there, _),) = with_and_without_positives(holdings(), asked, Everywhere(), k=1)
    assert not there.is_answered


def test_nothing_is_seen_of_a_question_whose_passages_are_the_whole_library():
    asked = AnswerableQuestions(["Which lamp?"], np.eye(3, dtype=np.float32)[0:1], [[0, 1, 2]])
    ((_, gone),) = with_and_without_positives(holdings(), asked, Everywhere(), k=3)
    assert gone.signs == NO_EVIDENCE


def test_each_set_is_measured_by_the_lines_of_the_others():
    right, wrong = examples()[:40], examples()[40:]
    words_tell = SetExamples(tuple(right), tuple(wrong), tuple(wrong))
    words_lie = SetExamples(
        tuple(replace(example, is_answered=True) for example in wrong),
        tuple(replace(example, is_answered=False) for example in right),
        tuple(right),
    )
    assert threshold_figures(fit_threshold([words_tell]), words_tell)["auroc"] > 0.8
    assert leave_one_out_figures({"a": words_tell, "b": words_tell})["a"]["auroc"] > 0.8
    assert leave_one_out_figures({"a": words_tell, "b": words_lie})["a"]["auroc"] < 0.2


def test_others_questions_are_seen_as_unanswered():
    asked = AnswerableQuestions(["Where is Mars?"], np.zeros((1, 3), np.float32), [()])
    assert [example.is_answered for example in out_of_domain(holdings(), asked, Everywhere(), k=2)] == [False]


# ---- the library's own bar


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty-eight sections, each with a heading that somebody might ask for."""
    folder = tmp_path_factory.mktemp("calibrated")
    (folder / "manuals").mkdir()
    for product in list(PRODUCTS)[:8]:
        sections = [
            f"## {question.format(product)}\n\n{answer.format('The ' + product)}"
            for question, answer in list(TASKS.items())[:6]
        ]
        (folder / "manuals" / f"{product}.md").write_text(
            f"# Manual of the {product}\n\n" + "\n\n".join(sections), "utf-8"
        )
    run(folder / "data", "ingest", str(folder / "manuals"))
    return folder / "data"


def run(data: Path, *arguments: str) -> str:
    result = CliRunner().invoke(cli, ["--data", str(data), *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_calibrate_finds_the_height_of_the_bar_on_the_library_itself(data):
    made = json.loads(run(data, "calibrate", "--json"))
    app = open_app(Settings(data=data))
    kept = load_threshold(data, app.current().encoder_id)
    app.close()
    assert kept.by_words == SHIPPED_THRESHOLD.by_words
    assert kept.least == made["bar"]["least"] != SHIPPED_THRESHOLD.least
    assert made["declined"] <= 0.1
    assert made["n_questions"]["the library"] >= 30


def test_calibrate_says_so_where_the_library_is_too_small(tmp_path):
    (tmp_path / "a.md").write_text("# Paris\n\nParis is the capital of France.", "utf-8")
    run(tmp_path / "data", "ingest", str(tmp_path / "a.md"))
    result = CliRunner().invoke(cli, ["--data", str(tmp_path / "data"), "calibrate"])
    assert result.exit_code == 4
    assert "30 are needed" in result.output


def test_a_night_that_promotes_fits_the_line_on_what_people_marked(manuals):
    app = open_app(Settings(data=manuals))
    jargon.vote(app, jargon.questions())
    run(manuals, "nightly", "--tier", "1")
    kept = load_threshold(manuals, app.current().encoder_id)
    found_by = json.loads((manuals / ABSTENTION_FILE).read_text("utf-8"))["found_on"]
    assert app.current().tier == 1
    app.close()
    assert kept.by_words != SHIPPED_THRESHOLD.by_words
    assert list(found_by) == ["people"]
    assert found_by["people"] >= 50
