"""The files of a report for other programs: TREC runs and judgments, one line a question, and JUnit for CI."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from xml.etree import ElementTree as ET

import numpy as np

from eval.gate.decide import GateDecision
from eval.report.compare_versions import rank_of_right_passage
from eval.report.comparison import Comparison, VersionRun
from eval.report.figures import ReportFigures

DEPTH = 100


def trec_run(found: VersionRun, tag: str) -> Iterator[str]:
    """Lines of a TREC run, `query Q0 passage rank score tag`; scores fall with the rank, so that no tie is left to break."""
    for query_id, ranked in found.run.items():
        for rank, passage_id in enumerate(ranked[:DEPTH], start=1):
            yield f"{token(query_id)} Q0 {token(passage_id)} {rank} {DEPTH + 1 - rank} {tag}\n"


def trec_qrels(comparison: Comparison) -> Iterator[str]:
    """Lines of TREC judgments, `query 0 passage grade`."""
    for query_id, grades in comparison.qrels().items():
        for passage_id, grade in grades.items():
            yield f"{token(query_id)} 0 {token(passage_id)} {grade}\n"


def token(name: str) -> str:
    """An id without spaces, which part the columns of these files; a percent sign is written out, so none are mixed up.

    >>> token("q 1"), token("100%")
    ('q%201', '100%25')
    """
    return "".join(f"%{ord(c):02X}" if c.isspace() or c == "%" or not c.isprintable() else c for c in name) or "%"


def question_lines(comparison: Comparison, figures: ReportFigures) -> Iterator[str]:
    """One JSON object a question: what was asked, what is right, and what each version made of it."""
    moves = {change.question.query_id: change.move for change in figures.moved}
    for row, question in enumerate(comparison.questions):
        line = {
            "query_id": question.query_id,
            "question": question.text,
            "right": dict(question.right),
            "source": question.source,
            "language": question.language,
            "is_unseen": question.is_unseen,
            "is_newest": question.is_newest,
            "is_decisive": question.is_decisive,
            "is_locked": question.is_locked,
            "move": moves.get(question.query_id),
            "votes": [
                {
                    "passage_id": vote.passage_id,
                    "verdict": vote.verdict,
                    "n_people": vote.n_people,
                    "comment": vote.comment,
                }
                for vote in question.votes
            ],
            "versions": {
                name: {
                    "version": run.version_id,
                    "error": run.errors.get(question.query_id),
                    "rank_of_right": rank_of_right_passage(run, question),
                    "top_ten": list(run.run.get(question.query_id, ()))[:10],
                    "values": {measure: _number(values[row]) for measure, values in figures.values[name].items()},
                }
                for name, run in comparison.versions.items()
            },
        }
        yield json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n"


def _number(value: float) -> float | None:
    """None if the question could not be measured: JSON has no NaN, and 0 would be a lie."""
    return float(value) if np.isfinite(value) else None


def junit_xml(decision: GateDecision) -> bytes:
    """The rulings as JUnit XML, one suite a family; what was not tested is skipped, and INVALID is an error."""
    suites = ET.Element("testsuites", name="nightjar")
    families: defaultdict[str, list[ET.Element]] = defaultdict(list)
    for ruling in decision.rulings:
        case = ET.Element("testcase", classname=f"nightjar.{ruling.family}", name=ruling.name)
        if ruling.outcome == "failed":
            ET.SubElement(case, "failure", message=_xml(ruling.sentence)).text = _xml(ruling.sentence)
        elif decision.decision == "invalid":
            ET.SubElement(case, "error", message=_xml(ruling.sentence)).text = _xml(ruling.sentence)
        elif ruling.outcome == "untested":
            ET.SubElement(case, "skipped", message=_xml(ruling.sentence))
        families[ruling.family].append(case)
    for family, cases in families.items():
        suite = ET.SubElement(suites, "testsuite", {"name": family, "tests": str(len(cases)), **_counts(cases)})
        suite.extend(cases)
    ET.indent(suites)
    written: bytes = ET.tostring(suites, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def _counts(cases: list[ET.Element]) -> dict[str, str]:
    named = {"failures": "failure", "errors": "error", "skipped": "skipped"}
    return {name: str(sum(case.find(tag) is not None for case in cases)) for name, tag in named.items()}


def _xml(text: str) -> str:
    """Without the control characters that XML can't hold."""
    return "".join(c if c.isprintable() else " " for c in text)
