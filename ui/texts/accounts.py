"""Every English string of signing in and of the page "account"."""

from __future__ import annotations

SIGN_IN = "Sign in"
SIGN_IN_HINT = "An administrator gives you a name and a password."
NAME = "Name"
PASSWORD = "Password"  # noqa: S105 - the label of a box
WRONG = "Name and password do not belong together."
LOCKED = "This account is locked: ask an administrator."
BUSY = "Too many people sign in right now: try again in a few seconds."
FORM_IS_OLD = "This form is too old, or your browser keeps no cookies: please try again."
NOT_FOR_YOU = "This page is not for you"
SIGN_OUT = "Sign out"
SIGN_OUT_QUESTION = "Sign out of Nightjar in this browser?"
SIGNED_OUT = "You are signed out."
EVERYWHERE = "Sign out everywhere"
EVERYWHERE_HINT = "Everywhere: in all your browsers. Tokens go on."
BY_PROXY = "You came in through a proxy, which also signs you out."

ACCOUNT = "Your account"
SIGNED_IN_AS = "Signed in as {name}, {role}."
BACK = "Back to the questions"
CHANGE_PASSWORD = "Change the password"  # noqa: S105 - a heading
CURRENT = "The password you have"
NEW = "A new one, at least {n} characters"
AGAIN = "The new one again"
NOT_THE_SAME = "The two new passwords differ."
NOT_YOURS = "That is not the password you have."
CHANGED = "The password is changed; you are signed out everywhere else."

TOKENS = "Tokens for programs"
TOKENS_HINT = (
    "A program that sends “Authorization: Bearer nj_…” may do what you may do. Revoke those you no longer need."
)
NO_TOKENS = "You have none."
MAKE_TOKEN = "Make a token"  # noqa: S105 - a button
LABEL = "What it is for"
MADE = "Copy the token now. It is shown this once:"
REVOKE = "Revoke"
REVOKE_ONE = "Revoke “{label}”"
REVOKED = "The token is revoked."
TOKEN_COLUMNS = ("For", "Made", "Last used", "")
NEVER_USED = "never"
WAYS_OF_TOKENS = "Signed in by a token: the account is changed in a browser."

ROLES = {
    "reader": "reader: you ask and read",
    "voter": "voter: you ask, read and judge",
    "administrator": "administrator: you may do everything",
}
