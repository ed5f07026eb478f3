"""Chroma as we use it: its clients, our collections and what marks them, and its failures as ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rag.errors import IndexDamagedError, NightjarError, SettingsError

if TYPE_CHECKING:
    from chromadb import ClientAPI, Collection
    from chromadb.config import Settings

CHROMA_TIMEOUT_S = 30.0  # for one request to a server; a batch of 500 rows takes well under a second
COLLECTION_SCHEMA = 1  # of what we put into a collection; one of another schema is rebuilt
COLLECTION_CONFIGURATION = {"hnsw": {"space": "cosine", "ef_construction": 200, "max_neighbors": 32, "ef_search": 100}}


def open_client(directory: Path) -> ClientAPI:
    """A Chroma client on a directory of this machine. The caller holds the directory's lock."""
    import chromadb
    from chromadb.api.shared_system_client import SharedSystemClient
    from chromadb.errors import ChromaError

    try:
        return chromadb.PersistentClient(str(directory), settings=_settings())
    except ChromaError:
        # chromadb 1.5.9 keeps the client that failed, and hands it out for the next one with this path.
        SharedSystemClient._identifier_to_system.pop(str(directory), None)
        raise


def connect_to_server(url: str) -> ClientAPI:
    """A client of an existing Chroma server at http://HOST:PORT.

    Raises:
        SettingsError: the URL can't be read.
        NightjarError: no Chroma server answers there.
    """
    import chromadb

    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise SettingsError(f"index.url is {url!r}: write http://HOST:PORT")
    secure = parts.scheme == "https"
    with server_failures(url):
        client = chromadb.HttpClient(
            parts.hostname, parts.port or (443 if secure else 8000), secure, settings=_settings()
        )
    client._server._session.timeout = CHROMA_TIMEOUT_S  # chromadb 1.5.9 waits for ever, and has no setting for it
    return client


def close_client(client: ClientAPI) -> None:
    """Closes a client and, which chromadb 1.5.9 forgets, its connections to a server."""
    sessions = [getattr(part._server, "_session", None) for part in (client, client._admin_client)]
    client.close()
    for session in filter(None, sessions):
        session.close()


def _settings() -> Settings:
    from chromadb.config import Settings

    return Settings(anonymized_telemetry=False, _env_file=None)  # else it reads a .env file that is not its own


def get_or_create_collection(client: ClientAPI, name: str, passage_side: str) -> Collection:
    """The collection of this name; what is asked of an existing one is ignored by Chroma, so look at `difference`."""
    return client.get_or_create_collection(
        name,
        embedding_function=None,
        configuration=COLLECTION_CONFIGURATION,
        metadata=collection_metadata(passage_side),
    )


def collection_metadata(passage_side: str) -> dict[str, object]:
    """What a collection of ours says of itself. Chroma would take any vectors of the right length.

    >>> collection_metadata("9c07")
    {'passage_side': '9c07', 'schema': 1}
    """
    return {"passage_side": passage_side, "schema": COLLECTION_SCHEMA}


def describe_mismatch(collection: Collection, passage_side: str) -> str:
    """In words, how a collection differs from what this passage side needs; empty if it does not."""
    expected = collection_metadata(passage_side)
    if collection.metadata != expected:
        return f"made for {collection.metadata}, expected {expected}"
    hnsw = collection.configuration_json["hnsw"] or {}  # `configuration` warns of what we never set
    wrong = {
        name: hnsw.get(name) for name, value in COLLECTION_CONFIGURATION["hnsw"].items() if hnsw.get(name) != value
    }
    return f"configured with {wrong}" if wrong else ""


@contextmanager
def chroma_failures() -> Iterator[None]:
    """Whatever Chroma complains of, the answer is the same: the index is verified, and rebuilt if need be.

    Raises:
        IndexTornError: Chroma failed.
        NightjarError: its server can't be reached.
    """
    from chromadb.errors import ChromaError
    from httpx import HTTPError

    try:
        yield
    except HTTPError as error:
        raise NightjarError(f"the Chroma server does not answer ({error}): start it, or unset index.url") from error
    except (ChromaError, OSError) as error:
        raise IndexDamagedError(f"Chroma failed ({error}): the index is verified, and rebuilt if need be") from error


@contextmanager
def server_failures(url: str) -> Iterator[None]:
    """A server that can't be reached or used is said so, by its address.

    Raises:
        NightjarError: it can't.
    """
    from chromadb.errors import ChromaError
    from httpx import HTTPError

    try:
        yield
    except (HTTPError, ChromaError, ValueError) as error:  # ValueError is how chromadb says that it can't connect
        raise NightjarError(f"no Chroma server answers at {url!r} ({error}): start it, or unset index.url") from error
