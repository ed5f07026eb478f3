"""Documents, removals and gaps → what the Library page shows. Everything that people or documents wrote is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from rag.ingestion.remove_documents import RemovalCounts
from rag.insights.document_listing import ListedDocument
from rag.insights.knowledge_gaps import KnowledgeGap
from rag.records import Passage
from ui.auth.current_user import CurrentUser
from ui.html.environment import strip_control_characters
from ui.texts import library as texts
from ui.texts.library import counted
from ui.web.components.document_html import format_tally
from ui.web.components.escape import escape_html, highlight, passage_title

MAX_NAME = 200  # characters of a title or source on a button
FEW_QUESTIONS = 4  # of a gap that are shown at once
MOST_QUESTIONS = 40
EXCERPT = 240  # characters of a gap's closest passage


# ---- the list


def document_button_label(one: ListedDocument) -> str:
    """Title and, below it, source; Gradio shows a button's value as text."""
    lines = [one.title, one.source] if one.title and one.title != PurePosixPath(one.source).stem else [one.source]
    return "\n".join(_short(" ".join(strip_control_characters(line).split())) for line in lines)


def _short(text: str) -> str:
    return text if len(text) <= MAX_NAME else text[: MAX_NAME - 1] + "…"


def document_type(one: ListedDocument) -> str:
    """The document's suffix, or the end of its media type, such as "pdf"."""
    suffix = PurePosixPath(one.source).suffix.lstrip(".").lower()
    return (
        suffix
        if suffix.isalnum() and len(suffix) <= 8
        else one.media_type.partition(";")[0].rpartition("/")[2].removeprefix("x-")
    )


def document_cells(one: ListedDocument) -> str:
    """The other columns of a document's row, as HTML."""
    numbers = {"passages": one.n_passages, "size": one.n_characters}
    said = {name: getattr(one.tally, name) for name in ("helpful", "not_relevant", "outdated", "cited")}
    shown = [
        f'<span class="nj-state nj-state-{one.state}">{texts.STATES[one.state]}</span>',
        f'<span class="nj-kind">{escape_html(document_type(one))}</span>',
        *(_number(name, n) for name, n in numbers.items()),
        f'<span class="nj-day">{escape_html(one.added_at[:10])}</span>',
        *(_number(name, n) for name, n in said.items()),
    ]
    return f'<div class="nj-cells">{"".join(shown)}</div>'


def _number(name: str, n: int) -> str:
    if not n:
        return f'<span class="nj-number nj-nought">{texts.NOUGHT}</span>'
    return (
        f'<span class="nj-number nj-said-{name}">{n:,}<span class="nj-unit"> {texts.UNITS[name][n != 1]}</span></span>'
    )


# ---- one document


def render_document_head(one: ListedDocument, outdated_by: Mapping[str, int], person: CurrentUser) -> str:
    """Title, facts, and who called it outdated: administrators see names, others how many people."""
    facts = [
        escape_html(one.source) if one.title else "",
        escape_html(document_type(one)),
        texts.STATES[one.state],
        counted(one.n_passages, texts.UNITS["passages"]),
        counted(one.n_characters, texts.UNITS["size"]),
        texts.ADDED.format(day=escape_html(one.added_at[:10])),
        *format_tally(one.tally),
    ]
    line = " · ".join(fact for fact in facts if fact)
    outdated = f'<p class="nj-outdated-by">{_outdated_told(outdated_by, person)}</p>' if outdated_by else ""
    return (
        f'<h2 class="nj-title">{escape_html(one.title or one.source)}</h2><div class="nj-meta">{line}</div>{outdated}'
    )


def _outdated_told(by: Mapping[str, int], person: CurrentUser) -> str:
    if not person.may("administrator"):
        times, people = counted(sum(by.values()), texts.A_TIME), counted(len(by), texts.A_PERSON)
        return texts.OUTDATED_BY_SOME.format(times=times, people=people)
    named = ", ".join(texts.TIMES.format(name=escape_html(name), n=n) for name, n in by.items())
    return texts.OUTDATED_BY.format(people=named)


def format_removal_preview(source: str, would_go: RemovalCounts, n_copies: int = 0) -> str:
    """What a removal would take, as HTML; *n_copies* of uploaded files go with it."""
    n_documents = counted(would_go.n_documents, texts.A_DOCUMENT)
    n_passages = counted(would_go.n_passages, texts.A_PASSAGE)
    versions = ", ".join(map(escape_html, would_go.was_trained_on))
    told = [
        texts.WOULD_GO.format(source=escape_html(source), documents=n_documents, passages=n_passages),
        texts.WOULD_LOSE.format(verdicts=counted(would_go.n_verdicts, texts.A_VERDICT)) if would_go.n_verdicts else "",
        texts.WOULD_UNLEARN.format(versions=versions) if versions else texts.WOULD_LEARN_NOTHING,
        texts.WOULD_GO_TOO.format(copies=counted(n_copies, texts.A_COPY)) if n_copies else texts.WOULD_KEEP_FILES,
    ]
    return " ".join(sentence for sentence in told if sentence)


# ---- gaps


def render_gaps(gaps: Sequence[tuple[KnowledgeGap, Passage | None]]) -> str:
    """Gaps with the passages that come closest, as HTML."""
    if not gaps:
        return f'<p class="nj-none">{texts.NO_GAPS}</p>'
    return f'<div class="nj-gaps">{"".join(_gap(gap, closest) for gap, closest in gaps)}</div>'


def _gap(gap: KnowledgeGap, closest: Passage | None) -> str:
    asked = texts.ASKED_BY.format(
        times=counted(gap.n_asked, texts.A_TIME), people=counted(gap.n_people, texts.A_PERSON)
    )
    line = f"{asked} · {texts.LAST_ASKED.format(day=escape_html(gap.last_at[:10]))}"
    first, rest = gap.questions[:FEW_QUESTIONS], gap.questions[FEW_QUESTIONS:MOST_QUESTIONS]
    more = (
        f"<details><summary>{counted(len(rest), texts.A_FURTHER_QUESTION)}</summary>{_list(rest)}</details>"
        if rest
        else ""
    )
    return (
        f'<div class="nj-card nj-gap"><h2 class="nj-title">{escape_html(_short(gap.name))}</h2>'
        f'<div class="nj-meta">{line}</div>{_list(first)}{more}{_closest(gap, closest)}</div>'
    )


def _list(questions: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape_html(question)}</li>' for question in questions)}</ul>"


def _closest(gap: KnowledgeGap, closest: Passage | None) -> str:
    if closest is None:
        return f'<div class="nj-meta">{texts.NO_CLOSEST}</div>'
    text = closest.text if len(closest.text) <= EXCERPT else closest.text[:EXCERPT].rpartition(" ")[0] + " …"
    return (
        f'<div class="nj-closest"><div class="nj-meta">{texts.CLOSEST.format(cosine=gap.cosine)}</div>'
        f'<div class="nj-title">{escape_html(passage_title(closest))}</div>'
        f'<div class="nj-meta">{escape_html(closest.source)}</div><div class="nj-text">{highlight(text, ())}</div></div>'
    )
