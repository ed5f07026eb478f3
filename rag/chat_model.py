"""An answer written by a chat model from numbered passages: streamed, kept to a length and a deadline."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from queue import Empty, SimpleQueue
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

PAUSE_S = 0.5  # before the second try

Told = str | Exception | None
"""A piece, what went wrong, or the end."""

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
        model = open_model(name, base_url=base_url, api_key=api_key, timeout_s=timeout_s, max_tokens=max_tokens)
        return cls(model, timeout_s=timeout_s, max_characters=max_tokens * CHARACTERS_PER_TOKEN,
                   end_mark=END_MARKS.get(_checked_provider(name)), secret=api_key)  # fmt: skip

    def stream(self, question: str, hits: Sequence[Hit], history: Sequence[tuple[str, str]] = ()) -> Iterator[str]:
        """The answer in pieces; none at all where the model finds no answer in the passages.

        *history* holds earlier questions and their answers, oldest first. A reader that leaves ends the writing.

        Raises:
            ChatModelError: the model failed, took too long, broke off, or wrote nothing. Pieces may have come before.
        """
        inputs: dict[str, object] = {
            "history": earlier(history),
            "passages": numbered(hits),
            "question": sendable(question),
        }
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

    def _pieces(self, inputs: dict[str, object]) -> Iterator[str]:
        """What the model writes in a thread of its own: a read from the network can't be ended, but it can be left.

        A thread that is left ends with its next piece, or when the connection does.
        """
        told: SimpleQueue[Told] = SimpleQueue()
        has_left, deadline = threading.Event(), time.monotonic() + self._timeout_s

        def is_over() -> bool:
            return has_left.is_set() or time.monotonic() > deadline

        threading.Thread(target=self._write, args=(inputs, told.put, is_over), name="chat model", daemon=True).start()
        try:
            while (piece := _next(told, deadline)) is not None:
                if isinstance(piece, Exception):
                    raise self._failed(piece)
                yield piece
        finally:
            has_left.set()

    def _write(self, inputs: dict[str, object], tell: Callable[[Told], None], is_over: Callable[[], bool]) -> None:
        """Tells the pieces as they come, then None, or what went wrong. Tries once more where nothing was told yet."""
        has_begun = False
        for is_last in (False, True):
            try:
                with closing(self._attempt(inputs)) as pieces:
                    for piece in pieces:
                        if piece:
                            tell(piece)
                            has_begun = True
                        if is_over():
                            raise TimeoutError
                return tell(None)
            except Exception as error:  # noqa: BLE001 - each provider's package raises errors of its own
                if is_last or has_begun or is_over() or not may_pass(error):
                    return tell(error)
                time.sleep(PAUSE_S)
        return None

    def _attempt(self, inputs: dict[str, object]) -> Generator[str]:
        """The model's pieces, some of them empty, no further than the longest answer."""
        from langsmith import tracing_context

        n_characters, ended = 0, set[str]()
        with tracing_context(enabled=False):  # nothing phones home, whatever the environment says
            for chunk in self._chain.stream(inputs):
                ended |= {name for name, value in chunk.response_metadata.items() if value}
                yield sendable(chunk.text)
                n_characters += len(chunk.text)
                if n_characters > self._max_characters:
                    return
        if self._end_mark and self._end_mark not in ended:
            raise ChatModelError("the answer was cut off")

    def _failed(self, failure: Exception) -> ChatModelError:
        """Not chained: the message of a server may hold the key that it refused."""
        log.debug("the chat model failed: %s", without_secret(str(failure), self._secret))
        return failure if isinstance(failure, ChatModelError) else ChatModelError(kind_of(failure))


def open_model(
    name: str, *, base_url: str | None, api_key: SecretStr | None, timeout_s: float, max_tokens: int
) -> BaseChatModel:
    """LangChain's own chat model, as `ChatModel.open` takes it; for what is not an answer.

    Raises:
        SettingsError: there is no such provider, its package is not installed, or it refuses what it is given.
    """
    from langchain.chat_models import init_chat_model

    provider = _checked_provider(name)
    _check_url(base_url)
    how: dict[str, Any] = {"max_tokens": max_tokens, "timeout": timeout_s, "max_retries": 0}
    if provider == "ollama":  # it has names of its own, and ignores the common ones without a word
        how = {"num_predict": max_tokens, "client_kwargs": {"timeout": timeout_s}}
    how |= {key: value for key, value in {"base_url": base_url, "api_key": api_key}.items() if value}
    try:
        model: BaseChatModel = init_chat_model(name, **how)
    except ImportError as error:
        raise SettingsError(f"generator.model is {name!r}, and what it needs is not installed: "
                            f"{_way_to_install(provider, error)}") from error  # fmt: skip
    except Exception as error:  # noqa: BLE001 - each provider's package raises errors of its own
        _refuse(name, error, api_key)
    return model


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


def may_pass(failure: Exception) -> bool:
    """Whether the same question, asked again at once, may succeed: not where the server refuses it.

    >>> may_pass(ConnectionError())
    True
    """
    status = getattr(failure, "status_code", None)
    refused = isinstance(status, int) and status < 500 and status != 429
    return not refused and not isinstance(failure, ChatModelError)


def without_secret(text: str, secret: SecretStr | None) -> str:
    """The text with the secret masked.

    >>> from pydantic import SecretStr
    >>> without_secret("wrong key sk-123", SecretStr("sk-123"))
    'wrong key **********'
    """
    return text.replace(secret.get_secret_value(), str(secret)) if secret else text


def _next(told: SimpleQueue[Told], deadline: float) -> Told:
    """The next piece, waited for until *deadline*, in seconds of the monotonic clock."""
    try:
        return told.get(timeout=max(0.0, deadline - time.monotonic()))
    except Empty:
        return TimeoutError()


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
