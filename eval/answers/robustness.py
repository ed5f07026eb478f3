"""How answers hold up to noisy, reordered and false passages, and to rewording. The generator alone; nothing is searched."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eval.answers.answer_metrics import contains_any_answer
from eval.answers.perturbations import PerturbationCase, add_distractors, make_counterfactual, paraphrase, place_at_rank
from eval.statistics.ranking_metrics import mean
from rag.generation.extractive import CONTRADICTION_INTRO
from rag.records import Passage

DISTRACTOR_SHARES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Shares of wrong passages; with 1 no passage answers, and declining is right."""


@dataclass(frozen=True, slots=True)
class GeneratedAnswer:
    """What the generator made of some passages."""

    text: str
    """Without citation marks."""
    declined: bool
    error: str = ""


Answer = Callable[[str, Sequence[Passage]], GeneratedAnswer]
"""(question, passages in their order) → what the generator makes of them."""


@dataclass(frozen=True, slots=True)
class ConditionResult:
    """Some questions under one condition."""

    n: int
    right: float
    """The share of answers that contain the known answer."""
    declined: float
    n_errors: int

    def as_json(self) -> dict[str, float | int]:
        """For JSON."""
        return {
            "n": self.n,
            "right": round(self.right, 5),
            "declined": round(self.declined, 5),
            "n_errors": self.n_errors,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterfactualResult:
    """What a passage that says something false does."""

    n: int
    n_unchanged: int
    """Questions whose answer no rule could change."""
    follows: float
    """With the changed passage alone: the share of answers that repeat what it says, as an answer from passages must."""
    keeps: float
    """The share that gives the original answer, which the model knows from elsewhere or makes up."""
    told: float
    """With both passages: the share that says both, or that the documents disagree."""
    only_false: float
    """With both: the share that says the false one alone."""


@dataclass(frozen=True, slots=True)
class ParaphraseResult:
    """How answers hold when the same questions are asked in other words."""

    n: int
    consistent: float
    """The share of paraphrases whose answer is right if the question's was, and wrong if it was wrong."""
    right: float
    right_as_asked: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RobustnessResult:
    """All tests of one generator."""

    k: int
    n_questions: int
    noise: Mapping[float, ConditionResult]
    """share of wrong passages → what became of the questions."""
    position: Mapping[int, ConditionResult]
    """rank of the right passage → the same."""
    counterfactual: CounterfactualResult
    paraphrases: ParaphraseResult

    def as_json(self) -> dict[str, Any]:
        """For JSON."""
        from dataclasses import asdict

        return {
            "k": self.k,
            "n_questions": self.n_questions,
            "noise": {f"{share:.1f}": point.as_json() for share, point in self.noise.items()},
            "position": {str(rank): point.as_json() for rank, point in self.position.items()},
            "counterfactual": {name: _rounded(value) for name, value in asdict(self.counterfactual).items()},
            "paraphrases": {name: _rounded(value) for name, value in asdict(self.paraphrases).items()},
        }


def measure_robustness(
    cases: Sequence[PerturbationCase],
    answer: Answer,
    *,
    k: int,
    seed: int,
    progress: Callable[[int], None] = lambda n: None,
) -> RobustnessResult:
    """Runs every test on every question; each must have *k* wrong passages."""
    noise: dict[float, list[tuple[PerturbationCase, GeneratedAnswer]]] = {share: [] for share in DISTRACTOR_SHARES}
    position: dict[int, list[tuple[PerturbationCase, GeneratedAnswer]]] = {rank: [] for rank in range(1, k + 1)}
    false, reworded = [], []
    others = [answer_of for case in cases for answer_of in case.answers]
    for case in cases:  # one question after the other: what was encoded for one test serves the others
        for share, at_share in noise.items():
            if passages := add_distractors(case, share, k, seed):
                at_share.append((case, answer(case.question, passages)))
        for rank, at_rank in position.items():
            if passages := place_at_rank(case, rank, k):
                at_rank.append((case, answer(case.question, passages)))
        false.append(_say_false(case, others, answer))
        reworded.append(_reword(case, answer))
        progress(1)
    return RobustnessResult(
        k=k,
        n_questions=len(cases),
        noise={share: _point(outcomes) for share, outcomes in noise.items()},
        position={rank: _point(outcomes) for rank, outcomes in position.items()},
        counterfactual=_false(false),
        paraphrases=_reworded(reworded),
    )


def _point(some: Sequence[tuple[PerturbationCase, GeneratedAnswer]]) -> ConditionResult:
    return ConditionResult(
        len(some),
        mean(float(_is_right(case, given)) for case, given in some),
        mean(float(given.declined) for _, given in some),
        sum(bool(given.error) for _, given in some),
    )


def _is_right(case: PerturbationCase, given: GeneratedAnswer) -> bool:
    return not given.declined and not given.error and contains_any_answer(given.text, case.answers)


@dataclass(frozen=True, slots=True)
class _Said:
    follows: bool
    keeps: bool
    told: bool
    only_false: bool


def _say_false(case: PerturbationCase, others: Sequence[str], answer: Answer) -> _Said | None:
    """The changed passage alone, then next to the true one; None if it could not be changed."""
    made = make_counterfactual(case, others)
    if made is None:
        return None
    alone = answer(case.question, [made.passage])
    beside = answer(case.question, [case.right[0], made.passage])
    says_false, says_true = contains_any_answer(beside.text, [made.now]), contains_any_answer(beside.text, case.answers)
    return _Said(
        contains_any_answer(alone.text, [made.now]),
        contains_any_answer(alone.text, case.answers),
        CONTRADICTION_INTRO in beside.text or (says_false and says_true),
        says_false and not says_true,
    )


def _false(said: Sequence[_Said | None]) -> CounterfactualResult:
    some = [outcome for outcome in said if outcome]
    shares = {name: mean(float(getattr(outcome, name)) for outcome in some) for name in _Said.__dataclass_fields__}
    return CounterfactualResult(n=len(some), n_unchanged=len(said) - len(some), **shares)


def _reword(case: PerturbationCase, answer: Answer) -> tuple[bool, list[bool]]:
    """Whether the question as asked is answered right from its right passage and four wrong ones, and its paraphrases."""
    passages = [case.right[0], *case.wrong[:4]]
    as_asked = _is_right(case, answer(case.question, passages))
    return as_asked, [_is_right(case, answer(rewording, passages)) for rewording in paraphrase(case.question)]


def _reworded(found: Sequence[tuple[bool, list[bool]]]) -> ParaphraseResult:
    pairs = [(as_asked, outcome) for as_asked, outcomes in found for outcome in outcomes]
    return ParaphraseResult(
        len(pairs),
        mean(float(outcome == as_asked) for as_asked, outcome in pairs),
        mean(float(outcome) for _, outcome in pairs),
        mean(float(as_asked) for as_asked, _ in found),
    )


def _rounded(value: float) -> float:
    return round(value, 5)
