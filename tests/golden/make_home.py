"""Makes tests/golden/homes/<script>: a home as a release leaves it at a kill -9. By hand, once for each script of store/sql:

    .venv/bin/python tests/golden/make_home.py 0004 [tree of that release, if it is not this one]

All dates are set back by a year, so that every timer is over when the home is opened. tests/acceptance/test_daemon_upgrade.py reads it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import sys
import tempfile
import urllib.error
from collections.abc import Mapping
from contextlib import closing, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "acceptance"))
from daemon_house import DaemonHouse, wait_for  # noqa: E402 - its folder is known only now

FLOWS: Mapping[str, str] = {
    "done": "tasks: [{id: say, type: core.log.Log, message: done}]",
    "each": """tasks:
  - id: all
    type: core.flow.ForEach
    values: [a, b, c]
    concurrencyLimit: 1
    tasks:
      - {id: hold, type: core.flow.Pause, pauseDuration: PT10M}
      - {id: say, type: core.log.Log, message: "value {{ taskrun.value }}"}""",
    "limited": """concurrency: {limit: 1, behavior: QUEUE}
tasks:
  - {id: wait, type: core.flow.Pause}
  - {id: after, type: core.log.Log, message: went on}""",
    "loop": """tasks:
  - id: all
    type: core.flow.Loop
    values: [a, b]
    tasks:
      - {id: sleep, type: core.flow.Sleep, duration: PT10M}
      - {id: say, type: core.log.Log, message: "value {{ item.value }}"}""",
    "parent": "tasks:\n  - {id: down, type: core.flow.Subflow, namespace: old, flowId: paused, wait: true, inputs: {who: child}}",
    "paused": """inputs: [{id: who, type: STRING, defaults: ann}, {id: key, type: SECRET, defaults: sesame}]
tasks:
  - {id: before, type: core.debug.Return, format: "before {{ inputs.who }}"}
  - {id: wait, type: core.flow.Pause}
  - {id: after, type: core.log.Log, message: "{{ outputs.before.value }} after"}""",
    "retrying": """tasks:
  - {id: fail, type: core.execution.Fail, errorMessage: once, runIf: "{{ taskrun.attemptsCount < 1 }}",
     retry: {type: constant, interval: PT10M, maxAttempts: 3}}""",
    "review": "tasks:\n  - id: ask\n    type: core.flow.Approval\n    onApprove: [{id: ship, type: core.log.Log, message: shipped}]",
    "running": 'tasks:\n  - {id: work, type: scripts.shell.Commands, commands: ["sleep 600"]}',
    "sleeping": "tasks:\n  - {id: sleep, type: core.flow.Sleep, duration: PT10M}\n  - {id: after, type: core.log.Log, message: awake}",
}
STATES = {
    "paused": "PAUSED", "sleeping": "RUNNING", "retrying": "RETRYING", "each": "PAUSED", "parent": "RUNNING", "running": "RUNNING", "limited": "PAUSED",
    "queued": "QUEUED", "loop": "RUNNING", "review": "PAUSED",
}
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")


def lived(house: DaemonHouse) -> dict[str, str]:
    """Start the daemon, bring executions into their states, and kill it; which execution is which."""
    house.start()
    house.push({f"{name}.yaml": f"id: {name}\nnamespace: old\n{text}\n" for name, text in FLOWS.items()})
    house.deployed("old", "sleeping")
    house.podium("kv", "set", "old", "k", "42", "--home", str(house.home))
    made = {"done": house.execute("old", "done")}
    house.ended(made["done"])
    wait_for(lambda: made["done"] in house.records(), "the record")
    wait_for(lambda: house.call("GET", "/health")["unpushed"]["count"] == 0, "everything to be pushed")
    for name, state in STATES.items():
        try:
            made[name] = house.execute("old", "limited" if name == "queued" else name)
        except urllib.error.HTTPError:  # a flow that this release does not know
            continue
        wait_for(lambda name=name, state=state: house.execution(made[name])["state"]["current"] == state, f"{name} to be {state}")  # type: ignore[misc]
    house.bare.rename(house.root / "away.git")
    made["unpushed"] = house.execute("old", "done")
    house.ended(made["unpushed"])
    house.kill()
    mark = f"PODIUM_ATTEMPT={(house.home / 'instance').read_text().strip()}:".encode()
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and mark in (entry / "environ").read_bytes():
                os.kill(int(entry.name), signal.SIGKILL)
    return made


def aged(value: Any, names: Mapping[str, str]) -> Any:
    """A value of the database with its dates set back, and paths of this machine replaced."""
    if not isinstance(value, (str, bytes)):
        return value
    text = value.decode() if isinstance(value, bytes) else value
    text = _DATE.sub(lambda found: (datetime.fromisoformat(found[0]) - timedelta(days=365)).isoformat(timespec="seconds"), text)
    for real, name in names.items():
        text = text.replace(real, name)
    return text.encode() if isinstance(value, bytes) else text


def as_text(path: Path, names: Mapping[str, str]) -> str:
    """The database as SQL."""
    with closing(sqlite3.connect(path)) as connection:
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'").fetchall():
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            rows = connection.execute(f"SELECT * FROM {table}").fetchall()
            connection.execute(f"DELETE FROM {table}")
            marks = ", ".join("?" * len(columns))
            connection.executemany(f"INSERT INTO {table} VALUES ({marks})", [[aged(each, names) for each in row] for row in rows])
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        return "\n".join([*connection.iterdump(), f"PRAGMA user_version={version};", ""])


def main(name: str, tree: str | None) -> None:
    """Make one."""
    if tree:
        os.environ["PYTHONPATH"] = str(Path(tree) / "daemon")
    os.environ |= {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "init.defaultBranch", "GIT_CONFIG_VALUE_0": "main"}
    target = HERE / "homes" / name
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    root = Path(tempfile.mkdtemp())
    with closing(DaemonHouse(root, port, '[runner]\ntype = "process"\n')) as house:
        made = lived(house)
        target.mkdir(parents=True)
        for each in ("instance", "instance.key"):
            shutil.copy(house.home / each, target / each)
        shutil.copytree(house.home / "attempts", target / "attempts", ignore=lambda folder, names: [
            each for each in names if not (Path(folder) / each).is_dir() and not (Path(folder) / each).is_file()
        ])
        (target / "executions.json").write_text(json.dumps(made, indent=2) + "\n")
        (target / "journal.sql").write_text(as_text(house.home / "journal.db", {str(house.bare): "/srv/git/flows.git", str(root): "/srv"}))
    shutil.rmtree(root)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)
