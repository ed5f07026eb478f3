"""What can be done with the answer that is shown: judge it, say what was wrong, ask again, edit, copy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from eval.datasets.golden_store import add_golden_from_turn
from rag.records import Answer
from ui.actions.give_verdict import current_verdicts, toggle_verdict, verdict_notice
from ui.auth.current_user import CurrentUser, current_user
from ui.background.startup import AppStartup
from ui.texts import chat as said
from ui.texts import shared as texts
from ui.web.chat.components import QUICK, copied_text, guarded
from ui.web.chat.pin_passage import PinPassage
from ui.web.chat.render_answer import format_answer
from ui.web.chat.sources_panel import note_line, render_vote_buttons, vote_button
from ui.web.chat.tab_state import Conversation, Exchange
from ui.web.components.handler_errors import Updates

BUTTON_LABELS = {"answer_helpful": texts.ANSWER_GOOD, **texts.REASON_BUTTONS}


class AnswerVotes:
    """The row below the chat, and what opens below it if an answer was not good or there was none."""

    def __init__(self, opening: AppStartup, conversation: gr.State, *, at_once: bool) -> None:
        self._opening = opening
        self._conversation = conversation
        with gr.Row(visible=False, elem_classes="nj-votes") as self.row:
            self.good = vote_button(texts.ANSWER_GOOD, "helpful")
            self.bad = vote_button(texts.ANSWER_BAD, "not_relevant")
            self.again = vote_button(said.AGAIN, "again")
            self.edit = vote_button(said.EDIT, "edit")
            self.copy = vote_button(said.COPY, "copy")
            self.test = vote_button(said.KEEP_AS_TEST, "test")
        self.text = copied_text()
        with gr.Column(visible=False, elem_classes="nj-wrong", min_width=0) as self.wrong:
            with gr.Row(elem_classes=["nj-votes", "nj-reasons"]):
                gr.Markdown(texts.WHY, elem_classes="nj-quiet")
                self.reasons = {verdict: vote_button(label, verdict) for verdict, label in texts.REASON_BUTTONS.items()}
            self.comment = gr.Textbox(
                label=said.COMMENT_LABEL,
                placeholder=said.COMMENT_PLACEHOLDER,
                lines=1,
                max_lines=4,
                max_length=2000,
                submit_btn=said.SEND,
                elem_classes="nj-look",
            )
        self.note = note_line()
        self.which = PinPassage(opening, conversation, at_once=at_once)

    @property
    def own(self) -> list[Any]:
        """The components that a vote on the answer changes."""
        return [
            self.row,
            self.good,
            self.bad,
            self.again,
            self.edit,
            self.copy,
            self.test,
            self.text,
            self.wrong,
            *self.reasons.values(),
            self.comment,
            self.note,
        ]

    @property
    def parts(self) -> list[Any]:
        """Every component that updates may name."""
        return [*self.own, *self.which.parts]

    def listen(self) -> None:
        """Connects the buttons that judge."""
        for verdict, button in {"answer_helpful": self.good, **self.reasons}.items():
            button.click(self._judge(verdict), [self._conversation, self.comment], self.parts, **QUICK)
        self.bad.click(self.ask_why, [self._conversation], self.parts, **QUICK)
        self.test.click(self.keep_as_test, [self._conversation], [self.note], **QUICK)
        self.comment.submit(self.save_comment, [self.comment, self._conversation], self.parts, **QUICK)

    # ---- what is shown

    def hidden(self) -> Updates:
        """Nothing, while there is no answer yet."""
        return {part: gr.update(visible=False) for part in (self.row, self.wrong, self.note)} | self.which.hidden()

    def shown(self, exchange: Exchange, person: CurrentUser) -> Updates:
        """The row for an answer, with what the person says of it; if it declined, the way to the right passage."""
        answer = exchange.answer
        stands, comment = self._standing(answer, person)
        updates = self._judged(stands, person) | {self.text: format_answer(answer), self.comment: comment}
        if answer.declined and person.may("voter") and self._opening.app().library.n_passages():
            return updates | self.which.offered(said.IN_THIS_DOCUMENT)
        return updates | (self.which.offered(said.WHICH_PASSAGE) if stands in self.reasons else self.which.hidden())

    def _standing(self, answer: Answer, person: CurrentUser) -> tuple[str | None, str]:
        """What the person says of the answer, with their words."""
        given = [
            verdict
            for verdict in self._opening.app().feedback.standing(person.name, answer.turn_id)
            if verdict.passage_id is None
        ]
        return (given[0].verdict, given[0].comment) if given else (None, "")

    def _judged(self, stands: str | None, person: CurrentUser, *, asking_why: bool = False) -> Updates:
        may = person.may("voter")
        buttons = {"answer_helpful": self.good, **self.reasons}
        updates = render_vote_buttons(
            buttons,
            BUTTON_LABELS,
            self.note,
            stands,
            verdict_notice(stands, boosts_immediately=False),
            open_to_votes=may,
        )
        bad = "primary" if stands in self.reasons else "secondary"
        return updates | {
            self.row: gr.update(visible=True),
            self.test: gr.update(visible=person.may("administrator")),
            self.bad: gr.update(variant=bad, interactive=may),
            self.wrong: gr.update(visible=asking_why or stands in self.reasons),
        }

    # ---- what happens

    def _judge(self, verdict: str) -> Callable[..., Updates]:
        def judge(conversation: Conversation, comment: str, request: gr.Request) -> Updates:
            return guarded(lambda: self._give(verdict, conversation, comment, current_user(request)), self.note)

        return judge

    def _give(self, verdict: str, conversation: Conversation, comment: str, person: CurrentUser) -> Updates:
        """Gives a verdict on the answer shown, or takes it back."""
        person.require_role("voter")
        if conversation.current is None:
            return {}
        feedback, answer = self._opening.app().feedback, conversation.current.answer
        words = comment.strip() if verdict in self.reasons else ""
        stands = toggle_verdict(
            feedback, answer.turn_id, passage_id=None, verdict=verdict, user=person.name, comment=words
        )
        if stands in self.reasons:
            return self._judged(stands, person)
        return self._judged(stands, person) | ({} if answer.declined else self.which.hidden())

    def ask_why(self, conversation: Conversation, request: gr.Request) -> Updates:
        """Opens what is asked if an answer was not good; where a reason is, takes it back."""
        return guarded(lambda: self._ask_why(conversation, current_user(request)), self.note)

    def _ask_why(self, conversation: Conversation, person: CurrentUser) -> Updates:
        person.require_role("voter")
        if conversation.current is None:
            return {}
        answer = conversation.current.answer
        stands = current_verdicts(self._opening.app().feedback, answer.turn_id, person.name).get(None)
        if stands in self.reasons:
            return self._give(stands, conversation, "", person)
        return self._judged(stands, person, asking_why=True) | self.which.offered(said.WHICH_PASSAGE)

    def save_comment(self, comment: str, conversation: Conversation, request: gr.Request) -> Updates:
        """Keeps the person's own words with the reason that was chosen."""
        return guarded(lambda: self._say(comment.strip(), conversation, current_user(request)), self.note)

    def _say(self, comment: str, conversation: Conversation, person: CurrentUser) -> Updates:
        person.require_role("voter")
        if conversation.current is None:
            return {}
        feedback, turn_id = self._opening.app().feedback, conversation.current.answer.turn_id
        stands = current_verdicts(feedback, turn_id, person.name).get(None)
        if stands not in self.reasons:
            return {self.note: gr.update(value=said.REASON_FIRST, visible=True)}
        feedback.record_verdict(person.name, turn_id, None, stands, comment)
        return {self.note: gr.update(value=said.COMMENT_KEPT, visible=True)}

    def keep_as_test(self, conversation: Conversation, request: gr.Request) -> Updates:
        """Has every night and report be measured with the question, and the passage that the person marked as right."""
        return guarded(lambda: self._keep_as_test(conversation, current_user(request)), self.note)

    def _keep_as_test(self, conversation: Conversation, person: CurrentUser) -> Updates:
        person.require_role("administrator")  # what the gate measures with decides which version answers everybody
        if conversation.current is None:
            return {}
        app, turn_id = self._opening.app(), conversation.current.answer.turn_id
        said_of = {
            verdict: passage_id for passage_id, verdict in current_verdicts(app.feedback, turn_id, person.name).items()
        }
        first = next((kind for kind in ("pin", "helpful", "answer_not_in_documents") if kind in said_of), None)
        if first is None:
            return {self.note: gr.update(value=said.PIN_FIRST, visible=True)}
        add_golden_from_turn(app.engine, app.library, turn_id, said_of[first], person.name)
        return {self.note: gr.update(value=said.KEPT_AS_TEST, visible=True)}
