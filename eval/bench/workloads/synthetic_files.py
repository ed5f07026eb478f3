"""Markdown files of made-up words, the same on every machine: what ingesting is timed on."""

from __future__ import annotations

import random
from pathlib import Path

N_WORDS = 4000  # size of the vocabulary; the words occur as often as Zipf's law says
SECTIONS = 3
SENTENCES = 3  # in a section
LENGTHS = (8, 18)  # words in a sentence, fewest and most
SYLLABLES = ("ba", "do", "fi", "gu", "ka", "le", "mo", "ni", "pra", "ro", "sel", "tan", "vor", "wi", "zu")


def write_markdown(folder: Path, n: int, seed: int = 13) -> Path:
    """Writes *n* files, each with a title and SECTIONS sections of some 40 words, into a new folder."""
    draw = random.Random(seed)  # noqa: S311 (a benchmark's words, no secret)
    words = ["".join(draw.choices(SYLLABLES, k=draw.randint(1, 3))) for _ in range(N_WORDS)]
    weights = [1 / rank for rank in range(1, N_WORDS + 1)]
    folder.mkdir(parents=True)
    for number in range(n):
        sections = "\n\n".join(
            f"## Section {section}\n\n{_section(draw, words, weights)}" for section in range(SECTIONS)
        )
        (folder / f"{number:05}.md").write_text(f"# Document {number}\n\n{sections}\n", "utf-8")
    return folder


def _section(draw: random.Random, words: list[str], weights: list[float]) -> str:
    sentences = [draw.choices(words, weights, k=draw.randint(*LENGTHS)) for _ in range(SENTENCES)]
    return " ".join(" ".join(sentence).capitalize() + "." for sentence in sentences)
