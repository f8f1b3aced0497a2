"""What is wrong with files before they are committed, as the source would find when it deploys them. Called by publish; blocking.

Each file is looked at with the plug-in defaults and templates of the commit it goes on top of, or with those it brings along.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from podium.base.ports import FileChange, KnownFlow
from podium.flows.load import Problem
from podium.flows.types import Types
from podium.git.repo import Repository
from podium.sources.reading.dashboards import problems_of
from podium.sources.reading.parse import Claim, Key, parse_body
from podium.sources.reading.project import Project, parse_project, read_project
from podium.sources.reading.templates import is_template_path, parse_template_files
from podium.sources.reading.tree import is_flow_path, project_path


def check_changes(
    repository: Repository, commit: str, folder: str, changes: Sequence[FileChange], types: Types, *, source: str, known: Mapping[Key, KnownFlow]
) -> list[dict[str, Any]]:
    """The problems of these files, by place. known: the newest revision of every flow, for ids and namespaces that are taken."""
    bodies = {each.path: each.data for each in changes}
    project = _project(repository, commit, folder, bodies, types)
    problems = list(project.problems) if project_path(folder) in bodies else []
    templates = [(path, "", body) for path, body in sorted(bodies.items()) if body is not None and is_template_path(path, folder)]
    for _, found in parse_template_files(templates, types, project.common).refused.values():
        problems += found
    problems += problems_of(bodies, folder)
    claims: dict[Key, Claim] = {}
    for path, body in sorted(bodies.items()):
        if body is None or not is_flow_path(path, folder):
            continue
        parsed = parse_body(body, path=path, blob="", types=types, project=project)
        problems += parsed.problems
        for claim in parsed.claims:
            problems += _taken(claim, claims, known, bodies, source)
            claims.setdefault(claim.key, claim)
    return [each.as_dict() for each in sorted(problems, key=lambda each: (each.file, each.line, each.column))]


def _project(repository: Repository, commit: str, folder: str, bodies: Mapping[str, bytes | None], types: Types) -> Project:
    path = project_path(folder)
    before = read_project(repository, commit, folder, types) if commit else Project()
    if path not in bodies:
        return before
    body = bodies[path]
    after = parse_project(body, path=path) if body is not None else Project()
    after.load_templates = lambda: before.templates
    return after


def _taken(
    claim: Claim, claims: Mapping[Key, Claim], known: Mapping[Key, KnownFlow], bodies: Mapping[str, bytes | None], source: str
) -> list[Problem]:
    """Whether the id of a flow, or its namespace, belongs to another file or source."""
    name = ".".join(claim.key)
    other = claims.get(claim.key)
    if other is not None:
        return [claim.problem("duplicate-flow", f"flow '{name}' is also in {other.where}", "give each flow its own id")]
    there = known.get(claim.key)
    if there is not None and not there.deleted and there.source == source and there.path != claim.path and there.path not in bodies:
        return [claim.problem("duplicate-flow", f"flow '{name}' is in {there.path} already", "give each flow its own id, or change that file")]
    owner = next((
        each for each in known.values() if each.namespace == claim.key[0] and not each.deleted and each.source != source
    ), None)
    if owner is not None:
        what = f"namespace '{claim.key[0]}' belongs to source '{owner.source}' ({owner.path})"
        return [claim.problem("namespace-taken", what, "put the flow into that source, or into another namespace")]
    return []
