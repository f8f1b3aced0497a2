"""The main job, for real: a bare repository with our hooks, a daemon, a `git push`, a webhook, and the record in Git.

Run by `make run` as `python -m tools.demo [--once]`. Exit 0 only if the execution succeeded and its record is on the results branch of
the bare repository. What it starts it stops, by process id, also after Ctrl-C.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shutil
import signal
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.harness import PODIUM, ROOT, Daemon, Stopped, free_port, run, running

FOLDER = ROOT / ".podium" / "demo"
PORT = 8080
NAME = "Ada"
WEBHOOK = "/api/v1/executions/webhook/examples/webhook/open-sesame"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The folder of a demo: a bare repository, a clone of it, the daemon's settings, home and log."""

    folder: Path

    @property
    def bare(self) -> Path:
        return self.folder / "flows.git"

    @property
    def clone(self) -> Path:
        return self.folder / "flows"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def config(self) -> Path:
        return self.folder / "podium.toml"

    def git(self, *arguments: str | Path, cwd: Path | None = None) -> str:
        """Git as a person would use it, with an identity where this machine has none."""
        identity = {} if run("git", "config", "user.email", check=False) else {
            f"GIT_{role}_{part}": value for role in ("AUTHOR", "COMMITTER") for part, value in (("NAME", "Demo"), ("EMAIL", "demo@localhost"))
        }
        return run("git", *arguments, cwd=cwd or self.clone, env=identity)


def say(text: str = "") -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def title(text: str) -> None:
    say(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n== {text}")


def shown_path(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def shown(text: str, *, lines: int = 40) -> None:
    """Output of something, indented, its middle left out when it is long."""
    all_lines = text.splitlines()
    if len(all_lines) > lines:
        half = lines // 2
        all_lines = [*all_lines[:half], f"… {len(all_lines) - 2 * half} lines …", *all_lines[-half:]]
    for line in all_lines:
        say(f"  {line}".rstrip())


def write_config(place: Place, port: int) -> None:
    """Settings of the demo's daemon: its own home and port, the bare repository, and the images and runner this machine has."""
    runner = (ROOT / ".podium" / "runner").read_text().strip() if (ROOT / ".podium" / "runner").exists() else "docker"
    images = ROOT / ".podium" / "podium.toml"
    table = images.read_text("utf-8") if images.exists() and runner == "docker" else ""
    place.config.write_text(
        f"home = {json.dumps(str(place.home))}\n\n[server]\nport = {port}\n\n"
        f'[sources.main]\nurl = {json.dumps(str(place.bare))}\nbranch = "main"\npoll_interval_s = 30\n\n'
        f"[runner]\ntype = {json.dumps(runner)}\n\n{table}",
        "utf-8",
    )
    if runner == "process":
        say("! no Docker here: tasks run as processes of this machine")


def make_repositories(place: Place) -> None:
    """A bare repository with our hooks and a clone of it. What an earlier demo left is thrown away, unless it still runs."""
    lock = place.home / "lock"
    if lock.exists():
        with lock.open() as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise Stopped(f"a demo runs already (process {lock.read_text().strip()}): end it first") from error
    shutil.rmtree(place.folder, ignore_errors=True)
    place.folder.mkdir(parents=True)
    run(*PODIUM, "init", "--bare", place.bare, "--socket", place.home / "podium.sock")
    say(f"  {shown_path(place.bare)}: bare, with hooks that check a push and tell the daemon of it")
    place.git("clone", "--quiet", place.bare, place.clone, cwd=place.folder)
    say(f"  {shown_path(place.clone)}: a clone of it")


def push_flows(place: Place) -> None:
    """Commit the examples to the clone and push them, as a person does."""
    place.git("checkout", "--quiet", "-B", "main")
    shutil.copytree(ROOT / "flows", place.clone / "flows", dirs_exist_ok=True)
    place.git("add", "--all")
    place.git("-c", "commit.gpgsign=false", "commit", "--quiet", "--message", "Example flows")
    shown(place.git("push", "origin", "main"))


def call_webhook(daemon: Daemon) -> str:
    """Start the flow `webhook` by HTTP; the execution's id."""
    say(f"  POST {daemon.url}{WEBHOOK}  " + json.dumps({"name": NAME}))
    execution = daemon.call("POST", WEBHOOK, {"name": NAME})
    say(f"  execution {execution['id']}: {execution['state']['current']}")
    return str(execution["id"])


def show_execution(daemon: Daemon, execution_id: str) -> str:
    """Wait for the end, print state and logs; the state."""
    execution = daemon.ended(execution_id, timeout_s=300)
    state = str(execution["state"]["current"])
    say(f"  state   {state} after {execution['state']['duration']}")
    say(f"  outputs {json.dumps(execution.get('outputs') or {})}")
    for run_ in execution.get("taskRunList") or []:
        say(f"  task    {run_['taskId']}: {run_['state']['current']}")
    for entry in daemon.get(f"/api/v1/logs/{execution_id}"):
        say(f"  log     {entry['level']:<5} {entry['message']}")
    return state


def committed_record(bare: Path, execution_id: str) -> tuple[str, dict[str, Any]] | None:
    """Path and content of the record on the results branch of the bare repository, or None while it is not there."""
    paths = run("git", "ls-tree", "-r", "--name-only", "results", cwd=bare, check=False).splitlines()
    path = next((each for each in paths if each.endswith(f"/{execution_id}.json")), None)
    return (path, json.loads(run("git", "show", f"results:{path}", cwd=bare))) if path else None


def show_record(place: Place, daemon: Daemon, execution_id: str) -> bool:
    """Print the record as committed; whether it says SUCCESS."""
    path, record = daemon.wait(lambda: committed_record(place.bare, execution_id), what="the record to be on the results branch", timeout_s=60)
    say(f"  results:{path}")
    shown(json.dumps(record, indent=2, ensure_ascii=False), lines=60)
    return bool(record["execution"]["state"]["current"] == "SUCCESS")


def main_job(place: Place, daemon: Daemon) -> bool:
    """Push, call, wait, show; whether all went well."""
    title("git push")
    push_flows(place)
    deployed = daemon.wait(
        lambda: daemon.get("/api/v1/flows/search?size=1&namespace=examples")["total"], what="the flows to be deployed", timeout_s=60
    )
    say(f"  {deployed} flows are deployed")
    title("A webhook starts an execution")
    execution_id = call_webhook(daemon)
    succeeded = show_execution(daemon, execution_id) == "SUCCESS"
    title("The record as committed")
    recorded = show_record(place, daemon, execution_id)
    title("git log results")
    shown(run("git", "log", "--stat", "--format=%h %an, %ar%n  %s%n%w(0,4,4)%-b", "-5", "results", cwd=place.bare))
    return succeeded and recorded


def wait_for_ctrl_c(place: Place, daemon: Daemon) -> None:
    """Return at SIGINT or SIGTERM, or when the daemon ends."""
    title(f"Podium serves at {daemon.url}")
    say(f"  change a flow in {shown_path(place.clone)}, commit, git push; Ctrl-C ends the demo")
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    while not ended.wait(0.5):
        if daemon.process is None or daemon.process.poll() is not None:
            raise Stopped(f"the daemon ended:\n{daemon.tail()}")
    say("\nstopping")


def main() -> int:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--once", action="store_true", help="end by itself")
    parser.add_argument("--port", type=int, default=int(os.environ.get("PORT", PORT)))
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the demo lives; thrown away at the next start")
    asked = parser.parse_args()
    place = Place(folder=asked.folder.resolve())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        title("A repository with hooks")
        make_repositories(place)
        port = free_port(asked.port)
        if port != asked.port:
            say(f"! port {asked.port} is taken; using {port}")
        write_config(place, port)
        title("The daemon")
        with running(place.config, port=port, log=place.folder / "daemon.log") as daemon:
            say(f"  serves at {daemon.url}, process {daemon.process.pid if daemon.process else '?'}")
            well = main_job(place, daemon)
            if not well:
                say(f"\nnot as it should be; the daemon's log ends:\n{daemon.tail()}")
            elif not asked.once:
                wait_for_ctrl_c(place, daemon)
    except Stopped as stopped:
        say(f"\nerror: {stopped}")
        return 1
    except KeyboardInterrupt:
        say("\nstopped")
        return 130
    say("\nthe execution succeeded and its record is in Git" if well else "")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
