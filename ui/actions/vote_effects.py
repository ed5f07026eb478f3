"""A look at what votes did, a bounded piece of work at a time, for every door that shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rag.app.app import App
from retriever_training.inspection.judged_ranks import JudgedRanks
from retriever_training.inspection.standing_votes import load_standing_votes
from retriever_training.inspection.vote_effects import VoteEffect, count_outcomes, required_ranks, vote_effects
from retriever_training.judgments.aggregate import AggregatedJudgments
from retriever_training.judgments.reviews import ReviewStore
from retriever_training.judgments.snapshot import load_judgments

DEFAULT_N_VOTES = 20  # votes, the latest ones: at most 6 searches each, none of them twice
MAX_N_VOTES = 200
MANY_EVENTS = 5_000  # events, from which weighing everybody's votes takes so long that ranks are shown before


@dataclass(frozen=True, slots=True)
class VoteEffectsSummary:
    """What the latest votes did."""

    n_votes: int
    """Standing votes that move passages; 5,000 at most are counted."""
    n_looked_at: int
    effects: tuple[VoteEffect, ...]
    """The latest vote first."""
    is_weighed: bool = True
    """False while it is not known yet which votes count: they are shown as if all of them did."""

    @property
    def covers_all_votes(self) -> bool:
        """Whether every vote was looked at."""
        return self.n_looked_at == self.n_votes

    @property
    def counts(self) -> dict[str, int]:
        """Outcome → votes, of those looked at."""
        return count_outcomes(self.effects)


class VoteEffectsView:
    """Looks repeatedly at one application; keeps ranks and judgments that were worked out until something changes."""

    def __init__(self, app: App, many: int = MANY_EVENTS) -> None:
        self._app = app
        self._many = many
        self._ranks = JudgedRanks(app.stores)
        self._judgments: tuple[tuple[int, int, int], AggregatedJudgments] | None = None

    def look(
        self,
        user: str | None,
        n: int = DEFAULT_N_VOTES,
        *,
        on_progress: Callable[[int, int], None] = lambda n_done, n_searches: None,
        on_unweighed: Callable[[VoteEffectsSummary], None] | None = None,
    ) -> VoteEffectsSummary:
        """What the *n* latest votes of *user* did, or of everybody if that is None.

        *on_progress* gets how many searches are done, and of how many, before each version is asked. If votes are many,
        *on_unweighed* gets the summary once before it is known which of them count.
        """
        votes = load_standing_votes(self._app.engine, user)
        latest = votes[:n]
        missing = self._ranks.missing(required_ranks(latest, self._app.registry.history()))
        n_done, n_all = 0, sum(map(len, missing.values()))
        for encoder_id, targets in missing.items():
            on_progress(n_done, n_all)
            self._ranks.find(encoder_id, targets)
            n_done += len(targets)
        n_votes, n_looked_at = sum(vote.n_votes for vote in votes), sum(vote.n_votes for vote in latest)
        if on_unweighed and latest and self._kept() is None and self._app.feedback.latest_event_id() >= self._many:
            effects = tuple(vote_effects(self._app.stores, latest, self._ranks, None))
            on_unweighed(VoteEffectsSummary(n_votes, n_looked_at, effects, is_weighed=False))
        effects = tuple(vote_effects(self._app.stores, latest, self._ranks, self._settled()))
        return VoteEffectsSummary(n_votes, n_looked_at, effects)

    def _settled(self) -> AggregatedJudgments:
        """What a night would make of all votes as they are now."""
        app, kept, state = self._app, self._kept(), self._state()
        if kept is None:
            chosen = app.settings.feedback
            kept = load_judgments(
                app.stores,
                frozenset(app.active_retriever.lexical.passage_ids),
                trusted=chosen.trusted,
                max_per_person=chosen.max_judgments_per_person,
                quarantined=chosen.quarantined,
            )
            self._judgments = state, kept
        return kept

    def _kept(self) -> AggregatedJudgments | None:
        """The same, if nothing has changed since it was worked out."""
        return self._judgments[1] if self._judgments and self._judgments[0] == self._state() else None

    def _state(self) -> tuple[int, int, int]:
        app = self._app
        return app.feedback.latest_event_id(), app.library.revision(), hash(tuple(ReviewStore(app.engine).standing()))
