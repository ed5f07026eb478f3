"""Which tier a night can afford, and why."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from rag.encoder import Encoder
from retriever_training.full import Plan

MIN_FOR_TOWERS = 200  # training questions; with fewer, both towers learnt nothing that the map had not
BACKWARD = 2.0  # a training step costs its forward pass and twice that again
PROBE_TEXTS = 64


@dataclass(frozen=True, slots=True)
class TierChoice:
    """A tier and the sentence that says why."""

    tier: int
    why: str


def choose_tier(wanted: str, n_questions: int, n_rows: int, n_passages: int, per_second: float, max_minutes: float,
                plan: Plan, n_negatives: int = 1) -> TierChoice:  # fmt: skip
    """Tier 3 where there is enough to learn from and the night is long enough for it, else tier 1.

    *per_second* is how many passages this machine encodes. Tier 3 passes over each row's passages forwards and
    backwards once an epoch, and then encodes the library.

    >>> choose_tier("auto", 1000, 1000, 1000, 50.0, 120.0, Plan()).tier
    3
    >>> choose_tier("auto", 1000, 1000, 1_000_000, 50.0, 120.0, Plan()).tier
    1
    """
    if wanted != "auto":
        return TierChoice(int(wanted), f"Tier {wanted} was asked for.")
    if n_questions < MIN_FOR_TOWERS:
        return TierChoice(
            1, f"Tier 1: {n_questions} training questions are too few for both towers, which need {MIN_FOR_TOWERS}."
        )
    trained = n_rows * plan.epochs * (1 + n_negatives) * (1 + BACKWARD)
    minutes = (trained + n_passages) / per_second / 60
    told = (f"both towers would take about {minutes:.0f} minutes at {per_second:.0f} passages a second, "
            f"and the night may take {max_minutes:.0f}")  # fmt: skip
    return TierChoice(3, f"Tier 3: {told}.") if minutes <= max_minutes else TierChoice(1, f"Tier 1: {told}.")


def passages_per_second(encoder: Encoder, texts: Sequence[str]) -> float:
    """Measured on a few passages spread over the library."""
    some = list(texts[:: max(1, len(texts) // PROBE_TEXTS)][:PROBE_TEXTS])
    encoder.encode_passages(some[:2])  # the first call is slower
    start = time.perf_counter()
    encoder.encode_passages(some)
    return len(some) / max(time.perf_counter() - start, 1e-6)
