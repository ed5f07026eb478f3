"""Every English string of the web page, in one place."""

from __future__ import annotations

TITLE = "Nightjar"
TAGLINE = "Ask your documents. Say which passages helped. Tonight the retriever learns from it."

ASK_PLACEHOLDER = "Ask your documents"
ASK_LABEL = "Your question"
WHERE = "Search in"
WHERE_BOXES = {
    "File or folder": "everywhere; or notes/, *.pdf",
    "Types": "all; or pdf, md",
    "Added since": "ever; or 2026-11-25",
}
"""Label of each box below the question → what it shows while it is empty."""
NEW_CONVERSATION = "New conversation"
WELCOME = "## What would you like to know?\nAnswers quote your documents, with the passages next to them."
EMPTY_LIBRARY = (
    "## Your library is empty\n"
    "1. Add documents on the page “Library”, or in a terminal: `nightjar ingest my-documents/`\n"
    "2. Ask. Documents can be searched as soon as they are added.\n"
    "3. Say which passages helped. Nightjar learns from it overnight."
)

EVIDENCE = "### Passages"
EVIDENCE_OF = "### Passages for “{question}”"
CLOSEST = "### Closest passages"
NO_EVIDENCE = "The passages behind an answer appear here, with the quoted sentences marked."
NO_PASSAGES = "No passages were found for this question."
WHOLE = "Show the whole passage"

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
TAKE_BACK = "Click again to undo."
TAKEN_BACK = "Vote removed."
VOTE_REFUSED = "That did not work: {reason}"

UNSUPPORTED = "Not found in the cited passages: “{sentence}”"
PARTLY_SUPPORTED = "Only partly supported by the cited passages: “{sentence}”"
PAGE = "page {page}"
DENSE = "semantic {score:.2f}"
DENSE_HINT = "Cosine similarity of question and passage, by this version’s encoder"
LEXICAL = "keyword {score:.2f}"
LEXICAL_HINT = "BM25 score, relative to the best passage for the question"
READ = "reranker {score:.2f}"
READ_HINT = "The reranker’s probability that the passage is right"

BESIDE = "Around this passage:"
ALSO_IN = "also in {sources}"

HIGHER_TODAY = "raised by today’s votes"
LOWER_TODAY = "lowered by today’s votes"
TODAY_HINT = "Votes on questions like this one moved its score by {lift:+.2f}, until a night has learned from them"

WAKING = "Starting … Nightjar can answer in a few seconds."
DECLINED = "No answer: {reason}."
QUIET = "Version {version} · {n} passages · {seconds} · {index}"
RERANK_CUT = "reranked in part: time limit reached"
SEARCHED_AS = "searched for: “{question}”"
INDEX = {
    "ready": "index ready",
    "building": "building the index; exact search meanwhile",
    "absent": "exact search, without the index",
    "torn": "index damaged, being rebuilt; exact search meanwhile",
    "busy": "index used by another process; exact search",
}
FAILED = "Something went wrong. The error was logged, and your question is still in the box."

# ---- the page of negatives

PAGES = {
    "": "Chat",
    "documents": "Library",
    "insights": "Insights",
    "training": "Training",
    "negatives": "Negatives",
    "people": "People",
}
"""Path of each page → its name."""
NEGATIVES_TITLE = "Negatives"
NEGATIVES_TAGLINE = (
    "Passages that a night could push away from a question, by every method of "
    "finding them: which are kept, and why the others are not."
)
NEGATIVES_PLACEHOLDER = "Type a question, ideally one that somebody judged"
NEGATIVES_BEGIN = (
    "A negative is a passage that looks right for a question and is not. Type a question or pick one to see which "
    "passages each method finds, how close they come to the right one, and which the night would not use."
)
LOOK = "Show negatives"
JUDGED_QUESTIONS = "Judged questions"
SAMPLE_QUESTIONS = "Questions to try (nobody has judged any yet)"
LOOKING = "Searching the library with eight methods …"

WAYS = {
    "feedback": (
        "Rejected by people",
        "Shown for this question, and marked as not relevant.",
        "Nobody has rejected a passage for this question, or not enough people for it to count.",
    ),
    "dense": ("Similar meaning", "Passages that the current version ranks highest.", ""),
    "earlier": (
        "Similar, by an earlier version",
        "Passages that a version before the current one ranked highest.",
        "There is no earlier version, or its vectors were deleted.",
    ),
    "bm25": (
        "Same words as the question",
        "Passages that share words with the question, by BM25.",
        "No other passage shares a word with the question.",
    ),
    "neighbour": (
        "Similar to the right passage",
        "Passages similar in meaning to the right passage, whatever the question.",
        "This method starts from a right passage, and none is known.",
    ),
    "word_neighbour": (
        "Same words as the right passage",
        "Passages that share words with the right passage, by BM25.",
        "This method starts from a right passage, and none is known.",
    ),
    "random": ("Random", "Any passage that is neither known nor likely to be right.", ""),
    "in_batch": (
        "In the same batch",
        "Right passages of other questions.",
        "No other question has a right passage yet.",
    ),
}
"""Way of finding negatives → its name, what it finds, and why it found nothing."""
NOTHING_FOUND = "Nothing found."

SCORES = {
    "dense": "cosine {score:.2f}",
    "earlier": "cosine {score:.2f}",
    "bm25": "BM25 {score:.1f}",
    "neighbour": "cosine to the right one {score:.2f}",
    "word_neighbour": "BM25 {score:.1f}",
}
"""The unit of each way's score; the others have none."""
MARGIN = "margin {margin:+.2f}"
MARGIN_HINT = (
    "Margin: the cosine of the right passage with the question minus that of this passage. Below 0 the current version "
    "ranks this passage higher. With several right passages, the least similar one counts."
)
FOUND_BY = "version {version}"
ALSO_FOUND = "also in: {ways}"
N_FOUND = "{found} found, {kept} kept"
N_UNCHECKED = "{found} found, not checked"
KEPT = "Kept"
REMOVED = "Removed: {reason}"
UNCHECKED = "Not checked"
RIGHT_PASSAGES = "Right for this question"
RIGHT = "Right, according to people’s judgments"
NO_RIGHT_PASSAGE = "Nobody has named a right passage for this question yet"
CAN_NOT_KNOW = (
    "Without one the rules can’t tell how close a passage comes to the right one (the margin), "
    "whether it says the same "
    "as the right one, or whether it scores as high; and no neighbours can be found. So any passage below may "
    "be the answer, and the night does not train on this question. Ask it in the chat, mark the "
    "right passage, and look "
    "again."
)
WHY_REMOVED = "Why passages were removed"

# ---- the page of insights

INSIGHTS_TITLE = "Insights"
INSIGHTS_TAGLINE = "How good the answers are, and what your votes changed."

# ---- the page of training

TRAINING_TITLE = "Training"
TRAINING_TAGLINE = "Which version answers, what the last night did, and what needs a decision."

# ---- the page of documents

PATH_PLACEHOLDER = "my-documents/"
BRING_IN = "Add"
TAKE_OUT_VANISHED = "Remove documents whose files are gone"
ASKED_FOR = "Being added."
CANCEL = "Cancel"
NOTHING_RUNS = "Nothing is running or waiting."
CANCELLED = "It stops after the current files. What was added stays."
REMOVED_DOCUMENTS = "Removed {n_documents:,} document(s) with {n_passages:,} passage(s)."
REMOVED_VERDICTS = "{n:,} verdict(s) on them no longer count."
LEARNT = "Versions that learned from them: {versions}. The next night starts from the base, without them."
INGESTS = "Ingests"
NO_INGESTS = "Nothing has been added yet."
FILES = "{n:,} files"
MORE_FILES = "… and {n:,} more; “nightjar jobs {job}” lists them"
JOB_STATES = {"waiting": "waiting", "running": "running", "done": "done", "failed": "failed", "cancelled": "cancelled"}
JOB_STAGES = {
    "": "",
    "finding": "looking for files",
    "reading": "reading and encoding",
    "encoding": "encoding",
    "indexing": "indexing",
}
N_ENCODED = "{done:,} of {total:,} passages encoded"
