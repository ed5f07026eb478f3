"""`nightjar bench pages` in a real browser: every page is found usable, and the time of each is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.fixtures.browser import NEEDS
from ui.cli import app
from ui.commands.bench.answering.pages import READY_SELECTORS
from ui.texts.shared import PAGES

pytestmark = NEEDS


@pytest.mark.slow
def test_every_page_is_usable_and_timed(tmp_path: Path) -> None:
    (tmp_path / "owls.md").write_text("# What do owls hunt?\n\nOwls hunt mice at night.\n", "utf-8")
    result = CliRunner().invoke(app, ["bench", "pages", "--documents", str(tmp_path), "--times", "2", "--json"])
    assert result.exit_code in (0, 1), result.output  # how busy the machine is, is no fault
    told = json.loads(result.stdout)
    assert [(page["path"], page["name"]) for page in told["pages"]] == [
        (f"/{path}", name) for path, name in PAGES.items()
    ]
    assert all(page["first_s"] > 0 and page["again_s"] > 0 for page in told["pages"])
    assert set(READY_SELECTORS) == set(PAGES)
