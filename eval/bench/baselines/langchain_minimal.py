"""What somebody would write in ten lines of LangChain: similarity search, and the top passage, or its best sentence."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from eval.bench.answers import SideAnswer
from rag.records import Passage

if TYPE_CHECKING:
    from rag.embedding.protocols import TextEncoder

K = 4  # LangChain's default
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


class LangChainMinimal:
    """Two answers to a question by the same encoder over the same passages, neither of which ever declines."""

    def __init__(
        self, passages: Sequence[Passage], vectors: Mapping[str, Sequence[float]], encoder: TextEncoder
    ) -> None:
        """*vectors*: passage id → what *encoder* makes of its text, so that nothing is encoded twice."""
        from langchain_core.documents import Document
        from langchain_core.vectorstores import InMemoryVectorStore

        self._encoder = encoder
        known = {passage.encoded_text: vectors[passage.passage_id] for passage in passages}
        self._store = InMemoryVectorStore(_embeddings(encoder, known))
        self._store.add_documents(
            [
                Document(
                    id=passage.passage_id,
                    page_content=passage.encoded_text,
                    metadata={"text": passage.text, "id": passage.passage_id},
                )
                for passage in passages
            ]
        )

    def top_passage(self, question: str, without: frozenset[str] = frozenset()) -> SideAnswer:
        """The passage that similarity search puts first."""
        started = time.perf_counter()
        found = self._search(question, without)
        text = found[0][0].metadata["text"]
        return _given(text, _SENTENCE_END.split(text)[0], found[0][1], started)

    def best_sentence(self, question: str, without: frozenset[str] = frozenset()) -> SideAnswer:
        """The sentence of the K passages found whose cosine with the question is highest."""
        started = time.perf_counter()
        found = self._search(question, without)
        sentences = [sentence for document, _ in found for sentence in _SENTENCE_END.split(document.metadata["text"])]
        cosines = self._encoder.encode_passages(sentences) @ self._encoder.encode_queries([question])[0]
        best = sentences[int(cosines.argmax())]
        return _given(best, best, float(cosines.max()), started)

    def _search(self, question: str, without: frozenset[str]) -> list[tuple[Any, float]]:
        chosen: Callable[[Any], bool] | None = (lambda one: one.metadata["id"] not in without) if without else None
        return self._store.similarity_search_with_score(question, k=K, filter=chosen)


def _given(text: str, first: str, score: float, started: float) -> SideAnswer:
    return SideAnswer(
        text=text, first=first, short="", declined=False, support=score, ms=1000 * (time.perf_counter() - started)
    )


def _embeddings(encoder: TextEncoder, known: Mapping[str, Sequence[float]]) -> Any:
    """The encoder as LangChain's `Embeddings`; texts that are *known* are not encoded again."""
    from langchain_core.embeddings import Embeddings

    class Adapter(Embeddings):
        """Our encoder."""

        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return [list(map(float, known[text])) for text in texts]

        def embed_query(self, text: str) -> list[float]:
            return [float(value) for value in encoder.encode_queries([text])[0]]

    return Adapter()
