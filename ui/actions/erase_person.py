"""Forgetting a person, the same for the command and the page: not while a night runs, and with the versions named."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rag.accounts.erasure import ErasureCounts, erase_user_data
from rag.app.app import App
from rag.file_lock import ProcessLock
from retriever_training.versions.rejected_candidates import discard_version, latest_refusals


def erase_person(app: App, name: str, *, dry_run: bool = False) -> tuple[ErasureCounts, list[str], list[str]]:
    """What was removed of *name*, or would be; the versions that may have learned from them; the candidates that go too.

    Candidates that the gate turned down and that may have learned from the person lose their files: nobody needs them to
    answer. They go first, for a kill in between must not leave one of which nobody knows any more whom it learned from.

    Raises:
        BusyError: a night runs, which has read their votes already.
        NotFoundError: nobody of this name asked or judged anything, or has an account.
        UsageError: they are the last administrator.
    """
    if dry_run:
        gone = erase_user_data(app.engine, name, dry_run=True)
        return gone, *_may_have_learnt(app, gone)
    lock = ProcessLock(app.settings.data / "night.lock", "the night")
    try:
        would_go = erase_user_data(app.engine, name, dry_run=True)  # refuses before anything goes
        stay, go = _may_have_learnt(app, would_go)
        for encoder_id in go:
            discard_version(app.stores, app.registry.version(encoder_id))
        gone = erase_user_data(app.engine, name)
    finally:
        lock.release()
    return gone, stay, go


def _may_have_learnt(app: App, gone: ErasureCounts) -> tuple[list[str], list[str]]:
    """Versions with files that were made after the person's first verdict or review: those that stay, and the refused."""
    if gone.first_at is None:
        return [], []
    since, refused = datetime.fromisoformat(gone.first_at), latest_refusals(app.stores)
    made = [
        version.encoder_id
        for version in app.registry.versions()
        if version.tier > 0 and version.created_at >= since and version.folder.is_dir()
    ]
    return [version for version in made if version not in refused], [version for version in made if version in refused]


def format_erasure(
    name: str, gone: ErasureCounts, learnt: Sequence[str], refused: Sequence[str], *, dry_run: bool
) -> list[str]:
    """What went, or would go, in sentences."""
    also = [
        _n(gone.n_conversations, "conversation") if gone.n_conversations else "",
        _n(gone.n_comparisons, "comparison") + " of versions" if gone.n_comparisons else "",
        "the account with its sessions and tokens" if gone.has_account else "",
    ]
    others = ", ".join(version for version in also if version)
    told = [
        f"{'Would remove' if dry_run else 'Removed'} all of {name!r}: {_n(gone.n_verdicts, 'verdict')}, "
        f"{_n(gone.n_turns, 'question')} with the answers, {_n(gone.n_question_vectors, 'vector')} of questions.",
        f"Also {others}." if others else "",
        f"{_n(gone.n_reviews, 'review')} of doubtful negatives, theirs or of questions that nobody asks any more."
        if gone.n_reviews
        else "",
        f"Without name and answer stay {_n(gone.n_turns_kept, 'question')} that others judged too."
        if gone.n_turns_kept
        else "",
        f"Candidates that the gate refused and that may have learnt from them go too: {', '.join(refused)}."
        if refused
        else "",
        f"May have learnt from them: {', '.join(learnt)}. The next night starts from the base, "
        'without them; "nightjar nightly" runs one now.'
        if learnt
        else "",
    ]
    return [sentence for sentence in told if sentence]


def _n(n: int, what: str) -> str:
    """A number with what is counted.

    >>> _n(1, "verdict"), _n(2000, "verdict")
    ('1 verdict', '2,000 verdicts')
    """
    return f"{n:,} {what}{'' if n == 1 else 's'}"
