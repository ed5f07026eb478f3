"""`nightjar ask` and `nightjar search`: one question, answered or only searched."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Annotated

import typer

from ui.commands.console import JSON_OPTION, opened_app, print_json
from ui.serializers.answers import answer_json, format_duplicate_sources, search_result_json

if TYPE_CHECKING:
    from rag.records import Answer, Citation, Hit

QUESTION_ARGUMENT = typer.Argument(help="What you want to know, in your own words.")
RERANKER_OUT_OF_TIME = "The reranker ran out of time before it had read all passages: see retrieval.rerank_s."
SOURCE_OPTION = typer.Option(
    "--source",
    help='Only from this file, folder, or pattern such as "*.md"; if repeated, from any of them.',
    show_default=False,
)
TYPE_OPTION = typer.Option(
    "--type",
    help="Only from documents of this type: pdf, md, text/html; if repeated, of any of them.",
    show_default=False,
)
SINCE_OPTION = typer.Option(help="Only from documents ingested on this day or later: 2026-11-25.", show_default=False)
UNTIL_OPTION = typer.Option(help="Only from documents ingested on this day or earlier.", show_default=False)


def ask(
    context: typer.Context,
    question: Annotated[str, QUESTION_ARGUMENT],
    k: Annotated[
        int | None, typer.Option("-k", min=1, max=100, help="How many passages to answer from.", show_default=False)
    ] = None,
    conversation: Annotated[
        str | None,
        typer.Option(help="A name of yours: questions under it may follow up on each other.", show_default=False),
    ] = None,
    source: Annotated[list[str] | None, SOURCE_OPTION] = None,
    kind: Annotated[list[str] | None, TYPE_OPTION] = None,
    since: Annotated[str | None, SINCE_OPTION] = None,
    until: Annotated[str | None, UNTIL_OPTION] = None,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Answer a question from the library, with sources; say so if the documents hold no answer.

    The question and the passages shown are stored, so that you can say which of them helped. Ctrl-C ends the answer.

    [bold]Examples[/bold]

    nightjar ask "Who can get the grant?"

    nightjar ask --conversation grants "And for nurses?"

    nightjar ask "What changed?" --source minutes/ --type pdf --since 2026-11-01
    """
    from rag.answering.answerer import SearchFinished, TextDelta
    from rag.library.search_filter import parse_filter
    from ui.auth.current_user import LOCAL_USER

    where = parse_filter(source or (), kind or (), since, until)
    with opened_app(context) as opened:
        opened.tell = partial(typer.echo, err=True)
        history = opened.feedback.history(conversation, LOCAL_USER) if conversation else []
        for event in opened.answerer.stream(
            question, history=history, user=LOCAL_USER, conversation_id=conversation, k=k, where=where
        ):
            if isinstance(event, SearchFinished):
                if event.question != question.strip():
                    typer.echo(f"searched for: {_on_one_line(event.question)}", err=True)
            elif isinstance(event, TextDelta):
                if not as_json:
                    typer.echo(_printable(event.delta), nl=False)
            elif as_json:
                print_json(answer_json(event))
            else:
                typer.echo("\n" + "\n".join(_sources(event)))
                if event.rerank_is_cut:
                    typer.echo(RERANKER_OUT_OF_TIME, err=True)


def search(
    context: typer.Context,
    question: Annotated[str, QUESTION_ARGUMENT],
    k: Annotated[int, typer.Option("-k", min=1, max=100, help="How many passages to show.")] = 10,
    source: Annotated[list[str] | None, SOURCE_OPTION] = None,
    kind: Annotated[list[str] | None, TYPE_OPTION] = None,
    since: Annotated[str | None, SINCE_OPTION] = None,
    until: Annotated[str | None, UNTIL_OPTION] = None,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Show the passages found for a question, best first, with every score that put them there.

    Nothing is stored. Score = dense (cosine) + the version's weight × lexical (BM25 over its maximum) + what today's
    votes on questions like this one add or take away. If a reranker is on, its probability is shown as "read".

    [bold]Examples[/bold]

    nightjar search "business grant" -k 5

    nightjar search "business grant" --source "council/*.pdf" --since 2026-11-01
    """
    from rag.answering.answerer import check_question
    from rag.library.search_filter import parse_filter
    from ui.auth.current_user import LOCAL_USER

    question, where = check_question(question), parse_filter(source or (), kind or (), since, until)
    with opened_app(context) as opened:
        result = opened.retriever.find(question, k, LOCAL_USER, where)
    if as_json:
        print_json(search_result_json(result))
        return
    for hit in result.hits:
        typer.echo("\n".join(_hit_lines(hit)))
    if result.rerank_is_cut:
        typer.echo(RERANKER_OUT_OF_TIME, err=True)
    if not result.hits and where:
        typer.echo("Nothing found: no document passes every filter.")
    elif not result.hits:
        typer.echo('Nothing found: the library holds no documents yet. Add some with "nightjar ingest PATH".')


def _sources(answer: Answer) -> Iterator[str]:
    """Yields the lines below an answer: each cited passage with its quotes, or the reason why there is no answer."""
    if answer.declined:
        yield f"({_printable(answer.reason)})"
        yield from _closest(answer)
    yield from (
        f"{sentence.found}: “{_on_one_line(sentence.text)}”"
        for sentence in answer.sentences
        if sentence.found != "supported"
    )
    passages = {hit.rank: hit.passage for hit in answer.hits}
    for n, citations in groupby(sorted(answer.citations, key=lambda citation: citation.n), lambda citation: citation.n):
        passage = passages[n]
        page = f", page {passage.page}" if passage.page else ""
        title = f"{passage.title} · " if passage.title else ""
        yield f"\n[{n}] {_printable(title + passage.source)}{page}"
        yield from (f"    “{_on_one_line(citation.quote)}”{_support_note(citation)}" for citation in citations)
        if also := next(format_duplicate_sources(hit) for hit in answer.hits if hit.rank == n):
            yield f"    also in {_printable(', '.join(also))}"


def _closest(answer: Answer) -> Iterator[str]:
    """Yields the closest passages, for a question without an answer."""
    if answer.hits:
        yield "\nClosest passages:"
    for hit in answer.hits:
        title = " › ".join(part for part in (hit.passage.title, hit.passage.heading) if part) or hit.passage.source
        yield f"[{hit.rank}] {_on_one_line(title)}: {_on_one_line(hit.passage.text)[:100]}"


def _support_note(citation: Citation) -> str:
    return "" if citation.found == "supported" else f" ({citation.found})"


def _hit_lines(hit: Hit) -> Iterator[str]:
    passage = hit.passage
    today = f", today {hit.feedback_boost:+.3f}" if hit.feedback_boost else ""
    read = "" if hit.rerank is None else f", read {hit.rerank:.3f}"
    scores = f"{hit.score:.3f}  (dense {hit.dense:.3f}, lexical {hit.lexical:.3f}{today}{read})"
    yield f"{hit.rank:>3}  {scores}  {_printable(passage.public_id)}"
    above = " › ".join(part for part in (passage.title, passage.heading) if part)
    yield f"     {_on_one_line(above or passage.source)}"
    text = _on_one_line(passage.text)
    yield f"     {text[:200]}{'…' if len(text) > 200 else ''}"
    if hit.also_in:
        yield f"     also in {_printable(', '.join(format_duplicate_sources(hit)))}"
    yield ""


def _on_one_line(text: str) -> str:
    return _printable(" ".join(text.split()))


def _printable(text: str) -> str:
    """Returns the text without control characters: a document must not control the terminal."""
    return "".join(character for character in text if character.isprintable() or character == "\n")
