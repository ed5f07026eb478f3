"""The options that the commands of `nightjar eval` share, and the questions that they name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ui.commands.console import progress_bar

if TYPE_CHECKING:
    from eval.datasets.beir import BeirDataset
    from eval.datasets.question_sets import QuestionSet
    from rag.app.app import App
    from rag.embedding.passage_vectors import PassageVectors

DATASET_OPTION = Annotated[
    Path | None, typer.Option(help="A BEIR folder whose passages are in the library.", show_default=False)
]
GOLDEN_OPTION = Annotated[bool, typer.Option("--golden", help="The library's golden questions instead.")]
SPLIT_OPTION = Annotated[str, typer.Option(help="Which of its qrels files.")]
VERSION_OPTION = Annotated[
    str | None, typer.Option(help="A version, or the beginning of its id; the current one.", show_default=False)
]


def load_question_set(app: App, dataset: Path | None, split: str, *, golden: bool) -> QuestionSet:
    """The questions that a command was told to measure with; on stderr, which of them can't be.

    Raises:
        UsageError: neither a data set nor the golden questions were named, or both.
    """
    from eval.datasets.beir import load_beir
    from eval.datasets.question_sets import lost_as_json, questions_from_beir, questions_from_golden
    from rag.errors import UsageError

    if golden == (dataset is not None):
        raise UsageError("name the questions: --dataset FOLDER, or --golden for the library's own")
    if dataset is not None:
        loaded = load_beir(dataset)
        _say_what_differs(app, loaded, split)
        return questions_from_beir(loaded, split, app.library)
    questions = questions_from_golden(app.engine, app.library)
    for lost_question in lost_as_json(questions.lost):
        typer.echo(
            f"not measured with, {lost_question['why']}: {lost_question['question']!r} "
            f"({lost_question['source'] or 'any document'})",
            err=True,
        )
    return questions


def _say_what_differs(app: App, dataset: BeirDataset, split: str) -> None:
    if unknown := [query_id for query_id in dataset.unknown if query_id.split == split]:
        typer.echo(
            f"left out, because they name a question or a passage that {dataset.name!r} does not have: "
            f"{len(unknown):,} of its judgments, first {unknown[0].query_id!r}, {unknown[0].passage_id!r}",
            err=True,
        )
    n_extra = app.library.n_passages() - sum(1 for _ in dataset.corpus())
    if n_extra > 0:
        typer.echo(f"the library holds more than {dataset.name!r} ({n_extra:,} passages); all are candidates", err=True)


def encode_missing(vectors: PassageVectors, encoder: object) -> None:
    """Encodes what is missing: a version that was never current, or not since the library grew, has passages without a vector."""
    from rag.embedding.encoder import Encoder

    if n_missing := vectors.missing():
        assert isinstance(encoder, Encoder)
        with progress_bar("encoding", n_missing) as advance:
            vectors.fill(encoder, advance)
