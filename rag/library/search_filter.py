"""Which passages a search may find: by source, by type and by date."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from rag.errors import UsageError

MAX_FILTER_TERMS = 50  # sources, or types, of one filter


@dataclass(frozen=True, slots=True)
class SearchFilter:
    """What a passage's document must be. Of several sources, or types, one suffices; what is left empty lets all pass."""

    sources: tuple[str, ...] = ()
    """Each a source, a folder, or a pattern with * and ?, in which * goes across folders too."""
    types: tuple[str, ...] = ()
    """Each a suffix such as pdf, a media type such as text/html, or a pattern of one such as text/*."""
    since: datetime | None = None
    """When the document was first ingested, at the earliest; with a zone."""
    until: datetime | None = None
    """The same, and not at this moment any more."""

    def __bool__(self) -> bool:
        """Whether it asks for anything."""
        return self != NO_FILTER


NO_FILTER = SearchFilter()


def parse_filter(
    sources: Iterable[str] = (), types: Iterable[str] = (), since: str | None = None, until: str | None = None
) -> SearchFilter:
    """A filter from what people write; dates are ISO 8601, days count from their beginning to their end, in UTC.

    >>> parse_filter(until="2026-11-25").until.isoformat()
    '2026-11-26T00:00:00+00:00'

    Raises:
        UsageError: a date can't be read, nothing lies between the two, or there are more than MAX_TERMS sources or types.
    """
    sources, types = _terms("sources", sources), _terms("types", types)
    first, end = _moment(since), _moment(until, whole_day=True)
    if first and end and first >= end:
        raise UsageError(f"nothing lies between {since!r} and {until!r}: the first date must be the earlier one")
    return SearchFilter(sources, types, first, end)


def matches_source(pattern: str, source: str) -> bool:
    """Whether a source is the one that is named, lies in the folder that is named, or fits the pattern.

    >>> [matches_source(pattern, "notes/2026/a.md") for pattern in ("notes/2026/a.md", "notes/", "note", "*.md")]
    [True, True, False, True]
    """
    if source == pattern or source.startswith(pattern.rstrip("/") + "/"):
        return True
    return any(sign in pattern for sign in "*?[") and fnmatchcase(source, pattern)


def matches_type(kind: str, source: str, media_type: str) -> bool:
    """Whether a document is of a kind: by its media type if *kind* has a slash, else by suffix or subtype.

    >>> [matches_type(kind, "a.MD", "text/markdown") for kind in (".md", "markdown", "text/*", "text/plain")]
    [True, True, True, False]
    """
    kind, media_type = kind.casefold(), media_type.casefold().partition(";")[0]  # "; ocr=eng" follows on scans
    if "/" in kind:
        return fnmatchcase(media_type, kind)
    wanted = kind.lstrip(".")
    return wanted in (PurePosixPath(source).suffix.casefold().lstrip("."), media_type.partition("/")[2])


def _terms(what: str, given: Iterable[str]) -> tuple[str, ...]:
    terms = tuple(value.strip() for value in given if value.strip())
    if len(terms) > MAX_FILTER_TERMS:
        raise UsageError(
            f"{len(terms):,} {what} to choose from, at most {MAX_FILTER_TERMS} are read: name a folder, or use *"
        )
    return terms


def _moment(given: str | None, *, whole_day: bool = False) -> datetime | None:
    if not given:
        return None
    try:
        if len(given) <= len("2026-11-25"):
            day = date.fromisoformat(given)
            return datetime.combine(day + timedelta(days=whole_day), time(), UTC)
        moment = datetime.fromisoformat(given)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{given!r} is no date: write 2026-11-25, or 2026-11-25T18:00+01:00") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
