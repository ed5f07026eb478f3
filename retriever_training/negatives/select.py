"""Selects one source's candidates within a window by a sampling method, before cleaning."""

from __future__ import annotations

from retriever_training.negatives.candidates.rank_window import RankWindow, within_window
from retriever_training.negatives.candidates.records import Candidate, MiningContext
from retriever_training.negatives.candidates.sampling import Sampling, sample_candidates
from retriever_training.negatives.finders import FINDERS


def select(mine: MiningContext, source: str, n: int, window: RankWindow, sampling: Sampling) -> list[list[Candidate]]:
    """Returns up to *n* candidates of one finder for each question.

    The finder is asked for candidates down to the window's last rank, or for *n* if it has none. If bounds on scores or
    margins exclude candidates, set the window's last rank deeper than *n*.
    """
    found = FINDERS[source](mine, window.n_asked(n))
    return sample_candidates(mine, within_window(mine, found, window), n, sampling, source)
