"""How sure it is that the hits answer a question: a few signs, weighed by a line that questions with known answers gave.

If the words of a question can't be in a passage, as in another language, its meaning alone is weighed.
"""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

ABSTENTION_FILE = "declining.json"

_LETTERS = re.compile(r"[^\W\d_]{2,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerabilityFeatures:
    """What can be seen of a question and its hits before anything is answered."""

    meaning: float
    """Cosine of the question and its best sentence below its heading."""
    words: float
    """Share of the question's words in that sentence, the rare ones counting more, 0 to 1."""
    passage: float
    """The same of its whole passage, with title and headings."""
    gap: float
    """Score of the best hit less the median of all: the right one stands out among the hits."""
    crowd: float
    """Mean BM25 of the hits, 0 to 1: high if many passages hold the same few words of the question."""
    is_strange: bool
    """Whether a name or a code of the question is in none of the hits, or no number with a unit of what it measures."""
    has_words: bool
    """False if question and passage share no word at all, not even "the": their languages may differ."""

    def values(self) -> tuple[float, ...]:
        """What a line weighs, in the order of its weights. Words count less if the meaning is clear, so their
        product is weighed too."""
        return (
            self.meaning,
            self.words,
            self.passage,
            self.gap,
            self.crowd,
            float(self.is_strange),
            self.meaning * self.words,
        )


@dataclass(frozen=True, slots=True)
class LogisticModel:
    """log-odds of being answered = offset + the weighted sum of the signs' values."""

    offset: float
    weights: tuple[float, ...]

    def probability(self, features: AnswerabilityFeatures) -> float:
        """0 to 1."""
        total = self.offset + sum(weight * value for weight, value in zip(self.weights, features.values(), strict=True))
        return 1 / (1 + math.exp(-max(-60.0, min(60.0, total))))


@dataclass(frozen=True, slots=True)
class AbstentionThreshold:
    """What decides whether a question is answered."""

    by_words: LogisticModel
    by_meaning: LogisticModel
    """For signs without words: only meaning and gap have a weight."""
    least: float
    """Below this probability it is declined."""

    def sureness(self, features: AnswerabilityFeatures) -> float:
        """The probability that the hits answer the question, 0 to 1."""
        return (self.by_words if features.has_words else self.by_meaning).probability(features)


NO_EVIDENCE = AnswerabilityFeatures(
    meaning=0.0, words=0.0, passage=0.0, gap=0.0, crowd=0.0, is_strange=False, has_words=False
)
"""Of a question that found no sentence."""

# Found by "nightjar bench declining" on 300 train questions each of nq-open, covidqa, newwiki and feedbackqa-uk.
SHIPPED_THRESHOLD = AbstentionThreshold(
    by_words=LogisticModel(-8.09, (11.88, 6.76, 2.11, 4.22, -1.39, -1.16, -9.60)),
    by_meaning=LogisticModel(-4.94, (7.65, 0.0, 0.0, 5.13, 0.0, 0.0, 0.0)),
    least=0.20,
)


def shares_words(question: str, text: str) -> bool:
    """True if a word of the question, however common, is in *text*.

    >>> shares_words("May I mow the lawn?", "Der Rasen darf nicht gemäht werden."), shares_words("the lawn?", "The law")
    (False, True)
    """
    return not set(_LETTERS.findall(question.casefold())).isdisjoint(_LETTERS.findall(text.casefold()))


# ---- the library's own bar


def save_threshold(
    folder: Path, encoder_id: str, threshold: AbstentionThreshold, calibrated_on: Mapping[str, int]
) -> None:
    """Stores the threshold of one version in the state directory: written alongside, then renamed.

    *calibrated_on* maps each kind of question to how many of them it was calibrated on.
    """
    beside = folder / f"{ABSTENTION_FILE}.new"
    whole = {"encoder_id": encoder_id, "found_on": dict(calibrated_on), **asdict(threshold)}
    beside.write_text(json.dumps(whole, indent=2), "utf-8")
    beside.replace(folder / ABSTENTION_FILE)


def load_threshold(folder: Path, encoder_id: str) -> AbstentionThreshold:
    """The bar that was found for this version on the library; PUBLIC if none was, or for another version."""
    file = folder / ABSTENTION_FILE
    try:
        kept: Any = json.loads(file.read_text("utf-8"))
        if kept["encoder_id"] != encoder_id:
            return SHIPPED_THRESHOLD
        lines = [
            LogisticModel(kept[name]["offset"], tuple(kept[name]["weights"])) for name in ("by_words", "by_meaning")
        ]
        return AbstentionThreshold(lines[0], lines[1], kept["least"])
    except FileNotFoundError:
        return SHIPPED_THRESHOLD
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning('%s can\'t be read (%s), so the shipped bar declines: run "nightjar calibrate"', file, error)
        return SHIPPED_THRESHOLD
