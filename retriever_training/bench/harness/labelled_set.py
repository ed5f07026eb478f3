"""A BEIR folder as arrays: questions that train, choose and report, and rows of right passages; no library, no votes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from eval.datasets.beir import BeirDataset, Grades
from rag.errors import TooLittleDataError
from rag.index.bm25 import Bm25Index
from rag.records import Passage
from retriever_training.judgments.snapshot import JudgedQuestions
from retriever_training.judgments.splits import normalise_question


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledSet:
    """Passages, and the questions that train, choose and report; passages by their row, 0-based."""

    name: str
    sha256: str
    passages: tuple[Passage, ...]
    passage_ids: tuple[str, ...]
    texts: tuple[str, ...]
    """What encoders read."""
    lexical: Bm25Index
    train: JudgedQuestions
    """Every label has weight 1; nobody rejected anything."""
    dev: JudgedQuestions
    split: str
    """Whose questions are reported."""
    questions: Mapping[str, str]
    """query id → text, of *split*."""
    qrels: Mapping[str, Grades]
    """query id → passage id → grade, of *split*."""
    n_left_out: int
    """Train questions that are dev's or the reported split's too, but for case and marks."""

    @classmethod
    def of(cls, dataset: BeirDataset, split: str = "test") -> LabelledSet:
        """From a BEIR folder; one question asked twice is one, with the right passages of both.

        Raises:
            NotFoundError: the folder lacks a split.
            TooLittleDataError: no question of a split has a right passage, or train has none of its own.
        """
        lines = list(dataset.corpus())
        ids = tuple(name for name, _, _ in lines)
        passages = tuple(
            Passage(
                passage_id=name,
                document_id=name,
                source=name,
                title=title,
                heading="",
                text=text,
                start=0,
                end=len(text),
                page=None,
                external_id=name,
            )
            for name, title, text in lines
        )
        texts = tuple(passage.encoded_text for passage in passages)
        row = {name: index for index, name in enumerate(ids)}
        dev, reported = positives_by_question(dataset, "dev", row), dataset.split(split)
        held_out = {normalise_question(question) for question in (*dev, *(dataset.queries[name] for name in reported))}
        train = positives_by_question(dataset, "train", row)
        kept = {question: right for question, right in train.items() if normalise_question(question) not in held_out}
        if not kept:
            raise TooLittleDataError(
                f"every train question of {dataset.name!r} is held out too: there is nothing "
                "to train on, choose another folder"
            )
        return cls(
            name=dataset.name,
            sha256=dataset.sha256,
            passages=passages,
            passage_ids=ids,
            texts=texts,
            lexical=Bm25Index.build(ids, texts),
            train=_asked(kept),
            dev=_asked(dev),
            split=split,
            questions={name: dataset.queries[name] for name in reported},
            qrels=reported,
            n_left_out=len(train) - len(kept),
        )

    @property
    def positives(self) -> tuple[frozenset[int], ...]:
        """The right passages of each train question."""
        return tuple(frozenset(right) for right in self.train.right)

    @property
    def n_rows(self) -> int:
        """Pairs of a train question and a right passage."""
        return sum(map(len, self.train.right))

    @property
    def seen(self) -> frozenset[str]:
        """Ids of the passages that are right for a train question."""
        return frozenset(self.passage_ids[row] for right in self.train.right for row in right)


def positives_by_question(dataset: BeirDataset, split: str, row: Mapping[str, int]) -> dict[str, frozenset[int]]:
    """question → rows of its right passages, in the order of the questions' ids; spellings of one question are one."""
    spelling: dict[str, str] = {}
    right: dict[str, frozenset[int]] = {}
    for query_id, grades in sorted(dataset.split(split).items()):
        text = dataset.queries[query_id]
        text = spelling.setdefault(normalise_question(text), text)
        right[text] = right.get(text, frozenset()) | {row[name] for name, grade in grades.items() if grade > 0}
    return right


def _asked(right: Mapping[str, frozenset[int]]) -> JudgedQuestions:
    weights = tuple(dict.fromkeys(sorted(rows), 1.0) for rows in right.values())
    return JudgedQuestions(questions=tuple(right), right=weights, rejected=tuple(() for _ in right))
