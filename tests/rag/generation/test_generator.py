"""The extractive generator: right sentences, exact quotes, streamed; and no answer where nothing supports one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.embedding.encoder import Encoder
from rag.errors import SettingsError
from rag.generation.generator import AnswerDraft, GenerationRequest, make_generator
from rag.records import Hit, Passage

GRANT = "Who can get the grant?"
DOCUMENT = (
    "The scheme opened in May.\n\n"
    "Small firms that lost a third of their income can get the grant.\n"
    "The grant is paid once, within six weeks [4].\n\n"
    "Firms that went bankrupt can’t get the grant."
)


class Everywhere:
    """An encoder for which every text means the same, so that only words decide."""

    encoder_id = "everywhere"
    passage_side = "everywhere"

    def encode_queries(self, texts: Sequence[str]) -> np.ndarray:
        return np.ones((len(texts), 1), np.float32)

    encode_passages = encode_queries


def hit_of(
    text: str, rank: int = 1, *, document_id: str = "d", title: str = "", start: int = 0, score: float = 0.9
) -> Hit:
    passage = Passage(
        passage_id=f"{document_id}{rank}",
        document_id=document_id,
        source=f"{document_id}.txt",
        title=title,
        heading="",
        text=text,
        start=start,
        end=start + len(text),
    )
    return Hit(passage=passage, rank=rank, score=score, dense=score, lexical=0.0)


def found_by(encoder: Encoder, question: str, *texts: str, title: str = "") -> list[Hit]:
    """Hits with their true cosines, best first, each a document of its own."""
    cosines = encoder.encode_passages([f"{title}\n{text}" for text in texts]) @ encoder.encode_queries([question])[0]
    best = np.argsort(-cosines)
    return [
        hit_of(texts[row], rank, document_id=f"d{row}", title=title, score=float(cosines[row]))
        for rank, row in enumerate(best, start=1)
    ]


def draft_of(question: str, hits: list[Hit], encoder: Encoder | Everywhere) -> AnswerDraft:
    return sum(make_generator().stream(GenerationRequest(question=question, hits=hits, encoder=encoder)), AnswerDraft())


@settings(deadline=None)  # the first answer imports
@given(
    st.lists(st.text(st.sampled_from("ab .?!:\n-1[]é—語。"), max_size=80), min_size=1, max_size=4),
    st.integers(0, 50),
)
def test_every_quote_is_the_documents_own_text(texts, offset):
    stored = "#" * offset + "".join(texts)
    starts = np.cumsum([offset, *map(len, texts)])
    hits = [
        hit_of(text, rank, start=int(start))
        for rank, (text, start) in enumerate(zip(texts, starts[:-1], strict=True), 1)
    ]
    draft = draft_of(" ".join(texts), hits, Everywhere())
    assert draft.declined or 1 <= len(draft.citations) <= 4
    for citation in draft.citations:
        assert citation.quote == stored[citation.start : citation.end] != ""
        assert f" [{citation.n}]" in draft.text
        assert citation.support == 1.0


def test_answer_quotes_the_sentence_that_answers(base_encoder):
    hits = found_by(base_encoder, GRANT, DOCUMENT, "Libraries are closed on Sundays.")
    draft = draft_of(GRANT, hits, base_encoder)
    assert "Small firms that lost a third of their income can get the grant. [1]" in draft.text
    assert "Sundays" not in draft.text


def test_quotes_stand_in_reading_order(base_encoder):
    draft = draft_of(GRANT, found_by(base_encoder, GRANT, DOCUMENT), base_encoder)
    starts = [citation.start for citation in draft.citations]
    assert len(starts) > 1
    assert starts == sorted(starts)


def test_the_best_passage_comes_first_and_is_quoted_as_it_reads():
    question = "How do I copy the state?"
    before = hit_of("Elsewhere its owner may copy the state.", 1, start=100, score=0.8)
    best = hit_of("End every program that owns the state. To copy the state, any tool is good.", 2, start=200)
    assert draft_of(question, [before, best], Everywhere()).text == (
        "End every program that owns the state. [2] To copy the state, any tool is good. [2] "
        "Elsewhere its owner may copy the state. [1]"
    )


def test_a_documents_own_reference_marks_dont_pass_for_citations():
    draft = draft_of("When is the grant paid?", [hit_of("The grant is paid within six weeks [4].")], Everywhere())
    assert draft.text == "The grant is paid within six weeks (4). [1]"
    assert draft.citations[0].quote == "The grant is paid within six weeks [4]."


def test_faq_is_answered_by_its_answer_not_by_its_question(base_encoder):
    question = "Can I visit my parents?"
    hits = found_by(base_encoder, question, "Can I visit my parents?\nNo, households must not mix for now.")
    assert draft_of(question, hits, base_encoder).text == "No, households must not mix for now. [1]"


def test_heading_is_evidence_and_not_quoted(base_encoder):
    question = "How can I get an advance payment?"
    hits = found_by(base_encoder, question, "It takes a day. Ask your adviser for it.", title="Advance payments")
    draft = draft_of(question, hits, base_encoder)
    assert "Ask your adviser for it. [1]" in draft.text
    assert "Advance payments" not in draft.text


def test_same_sentence_in_two_documents_is_quoted_once(base_encoder):
    sentence = "Small firms can get the grant."
    draft = draft_of(GRANT, found_by(base_encoder, GRANT, sentence, sentence), base_encoder)
    assert draft.text == "Small firms can get the grant. [1]"


def test_list_is_shown_item_by_item(base_encoder):
    question = "What should I bring to the appointment?"
    passage = "To the appointment bring:\n\n* your passport\n* proof of your permanent\naddress at home"
    assert draft_of(question, found_by(base_encoder, question, passage), base_encoder).text == (
        "To the appointment bring:\n- your passport\n- proof of your permanent address at home [1]"
    )


@pytest.mark.parametrize("question", ["How tall is the Eiffel Tower?", "Which virus causes measles?", "zxqv"])
def test_question_about_something_else_is_declined_with_a_reason(base_encoder, question):
    draft = draft_of(question, found_by(base_encoder, question, DOCUMENT), base_encoder)
    assert draft.text == ""
    assert "nothing in the library comes close enough" in draft.declined


def test_passages_without_a_word_are_declined():
    assert "no sentence to quote" in draft_of("anything", [hit_of("--- ***")], Everywhere()).declined


def test_sentences_arrive_one_by_one(base_encoder):
    evidence = GenerationRequest(question=GRANT, hits=found_by(base_encoder, GRANT, DOCUMENT), encoder=base_encoder)
    pieces = list(make_generator().stream(evidence))
    assert len(pieces) > 1
    assert all(len(piece.citations) == 1 for piece in pieces)


def test_generator_is_a_langchain_runnable_whose_pieces_add_up():
    from langchain_core.runnables import Runnable

    generator = make_generator()
    assert isinstance(generator, Runnable)
    evidence = GenerationRequest(question=GRANT, hits=[hit_of(DOCUMENT)], encoder=Everywhere())
    assert generator.invoke(evidence) == sum(generator.stream(evidence), AnswerDraft())


def test_unknown_generator_is_refused_with_what_is_supported():
    with pytest.raises(SettingsError, match=r"'gpt-9'.*'extractive'"):
        make_generator("gpt-9")
