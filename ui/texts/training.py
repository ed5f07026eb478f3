"""Every English string of the page of training."""

from __future__ import annotations

NOT_YOURS = "This page is for administrators. You are signed in as “{name}”, a {role}; ask one of them for help."

# ---- tabs

NIGHT, VERSIONS, REVIEWS, REPORTS = "Night", "Versions", "Review", "Reports"

# ---- the night

RUNS = "A night is running"
RUNS_SINCE = "Started {ago} ago by this application, as process {pid}. You may close this page; the night continues."
RUNS_ELSEWHERE = "It was started by another program on this machine."
NOTHING_RUNS = "No night is running"
NEXT_AT = "The next night starts by itself on {at}."
NO_SCHEDULE = "No night starts by itself: the schedule is off (schedule.enabled), or this application runs without it."
LAST_NIGHT = "The last night"
NO_NIGHT = "No night has trained anything here yet."
CUT_OFF = "It was interrupted. The next night continues where it stopped."
ENDED = "The latest night, {ago} ago: {outcome}."
OUTCOMES = {
    0: "promoted",
    3: "kept, the gate said no",
    4: "too little data, nothing was trained",
    75: "another night was running",
    -15: "cancelled",
}
"""Exit code of a night → what it means."""
FAILED_OUTCOME = "failed with exit code {code}; its messages are below"
STAGES = {
    "reading": "Read the judgments",
    "learning": "Learn",
    "measuring": "Measure both versions",
    "indexing": "Build the new index",
    "deciding": "Ask the gate, and write the report",
}
"""Stage of a night, in order → what it does."""
AT = "at {at}"
TOOK = "{took}"
STEP = "{name}: {done:,} of {total:,}"
DECISIONS = {
    "promoted": "Promoted: the candidate answers now",
    "kept": "Kept: the previous version keeps answering",
    "invalid": "Invalid: too little data to decide",
}
GATE_SAID = "Decision of the gate"
LEARNT_FROM = "{n:,} judgments · tier {tier} · {took}"
LEFT_OUT = "Left out of the judgments"

ENOUGH = "Ready for a night"
ENOUGH_OF = (
    "{train:,} training questions and {gate:,} held-out ones with a right passage; a night needs {min_train} and "
    "{min_gate}."
)
FROM_OWN = (
    "People gave only {train} training questions, so the night would learn from the library’s own {own:,} questions."
)
NOT_ENOUGH = "Not enough verdicts yet: {n:,} of about {wanted:,} before the next night"
NOT_ENOUGH_OF = (
    "Questions with a judgment that counts: {train:,} to train on (a night needs {min_train}), and "
    "{gate:,} held out for "
    "the gate (it needs {min_gate}; one question in five is held out). Ask in the chat, and mark the right passages."
)
COUNTING = "Counting the judgments …"

TIER_LABEL = "Training method"
TIER_CHOICES = [
    ("Automatic", "auto"),
    ("Tier 1: a map for questions", "1"),
    ("Tier 2: the question side", "2"),
    ("Tier 3: both sides", "3"),
]
TIER_IS = {
    1: "Tier 1 learns a linear map for questions; seconds to a few minutes, and nothing is encoded again.",
    2: "Tier 2 trains the encoder of questions; {minutes}, and nothing is encoded again.",
    3: "Tier 3 trains the encoder for questions and passages, and encodes the library again; {minutes}.",
}
MINUTES = "about {n:,.0f} minutes here"
UNDER_A_MINUTE = "less than a minute here"
THEN_GATE = "Then the gate decides; until then the current version stays."
TRAIN = "Train now"
BEGUN = "The night has started, as process {pid}."
CANCEL = "Cancel this night"
CANCELLED = "The night was cancelled. The next one continues where it stopped."
NONE_TO_CANCEL = "This application is not running a night."
SAID = "Log of the night (last {n} lines)"
SAID_NOTHING = "No messages yet."

# ---- versions

PLOT = "Nights so far: the candidate’s gain over the version that answered"
PLOT_KEY = (
    "Left: served nDCG@10 of the version that answered (ring) and of the candidate (dot). Right: the "
    "gain, with its 95 % "
    "interval; the line in the middle is no change."
)
PLOT_EMPTY = "Once a night has measured something, its gain is drawn here."
SERVED = "{before} → {after}"
STANDINGS = {
    "current": "answers now",
    "previous": "previous",
    "earlier": "answered earlier",
    "candidate": "candidate",
    "refused": "refused",
}
TIERS = {0: "the base", 1: "tier 1", 2: "tier 2", 3: "tier 3"}
OF_PARENT = "from {parent}"
WEIGHT = "BM25 weight {weight:g}"
LEARNT = {
    "n_train_questions": "{n:,} training questions",
    "n_own_questions": "{n:,} of the library’s own",
    "n_dev_questions": "{n:,} to choose by",
    "n_rows": "{n:,} rows",
}
"""Count in a version's note → how it is told."""
ON_DEV = "nDCG@10 on dev {score:.3f}"
AT_GATE = "at the gate {before:.3f} → {after:.3f}"
SPACE = "files {files} · vectors {vectors} · index {index}"
NO_FILES = "files deleted: it can’t be promoted again"
NO_VECTORS = "vectors deleted: promoting it encodes the library again first"
SHARED = "Vectors and index belong to a passage side, and are counted with each version that uses it."
CHANGES = {"install": "installed", "promote": "promoted", "rollback": "rolled back to"}
MEMORY = "This process holds {memory} of memory."
WHY = "Why"

ANSWER_TITLE = "Change the answering version"
WHICH = "Answering version"
ROLL_BACK_TO = "{name} · previous: a rollback"
PROMOTE_TO = "{name} · {standing}, {tier}, {at}"
TYPE_IT = "Type the first eight characters of its id to confirm"
REASON = "Reason (stored with the change)"
CHANGE = "Make current"
PROMOTE_REFUSED = "{name} · {standing} by the gate: promoting it overrules the gate, {tier}, {at}"
OVERRULED = "The gate had refused it; the history notes that you overruled the gate."
CHANGED = "Version {name} answers now."
CHOOSE_ONE = "Choose a version first."
NONE_TO_CHOOSE = "There is no other version with files."

FREE_TITLE = "Free disk space"
FREE_TOLD = (
    "Vectors and index of {n} passage side(s) belong only to versions further back than the current, the previous, the "
    "base and the three that answered last."
)
FREE_NOTHING = (
    "All stored vectors belong to the current, the previous or the base version, or to one of the three that "
    "answered last."
)
FREE = "Free their vectors"
FREED = "Freed {size} in {n_vectors:,} vectors. The versions’ files stay."

# ---- reviews

REVIEW_INTRO = (
    "A negative teaches the retriever to push a passage away from a question. For the passages below that may be a "
    "mistake. The next night follows your decisions."
)
REVIEW_COUNT = "{n} to review"
REVIEW_NONE = "Nothing to review: people and rules agree on the negatives of all judged questions."
REVIEW_LOOKING = "Checking the negatives of the most recently judged questions …"
QUESTION = "Question"
RIGHT = "Right, according to people’s judgments"
IN_DOUBT = "Is this passage wrong for the question?"
NO_RIGHT = "Nobody has named a right passage."
KINDS = {
    "alone": "Only one person rejected it, which does not count by itself.",
    "divided": "As many people call it right as reject it.",
    "overruled": "People rejected it, but a rule removed it from the negatives: {why}.",
    "read": "The cross-encoder, which reads question and passage together, rates it as right.",
    "suspected": "A rule takes it for right, although nobody has said so: {why}.",
    "inside": "It counts as a negative, but is nearly as close to the question as the right passage.",
}
"""Kind of a doubt → why it is one."""
MARGIN = "margin {margin:+.3f}"
RIGHT_NEGATIVE, NOT_NEGATIVE, SKIP = "Right negative", "Not a negative", "Skip"
DECIDED = {
    "negative": "Saved. The next night pushes that passage away from the question.",
    "not_negative": "Saved. No night will use that passage as a negative for the question again.",
    "skip": "Skipped. It comes back at the end.",
}
NEGATIVES_LINK = "See all negatives of a question"

# ---- reports

REPORTS_INTRO = "Each report opens in a new window."
NO_REPORTS = "There are no reports yet. Every night that measures something writes one."
OPEN = "Open"
NO_PAGE = "nothing to read in it"
OTHER_FILES = "also {files}"
FAILED = "Something went wrong. The error was logged."
