"""What a commit holds, what changed between two, and who made it. Called by repo.py.

Commits are read by GitPython; lists of paths come from git's `-z` output, one process for a whole tree.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from podium.git import process
from podium.git.commits import LINK, SUBMODULE

_LINK_STEPS_MAX = 10
_COMMITS_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeEntry:
    """One entry of a commit's tree. kind: file, link or submodule. size: bytes (0 for a submodule). executable: of a file."""

    path: str
    kind: str
    blob: str
    size: int
    executable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsupported:
    """Something in a tree that Podium does not read. kind: submodule or lfs."""

    path: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitInfo:
    """A commit. at: when it was committed, aware, UTC."""

    id: str
    parents: tuple[str, ...]
    author: str
    email: str
    at: datetime
    subject: str
    message: str

    @property
    def trailers(self) -> Mapping[str, str]:
        """The `Key: value` lines of the last paragraph; of a repeated key the last counts."""
        last = self.message.rstrip().split("\n\n")[-1].splitlines()
        pairs = [line.split(":", 1) for line in last if ":" in line]
        return {key.strip(): value.strip() for key, value in pairs if " " not in key.strip()}


def tree(git_dir: Path, commit: str, path: str, *, env: Mapping[str, str] | None) -> list[TreeEntry]:
    """Everything below `path`, recursively."""
    below = [] if path in (".", "") else ["--", path.rstrip("/")]
    out = process.check(["--literal-pathspecs", "ls-tree", "-r", "-l", "-z", "--full-tree", commit, *below], git_dir=git_dir, env=env)
    return [_entry(line) for line in out.decode("utf-8", "surrogateescape").split("\0") if line]


def paths(git_dir: Path, commit: str, path: str, *, env: Mapping[str, str] | None) -> Iterator[tuple[str, str]]:
    """(path, object id) of everything below `path`, recursively, as git finds it."""
    below = [] if path in (".", "") else [path.rstrip("/")]
    command = ["ls-tree", "-r", "-z", "--full-tree", commit, "--", *below]
    for line in process.pieces(["--literal-pathspecs", *command], git_dir=git_dir, env=env):
        facts, _, name = line.partition(b"\t")
        yield name.decode("utf-8", "surrogateescape"), facts[-40:].decode()


def _entry(line: str) -> TreeEntry:
    facts, _, path = line.partition("\t")
    mode, _, blob, size = facts.split()
    kind = "link" if mode == LINK else "submodule" if mode == SUBMODULE else "file"
    return TreeEntry(path=path, kind=kind, blob=blob, size=0 if size == "-" else int(size), executable=mode == "100755")


def files(entries: Iterable[TreeEntry], everything: Iterable[TreeEntry] | None, read: Callable[[str], bytes]) -> dict[str, str]:
    """Path → blob, links followed inside the commit. everything: the whole tree when `entries` is a part of it."""
    entries = list(entries)
    plain = {entry.path: entry.blob for entry in entries if entry.kind == "file"}
    links = [entry for entry in entries if entry.kind == "link"]
    if links:
        known = {entry.path: entry for entry in (everything if everything is not None else entries)}
        for link in links:
            blob = _follow(link, known, read)
            if blob is not None:
                plain[link.path] = blob
    return dict(sorted(plain.items()))


def _follow(link: TreeEntry, known: Mapping[str, TreeEntry], read: Callable[[str], bytes]) -> str | None:
    entry: TreeEntry | None = link
    for _ in range(_LINK_STEPS_MAX):
        if entry is None or entry.kind != "link":
            break
        target = read(entry.blob).decode("utf-8", "surrogateescape")
        if target.startswith("/"):
            return None
        entry = known.get(posixpath.normpath(posixpath.join(posixpath.dirname(entry.path), target)))
    return entry.blob if entry is not None and entry.kind == "file" else None


def changed(git_dir: Path, old: str, new: str, path: str, *, env: Mapping[str, str] | None) -> list[tuple[str, str, str]]:
    """(status, path, blob) of the files that differ. A changed type (file to link) counts as M."""
    below = [] if path in (".", "") else ["--", path.rstrip("/")]
    out = process.check(
        ["--literal-pathspecs", "diff-tree", "-r", "-z", "--no-renames", "--no-commit-id", "--end-of-options", old, new, *below],
        git_dir=git_dir,
        env=env,
    )
    words = out.decode("utf-8", "surrogateescape").split("\0")
    return [_change(facts, name) for facts, name in zip(words[0::2], words[1::2], strict=False)]


def changes_of(git_dir: Path, commits: list[str]) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """For each commit what it changed against its (first) parent, as `changed` gives it."""
    command = ["diff-tree", "--stdin", "-r", "-z", "--root", "--no-renames", "--diff-merges=first-parent"]
    for start in range(0, len(commits), _COMMITS_AT_ONCE):
        chunk = commits[start : start + _COMMITS_AT_ONCE]
        out = process.check(command, git_dir=git_dir, stdin="".join(f"{commit}\n" for commit in chunk).encode())
        found: dict[str, list[tuple[str, str, str]]] = {commit: [] for commit in chunk}
        words = iter(out.decode("utf-8", "surrogateescape").split("\0"))
        current = ""
        for word in words:
            if word.startswith(":"):
                found[current].append(_change(word, next(words)))
            else:
                current = word or current
        yield from found.items()


def _change(facts: str, path: str) -> tuple[str, str, str]:
    _, _, before, after, status = facts.split(" ")
    return "M" if status == "T" else status[0], path, before if status == "D" else after


def log(git_dir: Path, commit: str, *, limit: int, path: str | None) -> list[CommitInfo]:
    """The newest commits from `commit` on, newest first."""
    import git  # heavy: 60 ms

    repository = git.Repo(git_dir, odbt=git.GitCmdObjectDB)
    try:
        # GitPython passes our environment on; a hook's must not decide which repository is read.
        ours = {"GIT_DIR": str(git_dir), "GIT_OBJECT_DIRECTORY": str(git_dir / "objects"), "GIT_ALTERNATE_OBJECT_DIRECTORIES": ""}
        repository.git.update_environment(**ours)
        return [_info(found) for found in repository.iter_commits(commit, paths=path or "", max_count=limit)]
    finally:
        repository.close()


def commit_before(git_dir: Path, tip: str, at: datetime) -> str | None:
    """The newest commit from `tip` on that was committed before that moment, or None."""
    out = process.check(["rev-list", "--max-count=1", "--first-parent", f"--before={int(at.timestamp())}", tip], git_dir=git_dir)
    return out.decode().strip() or None


def _info(found: object) -> CommitInfo:
    from git.objects import Commit

    assert isinstance(found, Commit)
    message = found.message if isinstance(found.message, str) else found.message.decode("utf-8", "replace")
    return CommitInfo(
        id=found.hexsha,
        parents=tuple(parent.hexsha for parent in found.parents),
        author=found.author.name or "",
        email=found.author.email or "",
        at=datetime.fromtimestamp(found.committed_date, UTC),
        subject=message.partition("\n")[0],
        message=message,
    )
