"""People, groups, roles and API tokens as YAML: of podium.yaml, or of a file that the settings name.

    users: [{name, email, title, password, disabled}]
    groups: {data: [ann, bob]}
    roles:
      admin: [ann]                        # of the whole instance
      editor: {company.team: [data]}      # of a namespace and those below it
    tokens: [{name, hash, role, namespaces, expires, user}]
    namespaces: {company.team: {roles: {viewer: ["*"]}}}

Called by project and by app/wiring. What always holds: with any mistake nothing of the text is taken; a name that
nobody has is told, and gives nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

from podium.base.access.people import (
    EVERYBODY,
    ROLES,
    ApiToken,
    Grant,
    People,
    Person,
    hash_trouble,
    is_digest,
    is_name,
    is_namespace,
    listed,
)
from podium.flows.load import Problem
from podium.flows.reading.yaml import Entry, Fields, Items, Node, Scalar, parse_documents
from podium.sources.reading.tree import decode

KEYS = ("users", "groups", "roles", "tokens")
_USER_KEYS = ("name", "email", "title", "password", "disabled")
_TOKEN_KEYS = ("name", "hash", "role", "namespaces", "expires", "user")
_PEOPLE_MAX = 10_000


@dataclass(frozen=True, slots=True)
class ReadAccess:
    """What a text says about access. people: None when it has a mistake. written: whether it says anything."""

    people: People | None
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    written: bool = False


NOTHING = ReadAccess(None)


def parse_access(body: bytes, *, path: str, alone: bool = False) -> ReadAccess:
    """The rules of a file. Mistakes are problems with line and column. alone: nothing else may be in it."""
    try:
        text = decode(body)
    except ValueError as error:
        return ReadAccess(None, (Problem(file=path, line=1, column=1, path="", code="file-unreadable", message=str(error), hint=""),))
    documents = parse_documents(text)
    problems = tuple(
        Problem(file=path, line=each.line, column=each.column, path="", code=each.code, message=each.message, hint=each.hint)
        for document in documents for each in document.mistakes
    )
    if problems:
        return ReadAccess(None, problems)
    root = documents[0].root if documents else None
    if alone and isinstance(root, Fields):
        reader = _Reader(path)
        for key, entry in root.entries.items():
            if key not in (*KEYS, "namespaces"):
                reader.wrong(entry, key, f"'{key[:80]}' is not known here", f"known: {', '.join((*KEYS, 'namespaces'))}")
        if reader.problems:
            return ReadAccess(None, tuple(reader.problems))
    return read_access(root, path=path)


def read_access(root: Node | None, *, path: str) -> ReadAccess:
    """The rules in the tree of a file; keys that are not about access are left to others."""
    reader = _Reader(path)
    if root is not None and not isinstance(root, Fields):
        reader.wrong(root, "", "a map is expected here", "")
        return ReadAccess(None, tuple(reader.problems))
    return reader.read(root)


class _Reader:
    """Walks the tree and collects what is wrong."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self._persons: dict[str, Person] = {}
        self._groups: dict[str, tuple[str, ...]] = {}
        self._grants: list[Grant] = []
        self._tokens: list[ApiToken] = []
        self._named: list[tuple[Node, str, str]] = []
        """(where, at, name) of everything that should be somebody."""

    def read(self, root: Fields | None) -> ReadAccess:
        """All of it."""
        entries = root.entries if root is not None else {}
        written = any(key in entries for key in KEYS)
        for at, item in self._items(entries.get("users"), "users"):
            self._user(item, at)
        for name, entry in self._map(entries.get("groups"), "groups"):
            self._group(name, entry)
        for role, entry in self._map(entries.get("roles"), "roles"):
            self._role(role, entry.node, f"roles.{role}")
        namespaces = entries.get("namespaces")
        if namespaces is not None and isinstance(namespaces.node, Fields):
            for namespace, entry in namespaces.node.entries.items():
                inner = entry.node.entries.get("roles") if isinstance(entry.node, Fields) else None
                written = written or inner is not None
                for role, each in self._map(inner, f"namespaces.{namespace}.roles"):
                    self._grant(role, namespace, each.node, f"namespaces.{namespace}.roles.{role}")
        for at, item in self._items(entries.get("tokens"), "tokens"):
            self._token(item, at)
        self._check_names()
        if self.problems:
            return ReadAccess(None, tuple(self.problems), tuple(self.warnings), written)
        people = People(persons=self._persons, groups=self._groups, grants=tuple(self._grants), tokens=tuple(self._tokens), path=self._path)
        return ReadAccess(people, (), tuple(self.warnings), written)

    # ---- parts

    def _user(self, item: Fields, at: str) -> None:
        values = self._texts(item, at, _USER_KEYS, flags=("disabled",))
        name = self._name(item, at, values)
        if name is None:
            return
        mail, password = values.get("email", ""), values.get("password", "")
        if mail and ("@" not in mail or any(char.isspace() or char in "<>" for char in mail)):
            self.wrong(item.get("email") or item, f"{at}.email", f"'{mail[:80]}' is no address", "write ann@example.org")
        elif mail and mail.lower() in {each.email.lower() for each in self._persons.values()}:
            what = f"'{mail[:80]}' is the address of two people"
            self.wrong(item.get("email") or item, f"{at}.email", what, "people can log in by it: give each their own")
        if password and (why := hash_trouble(password)) is not None:
            self.wrong(item.get("password") or item, f"{at}.password", f"the password of '{name}' {why}", "make one with: podium users hash")
        title = "".join(char for char in values.get("title", "") if char.isprintable() and char not in "<>")
        if name in self._persons:
            self.wrong(item, at, f"there are two users '{name}'", "names are compared without case")
        self._persons[name] = Person(
            name=name, email=mail, title=title[:100], password=password, disabled=values.get("disabled") == "true", line=item.line,
        )

    def _group(self, name: str, entry: Entry) -> None:
        lower = name.lower()
        if not is_name(lower):
            self.wrong(entry, f"groups.{name}", f"'{name[:80]}' is no name for a group", "use letters, digits, . _ @ + -")
        elif lower in self._persons:
            self.wrong(entry, f"groups.{name}", f"'{name}' is a user and a group", "give the group another name")
        elif lower in self._groups:
            self.wrong(entry, f"groups.{name}", f"there are two groups '{name}'", "names are compared without case")
        else:
            self._groups[lower] = tuple(self._names(entry.node, f"groups.{name}"))

    def _role(self, role: str, node: Node, at: str) -> None:
        if isinstance(node, Fields):
            for namespace, entry in node.entries.items():
                self._grant(role, namespace, entry.node, f"{at}.{namespace}")
        else:
            self._grant(role, "", node, at)

    def _grant(self, role: str, namespace: str, node: Node, at: str) -> None:
        if role.lower() not in ROLES:
            self.wrong(node, at, f"'{role[:80]}' is no role", f"roles are {', '.join(ROLES)}")
            return
        if namespace and not is_namespace(namespace):
            self.wrong(node, at, f"'{namespace[:80]}' is no namespace", "write company.team; it holds for those below it too")
            return
        for who in self._names(node, at):
            self._grants.append(Grant(role=ROLES[role.lower()], namespace=namespace, who=who, line=node.line))

    def _token(self, item: Fields, at: str) -> None:
        values = self._texts(item, at, _TOKEN_KEYS, other=("namespaces", "expires"))
        name = self._name(item, at, values)
        if name is None:
            return
        digest, role = values.get("hash", ""), values.get("role", "viewer").lower()
        if not is_digest(digest):
            self.wrong(item.get("hash") or item, f"{at}.hash", f"token '{name}' has no hash", "make one with: podium tokens create")
        if role not in ROLES:
            self.wrong(item.get("role") or item, f"{at}.role", f"'{role[:80]}' is no role", f"roles are {', '.join(ROLES)}")
        namespaces = self._namespaces(item.get("namespaces"), f"{at}.namespaces")
        expires = self._moment(item.get("expires"), f"{at}.expires")
        user = values.get("user", "").lower()
        if user:
            self._named.append((item.get("user") or item, f"{at}.user", user))
        if any(each.name == name for each in self._tokens):
            self.wrong(item, at, f"there are two tokens '{name}'", "give each its own name")
        self._tokens.append(ApiToken(
            name=name, digest=digest, role=ROLES.get(role, ROLES["viewer"]), namespaces=namespaces, expires=expires, user=user, line=item.line
        ))

    # ---- values

    def _name(self, item: Fields, at: str, values: Mapping[str, str]) -> str | None:
        name = values.get("name", "").lower()
        if not is_name(name):
            what = f"'{name[:80]}' is no name" if name else "a name is missing"
            self.wrong(item.get("name") or item, f"{at}.name", what, "use letters, digits, . _ @ + -")
            return None
        return name

    def _names(self, node: Node, at: str) -> list[str]:
        if isinstance(node, Scalar) and node.value is not None:
            node = Items(node.line, node.column, [node])
        if not isinstance(node, Items):
            self.wrong(node, at, "a list of names is expected here", "write [ann, bob]")
            return []
        found = []
        for index, item in enumerate(node.items):
            text = item.text.strip().lower() if isinstance(item, Scalar) else ""
            if text != EVERYBODY and not is_name(text):
                self.wrong(item, f"{at}[{index}]", f"'{text[:80]}' is no name of a user or group", 'write the name, or "*" for everybody')
                continue
            found.append(text)
            if text != EVERYBODY:
                self._named.append((item, f"{at}[{index}]", text))
        return found

    def _namespaces(self, node: Node | None, at: str) -> tuple[str, ...]:
        if node is None:
            return ()
        items = node.items if isinstance(node, Items) else [node]
        names = [item.text if isinstance(item, Scalar) else "" for item in items]
        for item, name in zip(items, names, strict=True):
            if not is_namespace(name):
                self.wrong(item, at, f"'{name[:80]}' is no namespace", "write [company.team]; leave it out for the whole instance")
        if not names:
            self.wrong(node, at, "the list is empty", "leave it out for the whole instance")
        return tuple(names)

    def _moment(self, node: Node | None, at: str) -> datetime | None:
        if node is None:
            return None
        text = node.text.strip() if isinstance(node, Scalar) else ""
        try:
            # A day ends with the day.
            found = datetime.combine(date.fromisoformat(text), time.max) if len(text) == 10 else datetime.fromisoformat(text)
        except ValueError:
            self.wrong(node, at, f"'{text[:80]}' is no date", "write 2027-01-31 or 2027-01-31T12:00:00Z")
            return None
        return found if found.tzinfo is not None else found.replace(tzinfo=UTC)

    def _texts(
        self, item: Fields, at: str, known: tuple[str, ...], *, flags: tuple[str, ...] = (), other: tuple[str, ...] = ()
    ) -> dict[str, str]:
        found: dict[str, str] = {}
        for key, entry in item.entries.items():
            node = entry.node
            if key not in known:
                self.wrong(entry, f"{at}.{key}", f"'{key[:80]}' is not known here", f"known: {', '.join(known)}")
            elif key in other:
                continue
            elif not isinstance(node, Scalar) or (key in flags and not isinstance(node.value, bool)):
                self.wrong(entry, f"{at}.{key}", "true or false is expected here" if key in flags else "a text is expected here", "")
            elif node.value is not None:
                found[key] = ("true" if node.value else "false") if key in flags else node.text
        return found

    def _items(self, entry: Entry | None, at: str) -> Iterator[tuple[str, Fields]]:
        if entry is None or (isinstance(entry.node, Scalar) and entry.node.value is None):
            return
        if not isinstance(entry.node, Items) or len(entry.node.items) > _PEOPLE_MAX:
            self.wrong(entry, at, f"a list is expected here, of at most {_PEOPLE_MAX}", "")
            return
        for index, item in enumerate(entry.node.items):
            if isinstance(item, Fields):
                yield f"{at}[{index}]", item
            else:
                self.wrong(item, f"{at}[{index}]", "a map is expected here", "write {name: …}")

    def _map(self, entry: Entry | None, at: str) -> Iterator[tuple[str, Entry]]:
        if entry is None or (isinstance(entry.node, Scalar) and entry.node.value is None):
            return
        if not isinstance(entry.node, Fields):
            self.wrong(entry, at, "a map is expected here", "")
            return
        yield from entry.node.entries.items()

    def _check_names(self) -> None:
        known = {*self._persons, *self._groups}
        for node, at, name in self._named:
            if name not in known:
                hint = f"users and groups: {listed(known)[:300]}"
                self.warnings.append(self._problem(node, at, f"nobody is called '{name}'", hint, "nobody-known"))

    def wrong(self, place: Node | Entry, at: str, message: str, hint: str) -> None:
        """Note a mistake."""
        self.problems.append(self._problem(place, at, message, hint, "access-invalid"))

    def _problem(self, place: Node | Entry, at: str, message: str, hint: str, code: str) -> Problem:
        return Problem(file=self._path, line=place.line, column=place.column, path=at, code=code, message=message, hint=hint)


def as_dicts(problems: tuple[Problem, ...]) -> tuple[dict[str, Any], ...]:
    """Problems as data."""
    return tuple(each.as_dict() for each in problems)
