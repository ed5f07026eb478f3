"""How answers hold where passages are noisy, moved, false, or asked in other words. The generator alone, nothing is searched."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eval.answers.answer_metrics import holds
from eval.answers.perturbations import Case, counterfactual, noisy, paraphrases, placed
from eval.statistics.ranking_metrics import mean
from rag.generation.extractive import DISAGREE
from rag.records import Passage

SHARES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Of wrong passages; with 1 nothing answers, and declining is right."""


@dataclass(frozen=True, slots=True)
class Given:
    """What the generator made of some passages."""

    text: str
    """Without citation marks."""
    declined: bool
    error: str = ""


Answer = Callable[[str, Sequence[Passage]], Given]
"""(question, passages in their order) → what the generator makes of them."""


@dataclass(frozen=True, slots=True)
class Point:
    """Some questions under one condition."""

    n: int
    right: float
    """The share of answers that hold the known one."""
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


@dataclass(frozen=True, slots=True)
class Falsified:
    """What a passage that says something false does."""

    n: int
    n_unchanged: int
    """Questions whose answer no rule could change."""
    follows: float
    """Of the changed passage alone: the share of answers that say what it says, as an answer from passages must."""
    keeps: float
    """The share that says what was true before: known from elsewhere, or made up."""
    told: float
    """With both passages: the share that says both, or that the documents disagree."""
    only_false: float
    """With both: the share that says the false one alone."""


@dataclass(frozen=True, slots=True)
class Reworded:
    """The same questions in other words."""

    n: int
    consistent: float
    """The share of paraphrases whose answer is right where the question's was, and wrong where it was wrong."""
    right: float
    right_as_asked: float


@dataclass(frozen=True, slots=True)
class Robustness:
    """All tests of one generator."""

    k: int
    n_questions: int
    noise: Mapping[float, Point]
    """share of wrong passages → what became of the questions."""
    position: Mapping[int, Point]
    """rank of the right passage → the same."""
    false: Falsified
    reworded: Reworded

    def as_json(self) -> dict[str, Any]:
        """For JSON."""
        from dataclasses import asdict

        return {
            "k": self.k,
            "n_questions": self.n_questions,
            "noise": {f"{share:.1f}": point.as_json() for share, point in self.noise.items()},
            "position": {str(rank): point.as_json() for rank, point in self.position.items()},
            "counterfactual": {name: _rounded(value) for name, value in asdict(self.false).items()},
            "paraphrases": {name: _rounded(value) for name, value in asdict(self.reworded).items()},
        }


def robustness(
    cases: Sequence[Case], answer: Answer, *, k: int, seed: int, progress: Callable[[int], None] = lambda n: None
) -> Robustness:
    """Runs every test on every question; each must have *k* wrong passages."""
    noise: dict[float, list[tuple[Case, Given]]] = {share: [] for share in SHARES}
    position: dict[int, list[tuple[Case, Given]]] = {rank: [] for rank in range(1, k + 1)}
    false, reworded = [], []
    others = [answer_of for case in cases for answer_of in case.answers]
    for case in cases:  # one question after the other: what was encoded for one test serves the others
        for share, at_share in noise.items():
            if passages := noisy(case, share, k, seed):
                at_share.append((case, answer(case.question, passages)))
        for rank, at_rank in position.items():
            if passages := placed(case, rank, k):
                at_rank.append((case, answer(case.question, passages)))
        false.append(_say_false(case, others, answer))
        reworded.append(_reword(case, answer))
        progress(1)
    return Robustness(k, len(cases), {share: _point(some) for share, some in noise.items()},
                      {rank: _point(some) for rank, some in position.items()}, _false(false), _reworded(reworded))  # fmt: skip


def _point(some: Sequence[tuple[Case, Given]]) -> Point:
    return Point(
        len(some),
        mean(float(_is_right(case, given)) for case, given in some),
        mean(float(given.declined) for _, given in some),
        sum(bool(given.error) for _, given in some),
    )


def _is_right(case: Case, given: Given) -> bool:
    return not given.declined and not given.error and holds(given.text, case.answers)


@dataclass(frozen=True, slots=True)
class _Said:
    follows: bool
    keeps: bool
    told: bool
    only_false: bool


def _say_false(case: Case, others: Sequence[str], answer: Answer) -> _Said | None:
    """The changed passage alone, then beside the true one; None where it could not be changed."""
    made = counterfactual(case, others)
    if made is None:
        return None
    alone = answer(case.question, [made.passage])
    beside = answer(case.question, [case.right[0], made.passage])
    says_false, says_true = holds(beside.text, [made.now]), holds(beside.text, case.answers)
    return _Said(
        holds(alone.text, [made.now]),
        holds(alone.text, case.answers),
        DISAGREE in beside.text or (says_false and says_true),
        says_false and not says_true,
    )


def _false(said: Sequence[_Said | None]) -> Falsified:
    some = [one for one in said if one]
    shares = (mean(float(getattr(one, name)) for one in some) for name in _Said.__dataclass_fields__)
    return Falsified(len(some), len(said) - len(some), *shares)


def _reword(case: Case, answer: Answer) -> tuple[bool, list[bool]]:
    """Whether the question as asked is answered right from its right passage and four wrong ones, and its paraphrases."""
    passages = [case.right[0], *case.wrong[:4]]
    as_asked = _is_right(case, answer(case.question, passages))
    return as_asked, [_is_right(case, answer(said, passages)) for said in paraphrases(case.question)]


def _reworded(found: Sequence[tuple[bool, list[bool]]]) -> Reworded:
    pairs = [(as_asked, one) for as_asked, some in found for one in some]
    return Reworded(
        len(pairs),
        mean(float(one == as_asked) for as_asked, one in pairs),
        mean(float(one) for _, one in pairs),
        mean(float(as_asked) for as_asked, _ in found),
    )


def _rounded(value: float) -> float:
    return round(value, 5)
