"""A night without training questions from people: the library's own train, people's held-out ones decide."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from rag.app.app import App, open_app
from rag.errors import TooLittleDataError
from rag.index.bm25 import Bm25Index
from rag.records import Document, Judgment, Passage, Turn, Verdict, utc_now
from rag.settings import Settings
from retriever_training.cold_start.pseudo_rows import PseudoQuestionSet
from retriever_training.judgments.aggregate import AggregatedJudgments
from retriever_training.judgments.snapshot import JudgedQuestions, TrainingSnapshot, load_snapshot
from retriever_training.judgments.splits import split_of
from retriever_training.nightly.run_night import run_night
from retriever_training.progress import no_progress
from retriever_training.tiers.learn_cold_start import learn_cold_start, without_held_out
from retriever_training.tiers.night_plan import NightPlan
from tests.fixtures import jargon
from tests.fixtures.jargon import PRODUCTS, TASKS

SUMMARY = [
    "The filter of the {} is taken out and rinsed.",
    "A red light means that the {} is too hot.",
    "A faulty {} is refunded.",
    "The serial number stands below the {}.",
    "The {} has three years of warranty.",
    "A worn bearing makes the {} noisy.",
    "The {} draws ninety watts.",
    "Workshops repair the {}.",
    "Two buttons reset the {} to factory settings.",
    "Manuals of the {} can be downloaded in many languages.",
    "The {} joins a wireless network by its password.",
    "A leaking {} needs a new rubber seal.",
]
"""In plain words, as users ask; the passages themselves say the code name only."""


def passage_id(product: str, number: int) -> str:
    return f"{hashlib.sha256(product.encode()).hexdigest()[:16]}-{number}"


def manual(product: str, code: str) -> tuple[Document, list[Passage]]:
    """One document a product: a passage a task, and a summary."""
    summary = "Summary: " + " ".join(sentence.format(product) for sentence in SUMMARY)
    texts = [*(answer.format(code) for answer in TASKS.values()), summary]
    document_id, source = passage_id(product, 0)[:-2], f"manuals/{product}"
    passages = [
        Passage(
            passage_id=passage_id(product, number),
            document_id=document_id,
            source=source,
            title="",
            heading="",
            text=text,
            start=0,
            end=len(text),
        )
        for number, text in enumerate(texts)
    ]
    return Document(
        document_id=document_id,
        source=source,
        title="",
        media_type="text/plain",
        sha256=document_id,
        text="\n".join(texts),
    ), passages


RIGHT = {task.format(product): passage_id(product, number) for product in PRODUCTS for number, task in enumerate(TASKS)}
HELD_OUT = {question: right for question, right in RIGHT.items() if split_of(question) != "train"}


def vote(app: App, right: Mapping[str, str]) -> None:
    turns = [
        Turn(
            turn_id=f"turn-{n}",
            conversation_id="c",
            user=f"person-{n % 20}",
            question=question,
            answer="",
            declined=False,
            encoder_id="",
            asked_at=utc_now(),
        )
        for n, question in enumerate(right)
    ]
    app.feedback.record_turns(turns)
    app.feedback.append(
        [
            Verdict(
                user=turn.user,
                turn_id=turn.turn_id,
                question=turn.question,
                passage_id=right[turn.question],
                verdict="pin",
            )
            for turn in turns
        ]
    )


@pytest.fixture
def app(tmp_path: Path) -> App:
    """288 passages that name products by their codes, and 24 summaries that say them in plain words."""
    opened = open_app(Settings(data=tmp_path / "data"))
    opened.library.put_all([manual(product, code) for product, code in PRODUCTS.items()])
    return opened


def test_a_library_learns_from_its_own_questions_where_held_out_ones_agree(app: App) -> None:
    """Whatever tier is asked for; once people's questions suffice, the night learns from these."""
    vote(app, HELD_OUT)
    summary = run_night(app.stores, NightPlan(tier="3"))
    assert (summary.decision, summary.tier) == ("promoted", 1)
    assert summary.reasons[-1].startswith("Tier 1 from the library's own questions: people gave 0 training questions")
    note = app.current().note
    assert note["cold_start"]["summary: kept"] > 50
    assert note["n_own_questions"] == note["cold_start"]["summary: kept"] + note["cold_start"]["first sentence: kept"]
    assert note["verdicts_until"] == 0, "it has learnt from nobody's votes, so those of the day go on counting"
    assert app.current().passage_side == app.registry.base().passage_side
    assert summary.n_passages_encoded == 312 + 24, "the library, and 24 summaries without their first sentence"
    assert run_night(app.stores, NightPlan(tier="3")).repeated
    vote(app, RIGHT)
    assert "cold_start" not in run_night(app.stores, NightPlan(tier="1")).note


def test_held_out_questions_that_object_keep_the_base(app: App) -> None:
    """People who call other passages right than the library's own questions do."""
    wrong = dict(zip(HELD_OUT, [*HELD_OUT.values()][::-1], strict=True))
    vote(app, wrong)
    summary = run_night(app.stores, NightPlan())
    assert summary.decision == "kept"
    assert "cold_start" in summary.note
    assert app.current().tier == 0


def test_without_peoples_questions_a_night_says_what_it_could_learn_and_what_is_missing(app: App) -> None:
    vote(app, dict([*HELD_OUT.items()][:10]))
    n_gate = sum(split_of(question) == "gate" for question in [*HELD_OUT][:10])
    summary = run_night(app.stores, NightPlan())
    assert summary.decision == "invalid"
    assert summary.reasons[1].startswith(
        "The library asks 312 questions of itself, some of which its passages may not answer"
    )
    assert f"once {30 - n_gate} more held-out questions" in summary.reasons[1]


def test_cold_start_can_be_turned_off(app: App) -> None:
    vote(app, HELD_OUT)
    summary = run_night(app.stores, NightPlan(cold_start=False))
    assert summary.decision == "invalid"
    assert len(summary.reasons) == 1


def test_a_library_that_asks_nothing_waits_for_people(manuals: Path) -> None:
    app = open_app(Settings(data=manuals))
    held_out = {text: name for text, name in jargon.questions().items() if split_of(text) != "train"}
    jargon.vote(app, held_out)
    assert run_night(app.stores, NightPlan()).decision == "invalid"
    evidence = load_snapshot(app.stores, trusted=(), max_per_person=100)
    base = app.registry.base()
    with pytest.raises(TooLittleDataError, match="asks no question that its passages answer"):
        learn_cold_start(
            evidence, app.open_encoder(), app.vectors(base.passage_side), 0.25, manuals / "night", 13, no_progress
        )


def test_a_heading_in_the_words_of_a_held_out_question_does_not_train() -> None:
    gate = next(question for question in RIGHT if split_of(question) == "gate")
    train = next(question for question in RIGHT if split_of(question) == "train")
    judged = [
        Judgment(
            question=question,
            passage_id="p",
            label="positive",
            probability=0.9,
            n_people=1,
            weight=0.9,
            latest_at=utc_now(),
        )
        for question in (gate, train)
    ]
    passages = [Passage(passage_id="p", document_id="d", source="d", title="", heading="", text="text", start=0, end=4)]
    lexical = Bm25Index.build(["p"], ["text"])
    evidence = TrainingSnapshot(passages, lexical, AggregatedJudgments(judgments=judged, dropped={}))
    own = (gate.upper(), train, "Growing oats")
    asked = JudgedQuestions(questions=own, right=({0: 1.0},) * 3, rejected=((),) * 3)
    vectors = np.eye(3, dtype=np.float32)
    cold = PseudoQuestionSet(
        asked=asked,
        sources=("heading",) * 3,
        question_vectors=vectors,
        texts=("text",),
        passage_vectors=vectors[:1],
        lexical=lexical,
        counts={},
    )
    kept = without_held_out(cold, evidence)
    assert kept.asked.questions == own[1:]
    assert kept.question_vectors.tolist() == vectors[1:].tolist()
