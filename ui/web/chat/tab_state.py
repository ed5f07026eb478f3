"""What one browser tab shows of a conversation. Kept on the server: nothing that comes from the browser is believed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rag.answering.stored_answers import StoredAnswer
from rag.records import Answer
from ui.texts import chat as said
from ui.web.chat.render_answer import format_answer
from ui.web.components.escape import chat_message_text

MAX_EXCHANGES = 50  # exchanges of a conversation that are shown and remembered for follow-ups


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A question as it was typed, and what it got."""

    asked: str
    answer: Answer
    index_state: str = "ready"
    """How the index was then."""
    instead_of: str = ""
    """The turn that it asks again, or in other words."""
    removed: frozenset[str] = frozenset()
    """Ids of passages that were shown and are no longer in the library."""

    @classmethod
    def of(cls, kept: StoredAnswer) -> Exchange:
        """As it is kept in SQL."""
        return cls(
            asked=kept.answer.asked,
            answer=kept.answer,
            index_state=kept.index_state,
            instead_of=kept.instead_of,
            removed=kept.removed,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """The conversation that is open."""

    conversation_id: str = ""
    """Empty until something was asked."""
    exchanges: tuple[Exchange, ...] = ()
    shown: int = -1
    """Which exchange's passages are next to the chat; none if there is no such place."""
    editing: str = ""
    """The turn that the next question is asked in place of; empty if nobody edits."""
    found: tuple[str, ...] = ()
    """Ids of the passages that a search for the right one found for the exchange shown."""

    @classmethod
    def of(cls, conversation_id: str, kept: Sequence[StoredAnswer]) -> Conversation:
        """As it is kept in SQL, with its last answer shown."""
        exchanges = tuple(Exchange.of(exchange) for exchange in kept)
        return cls(conversation_id=conversation_id, exchanges=exchanges, shown=len(exchanges) - 1)

    @property
    def current(self) -> Exchange | None:
        """The exchange whose passages are shown."""
        return self.exchanges[self.shown] if 0 <= self.shown < len(self.exchanges) else None

    @property
    def last(self) -> Exchange | None:
        """The latest exchange."""
        return self.exchanges[-1] if self.exchanges else None

    def after(self, exchange: Exchange) -> Conversation:
        """With one more exchange, which is then shown."""
        kept = (*self.exchanges, exchange)[-MAX_EXCHANGES:]
        return replace(self, exchanges=kept, shown=len(kept) - 1, editing="", found=())

    def with_shown(self, place: int) -> Conversation:
        """With the passages of another exchange shown."""
        return replace(self, shown=place, found=())

    def messages(self) -> list[dict[str, str]]:
        """As the chat shows them: of every exchange two."""
        again = self._asked_again()
        return [
            message
            for exchange in self.exchanges
            for message in (user_message(exchange.asked), _answer(exchange, again))
        ]

    def history(self, without: str = "") -> list[tuple[str, str]]:
        """Earlier questions, as they were typed, and answers, oldest first: what was asked again counts once.

        *without* is the turn that is being asked again; what came after it did not follow from what it will get.
        """
        again, earlier = self._asked_again(), []
        for exchange in self.exchanges:
            if exchange.answer.turn_id == without:
                break
            if exchange.answer.turn_id not in again:
                earlier.append((exchange.asked, exchange.answer.text))
        return earlier

    def _asked_again(self) -> frozenset[str]:
        return frozenset(exchange.instead_of for exchange in self.exchanges if exchange.instead_of)


def user_message(text: str) -> dict[str, str]:
    """A message on the person's side."""
    return {"role": "user", "content": chat_message_text(text)}


def assistant_message(text: str) -> dict[str, str]:
    """A message on our side."""
    return {"role": "assistant", "content": chat_message_text(text)}


def _answer(one: Exchange, again: frozenset[str]) -> dict[str, str]:
    below = f"\n\n{said.ASKED_AGAIN}" if one.answer.turn_id in again else ""
    return assistant_message(format_answer(one.answer) + below)
