"""Counts how many of our files a question and a night pass through: `python -m tests.project.walks`.

A hop is a call (or a generator's next step) that lands in another file of ours than the call before it in the same thread.
Few files and few hops are what lets a person follow one question, or one night, through the code.
"""

from __future__ import annotations

import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("rag", "eval", "retriever_training", "ui")


@dataclass
class Walk:
    """The files, functions and hops of one walk; paths are relative to the repository."""

    files: Counter[str] = field(default_factory=Counter)
    """file → how often the walk entered it from another one."""
    functions: set[tuple[str, str, int]] = field(default_factory=set)

    @property
    def hops(self) -> int:
        return sum(self.files.values())

    def __str__(self) -> str:
        return f"{len(self.files)} files, {self.hops:,} hops, {len(self.functions)} functions"


class Recorder:
    """A profile function for every thread that starts after `installed`; it records only within `walk`."""

    def __init__(self) -> None:
        self._walk: Walk | None = None
        self._here = threading.local()
        self._names: dict[str, str | None] = {}

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        walk = self._walk
        if walk is None or event != "call":
            return
        code = frame.f_code
        try:
            name = self._names[code.co_filename]
        except KeyError:
            name = self._names[code.co_filename] = relative(code.co_filename)
        if name is None or code.co_name == "<module>":
            return
        if getattr(self._here, "walk", None) is not walk or self._here.file != name:
            walk.files[name] += 1
        self._here.walk, self._here.file = walk, name
        walk.functions.add((name, code.co_name, code.co_firstlineno))

    @contextmanager
    def installed(self) -> Iterator[None]:
        threading.setprofile(self)
        sys.setprofile(self)
        try:
            yield
        finally:
            sys.setprofile(None)
            threading.setprofile(None)

    @contextmanager
    def walk(self) -> Iterator[Walk]:
        self._walk = walk = Walk()
        try:
            yield walk
        finally:
            self._walk = None


def relative(filename: str) -> str | None:
    """The path below the repository if the file is of one of our packages, else None."""
    try:
        name = Path(filename).resolve().relative_to(ROOT)
    except ValueError:
        return None
    return name.as_posix() if name.parts[0] in PACKAGES else None


def question_over_http(home: Path) -> Walk:
    """POST /api/ask on a warm server over two small documents, up to the stored answer."""
    import httpx

    from tests.fixtures.running_server import served

    recorder = Recorder()
    with recorder.installed(), served(home) as server:
        for question in ("Where do barn owls nest?", "Who can get the grant?"):
            httpx.post(f"{server.address}/api/ask", json={"question": question}, timeout=60).raise_for_status()
        walks = []
        for question in ("How do owls hunt mice?", "When do I have to apply for the grant?", "How much is the grant?"):
            with recorder.walk() as walk:
                httpx.post(f"{server.address}/api/ask", json={"question": question}, timeout=60).raise_for_status()
            walks.append(walk)
    return min(walks, key=lambda walk: len(walk.files))  # what else the server does meanwhile is no part of a question


def tier1_night(data: Path) -> Walk:
    """A night that promotes, over the library of manuals in *data*, with its report."""
    from rag.app.app import open_app
    from rag.settings import Settings
    from retriever_training.nightly.run_night import run_night
    from retriever_training.tiers.night_plan import NightPlan
    from tests.fixtures import jargon

    recorder = Recorder()
    app = open_app(Settings(data=data))
    try:
        jargon.vote(app, jargon.questions())
        with recorder.installed(), recorder.walk() as walk:
            summary = run_night(app.stores, NightPlan(tier="1"))
    finally:
        app.close()
    assert summary.decision == "promoted"
    return walk


def library_of_manuals(data: Path) -> Path:
    from rag.app.app import open_app
    from rag.settings import Settings
    from tests.fixtures import jargon

    app = open_app(Settings(data=data))
    app.library.put_all(jargon.library())
    app.encode_missing()
    app.close()
    return data


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        for title, walk in (
            ("question over HTTP", question_over_http(home)),
            ("night, tier 1", tier1_night(library_of_manuals(home / "manuals"))),
        ):
            print(f"{title}: {walk}")
            for name, n_entries in walk.files.most_common():
                print(f"{n_entries:10,}  {name}")


if __name__ == "__main__":
    main()
