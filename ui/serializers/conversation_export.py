"""Conversations as files to keep: as text, and as JSON, both with what each answer rests on."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from rag.answering.conversations import ListedConversation
from rag.answering.stored_answers import StoredAnswer
from ui.serializers.answers import answer_json

_STEERS = re.compile(r"([\\`*_\[\]<>#!|~])")


def conversation_as_json(conversation: ListedConversation, exchanges: Sequence[StoredAnswer]) -> str:
    """The conversation with every answer as `nightjar ask --json` prints it."""
    turns = [
        answer_json(exchange.answer) | {"asked_at": exchange.asked_at.isoformat(), "instead_of": exchange.instead_of}
        for exchange in exchanges
    ]
    whole = {
        "conversation_id": conversation.conversation_id,
        "title": conversation.title,
        "created_at": conversation.created_at,
        "turns": turns,
    }
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def conversation_as_markdown(conversation: ListedConversation, exchanges: Sequence[StoredAnswer]) -> str:
    """The conversation as Markdown: questions as headings, answers, and below each what it cites."""
    parts = [f"# {_plain(conversation.title)}\n", *(_exchange(exchange) for exchange in exchanges)]
    return "\n".join(parts)


def _exchange(one: StoredAnswer) -> str:
    answer = one.answer
    cited = [
        f"- [{citation.n}] {_plain(citation.source)}{f', page {citation.page}' if citation.page else ''}: "
        f"“{_plain(citation.quote)}”"
        for citation in answer.citations
    ]
    why = [f"No answer: {_plain(answer.reason)}\n"] if answer.declined else []
    when = f"{one.asked_at:%Y-%m-%d %H:%M} UTC, version {_plain(answer.encoder_id)}\n"
    return "\n".join([f"## {_plain(answer.asked)}\n", when, _plain(answer.text), "", *why, *cited, ""])


def _plain(text: str) -> str:
    r"""The text in one paragraph, with every sign that Markdown or HTML reads written as itself.

    >>> _plain("![x](http://y) <b>\nand [1]")
    '\\!\\[x\\](http://y) \\<b\\> and \\[1\\]'
    """
    return _STEERS.sub(r"\\\1", " ".join(text.split()))
