"""The page: conversations, a chat, the passages an answer rests on next to it, and what people say of both."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from rag.app.app import App
from rag.errors import NotFoundError
from ui.actions.give_verdict import current_verdicts
from ui.actions.status_messages import status_messages
from ui.auth.current_user import CurrentUser, current_user
from ui.background.startup import AppStartup
from ui.background.uploads import UploadRules
from ui.html.fragments import escape_html
from ui.texts import chat as said
from ui.texts import shared as texts
from ui.web.chat.answer_votes import AnswerVotes
from ui.web.chat.ask_handlers import AskHandlers
from ui.web.chat.attached_files import AttachedFiles
from ui.web.chat.components import PRIVATE, QUICK, chatbot, chip, filter_boxes, guarded, question_box, question_value
from ui.web.chat.conversation_list import ConversationList
from ui.web.chat.gradio_endpoints import add_api_endpoints
from ui.web.chat.render_answer import format_answer_details
from ui.web.chat.source_cards import SourceCardHandlers
from ui.web.chat.sources_panel import SourcesPanel, page_links
from ui.web.chat.tab_state import Conversation
from ui.web.components.handler_errors import Updates, no_updates
from ui.web.components.sample_questions import sample_questions

TAB_STATE_TTL_S = 24 * 3600  # that what an abandoned tab shows stays in memory; its turns are in SQL
STATUS_POLL_S = 3.0  # between two looks at how things stand, while they are not as ever


class ChatPage:
    """The components of the page and what happens to them. Made once, inside the Blocks that are open."""

    def __init__(self, opening: AppStartup, n_cards: int, *, at_once: bool) -> None:
        self._opening = opening
        self.conversation = gr.State(Conversation(), time_to_live=TAB_STATE_TTL_S)
        # Not a secret: it names a conversation, and only its owner may open that.
        self.last = gr.BrowserState("", storage_key="nightjar_conversation", secret="nightjar")  # noqa: S106 (as said)
        with gr.Row(elem_classes="nj-top"):
            gr.Button(said.LIST_BUTTON, size="sm", min_width=0, elem_classes=["nj-vote", "nj-list-button"])
            gr.Markdown(f"# {texts.TITLE}\n{texts.TAGLINE}", elem_classes="nj-brand")
            page_links("")
        self.states = gr.Markdown(visible=False, latex_delimiters=[], elem_classes="nj-states")
        with gr.Row(elem_classes="nj-page", equal_height=False):
            self.list = ConversationList(opening, self.conversation)
            with gr.Column(scale=3, min_width=320, elem_classes="nj-chat"):
                self._make_chat(at_once=at_once)
            with gr.Column(scale=2, min_width=320, elem_classes="nj-evidence"):
                self.evidence = SourcesPanel(n_cards, at_once=at_once)
        self.timer = gr.Timer(STATUS_POLL_S, active=False)

    def _make_chat(self, *, at_once: bool) -> None:
        self.chat = chatbot()
        with gr.Column(min_width=0, elem_classes="nj-below"):
            self.quiet = gr.Markdown(visible=False, latex_delimiters=[], elem_classes="nj-quiet")
            self.votes = AnswerVotes(self._opening, self.conversation, at_once=at_once)
        with gr.Row(elem_classes="nj-chips"):
            self.editing = chip("editing")
            self.only = chip("only")
        files = gr.Column(min_width=0, elem_classes="nj-files-place")
        self.question = question_box()
        self.where = filter_boxes()
        with files:
            self.files = AttachedFiles(self._opening, self.where[0])

    # ---- wiring

    def listen(self, blocks: gr.Blocks) -> None:
        """Connects the components with what happens."""
        cards = SourceCardHandlers(self._opening, self.conversation, self.evidence)
        blocks.load(self.welcome, [self.last], self.parts, **PRIVATE)
        self.chat.select(self.select_earlier_answer, [self.conversation], self.parts, **QUICK)
        self.timer.tick(self.look, [self.conversation], [self.states, self.timer, self.chat], **QUICK)
        AskHandlers(self._opening, self).listen()
        cards.listen()
        self.votes.listen()
        self.votes.which.listen(cards.mark_pinned, self.evidence.parts)
        self.list.listen(self.opened, self.parts)
        self.files.listen()

    @property
    def parts(self) -> list[Any]:
        """Every component that updates may name."""
        return [
            self.question,
            self.conversation,
            self.editing,
            self.last,
            self.chat,
            self.quiet,
            self.states,
            self.timer,
            *self.votes.parts,
            *self.list.parts,
            *self.files.parts,
            *self.evidence.parts,
        ]

    # ---- showing

    def welcome(self, last: str | None, request: gr.Request) -> Iterator[Updates]:
        """What the page shows when it is loaded: how things stand, and the conversation that was open last."""
        if not self._opening.is_over():
            yield {self.states: gr.update(value=texts.WAKING, visible=True)}
        person = current_user(request)
        yield guarded(lambda: self._welcomed(last if isinstance(last, str) else "", person), self.states)

    def _welcomed(self, last: str, person: CurrentUser) -> Updates:
        try:
            page = self.opened(last, person)
        except NotFoundError:  # it was deleted, or somebody else sits here now
            page = self.opened("", person)
        sources = ["upload"] if UploadRules.of(self._opening.app().settings.server).may(person) else []
        return page | {self.question: gr.update(sources=sources)}  # what was typed meanwhile stays

    def opened(self, conversation_id: str, person: CurrentUser) -> Updates:
        """The whole page with a conversation of the person's open; "" is a new one.

        Raises:
            NotFoundError: the person has no such conversation.
        """
        app = self._opening.app()
        kept = app.conversations.exchanges(conversation_id, person.name) if conversation_id else []
        conversation = Conversation.of(conversation_id, kept)
        page = {
            self.last: conversation_id,
            self.question: question_value(),
            self.editing: gr.update(visible=False),
            self.conversation: conversation,
        }
        shown = self.shown(app, conversation, person) if kept else self.evidence.clear() | self.hidden()
        chat = self._greeting(app, person) | {"value": conversation.messages()}
        return page | shown | {self.chat: gr.update(**chat)} | self.list.shown(person, conversation) | self._states(app)

    def _greeting(self, app: App, person: CurrentUser) -> dict[str, Any]:
        """What an empty conversation shows: questions to begin with, or how to fill the library."""
        if app.library.n_passages():
            examples = [{"text": question} for question in sample_questions(app.library)]
            return {"placeholder": texts.WELCOME, "examples": examples}
        how = said.BY_DROPPING if person.may("administrator") else said.BY_OTHERS
        return {"placeholder": said.FIRST_STEPS.format(how=how), "examples": None}

    def _states(self, app: App) -> Updates:
        told = status_messages(app)
        line = gr.update(value="\n\n".join(escape_html(exchange) for exchange in told), visible=bool(told))
        return {self.states: line, self.timer: gr.Timer(active=bool(told))}

    def look(self, conversation: Conversation, request: gr.Request) -> Updates:
        """How things are now; an empty conversation offers what there is to ask."""

        def look() -> Updates:
            app = self._opening.app()
            greeting = (
                {} if conversation.exchanges else {self.chat: gr.update(**self._greeting(app, current_user(request)))}
            )
            return self._states(app) | greeting

        return guarded(look, self.states)

    def select_earlier_answer(self, conversation: Conversation, request: gr.Request, event: gr.SelectData) -> Updates:
        """Shows the passages of an earlier answer, which was clicked."""
        place = event.index if isinstance(event.index, int) else event.index[0]
        back = conversation.with_shown(place // 2)
        if back.current is None or back.shown == conversation.shown:
            return no_updates()
        shown = self.shown(self._opening.app(), back, current_user(request))
        del shown[self.chat]  # it is as it was, and stays where it was scrolled to
        return shown

    def shown(self, app: App, conversation: Conversation, person: CurrentUser) -> Updates:
        """The chat, and what belongs to the exchange that is shown."""
        exchange = conversation.current
        assert exchange is not None
        line = format_answer_details(exchange.answer, exchange.index_state, exchange.asked)
        return (
            {
                self.conversation: conversation,
                self.chat: conversation.messages(),
                self.quiet: gr.update(value=line, visible=True),
            }
            | self.evidence.answered(
                exchange.answer,
                current_verdicts(app.feedback, exchange.answer.turn_id, person.name),
                removed=exchange.removed,
                open_to_votes=person.may("voter"),
            )
            | self.votes.shown(exchange, person)
        )

    def hidden(self) -> Updates:
        """Without what belongs to an answer."""
        return {self.quiet: gr.update(visible=False)} | self.votes.hidden()


def fill_chat_page(blocks: gr.Blocks, opening: AppStartup, n_cards: int, *, at_once: bool) -> None:
    """Makes the page inside *blocks*, which are open; *at_once*: votes count until tonight, and say so."""
    add_api_endpoints(opening)  # first: Gradio gives the name of a call to whoever asks for it first
    ChatPage(opening, n_cards, at_once=at_once).listen(blocks)
