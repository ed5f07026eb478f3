"""Questions and passages made worse by rule: reworded, mixed with wrong passages, moved, and made to say something false."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from eval.answers.answer_metrics import contains_any_answer
from rag.records import Passage

CHANGED_SUFFIX = " (changed)"
"""Behind the source and id of a passage that was made to say something false."""

_DIGITS = re.compile(r"\d+")
_REWORDINGS = (
    (re.compile(r"^What (?:is|was|are|were) (.+?)\?*$", re.IGNORECASE), r"Tell me \1."),
    (re.compile(r"^Who (.+)$", re.IGNORECASE), r"Which person \1"),
    (re.compile(r"^Where (.+)$", re.IGNORECASE), r"In which place \1"),
    (re.compile(r"^How many (.+)$", re.IGNORECASE), r"What number of \1"),
    (re.compile(r"^Which (.+)$", re.IGNORECASE), r"What \1"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PerturbationCase:
    """One question with a known answer, its right passages, and the closest of those that do not hold it."""

    query_id: str
    question: str
    answers: tuple[str, ...]
    right: tuple[Passage, ...]
    wrong: tuple[Passage, ...]
    """Best first, as they would be found: RGB takes its noise from a search too."""


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """A right passage that now says something else, and what it says."""

    passage: Passage
    was: str
    now: str


def add_distractors(case: PerturbationCase, share: float, k: int, seed: int) -> list[Passage] | None:
    """*k* places, *share* of them with wrong passages, shuffled by *seed*; None if there are too few of these.

    The noise test of RGB (Chen et al., AAAI 2024). Right passages fill the other places as far as there are any; most
    questions have one, and what is left stays empty. A share of 1 leaves nothing that answers.
    """
    n_wrong = round(share * k)
    if len(case.wrong) < n_wrong:
        return None
    chosen = [*case.right[: k - n_wrong], *case.wrong[:n_wrong]]
    random.Random(f"{seed} {case.query_id} {n_wrong}").shuffle(chosen)  # noqa: S311 (an order, no secret)
    return chosen


def place_at_rank(case: PerturbationCase, rank: int, k: int) -> list[Passage] | None:
    """The first right passage on *rank*, 1-based, among *k* - 1 wrong ones; None if there are too few of these."""
    if len(case.wrong) < k - 1:
        return None
    return [*case.wrong[: rank - 1], case.right[0], *case.wrong[rank - 1 : k - 1]]


def make_counterfactual(case: PerturbationCase, others: Sequence[str]) -> Counterfactual | None:
    """The first right passage with its answer changed everywhere; None if no rule applies, or if it still answers.

    A number becomes another one of about its size. A name becomes the next one in the alphabet of *others*, the answers to
    other questions, with as many words and capitals.
    """
    passage = case.right[0]
    for was in sorted(case.answers, key=len, reverse=True):
        now = _another(was, others, passage.text)
        if now and (found := _word(was).search(passage.text)):
            made = _saying(passage, was, now)
            return (
                None
                if contains_any_answer(made.encoded_text, case.answers)
                else Counterfactual(made, found.group(), now)
            )
    return None


def paraphrase(question: str) -> list[str]:
    """The question in other words, by rule; each asks for the same.

    >>> paraphrase("What is the capital of France?")
    ['what is the capital of france', 'Can you tell me: What is the capital of France?', 'Tell me the capital of France.']
    """
    bare = question.strip()
    made = [bare.casefold().rstrip("?. "), f"Can you tell me: {bare}"]
    made += [pattern.sub(replacement, bare) for pattern, replacement in _REWORDINGS if pattern.search(bare)][:1]
    return [rewording for rewording in dict.fromkeys(made) if rewording != bare]


def _saying(passage: Passage, was: str, now: str) -> Passage:
    """The passage with other words in the place of some, and a name that tells that it was changed."""

    def changed(text: str) -> str:
        return _word(was).sub(lambda _: now, text)

    text = changed(passage.text)
    return replace(
        passage,
        passage_id=passage.passage_id + CHANGED_SUFFIX,
        source=passage.source + CHANGED_SUFFIX,
        title=changed(passage.title),
        text=text,
        end=passage.start + len(text),
    )


def _word(answer: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(answer)}(?!\w)", re.IGNORECASE)


def _another(was: str, others: Sequence[str], text: str) -> str:
    """Returns a replacement for the answer; empty if there is none."""
    if _DIGITS.search(was):
        return _DIGITS.sub(lambda digits: _other_number(digits.group()), was)
    fitting = sorted(
        {
            distractor
            for distractor in others
            if _shape(distractor) == _shape(was) and not _word(distractor).search(text)
        }
    )
    later = [sentence for sentence in fitting if sentence > was]
    return next(iter([*later, *fitting]), "")


def _other_number(digits: str) -> str:
    """
    >>> _other_number("1903"), _other_number("5"), _other_number("07"), _other_number("99")
    ('1920', '8', '10', '82')
    """
    step = 17 if len(digits) > 2 or digits == "99" else 3
    value = int(digits) + step
    return f"{value if len(str(value)) <= len(digits) else int(digits) - step:0{len(digits)}}"


def _shape(answer: str) -> tuple[bool, ...] | None:
    """Which of its words begin with a capital; None for what holds a number."""
    return None if _DIGITS.search(answer) else tuple(word[:1].isupper() for word in answer.split())


def usable_cases(found: Iterator[PerturbationCase], k: int) -> list[PerturbationCase]:
    """Those that every test can be made of: with a right passage that holds an answer, and *k* wrong ones."""
    return [value for value in found if value.right and len(value.wrong) >= k]
