"""Whether Chroma gives back what was put in; after an unclean end asked in a process of its own, which may crash."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from chromadb import Collection

FloatArray = NDArray[np.float32]

log = logging.getLogger(__name__)

PAGE = 10_000  # rows; Chroma's get() fails at 32,767
QUERIES = 500  # sampled vectors a query; with 10 results each far below the same limit
N_SAMPLED = 1000
NEAR = 1e-3  # a passage's own vector has cosine 1 to it, a twin's nearly so


def problems(collection: Collection, ids: Sequence[str], vectors: FloatArray) -> list[str]:
    """What is wrong with an open collection; nothing where the list is empty.

    Reads every row's vector, which fails where one is lost, and searches for the sampled *vectors*, `(n, dim)`, of
    those *ids* that are in the collection: each has to find itself, or a twin.
    """
    found: set[str] = set()
    for offset in range(0, collection.count(), PAGE):
        page = collection.get(include=["embeddings"], limit=PAGE, offset=offset)
        found.update(page["ids"])
        lengths = np.linalg.norm(page["embeddings"], axis=1)
        if not np.allclose(lengths, 1, atol=NEAR):
            return [
                f"{int(np.sum(~np.isclose(lengths, 1, atol=NEAR)))} vectors of {len(lengths)} are not of unit length"
            ]
    if len(found) != collection.count():
        return [f"{len(found)} ids for {collection.count()} rows"]
    return _lost(collection, [(name, vector) for name, vector in zip(ids, vectors, strict=True) if name in found])


def _lost(collection: Collection, sample: list[tuple[str, FloatArray]]) -> list[str]:
    lost: list[str] = []
    for start in range(0, len(sample), QUERIES):
        some = sample[start : start + QUERIES]
        queries = np.stack([vector for _, vector in some])
        answer = collection.query(query_embeddings=queries, n_results=10, include=["distances"])
        for (name, _), ids, distances in zip(some, answer["ids"], answer["distances"], strict=True):
            if not distances or distances[0] > NEAR or (name not in ids and distances[-1] > NEAR):
                lost.append(name)
    return [f"{len(lost)} of {len(sample)} sampled passages are not found by their own vector"] if lost else []


def check_directory(
    chroma: Path,
    name: str,
    accept: dict[str, object],
    sample: tuple[Sequence[str], FloatArray],
    *,
    n_rows: int,
    lock_fd: int,
    timeout_s: float = 900.0,
) -> list[str]:
    """Opens a Chroma directory in a child process and returns what is wrong with it.

    *accept* is the metadata that the collection of this *name* must have. Files may not grow beyond what *n_rows*
    vectors can need: a torn graph has written 72 GB. The child holds *lock_fd* too, so that nobody opens the directory
    while it lives.
    """
    ids, vectors = sample
    told = io.BytesIO()
    np.savez(told, allow_pickle=False, ids=np.array(ids, np.str_), vectors=vectors)
    limit = (256 << 20) + 8 * n_rows * (4 * vectors.shape[1] + 1024)
    command = [sys.executable, "-m", "rag.index_check", str(chroma.resolve()), name, json.dumps(accept), str(limit)]
    root = str(Path(__file__).resolve().parent.parent)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))}
    try:
        child = subprocess.run(command, input=told.getvalue(), capture_output=True, timeout=timeout_s, check=False,
                               env=environment, pass_fds=(lock_fd,))  # fmt: skip
    except subprocess.TimeoutExpired:
        return [f"not verified within {timeout_s:.0f} s"]
    if child.returncode != 0:
        last = child.stderr.decode(errors="replace").strip().splitlines()[-1:]
        return [f"verifying it ended with {child.returncode}: {' '.join(last)}"]
    found: list[str] = json.loads(child.stdout)
    return found


def main(arguments: Sequence[str], told: bytes, answer: Callable[[str], object]) -> None:
    """The child: opens the directory under a limit on file sizes, and answers with a JSON list of problems."""
    import resource

    chroma, name, accept, limit = arguments
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    from rag.chroma_client import open_client

    with np.load(io.BytesIO(told), allow_pickle=False) as sample:
        ids, vectors = sample["ids"].tolist(), sample["vectors"]
    with open_client(Path(chroma)) as client:
        collection = client.get_collection(name, embedding_function=None)
        if collection.metadata != json.loads(accept):
            answer(json.dumps([f"the collection is {collection.metadata}, expected {accept}"]))
            return
        answer(json.dumps(problems(collection, ids, vectors)))


if __name__ == "__main__":
    main(sys.argv[1:], sys.stdin.buffer.read(), sys.stdout.write)
