"""A report: whole or absent, equal for equal input, plain text whatever it is about, and the same figures for every reader."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import ir_measures
import numpy as np
import pytest

from eval.answers.failure_attribution import AttributedQuestion
from eval.answers.failure_changes import FailureCauses
from eval.gate.decide import GateDecision, ServedScores, decide
from eval.report.compare_versions import most_changed
from eval.report.comparison import AbstentionScores, AnswerSummary, Comparison, PassageVotes, ReportQuestion, VersionRun
from eval.report.figures import compute_figures
from eval.report.output.markdown_summary import render_markdown
from eval.report.output.write_report import write_index, write_report
from eval.report.provenance import PastReport, ReportContext, ValidityCheck, past_reports
from rag.records import Citation, Passage

HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(2)>\"'><svg onload=alert(3)>{{ 7 * 7 }}{% raw %} $\\frac{1}{ ]]>"
    "<!-- </style> javascript:alert(4) \x1b[2J \u202e"
)
WHOLE = {
    "report.html",
    "report.md",
    "metrics.json",
    "per_question.jsonl",
    "run_current.trec",
    "run_candidate.trec",
    "qrels.trec",
    "junit.xml",
    "manifest.json",
}


def a_decision() -> GateDecision:
    before = np.array([0.5] * 40)
    after = before + np.array([0.05, 0.15] * 20)
    return decide(
        ServedScores(before, np.ones(40)),
        ServedScores(after, np.ones(40)),
        np.arange(40) < 35,
        newest=np.arange(40) >= 32,
    )


def a_comparison(n: int = 40, words: str = "", errors: dict[str, str] | None = None) -> Comparison:
    """Question i asks for passage i of 50; the current version has it at rank 1 + i % 15, the candidate one higher."""
    passages = [f"p{number} {words}".strip() for number in range(n + 50)]
    questions = tuple(
        ReportQuestion(
            query_id=f"q {number}",
            text=f"How do I get number {number}? {words}",
            right={passages[number]: 1},
            source=f"docs/{number % 12}.md {words}",
            language="en",
            is_unseen=number % 2 == 0,
            is_locked=number % 5 == 0,
            votes=(PassageVotes(passages[number], "pin", 2, f"right {words}"),),
        )
        for number in range(n)
    )

    def run(better: int) -> dict[str, tuple[str, ...]]:
        found = {}
        for number, question in enumerate(questions):
            others = [passage for passage in passages[n:] if passage != passages[number]]
            others.insert(max(0, number % 15 - better), passages[number])
            found[question.query_id] = tuple(others)
        return found

    def read(ids: object) -> dict[str, Passage]:
        return {
            passage_id: Passage(
                passage_id=passage_id,
                document_id="d",
                source=f"docs/{words}",
                title=words,
                heading=words,
                text=f"Text {words}",
                start=0,
                end=4,
            )
            for passage_id in ids
        }  # type: ignore[attr-defined]

    def answer(ids: object) -> dict[str, dict[str, AnswerSummary]]:
        quote = Citation(
            n=1,
            passage_id=passages[n],
            source=f"docs/{words}",
            page=None,
            start=0,
            end=4,
            quote=f"Text {words}",
            support=0.25,
        )
        declined, broken = AnswerSummary("", f"Nothing {words}"), AnswerSummary("", "", f"broke {words}")
        return {
            passage_id: {
                "current": broken if passage_id == "q 1" else AnswerSummary(f"Said {words} [1]", citations=(quote,)),
                "candidate": declined,
            }
            for passage_id in ids
        }  # type: ignore[attr-defined]

    causes = FailureCauses(
        written_by=f"model {words}",
        current=tuple(
            AttributedQuestion(query_id=question.query_id, question=question.text, cause="right", rank=1, error="")
            for question in questions
        ),
        candidate=tuple(
            AttributedQuestion(
                query_id=question.query_id, question=question.text, cause="error", rank=2, error=f"broke {words}"
            )
            for question in questions
        ),
        n_golden=1,
        n_without_reference=2,
        n_undecided=3,
    )
    sure = AbstentionScores(np.linspace(0.1, 1, 40), np.linspace(0, 0.9, 40), np.arange(40) % 4 > 0, 0.2)
    return Comparison(
        questions=questions,
        current=VersionRun("cur", run(0), errors or {}, sure),
        candidate=VersionRun("can", run(1), {}, sure),
        anchor=VersionRun("base", run(0)),
        read=read,
        causes=causes,
        answer=answer,
    )  # type: ignore[arg-type]


def a_background(words: str = "") -> ReportContext:
    past = tuple(
        PastReport(
            name=f"night-{number} {words}", decision="kept", n=40, current=0.5, candidate=0.52, anchor=0.49, locked=None
        )
        for number in range(3)
    )
    return ReportContext(
        title=f"Night {words}",
        changed=((f"Data {words}", ((f"passages {words}", words or "90"),)),),
        checks=(ValidityCheck("Overlap", False, f"One question {words} is in both."),),
        history=past,
        reproduce=(("command", f"nightjar nightly {words}"),),
        advice=(f"Ask {words}",),
    )


class Elements(HTMLParser):
    """The names of all elements, and all attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


# ---- the folder


def test_report_holds_all_its_files_and_their_hashes(tmp_path: Path) -> None:
    page = write_report(
        tmp_path / "nights" / "n1", a_decision(), {"tier": 1, "seconds": 12.5}, a_comparison(), a_background()
    )
    assert page.read_text("utf-8").startswith("# Promoted: the candidate answers from now on\n")
    assert {file.name for file in page.parent.iterdir()} == WHOLE
    manifest = json.loads((page.parent / "manifest.json").read_text("utf-8"))
    assert manifest == {
        name: hashlib.sha256((page.parent / name).read_bytes()).hexdigest()
        for name in sorted(WHOLE - {"manifest.json"})
    }
    metrics = json.loads((page.parent / "metrics.json").read_text("utf-8"))
    assert (metrics["schema"], metrics["decision"]) == (3, "promoted")
    assert metrics["facts"] == {"tier": 1, "seconds": 12.5}
    assert [entry.name for entry in page.parent.parent.iterdir()] == ["n1"]


def test_equal_input_writes_equal_bytes_also_over_an_older_report(tmp_path: Path) -> None:
    first = write_report(tmp_path / "a", a_decision(), {"tier": 1}, a_comparison(), a_background())
    write_report(tmp_path / "b", GateDecision("kept", ("No.",)), {"tier": 3})
    second = write_report(tmp_path / "b", a_decision(), {"tier": 1}, a_comparison(), a_background())
    for name in WHOLE:
        assert (first.parent / name).read_bytes() == (second.parent / name).read_bytes(), name


def test_a_decision_without_questions_is_a_report_too(tmp_path: Path) -> None:
    page = write_report(tmp_path / "a", GateDecision("invalid", ("Too few.",)), {})
    assert "Too few." in (page.parent / "report.html").read_text("utf-8")
    assert json.loads((page.parent / "metrics.json").read_text("utf-8"))["comparison"] is None


def test_the_index_lists_whole_reports_alone_newest_first(tmp_path: Path) -> None:
    for name in ("20260101", "20260102"):
        write_report(tmp_path / name / "report", a_decision(), {}, a_comparison())
    (tmp_path / "20260103" / "report").mkdir(parents=True)
    page = write_index(tmp_path).read_text("utf-8")
    assert page.index("20260102/report/report.html") < page.index("20260101/report/report.html")
    assert "20260103" not in page
    assert [night.name for night in past_reports(tmp_path, before="20260102")] == ["20260101"]


# ---- the page


@pytest.fixture(scope="module")
def plain_and_hostile(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The same report, once about numbers and once about the worst of texts."""
    folder = tmp_path_factory.mktemp("pages")
    for name, words in (("plain", ""), ("hostile", HOSTILE)):
        rulings = a_decision().rulings
        decision = replace(
            a_decision(),
            reasons=(f"Rose. {words}",),
            rulings=(*rulings[:-1], replace(rulings[-1], sentence=f"Hubs {words}")),
        )
        comparison = a_comparison(words=words, errors={"q 1": f"broke {words}"})
        write_report(folder / name, decision, {f"fact {words}": words}, comparison, a_background(words))
    plain, hostile = ((folder / name / "report.html").read_text("utf-8") for name in ("plain", "hostile"))
    return plain, hostile


def test_hostile_text_stays_text_and_adds_no_element(plain_and_hostile: tuple[str, str]) -> None:
    plain, hostile = (Elements(page) for page in plain_and_hostile)
    assert sorted(plain.names) == sorted(hostile.names)
    assert not {"script", "img", "iframe", "object", "form", "link", "base"} & set(hostile.names)
    assert not [name for name, _ in hostile.attributes if name.startswith("on")]
    assert any("<script>alert(1)</script>" in text for text in hostile.texts), "shown as the text that it is"
    assert not any("49" in text and "alert" in text for text in hostile.texts), "templates inside texts are not run"


def test_the_page_asks_nothing_of_anybody(plain_and_hostile: tuple[str, str]) -> None:
    for page in map(Elements, plain_and_hostile):
        outside = [
            value
            for name, value in page.attributes
            if name in ("src", "href", "xlink:href", "action", "style") and not (value or "").startswith("#")
        ]
        assert outside == []


def test_the_policy_lets_nothing_run_and_names_the_one_style_by_its_hash(plain_and_hostile: tuple[str, str]) -> None:
    import base64

    page = plain_and_hostile[0]
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"content=\"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'\"" in page


def test_no_two_elements_share_an_id_so_that_links_lead_where_they_say(plain_and_hostile: tuple[str, str]) -> None:
    ids = [value for name, value in Elements(plain_and_hostile[0]).attributes if name == "id"]
    assert len(ids) == len(set(ids))


def test_answers_stand_side_by_side_with_the_support_of_their_citations(plain_and_hostile: tuple[str, str]) -> None:
    text = " ".join(" ".join(Elements(plain_and_hostile[0]).texts).split())
    assert "Said [1] [1] partly, 0.25 docs/" in text
    assert "cited [1] partly, 0.25" in text, "beside the passage that is cited"
    assert "Declined: Nothing" in text
    assert "No answer: broke" in text


def test_causes_are_told_before_and_after_with_what_can_not_be_known(tmp_path: Path) -> None:
    page = write_report(tmp_path / "a", a_decision(), {}, a_comparison())
    told = json.loads((page.parent / "metrics.json").read_text("utf-8"))["causes"]
    assert (told["current"]["right"], told["candidate"]["error"], told["transitions"]["n_broken"]) == (40, 40, 40)
    html = (page.parent / "report.html").read_text("utf-8")
    assert "0 fixed, 40 broken, 0 the same." in html
    assert "No reference answer is known of 2 of them." in html
    assert "Answers that read a right passage and cite another one: 3." in html


@pytest.mark.slow
def test_ten_thousand_questions_make_a_page_that_opens_at_once(tmp_path: Path) -> None:
    """Only the most moved are in the page; all of them are in per_question.jsonl."""
    page = write_report(tmp_path / "big", a_decision(), {}, a_comparison(10_000))
    assert (page.parent / "report.html").stat().st_size < 700_000
    assert len((page.parent / "per_question.jsonl").read_text("utf-8").splitlines()) == 10_000


# ---- what is shown first


def test_what_broke_comes_first_and_leaves_room_for_what_was_fixed() -> None:
    comparison = a_comparison(60)
    worse = replace(comparison, current=comparison.candidate, candidate=comparison.current)
    shown = most_changed(compute_figures(worse).moved, 5)
    assert [line.move for line in shown] == ["broken"] * 4 + ["worse"]


def test_advice_says_how_many_more_judgments_a_gain_by_chance_needs(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    before = rng.random(60)
    kept = decide(
        ServedScores(before, np.ones(60)),
        ServedScores(before + rng.normal(0.02, 0.2, 60), np.ones(60)),
        np.zeros(60, bool),
    )
    page = write_report(tmp_path / "a", kept, {}, a_comparison())
    said = json.loads((page.parent / "metrics.json").read_text("utf-8"))["next"]
    assert kept.decision == "kept"
    assert any(re.search(r"takes about [\d,]+ held-out questions", sentence) for sentence in said)


# ---- for other programs


def test_trec_files_give_ir_measures_the_same_figures(tmp_path: Path) -> None:
    comparison = a_comparison()
    folder = write_report(tmp_path / "a", a_decision(), {}, comparison).parent
    qrels = list(ir_measures.read_trec_qrels(str(folder / "qrels.trec")))
    for name in ("current", "candidate"):
        run = list(ir_measures.read_trec_run(str(folder / f"run_{name}.trec")))
        figures = ir_measures.calc_aggregate([ir_measures.nDCG @ 10, ir_measures.R @ 5], qrels, run)
        values = compute_figures(comparison).values[name]
        assert figures[ir_measures.nDCG @ 10] == pytest.approx(values["nDCG@10"].mean())
        assert figures[ir_measures.R @ 5] == pytest.approx(values["R@5"].mean())


def test_junit_has_a_suite_a_family_with_what_failed_and_what_was_not_tested(tmp_path: Path) -> None:
    before = np.array([0.5] * 40)
    decision = decide(ServedScores(before, np.ones(40)), ServedScores(before, np.zeros(40)), np.zeros(40, bool))
    folder = write_report(tmp_path / "a", decision, {}).parent
    suites = {suite.get("name"): suite for suite in ET.parse(folder / "junit.xml").getroot()}
    assert set(suites) == {"decision", "quality", "health"}
    cases = {case.get("name"): case for case in suites["quality"]}
    assert cases["recall"].find("failure").get("message").startswith("Veto: recall@10 fell")  # type: ignore[union-attr]
    assert cases["unseen"].find("skipped") is not None
    assert (suites["quality"].get("failures"), suites["quality"].get("skipped")) == ("1", "2")


# ---- a failure is no number


def test_a_question_without_results_counts_as_zero_and_one_with_an_error_is_counted_apart(tmp_path: Path) -> None:
    comparison = a_comparison()
    runs = dict(comparison.current.run)
    del runs["q 1"]
    lost = replace(comparison, current=VersionRun("cur", runs, {"q 2": "timed out"}))
    figures = compute_figures(lost)
    assert figures.values["current"]["nDCG@10"][1] == 0.0
    assert np.isnan(figures.values["current"]["nDCG@10"][2])
    assert (figures.rows[0].n, figures.rows[0].n_asked, figures.rows[0].is_valid) == (31, 32, True)
    folder = write_report(tmp_path / "a", a_decision(), {}, lost).parent
    lines = [json.loads(line) for line in (folder / "per_question.jsonl").read_text("utf-8").splitlines()]
    assert lines[2]["versions"]["current"]["values"]["nDCG@10"] is None
    assert lines[2]["versions"]["current"]["error"] == "timed out"
    assert "timed out" in (folder / "report.html").read_text("utf-8")


def test_a_measure_of_too_few_questions_has_no_figure(tmp_path: Path) -> None:
    lost = a_comparison(errors={f"q {number}": "timed out" for number in range(5)})
    figures = compute_figures(lost)
    assert not figures.rows[0].is_valid
    assert figures.rows[0].figures is None
    folder = write_report(tmp_path / "a", a_decision(), {}, lost).parent
    assert "invalid: only 28 of 32 questions could be measured" in (folder / "report.html").read_text("utf-8")


# ---- the summary


def test_table_has_one_row_a_tested_measure() -> None:
    page = render_markdown(a_decision(), {})
    assert "| served nDCG@10 | 40 | 0.5000 | 0.6000 | +0.1000 |" in page
    assert "| of it, unseen passages | 35 |" in page
    assert "| of it, newest questions | 8 |" in page
    assert "| recall@10 | 40 | 1.0000 | 1.0000 | +0.0000 |" in page


def test_names_from_documents_can_not_bring_markup() -> None:
    page = render_markdown(GateDecision("kept", ("No.",)), {"source": "![x](http://h/)\n# big | <b>"})
    assert "\\!\\[x\\](http://h/) # big \\| \\<b\\>" in page
