"""What a library's own questions are worth: a line for each source that has any, beside people's judgments."""

from __future__ import annotations

from rag.index.bm25 import Bm25Index
from rag.records import Passage
from retriever_training.bench.cold_start import ALL_SOURCES, ColdStartBench
from tests.fixtures import jargon

ADVICE = "Keep part {} of it in a dry, well aired room, and away from small children."


def bench_of(encoder) -> ColdStartBench:
    """48 passages about four products; 24 questions to learn from and 24 to measure on."""
    codes = list(jargon.PRODUCTS.items())[:4]
    texts = [text.format(code) for _, code in codes for text in jargon.TASKS.values()]
    asked = [task.format(product) for product, _ in codes for task in jargon.TASKS]
    passages = [
        Passage(
            passage_id=f"p{row}",
            document_id=f"p{row}",
            source=f"p{row}",
            title="Manual",
            heading="",
            text=f"{text} {ADVICE.format(row)}",
            start=0,
            end=9,
        )
        for row, text in enumerate(texts)
    ]
    lexical = Bm25Index.build(
        [passage.passage_id for passage in passages], [passage.encoded_text for passage in passages]
    )
    vectors = encoder.encode_passages([passage.encoded_text for passage in passages])
    labels = {f"q{row}": {f"p{row}": 1} for row in range(len(asked))}
    train = {name: labels[name] for name in list(labels)[::2]}
    measured = {name: labels[name] for name in list(labels)[1::2]}
    questions = dict(zip(labels, asked, strict=True))
    return ColdStartBench(
        passages=passages,
        vectors=vectors,
        lexical=lexical,
        encoder=encoder,
        lexical_weight=0.25,
        questions=questions,
        train=train,
        measured=measured,
        weight=0.2,
        seed=13,
    )


def test_every_source_with_questions_gets_a_line_beside_each_number_of_judgments(base_encoder) -> None:
    alone, all_alone, beside, all_beside = bench_of(base_encoder).lines([0, 10])
    assert [line.source for line in (alone, all_alone, beside, all_beside)] == ["first sentence", ALL_SOURCES] * 2
    assert [line.n_judged for line in (alone, beside)] == [0, 10]
    assert alone.n_cold == all_alone.n_cold > 0
    assert alone.served == all_alone.served  # the only source is all of them
    assert alone.served.n == beside.served.n == 24
    assert beside.served.mean_current != alone.served.mean_current  # what ten judged questions teach by themselves
    assert None not in (alone.seen, beside.seen)
