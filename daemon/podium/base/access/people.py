"""Who may do what, as data: people, groups, API tokens and the roles they have, as a repository or a file of the operator says.

Read by sources/reading/access, kept by app/wiring, asked by web. What always holds: a role holds for a namespace and those below it (`a.b` says
nothing about `a.bc`) and includes all lower roles; a token of a person can never do more than the person, and ends with them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Any

TOKEN_PREFIX = "podium_"  # noqa: S105 - a beginning, not a token
"""What API tokens begin with, so that scanners for secrets find one that was committed."""
EVERYBODY = "*"
"""In a list of names: everybody who has an account."""
_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,63}")
_NAMESPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")
_HASH = re.compile(r"\$argon2id\$v=19\$m=(\d{1,9}),t=(\d{1,4}),p=(\d{1,3})\$[A-Za-z0-9+/]{11,88}\$[A-Za-z0-9+/]{22,172}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
MEMORY_KIB_MIN, MEMORY_KIB_MAX, ROUNDS_MAX, LANES_MAX = 7 * 1024, 512 * 1024, 16, 16
"""Parameters of argon2id: less memory is guessed too quickly, more would let a commit exhaust the daemon's machine."""


class Role(IntEnum):
    """What somebody may do in a namespace, least first."""

    NONE = 0
    VIEWER = 1
    """Read."""
    OPERATOR = 2
    """And start, stop, resume executions, switch triggers."""
    EDITOR = 3
    """And change flows, files and keys."""
    ADMIN = 4
    """And what concerns the whole instance: pausing everything, settings, people."""


ROLES = {role.name.lower(): role for role in Role if role}
Roles = Mapping[str, Role]
"""Namespace (with all below it) → role; "" is the whole instance."""


def role_in(roles: Roles, namespace: str) -> Role:
    """The highest role there: of the namespace itself, of one above it, or of the whole instance."""
    found = roles.get("", Role.NONE)
    parts = namespace.split(".") if namespace else []
    for end in range(1, len(parts) + 1):
        found = max(found, roles.get(".".join(parts[:end]), Role.NONE))
    return found


def capped(roles: Roles, by: Roles) -> dict[str, Role]:
    """What both allow."""
    return {name: least for name in {*roles, *by} if (least := min(role_in(roles, name), role_in(by, name)))}


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who logs in. name: lower case. password: an argon2id hash, "" for none. line: where it stands in the file."""

    name: str
    email: str = ""
    title: str = ""
    """The name as people write it; commits and pages show it."""
    password: str = field(default="", repr=False)
    disabled: bool = False
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiToken:
    """A token for programs. digest: `sha256:` of it. namespaces: none is the whole instance. user: whose it is, "" for nobody's."""

    name: str
    digest: str = field(repr=False)
    role: Role
    namespaces: tuple[str, ...] = ()
    expires: datetime | None = None
    user: str = ""
    line: int = field(default=0, compare=False)

    @property
    def roles(self) -> dict[str, Role]:
        """What the token itself allows."""
        return dict.fromkeys(self.namespaces or ("",), self.role)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One name in one list of `roles`. who: a person, a group or EVERYBODY. namespace: "" is the whole instance."""

    role: Role
    namespace: str
    who: str
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Everybody with an account, and what each may do. source, path, commit: where it is written."""

    persons: Mapping[str, Person] = field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    grants: tuple[Grant, ...] = ()
    tokens: tuple[ApiToken, ...] = ()
    source: str = ""
    path: str = ""
    commit: str = ""

    def find(self, login: str) -> Person | None:
        """Who logs in by this name or address, whatever its case; None also for who is disabled."""
        wanted = login.strip().lower()
        found = self.persons.get(wanted) or next((each for each in self.persons.values() if each.email and each.email.lower() == wanted), None)
        return found if found is not None and not found.disabled else None

    def token(self, digest: str, now: datetime) -> ApiToken | None:
        """The token with this digest, while it is valid."""
        found = next((each for each in self.tokens if each.digest == digest), None)
        if found is None or (found.expires is not None and found.expires <= now):
            return None
        return found if not found.user or self.find(found.user) is not None else None

    def grants_of(self, name: str) -> list[Grant]:
        """What gives this person a role: by name, through a group, or to everybody."""
        names = {name, EVERYBODY, *(group for group, members in self.groups.items() if name in members or EVERYBODY in members)}
        return [each for each in self.grants if each.who in names]

    def roles_of(self, name: str) -> dict[str, Role]:
        """The roles of a person."""
        found: dict[str, Role] = {}
        for grant in self.grants_of(name):
            found[grant.namespace] = max(found.get(grant.namespace, Role.NONE), grant.role)
        return found

    def roles_of_token(self, token: ApiToken) -> dict[str, Role]:
        """The roles of a token; of a person's only those that the person has too."""
        return capped(token.roles, self.roles_of(token.user)) if token.user else token.roles

    @property
    def anybody(self) -> bool:
        """Whether somebody can log in or call at all."""
        return bool(self.persons or self.tokens)


@dataclass(slots=True)
class Roster:
    """The people as they are known now. Changed by app/wiring only; web reads it at each request.

    version: grows with each change. problems: what is wrong with the newest text ({file, line, column, message, hint}); while there are any, `people`
    is as it was last good. origin: what defines access ("" when nothing does).
    """

    people: People = field(default_factory=People)
    version: int = 0
    problems: tuple[Mapping[str, Any], ...] = ()
    origin: str = ""

    def change(self, people: People) -> bool:
        """Take these people; whether that changed what anybody may do."""
        same = (people.persons, people.groups, people.grants, people.tokens) == (
            self.people.persons, self.people.groups, self.people.grants, self.people.tokens
        )
        self.people = people
        self.version += 0 if same else 1
        return not same


def digest_of(token: str) -> str:
    """What is kept of an API token. It is long and random, so that a plain digest cannot be turned back."""
    return "sha256:" + hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def is_name(text: str) -> bool:
    """Whether `text` can name a person, group or token."""
    return _NAME.fullmatch(text) is not None


def is_namespace(text: str) -> bool:
    """Whether `text` can be a namespace."""
    return _NAMESPACE.fullmatch(text) is not None


def is_digest(text: str) -> bool:
    """Whether `text` is the digest of an API token."""
    return _DIGEST.fullmatch(text) is not None


def hash_trouble(text: str) -> str | None:
    """Why `text` is no hash of a password that the daemon would check, or None."""
    match = _HASH.fullmatch(text)
    if match is None:
        return "is no argon2id hash"
    memory, rounds, lanes = (int(each) for each in match.groups())
    if memory < MEMORY_KIB_MIN or rounds < 1 or lanes < 1:
        return "is too weak: it would be guessed quickly"
    if memory > MEMORY_KIB_MAX or rounds > ROUNDS_MAX or lanes > LANES_MAX:
        return "would cost too much to check"
    return None


def listed(names: Iterable[str]) -> str:
    """Names for a message."""
    return ", ".join(sorted(names)) or "none"
