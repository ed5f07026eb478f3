"""What to do next: sentences that follow from the figures of a report, the most useful one first."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

import numpy as np

from eval.gate.decide import GateDecision
from eval.report.comparison import Comparison
from eval.report.figures import ReportFigures
from eval.report.provenance import ReportContext
from eval.statistics.number_wording import format_number
from eval.statistics.significance import PairedComparison

HELD_OUT = 5  # one question in this many is held out
FEWEST = 5  # questions of a document before it is named
WEAK = 0.10  # below the mean of all by so much nDCG@10 a document is called weak
NOTABLE = 0.05  # share of the questions from which a place of the right passage is worth a sentence


def recommendations(
    decision: GateDecision, comparison: Comparison, figures: ReportFigures, background: ReportContext
) -> list[str]:
    """The sentences; never none."""
    said = [
        *_of_verdict(decision, figures),
        *figures.drift.warnings(),
        *(check.sentence for check in background.checks if not check.is_fine),
        *_of_broken(comparison, figures),
        *_of_places(comparison, figures),
        *_of_documents(comparison, figures),
        *_of_confidence(comparison),
        *background.advice,
    ]
    return list(dict.fromkeys(said)) or ["Nothing stands out. Go on asking and voting."]


def _of_verdict(decision: GateDecision, figures: ReportFigures) -> Iterator[str]:
    if decision.decision == "promoted":
        yield (
            'The new version answers. Nothing has to be done; if people complain, "nightjar rollback" brings the one '
            "before back."
        )
    if decision.decision == "invalid":
        yield "Collect more judgments before you read anything into these figures."
    vetoes = [ruling for ruling in decision.rulings if ruling.outcome == "failed" and ruling.family != "decision"]
    for veto in vetoes:
        yield VETOED.get(veto.name, f'The guard "{veto.name}" objected: {veto.sentence}')
    primary = next((row.figures for row in figures.rows if row.figures), None)
    if decision.decision == "kept" and not vetoes and primary is not None:
        yield from _of_chance(primary)


VETOED = {
    "unseen": "The candidate is worse on passages nobody has judged: it learnt by heart. Spread the votes over more "
    "documents, or let a night of tier 3 learn from them.",
    "newest": "The candidate is worse on what people ask now. Judge some of this week's questions, so that the next "
    "night can learn from them.",
    "recall": "Right passages fall out of the first ten. Read the broken questions below: if the passage that took "
    "the place is right too, mark it helpful.",
    "hubs": "One passage turns up everywhere. Open it: it is often a table of contents or a notice that every page has. "
    "Mark it as not relevant, or take it out of the documents.",
    "wall": "Too many of the passages that people had found are lost. Read the broken questions below before the next night.",
    "golden": "A golden question got worse. People chose these questions: look at each of them below.",
    "answered": "The candidate declines questions that the documents answer. Look at the broken questions, "
    'and run "nightjar calibrate" after the next promotion.',
    "declined": 'The candidate answers what the documents do not answer. Mark such answers as "not in the documents".',
    "support": "Answers rest less on their citations. Look at the passages of the broken questions.",
    "latency": "Searches have become slower. See the machine's load that night before you blame the version.",
    "vectors": "The vectors are broken. Keep the version that answers, and try another seed or a lower learning rate.",
}


def _of_chance(primary: PairedComparison) -> Iterator[str]:
    if primary.wins + primary.losses == 0:
        yield "Not one question changed. There was nothing new to learn from: judge questions that nobody has judged."
    elif primary.difference <= 0:
        yield (
            "The candidate is no better. More of the same votes will not change that: judge questions whose right "
            "passage is ranked low, such as those listed below."
        )
    else:
        needed = math.ceil(primary.n * (primary.detectable / primary.difference) ** 2)
        more = max(0, needed - primary.n)
        yield (
            f"The gain of {format_number(primary.difference)} may be real: to see one of this size, four times in five, "
            f"takes about {needed:,} held-out questions. There are {primary.n:,}; with one question in {HELD_OUT} held out, "
            f"some {HELD_OUT * more:,} more judged questions."
        )


def _of_broken(comparison: Comparison, figures: ReportFigures) -> Iterator[str]:
    broken = [change.question for change in figures.moved if change.move == "broken"]
    fixed = sum(change.move == "fixed" for change in figures.moved)
    if not broken:
        return
    common = [
        f"{source} ({n})"
        for source, n in Counter(change.source for change in broken).most_common(3)
        if n > 1 and source
    ]
    where = f" Most of them are about {', '.join(common)}." if common else ""
    yield (
        f"Read the {len(broken)} broken questions first ({fixed} were fixed): if the passage that took its place is right "
        f"too, mark it helpful; if it is wrong, mark it as not relevant.{where}"
    )


def _of_places(comparison: Comparison, figures: ReportFigures) -> Iterator[str]:
    after = "candidate" if comparison.candidate else "current"
    places, n = figures.places[after], max(1, len(comparison.questions))
    if places["11th to 100th"] >= NOTABLE * n:
        yield (
            f"{places['11th to 100th']:,} of {n:,} questions have their right passage at 11 to 100: a reranker reads that far "
            'down. Train one with "nightjar cross-encoder train", and see what it says it is worth.'
        )
    if places["beyond 100"] >= NOTABLE / 2 * n:
        yield (
            f"{places['beyond 100']:,} of {n:,} questions have their right passage nowhere in the first 100: question and "
            "passage share neither words nor meaning. See whether it was cut badly or pinned by mistake."
        )
    if places["not in the library"]:
        yield (
            f"{places['not in the library']:,} questions have no right passage in the library any more: bring the document "
            "in again, or retire the question."
        )


def _of_documents(comparison: Comparison, figures: ReportFigures) -> Iterator[str]:
    weak = sorted(
        (part for part in figures.parts if part.dimension == "document" and part.n >= FEWEST),
        key=lambda one: one.figures.mean_candidate if one.figures else one.mean,
    )
    served = figures.values["candidate" if comparison.candidate else "current"]["nDCG@10"]
    mean = float(np.nanmean(served)) if np.isfinite(served).any() else 0.0
    for part in weak[:2]:
        worth = part.figures.mean_candidate if part.figures else part.mean
        if worth < mean - WEAK:
            yield (
                f"Questions about {part.name} are answered worst: nDCG@10 {format_number(worth)} on {part.n}, "
                f"{format_number(mean)} on all. Read that document's passages, and judge what is asked of it."
            )


def _of_confidence(comparison: Comparison) -> Iterator[str]:
    looked = comparison.candidate or comparison.current
    if looked.sureness is None or not len(looked.sureness.gone):
        return
    answered = float((looked.sureness.gone >= looked.sureness.least).mean())
    if answered > 0.5:
        yield (
            f"With their passage taken away, {answered:.0%} of the questions were still answered: if many passages "
            'say nearly the same, that may be right; otherwise run "nightjar calibrate".'
        )
