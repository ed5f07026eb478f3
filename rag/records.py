"""The nouns of the loop, as frozen records: documents, passages, hits, answers, turns, verdicts, judgments."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, get_args

VerdictName = Literal["helpful", "not_relevant", "pin", "outdated"]
"""What a person can say of a passage."""

AnswerVerdictName = Literal["answer_helpful", "answer_wrong_source", "answer_wrong", "answer_not_in_documents"]
"""What a person can say of an answer. Only the first reaches the retriever, as a weak positive."""

SupportLevel = Literal["supported", "partly", "not found"]
"""How far what is cited supports a sentence of an answer."""

MIN_SUPPORTED = 0.5
"""The least support of a supported sentence: half of its meaning, by the weight of its words, is in one stretch."""
MIN_PARTLY_SUPPORTED = 0.25

PASSAGE_VERDICTS: tuple[str, ...] = get_args(VerdictName)
ANSWER_VERDICTS: tuple[str, ...] = get_args(AnswerVerdictName)

HEADING_SEPARATOR = " › "  # between a heading and the one below it
MAX_HEADING_LENGTH = 120  # of the headings that are encoded, as `heading_length` counts


def utc_now() -> datetime:
    """The time in UTC, to the microsecond."""
    return datetime.now(UTC)


def support_level(support: float) -> SupportLevel:
    """The word for a support of 0 to 1.

    >>> [support_level(support) for support in (0.5, 0.3, 0.0)]
    ['supported', 'partly', 'not found']
    """
    return "supported" if support >= MIN_SUPPORTED else "partly" if support >= MIN_PARTLY_SUPPORTED else "not found"


def sha256_of(text: str) -> str:
    """Hex digest of a text; lone surrogates, which UTF-8 can't hold, are kept apart by an escape.

    >>> sha256_of("")[:8]
    'e3b0c442'
    """
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()


def encoded_text(title: str, heading: str, text: str) -> str:
    """What the encoder and BM25 read of a passage: title, headings, and then the text.

    Of headings of more than 120 characters (30 tokens of English) only the inner ones: they tell the most, and the
    text is what must not be cut off.

    >>> encoded_text("Guide", "Setup › Cables", "Use the red one.")
    'Guide\\nSetup › Cables\\nUse the red one.'
    >>> encoded_text("", "A" * 110 + HEADING_SEPARATOR + "Cables › Red", "Pull.")
    'Cables › Red\\nPull.'
    >>> encoded_text("", "設" * 90, "Pull.") == "設" * 30 + "\\nPull."
    True
    """
    return "\n".join(part for part in (title, _inner(heading), text) if part)


def _inner(heading: str) -> str:
    if heading_length(heading) <= MAX_HEADING_LENGTH:
        return heading
    start, left = len(heading), MAX_HEADING_LENGTH
    while (left := left - heading_length(heading[start - 1])) >= 0:
        start -= 1
    kept = heading[start:]
    return kept.partition(HEADING_SEPARATOR if HEADING_SEPARATOR in kept else " ")[2] or kept


def heading_length(text: str) -> int:
    """Returns the length of a heading; characters beyond Latin script count four times, because an encoder makes
    about one token of each.

    >>> heading_length("Über"), heading_length("設定")
    (4, 8)
    """
    return len(text) if text.isascii() else sum(1 if c < "\u0250" else 4 for c in text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One source as it was read: a file, or one line of a BEIR corpus."""

    document_id: str
    source: str
    """Where it came from, unique in the library: a path, or `dataset/beir-id`."""
    title: str
    media_type: str
    sha256: str
    """Of the bytes that were read; equal bytes are not read again."""
    text: str
    """The stored text that passage offsets count in, in characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A stretch of one document: what is encoded, found, shown, cited and judged."""

    passage_id: str
    document_id: str
    source: str
    title: str
    """The document's title; for BEIR, the line's own title."""
    heading: str
    """The headings above the passage, outermost first, joined by LEVEL_MARK; may be empty."""
    text: str
    """Exactly `document.text[start:end]`."""
    start: int
    end: int
    page: int | None = None
    """1-based, if the format has pages."""
    external_id: str | None = None
    """The BEIR id, if the passage came with one."""

    @property
    def encoded_text(self) -> str:
        """What the encoder and BM25 read; see `encoded_text`."""
        return encoded_text(self.title, self.heading, self.text)

    @property
    def text_sha256(self) -> str:
        """Names the passage's vector: equal encoded texts share one."""
        return sha256_of(self.encoded_text)

    @property
    def public_id(self) -> str:
        """The id shown outside: the BEIR id if there is one."""
        return self.external_id or self.passage_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A passage found for a question, with every score that put it there."""

    passage: Passage
    rank: int
    """1-based."""
    score: float
    """dense + lexical_weight · lexical + lift; decides the rank, with `rerank` next to it if that is there."""
    dense: float
    """Cosine of question and passage, -1 to 1."""
    lexical: float
    """BM25 over its maximum for the question, 0 to 1."""
    feedback_boost: float = 0.0
    """What today's votes on questions like this one added; below 0 if they took away. 0 in all measuring."""
    rerank: float | None = None
    """The reranker's probability that the passage is right, 0 to 1; None if it was not read."""
    also_in: tuple[Passage, ...] = ()
    """Passages found for the same question that say no more than this one, best first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """A stretch of a passage that supports one sentence of an answer."""

    n: int
    """The number in brackets in the answer, 1-based."""
    passage_id: str
    source: str
    page: int | None
    start: int
    """In characters of the document's stored text."""
    end: int
    quote: str
    """Exactly `document.text[start:end]`."""
    support: float
    """How well the stretch supports the sentence, 0 to 1."""

    @property
    def found(self) -> SupportLevel:
        """The same in a word."""
        return support_level(self.support)


@dataclass(frozen=True, slots=True)
class CheckedSentence:
    """One sentence of an answer, after it was looked for in the passages that it cites."""

    text: str
    """Without its marks."""
    support: float
    """Of the passage that supports it best, 0 to 1; 0 if it cites none."""

    @property
    def found(self) -> SupportLevel:
        """The same in a word."""
        return support_level(self.support)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a question got: a text with [n] marks, what it rests on, and what was found."""

    turn_id: str
    question: str
    text: str
    declined: bool
    reason: str
    """Why it declined; empty if it did not."""
    encoder_id: str
    """The retriever version that answered."""
    citations: tuple[Citation, ...] = ()
    hits: tuple[Hit, ...] = ()
    seconds: float = 0.0
    asked: str = ""
    """The question as it was typed; `question` is what was searched for."""
    sentences: tuple[CheckedSentence, ...] = ()
    """Every sentence of the text, in reading order."""
    rerank_is_cut: bool = False
    """Whether the reranker's time was spent before it had read all that it was to read."""
    fell_back: bool = False
    """Whether the language model failed, so that the best sentences were quoted instead of its answer or after it."""

    @property
    def supported_share(self) -> float:
        """The share of sentences that are supported, 0 to 1; 1 if there is none."""
        return (
            sum(sentence.found == "supported" for sentence in self.sentences) / len(self.sentences)
            if self.sentences
            else 1.0
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownPassage:
    """One passage as it was shown for a turn."""

    passage_id: str
    rank: int
    score: float
    dense: float
    lexical: float
    cited: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One question with all that was shown for it."""

    turn_id: str
    conversation_id: str
    user: str
    question: str
    answer: str
    declined: bool
    encoder_id: str
    asked_at: datetime
    origin: Literal["asked", "imported", "simulated", "compared"] = "asked"
    shown: tuple[ShownPassage, ...] = ()
    asked: str = ""
    """As it was typed, if a follow-up was searched in other words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one person says of one passage (or of the answer) of one turn. The latest one counts."""

    user: str
    turn_id: str
    question: str
    passage_id: str | None
    """None if the verdict is about the answer."""
    verdict: str
    """One of PASSAGE_VERDICTS or ANSWER_VERDICTS."""
    comment: str = ""
    given_at: datetime = field(default_factory=utc_now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgment:
    """What the verdicts of all people on one (question, passage) add up to."""

    question: str
    passage_id: str
    label: Literal["positive", "negative"]
    probability: float
    """That the label is right: the mean of a Beta posterior over the people who said so."""
    n_people: int
    weight: float
    """How much it counts in training, 0 to 1."""
    latest_at: datetime
