"""Ways to cut a document, ours and what else people use, all as stretches of the text that we store."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import PurePosixPath
from typing import Any

from rag.parsing.formats.blocks import ParsedDocument
from rag.records import Passage
from rag.splitting.splitter import SplittingRules, split_document
from rag.splitting.token_offsets import TokenStarts

Stretch = tuple[int, int, str]
"""Start and end in the stored text, and what is encoded for it."""
Cut = Callable[[str, ParsedDocument], Iterator[Stretch]]
"""A document's name, and what was read of it → its stretches."""

BUDGETS = (48, 64, 96, 128, 192, 240)
WORDS = 90  # what a passage had at most before it was measured in tokens
OVERLAP = 4  # of a passage with overlap one part in this many repeats the passage before


@dataclass(frozen=True, slots=True)
class Splitter:
    """A way to cut, with the name it has in tables."""

    name: str
    cut: Cut
    is_baseline: bool = False
    """Not ours."""


def all_splitters(starts: TokenStarts, longest: int, chosen: int) -> list[Splitter]:
    """All that are measured: sizes, then variants of the size *chosen*, then others'.

    *starts* are the encoder's tokens, of which it reads *longest*.
    """
    sizes = [Splitter(f"{n} tokens", nightjar_cut(SplittingRules(n, longest, starts))) for n in BUDGETS]
    size = SplittingRules(chosen, longest, starts)
    shorter = replace(size, max_tokens=chosen - chosen // OVERLAP)
    variants = [
        Splitter(f"{chosen} tokens, a quarter overlaps", nightjar_cut(shorter, overlap=chosen // OVERLAP)),
        Splitter(f"{chosen} tokens, text alone encoded", nightjar_cut(size, lambda one: one.text)),
        Splitter(
            f"{chosen} tokens, title not encoded", nightjar_cut(size, lambda one: replace(one, title="").encoded_text)
        ),
        Splitter(
            f"{chosen} tokens, headings not encoded",
            nightjar_cut(size, lambda one: replace(one, heading="").encoded_text),
        ),
        Splitter(f"{WORDS} words, as before", nightjar_cut(SplittingRules(WORDS))),
    ]
    return [*sizes, *variants, *_langchain(starts, chosen)]


def nightjar_cut(
    splitting: SplittingRules, encoded: Callable[[Passage], str] = lambda one: one.encoded_text, overlap: int = 0
) -> Cut:
    """Our passages; each begins *overlap* tokens earlier if a passage of its section precedes it."""

    def cut(name: str, parsed: ParsedDocument) -> Iterator[Stretch]:
        document, passages = split_document(name, PurePosixPath(name).stem, parsed, splitting)
        tokens = splitting.starts([document.text])[0] if overlap else None
        for before, passage in zip([None, *passages], passages, strict=False):
            start = passage.start
            if tokens and before and (before.heading, before.page) == (passage.heading, passage.page):
                start = max(before.start, tokens[max(0, bisect_left(tokens, passage.start) - overlap)])
            yield start, passage.end, encoded(replace(passage, text=document.text[start : passage.end]))

    return cut


def _langchain(starts: TokenStarts, chosen: int) -> list[Splitter]:
    """RecursiveCharacterTextSplitter, the one that LangChain recommends to begin with; nothing if it is not there."""
    if find_spec("langchain_text_splitters") is None:
        return []

    def n_tokens(text: str) -> int:
        return len(starts([text])[0])

    ways = {
        "LangChain, 1,000 characters, 200 overlap": _recursive(1000, 200, len),
        "LangChain, 200 tokens": _recursive(200, 0, n_tokens),
        f"LangChain, {chosen} tokens": _recursive(chosen, 0, n_tokens),
    }
    return [Splitter(name, cut, is_baseline=True) for name, cut in ways.items()]


def _recursive(size: int, overlap: int, length: Callable[[str], int]) -> Cut:
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    splitter: Any = RecursiveCharacterTextSplitter(chunk_size=size, chunk_overlap=overlap, length_function=length)

    def cut(name: str, parsed: ParsedDocument) -> Iterator[Stretch]:
        text = split_document(name, "", parsed, SplittingRules(10**9))[0].text
        start = end = -1
        for part in splitter.split_text(text):
            # Its own add_start_index takes the overlap for characters, whatever the length is measured in.
            start = text.find(part, start + 1 if overlap else max(end, 0))
            end = start + len(part)
            assert start >= 0, f"{name!r}: {part[:40]!r} is not where it was cut from"
            yield start, end, part

    return cut
