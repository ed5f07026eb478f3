"""An answer → its text in the chat, and the quiet line below it."""

from __future__ import annotations

from rag.records import Answer, Checked
from ui.texts import shared as texts
from ui.web.components.escape import escaped, plain


def quiet_line(answer: Answer, index_state: str, asked: str) -> str:
    """Which version answered, from how much, how fast, and by what kind of search."""
    line = texts.QUIET.format(version=answer.encoder_id, n=len(answer.hits), seconds=f"{answer.seconds:.2f} s",
                              index=texts.INDEX[index_state])  # fmt: skip
    cut = texts.RERANK_CUT if answer.rerank_is_cut else ""
    return " · ".join(part for part in (line, cut, searched_line(answer.question, asked)) if part)


def searched_line(question: str, asked: str) -> str:
    """What was searched for, where a follow-up was made to stand alone; else nothing.

    >>> searched_line("Who gets it? And nurses?", "And nurses?")
    'searched for: “Who gets it&#63; And nurses&#63;”'
    """
    return texts.SEARCHED_AS.format(question=escaped(question)) if question != asked.strip() else ""


def answer_text(answer: Answer) -> str:
    """What the chat shows: the text, and below it the reason where there is no answer, or what no passage supports."""
    below = [texts.DECLINED.format(reason=answer.reason.rstrip("."))] if answer.declined else []
    below += [_doubt(one) for one in answer.checked if one.found != "supported"]
    return plain("\n\n".join([answer.text, *below]))


def _doubt(sentence: Checked) -> str:
    told = texts.PARTLY_SUPPORTED if sentence.found == "partly" else texts.UNSUPPORTED
    return told.format(sentence=sentence.text)
