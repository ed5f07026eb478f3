"""Every English string of signing in and of the page "account"."""

from __future__ import annotations

SIGN_IN = "Sign in"
SIGN_IN_HINT = "Ask an administrator for a name and a password."
NAME = "Name"
PASSWORD = "Password"  # noqa: S105 - the label of a box
WRONG = "Wrong name or password."
LOCKED = "This account is locked: ask an administrator."
BUSY = "Too many people are signing in right now. Try again in a few seconds."
FORM_IS_OLD = "This form has expired, or your browser blocks cookies. Please try again."
NOT_FOR_YOU = "You don’t have access to this page"
SIGN_OUT = "Sign out"
SIGN_OUT_QUESTION = "Sign out of Nightjar in this browser?"
SIGNED_OUT = "You are signed out."
EVERYWHERE = "Sign out everywhere"
EVERYWHERE_HINT = "Signs you out in all your browsers. Tokens stay valid."
BY_PROXY = "You signed in through a proxy, which also signs you out."

ACCOUNT = "Your account"
SIGNED_IN_AS = "Signed in as {name}, {role}."
BACK = "Back to the chat"
CHANGE_PASSWORD = "Change password"  # noqa: S105 - a heading
CURRENT = "Current password"
NEW = "New password, at least {n} characters"
AGAIN = "Repeat the new password"
NOT_THE_SAME = "The two new passwords differ."
NOT_YOURS = "That is not your current password."
CHANGED = "Your password was changed. You are signed out everywhere else."

TOKENS = "Tokens for programs"
TOKENS_HINT = (
    "A program that sends “Authorization: Bearer nj_…” may do what you may do. Revoke those you no longer need."
)
NO_TOKENS = "You have no tokens."
MAKE_TOKEN = "Create token"  # noqa: S105 - a button
LABEL = "What it is for"
MADE = "Copy the token now. It is shown only once:"
REVOKE = "Revoke"
REVOKE_ONE = "Revoke “{label}”"
REVOKED = "The token is revoked."
TOKEN_COLUMNS = ("For", "Made", "Last used", "")
NEVER_USED = "never"
WAYS_OF_TOKENS = "You are signed in with a token. Change your account in a browser."

ROLES = {
    "reader": "reader: you can ask and read",
    "voter": "voter: you can ask, read and vote",
    "administrator": "administrator: you can do everything",
}
