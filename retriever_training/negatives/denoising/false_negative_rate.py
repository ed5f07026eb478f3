"""How many mined negatives are right after all, measured with right passages that are hidden from mining."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eval.datasets.beir import Grades
from rag.errors import UsageError
from rag.text.shingles import normalise_words
from retriever_training.negatives.candidates.records import Candidate, MinedNegatives
from retriever_training.negatives.denoising.answer_match import has_answer

RATINGS: Mapping[str, int] = {"Bad": 0, "Could be improved": 1, "Acceptable": 2, "Excellent": 3}
"""FeedbackQA's scale (Li et al. 2022)."""
ALL_SOURCES = "all sources"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartlyLabelledQuestion:
    """A question with the one right passage that mining is given, and what else is known about it; passages by id."""

    query_id: str
    question: str
    passage_id: str
    """The right passage that mining is given."""
    right: frozenset[str]
    """Other right passages, hidden from mining."""
    wrong: frozenset[str] | None
    """The passages known to be wrong; None if every passage that is not right is wrong."""

    def truth(self, passage_id: str) -> bool | None:
        """Returns whether a passage is right; None if nobody knows."""
        if passage_id in self.right:
            return True
        return False if self.wrong is None or passage_id in self.wrong else None


@dataclass(frozen=True, slots=True)
class FalseNegativeRate:
    """The negatives of one source, and how many of them are false."""

    source: str
    n_emitted: int
    n_judged: int
    """The emitted negatives of which it is known whether they are right."""
    n_false: int

    @property
    def share_of_emitted(self) -> float:
        """The share of all negatives that are known to be false: a lower bound."""
        return self.n_false / max(1, self.n_emitted)

    @property
    def share_of_judged(self) -> float:
        """The share of the judged negatives that are false: an overestimate if only what a retriever showed was judged."""
        return self.n_false / max(1, self.n_judged)

    def interval(self, n: int) -> tuple[float, float]:
        """Returns Wilson's 95 % interval of n_false of *n* (Wilson, JASA 1927).

        >>> [round(end, 3) for end in FalseNegativeRate("bm25", 100, 50, 5).interval(50)]
        [0.043, 0.214]
        >>> FalseNegativeRate("bm25", 100, 0, 0).interval(0)
        (0.0, 1.0)
        """
        if not n:
            return 0.0, 1.0
        from scipy.stats import binomtest

        ends = binomtest(self.n_false, n).proportion_ci(method="wilson")
        return float(ends.low), float(ends.high)


@dataclass(frozen=True, slots=True)
class RuleRemovals:
    """The candidates that one rule removed."""

    reason: str
    n: int
    n_right: int
    """Known to be right, so rightly removed."""
    n_wrong: int
    """Known to be wrong, so good negatives were lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FalseNegativeRates:
    """The result of a measurement: rates by source, the last one for all sources together."""

    n_questions: int
    n: int
    """The number of negatives counted per question and source."""
    n_hidden: int
    """The number of right passages that were hidden from mining."""
    as_found: tuple[FalseNegativeRate, ...]
    """The rates before cleaning."""
    cleaned: tuple[FalseNegativeRate, ...]
    """The rates after cleaning."""
    removals: tuple[RuleRemovals, ...]
    """Removals by reason, over the whole pools, the most frequent first."""
    n_candidates: int
    """The number of candidates in the pools; each question's passage counts once."""


def questions_from_ratings(
    file: Path, split: str, queries: Mapping[str, str], qrels: Mapping[str, Grades]
) -> list[PartlyLabelledQuestion]:
    """Returns the questions with several rated passages; mining is given the labelled one, or else the best rated.

    A passage is right if its mean rating is at least "Acceptable", and wrong if it is below "Could be improved"; between
    them people are divided, and it counts neither way. Lines have the format of FeedbackQA's feedback.jsonl.

    Raises:
        UsageError: a line has no query_id, passage_id or rating.
    """
    questions = []
    for query_id, means in _mean_ratings(file, split).items():
        labelled = [passage_id for passage_id, grade in qrels.get(query_id, {}).items() if grade > 0]
        best = labelled[0] if labelled else max(means, key=lambda passage_id: means[passage_id])
        others = {passage_id: mean for passage_id, mean in means.items() if passage_id not in {best, *labelled}}
        if query_id in queries and others and (labelled or means[best] >= RATINGS["Acceptable"]):
            right = {passage_id for passage_id, mean in others.items() if mean >= RATINGS["Acceptable"]}
            wrong = {passage_id for passage_id, mean in others.items() if mean < RATINGS["Could be improved"]}
            right.update(labelled[1:])
            questions.append(
                PartlyLabelledQuestion(
                    query_id=query_id,
                    question=queries[query_id],
                    passage_id=best,
                    right=frozenset(right),
                    wrong=frozenset(wrong),
                )
            )
    return questions


def questions_from_qrels(
    queries: Mapping[str, str], qrels: Mapping[str, Grades], seed: int = 13
) -> list[PartlyLabelledQuestion]:
    """Returns the questions with several right passages; mining is given one, drawn at random, and the others are hidden.

    >>> questions_from_qrels({"q": "?"}, {"q": {"a": 1, "b": 2, "c": 0}}, seed=1)[0].wrong
    frozenset({'c'})
    >>> questions_from_qrels({"q": "?"}, {"q": {"a": 1, "c": 0}})
    []
    """
    generator = np.random.default_rng(seed)
    questions = []
    for query_id, grades in sorted(qrels.items()):
        right = sorted(passage_id for passage_id, grade in grades.items() if grade > 0)
        if len(right) > 1:
            given = right[int(generator.integers(len(right)))]
            wrong = frozenset(passage_id for passage_id, grade in grades.items() if grade <= 0)
            questions.append(
                PartlyLabelledQuestion(
                    query_id=query_id,
                    question=queries[query_id],
                    passage_id=given,
                    right=frozenset(right) - {given},
                    wrong=wrong,
                )
            )
    return questions


def questions_from_answers(
    queries: Mapping[str, str],
    qrels: Mapping[str, Grades],
    answers: Mapping[str, Sequence[str]],
    texts: Mapping[str, str],
) -> list[PartlyLabelledQuestion]:
    """Returns the questions with answers: passages that contain an answer are right, as in DPR, and all others wrong.

    Includes only questions whose labelled passage itself contains an answer, because otherwise the words of the answer
    say little. Short answers are in some passages by chance; the rate of the random source shows in how many.
    """
    words = {passage_id: normalise_words(text) for passage_id, text in texts.items()}
    questions = []
    for query_id, grades in sorted(qrels.items()):
        given = answers.get(query_id, ())
        labelled = [passage_id for passage_id, grade in grades.items() if grade > 0]
        if labelled and has_answer(words[labelled[0]], given):
            right = frozenset(passage_id for passage_id, text in words.items() if has_answer(text, given))
            questions.append(
                PartlyLabelledQuestion(
                    query_id=query_id,
                    question=queries[query_id],
                    passage_id=labelled[0],
                    right=right - {labelled[0]},
                    wrong=None,
                )
            )
    return questions


def measure(
    questions: Sequence[PartlyLabelledQuestion],
    by_source: Mapping[str, Sequence[MinedNegatives]],
    passage_ids: Sequence[str],
    n: int = 4,
) -> FalseNegativeRates:
    """Returns the rates among the first *n* negatives per question that each source emits, before and after cleaning.

    *by_source* holds one `MinedNegatives` for each of the *questions*, in their order.
    """
    naive = {name: [in_found_order(result)[:n] for result in mined] for name, mined in by_source.items()}
    cleaned = {name: [result.kept[:n] for result in mined] for name, mined in by_source.items()}
    return FalseNegativeRates(
        n_questions=len(questions),
        n=n,
        n_hidden=sum(len(truth.right) for truth in questions),
        as_found=_rates(questions, naive, passage_ids),
        cleaned=_rates(questions, cleaned, passage_ids),
        removals=_removals(questions, by_source, passage_ids),
        n_candidates=sum(
            len({candidate.passage for mined in by_source.values() for candidate in in_found_order(mined[row])})
            for row in range(len(questions))
        ),
    )


def in_found_order(mined: MinedNegatives) -> list[Candidate]:
    """Returns all candidates of a question in the order in which the source found them."""
    return sorted([*mined.kept, *(candidate for candidate, _ in mined.removed)], key=lambda candidate: candidate.rank)


def _rates(
    questions: Sequence[PartlyLabelledQuestion],
    emitted: Mapping[str, Sequence[Sequence[Candidate]]],
    passage_ids: Sequence[str],
) -> tuple[FalseNegativeRate, ...]:
    rows = {
        name: [[candidate.passage for candidate in group] for group in of_questions]
        for name, of_questions in emitted.items()
    }
    rows[ALL_SOURCES] = [
        sorted({row for of_questions in rows.values() for row in of_questions[index]})
        for index in range(len(questions))
    ]
    return tuple(_rate(name, questions, of_questions, passage_ids) for name, of_questions in rows.items())


def _rate(
    name: str, questions: Sequence[PartlyLabelledQuestion], rows: Sequence[Sequence[int]], passage_ids: Sequence[str]
) -> FalseNegativeRate:
    truths = [
        truth.truth(passage_ids[row]) for truth, candidates in zip(questions, rows, strict=True) for row in candidates
    ]
    return FalseNegativeRate(
        name, len(truths), sum(truth is not None for truth in truths), sum(truth is True for truth in truths)
    )


def _removals(
    questions: Sequence[PartlyLabelledQuestion],
    by_source: Mapping[str, Sequence[MinedNegatives]],
    passage_ids: Sequence[str],
) -> tuple[RuleRemovals, ...]:
    """Counts removals by reason; a question's passage counts once, however many sources found it."""
    reasons = {
        (index, candidate.passage): reason
        for mined in by_source.values()
        for index, result in enumerate(mined)
        for candidate, reason in result.removed
    }
    counts: dict[str, Counter[bool | None]] = defaultdict(Counter)
    for (index, passage), reason in reasons.items():
        counts[reason][questions[index].truth(passage_ids[passage])] += 1
    removals = (RuleRemovals(reason, count.total(), count[True], count[False]) for reason, count in counts.items())
    return tuple(sorted(removals, key=lambda removal: -removal.n))


def _mean_ratings(file: Path, split: str) -> dict[str, dict[str, float]]:
    """Returns query_id → passage_id → mean rating, from the lines of one split."""
    given: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for number, line in enumerate(file.read_text("utf-8").splitlines(), start=1):
        try:
            entry = json.loads(line)
            query_id, passage_id, rating = entry["query_id"], entry["passage_id"], RATINGS[entry["rating"]]
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"{file}, line {number}: expected query_id, passage_id and a rating of {', '.join(RATINGS)} ({error!r})"
            ) from None
        if entry.get("split", split) == split:
            given[query_id][passage_id].append(rating)
    return {
        query_id: {passage_id: sum(group) / len(group) for passage_id, group in by_passage.items()}
        for query_id, by_passage in given.items()
    }
