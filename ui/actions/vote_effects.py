"""A look at what votes did, a bounded piece of work at a time, for every door that shows it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rag.app.app import App
from retriever_training.inspection.judged_ranks import Ranks
from retriever_training.inspection.standing_votes import casts
from retriever_training.inspection.vote_effects import Effect, effects, summed_up, wanted_ranks
from retriever_training.judgments.aggregate import Judgments
from retriever_training.judgments.reviews import Reviews
from retriever_training.judgments.snapshot import judged

LOOKED_AT = 20  # votes, the latest ones: at most 6 searches each, none of them twice
MOST_LOOKED_AT = 200
MANY = 5_000  # events, from which weighing everybody's votes takes so long that ranks are shown before


@dataclass(frozen=True, slots=True)
class Look:
    """What the latest votes did."""

    n_votes: int
    """Standing votes that move passages; 5,000 at most are counted."""
    n_looked_at: int
    effects: tuple[Effect, ...]
    """The latest vote first."""
    is_weighed: bool = True
    """False while it is not known yet which votes count: they are told as if all of them did."""

    @property
    def is_whole(self) -> bool:
        """Whether every vote was looked at."""
        return self.n_looked_at == self.n_votes

    @property
    def counts(self) -> dict[str, int]:
        """Outcome → votes, of those looked at."""
        return summed_up(self.effects)


class VoteLook:
    """Looks again and again at one application; ranks and judgments that were worked out are kept until something changes."""

    def __init__(self, app: App, many: int = MANY) -> None:
        self._app = app
        self._many = many
        self._ranks = Ranks(app)
        self._judgments: tuple[tuple[int, int, int], Judgments] | None = None

    def steps(self, user: str | None, n: int = LOOKED_AT, *, early: bool = False) -> Iterator[tuple[int, int] | Look]:
        """How many searches are done, and of how many; at the end what was found. *user* None looks at everybody's votes.

        With *early*, where votes are many, what was found comes once before they are weighed.
        """
        found = casts(self._app.engine, user)
        some = found[:n]
        missing = self._ranks.missing(wanted_ranks(some, self._app.registry.history()))
        n_done, n_all = 0, sum(map(len, missing.values()))
        for encoder_id, targets in missing.items():
            yield n_done, n_all
            self._ranks.find(encoder_id, targets)
            n_done += len(targets)
        n_votes, n_looked_at = sum(one.n_votes for one in found), sum(one.n_votes for one in some)
        if early and some and self._kept() is None and self._app.feedback.latest_event() >= self._many:
            told = tuple(effects(self._app, some, self._ranks, None))
            yield Look(n_votes, n_looked_at, told, is_weighed=False)
        told = tuple(effects(self._app, some, self._ranks, self._settled()))
        yield Look(n_votes, n_looked_at, told)

    def at_once(self, user: str | None, n: int = LOOKED_AT) -> Look:
        """The same without the steps."""
        *_, look = self.steps(user, n)
        assert isinstance(look, Look)
        return look

    def _settled(self) -> Judgments:
        """What a night would make of all votes as they stand now."""
        app, kept, state = self._app, self._kept(), self._state()
        if kept is None:
            chosen = app.settings.feedback
            kept = judged(app, frozenset(app.live.lexical.passage_ids), trusted=chosen.trusted,
                          max_per_person=chosen.max_judgments_per_person, quarantined=chosen.quarantined)  # fmt: skip
            self._judgments = state, kept
        return kept

    def _kept(self) -> Judgments | None:
        """The same, where nothing has changed since it was worked out."""
        return self._judgments[1] if self._judgments and self._judgments[0] == self._state() else None

    def _state(self) -> tuple[int, int, int]:
        app = self._app
        return app.feedback.latest_event(), app.library.revision(), hash(tuple(Reviews(app.engine).standing()))
