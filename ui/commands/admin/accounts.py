"""`nightjar accounts` and `nightjar tokens`: who may sign in, and with which tokens their programs do."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ui.commands.command_group import command_group
from ui.commands.console import JSON_OPTION, load_command_settings, print_json, print_table

if TYPE_CHECKING:
    from datetime import datetime

    from rag.accounts.accounts import Account
    from rag.accounts.sessions_and_tokens import AccessToken
    from rag.app.app import App

accounts_group = command_group("accounts", "Say who may sign in, and what they may do.")
tokens_group = command_group("tokens", "Make and revoke the tokens with which programs act as a person.")

NAME_ARGUMENT = typer.Argument(help="As `nightjar accounts list` shows it.")
PASSWORD_STDIN_OPTION = typer.Option("--password-stdin", help="Read the password from stdin, not from the terminal.")


@contextmanager
def _opened(context: typer.Context) -> Iterator[App]:
    from rag.app.app import open_app

    app = open_app(load_command_settings(context))
    try:
        yield app
    finally:
        app.close()


# ---- people


@accounts_group.command("list")
def list_(context: typer.Context, as_json: Annotated[bool, JSON_OPTION] = False) -> None:
    """List everybody who has an account."""
    from rag.accounts.accounts import Accounts

    with _opened(context) as app:
        listed = Accounts(app.engine).all()
    if as_json:
        print_json([_account_json(account) for account in listed])
    elif not listed:
        typer.echo('Nobody has an account: "nightjar accounts add NAME --role administrator" makes the first one.')
    else:
        rows = [
            [
                account.name,
                account.role,
                f"{account.created_at:%Y-%m-%d}",
                "locked" if account.is_locked else "",
                "" if account.has_password else "no password",
            ]
            for account in listed
        ]
        print_table(["name", "role", "since", "", ""], rows)


def _account_json(account: Account) -> dict[str, Any]:
    return {
        "name": account.name,
        "role": account.role,
        "created_at": account.created_at.isoformat(),
        "locked": account.is_locked,
        "has_password": account.has_password,
    }


@accounts_group.command()
def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Letters without accents, digits, and . _ - + @; case does not matter.")],
    role: Annotated[str, typer.Option(help="reader asks; voter also judges; administrator does everything.")] = "voter",
    *,
    no_password: Annotated[
        bool, typer.Option("--no-password", help="For a program or person that uses only a token or a proxy.")
    ] = False,
    password_stdin: Annotated[bool, PASSWORD_STDIN_OPTION] = False,
) -> None:
    """Give somebody an account; asks for the password, which needs at least 10 characters.

    [bold]Examples[/bold]

    nightjar accounts add ann --role administrator

    nightjar accounts add crawler --role reader --no-password
    """
    from rag.accounts.accounts import Accounts

    with _opened(context) as app:
        password = None if no_password else _password(from_stdin=password_stdin)
        added = Accounts(app.engine).add(name, role, password)
    typer.echo(f"{added.name!r} has an account now: {added.role}.")


@accounts_group.command()
def role(context: typer.Context, name: Annotated[str, NAME_ARGUMENT], role: str) -> None:
    """Let somebody do more or less: reader, voter or administrator. It takes effect at once."""
    from rag.accounts.accounts import Accounts

    with _opened(context) as app:
        Accounts(app.engine).set_role(name, role)
    typer.echo(f"{name!r} is a {role} now.")


@accounts_group.command()
def password(
    context: typer.Context,
    name: Annotated[str, NAME_ARGUMENT],
    *,
    password_stdin: Annotated[bool, PASSWORD_STDIN_OPTION] = False,
) -> None:
    """Give somebody a new password, and sign them out everywhere."""
    from rag.accounts.accounts import Accounts

    with _opened(context) as app:
        accounts = Accounts(app.engine)
        accounts.get(name)
        accounts.set_password(name, _password(from_stdin=password_stdin))
    typer.echo(f"{name!r} has a new password, and is signed out everywhere.")


@accounts_group.command()
def lock(context: typer.Context, name: Annotated[str, NAME_ARGUMENT]) -> None:
    """Lock somebody out, by password and by token; their questions and votes stay."""
    from rag.accounts.accounts import Accounts

    with _opened(context) as app:
        Accounts(app.engine).lock(name)
    typer.echo(f'{name!r} is locked: "nightjar accounts unlock" lets them in again.')


@accounts_group.command()
def unlock(context: typer.Context, name: Annotated[str, NAME_ARGUMENT]) -> None:
    """Let a locked person in again."""
    from rag.accounts.accounts import Accounts

    with _opened(context) as app:
        Accounts(app.engine).unlock(name)
    typer.echo(f"{name!r} may come in again.")


def _password(*, from_stdin: bool) -> str:
    """Reads the password from stdin, or asks for it twice in a terminal.

    Raises:
        UsageError: there is no terminal to ask in, or the password is too short or too long.
    """
    from rag.accounts.accounts import check_password
    from rag.errors import UsageError

    if from_stdin:
        chosen = sys.stdin.readline().rstrip("\n")
    elif sys.stdin.isatty():
        chosen = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        raise UsageError("nobody is there to type a password: use --password-stdin, or --no-password for a program")
    check_password(chosen)
    return str(chosen)


# ---- programs


@tokens_group.command("list")
def list_tokens(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="Only the tokens of this person.")] = None,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """List tokens, the newest first; the secrets themselves are not stored."""
    from rag.accounts.sessions_and_tokens import CredentialStore

    with _opened(context) as app:
        listed = CredentialStore(app.engine).tokens(name)
    if as_json:
        print_json([_token_json(token) for token in listed])
    elif not listed:
        typer.echo('There are no tokens: "nightjar tokens add NAME --label WHAT-FOR" makes one.')
    else:
        rows = [
            [
                token.token_id,
                token.name,
                token.label,
                f"{token.created_at:%Y-%m-%d}",
                _at(token.used_at),
                "revoked" if token.is_revoked else "",
            ]
            for token in listed
        ]
        print_table(["id", "person", "for", "made", "last used", ""], rows)


def _at(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%M}" if time else "never"


def _token_json(token: AccessToken) -> dict[str, Any]:
    return {
        "token_id": token.token_id,
        "name": token.name,
        "label": token.label,
        "created_at": token.created_at.isoformat(),
        "used_at": token.used_at and token.used_at.isoformat(),
        "revoked": token.is_revoked,
    }


@tokens_group.command("add")
def add_token(
    context: typer.Context,
    name: Annotated[str, NAME_ARGUMENT],
    label: Annotated[str, typer.Option(help="What it is for.")],
) -> None:
    """Make a token with which a program acts as this person; it is printed only once.

    [bold]Example[/bold]

    nightjar tokens add ann --label "the wiki's search box"
    """
    from rag.accounts.accounts import normalise_name
    from rag.accounts.sessions_and_tokens import CredentialStore

    with _opened(context) as app:
        made, secret = CredentialStore(app.engine).create_token(normalise_name(name), label)
    typer.echo(f"token {made.token_id} of {made.name!r}; it is shown only once:", err=True)
    typer.echo(secret)


@tokens_group.command()
def revoke(
    context: typer.Context, token_id: Annotated[str, typer.Argument(help="As `nightjar tokens list` shows it.")]
) -> None:
    """End a token at once."""
    from rag.accounts.sessions_and_tokens import CredentialStore

    with _opened(context) as app:
        CredentialStore(app.engine).revoke(token_id)
    typer.echo(f"token {token_id} is revoked.")
