"""`nightjar bench declining`: the shipped lines, found on labelled sets, and what they are worth on a set they never saw."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eval.answers.answer_metrics import auroc
from rag.embedding.embedding_cache import EmbeddingCache
from rag.embedding.protocols import VersionEncoder
from rag.generation.abstention import AbstentionThreshold
from retriever_training.abstention.fit import at_false_decline_rate, fit_abstention
from retriever_training.abstention.leave_out_examples import (
    AbstentionExample,
    AnswerableQuestions,
    SearchableLibrary,
    out_of_domain,
    with_and_without_positives,
)

KIND_WEIGHTS = (1.0, 0.5, 0.5)
"""What a set's questions weigh in all: answered, with their passages removed, and other sets' questions."""


@dataclass(frozen=True, slots=True)
class SetExamples:
    """The features of one set's questions."""

    there: tuple[AbstentionExample, ...]
    gone: tuple[AbstentionExample, ...]
    """Of the same questions, without their right passages."""
    out_of_domain: tuple[AbstentionExample, ...]
    """Of other sets' questions."""


def collect_examples(
    libraries: Mapping[str, SearchableLibrary],
    questions: Mapping[str, AnswerableQuestions],
    encoder: VersionEncoder,
    *,
    k: int,
    n_out_of_domain: int,
    seed: int,
    progress: Callable[[int], None] = lambda n: None,
) -> dict[str, SetExamples]:
    """Returns the features of every set's questions in its library, and of *n_out_of_domain* questions of the other
    sets.
    """
    seen = {}
    for name, holdings in libraries.items():
        reading = EmbeddingCache().of(encoder)
        pairs = list(with_and_without_positives(holdings, questions[name], reading, k, progress))
        others = list(out_of_domain(holdings, _of_others(questions, name, n_out_of_domain, seed), reading, k))
        seen[name] = SetExamples(tuple(score for score, _ in pairs), tuple(score for _, score in pairs), tuple(others))
    return seen


def fit_threshold(seen: Sequence[SetExamples]) -> AbstentionThreshold:
    """The lines that all of these sets together give, each set weighing the same; and the bar's height on them.

    A question whose right passage was not shown is left out: it is neither.
    """
    examples: list[AbstentionExample] = []
    weights: list[float] = []
    for set_scores in seen:
        shown = [example for example in set_scores.there if example.is_answered]
        for share, kind in zip(KIND_WEIGHTS, (shown, set_scores.gone, set_scores.out_of_domain), strict=True):
            examples += kind
            weights += [share / max(1, len(kind))] * len(kind)
    scale = len(weights) / sum(weights)
    return at_false_decline_rate(fit_abstention(examples, np.array(weights) * scale), examples)


def leave_one_out_figures(seen: Mapping[str, SetExamples]) -> dict[str, dict[str, Any]]:
    """For each set the figures of the lines that the other sets gave, next to the best cosine's; shares are 0 to 1."""
    return {
        name: threshold_figures(
            fit_threshold([other_scores for other_name, other_scores in seen.items() if other_name != name]), scores
        )
        for name, scores in seen.items()
    }


def threshold_figures(bar: AbstentionThreshold, one: SetExamples) -> dict[str, Any]:
    """What *bar* is worth on a set."""
    there, gone, others = ([bar.sureness(e.signs) for e in kind] for kind in (one.there, one.gone, one.out_of_domain))
    return {
        "auroc": auroc(there, gone),
        "auroc_foreign": auroc(there, others),
        "auroc_cosine": auroc([e.best_cosine for e in one.there], [e.best_cosine for e in one.gone]),
        "auroc_cosine_foreign": auroc([e.best_cosine for e in one.there], [e.best_cosine for e in one.out_of_domain]),
        "declined": _below(there, bar.least),
        "declined_without": _below(gone, bar.least),
        "declined_foreign": _below(others, bar.least),
    }


def _below(sure: Sequence[float], least: float) -> float:
    return float(np.mean([probability < least for probability in sure])) if sure else float("nan")


def _of_others(asked: Mapping[str, AnswerableQuestions], name: str, n: int, seed: int) -> AnswerableQuestions:
    """*n* questions of the other sets, drawn by *seed*, as many of each as can be."""
    texts: list[str] = []
    vectors = []
    others = [others for other_name, others in asked.items() if other_name != name]
    for index, other_set in enumerate(others):
        share = n // len(others) + (index < n % len(others))
        rows = random.Random(seed).sample(range(len(other_set.texts)), min(share, len(other_set.texts)))  # noqa: S311 (a draw, no secret)
        texts += [other_set.texts[row] for row in rows]
        vectors += [other_set.vectors[row] for row in rows]
    return AnswerableQuestions(texts, np.array(vectors), [()] * len(texts))
