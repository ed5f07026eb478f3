"""Synthetic turns and verdicts, as months of chatting would leave them; insights are timed on them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, insert

from eval.bench.workloads.synthetic_files import SYLLABLES
from rag.answering.stored_answers import to_row
from rag.database.schema import shown_passages, turns, verdict_events
from rag.database.sql_batches import batched
from rag.records import ANSWER_VERDICTS, Answer, CheckedSentence, Citation

ANSWERS = 256  # different ones; what is said does not matter, only that it is as long as answers are
SENTENCES = 3  # of an answer, each with a citation
WORDS = 18  # of a sentence
SHOWN = 5
PEOPLE = 500
DECLINED = 0.1  # of all turns
JUDGED = 0.05  # of the turns a passage, and of as many the whole answer
AT_ONCE = 10_000  # turns between two commits

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Said:
    """One answer, and what is kept with it."""

    text: str
    details: dict[str, Any]


def fill_turns(
    engine: Engine,
    passage_ids: Sequence[str],
    encoder_id: str,
    n: int,
    *,
    days: int = 90,
    until: datetime | None = None,
    seed: int = 13,
    progress: Callable[[int], None] = lambda n: None,
) -> int:
    """Puts *n* turns of the *days* before *until* into the database, evenly, with what was shown; returns the number of verdicts.

    Turns and events are written as the chat writes them, though many at a time. Does not check that they are new.
    """
    draw = random.Random(seed)  # noqa: S311 (a benchmark's words, no secret)
    until = until or datetime.now(UTC)
    pool = [_said(draw, passage_ids) for _ in range(ANSWERS)]
    n_verdicts = 0
    for batch in batched(range(n), AT_ONCE):
        at = [until - timedelta(days=days) * ((n - number - 0.5) / n) for number in batch]
        asked = [_turn(draw, pool, encoder_id, number, when) for number, when in zip(batch, at, strict=True)]
        seen = [row for turn in asked for row in _seen(draw, turn["turn_id"], passage_ids)]
        events = list(_events(draw, asked, seen))
        with engine.begin() as connection:
            for table, rows in ((turns, asked), (shown_passages, seen), (verdict_events, events)):
                if rows:
                    connection.execute(insert(table), rows)
        n_verdicts += len(events)
        progress(len(batch))
    return n_verdicts


def _said(draw: random.Random, passage_ids: Sequence[str]) -> _Said:
    sentences = [_sentence(draw) for _ in range(SENTENCES)]
    citations = tuple(
        Citation(
            n=n,
            passage_id=draw.choice(passage_ids),
            source="made-up/document.md",
            page=None,
            start=0,
            end=len(sentence),
            quote=sentence,
            support=0.8,
        )
        for n, sentence in enumerate(sentences, 1)
    )
    checked = tuple(CheckedSentence(sentence, draw.choice((0.2, 0.8, 0.9))) for sentence in sentences)
    text = " ".join(f"{sentence} [{n}]" for n, sentence in enumerate(sentences, 1))
    answer = Answer(
        turn_id="",
        question="",
        text=text,
        declined=False,
        reason="",
        encoder_id="",
        citations=citations,
        sentences=checked,
    )
    return _Said(text, json.loads(to_row(answer, "ready")))


def _sentence(draw: random.Random) -> str:
    words = ["".join(draw.choices(SYLLABLES, k=draw.randint(1, 4))) for _ in range(WORDS)]
    return " ".join(words).capitalize() + "."


def _turn(draw: random.Random, pool: Sequence[_Said], encoder_id: str, number: int, at: datetime) -> Row:
    said, declined = draw.choice(pool), draw.random() < DECLINED
    question = _sentence(draw)[:60]
    return {
        "turn_id": f"{draw.getrandbits(128):032x}",  # in no order, as real ones are
        "conversation_id": f"c-{number // 3}",
        "user": f"person-{draw.randrange(PEOPLE):03d}",
        "question": question,
        "answer": said.text,
        "declined": int(declined),
        "encoder_id": encoder_id,
        "origin": "asked",
        "asked_at": at.isoformat(),
        "asked": question,
        "details": json.dumps(said.details | {"seconds": draw.lognormvariate(0.0, 0.7)}),
    }


def _seen(draw: random.Random, turn_id: str, passage_ids: Sequence[str]) -> list[Row]:
    chosen = draw.sample(passage_ids, min(SHOWN, len(passage_ids)))
    return [
        {
            "turn_id": turn_id,
            "passage_id": passage,
            "rank": rank,
            "score": 0.5,
            "dense": 0.5,
            "lexical": 0.0,
            "cited": int(rank <= SENTENCES),
        }
        for rank, passage in enumerate(chosen, 1)
    ]


def _events(draw: random.Random, asked: Sequence[Row], seen: Sequence[Row]) -> Iterator[Row]:
    """Some people judge a passage that they were shown, some the answer."""
    for index, turn in enumerate(asked):
        kinds = {True: ("pin", "helpful", "not_relevant"), False: ANSWER_VERDICTS}
        for of_passage, verdicts in kinds.items():
            if draw.random() < JUDGED:
                passage_id = seen[index * len(seen) // len(asked)]["passage_id"] if of_passage else ""
                yield {
                    "user": turn["user"],
                    "turn_id": turn["turn_id"],
                    "passage_id": passage_id,
                    "verdict": draw.choice(verdicts),
                    "comment": "",
                    "given_at": turn["asked_at"],
                }
