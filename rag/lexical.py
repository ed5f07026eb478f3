"""BM25 over the passages: rank_bm25 counts the words, a sparse matrix holds every score it could give."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rag.records import sha256_of

if TYPE_CHECKING:
    from scipy.sparse import csr_array

log = logging.getLogger(__name__)

TOKENIZER_VERSION = "2"  # of `tokenize`; a saved matrix of another version is built anew

# Dropping these words from questions and passages moved BM25's nDCG@10 from .520 to .579 on feedbackqa-uk's dev
# questions (.621 to .665 on stackfaq, .616 to .651 on covidqa, .884 to .880 on newwiki). Lucene's 33 words alone gave
# .532: what helps is to drop the question words and pronouns.
_ENGLISH = """
    a about am an and are aren as at be been being but by can could couldn did didn do does doesn don for from had hadn
    has hasn have haven how i if in into is isn it its may me my no not of on or our shall should shouldn so such that
    the their them then there these they this to us was wasn we were weren what when where which who whom why will with
    would wouldn you your
"""
STOP_WORDS = frozenset(_ENGLISH.split())

# Whole words; of "you're", "don't" and "company’s" only what stands before the apostrophe ("l'eau" stays two words).
_WORD = re.compile(r"\b(?!(?<=\w['’])(?:s|t|d|m|re|ve|ll)\b)\w+")


class Searchable(Protocol):
    """What is read of a passage: `rag.records.Passage` has both."""

    @property
    def passage_id(self) -> str:
        """Its id."""

    @property
    def encoded_text(self) -> str:
        """Title, headings and text."""


def tokenize(text: str) -> list[str]:
    """Lower-cased words of a text without English stop words; ligatures and full-width letters are unfolded.

    Does not stem, and does not split scripts that write no spaces.

    >>> tokenize("Where's the ﬁling fee for DON'T-KNOW cases?")
    ['filing', 'fee', 'know', 'cases']
    """
    plain = text if text.isascii() else unicodedata.normalize("NFKC", text)
    return [word for word in _WORD.findall(plain.lower()) if word not in STOP_WORDS]


class Lexical:
    """BM25Okapi's scores for every word and passage, so that scoring a question is a sparse sum."""

    def __init__(self, passage_ids: list[str], vocabulary: dict[str, int], matrix: csr_array) -> None:
        self.passage_ids = passage_ids
        self._vocabulary = vocabulary
        self._matrix = _narrow(matrix)  # (words, passages) float64: rank_bm25's figures, to the last bits

    @classmethod
    def build(cls, passage_ids: Sequence[str], texts: Iterable[str]) -> Lexical:
        """Counts the words of the texts, which are read once and not kept, and compiles the scores."""
        vocabulary: dict[str, int] = {}
        matrix = _compile(_word_numbers(texts, vocabulary), vocabulary)
        assert matrix.shape[1] == len(passage_ids), f"{len(passage_ids)} passage ids for {matrix.shape[1]} texts"
        return cls(list(passage_ids), vocabulary, matrix)

    @classmethod
    def open(cls, folder: Path, key: str, passages: Callable[[], Iterable[Searchable]]) -> Lexical:
        """Loads what was saved under this key, which names one state of the library; else builds and saves it."""
        saved = cls.load(folder, key)
        if saved is not None:
            return saved
        ids: list[str] = []
        built = cls.build(ids, _texts(passages(), ids))
        try:
            built.save(folder, key)
        except OSError as error:
            log.warning("BM25's scores for %d passages can't be saved in %s (%s): built anew at every start",
                        len(ids), folder, error)  # fmt: skip
        return built

    # ---- asking

    def scores(self, question: str) -> NDArray[np.float64]:
        """BM25 of every passage for a question, `(n_passages,)` float64, in the order of `passage_ids`.

        Equal to `rank_bm25.BM25Okapi.get_scores` on the question's tokens to 1e-9: a word that the question repeats
        counts as often; words in more than half of the passages get rank_bm25's floor.
        All zeros where no word is known.
        """
        n_times = {
            self._vocabulary[word]: times
            for word, times in Counter(tokenize(question)).items()
            if word in self._vocabulary
        }
        if not n_times:
            return np.zeros(len(self.passage_ids))
        found: NDArray[np.float64] = self._matrix[list(n_times)].T @ np.array([*n_times.values()], np.float64)
        return found

    def score_matrix(self, questions: Sequence[str]) -> NDArray[np.float32]:
        """`scores` of many questions, `(n_questions, n_passages)` float32."""
        found = np.zeros((len(questions), len(self.passage_ids)), np.float32)
        for row, question in enumerate(questions):
            found[row] = self.scores(question)
        return found

    # ---- keeping

    def save(self, folder: Path, key: str = "") -> None:
        """Writes scores and words beside what is there, then the manifest that names them; the old ones go last."""
        folder.mkdir(parents=True, exist_ok=True)
        name = _fingerprint(key)[:16]
        matrix = self._matrix
        arrays = {"data": matrix.data, "indices": matrix.indices, "indptr": matrix.indptr}
        words = json.dumps({"words": list(self._vocabulary), "passage_ids": self.passage_ids})
        files = {
            f"scores-{name}.npz": _write_beside(
                folder / f"scores-{name}.npz", lambda file: np.savez(file, allow_pickle=False, **arrays)
            ),
            f"words-{name}.json": _write_beside(folder / f"words-{name}.json", lambda file: file.write(words.encode())),
        }
        manifest = {"fingerprint": _fingerprint(key), "sha256": files}
        _write_beside(folder / "manifest.json", lambda file: file.write(json.dumps(manifest, indent=1).encode()))
        for path in folder.iterdir():
            if path.name not in {*files, "manifest.json"}:
                path.unlink(missing_ok=True)

    @classmethod
    def load(cls, folder: Path, key: str = "") -> Lexical | None:
        """What was saved under this key; None where nothing was, or where its files have changed since."""
        from scipy.sparse import csr_array

        names = _intact_files(folder, _fingerprint(key))
        if names is None:
            return None
        scores, words = (folder / name for name in names)
        told = json.loads(words.read_bytes())
        vocabulary = {word: row for row, word in enumerate(told["words"])}
        with np.load(scores, allow_pickle=False) as arrays:
            parts = (arrays["data"], arrays["indices"], arrays["indptr"])
        return cls(told["passage_ids"], vocabulary, csr_array(parts, shape=(len(vocabulary), len(told["passage_ids"]))))


def _texts(passages: Iterable[Searchable], passage_ids: list[str]) -> Iterator[str]:
    """The passages' texts; their ids are noted on the way, so that the library is read once."""
    for passage in passages:
        passage_ids.append(passage.passage_id)
        yield passage.encoded_text


def _word_numbers(texts: Iterable[str], vocabulary: dict[str, int]) -> Iterator[list[int]]:
    """The words of each text as rows of the vocabulary, which grows: numbers shared by all passages, not strings."""
    for text in texts:
        yield [vocabulary.setdefault(word, len(vocabulary)) for word in tokenize(text)]


def _compile(passages: Iterator[list[int]], vocabulary: dict[str, int]) -> csr_array:
    """Every score that rank_bm25 could give, `(n_words, n_passages)`; its own counts are freed on the way.

    score(w, d) = idf(w) · f · (k1 + 1) / (f + k1 · (1 - b + b · |d| / avgdl)), Trotman, Puurula and Burgess, ADCS 2014;
    k1, b and idf, with its floor for words in more than half of the passages, are rank_bm25's.
    """
    from scipy.sparse import csr_array

    bm25, n_passages = _count(passages)
    if bm25 is None:
        return csr_array((len(vocabulary), n_passages), dtype=np.float64)
    lengths = np.fromiter((len(counts) for counts in bm25.doc_freqs), np.int64, n_passages)
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    words = np.empty(indptr[-1], np.int32)
    scores = np.empty(indptr[-1], np.float64)  # first how often a word stands there, then its score
    for number, counts in enumerate(bm25.doc_freqs):
        some = slice(indptr[number], indptr[number + 1])
        words[some], scores[some] = list(counts), list(counts.values())
        bm25.doc_freqs[number] = {}
    norm = bm25.k1 * (1 - bm25.b + bm25.b * np.array(bm25.doc_len) / bm25.avgdl)
    idf = np.fromiter((bm25.idf[word] for word in range(len(vocabulary))), np.float64, len(vocabulary))
    scores[:] = idf[words] * (scores * (bm25.k1 + 1) / (scores + np.repeat(norm, lengths)))
    return csr_array((scores, words, indptr), shape=(n_passages, len(vocabulary))).T.tocsr()


def _narrow(matrix: csr_array) -> csr_array:
    """The same matrix with places of 32 bits, where they suffice: a long text is scored in a fifth less time."""
    from scipy.sparse import csr_array

    if matrix.nnz >= 2**31:
        return matrix
    places = (matrix.indices.astype(np.int32), matrix.indptr.astype(np.int32))
    return csr_array((matrix.data, *places), shape=matrix.shape)


def _count(passages: Iterator[list[int]]) -> tuple[Any, int]:
    """rank_bm25's statistics and the number of passages; None for statistics where no passage has a word."""
    from rank_bm25 import BM25Okapi

    n_passages = n_words = 0

    def counted() -> Iterator[list[int]]:
        nonlocal n_passages, n_words
        for words in passages:
            n_passages += 1
            n_words += len(words)
            yield words

    try:
        bm25 = BM25Okapi(counted())
    except ZeroDivisionError:  # rank_bm25's means over nothing
        assert n_words == 0
        return None, n_passages
    return bm25, n_passages


def _fingerprint(key: str) -> str:
    from importlib.metadata import version

    return sha256_of(json.dumps([key, TOKENIZER_VERSION, "rank-bm25", version("rank-bm25")]))


def _write_beside(path: Path, write: Callable[[Any], object]) -> str:
    """Writes a file under another name and renames it; returns its sha256. Readers see the old file or the new one."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    with part.open("wb") as file:
        write(file)
    with part.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    part.replace(path)
    return digest


def _intact_files(folder: Path, fingerprint: str) -> list[str] | None:
    """The names of the two files that the manifest promises, once their bytes were checked."""
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
        if manifest["fingerprint"] != fingerprint:
            return None
        for name, digest in manifest["sha256"].items():
            with (folder / name).open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                    log.warning("%s is damaged: BM25's scores are built anew", folder / name)
                    return None
    except (OSError, KeyError, ValueError):  # absent, unreadable, or half written: the same as nothing
        return None
    return sorted(manifest["sha256"])
