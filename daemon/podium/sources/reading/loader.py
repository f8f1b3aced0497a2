"""Turns a commit of a source into a Deployment: which flows are new, changed, moved, gone, refused. Called by watch, in a thread.

Only changed files are read: a file whose blob is known is not parsed. What always holds (I4): a bad file never takes away the
last good revision of its flows, and harms no other file; a flow has one file and a namespace one source; when more than half
of the flows would vanish at once, nothing is removed until a person confirms.  Sources: design 2 walk 1, rulings 12 and 13.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from podium.base.access.people import People
from podium.base.ports import Deployment, FlowRevision, KnownFlow
from podium.flows.load import Problem, as_stored
from podium.flows.types import Types
from podium.git.repo import Repository
from podium.sources.reading.access import NOTHING, ReadAccess
from podium.sources.reading.dashboards import Dashboards, read_dashboards
from podium.sources.reading.parse import Claim, Key, ParsedFile, parse_file
from podium.sources.reading.project import Project, read_project
from podium.sources.reading.sync import sync_body, sync_path
from podium.sources.reading.tree import Refused, list_flow_files
from podium.sources.source import Source

HELD_FLOWS_MIN = 3
"""Fewer vanished flows than this are removed without asking."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the daemon runs now.

    flows: newest revision of every flow, deleted ones included. current: the deployed texts. sources: the names in the settings.
    rejected: paths of this source that the last sync refused; they are read again, as what they clash with may be gone.
    """

    flows: Mapping[Key, KnownFlow]
    current: Mapping[Key, FlowRevision]
    sources: frozenset[str]
    rejected: frozenset[str] = frozenset()
    held: bool = False
    """Whether the last sync of this source held removals back."""
    dashboards: Sequence[Mapping[str, Any]] = ()
    """Those of all sources, as deployed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A commit, read. changed: whether there is anything to deploy beside the commit itself. flows: how many run after it."""

    deployment: Deployment
    changed: bool
    flows: int
    ignored: tuple[str, ...]
    access: ReadAccess = NOTHING
    """What podium.yaml says about people and roles. Without a podium.yaml: nothing."""


@dataclass(slots=True)
class _Work:
    """What is found out on the way."""

    source: Source
    commit: str
    at: datetime
    known: Known
    mine: dict[Key, KnownFlow]
    claims: dict[Key, list[Claim]] = field(default_factory=dict)
    kept: dict[Key, KnownFlow] = field(default_factory=dict)
    safe: set[Key] = field(default_factory=set)
    """Flows that stay although no good text of them was found."""
    problems: dict[str, list[Problem]] = field(default_factory=dict)
    blobs: dict[str, str] = field(default_factory=dict)
    warnings: list[Problem] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    dashboards: Dashboards = field(default_factory=Dashboards)

    def refuse(self, path: str, blob: str, problems: Iterable[Problem]) -> None:
        self.problems.setdefault(path, []).extend(problems)
        self.blobs[path] = blob


def read_commit(
    source: Source, repository: Repository, commit: str, *, known: Known, types: Types, at: datetime, previous_commit: str | None = None,
    dirty: bool = False, confirmed: bool = False,
) -> Reading:
    """What deploying `commit` would change. Blocking. Raises GitError, LimitError when the commit cannot be read at all.

    at: aware, UTC, the moment of deployment.  confirmed: vanished flows are removed, however many.
    """
    mine = {key: flow for key, flow in known.flows.items() if not flow.deleted and flow.source == source.name}
    work = _Work(source, commit, at, known, mine)
    listing = list_flow_files(repository, commit, source.folder)
    project = read_project(repository, commit, source.folder, types, fallback=previous_commit)
    if project.problems:
        work.refuse(project.path, project.blob, project.problems)
    for path, (blob, problems) in project.templates.refused.items():
        work.refuse(path, blob, problems)
    work.warnings.extend(project.templates.warnings)
    work.warnings.extend(_about_access(source, project))
    work.dashboards = read_dashboards(repository, commit, source.folder, source=source.name, known=known.dashboards)
    for path, (blob, problems) in work.dashboards.refused.items():
        work.refuse(path, blob, problems)
    _refuse_unreadable(work, listing.refused)
    for path, blob in _files_to_read(work, listing.files, project).items():
        _read_file(work, parse_file(repository, path, blob, types, project), path, blob)
    _settle_duplicates(work)
    _settle_namespaces(work)
    reading = _reading(work, previous_commit=previous_commit, dirty=dirty, confirmed=confirmed)
    return replace(reading, access=project.access if project.path else ReadAccess(People()))


def _about_access(source: Source, project: Project) -> Sequence[Problem]:
    """What is odd with people and roles in podium.yaml: names that nobody has, or that this source may not define access at all."""
    if source.defines_access or not project.access.written:
        return project.access.warnings
    return [Problem(
        file=project.path, line=1, column=1, path="", code="access-ignored",
        message=f"users, groups, roles and tokens of source '{source.name}' are not used: the settings do not let it define access",
        hint=f'set security.access_source = "{source.name}" in the daemon\'s settings, or remove them',
    )]


def remove_source(name: str, *, known: Known, at: datetime) -> Deployment:
    """The removal of every flow of a source that is no longer in the settings."""
    gone = [flow for flow in known.flows.values() if flow.source == name and not flow.deleted]
    commit = gone[0].commit if gone else ""
    body = sync_body(
        source=name, url="", branch="", path="", commit=commit, previous_commit=commit, at=at, dirty=False, held=None, removed=gone,
    )
    return Deployment(
        source=name, commit=commit, previous_commit=commit, accepted=(), removed=gone, moved=(), rejected=(), held=None,
        sync_path=sync_path(commit, at, again=True), sync_body=body, at=at, dashboards=(),
    )


def _files_to_read(work: _Work, files: Mapping[str, str], project: Project) -> dict[str, str]:
    """Path → blob of the files that must be parsed; the others' flows are claimed as they are."""
    at_path: dict[str, list[KnownFlow]] = {}
    for flow in work.mine.values():
        at_path.setdefault(flow.path, []).append(flow)
    to_read: dict[str, str] = {}
    for path, blob in files.items():
        flows = at_path.get(path, [])
        same = bool(flows) and all(flow.blob == blob for flow in flows) and path not in work.known.rejected
        if same and all(_same_around(work, flow, project) for flow in flows):
            work.kept.update({(flow.namespace, flow.flow_id): flow for flow in flows})
        else:
            to_read[path] = blob
    return to_read


def _same_around(work: _Work, flow: KnownFlow, project: Project) -> bool:
    """Whether what holds for a flow beside its text is what it was: plug-in defaults, and the templates in it."""
    current = work.known.current.get((flow.namespace, flow.flow_id))
    if current is None or list(current.defaults) != list(project.defaults(flow.namespace)):
        return False
    now = {(each.namespace, each.id): each for each in project.templates.stored}
    return all((each["namespace"], each["id"]) in now and as_stored(now[each["namespace"], each["id"]]) == each for each in current.templates)


def _read_file(work: _Work, parsed: ParsedFile, path: str, blob: str) -> None:
    if parsed.ignored:
        work.ignored.append(path)
    work.warnings.extend(parsed.warnings)
    for claim in parsed.claims:
        work.claims.setdefault(claim.key, []).append(claim)
    if parsed.problems:
        work.refuse(path, blob, parsed.problems)
        work.safe.update(parsed.broken)
        if parsed.nameless:
            work.safe.update(key for key, flow in work.mine.items() if flow.path == path)


def _settle_duplicates(work: _Work) -> None:
    """One flow in two files: all of them are named, and what runs goes on as it was."""
    for key, claims in list(work.claims.items()):
        others = [claim.where for claim in claims]
        if key in work.kept:
            others.insert(0, work.kept[key].path)
        if len(others) < 2:
            continue
        del work.claims[key]
        work.safe.add(key)
        for claim in claims:
            listed = ", ".join(sorted(set(others)))
            work.refuse(claim.path, claim.blob, [claim.problem(
                "duplicate-flow", f"flow '{key[0]}.{key[1]}' is in more than one place: {listed}",
                "give each flow its own id; what ran before goes on running",
            )])


def _settle_namespaces(work: _Work) -> None:
    owners: dict[str, KnownFlow] = {}
    for flow in work.known.flows.values():
        if not flow.deleted and flow.source != work.source.name and flow.source in work.known.sources:
            owners.setdefault(flow.namespace, flow)
    for key, claims in list(work.claims.items()):
        owner = owners.get(key[0])
        if owner is None:
            continue
        del work.claims[key]
        work.safe.add(key)
        for claim in claims:
            work.refuse(claim.path, claim.blob, [claim.problem(
                "namespace-taken",
                f"namespace '{key[0]}' belongs to source '{owner.source}' ({owner.path}), so source '{work.source.name}' cannot claim it"
                f" ({claim.path})",
                "use another namespace here, or move the flows into one source",
            )])


def _refuse_unreadable(work: _Work, refused: Sequence[Refused]) -> None:
    for each in refused:
        problem = Problem(file=each.path, line=1, column=1, path="", code=each.code, message=each.message, hint=each.hint)
        work.refuse(each.path, each.blob, [problem])
        work.safe.update(key for key, flow in work.mine.items() if flow.path == each.path)


def _reading(work: _Work, *, previous_commit: str | None, dirty: bool, confirmed: bool) -> Reading:
    accepted: list[FlowRevision] = []
    moved: list[FlowRevision] = []
    for key, (claim,) in sorted((key, tuple(claims)) for key, claims in work.claims.items()):
        before = work.known.flows.get(key)
        revision = _revision(work, claim, before)
        if before is None or before.deleted or revision.revision != before.revision:
            accepted.append(revision)
        elif (before.path, before.blob, before.source) != (claim.path, claim.blob, work.source.name) or not _around_kept(work, claim):
            moved.append(revision)
    vanished = [flow for key, flow in work.mine.items() if key not in work.claims and key not in work.kept and key not in work.safe]
    held = None if confirmed else _held(vanished, len(work.mine))
    removed = [] if held else vanished
    rejected = [
        {"path": path, "blob": work.blobs[path], "problems": [problem.as_dict() for problem in problems]}
        for path, problems in sorted(work.problems.items())
    ]
    body = sync_body(
        source=work.source.name, url=work.source.shown_url(), branch=work.source.branch, path=work.source.folder, commit=work.commit,
        previous_commit=previous_commit, at=work.at, dirty=dirty, held=held, accepted=accepted, moved=moved, removed=removed,
        rejected=rejected, held_flows=vanished if held else (), warnings=[problem.as_dict() for problem in work.warnings],
    )
    deployment = Deployment(
        source=work.source.name, commit=work.commit, previous_commit=previous_commit, accepted=accepted, removed=removed, moved=moved,
        rejected=rejected, held=held, sync_path=sync_path(work.commit, work.at), sync_body=body, at=work.at,
        dashboards=work.dashboards.stored if work.dashboards.changed else None,
    )
    refusals_differ = set(work.problems) != work.known.rejected
    changed = bool(accepted or moved or removed) or bool(held) != work.known.held or refusals_differ or work.dashboards.changed
    flows = len(work.mine) + sum(1 for each in accepted if (each.namespace, each.flow_id) not in work.mine) - len(removed)
    return Reading(deployment=deployment, changed=changed, flows=flows, ignored=tuple(work.ignored))


def _revision(work: _Work, claim: Claim, before: KnownFlow | None) -> FlowRevision:
    current = work.known.current.get(claim.key)
    number = 1
    if before is not None:
        same = not before.deleted and current is not None and current.text == claim.text and _texts(current.templates) == _texts(
            map(as_stored, claim.templates)
        )
        number = before.revision if same else before.revision + 1
    return FlowRevision(
        namespace=claim.key[0], flow_id=claim.key[1], revision=number, source=work.source.name, commit=work.commit, path=claim.path,
        blob=claim.blob, text=claim.text, parse=lambda: claim.flow, deployed_at=work.at, defaults=claim.defaults,
        templates=[as_stored(each) for each in claim.templates],
    )


def _texts(templates: Iterable[Mapping[str, str]]) -> list[tuple[str, str, str]]:
    return [(each["namespace"], each["id"], each["text"]) for each in templates]


def _around_kept(work: _Work, claim: Claim) -> bool:
    current = work.known.current.get(claim.key)
    if current is None:
        return False
    return list(current.defaults) == list(claim.defaults) and list(current.templates) == [as_stored(each) for each in claim.templates]


def _held(vanished: Sequence[KnownFlow], flows: int) -> str | None:
    if len(vanished) < HELD_FLOWS_MIN or len(vanished) * 2 <= flows:
        return None
    names = sorted(f"{flow.namespace}.{flow.flow_id}" for flow in vanished)
    shown = ", ".join([*names[:5], "…"] if len(names) > 5 else names)
    return f"{len(vanished)} of {flows} flows would be removed ({shown}); they run on until this is confirmed"
