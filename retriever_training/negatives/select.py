"""A source's negatives within a window and by a way of sampling, before anything is cleaned."""

from __future__ import annotations

from retriever_training.negatives.candidates.rank_window import RankWindow, within_window
from retriever_training.negatives.candidates.records import Candidate, MiningContext
from retriever_training.negatives.candidates.sampling import Sampling, sample_candidates
from retriever_training.negatives.finders import FINDERS


def select(mine: MiningContext, source: str, n: int, window: RankWindow, sampling: Sampling) -> list[list[Candidate]]:
    """Up to *n* candidates of one finder for each question.

    The finder is asked for as many as the window reaches to, or else *n*: if scores or margins take some away, set
    the window's last rank deeper than *n*.
    """
    found = FINDERS[source](mine, window.n_asked(n))
    return sample_candidates(mine, within_window(mine, found, window), n, sampling, source)
