"""Talks to other repositories: fetch, push, list. Turns what git says into errors a person can act on. Called by repo.py and mirror.py."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from podium.base.errors import GitError, GitMoved, GitRefused
from podium.base.redact import redact_url
from podium.git import process
from podium.git.credentials import Credentials, access

NETWORK_TIMEOUT_S = 120.0
_GENERIC = ("Please make sure you have", "and the repository exists", "Could not read from remote repository")
_GONE = re.compile(r"(?:couldn't find remote ref|Remote branch) (\S+)")
_STALLED = {"GIT_HTTP_LOW_SPEED_LIMIT": "100", "GIT_HTTP_LOW_SPEED_TIME": "60"}
_NO_ACCESS = (
    "Authentication failed",
    "could not read Username",
    "could not read Password",
    "Permission denied",
    "invalid credentials",
    "Invalid username",
    "The requested URL returned error: 401",
    "The requested URL returned error: 403",
    "Host key verification failed",
    "HTTP Basic: Access denied",
)
_ABSENT = (
    "does not appear to be a git repository",
    "Repository not found",
    "repository not found",
    "does not exist",
    "not found",
    "not a git repository",
)
_AWAY = (
    "Could not resolve host",
    "Connection refused",
    "Connection timed out",
    "unable to access",
    "Could not connect",
    "Network is unreachable",
    "No route to host",
    "Connection reset",
    "early EOF",
    "the remote end hung up",
    "unexpected disconnect",
    "Operation timed out",
    "Connection closed",
)


def fetch(
    git_dir: Path,
    url: str,
    *,
    refspecs: Sequence[str],
    credentials: Credentials | None,
    timeout_s: float,
    prune: bool = False,
    keep_open: Sequence[int] = (),
) -> None:
    """Bring refs and their objects here. Raises GitError; its fact `reason`: branch-gone, auth, no-repository, unreachable, timeout, …"""
    target, env = access(url, credentials)
    # fetch.unpackLimit: a pack a fetch instead of loose files, each of which would be an fsync.
    options = ["-c", "fetch.unpackLimit=1", "-c", "fetch.fsckObjects=false", "-c", "gc.auto=0", "-c", "maintenance.auto=false"]
    flags = [
        "--quiet",
        "--no-tags",
        "--no-write-fetch-head",
        "--no-recurse-submodules",
        "--no-auto-maintenance",
        *(["--prune"] if prune else []),
    ]
    done = process.run(
        [*options, "fetch", *flags, "--end-of-options", target, *refspecs],
        git_dir=git_dir,
        timeout_s=timeout_s,
        env=env | _STALLED,
        keep_open=keep_open,
        remote=True,
    )
    if done.code != 0:
        raise explain("fetch", url, done)


def is_branch_name(name: str) -> bool:
    """Whether git takes `name` for a branch."""
    plain = not name.startswith(("-", "refs/")) and name != "HEAD" and name.isprintable()
    return plain and process.run(["check-ref-format", f"refs/heads/{name}"]).code == 0


def is_local(url: str) -> bool:
    """Whether a push to this URL stays on this machine."""
    return url.startswith("file://") or ("://" not in url and (":" not in url or "/" in url.partition(":")[0]))


def push(
    git_dir: Path, url: str, refspecs: Sequence[str], *, credentials: Credentials | None, timeout_s: float, keep_open: Sequence[int] = (),
    leases: Mapping[str, str] | None = None,
) -> None:
    """Send refs, never by force. Raises GitMoved when the remote has commits we do not have, GitRefused when it does not want ours.

    leases: ref of the remote → what it must be at ("" = not there). What is pushed there must contain that commit: git would not ask.
    """
    if any(spec.startswith(("+", ":")) for spec in refspecs):
        raise GitError(
            "a push of ours is never forced and never deletes", hint="this is a mistake in Podium: please report it", reason="forced"
        )
    target, env = access(url, credentials)
    options = [
        "-c",
        "push.recurseSubmodules=no",
        "-c",
        "push.gpgSign=false",
        "-c",
        "push.followTags=false",
        "-c",
        "core.hooksPath=/dev/null",
        "-c",
        "pack.threads=1",
        # A search for deltas takes twice as long as it took to write the records: worth it only where bytes are dear.
        *(["-c", "pack.window=0"] if is_local(url) else []),
    ]
    done = process.run(
        [
            *options,
            "push",
            "--porcelain",
            "--atomic" if len(refspecs) > 1 else "--no-atomic",
            "--no-verify",
            *(f"--force-with-lease={ref}:{expected}" for ref, expected in (leases or {}).items()),
            "--end-of-options",
            target,
            *refspecs,
        ],
        git_dir=git_dir,
        timeout_s=timeout_s,
        env=env | _STALLED,
        keep_open=keep_open,
        remote=True,
    )
    if done.code != 0:
        raise _not_pushed(url, done)


def remove_branch(git_dir: Path, url: str, ref: str, expected: str, *, credentials: Credentials | None, timeout_s: float) -> None:
    """Delete a ref of the remote that is at `expected`: only ever on a person's explicit command. Raises GitMoved, GitRefused, GitError."""
    target, env = access(url, credentials)
    lease = f"--force-with-lease={ref}:{expected}"
    command = ["push", "--porcelain", "--no-verify", lease, "--end-of-options", target, f":{ref}"]
    done = process.run(command, git_dir=git_dir, timeout_s=timeout_s, env=env | _STALLED, remote=True)
    if done.code != 0:
        raise _not_pushed(url, done)


def heads(
    url: str, *, credentials: Credentials | None, timeout_s: float, patterns: Sequence[str] = (), git_dir: Path | None = None
) -> Mapping[str, str]:
    """Ref → commit id at the remote, without fetching. git_dir: of the repository that asks, so that `process.interrupt` finds the command."""
    target, env = access(url, credentials)
    arguments = ["ls-remote", "--quiet", "--end-of-options", target, *patterns]
    done = process.run(arguments, git_dir=git_dir, timeout_s=timeout_s, env=env | _STALLED, remote=True)
    if done.code != 0:
        raise explain("ls-remote", url, done)
    pairs = (line.split("\t", 1) for line in done.stdout.decode(errors="surrogateescape").splitlines() if "\t" in line)
    return {ref: commit for commit, ref in pairs}


def explain(command: str, url: str, done: process.Done) -> GitError:
    """The error for a failed command on a remote."""
    words, shown = redact_url(done.stderr.strip()), redact_url(url)
    if gone := _GONE.search(words):
        branch = gone[1].removeprefix("refs/heads/")
        return GitRefused(
            f"{shown} has no branch {branch!r} (any more)",
            hint="renamed or deleted? check the branch in the settings",
            reason="branch-gone",
            remote=shown,
            branch=branch,
        )
    if "mismatched algorithms" in words or "not support this repository's hash algorithm" in words:
        return GitRefused(
            f"{shown} is a repository of SHA-256 objects, which Podium does not read", reason="unsupported", remote=shown,
            hint="use a repository of SHA-1 objects: git init --object-format=sha1",
        )
    if "dubious ownership" in words:
        return GitRefused(
            f"{shown} belongs to another user, so git will not read it",
            reason="ownership",
            remote=shown,
            hint=f"as the daemon's user: git config --global --add safe.directory '{url}'",
        )
    if any(text in words for text in _NO_ACCESS):
        return GitRefused(
            f"no access to {shown}: {_last_line(words)}",
            hint="check the ssh key or token file in the settings, and its rights",
            reason="auth",
            remote=shown,
        )
    if any(text in words for text in _ABSENT):
        return GitRefused(f"no repository at {shown}: {_last_line(words)}", hint="check the URL", reason="no-repository", remote=shown)
    if any(text in words for text in _AWAY):
        return GitError(f"cannot reach {shown}: {_last_line(words)}", hint="it is tried again", reason="unreachable", remote=shown)
    reason = "disk-full" if "No space left" in words else "failed"
    return GitError(f"git {command} {shown} failed: {words or done.code}", hint="see git's own words", reason=reason, remote=shown)


def _not_pushed(url: str, done: process.Done) -> GitError:
    for line in done.stdout.decode(errors="replace").splitlines():
        if not line.startswith("!"):
            continue
        verdict = line.split("\t")[-1]
        if any(text in verdict for text in ("[rejected]", "fetch first", "failed to update ref", "cannot lock ref", "stale info")):
            return GitMoved(
                f"{redact_url(url)} has commits that are not here: {verdict}",
                hint="fetch, put our commits on top, push again",
                reason="non-fast-forward",
                remote=redact_url(url),
            )
        if "[remote rejected]" in verdict:
            return _remote_rejected(url, verdict, done)
    return explain("push", url, done)


def _remote_rejected(url: str, verdict: str, done: process.Done) -> GitError:
    said = [line.removeprefix("remote:").strip() for line in done.stderr.splitlines() if line.startswith("remote:")]
    if "incorrect old value" in verdict or "reference already exists" in verdict:
        return GitMoved(
            f"{redact_url(url)} moved meanwhile: {verdict}", hint="fetch, put our commits on top, push again", reason="non-fast-forward"
        )
    quoted = redact_url(" ".join(line for line in said if line)[:500])
    return GitRefused(
        f"{redact_url(url)} refuses the push: {verdict}{': ' + quoted if quoted else ''}",
        reason="hook" if "hook" in verdict else "refused",
        hint="allow this account to push the branch (branch protection, pre-receive hook), or choose another branch",
        remote=redact_url(url),
        words=redact_url("\n".join(said)),
    )


def _last_line(words: str) -> str:
    lines = [line for line in words.splitlines() if line.strip() and not any(text in line for text in _GENERIC)]
    return (lines[-1] if lines else "no reason given")[:300]
