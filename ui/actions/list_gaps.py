"""The gaps of a library as every door tells them: with the closest passage, and never with a name."""

from __future__ import annotations

from collections.abc import Sequence

from rag.app.app import App
from rag.index.exact_search import ExactIndex
from rag.insights.knowledge_gaps import KnowledgeGap, find_gaps
from rag.records import Passage
from ui.auth.current_user import CurrentUser

DEFAULT_N_GAPS = 20  # that are told unless somebody asks for more


def list_gaps(app: App, person: CurrentUser, n: int = DEFAULT_N_GAPS) -> list[tuple[KnowledgeGap, Passage | None]]:
    """Gaps and the passage that comes closest: of all questions for an administrator, else of the person's own."""
    live = app.active_retriever
    dense = live.index or ExactIndex(app.vectors(live.version.passage_side))
    user = None if person.may("administrator") else person.name
    return with_closest_passages(app, find_gaps(app.engine, live.retriever.encoder, dense.search, user, n))


def with_closest_passages(app: App, gaps: Sequence[KnowledgeGap]) -> list[tuple[KnowledgeGap, Passage | None]]:
    """Each gap next to its closest passage, if there is one."""
    found = app.library.get([gap.passage_id for gap in gaps if gap.passage_id])
    return [(gap, found.get(gap.passage_id)) for gap in gaps]
