"""The English strings of the page of people."""

from __future__ import annotations

TITLE = "People"
TAGLINE = "Who has an account, what they may do, and where they are signed in."
NO_ACCOUNTS = (
    "Nobody has to sign in here: “nightjar accounts add NAME --role administrator” makes the first account, and "
    "“nightjar serve --accounts” then asks everybody to sign in."
)
FAILED = "Something went wrong. The error was logged."
WAYS_OF_TOKENS = 'signed in with a token: manage people in a browser, or with "nightjar accounts"'

# ---- the list

SEARCH_LABEL = "Search by name"
FIND = "Search"
COLUMNS = ("Person", "Role", "Since", "Last seen", "Signed in", "Tokens")
PEOPLE = "People"
EARLIER, LATER = "← Previous", "Next →"
NONE_SUCH = "No matching names."
YOU = "you"
LOCKED = "locked"
NO_PASSWORD = "no password"  # noqa: S105 - a state
NEVER = "never"
SINCE, SEEN = "since", "last seen"
NOUGHT = "–"
BROWSERS, TOKENS_HELD = ("browser", "browsers"), ("token", "tokens")
ROLE_CHOICES = [
    ("reader: can ask and read", "reader"),
    ("voter: can also vote", "voter"),
    ("administrator: can do everything", "administrator"),
]

# ---- somebody new

ADD_TITLE = "Add a person"
NAME_LABEL = "Name"
NAME_HINT = "Letters without accents, digits, and . _ - + @; not case-sensitive."
ROLE_LABEL = "Role"
PASSWORD_LABEL = "Password, at least {n} characters"  # noqa: S105 - a label
PASSWORD_HINT = "Leave empty to generate one; it is shown once."  # noqa: S105 - a hint
ADD = "Add"
ADDED = "Added “{name}” with the role {role}."
MADE = "The password of “{name}”, shown only once. Hand it over now; they can change it on their account page."

# ---- one person

BACK = "← All people"
SINCE_DAY = "since {day}"
SEEN_AT = "last seen {at}"
SEEN_NEVER = "never seen"
ROLE_TITLE = "What “{name}” may do"
CHANGE_ROLE = "Change role"
ROLE_CHANGED = "The role of “{name}” is now {role}, effective immediately."
PASSWORD_TITLE = "New password"  # noqa: S105 - a heading
PASSWORD_WHY = "It signs them out everywhere."  # noqa: S105 - a sentence
SET_PASSWORD = "Set password"  # noqa: S105 - a button
PASSWORD_SET = "“{name}” has a new password and is signed out everywhere."  # noqa: S105 - a sentence
SESSIONS_TITLE = "Signed in"
SESSION_COLUMNS = ("Since", "Until at most")
NO_SESSIONS = "No browser is signed in."
END_SESSIONS = "Sign out everywhere"
SESSIONS_ENDED = "“{name}” is signed out everywhere. Tokens stay valid."
TOKENS_TITLE = "Tokens for programs"
TOKEN_COLUMNS = ("For", "Made", "Last used")
NO_TOKENS = "No tokens. People create them on their account page."
WHICH_TOKEN = "Token to revoke"  # noqa: S105 - a label
A_TOKEN = "{label} · made {day}"  # noqa: S105 - a choice
REVOKE = "Revoke"
CHOOSE_TOKEN = "Choose a token first."  # noqa: S105 - a sentence
REVOKED = "The token “{label}” is revoked."
GONE = "“{name}” no longer has an account."

# ---- leaving

LEAVE_TITLE = "When somebody leaves"
LEAVE_INTRO = (
    "A locked person can’t sign in any more; their questions and votes stay. A forgotten person "
    "leaves nothing behind: the "
    "next night's data holds nothing of them."
)
LOCK, UNLOCK, FORGET = "Lock …", "Unlock", "Forget for good …"
LOCK_ASKED = (
    "“{name}” can no longer sign in, neither with a password nor with a token, and is signed out "
    "everywhere. Their questions and "
    "votes stay and keep counting. You can unlock them again."
)
DO_LOCK = "Lock"
LOCKED_NOW = "“{name}” is locked."
UNLOCKED = "“{name}” is unlocked."
FORGET_ASKED = (
    "The next night's data holds nothing of them. This can't be undone; clean up backups and exported files yourself."
)
TYPE_NAME = "Type the name to confirm"
DO_FORGET = "Forget for good"
TYPED_WRONG = "{typed!r} does not match: type {name!r}, the name of the person to forget"
LEAVE_IT = "Cancel"
LEFT = "Nothing was changed."
FORGOTTEN = "The next night's data holds nothing of them."
