"""Many people who chat with a running server at once: how long they wait, what fails, and what it costs in memory."""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rag.errors import UsageError

if TYPE_CHECKING:
    from httpx import AsyncClient

TIMEOUT_S = 60.0
FOLLOW_UPS = 3  # questions of one conversation, before a person begins another
VOTES = 0.5  # share of answers that are voted on
LOOK_S = 1.0  # between two looks at the server's memory
FEWEST = 5  # questions to choose from

_HEADING = re.compile(r"^#{1,4} +(.+?)\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Waits:
    """Milliseconds, as clients saw them."""

    n: int
    p50_ms: float
    p95_ms: float
    max_ms: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Waits | None:
        """None if there is nothing to sum up.

        >>> Waits.of([0.001, 0.002, 0.003])
        Waits(n=3, p50_ms=2.0, p95_ms=2.9, max_ms=3.0)
        """
        if not seconds:
            return None
        p50, p95, most = np.percentile(1000 * np.asarray(seconds), [50, 95, 100]).round(1).tolist()
        return cls(len(seconds), p50, p95, most)


@dataclass(frozen=True, slots=True)
class Memory:
    """MB of the server's process, in the first, the middle and the last tenth of the time: means of what was resident."""

    start_mb: float
    middle_mb: float
    end_mb: float

    @classmethod
    def of(cls, megabytes: Sequence[float]) -> Memory | None:
        """
        >>> Memory.of([10.0] * 10 + [20.0] * 10)
        Memory(start_mb=10.0, middle_mb=15.0, end_mb=20.0)
        """
        if not megabytes:
            return None
        tenth, middle = max(1, len(megabytes) // 10), len(megabytes) // 2
        parts = (megabytes[:tenth], megabytes[middle - tenth // 2 - 1 : middle + tenth // 2 + 1], megabytes[-tenth:])
        return cls(*(round(float(np.mean(part)), 1) for part in parts))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatBench:
    """What all of them saw together."""

    n_people: int
    seconds: float
    pause_s: float
    answers: Waits | None
    """From the question to the end of the answer."""
    evidence: Waits | None
    """From the question to the passages that were found, which come before the first word."""
    votes: Waits | None
    failures: tuple[str, ...]
    """What went wrong, one sentence a request."""
    n_declined: int
    per_second: float
    """Answers."""
    page: Waits | None
    """Of the page's HTML, fetched once a second meanwhile by somebody else."""
    page_bytes: int
    memory: Memory | None
    cpu_ms: float
    """Of the server's process, for an answer with its votes and all else; hardly moved by what else the machine does."""


Cost = Callable[[], tuple[float, float]]
"""MB that the server's process has in memory, and seconds of CPU that it has used."""


@dataclass(slots=True, kw_only=True)
class ChatObservations:
    """What has been seen so far."""

    answers: list[float] = field(default_factory=list)
    evidence: list[float] = field(default_factory=list)
    votes: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    n_declined: int = 0
    pages: list[float] = field(default_factory=list)
    page_bytes: int = 0
    megabytes: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)


def measure_chat(
    url: str,
    questions: Sequence[str],
    *,
    n_people: int = 50,
    seconds: float = 120.0,
    pause_s: float = 0.0,
    warm_s: float = 15.0,
    cost: Cost | None = None,
    progress: Callable[[int], None] = lambda n: None,
) -> ChatBench:
    """*n_people* ask `url`, read on average for *pause_s*, vote on half of the answers, and ask again.

    They begin *warm_s* before the time that counts. *cost* looks at the server's process. *progress* gets 1 for each second.
    """
    warm, seen = ChatObservations(), ChatObservations()
    asyncio.run(
        _everybody(
            url,
            questions,
            n_people=n_people,
            pause_s=pause_s,
            seconds=warm_s,
            seen=warm,
            cost=None,
            progress=lambda n: None,
        )
    )
    asyncio.run(
        _everybody(
            url, questions, n_people=n_people, pause_s=pause_s, seconds=seconds, seen=seen, cost=cost, progress=progress
        )
    )
    return ChatBench(
        n_people=n_people,
        seconds=seconds,
        pause_s=pause_s,
        answers=Waits.of(seen.answers),
        evidence=Waits.of(seen.evidence),
        votes=Waits.of(seen.votes),
        failures=tuple(warm.failures + seen.failures),
        n_declined=seen.n_declined,
        per_second=round(len(seen.answers) / seconds, 2),
        page=Waits.of(seen.pages),
        page_bytes=seen.page_bytes,
        memory=Memory.of(seen.megabytes),
        cpu_ms=round(1000 * (seen.cpu_s[-1] - seen.cpu_s[0]) / max(1, len(seen.answers)), 1) if seen.cpu_s else 0.0,
    )


async def _everybody(
    url: str,
    questions: Sequence[str],
    n_people: int,
    pause_s: float,
    seconds: float,
    seen: ChatObservations,
    cost: Cost | None,
    progress: Callable[[int], None],
) -> None:
    from httpx import AsyncClient, Limits

    until = time.monotonic() + seconds
    limits = Limits(max_connections=n_people + 1, max_keepalive_connections=n_people + 1)
    async with AsyncClient(base_url=url, timeout=TIMEOUT_S, limits=limits, trust_env=False) as client:
        people = (
            _person(client, questions, chance=chance, pause_s=pause_s, until=until, seen=seen)
            for chance in map(random.Random, range(n_people))
        )
        await asyncio.gather(*people, _onlooker(client, until, seen, cost, progress))


async def _person(
    client: AsyncClient,
    questions: Sequence[str],
    chance: random.Random,
    pause_s: float,
    until: float,
    seen: ChatObservations,
) -> None:
    from httpx import HTTPError

    await asyncio.sleep(chance.uniform(0, max(pause_s, 1.0)))  # people do not all come in the same moment
    n_asked = 0
    while time.monotonic() < until:
        n_asked += 1
        conversation_id = f"bench-{id(chance)}-{n_asked // FOLLOW_UPS}"
        try:
            answer = await _ask(client, chance.choice(questions), conversation_id, seen)
            if chance.random() < VOTES:
                await _vote(client, answer, chance, seen)
        except (HTTPError, ValueError, KeyError) as error:
            seen.failures.append(f"{type(error).__name__}: {error}")
        await asyncio.sleep(chance.uniform(0, 2 * pause_s))


async def _ask(client: AsyncClient, question: str, conversation_id: str, seen: ChatObservations) -> dict[str, Any]:
    """The whole answer.

    Raises:
        ValueError: the stream broke off, or a word came before the evidence.
    """
    started, name, events = time.perf_counter(), "", []
    body = {"question": question, "conversation_id": conversation_id}
    async with client.stream("POST", "/api/ask/stream", json=body) as response:
        if response.is_error:
            await response.aread()
            raise ValueError(f"{response.status_code}: {response.text[:200]}")
        async for line in response.aiter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
                events.append(name)
                if name == "searched":
                    seen.evidence.append(time.perf_counter() - started)
            elif name in ("answer", "error") and line.startswith("data: "):
                data: dict[str, Any] = json.loads(line.removeprefix("data: "))
    if events[:1] != ["searched"] or events[-1] != "answer":
        raise ValueError(f"the events of {question!r} were {events}")
    seen.answers.append(time.perf_counter() - started)
    seen.n_declined += bool(data["declined"])
    return data


async def _vote(client: AsyncClient, answer: dict[str, Any], chance: random.Random, seen: ChatObservations) -> None:
    vote = {"turn_id": answer["turn_id"], "token": answer["token"], "verdict": "answer_helpful"}
    if answer["citations"]:
        verdict = "helpful" if chance.random() < 0.8 else "not_relevant"
        vote |= {"passage_id": answer["citations"][0]["passage_id"], "verdict": verdict}
    started = time.perf_counter()
    (await client.post("/api/verdicts", json=vote)).raise_for_status()
    seen.votes.append(time.perf_counter() - started)


async def _onlooker(
    client: AsyncClient,
    until: float,
    seen: ChatObservations,
    cost: Cost | None,
    progress: Callable[[int], None],
) -> None:
    """Fetches the page as a browser does, and looks at the memory."""
    from httpx import HTTPError

    while time.monotonic() < until:
        started = time.perf_counter()
        try:
            page = (await client.get("/", headers={"accept": "text/html"})).raise_for_status()
            seen.pages.append(time.perf_counter() - started)
            seen.page_bytes = len(page.content)
        except HTTPError as error:
            seen.failures.append(f"the page: {type(error).__name__}: {error}")
        if cost:
            megabytes, cpu_s = cost()
            seen.megabytes.append(megabytes)
            seen.cpu_s.append(cpu_s)
        progress(1)
        await asyncio.sleep(LOOK_S)


def process_cost(pid: int) -> Cost:
    """Looks at a process of this machine."""
    import psutil

    process = psutil.Process(pid)

    def look() -> tuple[float, float]:
        used = process.cpu_times()
        return process.memory_info().rss / 2**20, used.user + used.system

    return look


def questions_from_headings(folder: Path) -> list[str]:
    """The headings of the Markdown files below *folder* that are questions; all headings, if few are.

    Raises:
        UsageError: there are next to none.
    """
    files = sorted(folder.rglob("*.md"))
    headings = list(dict.fromkeys(heading for file in files for heading in _HEADING.findall(file.read_text("utf-8"))))
    asked = [heading for heading in headings if heading.endswith("?")]
    questions = asked if len(asked) >= FEWEST else headings
    if len(questions) < FEWEST:
        raise UsageError(
            f"{str(folder)!r} has {len(questions)} headings in Markdown files: name a folder with "
            f"{FEWEST} or more, which are asked as questions"
        )
    return questions
