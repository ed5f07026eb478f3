"""One whole night on one page: judgments → learn → measure → gate → promote, or leave everything as it was."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path

from eval.gate.decide import GateDecision
from eval.report.output.write_report import write_index, write_report
from rag.app.stores import Stores
from rag.feedback.same_day_boosts import LEARNED_VERDICTS_KEY
from rag.file_lock import ProcessLock
from rag.index.chroma_index import ChromaIndex
from rag.versions.registry import Version
from retriever_training.judgments.snapshot import TrainingSnapshot, load_snapshot
from retriever_training.measuring.held_out import HeldOutQuestions, load_held_out_questions
from retriever_training.negatives.candidates.records import VersionView
from retriever_training.negatives.denoising.cross_encoder_teacher import CachingTeacher
from retriever_training.nightly.choose_tier import TierChoice
from retriever_training.nightly.fingerprint import find_or_start_night
from retriever_training.nightly.forecast import choose_night_tier
from retriever_training.nightly.measure import NightMeasurement, NightMeasurer
from retriever_training.nightly.progress import NightProgress
from retriever_training.nightly.report_facts import NightFacts, night_provenance
from retriever_training.nightly.sufficiency import DataSufficiency, check_sufficiency
from retriever_training.progress import ProgressReporter, TrainedModel, no_progress
from retriever_training.tiers.learn_cold_start import learn_cold_start
from retriever_training.tiers.learn_tier1 import learn_map
from retriever_training.tiers.learn_tier2 import learn_query_tower
from retriever_training.tiers.learn_tier3 import learn_towers
from retriever_training.tiers.night_plan import NightPlan
from retriever_training.versions.encoded_views import encode_earlier_views, encode_view
from retriever_training.versions.night_store import NightRecord, NightStore, finish_night
from retriever_training.versions.night_summary import NightSummary
from retriever_training.versions.rejected_candidates import discard_old_refusals

REPORTED_FACTS = (
    "version",
    "previous",
    "tier",
    "seconds",
    "n_judgments",
    "n_passages_encoded",
    "lexical_weight",
    "night_id",
)
"""The keys of the summary that the report repeats; it has the rest in other words."""


def run_night(stores: Stores, plan: NightPlan, watch: ProgressReporter = no_progress) -> NightSummary:
    """Runs one night and returns its summary, which `nightjar nightly --json` prints.

    Safe to run twice: the same judgments on the same library get the same answer without training again. Safe
    to kill: the next run continues, and the current version is untouched until the last transaction.

    Raises:
        BusyError: another night is running on this state directory.
    """
    lock = ProcessLock(stores.data / "night.lock", "the night")
    try:
        return _run_locked(stores, plan, watch)
    finally:
        lock.release()


def _run_locked(stores: Stores, plan: NightPlan, watch: ProgressReporter) -> NightSummary:
    started = time.monotonic()
    current = stores.current()
    verdicts_until = stores.feedback.latest_event_id()
    evidence = load_snapshot(
        stores, trusted=plan.trusted, max_per_person=plan.max_per_person, quarantined=plan.quarantined
    )
    sufficiency = check_sufficiency(evidence, plan)
    if not sufficiency.is_sufficient:
        return _too_little(sufficiency, evidence, started)
    held_out = load_held_out_questions(stores, evidence, plan.rules.lock_from)
    choice = choose_night_tier(stores, evidence, plan, sufficiency)
    nights = NightStore(stores.engine)
    night = find_or_start_night(nights, evidence, held_out=held_out, plan=plan, choice=choice, current=current)
    if night.summary is not None:
        return replace(night.summary, repeated=True)
    steps = NightProgress(nights=nights, night_id=night.night_id, also=watch)
    return _Night(
        stores=stores,
        plan=plan,
        steps=steps,
        verdicts_until=verdicts_until,
        evidence=evidence,
        held_out=held_out,
        night=night,
        choice=choice,
        current=current,
        started=started,
    ).run()


@dataclass(frozen=True, kw_only=True)
class _Night:
    """One night that has enough data."""

    stores: Stores
    plan: NightPlan
    steps: NightProgress
    verdicts_until: int
    """The id of the last verdict event that the snapshot may contain."""
    evidence: TrainingSnapshot
    held_out: HeldOutQuestions
    night: NightRecord
    choice: TierChoice
    current: Version
    started: float

    def run(self) -> NightSummary:
        """Runs every stage in order."""
        made = self._learn()
        candidate = self._register(made)
        measured = self._measure(candidate)
        decision = measured.decision
        if decision.decision == "promoted":
            self._build_index(candidate)
        self.steps.enter("deciding")
        summary = self._summary(decision, candidate, made)
        self._report(measured, candidate, summary)
        self._settle(decision, candidate, summary)
        return summary

    @property
    def watch(self) -> ProgressReporter:
        """Gets the progress of every step."""
        return self.steps.watch

    @property
    def work(self) -> Path:
        """The folder for what the night writes while it runs, and for its report."""
        return self.stores.data / "nights" / self.night.night_id

    def _learn(self) -> TrainedModel:
        self.steps.enter("learning")
        self.work.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self.work / "candidate", ignore_errors=True)
        base = self.stores.registry.base()
        encoder = self.stores.open_encoder(base.encoder_id)
        vectors = self.stores.vectors(base.passage_side)
        if self.choice.tier == 1:
            learn = learn_cold_start if self.choice.is_cold_start else learn_map
            return learn(
                self.evidence,
                encoder,
                vectors,
                default_weight=base.lexical_weight,
                work=self.work,
                seed=self.plan.towers.seed,
                watch=self.watch,
            )
        if self.choice.tier == 2:
            plan = replace(self.plan.query_tower, seed=self.plan.towers.seed)
            return learn_query_tower(
                self.evidence,
                encoder,
                vectors=vectors,
                default_weight=base.lexical_weight,
                work=self.work,
                plan=plan,
                watch=self.watch,
            )
        teacher = CachingTeacher(self.plan.teacher) if self.plan.teacher else None
        return learn_towers(
            self.evidence,
            encoder,
            vectors=vectors,
            views=self._views(),
            default_weight=base.lexical_weight,
            work=self.work,
            plan=self.plan.towers,
            watch=self.watch,
            precision=self.stores.precision,
            teacher=teacher,
            earlier=self._earlier(),
        )

    def _views(self) -> list[VersionView]:
        """Returns how the base and the current version, if that is a different one, see the training questions."""
        base = self.stores.registry.base()
        versions = [base] if base.encoder_id == self.current.encoder_id else [base, self.current]
        questions = self.evidence.asked("train").questions
        return [encode_view(self.stores, self.evidence, version, questions, self.watch) for version in versions]

    def _earlier(self) -> tuple[VersionView, ...]:
        """Returns how earlier versions see the training questions, if negatives are to come from them."""
        if "earlier" not in self.plan.towers.sources:
            return ()
        return encode_earlier_views(self.stores, self.evidence, self.evidence.asked("train").questions, self.watch)

    def _register(self, made: TrainedModel) -> Version:
        learned_until = 0 if self.choice.is_cold_start else self.verdicts_until
        note = {
            **made.note,
            "night_id": self.night.night_id,
            "n_encoded": made.n_encoded,
            LEARNED_VERDICTS_KEY: learned_until,
        }
        return self.stores.registry.register(
            made.folder,
            tier=self.choice.tier,
            parent_id=self.stores.registry.base().encoder_id,
            lexical_weight=made.lexical_weight,
            note=note,
            training_positives=made.training_positives,
        )

    def _measure(self, candidate: Version) -> NightMeasurement:
        """Measures both versions on the held-out questions, and lets the gate decide."""
        self.steps.enter("measuring")
        look = 1 + NightStore(self.stores.engine).n_decided_since(self.held_out.half_judged_at)
        return NightMeasurer(
            stores=self.stores,
            evidence=self.evidence,
            held_out=self.held_out,
            rules=self.plan.rules,
            watch=self.watch,
            current=self.current,
            candidate=candidate,
            look=look,
        ).measured()

    def _report(self, measured: NightMeasurement, candidate: Version, summary: NightSummary) -> None:
        night = NightFacts(
            night_id=self.night.night_id,
            fingerprint=self.night.fingerprint,
            tier=self.choice.tier,
            plan=self.plan,
            evidence=self.evidence,
            held_out=self.held_out,
            current=self.current,
            candidate=candidate,
        )
        values = summary.as_json()
        facts = {name: values[name] for name in REPORTED_FACTS if name in values} | {"settings": night.plan_settings()}
        background = night_provenance(night, self.work.parent)
        write_report(self.work / "report", measured.decision, facts, measured.comparison, background)
        write_index(self.work.parent)

    def _build_index(self, candidate: Version) -> None:
        """Builds the Chroma index of a new passage side before anybody needs it; the one that serves is not touched."""
        if candidate.passage_side == self.current.passage_side:
            return
        self.steps.enter("indexing")
        vectors = self.stores.vectors(candidate.passage_side)
        encoder = self.stores.open_encoder(candidate.encoder_id)
        vectors.fill(encoder, self.watch("encode passages added meanwhile", vectors.missing()))
        advance = self.watch("build the new index", self.stores.library.n_passages())
        with ChromaIndex.open(
            self.stores.data / "index", candidate.passage_side, vectors, url=self.stores.index_url
        ) as index:
            index.sync(advance)
            index.verify()

    def _settle(self, decision: GateDecision, candidate: Version, summary: NightSummary) -> None:
        """Stores the decision and, in the same transaction, the promotion."""
        if decision.decision == "promoted":
            self.stores.registry.promote(
                candidate.encoder_id,
                decision.reasons[0],
                also=lambda connection: finish_night(connection, self.night.night_id, summary),
            )
        else:
            with self.stores.engine.begin() as connection:
                finish_night(connection, self.night.night_id, summary)
        discard_old_refusals(self.stores, self.plan.keep_refused)
        for leftover in self.work.glob("round-*"):
            shutil.rmtree(leftover, ignore_errors=True)

    def _summary(self, decision: GateDecision, candidate: Version, made: TrainedModel) -> NightSummary:
        return NightSummary(
            decision=decision.decision,
            version=candidate.encoder_id,
            previous=self.current.encoder_id,
            tier=self.choice.tier,
            reasons=(*decision.reasons, self.choice.why),
            seconds=round(time.monotonic() - self.started, 1),
            n_judgments=len(self.evidence.judgments.judgments),
            n_passages_encoded=made.n_encoded,
            lexical_weight=candidate.lexical_weight,
            dropped=dict(self.evidence.judgments.dropped.items()),
            note=candidate.note,
            figures=decision.figures,
            night_id=self.night.night_id,
            report=str(self.work / "report" / "report.md"),
        )


def _too_little(sufficiency: DataSufficiency, evidence: TrainingSnapshot, started: float) -> NightSummary:
    return NightSummary(
        decision="invalid",
        reasons=tuple(sufficiency.missing()),
        seconds=round(time.monotonic() - started, 1),
        n_judgments=len(evidence.judgments.judgments),
        dropped=dict(evidence.judgments.dropped.items()),
    )
