"""Every English string of the web page, in one place."""

from __future__ import annotations

TITLE = "Nightjar"
TAGLINE = "Ask your documents. Say which passages helped. Tonight the retriever learns from it."

ASK_PLACEHOLDER = "Ask your documents"
ASK_LABEL = "Your question"
WHERE = "Where to look"
WHERE_BOXES = {
    "File or folder": "everywhere; or notes/, *.pdf",
    "Types": "all; or pdf, md",
    "Ingested since": "ever; or 2026-11-25",
}
"""Label of each box below the question → what it shows while it is empty."""
NEW_CONVERSATION = "New conversation"
WELCOME = "## What would you like to know?\nAnswers are quotes from your documents, with the passages beside them."
EMPTY_LIBRARY = (
    "## Your library is empty\n"
    "1. Bring documents in, on the page “Library” or in another terminal: `nightjar ingest my-documents/`\n"
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

UNSUPPORTED = "Not found in the passages it names: “{sentence}”"
PARTLY_SUPPORTED = "Only partly supported by the passages it names: “{sentence}”"
PAGE = "page {page}"
DENSE = "meaning {score:.2f}"
DENSE_HINT = "Cosine of question and passage under this version's encoder"
LEXICAL = "words {score:.2f}"
LEXICAL_HINT = "BM25, as a share of the best passage for the question"
READ = "read {score:.2f}"
READ_HINT = "The reranker’s probability that the passage is right"

BESIDE = "Beside this passage:"
ALSO_IN = "also in {sources}"

HIGHER_TODAY = "higher by today's votes"
LOWER_TODAY = "lower by today's votes"
TODAY_HINT = "Votes on questions like this one moved its score by {lift:+.2f}, until a night has learned from them"

WAKING = "Nightjar is waking up and answers in a few seconds …"
DECLINED = "No answer, because {reason}."
QUIET = "Version {version} · {n} passages · {seconds} · {index}"
RERANK_CUT = "reranked in part, for its time was spent"
SEARCHED_AS = "searched for: “{question}”"
INDEX = {
    "ready": "index ready",
    "building": "index building, searched exactly meanwhile",
    "absent": "searched exactly, without the index",
    "torn": "index damaged and being rebuilt, searched exactly meanwhile",
    "busy": "index held by another process, searched exactly",
}
FAILED = "Something went wrong here, and it was logged. Your question is still in the box."

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
    "What a night could push away from a question, by every way of finding it: what is kept, and why not."
)
NEGATIVES_PLACEHOLDER = "A question, best one that somebody judged"
NEGATIVES_BEGIN = (
    "A negative is a passage that looks right for a question and is not. Type a question or pick one to see which "
    "passages each way finds, how near they come to the right one, and which the night would not use."
)
LOOK = "Look"
JUDGED_QUESTIONS = "Judged questions"
SAMPLE_QUESTIONS = "Questions to try; nobody has judged any yet"
LOOKING = "Looking through the library in eight ways …"

WAYS = {
    "feedback": (
        "Rejected by people",
        "Shown for this question, and not relevant to those who looked.",
        "Nobody has rejected a passage for this question, or too few people for it to count.",
    ),
    "dense": ("Near in meaning", "What the version that answers now takes for right.", ""),
    "earlier": (
        "Near by an earlier version",
        "What a version before the current one took for right.",
        "There is no earlier version, or its vectors are gone.",
    ),
    "bm25": (
        "The question’s words",
        "Passages that share words with the question, by BM25.",
        "No other passage shares a word with the question.",
    ),
    "neighbour": (
        "Near the right passage",
        "Neighbours of the right passage in meaning, whatever the question.",
        "It starts from a right passage, and none is known.",
    ),
    "word_neighbour": (
        "The right passage’s words",
        "Passages that share words with the right passage, by BM25.",
        "It starts from a right passage, and none is known.",
    ),
    "random": ("Random", "Any passage that is neither known nor likely to be right.", ""),
    "in_batch": (
        "In the same batch",
        "Right passages of other questions.",
        "No other question has a right passage yet.",
    ),
}
"""Way of finding negatives → its name, what it finds, and why it found nothing."""
NOTHING_FOUND = "It found nothing."

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
    "Margin: the right passage’s cosine with the question, less this passage’s. Below 0 the version that answers now "
    "takes this passage for the better one. With several right passages, the least similar one counts."
)
FOUND_BY = "version {version}"
ALSO_FOUND = "also in: {ways}"
N_FOUND = "{found} found, {kept} kept"
N_UNCHECKED = "{found} found, not checked"
KEPT = "Kept"
REMOVED = "Removed: {reason}"
UNCHECKED = "Not checked"
RIGHT_PASSAGES = "Right for this question"
RIGHT = "Right, by people’s judgments"
NO_RIGHT_PASSAGE = "Nobody has named a right passage for this question yet"
CAN_NOT_KNOW = (
    "Without it the rules can’t tell how near a passage comes to the right one (the margin), whether it says the same "
    "as the right one, or whether it is served as high; and nothing can be found around it. So any passage below may "
    "be the answer, and the night makes no row of this question. Ask it in the chat, mark the right passage, and look "
    "again."
)
WHY_REMOVED = "Why passages were removed"

# ---- the page of insights

INSIGHTS_TITLE = "Insights"
INSIGHTS_TAGLINE = "How the answers do, and what your votes did."

# ---- the page of training

TRAINING_TITLE = "Training"
TRAINING_TAGLINE = "Which version answers, what the last night did, and what waits for a decision."

# ---- the page of documents

PATH_PLACEHOLDER = "my-documents/"
BRING_IN = "Bring in"
TAKE_OUT_VANISHED = "Take out what is gone from the folder"
ASKED_FOR = "It is on its way in."
CANCEL = "Cancel what runs"
NOTHING_RUNS = "Nothing runs or waits."
CANCELLED = "It ends after the files that it is at. What is in stays in."
REMOVED_DOCUMENTS = "Removed {n_documents:,} document(s) with {n_passages:,} passage(s)."
REMOVED_VERDICTS = "{n:,} verdict(s) on them no longer stand."
LEARNT = "Learnt from them: {versions}. The next night starts from the base, without them."
INGESTS = "On their way, and before"
NO_INGESTS = "Nothing was brought in yet."
FILES = "{n:,} files"
MORE_FILES = "… and {n:,} more; “nightjar jobs {job}” lists them"
JOB_STATES = {"waiting": "waits", "running": "runs", "done": "done", "failed": "failed", "cancelled": "cancelled"}
JOB_STAGES = {
    "": "",
    "finding": "looks for files",
    "reading": "reads and encodes",
    "encoding": "encodes",
    "indexing": "makes it findable",
}
N_ENCODED = "{done:,} of {total:,} passages encoded"
