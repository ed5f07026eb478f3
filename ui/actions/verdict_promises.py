"""What a verdict will do, said to the person who gave it, at every door."""

from __future__ import annotations

VERDICT_NOTICES = {
    "helpful": "Thanks. Tonight Nightjar learns that this passage answers your question.",
    "pin": "Thanks. Tonight Nightjar learns that this is the right passage for your question.",
    "not_relevant": "Thanks. Tonight this passage becomes a candidate for a wrong answer; it counts if others agree.",
    "outdated": "Thanks. The document is marked as outdated; the retriever does not learn from this.",
    "answer_helpful": "Thanks. Tonight the cited passages count as weakly right.",
    "answer_wrong_source": "Which passage should it have been? Mark it with “This is the right passage”.",
    "answer_wrong": "Thanks. This is stored for evaluating answers; the retriever does not learn from it.",
    "answer_not_in_documents": "Thanks. This is stored as a question that the documents do not answer.",
}
"""What each verdict will do, in one sentence for the person who gave it."""

VERDICT_NOTICES_WITH_BOOST = VERDICT_NOTICES | {
    "helpful": "Thanks. This passage now ranks higher for similar questions, and tonight Nightjar learns from your vote.",
    "pin": "Thanks. This passage now ranks much higher for similar questions, and tonight Nightjar learns from your vote.",
    "not_relevant": "Thanks. This passage now ranks lower for similar questions, and tonight Nightjar learns from your "
    "vote if others agree.",
}
"""What each verdict will do if votes count until the night; see rag/feedback/same_day_boosts.py."""
