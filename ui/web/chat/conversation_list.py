"""The list of a person's conversations: find one, open it, name it, save it, delete it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ui.auth.current_user import CurrentUser, current_user
from ui.background.startup import AppStartup
from ui.html.environment import strip_control_characters
from ui.texts import chat as said
from ui.texts import shared as texts
from ui.web.chat.components import QUICK, guarded
from ui.web.chat.sources_panel import note_line, vote_button
from ui.web.chat.tab_state import Conversation
from ui.web.components.handler_errors import Updates

PAGE_SIZE = 30  # conversations that are shown at first, and more of at each wish
Open = Callable[[str, CurrentUser], Updates]
"""A conversation's id ("" for a new one) and a person → the page with it open."""


@dataclass(frozen=True, slots=True)
class ConversationFilter:
    """What the list shows."""

    words: str = ""
    limit: int = PAGE_SIZE


class ConversationList:
    """The components of the list."""

    def __init__(self, opening: AppStartup, conversation: gr.State) -> None:
        self._opening = opening
        self._conversation = conversation
        self.state = gr.State(ConversationFilter())
        with gr.Column(scale=0, min_width=236, elem_classes="nj-list"):
            self.fresh = gr.Button(
                texts.NEW_CONVERSATION, size="sm", variant="secondary", min_width=0, elem_classes="nj-new"
            )
            self.words = gr.Textbox(
                label=said.FIND_LABEL,
                show_label=False,
                container=False,
                placeholder=said.FIND_PLACEHOLDER,
                lines=1,
                max_lines=1,
                max_length=200,
                elem_classes="nj-find-words",
            )
            self.titles = gr.Radio(
                [], label=said.LIST_LABEL, show_label=False, container=False, visible=False, elem_classes="nj-titles"
            )
            self.empty = gr.Markdown(said.NO_CONVERSATIONS, elem_classes="nj-quiet")
            self.older = gr.Button(said.OLDER, size="sm", min_width=0, visible=False, elem_classes="nj-vote")
            self._make_actions()

    def _make_actions(self) -> None:
        with gr.Row(visible=False, elem_classes=["nj-votes", "nj-of-one"]) as self.actions:
            self.rename_button = vote_button(said.RENAME, "rename")
            self.text = gr.Button(said.EXPORT_MARKDOWN, size="sm", min_width=0, link="./", elem_classes="nj-vote")
            self.json = gr.Button(said.EXPORT_JSON, size="sm", min_width=0, link="./", elem_classes="nj-vote")
            self.delete = vote_button(said.DELETE, "delete")
        self.name = gr.Textbox(
            label=said.RENAME_LABEL,
            visible=False,
            lines=1,
            max_lines=1,
            max_length=200,
            submit_btn=said.SAVE,
            elem_classes="nj-look",
        )
        with gr.Column(visible=False, elem_classes="nj-sure", min_width=0) as self.sure:
            gr.Markdown(said.SURE, elem_classes="nj-quiet")
            self.votes_too = gr.Checkbox(label=said.VOTES_TOO, value=False, container=False)
            with gr.Row(elem_classes="nj-votes"):
                self.do_delete = vote_button(said.DO_DELETE, "do-delete")
                self.keep = vote_button(said.KEEP, "keep")
        self.note = note_line()

    @property
    def parts(self) -> list[Any]:
        """Every component that updates may name."""
        return [
            self.state,
            self.titles,
            self.empty,
            self.older,
            self.actions,
            self.text,
            self.json,
            self.name,
            self.sure,
            self.votes_too,
            self.note,
        ]

    def listen(self, open_: Open, all_parts: list[Any]) -> None:
        """Connects the components; *open_* shows a conversation by updates of *all_parts*, these here among them."""

        def opened(conversation_id: str, request: gr.Request) -> Updates:
            return guarded(lambda: open_(conversation_id, current_user(request)), self.note)

        def begin_anew(request: gr.Request) -> Updates:
            return guarded(lambda: open_("", current_user(request)), self.note)

        def deleted(conversation: Conversation, votes_too: bool, request: gr.Request) -> Updates:
            return guarded(
                lambda: self._deleted(conversation, current_user(request), open_, votes_too=votes_too), self.note
            )

        here, conversation = self.parts, self._conversation
        self.titles.input(opened, [self.titles], all_parts, **QUICK)
        self.fresh.click(begin_anew, None, all_parts, **QUICK)
        self.words.change(self.find, [self.words, conversation], here, **QUICK)
        self.older.click(self.show_older, [self.state, conversation], here, **QUICK)
        self.rename_button.click(self.start_rename, [conversation], here, **QUICK)
        self.name.submit(self.rename, [self.name, conversation, self.state], here, **QUICK)
        self.delete.click(self.confirm_delete, [conversation], here, **QUICK)
        self.keep.click(lambda: {self.sure: gr.update(visible=False)}, None, here, **QUICK)
        self.do_delete.click(deleted, [conversation, self.votes_too], all_parts, **QUICK)

    # ---- what is shown

    def shown(
        self, person: CurrentUser, conversation: Conversation, wanted: ConversationFilter | None = None
    ) -> Updates:
        """The list of a person's conversations, with the open one chosen."""
        wanted, open_id = wanted or ConversationFilter(), conversation.conversation_id
        found = self._opening.app().conversations.of(person.name, wanted.limit + 1, words=wanted.words)
        choices = [
            (strip_control_characters(conversation.title), conversation.conversation_id)
            for conversation in found[: wanted.limit]
        ]
        chosen = open_id if any(open_id == choice for _, choice in choices) else None
        nothing = said.NONE_FOUND if wanted.words.strip() else said.NO_CONVERSATIONS
        return {
            self.state: wanted,
            self.titles: gr.update(choices=choices, value=chosen, visible=bool(choices)),
            self.empty: gr.update(value=nothing, visible=not choices),
            self.older: gr.update(visible=len(found) > wanted.limit),
        } | self._actions(open_id)

    def _actions(self, open_id: str) -> Updates:
        place = f"api/conversations/{open_id}"  # relative, so that a proxy may serve the page below a path of its own
        return {
            self.actions: gr.update(visible=bool(open_id)),
            self.text: gr.update(link=f"{place}/text"),
            self.json: gr.update(link=f"{place}/json"),
            self.name: gr.update(visible=False),
            self.sure: gr.update(visible=False),
            self.note: gr.update(visible=False),
        }

    # ---- what happens

    def find(self, words: str, conversation: Conversation, request: gr.Request) -> Updates:
        """Shows the conversations that say these words."""
        return guarded(lambda: self.shown(current_user(request), conversation, ConversationFilter(words)), self.note)

    def show_older(self, wanted: ConversationFilter, conversation: Conversation, request: gr.Request) -> Updates:
        """Shows more of the list."""
        more = ConversationFilter(wanted.words, wanted.limit + PAGE_SIZE)
        return guarded(lambda: self.shown(current_user(request), conversation, more), self.note)

    def start_rename(self, conversation: Conversation, request: gr.Request) -> Updates:
        """Asks for a new title."""

        def ask() -> Updates:
            one = self._opening.app().conversations.get(conversation.conversation_id, current_user(request).name)
            return {
                self.name: gr.update(value=strip_control_characters(one.title), visible=True),
                self.sure: gr.update(visible=False),
            }

        return guarded(ask, self.note)

    def rename(
        self, title: str, conversation: Conversation, wanted: ConversationFilter, request: gr.Request
    ) -> Updates:
        """Gives the open conversation another title."""

        def give() -> Updates:
            person = current_user(request)
            self._opening.app().conversations.rename(conversation.conversation_id, person.name, title)
            return self.shown(person, conversation, wanted)

        return guarded(give, self.note)

    def confirm_delete(self, conversation: Conversation, request: gr.Request) -> Updates:
        """Asks before the open conversation is deleted."""

        def ask() -> Updates:
            self._opening.app().conversations.get(conversation.conversation_id, current_user(request).name)
            return {self.sure: gr.update(visible=True), self.votes_too: False, self.name: gr.update(visible=False)}

        return guarded(ask, self.note)

    def _deleted(self, conversation: Conversation, person: CurrentUser, open_: Open, *, votes_too: bool) -> Updates:
        kept = self._opening.app().conversations
        gone = kept.delete(conversation.conversation_id, person.name, votes_too=votes_too)
        told = said.DELETED_BUT.format(n=gone.n_kept) if gone.n_kept else said.DELETED
        return open_("", person) | {self.note: gr.update(value=told, visible=True)}
