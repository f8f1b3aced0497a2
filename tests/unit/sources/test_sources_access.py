"""People and roles as YAML: what is read, what is refused with its place, and that other mistakes of podium.yaml do not keep people."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from podium.base.access.people import EVERYBODY, Role, digest_of
from podium.sources.reading.access import parse_access
from podium.sources.reading.project import parse_project

HASH = "$argon2id$v=19$m=65536,t=3,p=1$c29tZXNhbHQxMjM$" + "A" * 43
TEXT = f"""users:
  - {{name: Ann, email: ann@example.org, title: Ann Example, password: "{HASH}"}}
  - name: bob
groups:
  data: [bob]
roles:
  admin: ann
  viewer: ["*"]
  editor:
    company.team: [data]
namespaces:
  company.other:
    roles:
      operator: [bob]
tokens:
  - {{name: ci, hash: "{digest_of('podium_x')}", role: operator, namespaces: [company.team], expires: 2027-01-31, user: bob}}
"""


def test_everything_is_read_with_its_line() -> None:
    read = parse_access(TEXT.encode(), path="podium.yaml")
    assert (read.problems, read.warnings, read.written) == ((), (), True)
    people = read.people
    assert people is not None
    assert people.persons["ann"].title == "Ann Example"
    assert (people.persons["ann"].line, people.persons["ann"].password) == (2, HASH)
    assert people.roles_of("ann") == {"": Role.ADMIN}
    assert people.roles_of("bob") == {"": Role.VIEWER, "company.team": Role.EDITOR, "company.other": Role.OPERATOR}
    assert EVERYBODY in {each.who for each in people.grants}
    (token,) = people.tokens
    assert (token.role, token.namespaces, token.user) == (Role.OPERATOR, ("company.team",), "bob")
    assert token.expires == datetime(2027, 1, 31, 23, 59, 59, 999999, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("users: [{name: ann, password: secret}]", (1, 31), "no argon2id hash"),
        ("users:\n  - {name: 'a b'}", (2, 12), "no name"),
        ("users:\n  - {email: a@b}", (2, 5), "missing"),
        ("users: [{name: ann}, {name: ANN}]", (1, 22), "two users"),
        ("users: [{name: ann, email: a@b}, {name: bob, email: A@B}]", (1, 53), "address of two"),
        ("users: [{name: ann, admin: true}]", (1, 21), "'admin' is not known"),
        ("users: {ann: 1}", (1, 1), "a list"),
        ("users: [ann]", (1, 9), "a map"),
        ("users: [{name: ann, disabled: maybe}]", (1, 21), "true or false"),
        ("roles: {boss: [ann]}", (1, 15), "no role"),
        ("roles: {admin: {'a..b': [ann]}}", (1, 25), "no namespace"),
        ("roles: {admin: {'*': [ann]}}", (1, 22), "no namespace"),
        ("roles: {admin: [[ann]]}", (1, 17), "no name"),
        ("roles: [ann]", (1, 1), "a map"),
        ("users: [{name: ann}]\ngroups: {ann: [ann]}", (2, 10), "user and a group"),
        ("tokens: [{name: ci, hash: podium_plain}]", (1, 27), "no hash"),
        (f"tokens: [{{name: ci, hash: '{digest_of('x')}', namespaces: []}}]", (1, 114), "empty"),
        (f"tokens: [{{name: ci, hash: '{digest_of('x')}', expires: soon}}]", (1, 111), "no date"),
        ("users: [", (2, 1), "flow yaml"),
        ("- a", (1, 1), "a map"),
    ],
)
def test_mistakes_have_a_place_and_nothing_is_taken(text: str, place: tuple[int, int], said: str) -> None:
    read = parse_access(text.encode(), path="podium.yaml")
    assert read.people is None
    assert (read.problems[0].line, read.problems[0].column) == place, read.problems[0]
    assert said in read.problems[0].message


def test_who_is_not_there_is_told_and_gives_nothing() -> None:
    """Else nobody could be removed who still stands in a list."""
    read = parse_access(b"users: [{name: ann}]\nroles: {admin: [ann, gone]}", path="p")
    assert read.people is not None
    (warning,) = read.warnings
    assert ("gone" in warning.message, warning.line, warning.column) == (True, 2, 22)
    assert read.people.find("gone") is None


def test_podium_yaml_with_another_mistake_still_says_who_is_there() -> None:
    project = parse_project(b"pluginDefaults: 3\nusers: [{name: ann}]\n", path="podium.yaml")
    assert project.problems
    assert project.access.people is not None
    assert list(project.access.people.persons) == ["ann"]


def test_a_slip_in_a_key_takes_nobodys_account_away() -> None:
    project = parse_project(b"usres: [{name: ann}]\nroles: {admin: [ann]}\n", path="podium.yaml")
    assert project.access.people is None
    assert [each.line for each in project.access.problems] == [1]


def test_podium_yaml_with_a_mistake_in_its_people_keeps_what_was() -> None:
    project = parse_project(b"users: [{name: ann, password: x}]\nroles: {admin: [ann]}\n", path="podium.yaml")
    assert project.access.people is None
    assert [each.code for each in project.problems] == ["access-invalid"]
    broken = parse_project(b"users: [\n", path="podium.yaml")
    assert broken.access.people is None
    assert broken.access.problems


def test_a_podium_yaml_without_people_has_none() -> None:
    project = parse_project(b"pluginDefaults: []\n", path="podium.yaml")
    assert (project.problems, project.access.written) == ((), False)
    assert project.access.people is not None
    assert not project.access.people.anybody


def test_names_with_markup_are_cleaned() -> None:
    read = parse_access(b'users: [{name: ann, title: "A <b>\\u202e x"}]', path="p")
    assert read.people is not None
    assert read.people.persons["ann"].title == "A b x"
