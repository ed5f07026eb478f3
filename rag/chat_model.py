"""An answer written by a chat model from numbered passages: streamed, kept to a length and a deadline."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from functools import cache
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, NoReturn, TypedDict
from urllib.parse import urlsplit

from rag.errors import ChatModelError, SettingsError
from rag.prompt import NO_ANSWER, earlier, numbered, prompt, sendable
from rag.records import Hit

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from pydantic import SecretStr

CHARACTERS_PER_TOKEN = 10  # more than any tokeniser has on average; for endpoints that know no limit

END_MARKS = {"openai": "finish_reason", "ollama": "done_reason"}
"""What a provider's last piece says; where it never came, the answer was cut. Others are taken at their word."""

log = logging.getLogger(__name__)


class ChatModelOptions(TypedDict, total=False):
    """How a chat model is reached; see `ChatModel.open`."""

    base_url: str | None
    api_key: SecretStr | None
    timeout_s: float
    max_tokens: int


class ChatModel:
    """A chat model of any provider that LangChain knows. Threads may share it."""

    def __init__(
        self,
        model: BaseChatModel,
        *,
        timeout_s: float = 60.0,
        max_characters: int = 5_120,
        end_mark: str | None = None,
        secret: SecretStr | None = None,
    ) -> None:
        self._chain = prompt() | model
        self._timeout_s = timeout_s
        self._max_characters = max_characters
        self._end_mark = end_mark
        self._secret = secret
        self._loop = _event_loop()

    @classmethod
    def open(
        cls,
        name: str,
        *,
        base_url: str | None = None,
        api_key: SecretStr | None = None,
        timeout_s: float = 60.0,
        max_tokens: int = 512,
    ) -> ChatModel:
        """The model "PROVIDER:NAME" of LangChain's `init_chat_model`; asks it nothing yet.

        *timeout_s* is for a whole answer, one more try included. *max_tokens* is the longest answer.

        Raises:
            SettingsError: there is no such provider, its package is not installed, or it refuses what it is given.
        """
        from langchain.chat_models import init_chat_model

        provider = _checked_provider(name)
        _check_url(base_url)
        # ChatOllama knows none of the names that the others share; deadline and length are also kept here.
        shared = {"max_tokens": max_tokens, "timeout": timeout_s, "max_retries": 1}
        how: dict[str, Any] = {"num_predict": max_tokens} if provider == "ollama" else shared
        how |= {key: value for key, value in {"base_url": base_url, "api_key": api_key}.items() if value}
        try:
            model = init_chat_model(name, **how)
        except ImportError as error:
            raise SettingsError(f"generator.model is {name!r}, and what it needs is not installed: "
                                f"{_way_to_install(provider, error)}") from error  # fmt: skip
        except Exception as error:  # noqa: BLE001 - each provider's package raises errors of its own
            _refuse(name, error, api_key)
        return cls(model, timeout_s=timeout_s, max_characters=max_tokens * CHARACTERS_PER_TOKEN,
                   end_mark=END_MARKS.get(provider), secret=api_key)  # fmt: skip

    def stream(self, question: str, hits: Sequence[Hit], history: Sequence[tuple[str, str]] = ()) -> Iterator[str]:
        """The answer in pieces; none at all where the model finds no answer in the passages.

        *history* holds earlier questions and their answers, oldest first. A reader that leaves ends the writing.

        Raises:
            ChatModelError: the model failed, took too long, broke off, or wrote nothing. Pieces may have come before.
        """
        inputs = {"history": earlier(history), "passages": numbered(hits), "question": sendable(question)}
        text, told = "", 0
        for piece in self._pieces(inputs):
            text += piece
            if not NO_ANSWER.startswith(text.strip()):  # else it may still become that sentence, and is held back
                yield text[told:]
                told = len(text)
        if not text.strip():
            raise ChatModelError("the answer was empty")
        if text.strip() != NO_ANSWER and text[told:]:
            yield text[told:]

    def _pieces(self, inputs: Mapping[str, object]) -> Iterator[str]:
        """What the model writes, handed over from the event loop's thread to this one."""
        pieces: SimpleQueue[str | None] = SimpleQueue()
        writing = asyncio.run_coroutine_threadsafe(self._write(inputs, pieces.put), self._loop)
        writing.add_done_callback(lambda _: pieces.put(None))
        try:
            while (piece := pieces.get()) is not None:
                yield piece
        finally:
            writing.cancel()  # where the reader left; else it is over
        failure = writing.exception()
        if failure:
            log.debug("the chat model failed: %s", without_secret(str(failure), self._secret))
            # Not chained: the message of a server may hold the key that it refused.
            raise failure if isinstance(failure, ChatModelError) else ChatModelError(kind_of(failure))

    async def _write(self, inputs: Mapping[str, object], tell: Callable[[str], None]) -> None:
        """Tells the pieces as they come, until the model ends, has written enough, or the time is over."""
        from langsmith import tracing_context

        n_characters, ended = 0, set[str]()
        with tracing_context(enabled=False):  # nothing phones home, whatever the environment says
            async with asyncio.timeout(self._timeout_s), aclosing(self._chain.astream(dict(inputs))) as chunks:  # type: ignore[type-var]  # an async generator, declared as an iterator
                async for chunk in chunks:
                    if (task := asyncio.current_task()) and task.cancelling():
                        raise asyncio.CancelledError  # lost below: Python 3.11's wait_for, where a piece was just ready
                    ended |= {name for name, value in chunk.response_metadata.items() if value}
                    n_characters += len(chunk.text)
                    if piece := sendable(chunk.text):
                        tell(piece)
                    if n_characters > self._max_characters:
                        return
        if self._end_mark and self._end_mark not in ended:
            raise ChatModelError("the answer was cut off")


def kind_of(failure: BaseException) -> str:
    """What kind of failure it was, in the words of the provider's package; without its message, which may quote anything.

    >>> kind_of(TimeoutError("sk-123"))
    'TimeoutError'
    """
    failures = [failure]
    while failures[-1].__cause__ and len(failures) < 4:  # a refused connection is wrapped three times
        failures.append(failures[-1].__cause__)
    status = getattr(failure, "status_code", None)
    names = " from ".join(type(one).__name__ for one in failures)
    return f"{names}, HTTP {status}" if isinstance(status, int) else names


def without_secret(text: str, secret: SecretStr | None) -> str:
    """The text with the secret masked.

    >>> from pydantic import SecretStr
    >>> without_secret("wrong key sk-123", SecretStr("sk-123"))
    'wrong key **********'
    """
    return text.replace(secret.get_secret_value(), str(secret)) if secret else text


@cache
def _event_loop() -> asyncio.AbstractEventLoop:
    """One for the process, in a thread of its own.

    Only a task of an event loop can be ended while it waits for a byte. And providers share connections between their
    models, which belong to the loop that opened them.
    """
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="chat models", daemon=True).start()
    return loop


def _checked_provider(name: str) -> str:
    provider, _, model = name.partition(":")
    if not provider or not model:
        raise SettingsError(f"generator.model is {name!r}, and this names no provider: write 'extractive', which quotes "
                            "the best sentences and needs no weights, or 'openai:NAME' or 'ollama:NAME'")  # fmt: skip
    return provider


def _check_url(base_url: str | None) -> None:
    if base_url is None:
        return
    parts = urlsplit(base_url)
    if "@" in parts.netloc:  # the value is not told: it holds a password
        raise SettingsError("generator.base_url holds a name or password: give the key as generator.api_key")
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise SettingsError(f"generator.base_url is {base_url!r}: write an address such as http://localhost:8000/v1")


def _way_to_install(provider: str, error: ImportError) -> str:
    return f"pip install 'nightjar-rag[{provider}]'" if provider in END_MARKS else str(error)


def _refuse(name: str, error: Exception, secret: SecretStr | None) -> NoReturn:
    """Not chained: a provider's message may hold what it was given."""
    said = without_secret(str(error).partition("\n")[0], secret)
    raise SettingsError(f"generator.model {name!r} can't be opened ({type(error).__name__}: {said}): correct it, or give "
                        "generator.api_key; a server that asks for no key takes any word") from None  # fmt: skip
