"""Every English string of the web page, in one place."""

from __future__ import annotations

TITLE = "Nightjar"
TAGLINE = "Ask your documents. Say which passages helped. Tonight the retriever learns from it."

ASK_PLACEHOLDER = "Ask your documents"
ASK_LABEL = "Your question"
NEW_CONVERSATION = "New conversation"
WELCOME = "## What would you like to know?\nAnswers are quotes from your documents, with the passages beside them."
EMPTY_LIBRARY = (
    "## Your library is empty\n"
    "1. Bring documents in, in another terminal: `nightjar ingest my-documents/`\n"
    "2. Ask: they are found as soon as they are in.\n"
    "3. Say which passages helped; the night does the rest."
)

EVIDENCE = "### Passages"
EVIDENCE_OF = "### Passages for “{question}”"
CLOSEST = "### Closest passages"
NO_EVIDENCE = "The passages that an answer rests on are shown here, with the sentences it quotes marked."
NO_PASSAGES = "No passage was found for this question."
WHOLE = "The whole passage"

HELPFUL = "Helpful"
NOT_RELEVANT = "Not relevant"
PIN = "This is the right passage"
OUTDATED = "Outdated"
ANSWER_GOOD = "Good answer"
ANSWER_BAD = "Not good"
WHY = "What was wrong?"
WRONG_SOURCE = "Wrong source"
WRONG_FACTS = "Wrong facts"
NOT_IN_DOCUMENTS = "Not in the documents"

PASSAGE_BUTTONS = {"helpful": HELPFUL, "not_relevant": NOT_RELEVANT, "pin": PIN, "outdated": OUTDATED}
REASON_BUTTONS = {
    "answer_wrong_source": WRONG_SOURCE,
    "answer_wrong": WRONG_FACTS,
    "answer_not_in_documents": NOT_IN_DOCUMENTS,
}
PRESSED = " ✓"
TAKE_BACK = "Click again to take it back."
TAKEN_BACK = "Taken back."
VOTE_REFUSED = "That did not work: {reason}"

CITED = "quoted in the answer"
PAGE = "page {page}"
DENSE = "meaning {score:.2f}"
DENSE_HINT = "Cosine of question and passage under this version's encoder"
LEXICAL = "words {score:.2f}"
LEXICAL_HINT = "BM25, as a share of the best passage for the question"

HIGHER_TODAY = "higher by today's votes"
LOWER_TODAY = "lower by today's votes"
TODAY_HINT = "Votes on questions like this one moved its score by {lift:+.2f}, until a night has learned from them"

WAKING = "Nightjar is waking up and answers in a few seconds …"
DECLINED = "No answer, because {reason}."
QUIET = "Version {version} · {n} passages · {seconds} · {index}"
SEARCHED_AS = "searched as “{question}”"
INDEX = {
    "ready": "index ready",
    "building": "index building, searched exactly meanwhile",
    "absent": "searched exactly, without the index",
    "torn": "index damaged and being rebuilt, searched exactly meanwhile",
    "busy": "index held by another process, searched exactly",
}
FAILED = "Something went wrong here, and it was logged. Your question is still in the box."
