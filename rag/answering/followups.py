"""A follow-up question → a question that stands alone, by what was asked before it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rag.records import Hit
from rag.text.term_coverage import content_words

MAX_SHORT_WORDS = 3  # content words; fewer rarely name what they are about
MIN_SCORE_GAIN = 0.05  # of the best hit's score, that what was before has to bring
N_NEARBY_HITS = 50  # hits of a question alone, among which the passage that it is really about still stands

_POINTS_BACK = re.compile(
    r"\b(it|its|they|them|their|this|that|these|those|he|she|his|her|him|there|ones?|both|same|else|more|another)\b"
    r"|^\W*(and|or|but|so|then|also|(what|how) about|why|ok|okay|yes|no|sure)\b",
    re.IGNORECASE,
)


def with_previous_question(question: str, earlier: Sequence[str]) -> str:
    """The question, with the one before it in front if it is short or points back at it.

    *earlier* holds the conversation's questions as they were typed, oldest first. If the one before points back itself,
    the one before that is put in front too. Whether it is searched so is for `brings_more` to say.

    >>> with_previous_question("And for nurses?", ["Who gets the grant?"])
    'Who gets the grant? And for nurses?'
    >>> with_previous_question("Since when?", ["Who gets the grant?", "And for nurses?"])
    'Who gets the grant? And for nurses? Since when?'
    >>> with_previous_question("Which forms must a small company send to the tax office?", ["Who gets the grant?"])
    'Which forms must a small company send to the tax office?'
    """
    if not earlier or not is_followup(question):
        return question
    before = earlier[-2:] if is_followup(earlier[-1]) else earlier[-1:]
    return " ".join([*before, question])


def scores_higher(joined: Sequence[Hit], alone: Sequence[Hit]) -> bool:
    """Whether the hits of a question behind the one before it are better than those of the question alone.

    A short question may stand alone all the same, and then the one before it only leads away. nDCG@10 on 332 real
    follow-ups (mtrag-un) and on 400 questions behind a random other one (feedbackqa-uk, train): never in front .810 and
    .699, wherever `refers` .887 and .595, if it brings MARGIN more .875 and .658.
    """
    return (
        max((hit.score for hit in joined), default=0.0)
        > max((hit.score for hit in alone), default=0.0) + MIN_SCORE_GAIN
    )


def stays_on_subject(joined: Sequence[Hit], alone: Sequence[Hit]) -> bool:
    """Whether the best hit of a question behind the one before it is among the NEARBY hits of the question alone.

    "Which volcano erupted on Jupiter?" is short and finds little, so any question in front of it finds more, about
    something else. Asked of short questions that do not `points_back`: on the sets of `brings_more` nDCG@10 stays .875,
    and rises from .659 to .666 if the subject changes. Asked of all, .861 and .693.
    """
    return bool(joined) and joined[0].passage.passage_id in {hit.passage.passage_id for hit in alone}


def is_followup(question: str) -> bool:
    """Whether the question is short, or points back at what was said.

    >>> is_followup("And for nurses?"), is_followup("Which forms must a small company send to the tax office?")
    (True, False)
    """
    return len(content_words(question)) <= MAX_SHORT_WORDS or refers_back(question)


def refers_back(question: str) -> bool:
    """Whether a word of it means something that was said before.

    >>> refers_back("And for nurses?"), refers_back("Which volcano erupted?")
    (True, False)
    """
    return _POINTS_BACK.search(question) is not None
