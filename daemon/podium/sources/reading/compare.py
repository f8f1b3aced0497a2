"""What changes between two commits, and what is wrong with the newer: for `podium plan` and the pre-receive hook, without a daemon.

Only changed files are parsed (all of them when podium.yaml or a template changed); of the others just the ids are read, to find duplicates.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from podium.flows.load import Problem
from podium.flows.model import Flow
from podium.flows.types import Types
from podium.git.repo import Repository
from podium.sources.reading.dashboards import FOLDER, is_dashboard_path, problems_of
from podium.sources.reading.parse import Claim, Key, ParsedFile, parse_body
from podium.sources.reading.project import Project, parse_project, read_project
from podium.sources.reading.templates import is_template_path, parse_template_files
from podium.sources.reading.tree import Listing, decode, identities, is_flow_path, is_test, list_flow_files, may_be_test, project_path

Kind = Literal["added", "changed", "moved", "removed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowChange:
    """One flow that differs. before, after: its model, None where it is not there."""

    kind: Kind
    key: Key
    path: str
    before: Flow | None
    after: Flow | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """changes: sorted by namespace and id. problems: of the newer commit's changed files. ignored: changed YAML files that are no flows."""

    changes: tuple[FlowChange, ...]
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    ignored: tuple[str, ...]
    flow_files: int
    """How many flow files differ."""


def compare_commits(repository: Repository, old: str | None, new: str, *, folder: str, types: Types) -> Comparison:
    """What deploying `new` where `old` is deployed would change. old None: nothing is deployed. Raises GitError, LimitError."""
    listing = list_flow_files(repository, new, folder)
    files = listing.files
    listing_before = list_flow_files(repository, old, folder) if old else Listing(files={})
    before = listing_before.files
    project = read_project(repository, new, folder, types)
    project_before = read_project(repository, old, folder, types) if old else Project()
    everything = old is None or project.blob != project_before.blob or project.templates.blobs() != project_before.templates.blobs()
    touched = [path for path in files.keys() | before.keys() if everything or files.get(path) != before.get(path)]
    after = _parsed(repository, {path: files[path] for path in touched if path in files}, types, project)
    earlier = _parsed(repository, {path: before[path] for path in touched if path in before}, types, project_before)
    untouched = {path: blob for path, blob in files.items() if path not in after}
    problems = [*project.problems, *(problem for parsed in after.values() for problem in parsed.problems)]
    problems += [
        problem for path, (blob, found) in project.templates.refused.items() if project_before.templates.refused.get(path, ("",))[0] != blob
        for problem in found
    ]
    problems += _dashboards(repository, old, new, folder)
    problems += _duplicates(after, _ids_of(repository, untouched))
    refused_before = {each.path for each in listing_before.refused}
    problems += [
        Problem(file=each.path, line=1, column=1, path="", code=each.code, message=each.message, hint=each.hint)
        for each in listing.refused if each.path not in refused_before
    ]
    return Comparison(
        changes=tuple(_changes(earlier, after, {path: files.get(path) for path in before}, everything=everything)),
        problems=tuple(sorted(problems, key=lambda problem: (problem.file, problem.line, problem.column))),
        warnings=tuple(warning for parsed in after.values() for warning in parsed.warnings),
        ignored=tuple(sorted(path for path, parsed in after.items() if parsed.ignored and not may_be_test(path))),
        flow_files=sum(1 for path in touched if files.get(path) != before.get(path)),
    )


def check_files(bodies: Mapping[str, bytes], *, folder: str, types: Types) -> list[Problem]:
    """The problems of these files (path in the repository → content), each looked at by itself. For the pre-commit hook."""
    problems: list[Problem] = []
    project = Project()
    if (body := bodies.get(project_path(folder))) is not None:
        project = parse_project(body, path=project_path(folder))
        problems += project.problems
    files = [(path, "", body) for path, body in sorted(bodies.items()) if is_template_path(path, folder)]
    project.load_templates = lambda: parse_template_files(files, types, project.common)
    problems += project.templates.problems()
    parsed = {
        path: parse_body(body, path=path, blob="", types=types, project=project)
        for path, body in bodies.items() if is_flow_path(path, folder)
    }
    problems += [problem for each in parsed.values() for problem in each.problems]
    problems += problems_of(bodies, folder)
    return sorted(problems + _duplicates(parsed, {}), key=lambda problem: (problem.file, problem.line, problem.column))


def _dashboards(repository: Repository, old: str | None, new: str, folder: str) -> Iterable[Problem]:
    """What is wrong with the dashboards that differ."""
    place = FOLDER if folder == "." else f"{folder}/{FOLDER}"
    if FOLDER not in repository.folder(new, folder):
        return []
    before = repository.files(old, place) if old else {}
    found = {path: blob for path, blob in repository.files(new, place).items() if is_dashboard_path(path, folder) and before.get(path) != blob}
    bodies = dict(repository.read_many(sorted(set(found.values())))) if found else {}
    return problems_of({path: bodies[blob] for path, blob in found.items()}, folder)


def _parsed(repository: Repository, files: Mapping[str, str], types: Types, project: Project) -> dict[str, ParsedFile]:
    if not files:
        return {}
    bodies = dict(repository.read_many(sorted(set(files.values()))))
    return {path: parse_body(bodies[blob], path=path, blob=blob, types=types, project=project) for path, blob in sorted(files.items())}


def _ids_of(repository: Repository, files: Mapping[str, str]) -> dict[Key, str]:
    """Namespace and id → path, read without parsing."""
    paths: dict[str, list[str]] = {}
    for path, blob in files.items():
        paths.setdefault(blob, []).append(path)
    found: dict[Key, str] = {}
    for blob, body in repository.read_many(sorted(paths)):
        try:
            text = decode(body)
        except ValueError:
            continue
        flows = [path for path in paths[blob] if not is_test(path, text)]
        for key in identities(text) if flows else ():
            found[key] = flows[0]
    return found


def _duplicates(parsed: Mapping[str, ParsedFile], others: Mapping[Key, str]) -> list[Problem]:
    places: dict[Key, list[Claim]] = {}
    for each in parsed.values():
        for claim in each.claims:
            places.setdefault(claim.key, []).append(claim)
    problems = []
    for key, claims in places.items():
        where = sorted({claim.where for claim in claims} | ({others[key]} if key in others else set()))
        if len(where) > 1:
            problems += [
                claim.problem(
                    "duplicate-flow", f"flow '{key[0]}.{key[1]}' is in more than one place: {', '.join(where)}", "give each flow its own id"
                )
                for claim in claims
            ]
    return problems


def _changes(
    earlier: Mapping[str, ParsedFile], after: Mapping[str, ParsedFile], now_at: Mapping[str, str | None], *, everything: bool
) -> Iterable[FlowChange]:
    old = {claim.key: claim for each in earlier.values() for claim in each.claims}
    new = {claim.key: claim for each in after.values() for claim in each.claims}
    broken = {key for each in after.values() for key in each.broken}
    nameless = {path for path, each in after.items() if each.nameless}
    for key in sorted(old.keys() | new.keys()):
        was, is_ = old.get(key), new.get(key)
        if was is None and is_ is not None:
            yield FlowChange(kind="added", key=key, path=is_.path, before=None, after=is_.flow)
        elif is_ is None and was is not None:
            stays = key in broken or (was.path in nameless and now_at.get(was.path) is not None)
            if not stays:
                yield FlowChange(kind="removed", key=key, path=was.path, before=was.flow, after=None)
        elif was is not None and is_ is not None:
            if was.text != is_.text or (everything and was.flow != is_.flow):
                yield FlowChange(kind="changed", key=key, path=is_.path, before=was.flow, after=is_.flow)
            elif was.path != is_.path:
                yield FlowChange(kind="moved", key=key, path=is_.path, before=was.flow, after=is_.flow)
