"""The English strings of the chat, next to those of ui/texts/shared.py that other pages share."""

from __future__ import annotations

# ---- conversations

LIST_BUTTON = "Conversations"
LIST_LABEL = "Your conversations"
FIND_LABEL = "Search your conversations"
FIND_PLACEHOLDER = "Search conversations"
NO_CONVERSATIONS = "Your conversations are kept here, for you alone."
NONE_FOUND = "No matching conversations."
OLDER = "Show older"
RENAME = "Rename"
RENAME_LABEL = "New name (leave empty to use the first question)"
SAVE = "Save"
EXPORT_MARKDOWN = "Save as text"
EXPORT_JSON = "Save as JSON"
DELETE = "Delete"
SURE = (
    "This deletes the conversation for good. Questions that you voted on stay for the next night to learn "
    "from, outside any conversation."
)
VOTES_TOO = "Delete my votes too"
DO_DELETE = "Delete it"
KEEP = "Keep it"
DELETED = "Deleted."
DELETED_BUT = "Deleted. {n} of its questions stay for learning, because you voted on them."

# ---- an answer

AGAIN = "Ask again"
EDIT = "Edit question"
COPY = "Copy"
ASKED_AGAIN = "↻ Asked again below."
EDITING = "Editing your last question; its answer stays above. ✕ Cancel"
COPY_LABEL = "The answer as text"

# ---- what was wrong

COMMENT_LABEL = "In your own words"
COMMENT_PLACEHOLDER = "What would have been right?"
SEND = "Send"
REASON_FIRST = "Choose above what was wrong, then add your comment."
COMMENT_KEPT = "Your comment is stored with your vote."
WHICH_PASSAGE = "**Which passage should it have been?**"
IN_THIS_DOCUMENT = "**Is the answer in your documents after all?** Show the passage, and Nightjar learns from it."
SEARCH_LABEL = "Search the library"
SEARCH_PLACEHOLDER = "Words of the right passage"
DOCUMENT_LABEL = "Or choose the document that has the answer"
NOTHING_LIKE_IT = "No matching passages."
PIN_IT = "This is the right passage"

# ---- passages

OPEN = "Open in the document"
CLOSE = "Close the document"
REMOVED_TITLE = "A passage that is no longer in the library"
REMOVED = "It was shown for this answer. Its document has been removed or changed since."
BADGES = {
    "supported": "supports the answer",
    "partly": "supports it in part",
    "not found": "cited, but not found in it",
}
KEEP_AS_TEST = "Keep as a test question"
KEPT_AS_TEST = "Added. Every night and every report is now measured on it too."
PIN_FIRST = "First mark the right passage, or choose “Not in the documents” below “Not good”."

# ---- files

ON_THEIR_WAY = "Being added to the library"
WAITS_FOR_FILES = "Your question will be asked as soon as the files are ready …"
ONLY_THIS = "Ask only {name}"
ONLY_IN = "Only {source} ✕ Search everywhere"
FILE_STAGES = {
    "waiting": "waiting",
    "finding": "checking",
    "reading": "reading",
    "encoding": "encoding",
    "indexing": "indexing",
    "done": "ready to ask",
    "failed": "could not be added",
    "cancelled": "cancelled",
}
FILE_PASSAGES = "{done:,} of {total:,} passages"

# ---- how things stand

FIRST_STEPS = (
    "## Your library is empty. Three steps:\n"
    "1. **Add documents.** {how}\n"
    "2. **Ask.** Documents can be searched as soon as they are added, and questions to start with appear here.\n"
    "3. **Say which passages helped.** Nightjar learns from it overnight: tomorrow the right ones come first."
)
BY_DROPPING = "Drop files into the box below, open the page “Library”, or run `nightjar ingest my-documents/`."
BY_OTHERS = "An administrator can do this on the page “Library”."
BUILDING = (
    "The index of version {version} is being built ({percent} % done). Searches work meanwhile, and "
    "are exact but a little "
    "slower."
)
INGESTING = (
    "Documents are being added: {percent} % of their passages are encoded. You can ask about those that are ready."
)
INGESTING_FIRST = "Documents are being added. You can ask about those that are ready."
GENERATOR_AWAY = "The language model {model} is not responding. Until it does, answers are quotes from your documents."
GENERATOR_LOADS = "The language model {model} is loading. Until it is ready, answers are quotes from your documents."
DISK_LOW = "The disk is nearly full: {free} left. Free some space, or votes and conversations can't be saved."
