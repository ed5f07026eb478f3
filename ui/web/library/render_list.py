"""Documents, removals and gaps → what the Library page shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from markupsafe import Markup

from rag.ingestion.remove_documents import RemovalCounts
from rag.insights.document_listing import ListedDocument
from rag.insights.knowledge_gaps import KnowledgeGap
from rag.records import Passage
from ui.auth.current_user import CurrentUser
from ui.html.environment import strip_control_characters
from ui.html.fragments import escape_html, render_fragment
from ui.texts import library as texts
from ui.texts.library import counted
from ui.web.components.document_html import format_tally
from ui.web.components.escape import highlight, passage_title

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


def document_cells(listed: ListedDocument) -> str:
    """Renders the other columns of a document's row."""
    verdicts = {name: getattr(listed.tally, name) for name in ("helpful", "not_relevant", "outdated", "cited")}
    return render_fragment(
        "library/cells.html.j2",
        state=listed.state,
        kind=document_type(listed),
        sizes={"passages": listed.n_passages, "size": listed.n_characters},
        day=listed.added_at[:10],
        verdicts=verdicts,
        texts=texts,
    )


# ---- one document


def render_document_head(listed: ListedDocument, outdated_by: Mapping[str, int], person: CurrentUser) -> str:
    """Renders title, facts, and who called it outdated: administrators see names, others how many people."""
    facts = [
        listed.source if listed.title else "",
        document_type(listed),
        texts.STATES[listed.state],
        counted(listed.n_passages, texts.UNITS["passages"]),
        counted(listed.n_characters, texts.UNITS["size"]),
        texts.ADDED.format(day=listed.added_at[:10]),
        *format_tally(listed.tally),
    ]
    return render_fragment(
        "library/head.html.j2",
        title=listed.title or listed.source,
        facts=[fact for fact in facts if fact],
        outdated=_outdated_told(outdated_by, person) if outdated_by else "",
    )


def _outdated_told(by: Mapping[str, int], person: CurrentUser) -> str:
    if not person.may("administrator"):
        times, people = counted(sum(by.values()), texts.A_TIME), counted(len(by), texts.A_PERSON)
        return texts.OUTDATED_BY_SOME.format(times=times, people=people)
    named = ", ".join(texts.TIMES.format(name=name, n=n) for name, n in by.items())
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
    """Renders gaps with the passages that come closest."""
    return render_fragment("library/gaps.html.j2", gaps=[_shown(gap, closest) for gap, closest in gaps], texts=texts)


def _shown(gap: KnowledgeGap, closest: Passage | None) -> dict[str, object]:
    """Returns what the template shows of a gap."""
    asked = texts.ASKED_BY.format(
        times=counted(gap.n_asked, texts.A_TIME), people=counted(gap.n_people, texts.A_PERSON)
    )
    more = gap.questions[FEW_QUESTIONS:MOST_QUESTIONS]
    return {
        "name": _short(gap.name),
        "about": f"{asked} · {texts.LAST_ASKED.format(day=gap.last_at[:10])}",
        "first": gap.questions[:FEW_QUESTIONS],
        "more": more,
        "n_more": counted(len(more), texts.A_FURTHER_QUESTION),
        "closest": closest,
        "closest_title": passage_title(closest) if closest else "",
        "cosine": gap.cosine,
        "excerpt": _excerpt(closest.text) if closest else "",
    }


def _excerpt(text: str) -> Markup:
    return highlight(text if len(text) <= EXCERPT else text[:EXCERPT].rpartition(" ")[0] + " …", ())
