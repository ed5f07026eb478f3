"""The little that only a browser can do: our own script, served from here, for the CSP lets no other one run."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI, Response

SCRIPT = Path(__file__).parents[1] / "assets" / "nightjar.js"
SCRIPT_TAG = '<script src="nightjar.js" defer></script>'
"""Relative, so that a proxy may serve the pages below a path of its own."""


def add_script(api: FastAPI) -> None:
    """Serves it."""
    written = SCRIPT.read_bytes()

    @api.get("/nightjar.js", include_in_schema=False)
    def script() -> Response:
        """The script of the pages."""
        return Response(written, media_type="text/javascript; charset=utf-8", headers={"cache-control": "no-cache"})
