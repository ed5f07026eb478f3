"""Versions, doubtful negatives and reports → what their page shows. Everything that people or documents wrote is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rag.records import Passage
from ui.html.fragments import escape_html
from ui.texts import training as texts
from ui.texts.reasons import describe_doubt
from ui.web.components.escape import highlight, passage_title
from ui.web.training.render_night import format_moment, render_gate_reasons

if TYPE_CHECKING:
    from retriever_training.inspection.doubtful_negatives import DoubtfulNegative
    from retriever_training.versions.night_store import NightRecord
    from retriever_training.versions.timeline import TimelineEntry
    from ui.api.routes.reports import StoredReport

MAX_NIGHTS = 30  # in the plot
MAX_REPORTS = 50
SIGNS = {"current": "kept", "refused": "removed"}
"""Where a version is → its sign and colour; the others have a plain one."""


def format_size(n_bytes: int) -> str:
    """A size for people.

    >>> format_size(0), format_size(1_500), format_size(91_000_000), format_size(2_340_000_000)
    ('0', '2 KB', '91 MB', '2.3 GB')
    """
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "KB")):
        if n_bytes >= unit:
            return f"{n_bytes / unit:.1f} {name}" if name == "GB" else f"{n_bytes / unit:.0f} {name}"
    return str(n_bytes)


# ---- the plot


def render_gain_plot(nights: Sequence[NightRecord]) -> str:
    """Gain and interval of each measured night, and the two versions' nDCG@10, newest first, drawn by the style sheet.

    HTML, not a picture: it takes the colours of the page, wraps on a phone, and its numbers are read aloud.
    """
    measured = [(night, primary) for night in nights if (primary := _primary(night))][:MAX_NIGHTS]
    if not measured:
        return f'<p class="nj-hint">{texts.PLOT_EMPTY}</p>'
    reach = max(max(abs(night["low"]), abs(night["high"])) for _, night in measured) * 1.05 or 1.0
    served = [night[key] for _, night in measured for key in ("mean_current", "mean_candidate")]
    low, high = min(served) - 0.01, max(served) + 0.01
    rows = "".join(_plotted(night, change, reach, low, high) for night, change in measured)
    return f'<div class="nj-plot"><h2>{texts.PLOT}</h2><p class="nj-hint">{texts.PLOT_KEY}</p>{rows}</div>'


def _plotted(night: NightRecord, primary: Mapping[str, float], reach: float, low: float, high: float) -> str:
    before, after = primary["mean_current"], primary["mean_candidate"]
    left, right = sorted(100 * (version - low) / (high - low) for version in (before, after))
    track = (
        f'<span class="nj-line" style="left: {left:.1f}%; width: {right - left:.1f}%"></span>'
        f'<span class="nj-ring" style="left: {100 * (before - low) / (high - low):.1f}%"></span>'
        f'<span class="nj-dot" style="left: {100 * (after - low) / (high - low):.1f}%"></span>'
    )
    start, end, at = (50 + 50 * primary[key] / reach for key in ("low", "high", "difference"))
    gain = (
        f'<span class="nj-line" style="left: {start:.1f}%; width: {end - start:.1f}%"></span>'
        f'<span class="nj-dot" style="left: {at:.1f}%"></span>'
    )
    said = f"{primary['difference']:+.3f} ({primary['low']:+.3f} to {primary['high']:+.3f})"
    served = texts.SERVED.format(before=f"{before:.3f}", after=f"{after:.3f}")
    decision = str(night.decision)
    label = f"{escape_html(format_moment(night.started_at))} <br>{texts.TIERS.get(night.tier, '')} · {escape_html(decision)}"
    return (
        f'<div class="nj-plotted nj-{escape_html(decision)}">'
        f'<div class="nj-label">{label}</div>'
        f'<div class="nj-cell"><div class="nj-track">{track}</div><div class="nj-number">{escape_html(served)}</div></div>'
        f'<div class="nj-cell"><div class="nj-track nj-zero">{gain}</div><div class="nj-number">{escape_html(said)}</div></div>'
        "</div>"
    )


def _primary(night: NightRecord) -> Mapping[str, float] | None:
    figures = (night.summary.figures if night.summary else None) or {}
    primary: Mapping[str, float] | None = figures.get("primary")
    return primary


# ---- the timeline


def render_timeline(entries: Sequence[TimelineEntry], names: Mapping[str, str], memory: int | None) -> str:
    """Every version, the newest first, by its full name in *names*."""
    held = f'<p class="nj-hint">{texts.MEMORY.format(memory=format_size(memory))} {texts.SHARED}</p>' if memory else ""
    return f'<div class="nj-timeline">{held}{"".join(_version(entry, names) for entry in entries)}</div>'


def _version(entry: TimelineEntry, names: Mapping[str, str]) -> str:
    version = entry.version
    parent = (
        [texts.OF_PARENT.format(parent=names.get(version.parent_id, version.parent_id))] if version.parent_id else []
    )
    about = [
        texts.TIERS.get(version.tier, ""),
        *parent,
        format_moment(version.created_at),
        texts.WEIGHT.format(weight=version.lexical_weight),
    ]
    scores = _learnt(version.note) + _gate(entry.night)
    sign = SIGNS.get(entry.standing, "plain")
    why = f"<details><summary>{texts.WHY}</summary>{render_gate_reasons(entry.night)}</details>" if entry.night else ""
    return (
        f'<div class="nj-card nj-version nj-{entry.standing}"><div class="nj-head">'
        f'<span class="nj-title">{names[version.encoder_id]}</span> '
        f'<span class="nj-fate nj-{sign}">{texts.STANDINGS[entry.standing]}</span></div>'
        f'<div class="nj-meta">{escape_html(" · ".join(about))}</div>'
        f'<p>{escape_html(" · ".join(scores))}</p><p class="nj-hint">{_space(entry)}</p>{_changes(entry)}{why}</div>'
    )


def _learnt(note: Mapping[str, Any]) -> list[str]:
    told = [text.format(n=note[key]) for key, text in texts.LEARNT.items() if isinstance(note.get(key), int)]
    on_dev = note.get("dev_ndcg@10")
    return told + ([texts.ON_DEV.format(score=on_dev)] if isinstance(on_dev, float) else [])


def _gate(night: NightRecord | None) -> list[str]:
    primary = _primary(night) if night else None
    if primary is None:
        return []
    return [texts.AT_GATE.format(before=primary["mean_current"], after=primary["mean_candidate"])]


def _space(entry: TimelineEntry) -> str:
    space = entry.space
    told = [
        texts.SPACE.format(
            files=format_size(space.files), vectors=format_size(space.vectors), index=format_size(space.index)
        )
    ]
    told += [] if entry.has_files else [texts.NO_FILES]
    told += [texts.NO_VECTORS] if entry.has_files and not space.n_vectors else []
    return escape_html(" · ".join(told))


def _changes(entry: TimelineEntry) -> str:
    lines = "".join(
        f"<li>{escape_html(f'{format_moment(promotion.promoted_at)}: {texts.CHANGES[promotion.kind]}, {promotion.reason}')}</li>"
        for promotion in entry.promotions
    )
    return f'<ul class="nj-changes">{lines}</ul>' if lines else ""


# ---- doubtful negatives


def render_review(doubt: DoubtfulNegative, passages: Mapping[str, Passage]) -> str:
    """One doubtful negative: the question, what is right, what is in doubt, and why."""
    right = "".join(_passage(passages[passage], "nj-right") for passage in doubt.right if passage in passages)
    found = passages.get(doubt.passage_id)
    why = texts.KINDS[doubt.kind].format(why=describe_doubt(doubt.why))
    margin = (
        f' <span class="nj-when">{escape_html(texts.MARGIN.format(margin=doubt.margin))}</span>'
        if doubt.margin is not None
        else ""
    )
    return (
        f'<div class="nj-doubt"><h2>{texts.QUESTION}: {escape_html(doubt.question)}</h2>'
        f'<p class="nj-hint">{escape_html(why)}{margin}</p><div class="nj-pair">'
        f"<div><h3>{texts.IN_DOUBT}</h3>{_passage(found, 'nj-doubted') if found else ''}</div>"
        f"<div><h3>{texts.RIGHT}</h3>{right or f'<p>{texts.NO_RIGHT}</p>'}</div></div></div>"
    )


def _passage(passage: Passage, kind: str) -> str:
    return (
        f'<div class="nj-card {kind}"><div class="nj-title">{escape_html(passage_title(passage))}</div>'
        f'<div class="nj-meta">{escape_html(passage.source)}</div><div class="nj-text">{highlight(passage.text, ())}</div></div>'
    )


# ---- reports


def render_reports(reports: Sequence[StoredReport]) -> str:
    """An index of the reports, the newest first."""
    if not reports:
        return f"<p>{texts.NO_REPORTS}</p>"
    rows = "".join(_report(report) for report in reports[:MAX_REPORTS])
    return f'<p class="nj-hint">{texts.REPORTS_INTRO}</p><table class="nj-reports"><tbody>{rows}</tbody></table>'


def _report(report: StoredReport) -> str:
    opened = texts.NO_PAGE
    if report.page:
        opened = f'<a href="{_address(report, report.page)}" target="_blank">{texts.OPEN}</a>'
    others = ", ".join(
        f'<a href="{_address(report, file)}" target="_blank">{escape_html(file)}</a>'
        for file in report.files
        if file != report.page
    )
    return (
        f"<tr><td>{escape_html(report.name)}<br>"
        f'<span class="nj-when">{escape_html(format_moment(report.made_at))}</span></td>'
        f"<td>{opened}</td><td>{texts.OTHER_FILES.format(files=others)}</td></tr>"
    )


def _address(report: StoredReport, file: str) -> str:
    """Relative, so that a proxy may serve it below a path of its own."""
    from urllib.parse import quote

    return f"reports/{quote(report.name, safe='')}/{quote(file, safe='')}"
