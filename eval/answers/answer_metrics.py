"""What an answer's text is worth if the right answer is known, without a judge; and how well confidence tells right from wrong.

Which of these follow people's judgments: on RAGChecker's 280 judged pairs content-word F1 does best of what needs no
model; for short answers, whether the answer is held at all. Everything that rewards recall alone rewards length, so the
words quoted are next to it.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from rag.arrays import DoubleArray
from rag.text.tokenize import tokenize

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_MARK = re.compile(r"\[\d[\d, ]*\]")
_PUNCTUATION = str.maketrans("", "", string.punctuation + "“”‘’–—…")


def normalise_answer(text: str) -> str:
    """Lower case, without punctuation and articles, one space between words, as SQuAD compares answers.

    Rajpurkar et al., EMNLP 2016; typographic quotes and dashes count as punctuation too.

    >>> normalise_answer("The  “Grey” Cat’s, a hat.")
    'grey cats hat'
    """
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def contains_any_answer(text: str, answers: Sequence[str]) -> bool:
    """True if the words of one of the *answers* are in *text* in a row, both normalised.

    >>> contains_any_answer("It was founded in 1903, in Paris.", ["1904", "in paris"])
    True
    >>> contains_any_answer("In 19031 days", ["1903"])
    False
    """
    padded = f" {normalise_answer(text)} "
    return any(f" {wanted} " in padded for wanted in map(normalise_answer, answers) if wanted)


def exact_match(text: str, answers: Sequence[str]) -> float:
    """1 if *text* is one of the *answers*, both normalised; else 0.

    >>> exact_match("The Louvre.", ["louvre"])
    1.0
    """
    return float(normalise_answer(text) in {normalise_answer(answer) for answer in answers})


def token_f1(text: str, answers: Sequence[str]) -> float:
    """The best F1 of the normalised words of *text* with those of one of the *answers*, 0 to 1, as in SQuAD.

    >>> token_f1("in the year 1903", ["1903"])
    0.5
    """
    return max(
        (_f1(normalise_answer(text).split(), normalise_answer(answer).split()) for answer in answers), default=0.0
    )


def content_f1(text: str, answers: Sequence[str]) -> float:
    """Returns the F1 over the words that BM25 counts, without stop words.

    >>> content_f1("It was in the year 1903", ["in 1903"]) == 2 / 3
    True
    """
    return max((_f1(tokenize(text), tokenize(answer)) for answer in answers), default=0.0)


def content_recall(text: str, answers: Sequence[str]) -> float:
    """The largest share of the content words of one of the *answers* that *text* holds, 0 to 1: how complete it is.

    It rewards length, so the number of words is reported next to it.

    >>> content_recall("Owls hunt at night, and swifts sleep", ["Owls hunt mice", "no"])
    0.6666666666666666
    """
    found = Counter(tokenize(text))
    wanted = (Counter(tokenize(answer)) for answer in answers)
    return max(((found & word).total() / word.total() for word in wanted if word), default=0.0)


def nugget_recall(text: str, nuggets: Sequence[Sequence[str]]) -> float | None:
    """The share of *nuggets*, each a fact in several spellings, that *text* holds in one of them; None of no nuggets.

    >>> nugget_recall("It opened in May 1843.", [["1843", "in 1843"], ["London"]])
    0.5
    """
    return sum(contains_any_answer(text, spellings) for spellings in nuggets) / len(nuggets) if nuggets else None


def n_words(text: str) -> int:
    """The number of words that somebody has to read; citation marks do not count.

    >>> n_words("Bring a mask [1]. Or [2, 3] two.")
    5
    """
    return len([word for word in _MARK.sub(" ", text).split() if any(map(str.isalnum, word))])


def auroc(right: ArrayLike, wrong: ArrayLike) -> float:
    """How often a score of *right* is above one of *wrong*, ties counting half: 0.5 is chance.

    Mann and Whitney 1947, by ranks. Both are `(n,)`; nan if one is empty.

    >>> auroc([0.9, 0.5], [0.5, 0.1])
    0.875
    """
    from scipy.stats import rankdata

    above, below = np.asarray(right, np.float64), np.asarray(wrong, np.float64)
    if not len(above) or not len(below):
        return float("nan")
    ranks = rankdata(np.concatenate([above, below]))[: len(above)].sum()
    return float((ranks - len(above) * (len(above) + 1) / 2) / (len(above) * len(below)))


def risk_coverage(confidence: ArrayLike, is_right: ArrayLike) -> tuple[DoubleArray, DoubleArray]:
    """Coverage and risk when the most confident answers are given first, each `(n,)`, one point an answer.

    Coverage is the share of questions answered, risk the share of those answers that are wrong. Equal confidences
    share one risk, because no threshold parts them. El-Yaniv and Wiener, JMLR 2010.

    >>> coverage, risk = risk_coverage([0.9, 0.8, 0.1, 0.1], [True, True, False, True])
    >>> coverage.tolist(), risk.tolist()
    ([0.25, 0.5, 1.0, 1.0], [0.0, 0.0, 0.25, 0.25])
    """
    scores, right = np.asarray(confidence, np.float64), np.asarray(is_right, bool)
    order = np.argsort(-scores, kind="stable")
    n_answered = np.searchsorted(-scores[order], -scores[order], side="right")
    n_wrong = np.cumsum(~right[order])
    return n_answered / max(1, len(scores)), n_wrong[n_answered - 1] / np.maximum(1, n_answered)


def area_under_risk_coverage(confidence: ArrayLike, is_right: ArrayLike) -> float:
    """The mean risk over all coverages (AURC): 0 is best; of no order, the share of wrong answers.

    >>> area_under_risk_coverage([0.9, 0.1], [True, False])
    0.25
    """
    _, risk = risk_coverage(confidence, is_right)
    return float(risk.mean()) if len(risk) else 0.0


def _f1(found: Sequence[str], wanted: Sequence[str]) -> float:
    common = sum((Counter(found) & Counter(wanted)).values())
    return 2 * common / (len(found) + len(wanted)) if common else 0.0
