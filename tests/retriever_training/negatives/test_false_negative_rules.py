"""Cleaning: every rule by an example worked out by hand, all of them against slow ones, and a library's margin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rag.index.bm25 import Bm25Index
from rag.retrieval.fusion import fuse_scores, normalise_bm25
from rag.text import shingles as shingling
from rag.text.shingles import ShingleIndex, containment, normalise_words, shingles
from retriever_training.negatives.candidates.records import (
    Candidate,
    MinedNegatives,
    MiningContext,
    VersionView,
    rank_candidates,
)
from retriever_training.negatives.denoising import false_negative_rules as denoise
from retriever_training.negatives.denoising.answer_match import has_answer
from retriever_training.negatives.denoising.cross_encoder_teacher import (
    CachingTeacher,
    scored_candidates,
)
from retriever_training.negatives.denoising.false_negative_rules import (
    count_removed,
    false_negative_rules,
    remove_false_negatives,
)
from retriever_training.negatives.denoising.pair_features import (
    NO_KNOWN_LABELS,
    CandidatePairs,
    KnownLabels,
    PairFeatures,
)
from retriever_training.negatives.finders import FINDERS
from retriever_training.negatives.mixing import mine_negatives

TEXTS = [
    "the cat sat on the mat",
    "the cat slept on a warm mat",
    "The cat  sat, on the mat!",
    "a dog ran through the park",
    "stock markets fell on friday",
    "rain is expected tomorrow",
]


def unit(rows: Sequence[Sequence[float]]) -> NDArray[np.float32]:
    array = np.array(rows, np.float32)
    return array / np.linalg.norm(array, axis=1, keepdims=True)


def mine_of(
    texts: Sequence[str],
    passages: Sequence[Sequence[float]],
    questions: Sequence[Sequence[float]],
    positives: Sequence[set[int]],
    words: Sequence[str] = (),
) -> MiningContext:
    """A mine over given vectors; questions without words have nothing for BM25."""
    ids = tuple(f"p{row}" for row in range(len(texts)))
    return MiningContext(
        questions=tuple(words) or tuple("?" * (row + 1) for row in range(len(questions))),
        positives=tuple(frozenset(rows) for rows in positives),
        rejected=((),) * len(questions),
        passage_ids=ids,
        question_vectors=unit(questions),
        passage_vectors=unit(passages),
        lexical=Bm25Index.build(list(ids), texts),
        texts=texts,
        seed=7,
    )


CATS = mine_of(
    TEXTS,
    [[1, 0, 0], [0.85, 0.6, 0], [1, 0.3, 0], [0.5, 1, 0], [0, 0, 1], [0, 0.3, 1]],
    [[1, 0.1, 0], [0, 0.4, 1]],
    [{0}, {5}],
)
"""One question about the cat, whose right passage is the first; and one about the weather."""


def view(mine: MiningContext, name: str = "the base") -> VersionView:
    return VersionView(name, mine.question_vectors, mine.passage_vectors)


def reason(
    mine: MiningContext,
    passage: int,
    *,
    source: str = "bm25",
    known: KnownLabels = NO_KNOWN_LABELS,
    views: Sequence[VersionView] = (),
    question: int = 0,
) -> str | None:
    """Why a candidate goes; None where it stays."""
    found = [
        rank_candidates(source, [passage] if row == question else [], [0.0] * (row == question))
        for row in range(len(mine))
    ]
    mined = remove_false_negatives(mine, found, views or [view(mine)], mine.texts, known=known)[question]
    assert len(mined.kept) + len(mined.removed) == 1
    return mined.removed[0][1] if mined.removed else None


# ---- the rules, one by one


def test_what_is_known_to_be_right_is_no_negative() -> None:
    assert reason(CATS, 0) == "is_positive"
    assert reason(CATS, 0, source="feedback") == "is_positive"


def test_a_passage_that_says_the_same_in_other_letters_is_removed() -> None:
    """Its cosine with the positive is 1/√1.09 = .958, under NEAR_DUPLICATE: its words give it away."""
    assert reason(CATS, 2) == "duplicate_of_positive"
    assert reason(CATS, 2, source="feedback") == "duplicate_of_positive"


def test_a_passage_with_nearly_a_positives_vector_is_removed() -> None:
    """cos = 1/√(1 + .25²) = .9701 is beyond .97, and 1/√(1 + .26²) = .9678 is not."""
    turned = replace(CATS, passage_vectors=unit([[1, 0, 0], [1, 0, 0.25], [1, 0, 0.26], *np.eye(3)]))
    turned = replace(turned, texts=[*"abcdef"])
    assert reason(turned, 1) == "near_duplicate_of_positive"
    assert reason(turned, 2) != "near_duplicate_of_positive"


def test_a_passage_that_was_cut_out_of_a_positive_is_removed() -> None:
    """Ten words of fourteen: their six runs of five words all stand in the positive. One changed word breaks five."""
    whole = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
    part = "two three four five six seven eight nine ten eleven"
    changed = part.replace("six", "6")
    mine = mine_of([whole, part, changed, "x"], [[1, 0], [0.8, 0.6], [0.8, 0.6], [0, 1]], [[1, 0]], [{0}])
    assert containment(shingles(part), shingles(whole)) == 1.0
    assert reason(mine, 1) == reason(mine, 1, source="feedback") == "shares_wording_with_positive"
    assert containment(shingles(changed), shingles(whole)) == pytest.approx(1 / 6)
    assert reason(mine, 2) is None


REST = "takes one two three four five six seven eight nine ten eleven twelve"
"""With a word before it, ten runs of five words, nine of which do not hold that word: 90 %."""


def two(first: str, second: str, *others: str, cosine: float = 0.8) -> MiningContext:
    """Two passages at a cosine, the first of which is right, and others of which nothing is near."""
    at = [[1, 0, 0], [cosine, np.sqrt(1 - cosine**2), 0], *([[0, 0, 1]] * len(others))]
    return mine_of([first, second, *others], at, [[1, -0.6, 0]], [{0}])


@pytest.mark.parametrize(("mine", "other"), [("X100", "X200"), ("4", "6"), ("Zorvex", "Quillon"), ("A4", "Letter")])
def test_passages_of_one_template_with_another_name_or_number_are_negatives(mine: str, other: str) -> None:
    assert containment(shingles(f"{mine} {REST}"), shingles(f"{other} {REST}")) == 0.9
    assert reason(two(f"{mine} {REST}", f"{other} {REST}"), 1) is None
    assert reason(two(f"{mine} {REST}", f"{other} {REST}"), 1, source="feedback") is None
    assert reason(two(f"{mine} {REST}", f"{other} {REST}", cosine=0.98), 1) is None


@pytest.mark.parametrize(
    ("mine", "other"),
    [
        ("a mask", "a covering"),  # plain words in its place
        ("Masks", "Coverings"),  # a first word, which the library writes small elsewhere
        ("X100", ""),  # the other has nothing in its place: cut out
        ("x100 x100", "X100"),  # and no other number
        ("3. Masks\n", "4. Masks\n"),  # the number of a heading says where it stands
    ],
)
def test_versions_of_one_paragraph_are_no_negatives(mine: str, other: str) -> None:
    library = two(f"{mine} {REST}", f"{other} {REST}", "they call masks coverings")
    assert reason(library, 1) == reason(library, 1, source="feedback") == "shares_wording_with_positive"


def test_another_name_must_stand_in_the_same_place() -> None:
    """Two windows of one text share twelve of fourteen words; one begins with a name, the other ends with one."""
    assert reason(two(f"Zorvex {REST}", f"{REST} Quillon"), 1) == "shares_wording_with_positive"


def test_the_margin_of_every_view_counts() -> None:
    """Passage 1, at .870 of .995, lies below 95 % under the base, and above the positive under a second version."""
    assert reason(CATS, 1) is None
    second = VersionView("version b", unit([[0.9, 0.5, 0], [0, 0, 1]]), CATS.passage_vectors)
    assert reason(CATS, 1, views=[view(CATS), second]) == "exceeds_margin:version b"


def test_the_margin_is_that_of_the_least_similar_positive() -> None:
    """Cosines: positives 1 and .6, candidate .58: over .95 · .6 = .57."""
    at = [[1, 0], [0.6, 0.8], [0.58, np.sqrt(1 - 0.58**2)], [0.56, -np.sqrt(1 - 0.56**2)]]
    mine = mine_of(["a", "b", "c", "d"], at, [[1, 0]], [{0, 1}])
    far = replace(mine, passage_vectors=np.hstack([mine.passage_vectors, np.zeros((4, 1), np.float32)]))
    far.passage_vectors[2] = [0.58, 0, np.sqrt(1 - 0.58**2)]
    far = replace(far, question_vectors=unit([[1, 0, 0]]))
    assert reason(far, 2) == "exceeds_margin:the base"
    assert reason(far, 3) == "exceeds_served_margin"  # over .9 · .6, with no word in common


def test_below_zero_a_negative_must_lie_further_off_than_the_positive() -> None:
    """s⁺ = -.6: the bound is -.6 - .05 · .6 = -.63."""
    mine = mine_of(["a", "b", "c"], [[-0.6, 0.8, 0], [-0.62, 0, 0.785], [-0.7, 0, 0.714]], [[1, 0, 0]], [{0}])
    assert reason(mine, 1) == "exceeds_margin:the base"
    assert reason(mine, 2) is None


def test_a_passage_that_words_and_meaning_put_beside_the_positive_is_removed() -> None:
    """Cosines .8 and .7: 87.5 %. With BM25 at its maximum and none for the positive, .7 + .25 is over .9 · .8."""
    texts = ["a feline rested", "cats sleep here", "nothing at all", "more of that"]
    at = [[0.8, 0.6, 0], [0.7, 0, 0.714], [0.7, 0, -0.714], [0, 0, 1]]
    mine = mine_of(texts, at, [[1, 0, 0]], [{0}], words=["cats"])
    assert reason(mine, 1) == "exceeds_served_margin"
    assert reason(mine, 2) is None


def test_a_question_without_a_right_passage_has_no_margin() -> None:
    assert reason(replace(CATS, positives=(frozenset(), frozenset({5}))), 2) is None


def test_what_is_right_for_nearly_the_same_question_is_no_negative() -> None:
    """cos(q0, q1) = .95; the third question, at .8, asks something else."""
    questions = [[1, 0, 0], [0.95, np.sqrt(1 - 0.95**2), 0], [0.8, 0, 0.6]]
    mine = mine_of(["a", "b", "c"], [[1, 0, 0], [0, 1, 0], [0, 0, 1]], questions, [{0}, {1}, {2}])
    assert reason(mine, 1) == "positive_for_near_question"
    assert reason(mine, 2) is None
    assert reason(mine, 1, source="feedback") is None


def test_what_is_right_for_a_question_about_another_thing_may_be_a_negative() -> None:
    """cos = .95, but one asks for the X200 and the other for the X100; a third names nothing at all."""
    questions = [[1, 0, 0], [0.95, np.sqrt(1 - 0.95**2), 0], [0.95, 0, np.sqrt(1 - 0.95**2)]]
    words = ["how heavy is the x100", "How heavy is the X200?", "How heavy is it?"]
    mine = mine_of(["a", "b", "c"], [[1, 0, 0], [0, 1, 0], [0, 0, 1]], questions, [{0}, {1}, {2}], words)
    assert reason(mine, 1) is None
    assert reason(mine, 2) == "positive_for_near_question"


def test_what_somebody_called_helpful_is_no_negative() -> None:
    known = KnownLabels(suspected=(frozenset({4}), frozenset()))
    assert reason(CATS, 4, known=known) == "called_helpful"
    assert reason(CATS, 4, source="feedback", known=known) is None
    assert reason(CATS, 3, known=known) is None


def test_a_passage_that_holds_an_answer_is_no_negative() -> None:
    known = KnownLabels(answers=(("The Stock-Markets",), ()))
    assert reason(CATS, 4, known=known) == "contains_answer"
    assert reason(CATS, 4, source="feedback", known=known) is None
    assert reason(CATS, 3, known=known) is None


@pytest.mark.parametrize("answer", ["par", "ran  THROUGH", "the ran"])
def test_an_answer_is_whole_words_in_a_row(answer: str) -> None:
    """In "a dog ran through the park": no part of a word, and any case and spaces; an article may be missing."""
    assert has_answer(normalise_words(TEXTS[3]), [answer]) == (answer != "par")


def test_an_answer_that_stands_everywhere_says_nothing() -> None:
    assert not has_answer(normalise_words("yes, there is no other"), ["Yes", "no.", "the", ""])


def test_what_people_rejected_answers_to_no_margin() -> None:
    high = VersionView("the base", unit([[0.5, 1, 0], [0, 0, 1]]), CATS.passage_vectors)
    assert reason(CATS, 3, views=[high]) == "exceeds_margin:the base"
    assert reason(CATS, 3, views=[high], source="feedback") is None


def test_every_removal_is_counted() -> None:
    by_source = mine_negatives(CATS, [view(CATS)], TEXTS, pool=10)
    asked = sum(len(FINDERS[name](CATS, 10)[row]) for name in FINDERS for row in range(len(CATS)))
    kept = sum(len(candidate.kept) for mined in by_source.values() for candidate in mined)
    removed = sum(sum(count_removed(mined).values()) for mined in by_source.values())
    assert asked == kept + removed
    assert removed > 0


# ---- all rules, against slow ones


def slow_objections(mine: MiningContext, question: int, passage: int, known: KnownLabels) -> set[str]:
    """Every reason that speaks against a candidate, written as plainly as can be."""
    texts, passages, questions = mine.texts, mine.passage_vectors, mine.question_vectors
    lexical = normalise_bm25(mine.lexical.score_matrix([mine.questions[question]])[0])
    cosine = passages @ questions[question]
    served = fuse_scores(cosine, lexical, denoise.LEXICAL_WEIGHT)
    found = set()
    for positive in mine.positives[question]:
        if positive == passage:
            found.add("is_positive")
        if normalise_words(texts[positive]) == normalise_words(texts[passage]):
            found.add("duplicate_of_positive")
        alike = passages[positive] @ passages[passage]
        if alike >= denoise.NEAR_DUPLICATE_COSINE:
            found.add("near_duplicate_of_positive")
        shared = containment(shingles(texts[positive]), shingles(texts[passage]))
        if alike >= denoise.MIN_SHINGLE_COSINE and shared >= denoise.MIN_CONTAINMENT:
            found.add("shares_wording_with_positive")
        if cosine[passage] > cosine[positive] - 0.05 * abs(cosine[positive]):
            found.add("exceeds_margin:the base")
        if served[passage] > served[positive] - 0.1 * abs(served[positive]):
            found.add("exceeds_served_margin")
    for row, positives in enumerate(mine.positives):
        if row != question and passage in positives and questions[row] @ questions[question] >= 0.9:
            found.add("positive_for_near_question")
    if passage in known.suspected[question]:
        found.add("called_helpful")
    if any(
        f" {normalise_words(answer)} " in f" {normalise_words(texts[passage])} " for answer in known.answers[question]
    ):
        found.add("contains_answer")
    return found


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_what_is_kept_obeys_every_rule_and_what_goes_breaks_the_one_it_names(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, q = int(rng.integers(3, 14)), int(rng.integers(1, 6))
    words = np.array(["cat", "dog", "rain", "sun", "mat", "park"])
    texts = [" ".join(rng.choice(words[: rng.integers(1, 7)], rng.integers(1, 12))) for _ in range(n)]
    centres = rng.standard_normal((2, 5))
    mine = mine_of(
        texts,
        (centres[rng.integers(0, 2, n)] + 0.4 * rng.standard_normal((n, 5))).tolist(),
        (centres[rng.integers(0, 2, q)] + 0.4 * rng.standard_normal((q, 5))).tolist(),
        [set(rng.choice(n, rng.integers(0, 3), replace=False).tolist()) for _ in range(q)],
        words=[" ".join(rng.choice(words, 2)) for _ in range(q)],
    )
    known = KnownLabels(
        answers=[list(rng.choice(words, 1)) if rng.random() < 0.2 else [] for _ in range(q)],
        suspected=[frozenset(rng.choice(n, 1).tolist()) if rng.random() < 0.3 else frozenset() for _ in range(q)],
    )
    found = [
        [
            Candidate(passage=row, source=rng.choice(["dense", "feedback"]), rank=rank, score=0.0)
            for rank, row in enumerate(range(n), 1)
        ]
        for _ in range(q)
    ]
    also_to_rejected = {rule.reason for rule in false_negative_rules([view(mine)]) if rule.applies_to_rejected}
    order = [rule.reason for rule in false_negative_rules([view(mine)])]
    for question, mined in enumerate(remove_false_negatives(mine, found, [view(mine)], texts, known=known)):
        said = dict.fromkeys(mined.kept) | dict(mined.removed)
        assert set(said) == set(found[question])
        for candidate, given_reason in said.items():
            slow = slow_objections(mine, question, candidate.passage, known)
            if candidate.source == "feedback":
                slow &= also_to_rejected
            assert given_reason == min(slow, key=order.index, default=None)


@pytest.mark.parametrize("at_once", [shingling.PASSAGES_AT_ONCE, 3])
def test_shingles_of_many_pairs_are_those_of_each(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    """Texts are cut up many at once; where one batch ends is nothing to them."""
    monkeypatch.setattr(shingling, "PASSAGES_AT_ONCE", at_once)
    rng = np.random.default_rng(3)
    texts = [" ".join(rng.choice(["a", "b", "c"], size)) for size in [0, 1, 3, 4, 5, 6, *rng.integers(7, 60, 30)]]
    left, right = (places.ravel() for places in np.indices((len(texts), len(texts))))
    found = ShingleIndex(lambda row: texts[row]).containments(left, right)
    wanted = [containment(shingles(texts[i]), shingles(texts[j])) for i, j in zip(left, right, strict=True)]
    assert found.tolist() == wanted


def test_rules_look_at_no_more_texts_than_they_need() -> None:
    """Random candidates of a large library must not make its every text be read."""
    grounds = PairFeatures(CATS, [view(CATS)], TEXTS)
    pairs = CandidatePairs(np.array([0]), np.array([1]))
    for rule in false_negative_rules([view(CATS)]):
        rule.matches(grounds, pairs)
    assert set(grounds._plain) == {0, 1}


# ---- sentence-transformers' own miner


def mined_by_the_library(encoder, questions: list[str], positives: list[str], corpus: list[str], **options):
    """The (question, negative) pairs of `mine_hard_negatives`."""
    from datasets import Dataset
    from sentence_transformers import mine_hard_negatives

    rows = Dataset.from_dict({"anchor": questions, "positive": positives})
    mined = mine_hard_negatives(
        rows,
        encoder.model,
        corpus=corpus,
        num_negatives=len(corpus) - 1,
        range_max=len(corpus),
        output_format="triplet",
        verbose=False,
        **options,
    )
    return {(row["anchor"], row["negative"]) for row in mined}


LIBRARY = [
    "Wash your hands with soap for twenty seconds.",
    "Hand sanitiser helps where there is no soap.",
    "Masks must cover mouth and nose.",
    "Schools open again on Monday.",
    "Children under eleven need no mask at school.",
    "The bus runs every ten minutes.",
    "Soap and water kill the virus on your hands.",
    "Buses are disinfected every night.",
]


def real_mine(encoder, questions: list[str], positives: list[int], texts: list[str]) -> MiningContext:
    vectors = encoder.encode_passages(texts)
    asked = encoder.encode_queries(questions)
    return mine_of(texts, vectors.tolist(), asked.tolist(), [{row} for row in positives], words=questions)


QUESTIONS = ["how do I clean my hands", "who must wear a mask", "when does the bus come"]


def test_the_margin_is_that_of_mine_hard_negatives(base_encoder) -> None:
    mine = real_mine(base_encoder, QUESTIONS, [1, 4, 7], LIBRARY)
    theirs = mined_by_the_library(
        base_encoder, QUESTIONS, [LIBRARY[1], LIBRARY[4], LIBRARY[7]], LIBRARY, relative_margin=0.05
    )
    margin = next(rule for rule in false_negative_rules([view(mine)], 0.95) if rule.code == "exceeds_margin")
    grounds = PairFeatures(mine, [view(mine)], LIBRARY)
    places = [
        (row, passage) for row in range(3) for passage in range(len(LIBRARY)) if passage not in mine.positives[row]
    ]
    pairs = CandidatePairs(*(np.array(column) for column in zip(*places, strict=True)))
    objects = margin.matches(grounds, pairs).tolist()
    ours = {(QUESTIONS[row], LIBRARY[passage]) for (row, passage), no in zip(places, objects, strict=True) if not no}
    assert ours == theirs
    assert 0 < sum(objects) < len(objects)


def test_other_letters_hide_a_positive_from_mine_hard_negatives_but_not_from_us(base_encoder) -> None:
    shouted = LIBRARY[0].upper().replace(" ", "  ")
    texts = [*LIBRARY, shouted]
    theirs = mined_by_the_library(base_encoder, QUESTIONS[:1], LIBRARY[:1], texts)
    assert (QUESTIONS[0], shouted) in theirs
    mine = real_mine(base_encoder, QUESTIONS[:1], [0], texts)
    assert reason(mine, len(LIBRARY)) == "duplicate_of_positive"


# ---- the teacher


class Marks:
    """A teacher that gives each passage the mark written at its end, and notes what it reads."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def scores(self, question: str, passages: Sequence[str]) -> NDArray[np.float32]:
        self.read += passages
        return np.array([float(passage.split()[-1]) for passage in passages], np.float32)


def marked_mine(n: int = 14) -> MiningContext:
    """One question; passage 0 is right, the others are far off and marked 0, .2, .4 and so on, in turn."""
    texts = ["right 1.0"] + [f"passage{row} {(row - 1) % 6 / 5}" for row in range(1, n)]
    return mine_of(texts, [[1.0, 0.0]] + [[0.0, 1.0]] * (n - 1), [[1, 0]], [{0}])


def test_the_teacher_reads_the_best_few_of_all_sources_and_nothing_twice() -> None:
    """Marks by row: 1 → 0, 2 → .2, …, 6 → 1, 7 → 0, … Row 6 is taken for right; 9 and beyond stay unread."""
    mine, marks = marked_mine(), Marks()
    found = [
        [
            *rank_candidates("dense", range(1, 13), [0.0] * 12),
            *rank_candidates("bm25", [1, 13], [0.0] * 2),
            *rank_candidates("feedback", [12], [0.0]),
        ]
    ]
    teacher = CachingTeacher(marks)
    (mined,) = remove_false_negatives(mine, found, [view(mine)], mine.texts, teacher=teacher)
    assert len(marks.read) == len(set(marks.read)) == 8
    kept = {(candidate.source, candidate.passage) for candidate in mined.kept}
    dense = {("dense", row) for row in (1, 2, 3, 4, 5, 7)}
    assert kept == dense | {("bm25", 1), ("bm25", 13), ("feedback", 12)}
    assert count_removed([mined]) == {"teacher_says_positive": 1, "not_read_by_teacher": 5}
    zones = {candidate.passage: candidate.zone for candidate in scored_candidates(mine, mine.texts, [mined], teacher)}
    assert zones == {
        1: "negative",
        2: "soft",
        3: "soft",
        4: "soft",
        5: "soft",
        6: "suspect",
        7: "negative",
        13: "negative",
    }
    assert len(marks.read) == 8


def test_no_question_is_asked_of_a_teacher_for_nothing() -> None:
    marks = Marks()
    (mined,) = remove_false_negatives(
        marked_mine(), [[]], [view(marked_mine())], marked_mine().texts, teacher=CachingTeacher(marks)
    )
    assert mined == MinedNegatives((), ()) and marks.read == []
