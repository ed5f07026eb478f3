"""The page: a chat, the passages an answer rests on beside it, and what people say of both."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import gradio as gr

from rag.answer import Searched, Text, checked
from rag.assemble import App
from rag.errors import NightjarError
from rag.filters import Filter, filter_of
from rag.records import Answer
from ui.opening import Opening
from ui.person import person_of
from ui.shapes import found_json
from ui.verdicts import promise_of, standing_on, toggle
from ui.web import texts
from ui.web.chat_parts import chatbot, filter_boxes, question_box
from ui.web.evidence import Evidence, note_line, page_links, pressed, vote_button
from ui.web.render import answer_text, as_message, plain, quiet_line, sample_questions, searched_line

log = logging.getLogger(__name__)

AT_ONCE = 16  # conversations answered at the same time; more wait in line
KEPT = 50  # exchanges of a conversation that are remembered for follow-ups and shown
KEPT_S = 24 * 3600  # that an abandoned conversation stays in memory; its turns are in SQL
Updates = dict[Any, Any]


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question as it was typed, and what it got."""

    asked: str
    answer: Answer


@dataclass(frozen=True, slots=True)
class Conversation:
    """What one browser tab has said. Kept on the server: nothing that comes from the browser is believed."""

    conversation_id: str = ""
    exchanges: tuple[Exchange, ...] = ()
    shown: int = -1
    """Which exchange's passages are beside the chat; none where there is no such place."""

    @property
    def current(self) -> Exchange | None:
        """The exchange whose passages are shown."""
        return self.exchanges[self.shown] if -len(self.exchanges) <= self.shown < len(self.exchanges) else None

    def after(self, exchange: Exchange) -> Conversation:
        """With one more exchange, which is then shown."""
        kept = (*self.exchanges, exchange)[-KEPT:]
        return replace(self, exchanges=kept, shown=len(kept) - 1)

    def messages(self) -> list[dict[str, str]]:
        """As the chat shows them."""
        return [message for one in self.exchanges for message in (_said(one.asked), _answered(answer_text(one.answer)))]

    def history(self) -> list[tuple[str, str]]:
        """Earlier questions, as they were typed, and answers, oldest first."""
        return [(one.asked, one.answer.text) for one in self.exchanges]


def _said(text: str) -> dict[str, str]:
    return {"role": "user", "content": as_message(text)}


def _answered(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": as_message(text)}


class ChatPage:
    """The components of the page and what happens to them. Made once, inside the Blocks that are open."""

    def __init__(self, opening: Opening, n_cards: int, *, at_once: bool) -> None:
        self._opening = opening
        self._writing: dict[str, threading.Event] = {}
        """Of each browser tab that an answer is being written for: set to stop it."""
        self.conversation = gr.State(Conversation(), time_to_live=KEPT_S)
        with gr.Row(elem_classes="nj-top"):
            gr.Markdown(f"# {texts.TITLE}\n{texts.TAGLINE}", elem_classes="nj-brand")
            page_links("")
            self.fresh = gr.Button(
                texts.NEW_CONVERSATION, size="sm", variant="secondary", min_width=0, elem_classes="nj-new"
            )
        with gr.Row(elem_classes="nj-page", equal_height=False):
            with gr.Column(scale=3, min_width=320, elem_classes="nj-chat"):
                self.chat = chatbot()
                self.quiet = gr.Markdown(visible=False, latex_delimiters=[], elem_classes="nj-quiet")
                self._make_answer_votes()
                self.question = question_box()
                self.where = filter_boxes()
            with gr.Column(scale=2, min_width=320, elem_classes="nj-evidence"):
                self.evidence = Evidence(n_cards, at_once=at_once)

    def _make_answer_votes(self) -> None:
        with gr.Row(visible=False, elem_classes="nj-votes") as self.answer_row:
            self.good = vote_button(texts.ANSWER_GOOD, "helpful")
            self.bad = vote_button(texts.ANSWER_BAD, "not_relevant")
        with gr.Row(visible=False, elem_classes=["nj-votes", "nj-reasons"]) as self.reasons_row:
            gr.Markdown(texts.WHY, elem_classes="nj-quiet")
            self.reasons = {verdict: vote_button(label, verdict) for verdict, label in texts.REASON_BUTTONS.items()}
        self.answer_note = note_line()

    # ---- wiring

    def listen(self) -> None:
        """Connects the components with what happens."""
        private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        quick: dict[str, Any] = private | {"queue": False}
        answering: dict[str, Any] = private | {
            "outputs": self._all,
            "concurrency_limit": AT_ONCE,
            "concurrency_id": "answers",
        }
        self.question.stop(self.stop, None, None, **quick)
        self.question.submit(self.ask, [self.question, self.conversation, *self.where], **answering)
        self.chat.example_select(self.ask_sample, [self.conversation, *self.where], **answering)
        self.chat.select(self.look_back, [self.conversation], self._all, **quick)
        self.fresh.click(self.begin_anew, None, self._all, **quick)
        for place, slot in enumerate(self.evidence.slots):
            for verdict, button in slot.buttons.items():
                button.click(self._passage_judge(place, verdict), [self.conversation], slot.parts, **quick)
        for verdict, button in {"answer_helpful": self.good, **self.reasons}.items():
            button.click(self._answer_judge(verdict), [self.conversation], self._answer_parts, **quick)
        self.bad.click(self.ask_why, [self.conversation], self._answer_parts, **quick)

    @property
    def _answer_parts(self) -> list[Any]:
        return [self.answer_row, self.good, self.bad, self.reasons_row, *self.reasons.values(), self.answer_note]

    @property
    def _all(self) -> list[Any]:
        return [self.question, self.chat, self.conversation, self.quiet, *self._answer_parts, *self.evidence.parts]

    # ---- asking

    def ask(
        self,
        asked: str,
        conversation: Conversation,
        source: str | None,
        kinds: str | None,
        since: str | None,
        request: gr.Request,
    ) -> Iterator[Updates]:
        """Streams what is found, then the answer; until it is there the question's button stops it.

        *source*, *kinds* and *since* say where to look, as they were typed; None where nothing was.
        """
        if not asked.strip():
            return
        before, tab = conversation.messages(), request.session_hash or ""
        waking = "" if self._opening.is_over() else texts.WAKING
        writing = gr.update(value="", submit_btn=False, stop_btn=True)
        yield {self.question: writing, self.chat: [*before, _said(asked), *([_answered(waking)] if waking else [])]}
        stopped = self._writing[tab] = threading.Event()
        again = gr.update(value=asked, submit_btn=True, stop_btn=False)
        try:
            where = filter_of([source or ""], (kinds or "").split(","), (since or "").strip())
            yield from self._answer(asked, conversation, before, stopped, where, person_of(request).name)
            yield {self.question: gr.update(submit_btn=True, stop_btn=False)}
        except NightjarError as error:
            yield {self.question: again, self.chat: [*before, _said(asked), _answered(str(error))]}
        except Exception:
            log.exception("a question failed")
            yield {self.question: again, self.chat: [*before, _said(asked), _answered(texts.FAILED)]}
        finally:
            stopped.set()  # where the tab was closed, too
            if self._writing.get(tab) is stopped:
                del self._writing[tab]

    def ask_sample(
        self,
        conversation: Conversation,
        source: str | None,
        kinds: str | None,
        since: str | None,
        request: gr.Request,
        event: gr.SelectData,
    ) -> Iterator[Updates]:
        """Asks one of the questions that an empty conversation offers."""
        yield from self.ask(str(event.value["text"]), conversation, source, kinds, since, request)

    def stop(self, request: gr.Request) -> None:
        """Ends the answer that is being written for this tab; what there is of it becomes the answer."""
        writing = self._writing.get(request.session_hash or "")
        if writing:
            writing.set()

    def _answer(
        self,
        asked: str,
        conversation: Conversation,
        before: list[dict[str, str]],
        stopped: threading.Event,
        where: Filter,
        user: str,
    ) -> Iterator[Updates]:
        app = self._opening.app()
        conversation = replace(conversation, conversation_id=conversation.conversation_id or uuid.uuid4().hex)
        text = ""
        for event in app.answerer.stream(asked, history=conversation.history(), user=user, stopped=stopped,
                                         where=where, conversation_id=conversation.conversation_id):  # fmt: skip
            if isinstance(event, Searched):
                yield self.evidence.searched(event.hits) | self._hidden_answer_parts() | self._searched(event, asked)
            elif isinstance(event, Text):
                text += event.delta
                yield {self.chat: [*before, _said(asked), _answered(text)]}
            else:
                conversation = conversation.after(Exchange(asked, event))
                yield {self.conversation: conversation, self.chat: conversation.messages()} | self._shown(
                    app, conversation, user
                )

    # ---- showing

    def look_back(self, conversation: Conversation, request: gr.Request, event: gr.SelectData) -> Updates:
        """Shows the passages of an earlier answer, which was clicked."""
        place = event.index if isinstance(event.index, int) else event.index[0]
        conversation = replace(conversation, shown=place // 2)
        if conversation.current is None:
            return {}
        return {self.conversation: conversation} | self._shown(
            self._opening.app(), conversation, person_of(request).name
        )

    def begin_anew(self) -> Updates:
        """Empties the page; what was asked stays in SQL."""
        cleared = {self.question: "", self.chat: [], self.conversation: Conversation()}
        return cleared | self.evidence.cleared() | self._hidden_answer_parts()

    def _shown(self, app: App, conversation: Conversation, user: str) -> Updates:
        exchange = conversation.current
        assert exchange is not None
        standing = standing_on(app.feedback, exchange.answer.turn_id, user)
        index = app.live.index
        line = quiet_line(exchange.answer, index.state if index else "absent", exchange.asked)
        return (
            self.evidence.answered(exchange.answer, standing)
            | {self.quiet: gr.update(value=line, visible=True)}
            | self._answer_judged(standing.get(None))
        )

    def _searched(self, event: Searched, asked: str) -> Updates:
        """The question as it was searched, while the answer is written, where it is not the one that was typed."""
        line = searched_line(event.question, asked)
        return {self.quiet: gr.update(value=line, visible=True)} if line else {}

    def _hidden_answer_parts(self) -> Updates:
        return {
            part: gr.update(visible=False) for part in (self.quiet, self.answer_row, self.reasons_row, self.answer_note)
        }

    def _answer_judged(self, stands: str | None, *, asking_why: bool = False) -> Updates:
        labels = {"answer_helpful": texts.ANSWER_GOOD, **texts.REASON_BUTTONS}
        buttons = {"answer_helpful": self.good, **self.reasons}
        updates = pressed(buttons, labels, self.answer_note, stands, promise_of(stands, at_once=False))
        return updates | {
            self.answer_row: gr.update(visible=True),
            self.bad: gr.update(variant="primary" if stands in self.reasons else "secondary"),
            self.reasons_row: gr.update(visible=asking_why or stands in self.reasons),
        }

    # ---- judging

    def judge_passage(self, place: int, verdict: str, conversation: Conversation, request: gr.Request) -> Updates:
        """Gives a verdict on the passage in a slot, or takes it back."""
        person = person_of(request)
        person.must("voter")
        exchange = conversation.current
        slot = self.evidence.slots[place]
        if exchange is None or place >= len(exchange.answer.hits):
            return {}
        passage_id = exchange.answer.hits[place].passage.passage_id
        return slot.judged(
            toggle(self._opening.app().feedback, exchange.answer.turn_id, passage_id, verdict, person.name)
        )

    def judge_answer(self, verdict: str, conversation: Conversation, request: gr.Request) -> Updates:
        """Gives a verdict on the answer shown, or takes it back."""
        person = person_of(request)
        person.must("voter")
        if conversation.current is None:
            return {}
        return self._answer_judged(
            toggle(self._opening.app().feedback, conversation.current.answer.turn_id, None, verdict, person.name)
        )

    # Not functools.partial: Gradio 6.31 does not see that what it wraps wants the request, and so gives it none.

    def _passage_judge(self, place: int, verdict: str) -> Callable[[Conversation, gr.Request], Updates]:
        def judge(conversation: Conversation, request: gr.Request) -> Updates:
            return self.judge_passage(place, verdict, conversation, request)

        return judge

    def _answer_judge(self, verdict: str) -> Callable[[Conversation, gr.Request], Updates]:
        def judge(conversation: Conversation, request: gr.Request) -> Updates:
            return self.judge_answer(verdict, conversation, request)

        return judge

    def ask_why(self, conversation: Conversation, request: gr.Request) -> Updates:
        """Opens the row of reasons; where one stands, takes it back."""
        person = person_of(request)
        person.must("voter")
        if conversation.current is None:
            return {}
        feedback, turn_id = self._opening.app().feedback, conversation.current.answer.turn_id
        stands = standing_on(feedback, turn_id, person.name).get(None)
        if stands in self.reasons:
            return self._answer_judged(toggle(feedback, turn_id, None, stands, person.name))
        return self._answer_judged(stands, asking_why=True)


def fill_chat_page(blocks: gr.Blocks, opening: Opening, n_cards: int, *, at_once: bool) -> None:
    """Makes the page inside *blocks*, which are open; *at_once*: votes count until tonight, and say so."""
    page = ChatPage(opening, n_cards, at_once=at_once)
    page.listen()
    blocks.load(partial(_welcome, opening), None, page.chat, api_visibility="private", show_progress="hidden")
    _offer_to_programs(opening)


def _welcome(opening: Opening) -> gr.Chatbot:
    """What an empty conversation shows: questions to begin with, or how to fill the library."""
    app = opening.app()
    if not app.library.n_passages():
        return gr.update(placeholder=texts.EMPTY_LIBRARY)
    return gr.update(placeholder=texts.WELCOME, examples=[{"text": one} for one in sample_questions(app.library)])


def _offer_to_programs(opening: Opening) -> None:
    """The two verbs for gradio_client; programs that vote use the REST interface."""

    def chat(message: str, request: gr.Request) -> Iterator[str]:
        """Answers a question from the documents; streams the text so far."""
        text = ""
        for event in opening.app().answerer.stream(message, user=person_of(request).name):
            if isinstance(event, Text):
                text += event.delta
                yield plain(text)
            elif isinstance(event, Answer):
                yield answer_text(event)

    def search(query: str, request: gr.Request, k: int = 6) -> dict[str, Any]:
        """Finds passages for a question, best first, with their scores."""
        user = person_of(request).name
        return found_json(opening.app().retriever.find(checked(query), max(1, min(k, 100)), user))

    gr.api(chat, api_name="chat", concurrency_limit=AT_ONCE, concurrency_id="answers")
    gr.api(search, api_name="search", concurrency_limit=AT_ONCE)
