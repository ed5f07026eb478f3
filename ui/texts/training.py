"""Every English string of the page of training."""

from __future__ import annotations

NOT_YOURS = (
    "This page is for administrators. You are signed in as “{name}”, a {role}; ask one of them for what you need."
)

# ---- tabs

NIGHT, VERSIONS, REVIEWS, REPORTS = "Night", "Versions", "Doubts", "Reports"

# ---- the night

RUNS = "A night is running"
RUNS_SINCE = "Begun {ago} ago by this application, as process {pid}. You may close this page: it goes on."
RUNS_ELSEWHERE = "Another program runs it on this machine."
NOTHING_RUNS = "No night is running"
NEXT_AT = "The next one begins by itself on {at}."
NO_SCHEDULE = "None begins by itself: the schedule is off (schedule.enabled), or this application runs without it."
LAST_NIGHT = "The last night"
NO_NIGHT = "No night has trained anything here yet."
CUT_OFF = "It was cut off before its end. The next night goes on where it was."
ENDED = "The latest one, {ago} ago: {outcome}."
OUTCOMES = {
    0: "promoted",
    3: "kept, the gate said no",
    4: "too little data, nothing was trained",
    75: "another night was running",
    -15: "ended by hand",
}
"""Exit code of a night → what it means."""
FAILED_OUTCOME = "failed, with exit code {code}; what it said is below"
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
    "promoted": "Promoted: the candidate answers",
    "kept": "Kept: the version before went on answering",
    "invalid": "Invalid: too little to decide by",
}
GATE_SAID = "What the gate said"
LEARNT_FROM = "{n:,} judgments · tier {tier} · {took}"
LEFT_OUT = "Left out of the judgments"

ENOUGH = "There is enough for a night"
ENOUGH_OF = (
    "{train:,} training questions and {gate:,} held-out ones with a right passage; a night needs {min_train} and "
    "{min_gate}."
)
FROM_OWN = (
    "People gave only {train} training questions, so it would learn from the {own:,} that the library asks of itself."
)
NOT_ENOUGH = "Not enough verdicts yet: {n:,} of about {wanted:,} before the next night"
NOT_ENOUGH_OF = (
    "Questions with a judgment that counts: {train:,} to train on (a night needs {min_train}), and {gate:,} held out for "
    "the gate (it needs {min_gate}; one question in five is held out). Ask in the chat, and mark the right passages."
)
COUNTING = "Counting the judgments …"

TIER_LABEL = "How it should learn"
TIER_CHOICES = [
    ("Let it choose", "auto"),
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
THEN_GATE = "Then the gate decides; until it has, the version that answers stays."
TRAIN = "Train now"
BEGUN = "The night has begun, as process {pid}."
CANCEL = "End this night"
CANCELLED = "The night was ended. The next one goes on where it was."
NONE_TO_CANCEL = "No night of this application is running."
SAID = "What the night said (its last {n} lines)"
SAID_NOTHING = "Nothing yet."

# ---- versions

PLOT = "Nights so far: what the candidate gained over the version that answered"
PLOT_KEY = (
    "Left: served nDCG@10 of the version that answered (ring) and of the candidate (dot). Right: the gain, with its 95 % "
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
WEIGHT = "BM25 counts {weight:g}"
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
NO_FILES = "its files are gone: it can’t be promoted again"
NO_VECTORS = "its vectors are freed: promoted again, the library is encoded first"
SHARED = "Vectors and index belong to a passage side, and are counted with each version that uses it."
CHANGES = {"install": "installed", "promote": "promoted", "rollback": "rolled back to"}
MEMORY = "This process holds {memory} of memory."
WHY = "Why"

ANSWER_TITLE = "Let another version answer"
WHICH = "Version that shall answer"
ROLL_BACK_TO = "{name} · previous: a rollback"
PROMOTE_TO = "{name} · {standing}, {tier}, {at}"
TYPE_IT = "Type the eight characters of its id to confirm"
REASON = "Why? It is kept with the change"
CHANGE = "Let it answer"
PROMOTE_REFUSED = "{name} · {standing} by the gate: promoting it overrules the gate, {tier}, {at}"
OVERRULED = "The gate had turned it down: the history says that you overruled it."
CHANGED = "Version {name} answers now."
CHOOSE_ONE = "Choose a version first."
NONE_TO_CHOOSE = "There is no other version with files."

FREE_TITLE = "Free what is not needed"
FREE_TOLD = (
    "Vectors and index of {n} passage side(s) belong only to versions further back than the current, the previous, the "
    "base and the three that answered last."
)
FREE_NOTHING = (
    "Every vector kept here belongs to the current, the previous or the base version, or to one of the three that "
    "answered last."
)
FREE = "Free their vectors"
FREED = "Freed {size} in {n_vectors:,} vectors. The versions’ files stay."

# ---- reviews

REVIEW_INTRO = (
    "A negative teaches the retriever to push a passage away from a question. Below are passages of which that may be a "
    "mistake. What you decide, the next night follows."
)
REVIEW_COUNT = "{n} in doubt"
REVIEW_NONE = "Nothing is in doubt: people and rules agree on the negatives of all judged questions."
REVIEW_LOOKING = "Looking through the negatives of the questions that were judged last …"
QUESTION = "Question"
RIGHT = "Right, by people’s judgments"
IN_DOUBT = "Is this passage wrong for the question?"
NO_RIGHT = "Nobody has named a right passage."
KINDS = {
    "alone": "One person alone rejected it, and that does not count by itself.",
    "divided": "Some people call it right, and as many reject it.",
    "overruled": "People rejected it, but a rule took it out of the negatives: {why}.",
    "read": "The cross-encoder, which reads question and passage together, takes it for right.",
    "suspected": "A rule takes it for right, though nobody has said so: {why}.",
    "inside": "It counts as a negative, and comes nearly as close to the question as the right passage.",
}
"""Kind of a doubt → why it is one."""
MARGIN = "margin {margin:+.3f}"
RIGHT_NEGATIVE, NOT_NEGATIVE, SKIP = "Right negative", "Not a negative", "Skip"
DECIDED = {
    "negative": "Kept: the next night pushes that passage away from the question.",
    "not_negative": "Kept: no night takes that passage for a negative of the question again.",
    "skip": "Skipped: it comes back at the end.",
}
NEGATIVES_LINK = "See all negatives of a question"

# ---- reports

REPORTS_INTRO = "Each opens in a window of its own."
NO_REPORTS = "There is no report yet: every night that measures something writes one."
OPEN = "Open"
NO_PAGE = "nothing to read in it"
OTHER_FILES = "also {files}"
FAILED = "Something went wrong here, and it was logged."
