"""Asking in the chat: files come in, passages are shown, the answer streams; asking again and in other words."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol

import gradio as gr

from rag.answering.answerer import SearchFinished, TextDelta
from rag.app.app import App
from rag.errors import NightjarError
from rag.library.search_filter import SearchFilter, parse_filter
from ui.auth.current_user import CurrentUser, current_user
from ui.background.startup import AppStartup
from ui.texts import chat as said
from ui.texts import shared as texts
from ui.web.chat.components import PRIVATE, QUICK, question_value
from ui.web.chat.gradio_endpoints import MAX_CONCURRENT_ANSWERS
from ui.web.chat.render_answer import format_searched_as
from ui.web.chat.tab_state import Conversation, Exchange, assistant_message, user_message
from ui.web.components.handler_errors import Updates, no_updates

ComponentValues = dict[Any, Any]
"""What the page's components hold, by component."""

log = logging.getLogger(__name__)


class ChatComponents(Protocol):
    """The parts of the chat that asking reads and updates: Gradio's components, and our groups of them."""

    question: Any
    conversation: Any
    last: Any
    chat: Any
    editing: Any
    only: Any
    quiet: Any
    timer: Any
    where: Any
    files: Any
    evidence: Any
    list: Any
    votes: Any

    @property
    def parts(self) -> list[Any]:
        """Every component that updates may name."""

    def shown(self, app: App, conversation: Conversation, person: CurrentUser) -> Updates:
        """Shows the chat, and what belongs to its current exchange."""

    def hidden(self) -> Updates:
        """Hides what belongs to an answer."""


class AskHandlers:
    """What happens when something is asked on *page*."""

    def __init__(self, opening: AppStartup, page: ChatComponents) -> None:
        self._opening = opening
        self._page = page
        self._writing: dict[str, threading.Event] = {}
        """Of each browser tab that an answer is being written for: set to stop it."""

    def listen(self) -> None:
        """Connects the components with it."""
        page = self._page
        answering: dict[str, Any] = PRIVATE | {
            "outputs": page.parts,
            "concurrency_limit": MAX_CONCURRENT_ANSWERS,
            "concurrency_id": "answers",
        }
        given, edited = {page.conversation, *page.where}, [page.question, page.conversation, page.editing]
        page.question.stop(self.stop, None, None, **QUICK)
        page.question.submit(self.ask, {page.question, *given}, **answering)
        page.chat.example_select(self.ask_sample, given, **answering)
        page.votes.again.click(self.ask_again, given, **answering)
        page.votes.edit.click(self.edit, [page.conversation], edited, **QUICK)
        page.editing.click(self.cancel_edit, [page.conversation], edited, **QUICK)
        page.where[0].change(self.show_search_scope, [page.where[0]], [page.only], **QUICK)
        page.only.click(lambda: "", None, [page.where[0]], **QUICK)

    def ask(self, given: ComponentValues, request: gr.Request) -> Iterator[Updates]:
        """Streams what is found, then the answer; until it is there the question's button stops it.

        The question's box holds text and files, which are brought in first.
        """
        box = given[self._page.question] or question_value()
        asked, files = box["text"] or "", box["files"]
        if asked.strip() or files:
            yield from self._ask(asked, files, given[self._page.conversation], self._where(given), request)

    def ask_sample(self, given: ComponentValues, request: gr.Request, event: gr.SelectData) -> Iterator[Updates]:
        """Asks one of the questions that an empty conversation offers."""
        asked = str(event.value["text"])
        yield from self._ask(asked, [], given[self._page.conversation], self._where(given), request)

    def ask_again(self, given: ComponentValues, request: gr.Request) -> Iterator[Updates]:
        """Asks the question shown once more; the answer that there is stays, as one that was asked again."""
        conversation: Conversation = given[self._page.conversation]
        if conversation.current is not None:
            again = replace(conversation, editing=conversation.current.answer.turn_id)
            yield from self._ask(conversation.current.asked, [], again, self._where(given), request)

    def _where(self, given: ComponentValues) -> list[str]:
        """Source, types and first day, as they were typed."""
        return [given[box] or "" for box in self._page.where]

    def _ask(
        self, asked: str, files: Sequence[str], conversation: Conversation, where: Sequence[str], request: gr.Request
    ) -> Iterator[Updates]:
        before, tab, person = conversation.messages(), request.session_hash or "", current_user(request)
        waking = [] if self._opening.is_over() else [assistant_message(texts.WAKING)]
        mine = [user_message(asked)] if asked.strip() else []
        writing = gr.update(value=question_value(), submit_btn=False, stop_btn=True)
        yield {
            self._page.question: writing,
            self._page.chat: [*before, *mine, *waking],
            self._page.editing: gr.update(visible=False),
        }
        stopped = self._writing[tab] = threading.Event()
        again = gr.update(value=question_value(asked), submit_btn=True, stop_btn=False)
        try:
            source, kinds, since = where
            found = parse_filter([source], kinds.split(","), since.strip())
            if files:
                found = yield from self._bring_in(
                    files, asked, before=before, where=found, person=person, stopped=stopped
                )
            if asked.strip():
                yield from self._answer(asked, conversation, before=before, stopped=stopped, where=found, person=person)
            yield {self._page.question: gr.update(submit_btn=True, stop_btn=False)}
        except NightjarError as error:
            yield {self._page.question: again, self._page.chat: [*before, *mine, assistant_message(str(error))]}
        except Exception:
            log.exception("a question failed")
            yield {self._page.question: again, self._page.chat: [*before, *mine, assistant_message(texts.FAILED)]}
        finally:
            stopped.set()  # where the tab was closed, too
            if self._writing.get(tab) is stopped:
                del self._writing[tab]

    def _bring_in(
        self,
        files: Sequence[str],
        asked: str,
        before: Sequence[Any],
        where: SearchFilter,
        person: CurrentUser,
        stopped: threading.Event,
    ) -> Generator[Updates, None, SearchFilter]:
        """Takes files that came with a question; the question waits for them and looks only there, which is returned."""
        self._opening.app()
        job_ids, refused = self._page.files.accept(files, person)
        timer = {self._page.timer: gr.Timer(active=True)}
        for shown, over in self._page.files.wait_until_ingested(job_ids, refused):
            waits = [user_message(asked), assistant_message(said.WAITS_FOR_FILES)] if asked.strip() else []
            yield shown | timer | {self._page.chat: [*before, *waits]}
            if over or stopped.is_set() or not asked.strip():
                break
        sources = self._page.files.sources(job_ids)
        if sources:
            self._opening.app().refresh()
        return SearchFilter(sources, where.types, where.since, where.until) if sources else where

    def stop(self, request: gr.Request) -> None:
        """Ends the answer that is being written for this tab; what there is of it becomes the answer."""
        writing = self._writing.get(request.session_hash or "")
        if writing:
            writing.set()

    def _answer(
        self,
        asked: str,
        conversation: Conversation,
        before: Sequence[dict[str, str]],
        stopped: threading.Event,
        where: SearchFilter,
        person: CurrentUser,
    ) -> Iterator[Updates]:
        app, instead_of = self._opening.app(), conversation.editing
        conversation = replace(conversation, conversation_id=conversation.conversation_id or uuid.uuid4().hex)
        text, state = "", "ready"
        for event in app.answerer.stream(
            asked,
            history=conversation.history(instead_of),
            user=person.name,
            stopped=stopped,
            where=where,
            conversation_id=conversation.conversation_id,
            instead_of=instead_of,
        ):
            if isinstance(event, SearchFinished):
                state = app.retriever.index_state
                app.conversations.enter(conversation.conversation_id, person.name, asked)
                yield (
                    self._page.evidence.render_hits(event.hits)
                    | self._page.hidden()
                    | self._searched(event, asked)
                    | {self._page.last: conversation.conversation_id}
                )
            elif isinstance(event, TextDelta):
                text += event.delta
                yield {self._page.chat: [*before, user_message(asked), assistant_message(text)]}
            else:
                conversation = conversation.after(
                    Exchange(asked=asked, answer=event, index_state=state, instead_of=instead_of)
                )
                yield self._page.shown(app, conversation, person) | self._page.list.shown(person, conversation)

    # ---- editing

    def edit(self, conversation: Conversation) -> Updates:
        """Puts the last question back into its box, to be asked in other words."""
        if conversation.last is None:
            return no_updates()
        editing = replace(conversation, editing=conversation.last.answer.turn_id)
        chip = gr.update(value=said.EDITING, visible=True)
        return {
            self._page.conversation: editing,
            self._page.question: question_value(conversation.last.asked),
            self._page.editing: chip,
        }

    def cancel_edit(self, conversation: Conversation) -> Updates:
        """Leaves the question as it was."""
        left = replace(conversation, editing="")
        return {
            self._page.conversation: left,
            self._page.question: question_value(),
            self._page.editing: gr.update(visible=False),
        }

    def show_search_scope(self, source: str | None) -> Updates:
        """Says where the questions look, as long as that is not everywhere."""
        shown = said.ONLY_IN.format(source=source.strip()) if source and source.strip() else ""
        return {self._page.only: gr.update(value=shown, visible=bool(shown))}

    def _searched(self, event: SearchFinished, asked: str) -> Updates:
        """The question as it was searched, while the answer is written, if it is not the one that was typed."""
        line = format_searched_as(event.question, asked)
        return {self._page.quiet: gr.update(value=line, visible=True)} if line else {}
