"""The report at the end of `nightjar ingest`, for people and for programs."""

from __future__ import annotations

import resource
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import typer

from ui.commands.console import escape_unprintable

if TYPE_CHECKING:
    from rag.ingestion.find_files import SourceOutcome
    from rag.ingestion.ingest import IngestReport

MAX_LISTED = 20  # how many skipped or duplicate files are listed; failures are all listed


@dataclass(frozen=True, slots=True)
class EncodingSummary:
    """How long encoding the new passages took."""

    n_encoded: int = 0
    seconds: float = 0.0
    opening_s: float = 0.0
    """The part of these seconds until the encoder was loaded."""

    @property
    def passages_per_s(self) -> float:
        """The speed; 0 if nothing was encoded."""
        return self.n_encoded / self.seconds if self.n_encoded else 0.0


def report_json(report: IngestReport, encoding: EncodingSummary, seconds: float) -> dict[str, Any]:
    """Returns the whole report for programs; memory is the peak."""
    outcomes = asdict(report)
    n_passages_new = outcomes.pop("n_passages_new")
    listed = {kind: [{"source": source, "note": note} for source, note in outcomes[kind]] for kind in outcomes}
    return {
        **listed,
        "n_passages_new": n_passages_new,
        "n_encoded": encoding.n_encoded,
        "encode_seconds": round(encoding.seconds, 3),
        "passages_per_s": round(encoding.passages_per_s, 1),
        "seconds": round(seconds, 3),
        "opening_seconds": round(encoding.opening_s, 3),
        "encoding_seconds": round(encoding.seconds - encoding.opening_s, 3),
        "memory_mib": _most_memory_mib(resource.RUSAGE_SELF),
        "reader_memory_mib": _most_memory_mib(resource.RUSAGE_CHILDREN),
    }


def _most_memory_mib(whose: int) -> int:
    """Returns the peak memory in MiB of this process, or of the largest of its children that have ended."""
    most = resource.getrusage(whose).ru_maxrss
    return most // (1024**2 if sys.platform == "darwin" else 1024)


def print_report(report: IngestReport, encoding: EncodingSummary, n_passages: int) -> None:
    """Prints the counts, then the files that have a note, are duplicates, were skipped, vanished or failed."""
    kinds = {
        "added": report.added,
        "changed": report.changed,
        "unchanged": report.unchanged,
        "there twice": report.duplicates,
        "skipped": report.skipped,
        "vanished": report.vanished,
        "failed": report.failed,
    }
    counts = ", ".join(f"{len(outcomes):,} {kind}" for kind, outcomes in kinds.items() if outcomes)
    typer.echo(f"{counts or 'no files found'}; {report.n_passages_new:,} new passages, {n_passages:,} in the library.")
    if encoding.n_encoded:
        typer.echo(
            f"Encoded {encoding.n_encoded:,} passages in {encoding.seconds:.1f} s "
            f"({encoding.passages_per_s:,.1f} passages/s, opening the encoder included)."
        )
    _list("Notes", [outcome for outcome in (*report.added, *report.changed) if outcome[1]], MAX_LISTED)
    _list("There twice, stored once", report.duplicates, MAX_LISTED)
    _list("Skipped", report.skipped, MAX_LISTED)
    is_removed = any(note for _, note in report.vanished)
    title = "Gone from the folder, and removed" if is_removed else "Gone from the folder, kept (--remove-vanished)"
    _list(title, report.vanished, MAX_LISTED)
    _list("Failed", report.failed, len(report.failed))


def _list(title: str, outcomes: tuple[SourceOutcome, ...] | list[SourceOutcome], most: int) -> None:
    if not outcomes:
        return
    typer.echo(f"\n{title}:")
    for source, note in outcomes[:most]:
        typer.echo(f"  {escape_unprintable(source)}{f': {escape_unprintable(note)}' if note else ''}")
    if len(outcomes) > most:
        typer.echo(f"  … and {len(outcomes) - most:,} more (all of them with --json)")
