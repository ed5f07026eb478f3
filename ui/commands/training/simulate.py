"""`nightjar simulate`: simulated people who ask, read and vote, for a library without users."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ui.commands.console import JSON_OPTION, opened_app, print_json, progress_bar

if TYPE_CHECKING:
    from eval.datasets.beir import BeirDataset
    from rag.app.app import App
    from rag.records import ShownPassage
    from retriever_training.simulation.simulated_users import Behaviour, SimulatedTurn


def simulate(
    context: typer.Context,
    *,
    dataset: Annotated[Path, typer.Option(help="A BEIR folder whose passages are in the library.", show_default=False)],
    questions: Annotated[int, typer.Option(help="How many of its questions are asked.", min=1)] = 2000,
    split: Annotated[str, typer.Option(help="The split whose questions are asked.")] = "train",
    error: Annotated[
        float, typer.Option(help="How often a person is mistaken about a question.", min=0.0, max=1.0)
    ] = 0.2,
    people: Annotated[int, typer.Option(help="How many people ask.", min=1)] = 20,
    voices: Annotated[int, typer.Option(help="How many of them ask the same question.", min=1)] = 1,
    seed: Annotated[int, typer.Option(help="Another seed draws other questions, people and errors.")] = 13,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Let simulated people ask the questions of a data set and vote on what the current version shows them.

    They read from the top, mark the right passage as helpful or pin it, mark some wrong ones above it as not
    relevant, and search for the right one if it is not shown, half of the time. With the probability --error they are
    mistaken: they reject the right passage, or call a wrong one helpful.
    Their turns are stored with the origin "simulated". Running it again with the same seed changes nothing.

    [bold]Example[/bold]

    nightjar simulate --dataset demo --questions 2000 --error 0.2 --people 20
    """
    from eval.datasets.beir import load_beir
    from retriever_training.simulation.simulated_users import Behaviour, record_simulated_turns

    with opened_app(context) as app:
        loaded = load_beir(dataset)
        right = draw_questions(loaded, app, split, questions, seed)
        asked = simulate_people(app, right, Behaviour(n_people=people, error=error, voices=voices), seed)
        n_new = record_simulated_turns(app.feedback, asked)
    summary = {
        "dataset": loaded.name,
        "split": split,
        "n_people": people,
        "error": error,
        "voices": voices,
        "seed": seed,
        **summarise_simulation(asked, right),
        "n_new_votes": n_new,
    }
    if as_json:
        print_json(summary)
    else:
        typer.echo(format_summary(summary))


def draw_questions(dataset: BeirDataset, app: App, split: str, n: int, seed: int) -> dict[str, frozenset[str]]:
    """Draws up to *n* question texts by *seed*, each with the library's ids of its right passages."""
    import numpy as np

    from eval.datasets.beir import locate_passages, translate_qrels

    qrels = translate_qrels(dataset.split(split), locate_passages(dataset, app.library))
    query_ids = sorted(qrels)
    drawn = np.random.default_rng(seed).permutation(len(query_ids))[:n]
    right: dict[str, frozenset[str]] = {}
    for query_id in (query_ids[index] for index in drawn):
        positives = frozenset(passage_id for passage_id, grade in qrels[query_id].items() if grade > 0)
        text = dataset.queries[query_id]
        right[text] = right.get(text, frozenset()) | positives  # the same text asks for all of them
    return right


def simulate_people(app: App, right: dict[str, frozenset[str]], behaviour: Behaviour, seed: int) -> list[SimulatedTurn]:
    from rag.records import utc_now
    from retriever_training.simulation.simulated_users import simulate_users as let_people_ask

    shown = search_questions(app, list(right))
    encoder_id = app.current().encoder_id
    return list(let_people_ask(right, shown, encoder_id=encoder_id, asked_at=utc_now(), behaviour=behaviour, seed=seed))


def search_questions(app: App, questions: Sequence[str]) -> dict[str, tuple[ShownPassage, ...]]:
    """Returns what the current version shows for each question, in batches and by exact search.

    Raises:
        UsageError: some passages have no vectors yet.
    """
    from rag.database.sql_batches import batched
    from rag.errors import UsageError
    from retriever_training.simulation.simulated_users import served_passages

    version = app.current()
    encoder = app.open_encoder()
    passage_ids, matrix = app.vectors().matrix()
    lexical = app.lexical()
    if passage_ids != lexical.passage_ids:
        raise UsageError(
            'some passages are not encoded yet: run "nightjar ingest" again, and it continues where it stopped'
        )
    shown: dict[str, tuple[ShownPassage, ...]] = {}
    with progress_bar("asking", len(questions), "questions") as advance:
        for batch in batched(questions, 256):
            shown |= served_passages(
                batch,
                encoder.encode_queries(batch),
                passage_ids,
                matrix,
                lexical,
                weight=version.lexical_weight,
                k=app.settings.retrieval.k,
                candidates=app.settings.retrieval.candidates,
            )
            advance(len(batch))
    return shown


def summarise_simulation(asked: list[SimulatedTurn], right: dict[str, frozenset[str]]) -> dict[str, Any]:
    kinds = Counter(verdict.verdict for question in asked for verdict in question.verdicts)
    n_found = sum(
        any(shown_hit.passage_id in right[simulated.turn.question] for shown_hit in simulated.turn.shown)
        for simulated in asked
    )
    return {
        "n_questions": len(right),
        "n_turns": len(asked),
        "n_turns_with_right_passage": n_found,
        "n_votes": kinds.total(),
        "votes": dict(sorted(kinds.items())),
        "n_wrong_votes": sum(question.n_wrong for question in asked),
    }


def format_summary(summary: dict[str, Any]) -> str:
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in summary["votes"].items())
    return (
        f"{summary['n_people']} people asked {summary['n_questions']:,} questions in {summary['n_turns']:,} turns; "
        f"{summary['n_turns_with_right_passage']:,} showed the right passage. {summary['n_votes']:,} votes "
        f"({kinds}), {summary['n_wrong_votes']:,} of them wrong; {summary['n_new_votes']:,} are new."
    )
