"""How a night ended, as a record; a dict only on its way into SQL and JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from retriever_training.judgments.reasons import load_drop_counts
from retriever_training.negatives.reasons import load_note

NightDecision = Literal["promoted", "kept", "invalid"]
"""The candidate answers now; the current version stays; there was too little to train on or to decide by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NightSummary:
    """How a night ended: what SQL keeps of it, and what `nightjar nightly --json` prints."""

    decision: NightDecision
    reasons: tuple[str, ...] = ()
    """Sentences for people; the gate's first one is about the primary measure, the last one about the tier."""
    tier: int | None = None
    """None if nothing was trained."""
    seconds: float = 0.0
    n_judgments: int = 0
    n_passages_encoded: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    """What was left out of the judgments, by `DropReason`; also by other texts in nights of old releases."""

    version: str | None = None
    """The candidate's `encoder_id`; None, as are all fields below, if nothing was trained."""
    previous: str | None = None
    """The `encoder_id` of the version that answered before."""
    lexical_weight: float | None = None
    note: Mapping[str, Any] | None = None
    """What training noted about the candidate."""
    figures: Mapping[str, Any] | None = None
    """The numbers behind the gate's sentences."""
    night_id: str | None = None
    report: str | None = None
    """The path of report.md."""

    repeated: bool = False
    """Whether the same judgments had been answered by an earlier night, so that nothing was trained again."""

    def as_json(self) -> dict[str, Any]:
        """The summary for JSON: without what is absent, save `version` and `tier`, and with `repeated` only if true.

        >>> NightSummary(decision="invalid", reasons=("There are 3 training questions.",)).as_json()["version"] is None
        True
        """
        values = {
            "decision": self.decision,
            "version": self.version,
            "previous": self.previous,
            "tier": self.tier,
            "reasons": list(self.reasons),
            "seconds": self.seconds,
            "n_judgments": self.n_judgments,
            "n_passages_encoded": self.n_passages_encoded,
            "lexical_weight": self.lexical_weight,
            "dropped": dict(self.dropped),
            "note": None if self.note is None else dict(self.note),
            "figures": None if self.figures is None else dict(self.figures),
            "night_id": self.night_id,
            "report": self.report,
            "repeated": self.repeated or None,
        }
        return {name: value for name, value in values.items() if value is not None or name in ("version", "tier")}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> NightSummary:
        """The summary that `as_json` gave, or an older release stored; keys that no field is named after are left out."""
        known = {member.name: stored[member.name] for member in fields(cls) if member.name in stored}
        known["reasons"] = tuple(known.get("reasons", ()))
        known["dropped"] = load_drop_counts(known.get("dropped", {}))
        if known.get("note") is not None:
            known["note"] = load_note(known["note"])
        return cls(**known)
