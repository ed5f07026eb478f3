"""A real server in this process over two small documents, for the tests of the doors that programs use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rag.assemble import App
from rag.ingest import ingest_paths
from rag.passages import Splitting
from rag.settings import Settings, load_settings
from ui.serve import Running, running

OWLS = "# Owls\n\nOwls hunt mice at night, by hearing alone.\n\n## Nests\n\nBarn owls nest in church towers.\n"
GRANT = "# The grant\n\nNurses who work at night can get the grant of 500 pounds. Apply before the first of May.\n"


def settings_for(data: Path, **sections: object) -> Settings:
    server = {"port": 0, **dict(sections.pop("server", {}))}
    return load_settings(data, server=server, **sections)


def fill(app: App, documents: Path) -> None:
    ingest_paths(app.library, [documents], splitting=Splitting(90))
    app.encode_missing()


@contextmanager
def served(home: Path, **sections: object) -> Iterator[Running]:
    """Answers questions by the time the block begins."""
    documents = home / "documents"
    documents.mkdir()
    (documents / "owls.md").write_text(OWLS, "utf-8")
    (documents / "grant.md").write_text(GRANT, "utf-8")
    with running(settings_for(home / "data", **sections), prepare=lambda app: fill(app, documents)) as started:
        started.opening.app()
        yield started
