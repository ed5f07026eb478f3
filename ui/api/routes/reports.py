"""Reports of nights and evaluations, for administrators: only files that a report's manifest names are served."""

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
    ".md": "text/plain; charset=utf-8",  # as plain text: a browser renders nothing of it
    ".json": "application/json",
    ".jsonl": "text/plain; charset=utf-8",
    ".trec": "text/plain; charset=utf-8",
    ".xml": "text/plain; charset=utf-8",
}
REPORT_CSP = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""A report is one file without scripts that loads nothing, not even from us."""


@dataclass(frozen=True, slots=True)
class StoredReport:
    """A folder with a manifest."""

    name: str
    folder: Path
    files: tuple[str, ...]
    """The files that the manifest names and that exist."""
    made_at: datetime

    @property
    def page(self) -> str | None:
        """The file to open for reading; None if it has neither of the two."""
        return next((file for file in (HTML_REPORT, MARKDOWN_REPORT) if file in self.files), None)


def list_reports(data: Path) -> list[StoredReport]:
    """Returns the reports of nights and of evaluations, the newest first."""
    folders = [*(data / "nights").glob("*/report"), *(data / "reports").glob("*")]
    reports = filter(None, map(_report, folders))
    return sorted(reports, key=lambda report: (report.made_at, report.name), reverse=True)


def get_report(data: Path, name: str) -> StoredReport:
    """Returns the report of this name.

    Raises:
        NotFoundError: no report has this name.
    """
    for report in list_reports(data):
        if report.name == name:
            return report
    raise NotFoundError(f"no report {name!r}: the page Training lists what there is")


def add_report_routes(api: FastAPI, opening: AppStartup) -> None:
    """Adds these routes."""

    @api.get("/reports/{name}/{file}")
    def read(name: str, file: str, request: Request) -> Response:
        """Returns one file of a report."""
        current_user(request).require_role("administrator")
        report = get_report(opening.app().settings.data, name)
        if file not in report.files:
            raise NotFoundError(f"report {name!r} has no file {file!r}: it has {', '.join(report.files)}")
        media_type = MEDIA_TYPES.get(Path(file).suffix, "application/octet-stream")
        return FileResponse(
            report.folder / file, media_type=media_type, headers={"content-security-policy": REPORT_CSP}
        )


def _report(folder: Path) -> StoredReport | None:
    """Returns the report in a folder; None if it has no manifest, because then it is not complete."""
    manifest = folder / REPORT_MANIFEST
    try:
        contents = json.loads(manifest.read_text("utf-8"))
        made_at = datetime.fromtimestamp(manifest.stat().st_mtime, UTC)
    except (OSError, ValueError):
        return None
    root = folder.resolve()
    names = [
        name for name in _file_names(contents) if (root / name).is_file() and (root / name).resolve().parent == root
    ]
    is_of_night = folder.name == "report" and folder.parent.parent.name == "nights"
    return StoredReport(
        folder.parent.name if is_of_night else folder.name, folder, (*sorted(names), REPORT_MANIFEST), made_at
    )


def _file_names(manifest: object) -> list[str]:
    """Returns the plain file names among a manifest's keys, or among those of its "files"."""
    files = manifest.get("files", manifest) if isinstance(manifest, dict) else {}
    names = files if isinstance(files, dict | list) else {}
    return [name for name in names if isinstance(name, str) and Path(name).name == name and not name.startswith(".")]
