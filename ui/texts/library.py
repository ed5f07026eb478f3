"""The English strings of the Library page."""

from __future__ import annotations


def counted(n: int, names: tuple[str, str]) -> str:
    """A number with what is counted, by its names for one and for more.

    >>> counted(1, ("passage", "passages")), counted(2000, ("passage", "passages"))
    ('1 passage', '2,000 passages')
    """
    return f"{n:,} {names[n != 1]}"


TITLE = "Library"
TAGLINE = "The documents, those being added, and questions that found no answer."
TAB_DOCUMENTS = "Documents"
TAB_ADD = "Add documents"
TAB_GAPS = "Gaps"

# ---- documents

SEARCH_LABEL = "Search by name or title"
SEARCH_PLACEHOLDER = "report 2026, notes/, .pdf"
FIND = "Search"
ONLY_LABEL = "Show"
ONLY = {
    "": "all documents",
    "outdated": "marked as outdated, most often first",
    "encoding": "still being encoded",
    "replaced": "to be read again",
}
COLUMNS = {
    "source": "Document",
    "state": "State",
    "type": "Type",
    "passages": "Passages",
    "size": "Characters",
    "added": "Added",
    "helpful": "Helpful",
    "not_relevant": "Not relevant",
    "outdated": "Outdated",
    "cited": "Cited",
}
"""What a document is sorted by, and its state, which it is not → heading of the column."""
UP, DOWN = " ↑", " ↓"
STATES = {"indexed": "searchable", "encoding": "being encoded", "replaced": "to be read again"}
UNITS = {
    "passages": ("passage", "passages"),
    "size": ("character", "characters"),
    "helpful": ("helpful", "helpful"),
    "not_relevant": ("not relevant", "not relevant"),
    "outdated": ("outdated", "outdated"),
    "cited": ("citation", "citations"),
}
"""Behind the numbers, if there are no headings: on a phone, and for screen readers."""
NOUGHT = "–"
RANGE = "{what} {first:,}–{last:,} of {n:,}"
DOCUMENTS, PASSAGES = "Documents", "Passages"
EARLIER, LATER = "← Previous", "Next →"
NONE_YET = "The library is empty. Add files and folders on the tab “Add documents”."
NONE_YET_READER = "The library is empty. Ask an administrator to add documents."
NONE_SUCH = "No matching documents. Try fewer words, or show all documents."

# ---- one document

BACK = "← All documents"
PAGE = "Page {page}"
THIS_PASSAGE = "the passage you opened"
OVERLAPS = "overlaps the passage above"
TALLY = {
    "helpful": "{n:,} helpful",
    "not_relevant": "{n:,} not relevant",
    "outdated": "{n:,} outdated",
    "cited": "cited {n:,} times",
}
TALLY_ONE = {"helpful": "1 helpful", "not_relevant": "1 not relevant", "outdated": "1 outdated", "cited": "cited once"}
ADDED = "added {day}"
OUTDATED_BY = "Marked as outdated by {people}."
OUTDATED_BY_SOME = "Marked as outdated {times} by {people}."
TIMES = "{name} ({n:,}×)"

# ---- removing

REMOVE = "Remove this document …"
REMOVE_FOLDER = "Remove a folder or a document by name"
REMOVE_LABEL = "A document, or a folder with everything in it"
REMOVE_PLACEHOLDER = "notes/old/"
REMOVE_WHAT = "Show what would be removed"
WOULD_GO = "This removes “{source}” for good: {documents} with {passages}."
WOULD_LOSE = "{verdicts} on them will no longer count."
A_DOCUMENT, A_PASSAGE, A_VERDICT = ("document", "documents"), ("passage", "passages"), ("verdict", "verdicts")
WOULD_UNLEARN = (
    "Versions that learned from them: {versions}. They keep answering until the next night, which starts without them."
)
WOULD_LEARN_NOTHING = "No version has learned from them."
WOULD_GO_TOO = "Also deleted: {copies}."
A_COPY = ("uploaded file", "uploaded files")
WOULD_KEEP_FILES = "The files themselves stay on the disk."
TYPE_NAME = "To remove several documents, type the name exactly as shown above"
TYPED_WRONG = "Nothing was removed: type “{source}” to remove {n:,} documents."
DO_REMOVE = "Remove for good"
KEEP = "Keep"
KEPT = "Nothing was removed."

# ---- bringing in

UPLOAD_LABEL = "Files from your computer"
UPLOADED = "Adding {files}."
A_FILE = ("file", "files")
REFUSED_UPLOAD = "Not added: {reason}"
PATH_LABEL = "Or a file or folder on the machine that Nightjar runs on"
JOB_DONE_SHARE = "{percent} % done"
TRY_AGAIN = "Try the refused files again"
TRIED_AGAIN = "Adding {files} again."
NOTHING_REFUSED = "No files were refused in the latest ingests."
STEP_STAGES = {
    "waiting": "waiting",
    "reading": "being read",
    "splitting": "being split",
    "stored": "stored",
    "encoding": "being encoded",
    "indexed": "searchable",
    "unchanged": "unchanged",
    "copy": "already in the library",
    "skipped": "skipped",
    "refused": "refused",
}

# ---- gaps

GAPS_HINT = (
    "Questions that found nothing: no answer was given, or somebody said that it is not in the "
    "documents or comes from the "
    "wrong source. Questions that ask nearly the same are grouped. A document that answers them would close the gap."
)
GAPS_OWN = "You see your own questions; administrators see everybody’s, without names."
NO_GAPS = "Every question has an answer so far. Gaps show up here as people ask."
ASKED_BY = "asked {times} by {people}"
A_TIME, A_PERSON = ("time", "times"), ("person", "people")
LAST_ASKED = "last on {day}"
CLOSEST = "Closest passage, similarity {cosine:.2f}"
NO_CLOSEST = "The library has no passage yet."
A_FURTHER_QUESTION = ("more question", "more questions")
