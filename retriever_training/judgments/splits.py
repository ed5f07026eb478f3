"""Assigns questions to the splits that train, choose and decide, and finds those too near to a held-out one."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from typing import Literal

from rag.text.tokenize import tokenize

Split = Literal["train", "dev", "gate"]

DEV_SHARE = 0.10  # the questions that choose ridge, merge and lexical weight
GATE_SHARE = 0.20  # the questions that decide, and do nothing else; 300 of them show a difference of three points
NEAR_DUPLICATE_JACCARD = (
    0.8  # from this Jaccard coefficient of their content words on, two questions count as one in other words
)
HELD_OUT_PER_BLOCK = 256  # held-out questions that are compared with all others at a time


def normalise_question(question: str) -> str:
    """Returns the question without what does not change its meaning: case, extra spaces, a final mark.

    >>> normalise_question("  Who  am I?")
    'who am i'
    """
    return " ".join(question.casefold().split()).rstrip("?!. ")


def split_of(question: str) -> Split:
    """Returns the split that a question belongs to for ever: a question once held out never trains a later version.

    >>> split_of("Who am I?") == split_of("who am i")
    True
    """
    fraction = hash_fraction(question)
    return "dev" if fraction < DEV_SHARE else "gate" if fraction < DEV_SHARE + GATE_SHARE else "train"


def hash_fraction(question: str) -> float:
    """Returns a number in [0, 1) that depends on the normalised question alone, uniformly distributed.

    >>> 0 <= hash_fraction("Who am I?") < 1
    True
    """
    digest = hashlib.sha256(normalise_question(question).encode("utf-8", "backslashreplace")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def find_near_held_out(questions: Collection[str]) -> frozenset[str]:
    """Returns those of the normalised *questions* that would leak what a version is measured on.

    These are train questions in the words of a dev or gate question, and dev questions in those of a gate question: their
    content words have a Jaccard coefficient of `NEAR_DUPLICATE_JACCARD` or more. They are left out, and no question ever
    changes its split: if a cluster of questions moved together, one new question could carry another from the gate into
    training. Words rather than vectors are compared, so that a new base draws the same line.

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
    """Yields the *questions* whose Jaccard coefficient with one of *others* is `NEAR_DUPLICATE_JACCARD` or more.

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
    of_questions, of_others = has_word[: len(questions)], has_word[len(questions) :]
    near = np.zeros(len(questions), np.bool_)
    for start in range(0, len(others), HELD_OUT_PER_BLOCK):
        block = slice(start, start + HELD_OUT_PER_BLOCK)
        shared = (of_questions @ of_others[block].T).tocoo()
        sizes_of_others = sizes[len(questions) :][block]
        union = sizes[: len(questions)][shared.row] + sizes_of_others[shared.col] - shared.data
        near[shared.row[shared.data >= NEAR_DUPLICATE_JACCARD * union - 1e-6]] = True
    yield from (question for question, is_near in zip(questions, near, strict=True) if is_near)


def question_terms(question: str) -> frozenset[str]:
    """Returns the words that say what a question is about: those that are not stop words, or all if there are only these.

    >>> sorted(question_terms("How do I reset the router?")), sorted(question_terms("Who am I?"))
    (['reset', 'router'], ['am', 'i', 'who'])
    """
    return frozenset(tokenize(question)) or frozenset(normalise_question(question).split())
