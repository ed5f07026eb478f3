"""Which questions train, which choose, and which decide; and which are too near to one that is held out."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from typing import Literal

from rag.text.tokenize import tokenize

Split = Literal["train", "dev", "gate"]

DEV_SHARE = 0.10  # chooses ridge, merge and lexical weight
GATE_SHARE = 0.20  # decides, and nothing else; 300 questions see a difference of three points
NEAR_DUPLICATE_JACCARD = (
    0.8  # Jaccard's coefficient of the content words, from which two questions are one in other words
)
HELD_OUT_PER_BLOCK = 256  # questions compared with all others in one piece


def normalise_question(question: str) -> str:
    """A question without what does not change it: case, spaces, a final mark.

    >>> normalise_question("  Who  am I?")
    'who am i'
    """
    return " ".join(question.casefold().split()).rstrip("?!. ")


def split_of(question: str) -> Split:
    """The split a question belongs to, for ever: what is held out once never trains a later version.

    >>> split_of("Who am I?") == split_of("who am i")
    True
    """
    place = hash_fraction(question)
    return "dev" if place < DEV_SHARE else "gate" if place < DEV_SHARE + GATE_SHARE else "train"


def hash_fraction(question: str) -> float:
    """A number from 0 to 1 that the normalised question alone decides, spread evenly.

    >>> 0 <= hash_fraction("Who am I?") < 1
    True
    """
    digest = hashlib.sha256(normalise_question(question).encode("utf-8", "backslashreplace")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def find_near_held_out(questions: Collection[str]) -> frozenset[str]:
    """Of *questions*, normalised, those that would tell a version what it is measured on.

    A train question in the words of a dev or gate question, or a dev question in those of a gate question: NEAR of
    their content words are the same. They are left out, and nothing ever changes its split: were a cluster of
    questions to move together, one new question could carry another from the gate into training. Words rather than
    vectors, so that a new base draws the same line.

    >>> sorted(find_near_held_out(["how do i reset the router", "can i reset a router", "who am i"]))
    []
    """
    by_split: dict[Split, list[str]] = {"train": [], "dev": [], "gate": []}
    for question in sorted(questions):
        by_split[split_of(question)].append(question)
    held_out = by_split["dev"] + by_split["gate"]
    near = set(find_near_duplicates_of(by_split["train"], held_out)) | set(
        find_near_duplicates_of(by_split["dev"], by_split["gate"])
    )
    return frozenset(near)


def find_near_duplicates_of(questions: Sequence[str], others: Sequence[str]) -> Iterator[str]:
    """Returns the *questions* that have a Jaccard coefficient of NEAR or more with one of *others*.

    >>> list(find_near_duplicates_of(["Resetting the router", "Reset it?"], ["resetting a router"]))
    ['Resetting the router']
    """
    import numpy as np
    from scipy.sparse import csr_array

    if not questions or not others:
        return
    sets = [question_terms(text) for text in (*questions, *others)]
    column = {word: number for number, word in enumerate(sorted(set().union(*sets)))}
    indices = np.array([column[word] for words in sets for word in sorted(words)], np.int64)
    sizes = np.array([len(words) for words in sets], np.int64)
    has_word = csr_array(
        (np.ones(len(indices), np.float32), indices, np.concatenate([[0], np.cumsum(sizes)])),
        shape=(len(sets), len(column)),
    )
    mine, theirs = has_word[: len(questions)], has_word[len(questions) :]
    near = np.zeros(len(questions), np.bool_)
    for start in range(0, len(others), HELD_OUT_PER_BLOCK):
        some = slice(start, start + HELD_OUT_PER_BLOCK)
        shared = (mine @ theirs[some].T).tocoo()
        sizes_of_theirs = sizes[len(questions) :][some]
        union = sizes[: len(questions)][shared.row] + sizes_of_theirs[shared.col] - shared.data
        near[shared.row[shared.data >= NEAR_DUPLICATE_JACCARD * union - 1e-6]] = True
    yield from (question for question, is_near in zip(questions, near, strict=True) if is_near)


def question_terms(question: str) -> frozenset[str]:
    """What a question is about: its words without stop words, or all of them if there are no others.

    >>> sorted(question_terms("How do I reset the router?")), sorted(question_terms("Who am I?"))
    (['reset', 'router'], ['am', 'i', 'who'])
    """
    return frozenset(tokenize(question)) or frozenset(normalise_question(question).split())
