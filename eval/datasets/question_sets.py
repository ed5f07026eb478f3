"""What a version is measured with: the questions of a BEIR folder or of a library's golden set, in one form."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from sqlalchemy import Engine

from eval.datasets.beir import BeirDataset, Grades, locate_passages, translate_qrels
from eval.datasets.golden_locations import GoldenLocation, LocatedQuestion, group_by_wording, locate_golden
from eval.datasets.golden_questions import Golden, Nugget, golden_set_hash
from eval.datasets.golden_store import list_golden
from rag.errors import TooLittleDataError
from rag.library.library import Library

DATASET = "dataset"
"""The origin of a BEIR folder's questions, next to those of golden ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalQuestion:
    """A question with all that is known of its answer."""

    query_id: str
    text: str
    grades: Grades
    """passage_id → grade; none if no right passage is known, or it is not in the library."""
    answers: tuple[str, ...] = ()
    """Right answers, each in words of its own; any of them will do."""
    nuggets: tuple[Nugget, ...] = ()
    is_answerable: bool = True
    in_library: bool = True
    """False if a right passage is known but is not in the library today."""
    is_cut: bool = False
    """Whether the splitting cuts through the right text."""
    origin: str = DATASET
    tags: tuple[str, ...] = ()

    @property
    def right(self) -> frozenset[str]:
        """Ids of the right passages."""
        return frozenset(passage_id for passage_id, grade in self.grades.items() if grade > 0)


@dataclass(frozen=True, kw_only=True)
class QuestionSet:
    """Questions, and what names them."""

    name: str
    split: str
    sha256: str
    """Of their content: the same hash, the same questions."""
    questions: tuple[EvalQuestion, ...]
    lost: tuple[GoldenLocation, ...] = field(default=())
    """Golden questions whose quote was not found today, or not at one place alone; see `told_lost`."""

    @cached_property
    def texts(self) -> dict[str, str]:
        """query_id → question."""
        return {question.query_id: question.text for question in self.questions}

    @cached_property
    def qrels(self) -> dict[str, Grades]:
        """The grades of the questions with a right passage; only they can tell retrievers apart."""
        return {question.query_id: question.grades for question in self.questions if question.right}

    @cached_property
    def origins(self) -> dict[str, frozenset[str]]:
        """ "origin NAME" → query ids, if there is more than one origin."""
        found: dict[str, set[str]] = defaultdict(set)
        for question in self.questions:
            found[f"origin {question.origin}"].add(question.query_id)
        return {name: frozenset(ids) for name, ids in sorted(found.items())} if len(found) > 1 else {}

    def judged(self) -> dict[str, Grades]:
        """The judgments in the form of `qrels`, if there are any.

        Raises:
            TooLittleDataError: no question has a right passage in the library.
        """
        if not self.qrels:
            raise TooLittleDataError(
                f'no question of {self.name!r} has a right passage in the library: "nightjar golden check" names them'
            )
        return self.qrels


def questions_from_beir(dataset: BeirDataset, split: str, library: Library) -> QuestionSet:
    """The questions of a split, whose passages are in the library.

    Raises:
        NotFoundError: the folder has no such split.
        TooLittleDataError: no question of the split has a right passage.
        UsageError: passages of the dataset are not in the library.
    """
    qrels = translate_qrels(dataset.split(split), locate_passages(dataset, library))
    questions = (
        EvalQuestion(
            query_id=query_id, text=dataset.queries[query_id], grades=grades, answers=dataset.answers.get(query_id, ())
        )
        for query_id, grades in qrels.items()
    )
    return QuestionSet(name=dataset.name, split=split, sha256=dataset.sha256, questions=tuple(questions))


def questions_from_golden(engine: Engine, library: Library, name: str = "golden") -> QuestionSet:
    """The library's golden questions, found in its passages of today.

    Raises:
        TooLittleDataError: there is none.
    """
    questions = [golden.golden for golden in list_golden(engine)]
    if not questions:
        raise TooLittleDataError(
            'the library has no golden question: add some with "nightjar golden import FILE", or from a chat'
        )
    return of_places(locate_golden(questions, library), name)


def of_places(places: Iterable[GoldenLocation], name: str) -> QuestionSet:
    """Golden questions with their locations; those with the same words become one."""
    found = group_by_wording(places)
    located = [location for group in found for location in group.places]
    lost = tuple(location for location in located if is_lost(location))
    sha256 = golden_set_hash(location.golden for location in located)
    return QuestionSet(name=name, split="", sha256=sha256, questions=tuple(map(_question, found)), lost=lost)


def is_lost(place: GoldenLocation) -> bool:
    """Whether a quote is known and was not found at one place."""
    return not place.is_found and place.method != "nothing to find"


def lost_as_json(lost: Iterable[GoldenLocation]) -> list[dict[str, str]]:
    """The lost questions by name, for people and JSON."""
    return [
        {
            "golden_id": lost_question.golden.golden_id,
            "question": lost_question.golden.question,
            "source": lost_question.golden.source,
            "why": lost_question.method,
        }
        for lost_question in lost
    ]


def _question(one: LocatedQuestion) -> EvalQuestion:
    all_of_it = [location.golden for location in one.places]
    return EvalQuestion(
        query_id=one.query_id,
        text=one.golden.question,
        grades=dict.fromkeys(sorted(one.right), 1),
        answers=tuple(dict.fromkeys(golden.reference for golden in all_of_it if golden.reference)),
        nuggets=_nuggets(all_of_it),
        is_answerable=any(golden.is_answerable for golden in all_of_it),
        in_library=not any(map(is_lost, one.places)) or bool(one.right),
        is_cut=one.is_cut,
        origin=one.golden.origin,
        tags=tuple(sorted({tag for golden in all_of_it for tag in golden.tags})),
    )


def _nuggets(all_of_it: Iterable[Golden]) -> tuple[Nugget, ...]:
    return tuple(dict.fromkeys(nugget for golden in all_of_it for nugget in golden.nuggets))


def only(questions: QuestionSet, chosen: Mapping[str, object]) -> QuestionSet:
    """The set with the questions of these ids alone, in the order they had; it is named by the same hash."""
    kept_ones = tuple(question for question in questions.questions if question.query_id in chosen)
    return QuestionSet(
        name=questions.name, split=questions.split, sha256=questions.sha256, questions=kept_ones, lost=questions.lost
    )
