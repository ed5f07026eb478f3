"""The English strings of the page of people."""

from __future__ import annotations

TITLE = "People"
TAGLINE = "Who may come in, what they may do, and by what they are signed in."
NO_ACCOUNTS = (
    "Nobody has to sign in here: “nightjar accounts add NAME --role administrator” makes the first account, and "
    "“nightjar serve --accounts” then asks everybody to sign in."
)
FAILED = "Something went wrong here, and it was logged."
WAYS_OF_TOKENS = 'signed in by a token: people are looked after in a browser, or by "nightjar accounts"'

# ---- the list

SEARCH_LABEL = "Find by name"
FIND = "Find"
COLUMNS = ("Person", "Role", "Since", "Last seen", "Signed in", "Tokens")
PEOPLE = "People"
EARLIER, LATER = "← Previous", "Next →"
NONE_SUCH = "Nobody's name holds that."
YOU = "you"
LOCKED = "locked out"
NO_PASSWORD = "no password"  # noqa: S105 - a state
NEVER = "never"
SINCE, SEEN = "since", "last seen"
NOUGHT = "–"
BROWSERS, TOKENS_HELD = ("browser", "browsers"), ("token", "tokens")
ROLE_CHOICES = [
    ("reader: asks and reads", "reader"),
    ("voter: also judges", "voter"),
    ("administrator: does everything", "administrator"),
]

# ---- somebody new

ADD_TITLE = "Add a person"
NAME_LABEL = "Name"
NAME_HINT = "Letters without accents, digits, and . _ - + @; capitals do not count."
ROLE_LABEL = "Role"
PASSWORD_LABEL = "Password, at least {n} characters"  # noqa: S105 - a label
PASSWORD_HINT = "Leave it empty, and one is made and shown once."  # noqa: S105 - a hint
ADD = "Add"
ADDED = "“{name}” has an account now: {role}."
MADE = "The password of “{name}”. It is shown this once: hand it over now; they can change it on the page of their account."

# ---- one person

BACK = "← Everybody"
SINCE_DAY = "since {day}"
SEEN_AT = "last seen {at}"
SEEN_NEVER = "never seen"
ROLE_TITLE = "What “{name}” may do"
CHANGE_ROLE = "Change the role"
ROLE_CHANGED = "“{name}” is a {role} now. It holds at once."
PASSWORD_TITLE = "A new password"  # noqa: S105 - a heading
PASSWORD_WHY = "It signs them out everywhere."  # noqa: S105 - a sentence
SET_PASSWORD = "Set it"  # noqa: S105 - a button
PASSWORD_SET = "“{name}” has another password, and is signed out everywhere."  # noqa: S105 - a sentence
SESSIONS_TITLE = "Signed in"
SESSION_COLUMNS = ("Since", "Until at most")
NO_SESSIONS = "No browser is signed in."
END_SESSIONS = "Sign out everywhere"
SESSIONS_ENDED = "“{name}” is signed out everywhere. Tokens go on."
TOKENS_TITLE = "Tokens of programs"
TOKEN_COLUMNS = ("For", "Made", "Last used")
NO_TOKENS = "There are none. People make them on the page of their account."
WHICH_TOKEN = "Which one to revoke"  # noqa: S105 - a label
A_TOKEN = "{label} · made {day}"  # noqa: S105 - a choice
REVOKE = "Revoke"
CHOOSE_TOKEN = "Choose a token first."  # noqa: S105 - a sentence
REVOKED = "The token “{label}” is revoked: it holds no more."
GONE = "“{name}” has no account any more."

# ---- leaving

LEAVE_TITLE = "When somebody leaves"
LEAVE_INTRO = (
    "Who is locked out comes in no more, and what they asked and said stays. Who is forgotten leaves nothing behind: the "
    "next night's data holds nothing of them."
)
LOCK, UNLOCK, FORGET = "Lock out …", "Let in again", "Forget for good …"
LOCK_ASKED = (
    "“{name}” would come in no more, neither by password nor by token, and be signed out everywhere. What they asked and "
    "said stays, and goes on counting. You can let them in again."
)
DO_LOCK = "Lock out"
LOCKED_NOW = "“{name}” is locked out."
UNLOCKED = "“{name}” may come in again."
FORGET_ASKED = (
    "The next night's data holds nothing of them. This can't be undone; backups and exported files are yours to clean."
)
TYPE_NAME = "Type the name to confirm"
DO_FORGET = "Forget for good"
TYPED_WRONG = "{typed!r} does not confirm it: type {name!r}, the name of who would be forgotten"
LEAVE_IT = "Leave it"
LEFT = "Nothing was changed."
FORGOTTEN = "The next night's data holds nothing of them."
