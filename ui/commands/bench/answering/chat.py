"""`nightjar bench chat`: many people at once against a server of their own."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ui.commands.bench.harness.server import running_server
from ui.commands.console import JSON_OPTION, print_json, print_table, progress_bar

if TYPE_CHECKING:
    from eval.bench.chat_load import ChatBench, Waits

P95_MS, VOTE_MS = 3000, 150


def chat(
    *,
    documents: Annotated[Path, typer.Option(help="A folder of Markdown, whose headings are asked.")] = Path("docs"),
    people: Annotated[int, typer.Option(min=1, help="How many people chat.")] = 50,
    minutes: Annotated[float, typer.Option(min=0.05, help="For how many minutes.")] = 2.0,
    pause: Annotated[float, typer.Option(min=0, help="Seconds that a person reads an answer, on average.")] = 0.0,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Let many people chat with a server at once: how long they wait, for evidence, answers and votes; what fails; its memory.

    Starts a server of its own over the documents, in a folder that goes away; yours is not touched. Each person asks, votes
    on half of the answers and asks again. Exit code 1 if a request failed, or a bar was not met: 3 s for 95 of 100
    answers, 150 ms for 95 of 100 votes.

    [bold]Example[/bold]

    nightjar bench chat --minutes 30
    """
    from tempfile import TemporaryDirectory

    from eval.bench.chat_load import measure_chat, process_cost, questions_from_headings

    questions = questions_from_headings(documents)
    with (
        TemporaryDirectory(prefix="nightjar-bench-") as folder,
        running_server(documents, Path(folder)) as (address, pid),
        progress_bar("chatting", round(60 * minutes), "seconds") as advance,
    ):
        measured = measure_chat(
            address,
            questions,
            n_people=people,
            seconds=60 * minutes,
            pause_s=pause,
            cost=process_cost(pid),
            progress=advance,
        )
    if as_json:
        print_json(asdict(measured))
    else:
        _print(measured)
    if measured.failures or not _is_within(measured.answers, P95_MS) or not _is_within(measured.votes, VOTE_MS):
        raise typer.Exit(1)


def _is_within(waits: Waits | None, most_ms: float) -> bool:
    return waits is None or waits.p95_ms < most_ms


def _print(measured: ChatBench) -> None:
    rows = [
        [name, f"{waits.n:,}", f"{waits.p50_ms:,.0f}", f"{waits.p95_ms:,.0f}", f"{waits.max_ms:,.0f}", bar]
        for name, waits, bar in (
            ("evidence", measured.evidence, "before the first word"),
            ("whole answer", measured.answers, f"p95 below {P95_MS:,}"),
            ("vote", measured.votes, f"p95 below {VOTE_MS:,}"),
            ("page", measured.page, f"{measured.page_bytes / 1024:,.0f} kB"),
        )
        if waits
    ]
    title = (
        f"{measured.n_people} people for {measured.seconds:,.0f} s, reading for {measured.pause_s:g} s: "
        f"{measured.per_second:.1f} answers a second"
    )
    print_table(["milliseconds", "n", "p50", "p95", "max", "bar"], rows, title)
    if measured.memory:
        kept = measured.memory
        typer.echo(
            f"memory of the server: {kept.start_mb:,.0f} MB, {kept.middle_mb:,.0f} MB, {kept.end_mb:,.0f} MB; "
            f"{measured.cpu_ms:,.0f} ms of CPU for an answer and all that goes with it"
        )
    typer.echo(f"{len(measured.failures)} failed, {measured.n_declined:,} declined")
    for failure in measured.failures[:10]:
        typer.echo(failure, err=True)
