"""`podium hook …`: what the Git hooks of `podium init` call. Exit code 4 refuses, 0 lets pass; anything else means it could not work.

pre-receive runs in the repository that is pushed to, while the pushed objects are in quarantine; post-receive after they are in;
pre-commit in a person's clone. What always holds: a push is refused only for what is wrong in it, never for trouble of our own.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING

import click

from podium.cli.local.plan import complain, describe
from podium.cli.main import EXIT_REFUSED

if TYPE_CHECKING:
    from podium.git.repo import Repository

NOWHERE = "0" * 40
DAEMON_TIMEOUT_S = 2.0
_FILES_MAX = 5_000


@dataclass(frozen=True, slots=True)
class Update:
    """One line of a receive hook. old, new: commit ids, all zeros for a ref that is made or deleted."""

    old: str
    new: str
    ref: str


@click.group()
def hook() -> None:
    """What the Git hooks call."""


@hook.command("pre-receive")
def pre_receive() -> None:
    """Refuse a push whose flows are wrong or that rewrites the results branch. Says what it changes."""
    from podium.git.repo import Repository

    refused = False
    with Repository.open(_here(), quarantine=os.environ) as repository:
        branch, folder, results = _settings(repository)
        for update in _updates(sys.stdin):
            is_period = update.ref.startswith(f"refs/heads/{results}/")
            if is_period or update.ref == f"refs/heads/{results}":
                refused |= not _results_may(repository, update, is_period=is_period)
            elif update.ref == f"refs/heads/{branch}":
                refused |= not _flows_may(repository, update, folder)
    if refused:
        sys.exit(EXIT_REFUSED)


@hook.command("post-receive")
def post_receive() -> None:
    """Tell the daemon of a push. Takes at most 2 s, and never fails."""
    from podium.git.repo import Repository

    updates = list(_updates(sys.stdin))
    with Repository.open(_here()) as repository:
        branch, _, _ = _settings(repository)
        path, source = repository.config("podium.socket"), repository.config("podium.source") or "main"
    if not any(update.ref == f"refs/heads/{branch}" for update in updates):
        return
    if not path:
        _say("the daemon's socket is not known here (git config podium.socket), so it finds this push when it looks by itself")
        return
    try:
        status, body = _call(path, source)
    except (OSError, HTTPException, ValueError) as error:
        _say(f"the daemon does not answer ({error or type(error).__name__}); it finds this push when it looks by itself")
        return
    for line in _news(status, body, source):
        _say(line)


@hook.command("pre-commit")
def pre_commit() -> None:
    """Refuse a commit whose flows are wrong. Looks at what is staged."""
    from podium.app.plugins import load_types
    from podium.git.repo import Repository
    from podium.sources.reading.compare import check_files
    from podium.sources.reading.dashboards import is_dashboard_path
    from podium.sources.reading.templates import is_template_path
    from podium.sources.reading.tree import is_flow_path, project_path

    with Repository.open(_here()) as repository:
        _, folder, _ = _settings(repository)
        staged = _staged(repository)
        names = [
            name for name in staged
            if is_flow_path(name, folder) or is_template_path(name, folder) or is_dashboard_path(name, folder) or name == project_path(folder)
        ]
        if not names:
            return
        head = repository.resolve("HEAD")
        templates = [name for name in repository.files(head, folder) if is_template_path(name, folder)] if head else []
        wanted = dict.fromkeys([*names[:_FILES_MAX], project_path(folder), *templates[:_FILES_MAX]])
        bodies = {name: body for name in wanted if (body := _staged_body(repository, name)) is not None}
    problems = check_files(bodies, folder=folder, types=load_types())
    for line in complain(problems):
        _say(line)
    if problems:
        _say("the commit is refused; mend the flows, or commit with --no-verify")
        sys.exit(EXIT_REFUSED)


# ---- deciding


def _results_may(repository: Repository, update: Update, *, is_period: bool) -> bool:
    """Whether an update of a results branch only adds to it, or gives it up where that is meant: a closed period, or a renamed branch."""
    name = update.ref.removeprefix("refs/heads/")
    if update.new == NOWHERE:
        kept = any(repository.is_ancestor(update.old, tip) for ref, tip in repository.refs("refs/").items() if ref != update.ref)
        if is_period or kept:
            return True
        _say(f"refused: '{name}' holds the records of executions, and no other ref of the repository has them")
        _say("    hint: rename it to results/<period> first (podium results rotate), or delete it in the repository itself")
        return False
    if update.old != NOWHERE and not repository.is_ancestor(update.old, update.new):
        _say(f"refused: this push would rewrite '{name}', which holds the records of executions; commits may only be added")
        _say(f"    hint: git fetch && git rebase origin/{name}, then push again without --force")
        return False
    return True


def _flows_may(repository: Repository, update: Update, folder: str) -> bool:
    """Whether the flows of a push are right. Says what is wrong, or what changes."""
    from podium.app.plugins import load_types
    from podium.app.settings import load_settings
    from podium.base.errors import LimitError, SettingsError
    from podium.base.system.clock import SystemClock
    from podium.base.system.zone import zone_of
    from podium.sources.reading.compare import compare_commits

    if update.new == NOWHERE:
        _say("this deletes the branch that flows are deployed from; what is deployed runs on")
        return True
    types = load_types()
    for name, reason in types.broken:
        _say(f"warning: the plug-in '{name}' cannot be loaded here, its types are unknown: {reason}")
    try:
        comparison = compare_commits(
            repository, None if update.old == NOWHERE else update.old, update.new, folder=folder, types=types
        )
    except LimitError as error:
        _say(f"refused: {error.what}")
        _say(f"    hint: {error.hint}")
        return False
    try:
        zone = zone_of(load_settings().timezone)
    except SettingsError:
        zone = zone_of("")  # the settings are the daemon's; here they only matter for how dates are shown
    if comparison.problems:
        for line in complain(comparison.problems):
            _say(line)
        _say(f"refused: {len(comparison.problems)} mistake{'s' if len(comparison.problems) != 1 else ''}; mend them, or see: podium validate .")
        return False
    for line in describe(comparison, SystemClock().now(), zone):
        _say(line)
    return True


# ---- talking to git


def _here() -> Path:
    """The repository a hook runs in: git sets GIT_DIR, or the current directory is in it."""
    return Path(os.environ.get("GIT_DIR") or ".").resolve()


def _settings(repository: Repository) -> tuple[str, str, str]:
    """Branch of the flows, folder of the flow files, results branch: from git's configuration, as `podium init` writes it."""
    folder = (repository.config("podium.path") or ".").strip("/") or "."
    return repository.config("podium.branch") or "main", folder, repository.config("podium.results") or "results"


def _updates(lines: Iterable[str]) -> Iterable[Update]:
    for line in lines:
        words = line.rstrip("\n").split(" ", 2)
        if len(words) == 3:
            yield Update(*words)


def _index() -> Mapping[str, str]:
    """The index that a commit is being made from, which need not be the repository's own (git commit -a, git commit FILE)."""
    return {"GIT_INDEX_FILE": str(Path(os.environ["GIT_INDEX_FILE"]).resolve())} if os.environ.get("GIT_INDEX_FILE") else {}


def _staged(repository: Repository) -> list[str]:
    from podium.git import process
    from podium.git.repo import EMPTY_TREE

    base = repository.resolve("HEAD") or EMPTY_TREE
    out = process.check(
        ["diff-index", "--cached", "--name-only", "--diff-filter=ACMRT", "--no-renames", "-z", base], git_dir=repository.git_dir, env=_index()
    )
    return [name for name in out.decode("utf-8", "surrogateescape").split("\0") if name]


def _staged_body(repository: Repository, name: str) -> bytes | None:
    from podium.git import process

    done = process.run(["cat-file", "blob", f":0:{name}"], git_dir=repository.git_dir, env=_index())
    return done.stdout if done.code == 0 else None


# ---- talking to the daemon and to people


class _UnixConnection(HTTPConnection):
    """HTTP over the daemon's socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=DAEMON_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        """Connect; a path longer than the system allows for sockets is reached through its open folder."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(DAEMON_TIMEOUT_S)
        folder = os.open(Path(self._path).parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            short = f"/proc/self/fd/{folder}/{Path(self._path).name}"
            self.sock.connect(short if Path("/proc/self/fd").exists() else self._path)
        finally:
            os.close(folder)


def _call(path: str, source: str) -> tuple[int, object]:
    connection = _UnixConnection(path)
    try:
        connection.request("POST", f"/api/v1/hooks/{source}", body=b"", headers={"Content-Type": "application/json"})
        answer = connection.getresponse()
        raw = answer.read(1_000_000)
        return answer.status, json.loads(raw) if raw else None
    finally:
        connection.close()


def _news(status: int, body: object, source: str) -> list[str]:
    """What the daemon says, for the person who pushed."""
    facts = body if isinstance(body, dict) else {}
    if status == 404:
        return [f"the daemon has no source '{source}'; set its name with: git config podium.source NAME"]
    if status >= 400:
        return [f"the daemon does not take it: {facts.get('message') or status}"]
    if facts.get("error"):
        return [f"the daemon cannot read the repository: {facts['error']}", *([f"    hint: {facts['hint']}"] if facts.get("hint") else [])]
    if status == 200 and facts.get("commit"):
        lines = [f"deployed {str(facts['commit'])[:10]}: {_count(facts.get('flows', 0), 'flow')}"]
        if facts.get("rejected"):
            lines.append(f"{_count(facts['rejected'], 'file')} refused, see: podium flows rejected")
        if facts.get("held"):
            lines.append(f"held back: {facts['held']}")
        return lines
    return ["the daemon is looking for new commits"]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _say(line: str) -> None:
    click.echo(f"podium: {line}", err=True)
