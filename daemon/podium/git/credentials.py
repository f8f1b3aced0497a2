"""Who we are: turns Credentials into the environment of one git child, and signs commits. Called by remote.py and repo.py.

What always holds: no secret is ever part of a command line, of a stored configuration or of an error; a token goes only to
the host that it is meant for (a redirect elsewhere gets nothing) and never over plain http, but to this machine.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from podium.base.errors import GitError, SettingsError
from podium.base.redact import redact_url
from podium.git.process import run_program

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_SIGN_TIMEOUT_S = 20.0
_SSH_OPTIONS = (
    "-o",
    "BatchMode=yes",
    "-o",
    "ConnectTimeout=15",
    "-o",
    "ServerAliveInterval=10",
    "-o",
    "ServerAliveCountMax=3",
)
_HELPER = (
    '!f() { test "$1" = get || exit 0; printf "username=%s\\n" "$PODIUM_GIT_USERNAME"; '
    'if test -n "$PODIUM_GIT_TOKEN_FILE"; then printf "password=%s\\n" "$(cat "$PODIUM_GIT_TOKEN_FILE")"; '
    'else printf "password=%s\\n" "$PODIUM_GIT_PASSWORD"; fi; }; f'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Who we are at a remote. ssh_key: private key without pass phrase (or one the ssh agent holds).

    token_file: holds a token or password, for https.  username: for https, default `git`.
    known_hosts: host keys that are trusted; without it those of the user's ssh count and an unknown host is remembered at first contact.
    """

    ssh_key: Path | None = None
    token_file: Path | None = None
    username: str | None = None
    known_hosts: Path | None = None


def access(url: str, credentials: Credentials | None) -> tuple[str, dict[str, str]]:
    """The URL to give to git (without a password) and the environment that lets it in.

    Raises GitError for a URL git must not see, SettingsError for a key or token file that cannot be used.
    """
    if url.startswith("-") or "\n" in url or "\0" in url:
        raise GitError(f"not a repository URL: {url!r}", hint="give a path, or an ssh:// or https:// URL", reason="bad-url")
    given = credentials or Credentials()
    env = {"GIT_SSH_COMMAND": shlex.join(_ssh_command(given))}
    if not url.startswith(("http://", "https://")):
        return _absolute(url), env
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    username = given.username or unquote(parts.username or "") or "git"
    secret = _web_secret(url, given, parts.password)
    if secret:
        if parts.scheme == "http" and (parts.hostname or "") not in _LOOPBACK:
            raise SettingsError(
                f"a token for {redact_url(url)} would travel unencrypted",
                hint="use https:// for this repository",
                reason="plain-http",
            )
        env |= secret | {"PODIUM_GIT_USERNAME": username}
        env |= _config({"credential.helper": "", f"credential.{parts.scheme}://{host}.helper": _HELPER})
    return urlunsplit((parts.scheme, host, parts.path, parts.query, "")), env


def _absolute(url: str) -> str:
    """A local path made absolute (children run in /); anything else, `host:path` of ssh included, as it is."""
    is_path = "://" not in url and (":" not in url or url.partition(":")[0].find("/") >= 0)
    return str(Path(url).expanduser().absolute()) if is_path else url


def sign(payload: bytes, key: Path) -> str:
    """The SSH signature of a commit's text, for git's `gpgsig` header. key: private, without pass phrase, or public if the agent has it."""
    _readable(key, "signing key")
    done = run_program(
        ["ssh-keygen", "-Y", "sign", "-n", "git", "-f", str(key)],
        stdin=payload,
        timeout_s=_SIGN_TIMEOUT_S,
        env={"SSH_ASKPASS_REQUIRE": "never"},
    )
    if done.code != 0:
        raise GitError(
            f"cannot sign with {key}: {done.stderr.strip()}",
            hint="use a key without pass phrase, readable only by the daemon's user (chmod 600)",
            reason="signing",
        )
    return done.stdout.decode()


def public_key(key: Path) -> str:
    """The public half of an SSH key: `<type> <key>`. key: private, or public already. Raises GitError."""
    _readable(key, "signing key")
    beside = key if key.suffix == ".pub" else key.with_name(key.name + ".pub")
    if beside.is_file():
        return " ".join(beside.read_text("utf-8").split()[:2])
    done = run_program(["ssh-keygen", "-y", "-P", "", "-f", str(key)], timeout_s=_SIGN_TIMEOUT_S, env={"SSH_ASKPASS_REQUIRE": "never"})
    if done.code != 0:
        raise GitError(f"cannot read the public half of {key}: {done.stderr.strip()}", hint="put it beside the key, as <key>.pub", reason="signing")
    return " ".join(done.stdout.decode().split()[:2])


def _ssh_command(given: Credentials) -> list[str]:
    command = ["ssh", *_SSH_OPTIONS]
    if given.ssh_key:
        _readable(given.ssh_key, "ssh key")
        command += ["-i", str(given.ssh_key), "-o", "IdentitiesOnly=yes"]
    if given.known_hosts:
        _readable(given.known_hosts, "known hosts file")
        return [*command, "-o", f"UserKnownHostsFile={given.known_hosts}", "-o", "StrictHostKeyChecking=yes"]
    return [*command, "-o", "StrictHostKeyChecking=accept-new"]


def _web_secret(url: str, given: Credentials, password: str | None) -> dict[str, str]:
    if given.token_file:
        _readable(given.token_file, f"token file for {redact_url(url)}")
        return {"PODIUM_GIT_TOKEN_FILE": str(given.token_file)}
    if password:
        return {"PODIUM_GIT_PASSWORD": unquote(password)}
    return {}


def _readable(path: Path, what: str) -> None:
    try:
        with path.open("rb"):
            return
    except OSError as exc:
        raise SettingsError(f"the {what} cannot be read: {path}: {exc.strerror}", hint="check the path and its permissions") from exc


def _config(pairs: dict[str, str]) -> dict[str, str]:
    env = {"GIT_CONFIG_COUNT": str(len(pairs))}
    for index, (key, value) in enumerate(pairs.items()):
        env |= {f"GIT_CONFIG_KEY_{index}": key, f"GIT_CONFIG_VALUE_{index}": value}
    return env
