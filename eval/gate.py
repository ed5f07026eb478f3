"""The gate: may the candidate take the current retriever's place? A pure function that answers in sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from eval.statistics import Paired, holm, paired

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Verdict = Literal["promoted", "kept", "invalid"]

SAMPLE = 1_000  # vectors whose pairwise cosines are looked at


@dataclass(frozen=True, slots=True)
class Rules:
    """What has to hold before a candidate is promoted."""

    alpha: float = 0.05
    """Two-sided level of the paired tests."""
    min_questions: int = 30
    """Fewer held-out questions decide nothing."""
    unseen_margin: float = 0.01
    """nDCG@10 of the unseen questions may not fall by more."""
    min_unseen: int = 30
    """With fewer, the unseen slice vetoes only where its whole interval lies below zero."""
    newest_margin: float = 0.02
    """nDCG@10 of the questions that were judged last may not fall by more: a fifth of all, so chance moves them further.
    Of candidates whose gain is just significant on 150 questions it would veto 5 % by chance, 0.01 would 10 %."""
    min_newest: int = 30
    """As `min_unseen`, of the newest slice."""
    harm_alpha: float = 0.4
    """A fall of a slice beyond its margin vetoes where p, two-sided and of this slice alone, lies below: one in five that
    change nothing. Without it chance on 50 questions would veto more than one in three."""
    max_mean_cosine: float = 0.95
    """Vectors that all point the same way tell nothing apart."""
    max_hub_share: float = 0.20
    """No wrong passage may be among the first hits of a larger share of the questions, unless it was so before."""
    max_hub_growth: float = 0.05
    """What counts as so before: at most this much less."""


@dataclass(frozen=True, slots=True)
class Served:
    """What a version serves for the held-out questions: one entry a question, in one order for all versions."""

    ndcg: Floats
    """nDCG@10, `(n,)`."""
    recall: Floats
    """Recall@10, `(n,)`."""
    hub_share: float = 0.0
    """See `hub_share()`."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What the gate says, why, and with which numbers."""

    decision: Verdict
    reasons: tuple[str, ...]
    """Sentences for people; the first one is the primary measure."""
    figures: dict[str, Any] = field(default_factory=dict)
    """The numbers behind the sentences, ready for JSON."""


def decide(
    current: Served,
    candidate: Served,
    unseen: Bools,
    faults: Sequence[str] = (),
    rules: Rules = Rules(),
    decisive: Bools | None = None,
    newest: Bools | None = None,
) -> Decision:
    """Promotes the candidate where what it serves is better beyond chance, and no guard objects.

    *unseen* `(n,)` marks the questions whose right passage was no positive of the candidate's training, *newest* those
    that were judged last. *faults* are what `embedding_faults` found. One primary measure decides (served nDCG@10,
    two-sided paired randomisation); the guards (recall@10, unseen and newest questions under Holm's correction,
    embeddings, hubs) can only veto. Where *decisive* `(n,)` is given, the primary measure and recall look at these
    questions alone; the guards of unseen and newest ones look at all.
    """
    every = len(current.ndcg)
    decisive = np.ones(every, np.bool_) if decisive is None else decisive
    newest = np.zeros(every, np.bool_) if newest is None else newest
    assert len(unseen) == len(newest) == len(decisive) == every == len(candidate.ndcg), (
        "both versions answer the same questions, in one order"
    )
    n = int(decisive.sum())
    if n < max(2, rules.min_questions):
        return Decision("invalid", (_too_few(n, rules),), {"n": n})
    primary = paired(current.ndcg[decisive], candidate.ndcg[decisive])
    recall = paired(current.recall[decisive], candidate.recall[decisive])
    slices = [
        _Slice.of(current, candidate, unseen, "Unseen passages", "ask for one", "whose passage was never trained on",
                  rules.unseen_margin, rules.min_unseen),
        _Slice.of(current, candidate, newest, "Newest questions", "stand out by their time", "that were judged last",
                  rules.newest_margin, rules.min_newest),
    ]  # fmt: skip
    recall_p, unseen_p, newest_p = _after_holm(recall, *slices)
    guards = [
        *(_guard_slice(one, p, rules) for one, p in zip(slices, (unseen_p, newest_p), strict=True)),
        _guard_recall(recall, recall_p, rules),
        _guard_hubs(current.hub_share, candidate.hub_share, rules),
        *((False, fault) for fault in faults),
    ]
    better = primary.difference > 0 and primary.p < rules.alpha
    promoted = better and all(passed for passed, _ in guards)
    figures = {
        "n": n,
        "primary": asdict(primary),
        "unseen": slices[0].told(unseen_p),
        "newest": slices[1].told(newest_p),
        "recall": asdict(recall) | {"p_holm": recall_p},
        "hub_share": {"current": current.hub_share, "candidate": candidate.hub_share},
    }
    sentences = (_primary(primary, rules), *(sentence for _, sentence in guards))
    return Decision("promoted" if promoted else "kept", sentences, figures)


def embedding_faults(name: str, vectors: NDArray[np.float32], rules: Rules = Rules(), seed: int = 13) -> list[str]:
    """What is wrong with `(n, dim)` vectors that should be finite, of unit length, and spread out; nothing: empty.

    *name* opens the sentences. The spread is the mean cosine of all pairs among at most SAMPLE random rows.

    >>> embedding_faults("passage vectors", np.array([[1.0, 0.0], [0.0, 2.0]], np.float32))
    ['Veto: passage vectors should have length 1; 1 of 2 differ.']
    """
    if not len(vectors):
        return []
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64))
    if n_broken := int((~np.isfinite(lengths)).sum()):
        return [f"Veto: {n_broken:,} of {len(vectors):,} {name} hold numbers that are not finite."]
    faults = []
    if n_off := int((np.abs(lengths - 1.0) > 1e-3).sum()):
        faults.append(f"Veto: {name} should have length 1; {n_off:,} of {len(vectors):,} differ.")
    if (cosine := mean_cosine(vectors, seed)) > rules.max_mean_cosine:
        faults.append(f"Veto: {name} have collapsed: two random ones have a cosine of {_plain(cosine)} on average, "
                      f"above {_plain(rules.max_mean_cosine)}.")  # fmt: skip
    return faults


def mean_cosine(vectors: NDArray[np.float32], seed: int = 13) -> float:
    """The mean cosine of two different rows among at most SAMPLE random ones of `(n, dim)` unit rows; 0 of one row.

    >>> mean_cosine(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], np.float32))
    0.3333333333333333
    """
    n = min(len(vectors), SAMPLE)
    if n < 2:
        return 0.0
    some = vectors[np.random.default_rng(seed).choice(len(vectors), n, replace=False)].astype(np.float64)
    total = some.sum(axis=0)  # |Σv|² = Σ|v|² + Σ over pairs, so the pairs need no n × n matrix
    return float((total @ total - np.einsum("nd,nd->", some, some)) / (n * (n - 1)))


def hub_share(rankings: Iterable[Sequence[str]], right: Iterable[Mapping[str, int]], n_passages: int) -> float:
    """The largest share of questions that have one and the same wrong passage among their first hits.

    *right* has the grades of each question, in the order of *rankings*. First hits are the top ten, or the top
    twentieth of the *n_passages* there are where that is shorter: in a library of 20, ten hits are half of it.

    >>> hub_share([["hub", "a"], ["b", "hub"], ["hub"]], [{"a": 1}, {"b": 1}, {"hub": 1}], n_passages=40)
    0.6666666666666666
    """
    depth = max(1, min(10, n_passages // 20))
    counts: Counter[str] = Counter()
    n = 0
    for ranking, grades in zip(rankings, right, strict=True):
        n += 1
        counts.update(passage_id for passage_id in set(ranking[:depth]) if grades.get(passage_id, 0) <= 0)
    return max(counts.values(), default=0) / n if n else 0.0


def _too_few(n: int, rules: Rules) -> str:
    return (f"Invalid: {n} held-out questions can't decide anything; the gate needs {rules.min_questions}. "
            "Collect more verdicts, or give the night a golden set.")  # fmt: skip


def _primary(figures: Paired, rules: Rules) -> str:
    said = f"Served nDCG@10 {_moved(figures)} on {figures.n:,} held-out questions"
    if figures.wins == figures.losses == 0:
        return f"{said}: not one of them changed."
    if figures.p < rules.alpha:
        return f"{said} ({_evidence(figures)})."
    return (f"{said} ({_evidence(figures)}): chance alone could do that; "
            f"so many questions show a true change of {_plain(figures.detectable)} or more.")  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Slice:
    """Some of the held-out questions, which may not get worse for what the others gain."""

    name: str
    belonging: str
    """What its questions do: "ask for one"."""
    which: str
    """The same behind "the questions": "whose passage was never trained on"."""
    n: int
    figures: Paired | None
    """None of fewer than two questions."""
    margin: float
    at_least: int
    """Questions; with fewer it vetoes only where its whole interval lies below zero."""

    @classmethod
    def of(cls, current: Served, candidate: Served, inside: Bools, name: str, belonging: str, which: str,
           margin: float, at_least: int) -> _Slice:  # fmt: skip
        """Measures nDCG@10 of the questions *inside*, `(n,)`."""
        n = int(inside.sum())
        figures = paired(current.ndcg[inside], candidate.ndcg[inside]) if n >= 2 else None
        return cls(name, belonging, which, n, figures, margin, at_least)

    @property
    def is_tested(self) -> bool:
        """Whether it is judged by its p-value."""
        return self.figures is not None and self.n >= self.at_least

    def told(self, p: float) -> dict[str, Any] | None:
        """Its figures, *p* being after Holm; that is None where an interval judges in its place."""
        return asdict(self.figures) | {"p_holm": p if self.is_tested else None} if self.figures else None


def _after_holm(recall: Paired, *slices: _Slice) -> list[float]:
    """The p-values of recall and of each slice, corrected for as many as are tested; 1 of the others."""
    tested = [one for one in slices if one.is_tested]
    corrected = iter(holm([recall.p, *(one.figures.p for one in tested if one.figures)]))
    return [next(corrected), *(next(corrected) if one.is_tested else 1.0 for one in slices)]


def _guard_slice(one: _Slice, p: float, rules: Rules) -> tuple[bool, str]:
    figures = one.figures
    if figures is None:
        return True, f"{one.name}: {one.n} of the held-out questions {one.belonging}, too few to guard."
    said = f"on the {one.n:,} questions {one.which}, nDCG@10 {_moved(figures)}"
    if not one.is_tested:
        if figures.high < 0:
            return False, f"Veto: {said} ({_evidence(figures)}); few questions, but clearly worse."
        return True, f"{one.name}: {said}: too few to guard (fewer than {one.at_least})."
    if figures.difference < -one.margin and figures.p < rules.harm_alpha:
        return False, f"Veto: {said}, a fall of more than {_plain(one.margin)} ({_p(figures.p)})."
    if figures.difference < 0 and p < rules.alpha:
        return False, f"Veto: {said}, a small fall, but beyond chance ({_p(p)} after Holm)."
    verdict = "no harm" if figures.difference >= -one.margin else "chance alone could do that"
    return True, f"{one.name}: {said} ({_evidence(figures)}): {verdict}."


def _guard_recall(figures: Paired, p: float, rules: Rules) -> tuple[bool, str]:
    if figures.difference < 0 and p < rules.alpha:
        return False, f"Veto: recall@10 {_moved(figures)} ({_evidence(figures)}; {_p(p)} after Holm)."
    return True, f"Recall@10 {_moved(figures)}: not significantly worse."


def _guard_hubs(current: float, candidate: float, rules: Rules) -> tuple[bool, str]:
    said = f"among the first hits of {candidate:.0%} of the questions ({current:.0%} before)"
    if candidate > rules.max_hub_share and candidate > current + rules.max_hub_growth:
        return False, f"Veto: one wrong passage is now {said}, above {rules.max_hub_share:.0%}."
    return True, f"The most frequent wrong passage is {said}."


def _moved(figures: Paired) -> str:
    before, after = _plain(figures.mean_current), _plain(figures.mean_candidate)
    if before == after:
        return f"stayed at {before}"
    return f"{'rose' if figures.difference > 0 else 'fell'} from {before} to {after}"


def _evidence(figures: Paired) -> str:
    sign = "+" if figures.difference > 0 else ""
    interval = f"95 % interval {_plain(figures.low)} to {_plain(figures.high)}"
    return f"{sign}{_plain(figures.difference)}, {interval}, {_p(figures.p)}"


def _p(p: float) -> str:
    return "p < .001" if p < 0.001 else f"p = {_plain(p)}"


def _plain(value: float) -> str:
    """Three decimals without the leading zero, as such tables are printed: .612, −.004, 1.000."""
    digits = f"{abs(value):.3f}"
    digits = digits[1:] if digits.startswith("0.") else digits
    return f"−{digits}" if value < 0 and digits != ".000" else digits
