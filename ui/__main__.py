"""`python -m ui` is `nightjar`."""

from ui.cli import app

app()
