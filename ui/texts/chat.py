"""The English strings of the chat, next to those of ui/texts/shared.py that other pages share."""

from __future__ import annotations

# ---- conversations

LIST_BUTTON = "Conversations"
LIST_LABEL = "Your conversations"
FIND_LABEL = "Find in your conversations"
FIND_PLACEHOLDER = "Find a word …"
NO_CONVERSATIONS = "Your questions are kept here, for you alone."
NONE_FOUND = "No conversation of yours says that."
OLDER = "Show older ones"
RENAME = "Rename"
RENAME_LABEL = "Its new name; empty for its first question"
SAVE = "Save"
EXPORT_MARKDOWN = "Save as text"
EXPORT_JSON = "Save as JSON"
DELETE = "Delete"
SURE = (
    "This deletes the conversation for good. Questions that a vote of yours stands on stay for the next night to learn "
    "from, in no conversation."
)
VOTES_TOO = "and my votes too"
DO_DELETE = "Delete it"
KEEP = "Keep it"
DELETED = "Deleted."
DELETED_BUT = "Deleted; {n} of its questions stay(s) for learning, for votes stand on them."

# ---- an answer

AGAIN = "Ask again"
EDIT = "Edit the question"
COPY = "Copy"
ASKED_AGAIN = "↻ Asked again below."
EDITING = "You edit your last question; its answer stays above. ✕ Leave it"
COPY_LABEL = "The answer as text"

# ---- what was wrong

COMMENT_LABEL = "In your words"
COMMENT_PLACEHOLDER = "What would have been right?"
SEND = "Send"
REASON_FIRST = "Choose above what was wrong; your words go with it."
COMMENT_KEPT = "Your words are kept with your vote."
WHICH_PASSAGE = "**Which passage should it have been?**"
IN_THIS_DOCUMENT = "**Is the answer in your documents after all?** Show it where it stands, and it learns from that."
SEARCH_LABEL = "Search the library"
SEARCH_PLACEHOLDER = "Words of the right passage"
DOCUMENT_LABEL = "or: the answer is in this document"
NOTHING_LIKE_IT = "No passage is like that."
PIN_IT = "This is the right passage"

# ---- passages

OPEN = "Open in the document"
CLOSE = "Close the document"
REMOVED_TITLE = "A passage that is no longer in the library"
REMOVED = "It was shown for this answer. Its document was removed or changed since."
BADGES = {
    "supported": "supports the answer",
    "partly": "supports it in part",
    "not found": "named, but not found in it",
}
KEEP_AS_TEST = "Keep as a test question"
KEPT_AS_TEST = "Kept: every night and every report is now measured with it too."
PIN_FIRST = "Say first which passage is right, or below “Not good” that the answer is not in the documents."

# ---- files

ON_THEIR_WAY = "On the way into the library"
WAITS_FOR_FILES = "Your question is asked as soon as they are in …"
ONLY_THIS = "Ask only {name}"
ONLY_IN = "Only in {source} ✕ Everywhere"
FILE_STAGES = {
    "waiting": "waits",
    "finding": "is looked at",
    "reading": "is read",
    "encoding": "is encoded",
    "indexing": "becomes findable",
    "done": "can be asked now",
    "failed": "was not taken",
    "cancelled": "was cancelled",
}
FILE_PASSAGES = "{done:,} of {total:,} passages"

# ---- how things stand

FIRST_STEPS = (
    "## Your library is empty. Three steps:\n"
    "1. **Bring documents in.** {how}\n"
    "2. **Ask.** They are found as soon as they are in, and questions to begin with appear here.\n"
    "3. **Say which passages helped.** The night does the rest: tomorrow the right ones come first."
)
BY_DROPPING = "Drop files into the box below, open the page “Library”, or run `nightjar ingest my-documents/`."
BY_OTHERS = "An administrator does that, on the page “Library”."
BUILDING = (
    "Version {version} answers while its index is being built, {percent} % so far: searches are exact meanwhile, and a little "
    "slower."
)
INGESTING = "Documents are on their way in: {percent} % of their passages are encoded. What is in can be asked."
INGESTING_FIRST = "Documents are on their way in. What is in can be asked."
GENERATOR_AWAY = "The language model {model} does not answer now: until it does, answers are quoted sentences."
GENERATOR_LOADS = "The language model {model} is being loaded: until then, answers are quoted sentences."
DISK_LOW = "The disk is nearly full: {free} left. Free some space, or votes and conversations can't be kept."
