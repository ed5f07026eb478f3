"""The gate's questions as a report shows them: with their documents, their language, and people's votes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from eval.report.comparison import PassageVotes, ReportQuestion
from rag.app.stores import Stores
from rag.records import Verdict
from rag.text.analyzers import detect_language
from retriever_training.judgments.snapshot import TrainingSnapshot
from retriever_training.judgments.splits import normalise_question
from retriever_training.measuring.held_out import HeldOutQuestions


def reported_questions(
    stores: Stores, evidence: TrainingSnapshot, held_out: HeldOutQuestions, unseen: NDArray[np.bool_]
) -> tuple[ReportQuestion, ...]:
    """Returns all held-out questions in their order; *unseen* `(n,)` is the mask that the gate got."""
    said = votes_by_question(stores.feedback.standing())
    return tuple(
        ReportQuestion(
            query_id=query_id,
            text=text,
            right={evidence.passage_ids[row]: 1 for row in rows},
            source=evidence.passages[rows[0]].source if rows else "",
            language=detect_language(text),
            is_unseen=bool(unseen[index]),
            is_newest=bool(held_out.newest[index]),
            is_decisive=bool(held_out.decisive[index]),
            is_locked=bool(held_out.locked[index]),
            votes=tuple(said.get(normalise_question(text), ())),
        )
        for index, (query_id, text, rows) in enumerate(
            (query_id, text, held_out.right[query_id]) for query_id, text in held_out.questions_by_id.items()
        )
    )


def votes_by_question(verdicts: Sequence[Verdict]) -> Mapping[str, list[PassageVotes]]:
    """Returns normalised question → people's votes on each passage, those of most people first; nobody is named."""
    given: dict[str, dict[tuple[str | None, str], list[Verdict]]] = defaultdict(lambda: defaultdict(list))
    for verdict in verdicts:
        given[normalise_question(verdict.question)][verdict.passage_id, verdict.verdict].append(verdict)
    return {
        question: sorted(
            (
                PassageVotes(
                    passage_id,
                    word,
                    len({verdict.user for verdict in verdicts}),
                    next((verdict.comment for verdict in reversed(verdicts) if verdict.comment), ""),
                )
                for (passage_id, word), verdicts in of_question.items()
            ),
            key=lambda vote: (-vote.n_people, vote.passage_id or "", vote.verdict),
        )
        for question, of_question in given.items()
    }
