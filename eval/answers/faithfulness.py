"""How much of an answer is in the passages that it was made of: its words, its numbers and dates, its names."""

from __future__ import annotations

from calendar import month_name
from collections import Counter
from collections.abc import Sequence

from eval.answers.answer_metrics import normalise_answer
from rag.citations.citations import strip_unknown_citations
from rag.text.fact_values import extract_names, extract_values, unsupported_values

MONTHS = frozenset(month.casefold() for month in month_name if month)


def k_precision(text: str, passages: Sequence[str]) -> float:
    """The share of an answer's words that the passages hold, each as often as it is there; 0 of no words.

    K-Precision of Adlakha et al., TACL 2024 (arXiv 2307.16877), on the words that SQuAD compares. *text* is without
    citation marks.

    >>> k_precision("Owls hunt owls", ["The owl: owls hunt."])
    0.6666666666666666
    """
    said = Counter(normalise_answer(text).split())
    known = Counter(normalise_answer(" ".join(passages)).split())
    return sum((said & known).values()) / said.total() if said else 0.0


def facts_supported(text: str, passages: Sequence[str]) -> float | None:
    """The share of the numbers, dates and names in an answer that the passages state too; None if it states none.

    "3 March 2024" is stated by "2024-03-03"; see rag/text/fact_values.py. Names are capitalised words inside a sentence.

    >>> facts_supported("By 1843 Ada wrote 4 notes with Babbage.", ["Ada Byron wrote them in 1843."])
    0.5
    """
    evidence = "\n".join(passages)
    numbers, lower = extract_values(text), evidence.casefold()
    named = extract_names(text) - MONTHS  # dates cover them
    n_facts = len(numbers) + len(named)
    n_missing = len(unsupported_values(text, evidence)) + sum(name not in lower for name in named)
    return 1 - n_missing / n_facts if n_facts else None


def without_citation_marks(text: str) -> str:
    """An answer without its citation marks.

    >>> without_citation_marks("Owls hunt. [1, 2] At night [3].")
    'Owls hunt. At night.'
    """
    return strip_unknown_citations(text, set())
