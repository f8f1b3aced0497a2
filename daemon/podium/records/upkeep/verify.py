"""Checks a results branch: that it is whole, that nobody changed it afterwards, and that what it says fits together. Blocking.

Called by `podium results verify`. What is looked at: every object (fsck); every commit (one parent, trailers that count right,
records only ever added, a signature if keys are given); every record (schema, path, no second one of the same number); that a
period names the one before as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from podium.base.errors import GitError
from podium.git.repo import CommitInfo, Repository
from podium.records import record
from podium.records.layout import EXECUTIONS, Place, agrees, parse
from podium.records.message import EXECUTIONS_TRAILER, INSTANCE_TRAILER, PREVIOUS_TRAILER
from podium.records.read import ResultsReader, bodies_of

_LOG_MAX = 10_000_000
OnStep = Callable[[str, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that is wrong. where: a commit, or branch:path."""

    where: str
    what: str


@dataclass(slots=True, kw_only=True)
class Report:
    """What was checked and what is wrong. foreign: commits that are not Podium's and touch no record: allowed, but told."""

    branches: list[str] = field(default_factory=list)
    commits: int = 0
    records: int = 0
    foreign: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


def verify(
    repository: Repository, *, branch: str = "results", allowed_signers: Path | None = None, objects: bool = True, on_step: OnStep | None = None
) -> Report:
    """Check the branch, or all its periods. allowed_signers: demand a signature of one of these keys on every commit of Podium's.

    on_step: told what is checked, and how many so far. What is held in memory does not grow with the records.
    """
    report = Report()
    tell = on_step or (lambda _what, _count: None)
    if objects:
        tell("objects", 0)
        try:
            repository.fsck()
        except GitError as error:
            report.findings.append(Finding(where=str(repository.git_dir), what=error.what))
            return report
    tips = dict(reversed(ResultsReader(repository, branch=branch).tips()))
    for name, tip in tips.items():
        report.branches.append(name)
        _check_commits(repository, name, tips, report, allowed_signers=allowed_signers, tell=tell)
        _check_records(repository, name, tip, report, tell=tell)
    return report


def _check_commits(
    repository: Repository, name: str, tips: dict[str, str], report: Report, *, allowed_signers: Path | None, tell: OnStep
) -> None:
    commits = repository.log(tips[name], limit=_LOG_MAX)
    commits.reverse()
    for commit, (_, changes) in zip(commits, repository.changes_of([commit.id for commit in commits]), strict=True):
        report.commits += 1
        tell("commits", report.commits)
        report.findings += [Finding(where=commit.id, what=what) for what in _wrong_with(commit, changes, report)]
        ours = INSTANCE_TRAILER in commit.trailers
        if ours and allowed_signers and not repository.check_signature(commit.id, allowed_signers):
            report.findings.append(Finding(where=commit.id, what="no signature of an allowed key"))
        if previous := commit.trailers.get(PREVIOUS_TRAILER):
            other, recorded, *_ = [*previous.split(), "", ""]
            if other in tips and tips[other] != recorded:
                report.findings.append(Finding(where=name, what=f"continues {other} at {recorded}, which is now at {tips[other]}"))


def _wrong_with(commit: CommitInfo, changes: list[tuple[str, str, str]], report: Report) -> Iterator[str]:
    places = [(status, place) for status, path, _ in changes if (place := parse(path))]
    for status, place in places:
        if status != "A":
            yield f"{'changes' if status == 'M' else 'removes'} {place.path}, which must never change"
    if len(commit.parents) > 1:
        yield "is a merge: the history must be a line"
    if INSTANCE_TRAILER not in commit.trailers:
        report.foreign.append(commit.id)
        if places:
            yield "adds records but is not Podium's (no trailers)"
        return
    added = len({place.execution_id for status, place in places if status == "A" and place.kind == "json"})
    said = commit.trailers.get(EXECUTIONS_TRAILER, "")
    if said != str(added):
        yield f"says it has {said or 'no number of'} executions and has {added}"


def _check_records(repository: Repository, name: str, tip: str, report: Report, *, tell: OnStep) -> None:
    for (place, _), body in bodies_of(repository, _placed(repository, name, tip, report), lambda item: item[1]):
        report.records += 1
        tell("records", report.records)
        what = _wrong_with_record(place, body)
        if what:
            report.findings.append(Finding(where=f"{name}:{place.path}", what=what))


def _placed(repository: Repository, name: str, tip: str, report: Report) -> Iterator[tuple[Place, str]]:
    """The records and their blobs; whatever lies wrong is told."""
    seen: dict[tuple[str, int, str], str] = {}
    folder = ""
    for path, blob in repository.paths(tip, EXECUTIONS):
        place = parse(path)
        if place is not None and place.folder != folder:
            # A second one in another folder lies in the wrong hour, or is the record of another flow: both are found.
            folder, seen = place.folder, {}
        what = _wrong_with_path(path, place, seen)
        if what:
            report.findings.append(Finding(where=f"{name}:{path}", what=what))
        if place is not None and place.kind == "json":
            yield place, blob


def _wrong_with_path(path: str, place: Place | None, seen: dict[tuple[str, int, str], str]) -> str | None:
    if place is None:
        return "does not belong in executions/"
    if not agrees(place):
        return "lies in another hour than its id says"
    key = (place.execution_id, place.amend, place.kind)
    if key in seen:
        return f"is there twice: also {seen[key]}"
    seen[key] = path
    return None


def _wrong_with_record(place: Place, body: bytes) -> str | None:
    try:
        execution = record.check(body).execution
    except ValueError as error:
        return f"is no record: {error}"
    said = (execution.id, execution.namespace, execution.flowId)
    if said != (place.execution_id, place.namespace, place.flow_id):
        return f"is the record of {' '.join(said)}"
    return None
