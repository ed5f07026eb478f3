"""The type of short answer that a question asks for (number, date, person, place), and where a sentence holds one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from rag.text.quantities import MONTH, NUMBER_WORDS, PROSE_UNIT, requested_measure
from rag.text.term_coverage import content_words

AnswerType = Literal["number", "date", "person", "place"]
Span = tuple[int, int]

_YEAR = r"(?:1[0-9]\d\d|20\d\d)"
_DAY = r"\d{1,2}(?:st|nd|rd|th)?"
_DATE = re.compile(
    rf"\b(?:{_YEAR}-\d\d-\d\d|{_DAY}(?: of)? {MONTH}(?:,? {_YEAR})?|{MONTH} {_DAY}(?:,? {_YEAR})?|{MONTH},? {_YEAR}"
    rf"|{_YEAR})(?![\w-]|[.,]\d)"
)
_NUMBER_WORD = rf"(?:{'|'.join(NUMBER_WORDS)})(?:-(?:{'|'.join(NUMBER_WORDS[:9])}))?"
_NUMBER = re.compile(
    rf"(?<![\w.,-])(?:[$€£]\s?)?(?:(?:\d{{1,3}}(?:,\d{{3}})+|\d+)(?:\.\d+)?|{_NUMBER_WORD})(?:\s(?:hundred|thousand|million|billion|trillion))?"
    rf"(?:\s?(?:{PROSE_UNIT})(?!\w))?(?![\w-]|[.,]\d)",
    re.IGNORECASE,
)
_PARTICLE = r"(?:of|de|da|di|del|van|von|der|la|le|al|bin|the)"
_NAME = re.compile(rf"\b[A-Z][\w’'.-]*[\w](?: (?:{_PARTICLE} ){{0,2}}[A-Z][\w’'-]*[\w])*")

_ASKS: tuple[tuple[AnswerType, re.Pattern[str]], ...] = (
    ("date", re.compile(r"\bwhen\b|\b(?:what|which) (?:year|date|day|month)\b", re.IGNORECASE)),
    (
        "number",
        re.compile(
            r"\bhow (?:many|much|long|old|far|tall|high|heavy|wide|deep|fast|large|big)\b"
            r"|\bhow (?:expensive|cheap|hot|cold|warm|loud|noisy)\b"
            r"|\bwhat (?:percentage|number|proportion|share)\b",
            re.IGNORECASE,
        ),
    ),
    ("person", re.compile(r"\bwho(?:m|se)?\b", re.IGNORECASE)),
    ("place", re.compile(r"\bwhere\b|\b(?:what|which) (?:city|country|town|state)\b", re.IGNORECASE)),
)
_RANGE = re.compile(rf"{_YEAR} ?[–-] ?\d|[a-z][–-]{MONTH}")
_NOT_NOW = re.compile(r"\b(?:last|latest|next|current|currently|now)\b", re.IGNORECASE)
_HOW_MANY = re.compile(r"\bhow many\s+((?:[\w-]+\s+){0,2}[\w-]+)", re.IGNORECASE)
_MEASURED = re.compile(rf"(?<![a-z])(?:{PROSE_UNIT})$|^[$€£]", re.IGNORECASE)
_COUNTED = re.compile(r"\W?(?: [\w-]+){1,2}")  # the words right after a number, before any comma
_OPENERS = "the a an in on at it its he she his her they this that these those and but for from i"
_CAPITAL_ANYWAY = frozenset(_OPENERS.split())


def expected_answer_type(question: str) -> AnswerType | None:
    """Returns the type of short answer that *question* asks for; None if its form shows none.

    >>> [expected_answer_type(q) for q in ("When did it open?", "How much does it weigh?", "who wrote it", "Why is it red?")]
    ['date', 'number', 'person', None]
    """
    found = [(match.start(), kind) for kind, pattern in _ASKS if (match := pattern.search(question))]
    return min(found)[1] if found else None


def find_short_answers(answer_type: AnswerType, sentence: str, question: str) -> list[Span]:
    """Returns (start, end) of each answer of that type in *sentence* that *question* does not name, in reading order.

    >>> text = "The pump of 2019 weighs 1,250 kg and needs 3 people."
    >>> [text[start:end] for start, end in find_short_answers("number", text, "How much does the pump of 2019 weigh?")]
    ['1,250 kg']
    >>> find_short_answers("number", text, "How tall is the pump?")
    []
    >>> text = "It was designed by Ada Byron in March 1843."
    >>> [text[start:end] for start, end in find_short_answers("date", text, "When was it designed?")]
    ['March 1843']
    >>> [text[start:end] for start, end in find_short_answers("person", text, "Who designed it?")]
    ['Ada Byron']
    """
    if answer_type == "date":
        found = [match.span() for match in _DATE.finditer(sentence)]
    elif answer_type == "number":
        found = _numbers(sentence)
        if measure := requested_measure(question):
            found = [(start, end) for start, end in found if measure.answers(sentence[start:end])]
    else:
        found = list(_names(sentence))
    named = question.casefold()
    return [(start, end) for start, end in found if sentence[start:end].casefold() not in named]


def which_hold_an_answer(sentences: Iterable[str], question: str) -> list[bool]:
    """Returns for each sentence whether it holds what the form of *question* asks for; all False if it asks for none.

    >>> which_hold_an_answer(["It opened in 1901.", "It is red."], "When did it open?")
    [True, False]
    """
    kind = expected_answer_type(question)
    return [bool(kind and find_short_answers(kind, sentence, question)) for sentence in sentences]


def _numbers(sentence: str) -> list[Span]:
    """Returns the numbers that are no part of a date: 1843 may be a year, 1843 kg is not."""
    dates = [match.span() for match in _DATE.finditer(sentence)]
    found = [match.span() for match in _NUMBER.finditer(sentence)]
    return [(start, end) for start, end in found if not any(a < end and start < b and end <= b for a, b in dates)]


def find_single_short_answer(question: str, sentence: str) -> Span | None:
    """Returns (start, end) of the one number or date that *question* asks for; None if *sentence* has none, or several.

    Names are left out: of 37 sentences with one name that answered "who", 14 had the right one, of 13 for "where" 3.

    >>> text = "The pump has 2 valves and weighs 1,250 kg."
    >>> for question in ("How many valves does it have?", "How heavy is it?"):
    ...     start, end = find_single_short_answer(question, text)
    ...     print(text[start:end])
    2
    1,250 kg
    >>> find_single_short_answer("When did it open?", "It opened in 1901 and again in 1950.") is None
    True
    """
    kind = expected_answer_type(question)
    if kind == "date" and not _RANGE.search(sentence) and not _NOT_NOW.search(question):
        found = find_short_answers(kind, sentence, question)
    elif kind == "number":
        found = _of_what_is_asked(find_short_answers(kind, sentence, question), question, sentence)
    else:
        return None
    return found[0] if len(found) == 1 else None


def _of_what_is_asked(found: list[Span], question: str, sentence: str) -> list[Span]:
    """Keeps the numbers that count what "how many" asks for, or those with a unit for "how long" and the like."""
    asked = _HOW_MANY.search(question)
    if asked is None:
        return [(start, end) for start, end in found if _MEASURED.search(sentence[start:end])]
    wanted = set(content_words(asked.group(1)))
    return [
        (start, end) for start, end in found if wanted & set(content_words(_with_what_follows(sentence, start, end)))
    ]


def _with_what_follows(sentence: str, start: int, end: int) -> str:
    following = _COUNTED.match(sentence, end)
    return sentence[start : following.end() if following else end]


def _names(sentence: str) -> list[Span]:
    """Returns runs of capitalised words, less a single one that opens the sentence, which may be any word."""
    found = []
    for match in _NAME.finditer(sentence):
        words = match.group().split()
        if words[0].casefold() in _CAPITAL_ANYWAY or _MONTH_NAME.fullmatch(match.group()):
            continue
        if match.start() == 0 and len(words) == 1:
            continue
        found.append(match.span())
    return found


_MONTH_NAME = re.compile(MONTH)
