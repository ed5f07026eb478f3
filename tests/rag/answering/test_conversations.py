"""Conversations: whose they are, how they are found, what stays of one that is deleted, and answers as they were."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, func, insert, select

from rag.accounts.erasure import erase_user_data
from rag.answering.conversations import MAX_TITLE_LENGTH, Conversations, DeletedConversation
from rag.answering.stored_answers import to_row
from rag.database.schema import read_connection, turns, vectors, verdict_events
from rag.errors import NotFoundError, UsageError
from rag.feedback.feedback_store import FeedbackStore
from rag.library.library import Library
from rag.records import (
    Answer,
    CheckedSentence,
    Citation,
    Document,
    Hit,
    Passage,
    ShownPassage,
    Turn,
    sha256_of,
    utc_now,
)

TEXT = "Owls hunt mice at night. Bats find moths by echoes."
OWLS = Passage(
    passage_id="p-owls",
    document_id="d",
    source="animals.md",
    title="Animals",
    heading="",
    text=TEXT[:24],
    start=0,
    end=24,
    page=2,
)
BATS = Passage(
    passage_id="p-bats",
    document_id="d",
    source="animals.md",
    title="Animals",
    heading="",
    text=TEXT[25:],
    start=25,
    end=len(TEXT),
    page=2,
)


@pytest.fixture
def library(engine: Engine) -> Library:
    filled = Library(engine)
    filled.put(
        Document(
            document_id="d", source="animals.md", title="Animals", media_type="text/markdown", sha256="s", text=TEXT
        ),
        [OWLS, BATS],
    )
    return filled


@pytest.fixture
def kept(library: Library) -> Conversations:
    return Conversations(library)


def ask(
    kept: Conversations,
    user: str,
    question: str,
    turn_id: str,
    conversation_id: str = "c",
    instead_of: str = "",
    answer: str = "Owls hunt mice at night. [1]",
) -> Answer:
    """A turn as `Answerer.stream` keeps it."""
    kept.enter(conversation_id, user, question)
    hits = (
        Hit(passage=OWLS, rank=1, score=0.9, dense=0.7, lexical=0.8, feedback_boost=0.1, rerank=0.6, also_in=(BATS,)),
        Hit(passage=BATS, rank=2, score=0.4, dense=0.3, lexical=0.2),
    )
    cited = Citation(
        n=1,
        passage_id="p-owls",
        source="animals.md",
        page=2,
        start=0,
        end=24,
        quote="Owls hunt mice at night.",
        support=0.9,
    )
    given = Answer(
        turn_id=turn_id,
        question=question,
        text=answer,
        declined=False,
        reason="",
        encoder_id="v1",
        citations=(cited,),
        hits=hits,
        seconds=0.25,
        asked=question,
        sentences=(CheckedSentence("Owls hunt mice at night.", 0.9), CheckedSentence("They sing.", 0.0)),
        rerank_is_cut=True,
        fell_back=True,
    )
    shown = tuple(
        ShownPassage(
            passage_id=hit.passage.passage_id,
            rank=hit.rank,
            score=hit.score,
            dense=hit.dense,
            lexical=hit.lexical,
            cited=hit.rank == 1,
        )
        for hit in hits
    )
    turn = Turn(
        turn_id=turn_id,
        conversation_id=conversation_id,
        user=user,
        question=question,
        answer=answer,
        declined=False,
        encoder_id="v1",
        asked_at=utc_now(),
        origin="asked",
        shown=shown,
        asked=question,
    )
    FeedbackStore(kept._library.engine).record_turn(turn, to_row(given, "ready", instead_of))
    return given


def titles(kept: Conversations, user: str = "ada", **how) -> list[str]:
    return [conversation.title for conversation in kept.of(user, **how)]


def n_rows(kept: Conversations, table) -> int:
    with read_connection(kept._library.engine) as connection:
        return connection.scalar(select(func.count()).select_from(table))


# ---- the list


def test_the_list_begins_with_the_conversation_that_was_asked_in_last(kept) -> None:
    ask(kept, "ada", "What do owls hunt?", "t1", "c1")
    ask(kept, "ada", "And bats?", "t2", "c2")
    ask(kept, "ada", "Only at night?", "t3", "c1")
    assert titles(kept) == ["What do owls hunt?", "And bats?"]
    assert titles(kept, limit=1, offset=1) == ["And bats?"]


def test_a_title_is_the_first_question_shortened_until_somebody_gives_another(kept) -> None:
    ask(kept, "ada", "Why " + "do owls hunt " * 20 + "?", "t1")
    assert len(titles(kept)[0]) <= MAX_TITLE_LENGTH
    assert titles(kept)[0].endswith("do owls…")
    kept.rename("c", "ada", "  Night\nbirds ")
    assert titles(kept) == ["Night birds"]
    kept.rename("c", "ada", "")
    assert titles(kept)[0].startswith("Why do owls hunt")


def test_a_conversation_is_found_by_its_title_its_questions_and_its_answers(kept) -> None:
    ask(kept, "ada", "What do OWLS eat?", "t1", "c1", answer="Mice.")
    ask(kept, "ada", "Und Füchse?", "t2", "c2", answer="50% of them: rab_bits")
    kept.rename("c2", "ada", "Foxes")
    assert titles(kept, words="owls") == titles(kept, words="mice") == ["What do OWLS eat?"]
    assert titles(kept, words="FÜCHSE") == titles(kept, words="fox") == titles(kept, words="50%") == ["Foxes"]


@pytest.mark.parametrize("words", ["%", "_its", "\\", "' OR 1=1 --"])
def test_signs_that_sql_reads_are_looked_for_as_they_are(kept, words) -> None:
    ask(kept, "ada", "What do owls eat?", "t1")
    assert titles(kept, words=words) == []


# ---- whose it is


def test_nobody_sees_renames_continues_or_deletes_what_is_anothers(kept) -> None:
    ask(kept, "ada", "What do owls hunt?", "t1")
    assert titles(kept, "ben") == titles(kept, "ben", words="owls") == []
    for act in (
        lambda: kept.get("c", "ben"),
        lambda: kept.exchanges("c", "ben"),
        lambda: kept.rename("c", "ben", "mine"),
        lambda: kept.delete("c", "ben"),
        lambda: kept.enter("c", "ben", "And mine?"),
    ):
        with pytest.raises(NotFoundError, match="of yours"):
            act()
    assert titles(kept) == ["What do owls hunt?"]


def test_words_of_another_persons_turns_find_nothing_of_ones_own(kept) -> None:
    """A program may ask under an id that it saw: its turn is in nobody else's conversation."""
    ask(kept, "ada", "What do owls hunt?", "t1")
    FeedbackStore(kept._library.engine).record_turn(
        Turn(
            turn_id="t2",
            conversation_id="c",
            user="ben",
            question="secret",
            answer="secret",
            declined=False,
            encoder_id="v1",
            asked_at=utc_now(),
        )
    )
    assert titles(kept, words="secret") == []
    assert [exchange.answer.turn_id for exchange in kept.exchanges("c", "ada")] == ["t1"]


def test_an_id_that_is_too_long_or_nothing_is_refused(kept) -> None:
    for wrong in ("", "x" * 101):
        with pytest.raises(UsageError, match="1 to 100 characters"):
            kept.enter(wrong, "ada", "What?")


# ---- answers as they were


def test_an_exchange_is_read_again_just_as_it_was(kept) -> None:
    given = ask(kept, "ada", "What do owls hunt?", "t1")
    (again,) = kept.exchanges("c", "ada")
    assert again.answer == given
    assert (again.index_state, again.instead_of, again.removed) == ("ready", "", frozenset())


def test_a_question_asked_again_names_the_turn_before(kept) -> None:
    ask(kept, "ada", "What do owls hunt?", "t1")
    ask(kept, "ada", "What do owls hunt?", "t2", instead_of="t1")
    assert [exchange.instead_of for exchange in kept.exchanges("c", "ada")] == ["", "t1"]


def test_a_passage_that_is_gone_is_named_removed_and_quoted_no_more(kept, library) -> None:
    ask(kept, "ada", "What do owls hunt?", "t1")
    library.put(
        Document(
            document_id="d",
            source="animals.md",
            title="Animals",
            media_type="text/markdown",
            sha256="s2",
            text=TEXT[25:],
        ),
        [BATS],
    )
    (again,) = kept.exchanges("c", "ada")
    assert again.removed == {"p-owls"}
    assert again.answer.citations == ()
    assert [hit.passage.text for hit in again.answer.hits] == ["", BATS.text]
    assert again.answer.hits[0].score == 0.9


def test_a_turn_from_before_details_were_kept_shows_what_there_is(kept) -> None:
    kept.enter("c", "ada", "What?")
    FeedbackStore(kept._library.engine).record_turn(
        Turn(
            turn_id="t1",
            conversation_id="c",
            user="ada",
            question="What?",
            answer="Owls.",
            declined=False,
            encoder_id="v1",
            asked_at=utc_now(),
        )
    )
    (again,) = kept.exchanges("c", "ada")
    assert (again.answer.text, again.answer.asked, again.index_state) == ("Owls.", "What?", "absent")
    assert not again.answer.fell_back


# ---- deleting


def test_deleting_leaves_turns_with_votes_for_learning_and_takes_the_others(kept) -> None:
    feedback = FeedbackStore(kept._library.engine)
    for turn_id in ("t1", "t2", "t3"):
        ask(kept, "ada", f"Question {turn_id}?", turn_id)
    feedback.record_verdict("ada", "t1", "p-owls", "helpful")
    feedback.record_verdict("ada", "t2", "p-owls", "helpful")
    feedback.withdraw_verdict("ada", "t2", "p-owls")
    before = feedback.latest_event_id()
    assert kept.delete("c", "ada") == DeletedConversation(n_turns=2, n_kept=1)
    assert [(verdict.turn_id, verdict.verdict) for verdict in feedback.standing()] == [("t1", "helpful")]
    assert feedback.turn("t1").conversation_id == "t1"
    assert n_rows(kept, turns) == 1
    assert feedback.latest_event_id() > before  # whoever counts until tonight looks again
    assert titles(kept) == []


def test_deleting_with_votes_takes_everything_that_the_person_said(kept) -> None:
    feedback = FeedbackStore(kept._library.engine)
    ask(kept, "ada", "What do owls hunt?", "t1")
    ask(kept, "ada", "And bats?", "t2")
    feedback.record_verdict("ada", "t1", "p-owls", "helpful")
    feedback.record_verdict("ben", "t2", "p-bats", "helpful")
    assert kept.delete("c", "ada", votes_too=True) == DeletedConversation(n_turns=1, n_kept=1)
    assert [(verdict.user, verdict.turn_id) for verdict in feedback.standing()] == [("ben", "t2")]
    left = feedback.turn("t2")
    assert (left.user, left.answer, left.question) == ("forgotten", "", "And bats?")


def test_deleting_takes_the_vectors_of_questions_that_nobody_else_asks(kept) -> None:
    ask(kept, "ada", "What do owls hunt?", "t1")
    ask(kept, "ada", "And bats?", "t2")
    ask(kept, "ben", "And bats?", "t3", "of-ben")
    with kept._library.engine.begin() as connection:
        for question in ("What do owls hunt?", "And bats?"):
            row = {"passage_side": "questions:v1", "text_sha256": sha256_of(question), "vector": b""}
            connection.execute(insert(vectors).values(row))
    kept.delete("c", "ada")
    with read_connection(kept._library.engine) as connection:
        assert list(connection.scalars(select(vectors.c.text_sha256))) == [sha256_of("And bats?")]


def test_forgetting_a_person_takes_their_conversations(kept) -> None:
    ask(kept, "ada", "What do owls hunt?", "t1")
    erase_user_data(kept._library.engine, "ada")
    assert titles(kept) == []
    assert n_rows(kept, verdict_events) == 0
