"""What several test files share: a fresh database, and the real encoder, opened once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """A new, migrated SQLite database."""
    from rag.database import open_database

    opened = open_database(f"sqlite:///{tmp_path / 'nightjar.db'}")
    yield opened
    opened.dispose()


@pytest.fixture(scope="session")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default base, as every library installs it."""
    from rag.base_model import PACKAGE, save_base

    folder = tmp_path_factory.mktemp("base") / "model"
    save_base(PACKAGE, 128, folder)
    return folder


@pytest.fixture(scope="session")
def base_encoder(base_folder: Path):
    """The real MiniLM."""
    from rag.encoder import Encoder

    return Encoder.open(base_folder, precision="fp32")


@pytest.fixture(autouse=True)
def _settings_from_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own settings must not reach a test."""
    for name in list(os.environ):
        if name.startswith("NIGHTJAR"):
            monkeypatch.delenv(name)
