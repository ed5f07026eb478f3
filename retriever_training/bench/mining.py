"""How long mining takes and how much memory: from all our sources, next to `mine_hard_negatives` from its one.

Both work on the same texts and vectors, each in a process of its own. What a library has anyway is not counted on our
side: vectors, and BM25's compiled scores. `mine_hard_negatives` encodes all texts in each call, or reads a cache of its
own; here it is handed the vectors, and what encoding would have cost is measured apart.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eval.bench.bm25 import zipf_texts
from eval.datasets.beir import load_beir
from rag.arrays import FloatArray
from rag.errors import TooLittleDataError
from rag.index.bm25 import Bm25Index
from retriever_training.bench.harness.subprocess_run import peak_memory_gib, run_in_subprocess
from retriever_training.negatives.candidates.records import MiningContext, VersionView
from retriever_training.negatives.mixing import choose_negatives, mine_negatives

N_NEGATIVES = 4
N_TOPICS = 1000  # around which made-up vectors gather: without them no passage is hard
DIMENSIONS = 384
N_SAMPLED_TEXTS = 256  # texts of each kind that are really encoded, if the vectors are made up


@dataclass(frozen=True, slots=True)
class EncodingCost:
    """What encoding all passages and questions takes, as `mine_hard_negatives` does it in each call."""

    seconds: float
    cpu_s: float
    n_texts: int
    """How many texts that was measured on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MiningWorkload:
    """What both mine from. Passages by row."""

    passages: list[str]
    questions: list[str]
    positives: list[list[int]]
    """The right passages of each question."""
    passage_vectors: FloatArray
    question_vectors: FloatArray
    encoding: EncodingCost

    def save(self, folder: Path) -> None:
        """Writes it if the two processes read it, and BM25's scores next to it."""
        texts = {"passages": self.passages, "questions": self.questions, "positives": self.positives}
        (folder / "texts.json").write_text(json.dumps(texts), "utf-8")
        np.save(folder / "passages.npy", self.passage_vectors)
        np.save(folder / "questions.npy", self.question_vectors)
        Bm25Index.build([str(row) for row in range(len(self.passages))], self.passages).save(folder / "bm25")


@dataclass(frozen=True, slots=True, kw_only=True)
class MiningCost:
    """One side's figures."""

    seconds: float
    """Without encoding, and without loading what is mined from."""
    cpu_s: float
    """The processors' time for it: what tells more if others use the machine as well."""
    peak_gib: float
    """Of the whole process: libraries, texts, vectors, and mining."""
    loaded_gib: float
    """The same before mining began."""
    n_negatives: int
    """How many it found for all questions together."""
    n_looked_at: int
    """How many candidates they were chosen from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MiningBench:
    """Both sides over the same workload, on the same number of threads."""

    n_questions: int
    n_passages: int
    n_threads: int
    nightjar: MiningCost
    theirs: MiningCost
    encoding: EncodingCost

    @property
    def times_faster(self) -> float:
        """How often we mine while `mine_hard_negatives` mines once, encoding not counted."""
        return self.theirs.seconds / self.nightjar.seconds

    @property
    def times_faster_with_encoding(self) -> float:
        """How many times faster we are if each side's encoding counts: we encode nothing, the other side everything."""
        return (self.theirs.seconds + self.encoding.seconds) / self.nightjar.seconds


def synthetic_workload(n_questions: int, n_passages: int, model: Path, seed: int = 13) -> MiningWorkload:
    """Texts by Zipf's law and vectors around TOPICS centres; each question of 8 words lies near the one it is drawn from.

    The time to encode is that of a sample of as long texts in words of the model's vocabulary, one token each.
    """
    rng = np.random.default_rng(seed)
    passages, _ = zipf_texts(n_passages, 0, seed=seed)
    right = rng.choice(n_passages, n_questions, replace=n_questions > n_passages)
    questions = [" ".join(rng.choice(passages[row].split(), 8, replace=False).tolist()) for row in right]
    centres = _unit(rng.standard_normal((N_TOPICS, DIMENSIONS), dtype=np.float32))
    vectors = _unit(centres[rng.integers(N_TOPICS, size=n_passages)] + _noise(rng, (n_passages, DIMENSIONS), 1.0))
    asked = _unit(vectors[right] + _noise(rng, (n_questions, DIMENSIONS), 1.0))
    encoding = _sampled_encoding(model, n_passages, n_questions)
    return MiningWorkload(
        passages=passages,
        questions=questions,
        positives=[[int(row)] for row in right],
        passage_vectors=vectors,
        question_vectors=asked,
        encoding=encoding,
    )


def beir_workload(folder: Path, n_questions: int, model: Path) -> MiningWorkload:
    """A data set's passages, and its first questions that have a right one, encoded by the model.

    Raises:
        TooLittleDataError: no question has a right passage.
    """
    dataset = load_beir(folder)
    row: dict[str, int] = {}
    passages: list[str] = []
    for passage_id, title, text in dataset.corpus():
        row[passage_id] = len(passages)
        passages.append("\n".join(filter(None, (title, text))))
    right: dict[str, set[int]] = {}
    for split in dataset.qrels.values():
        for query_id, grades in split.items():
            rows = {row[passage_id] for passage_id, grade in grades.items() if grade > 0}
            if rows:
                right.setdefault(dataset.queries[query_id], set()).update(rows)
    if not right:
        raise TooLittleDataError(
            f"{str(folder)!r} has no question with a right passage, and mining needs one: name a folder with qrels"
        )
    questions = list(right)[:n_questions]
    encoder = _real(model)
    started, cpu = time.perf_counter(), time.process_time()
    vectors = encoder.encode_document(passages, batch_size=32, normalize_embeddings=True)
    asked = encoder.encode_query(questions, batch_size=32, normalize_embeddings=True)
    encoding = EncodingCost(time.perf_counter() - started, time.process_time() - cpu, len(passages) + len(questions))
    positives = [sorted(right[question]) for question in questions]
    return MiningWorkload(
        passages=passages,
        questions=questions,
        positives=positives,
        passage_vectors=vectors,
        question_vectors=asked,
        encoding=encoding,
    )


def measure_mining(workload: MiningWorkload, folder: Path, model: Path) -> MiningBench:
    """Mines N_NEGATIVES for each question on both sides, one after the other; *folder* is for what they read."""
    workload.save(folder)
    ours = run_in_subprocess(_mine_ours, folder)
    theirs = run_in_subprocess(_mine_theirs, folder, model)
    n_questions, n_passages = len(workload.questions), len(workload.passages)
    return MiningBench(
        n_questions=n_questions,
        n_passages=n_passages,
        n_threads=_n_threads(),
        nightjar=ours,
        theirs=theirs,
        encoding=workload.encoding,
    )


def _mine_ours(folder: Path) -> MiningCost:
    """All sources, cleaned, four chosen: what a night does. One person rejected one passage for one question in ten."""
    texts, passages, questions = _load(folder)
    lexical = Bm25Index.load(folder / "bm25")
    assert lexical is not None
    rng = np.random.default_rng(13)
    n = len(questions)
    rejected = tuple(
        (int(row),) if index % 10 == 0 else () for index, row in enumerate(rng.integers(len(passages), size=n))
    )
    earlier = VersionView(
        "an earlier version",
        _unit(questions + _noise(rng, questions.shape, 0.3)),
        _unit(passages + _noise(rng, passages.shape, 0.3)),
        "earlier",
    )
    mine = MiningContext(
        questions=tuple(texts["questions"]),
        positives=tuple(frozenset(rows) for rows in texts["positives"]),
        rejected=rejected,
        passage_ids=tuple(map(str, range(len(passages)))),
        question_vectors=questions,
        passage_vectors=passages,
        lexical=lexical,
        texts=texts["passages"],
        seed=13,
        earlier=(earlier,),
        version="current",
    )
    loaded = peak_memory_gib()
    started, cpu = time.perf_counter(), time.process_time()
    by_source = mine_negatives(mine, [mine.current], mine.texts)
    chosen = [choose_negatives(by_source, row, N_NEGATIVES) for row in range(len(mine))]
    seconds, cpu_s = time.perf_counter() - started, time.process_time() - cpu
    looked_at = sum(len(row.kept) + len(row.removed) for mined in by_source.values() for row in mined)
    return MiningCost(
        seconds=seconds,
        cpu_s=cpu_s,
        peak_gib=peak_memory_gib(),
        loaded_gib=loaded,
        n_negatives=sum(map(len, chosen)),
        n_looked_at=looked_at,
    )


def _mine_theirs(folder: Path, model: Path) -> MiningCost:
    """`mine_hard_negatives` at its defaults, four negatives; its model gives the vectors that exist."""
    os.environ["TQDM_DISABLE"] = "1"
    from datasets import Dataset
    from sentence_transformers import mine_hard_negatives

    texts, passages, questions = _load(folder)
    handed = PrecomputedEncoder(_real(model), texts["passages"], passages, texts["questions"], questions)
    pairs = [
        (question, texts["passages"][row])
        for question, rows in zip(texts["questions"], texts["positives"], strict=True)
        for row in rows
    ]
    dataset = Dataset.from_dict({"question": [row for row, _ in pairs], "right": [row for _, row in pairs]})
    loaded = peak_memory_gib()
    started, cpu = time.perf_counter(), time.process_time()
    mined = mine_hard_negatives(dataset, handed, corpus=texts["passages"], num_negatives=N_NEGATIVES, verbose=False)
    seconds, cpu_s = time.perf_counter() - started - handed.seconds, time.process_time() - cpu - handed.cpu_s
    return MiningCost(
        seconds=seconds,
        cpu_s=cpu_s,
        peak_gib=peak_memory_gib(),
        loaded_gib=loaded,
        n_negatives=len(mined),
        n_looked_at=len(mined),
    )


class PrecomputedEncoder:
    """A SentenceTransformer whose vectors are there already; the time it takes to hand them over is noted."""

    def __init__(
        self, model: Any, passages: Sequence[str], vectors: FloatArray, questions: Sequence[str], asked: FloatArray
    ) -> None:
        self._model = model
        self._sides = {"passages": (_rows(passages), vectors), "questions": (_rows(questions), asked)}
        self.seconds = self.cpu_s = 0.0

    def __getattr__(self, name: str) -> Any:
        """Device, similarity and the rest are the model's own."""
        return getattr(self._model, name)

    def encode_document(self, inputs: list[str], **_: Any) -> FloatArray:
        """`(n, dim)`."""
        return self._hand("passages", inputs)

    def encode_query(self, inputs: list[str], **_: Any) -> FloatArray:
        """`(q, dim)`."""
        return self._hand("questions", inputs)

    def _hand(self, side: str, texts: list[str]) -> FloatArray:
        started, cpu = time.perf_counter(), time.process_time()
        rows, vectors = self._sides[side]
        handed: FloatArray = vectors[[rows[text] for text in texts]]
        self.seconds += time.perf_counter() - started
        self.cpu_s += time.process_time() - cpu
        return handed


def _rows(texts: Sequence[str]) -> dict[str, int]:
    return {text: row for row, text in enumerate(texts)}


def _load(folder: Path) -> tuple[dict[str, Any], FloatArray, FloatArray]:
    texts: dict[str, Any] = json.loads((folder / "texts.json").read_text("utf-8"))
    return texts, np.load(folder / "passages.npy"), np.load(folder / "questions.npy")


def _sampled_encoding(model: Path, n_passages: int, n_questions: int) -> EncodingCost:
    """What encoding this many passages of 60 words and questions of 8 takes, from SAMPLE of each."""
    encoder = _real(model)
    words = sorted(word for word in encoder.tokenizer.get_vocab() if word.isalpha() and word.isascii())
    rng = np.random.default_rng(13)
    seconds = cpu_s = 0.0
    for n_words, n_texts, encode in ((60, n_passages, encoder.encode_document), (8, n_questions, encoder.encode_query)):
        sample = [" ".join(rng.choice(words, n_words).tolist()) for _ in range(N_SAMPLED_TEXTS)]
        started, cpu = time.perf_counter(), time.process_time()
        encode(sample, batch_size=32, normalize_embeddings=True)
        seconds += (time.perf_counter() - started) * n_texts / N_SAMPLED_TEXTS
        cpu_s += (time.process_time() - cpu) * n_texts / N_SAMPLED_TEXTS
    return EncodingCost(seconds, cpu_s, 2 * N_SAMPLED_TEXTS)


def _real(model: Path) -> Any:
    from rag.embedding.encoder import quiet_libraries

    quiet_libraries()
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(model), device="cpu", local_files_only=True, trust_remote_code=False)


def _n_threads() -> int:
    import faiss

    return int(faiss.omp_get_max_threads())


def _noise(rng: np.random.Generator, shape: tuple[int, ...], length: float) -> FloatArray:
    """`(n, dim)`, rows of about this length."""
    noise: FloatArray = rng.standard_normal(shape, dtype=np.float32) * np.float32(length / shape[1] ** 0.5)
    return noise


def _unit(rows: FloatArray) -> FloatArray:
    unit: FloatArray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit
