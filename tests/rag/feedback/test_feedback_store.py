"""Feedback: one standing verdict per person, turn and passage, made of events that are only ever added."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from rag.database.schema import open_database, verdict_events
from rag.errors import NotFoundError, UsageError
from rag.feedback.feedback_store import MAX_COMMENT_LENGTH, FeedbackStore
from rag.feedback.import_export import export_verdicts, import_verdicts
from rag.library.library import Library
from rag.records import PASSAGE_VERDICTS, Document, Passage, ShownPassage, Turn, Verdict, sha256_of, utc_now


@pytest.fixture
def feedback(engine) -> FeedbackStore:
    """With one turn, t1, that showed p1 and p2."""
    opened = FeedbackStore(engine)
    opened.record_turn(turn("t1", "p1", "p2"))
    return opened


@pytest.fixture
def library(engine) -> Library:
    """Passages p1 to p4; p3 and p4 came from BEIR as d3 and d4."""
    opened = Library(engine)
    for number, external_id in ((1, None), (2, None), (3, "d3"), (4, "d4")):
        put(opened, f"p{number}", f"set/{external_id}" if external_id else f"{number}.txt", external_id)
    return opened


def put(library: Library, passage_id: str, source: str, external_id: str | None = None) -> None:
    text = f"This is {source}."
    document = Document(
        document_id=f"of-{passage_id}",
        source=source,
        title="",
        media_type="text/plain",
        sha256=sha256_of(text),
        text=text,
    )
    library.put(
        document,
        [
            Passage(
                passage_id=passage_id,
                document_id=document.document_id,
                source=source,
                title="",
                heading="",
                text=text,
                start=0,
                end=len(text),
                page=None,
                external_id=external_id,
            )
        ],
    )


def turn(turn_id: str, *passage_ids: str, question: str = "Who?") -> Turn:
    shown = tuple(
        ShownPassage(passage_id=passage_id, rank=rank, score=1.5 - rank, dense=0.5, lexical=0.25, cited=rank == 1)
        for rank, passage_id in enumerate(passage_ids, start=1)
    )
    return Turn(
        turn_id=turn_id,
        conversation_id="c1",
        user="ada",
        question=question,
        answer="Ada [1].",
        declined=False,
        encoder_id="v1",
        asked_at=utc_now(),
        shown=shown,
    )


def said(feedback: FeedbackStore, **narrowed: str) -> list[tuple[str, str | None, str]]:
    return [(verdict.user, verdict.passage_id, verdict.verdict) for verdict in feedback.standing(**narrowed)]


def events(feedback: FeedbackStore) -> list[tuple[str, ...]]:
    columns = (verdict_events.c.user, verdict_events.c.passage_id, verdict_events.c.verdict)
    with feedback.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(select(*columns).order_by(verdict_events.c.event_id))]


# ---- turns


def test_a_turn_is_read_as_it_was_recorded(feedback) -> None:
    recorded = turn("t2", "p9", "p8", "p7")
    feedback.record_turn(recorded)
    assert feedback.turn("t2") == recorded


def test_recording_a_turn_again_changes_nothing(feedback) -> None:
    before = feedback.turn("t1")
    feedback.record_turns([turn("t1", "p5", question="Other?"), turn("t3")])
    assert feedback.turn("t1") == before
    assert feedback.n_turns() == 2


def test_turns_are_counted_by_where_they_came_from(feedback) -> None:
    assert (feedback.n_turns(), feedback.n_turns("asked"), feedback.n_turns("simulated")) == (1, 1, 0)


@pytest.mark.parametrize("turn_id", ["t9", "", "t\0", "\ud800", "🦜", "' OR 1=1 --"])
def test_a_turn_that_is_not_there_is_refused(feedback, turn_id) -> None:
    with pytest.raises(NotFoundError, match="no turn"):
        feedback.turn(turn_id)
    with pytest.raises(NotFoundError, match="no turn"):
        feedback.record_verdict("ada", turn_id, "p1", "helpful")


# ---- verdicts


def test_one_verdict_stands_for_each_person_turn_and_passage(feedback) -> None:
    feedback.record_turn(turn("t2", "p1"))
    feedback.record_verdict("ada", "t1", "p1", "helpful")
    feedback.record_verdict("ada", "t1", "p2", "not_relevant")
    feedback.record_verdict("bob", "t1", "p1", "not_relevant")
    feedback.record_verdict("ada", "t2", "p1", "outdated")
    feedback.record_verdict("ada", "t1", None, "answer_helpful")
    feedback.record_verdict("ada", "t1", "p1", "not_relevant")
    assert said(feedback) == [
        ("ada", "p2", "not_relevant"),
        ("bob", "p1", "not_relevant"),
        ("ada", "p1", "outdated"),
        ("ada", None, "answer_helpful"),
        ("ada", "p1", "not_relevant"),
    ]
    assert said(feedback, user="bob") == [("bob", "p1", "not_relevant")]
    assert said(feedback, turn_id="t2") == [("ada", "p1", "outdated")]


def test_a_verdict_carries_its_question_and_comment(feedback) -> None:
    given = feedback.record_verdict("ada", "t1", "p1", "helpful", "Just what I needed 🦜")
    assert feedback.standing() == [given]
    assert (given.question, given.comment) == ("Who?", "Just what I needed 🦜")


def test_every_change_of_mind_is_an_event_and_no_event_is_ever_lost(feedback) -> None:
    for verdict in ("helpful", "not_relevant", "helpful", "helpful"):
        feedback.record_verdict("ada", "t1", "p1", verdict)
    feedback.withdraw_verdict("ada", "t1", "p1")
    assert events(feedback) == [
        ("ada", "p1", "helpful"),
        ("ada", "p1", "not_relevant"),
        ("ada", "p1", "helpful"),
        ("ada", "p1", "withdrawn"),
    ]


def test_the_order_of_events_decides_and_not_the_clock(feedback) -> None:
    late, early = utc_now() + timedelta(days=1), utc_now() - timedelta(days=1)
    feedback.append([Verdict(user="ada", turn_id="t1", question="", passage_id="p1", verdict="helpful", given_at=late)])
    feedback.append(
        [Verdict(user="ada", turn_id="t1", question="", passage_id="p1", verdict="not_relevant", given_at=early)]
    )
    assert said(feedback) == [("ada", "p1", "not_relevant")]


def test_giving_the_same_verdict_again_changes_nothing(feedback) -> None:
    feedback.record_verdict("ada", "t1", "p1", "helpful", "good")
    feedback.record_verdict("ada", "t1", "p1", "helpful", "good")
    assert len(events(feedback)) == 1
    feedback.record_verdict("ada", "t1", "p1", "helpful", "very good")
    assert [verdict.comment for verdict in feedback.standing()] == ["very good"]


def test_a_withdrawn_verdict_does_not_stand_and_can_be_given_again(feedback) -> None:
    feedback.record_verdict("ada", "t1", "p1", "helpful")
    feedback.record_verdict("bob", "t1", "p1", "helpful")
    feedback.withdraw_verdict("ada", "t1", "p1")
    assert said(feedback) == [("bob", "p1", "helpful")]
    feedback.record_verdict("ada", "t1", "p1", "helpful")
    assert said(feedback) == [("bob", "p1", "helpful"), ("ada", "p1", "helpful")]


def test_withdrawing_what_was_not_said_leaves_no_event(feedback) -> None:
    feedback.withdraw_verdict("ada", "t1", "p1")
    feedback.withdraw_verdict("ada", "no such turn", None)
    feedback.record_verdict("ada", "t1", "p1", "helpful")
    feedback.withdraw_verdict("ada", "t1", "p1")
    feedback.withdraw_verdict("ada", "t1", "p1")
    assert events(feedback) == [("ada", "p1", "helpful"), ("ada", "p1", "withdrawn")]


@pytest.mark.parametrize("verdict", ["helpful", "not_relevant", "outdated"])
def test_only_what_was_shown_may_be_judged(feedback, library, verdict) -> None:
    with pytest.raises(UsageError, match=r"'p3' was not shown for turn 't1'.*pin it"):
        feedback.record_verdict("ada", "t1", "p3", verdict)
    assert events(feedback) == []


def test_a_pin_may_name_any_passage_of_the_library_and_no_other(feedback, library) -> None:
    feedback.record_verdict("ada", "t1", "p3", "pin")
    assert said(feedback) == [("ada", "p3", "pin")]
    for absent in ("p99", "", "\ud800", "p\0"):
        with pytest.raises(NotFoundError, match="no passage"):
            feedback.record_verdict("ada", "t1", absent, "pin")


def test_what_was_shown_may_be_judged_after_it_left_the_library(feedback) -> None:
    for verdict in PASSAGE_VERDICTS:
        feedback.record_verdict("ada", "t1", "p1", verdict)
    assert said(feedback) == [("ada", "p1", PASSAGE_VERDICTS[-1])]


@pytest.mark.parametrize(
    ("passage_id", "verdict", "told"),
    [
        ("p1", "great", "'great' is not one for a passage: use one of helpful, not_relevant, pin, outdated"),
        ("p1", "answer_helpful", "'answer_helpful' is not one for a passage"),
        ("p1", "withdrawn", "'withdrawn' is not one for a passage"),
        (None, "helpful", "'helpful' is not one for an answer: use one of answer_helpful"),
        (None, "", "'' is not one for an answer"),
    ],
)
def test_an_unknown_verdict_is_refused(feedback, passage_id, verdict, told) -> None:
    with pytest.raises(UsageError, match=told):
        feedback.record_verdict("ada", "t1", passage_id, verdict)
    assert events(feedback) == []


def test_a_comment_has_a_largest_length(feedback) -> None:
    feedback.record_verdict("ada", "t1", "p1", "helpful", "x" * MAX_COMMENT_LENGTH)
    with pytest.raises(UsageError, match="2001 characters is too long: use at most 2000"):
        feedback.record_verdict("ada", "t1", "p1", "helpful", "x" * (MAX_COMMENT_LENGTH + 1))


def test_a_comment_that_no_database_could_store_is_stored_without_the_worst(feedback) -> None:
    for _ in range(2):
        feedback.record_verdict("ada", "t1", "p1", "helpful", "half an emoji \ud83e and a NUL \0.")
    assert [verdict.comment for verdict in feedback.standing()] == ["half an emoji \ufffd and a NUL \ufffd."]
    assert len(events(feedback)) == 1


def test_the_same_verdict_from_two_processes_is_one_event(feedback) -> None:
    other = FeedbackStore(open_database(feedback.engine.url.render_as_string()))
    other.record_verdict("ada", "t1", "p1", "helpful")
    feedback.record_verdict("ada", "t1", "p1", "helpful")
    other.record_verdict("ada", "t1", "p1", "helpful")
    assert len(events(feedback)) == 1
    other.engine.dispose()


# ---- tokens


def test_a_token_belongs_to_one_turn(feedback) -> None:
    feedback.check_token("t1", feedback.token("t1"))
    for wrong in (
        feedback.token("t2"),
        feedback.token("t1")[:-1],
        feedback.token("t1").upper(),
        "",
        "🦜",
        "\ud800",
        "\0",
    ):
        with pytest.raises(UsageError, match="does not belong to turn 't1'"):
            feedback.check_token("t1", wrong)
    with pytest.raises(UsageError, match="does not belong"):
        feedback.check_token("\ud800", feedback.token("t1"))


def test_a_token_outlives_the_process_but_not_the_database(feedback, engine, tmp_path) -> None:
    again = open_database(engine.url.render_as_string())
    FeedbackStore(again).check_token("t1", feedback.token("t1"))
    again.dispose()
    other = open_database(f"sqlite:///{tmp_path / 'other.db'}")
    with pytest.raises(UsageError, match="does not belong"):
        FeedbackStore(other).check_token("t1", feedback.token("t1"))
    other.dispose()


# ---- files


def lines(tmp_path: Path, *given: object, name: str = "verdicts.jsonl") -> Path:
    file = tmp_path / name
    file.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in given), "utf-8")
    return file


def line(
    passage_id: str, verdict: str = "helpful", query: str = "Who?", user: str = "ada", **more: object
) -> dict[str, object]:
    return {"query": query, "passage_id": passage_id, "verdict": verdict, "user": user} | more


def test_a_file_is_imported_by_our_ids_and_by_beirs(feedback, library, tmp_path) -> None:
    file = lines(tmp_path, line("p1"), line("d3", "pin"), line("set/d4", "not_relevant", user="bob"), "")
    report = import_verdicts(feedback, library, file)
    assert (report.n_read, report.n_new, report.unknown, report.refused) == (3, 3, (), ())
    assert said(feedback) == [("ada", "p1", "helpful"), ("ada", "p3", "pin"), ("bob", "p4", "not_relevant")]
    assert {verdict.question for verdict in feedback.standing()} == {"Who?"}
    assert feedback.n_turns("imported") == 2  # one for each person and question


def test_importing_twice_changes_nothing(feedback, library, tmp_path) -> None:
    file = lines(
        tmp_path, line("p1"), line("p1", "not_relevant"), line("p2"), line("p2", "pin", time="2026-01-01T00:00:00Z")
    )
    assert import_verdicts(feedback, library, file).n_new == 4
    before = (said(feedback), events(feedback))
    assert said(feedback) == [("ada", "p1", "not_relevant"), ("ada", "p2", "pin")]
    assert import_verdicts(feedback, library, file).n_new == 0
    assert (said(feedback), events(feedback)) == before


def test_importing_again_brings_back_nothing_that_was_taken_back_since(feedback, library, tmp_path) -> None:
    file = lines(tmp_path, line("p1"))
    import_verdicts(feedback, library, file)
    (verdict,) = feedback.standing()
    feedback.withdraw_verdict("ada", verdict.turn_id, "p1")
    assert import_verdicts(feedback, library, file).n_new == 0
    assert said(feedback) == []


def test_within_a_file_the_latest_verdict_stands_whatever_the_order_of_lines(feedback, library, tmp_path) -> None:
    late, early = line("p1", time="2026-03-01T00:00:00+02:00"), line("p1", "not_relevant", time="2026-01-01")
    import_verdicts(feedback, library, lines(tmp_path, late, early))
    (verdict,) = feedback.standing()
    assert (verdict.verdict, verdict.given_at) == ("helpful", datetime(2026, 2, 28, 22, tzinfo=UTC))


def test_unknown_passages_are_listed_and_the_others_imported(feedback, library, tmp_path) -> None:
    put(library, "p5", "other/d3", "d3")  # now two datasets have a d3
    report = import_verdicts(feedback, library, lines(tmp_path, line("p9"), line("p1"), line("d3"), line("p9", "pin")))
    assert (report.n_read, report.n_new, report.unknown) == (4, 1, ("d3", "p9"))


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ("{", "line 2: Expecting"),
        ('["p1"]', "line 2: ['p1'] is no JSON object"),
        ("[" * 100_000, "line 2: "),
        (line("p1", "great"), "line 2: verdict 'great' is unknown: use one of helpful"),
        (line("p1", "answer_helpful"), "line 2: verdict 'answer_helpful' is unknown"),
        (line("p1", query=" "), "line 2: 'query' is ' ', expected a text"),
        (line("p1") | {"passage_id": 7}, "line 2: 'passage_id' is 7, expected a text"),
        (line("p1") | {"user": None}, "line 2: 'user' is None, expected a text"),
        (line("p1", query="x" * 2001), "line 2: 'query' of 2,001 characters is too long"),
        (line("p1", query="\ud800"), "line 2: 'query' is '\\ud800', which holds characters that no database stores"),
        (line("p1", user="a\0b"), "line 2: 'user' is 'a\\x00b', which holds characters"),
        (line("p1", time="yesterday"), "line 2: time 'yesterday' is not ISO-8601"),
        (line("p1", time="0001-01-01T00:00:00+14:00"), "line 2: time '0001-01-01T00:00:00+14:00' is not ISO-8601"),
        (line("p1", time="2999-01-01T00:00:00Z"), "line 2: time '2999-01-01T00:00:00Z' lies in the future"),
    ],
)
def test_a_bad_line_is_listed_with_its_number_and_stops_no_other(feedback, library, tmp_path, bad, told) -> None:
    report = import_verdicts(feedback, library, lines(tmp_path, line("p1"), bad, line("p2")))
    assert (report.n_read, report.n_new, len(report.refused)) == (3, 2, 1)
    assert report.refused[0].startswith(told)
    assert len(report.refused[0]) < 200


def test_a_file_that_begins_with_a_byte_order_mark_is_read(feedback, library, tmp_path) -> None:
    file = tmp_path / "verdicts.jsonl"
    file.write_text(json.dumps(line("p1")), "utf-8-sig")
    assert import_verdicts(feedback, library, file).n_new == 1


def test_a_file_that_is_not_there_is_refused(feedback, library, tmp_path) -> None:
    with pytest.raises(NotFoundError, match="no file"):
        import_verdicts(feedback, library, tmp_path / "absent.jsonl")


def test_what_is_exported_is_imported_elsewhere_as_it_stands(feedback, library, tmp_path) -> None:
    strange = "Line\u2028separated, “quoted”\nand 🦜?"
    feedback.record_turn(turn("t2", "p3", "p4", question=strange))
    feedback.record_verdict("ada", "t1", "p1", "helpful")
    feedback.record_verdict("ada", "t1", "p1", "not_relevant")
    feedback.record_verdict("ada", "t1", None, "answer_helpful")
    feedback.record_verdict("bob", "t2", "p3", "pin")
    feedback.record_verdict("bob", "t2", "p4", "helpful")
    feedback.withdraw_verdict("bob", "t2", "p4")
    exported = list(export_verdicts(feedback, library))
    assert [(line["query"], line["passage_id"], line["verdict"], line["user"]) for line in exported] == [
        ("Who?", "p1", "not_relevant", "ada"),
        (strange, "d3", "pin", "bob"),
    ]
    other = open_database(f"sqlite:///{tmp_path / 'other.db'}")
    there, then = FeedbackStore(other), Library(other)
    for passage_id, source, external_id in (("p1", "1.txt", None), ("p3", "set/d3", "d3")):
        put(then, passage_id, source, external_id)
    file = lines(tmp_path, *(json.dumps(line, ensure_ascii=False) for line in exported))
    report = import_verdicts(there, then, file)
    assert (report.n_new, report.unknown, report.refused) == (2, (), ())
    assert list(export_verdicts(there, then)) == exported
    other.dispose()


def test_an_id_that_two_datasets_share_is_exported_as_ours(feedback, library) -> None:
    put(library, "p5", "other/d3", "d3")
    feedback.record_verdict("ada", "t1", "p3", "pin")
    assert [line["passage_id"] for line in export_verdicts(feedback, library)] == ["p3"]


def test_verdicts_on_removed_passages_are_not_exported(feedback, library) -> None:
    feedback.record_verdict("ada", "t1", "p1", "helpful")
    library.remove("1.txt")
    assert list(export_verdicts(feedback, library)) == []
