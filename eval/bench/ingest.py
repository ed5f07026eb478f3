"""How long ingesting takes, compared with encoding alone, which no ingest can avoid."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median

from rag.database.schema import open_database
from rag.embedding.encoder import Encoder, Precision, load_model
from rag.embedding.passage_vectors import PassageVectors
from rag.ingestion.beir_corpus import corpus_path
from rag.ingestion.ingest import ingest_beir
from rag.library.library import Library


@dataclass(frozen=True, slots=True)
class IngestRound:
    """One ingest and one encoding of the same passages, one after the other."""

    ingest_s: float
    """Reading, SQL, encoding and storing, in an empty library; without loading the weights."""
    encode_s: float
    """`SentenceTransformer.encode` on a list of the same texts; without loading the weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestBench:
    """Passages a second of both."""

    n_passages: int
    """Distinct ones: of equal texts one is encoded."""
    max_tokens: int
    n_threads: int
    precision: str
    """What Nightjar encoded in; the encoding alone is in fp32, as it is by default."""
    rounds: tuple[IngestRound, ...]

    @property
    def ingest_per_s(self) -> float:
        """Passages a second of the whole ingest, median of the rounds."""
        return median(self.n_passages / r.ingest_s for r in self.rounds)

    @property
    def encode_per_s(self) -> float:
        """Passages a second of the encoding alone, median of the rounds."""
        return median(self.n_passages / r.encode_s for r in self.rounds)

    @property
    def ratio(self) -> float:
        """Speed of the whole ingest over that of encoding alone, median of the rounds."""
        return median(r.encode_s / r.ingest_s for r in self.rounds)


def measure_ingest(
    folder: Path,
    base: Path,
    work: Path,
    *,
    limit: int | None = None,
    n_rounds: int = 3,
    precision: Precision = "auto",
    threads: int = 0,
    progress: Callable[[int], None] = lambda n: None,
) -> IngestBench:
    """Ingests the first *limit* lines of a BEIR folder into new libraries below *work*, in turn with encoding alone.

    *base* is the folder of the encoder; both sides use its length cap and as many threads. A probe for bf16 belongs
    to the ingest. *progress* gets 1 after every round.

    Raises:
        NotFoundError: the folder has no corpus.
    """
    corpus = _first_lines(folder, work, limit)
    alone = load_model(base, threads)
    texts = _texts(corpus, work / "texts.db")
    alone.encode(texts[:2], show_progress_bar=False)
    rounds = []
    precisions = set()
    for number in range(n_rounds):
        encoder = Encoder.open(base, precision=precision, threads=threads)
        encoder.encode_passages(["warm"])
        ingest_s = _seconds(partial(_ingest, corpus, work / f"{number}.db", encoder))
        encode_s = _seconds(partial(alone.encode, texts, show_progress_bar=False))
        rounds.append(IngestRound(ingest_s, encode_s))
        precisions.add("bf16" if encoder.prefers_bf16(texts) else "fp32")
        progress(1)
    import torch

    return IngestBench(
        n_passages=len(texts),
        max_tokens=int(alone.max_seq_length),
        n_threads=torch.get_num_threads(),
        precision=" and ".join(sorted(precisions)),
        rounds=tuple(rounds),
    )


def _ingest(folder: Path, database: Path, encoder: Encoder) -> None:
    engine = open_database(f"sqlite:///{database}")
    ingest_beir(Library(engine), folder)
    PassageVectors(engine, encoder.passage_side).fill(encoder)
    engine.dispose()


def _texts(folder: Path, database: Path) -> list[str]:
    engine = open_database(f"sqlite:///{database}")
    library = Library(engine)
    ingest_beir(library, folder)
    texts = list(dict.fromkeys(passage.encoded_text for passage in library.iterate_passages()))
    engine.dispose()
    return texts


def _first_lines(folder: Path, work: Path, limit: int | None) -> Path:
    some = work / folder.resolve().name
    some.mkdir(parents=True)
    with corpus_path(folder).open("rb") as whole, (some / "corpus.jsonl").open("wb") as part:
        part.writelines(islice(whole, limit))
    return some


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
