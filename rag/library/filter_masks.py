"""Which passages pass a filter: every passage knows its document, and every document its source, type and date."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine, select

from rag.arrays import BoolArray
from rag.database.schema import documents, passages, read_connection
from rag.errors import NotFoundError
from rag.library.search_filter import SearchFilter, matches_source, matches_type

REMEMBERED = 16  # filters, as a conversation repeats its own: 100 ms over 100,000 documents, and 0.1 MB each
N_NEAR = 3  # sources that are named if one is not known
EARLIEST, LATEST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Document:
    document_id: str
    source: str
    media_type: str
    added_at: str


class FilterMasks:
    """Which document each passage belongs to. Read at the first filtered search; threads may share it."""

    def __init__(self, engine: Engine, passage_ids: Sequence[str]) -> None:
        self._engine = engine
        self._passage_ids = passage_ids
        self._lock = threading.Lock()
        self._passed: dict[SearchFilter, BoolArray] = {}
        self._read_once: tuple[list[_Document], NDArray[np.intp]] | None = None

    def mask(self, where: SearchFilter) -> BoolArray:
        """`(n_passages,)`, in the order of the passage ids: which of them may be found.

        Raises:
            NotFoundError: no document has a source or type that is named; not in an empty library.
        """
        with self._lock:
            found = self._passed.get(where)
        if found is None:
            found = self._passing(where)
            with self._lock:
                if len(self._passed) >= REMEMBERED:
                    self._passed.clear()
                self._passed[where] = found
        return found

    def _passing(self, where: SearchFilter) -> BoolArray:
        shelved, document_of = self._read()
        keep = np.ones(len(shelved) + 1, np.bool_)
        keep[-1] = False  # stands for passages that were removed meanwhile
        for mask in _masks(where, shelved) if shelved else ():
            keep[:-1] &= mask
        return np.asarray(keep[document_of], np.bool_)

    def _read(self) -> tuple[list[_Document], NDArray[np.intp]]:
        with self._lock:
            if self._read_once is None:
                self._read_once = self._read_all()
            return self._read_once

    def _read_all(self) -> tuple[list[_Document], NDArray[np.intp]]:
        columns = (documents.c.document_id, documents.c.source, documents.c.media_type, documents.c.added_at)
        with read_connection(self._engine) as connection:
            shelved = [_Document(*row) for row in connection.execute(select(*columns).order_by(documents.c.source))]
            owners = connection.execute(select(passages.c.passage_id, passages.c.document_id))
            owner_of = {row.passage_id: row.document_id for row in owners}
        row = {document.document_id: index for index, document in enumerate(shelved)}
        places = (row.get(owner_of.get(passage_id, ""), len(shelved)) for passage_id in self._passage_ids)
        return shelved, np.fromiter(places, np.intp, len(self._passage_ids))


def _masks(where: SearchFilter, shelved: Sequence[_Document]) -> Iterable[BoolArray]:
    """One mask, `(n_documents,)`, for each thing that the filter asks for."""
    if where.sources:
        yield _any_of(where.sources, shelved, lambda term, one: matches_source(term, one.source), _unknown_source)
    if where.types:
        yield _any_of(
            where.types, shelved, lambda term, one: matches_type(term, one.source, one.media_type), _unknown_type
        )
    if where.since or where.until:
        since, until = where.since or EARLIEST, where.until or LATEST
        yield np.array([since <= datetime.fromisoformat(document.added_at) < until for document in shelved], np.bool_)


def _any_of(
    terms: Sequence[str],
    shelved: Sequence[_Document],
    matches: Callable[[str, _Document], bool],
    unknown: Callable[[str, Sequence[_Document]], str],
) -> BoolArray:
    """Which documents one of the terms matches; each term must match one."""
    found = np.zeros(len(shelved), np.bool_)
    for term in terms:
        of_term = np.array([matches(term, document) for document in shelved], np.bool_)
        if not of_term.any():
            raise NotFoundError(unknown(term, shelved))
        found |= of_term
    return found


def _unknown_type(given: str, shelved: Sequence[_Document]) -> str:
    suffixes = {PurePosixPath(document.source).suffix.lstrip(".").casefold() for document in shelved}
    there = ", ".join(sorted({document.media_type.partition(";")[0] for document in shelved} | (suffixes - {""})))
    return f"no document of type {given!r} in the library: there is {there}"


def _unknown_source(given: str, shelved: Sequence[_Document]) -> str:
    """In words, that nothing has this name, and which names are near: by their ends where the folder was left out."""
    names = _names(shelved)
    by_end = {PurePosixPath(name).name.casefold(): name for name in names}
    ends = get_close_matches(PurePosixPath(given).name.casefold(), by_end, N_NEAR)
    near = dict.fromkeys([*(by_end[end] for end in ends), *get_close_matches(given, names, N_NEAR)])
    meant = f"; did you mean {', '.join(map(repr, list(near)[:N_NEAR]))}?" if near else ""
    return f'no source {given!r} in the library: "nightjar sources" lists what there is{meant}'


def _names(shelved: Sequence[_Document]) -> list[str]:
    """Every source, and every folder that one lies in."""
    folders = {str(parent) for document in shelved for parent in PurePosixPath(document.source).parents}
    return [document.source for document in shelved] + sorted(folders - {".", "/"})
