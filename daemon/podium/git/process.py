"""Runs the git program: the only place that starts it. Called by the other modules of this room.

Every child gets a clean environment (what a hook or a wrapping `git -c` exported never reaches it, nobody is ever asked for a
password on a terminal), its own process group, and a time limit after which the whole group is killed. Who shuts down need not wait
for a remote that hangs: `interrupt` ends the commands that talk to one.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from podium.base.errors import GitError
from podium.base.redact import redact_url

LOCAL_TIMEOUT_S = 120.0
"""Longest time a command without network may take."""
_KEPT = frozenset({"GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "GIT_SSL_NO_VERIFY", "GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_GLOBAL"})
_STDERR_CHARS_MAX = 2_000
_CHUNK_BYTES = 1 << 18
_KILL_AFTER_S = 2.0
_remote: dict[subprocess.Popen[bytes], Path] = {}
"""Commands that talk to a remote right now, and the repository each works on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A finished command: exit code (negative: killed by that signal) and what it wrote."""

    code: int
    stdout: bytes
    stderr: str


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a git child: ours without GIT_* (but what an operator sets for certificates), then `extra`."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_") or key in _KEPT}
    kept.pop("SSH_ASKPASS", None)
    return (
        kept
        | {
            "LC_ALL": "C",
            "LANGUAGE": "C",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "false",
            "GCM_INTERACTIVE": "never",
            "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
            "GIT_OPTIONAL_LOCKS": "0",
        }
        | dict(extra or {})
    )


def argv(args: Sequence[str], git_dir: Path | None) -> list[str]:
    """The full command line of `git ARGS` on the repository at `git_dir`."""
    return ["git", *(["--git-dir", str(git_dir)] if git_dir else []), *args]


def run(
    args: Sequence[str],
    *,
    git_dir: Path | None = None,
    stdin: bytes = b"",
    timeout_s: float = LOCAL_TIMEOUT_S,
    env: Mapping[str, str] | None = None,
    keep_open: Sequence[int] = (),
    remote: bool = False,
) -> Done:
    """Run `git ARGS` to its end. keep_open: descriptors the child inherits. remote: `interrupt` may end it.

    Raises GitError (reason: timeout, no-git).
    """
    home = git_dir if remote else None
    return run_program(argv(args, git_dir), stdin=stdin, timeout_s=timeout_s, env=env, keep_open=keep_open, interruptible=home)


def interrupt(home: Path) -> None:
    """End the commands that talk to a remote for a repository below `home`: they fail, and are safe to repeat."""
    for child, git_dir in list(_remote.items()):
        if git_dir.resolve().is_relative_to(home.resolve()):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGTERM)


def run_program(
    command: Sequence[str],
    *,
    stdin: bytes = b"",
    timeout_s: float,
    env: Mapping[str, str] | None = None,
    keep_open: Sequence[int] = (),
    interruptible: Path | None = None,
    started: Callable[[int], None] = lambda _pid: None,
) -> Done:
    """Run git, or a program that belongs to it (ssh-keygen). Raises GitError.

    interruptible: below which home `interrupt` ends it. started: told the process id.
    """
    shown = command[0]
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(env),
            start_new_session=True,
            pass_fds=tuple(keep_open),
            cwd="/",
        )
    except FileNotFoundError as exc:
        raise GitError(
            f"the program {shown} is not there", hint="install git 2.34 or newer (and openssh) and put it on PATH", reason="no-git"
        ) from exc
    try:
        if interruptible is not None:
            _remote[child] = interruptible
        started(child.pid)
        stdout, stderr = child.communicate(stdin, timeout=timeout_s)
    except subprocess.TimeoutExpired as exc:
        stop(child)
        raise GitError(
            f"{shown} did not finish within {timeout_s:g} s",
            hint="is the remote reachable? the attempt was ended and is safe to repeat",
            reason="timeout",
            timeout_s=timeout_s,
        ) from exc
    except BaseException:
        stop(child)
        raise
    finally:
        _remote.pop(child, None)
    return Done(code=child.returncode, stdout=stdout, stderr=stderr.decode(errors="replace")[-_STDERR_CHARS_MAX:])


def check(
    args: Sequence[str],
    *,
    git_dir: Path | None = None,
    stdin: bytes = b"",
    timeout_s: float = LOCAL_TIMEOUT_S,
    env: Mapping[str, str] | None = None,
    keep_open: Sequence[int] = (),
) -> bytes:
    """What `git ARGS` writes. Raises GitError with git's own words when it fails."""
    done = run(args, git_dir=git_dir, stdin=stdin, timeout_s=timeout_s, env=env, keep_open=keep_open)
    if done.code != 0:
        raise failed(args[0], done, git_dir)
    return done.stdout


def pieces(args: Sequence[str], *, git_dir: Path, env: Mapping[str, str] | None = None, keep_open: Sequence[int] = ()) -> Iterator[bytes]:
    """What `git ARGS` writes, cut at NUL bytes, as it comes: for output that may be larger than memory. Raises GitError at its end."""
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(
            argv(args, git_dir), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, env=environment(env), start_new_session=True,
            pass_fds=tuple(keep_open), cwd="/",
        )
        assert child.stdout is not None
        try:
            rest = b""
            while chunk := child.stdout.read(_CHUNK_BYTES):
                *whole, rest = (rest + chunk).split(b"\0")
                yield from whole
            if rest:
                yield rest
            code = child.wait()
        finally:
            stop(child)
        if code != 0:
            errors.seek(0)
            words = errors.read()[-_STDERR_CHARS_MAX:].decode(errors="replace")
            raise failed(args[0], Done(code=code, stdout=b"", stderr=words), git_dir)


def failed(command: str, done: Done, git_dir: Path | None) -> GitError:
    """The error for a local command that failed."""
    words = redact_url(done.stderr.strip()) or f"exit code {done.code}"
    hint = f"check the repository with: git --git-dir {git_dir} fsck"
    reason = "failed"
    if "dubious ownership" in words:
        reason = "ownership"
        hint = f"the repository belongs to another user: as the daemon's user, git config --global --add safe.directory '{git_dir}'"
    elif "not a git repository" in words:
        reason, words = "no-repository", f"there is no Git repository at {git_dir}"
        hint = "make one with `podium init`, or name the folder of one"
        return GitError(words, hint=hint, reason=reason, repository=str(git_dir), exit_status=done.code)
    elif "No space left" in words:
        reason = "disk-full"
        hint = "free some disk space"
    return GitError(f"git {command} failed: {words}", hint=hint, reason=reason, repository=str(git_dir), exit_status=done.code)


def stop(child: subprocess.Popen[bytes]) -> None:
    """End a child and everything it started: TERM to the group, then KILL."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(_KILL_AFTER_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    for stream in (child.stdin, child.stdout, child.stderr):
        if stream is not None:
            with contextlib.suppress(BrokenPipeError):  # unflushed input of a child that is gone
                stream.close()
