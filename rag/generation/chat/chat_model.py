"""Answers that a chat model writes from numbered passages: streamed, limited in length, and held to deadlines."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypedDict, cast

from rag.errors import ChatModelError, ChatModelSkippedError
from rag.generation.chat.circuit_breaker import CircuitBreaker
from rag.generation.chat.prompt import NO_ANSWER, ContextWindow, build_messages, remove_unsendable
from rag.generation.chat.providers import TRANSFORMERS, mask_secret, open_chat_model, split_provider
from rag.generation.chat.retry_policy import failure_kind
from rag.generation.chat.streaming import Timeouts, stream_in_thread
from rag.records import Hit

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage
    from pydantic import SecretStr

    from rag.generation.chat.transformers_chat import TransformersChat

CHARACTERS_PER_TOKEN = 10  # more than any tokeniser averages; a limit for endpoints that ignore max_tokens

FINISH_REASON_KEYS = {"openai": "finish_reason", "ollama": "done_reason", TRANSFORMERS: "finish_reason"}
"""Provider → the key that its last piece has; without it the answer was cut off. Other providers are not checked."""

NEVER_SET = threading.Event()  # for callers who can not stop an answer

log = logging.getLogger(__name__)


class ChatModelOptions(TypedDict, total=False):
    """The options of `ChatModel.open`."""

    base_url: str | None
    api_key: SecretStr | None
    connect_s: float
    silence_s: float
    timeout_s: float
    max_tokens: int
    retries: int
    rest_after: int
    rest_s: float
    tell: Callable[[str], None]


class ChatModel:
    """A chat model of any provider that LangChain knows. Threads may share it."""

    def __init__(
        self,
        name: str,
        model: BaseChatModel,
        breaker: CircuitBreaker,
        timeouts: Timeouts,
        *,
        max_tokens: int = 512,
        secret: SecretStr | None = None,
    ) -> None:
        self.name = name
        self._model = model
        self._breaker = breaker
        self._patience = timeouts
        self._max_tokens = max_tokens
        self._secret = secret
        provider, _ = split_provider(name)
        self._end_mark = FINISH_REASON_KEYS.get(provider)
        self._here = cast("TransformersChat", model) if provider == TRANSFORMERS else None

    @classmethod
    def open(
        cls,
        name: str,
        *,
        base_url: str | None = None,
        api_key: SecretStr | None = None,
        connect_s: float = 5.0,
        silence_s: float = 30.0,
        timeout_s: float = 60.0,
        max_tokens: int = 512,
        retries: int = 2,
        rest_after: int = 3,
        rest_s: float = 60.0,
        tell: Callable[[str], None] = log.info,
    ) -> ChatModel:
        """Opens the model "PROVIDER:NAME" without asking it anything. The times are those of `Timeouts`.

        *max_tokens* is the longest answer. After *rest_after* failures in a row it is not asked for *rest_s*.
        *tell* is called with each stage of loading a model into this process.

        Raises:
            SettingsError: see `open_chat_model`.
        """
        model = open_chat_model(
            name,
            base_url=base_url,
            api_key=api_key,
            timeout_s=timeout_s,
            max_tokens=max_tokens,
            connect_s=connect_s,
            wait_s=min(silence_s, timeout_s) / 2,
            tell=tell,
        )
        breaker, patience = CircuitBreaker(rest_after, rest_s), Timeouts(timeout_s, silence_s, retries)
        return cls(name, model, breaker, patience, max_tokens=max_tokens, secret=api_key)

    @property
    def is_local(self) -> bool:
        """Whether it runs in this process, where a failure would only repeat if it were tried again."""
        return self._here is not None

    def health(self) -> dict[str, str]:
        """Returns the model's name, the state of its circuit, and how far its weights are loaded if they are in this
        process.
        """
        health = {"model": self.name, "circuit": self._breaker.state}
        return health | ({"weights": self._here.stage} if self._here else {})

    def stream(
        self,
        question: str,
        hits: Sequence[Hit],
        history: Sequence[tuple[str, str]] = (),
        stopped: threading.Event = NEVER_SET,
        wide: Sequence[Hit] = (),
    ) -> Iterator[str]:
        """Yields the answer in pieces; none at all if the model finds no answer in the passages.

        *history* holds earlier questions and their answers, oldest first. *wide* are the hits with the text around them,
        which the model reads if all of it fits. A reader that leaves, or sets *stopped*, ends
        the writing.

        Raises:
            ChatModelSkippedError: the model was not asked, or had no time; this does not count as its failure.
            ChatModelError: the model failed, took too long, broke off, or wrote nothing. Pieces may have come before.
        """
        text, n_sent = "", 0
        for piece in self.ask(build_messages(question, hits, history, self._window(), wide), self._patience, stopped):
            text += piece
            if not NO_ANSWER.startswith(text.strip()):  # else it may still become that sentence, and is held back
                yield text[n_sent:]
                n_sent = len(text)
        if text.strip() != NO_ANSWER and text[n_sent:]:
            yield text[n_sent:]

    def ask(
        self, messages: Sequence[BaseMessage], timeouts: Timeouts, stopped: threading.Event = NEVER_SET
    ) -> Iterator[str]:
        """Yields the model's reply to these messages as it is written, held to *timeouts*.

        Raises:
            ChatModelError: as of `stream`.
        """
        has_words = False
        with self._watched(stopped):
            for piece in self._pieces(messages, timeouts, stopped):
                has_words = has_words or bool(piece.strip())
                yield piece
            if not has_words and not stopped.is_set():
                raise ChatModelError("the answer was empty")

    def complete(self, messages: Sequence[BaseMessage], timeouts: Timeouts) -> Iterator[str]:
        """As `ask`, for optional work: asks only while the circuit is closed, and a failure does not open it.

        Raises:
            ChatModelError: as of `stream`.
        """
        if self._breaker.state != "closed":
            raise ChatModelSkippedError("it failed several times in a row, and is not asked for a while")
        yield from self._pieces(messages, timeouts, NEVER_SET)

    def _window(self) -> ContextWindow | None:
        return ContextWindow(self._here.window - self._max_tokens, self._here.count_tokens) if self._here else None

    @contextmanager
    def _watched(self, stopped: threading.Event) -> Iterator[None]:
        """Reports to the circuit breaker whether the model answered.

        Raises:
            ChatModelSkippedError: the circuit is open.
        """
        if not self._breaker.allow_request():
            raise ChatModelSkippedError("it failed several times in a row, and is not asked for a while")
        decided = False
        try:
            yield
            if not stopped.is_set():
                self._breaker.record_success()
                decided = True
        except ChatModelSkippedError:
            raise
        except ChatModelError:
            self._breaker.failed()
            decided = True
            raise
        finally:
            if not decided:
                self._breaker.release_probe()

    def _pieces(self, said: Sequence[BaseMessage], patience: Timeouts, stopped: threading.Event) -> Iterator[str]:
        """Yields what the model writes; raises at its first failure."""
        with closing(
            stream_in_thread(partial(self._attempt, said), patience, stopped, is_local=self.is_local)
        ) as pieces:
            for piece in pieces:
                if isinstance(piece, Exception):
                    raise self._failed(piece)
                yield piece

    def _attempt(self, said: Sequence[BaseMessage], is_over: Callable[[], bool]) -> Generator[str, None, None]:
        """Yields the pieces of one attempt, some of them empty, up to the longest answer; without retries or deadlines."""
        from langsmith import tracing_context

        n_characters, ended = 0, set[str]()
        how: dict[str, Any] = {"is_over": is_over} if self._here else {}
        with tracing_context(enabled=False), closing(cast("Any", self._model.stream(list(said), **how))) as chunks:
            for chunk in chunks:  # nothing phones home, whatever the environment says
                ended |= {name for name, value in chunk.response_metadata.items() if value}
                yield remove_unsendable(chunk.text)
                n_characters += len(chunk.text)
                if n_characters > self._max_tokens * CHARACTERS_PER_TOKEN:
                    return
        if self._end_mark and self._end_mark not in ended:
            raise ChatModelError("the answer was cut off")

    def _failed(self, failure: Exception) -> ChatModelError:
        """Returns the error to raise; it is not chained, because a server's message may hold the key that it refused."""
        log.debug("the chat model failed: %s", mask_secret(str(failure), self._secret))
        if self._here and self._here.stage == "loading":
            return ChatModelSkippedError("its weights are still being read")
        return failure if isinstance(failure, ChatModelError) else ChatModelError(failure_kind(failure))
