"""Hits that say the same: the best one stays, and names where else it is, so that as many others can be shown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from rag.records import Hit
from rag.text.distinguishing_terms import differ_in_named_terms, lowercase_words, words_with_case
from rag.text.shingles import normalise_words, shingles

MIN_CONTAINED_SHARE = 0.9
"""Share of a passage's shingles from which the better hit says it too, so that a tenth of it stays unseen at most.

200 dev questions of feedbackqa-uk, nDCG@10 with a right passage counted if it is named: .666 without collapsing, .680 by
this share, .684 by .8; counted only if it is shown .666, .660 and .654. Other sets hold hardly any twins.
"""
N_WORDINGS = 8_192  # texts whose words and shingles are kept: about 10 kB each
N_PAIRS = 65_536  # pairs of texts whose comparison is kept: the same hits come together again and again


def collapse_near_duplicates(hits: Iterable[Hit]) -> list[Hit]:
    """The hits that say something that none before them says, each with those that say no more in `also_in`.

    A hit that is longer than the better one stays: what it says beyond that is not shown elsewhere. Ranks are left alone.
    """
    kept: list[Hit] = []
    wordings: list[PassageWording] = []
    for hit in hits:
        wording = passage_wording(hit.passage.text)
        place = next((n for n, better in enumerate(wordings) if _is_contained_in(wording, better)), None)
        if place is None:
            kept.append(hit)
            wordings.append(wording)
        else:
            kept[place] = replace(kept[place], also_in=(*kept[place].also_in, hit.passage, *hit.also_in))
    return kept


@dataclass(frozen=True)
class PassageWording:
    """A passage's text and the words in it, each form worked out when it is first asked for."""

    text: str

    @cached_property
    def plain(self) -> str:
        """Without case, marks and spaces."""
        return normalise_words(self.text)

    @cached_property
    def shingles(self) -> frozenset[str]:
        """Its runs of five words."""
        return shingles(self.text)

    def is_contained_in(self, better: PassageWording) -> bool:
        """Whether its words are those of *better*, or CONTAINED of its shingles are.

        Not if a number, code or name is in the place of another one: then both were cut from one template.

        >>> grant = PassageWording("Nurses who work at night can get the grant of 500 pounds.")
        >>> PassageWording("NURSES who work at night can get the grant of 500 pounds").is_contained_in(grant)
        True
        >>> PassageWording("Nurses who work at night can get the grant of 600 pounds.").is_contained_in(grant)
        False
        """
        if self.plain == better.plain:
            return True
        shared = len(self.shingles & better.shingles)
        if not shared or shared < MIN_CONTAINED_SHARE * len(self.shingles):
            return False
        return not differ_in_named_terms(
            words_with_case(self.text), words_with_case(better.text), lowercase_words([self.text, better.text])
        )


@lru_cache(maxsize=N_WORDINGS)
def passage_wording(text: str) -> PassageWording:
    """Returns the wording of a passage's text; those of the last `N_WORDINGS` texts are kept."""
    return PassageWording(text)


@lru_cache(maxsize=N_PAIRS)
def _is_contained_in(wording: PassageWording, better: PassageWording) -> bool:
    return wording.is_contained_in(better)
