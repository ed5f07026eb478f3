"""Golden questions: read, kept, and found again in passages that are cut otherwise."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import Engine

from eval.datasets.golden_locations import GoldenLocation, golden_qrels, group_by_wording, locate_golden
from eval.datasets.golden_questions import Golden, Nugget, golden_set_hash, read_golden_file
from eval.datasets.golden_store import add_golden, add_golden_from_turn, list_golden, resolve_passages, retire_golden
from rag.errors import NotFoundError, UsageError
from rag.feedback.feedback_store import FeedbackStore
from rag.library.library import Library
from rag.records import Document, Passage, Turn, utc_now

TEXT = "Owls hunt at night. Swifts sleep in the air. Cranes dance in spring. Owls see well."


def a_library(engine: Engine, *cuts: tuple[int, int], text: str = TEXT, source: str = "birds.md") -> Library:
    """One document whose passages are the stretches *cuts* of its text."""
    library = Library(engine)
    passages = [
        Passage(
            passage_id=f"{source}-{start}-{end}",
            document_id=source,
            source=source,
            title="Birds",
            heading="",
            text=text[start:end],
            start=start,
            end=end,
        )
        for start, end in cuts
    ]
    library.put(
        Document(document_id=source, source=source, title="Birds", media_type="text/markdown", sha256="0", text=text),
        passages,
    )
    return library


def written(file: Path, *lines: object) -> Path:
    file.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), "utf-8")
    return file


def a_turn(engine: Engine, question: str = "When do owls hunt?") -> str:
    FeedbackStore(engine).record_turn(
        Turn(
            turn_id="t1",
            conversation_id="c1",
            user="ann",
            question=question,
            answer="At night. [1]",
            declined=False,
            encoder_id="e1",
            asked_at=utc_now(),
        )
    )
    return "t1"


# ---- files


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    made = Golden(
        question="When do owls hunt?",
        source="birds.md",
        quote="Owls hunt at night.",
        reference="At night.",
        nuggets=(Nugget(("night", "dark")), Nugget(("owls",), is_vital=False)),
        tags=("easy",),
        origin="model",
    )
    none = Golden(question="What do bats eat?", is_answerable=False)
    file = written(tmp_path / "q.jsonl", made.as_json(), "", none.as_json())
    assert [line.golden for line in read_golden_file(file)] == [made, none]
    assert none.as_json() == {"question": "What do bats eat?", "origin": "file", "answerable": False}


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ({"question": "Who?", "qoute": "Ada"}, "has the key 'qoute': known are answerable"),
        ({"question": "", "quote": "Ada"}, "a question of 0 characters"),
        ({"question": "Who?"}, "does not say what is right"),
        ({"question": "Who?", "quote": "Ada", "origin": "gossip"}, "has the origin 'gossip'"),
        ({"question": "Who?", "nuggets": [[]]}, "has the nugget"),
        ({"question": "Who?", "nuggets": [["Ada", 1]]}, "write a list of texts"),
        ({"question": "Who?", "quote": 3}, "has quote 3: write a text"),
        ({"question": "Who?", "quote": "Ada", "answerable": "no"}, "write true or false"),
        ("[1]", "is list, not an object"),
        ("{", "is not JSON"),
    ],
)
def test_line_that_can_not_be_measured_with_is_refused_by_its_number(tmp_path: Path, line: object, told: str) -> None:
    file = written(tmp_path / "q.jsonl", {"question": "When?", "quote": "1843"}, line)
    with pytest.raises(UsageError, match=r"q\.jsonl:2 ") as raised:
        read_golden_file(file)
    assert told in str(raised.value)


def test_every_wrong_line_is_named_at_once(tmp_path: Path) -> None:
    file = written(tmp_path / "q.jsonl", "{", {"question": "Who?"})
    with pytest.raises(UsageError) as raised:
        read_golden_file(file)
    assert [line.split()[0] for line in str(raised.value).splitlines()] == ["q.jsonl:1", "q.jsonl:2"]


def test_hash_of_a_set_knows_its_answers_and_not_its_order() -> None:
    one, two = Golden(question="Who?", quote="Ada"), Golden(question="When?", quote="1843")
    assert golden_set_hash([one, two]) == golden_set_hash([two, one])
    assert golden_set_hash([one, two]) != golden_set_hash(
        [one, Golden(question="When?", quote="1843", reference="1843")]
    )


# ---- kept in the library


def test_question_of_a_chat_is_kept_with_what_stands_in_its_passage(engine: Engine) -> None:
    library = a_library(engine, (0, 19), (20, len(TEXT)))
    golden_id = add_golden_from_turn(engine, library, a_turn(engine), "birds.md-0-19", "ann")
    assert add_golden_from_turn(engine, library, "t1", "birds.md-0-19", "ben") == golden_id
    (one,) = list_golden(engine)
    assert (one.golden_id, one.added_by, one.golden.origin) == (golden_id, "ann", "chat")
    assert (one.golden.question, one.golden.source) == ("When do owls hunt?", "birds.md")
    assert one.golden.quote == "Owls hunt at night."


def test_question_of_a_chat_without_a_passage_is_one_that_must_be_declined(engine: Engine) -> None:
    add_golden_from_turn(engine, a_library(engine, (0, 19)), a_turn(engine, "What do bats eat?"), None, "ann")
    (one,) = list_golden(engine)
    assert not one.golden.is_answerable


@pytest.mark.parametrize(("turn_id", "passage_id"), [("t2", "birds.md-0-19"), ("t1", "gone"), ("t1", "\ud800")])
def test_question_of_an_unknown_turn_or_passage_is_refused(engine: Engine, turn_id: str, passage_id: str) -> None:
    library = a_library(engine, (0, 19))
    a_turn(engine)
    with pytest.raises(NotFoundError):
        add_golden_from_turn(engine, library, turn_id, passage_id, "ann")
    assert list_golden(engine) == []


def test_retired_question_no_longer_counts_until_it_is_added_again(engine: Engine) -> None:
    made = Golden(question="Who?", quote="Ada", reference="Ada Byron")
    (golden_id,) = add_golden(engine, [made], "ann")
    assert retire_golden(engine, golden_id[:6]) == made
    assert list_golden(engine) == []
    assert [golden.golden_id for golden in list_golden(engine, with_retired=True)] == [golden_id]
    with pytest.raises(NotFoundError, match="there is none"):
        retire_golden(engine, golden_id)
    add_golden(engine, [Golden(question="who?", quote="Ada")], "ben")
    (again,) = list_golden(engine)
    assert (again.added_by, again.golden.reference) == ("ann", "Ada Byron")  # what was not said again stays


def test_passage_that_a_line_names_becomes_a_source_and_a_quote(engine: Engine, tmp_path: Path) -> None:
    library = a_library(engine, (0, 19))
    file = written(tmp_path / "q.jsonl", {"question": "When do owls hunt?", "passage_id": "birds.md-0-19"})
    (one,) = resolve_passages(read_golden_file(file), library)
    assert (one.source, one.quote) == ("birds.md", "Owls hunt at night.")


# ---- found again

HALVES = ((0, 19), (20, 44), (45, 67), (68, 83))
QUOTE = "Swifts sleep in the air."


def placed(library: Library, **golden: object) -> GoldenLocation:
    return locate_golden([Golden(**{"question": "Where?", "source": "birds.md", **golden})], library)[0]


def test_quote_is_found_again_however_the_document_is_cut(engine: Engine) -> None:
    one = {"quote": QUOTE}
    assert placed(a_library(engine, *HALVES), **one).passage_ids == ("birds.md-20-44",)
    whole = placed(a_library(engine, (0, 44), (45, 83)), **one)
    assert (whole.method, whole.passage_ids, whole.is_cut) == ("exact", ("birds.md-0-44",), False)
    cut = placed(a_library(engine, (0, 30), (31, 83)), **one)
    assert (cut.method, cut.passage_ids, cut.is_cut) == ("exact", ("birds.md-31-83",), True)  # 13 of its 24 characters


def test_quote_of_a_large_passage_is_right_in_each_of_the_small_ones_that_it_became(engine: Engine) -> None:
    found = placed(a_library(engine, *HALVES), quote=TEXT[:67])
    assert found.passage_ids == ("birds.md-0-19", "birds.md-20-44", "birds.md-45-67")
    assert found.is_cut


def test_white_space_may_have_changed(engine: Engine) -> None:
    found = placed(a_library(engine, *HALVES), quote="Swifts  sleep\nin the air.")
    assert (found.method, found.passage_ids) == ("white space", ("birds.md-20-44",))


def test_what_was_edited_is_found_by_its_words_where_one_passage_has_nearly_all_of_them(engine: Engine) -> None:
    text = "Swifts often sleep high up in the air while flying. Cranes dance in spring. Owls see well."
    library = a_library(engine, (0, 51), (52, 75), (76, 90), text=text)
    found = placed(library, quote="Swifts sleep up high in the air.")
    assert (found.method, found.passage_ids) == ("near", ("birds.md-0-51",))
    assert placed(library, quote="Swallows nest below roofs.").method == "lost"


def test_quote_that_stands_in_several_places_is_not_guessed(engine: Engine) -> None:
    found = placed(a_library(engine, *HALVES), quote="Owls")
    assert (found.method, found.is_found) == ("several places", False)
    assert placed(a_library(engine, (0, 83)), quote="Owls").is_found  # one passage holds both


def test_file_that_was_moved_is_followed_by_its_text(engine: Engine) -> None:
    library = a_library(engine, *HALVES, source="nature/birds.md")
    found = placed(library, quote=QUOTE)
    assert (found.method, found.passage_ids) == ("moved", ("nature/birds.md-20-44",))
    assert placed(library, quote="Swallows nest.").method == "no source"
    a_library(engine, *HALVES, source="copy.md")
    assert placed(library, quote=QUOTE).method == "several places"


def test_quote_without_a_source_is_looked_for_everywhere(engine: Engine) -> None:
    found = placed(a_library(engine, *HALVES), quote=QUOTE, source="")
    assert (found.method, found.passage_ids) == ("exact", ("birds.md-20-44",))


def test_questions_with_the_same_words_are_one_question(engine: Engine) -> None:
    library = a_library(engine, *HALVES)
    asked = [
        Golden(question="Where do birds sleep?", source="birds.md", quote=QUOTE),
        Golden(question="What is lost?", source="birds.md", quote="Bats."),
        Golden(question="where do  birds sleep?", source="birds.md", quote="Cranes dance in spring."),
        Golden(question="What do bats eat?", is_answerable=False),
    ]
    merged = group_by_wording(locate_golden(asked, library))
    assert [golden.golden.question for golden in merged] == [asked[0].question, asked[1].question, asked[3].question]
    assert golden_qrels(merged) == {asked[0].golden_id: {"birds.md-20-44": 1, "birds.md-45-67": 1}}
