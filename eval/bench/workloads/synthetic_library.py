"""A library as large as wanted: real passages, and made-up ones around them whose vectors nobody has to encode.

A padding passage has words drawn by how often the corpus has them, and a vector at a cosine of NEARNESS to a real
passage's, so that the index is as crowded around the real ones as it is elsewhere.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from sqlalchemy import Engine

from rag.arrays import FloatArray
from rag.database.schema import open_database
from rag.database.sql_batches import batched
from rag.embedding.encoder import Encoder, normalise_rows
from rag.embedding.passage_vectors import PassageVectors, store_vectors
from rag.ingestion.beir_corpus import BeirEntry, entry_to_document
from rag.ingestion.ingest import ingest_beir
from rag.library.library import Library

WORDS = 60  # in a padding passage; 90 is the longest that the application cuts
NEARNESS = 0.7
BATCH = 2_000  # passages between two commits
_WORD = re.compile(r"\w+")


def fill_library(
    engine: Engine,
    folder: Path,
    encoder: Encoder,
    n_passages: int,
    *,
    seed: int = 13,
    progress: Callable[[int], None] = lambda n: None,
) -> int:
    """Ingests and encodes the BEIR corpus in *folder*, and pads it to *n_passages*; returns how many are real.

    A library that is as large already is left as it is. *progress* gets the number of padding passages just stored.
    """
    library, vectors = Library(engine), PassageVectors(engine, encoder.passage_side)
    ingest_beir(library, folder)
    real = [passage for passage in library.iterate_passages() if not passage.source.startswith("padding/")]
    vectors.fill(encoder)
    n_there = library.n_passages()
    draw = np.random.default_rng(seed + n_there)
    around = np.stack(list(vectors.rows([passage.passage_id for passage in real]).values()))
    for batch in batched(range(n_there, n_passages), BATCH):
        texts = made_up_texts([passage.encoded_text for passage in real], len(batch), draw)
        _put(library, vectors, texts, near(around, len(batch), draw), batch[0])
        progress(len(batch))
    return len(real)


def made_up_texts(texts: Sequence[str], n: int, draw: np.random.Generator) -> list[str]:
    """*n* texts of WORDS words, each word as likely as it is in *texts*.

    >>> made_up_texts(["one one"], 1, np.random.default_rng(0))[0].split()[:3]
    ['one', 'one', 'one']
    """
    counts = Counter(word for text in texts for word in _WORD.findall(text))
    words = np.array(list(counts), object)
    share = np.fromiter(counts.values(), np.float64, len(counts))
    drawn = draw.choice(len(words), (n, WORDS), p=share / share.sum())
    return [" ".join(words[row]) for row in drawn]


def near(vectors: FloatArray, n: int, draw: np.random.Generator) -> FloatArray:
    """`(n, dim)` float32 unit rows, each at a cosine of NEARNESS to a row of *vectors*, in a random direction from it.

    >>> made = near(np.eye(3, dtype=np.float32)[:1], 2, np.random.default_rng(0))
    >>> made.shape, bool(np.allclose(made[:, 0], 0.7)), bool(np.allclose(np.linalg.norm(made, axis=1), 1))
    ((2, 3), True, True)
    """
    chosen = vectors[draw.integers(len(vectors), size=n)]
    away = draw.standard_normal(chosen.shape, np.float32)
    away = normalise_rows(away - (away * chosen).sum(axis=1, keepdims=True) * chosen)
    return normalise_rows(NEARNESS * chosen + np.float32(np.sqrt(1 - NEARNESS**2)) * away)


def open_padded_library(work: Path) -> Engine:
    """The database below *work*, new or as an earlier run left it."""
    work.mkdir(parents=True, exist_ok=True)
    return open_database(f"sqlite:///{work / 'library.db'}")


def _put(library: Library, vectors: PassageVectors, texts: Sequence[str], made: FloatArray, first: int) -> None:
    entries = [
        entry_to_document("padding", BeirEntry(str(first + index), "", text)) for index, text in enumerate(texts)
    ]
    library.put_all(entries)
    hashes = [passages[0].text_sha256 for _, passages in entries]
    store_vectors(vectors.engine, vectors.passage_side, hashes, made)
