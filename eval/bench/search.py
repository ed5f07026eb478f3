"""How long one question takes, part by part, next to the retriever that people put together with LangChain."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from eval.statistics.ranking_metrics import Qrels, mean, measure_per_question, run_from_rankings
from rag.answering.answerer import Answerer, TextDelta
from rag.embedding.encoder import Encoder
from rag.embedding.passage_vectors import PassageVectors
from rag.feedback.feedback_store import FeedbackStore
from rag.generation.generator import make_generator
from rag.index.bm25 import Bm25Index
from rag.index.serving_index import ServingIndex
from rag.library.library import Library
from rag.records import Answer
from rag.retrieval.retriever import Retriever

K = 10
K_ANSWER = 6  # as the application shows
STAGES = ("encode", "dense", "lexical", "fetch", "fusion")
"""The stages of one question: its vector, Chroma, BM25, texts and vectors from SQL, and the rest."""


class SearchBaseline(Protocol):
    """Whatever else can search the same passages."""

    def search(self, question: str) -> list[str]:
        """Passage ids, best first."""


@dataclass(frozen=True, slots=True)
class LatencySpread:
    """Milliseconds over all questions."""

    median_ms: float
    p95_ms: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> LatencySpread:
        """
        >>> LatencySpread.of([0.001, 0.002, 0.003])
        LatencySpread(median_ms=2.0, p95_ms=2.9)
        """
        middle, high = np.percentile(1000 * np.asarray(seconds), [50, 95]).round(3).tolist()
        return cls(middle, high)


@dataclass(frozen=True, slots=True)
class RetrieverTiming:
    """One retriever in one run."""

    whole: LatencySpread
    ndcg: float
    """Mean nDCG@10 over the questions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchBench:
    """Both retrievers over the same passages, question by question in turn."""

    n_passages: int
    n_real: int
    """The other passages are synthetic, and so are their vectors."""
    n_questions: int
    n_threads: int
    nightjar: RetrieverTiming
    stages: Mapping[str, LatencySpread]
    """Of Nightjar's time; "fusion" is what is left when the others are taken away."""
    first_answer: LatencySpread
    """From the question to the first words of the extractive answer, its search included."""
    theirs: RetrieverTiming | None
    """None if LangChain's parts are not installed."""

    @property
    def times_faster(self) -> float | None:
        """How many questions we answer while the other answers one, by the medians."""
        return round(self.theirs.whole.median_ms / self.nightjar.whole.median_ms, 1) if self.theirs else None


class StageTimer:
    """Seconds by stage, of calls that go through `watched` parts."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    def timed(self, part: Any, **stages: str) -> Any:
        """*part* with some of its methods timed: name = stage."""
        return _Watched(part, stages, self)


class _Watched:
    """A part whose calls are timed; all other attributes are passed through."""

    def __init__(self, part: Any, stages: Mapping[str, str], watch: StageTimer) -> None:
        self._part = part
        self._stages = stages
        self._watch = watch

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._part, name)
        if name not in self._stages:
            return value

        def timed(*args: Any, **named: Any) -> Any:
            start = time.perf_counter()
            try:
                return value(*args, **named)
            finally:
                self._watch.seconds[self._stages[name]] += time.perf_counter() - start

        return timed


class ServedRetriever:
    """Our retriever over a library as the application serves it: Chroma's index up to date, the encoder warm."""

    def __init__(
        self, library: Library, vectors: PassageVectors, encoder: Encoder, root: Path, *, weight: float
    ) -> None:
        self.watch = StageTimer()
        self._index = ServingIndex(root, vectors)
        self._index.prepare(background=False)
        passage_ids: list[str] = []
        lexical = Bm25Index.build(passage_ids, _texts(library, passage_ids))
        self.retriever = Retriever(
            self.watch.timed(encoder, encode_queries="encode"),
            self.watch.timed(self._index, search="dense"),
            self.watch.timed(lexical, scores="lexical"),
            self.watch.timed(library, get="fetch"),
            self.watch.timed(vectors, rows="fetch"),
            lexical_weight=weight,
            collapse_duplicates=True,  # as the application does
        )
        encoder.encode_queries(["warm"])
        self._answerer = Answerer(lambda: self.retriever, make_generator(), library, FeedbackStore(library.engine))

    @property
    def state(self) -> str:
        """ "ready" if Chroma answers."""
        return self._index.state

    def search(self, question: str) -> list[str]:
        """Passage ids, best first."""
        return [hit.passage.passage_id for hit in self.retriever.search(question, K)]

    def first_words(self, question: str) -> float:
        """Seconds until the first words of an answer are there, or why there is none."""
        start = time.perf_counter()
        events = self._answerer.stream(question, k=K_ANSWER, origin="simulated")
        next(event for event in events if isinstance(event, TextDelta | Answer))
        seconds = time.perf_counter() - start
        for _ in events:
            pass
        return seconds

    def close(self) -> None:
        """Lets go of the index."""
        self._index.close()


def measure_search(
    ours: ServedRetriever,
    theirs: SearchBaseline | None,
    questions: Mapping[str, str],
    qrels: Qrels,
    *,
    n_passages: int,
    n_real: int,
    progress: Callable[[int], None] = lambda n: None,
) -> SearchBench:
    """Asks both every question of *questions* (query_id → text) in turn, after one that is not counted.

    *progress* gets 1 after every question.
    """
    import torch

    rivals: dict[str, SearchBaseline] = {"nightjar": ours, **({"theirs": theirs} if theirs else {})}
    seconds: dict[str, list[float]] = defaultdict(list)
    found: dict[str, dict[str, list[str]]] = defaultdict(dict)
    first = next(iter(questions.values()))
    for rival in rivals.values():
        rival.search(first)
    ours.first_words(first)
    for query_id, question in questions.items():
        ours.watch.seconds.clear()
        for name, rival in rivals.items():
            start = time.perf_counter()
            found[name][query_id] = rival.search(question)
            seconds[name].append(time.perf_counter() - start)
        for stage in STAGES[:-1]:
            seconds[stage].append(ours.watch.seconds[stage])
        seconds["fusion"].append(seconds["nightjar"][-1] - sum(ours.watch.seconds.values()))
        seconds["answer"].append(ours.first_words(question))
        progress(1)
    asked = {query_id: qrels[query_id] for query_id in questions}
    timed = {
        name: RetrieverTiming(
            LatencySpread.of(seconds[name]),
            round(mean(measure_per_question(asked, run_from_rankings(found[name]))["nDCG@10"].values()), 4),
        )
        for name in rivals
    }
    return SearchBench(
        n_passages=n_passages,
        n_real=n_real,
        n_questions=len(questions),
        n_threads=torch.get_num_threads(),
        nightjar=timed["nightjar"],
        stages={stage: LatencySpread.of(seconds[stage]) for stage in STAGES},
        first_answer=LatencySpread.of(seconds["answer"]),
        theirs=timed.get("theirs"),
    )


def _texts(library: Library, passage_ids: list[str]) -> Any:
    for passage in library.iterate_passages():
        passage_ids.append(passage.passage_id)
        yield passage.encoded_text
