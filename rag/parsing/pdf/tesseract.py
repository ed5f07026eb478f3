"""Pictures of pages → lines of text, by Tesseract inside this process (tesserocr, the extra `nightjar-rag[ocr]`).

Only Tesseract's language data are looked for on the machine; its library comes with tesserocr.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

OCR_MARK = "; ocr="
"""Follows the media type of a document with pages that are pictures; then comes how they were read, see `reading_of`."""

MAX_PAGE_S = 20.0  # for one page; a dense one takes two
MIN_PAGE_CONFIDENCE = 0.7  # mean confidence of what is stored: above it two words in three are right, see decision 0022
LEAST_OF_LINE = 0.3  # a signature, a stamp or a speck is a line to Tesseract
_FOLDERS = (
    "/usr/share/tesseract-ocr/5/tessdata",  # Debian and Ubuntu
    "/usr/share/tesseract-ocr/4.00/tessdata",
    "/usr/share/tessdata",
    "/usr/share/tesseract/tessdata",  # Fedora
    "/usr/local/share/tessdata",
    "/opt/homebrew/share/tessdata",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageImage:
    """A page as shades of grey, one byte a pixel."""

    pixels: bytes
    width: int
    height: int
    bytes_per_row: int
    dpi: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OcrLine:
    """A line of text on a picture, in pixels from the upper left."""

    text: str
    left: int
    right: int
    baseline: int
    height: float
    """From the lowest descender to the highest ascender of its letters."""
    begins: bool
    """True for the first line of a paragraph."""


@dataclass(frozen=True, slots=True)
class OcrPage:
    """The text recognised on one page."""

    lines: tuple[OcrLine, ...]
    confidence: float
    """Tesseract's own, 0 to 1: the mean over the lines, by their length. 0 if there are none."""
    in_time: bool = True
    """False if it was given up after PAGE_S."""


class PageRecogniser:
    """Reads pictures in some languages, for one file: it ends where the file has used up its time."""

    def __init__(self, languages: str = "", within_s: float = 0.0, begin: Callable[[], None] = lambda: None) -> None:
        self.languages = languages
        self.n_asked = 0
        """Pages that somebody wanted to be read, whether they were or not."""
        self._left_s = within_s
        self._within_s = within_s
        self._begin = begin  # called before each page: the file's time goes on

    def unavailable_reason(self) -> str:
        """Why no further page can be read, with the way out; empty if one can."""
        if missing := missing_ocr_reason(self.languages):
            return missing
        if self._left_s < MAX_PAGE_S:
            return f"recognising its text takes longer than parsing.ocr_s, {self._within_s:g} s: raise it, or split the file"
        return ""

    def read(self, picture: PageImage) -> OcrPage:
        """The text of a page. Only to be asked if `why_not` is empty."""
        self._begin()
        start = time.monotonic()
        engine = _engine(self.languages)
        engine.SetImageBytes(picture.pixels, picture.width, picture.height, 1, picture.bytes_per_row)
        engine.SetSourceResolution(picture.dpi)
        in_time = bool(engine.Recognize(int(MAX_PAGE_S * 1000)))
        found = list(_lines(engine)) if in_time else []
        engine.Clear()
        self._left_s -= time.monotonic() - start
        n_letters = sum(len(line.text) for line, _ in found)
        confidence = sum(len(line.text) * sure for line, sure in found) / n_letters if n_letters else 0.0
        return OcrPage(tuple(line for line, sure in found if sure >= LEAST_OF_LINE), confidence, in_time)


def _lines(engine: Any) -> Iterator[tuple[OcrLine, float]]:
    """Each line and Tesseract's confidence in it, 0 to 1, in reading order."""
    from tesserocr import RIL, iterate_level

    place = engine.GetIterator()
    if place is None or place.Empty(RIL.TEXTLINE):
        return
    for line in iterate_level(place, RIL.TEXTLINE):
        if line.Empty(RIL.WORD):  # a picture in the page
            continue
        text = " ".join(line.GetUTF8Text(RIL.TEXTLINE).split())
        if text:
            left, _, right, bottom = line.BoundingBox(RIL.TEXTLINE)
            height = line.RowAttributes()["row_height"]
            begins = line.IsAtBeginningOf(RIL.PARA)
            yield (
                OcrLine(text=text, left=left, right=right, baseline=bottom, height=height, begins=begins),
                line.Confidence(RIL.TEXTLINE) / 100,
            )


@lru_cache(maxsize=1)
def _engine(languages: str) -> Any:
    """Opened once for all files that a process reads."""
    from tesserocr import PyTessBaseAPI

    folder = _folder_with(languages)
    assert folder is not None  # `why_not` was asked
    engine = PyTessBaseAPI(path=str(folder), lang=languages)
    engine.SetVariable("debug_file", os.devnull)  # what it remarks on pages would be taken for a crash's last words
    return engine


# ---- whether it can be done here


OCR_UNAVAILABLE = "none"


def ocr_label(languages: str) -> str:
    """Names the way in which this machine reads pictures: by the languages, or NOT_READ if it can't.

    >>> ocr_label("")
    'none'
    """
    return OCR_UNAVAILABLE if missing_ocr_reason(languages) else languages


def missing_ocr_reason(languages: str) -> str:
    """Returns what is missing to recognise these languages, with the way out; empty if nothing is.

    >>> missing_ocr_reason("")
    'text recognition is off: set parsing.ocr = "auto"'
    """
    if not languages:
        return 'text recognition is off: set parsing.ocr = "auto"'
    if find_spec("tesserocr") is None:
        return 'text recognition is not installed: run pip install "nightjar-rag[ocr]"'
    if _folder_with(languages) is None:
        packages = " ".join(f"tesseract-ocr-{name.replace('_', '-')}" for name in languages.split("+"))
        return (
            f"Tesseract's data for parsing.ocr_languages = {languages!r} are not there: install them, on Debian "
            f"by apt-get install {packages}, or name their folder in TESSDATA_PREFIX"
        )
    return ""


def _folder_with(languages: str) -> Path | None:
    """The first folder that has the data of all of them."""
    folders = [Path(folder) for folder in (os.environ.get("TESSDATA_PREFIX"), *_FOLDERS) if folder]
    names = [f"{name}.traineddata" for name in languages.split("+")]
    return next((folder for folder in folders if all((folder / name).is_file() for name in names)), None)
