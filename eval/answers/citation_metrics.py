"""Whether an answer's citations hold: recall and precision by ALCE's definitions, and against the right passages."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from rag.citations.citations import find_support, split_claims
from rag.records import MIN_SUPPORTED, Passage
from rag.text.fact_values import extract_names
from rag.text.sentences import Sentence, split_sentences
from rag.text.term_coverage import content_words, idf_weights

SupportTest = Callable[[Sequence[Passage], str], bool]
"""(passages, a sentence) → whether the passages together support it."""

SPAN_SUPPORT = "verbatim, else half of its words by rarity in one stretch of each passage"
"""The name of the support test that needs no model: `supports_by_spans`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CitationScores:
    """What the citations of one answer are worth, each 0 to 1; None if there is nothing to measure."""

    recall: float | None
    """The share of its sentences that their citations support."""
    precision: float | None
    """The share of its citations that are needed."""
    valid: float | None
    """The share of its marks that name a passage."""
    n_sentences: int
    n_citations: int


def alce_scores(text: str, passages: Sequence[Passage], supports: SupportTest) -> CitationScores:
    """Citation recall and precision of one answer, by the definitions of ALCE (Gao et al., EMNLP 2023, section 4).

    *passages* are numbered from 1, as the marks name them. A sentence is recalled if all passages that it cites
    together support it; one that cites nothing is not. A citation is precise if its sentence is recalled, and its
    passage supports the sentence alone, or the others without it do not.
    """
    said = list(split_claims(text))
    marks = [number for claim in said for number in claim.numbers]
    n_recalled = n_precise = n_cited = 0
    for claim in said:
        named = [number for number in dict.fromkeys(claim.numbers) if 1 <= number <= len(passages)]
        n_cited += len(named)
        cited = [passages[number - 1] for number in named]
        if cited and supports(cited, claim.text):
            n_recalled += 1
            n_precise += sum(_is_needed(cited, position, claim.text, supports) for position in range(len(cited)))
    return CitationScores(
        recall=n_recalled / len(said) if said else None,
        precision=n_precise / n_cited if n_cited else None,
        valid=sum(1 <= number <= len(passages) for number in marks) / len(marks) if marks else None,
        n_sentences=len(said),
        n_citations=n_cited,
    )


def _is_needed(cited: Sequence[Passage], place: int, sentence: str, supports: SupportTest) -> bool:
    others = [*cited[:place], *cited[place + 1 :]]
    return not others or supports([cited[place]], sentence) or not supports(others, sentence)


def supports_by_spans(passages: Sequence[Passage], sentence: str) -> bool:
    """Whether the sentence is in a passage word for word, or its words are in one stretch of each passage, taken together.

    This is the test of served answers (rag/citations/citations.py): half of the sentence's weight in words, all of its
    numbers and dates, and its names in a passage, a title or a heading. A sentence that says the opposite in the same
    words passes, so this is an upper bound.

    >>> owls = Passage(
    ...     passage_id="p", document_id="d", source="a.md", title="Birds",
    ...     heading="", text="Owls hunt at night. Swifts sleep in the air.", start=0, end=44,
    ... )
    >>> supports_by_spans([owls], "Swifts sleep in the air"), supports_by_spans([owls], "Owls hunt 20 mice a night")
    (True, False)
    """
    split = [split_sentences(passage.text) for passage in passages]
    weights = idf_weights(content_words(sentence.text) for sentences in split for sentence in sentences)
    best = [
        find_support(sentence, passage.text, sentences, weights)
        for passage, sentences in zip(passages, split, strict=True)
    ]
    known = "\n".join(passage.encoded_text for passage in passages).casefold()
    if not all(name in known for name in extract_names(sentence)):
        return False
    if any(span.support >= MIN_SUPPORTED for span in best):
        return True
    together = " ".join(passage.text[span.start : span.end] for passage, span in zip(passages, best, strict=True))
    return find_support(sentence, together, [Sentence(0, len(together), together)], weights).support >= MIN_SUPPORTED


def cited_precision_recall(cited: Collection[str], right: Collection[str]) -> tuple[float | None, float | None]:
    """(precision, recall) of the cited passage ids against the right ones; None of nothing cited, or nothing right.

    >>> cited_precision_recall(["a", "b"], ["a"]), cited_precision_recall([], ["a"])
    ((0.5, 1.0), (None, 0.0))
    """
    found = len(set(cited) & set(right))
    return (found / len(set(cited)) if cited else None), (found / len(set(right)) if right else None)
