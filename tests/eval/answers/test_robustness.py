"""What noise, order, false passages and other words do: sets made by rule, and a generator that is known to the letter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from eval.answers.perturbations import (
    CHANGED_SUFFIX,
    PerturbationCase,
    add_distractors,
    make_counterfactual,
    paraphrase,
    place_at_rank,
)
from eval.answers.robustness import DISTRACTOR_SHARES, GeneratedAnswer, measure_robustness
from eval.report.output.robustness_plot import robustness_plot
from rag.records import Passage


def a_passage(name: str, text: str, title: str = "") -> Passage:
    return Passage(
        passage_id=name,
        document_id="d",
        source=f"{name}.md",
        title=title,
        heading="",
        text=text,
        start=0,
        end=len(text),
    )


RIGHT = a_passage("right", "The mill was built in 1843 by Ada Byron.", "Mill")
WRONG = tuple(a_passage(f"wrong{n}", f"Mill number {n} stands still.") for n in range(6))
CASE = PerturbationCase(
    query_id="q1", question="When was the mill built?", answers=("1843",), right=(RIGHT,), wrong=WRONG
)


def names(passages: Sequence[Passage] | None) -> list[str]:
    return [passage.passage_id for passage in passages or []]


# ---- sets


@pytest.mark.parametrize(("share", "n_right", "n_wrong"), [(0.0, 1, 0), (0.2, 1, 1), (0.8, 1, 4), (1.0, 0, 5)])
def test_noise_is_a_share_of_fixed_places(share: float, n_right: int, n_wrong: int) -> None:
    found = names(add_distractors(CASE, share, 5, seed=1))
    assert (found.count("right"), len(found) - found.count("right")) == (n_right, n_wrong)
    assert found == names(add_distractors(CASE, share, 5, seed=1))


def test_several_right_passages_fill_the_places_that_are_not_wrong() -> None:
    case = replace(CASE, right=tuple(replace(RIGHT, passage_id=f"right{n}") for n in range(9)))
    assert sum(name.startswith("right") for name in names(add_distractors(case, 0.4, 5, seed=1))) == 3


def test_order_is_another_one_for_another_seed() -> None:
    orders = {tuple(names(add_distractors(CASE, 0.8, 5, seed=seed))) for seed in range(20)}
    assert len(orders) > 3


def test_right_passage_stands_where_it_is_put() -> None:
    for rank in range(1, 6):
        found = names(place_at_rank(CASE, rank, 5))
        assert (len(found), found.index("right") + 1) == (5, rank)
    assert add_distractors(replace(CASE, wrong=WRONG[:2]), 0.8, 5, 1) is None
    assert place_at_rank(replace(CASE, wrong=WRONG[:2]), 1, 5) is None


def test_number_becomes_another_number_everywhere() -> None:
    case = replace(CASE, right=(a_passage("right", "Built in 1843; since 1843 it is 18430 years old.", "1843"),))
    made = make_counterfactual(case, ["1843"])
    assert made is not None
    assert (made.was, made.now) == ("1843", "1860")
    assert made.passage.text == "Built in 1860; since 1860 it is 18430 years old."
    assert (made.passage.title, made.passage.passage_id) == ("1860", "right" + CHANGED_SUFFIX)
    assert made.passage.end == made.passage.start + len(made.passage.text)


def test_name_becomes_a_name_of_the_same_shape_that_the_passage_does_not_hold() -> None:
    case = replace(CASE, answers=("Ada Byron",))
    made = make_counterfactual(case, ["Ada Byron", "1843", "the owl", "Zoe", "Max Planck", "Bo Li"])
    assert made is not None
    assert made.passage.text == "The mill was built in 1843 by Bo Li."
    assert make_counterfactual(case, ["Ada Byron", "the owl", "Zoe"]) is None
    assert make_counterfactual(replace(CASE, answers=("1999",)), []) is None  # does not stand in the passage
    assert (
        make_counterfactual(replace(CASE, answers=("Ada Byron", "Ada Byron.", "the mill")), ["Bo Li"]) is None
    )  # still answers


@pytest.mark.parametrize(
    ("question", "reworded"),
    [
        ("Who built it?", "Which person built it?"),
        ("Where is the mill?", "In which place is the mill?"),
        ("How many owls are there?", "What number of owls are there?"),
        ("Which owl hunts?", "What owl hunts?"),
        ("What are owls?", "Tell me owls."),
    ],
)
def test_question_is_asked_in_other_words(question: str, reworded: str) -> None:
    assert reworded in paraphrase(question)
    assert question not in paraphrase(question)
    assert len(paraphrase(question)) == 3


# ---- what a known generator makes of them


def measured(answer, *cases: PerturbationCase, k: int = 5):
    return measure_robustness(cases or (CASE,), answer, k=k, seed=13)


def quotes_all(question: str, passages: Sequence[Passage]) -> GeneratedAnswer:
    return GeneratedAnswer(" ".join(passage.text for passage in passages), declined=False)


def test_generator_that_says_all_that_it_reads() -> None:
    found = measured(quotes_all)
    assert {share: (point.right, point.declined) for share, point in found.noise.items()} == {
        share: (float(share < 1), 0.0) for share in DISTRACTOR_SHARES
    }
    assert {point.right for point in found.position.values()} == {1.0}
    assert (
        found.counterfactual.n,
        found.counterfactual.follows,
        found.counterfactual.keeps,
        found.counterfactual.told,
    ) == (1, 1.0, 0.0, 1.0)
    assert (found.paraphrases.n, found.paraphrases.consistent, found.paraphrases.right) == (2, 1.0, 1.0)


def test_generator_that_reads_the_first_passage_only() -> None:
    found = measured(lambda question, passages: GeneratedAnswer(passages[0].text, declined=False))
    assert [found.position[rank].right for rank in range(1, 6)] == [1.0, 0.0, 0.0, 0.0, 0.0]
    assert (found.counterfactual.told, found.counterfactual.only_false) == (0.0, 0.0)


def test_generator_that_knows_the_answer_from_elsewhere_is_found_out() -> None:
    found = measured(lambda question, passages: GeneratedAnswer("In 1843.", declined=False))
    assert found.noise[1.0].right == 1.0
    assert (found.counterfactual.follows, found.counterfactual.keeps) == (0.0, 1.0)


def test_generator_that_understands_one_wording_is_not_consistent() -> None:
    found = measured(
        lambda question, passages: (
            quotes_all(question, passages) if question[0] == "W" else GeneratedAnswer("", declined=True)
        )
    )
    assert (found.paraphrases.consistent, found.paraphrases.right, found.paraphrases.right_as_asked) == (0.0, 0.0, 1.0)


def test_declined_and_failed_answers_are_counted_and_not_right() -> None:
    found = measured(lambda question, passages: GeneratedAnswer("1843", declined=True))
    assert (found.noise[0.0].right, found.noise[0.0].declined) == (0.0, 1.0)
    failed = measured(lambda question, passages: GeneratedAnswer("1843", declined=False, error="cut off"))
    assert (failed.noise[0.0].right, failed.noise[0.0].n_errors) == (0.0, 1)


def test_question_that_can_not_be_made_false_is_counted_apart() -> None:
    found = measured(quotes_all, CASE, replace(CASE, query_id="q2", answers=("mill was",)))
    assert (found.counterfactual.n, found.counterfactual.n_unchanged) == (1, 1)


def test_plot_is_the_same_bytes_each_time_and_names_what_it_shows() -> None:
    found = measured(quotes_all)
    drawn = robustness_plot(found, "mills <1843>")
    assert drawn == robustness_plot(found, "mills <1843>")
    assert "mills &lt;1843&gt;" in drawn
    assert "declined" in drawn


def test_extractive_answers_follow_what_they_are_given(manuals: Path) -> None:
    """The real generator, encoder and BM25: a passage that says something else is quoted as it is, for it is all there is."""
    from rag.app.app import open_app
    from rag.settings import Settings
    from ui.commands.evaluation.robustness import fixed_passage_answerer

    app = open_app(Settings(data=manuals))
    try:
        answer = fixed_passage_answerer(app, app.current())
        passages = app.library.passages()
        text = "The emergency lever of the pump is on the left side and was painted yellow in 1996."
        first = replace(passages[0], text=text, end=passages[0].start + len(text), title="Pump", heading="")
        given = answer("When was the emergency lever of the pump painted?", [first, passages[1]])
        assert not given.declined
        assert "1996" in given.text
        assert [hit.rank for hit in answer.hits("lever", [passages[1], first])] == [1, 2]
        assert answer("Who wrote the song Waterloo?", [passages[1], passages[2]]).declined
    finally:
        app.close()
