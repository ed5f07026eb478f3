"""Whose votes count: records, quarantine, floods, and how far somebody counts whom nobody can check."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from rag.records import Verdict
from retriever_training.judgments.aggregate import AggregatedJudgments, aggregate_votes
from retriever_training.judgments.reasons import WaitReason
from retriever_training.judgments.voters import (
    MAX_PER_HOUR,
    Voter,
    assess_voters,
    n_in_busiest_hour,
    over_unchecked_limit,
)
from retriever_training.judgments.votes import VotesByPair

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
HONEST = ("ann", "bob", "cid")


def said(user: str, question: str, verdict: str = "pin", passage: str = "right", second: float = 0) -> Verdict:
    return Verdict(
        user=user,
        turn_id=f"{user} {question}",
        question=question,
        passage_id=passage,
        verdict=verdict,
        given_at=NOON + timedelta(seconds=second),
    )


def votes(*given: Verdict) -> VotesByPair:
    gathered: VotesByPair = {}
    for vote in given:
        gathered.setdefault((vote.question, vote.passage_id or ""), {})[vote.user] = vote
    return gathered


def against(user: str, n: int, honest: tuple[str, ...] = HONEST) -> list[Verdict]:
    """*user* rejects what all the honest ones pin, *n* times."""
    given = []
    for number in range(n):
        given += [said(name, f"question {number}") for name in honest]
        given.append(said(user, f"question {number}", "not_relevant"))
    return given


def judged(*given: Verdict, trusted: tuple[str, ...] = (), quarantined: tuple[str, ...] = ()) -> AggregatedJudgments:
    passages = {vote.passage_id or "" for vote in given}
    return aggregate_votes(given, {}, passages, trusted=trusted, max_per_person=9999, quarantined=quarantined)


# ---- records


@pytest.mark.parametrize(("n", "waits"), [(1, False), (13, False), (14, True)])
def test_it_takes_fourteen_contradictions_and_no_agreement_to_wait(n: int, waits: bool) -> None:
    """Beta(8, 2 + n) below one half: .933 at 13, .953 at 14."""
    found = assess_voters(votes(*against("troll", n)), trusted=())
    assert bool(found["troll"].waits) == waits
    assert not any(found[name].waits for name in HONEST)


def test_the_record_is_the_mean_of_the_posterior() -> None:
    found = assess_voters(votes(*against("troll", 10)), trusted=())
    assert found["troll"].record == 8 / 20
    assert found["ann"].record == 18 / 20
    assert (found["troll"].n_compared, found["troll"].n_agreed) == (10, 0)


def test_who_agrees_now_and_then_does_not_wait() -> None:
    agreed = [said("odd", f"other {number}") for number in range(15)]
    agreed += [said(name, f"other {number}") for name in HONEST for number in range(15)]
    assert not assess_voters(votes(*against("odd", 15), *agreed), trusted=())["odd"].waits


def test_a_trusted_person_never_waits_for_disagreeing() -> None:
    assert not assess_voters(votes(*against("boss", 30)), trusted=("boss",))["boss"].waits


def test_who_is_named_waits_though_trusted() -> None:
    found = assess_voters(votes(said("ann", "q")), trusted=("ann",), quarantined=("ann", "not here"))
    assert found["ann"].waits == WaitReason("quarantined_by_hand")
    assert set(found) == {"ann"}


def test_an_honest_person_is_judged_without_those_who_wait() -> None:
    """Two trolls outvote Ann on twenty questions that only they and she saw; others show the trolls up on thirty."""
    given = []
    for number in range(20):
        given += [said("troll-1", f"own {number}", "not_relevant"), said("troll-2", f"own {number}", "not_relevant")]
        given.append(said("ann", f"own {number}"))
    for troll in ("troll-1", "troll-2"):
        for number in range(30):
            given += [said(name, f"{troll} {number}") for name in ("bob", "cid", "dan")]
            given.append(said(troll, f"{troll} {number}", "not_relevant"))
    found = assess_voters(votes(*given), trusted=())
    assert [name for name, voter in found.items() if voter.waits] == ["troll-1", "troll-2"]
    assert (found["ann"].n_compared, found["ann"].record) == (0, 0.8)


def test_votes_that_wait_are_counted_and_decide_nothing() -> None:
    without = judged(*(vote for vote in against("troll", 20) if vote.user != "troll"))
    with_troll = judged(*against("troll", 20))
    assert with_troll.judgments == without.judgments
    assert with_troll.dropped == {"person_waits": 20}
    assert with_troll.people["troll"].waits == WaitReason("disagrees", 0, 20)


# ---- floods


def test_votes_faster_than_anybody_reads_wait() -> None:
    slow = [said("slow", f"q{number}", second=20.0 * number) for number in range(MAX_PER_HOUR + 100)]
    fast = [said("fast", f"q{number}", second=float(number)) for number in range(MAX_PER_HOUR + 1)]
    found = assess_voters(votes(*slow, *fast), trusted=())
    assert found["fast"].waits == WaitReason("too_fast", 301)
    assert not found["slow"].waits
    assert not assess_voters(votes(*fast), trusted=("fast",))["fast"].waits


def test_an_imported_file_is_no_flood() -> None:
    assert not assess_voters(votes(*(said("labels", f"q{number}") for number in range(2000))), trusted=())[
        "labels"
    ].waits


def test_hundreds_of_rejections_that_nobody_shares_wait() -> None:
    given = [said("nay", f"q{number}", "not_relevant", second=60.0 * number) for number in range(200)]
    assert assess_voters(votes(*given), trusted=())["nay"].waits == WaitReason("unshared_rejections", 200)
    assert not assess_voters(votes(*given[1:]), trusted=())["nay"].waits
    assert not assess_voters(votes(*given, said("ann", "q0", "not_relevant")), trusted=())["nay"].waits


def test_an_hour_is_sixty_minutes_inclusive() -> None:
    assert n_in_busiest_hour(NOON + timedelta(minutes=minutes) for minutes in (0, 30, 60, 61, 150)) == 3
    assert n_in_busiest_hour([]) == 0


# ---- what nobody can check


def crowd(n_people: int, n_each: int) -> list[Verdict]:
    return [said(f"person-{who}", f"asked {who}x{number}") for who in range(n_people) for number in range(n_each)]


def test_one_person_alone_counts_for_a_tenth_of_what_the_others_asked() -> None:
    """Ten people ask 70 questions each; the eleventh asks 300 alone: a tenth of 700 count, the earliest."""
    flood = [said("eager", f"mine {number:03d}", second=60.0 * number) for number in range(300)]
    given = votes(*crowd(10, 70), *reversed(flood))
    over = over_unchecked_limit(given, assess_voters(given, trusted=()), ())
    assert over == {("eager", f"mine {number:03d}") for number in range(70, 300)}
    assert over_unchecked_limit(given, assess_voters(given, trusted=()), ("eager",)) == set()


def test_fifty_questions_are_everybodys_right() -> None:
    given = votes(*crowd(10, 5), *(said("eager", f"mine {number}") for number in range(60)))
    assert len(over_unchecked_limit(given, assess_voters(given, trusted=()), ())) == 10


def test_among_few_people_nobody_is_cut_short() -> None:
    given = votes(*crowd(4, 5), *(said("eager", f"mine {number}") for number in range(500)))
    assert over_unchecked_limit(given, assess_voters(given, trusted=()), ()) == set()


def test_who_was_confirmed_counts_in_full() -> None:
    shared = [said(name, f"shared {number}") for name in ("eager", *HONEST) for number in range(12)]
    given = votes(*crowd(10, 5), *shared, *(said("eager", f"mine {number}") for number in range(500)))
    people = assess_voters(given, trusted=())
    assert people["eager"].is_proven
    assert over_unchecked_limit(given, people, ()) == set()


def test_a_coin_is_never_proven() -> None:
    assert not Voter(name="coin", n_votes=100, n_rejections=0, n_compared=100, n_agreed=50).is_proven
    assert not Voter(name="new", n_votes=9, n_rejections=0, n_compared=9, n_agreed=9).is_proven
    assert Voter(name="ann", n_votes=10, n_rejections=0, n_compared=10, n_agreed=8).is_proven


def test_what_nobody_can_check_is_counted() -> None:
    judgments = judged(*crowd(10, 5), *(said("eager", f"mine {number}") for number in range(60)))
    assert judgments.dropped["unchecked_person_over_share"] == 10
    assert len(judgments.judgments) == 100
