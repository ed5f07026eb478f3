"""When an answer is given: the signs, the bar on them, and the bar that a library keeps of its own."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from rag.app.app import open_app
from rag.generation.abstention import FILE, NOTHING, PUBLIC, Line, Signs, load_bar, save_bar
from rag.generation.extractive import signs_of
from rag.records import Document, Passage
from rag.settings import Settings
from tests.rag.generation.test_generator import DOCUMENT, GRANT, Everywhere, found_by, hit_of

SEEN = Signs(0.5, 0.5, 0.6, 0.3, 0.4, is_strange=False, has_words=True)


def test_the_shipped_bar_is_surer_the_more_of_the_question_is_there():
    assert PUBLIC.sureness(replace(SEEN, words=0.9)) > PUBLIC.sureness(SEEN) > PUBLIC.sureness(replace(SEEN, words=0.1))
    assert PUBLIC.sureness(replace(SEEN, meaning=0.8)) > PUBLIC.sureness(SEEN)
    assert PUBLIC.sureness(replace(SEEN, is_strange=True)) < PUBLIC.sureness(SEEN)
    assert PUBLIC.sureness(NOTHING) < PUBLIC.least


def test_without_a_word_in_common_only_meaning_and_gap_are_weighed():
    foreign = replace(SEEN, has_words=False)
    assert PUBLIC.sureness(foreign) == PUBLIC.sureness(replace(foreign, words=0.0, passage=0.0, crowd=0.9))
    assert PUBLIC.sureness(replace(foreign, meaning=0.9)) > PUBLIC.sureness(foreign)


def test_an_endless_sum_is_a_probability_still():
    assert Line(1e9, (0.0,) * 7).probability(SEEN) == pytest.approx(1.0)
    assert Line(-1e9, (0.0,) * 7).probability(SEEN) == pytest.approx(0.0)


def test_signs_see_a_name_that_no_hit_has(base_encoder):
    hits = found_by(base_encoder, GRANT, DOCUMENT)
    assert not signs_of(GRANT, hits, base_encoder).is_strange
    assert signs_of("Who can get the grant in Germany?", hits, base_encoder).is_strange
    assert signs_of("Who can get grant B17?", hits, base_encoder).is_strange


def test_signs_see_a_measure_that_no_hit_gives():
    hits = [hit_of("The X200 weighs 12 kg and needs 230 volts.")]
    assert not signs_of("How heavy is the X200?", hits, Everywhere()).is_strange
    assert signs_of("How loud is the X200?", hits, Everywhere()).is_strange


def test_signs_forgive_a_slip_of_the_pen():
    hits = [hit_of("Paris is the capital of France.")]
    assert signs_of("what is the captial of frence", hits, Everywhere()).words == 1.0


def test_signs_see_that_a_passage_may_be_in_another_language():
    german = [hit_of("Der Rasen darf sonntags nicht gemäht werden.")]
    assert not signs_of("May I mow the lawn on a Sunday?", german, Everywhere()).has_words
    assert signs_of("Darf ich den Rasen mähen?", german, Everywhere()).has_words


def test_hits_without_a_sentence_give_no_signs():
    assert signs_of(GRANT, [hit_of("…")], Everywhere()) == NOTHING


def test_the_bar_of_a_library_is_kept_for_one_version(tmp_path: Path):
    own = replace(PUBLIC, least=0.4)
    save_bar(tmp_path, "v1", own, {"people": 60})
    assert load_bar(tmp_path, "v1") == own
    assert load_bar(tmp_path, "v2") == PUBLIC
    assert [file.name for file in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize("text", ["{", "[]", '{"encoder_id": "v1"}', '{"encoder_id": "v1", "by_words": 3}'])
def test_a_bar_that_cannot_be_read_is_not_used(tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str):
    (tmp_path / FILE).write_text(text, "utf-8")
    with caplog.at_level(logging.WARNING):
        assert load_bar(tmp_path, "v1") == PUBLIC
    assert "nightjar calibrate" in caplog.text


def test_an_application_declines_by_the_bar_of_its_library_and_shows_what_was_near(tmp_path: Path):
    app = open_app(Settings(data=tmp_path / "data"))
    app.library.put(
        Document("d", "a.txt", "", "text/plain", "1", DOCUMENT),
        [Passage("p", "d", "a.txt", "", "", DOCUMENT, 0, len(DOCUMENT))],
    )
    app.encode_missing()
    assert not app.answerer.answer(GRANT).declined
    save_bar(app.settings.data, app.current().encoder_id, replace(PUBLIC, least=1.0), {})
    answer = app.answerer.answer(GRANT)
    app.close()
    assert answer.declined
    assert "1.00 is the least" in answer.reason
    assert [hit.passage.passage_id for hit in answer.hits] == ["p"]
    assert json.loads((tmp_path / "data" / FILE).read_text("utf-8"))["least"] == 1.0
