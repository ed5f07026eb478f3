"""Insights → what the page shows. Everything that a document or a person wrote is escaped here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from rag.insights.blind_comparisons import MovedHit
from rag.insights.usage_over_time import UsageOverTime, UsagePeriod
from rag.records import Passage
from rag.versions.version_labels import short_version_name
from retriever_training.inspection.judged_ranks import BEYOND_DEPTH
from retriever_training.inspection.vote_effects import VoteEffect
from ui.actions.vote_effects import VoteEffectsSummary
from ui.html.fragments import escape_html
from ui.texts import insights as words
from ui.texts import shared as texts
from ui.texts.reasons import describe_exclusion
from ui.web.components.escape import passage_title
from ui.web.components.inline_svg import Series, bar_chart, line_chart, rank_sparkline

FIRST_WORDS = 170  # characters of a passage


# ---- what votes did


def render_votes(look: VoteEffectsSummary, names: Mapping[str, str], *, mine: bool, at_once: bool) -> str:
    """All votes that were looked at: the sum first, then one card each. *at_once*: votes count until tonight."""
    if not look.effects:
        return ""
    sentence, line = words.summary_told(look.counts, mine=mine, all_of_them=look.covers_all_votes)
    cards = "".join(render_vote_effect(effect, names, mine=mine, at_once=at_once) for effect in look.effects)
    looked = words.LOOKED.format(looked=f"{look.n_looked_at:,}", all=f"{look.n_votes:,}")
    below = f'<p class="nj-sum-rest">{escape_html(line)}</p>' if line else ""
    return (
        f'<div class="nj-did"><p class="nj-sum">{_bold(sentence)}</p>{below}{_share_bar(look)}'
        f'<ol class="nj-effects">{cards}</ol><p class="nj-hint">{escape_html(looked)}</p></div>'
    )


def _bold(sentence: str) -> str:
    """Our own sentence with its **strong** part."""
    before, strong, after = [*sentence.split("**"), "", ""][:3]
    return f"{escape_html(before)}<strong>{escape_html(strong)}</strong>{escape_html(after)}"


def _share_bar(look: VoteEffectsSummary) -> str:
    """The outcomes as one bar, and a key below it."""
    there = {name: n for name, n in look.counts.items() if n}
    total = sum(there.values())
    pieces = "".join(
        f'<div class="nj-o-{name}" style="width:{100 * n / total:.2f}%" title="{escape_html(words.OUTCOMES[name])}: {n}"></div>'
        for name, n in there.items()
    )
    key = "".join(
        f'<li><span class="nj-dot nj-o-{name}"></span>{escape_html(words.OUTCOMES[name])} <strong>{n:,}</strong></li>'
        for name, n in there.items()
    )
    return f'<div class="nj-share">{pieces}</div><ul class="nj-key">{key}</ul>'


def render_vote_effect(one: VoteEffect, names: Mapping[str, str], *, mine: bool, at_once: bool) -> str:
    """One vote: what it did in large, then question, passage, and the rank under each version."""
    return (
        f'<li class="nj-effect nj-e-{one.outcome}"><div class="nj-jump">{_jump(one)}'
        f'<span class="nj-outcome">{escape_html(words.SIGNS[one.outcome])} '
        f"{escape_html(words.OUTCOMES[one.outcome])}</span></div>"
        f'<div class="nj-of"><p class="nj-q">“{escape_html(one.cast.question)}”</p>{_passage(one.passage)}'
        f"{_chips(one, names, mine=mine)}"
        f'<p class="nj-meta">{" · ".join(_notes(one, names, at_once=at_once))}</p></div></li>'
    )


def _jump(one: VoteEffect) -> str:
    before, now = format_rank(one.before), format_rank(one.now)
    told = now if one.before == one.now else f"{before} → {now}"
    return f'<span class="nj-ranks"><small>{words.RANK_WORD}</small> {escape_html(told)}</span>'


def format_rank(rank: int | None) -> str:
    """A rank in a table.

    >>> format_rank(7), format_rank(BEYOND_DEPTH), format_rank(None)
    ('7', '> 100', '?')
    """
    return words.UNKNOWN_RANK if rank is None else f"> {BEYOND_DEPTH - 1}" if rank == BEYOND_DEPTH else str(rank)


def _passage(passage: Passage | None) -> str:
    if passage is None:
        return f'<p class="nj-p">{escape_html(words.GONE_PASSAGE)}</p>'
    first = first_words(passage)
    return f'<p class="nj-p"><strong>{escape_html(passage_title(passage))}</strong> {escape_html(first)}</p>'


def _chips(one: VoteEffect, names: Mapping[str, str], *, mine: bool) -> str:
    """What was shown, then the rank under each version since; the version that moved it most is marked."""
    when = words.WHEN_VOTED if mine else words.WHEN_ALL_VOTED
    if one.cast.shown_rank:
        shown = words.RANK.format(rank=one.cast.shown_rank)
    elif one.cast.n_shown:
        shown = words.NOT_SHOWN.format(n=one.cast.n_shown)
    else:
        shown = words.IMPORTED
    chips = [f'<li class="nj-then">{escape_html(when)}: {escape_html(shown)}</li>']
    for step in one.steps:
        marked = " nj-turned" if step.encoder_id == one.moved_by else ""
        hint = f' title="{escape_html(words.UNKNOWN_HINT)}"' if step.rank is None else ""
        name = escape_html(short_version_name(names.get(step.encoder_id, step.encoder_id)))
        chips.append(
            f'<li class="nj-chip{marked}"{hint}>{name}: <strong>{escape_html(format_rank(step.rank))}</strong></li>'
        )
    ranks = [step.rank for step in one.steps if step.rank is not None]
    if len(ranks) > 2:  # two are read as quickly as seen
        chips.append(f'<li class="nj-line">{rank_sparkline(ranks, 9)}</li>')
    return f'<ul class="nj-chips">{"".join(chips)}</ul>'


def _notes(one: VoteEffect, names: Mapping[str, str], *, at_once: bool) -> list[str]:
    cast = one.cast
    notes = [f"{escape_html(words.VERDICTS[cast.verdict])}, {cast.given_at:%Y-%m-%d}"]
    if cast.n_votes > 1:
        notes.append(words.BY_PEOPLE.format(n=cast.n_votes))
    if one.moved_by:
        notes.append(escape_html(words.CHANGED_IN.format(version=names.get(one.moved_by, one.moved_by))))
    if one.why:
        notes.append(escape_html(describe_exclusion(one.why)))
    if one.outcome == "tonight":
        notes.append(escape_html(words.TONIGHT_AT_ONCE if at_once else words.TONIGHT))
    if one.is_held_out and not one.why:
        notes.append(f'<span title="{escape_html(words.HELD_OUT_HINT)}">{escape_html(words.HELD_OUT)}</span>')
    if one.cast.shown_rank and one.before is not None and one.before != one.cast.shown_rank:
        version = names.get(one.steps[0].encoder_id, one.steps[0].encoder_id)
        notes.append(escape_html(words.DIFFERS.format(rank=format_rank(one.before), version=version)))
    return notes


def first_words(passage: Passage) -> str:
    """The beginning of its text, in one line."""
    text = " ".join(passage.text.split())
    return text if len(text) <= FIRST_WORDS else text[: text.rfind(" ", 0, FIRST_WORDS)] + " …"


# ---- over time


def render_usage(found: UsageOverTime) -> str:
    """Numbers in large, four plots, and all of it as a table."""
    if not found.whole.n_asked:
        return f'<div class="nj-did"><p class="nj-sum">{escape_html(words.NO_QUESTIONS)}</p></div>'
    kept = ""
    if found.is_partly_kept:
        since = found.kept_since
        kept = (
            f'<p class="nj-hint">{escape_html(words.KEPT_SINCE.format(day=since) if since else words.NEVER_KEPT)}</p>'
        )
    return f'<div class="nj-did">{_tiles(found.whole, found.before)}{kept}{_panels(found.periods)}{_table(found)}</div>'


def _tiles(now: UsagePeriod, before: UsagePeriod) -> str:
    told = [
        ("asked", f"{now.n_asked:,}", f"{before.n_asked:,}"),
        ("answered", format_percent(now.answered_share), format_percent(before.answered_share)),
        ("supported", format_percent(now.supported_share), format_percent(before.supported_share)),
        ("liked", f"{now.n_liked:,}", f"{before.n_liked:,}"),
        ("disliked", f"{now.n_disliked:,}", f"{before.n_disliked:,}"),
        ("seconds", format_seconds(now.p50_s), format_seconds(before.p50_s)),
    ]
    slow = words.SLOWEST.format(seconds=format_seconds(now.p95_s)) if now.p95_s is not None else ""
    return (
        '<ul class="nj-tiles">'
        + "".join(
            f'<li class="nj-card"><span class="nj-tile-name">{escape_html(words.TILES[name])}</span>'
            f'<strong class="nj-tile">{escape_html(value)}</strong>'
            f'<span class="nj-tile-name">{escape_html(slow + " · " if name == "seconds" and slow else "")}'
            f"{escape_html(words.BEFORE.format(value=earlier)) if before.n_asked else ''}</span></li>"
            for name, value, earlier in told
        )
        + "</ul>"
    )


def _panels(found: Sequence[UsagePeriod]) -> str:
    labels = [_days(effect) for effect in found]
    named = words.SERIES
    supported = [100 * effect.supported_share if effect.supported_share is not None else None for effect in found]
    asked = [
        Series(named["answered"], [effect.n_answered for effect in found], "good"),
        Series(named["declined"], [effect.n_declined for effect in found], "soft"),
    ]
    judged = [
        Series(named["liked"], [effect.n_liked for effect in found], "good"),
        Series(named["disliked"], [effect.n_disliked for effect in found], "bad"),
    ]
    spent = [
        Series(named["p50"], [effect.p50_s for effect in found], "ink"),
        Series(named["p95"], [effect.p95_s for effect in found], "soft"),
    ]
    support = [Series(named["supported"], supported, "good")]
    panels = (
        ("asked", asked, bar_chart(asked, labels)),
        ("judged", judged, bar_chart(judged, labels)),
        ("supported", support, line_chart(support, labels, top=100)),
        ("seconds", spent, line_chart(spent, labels)),
    )
    return '<div class="nj-panels">' + "".join(_panel(*panel) for panel in panels) + "</div>"


def _panel(name: str, series: Sequence[Series], drawn: str) -> str:
    key = "".join(f'<li><span class="nj-dot nj-d-{line.kind}"></span>{escape_html(line.name)}</li>' for line in series)
    return f'<div class="nj-card nj-panel"><h3>{escape_html(words.PANELS[name])}</h3>{drawn}<ul class="nj-key">{key}</ul></div>'


def _table(found: UsageOverTime) -> str:
    head = "".join(f'<th scope="col">{escape_html(name)}</th>' for name in words.COLUMNS)
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape_html(cell)}</td>" for cell in usage_cells(period)) + "</tr>"
        for period in (*found.periods, found.whole)
    )
    return (
        f'<details class="nj-as-table"><summary>{escape_html(words.AS_TABLE)}</summary><div class="nj-wide"><table>'
        f"<caption>{escape_html(words.TABLE_CAPTION)}</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
        "</details>"
    )


def usage_cells(one: UsagePeriod) -> list[str]:
    """One line of the table, in the order of `COLUMNS`."""
    days = str(one.first) if one.first == one.last else f"{one.first} to {one.last}"
    return [
        days,
        f"{one.n_asked:,}",
        format_percent(one.answered_share),
        f"{one.n_declined:,}",
        f"{one.n_liked:,}",
        f"{one.n_disliked:,}",
        format_percent(one.supported_share),
        format_seconds(one.p50_s),
        format_seconds(one.p95_s),
    ]


def format_percent(share: float | None) -> str:
    """
    >>> format_percent(0.875), format_percent(None)
    ('88 %', '–')
    """
    return "–" if share is None else f"{100 * share:.0f} %"


def format_seconds(value: float | None) -> str:
    """
    >>> format_seconds(0.04), format_seconds(12.0), format_seconds(None)
    ('0.04 s', '12.0 s', '–')
    """
    return "–" if value is None else f"{value:.2f} s" if value < 2 else f"{value:.1f} s"


def _days(one: UsagePeriod) -> str:
    """The beginning of a stretch below a plot: "11-25"."""
    return f"{one.first:%m-%d}"


# ---- two versions


Side = tuple[str, Sequence[MovedHit]]
"""What a ranking is called, and its hits."""


def render_comparison(left: Side, right: Side, headings: tuple[str, str] | None = None) -> str:
    """Two rankings side by side; with *headings* they are named, and tell what moved from the left one to the right one."""
    named = headings is not None
    heads = headings or (left[0], right[0])
    columns = (
        _column(heads[0], left[1], lambda one: _gone(one, right[0]) if named else ""),
        _column(heads[1], right[1], lambda one: _move(one, left[0], len(left[1])) if named else ""),
    )
    return f'<div class="nj-two">{"".join(columns)}</div>'


def _column(heading: str, hits: Sequence[MovedHit], mark: Callable[[MovedHit], str]) -> str:
    rows = "".join(_ranked(hit, mark(hit)) for hit in hits)
    body = f'<ol class="nj-ranking">{rows}</ol>' if hits else f"<p>{escape_html(words.NOBODY)}</p>"
    return f'<div class="nj-side"><h2>{escape_html(heading)}</h2>{body}</div>'


def _ranked(one: MovedHit, mark: str) -> str:
    passage = one.hit.passage
    where = escape_html(passage.source) + (f" · {texts.PAGE.format(page=passage.page)}" if passage.page else "")
    first = first_words(passage)
    return (
        f'<li class="nj-card"><div class="nj-head"><span class="nj-n">{one.hit.rank}</span> '
        f'<span class="nj-title">{escape_html(passage_title(passage))}</span>{mark}</div>'
        f'<div class="nj-meta">{where}</div><div class="nj-text">{escape_html(first)}</div></li>'
    )


def _gone(one: MovedHit, other: str) -> str:
    """Marks what the other ranking no longer shows."""
    told = escape_html(words.GONE.format(name=other))
    return f'<span class="nj-move nj-m-gone">{told}</span>' if one.before is None else ""


def _move(one: MovedHit, other: str, k: int) -> str:
    if one.before is None:
        kind, told = "new", words.NEW
    elif one.n_ranks_up > 0:
        kind, told = "up", words.UP.format(n=one.n_ranks_up)
    elif one.n_ranks_up < 0:
        kind, told = "down", words.DOWN.format(n=-one.n_ranks_up)
    else:
        kind, told = "same", words.STAYED
    hint = words.MOVE_HINTS[kind].format(n=abs(one.n_ranks_up), name=other, k=k)
    return f'<span class="nj-move nj-m-{kind}" title="{escape_html(hint)}">{escape_html(told)}</span>'
