"""What holds for the flows of a source beside their text: podium.yaml and the stored templates. Called by loader and the hooks.

podium.yaml has plug-in defaults, variables and labels for all flows and for those of a namespace:

    pluginDefaults: [{type, values, forced}]
    variables: {name: any value}
    labels: {key: text}
    namespaces:
      company.team:
        pluginDefaults: […]

What a namespace has holds for the namespaces below it too; the nearer wins, and a flow's own wins over all. Variables and labels travel with the
plug-in defaults of a flow, as {variables: …} and {labels: …} (flows/load). People and roles (see access) hold
when that part has no mistake, whatever is wrong with the rest. Source: ruling 12.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from podium.base.access.people import People
from podium.flows.load import Problem
from podium.flows.reading.yaml import Entry, Fields, Items, Node, Scalar, parse_documents, plain
from podium.flows.types import Types
from podium.git.repo import Repository
from podium.sources.reading.access import KEYS as ACCESS_KEYS
from podium.sources.reading.access import NOTHING, ReadAccess, read_access
from podium.sources.reading.templates import Templates, near_templates, read_templates
from podium.sources.reading.tree import PROJECT_FILE, decode, project_path

_GIVEN = ("pluginDefaults", "variables", "labels")
_KEYS = (*_GIVEN, "namespaces", *ACCESS_KEYS)
_NAMESPACE_KEYS = (*_GIVEN, "roles")
_DEFAULT_KEYS = ("type", "values", "forced")


@dataclass(slots=True)
class Project:
    """What podium.yaml says. path, blob: where it is ("" when there is none). load_templates: reads those that flows may have in them."""

    path: str = ""
    blob: str = ""
    common: tuple[Mapping[str, Any], ...] = ()
    by_namespace: Mapping[str, tuple[Mapping[str, Any], ...]] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    access: ReadAccess = NOTHING
    """What the file says about people and roles; of this file, also where the rest is that of the one before."""
    load_templates: Callable[[], Templates] = Templates
    _templates: Templates | None = None
    _cache: dict[str | None, tuple[Mapping[str, Any], ...]] = field(default_factory=dict)

    @property
    def templates(self) -> Templates:
        """The stored templates, read when first asked for. Raises GitError, LimitError, OSError."""
        if self._templates is None:
            self._templates = self.load_templates()
        return self._templates

    def defaults(self, namespace: str | None) -> Sequence[Mapping[str, Any]]:
        """The plug-in defaults for flows of `namespace` (None: of no particular one), most important first."""
        if namespace not in self._cache:
            own: list[Mapping[str, Any]] = []
            parts = namespace.split(".") if namespace else []
            while parts:
                own += self.by_namespace.get(".".join(parts), ())
                parts.pop()
            self._cache[namespace] = (*own, *self.common)
        return self._cache[namespace]


def read_project(repository: Repository, commit: str, folder: str, types: Types, *, fallback: str | None = None) -> Project:
    """podium.yaml and the templates of `commit`.

    When podium.yaml is wrong, its problems are told and the one of commit `fallback` holds, if that is right. Raises GitError, LimitError.
    """
    project = _read_file(repository, commit, folder, fallback)
    project.load_templates = lambda: read_templates(repository, commit, folder, types, project.common)
    return project


def _read_file(repository: Repository, commit: str, folder: str, fallback: str | None) -> Project:
    path = project_path(folder)
    body = repository.read_path(commit, path)
    if body is None:
        return Project()
    project = parse_project(body, path=path)
    project.blob = repository.files(commit, path).get(path, "")
    if project.problems and fallback is not None and repository.resolve(fallback) is not None:
        before = _read_file(repository, fallback, folder, None)
        if not before.problems:
            return Project(path, project.blob, before.common, before.by_namespace, project.problems, project.access)
    return project


def nearest_project(file: Path, types: Types) -> Project:
    """The nearest podium.yaml and the nearest `_templates/` above a file on disk, up to the top of its repository."""
    project = _nearest_file(file)
    project.load_templates = lambda: near_templates(file, types, project.common)
    return project


def _nearest_file(file: Path) -> Project:
    for folder in file.resolve().parents:
        path = folder / PROJECT_FILE
        if path.is_file():
            return parse_project(path.read_bytes(), path=str(path))
        if (folder / ".git").exists():
            break
    return Project()


def parse_project(body: bytes, *, path: str) -> Project:
    """Parse podium.yaml. Mistakes are problems with line and column; with any, no default of the file holds."""
    try:
        text = decode(body)
    except ValueError as error:
        unreadable = (Problem(file=path, line=1, column=1, path="", code="file-unreadable", message=str(error), hint=""),)
        return Project(path, problems=unreadable, access=ReadAccess(None, unreadable))
    documents = parse_documents(text)
    mistakes = [mistake for document in documents for mistake in document.mistakes]
    problems = [
        Problem(file=path, line=each.line, column=each.column, path="", code=each.code, message=each.message, hint=each.hint)
        for each in mistakes
    ]
    if problems or not documents:
        return Project(path, problems=tuple(problems), access=ReadAccess(None, tuple(problems)) if problems else ReadAccess(People()))
    reader = _Reader(path)
    common, namespaces = reader.top(documents[0].root)
    access = read_access(documents[0].root, path=path) if isinstance(documents[0].root, Fields) else ReadAccess(People())
    problems = [*reader.problems, *access.problems]
    if isinstance(documents[0].root, Fields) and any(key not in _KEYS for key in documents[0].root.entries):
        access = ReadAccess(None, tuple(problems))  # a slip such as `usres` must not take everybody's account away
    if problems:
        return Project(path, problems=tuple(problems), access=access)
    return Project(path, common=common, by_namespace=namespaces, access=access)


class _Reader:
    """Walks the tree of podium.yaml and collects what is wrong."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.problems: list[Problem] = []

    def top(self, root: Node | None) -> tuple[tuple[Mapping[str, Any], ...], dict[str, tuple[Mapping[str, Any], ...]]]:
        """What all flows get, and what those of each namespace do."""
        common: tuple[Mapping[str, Any], ...] = ()
        namespaces: dict[str, tuple[Mapping[str, Any], ...]] = {}
        for key, entry in self._entries(root, "", _KEYS):
            if key in _GIVEN:
                common = (*common, *self._given(key, entry.node, key))
            elif key == "namespaces":
                for name, each in self._entries(entry.node, key, None):
                    for inner, found in self._entries(each.node, f"{key}.{name}", _NAMESPACE_KEYS):
                        if inner in _GIVEN:
                            namespaces[name] = (*namespaces.get(name, ()), *self._given(inner, found.node, f"{key}.{name}.{inner}"))
        return common, namespaces

    def _given(self, kind: str, node: Node, at: str) -> tuple[Mapping[str, Any], ...]:
        if kind == "pluginDefaults":
            return self._defaults(node, at)
        entries = dict(self._entries(node, at, None))
        if kind == "labels":
            for key, entry in entries.items():
                if not isinstance(entry.node, Scalar) or entry.node.value is None or not entry.node.text.strip():
                    self._wrong(entry, f"{at}.{key}", "the value of a label is a text", "write team: data")
                elif key.startswith("system."):
                    self._wrong(entry, f"{at}.{key}", "labels that begin with 'system.' are Podium's own", "choose another name")
            values: dict[str, Any] = {key: each.node.text for key, each in entries.items() if isinstance(each.node, Scalar)}
        else:
            values = {key: plain(each.node) for key, each in entries.items()}
        return ({kind: values},) if values else ()

    def _entries(self, node: Node | None, at: str, allowed: Sequence[str] | None) -> Iterator[tuple[str, Entry]]:
        if not isinstance(node, Fields):
            if node is not None:
                self._wrong(node, at, "a map is expected here", "")
            return
        for key, entry in node.entries.items():
            if allowed is not None and key not in allowed:
                self._wrong(entry, f"{at}.{key}".strip("."), f"'{key}' is not known here", f"known: {', '.join(allowed)}")
                continue
            yield key, entry

    def _defaults(self, node: Node, at: str) -> tuple[Mapping[str, Any], ...]:
        if not isinstance(node, Items):
            self._wrong(node, at, "a list of {type, values} is expected here", "")
            return ()
        found = []
        for index, item in enumerate(node.items):
            entries = dict(self._entries(item, f"{at}[{index}]", _DEFAULT_KEYS))
            if not isinstance(item, Fields):
                continue
            if not item.text("type") or not isinstance(item.get("values"), Fields):
                self._wrong(item, f"{at}[{index}]", "a default needs a type and a map of values", "write {type: io.kestra…, values: {…}}")
            elif len(entries) == len(item.entries):
                found.append(plain(item))
        return tuple(found)

    def _wrong(self, place: Node | Entry, at: str, message: str, hint: str) -> None:
        self.problems.append(
            Problem(file=self._path, line=place.line, column=place.column, path=at, code="project-invalid", message=message, hint=hint)
        )
