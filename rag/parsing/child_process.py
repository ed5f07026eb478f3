"""The child process that reads untrusted files: limits itself, then answers one request a line.

Started by rag.parse. A request is {"path", "file_mib", "timeout_s", "ocr_languages", "ocr_s"}; an answer has the keys
of `Parsed`, or "refused". Lines {"more_s"} before it say that a page is being recognised, for which the file gets more
time. With "into", a folder, an archive is unpacked into it, and the answer has "members". What is not foreseen ends the
process; the parent tells the file's fate from that.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import resource
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from rag.errors import DocumentError
from rag.parsing.format_detection import read_document
from rag.parsing.pdf.tesseract import MAX_PAGE_S, OCR_MARK, PageRecogniser, ocr_label
from rag.parsing.unzip import unpack_archive

STDERR_BYTES = 1024**2


def main(memory_mib: int) -> None:
    """Answers requests from stdin until it ends."""
    answers = _own_stdout()
    _limit(resource.RLIMIT_DATA, memory_mib * 1024**2)
    _limit(resource.RLIMIT_FSIZE, STDERR_BYTES)  # it has nothing to write but its last words
    _limit(resource.RLIMIT_CORE, 0)
    for line in sys.stdin:
        request = json.loads(line)
        _limit_cpu(request["timeout_s"])
        recogniser = PageRecogniser(
            request["ocr_languages"], request["ocr_s"], partial(_go_on, answers, request["timeout_s"])
        )
        _say(answers, _answer(request, recogniser))


def _say(answers: TextIO, what: dict[str, Any]) -> None:
    json.dump(what, answers)
    answers.write("\n")
    answers.flush()


def _go_on(answers: TextIO, timeout_s: float) -> None:
    """A page is about to be recognised: the file may take longer, here and for the parent that waits."""
    _limit_cpu(timeout_s + MAX_PAGE_S)
    _say(answers, {"more_s": MAX_PAGE_S})


def _own_stdout() -> TextIO:
    """Keeps the answers' way to ourselves: what a library prints goes to stderr."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def _limit(which: int, value: int) -> None:
    _, hard = resource.getrlimit(which)
    resource.setrlimit(which, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


def _limit_cpu(timeout_s: float) -> None:
    """Ends an endless file even if the parent was killed and can't."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _limit(resource.RLIMIT_CPU, math.ceil(used.ru_utime + used.ru_stime + timeout_s + 5))


def _answer(request: dict[str, Any], recogniser: PageRecogniser) -> dict[str, Any]:
    path = Path(request["path"])
    try:
        if "into" in request:
            return {"members": _unpacked(path, Path(request["into"]), request["file_mib"])}
        data = _bytes(path, request["file_mib"])
        answer = asdict(read_document(data, path.suffix, recogniser))
    except DocumentError as refused:
        return {"refused": str(refused)}
    if recogniser.n_asked:  # so that it is read again if pictures can be read, or are in other languages
        answer["media_type"] += f"{OCR_MARK}{ocr_label(recogniser.languages)}"
    answer["sha256"] = hashlib.sha256(data).hexdigest()
    return answer


def _unpacked(path: Path, into: Path, file_mib: int) -> list[dict[str, Any]]:
    """Here alone files are written: as large as one may be, and to the folder that the parent gave."""
    _limit(resource.RLIMIT_FSIZE, max(STDERR_BYTES, file_mib * 1024**2))
    try:
        return [asdict(member) for member in unpack_archive(path, into, file_mib)]
    finally:
        _limit(resource.RLIMIT_FSIZE, STDERR_BYTES)


def _bytes(path: Path, file_mib: int) -> bytes:
    most = file_mib * 1024**2
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise DocumentError(f"it can't be opened ({error.strerror}): check that it exists and may be read") from error
    if len(data) > most:
        raise DocumentError(f"it is larger than the {file_mib} MiB that one file may have: split it")
    return data


if __name__ == "__main__":
    main(int(sys.argv[1]))
