"""What people use today for hybrid search: LangChain's EnsembleRetriever of a BM25Retriever and langchain-chroma.

Put together as its documentation has it: equal weights, reciprocal ranks, every default left alone but the number of
results. Only the vectors are ours, so that both search by the same ones and nobody encodes twice.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rag.arrays import FloatArray
from rag.database.sql_batches import batched
from rag.embedding.encoder import Encoder

NEEDED = ("langchain_chroma", "langchain_classic", "langchain_community")
BATCH = 5_000  # Chroma takes 5,461 at once


def is_installed() -> bool:
    """Whether the extra `bench` is there."""
    return all(find_spec(name) for name in NEEDED)


class LangChainEnsemble:
    """LangChain's ensemble retriever over the same passages."""

    def __init__(
        self,
        passage_ids: Sequence[str],
        texts: Sequence[str],
        vectors: FloatArray,
        encoder: Encoder,
        root: Path,
        *,
        k: int,
    ) -> None:
        """*texts* and *vectors*, `(n, dim)`, in the order of *passage_ids*; *k* results of each of the two."""
        with warnings.catch_warnings():
            # langchain-community 0.4.2 says at import that nobody looks after it any more; chromadb 1.5.9 complains of
            # langchain-chroma's embedding function.
            warnings.simplefilter("ignore", DeprecationWarning)
            from langchain_classic.retrievers import EnsembleRetriever
            from langchain_community.retrievers import BM25Retriever

            words = BM25Retriever.from_texts(list(texts), ids=list(passage_ids), k=k)
            dense = _chroma(passage_ids, texts, vectors, encoder, root).as_retriever(search_kwargs={"k": k})
            self._ensemble = EnsembleRetriever(retrievers=[words, dense], weights=[0.5, 0.5])

    def search(self, question: str) -> list[str]:
        """Passage ids, best first."""
        return [str(document.id) for document in self._ensemble.invoke(question)]


def _chroma(passage_ids: Sequence[str], texts: Sequence[str], vectors: FloatArray, encoder: Encoder, root: Path) -> Any:
    import chromadb
    from langchain_chroma import Chroma
    from langchain_core.embeddings import Embeddings

    class Ours(Embeddings):
        """Our encoder behind LangChain's interface."""

        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            rows: list[list[float]] = encoder.encode_passages(texts).tolist()
            return rows

        def embed_query(self, text: str) -> list[float]:
            row: list[float] = encoder.encode_queries([text])[0].tolist()
            return row

    client = chromadb.PersistentClient(str(root), settings=chromadb.Settings(anonymized_telemetry=False))
    store = Chroma("passages", Ours(), client=client, collection_configuration={"hnsw": {"space": "cosine"}})
    if store._collection.count() != len(passage_ids):  # an earlier run may have filled it
        for batch in batched(range(len(passage_ids)), BATCH):
            rows = slice(batch[0], batch[-1] + 1)
            store._collection.upsert(ids=list(passage_ids[rows]), embeddings=vectors[rows], documents=list(texts[rows]))
    return store
