"""`podium users` and `podium tokens`: entries for the file that says who may do what. Needs no daemon; only hashes are written."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from podium.base.errors import PodiumError
from podium.flows.reading.documents import one_line, with_entry

_ROLES = click.Choice(["viewer", "operator", "editor", "admin"])
_FILE = click.option(
    "--file", "file", type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="Write the entry into this podium.yaml (or access file) instead of printing it.",
)
_OUTPUT = click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)


class EntryRefused(PodiumError):
    """An entry for the file of access rules would not be taken."""

    code = "entry-refused"


@click.group()
def users() -> None:
    """Make entries for people who log in, and hashes of their passwords."""


@users.command("hash")
@click.option("--stdin", "from_stdin", is_flag=True, help="Read the password from standard input (one line) instead of asking.")
def hash_command(*, from_stdin: bool) -> None:
    """Print the hash of a password, for `password:` of a user."""
    click.echo(_hashed(_password(from_stdin=from_stdin)))


@users.command("add")
@click.argument("name")
@click.option("--email", default="", help="Address; it names the author of their commits, and they can log in by it.")
@click.option("--title", default="", help="The name as people write it.")
@click.option("--role", type=_ROLES, help="A role to give at once.")
@click.option("--namespace", default="", help="Where the role holds; default the whole instance.")
@click.option("--no-password", is_flag=True, help="An entry without a password: for tokens of this person only.")
@click.option("--stdin", "from_stdin", is_flag=True, help="Read the password from standard input (one line) instead of asking.")
@_FILE
def add(*, name: str, email: str, title: str, role: str | None, namespace: str, no_password: bool, from_stdin: bool, file: Path | None) -> None:
    """Make the entry of a user. Commit and push the file, and they can log in."""
    hashed = "" if no_password else _hashed(_password(from_stdin=from_stdin))
    entry = {key: value for key, value in (("name", name.lower()), ("email", email), ("title", title), ("password", hashed)) if value}
    text = file.read_text("utf-8") if file is not None else ""
    made = _with_entry(text, "users", entry)
    if role is not None:
        made = _granted(made, role, namespace, name.lower())
    _check(made, str(file or "podium.yaml"))
    _write(file, made, f"user '{name.lower()}' is in {file}: commit and push it")


@click.group()
def tokens() -> None:
    """Make API tokens for programs."""


@tokens.command("create")
@click.option("--name", required=True, help="What the token is for; shown in logs.")
@click.option("--role", type=_ROLES, default="viewer", show_default=True)
@click.option("--namespace", "namespaces", multiple=True, help="Where the role holds; may repeat. Default the whole instance.")
@click.option("--expires", help="Last day (2027-01-31) or moment it is valid, or days from now (90d). Default never.")
@click.option("--user", default="", help="Whose token it is: it can do no more than they, and ends with their account.")
@_FILE
@_OUTPUT
def create(
    *, name: str, role: str, namespaces: tuple[str, ...], expires: str | None, user: str, file: Path | None, output: str
) -> None:
    """Make a token and print it once; the file keeps only its hash."""
    from podium.base.access.people import TOKEN_PREFIX, digest_of
    from podium.base.system.ids import new_token

    token = TOKEN_PREFIX + new_token()
    entry: dict[str, Any] = {"name": name.lower(), "hash": digest_of(token), "role": role}
    entry |= {"namespaces": list(namespaces)} if namespaces else {}
    entry |= {"expires": _moment(expires)} if expires else {}
    entry |= {"user": user.lower()} if user else {}
    made = _with_entry(file.read_text("utf-8") if file is not None else "", "tokens", entry)
    _check(made, str(file or "podium.yaml"))
    if output == "json":
        click.echo(json.dumps({"token": token, "entry": entry, "file": str(file) if file is not None else None}))
        if file is not None:
            file.write_text(made, "utf-8")
        return
    click.echo(token)
    click.echo("This is the only time that the token is shown.", err=True)
    _write(file, made, f"its hash is in {file}: commit and push it")


def _write(file: Path | None, text: str, said: str) -> None:
    if file is None:
        click.echo(text, nl=False)
        return
    file.write_text(text, "utf-8")
    click.echo(said, err=True)


def _password(*, from_stdin: bool) -> str:
    from podium.web.people.passwords import CHARS_MIN

    typed = sys.stdin.readline().rstrip("\r\n") if from_stdin else click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    if len(typed) < CHARS_MIN:
        hint = "who can read the repository can guess at its hash: take a long one"
        raise EntryRefused(f"the password is shorter than {CHARS_MIN} characters", hint=hint)
    return str(typed)


def _hashed(password: str) -> str:
    from podium.web.people.passwords import hash_password

    return hash_password(password)


def _moment(text: str) -> str:
    from datetime import timedelta

    from podium.base.system.clock import SystemClock

    if text.endswith("d") and text[:-1].isdigit() and len(text) < 7:
        return (SystemClock().now() + timedelta(days=int(text[:-1]))).date().isoformat()
    return text


def _with_entry(text: str, key: str, entry: dict[str, Any]) -> str:
    made = with_entry(text, key, entry)
    if made is None:
        raise EntryRefused(f"'{key}' is not a list with one entry a line", hint=f"add it by hand: {one_line(entry)}")
    return made


def _check(text: str, path: str) -> None:
    """Raises EntryRefused for what the daemon would not take."""
    from podium.sources.reading.access import parse_access

    read = parse_access(text.encode(), path=path)
    if read.problems:
        first = read.problems[0]
        raise EntryRefused(f"{first.file}:{first.line}:{first.column}: {first.message}", hint=first.hint)
    for each in read.warnings:
        click.echo(f"warning: {each.file}:{each.line}:{each.column}: {each.message}", err=True)


def _granted(text: str, role: str, namespace: str, name: str) -> str:
    """The text with this role given. Where roles stand there already they are left to the person: the way they are written is theirs."""
    from podium.flows.reading.yaml import Fields, parse_documents

    documents = parse_documents(text)
    root = documents[0].root if documents else None
    wanted = {role: {namespace: [name]}} if namespace else {role: [name]}
    if isinstance(root, Fields) and "roles" in root.entries:
        click.echo(f"there are roles already; give theirs by hand, under `roles:`  {one_line(wanted)[1:-1]}", err=True)
        return text
    return f"{text}roles:\n  {one_line(wanted)[1:-1]}\n"
