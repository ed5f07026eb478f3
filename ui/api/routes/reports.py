"""The reports of nights and evaluations, for administrators: only files that a report's manifest names."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse

from rag.errors import NotFoundError
from ui.auth.current_user import current_user
from ui.background.startup import AppStartup

REPORT_MANIFEST = "manifest.json"
HTML_REPORT, MARKDOWN_REPORT = "report.html", "report.md"
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".md": "text/plain; charset=utf-8",  # as it is: no browser makes anything of it
    ".json": "application/json",
    ".jsonl": "text/plain; charset=utf-8",
    ".trec": "text/plain; charset=utf-8",
    ".xml": "text/plain; charset=utf-8",
}
REPORT_CSP = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""A report is one file without scripts that asks nobody for anything, us included."""


@dataclass(frozen=True, slots=True)
class StoredReport:
    """A folder with a manifest."""

    name: str
    folder: Path
    files: tuple[str, ...]
    """That the manifest names and that are there."""
    made_at: datetime

    @property
    def page(self) -> str | None:
        """What is opened to read it; None if it has neither."""
        return next((file for file in (HTML_REPORT, MARKDOWN_REPORT) if file in self.files), None)


def list_reports(data: Path) -> list[StoredReport]:
    """Those of nights and those of evaluations, the newest first."""
    folders = [*(data / "nights").glob("*/report"), *(data / "reports").glob("*")]
    found = (_report(folder) for folder in folders)
    return sorted((report for report in found if report), key=lambda one: (one.made_at, one.name), reverse=True)


def get_report(data: Path, name: str) -> StoredReport:
    """One of them.

    Raises:
        NotFoundError: there is none of this name.
    """
    for report in list_reports(data):
        if report.name == name:
            return report
    raise NotFoundError(f"no report {name!r}: the page Training lists what there is")


def add_report_routes(api: FastAPI, opening: AppStartup) -> None:
    """Adds these calls."""

    @api.get("/reports/{name}/{file}")
    def read(name: str, file: str, request: Request) -> Response:
        """One file of a report."""
        current_user(request).require_role("administrator")
        found = get_report(opening.app().settings.data, name)
        if file not in found.files:
            raise NotFoundError(f"report {name!r} has no file {file!r}: it has {', '.join(found.files)}")
        media_type = MEDIA_TYPES.get(Path(file).suffix, "application/octet-stream")
        return FileResponse(found.folder / file, media_type=media_type, headers={"content-security-policy": REPORT_CSP})


def _report(folder: Path) -> StoredReport | None:
    """The report in a folder; None if it has no manifest, for then it does not exist."""
    manifest = folder / REPORT_MANIFEST
    try:
        named = json.loads(manifest.read_text("utf-8"))
        made_at = datetime.fromtimestamp(manifest.stat().st_mtime, UTC)
    except (OSError, ValueError):
        return None
    inside = folder.resolve()
    names = [name for name in _named(named) if (inside / name).is_file() and (inside / name).resolve().parent == inside]
    is_of_night = folder.name == "report" and folder.parent.parent.name == "nights"
    return StoredReport(
        folder.parent.name if is_of_night else folder.name, folder, (*sorted(names), REPORT_MANIFEST), made_at
    )


def _named(manifest: object) -> list[str]:
    """The plain file names among a manifest's keys, or among those of its "files"."""
    files = manifest.get("files", manifest) if isinstance(manifest, dict) else {}
    names = files if isinstance(files, dict | list) else {}
    return [name for name in names if isinstance(name, str) and Path(name).name == name and not name.startswith(".")]
