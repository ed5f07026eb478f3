"""The reports of nights and evaluations, for administrators: only files that a report's manifest names."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse

from rag.errors import NotFoundError
from ui.auth.current_user import person_of
from ui.background.startup import Opening

MANIFEST = "manifest.json"
PAGE, TEXT = "report.html", "report.md"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".md": "text/plain; charset=utf-8",  # as it is: no browser makes anything of it
    ".json": "application/json",
    ".jsonl": "text/plain; charset=utf-8",
    ".trec": "text/plain; charset=utf-8",
    ".xml": "text/plain; charset=utf-8",
}
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""A report is one file without scripts that asks nobody for anything, us included."""


@dataclass(frozen=True, slots=True)
class Report:
    """A folder with a manifest."""

    name: str
    folder: Path
    files: tuple[str, ...]
    """That the manifest names and that are there."""
    made_at: datetime

    @property
    def page(self) -> str | None:
        """What is opened to read it; None where it has neither."""
        return next((file for file in (PAGE, TEXT) if file in self.files), None)


def reports(data: Path) -> list[Report]:
    """Those of nights and those of evaluations, the newest first."""
    folders = [*(data / "nights").glob("*/report"), *(data / "reports").glob("*")]
    found = (_report(folder) for folder in folders)
    return sorted((one for one in found if one), key=lambda one: (one.made_at, one.name), reverse=True)


def report(data: Path, name: str) -> Report:
    """One of them.

    Raises:
        NotFoundError: there is none of this name.
    """
    for one in reports(data):
        if one.name == name:
            return one
    raise NotFoundError(f"no report {name!r}: the page Training lists what there is")


def add_reports(api: FastAPI, opening: Opening) -> None:
    """Adds these calls."""

    @api.get("/reports/{name}/{file}")
    def read(name: str, file: str, request: Request) -> Response:
        """One file of a report."""
        person_of(request).must("administrator")
        found = report(opening.app().settings.data, name)
        if file not in found.files:
            raise NotFoundError(f"report {name!r} has no file {file!r}: it has {', '.join(found.files)}")
        media_type = TYPES.get(Path(file).suffix, "application/octet-stream")
        return FileResponse(found.folder / file, media_type=media_type, headers={"content-security-policy": POLICY})


def _report(folder: Path) -> Report | None:
    """The report in a folder; None where it has no manifest, for then it does not exist."""
    manifest = folder / MANIFEST
    try:
        named = json.loads(manifest.read_text("utf-8"))
        made_at = datetime.fromtimestamp(manifest.stat().st_mtime, UTC)
    except (OSError, ValueError):
        return None
    inside = folder.resolve()
    names = [name for name in _named(named) if (inside / name).is_file() and (inside / name).resolve().parent == inside]
    is_of_night = folder.name == "report" and folder.parent.parent.name == "nights"
    return Report(folder.parent.name if is_of_night else folder.name, folder, (*sorted(names), MANIFEST), made_at)


def _named(manifest: object) -> list[str]:
    """The plain file names among a manifest's keys, or among those of its "files"."""
    files = manifest.get("files", manifest) if isinstance(manifest, dict) else {}
    names = files if isinstance(files, dict | list) else {}
    return [name for name in names if isinstance(name, str) and Path(name).name == name and not name.startswith(".")]
