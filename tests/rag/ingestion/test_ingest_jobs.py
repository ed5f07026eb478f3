"""Jobs: ingests in SQL, which outlive a browser tab, a command and the application itself."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from rag.database.schema import jobs as table
from rag.errors import NotFoundError, UsageError
from rag.ingestion.ingest_jobs import MAX_FINISHED_JOBS, MAX_JOB_STARTS, IngestJobs, IngestRequest
from rag.ingestion.progress import FileProgress
from rag.ingestion.progress_recorder import ProgressRecorder

NOTES = IngestRequest(("notes", "b\udcff.md"), "/home/ada")


@pytest.fixture
def jobs(engine) -> IngestJobs:
    return IngestJobs(engine)


def test_a_job_waits_runs_and_is_done_with_every_stored_file_indexed(jobs: IngestJobs) -> None:
    job = jobs.create(NOTES)
    assert (job.state, job.asked, job.door) == ("waiting", NOTES, "application")
    begun = jobs.start_next()
    assert begun is not None
    assert (begun.job_id, begun.state, begun.n_starts) == (job.job_id, "running", 1)
    assert jobs.start_next() is None
    jobs.record(
        job.job_id,
        "reading",
        [
            FileProgress(source="a.md", stage="stored", note="", n_passages=4),
            FileProgress(source="b.md", stage="refused", note="empty"),
            FileProgress(source="c.md", stage="encoding", note="", n_passages=5, n_encoded=2),
        ],
    )
    now = jobs.get(job.job_id)
    assert (now.stage, now.files, now.n_passages, now.n_encoded) == (
        "reading",
        {"encoding": 1, "refused": 1, "stored": 1},
        9,
        2,
    )
    assert [step.source for step in jobs.files(job.job_id)] == ["b.md", "c.md", "a.md"]
    jobs.finish(job.job_id, "done")
    done = jobs.get(job.job_id)
    assert (done.state, done.files, done.n_encoded) == ("done", {"indexed": 2, "refused": 1}, 9)
    assert done.finished_at is not None


def test_the_oldest_job_is_begun_first(jobs: IngestJobs) -> None:
    first, second = jobs.create(NOTES), jobs.create(NOTES)
    assert [job.job_id for job in (jobs.start_next(), jobs.start_next()) if job] == [first.job_id, second.job_id]


def test_a_job_that_waits_is_cancelled_at_once_and_one_that_runs_is_asked_to_end(jobs: IngestJobs) -> None:
    running, waiting = jobs.create(NOTES), jobs.create(NOTES)
    jobs.start_next()
    assert jobs.cancel(waiting.job_id).state == "cancelled"
    assert jobs.cancel(running.job_id).state == "running"
    with ProgressRecorder(jobs, running.job_id) as recorder:
        recorder.tell(FileProgress(source="a.md", stage="reading"))
    assert recorder.is_cancelled()
    assert [step.stage for step in jobs.files(running.job_id)] == ["reading"]
    with pytest.raises(UsageError, match="is over"):
        jobs.cancel(waiting.job_id)
    with pytest.raises(NotFoundError, match="no job 'x'"):
        jobs.cancel("x")


def test_a_killed_application_begins_its_jobs_again_a_bounded_number_of_times(jobs: IngestJobs) -> None:
    job = jobs.create(NOTES)
    for number in range(1, MAX_JOB_STARTS + 1):
        begun = jobs.start_next()
        assert begun is not None and begun.n_starts == number
        assert jobs.requeue("interrupted") == ([job.job_id] if number < MAX_JOB_STARTS else [])
    over = jobs.get(job.job_id)
    assert (over.state, "interrupted 3 times" in over.note) == ("failed", True)


def test_what_an_earlier_start_stored_stays_stored_though_it_is_unchanged_now(jobs: IngestJobs) -> None:
    job = jobs.create(NOTES)
    jobs.start_next()
    jobs.record(job.job_id, "reading", [FileProgress(source="a.md", stage="stored", note="", n_passages=4)])
    jobs.requeue("interrupted")
    jobs.start_next()
    jobs.record(
        job.job_id,
        "reading",
        [FileProgress(source="a.md", stage="unchanged"), FileProgress(source="b.md", stage="unchanged")],
    )
    assert jobs.get(job.job_id).files == {"stored": 1, "unchanged": 1}


def test_an_application_that_ends_as_it_should_does_not_use_up_a_start(jobs: IngestJobs) -> None:
    job = jobs.create(NOTES)
    jobs.start_next()
    jobs.postpone(job.job_id)
    assert (jobs.get(job.job_id).state, jobs.get(job.job_id).n_starts) == ("waiting", 0)


def test_the_job_of_a_command_is_no_work_of_the_application_and_ends_when_it_falls_silent(jobs: IngestJobs) -> None:
    job = jobs.create(NOTES, "command")
    assert jobs.start_next() is None
    assert jobs.requeue("interrupted") == []
    jobs.fail_stale_jobs()
    assert jobs.is_any_running()
    with jobs.engine.begin() as connection:
        connection.execute(update(table).values(beat_at="2000-01-01T00:00:00+00:00"))
    jobs.fail_stale_jobs()
    assert not jobs.is_any_running()
    assert "run it again" in jobs.get(job.job_id).note


def test_old_jobs_are_forgotten_with_their_files_and_those_that_wait_are_not(jobs: IngestJobs) -> None:
    waiting = jobs.create(NOTES)
    over = [jobs.create(NOTES) for _ in range(MAX_FINISHED_JOBS + 3)]
    for job in over:
        jobs.record(job.job_id, "reading", [FileProgress(source="a.md", stage="refused")])
        jobs.cancel(job.job_id)
    jobs.create(NOTES)
    kept = {job.job_id for job in jobs.latest(1000)}
    assert waiting.job_id in kept
    assert len(kept & {job.job_id for job in over}) == MAX_FINISHED_JOBS
    assert jobs.files(over[0].job_id) == []


def test_files_count_as_refused_until_a_later_job_takes_them(jobs: IngestJobs) -> None:
    first, second = jobs.create(NOTES), jobs.create(NOTES)
    jobs.record(
        first.job_id,
        "reading",
        [
            FileProgress(source="a.md", stage="refused", note="why"),
            FileProgress(source="b.md", stage="refused", note="why"),
            FileProgress(source="c.md", stage="stored"),
        ],
    )
    jobs.record(
        second.job_id,
        "reading",
        [FileProgress(source="a.md", stage="stored"), FileProgress(source="c.md", stage="refused", note="why")],
    )
    assert jobs.refused([second.job_id, first.job_id]) == {"b.md": first.job_id, "c.md": second.job_id}
    assert jobs.refused([first.job_id]) == {"a.md": first.job_id, "b.md": first.job_id}
    assert jobs.refused([]) == {}
