"""Every rule of the gate: what promotes, what vetoes, and what is too little to say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from eval.gate.decide import GateDecision, ServedScores, decide
from eval.gate.embedding_checks import embedding_faults, hub_share
from eval.gate.gate_simulation import predicted_power, simulate_night, simulate_series
from eval.gate.guards import SUPPORTED_BY_CONSTRUCTION, BeforeAndAfter, ExtraEvidence
from eval.gate.rules import GateRules
from rag.arrays import BoolArray, DoubleArray
from rag.settings_sections import GateSettings

N = 200
RNG = np.random.default_rng(3)
BEFORE = RNG.random(N) * 0.5 + 0.2
NOISE = RNG.normal(0.0, 0.02, N)
HALF = np.arange(N) % 2 == 0
FULL_RECALL = np.ones(N)


def decided(
    after: DoubleArray, unseen: BoolArray = HALF, recall: DoubleArray = FULL_RECALL, **more: object
) -> GateDecision:
    return decide(ServedScores(BEFORE, FULL_RECALL), ServedScores(after, recall), unseen, **more)  # type: ignore[arg-type]


def test_clear_gain_is_promoted_and_says_so_in_numbers() -> None:
    before = np.array([0.5] * 40)
    after = before + np.array([0.05, 0.15] * 20)
    decision = decide(ServedScores(before, np.ones(40)), ServedScores(after, np.ones(40)), np.zeros(40, bool))
    assert decision.decision == "promoted"
    assert decision.reasons[0].startswith("Served nDCG@10 rose from .500 to .600 on 40 held-out questions (+.100, 95 %")
    assert decision.reasons[0].endswith("p < .001).")
    assert decision.figures["primary"]["wins"] == 40


def test_equal_is_kept() -> None:
    decision = decided(BEFORE)
    assert decision.decision == "kept"
    assert decision.reasons[0].endswith("on 200 held-out questions: not one of them changed.")


def test_gain_that_chance_explains_is_kept_and_names_what_could_be_seen() -> None:
    after = BEFORE + NOISE * 10 - (NOISE * 10).mean() + 0.001
    decision = decided(after)
    assert decision.decision == "kept"
    assert "chance alone could do that; so many questions show a true change of" in decision.reasons[0]


def test_clear_loss_is_kept() -> None:
    decision = decided(BEFORE - 0.05 + NOISE)
    assert decision.decision == "kept"
    assert "fell from" in decision.reasons[0]


def test_29_questions_are_invalid_however_good_they_look() -> None:
    decision = decide(
        ServedScores(np.zeros(29), np.zeros(29)),
        ServedScores(np.ones(29), np.ones(29)),
        np.ones(29, bool),
        rules=GateRules(),
    )
    assert decision.decision == "invalid"
    assert decision.reasons == (
        "Invalid: 29 held-out questions can't decide anything; the gate needs 30. "
        "Collect more verdicts, or give the night a golden set.",
    )


def test_no_questions_at_all_are_invalid() -> None:
    nothing = ServedScores(np.zeros(0), np.zeros(0))
    assert decide(nothing, nothing, np.zeros(0, bool), rules=GateRules(min_questions=0)).decision == "invalid"


def test_unseen_slice_that_falls_vetoes_a_gain_on_the_rest() -> None:
    decision = decided(BEFORE + np.where(HALF, -0.02, 0.2) + NOISE)
    assert decision.decision == "kept"
    assert decision.figures["primary"]["p"] < 0.05
    assert any(reason.startswith("Veto: on the 100 questions whose passage was never") for reason in decision.reasons)


def test_unseen_slice_may_fall_within_its_margin_where_chance_explains_it() -> None:
    wobble = np.where(np.arange(N) % 4 == 0, 0.1, -0.11)  # of the unseen: mean -0.005, half up, half down
    decision = decided(BEFORE + np.where(HALF, wobble, 0.2))
    assert decision.figures["unseen"]["difference"] == pytest.approx(-0.005)
    assert decision.decision == "promoted"


def test_unseen_slice_may_not_fall_beyond_chance_even_within_its_margin() -> None:
    decision = decided(BEFORE + np.where(HALF, -0.005, 0.2))
    assert decision.decision == "kept"
    assert any("a small fall, but beyond chance" in reason for reason in decision.reasons)


def test_few_unseen_questions_do_not_veto_unless_clearly_worse() -> None:
    unseen = np.arange(N) < 10
    wobble = np.where(np.arange(N) % 2 == 0, 0.10, -0.14)
    mild = decided(BEFORE + np.where(unseen, wobble, 0.1), unseen)
    assert mild.decision == "promoted"
    assert any("too few to guard (fewer than 30)" in reason for reason in mild.reasons)
    clear = decided(BEFORE + np.where(unseen, -0.15 + NOISE, 0.1), unseen)
    assert clear.decision == "kept"
    assert any("few questions, but clearly worse" in reason for reason in clear.reasons)


def test_without_unseen_questions_the_gate_says_that_it_can_not_guard_them() -> None:
    decision = decided(BEFORE + 0.1, np.zeros(N, bool))
    assert decision.decision == "promoted"
    assert decision.reasons[1] == "Unseen passages: 0 of the held-out questions ask for one, too few to guard."


NEWEST = np.arange(N) >= 160  # the last fifth, half of it unseen


def test_newest_questions_that_fall_veto_a_gain_on_the_rest() -> None:
    """The fall of .08 on a fifth of the questions leaves the whole, and its unseen half, far better."""
    decision = decided(BEFORE + np.where(NEWEST, -0.08, 0.2) + NOISE, newest=NEWEST)
    assert decision.decision == "kept"
    assert decision.figures["primary"]["p"] < 0.05
    assert decision.figures["unseen"]["difference"] > 0
    assert decision.figures["newest"]["n"] == 40
    (veto,) = (reason for reason in decision.reasons if reason.startswith("Veto"))
    assert veto.startswith("Veto: on the 40 questions that were judged last, nDCG@10 fell from")
    assert veto.endswith("a fall of more than .020 (p < .001).")


def test_newest_questions_may_fall_within_their_margin_where_chance_explains_it() -> None:
    wobble = np.where(np.arange(N) % 4 < 2, 0.10, -0.12)  # of the newest: mean -0.01, half up, half down
    decision = decided(BEFORE + np.where(NEWEST, wobble, 0.2), newest=NEWEST)
    assert decision.figures["newest"]["difference"] == pytest.approx(-0.01)
    assert decision.decision == "promoted"
    assert any("Newest questions: on the 40 questions that were judged last" in reason for reason in decision.reasons)


def test_a_fall_beyond_its_margin_vetoes_only_where_chance_seldom_makes_it() -> None:
    """Both fall by .03 on the newest 40 questions: p is .15 where they move by .13, and .63 where they move by .4."""
    for by, decision in ((0.13, "kept"), (0.4, "promoted")):
        wobble = np.where(np.arange(N) % 4 < 2, by, -by) - 0.03
        said = decided(BEFORE + np.where(NEWEST, wobble, 0.2), newest=NEWEST)
        assert said.decision == decision
        assert said.figures["newest"]["difference"] == pytest.approx(-0.03)


def test_newest_questions_may_not_fall_beyond_chance_even_within_their_margin() -> None:
    decision = decided(BEFORE + np.where(NEWEST, -0.005, 0.2), newest=NEWEST)
    assert decision.decision == "kept"
    assert any("judged last" in reason and "beyond chance" in reason for reason in decision.reasons)


def test_few_newest_questions_do_not_veto_unless_clearly_worse() -> None:
    newest = np.arange(N) >= 180
    mild = decided(BEFORE + np.where(newest, np.where(HALF, 0.10, -0.18), 0.1), newest=newest)
    assert mild.decision == "promoted"
    assert mild.figures["newest"]["p_holm"] is None
    assert any("judged last" in reason and "too few to guard (fewer than 30)" in reason for reason in mild.reasons)
    clear = decided(BEFORE + np.where(newest, -0.15 + NOISE, 0.1), newest=newest)
    assert clear.decision == "kept"
    assert any("few questions, but clearly worse" in reason for reason in clear.reasons)


def test_without_times_the_gate_says_that_it_can_not_guard_the_newest() -> None:
    decision = decided(BEFORE + 0.1)
    assert decision.reasons[2] == (
        "Newest questions: 0 of the held-out questions stand out by their time, too few to guard."
    )
    assert decision.figures["newest"] is None


def test_only_guards_that_are_tested_share_in_the_correction() -> None:
    """Three tests at once triple the least p-value; where the newest are too few to test, two double it."""
    rng = np.random.default_rng(5)
    after = BEFORE + rng.normal(0.02, 0.1, N)
    recall = np.where(np.arange(N) < 6, 0.0, 1.0)
    three = decided(after, recall=recall, newest=NEWEST).figures["recall"]
    two = decided(after, recall=recall, newest=np.arange(N) >= 190).figures["recall"]
    one = decided(after, np.zeros(N, bool), recall=recall).figures["recall"]
    assert three["p_holm"] == pytest.approx(3 * three["p"])
    assert two["p_holm"] == pytest.approx(2 * two["p"])
    assert one["p_holm"] == one["p"]


def test_recall_that_falls_beyond_chance_vetoes() -> None:
    recall = np.where(np.arange(N) < 20, 0.0, 1.0)
    decision = decided(BEFORE + 0.1 + NOISE, recall=recall)
    assert decision.decision == "kept"
    assert any(reason.startswith("Veto: recall@10 fell from 1.000 to .900") for reason in decision.reasons)


def test_recall_that_falls_for_three_questions_does_not_veto() -> None:
    recall = np.where(np.arange(N) < 3, 0.0, 1.0)
    assert decided(BEFORE + 0.1 + NOISE, recall=recall).decision == "promoted"


def test_fault_of_the_embeddings_vetoes() -> None:
    fault = "Veto: passage vectors have collapsed."
    decision = decided(BEFORE + 0.1 + NOISE, faults=[fault])
    assert decision.decision == "kept"
    assert fault in decision.reasons


@pytest.mark.parametrize(
    ("current", "candidate", "expected"), [(0.05, 0.3, "kept"), (0.28, 0.3, "promoted"), (0.05, 0.19, "promoted")]
)
def test_new_hub_vetoes_and_an_old_one_does_not(current: float, candidate: float, expected: str) -> None:
    decision = decide(
        ServedScores(BEFORE, FULL_RECALL, current), ServedScores(BEFORE + 0.1 + NOISE, FULL_RECALL, candidate), HALF
    )
    assert decision.decision == expected


def test_hub_is_a_wrong_passage_and_never_the_right_one() -> None:
    rankings = [["p", "a"], ["p", "b"], ["p", "c"], ["d", "e"]]
    right = [{"p": 1}, {"p": 1}, {"p": 0}, {"d": 1}]
    assert hub_share(rankings, right, n_passages=1000) == 0.25  # p is wrong once, and so are a, b, c, e


def test_hub_looks_at_ten_hits_and_no_deeper() -> None:
    filler = [[f"{q}-{rank}" for rank in range(10)] + ["hub"] for q in range(4)]
    assert hub_share(filler, [{}] * 4, n_passages=1000) == 0.25


def test_hub_share_of_nothing_is_zero() -> None:
    assert hub_share([], [], n_passages=10) == 0.0


def test_sound_vectors_have_no_faults() -> None:
    vectors = np.random.default_rng(1).normal(size=(500, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert embedding_faults("passage vectors", vectors) == []


def test_vectors_that_are_not_finite_are_a_fault() -> None:
    vectors = np.eye(3, dtype=np.float32)
    vectors[1, 1] = np.nan
    assert embedding_faults("query vectors", vectors) == [
        "Veto: 1 of 3 query vectors hold numbers that are not finite."
    ]


def test_collapsed_vectors_are_a_fault() -> None:
    vectors = np.tile(np.array([0.6, 0.8], np.float32), (50, 1))
    (fault,) = embedding_faults("passage vectors", vectors)
    assert fault.startswith("Veto: passage vectors have collapsed")


def test_decision_is_the_same_for_the_same_input() -> None:
    assert decided(BEFORE + 0.01 + NOISE) == decided(BEFORE + 0.01 + NOISE)


def test_only_decisive_questions_decide_and_all_unseen_ones_guard() -> None:
    """The candidate wins on the decisive half and loses elsewhere; unseen questions lie in the other half."""
    decisive = np.arange(len(BEFORE)) < len(BEFORE) // 2
    after = np.where(decisive, BEFORE + 0.1 + NOISE, BEFORE - 0.1 + NOISE)
    current, candidate = ServedScores(BEFORE, FULL_RECALL), ServedScores(after, FULL_RECALL)
    nobody = np.zeros(len(BEFORE), bool)
    assert decide(current, candidate, nobody).decision == "kept"
    assert decide(current, candidate, nobody, decisive=decisive).decision == "promoted"
    assert decide(current, candidate, ~decisive, decisive=decisive).decision == "kept"
    assert decide(current, candidate, nobody, decisive=decisive, newest=~decisive).decision == "kept"


# ---- what is looked at beside the rankings


def pair(before: object, after: object) -> BeforeAndAfter:
    return BeforeAndAfter(np.asarray(before, np.float64), np.asarray(after, np.float64))


def outcome(name: str, **extra: Any) -> str:
    """What one guard says of a candidate that is better by far."""
    decision = decided(BEFORE + 0.1 + NOISE, extra=ExtraEvidence(**extra))
    (ruling,) = (ruling for ruling in decision.rulings if ruling.name == name)
    assert (decision.decision == "promoted") == (ruling.outcome != "failed")
    return ruling.outcome


def test_the_wall_vetoes_where_more_is_lost_than_chance_explains() -> None:
    assert outcome("wall", regressions=pair(np.ones(100), np.arange(100) >= 20)) == "failed"  # 20 %, at least 13 %
    assert outcome("wall", regressions=pair(np.ones(100), np.arange(100) >= 8)) == "passed"  # 8 %, perhaps 4 %
    assert outcome("wall", regressions=pair(np.ones(20), np.zeros(20))) == "untested"


def test_what_was_never_found_is_no_loss() -> None:
    assert outcome("wall", regressions=pair(np.arange(200) < 100, np.arange(200) < 100)) == "passed"


def test_golden_questions_that_fall_veto() -> None:
    golden = np.tile([0.5, 1.0], 10)
    assert outcome("golden", golden=pair(golden, golden - 0.1)) == "failed"
    assert outcome("golden", golden=pair(golden, golden)) == "passed"


def test_few_golden_questions_veto_only_where_clearly_worse() -> None:
    assert outcome("golden", golden=pair([1.0, 0.5, 1.0], [0.9, 0.6, 0.9])) == "untested"
    assert outcome("golden", golden=pair([1.0, 0.9, 1.0], [0.1, 0.2, 0.3])) == "failed"


def test_declining_where_the_documents_answer_vetoes_and_so_does_answering_where_they_do_not() -> None:
    known = np.ones(60)
    assert outcome("answered", answered=pair(known, np.arange(60) >= 10)) == "failed"
    assert outcome("declined", declined=pair(known, np.arange(60) >= 10)) == "failed"
    assert outcome("declined", declined=pair(known, np.arange(60) >= 1)) == "passed"


def test_answers_with_less_support_veto() -> None:
    assert outcome("support", support=pair(np.ones(40), np.tile([0.8, 1.0], 20))) == "failed"


def test_where_support_is_not_measured_the_guard_says_why_and_lets_through() -> None:
    quoted = decided(BEFORE + 0.1 + NOISE, extra=ExtraEvidence(support_note=SUPPORTED_BY_CONSTRUCTION))
    assert quoted.decision == "promoted"
    assert [(ruling.outcome, ruling.sentence) for ruling in quoted.rulings if ruling.name == "support"] == [
        ("untested", SUPPORTED_BY_CONSTRUCTION)
    ]
    assert (
        outcome("support", support=pair(np.ones(40), np.ones(40)), support_note=SUPPORTED_BY_CONSTRUCTION) == "passed"
    )


def test_slower_searches_veto_only_beyond_both_bars() -> None:
    assert outcome("latency", search_ms=pair(np.full(40, 100.0), np.full(40, 200.0))) == "failed"
    assert outcome("latency", search_ms=pair(np.full(40, 5.0), np.full(40, 50.0))) == "passed"  # by less than 50 ms
    assert outcome("latency", search_ms=pair(np.full(40, 1000.0), np.full(40, 1200.0))) == "passed"  # 1.2 times
    assert outcome("latency", search_ms=pair(np.full(5, 1.0), np.full(5, 9e3))) == "untested"


def test_what_is_beside_joins_holms_family() -> None:
    """The unseen slice has the smallest p, so recall is the second of two tests, and then the second of five."""
    after = np.where(np.arange(N) < 9, 0.0, 1.0)
    alone = decided(BEFORE + 0.1, recall=after).figures["recall"]
    same = pair(np.ones(40), np.ones(40))
    guarded = decided(BEFORE + 0.1, recall=after, extra=ExtraEvidence(golden=same, answered=same, declined=same))
    assert alone["p_holm"] == pytest.approx(alone["p"])
    assert guarded.figures["recall"]["p_holm"] == pytest.approx(4 * alone["p"])


# ---- failures, and looking often


def test_questions_that_failed_are_left_out_and_too_many_of_them_are_invalid() -> None:
    some, many = BEFORE + 0.1 + NOISE, BEFORE + 0.1 + NOISE
    some[:10], many[:11] = np.nan, np.nan
    assert (decided(some).decision, decided(some).figures["n"]) == ("promoted", 190)
    assert decided(many).decision == "invalid"
    assert decided(many).reasons[0].startswith("Invalid: only 189 of 200 held-out questions could be measured")


def test_a_later_look_at_the_same_questions_has_to_be_surer() -> None:
    after = BEFORE + 0.006 + NOISE * 2
    p = decided(after).figures["primary"]["p"]
    assert 0.05 / 10 < p < 0.05
    assert decided(after).decision == "promoted"
    tenth = decided(after, look=10)
    assert tenth.decision == "kept"
    assert "not enough for look 10 at these questions, where p must lie below 0.0050" in tenth.reasons[0]


def test_every_rule_is_a_setting_with_the_same_default() -> None:
    assert GateRules(**GateSettings().model_dump()) == GateRules()


# ---- the word it keeps; "nightjar bench gate" does the same a thousand times


def test_equal_candidates_are_seldom_promoted_and_better_ones_as_often_as_predicted() -> None:
    equal, better = simulate_night(0.0, 60, 60, seed=1), simulate_night(0.12, 60, 20, seed=1)
    assert equal.share.k <= 3
    assert better.share.low <= better.predicted <= better.share.high


def test_predicted_power_is_four_in_five_at_the_detectable_difference() -> None:
    # sd of a change: √(.5 · (.3² + (.049 / .5)²) − .049²) = .217; 2.8 · .217 / √150 = .0497
    assert predicted_power(0.0497, 150) == pytest.approx(0.80, abs=0.01)


def test_thirty_nights_on_one_set_of_questions_promote_no_oftener_a_night_than_one() -> None:
    full = simulate_series(0.0, 0.0, shares_level=False, n_series=12, seed=2)
    shared = simulate_series(0.0, 0.0, shares_level=True, n_series=12, seed=2)
    assert full.per_night.value <= 0.05
    assert shared.any_night.k < full.any_night.k, "what a later look gets is a part of the level"
    assert full.apparent > 0.005, "choosing on one set flatters what was chosen,"
    assert abs(full.locked) < full.apparent, "and the locked questions do not join in"
