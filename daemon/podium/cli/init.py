"""`podium init`: a flows repository with a first flow and hooks; on a server also the bare repository that is pushed to.

Running it again changes nothing that is there: it only adds what is missing, and renews hooks that are our own.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from podium.git.repo import Repository

HOOK_MARK = "# Podium hook, written by `podium init`: change nothing here, it is renewed."
SERVER_HOOKS = ("pre-receive", "post-receive")
CLIENT_HOOKS = ("pre-commit",)
_HOOK = """\
#!/bin/sh
{mark}
# {about}
# What is run is `git config podium.command`, else the podium on PATH. Only exit code 4 refuses: a Podium that is missing or
# broken must not keep people from working, so that is said and let pass.
set -u
{skip}run=$(git config --get podium.command || echo podium)
eval "set -- $run"
if ! command -v "$1" >/dev/null 2>&1; then
  echo "podium: $1 is not there, so flows are not checked here; set it with: git config podium.command /path/to/podium" >&2
  exit 0
fi
{call}
code=$?
case $code in
  0) exit 0 ;;
  4) exit 1 ;;
esac
echo "podium: the {name} hook could not do its work (exit code $code), so nothing was checked; try: $run doctor" >&2
exit 0
"""
_SKIPS = {
    "pre-receive": """\
# Records that only add to the results branch, and refs that are not ours, are let in without starting Podium: the daemon pushes often.
pushed=$(cat)
flows=refs/heads/$(git config --get podium.branch || echo main)
results=refs/heads/$(git config --get podium.results || echo results)
while read -r old new ref; do
  case $ref in
    "$flows") start=yes ;;
    "$results") case $old$new in *000000000000*) start=yes ;; *) git merge-base --is-ancestor "$old" "$new" || start=yes ;; esac ;;
    "$results"/*) start=yes ;;
  esac
done <<END
$pushed
END
[ -n "${start:-}" ] || exit 0
""",
    "post-receive": """\
# Only a push of the flow branch is news for the daemon.
pushed=$(cat)
case "$pushed " in
  *" refs/heads/$(git config --get podium.branch || echo main)"[[:space:]]*) ;;
  *) exit 0 ;;
esac
""",
    "pre-commit": "",
}
"""What a hook does before it starts Podium."""
_ABOUT = {
    "pre-receive": "Refuses a push whose flows are wrong, or that would rewrite the results branch, and says what the push changes.",
    "post-receive": "Tells the daemon of a push, so that it deploys at once. A daemon that does not answer holds nothing up.",
    "pre-commit": "Refuses a commit whose flows are wrong.",
}
_FIRST_FLOW = """\
id: hello
namespace: examples
description: A first flow. Try it with `podium run flows/hello.yaml --input name=Ada`.

inputs:
  - id: name
    type: STRING
    defaults: world

tasks:
  - id: greet
    type: io.kestra.plugin.core.log.Log
    message: "Hello, {{ inputs.name }}!"

outputs:
  - id: greeting
    type: STRING
    value: "Hello, {{ inputs.name }}!"
"""
_FIRST_TEST = """\
id: hello
namespace: examples
flowId: hello
testCases:
  - id: greets_by_name
    type: io.kestra.core.tests.flow.UnitTest
    fixtures:
      inputs:
        name: Ada
    assertions:
      - value: "{{ execution.outputs.greeting }}"
        equalTo: Hello, Ada!
"""
_PROJECT = """\
# Values that hold for all flows of this repository, unless a flow says otherwise.
# pluginDefaults:
#   - type: io.kestra.plugin.scripts.shell.Commands
#     values:
#       containerImage: debian:bookworm-slim
# namespaces:
#   company.team:
#     pluginDefaults: []
pluginDefaults: []
"""
_README = """\
# Flows

Every `*.yaml` here is a flow that Podium deploys when it is pushed; files beside them are there for tasks that ask with
`namespaceFiles: {enabled: true}`. Folders whose names begin with `_` or `.` are left alone.

    podium validate .                # every mistake, with file, line and column
    podium run flows/hello.yaml      # one execution in the foreground
    podium test                      # the tests of the flows
    podium plan                      # what a push would change
    podium serve --dir .             # a daemon that deploys what you save
"""
_FILES = {
    "flows/hello.yaml": _FIRST_FLOW, "flows/hello.test.yaml": _FIRST_TEST, "podium.yaml": _PROJECT, "README.md": _README,
    ".gitignore": ".podium/cache/\n",
}


@click.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option("--bare", is_flag=True, help="DIRECTORY is (or becomes) a bare repository that others push to.")
@click.option("--server", type=click.Path(file_okay=False, path_type=Path), help="Also make a bare repository here, and let DIRECTORY push to it.")
@click.option("--branch", default="main", show_default=True, help="Branch whose flows are deployed.")
@click.option("--source", default="main", show_default=True, help="Name of the source in the daemon's settings.")
@click.option("--socket", type=click.Path(dir_okay=False, path_type=Path), help="The daemon's socket; default: podium.sock in its home.")
def init(*, directory: Path, bare: bool, server: Path | None, branch: str, source: str, socket: Path | None) -> None:
    """Make a flows repository with hooks.

    Run it again at any time: what is there stays as it is.
    """
    done: list[str] = []
    # Git is run from elsewhere, so that paths must be whole.
    directory, server = directory.resolve(), server.resolve() if server is not None else None
    if bare:
        if server is not None:
            raise click.UsageError("--bare makes the server's repository itself: leave out --server")
        _server(directory, branch=branch, source=source, socket=socket, done=done)
        _say(done, _after_bare(directory, branch, source))
        return
    _client(directory, branch=branch, done=done)
    if server is not None:
        _server(server, branch=branch, source=source, socket=socket, done=done)
        _add_remote(directory, server, done)
    _say(done, _after(directory, branch, server, source))


def hook_text(name: str) -> str:
    """The script of a hook."""
    call = f"\"$@\" hook {name}"
    if _SKIPS[name]:
        call = f"printf '%s\\n' \"$pushed\" | {call}"
    return _HOOK.format(mark=HOOK_MARK, about=_ABOUT[name], name=name, skip=_SKIPS[name], call=call)


def podium_command() -> str:
    """How this Podium is run, quoted for a shell: baked into repositories, as hooks run with little in their PATH."""
    script = Path(sys.argv[0])
    if script.name == "podium" and script.is_absolute() and os.access(script, os.X_OK):
        return shlex.quote(str(script))
    beside = Path(sys.executable).with_name("podium")
    if os.access(beside, os.X_OK):
        return shlex.quote(str(beside))
    return f"{shlex.quote(sys.executable)} -m podium"


def _client(directory: Path, *, branch: str, done: list[str]) -> None:
    from podium.git import process
    from podium.git.repo import Repository

    directory.mkdir(parents=True, exist_ok=True)
    fresh = process.run(["-C", str(directory), "rev-parse", "--git-dir"]).code != 0
    if fresh:
        process.check(["-c", f"init.defaultBranch={branch}", "init", "--quiet", str(directory)])
        done.append(f"made a repository in {directory}")
    with Repository.open(directory) as repository:
        written = _write_files(directory, done) if not repository.resolve("HEAD") else []
        _configure(repository, {"podium.command": podium_command()}, renew=("podium.command",))
        _install_hooks(directory, CLIENT_HOOKS, done)
        if fresh and written:
            _commit(directory, written, done)


def _write_files(directory: Path, done: list[str]) -> list[str]:
    """Add the first files that are missing, in a repository without a commit."""
    written = []
    for name, text in _FILES.items():
        path = directory / name
        if path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        written.append(name)
        done.append(f"wrote {name}")
    return written


def _commit(directory: Path, names: list[str], done: list[str]) -> None:
    """The first commit, in the person's own name; without one they commit themselves."""
    from podium.git import process

    process.check(["-C", str(directory), "add", "--", *names])
    ran = process.run(["-C", str(directory), "commit", "--quiet", "--no-verify", "-m", "First flow"], env=_identity())
    if ran.code == 0:
        done.append("committed them")


def _identity() -> dict[str, str]:
    """Who the person is, where the environment says so: git's children of ours see none of it otherwise."""
    names = [f"GIT_{role}_{what}" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL", "DATE")]
    return {name: os.environ[name] for name in names if name in os.environ}


def _server(path: Path, *, branch: str, source: str, socket: Path | None, done: list[str]) -> None:
    from podium.git import process
    from podium.git.repo import Repository

    if not (path / "HEAD").exists():
        path.mkdir(parents=True, exist_ok=True)
        process.check(["-c", f"init.defaultBranch={branch}", "init", "--quiet", "--bare", str(path)])
        done.append(f"made a bare repository in {path}")
    with Repository.open(path) as repository:
        values = {
            "podium.command": podium_command(), "podium.branch": branch, "podium.source": source,
            "podium.socket": str(socket or _default_socket()),
        }
        _configure(repository, values, renew=("podium.command", *(["podium.socket"] if socket else [])))
        _install_hooks(path, SERVER_HOOKS, done)


def _default_socket() -> Path:
    from podium.app.settings import load_settings

    return load_settings().home / "podium.sock"


def _configure(repository: Repository, values: dict[str, str], *, renew: tuple[str, ...]) -> None:
    """Set what is not set. renew: what is set anew in any case."""
    for key, value in values.items():
        before = repository.config(key)
        if before is None or (key in renew and before != value):
            repository.set_config(key, value)


def _install_hooks(directory: Path, names: tuple[str, ...], done: list[str]) -> None:
    from podium.git import process

    where = process.check(["-C", str(directory), "rev-parse", "--git-path", "hooks"]).decode("utf-8", "surrogateescape").strip()
    folder = directory / where
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        path, text = folder / name, hook_text(name)
        if path.exists() and HOOK_MARK not in path.read_text("utf-8", "replace"):
            done.append(f"left the {name} hook that is there alone; call `podium hook {name}` from it")
            continue
        if not path.exists() or path.read_text("utf-8", "replace") != text:
            path.write_text(text, "utf-8")
            done.append(f"installed the {name} hook")
        path.chmod(0o755)


def _add_remote(directory: Path, server: Path, done: list[str]) -> None:
    from podium.git import process

    if process.run(["-C", str(directory), "remote", "get-url", "origin"]).code == 0:
        return
    process.check(["-C", str(directory), "remote", "add", "origin", str(server.resolve())])
    done.append(f"added {server} as remote 'origin'")


def _say(done: list[str], todo: list[str]) -> None:
    for line in done or ["everything was there already"]:
        click.echo(line)
    click.echo("\nNext:")
    for line in todo:
        click.echo(f"  {line}")


def _after(directory: Path, branch: str, server: Path | None, source: str) -> list[str]:
    todo = [
        f"cd {shlex.quote(str(directory))}", "podium validate .", "podium run flows/hello.yaml --input name=Ada",
        "podium serve --dir .            # a daemon that deploys what you save",
    ]
    if server is not None:
        todo += [
            f"git push -u origin {branch}",
            f"PODIUM_SOURCES__{source.upper()}__URL={shlex.quote(str(server.resolve()))} podium serve   # a daemon that follows it",
        ]
    return todo


def _after_bare(directory: Path, branch: str, source: str) -> list[str]:
    return [
        f"PODIUM_SOURCES__{source.upper()}__URL={shlex.quote(str(directory.resolve()))} podium serve",
        f"git remote add origin {directory.resolve()} && git push -u origin {branch}   # in a repository with flows",
    ]
