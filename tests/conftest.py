"""What several test files share: a fresh database, and the real encoder, opened once."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """A new, migrated SQLite database."""
    from rag.database.schema import open_database

    opened = open_database(f"sqlite:///{tmp_path / 'nightjar.db'}")
    yield opened
    opened.dispose()


@pytest.fixture(scope="session")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default base, as every library installs it."""
    from rag.versions.base_model import BASE_PACKAGE, save_base

    folder = tmp_path_factory.mktemp("base") / "model"
    save_base(BASE_PACKAGE, 128, folder)
    return folder


@pytest.fixture(scope="session")
def base_encoder(base_folder: Path):
    """The real MiniLM."""
    from rag.embedding.encoder import Encoder

    return Encoder.open(base_folder, precision="fp32")


@pytest.fixture(scope="session")
def map_folder(base_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version of tier 1 with a map that is not the identity."""
    import numpy as np

    from retriever_training.tiers.tier1_adapter import save_adapter

    folder = tmp_path_factory.mktemp("map") / "model"
    weights = np.eye(384) + 0.05 * np.random.default_rng(0).standard_normal((384, 384))
    save_adapter(base_folder, weights.astype(np.float32), folder)
    return folder


@pytest.fixture(autouse=True)
def _settings_from_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own settings must not reach a test."""
    for name in list(os.environ):
        if name.startswith("NIGHTJAR"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def _manuals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory with the library of manuals, encoded once; `manuals` hands out copies."""
    from rag.app.app import open_app
    from rag.settings import Settings
    from tests.fixtures import jargon

    data = tmp_path_factory.mktemp("manuals") / "data"
    app = open_app(Settings(data=data))
    app.library.put_all(jargon.library())
    app.encode_missing()
    app.close()
    return data


@pytest.fixture
def manuals(_manuals: Path, tmp_path: Path) -> Path:
    """A state directory of the test's own that holds the library of manuals (tests/fixtures/jargon.py) and its vectors."""
    return Path(shutil.copytree(_manuals, tmp_path / "data"))


@pytest.fixture(scope="session")
def _after_a_night(_manuals: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library of manuals after one night; `after_a_night` hands out copies."""
    from tests.fixtures.library_after_night import live_through_it

    data = Path(shutil.copytree(_manuals, tmp_path_factory.mktemp("night") / "data"))
    live_through_it(data)
    return data


@pytest.fixture
def after_a_night(_after_a_night: Path, tmp_path: Path) -> Path:
    """A state directory of the test's own whose night has learnt from votes (tests/fixtures/library_after_night.py)."""
    return Path(shutil.copytree(_after_a_night, tmp_path / "night", copy_function=_copied))


def _copied(source: str, target: str) -> None:
    """Weights are never written to: two versions' would be 180 MB for each test."""
    (os.link if source.endswith(".safetensors") else shutil.copy2)(source, target)


@pytest.fixture(scope="module")
def browser() -> Iterator:
    """A headless Chromium, for the tests that tests/fixtures/browser.py marks."""
    from tests.fixtures.browser import open_browser

    opened = open_browser()
    yield opened
    opened.quit()
