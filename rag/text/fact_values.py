"""Numbers, dates, units and names of a text in one form each, so that "3 March 2024" is "2024-03-03" and 1,250 is 1250."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rag.text.quantities import ANY_UNIT, MONTH, MONTHS, NUMBER_WORDS, UNITS

_DATES = (
    re.compile(r"\b(?P<y>\d{4})-(?P<m>\d\d)-(?P<d>\d\d)\b"),
    re.compile(rf"\b(?P<d>\d{{1,2}})(?:st|nd|rd|th)?(?: of)? (?P<m>{MONTH})(?:,? (?P<y>\d{{4}})\b)?"),
    re.compile(rf"\b(?P<m>{MONTH}) (?P<d>\d{{1,2}})(?:st|nd|rd|th)?\b(?!,\d)(?:,? (?P<y>\d{{4}})\b)?"),
    re.compile(rf"\b(?P<m>{MONTH}),? (?P<y>\d{{4}})\b(?P<d>)"),
)
_SIGNS = {"$": "dollar", "€": "euro", "£": "pound"}
_SCALES = {"thousand": 3, "million": 6, "billion": 9}
_NUMBER = re.compile(
    r"(?<![\w.,])(?P<sign>[$€£])?\s?(?P<n>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)(?:\s(?P<scale>thousand|million|billion)\b)?"
    rf"(?:[\s-]?(?P<unit>{ANY_UNIT})(?!\w))?",
    re.IGNORECASE,
)
_WORDS = {word: str(number) for number, word in enumerate(NUMBER_WORDS[1:12], start=2)}
_NUMBER_WORD = re.compile(rf"\b({'|'.join(_WORDS)})\b", re.IGNORECASE)
_NAME = re.compile(r"\b[A-ZÀ-Þ][\w’'-]*\w|\b[A-Z](?=\b)")
_OPENING = re.compile(r"(?:^|[.!?:…]\s+|\n|[“\"(]\s*)$")
_NEVER_A_NAME = frozenset({"I’m", "I'm", "I’ve", "I've", "I’ll", "I'll"})


def extract_values(text: str) -> frozenset[str]:
    """Returns the numbers and dates that *text* states, each with its unit if it has one.

    >>> sorted(extract_values("Since March 3, 2024 it weighs 1,250 kg, 50 percent more."))
    ['1250 kg', '2024-03-03', '50 %']
    """
    rest, dates = _without_dates(text)
    return frozenset(dates) | {f"{number} {unit}".strip() for number, unit in _numbers(rest)}


def unsupported_values(claim: str, evidence: str) -> frozenset[str]:
    """Returns the values that *claim* states and *evidence* lacks; a date supports its year, any unit a bare number.

    A number with a unit is supported by the same number without one, as in a table, but not with another unit.

    >>> unsupported_values("It was 1,250 kg in 2024", "On 3 March 2024 it was 1250 kilograms")
    frozenset()
    >>> sorted(unsupported_values("It took 5 weeks and 3 days", "It took five days and 3 hours"))
    ['3 day', '5 week']
    """
    rest, dates = _without_dates(evidence)
    offered = {date[:length] for date in dates for length in (4, 7, 10)}
    offered |= {f"--{date[5:]}" for date in dates}
    for number, unit in (*_numbers(rest), *_spelt(rest)):
        offered |= {number, f"{number} {unit or '*'}"}
    return frozenset(
        fact for fact in extract_values(claim) if fact not in offered and f"{fact.partition(' ')[0]} *" not in offered
    )


def extract_names(text: str) -> frozenset[str]:
    """Returns the capitalised words of *text* that do not open a sentence, in lower case.

    >>> sorted(extract_names("The grant was paid by Ada Byron’s bank. It is in Paris."))
    ['ada', 'byron', 'paris']
    """
    return frozenset(
        re.sub(r"[’']s$", "", match.group()).casefold()
        for match in _NAME.finditer(text)
        if match.group() not in _NEVER_A_NAME and len(match.group()) > 1 and not _OPENING.search(text, 0, match.start())
    )


def _without_dates(text: str) -> tuple[str, list[str]]:
    """The text with its dates blanked out, and the dates as far as they go: 2024-03-03, 2024-03, or --03-03."""
    dates = []
    for pattern in _DATES:
        for match in pattern.finditer(text):
            month = match["m"]
            number = int(month) if month.isdigit() else MONTHS.index(month[:3].lower()) + 1
            day = f"-{int(match['d']):02}" if match["d"] else ""
            dates.append(f"{match['y'] or '---'}-{number:02}{day}".replace("----", "--"))
        text = pattern.sub(lambda match: " " * len(match.group()), text)
    return text, dates


def _numbers(text: str) -> Iterator[tuple[str, str]]:
    """(number, unit) of every number in figures; the unit is empty if there is none that is known."""
    for match in _NUMBER.finditer(text):
        number = match["n"].replace(",", "")
        number = number.rstrip("0").rstrip(".") if "." in number else number
        if match["scale"]:
            number = f"{float(number) * 10 ** _SCALES[match['scale'].lower()]:.0f}"
        yield number, _SIGNS.get(match["sign"] or "") or _unit(match["unit"])


def _spelt(text: str) -> Iterator[tuple[str, str]]:
    """Yields (number, unit) of every small number in words."""
    for match in _NUMBER_WORD.finditer(text):
        yield next(_numbers(_WORDS[match.group().lower()] + text[match.end() : match.end() + 14]))


def _unit(written: str | None) -> str:
    if not written:
        return ""
    return next(unit for unit, forms in UNITS.items() if re.fullmatch(forms, written, re.IGNORECASE))
