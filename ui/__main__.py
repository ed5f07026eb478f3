"""`python -m ui` is `nightjar`."""

from ui.cli import app

if __name__ == "__main__":
    app()
