"""Splittings side by side: what each shows of the excerpts that are wanted, when each may show as many tokens.

All passages are encoded by one encoder and ranked as the product ranks them, by cosine and BM25; only the cut differs.
"""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from eval.bench.baselines.splitters import Splitter
from eval.bench.token_budget import ExcerptTokens, TokenOverlap, TokenSpan, token_overlap, token_set
from eval.datasets.excerpts import ExcerptQuestion, ExcerptSet
from eval.statistics.significance import PairedComparison, compare_paired
from rag.arrays import FloatArray
from rag.index.bm25 import Bm25Index
from rag.retrieval.fusion import normalise_bm25, top_fused
from rag.splitting.splitter import SplittingRules, split_document
from rag.splitting.token_offsets import TokenStarts

CANDIDATES = 100  # as served
MOST_PIECES = 200  # of one ranking: more than any budget shows


class SplittingEncoder(Protocol):
    """The encoder."""

    passage_side: str

    def encode_queries(self, texts: Sequence[str]) -> FloatArray:
        """`(n, dim)` float32, rows of unit length."""

    def encode_passages(self, texts: Sequence[str]) -> FloatArray:
        """`(n, dim)` float32, rows of unit length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SplittingBench:
    """What one splitter came to."""

    name: str
    is_baseline: bool
    n_passages: int
    n_tokens: int
    """That were encoded, titles and headings included; of what the encoder cuts off too."""
    mean_tokens: float
    """Of a passage's text."""
    seen: Mapping[int, Mapping[str, TokenOverlap]]
    """Budget → query id → what was seen."""

    def mean(self, what: str, budget: int, query_ids: Sequence[str]) -> float:
        """The mean of recall, precision or iou over some questions."""
        return float(np.mean([getattr(self.seen[budget][query_id], what) for query_id in query_ids]))

    def compare_with(self, other: SplittingBench, what: str, budget: int, query_ids: Sequence[str]) -> PairedComparison:
        """Compares this method with the *other* one, question by question."""
        before, after = ([getattr(method.seen[budget][query], what) for query in query_ids] for method in (other, self))
        return compare_paired(before, after)


def measure_splitting(
    excerpts: ExcerptSet,
    splitters: Sequence[Splitter],
    encoder: SplittingEncoder,
    starts: TokenStarts,
    *,
    budgets: Sequence[int],
    lexical_weight: float,
    cache_folder: Path | None = None,
    progress: Callable[[int], None] = lambda n: None,
) -> list[SplittingBench]:
    """Cuts, encodes, ranks and counts; *cache_folder* is a folder for the vectors, from which no text is encoded again."""
    documents = _Documents(excerpts, starts)
    vectors = _Vectors(encoder, cache_folder)
    queries = encoder.encode_queries([question.text for question in excerpts.questions])
    wanted = {question.query_id: documents.wanted(question) for question in excerpts.questions}
    measured = []
    for way in splitters:
        pieces = list(documents.pieces(way))
        rankings = list(_rankings(excerpts.questions, queries, pieces, vectors, lexical_weight))
        found = {
            budget: {
                question.query_id: token_overlap(ranked, wanted[question.query_id], budget)
                for question, ranked in zip(excerpts.questions, rankings, strict=True)
            }
            for budget in budgets
        }
        encoded = sum(map(len, starts([piece.encoded_text for piece in pieces])))
        mean = sum(piece.end - piece.start for piece in pieces) / len(pieces)
        measured.append(
            SplittingBench(
                name=way.name,
                is_baseline=way.is_baseline,
                n_passages=len(pieces),
                n_tokens=encoded,
                mean_tokens=mean,
                seen=found,
            )
        )
        progress(1)
    return measured


def split_halves(questions: Sequence[ExcerptQuestion]) -> tuple[list[str], list[str]]:
    """Query ids to choose by, and those to report on: a half each, by their hash.

    >>> split_halves([ExcerptQuestion(f"q{n}", "", ()) for n in range(8)])
    (['q0', 'q2', 'q3', 'q5'], ['q1', 'q4', 'q6', 'q7'])
    """
    halves: tuple[list[str], list[str]] = ([], [])
    for question in questions:
        halves[hashlib.sha256(question.query_id.encode()).digest()[0] % 2].append(question.query_id)
    return halves


def _rankings(
    questions: Sequence[ExcerptQuestion],
    queries: FloatArray,
    pieces: Sequence[TokenSpan],
    vectors: _Vectors,
    weight: float,
) -> Iterator[list[TokenSpan]]:
    texts = [piece.encoded_text for piece in pieces]
    dense = queries @ vectors.of(texts).T
    lexical = Bm25Index.build([f"{number:08}" for number in range(len(texts))], texts)
    for question, cosines in zip(questions, dense, strict=True):
        words = normalise_bm25(lexical.scores(question.text))
        yield [pieces[index] for index in top_fused(cosines, words, weight, CANDIDATES, MOST_PIECES)]


class _Documents:
    """The documents by their tokens."""

    def __init__(self, asked: ExcerptSet, starts: TokenStarts) -> None:
        self._parsed = asked.documents
        texts = [split_document("", "", parsed, SplittingRules(10**9))[0].text for parsed in asked.documents.values()]
        self._starts: dict[str, array[int]] = dict(zip(asked.documents, starts(texts), strict=True))

    def pieces(self, way: Splitter) -> Iterator[TokenSpan]:
        for name, parsed in self._parsed.items():
            for start, end, encoded_text in way.cut(name, parsed):
                yield TokenSpan(
                    name, bisect_left(self._starts[name], start), bisect_left(self._starts[name], end), encoded_text
                )

    def wanted(self, question: ExcerptQuestion) -> list[ExcerptTokens]:
        return [tuple(self._tokens(*span) for span in places) for places in question.wanted]

    def _tokens(self, document: str, start: int, end: int) -> frozenset[tuple[str, int]]:
        """Returns the tokens of a stretch, including the one that it begins inside of."""
        first = max(0, bisect_right(self._starts[document], start) - 1)
        return token_set(document, first, max(bisect_left(self._starts[document], end), first + 1))


class _Vectors:
    """What the encoder makes of texts, each once; on disk too, if a folder is given."""

    def __init__(self, encoder: SplittingEncoder, folder: Path | None) -> None:
        self._encoder = encoder
        self._file = folder / f"vectors-{encoder.passage_side}.npz" if folder else None
        self._known: dict[str, FloatArray] = {}
        if self._file and self._file.is_file():
            with np.load(self._file) as saved:
                self._known = dict(zip(saved["names"].tolist(), saved["vectors"], strict=True))

    def of(self, texts: Sequence[str]) -> FloatArray:
        """`(n, dim)` float32, rows of unit length."""
        names = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
        new = {name: text for name, text in zip(names, texts, strict=True) if name not in self._known}
        if new:
            self._known |= dict(zip(new, self._encoder.encode_passages(list(new.values())), strict=True))
            self._save()
        return np.stack([self._known[name] for name in names])

    def _save(self) -> None:
        if self._file:
            temporary = self._file.with_name("new-vectors.npz")
            np.savez(temporary, names=np.array(list(self._known)), vectors=np.stack(list(self._known.values())))
            temporary.replace(self._file)
