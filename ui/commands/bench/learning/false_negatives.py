"""`nightjar bench false-negatives`: how many mined negatives are right after all, as found and after cleaning."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ui.commands.bench.harness.work_folder import save_and_open_base
from ui.commands.console import JSON_OPTION, load_command_settings, print_json, print_table, progress_bar

if TYPE_CHECKING:
    from retriever_training.bench.false_negatives import FalseNegativeMeasurement
    from retriever_training.negatives.denoising.audit import AuditedCandidate
    from retriever_training.negatives.denoising.false_negative_rate import FalseNegativeRate


def false_negatives(
    context: typer.Context,
    *,
    beir: Annotated[Path, typer.Option(help="A BEIR folder.", show_default=False)],
    ratings: Annotated[
        Path | None,
        typer.Option(help="People's ratings of passages (JSON lines, as FeedbackQA has them).", show_default=False),
    ] = None,
    split: Annotated[str, typer.Option(help="The split whose questions are used.")] = "test",
    audit: Annotated[int, typer.Option(min=0, help="Print this many candidates of each source and outcome.")] = 0,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Count the mined negatives that are right after all, if more right passages are known than mining is told.

    Known from --ratings, from the questions' answers, or from labels with several right passages. Your library is not touched.

    [bold]Examples[/bold]

    nightjar bench false-negatives --beir datasets/nq

    nightjar bench false-negatives --beir datasets/feedbackqa --ratings datasets/feedbackqa/feedback.jsonl --audit 2
    """
    from eval.datasets.beir import load_beir
    from retriever_training.bench.false_negatives import measure_dataset

    dataset, encoder = load_beir(beir), load_command_settings(context).encoder
    with TemporaryDirectory(prefix="nightjar-bench-") as folder, progress_bar("encoding", None, "texts") as advance:
        base = save_and_open_base(Path(folder), encoder)
        measured = measure_dataset(dataset, base, split=split, ratings=ratings, n_audited=audit, progress=advance)
    if as_json:
        print_json({"dataset": dataset.name, "split": split, **_json(measured)})
    else:
        _print(dataset.name, measured)


def _json(measured: FalseNegativeMeasurement) -> dict[str, Any]:
    found = measured.found
    return {
        "n_questions": found.n_questions,
        "n_candidates": found.n_candidates,
        "n_hidden": found.n_hidden,
        "naive": [_rate(rate) for rate in found.as_found],
        "cleaned": [_rate(rate) for rate in found.cleaned],
        "removed": [asdict(removal) for removal in found.removals],
        "audit": [audit_line.as_json() for audit_line in measured.audited],
    }


def _rate(rate: FalseNegativeRate) -> dict[str, Any]:
    return {
        **asdict(rate),
        "of_emitted": rate.share_of_emitted,
        "of_judged": rate.share_of_judged,
        "of_emitted_interval": rate.interval(rate.n_emitted),
        "of_judged_interval": rate.interval(rate.n_judged),
    }


def _print(name: str, measured: FalseNegativeMeasurement) -> None:
    from ui.texts.reasons import describe_removal

    found = measured.found
    rows = [
        [before.source, str(after.n_emitted), *(cell for rate in (before, after) for cell in _cells(rate))]
        for before, after in zip(found.as_found, found.cleaned, strict=True)
        if before.n_emitted
    ]
    columns = [
        "source",
        "negatives",
        "naive: of all, %",
        "of those judged, %",
        "cleaned: of all, %",
        "of those judged, %",
    ]
    print_table(columns, rows, f"{name}: false among the first {found.n} negatives of {found.n_questions:,} questions")
    print_table(
        ["removed because", "candidates", "%", "known right", "known wrong"],
        [
            [
                describe_removal(removal.reason),
                str(removal.n),
                f"{100 * removal.n / found.n_candidates:.1f}",
                str(removal.n_right),
                str(removal.n_wrong),
            ]
            for removal in found.removals
        ],
        f"Of {found.n_candidates:,} candidates",
    )
    typer.echo(
        f"Of {found.n_hidden:,} hidden right passages {found.as_found[-1].n_false:,} would be negatives, "
        f"and after cleaning {found.cleaned[-1].n_false:,} are."
    )
    for audit_line in measured.audited:
        _print_audited(audit_line)


def _cells(rate: FalseNegativeRate) -> list[str]:
    return [
        f"{100 * rate.n_false / n:.1f} ({100 * low:.1f} to {100 * high:.1f})" if n else ""
        for n in (rate.n_emitted, rate.n_judged)
        for low, high in [rate.interval(n)]
    ]


def _print_audited(one: AuditedCandidate) -> None:
    from ui.texts.reasons import describe_removal

    typer.echo(f"\n{one.source} {one.rank}, {f'removed: {describe_removal(one.removed)}' if one.removed else 'kept'}")
    for label, text in (("question", one.question), ("right", one.positive), (one.passage_id, one.candidate)):
        typer.echo(f"  {label}: {' '.join(text.split())[:400]}")
