"""The release of the application, as the package's metadata say."""

from __future__ import annotations

from importlib import metadata


def nightjar_version() -> str:
    """Returns the installed release, or "0+source" if this is a clone that was not installed."""
    try:
        return metadata.version("nightjar-rag")
    except metadata.PackageNotFoundError:
        return "0+source"
