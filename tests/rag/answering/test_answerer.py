"""One turn: what was found, then the text, then the answer, stored with everything that was shown."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from rag.answering.answerer import (
    EMPTY_LIBRARY_REASON,
    MAX_QUESTION_LENGTH,
    NO_ANSWER_TEXT,
    Answerer,
    SearchFinished,
    TextDelta,
)
from rag.answering.followups import with_previous_question
from rag.embedding.encoder import Encoder
from rag.embedding.passage_vectors import PassageVectors
from rag.errors import UsageError
from rag.feedback.feedback_store import FeedbackStore
from rag.generation.generator import AnswerDraft, GenerationRequest, Generator, make_generator
from rag.index.bm25 import Bm25Index
from rag.index.exact_search import ExactIndex
from rag.library.library import Library
from rag.records import Answer, Document, Passage
from rag.retrieval.retriever import Retriever

PAGES = {
    "grant": "Small firms that lost a third of their income can get the grant. It is paid within six weeks.",
    "school": "Schools open again on 1 June. Pupils who eat at school still get free meals.",
    "travel": "Day trips to the coast by car are allowed. Staying overnight at a second home is not.",
    "tests": "Essential workers can apply for a test at any time.",
}
GRANT = "Who can get the grant?"


@pytest.fixture
def library(engine: Engine) -> Library:
    filled = Library(engine)
    put(filled, PAGES)
    return filled


def put(filled: Library, pages: dict[str, str]) -> None:
    """One document and one passage a page."""
    for name, text in pages.items():
        document = Document(
            document_id=f"d-{name}", source=f"{name}.txt", title=name, media_type="text/plain", sha256=name, text=text
        )
        filled.put(
            document,
            [
                Passage(
                    passage_id=f"p-{name}",
                    document_id=f"d-{name}",
                    source=f"{name}.txt",
                    title=name,
                    heading="",
                    text=text,
                    start=0,
                    end=len(text),
                    page=3,
                )
            ],
        )


def retriever_of(library: Library, encoder: Encoder) -> Retriever:
    vectors = PassageVectors(library.engine, encoder.passage_side)
    vectors.fill(encoder)
    passages = library.passages()
    lexical = Bm25Index.build(
        [passage.passage_id for passage in passages], [passage.encoded_text for passage in passages]
    )
    return Retriever(encoder, ExactIndex(vectors), lexical, library, vectors, lexical_weight=0.25)


def answerer_of(library: Library, encoder: Encoder, generator: Generator | None = None) -> Answerer:
    retriever = retriever_of(library, encoder)
    return Answerer(lambda: retriever, generator or make_generator(), library, FeedbackStore(library.engine), k=3)


class Writer:
    """A generator that writes a given text, word by word, as a language model would."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.asked: list[GenerationRequest] = []

    def stream(self, input: GenerationRequest) -> Iterator[AnswerDraft]:
        self.asked.append(input)
        yield from (AnswerDraft(word + " ") for word in self.text.split(" "))


def test_hits_come_first_then_the_text_then_the_answer(library, base_encoder):
    first, *middle, last = answerer_of(library, base_encoder).stream(GRANT)
    assert isinstance(first, SearchFinished)
    assert first.hits[0].passage.passage_id == "p-grant"
    assert first.encoder_id == base_encoder.encoder_id
    assert all(isinstance(event, TextDelta) for event in middle)
    assert isinstance(last, Answer)
    assert "".join(event.delta for event in middle) == last.text
    assert last.text.startswith("Small firms that lost a third of their income can get the grant. [1]")
    assert (last.turn_id, last.hits, last.declined) == (first.turn_id, first.hits, False)


def test_quote_is_the_stored_documents_text(library, base_encoder):
    answer = answerer_of(library, base_encoder).answer(GRANT)
    for citation in answer.citations:
        passage = library.get([citation.passage_id])[citation.passage_id]
        text = library.document(passage.document_id).text
        assert citation.quote == text[citation.start : citation.end]
        assert (citation.source, citation.page) == (passage.source, 3)


def test_turn_is_stored_with_all_that_was_shown(library, base_encoder):
    answer = answerer_of(library, base_encoder).answer(GRANT, user="ada", conversation_id="c1", origin="simulated")
    turn = FeedbackStore(library.engine).turn(answer.turn_id)
    assert (turn.user, turn.conversation_id, turn.origin, turn.question) == ("ada", "c1", "simulated", GRANT)
    assert (turn.answer, turn.declined, turn.encoder_id) == (answer.text, False, base_encoder.encoder_id)
    assert [
        (shown_hit.passage_id, shown_hit.rank, shown_hit.score, shown_hit.dense, shown_hit.lexical)
        for shown_hit in turn.shown
    ] == [(hit.passage.passage_id, hit.rank, hit.score, hit.dense, hit.lexical) for hit in answer.hits]
    assert {shown_hit.passage_id for shown_hit in turn.shown if shown_hit.cited} == {
        citation.passage_id for citation in answer.citations
    }


def test_turn_is_stored_before_the_answer_is_seen(library, base_encoder):
    feedback = FeedbackStore(library.engine)
    for event in answerer_of(library, base_encoder).stream(GRANT):
        assert feedback.n_turns() == (1 if isinstance(event, Answer) else 0)


def test_turn_that_is_left_half_way_is_stored_as_far_as_it_got(library, base_encoder):
    events = answerer_of(library, base_encoder).stream(GRANT)
    searched = next(events)
    assert isinstance(searched, SearchFinished)
    events.close()
    turn = FeedbackStore(library.engine).turn(searched.turn_id)
    assert (turn.answer, len(turn.shown)) == ("", 3)


def test_question_about_something_else_is_declined_with_a_reason(library, base_encoder):
    answer = answerer_of(library, base_encoder).answer("How tall is the Eiffel Tower?")
    assert (answer.declined, answer.text, answer.citations) == (True, NO_ANSWER_TEXT, ())
    assert "comes close enough" in answer.reason
    assert FeedbackStore(library.engine).turn(answer.turn_id).declined


def test_empty_library_declines_and_says_what_to_do(engine, base_encoder):
    answer = answerer_of(Library(engine), base_encoder).answer(GRANT)
    assert (answer.declined, answer.reason, answer.hits) == (True, EMPTY_LIBRARY_REASON, ())


@pytest.mark.parametrize("question", ["", "  \n", "x" * (MAX_QUESTION_LENGTH + 1)])
def test_empty_and_endless_questions_are_refused_and_not_stored(library, base_encoder, question):
    with pytest.raises(UsageError, match="the question"):
        answerer_of(library, base_encoder).answer(question)
    assert FeedbackStore(library.engine).n_turns() == 0


def test_k_says_how_many_passages_are_shown(library, base_encoder):
    assert len(answerer_of(library, base_encoder).answer(GRANT, k=2).hits) == 2


def test_an_answer_comes_from_one_retriever_although_another_is_promoted_meanwhile(library, base_encoder):
    retrievers = iter([retriever_of(library, base_encoder)])  # a second one would raise StopIteration
    answerer = Answerer(lambda: next(retrievers), make_generator(), library, FeedbackStore(library.engine))
    assert answerer.answer(GRANT).encoder_id == base_encoder.encoder_id


def test_other_generators_are_cited_by_their_marks(library, base_encoder):
    writer = Writer("Small firms get the grant [1]. The moon is far away [9].")
    answer = answerer_of(library, base_encoder, writer).answer(GRANT)
    assert answer.text == "Small firms get the grant [1]. The moon is far away. "
    assert [(citation.n, citation.passage_id) for citation in answer.citations] == [(1, "p-grant")]
    assert answer.citations[0].quote == "Small firms that lost a third of their income can get the grant."


def test_follow_up_is_searched_and_stored_with_the_question_before(library, base_encoder):
    writer = Writer("Within six weeks [1].")
    history = [(GRANT, "Small firms.")]
    answer = answerer_of(library, base_encoder, writer).answer("When is it paid?", history=history)
    assert answer.question == "Who can get the grant? When is it paid?"
    assert answer.hits[0].passage.passage_id == "p-grant"
    stored = FeedbackStore(library.engine).turn(answer.turn_id)
    assert (stored.question, stored.asked) == (answer.question, "When is it paid?")
    assert writer.asked[0].history == history


def test_a_short_question_that_finds_enough_alone_is_searched_alone(library, base_encoder):
    answer = answerer_of(library, base_encoder, Writer("On 1 June [1].")).answer(
        "When do schools open again?", history=[(GRANT, "Small firms.")]
    )
    assert answer.question == answer.asked == "When do schools open again?"
    assert answer.hits[0].passage.passage_id == "p-school"


def test_a_short_question_about_something_else_is_not_answered_with_what_was_asked_before(library, base_encoder):
    """It finds little alone, and so would find more behind any question."""
    put(library, {f"star-{n}": f"Star number {n} is a hot giant that shines above planet {n}." for n in range(60)})
    answerer = answerer_of(library, base_encoder, Writer("Nothing."))
    answer = answerer.answer("Which volcano erupted on Jupiter?", history=[(GRANT, "Small firms.")])
    assert answer.question == answer.asked
    assert "p-grant" not in {hit.passage.passage_id for hit in answer.hits}
    assert (
        answerer.answer("When is it paid?", history=[(GRANT, "Small firms.")]).hits[0].passage.passage_id == "p-grant"
    )


def test_question_that_stands_alone_is_left_alone():
    question = "Which schools open again in the first week of June?"
    assert with_previous_question(question, [GRANT]) == question
    assert with_previous_question("When?", []) == "When?"
