"""Where the encoder's tokens begin in a text: passages are filled by what the encoder reads, not by words."""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rag.embedding.model_hashes import passage_modules, text_prompt
from rag.errors import EncoderError

TokenStarts = Callable[[Sequence[str]], list["array[int]"]]
"""Texts → for each, where its tokens begin, in characters, rising."""

AT_ONCE = 1_000_000  # characters: what a tokenizer returns for them fills some 50 MB
MAX_TEXT_LENGTH = 100_000  # characters; of a longer one each such part is read for itself
LONGEST_TOKEN = 24  # letters; what is longer was not understood as a word
UNKNOWN_EVERY = 2  # letters: base64 comes to 1.4 letters a token, names in unknown scripts to one or two

# A word is what is between blanks; a letter of a script without blanks; or 24 letters of anything longer.
_NO_BLANKS = "\u2e80-\u2fdf\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
WORD_PATTERN = re.compile(rf"[{_NO_BLANKS}]|[^\s{_NO_BLANKS}]{{1,{LONGEST_TOKEN}}}")


def word_starts(texts: Sequence[str]) -> list[array[int]]:
    """Where words begin: what stands in for tokens if no encoder is at hand.

    >>> [list(starts) for starts in word_starts(["two words", "再構築", "x" * 49])]
    [[0, 4], [0, 1, 2], [0, 24, 48]]
    """
    return [array("l", (word.start() for word in WORD_PATTERN.finditer(text))) for text in texts]


def n_words(text: str) -> int:
    """How many words a text has, by the same measure.

    >>> n_words("two words"), n_words("再構築"), n_words("x" * 49)
    (2, 3, 3)
    """
    return len(WORD_PATTERN.findall(text))


class PassageTokenizer:
    """The tokenizer of the encoder in a folder, without torch: a million characters take a quarter of a second."""

    def __init__(self, folder: Path) -> None:
        """Opens the tokenizer of the route that passages take.

        Raises:
            EncoderError: the version has no tokenizer.json.
        """
        self._tokenizer = _open_tokenizer(folder)
        before = text_prompt(folder, "document")
        self.n_overhead_tokens: int = self._tokenizer.num_special_tokens_to_add(False) + len(self.starts([before])[0])
        """Tokens of every text that are not its own: special ones, and what the version puts before passages."""

    def starts(self, texts: Sequence[str]) -> list[array[int]]:
        """For each text where its tokens begin, in characters, rising; special tokens are left out.

        A token of more than 24 letters stands for what the tokenizer gave up on, such as a line of base64, which
        counts by its letters: cut shorter, it would fall into about as many tokens.
        """
        starts = [array("l") for _ in texts]
        for places, parts in _batches(texts):
            for (number, offset), encoding in zip(places, self._encode(parts), strict=True):
                for begin, end in encoding.offsets:
                    starts[number].append(offset + begin)
                    if end - begin > LONGEST_TOKEN:
                        starts[number].extend(range(offset + begin + UNKNOWN_EVERY, offset + end, UNKNOWN_EVERY))
        return starts

    def _encode(self, texts: list[str]) -> Any:
        return self._tokenizer.encode_batch(texts, add_special_tokens=False)


def _open_tokenizer(folder: Path) -> Any:
    from tokenizers import Tokenizer

    places = [folder, *(module for _, module in passage_modules(folder))]
    file = next((index / "tokenizer.json" for index in places if (index / "tokenizer.json").is_file()), None)
    if file is None:
        raise EncoderError(
            f"{str(folder)!r} has no tokenizer.json, which passages are measured with: "
            "save the model again with a fast tokenizer"
        )
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _batches(texts: Sequence[str]) -> Iterator[tuple[list[tuple[int, int]], list[str]]]:
    """Parts of the texts, so many at once that memory stays bounded: (number of the text, offset) and the part."""
    places: list[tuple[int, int]] = []
    parts: list[str] = []
    waiting = 0
    for number, text in enumerate(texts):
        for offset in range(0, len(text), MAX_TEXT_LENGTH):
            places.append((number, offset))
            parts.append(text[offset : offset + MAX_TEXT_LENGTH])
            waiting += len(parts[-1])
            if waiting >= AT_ONCE:
                yield places, parts
                places, parts, waiting = [], [], 0
    if parts:
        yield places, parts
