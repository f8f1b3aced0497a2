"""Git's long-lived children: `cat-file --batch` reads objects, `update-ref --stdin` moves refs. Called by repo.py; safe between threads.

A child is started when first needed, and again when it died (repack and fetch do not disturb it: it looks for new packs itself).
"""

from __future__ import annotations

import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from podium.base.errors import GitError, GitMoved, LimitError
from podium.base.limits import UPLOAD_BYTES_MAX
from podium.git import process

_WINDOW = 256
"""Requests on their way at once in `many`: 41 bytes each, well below a pipe's buffer, so that neither side ever blocks the other."""


class ObjectReader:
    """Objects of one repository by id. env: extra environment (a hook's quarantine)."""

    def __init__(self, git_dir: Path, *, env: dict[str, str] | None = None, keep_open: Callable[[], tuple[int, ...]] = tuple) -> None:
        self._git_dir = git_dir
        self._env = env
        self._keep_open = keep_open
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None

    def read(self, name: str) -> tuple[str, bytes] | None:
        """(type, content) of an object id or a name like `<commit>:<path>`; None when it is not there.

        Raises LimitError for an object over UPLOAD_BYTES_MAX, GitError when git cannot read the repository.
        """
        if "\n" in name:
            return None
        with self._lock:
            try:
                return self._ask(name)
            except (BrokenPipeError, EOFError):
                self._stop()
            try:
                return self._ask(name)
            except (BrokenPipeError, EOFError) as exc:
                self._stop()
                raise _ended(f" (it was to read {name} of {self._git_dir})") from exc

    def many(self, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """(name, content) for each name, in order, through a child of its own. Raises GitError for one that is missing."""
        child = self._start()
        try:
            yield from _pipelined(child, names)
        finally:
            process.stop(child)

    def close(self) -> None:
        """End the child. A later read starts another."""
        with self._lock:
            self._stop()

    def _ask(self, name: str) -> tuple[str, bytes] | None:
        if self._child is None:
            self._child = self._start()
        assert self._child.stdin is not None
        self._child.stdin.write(name.encode("utf-8", "surrogateescape") + b"\n")
        self._child.stdin.flush()
        try:
            return _answer(self._child)
        except LimitError:
            self._stop()
            raise

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            process.argv(["cat-file", "--batch"], self._git_dir),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=process.environment(self._env),
            start_new_session=True,
            pass_fds=self._keep_open(),
            cwd="/",
        )

    def _stop(self) -> None:
        if self._child is not None:
            process.stop(self._child)
            self._child = None


def _answer(child: subprocess.Popen[bytes]) -> tuple[str, bytes] | None:
    assert child.stdout is not None
    head = child.stdout.readline()
    if not head:
        raise EOFError
    words = head.split()
    if len(words) != 3 or words[-1] in (b"missing", b"ambiguous"):
        return None
    size = int(words[2])
    if size > UPLOAD_BYTES_MAX:
        raise LimitError(
            f"object {words[0].decode()} has {size} bytes",
            hint=f"up to {UPLOAD_BYTES_MAX} are read",
            limit="UPLOAD_BYTES_MAX",
        )
    body = child.stdout.read(size + 1)
    if len(body) != size + 1:
        raise EOFError
    return words[1].decode(), body[:-1]


def _ended(detail: str = "") -> GitError:
    return GitError(f"git cat-file ended unexpectedly{detail}", hint="check the repository with: git fsck", reason="corrupt")


def _pipelined(child: subprocess.Popen[bytes], names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    assert child.stdin is not None
    source = iter(names)
    waiting: list[str] = []
    while True:
        batch = list(islice(source, _WINDOW - len(waiting)))
        if batch:
            child.stdin.write("".join(f"{name}\n" for name in batch).encode())
            child.stdin.flush()
            waiting += batch
        if not waiting:
            return
        half = len(waiting) if not batch else max(1, len(waiting) // 2)
        for name in waiting[:half]:
            try:
                found = _answer(child)
            except (EOFError, BrokenPipeError) as exc:
                raise _ended() from exc
            if found is None:
                raise GitError(
                    f"object {name} is not there", hint="check the repository with: git fsck", reason="missing-object", object=name
                )
            yield name, found[1]
        waiting = waiting[half:]


class RefUpdater:
    """Moves refs by compare-and-swap, durably (core.fsync=committed)."""

    def __init__(self, git_dir: Path, *, keep_open: Callable[[], tuple[int, ...]] = tuple) -> None:
        self._git_dir = git_dir
        self._keep_open = keep_open
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as this object

    def update(self, moves: Sequence[tuple[str, str, str | None]]) -> None:
        """Move refs, all or none: each (ref, new, old), old None meaning whatever it is; forty zeros mean: not there.

        Raises GitMoved when one is not at its `old`.
        """
        with self._lock:
            if self._child is None or self._child.poll() is not None:
                self._stop()
                self._child = self._start()
            try:
                for command in ("start", *(f"update {ref} {new} {old or ''}".rstrip() for ref, new, old in moves), "prepare", "commit"):
                    self._say(command)
            except (BrokenPipeError, EOFError) as exc:
                self._stop()
                raise self._refused(" and ".join(ref for ref, _, _ in moves)) from exc

    def close(self) -> None:
        """End the child. A later update starts another."""
        with self._lock:
            self._stop()

    def _say(self, command: str) -> None:
        assert self._child is not None
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(command.encode() + b"\n")
        self._child.stdin.flush()
        if not command.startswith("update") and not self._child.stdout.readline().endswith(b": ok\n"):
            raise EOFError

    def _start(self) -> subprocess.Popen[bytes]:
        self._errors.seek(0)
        self._errors.truncate()
        return subprocess.Popen(
            process.argv(["-c", "core.fsync=committed,reference", "update-ref", "--no-deref", "--stdin"], self._git_dir),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=process.environment(),
            start_new_session=True,
            pass_fds=self._keep_open(),
            cwd="/",
        )

    def _stop(self) -> None:
        if self._child is not None:
            process.stop(self._child)
            self._child = None

    def _refused(self, ref: str) -> GitError:
        self._errors.seek(0)
        words = self._errors.read().decode(errors="replace").strip()
        if "reference broken" in words:
            return GitError(f"{ref} is damaged: {words}", hint="check the repository with: git fsck", reason="corrupt", ref=ref)
        if "but expected" in words or "reference already exists" in words or "unable to resolve reference" in words:
            return GitMoved(
                f"{ref} is not where it was: {words}", hint="read the ref again, repeat on its new value", reason="ref-moved", ref=ref
            )
        return GitError(
            f"cannot update {ref}: {words}", hint="another git process may hold its lock; try again", reason="ref-locked", ref=ref
        )
