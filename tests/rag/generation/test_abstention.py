"""When an answer is given: the signs, the bar on them, and the bar that a library keeps of its own."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from rag.app.app import open_app
from rag.generation.abstention import (
    ABSTENTION_FILE,
    NO_EVIDENCE,
    SHIPPED_THRESHOLD,
    AnswerabilityFeatures,
    LogisticModel,
    load_threshold,
    save_threshold,
)
from rag.generation.extractive import answerability_features
from rag.records import Document, Passage
from rag.settings import Settings
from tests.rag.generation.test_generator import DOCUMENT, GRANT, Everywhere, found_by, hit_of

SEEN = AnswerabilityFeatures(meaning=0.5, words=0.5, passage=0.6, gap=0.3, crowd=0.4, is_strange=False, has_words=True)


def test_the_shipped_bar_is_surer_the_more_of_the_question_is_there():
    assert (
        SHIPPED_THRESHOLD.sureness(replace(SEEN, words=0.9))
        > SHIPPED_THRESHOLD.sureness(SEEN)
        > SHIPPED_THRESHOLD.sureness(replace(SEEN, words=0.1))
    )
    assert SHIPPED_THRESHOLD.sureness(replace(SEEN, meaning=0.8)) > SHIPPED_THRESHOLD.sureness(SEEN)
    assert SHIPPED_THRESHOLD.sureness(replace(SEEN, is_strange=True)) < SHIPPED_THRESHOLD.sureness(SEEN)
    assert SHIPPED_THRESHOLD.sureness(NO_EVIDENCE) < SHIPPED_THRESHOLD.least


def test_without_a_word_in_common_only_meaning_and_gap_are_weighed():
    foreign = replace(SEEN, has_words=False)
    assert SHIPPED_THRESHOLD.sureness(foreign) == SHIPPED_THRESHOLD.sureness(
        replace(foreign, words=0.0, passage=0.0, crowd=0.9)
    )
    assert SHIPPED_THRESHOLD.sureness(replace(foreign, meaning=0.9)) > SHIPPED_THRESHOLD.sureness(foreign)


def test_an_endless_sum_is_a_probability_still():
    assert LogisticModel(1e9, (0.0,) * 7).probability(SEEN) == pytest.approx(1.0)
    assert LogisticModel(-1e9, (0.0,) * 7).probability(SEEN) == pytest.approx(0.0)


def test_signs_see_a_name_that_no_hit_has(base_encoder):
    hits = found_by(base_encoder, GRANT, DOCUMENT)
    assert not answerability_features(GRANT, hits, base_encoder).is_strange
    assert answerability_features("Who can get the grant in Germany?", hits, base_encoder).is_strange
    assert answerability_features("Who can get grant B17?", hits, base_encoder).is_strange


def test_signs_see_a_measure_that_no_hit_gives():
    hits = [hit_of("The X200 weighs 12 kg and needs 230 volts.")]
    assert not answerability_features("How heavy is the X200?", hits, Everywhere()).is_strange
    assert answerability_features("How loud is the X200?", hits, Everywhere()).is_strange


def test_signs_forgive_a_slip_of_the_pen():
    hits = [hit_of("Paris is the capital of France.")]
    assert answerability_features("what is the captial of frence", hits, Everywhere()).words == 1.0


def test_signs_see_that_a_passage_may_be_in_another_language():
    german = [hit_of("Der Rasen darf sonntags nicht gemäht werden.")]
    assert not answerability_features("May I mow the lawn on a Sunday?", german, Everywhere()).has_words
    assert answerability_features("Darf ich den Rasen mähen?", german, Everywhere()).has_words


def test_hits_without_a_sentence_give_no_signs():
    assert answerability_features(GRANT, [hit_of("…")], Everywhere()) == NO_EVIDENCE


def test_the_bar_of_a_library_is_kept_for_one_version(tmp_path: Path):
    own = replace(SHIPPED_THRESHOLD, least=0.4)
    save_threshold(tmp_path, "v1", own, {"people": 60})
    assert load_threshold(tmp_path, "v1") == own
    assert load_threshold(tmp_path, "v2") == SHIPPED_THRESHOLD
    assert [file.name for file in tmp_path.iterdir()] == [ABSTENTION_FILE]


@pytest.mark.parametrize("text", ["{", "[]", '{"encoder_id": "v1"}', '{"encoder_id": "v1", "by_words": 3}'])
def test_a_bar_that_cannot_be_read_is_not_used(tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str):
    (tmp_path / ABSTENTION_FILE).write_text(text, "utf-8")
    with caplog.at_level(logging.WARNING):
        assert load_threshold(tmp_path, "v1") == SHIPPED_THRESHOLD
    assert "nightjar calibrate" in caplog.text


def test_an_application_declines_by_the_bar_of_its_library_and_shows_what_was_near(tmp_path: Path):
    app = open_app(Settings(data=tmp_path / "data"))
    app.library.put(
        Document(document_id="d", source="a.txt", title="", media_type="text/plain", sha256="1", text=DOCUMENT),
        [
            Passage(
                passage_id="p",
                document_id="d",
                source="a.txt",
                title="",
                heading="",
                text=DOCUMENT,
                start=0,
                end=len(DOCUMENT),
            )
        ],
    )
    app.encode_missing()
    assert not app.answerer.answer(GRANT).declined
    save_threshold(app.settings.data, app.current().encoder_id, replace(SHIPPED_THRESHOLD, least=1.0), {})
    answer = app.answerer.answer(GRANT)
    app.close()
    assert answer.declined
    assert "1.00 is the least" in answer.reason
    assert [hit.passage.passage_id for hit in answer.hits] == ["p"]
    assert json.loads((tmp_path / "data" / ABSTENTION_FILE).read_text("utf-8"))["least"] == 1.0
