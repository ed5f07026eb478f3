"""Measures of rankings per question, by ir-measures: nDCG@10 first, and others that a person may ask for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

MEASURES: tuple[str, ...] = ("nDCG@10", "RR@10", "R@10")
"""As ir-measures writes them; the first one decides at the gate."""

MORE_MEASURES: tuple[str, ...] = (
    "R@5",
    "R@20",
    "R@100",
    "Success@1",
    "Success@5",
    "Judged@10",
    "nDCG(judged_only=True)@10",
)
"""What else is reported. The last two are for a new retriever, which is penalised for passages that nobody judged: the share of
its first ten that were, and nDCG@10 as if the others were not there."""

ALL_MEASURES = MEASURES + MORE_MEASURES

Qrels = Mapping[str, Mapping[str, int]]
"""query_id → passage_id → grade; a passage is right if its grade is above 0."""

Run = Mapping[str, Mapping[str, float]]
"""query_id → passage_id → score, higher is better."""

ValuesPerQuestion = dict[str, dict[str, float]]
"""measure → query_id → value between 0 and 1."""


def run_from_rankings(rankings: Mapping[str, Sequence[str]]) -> dict[str, dict[str, float]]:
    """Turns ranked passage ids, best first, into a run whose scores only ever fall.

    trec_eval breaks ties by id, not by the order given; whole numbers below zero leave it no tie to break.

    >>> run_from_rankings({"q": ["b", "a"]})
    {'q': {'b': -1.0, 'a': -2.0}}
    """
    return {
        query_id: {passage_id: float(-rank) for rank, passage_id in enumerate(ranking, start=1)}
        for query_id, ranking in rankings.items()
    }


def measure_per_question(qrels: Qrels, run: Run, measures: Sequence[str] = MEASURES) -> ValuesPerQuestion:
    """The value of each of *measures* for every question of *qrels*, in the order of *qrels*.

    A question that the run has nothing for counts as 0, and so does one without a right passage; questions of the run
    that *qrels* don't know are ignored. Grades count in nDCG as gains of the grade itself (Järvelin and Kekäläinen,
    TOIS 2002, as trec_eval does it).

    >>> qrels = {"found": {"p1": 1}, "missed": {"p1": 1}}
    >>> measure_per_question(qrels, run_from_rankings({"found": ["p0", "p1"]}))["RR@10"]
    {'found': 0.5, 'missed': 0.0}
    """
    import ir_measures

    values: ValuesPerQuestion = {name: dict.fromkeys(qrels, 0.0) for name in measures}
    parsed = [ir_measures.parse_measure(name) for name in measures]
    judged = {query_id: dict(grades) for query_id, grades in qrels.items()}
    found = {query_id: dict(run[query_id]) for query_id in qrels if run.get(query_id)}
    for metric in ir_measures.iter_calc(parsed, judged, found):
        values[str(metric.measure)][metric.query_id] = float(metric.value)
    return values


def mean(values: Iterable[float]) -> float:
    """The mean; 0 if there are no values.

    >>> mean([1.0, 0.5])
    0.75
    """
    numbers = list(values)
    return sum(numbers) / len(numbers) if numbers else 0.0
