"""`nightjar insights` and `votes`: usage over time, and the effects of votes."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from ui.commands.console import JSON_OPTION, load_command_settings, print_json, print_table, progress_bar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rag.insights.usage_over_time import UsagePeriod
    from retriever_training.inspection.vote_effects import VoteEffect
    from ui.actions.vote_effects import VoteEffectsSummary, VoteEffectsView

MAX_CELL_WIDTH = 44  # how many characters of a question or title a table shows


def insights(
    context: typer.Context,
    *,
    days: Annotated[int, typer.Option(help="7, 30, or 90 (by week).")] = 30,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Show how the answers did over time: asked, answered, declined, liked, supported, and how fast.

    [bold]Example[/bold]

    nightjar insights --days 90 --json
    """
    from rag.app.app import open_app
    from rag.insights.usage_over_time import to_span, usage_over_time
    from ui.serializers.insights import usage_over_time_json
    from ui.texts import insights as texts

    span = to_span(days)
    app = open_app(load_command_settings(context))
    try:
        found = usage_over_time(app.engine, span)
    finally:
        app.close()
    if as_json:
        print_json(usage_over_time_json(found))
        return
    print_table(list(texts.COLUMNS), [_row(period) for period in (*found.periods, found.whole)])
    if found.is_partly_kept:
        since = found.kept_since
        typer.echo(texts.KEPT_SINCE.format(day=since) if since else texts.NEVER_KEPT)


def _row(period: UsagePeriod) -> list[str]:
    from ui.web.insights.render import usage_cells

    return usage_cells(period)


def votes(
    context: typer.Context,
    *,
    person: Annotated[str | None, typer.Option(help="Whose votes; everybody’s by default.", show_default=False)] = None,
    last: Annotated[int, typer.Option(help="How many of the latest votes to look at.", min=1, max=200)] = 20,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Show what votes did: where each passage was and is now, by which version, or why a vote does not count.

    Ranks are those of today's library, by each version alone: without the day's votes and without a reranker.

    [bold]Examples[/bold]

    nightjar votes --person ann

    nightjar votes --last 100 --json
    """
    from rag.app.app import open_app
    from ui.actions.compare import version_names
    from ui.actions.vote_effects import VoteEffectsView
    from ui.serializers.insights import vote_effects_json
    from ui.texts import insights as texts

    app = open_app(load_command_settings(context))
    try:
        app.current()
        look = _look_with_bar(VoteEffectsView(app), person, last)
        called = version_names(app)
    finally:
        app.close()
    if as_json:
        print_json(vote_effects_json(look, called))
        return
    for line in texts.summary_told(look.counts, mine=False, all_of_them=look.covers_all_votes):
        if line:
            typer.echo(line.replace("*", ""))
    if look.effects:
        columns = ["question", "passage", "verdict", "shown", *("before", "now"), "moved by", "what it did"]
        print_table(columns, [_vote_row(effect, called) for effect in look.effects])
    else:
        typer.echo('No votes yet: "nightjar serve" and "nightjar feedback import" bring them in.')


def _look_with_bar(view: VoteEffectsView, person: str | None, n: int) -> VoteEffectsSummary:
    """What the votes did, with a bar on stderr while ranks are searched for."""
    n_before = 0
    with ExitStack() as stack:
        advance: Callable[[int], None] | None = None

        def on_progress(n_done: int, n_searches: int) -> None:
            nonlocal advance, n_before
            advance = advance or stack.enter_context(progress_bar("looking up ranks", n_searches, "searches"))
            advance(n_done - n_before)
            n_before = n_done

        return view.look(person, n, on_progress=on_progress)


def _vote_row(effect: VoteEffect, names: Mapping[str, str]) -> list[str]:
    from ui.texts import insights as texts
    from ui.texts.reasons import describe_exclusion
    from ui.web.insights.render import format_rank

    title = (effect.passage.title or effect.passage.source) if effect.passage else effect.cast.passage_id
    outcome = texts.OUTCOMES[effect.outcome]
    return [
        shorten_cell(effect.cast.question),
        shorten_cell(title),
        texts.VERDICTS[effect.cast.verdict],
        str(effect.cast.shown_rank or "–"),
        format_rank(effect.before),
        format_rank(effect.now),
        names.get(effect.moved_by or "", ""),
        f"{outcome}: {describe_exclusion(effect.why)}" if effect.why else outcome,
    ]


def shorten_cell(text: str) -> str:
    """Returns the text as one line of a table, cut if it is long.

    >>> shorten_cell("a" * 60)[-2:]
    'a…'
    """
    line = " ".join(text.split())
    return line if len(line) <= MAX_CELL_WIDTH else line[: MAX_CELL_WIDTH - 1] + "…"
