"""A follow-up question → a question that stands alone, by what was asked before it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rag.words import content_words

SHORT = 3  # content words; fewer rarely name what they are about

_POINTS_BACK = re.compile(
    r"\b(it|its|they|them|their|this|that|these|those|he|she|his|her|him|there|ones?|both|same|else|more|another)\b"
    r"|^\W*(and|or|but|so|then|also|(what|how) about|why|ok|okay|yes|no|sure)\b",
    re.IGNORECASE,
)


def standalone(question: str, earlier: Sequence[str]) -> str:
    """The question, with the one before it in front where it is short or points back at it.

    *earlier* holds the conversation's questions, oldest first. On the 332 conversations of mtrag-un this lifted
    nDCG@10 (fused) from .813 to .884; the last question in front of every one gave .884 too, all earlier ones .819.

    >>> standalone("And for nurses?", ["Who gets the grant?"])
    'Who gets the grant? And for nurses?'
    >>> standalone("Which forms must a small company send to the tax office?", ["Who gets the grant?"])
    'Which forms must a small company send to the tax office?'
    """
    return f"{earlier[-1]} {question}" if earlier and refers(question) else question


def refers(question: str) -> bool:
    """Whether the question is short, or points back at what was said.

    >>> refers("And for nurses?"), refers("Which forms must a small company send to the tax office?")
    (True, False)
    """
    return len(content_words(question)) <= SHORT or _POINTS_BACK.search(question) is not None
