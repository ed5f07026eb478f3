"""A file → text blocks with page and headings, read in a child process with limits on time, memory and size.

Documents are untrusted: a reader that crashes, hangs or eats the memory takes only the child with it. Answers come
back as JSON, never as pickled objects. One child serves many files, since starting it costs more than most files do.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from rag.errors import DocumentError
from rag.parsing.formats.blocks import Block, ParsedDocument, clean_text
from rag.parsing.unzip import ArchiveMember

_ROOT = Path(__file__).resolve().parents[2]
_READ_BYTES = 1024**2


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsingLimits:
    """What reading one file may cost."""

    timeout_s: float = 60.0
    memory_mib: int = 1536
    """Of data; 100 MiB of text need about 1,000 while they become blocks."""
    file_mib: int = 100
    answer_mib: int = 300
    """Of JSON: small files can unpack to much text."""
    ocr_languages: str = ""
    """In which text on pictures of pages is read, as Tesseract names them (`eng+deu`); empty: it is not read."""
    ocr_s: float = 600.0
    """For recognising pages, beyond timeout_s; further pages are left out."""


class Parser:
    """Reads files, one after another, in a child that is started when needed and again when it has died."""

    def __init__(self, limits: ParsingLimits | None = None) -> None:
        self.limits = limits or ParsingLimits()
        self._child: subprocess.Popen[bytes] | None = None
        self._last_words: IO[bytes] | None = None
        self._n_served = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Ends the child."""
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
        if self._last_words is not None:
            self._last_words.close()
        self._child = self._last_words = None
        self._n_served = 0

    def parse(self, path: Path) -> ParsedDocument:
        """The file's blocks, cleaned for storing.

        Raises:
            DocumentError: the file is refused, or its reader crashed or broke a limit.
        """
        return _parsed(self._answered({"path": str(path.absolute())}))

    def unpack(self, path: Path, into: Path) -> list[ArchiveMember]:
        """Unpacks an archive's files into a folder, under names of ours, and says what became of each.

        Raises:
            DocumentError: the archive is refused as a whole, or broke a limit.
        """
        answer = self._answered({"path": str(path.absolute()), "into": str(into.absolute())})
        return [ArchiveMember(**member) for member in answer["members"]]

    def _answered(self, request: dict[str, Any]) -> dict[str, Any]:
        was_used = self._n_served > 0
        try:
            answer = self._ask(request)
        except _Crash as crash:
            if not was_used:
                raise DocumentError(str(crash)) from crash
            answer = self._ask_once_more(request)  # what served other files may have suffered from them
        if "refused" in answer:
            raise DocumentError(str(answer["refused"]))
        return answer

    def _ask_once_more(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._ask(request)
        except _Crash as crash:
            raise DocumentError(str(crash)) from crash

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        child = self._running()
        assert child.stdin is not None  # it was opened with pipes
        limits = self.limits
        request |= {
            "file_mib": limits.file_mib,
            "timeout_s": limits.timeout_s,
            "ocr_languages": limits.ocr_languages,
            "ocr_s": limits.ocr_s,
        }
        try:
            child.stdin.write(json.dumps(request).encode() + b"\n")
            child.stdin.flush()
        except BrokenPipeError:
            raise self._crash() from None
        answer = self._answer(child)
        self._n_served += 1
        return answer

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None:
            self._last_words = tempfile.TemporaryFile()  # noqa: SIM115 - close() closes it, with the child
            # -P keeps the current folder out of the import path: it may hold untrusted files that are called csv.py.
            command = [sys.executable, "-P", "-B", "-m", "rag.parsing.child_process", str(self.limits.memory_mib)]
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._last_words,
                env=_environment(),
                start_new_session=True,  # Ctrl-C is for the parent, which ends the child
            )
        return self._child

    def _answer(self, child: subprocess.Popen[bytes]) -> dict[str, Any]:
        """The child's last line; those before it say that a page is being recognised, which gives the file more time."""
        start = time.monotonic()
        within_s = self.limits.timeout_s
        while True:
            for line in self._lines(child, start, within_s).splitlines():
                answer: dict[str, Any] = json.loads(line)
                within_s = min(self.limits.timeout_s + self.limits.ocr_s, within_s + answer.get("more_s", 0))
            if "more_s" not in answer:
                return answer

    def _lines(self, child: subprocess.Popen[bytes], start: float, within_s: float) -> bytes:
        """One or more whole lines of the child's, within the limits on time and length."""
        assert child.stdout is not None  # it was opened with pipes
        parts: list[bytes] = []
        with selectors.DefaultSelector() as selector:
            selector.register(child.stdout, selectors.EVENT_READ)
            while not parts or not parts[-1].endswith(b"\n"):
                if not selector.select(max(0.0, start + within_s - time.monotonic())):
                    self.close()
                    raise DocumentError(
                        f"reading it took longer than {within_s:g} s, the most that one "
                        "file may take: split it, or save it in another format"
                    )
                parts.append(os.read(child.stdout.fileno(), _READ_BYTES))
                if not parts[-1]:
                    raise self._crash()
                if len(parts) * _READ_BYTES > self.limits.answer_mib * 1024**2 < sum(map(len, parts)):
                    self.close()
                    raise DocumentError(f"it holds more than {self.limits.answer_mib} MiB of text: split it")
        return b"".join(parts)

    def _crash(self) -> _Crash:
        """What a dead child says of its end; the next file gets a new one."""
        assert self._child is not None  # only a child that was asked can die
        assert self._last_words is not None
        code = self._child.wait()
        self._last_words.seek(0)
        said = self._last_words.read().decode("utf-8", "replace").strip().rsplit("\n", 1)[-1]
        self.close()
        if "MemoryError" in said or "bad_alloc" in said:
            return _Crash(
                f"reading it needs more than the {self.limits.memory_mib} MiB of memory that one file may "
                "take: split it"
            )
        cause = f"signal {signal.Signals(-code).name}" if code < 0 else said or f"exit code {code}"
        return _Crash(
            f"its reader crashed ({cause}): the file is probably damaged; save it again, or in another format"
        )


class _Crash(Exception):  # noqa: N818 - an end, not an error that anybody outside sees
    """The child died."""


def _environment() -> dict[str, str]:
    """The child gets no secrets, and finds our packages wherever the parent runs."""
    kept = {
        name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TMPDIR", "TESSDATA_PREFIX") if name in os.environ
    }
    kept["OMP_THREAD_LIMIT"] = "1"  # of Tesseract: its threads wait for each other, and children run side by side
    places = [str(_ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    return {**kept, "PYTHONPATH": os.pathsep.join(str(Path(position).absolute()) for position in places if position)}


def _parsed(answer: dict[str, Any]) -> ParsedDocument:
    """The answer as a record; blocks that are empty once cleaned are left out."""
    blocks = []
    for block in answer["blocks"]:
        text = clean_text(block["text"])
        if text:
            headings = tuple(" ".join(clean_text(heading).split()) for heading in block["headings"])
            blocks.append(Block(text, block["kind"], headings, block["page"]))
    if not blocks:
        raise DocumentError("there is no text in it: nothing could be found in it")
    title = " ".join(clean_text(answer["title"]).split())
    return ParsedDocument(
        blocks=tuple(blocks), title=title, media_type=answer["media_type"], note=answer["note"], sha256=answer["sha256"]
    )
