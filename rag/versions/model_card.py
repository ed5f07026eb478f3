"""The README.md of a version's folder: what it is, what it learned from, how it did, how to load it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TIER_DESCRIPTIONS = {
    0: "the immutable base, as it came, with our length cap",
    1: "the base with a linear map on the query side; passages are encoded as by the base",
    3: "both towers trained from the base",
}

CARD_TEMPLATE = """---
library_name: sentence-transformers
pipeline_tag: sentence-similarity
tags: [sentence-transformers, retrieval, nightjar]
{base_model}---

# Nightjar retriever, tier {tier}

This is {kind}. It maps questions and passages to unit vectors whose dot product is their cosine.

```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("THIS_FOLDER")
questions = model.encode_query(["Where do nightjars nest?"])
passages = model.encode_document(["Nightjars lay their eggs on bare ground."])
model.similarity(questions, passages)
```

Served, a passage's score is the cosine + {lexical_weight:g} · its BM25 over the highest BM25 for the question.

## How it was made

{note}

## Limits

It was measured on held-out questions of one library only; the night's report has the figures, with intervals. The
judgments it learnt from are people's, and a part of them is wrong. Outside that library it may be worse than its base.
"""


def model_card(tier: int, parent_id: str | None, lexical_weight: float, note: Mapping[str, Any]) -> str:
    """The card as Markdown, with the metadata that model hubs read."""
    lines = [f"- {name.replace('_', ' ')}: {_plain(value)}" for name, value in note.items()]
    return CARD_TEMPLATE.format(
        tier=tier,
        kind=TIER_DESCRIPTIONS.get(tier, "a trained version"),
        base_model=f"base_model: {parent_id}\n" if parent_id else "",
        lexical_weight=lexical_weight,
        note="\n".join(lines) or "- nothing is noted",
    )


def _plain(value: object) -> str:
    """A value on one line; counts by name as a list in words.

    >>> _plain({"bm25": 3, "dense": 4})
    'bm25 3, dense 4'
    """
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {count}" for name, count in value.items()) or "none"
    return " ".join(str(value).split())
