"""A cross-encoder from people's verdicts: it learns, is written whole, teaches a night, and is never switched on by itself."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rag.app.app import App, open_app
from rag.errors import EncoderError, NotFoundError, TooLittleDataError, UsageError
from rag.retrieval.cross_encoder import CrossEncoder
from rag.settings import Settings
from retriever_training.cross_encoder.train import (
    CrossEncoderPlan,
    listnet_label,
    n_training_steps,
    train_cross_encoder,
    write_calibration,
)
from retriever_training.inspection.negatives_of_question import MiningRequest, mine_night_rows
from retriever_training.judgments.snapshot import TrainingSnapshot, load_snapshot
from retriever_training.judgments.splits import split_of
from retriever_training.losses.batch_side_data import TrainingExample
from retriever_training.losses.platt import PlattScaling, fit_platt, log_odds, sigmoid
from retriever_training.measuring.held_out import load_held_out_questions
from retriever_training.negatives.denoising.cross_encoder_teacher import (
    CachingTeacher,
)
from retriever_training.negatives.mixing import QUOTAS
from retriever_training.nightly.choose_tier import TierChoice
from retriever_training.nightly.fingerprint import find_or_start_night
from retriever_training.progress import no_progress
from retriever_training.tiers.learn_tier3 import _Texts, mine_training_rows
from retriever_training.tiers.night_plan import NightPlan
from retriever_training.tiers.tier3_both_towers import TowersPlan
from retriever_training.versions.encoded_views import encode_view
from retriever_training.versions.night_store import NightStore
from tests.fixtures import jargon
from tests.fixtures.nightjar_command import nightjar
from ui.background.night_plan import DISTILLATION_WEIGHT, build_night_plan

RIGHT = {
    "How is the lamp switched on?": "The lamp has a red button at its side.",
    "What do moths do at night?": "Moths gather around a light.",
    "Who can get money from the council?": "Closed businesses can ask for a grant.",
    "When is waste collected?": "The bins are emptied on Mondays.",
    "Which form do I need when I move house?": "Form QX-17 is for a new address.",
    "Where do nightjars breed?": "Nightjars lay two eggs on bare ground.",
}
EXAMPLES = [
    TrainingExample(
        question=question, positive=right, negatives=tuple(np.roll(list(RIGHT.values()), -index)[1:3].tolist())
    )
    for index, (question, right) in enumerate(RIGHT.items())
]
SHORT = CrossEncoderPlan(epochs=9, batch_size=3, learning_rate=3e-4)


def odds(folder: Path) -> NDArray[np.float64]:
    """`(6, 3)`: the logits of each question's right passage and of its two negatives."""
    reader = CrossEncoder(folder)
    return log_odds(
        np.array([reader.scores(example.question, [example.positive, *example.negatives]) for example in EXAMPLES])
    )


def loss(logits: NDArray[np.float64]) -> float:
    """The cross-entropy of the right passage in each list."""
    return float(np.mean(np.log(np.exp(logits).sum(axis=1)) - logits[:, 0]))


@pytest.fixture(scope="module")
def trained(base_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("cross-encoder") / "made"
    steps: list[int] = []
    train_cross_encoder(base_folder, EXAMPLES, made, SHORT, steps.append)
    assert sum(steps) == n_training_steps(len(EXAMPLES), SHORT) == 18
    return made


# ---- training


def test_training_lowers_the_loss_and_puts_every_positive_above_its_negatives(
    trained: Path, base_folder: Path, tmp_path: Path
) -> None:
    """A head that has learnt nothing gives each of three passages a third: log 3 = 1.10."""
    train_cross_encoder(base_folder, EXAMPLES, tmp_path / "fresh", replace(SHORT, epochs=1, learning_rate=1e-9))
    logits = odds(trained)
    assert loss(odds(tmp_path / "fresh")) == pytest.approx(1.10, abs=0.05)
    assert loss(logits) < 0.5
    assert (logits[:, :1] > logits[:, 1:]).all()


def test_calibration_moves_every_logit_along_a_line_and_no_order(trained: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(trained, tmp_path / "copy"))
    write_calibration(folder, PlattScaling(slope=0.5, offset=-1.0))
    assert odds(folder) == pytest.approx(0.5 * odds(trained) - 1.0, abs=1e-3)


def test_calibrated_scores_are_as_often_right_as_they_say() -> None:
    """Logits three times too sure of labels that follow log-odds of x - 2; the line finds that again."""
    rng = np.random.default_rng(1)
    truth = rng.normal(size=4000) * 2
    right = rng.random(4000) < sigmoid(truth - 2)
    line = fit_platt(3 * truth, right)
    assert (line.slope, line.offset) == pytest.approx((1 / 3, -2), abs=0.1)
    assert line.probabilities(3 * truth).mean() == pytest.approx(right.mean(), abs=0.005)


def test_the_same_seed_makes_the_same_model_and_another_one_another(base_folder: Path, tmp_path: Path) -> None:
    plan = CrossEncoderPlan(batch_size=3)
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train_cross_encoder(base_folder, EXAMPLES, tmp_path / name, replace(plan, seed=seed))
    a, b, c = (CrossEncoder(tmp_path / name).cross_encoder_id for name in "abc")
    assert a == b != c


def test_what_is_written_is_safetensors_and_json_with_nothing_of_the_questions(trained: Path) -> None:
    assert {path.suffix for path in trained.rglob("*") if path.is_file()} == {".safetensors", ".json"}
    assert not any(b"lamp switched" in path.read_bytes() for path in trained.rglob("*.json"))


def test_it_reads_as_much_of_a_passage_as_the_encoder_and_the_question_too(trained: Path) -> None:
    assert CrossEncoder(trained).model.max_seq_length == 128 + 32


def test_a_base_that_is_no_transformer_is_refused(tmp_path: Path, base_folder: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(base_folder / "tokenizer.json"))
    static = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=8)])
    static.save_pretrained(str(tmp_path / "static"), create_model_card=False)
    with pytest.raises(EncoderError, match="is no transformer"):
        train_cross_encoder(tmp_path / "static", EXAMPLES, tmp_path / "made", SHORT)


def test_a_passage_gets_the_share_of_its_list_that_it_is_believed() -> None:
    """e^label / (e^label + n): .8 of five, .5 of two; never less than an even share, never all."""
    assert listnet_label(0.8, 4) == pytest.approx(np.log(16))
    assert (listnet_label(0.5, 1), listnet_label(0.1, 2)) == pytest.approx((0.0, 0.0))
    assert listnet_label(1.0, 1) == pytest.approx(np.log(99))


# ---- as a command


@pytest.fixture
def voted(manuals: Path) -> Path:
    """Twenty people named the right passages of forty questions to train on, and of those to choose by."""
    app = open_app(Settings(data=manuals))
    of_split = {name: [text for text in jargon.questions() if split_of(text) == name] for name in ("train", "dev")}
    jargon.vote(app, {text: jargon.questions()[text] for text in of_split["train"][:40] + of_split["dev"]})
    app.current()
    app.close()
    return manuals


def test_the_command_trains_measures_and_leaves_everything_switched_off(
    voted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIGHTJAR__RETRIEVAL__RERANK_K", "4")  # quicker
    out = tmp_path / "made"
    told = json.loads(nightjar(voted, "cross-encoder", "train", "--out", str(out), "--negatives", "1", "--json").stdout)
    assert sum(told["negatives"].values()) == told["n_rows"]
    assert told["dev"]["n_questions"] >= 10
    low, high = told["dev"]["interval"]
    assert low <= told["dev"]["difference"] <= high
    manifest = json.loads((out / "manifest.json").read_text())
    assert told == manifest | {"out": str(out)}
    assert manifest["cross_encoder_id"] == CrossEncoder(out).cross_encoder_id
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".made")] == []
    app = open_app(Settings(data=voted))
    assert app.reranker is None and build_night_plan(app.settings).teacher is None
    app.close()
    with pytest.raises(UsageError, match="replace it with --force"):
        nightjar(voted, "cross-encoder", "train", "--out", str(out))


def test_what_can_not_be_written_is_said_before_the_work(voted: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(UsageError, match="not written by this command"):
        nightjar(voted, "cross-encoder", "train", "--out", str(tmp_path / "mine"), "--force")
    with pytest.raises(NotFoundError, match="make it first"):
        nightjar(voted, "cross-encoder", "train", "--out", str(tmp_path / "a" / "b"))


def test_without_verdicts_nothing_is_trained(manuals: Path, tmp_path: Path) -> None:
    with pytest.raises(TooLittleDataError, match="nobody has named a right passage"):
        nightjar(manuals, "cross-encoder", "train", "--out", str(tmp_path / "made"))
    assert not (tmp_path / "made").exists()


# ---- as a teacher


class Suspicious:
    """Takes passages on refunds for right, and gives all others a tenth; notes what it reads."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def scores(self, question: str, passages: Sequence[str]) -> NDArray[np.float32]:
        self.read += passages
        return np.array([0.99 if "refund" in text else 0.1 for text in passages], np.float32)


@pytest.fixture
def app(voted: Path):
    opened = open_app(Settings(data=voted))
    yield opened
    opened.close()


@pytest.fixture
def evidence(app: App) -> TrainingSnapshot:
    return load_snapshot(app.stores, trusted=(), max_per_person=5000)


def test_a_nights_rows_are_cleaned_by_the_teacher_and_carry_its_scores(app: App, evidence: TrainingSnapshot) -> None:
    view = encode_view(app.stores, evidence, app.current(), evidence.asked("train").questions, no_progress)
    teacher = CachingTeacher(Suspicious())
    _, rows, removed = mine_training_rows(evidence, [view], TowersPlan(sources=tuple(QUOTAS)), no_progress, teacher)
    examples = _Texts(evidence, teacher).examples(rows)
    assert removed["teacher_says_positive"] > 0
    assert not any("refund" in text for example in examples for text in example.negatives)
    assert {len(example.teacher) for example in examples} == {2}
    assert {round(example.teacher[1], 2) for example in examples} == {-2.2}  # log(.1 / .9)
    right = [example.teacher[0] for example in examples if "refund" in example.positive]
    assert right == pytest.approx([4.595] * len(right), abs=1e-2)  # log(.99 / .01)


def test_without_a_teacher_rows_carry_no_scores(app: App, evidence: TrainingSnapshot) -> None:
    view = encode_view(app.stores, evidence, app.current(), evidence.asked("train").questions, no_progress)
    _, rows, removed = mine_training_rows(evidence, [view], TowersPlan(sources=tuple(QUOTAS)), no_progress)
    assert {example.teacher for example in _Texts(evidence).examples(rows)} == {()}
    assert "teacher_says_positive" not in removed


def test_the_setting_gives_the_night_its_teacher_and_another_fingerprint(
    app: App, evidence: TrainingSnapshot, trained: Path
) -> None:
    plain, taught = (
        build_night_plan(Settings(data=app.settings.data, night=night)) for night in ({}, {"teacher": trained})
    )
    assert (plain.teacher, plain.towers.distil) == (None, 0.0)
    assert taught.teacher is not None and taught.teacher.folder == trained
    assert taught.towers.distil == DISTILLATION_WEIGHT
    nights, held_out = NightStore(app.engine), load_held_out_questions(app.stores, evidence, 150)
    of = [
        find_or_start_night(nights, evidence, held_out, plan, TierChoice(3, ""), app.current()).night_id
        for plan in (plain, taught, replace(plain))
    ]
    assert of[0] == of[2] != of[1]


def test_mining_reads_with_the_teacher_of_the_plan(app: App) -> None:
    taught, plain = (
        mine_night_rows(app.stores, NightPlan(teacher=teacher), MiningRequest()) for teacher in (Suspicious(), None)
    )
    assert taught.removed["teacher_says_positive"] > 0 and taught.removed["not_read_by_teacher"] > 0
    assert not {"teacher_says_positive", "not_read_by_teacher"} & set(plain.removed)


def test_a_teacher_that_is_no_cross_encoder_is_refused_when_the_plan_is_made(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="no cross-encoder"):
        build_night_plan(Settings(data=tmp_path, night={"teacher": tmp_path}))


def test_an_easier_half_of_no_choice_is_refused_when_the_plan_is_made(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"1 for 1 a row leave no choice: set night\.pool to 4"):
        build_night_plan(Settings(data=tmp_path, night={"easy_first": True}))
    assert build_night_plan(Settings(data=tmp_path, night={"easy_first": True, "pool": 4})).towers.easy_first


# ---- measuring a version


def test_eval_measures_the_reranker_that_is_on_beside_the_version(
    voted: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "dataset"
    (folder / "qrels").mkdir(parents=True)
    texts = {passage.external_id: passage.text for _, (passage,) in jargon.library()}
    asked = list(jargon.questions().items())[:8]
    lines = [json.dumps({"_id": right, "title": "", "text": texts[right]}) for right in {right for _, right in asked}]
    (folder / "corpus.jsonl").write_text("\n".join(lines), "utf-8")
    lines = [json.dumps({"_id": f"q{n}", "text": question}) for n, (question, _) in enumerate(asked)]
    (folder / "queries.jsonl").write_text("\n".join(lines), "utf-8")
    lines = [f"q{n}\t{right}\t1" for n, (_, right) in enumerate(asked)]
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + "\n".join(lines), "utf-8")
    words = ("eval", "retrieval", "--dataset", str(folder), "--json")
    without = json.loads(nightjar(voted, *words).stdout)
    monkeypatch.setenv("NIGHTJAR__RETRIEVAL__RERANKER", str(trained))
    with_one = json.loads(nightjar(voted, *words).stdout)
    reranked = with_one.pop("reranked")
    assert with_one == without
    assert reranked["n_questions"] == 8
    assert 0 <= reranked["n_cut"] <= 8
