"""The dashboards of a source: `dashboards/**/*.yaml` of its folder. Read with every commit that is deployed, checked or compared.

What always holds: a bad dashboard never stops a flow or another dashboard, and its last good text stays; a name belongs to one file of one source.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from podium.base.errors import LimitError
from podium.base.limits import DASHBOARD_FILES_MAX
from podium.base.system.log import get_logger
from podium.flows.dashboards.load import ParsedDashboard, parse_dashboard
from podium.flows.load import Problem
from podium.git.repo import Repository
from podium.sources.reading.tree import decode, is_text_name, is_yaml_in

log = get_logger(__name__)
FOLDER = "dashboards"
_KEY = re.compile(r"""^(?:["']?(?:title|charts|timeWindow)["']?\s*:|\{.*["']?(?:title|charts|timeWindow)["']?\s*:)""", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Dashboards:
    """stored: what is to be kept, {id, source, path, blob, commit, text}. refused: path → its blob and problems.

    changed: since they were read last.
    """

    stored: tuple[dict[str, Any], ...] = ()
    refused: Mapping[str, tuple[str, Sequence[Problem]]] = field(default_factory=dict)
    changed: bool = False


def is_dashboard_path(path: str, folder: str = ".", *, anywhere: bool = False) -> bool:
    """Whether `path` (in the repository) is a dashboard of a source whose folder is `folder`. anywhere: of whatever folder."""
    return is_yaml_in(path, folder, FOLDER, anywhere=anywhere, hidden=(".", "_"))


def looks_like_dashboard(body: bytes | str) -> bool:
    """Whether a file is meant as a dashboard: it has one of the keys title, charts, timeWindow at its top. Others are data of somebody else."""
    return _KEY.search(body if isinstance(body, str) else body.decode("utf-8-sig", "replace")) is not None


def read_dashboards(
    repository: Repository, commit: str, folder: str, *, source: str, known: Sequence[Mapping[str, Any]]
) -> Dashboards:
    """The dashboards of a commit. known: as deployed, of all sources. Raises GitError, LimitError when there are too many."""
    place = FOLDER if folder == "." else f"{folder}/{FOLDER}"
    files: dict[str, str] = {}
    if FOLDER in repository.folder(commit, folder):
        found = repository.files(commit, place).items()
        files = {path: blob for path, blob in found if is_dashboard_path(path, folder) and is_text_name(path)}
    if len(files) > DASHBOARD_FILES_MAX:
        hint = "remove some, or split the repository"
        raise LimitError(f"{len(files)} dashboards, more than {DASHBOARD_FILES_MAX}", hint=hint, limit="DASHBOARD_FILES_MAX")
    mine = {str(each["path"]): each for each in known if each["source"] == source}
    reader = _Reader(source, commit, mine, {str(each["id"]): each for each in known if each["source"] != source})
    for path, blob in sorted(files.items(), key=lambda each: (mine.get(each[0], {}).get("blob") != each[1], each[0])):
        reader.take(path, blob, lambda blob=blob: _read(repository, blob))
    stored = tuple(reader.stored[path] for path in sorted(reader.stored))
    changed = {each["path"]: each["blob"] for each in stored} != {path: each["blob"] for path, each in mine.items()}
    return Dashboards(stored, reader.refused, changed)


def _read(repository: Repository, blob: str) -> bytes | str:
    try:
        return repository.read(blob)
    except LimitError as error:
        return error.what


class _Reader:
    """Collects dashboards, file by file; those that are as they were come first."""

    def __init__(self, source: str, commit: str, mine: Mapping[str, Mapping[str, Any]], others: Mapping[str, Mapping[str, Any]]) -> None:
        self._source = source
        self._commit = commit
        self._mine = mine
        self._others = others
        self._holders: dict[str, str] = {}
        self.stored: dict[str, dict[str, Any]] = {}
        self.refused: dict[str, tuple[str, Sequence[Problem]]] = {}

    def take(self, path: str, blob: str, read: Any) -> None:
        """One file."""
        known = self._mine.get(path)
        if known is not None and known["blob"] == blob and known["id"] not in self._others:
            self._keep(path, dict(known))
            return
        body = read()
        if isinstance(body, bytes) and not looks_like_dashboard(body):
            return
        parsed, text = parse_file(body, path)
        problems = list(parsed.problems)
        holder, other = self._holders.get(parsed.id), self._others.get(parsed.id)
        if not problems and (holder is not None or other is not None):
            where = holder or f"{other['path']} of source '{other['source']}'"  # type: ignore[index]  # one of them is there
            problems = [parsed.problem("duplicate-dashboard", f"the dashboard '{parsed.id}' is also in {where}", "give each an id of its own")]
        if problems:
            self.refused[path] = (blob, problems)
            if known is not None and known["id"] not in self._holders:
                self._keep(path, dict(known))
            return
        self._keep(path, {"id": parsed.id, "source": self._source, "path": path, "blob": blob, "commit": self._commit, "text": text})

    def _keep(self, path: str, document: dict[str, Any]) -> None:
        self._holders.setdefault(str(document["id"]), path)
        self.stored[path] = document


def parse_file(body: bytes | str, path: str) -> tuple[ParsedDashboard, str]:
    """A dashboard and its text, from the content of a file or why it cannot be read. Its name is that of the file unless it says another."""
    name = PurePosixPath(path).stem
    try:
        if isinstance(body, str):
            raise ValueError(body)
        text = decode(body)
    except ValueError as error:
        problem = Problem(
            file=path, line=1, column=1, path="", code="file-unreadable", message=str(error), hint="commit the file itself, as UTF-8 text",
        )
        return ParsedDashboard(file=path, id=name, line=1, dashboard=None, problems=(problem,)), ""
    try:
        return parse_dashboard(text, file=path, name=name), text
    except Exception as error:  # a mistake of ours with one file must not hide the others
        log.exception("dashboard_crashed", path=path)
        what = f"the file cannot be checked ({type(error).__name__}); this is a mistake in Podium"
        problem = Problem(file=path, line=1, column=1, path="", code="internal", message=what, hint="see the daemon's log")
        return ParsedDashboard(file=path, id=name, line=1, dashboard=None, problems=(problem,)), text


def problems_of(bodies: Mapping[str, bytes | None], folder: str) -> Iterable[Problem]:
    """What is wrong with those of these files that are dashboards, each by itself and among them."""
    holders: dict[str, str] = {}
    for path, body in sorted(bodies.items()):
        if body is None or not is_dashboard_path(path, folder) or not looks_like_dashboard(body):
            continue
        parsed, _ = parse_file(body, path)
        yield from parsed.problems
        if not parsed.problems and parsed.id in holders:
            what = f"the dashboard '{parsed.id}' is also in {holders[parsed.id]}"
            yield parsed.problem("duplicate-dashboard", what, "give each an id of its own")
        holders.setdefault(parsed.id, path)
