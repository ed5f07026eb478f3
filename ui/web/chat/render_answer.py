"""An answer → its text in the chat, and the quiet line below it."""

from __future__ import annotations

from rag.records import Answer, CheckedSentence
from ui.html.environment import strip_control_characters
from ui.html.fragments import escape_html
from ui.texts import shared as texts


def format_answer_details(answer: Answer, index_state: str, asked: str) -> str:
    """Which version answered, from how much, how fast, and by what kind of search."""
    line = texts.QUIET.format(
        version=answer.encoder_id, n=len(answer.hits), seconds=f"{answer.seconds:.2f} s", index=texts.INDEX[index_state]
    )
    cut = texts.RERANK_CUT if answer.rerank_is_cut else ""
    return " · ".join(part for part in (line, cut, format_searched_as(answer.question, asked)) if part)


def format_searched_as(question: str, asked: str) -> str:
    """What was searched for, if a follow-up was made to stand alone; else nothing.

    >>> format_searched_as("Who gets it? And nurses?", "And nurses?")
    'searched for: “Who gets it&#63; And nurses&#63;”'
    """
    return texts.SEARCHED_AS.format(question=escape_html(question)) if question != asked.strip() else ""


def format_answer(answer: Answer) -> str:
    """What the chat shows: the text, and below it the reason if there is no answer, or what no passage supports."""
    below = [texts.DECLINED.format(reason=answer.reason.rstrip("."))] if answer.declined else []
    below += [_doubt(sentence) for sentence in answer.sentences if sentence.found != "supported"]
    return strip_control_characters("\n\n".join([answer.text, *below]))


def _doubt(sentence: CheckedSentence) -> str:
    told = texts.PARTLY_SUPPORTED if sentence.found == "partly" else texts.UNSUPPORTED
    return told.format(sentence=sentence.text)
