"""A language model in this process, by transformers: a LangChain chat model that streams, stops and tells what fails.

LangChain's own wrapper can't be stopped, and an error in its thread shows only as a timeout. Here whoever leaves the
stream ends the generation within a layer's work, and what goes wrong while generating is raised where it is read.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.messages import AIMessageChunk, BaseMessage, HumanMessage, SystemMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from pydantic import PrivateAttr

from rag.errors import ChatModelSkippedError
from rag.generation.chat.local_weights import POLL_INTERVAL_S, LocalWeights

ROLE_BY_MESSAGE_TYPE = {"human": "user", "ai": "assistant", "AIMessageChunk": "assistant", "system": "system"}
THREAD_JOIN_TIMEOUT_S = 30.0  # for a thread that was told to stop: it looks before every layer and every token

ShouldStop = Callable[[], bool]


class GenerationStoppedError(Exception):
    """Raised inside the model's own thread to leave a forward pass half way."""


class TransformersChat(BaseChatModel):
    """One model, one generation at a time. Threads may share it."""

    max_tokens: int = 512
    wait_s: float = 30.0
    """For the generation before this one to end."""

    _weights: LocalWeights = PrivateAttr()
    _turn: threading.Lock = PrivateAttr(default_factory=threading.Lock)

    @classmethod
    def over(cls, weights: LocalWeights, **fields: Any) -> Self:
        """A chat model over *weights*, which may still be on their way."""
        model = cls(**fields)
        model._weights = weights
        return model

    @property
    def stage(self) -> str:
        """What its weights are: "waiting", "loading", "ready" or "failed"."""
        return self._weights.stage

    @property
    def window(self) -> int:
        """How many tokens prompt and answer may have together."""
        return self._weights.window

    def count_tokens(self, messages: Sequence[BaseMessage]) -> int:
        """How many tokens these messages take, the template and the answer's beginning included."""
        return len(chat_token_ids(self._weights.tokenizer, messages))

    @property
    def _llm_type(self) -> str:
        return "transformers"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return generate_from_stream(self._stream(messages, stop, run_manager, **kwargs))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        *,
        is_over: ShouldStop = lambda: False,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        """The answer in pieces of whole words; *is_over* is asked before every layer and every token."""
        has_left = threading.Event()

        def ends() -> bool:
            return has_left.is_set() or is_over()

        model, tokenizer = self._weights.get(ends), self._weights.tokenizer
        with self._one_at_a_time(ends):
            running = _Generation(model, tokenizer, messages, is_over=ends, max_tokens=self.max_tokens, stop=stop)
            try:
                for text in running.streamer:
                    if text:
                        yield ChatGenerationChunk(message=AIMessageChunk(content=text))
            finally:
                has_left.set()
                running.join()
            why = running.outcome()
            yield ChatGenerationChunk(message=AIMessageChunk(content="", response_metadata={"finish_reason": why}))

    @contextmanager
    def _one_at_a_time(self, is_over: ShouldStop) -> Iterator[None]:
        """
        Raises:
            ChatModelSkippedError: the generation before this one did not end in time.
        """
        until = time.monotonic() + self.wait_s
        while not self._turn.acquire(timeout=POLL_INTERVAL_S):
            if is_over() or time.monotonic() > until:
                raise ChatModelSkippedError(f"the language model was busy for {self.wait_s:.0f} s with other answers")
        try:
            yield
        finally:
            self._turn.release()


class _Generation:
    """One run of `generate` in a thread of its own; what it raises is kept for whoever reads."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        messages: Sequence[BaseMessage],
        *,
        is_over: ShouldStop,
        max_tokens: int,
        stop: Sequence[str] | None,
    ) -> None:
        from transformers import TextIteratorStreamer

        self.streamer = TextIteratorStreamer(tokenizer, skip_prompt=True, skip_special_tokens=True)
        self._model, self._is_over, self._max_tokens = model, is_over, max_tokens
        self._ids = chat_token_ids(tokenizer, messages)
        self._how = {"stop_strings": list(stop), "tokenizer": tokenizer} if stop else {}
        self._failure: BaseException | None = None
        self._n_written = 0
        self._thread = threading.Thread(target=self._run, name="transformers", daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Waits for the thread's end; it was told to stop, or is done."""
        self._thread.join(THREAD_JOIN_TIMEOUT_S)

    def outcome(self) -> str:
        """Why it ended, in OpenAI's words; raises what it raised."""
        if self._failure is not None:
            raise self._failure
        return "length" if self._n_written >= self._max_tokens else "stop"

    def _run(self) -> None:
        try:
            self._generate()
        except BaseException as failure:  # noqa: BLE001 - handed to the reader, who raises it
            self._failure = failure
        finally:
            self.streamer.on_finalized_text("", stream_end=True)  # else a reader would wait for ever

    def _generate(self) -> None:
        import torch
        from transformers import StoppingCriteriaList

        ended_early = False  # asked after the end, is_over would be true of a reader who left with the last word

        def over(input_ids: Any, _scores: Any, **_: Any) -> Any:
            nonlocal ended_early
            ended_early = self._is_over()
            return torch.full((input_ids.shape[0],), ended_early, device=input_ids.device, dtype=torch.bool)

        model = self._model
        prompt = torch.tensor([self._ids], device=model.device)
        with torch.inference_mode(), interruptible(model, self._is_over):
            written = model.generate(
                prompt,
                attention_mask=torch.ones_like(prompt),
                max_new_tokens=self._max_tokens,
                streamer=self.streamer,
                stopping_criteria=StoppingCriteriaList([over]),
                **self._how,
            )
        self._n_written = written.shape[1] - len(self._ids)
        if ended_early:
            raise GenerationStoppedError("the reader left, or the time was spent")


@contextmanager
def interruptible(model: Any, is_over: ShouldStop) -> Iterator[None]:
    """Inside, a forward pass ends before its next layer once *is_over*: reading a long prompt can take a minute."""
    import torch

    def look(*_: object) -> None:
        if is_over():
            raise GenerationStoppedError("the reader left, or the time was spent")

    layers = [layer for module in model.modules() if isinstance(module, torch.nn.ModuleList) for layer in module]
    hooks = [layer.register_forward_pre_hook(look) for layer in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


# ---- messages → tokens


def chat_token_ids(tokenizer: Any, messages: Sequence[BaseMessage]) -> list[int]:
    """The messages in the model's own template, as token ids, up to where its answer begins.

    A template that knows no system message gets the rules at the top of the first question.
    """
    from jinja2 import TemplateError

    try:
        return _templated(tokenizer, messages)
    except TemplateError:
        return _templated(tokenizer, system_prompt_in_first_question(messages))


def _templated(tokenizer: Any, messages: Sequence[BaseMessage]) -> list[int]:
    said = [
        {"role": ROLE_BY_MESSAGE_TYPE[message.type], "content": remove_special_tokens(message.text, tokenizer)}
        for message in messages
    ]
    ids = tokenizer.apply_chat_template(said, add_generation_prompt=True, tokenize=True, return_dict=False)
    return list(ids)


def system_prompt_in_first_question(messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    """The messages without system ones, whose text now is at the top of the first question.

    >>> [one.content for one in system_prompt_in_first_question([SystemMessage("Rules."), HumanMessage("Who?")])]
    ['Rules.\\n\\nWho?']
    """
    rules = [message.text for message in messages if isinstance(message, SystemMessage)]
    rest = [message for message in messages if not isinstance(message, SystemMessage)]
    return [HumanMessage("\n\n".join([*rules, rest[0].text])), *rest[1:]]


def remove_special_tokens(text: str, tokenizer: Any) -> str:
    """The text in which no special token of this tokenizer is left: they would end the turn, or begin another's."""
    special = [token for token in tokenizer.all_special_tokens if token]
    special += [token.content for token in tokenizer.added_tokens_decoder.values() if token.special and token.content]
    pattern = "|".join(re.escape(token) for token in sorted(set(special), key=len, reverse=True))
    while pattern and (broken := re.sub(pattern, _broken, text)) != text:
        text = broken
    return text


def _broken(token: re.Match[str]) -> str:
    """The token with a blank after its first sign, which is then two tokens or more; a single sign is left out."""
    word = token.group()
    return f"{word[0]} {word[1:]}" if len(word) > 1 else ""
