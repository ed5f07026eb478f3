"""Stub."""
import typer
def register(app: typer.Typer) -> None:
    """Adds these commands."""
