"""What to ask first: questions that the library's own headings suggest."""

from __future__ import annotations

import re
from itertools import islice

from rag.library.library import Library
from rag.records import Passage
from ui.html.environment import strip_control_characters

SAMPLED = 500  # passages looked at; ids are hashes, so the first ones are a fair sample
SHORTEST, LONGEST = 12, 80  # characters of a sample question


def sample_questions(library: Library, n: int = 4) -> list[str]:
    """Up to *n* things that the library can be asked: headings, those that are questions first, one a document."""
    leaves: dict[str, str] = {}
    for passage in islice(library.iterate_passages(), SAMPLED):
        leaf = _leaf(passage)
        if SHORTEST <= len(leaf) <= LONGEST and (passage.document_id not in leaves or leaf.endswith("?")):
            leaves[passage.document_id] = leaf
    return sorted(dict.fromkeys(leaves.values()), key=lambda leaf: not leaf.endswith("?"))[:n]


def _leaf(passage: Passage) -> str:
    """The innermost heading, in one line.

    >>> _leaf(Passage(
    ...     passage_id="p", document_id="d", source="s", title="Tests | When to apply",
    ...     heading="", text="", start=0, end=0,
    ... ))
    'When to apply'
    """
    parts = re.split(r" [|›] ", passage.heading or passage.title)
    return " ".join(strip_control_characters(parts[-1]).split())
