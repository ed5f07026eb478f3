"""Measures of answers, each against hand-worked values: SQuAD's, ALCE's, K-Precision, AURC, the table of declining."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine

from eval.answers.abstention_table import AbstentionTable, abstention_table
from eval.answers.answer_metrics import (
    area_under_risk_coverage,
    contains_any_answer,
    exact_match,
    nugget_recall,
    risk_coverage,
    token_f1,
)
from eval.answers.answer_scores import score_answers
from eval.answers.ask_questions import (
    AnswerOutcome,
    NullFeedback,
    PerQuestionCachedEncoder,
    ask_questions,
    rank_of_right_hit,
)
from eval.answers.citation_metrics import alce_scores, supports_by_spans
from eval.answers.faithfulness import facts_supported, k_precision
from eval.answers.measure_answer import AnswerRow, leading_statement, measure_answer
from eval.datasets.golden_questions import Nugget
from eval.datasets.question_sets import EvalQuestion
from rag.generation.abstention import SHIPPED_THRESHOLD
from rag.records import Answer, Citation, Hit, Passage


def a_passage(passage_id: str, text: str = "Owls hunt at night.", title: str = "Birds") -> Passage:
    return Passage(
        passage_id=passage_id,
        document_id="d",
        source="birds.md",
        title=title,
        heading="",
        text=text,
        start=0,
        end=len(text),
    )


# ---- SQuAD

SQUAD = {
    # The cases of the documentation of the metric "squad" in Hugging Face's evaluate.
    "all right": ([("1976", "1976")], 1.0, 1.0),
    "none right": ([("1999", "1976")], 0.0, 0.0),
    "two of three": (
        [("1976", "1976"), ("Beyonce", "Beyoncé and Bruno Mars"), ("climate change", "climate change")],
        2 / 3,
        2 / 3,
    ),
    # By hand, from the rules: lower case, no punctuation, no articles, one blank.
    "articles": ([("a Denver Broncos", "The Denver Broncos!")], 1.0, 1.0),
    "half": ([("in the year 1903", "1903")], 0.0, 0.5),  # in, year, 1903: precision 1/3, recall 1
    "repeated": ([("no no no", "no no")], 0.0, 0.8),  # two shared of three and of two
}


@pytest.mark.parametrize("name", SQUAD)
def test_exact_match_and_f1_are_squads(name: str) -> None:
    pairs, exact, f1 = SQUAD[name]
    assert sum(exact_match(answer, [gold]) for answer, gold in pairs) / len(pairs) == pytest.approx(exact)
    assert sum(token_f1(answer, [gold]) for answer, gold in pairs) / len(pairs) == pytest.approx(f1)


def test_best_of_several_gold_answers_counts() -> None:
    assert exact_match("Santa Clara", ["Levi's Stadium", "santa clara."]) == 1.0
    assert token_f1("Santa Clara stadium", ["Santa Clara", "Levi's"]) == pytest.approx(0.8)


def test_nuggets_are_held_in_any_spelling_and_not_in_part_of_a_word() -> None:
    assert nugget_recall("Opened in 1843 by Ada.", [["1843"], ["Ada Byron", "ada"], ["184"]]) == pytest.approx(2 / 3)
    assert nugget_recall("Anything", []) is None
    assert not contains_any_answer("Nothing", [""])


# ---- ALCE

PASSAGES = [a_passage("p1"), a_passage("p2"), a_passage("p3"), a_passage("p4")]
# Which sets of passages support which sentence, as a natural language model would have judged them.
SUPPORTED_BY = {
    "One alone.": [{"p1"}],
    "Two together.": [{"p2", "p3"}],
    "One, and one too many.": [{"p1"}],
    "Nothing does.": [],
    "Nobody is cited.": [{"p1"}],
}


def judged(passages: list[Passage], sentence: str) -> bool:
    given = {passage.passage_id for passage in passages}
    return any(needed <= given for needed in SUPPORTED_BY[sentence])


def test_citation_recall_and_precision_are_alces() -> None:
    """Of five sentences three are supported by what they cite. Of eight citations: [1] alone is needed; [2] and [3] support
    together, neither alone, so both are needed; of [1] and [4] the second neither supports alone nor is missed; [1] and [2]
    of an unsupported sentence are imprecise, and so is none of what cites nothing; [9] names nothing."""
    text = "One alone. [1] Two together. [2][3] One, and one too many. [1, 4] Nothing does. [1][2] Nobody is cited. [9]"
    found = alce_scores(text, PASSAGES, judged)
    assert (found.n_sentences, found.n_citations) == (5, 7)
    assert found.recall == pytest.approx(3 / 5)
    assert found.precision == pytest.approx(4 / 7)
    assert found.valid == pytest.approx(7 / 8)


def test_answer_without_sentences_or_citations_has_no_figures() -> None:
    assert alce_scores("", PASSAGES, judged).recall is None
    assert alce_scores("Nobody is cited.", PASSAGES, judged).precision is None
    assert alce_scores("Nobody is cited.", PASSAGES, judged).recall == 0.0


def test_two_passages_may_support_a_sentence_together() -> None:
    one = a_passage("p1", "The mill was built in Ghent by hand.")
    two = a_passage("p2", "The mill burnt down during heavy storms last winter.")
    sentence = "The mill built by hand in Ghent burnt down during heavy winter storms"
    assert supports_by_spans([one, two], sentence)
    assert not supports_by_spans([one], sentence)
    assert not supports_by_spans([one, two], sentence + " in 1950")  # a number that neither has


def test_name_that_no_cited_passage_knows_is_not_supported() -> None:
    passage = a_passage("p1", "The bridge was built by hand in nine years.")
    assert supports_by_spans([passage], "It was built by hand in nine years")
    assert not supports_by_spans([passage], "The bridge in Ghent was built by hand in nine years")
    assert supports_by_spans([replace(passage, title="Ghent")], "The bridge in Ghent was built by hand in nine years")


# ---- faithfulness


def test_k_precision_counts_a_word_as_often_as_the_passages_have_it() -> None:
    # Adlakha et al.: shared words over the answer's words. owls, hunt, mice, owls: mice is new, owls stands there once.
    assert k_precision("Owls hunt mice, owls", ["The owls hunt."]) == pytest.approx(2 / 4)
    assert k_precision("", ["The owls hunt."]) == 0.0


def test_facts_count_in_whatever_form_they_are_written() -> None:
    assert facts_supported("It cost 1,250 euros on 3 March 2024.", ["1250 € were paid on 2024-03-03"]) == 1.0
    assert facts_supported("It cost 1,250 euros on 4 March 2024.", ["1250 € were paid on 2024-03-03"]) == 0.5
    assert facts_supported("It is open.", ["Closed."]) is None


# ---- declining, risk


def test_table_of_declining_and_what_it_comes_to() -> None:
    answerable = [True] * 5 + [False] * 4
    declined = [True, False, False, False, False, True, True, True, False]
    found = abstention_table(answerable, declined)
    assert found == AbstentionTable(answered=4, refused=1, wrongly_answered=1, declined=3)
    assert (found.precision, found.recall, found.f1) == (3 / 4, 3 / 4, 3 / 4)
    assert found.as_json()["answerable"] == {"answered": 4, "declined": 1}
    assert abstention_table([True], [False]).f1 is None


def test_area_under_risk_is_the_mean_of_the_risks_by_hand() -> None:
    """Surest first: right, wrong, right, wrong: risks 0/1, 1/2, 1/3, 2/4. Their mean is (0 + .5 + .3333 + .5) / 4."""
    confidence, right = [0.9, 0.8, 0.4, 0.1], [True, False, True, False]
    coverage, risk = risk_coverage(confidence, right)
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert risk.tolist() == pytest.approx([0.0, 1 / 2, 1 / 3, 1 / 2])
    assert area_under_risk_coverage(confidence, right) == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4)


# ---- one answer

OWLS = a_passage("p1", "Owls hunt at night. Swifts sleep in the air.")
QUESTION = EvalQuestion(query_id="q1", text="When do owls hunt?", grades={"p1": 1}, answers=("at night",))


def an_answer(
    text: str = "Owls hunt at night. [1]", *, declined: bool = False, quote: str = "Owls hunt at night."
) -> Answer:
    citation = Citation(
        n=1, passage_id="p1", source="birds.md", page=None, start=0, end=len(quote), quote=quote, support=1.0
    )
    hits = (
        Hit(passage=OWLS, rank=1, score=1.0, dense=0.9, lexical=0.4),
        Hit(passage=a_passage("p2", "Bats too."), rank=2, score=0.5, dense=0.4, lexical=0.4),
    )
    return Answer(
        turn_id="t",
        question="When do owls hunt?",
        text=text,
        declined=declined,
        reason="",
        encoder_id="e",
        citations=() if declined else (citation,),
        hits=hits,
    )


def a_row(answer: Answer | None = None, question: EvalQuestion = QUESTION, **how: object) -> AnswerRow:
    asked = AnswerOutcome(
        question=question,
        **{"is_there": True, "answer": answer, "error": "", "sureness": 0.8, "rank": 1, "ms": 5.0, **how},
    )
    return measure_answer(asked, lambda one: OWLS.text[one.start : one.end], lambda text: len(text.split()))


def test_right_answer_with_a_true_citation_is_worth_everything() -> None:
    row = a_row(an_answer())
    assert (row.is_right, row.right_by) == (True, "answer")
    expected = {
        "contains_answer": 1.0,
        "first_contains_answer": 1.0,
        "exact_match": 0.0,
        "token_f1": 0.66667,
        "words": 4.0,
        "k_precision": 1.0,
        "citation_recall": 1.0,
        "citation_precision": 1.0,
        "citations_valid": 1.0,
        "spans_exact": 1.0,
        "right_cited_precision": 1.0,
        "right_cited_recall": 1.0,
    }
    assert expected.items() <= row.values.items()
    assert (row.read, row.cited, row.n_tokens_written) == (("p1", "p2"), ("p1",), 5)
    assert json.loads(json.dumps(row.as_json()))["values"] == row.values


def test_quote_that_is_not_what_the_document_has_is_counted() -> None:
    assert a_row(an_answer(quote="Owls sleep at night.")).values["spans_exact"] == 0.0


def test_declined_and_failed_questions_are_worth_nothing_and_are_not_left_out() -> None:
    for row in (a_row(an_answer("No.", declined=True)), a_row(None, error="ChatModelError: cut off")):
        assert not row.is_right
        assert row.values["contains_answer"] == row.values["token_f1"] == row.values["content_recall"] == 0.0
        assert "words" not in row.values


def test_short_answer_in_front_is_what_stands_first() -> None:
    answer = an_answer("at night — Owls hunt at night. [1]", quote="at night")
    assert leading_statement(answer) == "at night"
    assert a_row(answer).values["first_exact_match"] == 1.0
    assert leading_statement(an_answer()) == "Owls hunt at night."


@pytest.mark.parametrize(
    ("question", "text", "is_right", "by"),
    [
        (
            replace(QUESTION, nuggets=(Nugget(("night",)), Nugget(("mice",), is_vital=False))),
            "At night. [1]",
            True,
            "nuggets",
        ),
        (replace(QUESTION, nuggets=(Nugget(("night",)), Nugget(("mice",)))), "At night. [1]", False, "nuggets"),
        (
            replace(
                QUESTION, answers=("Owls catch small animals such as mice and voles during hours without daylight",)
            ),
            "Owls catch mice, voles and small animals. [1]",
            True,
            "reference",
        ),
        (
            replace(
                QUESTION, answers=("Owls catch small animals such as mice and voles during hours without daylight",)
            ),
            "Owls hunt. [1]",
            False,
            "reference",
        ),
        (replace(QUESTION, answers=()), "Anything. [1]", True, "passage"),
        (replace(QUESTION, answers=(), grades={"p9": 1}), "Anything. [1]", False, "passage"),
        (replace(QUESTION, answers=(), grades={}, in_library=False), "Anything. [1]", False, "passage"),
        (replace(QUESTION, answers=(), grades={}), "Anything. [1]", True, "nothing"),
        (replace(QUESTION, is_answerable=False, grades={}), "Anything. [1]", False, "declining"),
    ],
)
def test_answer_is_right_by_the_strictest_thing_that_is_known(
    question: EvalQuestion, text: str, is_right: bool, by: str
) -> None:
    row = a_row(an_answer(text), question)
    assert (row.is_right, row.right_by) == (is_right, by)


def test_question_without_its_passages_is_right_when_declined() -> None:
    assert a_row(an_answer("No.", declined=True), is_there=False).is_right
    assert not a_row(an_answer(), is_there=False).is_right
    assert "contains_answer" not in a_row(an_answer(), is_there=False).values


def test_passage_that_a_hit_stands_for_is_found_and_read() -> None:
    twin = a_passage("twin", OWLS.text)
    hits = (
        Hit(passage=a_passage("p0"), rank=1, score=1.0, dense=1.0, lexical=1.0),
        Hit(passage=OWLS, rank=2, score=0.9, dense=0.9, lexical=0.4, also_in=(twin,)),
    )
    assert rank_of_right_hit(frozenset({"twin"}), hits) == 2
    assert rank_of_right_hit(frozenset({"p7"}), hits) is None
    row = a_row(replace(an_answer(), hits=hits), replace(QUESTION, grades={"twin": 1}))
    assert row.trace().is_read


# ---- many answers


def test_what_failed_is_counted_and_never_averaged_away() -> None:
    rows = [a_row(an_answer()), a_row(None, error="ChatModelError: cut off")]
    printed = score_answers(rows).as_json()
    assert (printed["n_errors"], printed["coverage"], printed["is_valid"]) == (1, 0.5, False)
    assert printed["measures"]["contains_answer"] == {"mean": 0.5, "n": 2}
    assert printed["measures"]["words"] == {"mean": 4.0, "n": 1}
    assert printed["causes"]["error"] == 1
    assert printed["declining"]["answerable"] == {"answered": 1, "declined": 0}
    assert printed["worst"][0]["error"] == "ChatModelError: cut off"


def test_figures_stand_apart_by_origin() -> None:
    rows = [
        a_row(an_answer(), replace(QUESTION, origin="chat")),
        a_row(an_answer("No."), replace(QUESTION, origin="model")),
    ]
    printed = score_answers(rows).as_json()
    assert {name: scores["right"]["share"] for name, scores in printed["origins"].items()} == {
        "chat": 1.0,
        "model": 0.0,
    }
    assert score_answers(rows[:1]).as_json()["origins"] == {}


def test_no_rows_are_no_figures() -> None:
    printed = score_answers([]).as_json()
    assert (printed["n_questions"], printed["coverage"], printed["measures"]) == (0, 0.0, {})


# ---- asked for real


class Broken:
    """A retriever's answerer that fails on one question, as a damaged index would."""

    def __init__(self, real: object) -> None:
        self.real = real

    def answer(self, question: str) -> Answer:
        if "gone" in question:
            raise OSError("disk full")
        return self.real.answer(question)


def test_measuring_asks_as_people_do_keeps_nothing_and_survives_a_question_that_fails(manuals: Path) -> None:
    from rag.app.app import open_app
    from rag.generation.generator import generator_of
    from rag.settings import Settings
    from ui.commands.evaluation.answers import leave_out_retrievers

    app = open_app(Settings(data=manuals))
    try:
        passage = app.library.passages()[0]
        asked = [
            EvalQuestion(query_id="q1", text=passage.text[:200], grades={passage.passage_id: 1}),
            EvalQuestion(query_id="q2", text="gone", grades={passage.passage_id: 1}),
        ]
        found = list(
            ask_questions(
                asked,
                leave_out_retrievers(app, app.current()),
                lambda retriever: Broken(  # type: ignore[arg-type]
                    app.answerer_with(lambda: retriever, generator_of(None), NullFeedback(app.engine))
                ),
                SHIPPED_THRESHOLD,
                leave_out_too=True,
            )
        )
        assert [(line.question.query_id, line.is_there, line.error) for line in found] == [
            ("q1", True, ""),
            ("q1", False, ""),
            ("q2", True, "OSError: disk full"),
            ("q2", False, "OSError: disk full"),
        ]
        assert found[0].rank == 1
        assert found[0].sureness > found[1].sureness
        assert passage.passage_id not in {hit.passage.passage_id for hit in found[1].answer.hits}
        assert app.feedback.n_turns() == 0
    finally:
        app.close()


def test_quotes_instead_of_a_failed_language_model_count_as_an_error(engine: Engine) -> None:
    class Fallen:
        def answer(self, question: str) -> Answer:
            return replace(an_answer(), fell_back=True)

    class Nothing:
        encoder = None

        def search(self, question: str, k: int) -> list[Hit]:
            return []

    class Same:
        encoder_id = passage_side = "e"

        def encode_queries(self, texts: list[str]):
            import numpy as np

            return np.ones((len(texts), 1), np.float32)

        encode_passages = encode_queries

    retriever = Nothing()
    retriever.encoder = PerQuestionCachedEncoder(Same())
    (found,) = ask_questions(
        [QUESTION], lambda gone: retriever, lambda one: Fallen(), SHIPPED_THRESHOLD, leave_out_too=False
    )  # type: ignore[arg-type, return-value]
    assert found.error == "the language model wrote no answer"
    assert not a_row(found.answer, error=found.error).is_right
