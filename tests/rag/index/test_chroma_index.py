"""The Chroma index: equal to SQL, opened by one process, rebuilt when torn; search goes on meanwhile."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from rag.embedding.passage_vectors import PassageVectors
from rag.errors import BusyError, EncoderError, IndexDamagedError, NightjarError, SettingsError, UsageError
from rag.file_lock import ProcessLock
from rag.index.chroma_client import close_client, connect_to_server
from rag.index.chroma_folder import ChromaFolder
from rag.index.chroma_index import ChromaIndex
from rag.index.serving_index import ServingIndex
from rag.library.library import Library
from rag.records import Document, Passage

SIDE = "side-a"
DIM = 32
REPOSITORY = Path(__file__).resolve().parents[3]
FILE_LIMIT = 200 << 20  # bytes: a torn graph has grown to 72 GB


class HashedSide:
    """A passage side whose vectors are drawn by the hash of the text; counts what it encodes."""

    def __init__(self, passage_side: str = SIDE) -> None:
        self.passage_side = passage_side
        self.n_encoded = 0

    def encode_passages(self, texts: Sequence[str]) -> np.ndarray:
        self.n_encoded += len(texts)
        rows = np.stack([self._draw(text) for text in texts]).astype(np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def _draw(self, text: str) -> np.ndarray:
        seed = int.from_bytes(hashlib.sha256(f"{self.passage_side} {text}".encode()).digest()[:8], "big")
        return np.random.default_rng(seed).normal(size=DIM)


def put(engine, name: str, n_passages: int, first: int = 0) -> list[str]:
    """Stores one document of numbered passages; returns their ids."""
    document = Document(
        document_id=name, source=name, title="", media_type="text/plain", sha256=f"{name} {n_passages} {first}", text=""
    )
    ids = [f"{name}-{number:05}" for number in range(first, first + n_passages)]
    Library(engine).put(
        document,
        [
            Passage(passage_id=i, document_id=name, source=name, title="", heading="", text=f"text {i}", start=0, end=1)
            for i in ids
        ],
    )
    return ids


@pytest.fixture
def vectors(engine) -> PassageVectors:
    """400 passages of one document, encoded."""
    put(engine, "doc", 400)
    filled = PassageVectors(engine, SIDE)
    filled.fill(HashedSide())
    return filled


@pytest.fixture
def root(tmp_path) -> Path:
    return tmp_path / "index"


def questions(n: int = 20, seed: int = 1) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(n, DIM)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def truth(vectors: PassageVectors, queries: np.ndarray, k: int) -> list[list[str]]:
    ids, matrix = vectors.matrix()
    return [[ids[row] for row in np.argsort(-cosines)[:k]] for cosines in queries @ matrix.T]


def names(found: list[list[tuple[str, float]]]) -> list[list[str]]:
    return [[name for name, _ in hits] for hits in found]


def overlap(found: list[list[tuple[str, float]]], expected: list[list[str]]) -> float:
    """Share of the expected neighbours that were found."""
    pairs = zip(names(found), expected, strict=True)
    return float(np.mean([len({*got} & {*want}) / len(want) for got, want in pairs]))


def damage(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def condition(root: Path) -> str:
    folder = ChromaFolder(root / SIDE)
    try:
        return folder.condition()
    finally:
        folder.release()


# ---- the collection and SQL


def test_the_index_finds_what_exact_search_finds(root, vectors):
    with ChromaIndex.open(root, SIDE, vectors) as index:
        assert index.sync() == (400, 0)
        assert index.count() == 400
        found = index.search(questions(), 10)
    assert overlap(found, truth(vectors, questions(), 10)) > 0.99
    ids, matrix = vectors.matrix()
    for query, hits in zip(questions(), found, strict=True):
        np.testing.assert_allclose(
            [cosine for _, cosine in hits], [matrix[ids.index(i)] @ query for i, _ in hits], atol=1e-5
        )
        assert hits == sorted(hits, key=lambda hit: -hit[1])


def test_a_second_sync_changes_nothing(root, vectors):
    with ChromaIndex.open(root, SIDE, vectors) as index:
        index.sync()
        assert index.sync() == (0, 0)
    with ChromaIndex.open(root, SIDE, vectors) as index:
        assert index.sync() == (0, 0)


def test_new_passages_come_and_removed_ones_go(root, engine, vectors):
    with ChromaIndex.open(root, SIDE, vectors) as index:
        index.sync()
        put(engine, "doc", 100)
        new = put(engine, "more", 30)
        vectors.fill(HashedSide())
        assert index.sync() == (30, 300)
        assert index.count() == 130
        found = {name for hits in index.search(questions(), 130) for name in names([hits])[0]}
    assert found == {f"doc-{number:05}" for number in range(100)} | set(new)


def test_progress_counts_every_passage_once(root, engine, vectors):
    put(engine, "more", 800)
    vectors.fill(HashedSide())
    steps: list[int] = []
    with ChromaIndex.open(root, SIDE, vectors) as index:
        index.sync(steps.append)
    assert steps == [500, 500, 200]


def test_a_sync_that_is_stopped_goes_on_where_it_was(root, engine, vectors):
    put(engine, "more", 800)
    vectors.fill(HashedSide())
    steps: list[int] = []
    with ChromaIndex.open(root, SIDE, vectors) as index:
        assert index.sync(steps.append, stopped=lambda: len(steps) == 1) == (500, 0)
    assert condition(root) == "sealed"
    with ChromaIndex.open(root, SIDE, vectors) as index:
        assert index.sync() == (700, 0)


def test_more_than_there_is_gives_all_and_nothing_of_nothing(root, engine, vectors):
    with ChromaIndex.open(root, SIDE, vectors) as index:
        assert index.search(questions(2), 5) == [[], []]
        index.sync()
        assert [len(hits) for hits in index.search(questions(2), 1000)] == [400, 400]
        assert index.search(questions(1), 0) == [[]]
        assert index.search(np.zeros((0, DIM), np.float32), 3) == []


def test_many_questions_times_many_results_do_not_hit_the_limit_of_chroma(root, vectors):
    """Chroma fetches all rows of a query by one SQL statement, of 32,766 variables at most: 100 x 400 would fail."""
    with ChromaIndex.open(root, SIDE, vectors) as index:
        index.sync()
        found = index.search(questions(100), 400)
        assert [len(hits) for hits in found] == [400] * 100
        with pytest.raises(UsageError, match="30001"):
            index.search(questions(1), 30_001)


def test_questions_of_another_dimension_are_refused_not_taken_for_damage(root, vectors):
    with ChromaIndex.open(root, SIDE, vectors) as index:
        index.sync()
        with pytest.raises(EncoderError, match=f"{DIM + 1} dimensions, the passages {DIM}"):
            index.search(np.ones((1, DIM + 1), np.float32), 3)


def test_equal_texts_in_two_documents_are_two_passages(root, engine):
    """They share one vector, and verification must not take a twin for a loss."""
    for name in ("one", "two"):
        document = Document(document_id=name, source=name, title="", media_type="text/plain", sha256=name, text="")
        Library(engine).put(
            document,
            [
                Passage(
                    passage_id=f"{name}-0",
                    document_id=name,
                    source=name,
                    title="",
                    heading="",
                    text="same",
                    start=0,
                    end=4,
                )
            ],
        )
    shared = PassageVectors(engine, SIDE)
    assert shared.fill(HashedSide()) == 1
    with ChromaIndex.open(root, SIDE, shared) as index:
        assert index.sync() == (2, 0)
        assert names(index.search(shared.matrix()[1][:1], 5)) == [["one-0", "two-0"]]
        index.verify()


# ---- one process at a time


def test_a_second_opening_is_refused_with_exit_code_75(root, vectors):
    with ChromaIndex.open(root, SIDE, vectors):
        with pytest.raises(BusyError, match=f"held by process {os.getpid()}") as refused:
            ChromaIndex.open(root, SIDE, vectors)
        assert refused.value.exit_code == 75
    ChromaIndex.open(root, SIDE, vectors).close()


OPEN_FOLDER = """
import sys
from pathlib import Path
from rag.errors import NightjarError
from rag.index.chroma_folder import ChromaFolder
try:
    ChromaFolder(Path(sys.argv[1]))
except NightjarError as error:
    sys.exit(error.exit_code)
"""


def test_another_process_is_refused_too(root, vectors):
    command = [sys.executable, "-c", OPEN_FOLDER, str(root / SIDE)]
    with ChromaIndex.open(root, SIDE, vectors):
        assert subprocess.run(command, cwd=REPOSITORY, check=False).returncode == 75
    assert subprocess.run(command, cwd=REPOSITORY, check=False).returncode == 0


def test_two_passage_sides_may_be_open_at_once(root, engine, vectors):
    other = PassageVectors(engine, "side-b")
    other.fill(HashedSide("side-b"))
    with ChromaIndex.open(root, SIDE, vectors) as old, ChromaIndex.open(root, "side-b", other) as new:
        old.sync()
        new.sync()
        assert names(old.search(questions(1), 5)) != names(new.search(questions(1), 5))
    ChromaIndex.drop(root, SIDE)
    ChromaIndex.drop(root, SIDE)
    assert [path.name for path in root.iterdir()] == ["side-b"]


def test_an_index_in_use_cannot_be_dropped(root, vectors):
    with ChromaIndex.open(root, SIDE, vectors), pytest.raises(BusyError):
        ChromaIndex.drop(root, SIDE)


def test_a_lock_on_a_removed_file_does_not_count(tmp_path):
    first = ProcessLock(tmp_path / "lock", "it")
    (tmp_path / "lock").unlink()
    second = ProcessLock(tmp_path / "lock", "it")
    with pytest.raises(BusyError):
        ProcessLock(tmp_path / "lock", "it")
    first.release()
    second.release()


# ---- torn and foreign ones


def test_opening_and_searching_leave_the_seal_whole(root, engine, vectors):
    """So a server that was killed while it only answered starts again without verifying."""
    put(engine, "more", 1300)  # beyond Chroma's sync threshold of 1000 rows, so that graph files are there
    vectors.fill(HashedSide())
    with ChromaIndex.open(root, SIDE, vectors) as index:
        index.sync()
    with ChromaIndex.open(root, SIDE, vectors) as index:
        index.search(questions(), 10)
    assert len(list((root / SIDE / "chroma").glob("*/*.bin"))) == 4
    assert condition(root) == "sealed"
    with ChromaIndex.open(root, SIDE, vectors) as index:
        assert index.sync() == (0, 0)
    assert condition(root) == "sealed"


@pytest.mark.parametrize("torn", ["chroma.sqlite3", "*/data_level0.bin", "*/link_lists.bin"])
def test_damaged_files_are_moved_aside_and_rebuilt_without_encoding(root, engine, torn):
    put(engine, "doc", 1200)
    side = HashedSide()
    vectors = PassageVectors(engine, SIDE)
    vectors.fill(side)
    with ChromaIndex.open(root, SIDE, vectors) as index:
        index.sync()
        before = index.search(questions(), 5)
    (path,) = (root / SIDE / "chroma").glob(torn)
    damage(path)
    serving = ServingIndex(root, vectors)
    serving.prepare()
    assert overlap(serving.search(questions(), 5), truth(vectors, questions(), 5)) > 0.99
    assert serving.wait() == "ready"
    assert overlap(serving.search(questions(), 5), names(before)) > 0.99
    serving.close()
    assert side.n_encoded == 1200, "rebuilding takes the vectors from SQL"
    assert len(list((root / SIDE).glob("chroma.torn-*"))) == 1


def test_damage_inside_the_database_is_noticed_on_opening(root, vectors):
    """Its size is as sealed, so Chroma is asked, and complains."""
    with ChromaIndex.open(root, SIDE, vectors) as index:
        index.sync()
    database = root / SIDE / "chroma" / "chroma.sqlite3"
    content = database.read_bytes()
    database.write_bytes(b"\0" * 4096 + content[4096:])
    with ChromaIndex.open(root, SIDE, vectors) as index:
        assert index.sync() == (400, 0)


def test_only_two_torn_indexes_are_kept(root, vectors):
    for _ in range(4):
        with ChromaIndex.open(root, SIDE, vectors) as index:
            index.sync()
        damage(root / SIDE / "chroma" / "chroma.sqlite3")
    ChromaIndex.open(root, SIDE, vectors).close()
    assert len(list((root / SIDE).glob("chroma.torn-*"))) == 2


@pytest.mark.parametrize("seal", ["", "{}", '{"chroma.sqlite3": [1, 0]}'])
def test_an_index_that_is_not_as_it_was_sealed_is_never_opened_again(root, vectors, seal):
    """One that passed every check after its writer was killed grew to 62 GB at the next write."""
    with ChromaIndex.open(root, SIDE, vectors) as index:
        index.sync()
    (root / SIDE / "sealed.json").write_text(seal)
    assert condition(root) == "torn"
    with ChromaIndex.open(root, SIDE, vectors) as index:
        assert index.count() == 0
        assert index.sync() == (400, 0)
    assert condition(root) == "sealed"


def test_one_altered_byte_in_the_graph_is_noticed(root, vectors):
    with ChromaIndex.open(root, SIDE, vectors) as index:
        index.sync()
    (graph,) = (root / SIDE / "chroma").glob("*/data_level0.bin")
    content = bytearray(graph.read_bytes())
    content[len(content) // 2] ^= 1
    graph.write_bytes(content)
    assert condition(root) == "torn"


def test_an_index_that_was_opened_and_never_filled_is_whole(root, vectors):
    ChromaIndex.open(root, SIDE, vectors).close()
    assert condition(root) == "sealed"


def test_the_seal_is_broken_while_chroma_writes(root, vectors):
    seen: list[bool] = []
    with ChromaIndex.open(root, SIDE, vectors) as index:
        index.sync(lambda n: seen.append((root / SIDE / "sealed.json").exists()))
    assert seen == [False]


def test_an_index_of_another_passage_side_is_not_served(root, engine, vectors):
    """Chroma takes any vectors of the right length, so a folder that was renamed would give wrong answers."""
    other = PassageVectors(engine, "side-b")
    other.fill(HashedSide("side-b"))
    with ChromaIndex.open(root, "side-b", other) as index:
        index.sync()
    (root / "side-b").rename(root / SIDE)
    with ChromaIndex.open(root, SIDE, vectors) as index:
        assert index.sync() == (400, 0)
        assert names(index.search(questions(), 1)) == truth(vectors, questions(), 1)


def test_vectors_that_are_not_those_in_sql_fail_verification(root, engine, vectors):
    with ChromaIndex.open(root, SIDE, vectors) as index:
        index.sync()
        index.verify()
        vectors.drop()
        PassageVectors(engine, SIDE).fill(Renamed("side-b"))
        with pytest.raises(IndexDamagedError, match="400 of 400 sampled passages are not found"):
            index.verify()


class Renamed(HashedSide):
    """The vectors of another side under this side's name."""

    def _draw(self, text: str) -> np.ndarray:
        return super()._draw(text)[::-1]

    def __init__(self, passage_side: str) -> None:
        super().__init__(SIDE)
        assert passage_side != SIDE


INDEX_UNTIL_KILLED = """
import sys, resource
from pathlib import Path
limit = int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
from rag.database.schema import open_database
from rag.index.chroma_index import ChromaIndex
from rag.embedding.passage_vectors import PassageVectors
vectors = PassageVectors(open_database(sys.argv[1]), "side-a")
index = ChromaIndex.open(Path(sys.argv[2]), "side-a", vectors)
index.sync(lambda n: print(n, flush=True))
print("done", flush=True)
"""


def kill_while_indexing(engine, root: Path, after: int, delay_s: float) -> None:
    """Starts a process that builds the index, and kills it *delay_s* after it reported its *after*-th batch."""
    command = [sys.executable, "-c", INDEX_UNTIL_KILLED, str(engine.url), str(root), str(FILE_LIMIT)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as child:
        for _ in range(after):
            line = child.stdout.readline().strip()
            assert line not in {"", "done"}, "the child ended before it could be killed"
        time.sleep(delay_s)
        child.send_signal(signal.SIGKILL)


@pytest.mark.chaos
@pytest.mark.parametrize(("after", "delay_s"), [(1, 0.0), (2, 0.1)])
def test_a_process_killed_while_indexing_costs_nobody_an_answer(root, engine, after, delay_s):
    put(engine, "doc", 2500)
    side = HashedSide()
    vectors = PassageVectors(engine, SIDE)
    vectors.fill(side)
    kill_while_indexing(engine, root, after, delay_s)
    assert condition(root) == "torn"
    serving = ServingIndex(root, vectors)
    serving.prepare()
    assert names(serving.search(questions(), 5)) == truth(vectors, questions(), 5), "right at once"
    assert serving.wait(60) == "ready"
    assert overlap(serving.search(questions(), 5), truth(vectors, questions(), 5)) > 0.97
    serving.close()
    with ChromaIndex.open(root, SIDE, vectors) as index:
        assert index.count() == 2500
        index.verify()
    assert side.n_encoded == 2500, "rebuilding takes the vectors from SQL"


# ---- search never stops


def test_search_answers_before_while_and_after_the_index_is_built(root, vectors):
    serving = ServingIndex(root, vectors)
    assert serving.state == "absent"
    assert names(serving.search(questions(), 3)) == truth(vectors, questions(), 3)
    assert serving.share == 0
    serving.prepare()
    while serving.state == "building":
        assert overlap(serving.search(questions(3), 3), truth(vectors, questions(3), 3)) == 1
    assert (serving.state, serving.share) == ("ready", pytest.approx(1.0))
    assert overlap(serving.search(questions(), 3), truth(vectors, questions(), 3)) > 0.99
    serving.close()
    assert names(serving.search(questions(), 3)) == truth(vectors, questions(), 3), (
        "closing ends Chroma, not the search"
    )


def test_a_grown_library_is_searched_at_once(root, engine, vectors):
    serving = ServingIndex(root, vectors)
    serving.prepare(background=False)
    assert serving.state == "ready"
    (new,) = put(engine, "new", 1)
    vectors.fill(HashedSide())
    query = vectors.rows([new])[new][None, :]
    serving.refresh()
    assert names(serving.search(query, 1)) == [[new]]
    assert serving.wait() == "ready"
    assert names(serving.search(query, 1)) == [[new]]
    Library(engine).remove("new")
    serving.refresh()
    assert names(serving.search(query, 1)) != [[new]]
    serving.close()


def test_while_another_process_has_the_index_search_is_exact(root, vectors, monkeypatch):
    held = ChromaIndex.open(root, SIDE, vectors)
    serving = ServingIndex(root, vectors)
    serving.prepare(background=False)
    assert serving.state == "busy"
    assert "held by process" in serving.reason
    assert names(serving.search(questions(), 3)) == truth(vectors, questions(), 3)
    monkeypatch.setattr("rag.index.serving_index.RETRY_INTERVAL_S", 0.0)
    serving.prepare(background=False)
    held.close()
    serving.search(questions(), 3)
    assert serving.wait() == "ready", "a search tries again by itself"
    serving.close()


def test_a_failure_of_chroma_during_a_search_is_answered_and_repaired(root, vectors):
    serving = ServingIndex(root, vectors)
    serving.prepare(background=False)
    serving._chroma._client.delete_collection("passages")  # behind its back, as a fault
    assert names(serving.search(questions(), 3)) == truth(vectors, questions(), 3)
    assert serving.wait() == "ready"
    assert overlap(serving.search(questions(), 3), truth(vectors, questions(), 3)) > 0.99
    serving.close()


def test_a_failure_that_nobody_foresaw_keeps_nobody_waiting(root, engine, vectors):
    """The thread ends with its traceback; whoever waits for it must not wait for ever."""
    serving = ServingIndex(root, vectors)
    matrix, vectors.matrix = vectors.matrix, None
    seen: list[object] = []
    hook, threading.excepthook = threading.excepthook, seen.append
    try:
        serving.prepare(background=False)
    finally:
        threading.excepthook = hook
        vectors.matrix = matrix
    assert len(seen) == 1
    assert serving.state == "absent"
    assert names(serving.search(questions(), 3)) == truth(vectors, questions(), 3)
    serving.close()


def test_threads_may_search_while_the_index_is_built_and_closed(root, vectors):
    serving = ServingIndex(root, vectors)
    expected = truth(vectors, questions(), 3)
    failures: list[object] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            if overlap(serving.search(questions(), 3), expected) < 0.99:
                failures.append("wrong answer")

    hook, threading.excepthook = threading.excepthook, failures.append
    askers = [threading.Thread(target=ask) for _ in range(3)]
    for asker in askers:
        asker.start()
    serving.prepare(background=False)
    serving.refresh(background=False)
    serving.close()
    done.set()
    for asker in askers:
        asker.join()
    threading.excepthook = hook
    assert not failures


# ---- a server


@pytest.fixture
def server(tmp_path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A real Chroma server (the Rust one) on a free port of this machine."""
    binary = Path(sys.executable).with_name("chroma")
    if not binary.exists():
        pytest.skip("no chroma command beside this Python")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [binary, "run", "--path", tmp_path / "server", "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        if process.poll() is not None:
            pytest.skip("the Chroma server does not start here")
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}", process
    process.kill()
    process.wait()


def test_a_server_holds_the_same_index_without_a_lock(root, engine, vectors, server):
    url, _ = server
    with (
        ChromaIndex.open(root, SIDE, vectors, url=url) as index,
        ChromaIndex.open(root, SIDE, vectors, url=url) as second,
    ):
        assert index.sync() == (400, 0)
        assert overlap(index.search(questions(), 5), truth(vectors, questions(), 5)) > 0.99
        assert second.count() == 400
        index.verify()
    assert not root.exists(), "nothing is kept on this side"
    ChromaIndex.drop(root, SIDE, url=url)
    ChromaIndex.drop(root, SIDE, url=url)
    with ChromaIndex.open(root, SIDE, vectors, url=url) as index:
        assert index.count() == 0


def test_a_foreign_collection_on_a_server_is_refused_and_left_alone(root, vectors, server):
    url, _ = server
    client = connect_to_server(url)
    client.create_collection(f"nightjar-{SIDE}", embedding_function=None, metadata={"of": "somebody"})
    with pytest.raises(NightjarError, match=r"is not ours \(made for \{'of': 'somebody'\}"):
        ChromaIndex.open(root, SIDE, vectors, url=url)
    assert client.count_collections() == 1
    close_client(client)


def test_search_goes_on_without_the_server(root, vectors, server):
    url, process = server
    serving = ServingIndex(root, vectors, url=url)
    serving.prepare(background=False)
    assert serving.state == "ready"
    process.kill()
    process.wait()
    assert names(serving.search(questions(), 3)) == truth(vectors, questions(), 3)
    assert serving.wait() == "absent"
    assert "the Chroma server does not answer" in serving.reason
    serving.close()


@pytest.mark.parametrize("url", ["chroma:8000", "ftp://host", "http://"])
def test_an_address_that_is_none_is_refused(root, vectors, url):
    with pytest.raises(SettingsError, match=r"index\.url"):
        ChromaIndex.open(root, SIDE, vectors, url=url)
