"""Citation marks in a text that arrives in pieces: no piece ends inside a mark, and marks that name no passage never show."""

from __future__ import annotations

import re

from rag.citations.citations import strip_unknown_citations

# Blanks at the end may belong to a dead mark; a bracket followed by nothing but numbers may become one, and so may what
# is left when a dead mark inside it is taken out. Longer than this it is no mark any more.
_MAY_BE_MARK = re.compile(r"(?:[ \t]*\[[\d\s,;\[\]]{0,200})?[ \t]*\Z")


class CitationMarkFilter:
    """Lets text through as soon as its end can no longer become a mark.

    >>> marks = CitationMarkFilter({1, 2})
    >>> [marks.add(piece) for piece in ("It is open ", "[", "1, 9", "]. Bring a mask [7", "].")], marks.flush()
    (['It is open', '', '', ' [1]. Bring a mask', '.'], '')
    """

    def __init__(self, valid: set[int]) -> None:
        """*valid* holds the numbers that name a passage."""
        self._valid = valid
        self._held = ""

    def add(self, piece: str) -> str:
        """Returns what may be shown after *piece*; all returned pieces together are `split_at_open_mark` of the whole text."""
        held = split_at_open_mark(self._held + piece, self._valid)
        end = _first_doubt(held)
        self._held = held[end:]
        return held[:end]

    def flush(self) -> str:
        """Returns what was held back once the text has ended; a half mark at its end is shown as it is."""
        held, self._held = self._held, ""
        return held


def split_at_open_mark(text: str, valid: set[int]) -> str:
    """Returns the text without marks that name no passage, nor any that removing those creates.

    >>> split_at_open_mark("So it is [[9]8].", {1})
    'So it is.'
    """
    while (less := strip_unknown_citations(text, valid)) != text:
        text = less
    return text


def _first_doubt(text: str) -> int:
    """Returns where the last stretch begins that may still become a mark or part of one; else the length of *text*."""
    match = _MAY_BE_MARK.search(text)
    return match.start() if match else len(text)
