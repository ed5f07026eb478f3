"""What happens to the cards next to the chat: a passage is judged, or opened in its document."""

from __future__ import annotations

from collections.abc import Callable

import gradio as gr

from rag.library.surrounding_text import neighbouring_passages
from ui.actions.give_verdict import toggle_verdict
from ui.auth.current_user import current_user
from ui.background.startup import AppStartup
from ui.texts import chat as said
from ui.web.chat.components import QUICK, guarded
from ui.web.chat.sources_panel import SourcesPanel
from ui.web.chat.tab_state import Conversation
from ui.web.components.document_html import render_document
from ui.web.components.handler_errors import Updates

PASSAGES_AROUND = (1, 5)  # passages shown before and after one that is opened in its document


class SourceCardHandlers:
    """Connects the cards of *evidence* with what happens to them."""

    def __init__(self, opening: AppStartup, conversation: gr.State, evidence: SourcesPanel) -> None:
        self._opening = opening
        self._conversation = conversation
        self._evidence = evidence

    def listen(self) -> None:
        """Connects them."""
        for index, slot in enumerate(self._evidence.cards):
            # Functions, not partials: Gradio 6.31 gives no request to those.
            opens = [self._conversation, slot.open]
            slot.open.click(self._opener(index), opens, [*slot.around, slot.note], **QUICK)
            for verdict, button in slot.buttons.items():
                button.click(self._judge(index, verdict), [self._conversation], slot.parts, **QUICK)

    def _judge(self, place: int, verdict: str) -> Callable[..., Updates]:
        """Gives a verdict on the passage in a slot, or takes it back."""

        def judge(conversation: Conversation, request: gr.Request) -> Updates:
            def give() -> Updates:
                person, exchange = current_user(request), conversation.current
                person.require_role("voter")
                if exchange is None or place >= len(exchange.answer.hits):
                    return {}
                passage_id = exchange.answer.hits[place].passage.passage_id
                feedback = self._opening.app().feedback
                stands = toggle_verdict(feedback, exchange.answer.turn_id, passage_id, verdict, person.name)
                return self._evidence.cards[place].judged(stands)

            return guarded(give, self._evidence.cards[place].note)

        return judge

    def _opener(self, place: int) -> Callable[..., Updates]:
        """Shows the document around the passage in a slot, or hides it again."""

        def open_(conversation: Conversation, label: str) -> Updates:
            slot = self._evidence.cards[place]

            def show() -> Updates:
                exchange = conversation.current
                if exchange is None or place >= len(exchange.answer.hits):
                    return {}
                passage, library = exchange.answer.hits[place].passage, self._opening.app().library
                near = neighbouring_passages(library, passage, *PASSAGES_AROUND)
                return slot.opened(render_document(library.document(passage.document_id), near, passage.passage_id))

            return slot.opened("") if label == said.CLOSE else guarded(show, slot.note)

        return open_

    def mark_pinned(self, conversation: Conversation, passage_id: str, stands: str | None) -> Updates:
        """The card of a passage that was pinned elsewhere, if it has one."""
        hits = conversation.current.answer.hits if conversation.current else ()
        for index, hit in enumerate(hits):
            if hit.passage.passage_id == passage_id:
                return self._evidence.cards[index].judged(stands)
        return {}
