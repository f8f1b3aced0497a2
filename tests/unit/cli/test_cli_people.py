"""Entries for users and tokens: what is written reads back, comments stay, only hashes are kept."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from podium.base.access.people import Role, digest_of
from podium.cli.main import cli
from podium.sources.reading.access import parse_access
from podium.web.people.passwords import is_right

FILE = """# who may do what
users:
  - {name: ann}  # the first
  - name: bob
    email: bob@example.org

# others
roles:
  admin: [ann]
"""


def run(*arguments: str, typed: str = "") -> str:
    done = CliRunner().invoke(cli, list(arguments), input=typed, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_hash_is_that_of_the_password() -> None:
    printed = run("users", "hash", "--stdin", typed="correct horse battery\n").strip()
    assert printed.startswith("$argon2id$")
    assert is_right(printed, "correct horse battery")
    assert not is_right(printed, "correct horse batter")


def test_a_short_password_is_refused() -> None:
    done = CliRunner().invoke(cli, ["users", "hash", "--stdin"], input="short\n")
    assert done.exit_code == 1
    assert "shorter" in done.stderr


def test_a_user_is_added_to_a_new_and_to_a_written_file(tmp_path: Path) -> None:
    printed = run("users", "add", "Cid", "--email", "cid@example.org", "--role", "editor", "--namespace", "company.team", "--stdin", typed="a-long-password\n")
    people = parse_access(printed.encode(), path="p").people
    assert people is not None
    assert people.roles_of("cid") == {"company.team": Role.EDITOR}
    file = tmp_path / "podium.yaml"
    file.write_text(FILE)
    run("users", "add", "cid", "--no-password", "--file", str(file))
    text = file.read_text()
    assert text == FILE.replace("example.org\n", 'example.org\n  - {name: "cid"}\n', 1)


def test_a_name_that_is_there_is_refused_and_the_file_stays(tmp_path: Path) -> None:
    file = tmp_path / "podium.yaml"
    file.write_text(FILE)
    done = CliRunner().invoke(cli, ["users", "add", "ANN", "--no-password", "--file", str(file)])
    assert (done.exit_code, file.read_text()) == (1, FILE)
    assert "two users" in done.stderr


def test_a_token_is_shown_once_and_kept_as_a_hash(tmp_path: Path) -> None:
    file = tmp_path / "podium.yaml"
    file.write_text(FILE)
    made = json.loads(run(
        "tokens", "create", "--name", "ci", "--role", "operator", "--namespace", "company.team", "--expires", "90d", "--user", "bob", "--file", str(file),
        "--output", "json",
    ))
    assert made["token"] not in file.read_text()
    people = parse_access(file.read_bytes(), path="p").people
    assert people is not None
    (token,) = people.tokens
    assert (token.digest, token.role, token.namespaces, token.user) == (digest_of(made["token"]), Role.OPERATOR, ("company.team",), "bob")
    printed = run("tokens", "create", "--name", "x")
    assert printed.splitlines()[0].startswith("podium_")
