"""`nightjar bench declining`: the shipped lines, found on labelled sets, and what they are worth on a set they never saw."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eval.answers.answer_metrics import auroc
from rag.embedding.embedding_cache import NamedEncoder, RecentVectors
from rag.generation.abstention import Bar
from retriever_training.abstention.fit import fit_lines, with_least
from retriever_training.abstention.leave_out_examples import Example, Holdings, Questions, both_ways, foreign

SHARES = (1.0, 0.5, 0.5)
"""What a set's questions weigh in all: answered, with their passages removed, and other sets' questions."""


@dataclass(frozen=True, slots=True)
class SetExamples:
    """What was seen of one set's questions."""

    there: tuple[Example, ...]
    gone: tuple[Example, ...]
    """Of the same questions, without their right passages."""
    foreign: tuple[Example, ...]
    """Of other sets' questions."""


def see(
    libraries: Mapping[str, Holdings],
    asked: Mapping[str, Questions],
    encoder: NamedEncoder,
    *,
    k: int,
    n_foreign: int,
    seed: int,
    progress: Callable[[int], None] = lambda n: None,
) -> dict[str, SetExamples]:
    """What is seen of every set's questions in its library, and of *n_foreign* of the others'."""
    seen = {}
    for name, holdings in libraries.items():
        reading = RecentVectors().of(encoder)
        pairs = list(both_ways(holdings, asked[name], reading, k, progress))
        others = list(foreign(holdings, _of_others(asked, name, n_foreign, seed), reading, k))
        seen[name] = SetExamples(tuple(one for one, _ in pairs), tuple(one for _, one in pairs), tuple(others))
    return seen


def found_on(seen: Sequence[SetExamples]) -> Bar:
    """The lines that all of these sets together give, each set weighing the same; and the bar's height on them.

    A question whose right passage was not shown is left out: it is neither.
    """
    examples: list[Example] = []
    weights: list[float] = []
    for one in seen:
        shown = [example for example in one.there if example.is_answered]
        for share, kind in zip(SHARES, (shown, one.gone, one.foreign), strict=True):
            examples += kind
            weights += [share / max(1, len(kind))] * len(kind)
    scale = len(weights) / sum(weights)
    return with_least(fit_lines(examples, np.array(weights) * scale), examples)


def table(seen: Mapping[str, SetExamples]) -> dict[str, dict[str, Any]]:
    """For each set the figures of the lines that the other sets gave, beside the best cosine's; shares are 0 to 1."""
    return {
        name: figures(found_on([other for place, other in seen.items() if place != name]), one)
        for name, one in seen.items()
    }


def figures(bar: Bar, one: SetExamples) -> dict[str, Any]:
    """What *bar* is worth on a set."""
    there, gone, others = ([bar.sureness(e.signs) for e in kind] for kind in (one.there, one.gone, one.foreign))
    return {
        "auroc": auroc(there, gone),
        "auroc_foreign": auroc(there, others),
        "auroc_cosine": auroc([e.nearest for e in one.there], [e.nearest for e in one.gone]),
        "auroc_cosine_foreign": auroc([e.nearest for e in one.there], [e.nearest for e in one.foreign]),
        "declined": _below(there, bar.least),
        "declined_without": _below(gone, bar.least),
        "declined_foreign": _below(others, bar.least),
    }


def _below(sure: Sequence[float], least: float) -> float:
    return float(np.mean([one < least for one in sure])) if sure else float("nan")


def _of_others(asked: Mapping[str, Questions], name: str, n: int, seed: int) -> Questions:
    """*n* questions of the other sets, drawn by *seed*, as many of each as can be."""
    texts: list[str] = []
    vectors = []
    others = [one for place, one in asked.items() if place != name]
    for place, one in enumerate(others):
        share = n // len(others) + (place < n % len(others))
        rows = random.Random(seed).sample(range(len(one.texts)), min(share, len(one.texts)))  # noqa: S311 (a draw, no secret)
        texts += [one.texts[row] for row in rows]
        vectors += [one.vectors[row] for row in rows]
    return Questions(texts, np.array(vectors), [()] * len(texts))
