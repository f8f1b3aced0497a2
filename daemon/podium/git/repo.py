"""A Git repository: the face of this room, the only one that talks to git. Blocking; callers use `asyncio.to_thread`. Safe between threads.

Repositories of our own (init_bare, mirror) have durable refs, no automatic housekeeping, and are cleared at opening of what a
killed process left. Every failure is a GitError whose fact `reason` says which.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Self

from podium.base.errors import GitError
from podium.git import history, mirror, process, remote
from podium.git.batch import ObjectReader, RefUpdater
from podium.git.commits import FOLDER, Blob, Changes, Content, Draft, TreeEditor, moved, parse_tree, write_commit
from podium.git.credentials import Credentials
from podium.git.history import CommitInfo, TreeEntry, Unsupported
from podium.git.mirror import Ownership
from podium.git.objects import PODIUM, Identity, PackWriter

__all__ = ["PODIUM", "CommitInfo", "Content", "Credentials", "Identity", "Repository", "TreeEntry", "Unsupported"]

NOWHERE = "0" * 40
EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
EVERYTHING = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
_PINS = "refs/podium/pins/"
_QUARANTINE = ("GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_QUARANTINE_PATH")
_FSCK_TIMEOUT_S = 3_600.0
_FOLD_TIMEOUT_S = 1_800.0
_LFS_POINTER = b"version https://git-lfs.github.com/spec/v1"
_LFS_BYTES_MAX = 1_024
_PACKS_MAX = 200
_OBJECTS_A_PACK = 20_000


class Repository:
    """One repository on this machine. Make it with init_bare, mirror or open; close it when done."""

    def __init__(self, git_dir: Path, *, ownership: Ownership | None = None, env: dict[str, str] | None = None) -> None:
        self.git_dir = git_dir
        self._ownership = ownership
        self._env = env
        self._objects = ObjectReader(git_dir, env=env, keep_open=self._held)
        self._refs = RefUpdater(git_dir, keep_open=self._held)
        self._trees = TreeEditor(self.read)
        self._writing = threading.Lock()
        self._commit_trees: dict[str, str] = {}

    # ---- making and closing

    @classmethod
    def init_bare(cls, path: Path) -> Self:
        """The bare repository of our own at `path`, made if it is not there."""
        if not (path / "HEAD").is_file():
            mirror.create(path)
        return cls._own(path)

    @classmethod
    def open(cls, path: Path, *, quarantine: Mapping[str, str] | None = None) -> Self:
        """A repository that belongs to somebody else: bare, a work tree's root, or a folder inside one.

        quarantine: the environment of a pre-receive hook, whose pushed objects are then visible.
        Raises GitError (no-repository, ownership).
        """
        if not path.is_dir():
            raise GitError(f"there is no Git repository at {path}", hint="check the path", reason="no-repository", repository=str(path))
        done = process.run(["-C", str(path.absolute()), "rev-parse", "--absolute-git-dir"])
        if done.code != 0:
            raise process.failed("rev-parse", done, path)
        env = {key: quarantine[key] for key in _QUARANTINE if key in quarantine} if quarantine else None
        return cls(Path(os.fsdecode(done.stdout.removesuffix(b"\n"))), env=env)

    @classmethod
    def mirror(
        cls,
        path: Path,
        url: str,
        *,
        credentials: Credentials | None = None,
        refspecs: Sequence[str] = EVERYTHING,
        timeout_s: float = 10 * remote.NETWORK_TIMEOUT_S,
    ) -> Self:
        """A bare copy of `url` at `path`: opened if it is there and sound (nothing is fetched then), else cloned anew.

        refspecs: what to clone; name the one branch you need (`+refs/heads/main:refs/heads/main`), a results branch is large.
        """
        mirror.ensure(path, url, refspecs=refspecs, credentials=credentials, timeout_s=timeout_s)
        return cls._own(path)

    @classmethod
    def _own(cls, path: Path) -> Self:
        ownership = Ownership(path)
        mirror.settle(path)
        return cls(path, ownership=ownership)

    def close(self) -> None:
        """End the children and give the repository back."""
        self._objects.close()
        self._refs.close()
        if self._ownership:
            self._ownership.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- other repositories

    def fetch(
        self,
        url: str,
        *,
        refspecs: Sequence[str],
        credentials: Credentials | None = None,
        timeout_s: float = remote.NETWORK_TIMEOUT_S,
        prune: bool = False,
    ) -> None:
        """Bring refs and what they need here. Raises GitRefused (branch-gone, auth, no-repository), GitError (unreachable, timeout)."""
        held = self._held()
        remote.fetch(self.git_dir, url, refspecs=refspecs, credentials=credentials, timeout_s=timeout_s, prune=prune, keep_open=held)

    def push(
        self, url: str, refspec: str, *, credentials: Credentials | None = None, timeout_s: float = remote.NETWORK_TIMEOUT_S,
        expected: str | None = None,
    ) -> None:
        """Send `source:destination`, never by force. To a path without a search for deltas.

        expected: what the destination must be at ("" = not there), an ancestor of what is sent.
        Raises GitMoved (fetch first), GitRefused (hook, auth), GitError (unreachable, timeout).
        """
        leases = {refspec.partition(":")[2]: expected} if expected is not None else None
        remote.push(self.git_dir, url, [refspec], credentials=credentials, timeout_s=timeout_s, keep_open=self._held(), leases=leases)

    def remote_heads(self, url: str, *patterns: str, credentials: Credentials | None = None, timeout_s: float = 120.0) -> Mapping[str, str]:
        """Ref → commit id at the remote, of refs that match, without fetching."""
        return remote.heads(url, credentials=credentials, timeout_s=timeout_s, patterns=patterns, git_dir=self.git_dir)

    # ---- reading

    def resolve(self, revision: str) -> str | None:
        """The full id of the commit that `revision` (branch, tag, abbreviated id) names, or None."""
        if revision.startswith("-"):
            return None
        command = ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"]
        done = process.run(command, git_dir=self.git_dir, env=self._env, keep_open=self._held())
        words = done.stdout.decode().split()  # git before 2.41 echoes `--end-of-options`
        return words[-1] if done.code == 0 and words else None

    def refs(self, prefix: str) -> dict[str, str]:
        """Ref → object id of every ref below `prefix`, such as `refs/heads/`."""
        out = process.check(["for-each-ref", "--format=%(refname) %(objectname)", prefix], git_dir=self.git_dir, env=self._env)
        return dict(line.rsplit(" ", 1) for line in out.decode("utf-8", "surrogateescape").splitlines())

    def tree(self, commit: str, path: str = ".") -> list[TreeEntry]:
        """All files, links and submodules below `path` in that commit, sorted by path (from the root). Empty if `path` is not there."""
        return history.tree(self.git_dir, commit, path, env=self._env)

    def paths(self, commit: str, path: str = ".") -> Iterator[tuple[str, str]]:
        """(path, object id) of everything below `path`, sorted by path; faster than `tree` where there is much."""
        return history.paths(self.git_dir, commit, path, env=self._env)

    def files(self, commit: str, path: str = ".") -> dict[str, str]:
        """Path (from the root) → blob id of every file below `path`.

        A link counts as the file of the same commit it leads to, else it is left out. Submodules are not in it: see `unsupported`.
        """
        return history.files(self.tree(commit, path), self.tree(commit) if path not in (".", "") else None, self.read)

    def unsupported(self, commit: str, path: str = ".") -> list[Unsupported]:
        """Submodules and Git LFS pointers below `path`."""
        entries = self.tree(commit, path)
        found = [Unsupported(path=entry.path, kind="submodule") for entry in entries if entry.kind == "submodule"]
        small = {entry.blob: entry.path for entry in entries if entry.kind == "file" and 0 < entry.size <= _LFS_BYTES_MAX}
        for blob, body in self.read_many(list(small)):
            if body.startswith(_LFS_POINTER):
                found.append(Unsupported(path=small[blob], kind="lfs"))
        return sorted(found, key=lambda item: item.path)

    def refuse_unsupported(self, commit: str, path: str = ".") -> None:
        """Raises GitError naming the first submodule or LFS pointer below `path`."""
        for item in self.unsupported(commit, path):
            what = "a Git submodule" if item.kind == "submodule" else "a Git LFS pointer"
            raise GitError(
                f"{item.path} is {what}, which Podium does not read",
                reason="unsupported",
                path=item.path,
                kind=item.kind,
                hint="commit the files themselves, or keep large files in storage outside Git",
            )

    def read(self, blob: str) -> bytes:
        """The content of a blob. Raises GitError (missing-object), LimitError."""
        found = self._objects.read(blob)
        if found is None:
            raise GitError(
                f"object {blob} is not in {self.git_dir}", hint="check the repository with: git fsck", reason="missing-object", object=blob
            )
        return found[1]

    def has(self, name: str) -> bool:
        """Whether an object of that id is here."""
        return self._objects.read(name) is not None

    def read_many(self, blobs: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """(id, content) of many objects, in order, fast. Raises GitError at the first that is missing."""
        return self._objects.many(blobs)

    def read_path(self, commit: str, path: str) -> bytes | None:
        """The content of the file at `path` in that commit; None when there is none (or it is a folder)."""
        found = self._objects.read(f"{commit}:{path}")
        return found[1] if found and found[0] == "blob" else None

    def folder(self, commit: str, path: str) -> dict[str, tuple[str, str]]:
        """Name → (file or folder, object id) of one folder of that commit; empty when it is not there. No process is started for it."""
        found = self._objects.read(f"{commit}:{'' if path == '.' else path}")
        if found is None or found[0] != "tree":
            return {}
        return {
            key.rstrip(b"/").decode("utf-8", "surrogateescape"): (
                "folder" if entry.startswith(FOLDER.encode()) else "file",
                entry[-20:].hex(),
            )
            for key, entry in parse_tree(found[1]).items()
        }

    def log(self, ref: str, *, limit: int, path: str | None = None) -> list[CommitInfo]:
        """The newest `limit` commits of `ref` (that touch `path`), newest first. Empty when the ref is not there."""
        commit = self.resolve(ref)
        return history.log(self.git_dir, commit, limit=limit, path=path) if commit else []

    def changed(self, old: str | None, new: str, path: str = ".") -> list[tuple[str, str, str]]:
        """(status A, M or D, path, blob) of each file that differs; blob of a deleted file: the old one. old None: all is new."""
        return history.changed(self.git_dir, old or EMPTY_TREE, new, path, env=self._env)

    def changes_of(self, commits: Sequence[str]) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
        """For each commit what it changed against its (first) parent, as `changed` gives it. One process for hundreds."""
        return history.changes_of(self.git_dir, list(commits))

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether `newer` contains `older`."""
        return process.run(["merge-base", "--is-ancestor", older, newer], git_dir=self.git_dir, env=self._env).code == 0

    def config(self, key: str) -> str | None:
        """The value of a key of git's configuration (such as `podium.socket`), as this user sees it for this repository, or None."""
        done = process.run(["config", "--get", key], git_dir=self.git_dir)
        return done.stdout.decode("utf-8", "surrogateescape").removesuffix("\n") if done.code == 0 else None

    def set_config(self, key: str, value: str) -> None:
        """Set a key in this repository's own configuration. Raises GitError."""
        process.check(["config", key, value], git_dir=self.git_dir)

    @staticmethod
    def work_files(directory: Path) -> list[str] | None:
        """The files below `directory` that a commit of its work tree would hold: tracked, or new and not ignored. Paths from `directory`.

        They may be gone from the disk. None when `directory` is in no work tree.
        """
        done = process.run(["-C", str(directory), "ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate", "-z"])
        if done.code != 0:
            return None
        return [path for path in done.stdout.decode("utf-8", "surrogateescape").split("\0") if path]

    def check_signature(self, commit: str, allowed_signers: Path) -> bool:
        """Whether a key of that file (format of ssh-keygen's ALLOWED SIGNERS) signed this commit."""
        options = ["-c", "gpg.format=ssh", "-c", f"gpg.ssh.allowedSignersFile={allowed_signers.absolute()}"]
        return process.run([*options, "verify-commit", commit], git_dir=self.git_dir).code == 0

    # ---- writing

    def commit(
        self,
        *,
        ref: str,
        parent: str | None,
        changes: Changes,
        message: str,
        at: datetime,
        author: Identity = PODIUM,
        committer: Identity = PODIUM,
        signing_key: Path | None = None,
    ) -> str:
        """Commit `changes` (path → content, None removes) on top of `parent` and move `ref` there; the new commit's id.

        Durable when it returns. parent None: the first commit of a branch that is not there. at: aware.
        Raises GitMoved when `ref` is not at `parent`; nothing is changed then.
        """
        draft = Draft(message=message, at=at, author=author, committer=committer, signing_key=signing_key)
        with self._writing:
            pack = PackWriter()
            base = self.tree_of(parent) if parent else None
            parents = [parent] if parent else []
            commit, tree = write_commit(self._trees, pack, base=base, parents=parents, changes=changes, draft=draft)
            with pack.kept(self.git_dir):
                self.update_refs([(ref, commit, parent or "")])
            self._commit_trees = {commit: tree}
        return commit

    def replay(self, *, ref: str, old: str, onto: str, done: Sequence[str] = (), signing_key: Path | None = None) -> str:
        """Put the commits of `old` that are neither in `onto` nor in `done` on top of `onto` and move `ref` from `old` there; the new tip.

        Each keeps people, dates and message; one that changes nothing any more is left out; where both changed a path, ours counts.
        Raises GitMoved when `ref` is not at `old`; nothing is changed then.
        """
        known = [commit for commit in done if self._objects.read(commit)]
        out = process.check(["rev-list", "--reverse", "--topo-order", old, "--not", onto, *known], git_dir=self.git_dir)
        with self._writing, contextlib.ExitStack() as kept:
            pack, tip, tree = PackWriter(), onto, self.tree_of(onto)
            for commit, changed in self.changes_of(out.decode().split()):
                changes = {path: None if status == "D" else Blob(blob) for status, path, blob in changed}
                new_tree = self._trees.apply(tree, changes, pack)
                if new_tree != tree:
                    tip, tree = pack.add("commit", moved(self.read(commit), tree=new_tree, parent=tip, signing_key=signing_key)), new_tree
                if len(pack) > _OBJECTS_A_PACK:
                    kept.enter_context(pack.kept(self.git_dir))
                    pack = PackWriter()
            if len(pack):
                kept.enter_context(pack.kept(self.git_dir))
            self.update_refs([(ref, tip, old)])
            self._commit_trees = {tip: tree}
        return tip

    def update_refs(self, moves: Sequence[tuple[str, str, str]]) -> None:
        """Move several refs at once or none, durably. Each: (ref, new, old; "" = not there). Raises GitMoved."""
        self._refs.update([(ref, new, old or NOWHERE) for ref, new, old in moves])

    def update_ref(self, ref: str, new: str | None, old: str | None = None) -> None:
        """Move `ref`, durably. old: what it must be now ("" = not there, None = anything). new None deletes it. Raises GitMoved."""
        self._refs.update([(ref, new or NOWHERE, old if old is None else old or NOWHERE)])

    def pin(self, commit: str) -> None:
        """Keep a commit and all it contains, whatever is fetched or pruned."""
        self.update_ref(_PINS + commit, commit)

    def unpin(self, commit: str) -> None:
        """Let go of a commit. Nothing happens when it is not pinned."""
        if self.refs(_PINS + commit):
            self.update_ref(_PINS + commit, None)

    def pins(self) -> set[str]:
        """The pinned commits."""
        return set(self.refs(_PINS).values())

    # ---- housekeeping

    def fsck(self) -> None:
        """Check every object and link. Raises GitError (corrupt) with git's findings."""
        done = process.run(
            ["fsck", "--full", "--strict", "--no-dangling", "--no-progress"], git_dir=self.git_dir, timeout_s=_FSCK_TIMEOUT_S
        )
        if done.code != 0:
            hint = "clone it again from its remote; what was pushed is not lost"
            raise GitError(f"{self.git_dir} is damaged: {done.stderr.strip()}", reason="corrupt", repository=str(self.git_dir), hint=hint)

    def packs(self) -> int:
        """How many packs there are. Raises GitError."""
        try:
            return sum(1 for entry in os.scandir(mirror.packs_of(self.git_dir)) if entry.name.endswith(".idx"))
        except OSError as error:
            raise GitError(f"the repository {self.git_dir} cannot be read: {error.strerror}", hint="was it deleted?") from error

    def tidy(self, *, packs_max: int = _PACKS_MAX, urgent: bool = False, timeout_s: float = _FOLD_TIMEOUT_S) -> bool:
        """Fold packs together if there are over `packs_max`; whether it did: not beside a `git gc`. Safe under kill -9. See mirror.fold."""
        if self.packs() <= packs_max:
            return False
        return mirror.fold(self.git_dir, urgent=urgent, timeout_s=timeout_s, keep_open=self._held())

    def stop_tidying(self) -> None:
        """End a `tidy` that is under way: it fails, and nothing is lost."""
        process.interrupt(mirror.packs_of(self.git_dir))

    def reclaim(self, *, timeout_s: float = _FSCK_TIMEOUT_S) -> None:
        """Give back the space of what no ref holds any more, but for the last hours: a commit under way beside this keeps its objects."""
        mirror.reclaim(self.git_dir, timeout_s=timeout_s, keep_open=self._held())

    def mend(self) -> bool:
        """Begin anew, empty, when this repository of ours is damaged; whether it was. The damaged one stays as `<name>.damaged`."""
        if mirror.is_sound(self.git_dir):
            return False
        self.close()
        mirror.put_aside(self.git_dir)
        self._ownership = Ownership(self.git_dir)
        self._commit_trees.clear()
        return True

    def tree_of(self, commit: str) -> str:
        """The id of a commit's root tree. Raises GitError (missing-object)."""
        known = self._commit_trees.get(commit)
        if known is None:
            known = self.read(commit).split(b"\n", 1)[0].removeprefix(b"tree ").decode()
        return known

    def _held(self) -> tuple[int, ...]:
        return self._ownership.descriptors() if self._ownership else ()
