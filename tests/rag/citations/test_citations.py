"""Citations are checked whoever wrote the answer: exact stretches, no dead marks, unsupported sentences named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.citations.citations import (
    MAX_SUPPORT_WITHOUT_NAME,
    MAX_SUPPORT_WITHOUT_NUMBER,
    check_citations,
    drop_unsupported_sentences,
    find_verbatim,
    neutralise_marks,
    split_claims,
    strip_unknown_citations,
)
from rag.records import MIN_SUPPORTED, Hit, Passage
from rag.text.sentences import format_quote, split_sentences

GRANT = "Small firms that lost a third of their income can get the grant. It is paid within six weeks."
MASKS = "Masks must be worn in shops. Children under 11 need none."


def hits_of(*texts: str) -> list[Hit]:
    return [
        Hit(
            passage=Passage(
                passage_id=f"p{n}",
                document_id=f"d{n}",
                source=f"d{n}.txt",
                title="",
                heading="",
                text=text,
                start=100,
                end=100 + len(text),
            ),
            rank=n,
            score=0.5,
            dense=0.5,
            lexical=0.0,
        )
        for n, text in enumerate(texts, start=1)
    ]


def test_verbatim_claim_has_full_support_and_its_exact_stretch():
    (citation,) = check_citations("it is paid  within six weeks [1].", hits_of(GRANT)).citations
    assert (citation.quote, citation.support) == ("It is paid within six weeks.", 1.0)
    assert (citation.start, citation.end) == (100 + GRANT.index("It is"), 100 + len(GRANT))


def test_reworded_claim_is_supported_by_the_nearest_sentence_and_less():
    (citation,) = check_citations(
        "The grant goes to small firms with a lost third of income [1].", hits_of(GRANT)
    ).citations
    assert citation.quote == "Small firms that lost a third of their income can get the grant."
    assert MIN_SUPPORTED < citation.support < 1.0


def test_claim_from_two_sentences_is_supported_by_both():
    (citation,) = check_citations("Small firms can get the grant within six weeks [1].", hits_of(GRANT)).citations
    assert citation.quote == GRANT


def test_wrong_number_is_not_supported():
    cited = check_citations("Children under 12 need none [1].", hits_of(MASKS))
    assert cited.citations[0].support <= MAX_SUPPORT_WITHOUT_NUMBER
    assert cited.unsupported == ("Children under 12 need none.",)


@pytest.mark.parametrize(
    ("claim", "found"),
    [
        ("The pump was sold from March 3, 2024 for 1,250 euros [1].", "supported"),
        ("The pump was sold from 2024-03-03 for €1250 [1].", "supported"),
        ("The pump was sold from 4 March 2024 for 1250 euros [1].", "not found"),
        ("The pump was sold from 3 March 2024 for 1250 dollars [1].", "not found"),
        ("The pump by Siemens was sold from 3 March 2024 for 1250 euros [1].", "partly"),
    ],
)
def test_numbers_dates_units_and_names_must_stand_in_what_is_cited(claim, found):
    cited = check_citations(claim, hits_of("The pump was sold by Acme from 3 March 2024 for 1 250 € or 1250 euros."))
    assert [citation.found for citation in cited.citations] == [found]
    assert [sentence.found for sentence in cited.sentences] == [found]


def test_name_in_the_title_of_the_passage_is_known():
    passage = Passage(
        passage_id="p",
        document_id="d",
        source="d.txt",
        title="Paris",
        heading="",
        text="The tower is 330 metres tall.",
        start=0,
        end=29,
    )
    claim = "The tower in Paris is 330 m tall [1]."
    assert (
        check_citations(claim, [Hit(passage=passage, rank=1, score=0.5, dense=0.5, lexical=0.0)]).sentences[0].support
        > MAX_SUPPORT_WITHOUT_NAME
    )
    assert check_citations(claim, hits_of(passage.text)).sentences[0].support == MAX_SUPPORT_WITHOUT_NAME


def test_unsupported_sentences_are_left_out_with_their_marks():
    answer = (
        "Masks must be worn in shops [2]. Children under 12 need none. [2] It is paid within six weeks [1]. Ask me."
    )
    assert drop_unsupported_sentences(answer, hits_of(GRANT, MASKS)) == (
        "Masks must be worn in shops [2]. It is paid within six weeks [1]."
    )


def test_marks_that_name_no_hit_are_taken_out():
    cited = check_citations("Masks must be worn in shops [2][7]. So be it [9].", hits_of(GRANT, MASKS))
    assert cited.text == "Masks must be worn in shops [2]. So be it."
    assert [citation.n for citation in cited.citations] == [2]


def test_sentence_without_a_mark_is_unsupported():
    assert check_citations("Masks must be worn in shops.", hits_of(MASKS)).unsupported == (
        "Masks must be worn in shops.",
    )


def test_claim_that_names_the_wrong_passage_is_unsupported():
    cited = check_citations("Masks must be worn in shops [1].", hits_of(GRANT, MASKS))
    assert cited.citations[0].support < MIN_SUPPORTED
    assert cited.unsupported == ("Masks must be worn in shops.",)


@pytest.mark.parametrize(
    ("answer", "numbers"),
    [
        ("One. [1] Two. [2]", [(1,), (2,)]),
        ("One [1]. Two [2][3].", [(1,), (2, 3)]),
        ("One [1, 2]. Two.", [(1, 2), ()]),
        ("[1] One. Two [2].", [(1,), (2,)]),
        ("", []),
        ("[1]", []),
    ],
)
def test_marks_belong_to_the_sentence_that_they_end(answer, numbers):
    assert [claim.numbers for claim in split_claims(answer)] == numbers


@given(
    st.text(st.sampled_from("ab .?!:\n-12[],é語。"), max_size=200), st.text(st.sampled_from("ab. [1]2\n"), max_size=60)
)
def test_every_citation_is_a_slice_and_every_mark_left_is_alive(text, answer):
    cited = check_citations(answer, hits_of(text))
    for citation in cited.citations:
        assert citation.quote == text[citation.start - 100 : citation.end - 100]
        assert 0.0 <= citation.support <= 1.0
    assert strip_unknown_citations(cited.text, {1}) == cited.text


@given(st.text(st.sampled_from("ab .?!:\n-12é語。"), max_size=200))
def test_every_sentence_is_found_again_in_its_passage(text):
    for sentence in split_sentences(text):
        found = find_verbatim(format_quote(sentence.text), text)
        assert found is not None
        assert find_verbatim(text[slice(*found)], sentence.text) is not None


def test_neutral_marks_keep_their_numbers():
    assert neutralise_marks("shown [116, 117] and [a]") == "shown (116, 117) and [a]"
