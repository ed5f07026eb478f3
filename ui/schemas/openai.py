"""OpenAI's schemas for chat: what its clients send, and what they expect as an answer, an error or a model."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

OPENAI_PREFIX = "/v1"
OPENAI_MODEL_NAME = "nightjar"

ERROR_TYPE_BY_STATUS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}


class LenientSchema(BaseModel):
    """Ignores unknown fields, as OpenAI's own servers do with what a model can't use."""

    model_config = ConfigDict(extra="ignore")


class MessagePartSchema(LenientSchema):
    """A piece of a message's content."""

    type: str
    text: str = ""


class ChatMessageSchema(LenientSchema):
    """A message of the conversation, and the role of its author."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[MessagePartSchema] | None = None

    def text(self) -> str:
        """Returns its text; texts of several parts are joined by line breaks."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.content or () if part.type == "text")

    def part_types(self) -> set[str]:
        """Returns the types of its parts."""
        return {part.type for part in self.content} if isinstance(self.content, list) else {"text"}


class StreamOptionsSchema(LenientSchema):
    """Options of a stream."""

    include_usage: bool = False


class ChatCompletionRequest(LenientSchema):
    """A question with the messages before it."""

    model_config = ConfigDict(
        extra="ignore",
        json_schema_extra={
            "examples": [
                {"model": OPENAI_MODEL_NAME, "messages": [{"role": "user", "content": "Who can get the grant?"}]}
            ]
        },
    )

    model: Annotated[str, Field(description=f"Always {OPENAI_MODEL_NAME!r}: the version that answers now.")]
    messages: Annotated[
        list[ChatMessageSchema],
        Field(min_length=1, description="The last one is the question; those before it are what it follows up."),
    ]
    stream: Annotated[bool | None, Field(description="Whether the answer comes in pieces.")] = False
    stream_options: StreamOptionsSchema | None = None
    n: Annotated[int | None, Field(description="Always 1: a question has one answer.")] = 1
    tools: Annotated[list[Any] | None, Field(description="Refused: Nightjar calls no tools.")] = None
    functions: Annotated[list[Any] | None, Field(description="Refused, as tools are.")] = None
    metadata: Annotated[
        dict[str, str] | None, Field(description="conversation_id: the conversation under which the turn is stored.")
    ] = None


class UrlCitationSchema(BaseModel):
    """The passage that a mark such as [1] refers to."""

    start_index: Annotated[int, Field(description="Start of the mark, in characters of the message.")]
    end_index: int
    title: str
    url: Annotated[str, Field(description="The address of the passage on this server.")]
    content: Annotated[str, Field(description="The sentence that is quoted.")]


class AnnotationSchema(BaseModel):
    """A citation in the form in which OpenAI's models annotate what they found on the web."""

    type: Literal["url_citation"] = "url_citation"
    url_citation: UrlCitationSchema


class TokenUsageSchema(BaseModel):
    """Counts in tokens of Nightjar's own encoder."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class AssistantMessageSchema(BaseModel):
    """The answer."""

    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None
    annotations: list[AnnotationSchema] = []


class CompletionChoiceSchema(BaseModel):
    """The one answer that there is."""

    index: Literal[0] = 0
    message: AssistantMessageSchema
    finish_reason: Literal["stop"] = "stop"
    logprobs: None = None


class VoteDetailsSchema(BaseModel):
    """What OpenAI's schema has no field for; votes go to /api/verdicts."""

    turn_id: str
    token: Annotated[str, Field(description="Sent along with votes.")]
    encoder_id: str
    question: Annotated[str, Field(description="The question as it was searched.")]
    declined: bool
    passage_ids: Annotated[list[str], Field(description="The passages that were shown, best first.")]


class ChatCompletionResponse(BaseModel):
    """A whole answer."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: Annotated[int, Field(description="Seconds since 1970.")]
    model: str = OPENAI_MODEL_NAME
    choices: list[CompletionChoiceSchema]
    usage: TokenUsageSchema
    nightjar: VoteDetailsSchema


class OpenAIModelSchema(BaseModel):
    """A model that can be asked."""

    id: str = OPENAI_MODEL_NAME
    object: Literal["model"] = "model"
    created: int
    owned_by: str = OPENAI_MODEL_NAME


class OpenAIModelListResponse(BaseModel):
    """All models that can be asked."""

    object: Literal["list"] = "list"
    data: list[OpenAIModelSchema]


class OpenAIErrorDetailsSchema(BaseModel):
    """Why a request was refused."""

    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIErrorSchema(BaseModel):
    """An error as OpenAI's clients expect it."""

    error: OpenAIErrorDetailsSchema


def openai_error(message: str, status: int, *, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    """Returns an error as OpenAI's clients read it.

    >>> openai_error("no model 'x'", 404, param="model", code="model_not_found")["error"]["type"]
    'not_found_error'
    """
    kind = ERROR_TYPE_BY_STATUS.get(status, "server_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
