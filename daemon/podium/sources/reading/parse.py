"""One flow file → the flows in it, its problems, and which flows a broken part of it stands for. Called by loader and the hooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from podium.base.errors import LimitError
from podium.base.system.log import get_logger
from podium.flows.load import Parsed, Problem, StoredTemplate, parse_flows
from podium.flows.model import Flow
from podium.flows.types import Types
from podium.git.repo import Repository
from podium.sources.reading.project import Project
from podium.sources.reading.tree import decode, documents, holds_tests, is_test, looks_like_flow, misplaced_test

log = get_logger(__name__)
_TEMPLATE = ".Template"
"""What stands in every text that has a template put in it."""
Key = tuple[str, str]
"""Namespace and id of a flow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A good text of a flow, found at `path` (line: where its id stands)."""

    key: Key
    path: str
    blob: str
    text: str
    flow: Flow
    line: int
    defaults: Sequence[Mapping[str, Any]] = ()
    templates: Sequence[StoredTemplate] = ()

    @property
    def where(self) -> str:
        """`file:line` of the flow."""
        return f"{self.path}:{self.line}"

    def problem(self, code: str, message: str, hint: str) -> Problem:
        """A problem with this flow as a whole."""
        return Problem(file=self.path, line=self.line, column=1, path="id", code=code, message=message, hint=hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedFile:
    """What a file says. broken: flows whose text in it is bad. nameless: something is bad and does not say whose it is.

    ignored: no document in it is meant as a flow.
    """

    claims: tuple[Claim, ...] = ()
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    broken: frozenset[Key] = frozenset()
    nameless: bool = False
    ignored: bool = False


def parse_file(repository: Repository, path: str, blob: str, types: Types, project: Project) -> ParsedFile:
    """Read and parse the blob of a flow file. Raises GitError when it cannot be read."""
    try:
        body = repository.read(blob)
    except LimitError as error:
        return _unreadable(path, error.what, code="limit-reached")
    return parse_body(body, path=path, blob=blob, types=types, project=project)


def parse_body(body: bytes, *, path: str, blob: str, types: Types, project: Project) -> ParsedFile:
    """Parse the bytes of a flow file. Every mistake is a Problem with file, line and column; nothing is raised."""
    try:
        text = decode(body)
    except ValueError as error:
        return _unreadable(path, str(error), code="file-unreadable")
    if not looks_like_flow(text) or is_test(path, text):
        return ParsedFile(ignored=True)
    if holds_tests(path, text):
        message, hint = misplaced_test(path)
        return ParsedFile(problems=(Problem(file=path, line=1, column=1, path="", code="misplaced-test", message=message, hint=hint),))
    try:
        found = parse_with_defaults(text, path, types, project)
    except Exception as error:  # a mistake of ours or of a plug-in with one file must not hide the others
        log.exception("flow_file_crashed", path=path)
        return _unreadable(path, f"the file cannot be checked ({type(error).__name__}); this is a mistake in Podium or a plug-in", code="internal")
    texts = documents(text)
    aligned = len(texts) == len(found)
    claims: list[Claim] = []
    problems: list[Problem] = []
    warnings: list[Problem] = []
    broken: set[Key] = set()
    nameless = False
    for index, (parsed, defaults) in enumerate(found):
        whole = text if len(found) == 1 or not aligned else texts[index]
        if not looks_like_flow(whole):
            continue
        warnings.extend(parsed.warnings)
        if parsed.flow is not None and not parsed.problems:
            key = (parsed.flow.namespace, parsed.flow.id)
            claims.append(Claim(key=key, path=path, blob=blob, text=whole, flow=parsed.flow, line=parsed.line, defaults=defaults,
                                templates=parsed.templates))
            continue
        problems.extend(parsed.problems)
        if parsed.namespace and parsed.flow_id:
            broken.add((parsed.namespace, parsed.flow_id))
        else:
            nameless = True
    return ParsedFile(
        claims=tuple(claims), problems=tuple(problems), warnings=tuple(warnings), broken=frozenset(broken), nameless=nameless
    )


def _unreadable(path: str, message: str, *, code: str) -> ParsedFile:
    hint = "commit the file itself, as UTF-8 text" if code == "file-unreadable" else "see the daemon's log" if code == "internal" else "split it"
    return ParsedFile(problems=(Problem(file=path, line=1, column=1, path="", code=code, message=message, hint=hint),), nameless=True)


def parse_with_defaults(
    text: str, path: str, types: Types, project: Project, *, dialect: str | None = None
) -> list[tuple[Parsed, Sequence[Mapping[str, Any]]]]:
    """Each document with the defaults that hold for its namespace. dialect: see parse_flows()."""
    common = project.defaults(None)
    templates = project.templates.stored if _TEMPLATE in text else ()
    found = [(parsed, common) for parsed in parse_flows(text, file=path, types=types, defaults=common, templates=templates, dialect=dialect)]
    by_namespace: dict[str, list[Parsed]] = {}
    for index, (parsed, _) in enumerate(found):
        own = project.defaults(parsed.namespace)
        if parsed.namespace and list(own) != list(common):
            if parsed.namespace not in by_namespace:
                by_namespace[parsed.namespace] = parse_flows(text, file=path, types=types, defaults=own, templates=templates, dialect=dialect)
            found[index] = (by_namespace[parsed.namespace][index], own)
    return found

