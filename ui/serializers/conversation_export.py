"""Conversations as files, in Markdown and in JSON, both with the sources of each answer."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from rag.answering.conversations import ListedConversation
from rag.answering.stored_answers import StoredAnswer
from ui.serializers.answers import answer_json

_MARKUP_SIGNS = re.compile(r"([\\`*_\[\]<>#!|~])")


def conversation_as_json(conversation: ListedConversation, exchanges: Sequence[StoredAnswer]) -> str:
    """Returns the conversation with every answer as `nightjar ask --json` prints it."""
    turns = [
        answer_json(exchange.answer) | {"asked_at": exchange.asked_at.isoformat(), "instead_of": exchange.instead_of}
        for exchange in exchanges
    ]
    document = {
        "conversation_id": conversation.conversation_id,
        "title": conversation.title,
        "created_at": conversation.created_at,
        "turns": turns,
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def conversation_as_markdown(conversation: ListedConversation, exchanges: Sequence[StoredAnswer]) -> str:
    """Returns the conversation as Markdown: questions as headings, and below each the answer and its citations."""
    parts = [f"# {_plain(conversation.title)}\n", *(_exchange(exchange) for exchange in exchanges)]
    return "\n".join(parts)


def _exchange(stored: StoredAnswer) -> str:
    answer = stored.answer
    cited = [
        f"- [{citation.n}] {_plain(citation.source)}{f', page {citation.page}' if citation.page else ''}: "
        f"“{_plain(citation.quote)}”"
        for citation in answer.citations
    ]
    why = [f"No answer: {_plain(answer.reason)}\n"] if answer.declined else []
    when = f"{stored.asked_at:%Y-%m-%d %H:%M} UTC, version {_plain(answer.encoder_id)}\n"
    return "\n".join([f"## {_plain(answer.asked)}\n", when, _plain(answer.text), "", *why, *cited, ""])


def _plain(text: str) -> str:
    r"""Returns the text as one paragraph, with every sign of Markdown and HTML escaped.

    >>> _plain("![x](http://y) <b>\nand [1]")
    '\\!\\[x\\](http://y) \\<b\\> and \\[1\\]'
    """
    return _MARKUP_SIGNS.sub(r"\\\1", " ".join(text.split()))
