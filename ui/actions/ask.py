"""Questions of programs: answered in a lane of threads of their own, event by event, and ended if nobody listens."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request

from rag.answering.answerer import SearchFinished, TextDelta, check_question
from rag.app.app import App
from rag.feedback.feedback_store import FeedbackStore
from rag.library.search_filter import NO_FILTER, SearchFilter
from rag.records import Answer

MAX_CONCURRENT_EXTRACTIVE = (
    3  # questions worked at at the same time: they need this process, and more only fight for Python's lock
)
MAX_CONCURRENT_GENERATED = 16  # where a language model writes: then most of the time is spent waiting for it
DISCONNECT_CHECK_S = 1.0  # between two looks at whether the client is still there, and that a client hears nothing for


@dataclass(frozen=True, slots=True, kw_only=True)
class UserQuestion:
    """What a program asks, and for whom."""

    text: str
    user: str
    history: Sequence[tuple[str, str]] | None = None
    """Earlier questions and answers, oldest first; None takes those of the conversation."""
    conversation_id: str | None = None
    k: int | None = None
    where: SearchFilter = NO_FILTER


@dataclass(frozen=True, slots=True)
class FinishedAnswer:
    """The last event: the whole answer, and the token that votes on it carry."""

    answer: Answer
    token: str


AnswerEvent = SearchFinished | TextDelta | FinishedAnswer


class AsyncAnswerer:
    """Answers questions from the event loop without ever holding it up. One for all doors of a server."""

    def __init__(self, app: Callable[[], App]) -> None:
        """*app* may wait until the application answers questions."""
        self._app = app
        self._lane = CapacityLimiter(MAX_CONCURRENT_EXTRACTIVE)
        self._at_once = MAX_CONCURRENT_EXTRACTIVE

    async def answer(self, question: UserQuestion, request: Request) -> FinishedAnswer | None:
        """The whole answer; None if the client has gone, whose answer then ends where it was.

        Raises:
            NightjarError: as of `Answerer.stream`.
        """
        async with aclosing(self.stream(question)) as events:
            async for event in events:
                if isinstance(event, FinishedAnswer):
                    return event
                if await request.is_disconnected():
                    break
        return None

    async def stream(self, question: UserQuestion) -> AsyncGenerator[AnswerEvent | None]:
        """The events of an answer; None each time that nothing happens for LOOK_S. Closing it ends the answer.

        Raises:
            NightjarError: as of `Answerer.stream`.
        """
        stopped = threading.Event()
        steps = _Steps(self._events(question, stopped), stopped)
        try:
            while True:
                self._lane.total_tokens = self._at_once
                step = asyncio.ensure_future(to_thread.run_sync(steps.next, limiter=self._lane))
                while not (await asyncio.wait({step}, timeout=DISCONNECT_CHECK_S))[0]:
                    yield None
                event = step.result()
                if event is None:
                    return
                yield event
        finally:
            stopped.set()
            with suppress(RuntimeError):  # the loop ends, and the process with it
                asyncio.get_running_loop().run_in_executor(None, steps.close)

    def _events(self, question: UserQuestion, stopped: threading.Event) -> Iterator[AnswerEvent]:
        app = self._app()
        self._at_once = (
            MAX_CONCURRENT_GENERATED if app.chat_model else MAX_CONCURRENT_EXTRACTIVE
        )  # known only now; what the lane is set to at the next step
        history = _history(app.feedback, question)
        if question.conversation_id:
            app.conversations.enter(question.conversation_id, question.user, check_question(question.text))
        for event in app.answerer.stream(
            question.text,
            history=history,
            user=question.user,
            conversation_id=question.conversation_id,
            k=question.k,
            where=question.where,
            stopped=stopped,
        ):
            yield FinishedAnswer(event, app.feedback.token(event.turn_id)) if isinstance(event, Answer) else event


def _history(feedback: FeedbackStore, question: UserQuestion) -> Sequence[tuple[str, str]]:
    if question.history is not None:
        return question.history
    return feedback.history(question.conversation_id, question.user) if question.conversation_id else []


class _Steps:
    """A generator that one thread at a time goes on with, and another may close."""

    def __init__(self, events: Iterator[AnswerEvent], stopped: threading.Event) -> None:
        self._events = events
        self._stopped = stopped
        self._lock = threading.Lock()

    def next(self) -> AnswerEvent | None:
        """The next event; None at the end, and where a client left while it waited in line."""
        with self._lock:
            return None if self._stopped.is_set() else next(self._events, None)

    def close(self) -> None:
        """Stores what was shown by now; waits for the step under way, which looks whether it shall stop."""
        with self._lock:
            self._events.close()  # type: ignore[attr-defined]  # a generator's
