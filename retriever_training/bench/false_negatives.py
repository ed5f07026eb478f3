"""How many false negatives a data set's questions get, by source, as found and after cleaning: hide what is known, and look."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from eval.datasets.beir import BeirDataset
from rag.embedding.encoder import Encoder
from rag.errors import TooLittleDataError
from rag.index.bm25 import Bm25Index
from retriever_training.negatives.candidates.records import MiningContext, VersionView
from retriever_training.negatives.denoising.audit import AuditedCandidate, sample_for_audit
from retriever_training.negatives.denoising.false_negative_rate import (
    FalseNegativeRates,
    PartlyLabelledQuestion,
    measure,
    questions_from_answers,
    questions_from_qrels,
    questions_from_ratings,
)
from retriever_training.negatives.mixing import mine_negatives


@dataclass(frozen=True, slots=True)
class FalseNegativeMeasurement:
    """The rates, and candidates to read."""

    found: FalseNegativeRates
    audited: tuple[AuditedCandidate, ...]


def measure_dataset(
    dataset: BeirDataset,
    encoder: Encoder,
    *,
    split: str,
    ratings: Path | None = None,
    n_audited: int = 0,
    progress: Callable[[int], None] = lambda n: None,
) -> FalseNegativeMeasurement:
    """Mines and cleans as a night does, with one right passage a question, and counts the others among the negatives.

    What else is right comes from people's *ratings*, else from the answers of the questions, else from the labels of
    questions with several right passages. The questions of "train" are mined along: their right passages are others'
    in-batch negatives, and what people agree on. *progress* gets the number of texts just encoded.

    Raises:
        TooLittleDataError: of no question more is known than one right passage.
    """
    corpus = {passage_id: "\n".join(filter(None, (title, text))) for passage_id, title, text in dataset.corpus()}
    told = _told(dataset, corpus, split, ratings)
    if not told:
        raise TooLittleDataError(
            f"{dataset.name!r} says of no question of {split!r} what else is right: "
            "give people's ratings, answers, or labels with several right passages a question"
        )
    mine = _mine(dataset, told, corpus, encoder, progress)
    view = VersionView("the base", mine.question_vectors, mine.passage_vectors)
    by_source = {name: mined[: len(told)] for name, mined in mine_negatives(mine, [view], mine.texts).items()}
    audited = sample_for_audit(mine, by_source, mine.texts, n_audited) if n_audited else []
    return FalseNegativeMeasurement(measure(told, by_source, mine.passage_ids), tuple(audited))


def _told(
    dataset: BeirDataset, corpus: dict[str, str], split: str, ratings: Path | None
) -> list[PartlyLabelledQuestion]:
    if ratings is not None:
        return questions_from_ratings(ratings, split, dataset.queries, dataset.qrels.get(split, {}))
    if dataset.answers:
        return questions_from_answers(dataset.queries, dataset.split(split), dataset.answers, corpus)
    return questions_from_qrels(dataset.queries, dataset.split(split))


def _mine(
    dataset: BeirDataset,
    told: Sequence[PartlyLabelledQuestion],
    corpus: dict[str, str],
    encoder: Encoder,
    progress: Callable[[int], None],
) -> MiningContext:
    row = {passage_id: index for index, passage_id in enumerate(corpus)}
    asked = {truth.query_id: frozenset({row[truth.passage_id]}) for truth in told}
    for query_id, grades in dataset.qrels.get("train", {}).items():
        asked.setdefault(query_id, frozenset(row[passage_id] for passage_id, grade in grades.items() if grade > 0))
    texts = list(corpus.values())
    questions = tuple(dataset.queries[query_id] for query_id in asked)
    passage_vectors = encoder.encode_passages(texts, progress)
    question_vectors = encoder.encode_queries(questions)
    progress(len(questions))
    lexical = Bm25Index.build(list(corpus), texts)
    return MiningContext(
        questions=questions,
        positives=tuple(asked.values()),
        rejected=((),) * len(questions),
        passage_ids=tuple(corpus),
        question_vectors=question_vectors,
        passage_vectors=passage_vectors,
        lexical=lexical,
        texts=texts,
    )
