"""What a question measures (heavy, tall, old, expensive), and the units that answer it."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LENGTH = r"[mck]?m|miles?|feet|foot|ft|inch(?:es)?|(?:kilo|centi|milli)?met(?:re|er)s?|yards?"
_TIME = r"seconds?|minutes?|hours?|days?|weeks?|months?|years?"
_ASKED = (
    (r"how heavy|how much \b.*\b(?:weigh|weight)", r"k?g|mg|lbs?|pounds?|ounces?|oz|tonnes?|(?:kilo|milli)?grams?"),
    (r"how (?:tall|high|wide|deep|far)", _LENGTH),
    (r"how long", rf"{_LENGTH}|{_TIME}"),
    (r"how old", _TIME),
    (r"how (?:expensive|cheap)|how much \b.*\bcosts?", r"dollars?|euros?|pounds?|cents?|pence|[$€£]\s?[\d.,]+"),
    (r"how fast", r"km/h|mph|m/s|knots?|miles|kilomet(?:re|er)s"),
    (r"how (?:hot|cold|warm)", r"°\s?[CF]|degrees"),
    (r"how (?:loud|noisy)", r"dB|decibels?"),
)


@dataclass(frozen=True, slots=True)
class RequestedMeasure:
    """What is asked for."""

    said: frozenset[str]
    """The question's words for it, in lower case: a number with a unit of it says them too."""
    unit: re.Pattern[str]

    def answers(self, number: str) -> bool:
        """True if the number has a unit of this measure.

        >>> requested_measure("How heavy is it?").answers("12 kg"), requested_measure("How heavy is it?").answers("230 volts")
        (True, False)
        """
        return self.unit.search(number) is not None


def requested_measure(question: str) -> RequestedMeasure | None:
    """What *question* asks to be measured; None if it names no measure.

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
