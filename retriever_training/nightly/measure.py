"""What a night measures: base, current version and candidate on the gate's questions, and what is looked at beside them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from eval.answers.ask_questions import Asked
from eval.datasets.golden_store import kept
from eval.datasets.question_sets import Question as GoldenQuestion
from eval.datasets.question_sets import of_golden
from eval.gate.decide import Decision, Served, decide
from eval.gate.embedding_checks import embedding_faults
from eval.gate.guards import QUOTED, Beside, Pair
from eval.gate.rules import Rules
from eval.report.comparison import Comparison, Found, Sureness
from eval.retrieval.evaluate import RetrievalScores, evaluate
from rag.app.app import App
from rag.embedding.embedding_cache import Recalling, RecentVectors
from rag.embedding.query_vectors import question_vectors
from rag.errors import SettingsError
from rag.generation.abstention import Bar, load_bar
from rag.versions.registry import Version
from retriever_training.abstention.equal_false_declines import at_one_height, declining
from retriever_training.abstention.leave_out_examples import Holdings, Questions, both_ways
from retriever_training.judgments.snapshot import Evidence
from retriever_training.judgments.splits import Split, place_of
from retriever_training.measuring.held_out import HeldOut
from retriever_training.measuring.reported_questions import reported_questions
from retriever_training.measuring.version_answers import Answers, Side, causes_in, support_in
from retriever_training.progress import Watch

FloatArray = NDArray[np.float32]

WALL = 300  # judged questions that the regression wall looks at, drawn by hash
LOOKED_AT = 40  # held-out questions of which the signs of an answer are read, with and without their passages
FEWEST = 30  # of them; fewer are too little to compare at
READ = 40_000  # sentences whose vectors are kept: those of some 160 questions by two versions are fewer
TIMED = 20  # questions whose search is timed,
TRIES = 2  # so often each; the quickest counts, since a busy machine only ever adds time


@dataclass(frozen=True, slots=True)
class Measured:
    """The gate's decision, and the questions it rests on."""

    decision: Decision
    comparison: Comparison


@dataclass(frozen=True)
class Measuring:
    """One night's measurement of one candidate."""

    app: App
    evidence: Evidence
    held_out: HeldOut
    rules: Rules
    watch: Watch
    current: Version
    candidate: Version
    look: int
    """How often these held-out questions have decided, this time included."""

    def measured(self) -> Measured:
        """What all versions serve for the held-out questions, and what the gate says of it."""
        before, after = self._scores(self.current), self._scores(self.candidate)
        looked_at = self._shown_by_both(before, after)
        sure_before, sure_after = at_one_height(
            self._sureness(self.current, looked_at), self._sureness(self.candidate, looked_at)
        )
        answers = self._answers(sure_before, sure_after)
        asked, n_golden, why_not = self._asked(answers)
        is_open = ~self.held_out.locked
        decision = decide(
            _only(before.served(), is_open),
            _only(after.served(), is_open),
            after.unseen[is_open],
            self._faults(),
            self.rules,
            self.held_out.decisive[is_open],
            self.held_out.newest[is_open],
            Beside(
                wall=self._wall(),
                golden=self._golden(),
                milliseconds=self._milliseconds(),
                support=None if why_not else support_in(asked),
                support_note=why_not,
                **declining(sure_before, sure_after),
            ),
            self.look,
        )
        base = self.app.registry.base()
        anchor = before if base.encoder_id == self.current.encoder_id else self._scores(base)
        questions = reported_questions(self.app, self.evidence, self.held_out, after.unseen)
        return Measured(decision, Comparison(
            questions,
            Found(self.current.encoder_id, before.found, sureness=sure_before),
            Found(self.candidate.encoder_id, after.found, sureness=sure_after),
            Found(base.encoder_id, anchor.found),
            self.app.library.get,
            causes_in(asked, self.app.settings.generator.model, n_golden) if asked else None,
            answers.quoted,
        ))  # fmt: skip

    @cached_property
    def _seen(self) -> frozenset[str]:
        return self.app.registry.training_positives(self.candidate.encoder_id)

    def _scores(self, version: Version) -> RetrievalScores:
        qrels = self.held_out.qrels(self.evidence.passage_ids)
        return self._evaluate(version, self.held_out.questions_by_id, qrels, f"measure {version.encoder_id}")

    def _evaluate(
        self, version: Version, questions: dict[str, str], qrels: dict[str, dict[str, int]], stage: str
    ) -> RetrievalScores:
        encoder = self.app.open_encoder(version.encoder_id)
        vectors = self.app.vectors(version.passage_side)
        vectors.fill(encoder, self.watch("encode passages", vectors.missing()))
        return evaluate(
            questions,
            qrels,
            encode_queries=lambda texts: question_vectors(self.app.engine, encoder, texts),
            passage_ids=self.evidence.passage_ids,
            passage_vectors=self.evidence.matrix(vectors),
            lexical=self.evidence.lexical,
            weight=version.lexical_weight,
            seen=self._seen,
            candidates=self.app.settings.retrieval.candidates,
            progress=self.watch(stage, len(qrels)),
        )

    def _faults(self) -> list[str]:
        encoder = self.app.open_encoder(self.candidate.encoder_id)
        questions = question_vectors(self.app.engine, encoder, list(self.held_out.questions_by_id.values()))
        passages = self.evidence.matrix(self.app.vectors(self.candidate.passage_side))
        return [*embedding_faults("the candidate's passages", passages, self.rules),
                *embedding_faults("the candidate's questions", questions, self.rules)]  # fmt: skip

    # ---- beside the held-out questions

    def _wall(self) -> Pair | None:
        """Of what people found right, whatever it was used for since: is it still among the first ten?"""
        splits: tuple[Split, ...] = ("train", "dev", "gate")
        locked = {text for text, is_locked in zip(self.held_out.questions_by_id.values(), self.held_out.locked, strict=True)
                  if is_locked}  # fmt: skip
        ids = self.evidence.passage_ids
        judged = {
            question: {ids[row]: 1 for row in right}
            for asked in (self.evidence.asked(split).judged_right() for split in splits)
            for question, right in zip(asked.questions, asked.right, strict=True)
            if question not in locked
        }
        drawn = sorted(judged, key=place_of)[:WALL]
        if not drawn:
            return None
        texts, qrels = {one: one for one in drawn}, {one: judged[one] for one in drawn}
        found = [
            self._evaluate(version, texts, qrels, "the regression wall").array("fused", "R@10")
            for version in (self.current, self.candidate)
        ]
        return Pair(*found)

    def _golden(self) -> Pair | None:
        """nDCG@10 of the golden questions whose passages were found in the library today; None where there are none."""
        found = [one for one in golden_in(self.app) if one.right]
        if not found:
            return None
        texts, qrels = {one.query_id: one.text for one in found}, {one.query_id: dict(one.grades) for one in found}
        values = [
            self._evaluate(version, texts, qrels, "golden questions").array("fused", "nDCG@10")
            for version in (self.current, self.candidate)
        ]
        return Pair(*values)

    def _shown_by_both(self, before: RetrievalScores, after: RetrievalScores) -> list[str]:
        """Ids of questions that may decide, and whose right passage both versions show: LOOKED_AT at most, by hash.

        Where a version does not show the right passage, declining is right too, so such questions tell nothing. Of fewer
        than FEWEST there are none: too little to compare at, and reading their sentences costs seconds.
        """
        k, ids = self.app.settings.retrieval.k, self.evidence.passage_ids
        right = {query_id: {ids[row] for row in rows} for query_id, rows in self.held_out.right.items()}
        shown = [
            query_id
            for query_id in self._open_ids
            if all(right[query_id].intersection(one.found[query_id][:k]) for one in (before, after))
        ]
        return shown[:LOOKED_AT] if len(shown) >= FEWEST else []

    @cached_property
    def _open_ids(self) -> list[str]:
        """The questions that may decide, by hash, so that one night draws those of the night before."""
        ids = [
            query_id
            for query_id, is_locked in zip(self.held_out.right, self.held_out.locked, strict=True)
            if not is_locked
        ]
        return sorted(ids, key=lambda query_id: place_of(self.held_out.questions_by_id[query_id]))

    def _sureness(self, version: Version, query_ids: Sequence[str]) -> Sureness | None:
        """How sure a version is of an answer, with the right passages there and without, by the bar that it has."""
        if not query_ids:
            return None
        texts = [self.held_out.questions_by_id[one] for one in query_ids]
        right = [self.held_out.right[one] for one in query_ids]
        encoder = self._readers[version.encoder_id]
        asked = Questions(texts, question_vectors(self.app.engine, encoder, texts), right)
        progress = self.watch("how sure it is", len(texts))
        seen = list(both_ways(self._holdings(version), asked, encoder, self.app.settings.retrieval.k, progress))
        bar = load_bar(self.app.settings.data, version.encoder_id)
        return Sureness(
            np.array([bar.sureness(there.signs) for there, _ in seen]),
            np.array([bar.sureness(gone.signs) for _, gone in seen]),
            np.array([there.is_answered for there, _ in seen], np.bool_),
            bar.least,
        )

    # ---- answers

    @cached_property
    def _readers(self) -> dict[str, Recalling]:
        """An encoder for each version. No sentence is encoded twice tonight, nor once for both where they share passages."""
        recent, versions = RecentVectors(READ), (self.current, self.candidate)
        return {one.encoder_id: recent.of(self.app.open_encoder(one.encoder_id)) for one in versions}

    def _answers(self, before: Sureness | None, after: Sureness | None) -> Answers:
        sides = {
            name: Side(version, self._readers[version.encoder_id], self._bar(version, sureness))
            for name, version, sureness in (("current", self.current, before), ("candidate", self.candidate, after))
        }
        held_out, ids = self.held_out, self.evidence.passage_ids
        judged = {
            query_id: GoldenQuestion(query_id, text, dict.fromkeys((ids[row] for row in held_out.right[query_id]), 1))
            for query_id, text in held_out.questions_by_id.items()
        }
        golden = {one.query_id: one for one in golden_in(self.app)}
        return Answers(self.app, self.evidence.lexical, sides, golden | judged, self.watch)

    def _bar(self, version: Version, sureness: Sureness | None) -> Bar:
        """The version's own bar, at the height at which both decline as many questions, where that is known."""
        bar = load_bar(self.app.settings.data, version.encoder_id)
        return replace(bar, least=sureness.least) if sureness else bar

    def _asked(self, answers: Answers) -> tuple[dict[str, list[Asked]], int, str]:
        """What both versions answered to the sample, how many of it are golden, and why support was not weighed."""
        golden = [one for one in answers.questions if one not in self.held_out.questions_by_id]
        sample, n_golden = answers.sample(self._open_ids, golden)
        try:
            is_quoting = self.app.chat_model is None
            return answers.asked(sample, quotes=is_quoting), n_golden, QUOTED if is_quoting else ""
        except SettingsError as error:
            return {}, 0, f"Citations: not weighed, for the language model can't be asked: {error}"

    def _holdings(self, version: Version) -> Holdings:
        matrix = self.evidence.matrix(self.app.vectors(version.passage_side))
        return Holdings(self.evidence.passages, matrix, self.evidence.lexical, version.lexical_weight)

    def _milliseconds(self) -> Pair:
        """What a search takes from the words of the question to its hits, the versions taking turns."""
        texts = [self.held_out.questions_by_id[one] for one in self._open_ids[:TIMED]]
        sides = [(self.app.open_encoder(one.encoder_id), self._holdings(one)) for one in (self.current, self.candidate)]
        took = np.full((len(sides), len(texts)), np.inf)
        for row, text in enumerate(texts):
            for _ in range(TRIES):
                for side, (encoder, holdings) in enumerate(sides):
                    started = time.perf_counter()
                    holdings.hits(text, encoder.encode_queries([text])[0], self.app.settings.retrieval.k)
                    took[side, row] = min(took[side, row], 1_000 * (time.perf_counter() - started))
        return Pair(took[0], took[1])


def golden_in(app: App) -> tuple[GoldenQuestion, ...]:
    """The library's golden questions; none where nobody has kept any."""
    return of_golden(app.engine, app.library).questions if kept(app.engine) else ()


def _only(served: Served, inside: NDArray[np.bool_]) -> Served:
    return Served(served.ndcg[inside], served.recall[inside], served.hub_share)
