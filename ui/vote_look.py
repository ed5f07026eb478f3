"""A look at what votes did, a bounded piece of work at a time, for every door that shows it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rag.assemble import App
from retriever_training.evidence import judged
from retriever_training.judgments import Judgments
from retriever_training.ranks import Ranks
from retriever_training.reviews import Reviews
from retriever_training.vote_effects import Effect, effects, summed_up, wanted_ranks
from retriever_training.votes_cast import casts

LOOKED_AT = 20  # votes, the latest ones: at most 6 searches each, none of them twice
MOST_LOOKED_AT = 200


@dataclass(frozen=True, slots=True)
class Look:
    """What the latest votes did."""

    n_votes: int
    """Standing votes that move passages; 5,000 at most are counted."""
    n_looked_at: int
    effects: tuple[Effect, ...]
    """The latest vote first."""

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

    def __init__(self, app: App) -> None:
        self._app = app
        self._ranks = Ranks(app)
        self._judgments: tuple[tuple[int, int, int], Judgments] | None = None

    def steps(self, user: str | None, n: int = LOOKED_AT) -> Iterator[tuple[int, int] | Look]:
        """How many searches are done, and of how many; at the end what was found. *user* None looks at everybody's votes."""
        found = casts(self._app.engine, user)
        some = found[:n]
        missing = self._ranks.missing(wanted_ranks(some, self._app.registry.history()))
        n_done, n_all = 0, sum(map(len, missing.values()))
        for encoder_id, targets in missing.items():
            yield n_done, n_all
            self._ranks.find(encoder_id, targets)
            n_done += len(targets)
        told = tuple(effects(self._app, some, self._ranks, self._settled()))
        yield Look(sum(one.n_votes for one in found), sum(one.n_votes for one in some), told)

    def at_once(self, user: str | None, n: int = LOOKED_AT) -> Look:
        """The same without the steps."""
        *_, look = self.steps(user, n)
        assert isinstance(look, Look)
        return look

    def _settled(self) -> Judgments:
        """What a night would make of all votes as they stand now."""
        app = self._app
        state = app.feedback.latest_event(), app.library.revision(), hash(tuple(Reviews(app.engine).standing()))
        if self._judgments is None or self._judgments[0] != state:
            chosen = app.settings.feedback
            settled = judged(app, frozenset(app.live.lexical.passage_ids), trusted=chosen.trusted,
                             max_per_person=chosen.max_judgments_per_person, quarantined=chosen.quarantined)  # fmt: skip
            self._judgments = state, settled
        return self._judgments[1]
