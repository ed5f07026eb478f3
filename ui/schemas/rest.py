"""The schemas of the REST interface's responses, as its OpenAPI document describes them; ui/serializers/ fills them."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from rag.records import SupportLevel


class ResponseSchema(BaseModel):
    """The base of responses. A later release may add fields: programs ignore those that they do not know."""

    model_config = ConfigDict(extra="allow")


class ErrorSchema(BaseModel):
    """Why a request was refused."""

    error: Annotated[str, Field(description="What is wrong, by which rule, and the way out.")]


class CitationSchema(ResponseSchema):
    """A stretch of a document that supports one sentence of the answer."""

    n: Annotated[int, Field(description="The number in brackets in the answer.")]
    passage_id: Annotated[str, Field(description="For /api/passages/{passage_id}, and for votes.")]
    source: str
    page: Annotated[int | None, Field(description="From 1, if the format has pages.")]
    start: Annotated[int, Field(description="In characters of the document's text.")]
    end: int
    quote: Annotated[str, Field(description="The text at that position, to the character.")]
    support: Annotated[float, Field(description="How well it supports the sentence, 0 to 1.")]
    found: Annotated[SupportLevel, Field(description="The support in a word.")]


class SentenceSchema(ResponseSchema):
    """One sentence of the answer, checked against what it cites."""

    text: str
    support: float
    found: SupportLevel


class AnswerSchema(ResponseSchema):
    """An answer and what it rests on."""

    turn_id: str
    asked: Annotated[str, Field(description="The question as it was sent.")]
    question: Annotated[
        str, Field(description="The question as it was searched: a follow-up is rewritten to stand alone.")
    ]
    answer: Annotated[str, Field(description="With marks such as [1], which the citations explain.")]
    declined: Annotated[bool, Field(description="Whether the documents hold no answer.")]
    reason: Annotated[str, Field(description="Why it declined; empty if it did not.")]
    encoder_id: Annotated[str, Field(description="The version of the retriever that found the passages.")]
    citations: list[CitationSchema]
    sentences: list[SentenceSchema]
    supported_share: Annotated[float | None, Field(description="The share of supported sentences, 0 to 1.")]
    rerank_cut: Annotated[bool, Field(description="Whether the reranker ran out of time.")]
    token: Annotated[str, Field(description="Sent along with votes on this answer and its passages.")]


class DuplicateSchema(ResponseSchema):
    """Another passage with the text of a hit."""

    passage_id: str
    source: str
    page: int | None


class HitSchema(ResponseSchema):
    """A passage that was found, with every score that put it there."""

    rank: Annotated[int, Field(description="From 1.")]
    passage_id: str
    source: str
    title: str
    text: str
    score: Annotated[
        float, Field(description="The score that decides the rank, together with the reranker's if there is one.")
    ]
    dense: Annotated[float, Field(description="Cosine of question and passage, -1 to 1.")]
    lexical: Annotated[float, Field(description="BM25 over its maximum for the question, 0 to 1.")]
    today: Annotated[float, Field(description="What today's votes added, or took away.")]
    rerank: Annotated[float | None, Field(description="The reranker's probability, 0 to 1.")]
    also_in: list[DuplicateSchema]


class SearchResultSchema(ResponseSchema):
    """The passages for a question, best first."""

    hits: list[HitSchema]
    rerank_cut: bool
    encoder_id: str


class PassageSchema(ResponseSchema):
    """A passage and where it is."""

    passage_id: str
    document_id: str
    source: str
    title: Annotated[str, Field(description="The title of the document.")]
    heading: Annotated[str, Field(description="The headings above the passage, outermost first.")]
    page: Annotated[int | None, Field(description="From 1, if the format has pages.")]
    start: Annotated[int, Field(description="In characters of the document's text.")]
    end: int
    text: str


class VerdictSchema(ResponseSchema):
    """What counts after a vote."""

    verdict: Annotated[str | None, Field(description="Null after the vote was withdrawn.")]
    promise: Annotated[str, Field(description="What the vote will do, in a sentence for the voter.")]


class IndexSchema(ResponseSchema):
    """The index that searches use."""

    state: str
    reason: str


class VersionSchema(ResponseSchema):
    """The version of the retriever that answers."""

    nightjar: Annotated[str, Field(description="The release of the application.")]
    encoder_id: str
    tier: Annotated[int, Field(description="0 is the base; 1 to 3 are the kinds of training.")]
    parent_id: str | None
    passage_side: str
    lexical_weight: float
    promoted_at: str
    reason: Annotated[str, Field(description="Why it was promoted.")]
    n_passages: int
    index: IndexSchema


class ReadinessSchema(ResponseSchema):
    """Whether questions are answered and votes kept."""

    status: str
    encoder_id: str
    index: IndexSchema
    generator: Annotated[dict[str, object], Field(description="What writes the answers, and its state.")]


class LivenessSchema(ResponseSchema):
    """Whether the process answers."""

    status: str
