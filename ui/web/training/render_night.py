"""Nights → what their page shows: how far one is, how it ended and why, and whether the next one has enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from rag.records import utc_now
from ui.html.fragments import escape_html
from ui.texts import training as texts
from ui.texts.reasons import describe_drop

if TYPE_CHECKING:
    from retriever_training.nightly.forecast import TierForecast
    from retriever_training.nightly.sufficiency import DataSufficiency
    from retriever_training.versions.night_store import NightRecord, NightStep
    from ui.actions.training_admin import NightReadiness, RunningNight
    from ui.background.night_scheduler import NightExit

STAGES = tuple(texts.STAGES)


def format_moment(at: datetime) -> str:
    """A time for people, in its own zone.

    >>> from datetime import UTC
    >>> format_moment(datetime(2026, 11, 5, 2, 0, tzinfo=UTC))
    '5 Nov 2026, 02:00 UTC'
    """
    return f"{at.day} {at:%b %Y, %H:%M %Z}".rstrip()


def format_duration(length: timedelta) -> str:
    """A length of time for people.

    >>> [format_duration(timedelta(seconds=seconds)) for seconds in (9.4, 185, 108_000)]
    ['9 s', '3 min 5 s', '30 h 0 min']
    """
    seconds = max(0, round(length.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"


def render_current_night(running: RunningNight | None, ended: NightExit | None, next_at: datetime | None) -> str:
    """The night that runs, or when the next one begins, as HTML."""
    if running is not None:
        told = _who_runs(running) + _steps(running.night, runs=True)
        return f'<div class="nj-night nj-running"><h2>{texts.RUNS}</h2>{told}</div>'
    when = texts.NEXT_AT.format(at=escape_html(format_moment(next_at))) if next_at else texts.NO_SCHEDULE
    outcome = _ended(ended) if ended else ""
    head = f"<h2>{texts.NOTHING_RUNS}</h2><p>{escape_html(when) if not next_at else when}</p>{outcome}"
    return f'<div class="nj-night">{head}</div>'


def _who_runs(running: RunningNight) -> str:
    if running.pid is None:
        return f'<p class="nj-hint">{texts.RUNS_ELSEWHERE}</p>'
    ago = format_duration(utc_now() - running.began_at) if running.began_at else ""
    return f'<p class="nj-hint">{texts.RUNS_SINCE.format(ago=ago, pid=running.pid)}</p>'


def _ended(ended: NightExit) -> str:
    outcome = texts.OUTCOMES.get(ended.code, texts.FAILED_OUTCOME.format(code=ended.code))
    return f'<p class="nj-hint">{escape_html(texts.ENDED.format(ago=format_duration(utc_now() - ended.at), outcome=outcome))}</p>'


def render_last_night(night: NightRecord | None) -> str:
    """The night that ran last, as HTML: its stages, and what came of it and why."""
    if night is None:
        return f'<div class="nj-night"><h2>{texts.LAST_NIGHT}</h2><p>{texts.NO_NIGHT}</p></div>'
    began = f"{texts.LAST_NIGHT} · {escape_html(format_moment(night.started_at))}"
    if night.decision is None:
        return f'<div class="nj-night nj-cut"><h2>{began}</h2><p>{texts.CUT_OFF}</p>{_steps(night, runs=False)}</div>'
    told = _fate(night.decision) + _learnt_from(night) + _steps(night, runs=False) + render_gate_reasons(night)
    return f'<div class="nj-night nj-{night.decision}"><h2>{began}</h2>{told}</div>'


def _fate(decision: str) -> str:
    sign = {"promoted": "kept", "kept": "plain"}.get(decision, "removed")
    return f'<div class="nj-fate nj-{sign}">{escape_html(texts.DECISIONS.get(decision, decision))}</div>'


def _learnt_from(night: NightRecord) -> str:
    took = format_duration(night.finished_at - night.started_at) if night.finished_at else ""
    n = night.summary.n_judgments if night.summary else 0
    return f'<p class="nj-hint">{texts.LEARNT_FROM.format(n=n, tier=night.tier, took=took)}</p>'


def render_gate_reasons(night: NightRecord) -> str:
    """What the gate said of a night, in sentences, and what was left out of its judgments."""
    if night.summary is None:
        return ""
    said = "".join(f"<li>{escape_html(reason)}</li>" for reason in night.summary.reasons)
    dropped = night.summary.dropped
    out = "".join(f"<li>{escape_html(describe_drop(reason))}: {n:,}</li>" for reason, n in dropped.items())
    left = f"<details><summary>{texts.LEFT_OUT}</summary><ul>{out}</ul></details>" if out else ""
    return f"<h3>{texts.GATE_SAID}</h3><ul>{said}</ul>{left}" if said else left


# ---- step by step


def _steps(night: NightRecord | None, *, runs: bool) -> str:
    """The stages: those that are done, the one that runs, those to come; below each its steps."""
    steps = night.steps if night else ()
    over = night is not None and night.decision is not None
    here = STAGES[0] if not steps else steps[-1].stage
    expected = [stage for stage in STAGES if stage != "indexing" or any(step.stage == stage for step in steps)]
    shown = ""
    for stage in expected:
        own = [step for step in steps if step.stage == stage]
        place = STAGES.index(stage) - (STAGES.index(here) if here in STAGES else 0)
        state = "done" if over or place < 0 else "runs" if place == 0 and runs else "cut" if place == 0 else "waits"
        shown += f'<li class="nj-stage nj-{state}"><span>{texts.STAGES[stage]}</span>{_when(own, steps)}{_of_stage(own)}</li>'
    return f'<ol class="nj-stages">{shown}</ol>'


def _when(own: Sequence[NightStep], steps: Sequence[NightStep]) -> str:
    """When the stage began, and how long it took if another one followed."""
    if not own:
        return ""
    later = [step.began_at for step in steps if step.began_at > own[-1].began_at]
    took = f" · {texts.TOOK.format(took=format_duration(later[0] - own[0].began_at))}" if later else ""
    return f' <span class="nj-when">{escape_html(texts.AT.format(at=f"{own[0].began_at:%H:%M:%S %Z}"))}{took}</span>'


def _of_stage(own: Sequence[NightStep]) -> str:
    told = "".join(
        f"<li>{escape_html(texts.STEP.format(name=line.name, done=line.done, total=max(line.done, line.total)))}</li>"
        for line in own
        if line.name
    )
    return f"<ul>{told}</ul>" if told else ""


# ---- what the next one has


def render_readiness(outlook: NightReadiness) -> str:
    """Whether there is enough for a night, as HTML."""
    found = outlook.sufficiency
    if found.is_sufficient:
        told = texts.ENOUGH_OF.format(
            train=found.n_train, gate=found.n_held_out, min_train=found.min_train, min_gate=found.min_held_out
        )
        own = (
            " " + texts.FROM_OWN.format(train=found.n_train, own=found.n_pseudo_questions)
            if found.is_cold_start
            else ""
        )
        return f'<div class="nj-night nj-enough"><h2>{texts.ENOUGH}</h2><p>{told}{own}</p></div>'
    head = texts.NOT_ENOUGH.format(n=found.n_judged, wanted=found.n_needed)
    told = texts.NOT_ENOUGH_OF.format(
        train=found.n_train, gate=found.n_held_out, min_train=found.min_train, min_gate=found.min_held_out
    )
    return f'<div class="nj-night nj-short"><h2>{head}</h2>{_bar(found)}<p>{told}</p></div>'


def _bar(found: DataSufficiency) -> str:
    share = min(100, round(100 * found.n_judged / max(1, found.n_needed)))
    return f'<div class="nj-bar"><span style="width: {share}%"></span></div>'


def format_forecast(foreseen: Mapping[str, TierForecast], wanted: str) -> str:
    """What a night of the chosen tier would do, in sentences."""
    one = foreseen.get(wanted)
    if one is None:
        return ""
    minutes = ""
    if one.minutes is not None:
        minutes = texts.MINUTES.format(n=one.minutes) if one.minutes >= 1 else texts.UNDER_A_MINUTE
    what = texts.TIER_IS[one.tier].format(minutes=minutes)
    why = f" {one.why}" if wanted == "auto" or (one.minutes is None and "own questions" in one.why) else ""
    return escape_html(f"{what}{why} {texts.THEN_GATE}")


def render_log(lines: Sequence[str]) -> str:
    """The last lines of a night, as HTML."""
    told = escape_html("\n".join(lines)) if lines else texts.SAID_NOTHING
    return f'<div class="nj-said">{told}</div>'
