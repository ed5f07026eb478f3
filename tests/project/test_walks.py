"""A question and a night do not wander through more files than today: the aim is 30 and 70, with 17,000 hops a night."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.project.walks import Recorder, library_of_manuals, question_over_http, relative, tier1_night


@pytest.mark.slow
def test_a_question_over_http_stays_within_its_files(tmp_path: Path) -> None:
    walk = question_over_http(tmp_path)
    assert len(walk.files) <= 50 and walk.hops <= 200, str(walk)


@pytest.mark.slow
def test_a_night_of_tier_1_stays_within_its_files(tmp_path: Path) -> None:
    walk = tier1_night(library_of_manuals(tmp_path / "data"))
    assert len(walk.files) <= 116 and walk.hops <= 75_000, str(walk)


def test_a_hop_is_a_call_into_another_file_of_ours() -> None:
    from rag.citations.citations import strip_unknown_citations
    from rag.text.tokenize import tokenize

    recorder = Recorder()
    with recorder.installed(), recorder.walk() as walk:
        tokenize("Owls hunt.")
        tokenize("Owls hunt mice.")
        strip_unknown_citations("It is open [1].", {1})
        tokenize("Owls")
    assert dict(walk.files) == {"rag/text/tokenize.py": 2, "rag/citations/citations.py": 1}
    assert relative("/usr/lib/python3/os.py") is None
