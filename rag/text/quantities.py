"""Months, units and number words; the measure that a question asks for, and the units that answer it."""

from __future__ import annotations

import re
from dataclasses import dataclass

MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
MONTH = (
    r"(?:January|February|March|April|May|June|July|August|September|October|November|December"
    r"|(?:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\b\.?)"
)
"""A month's English name, in a regular expression."""
NUMBER_WORDS = (
    *("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen"),
    *("fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
    *("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"),
)
UNITS = {
    "%": "%|percent|per cent",
    "kg": "kg|kilograms?|kilos?",
    "g": "g|grams?",
    "mg": "mg|milligrams?",
    "t": "tonnes?",
    "lb": "lbs?",
    "ounce": "oz|ounces?",
    "km/h": "km/h",
    "km": "km|kilomet(?:re|er)s?",
    "m/s": "m/s",
    "cm": "cm|centimet(?:re|er)s?",
    "mm": "mm|millimet(?:re|er)s?",
    "m": "m|met(?:re|er)s?",
    "mph": "mph",
    "mile": "miles?",
    "foot": "ft|feet|foot",
    "inch": "inch(?:es)?",
    "yard": "yards?",
    "knot": "knots?",
    "second": "s|secs?|seconds?",
    "minute": "min|mins|minutes?",
    "hour": "h|hrs?|hours?",
    "day": "days?",
    "week": "weeks?",
    "month": "months?",
    "year": "years?",
    "dollar": "dollars?|usd",
    "euro": "euros?|eur",
    "pound": "pounds?|gbp",
    "cent": "cents?",
    "penny": "pence",
    "watt": "w|watts?",
    "kw": "kw|kilowatts?",
    "kwh": "kwh",
    "wh": "wh",
    "°c": r"°\s?c",
    "°f": r"°\s?f",
    "degree": "degrees?",
    "litre": "l|lit(?:re|er)s?",
    "ml": "ml|millilit(?:re|er)s?",
    "bar": "bar",
    "volt": "v|volts?",
    "decibel": "dB|decibels?",
}
"""Unit → the ways of writing it, in a regular expression that ignores case."""
ANY_UNIT = "|".join(UNITS.values())
_AMBIGUOUS = {"s", "h", "l", "v", "w"}  # a letter behind a number in prose is seldom a unit


def _units(names: str) -> str:
    """Returns the forms of the units that *names* lists, separated by spaces."""
    return "|".join(form for name in names.split() for form in UNITS[name].split("|") if form not in _AMBIGUOUS)


PROSE_UNIT = _units(" ".join(UNITS))
"""A unit in a short answer: without the single letters that may mean anything."""


_LENGTH = _units("km m cm mm mile foot inch yard")
_TIME = _units("second minute hour day week month year")
_ASKED = (
    (
        r"how heavy|how much \b.*\b(?:weigh|weight)",
        _units("kg g mg t lb pound ounce"),
    ),
    (r"how (?:tall|high|wide|deep|far)", _LENGTH),
    (r"how long", rf"{_LENGTH}|{_TIME}"),
    (r"how old", _TIME),
    (
        r"how (?:expensive|cheap)|how much \b.*\bcosts?",
        rf"{_units('dollar euro pound cent penny')}|[$€£]\s?[\d.,]+",
    ),
    (r"how fast", _units("km/h mph m/s knot mile km")),
    (r"how (?:hot|cold|warm)", _units("°c °f degree")),
    (r"how (?:loud|noisy)", _units("decibel")),
)


@dataclass(frozen=True, slots=True)
class RequestedMeasure:
    """The measure that a question asks for."""

    said: frozenset[str]
    """The question's words for the measure, in lower case; a number with a unit of it counts as having them."""
    unit: re.Pattern[str]

    def answers(self, number: str) -> bool:
        """True if the number has a unit of this measure.

        >>> requested_measure("How heavy is it?").answers("12 kg"), requested_measure("How heavy is it?").answers("230 volts")
        (True, False)
        """
        return self.unit.search(number) is not None


def requested_measure(question: str) -> RequestedMeasure | None:
    """Returns the measure that *question* asks for; None if it names none.

    >>> sorted(requested_measure("How much does the X200 weigh?").said), requested_measure("How many are there?")
    (['weigh'], None)
    """
    for pattern, unit in _MEASURES:
        if asked := pattern.search(question):
            return RequestedMeasure(frozenset({asked.group().split()[-1].casefold()}), unit)
    return None


_MEASURES = tuple(
    (re.compile(rf"\b(?:{asked})\b", re.IGNORECASE), re.compile(rf"(?:(?<![a-z])|(?<=\d))(?:{units})$", re.IGNORECASE))
    for asked, units in _ASKED
)
