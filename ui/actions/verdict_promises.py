"""What a verdict will do, told to who gave it, by every door."""

from __future__ import annotations

VERDICT_NOTICES = {
    "helpful": "Tonight this passage becomes a right answer to your question.",
    "pin": "Tonight this passage becomes the right answer to your question.",
    "not_relevant": "Tonight this passage becomes a candidate for a wrong answer; it counts once it is sure enough.",
    "outdated": "Noted as a remark on the document; the retriever does not learn from this.",
    "answer_helpful": "Tonight the passages it cites count as weakly right.",
    "answer_wrong_source": "Which passage should it have been? Mark it with “this is the right passage”.",
    "answer_wrong": "Noted for the evaluation of answers; the retriever does not learn from this.",
    "answer_not_in_documents": "Noted as a question that the documents do not answer; no passage is blamed.",
}
"""What each verdict will do, in one sentence for the person who gave it."""

VERDICT_NOTICES_WITH_BOOST = VERDICT_NOTICES | {
    "helpful": "From now on this passage comes higher for questions like this one, and tonight it becomes a right "
    "answer to yours.",
    "pin": "From now on this passage comes much higher for questions like this one, and tonight it becomes the right "
    "answer to yours.",
    "not_relevant": "From now on this passage comes lower for questions like this one, and tonight it becomes a "
    "candidate for a wrong answer; it counts once it is sure enough.",
}
"""The same if votes count until tonight; see rag/feedback/same_day_boosts.py."""
