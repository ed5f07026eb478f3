"""Nightjar's answers in OpenAI's format: messages with annotations, chunks of a stream, counts of tokens."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rag.answering.answerer import SearchFinished, TextDelta
from rag.records import Answer, Citation
from rag.splitting.token_offsets import PassageTokenizer
from ui.actions.ask import AnswerEvent, FinishedAnswer
from ui.schemas.openai import (
    OPENAI_MODEL_NAME,
    AnnotationSchema,
    AssistantMessageSchema,
    ChatCompletionResponse,
    CompletionChoiceSchema,
    TokenUsageSchema,
    UrlCitationSchema,
    VoteDetailsSchema,
)

_MARK = re.compile(r"\[(\d+)\]")


def chat_completion(
    finished: FinishedAnswer, base_url: str, created: int, usage: TokenUsageSchema
) -> ChatCompletionResponse:
    """Returns the whole answer; *base_url* is the address of the application, "http://HOST:PORT"."""
    message = AssistantMessageSchema(
        content=finished.answer.text, annotations=url_annotations(finished.answer, base_url)
    )
    return ChatCompletionResponse(
        id=completion_id(finished.answer.turn_id),
        created=created,
        choices=[CompletionChoiceSchema(message=message)],
        usage=usage,
        nightjar=vote_details(finished),
    )


class ChatCompletionChunks:
    """Makes the chunks of a streamed answer."""

    def __init__(self, created: int, site: str) -> None:
        self._site = site
        self._frame: dict[str, Any] = {
            "id": "",
            "object": "chat.completion.chunk",
            "created": created,
            "model": OPENAI_MODEL_NAME,
        }

    def for_event(self, event: AnswerEvent, usage: TokenUsageSchema | None = None) -> list[dict[str, Any]]:
        """Returns the chunks for *event*; the last event brings annotations, what votes need and the *usage*, if given."""
        if isinstance(event, SearchFinished):
            self._frame["id"] = completion_id(event.turn_id)
            return [self._chunk({"role": "assistant", "content": ""})]
        if isinstance(event, TextDelta):
            return [self._chunk({"content": event.delta})]
        noted = [annotation.model_dump() for annotation in url_annotations(event.answer, self._site)]
        end = self._chunk({"annotations": noted}, "stop") | {"nightjar": vote_details(event).model_dump()}
        return [end, *([self._frame | {"choices": [], "usage": usage.model_dump()}] if usage else [])]

    def _chunk(self, delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        return self._frame | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}


def completion_id(turn_id: str) -> str:
    """Returns the id of an answer for OpenAI's clients.

    >>> completion_id("a1")
    'chatcmpl-a1'
    """
    return f"chatcmpl-{turn_id}"


def url_annotations(answer: Answer, site: str) -> list[AnnotationSchema]:
    """Returns an annotation for each mark in the text that names a citation; marks of one number take its citations in turn."""
    remaining: dict[int, list[Citation]] = defaultdict(list)
    for citation in answer.citations:
        remaining[citation.n].append(citation)
    annotations = []
    for mark in _MARK.finditer(answer.text):
        citations = remaining.get(int(mark[1]), [])
        if citations:
            citation = citations.pop(0) if len(citations) > 1 else citations[0]
            annotations.append(AnnotationSchema(url_citation=_url_citation(citation, answer, mark.span(), site)))
    return annotations


def _url_citation(citation: Citation, answer: Answer, span: tuple[int, int], site: str) -> UrlCitationSchema:
    passage = next(hit.passage for hit in answer.hits if hit.passage.passage_id == citation.passage_id)
    page = f", page {citation.page}" if citation.page else ""
    name = citation.source if passage.external_id else Path(citation.source).name
    url = f"{site}/api/passages/{quote(passage.public_id, safe='')}"
    return UrlCitationSchema(
        start_index=span[0], end_index=span[1], title=f"{passage.title or name}{page}", url=url, content=citation.quote
    )


def vote_details(finished: FinishedAnswer) -> VoteDetailsSchema:
    """Returns what a client needs to send votes."""
    answer = finished.answer
    return VoteDetailsSchema(
        turn_id=answer.turn_id,
        token=finished.token,
        encoder_id=answer.encoder_id,
        question=answer.question,
        declined=answer.declined,
        passage_ids=[hit.passage.public_id for hit in answer.hits],
    )


def count_usage(folder: Path, messages: Iterable[str], answer: str) -> TokenUsageSchema:
    """Counts the tokens of the messages and of the answer, as the encoder in *folder* splits them."""
    counted = _tokens(folder).starts([*messages, answer])
    n_prompt, n_answer = sum(len(tokens) for tokens in counted[:-1]), len(counted[-1])
    return TokenUsageSchema(prompt_tokens=n_prompt, completion_tokens=n_answer, total_tokens=n_prompt + n_answer)


@lru_cache(maxsize=2)
def _tokens(folder: Path) -> PassageTokenizer:
    return PassageTokenizer(folder)


def earlier_exchanges(messages: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Returns questions and answers, oldest first, from the (role, text) of the messages before the question.

    >>> messages = [("user", "Who?"), ("assistant", "Nurses."), ("user", "Oh"), ("user", "When?")]
    >>> earlier_exchanges([("system", "Be brief."), *messages])
    [('Who?', 'Nurses.'), ('Oh', ''), ('When?', '')]
    """
    pairs: list[tuple[str, str]] = []
    for role, text in messages:
        if role == "user":
            pairs.append((text, ""))
        elif role == "assistant" and pairs:
            question, answer = pairs[-1]
            pairs[-1] = (question, f"{answer}\n{text}".strip())
    return pairs
