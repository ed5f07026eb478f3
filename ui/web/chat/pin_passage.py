"""Which passage should it have been? A search over the whole library, whose finds can be pinned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import gradio as gr

from rag.answering.answerer import check_question
from rag.library.search_filter import NO_FILTER, SearchFilter
from rag.records import Hit
from ui.actions.give_verdict import current_verdicts, toggle_verdict, verdict_notice
from ui.auth.current_user import current_user
from ui.background.startup import AppStartup
from ui.html.environment import strip_control_characters
from ui.texts import chat as said
from ui.web.chat.components import QUICK, guarded
from ui.web.chat.render_card import render_card
from ui.web.chat.sources_panel import html_block, note_line, render_vote_buttons, vote_button
from ui.web.chat.tab_state import Conversation
from ui.web.components.handler_errors import Updates, no_updates

N_FOUND = 5  # passages of a search
MAX_CHOICES = 300  # documents that can be picked; others are found by typing their name
PIN_LABELS = {"pin": said.PIN_IT}
OnPinned = Callable[[Conversation, str, str | None], Updates]
"""Of the conversation, the passage's id and what is on it now: what else changes."""


class PinPassage:
    """The components of the search, hidden until they are needed."""

    def __init__(self, opening: AppStartup, conversation: gr.State, *, at_once: bool) -> None:
        self._opening = opening
        self._conversation = conversation
        self._at_once = at_once
        with gr.Column(visible=False, elem_classes="nj-which", min_width=0) as self.box:
            self.heading = gr.Markdown(said.WHICH_PASSAGE, elem_classes="nj-ask-which")
            with gr.Row(elem_classes="nj-pick", equal_height=True):
                self.words = gr.Textbox(
                    label=said.SEARCH_LABEL,
                    placeholder=said.SEARCH_PLACEHOLDER,
                    lines=1,
                    max_lines=1,
                    max_length=1000,
                    min_width=200,
                    submit_btn=True,
                    elem_classes="nj-look",
                )
                self.document = gr.Dropdown(
                    label=said.DOCUMENT_LABEL,
                    choices=[],
                    value=None,
                    allow_custom_value=True,
                    min_width=200,
                    elem_classes="nj-offered",
                )
            self.line = note_line()
            self.finds = [self._find() for _ in range(N_FOUND)]

    def _find(self) -> tuple[gr.Column, gr.Markdown, gr.Button]:
        with gr.Column(visible=False, elem_classes=["nj-card", "nj-find"], min_width=0) as box:
            text = html_block()
            with gr.Row(elem_classes="nj-votes"):
                pin = vote_button(said.PIN_IT, "pin")
        return box, text, pin

    @property
    def parts(self) -> list[Any]:
        """Every component that updates may name."""
        finds = [part for find in self.finds for part in find]
        return [self.box, self.heading, self.words, self.document, self.line, *finds]

    def listen(self, also: OnPinned, parts: list[Any]) -> None:
        """Connects the components; *also* is what else changes, in *parts*, if a passage was pinned."""
        conversation = self._conversation
        outputs = [conversation, *self.parts]
        self.words.submit(self.search, [self.words, conversation], outputs, **QUICK)
        self.document.input(self.search_document, [self.document, conversation], outputs, **QUICK)
        for index, (_, _, pin) in enumerate(self.finds):
            pin.click(self._pinner(index, also), [conversation], [*self.parts, *parts], **QUICK)

    # ---- what happens

    def hidden(self) -> Updates:
        """Nothing of it."""
        return {self.box: gr.update(visible=False)}

    def offered(self, heading: str) -> Updates:
        """The search, with nothing found yet."""
        sources = [document.source for document in self._opening.app().library.sources()[:MAX_CHOICES]]
        choices = [(strip_control_characters(document), document) for document in sources]
        return self._shown([], {}) | {
            self.box: gr.update(visible=True),
            self.heading: heading,
            self.words: "",
            self.document: gr.update(choices=choices, value=None),
            self.line: gr.update(visible=False),
        }

    def search(self, words: str, conversation: Conversation, request: gr.Request) -> Updates:
        """Finds passages by words."""
        return guarded(
            lambda: self._found(check_question(words), NO_FILTER, conversation, current_user(request).name), self.line
        )

    def search_document(self, source: str | None, conversation: Conversation, request: gr.Request) -> Updates:
        """Finds the passages of one document that are nearest to the question."""
        if not source or conversation.current is None:
            return no_updates()
        where, question = SearchFilter(sources=(source,)), conversation.current.answer.question
        return guarded(lambda: self._found(question, where, conversation, current_user(request).name), self.line)

    def _found(self, words: str, where: SearchFilter, conversation: Conversation, user: str) -> Updates:
        if conversation.current is None:
            return {}
        app, turn_id = self._opening.app(), conversation.current.answer.turn_id
        hits = app.retriever.search(words, N_FOUND, None, where)
        shown = replace(conversation, found=tuple(hit.passage.passage_id for hit in hits))
        line = gr.update(value=said.NOTHING_LIKE_IT, visible=not hits)
        return self._shown(hits, current_verdicts(app.feedback, turn_id, user)) | {
            self.line: line,
            self._conversation: shown,
        }

    def _shown(self, hits: Sequence[Hit], standing: Mapping[str | None, str]) -> Updates:
        updates: Updates = {}
        for index, (box, text, pin) in enumerate(self.finds):
            updates[box] = gr.update(visible=index < len(hits))
            if index < len(hits):
                updates[text] = render_card(hits[index], ())
                updates |= self._pressed(pin, standing.get(hits[index].passage.passage_id))
        return updates

    def _pressed(self, pin: gr.Button, stands: str | None) -> Updates:
        promise = verdict_notice(stands, boosts_immediately=self._at_once)
        return render_vote_buttons({"pin": pin}, PIN_LABELS, self.line, stands, promise)

    def _pinner(self, place: int, also: OnPinned) -> Callable[..., Updates]:
        def pin(conversation: Conversation, request: gr.Request) -> Updates:
            return guarded(lambda: self._pin(place, conversation, request, also), self.line)

        return pin

    def _pin(self, place: int, conversation: Conversation, request: gr.Request, also: OnPinned) -> Updates:
        person = current_user(request)
        person.require_role("voter")
        if conversation.current is None or place >= len(conversation.found):
            return {}
        feedback, turn_id = self._opening.app().feedback, conversation.current.answer.turn_id
        passage_id = conversation.found[place]
        stands = toggle_verdict(feedback, turn_id, passage_id, "pin", person.name)
        return self._pressed(self.finds[place][2], stands) | also(conversation, passage_id, stands)
