"""A daemon with something on every page: flows by several people, executions in every state, deliveries, a backfill, keys, a refused file.

Used by `make ui-shots`, and by tests and measurements of pages. What always holds: everything came in as a user's would, by git push and HTTP.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import tempfile
import time
import urllib.error
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from podium.base.system.clock import SystemClock
from tools.demo import Place, make_repositories, write_config
from tools.harness import TERMINAL, Daemon, free_port, run, running

FLOWS = Path(__file__).parent / "flows"
BROKEN = "company/ml/broken.yaml"
SALES = "company/analytics/daily_sales.yaml"
DEPLOYED = "/api/v1/flows/company.analytics/daily_sales"
PEOPLE = (("Ann Archer", "ann@example.org"), ("Bo Berg", "bo@example.org"), ("Cy Chen", "cy@example.org"))
CHANGES = ("tier: gold", "tier: silver"), ("# Loads the sales of yesterday", "# Loads all sales of yesterday")


@dataclass(slots=True, kw_only=True)
class World:
    """A daemon that serves, its repository, and what is in it. ids: name of what an execution shows → its id."""

    place: Place
    daemon: Daemon
    ids: dict[str, str] = field(default_factory=dict)

    def start(self, name: str, namespace: str, flow: str, inputs: Mapping[str, str] | None = None, *, wait: bool = False) -> str:
        """Start an execution, remember it under `name`, and wait for its end if wanted."""
        identifier = str(self.daemon.call("POST", f"/api/v1/executions/{namespace}/{flow}", dict(inputs or {}))["id"])
        self.ids[name] = identifier
        if wait:
            self.daemon.ended(identifier, timeout_s=180)
        return identifier

    def until(self, name: str, *states: str) -> None:
        """Wait until an execution is in one of these states."""
        path = f"/api/v1/executions/{self.ids[name]}"
        self.daemon.wait(lambda: self.daemon.get(path)["state"]["current"] in states, what=f"{name} to be {' or '.join(states)}", timeout_s=120)


@contextlib.contextmanager
def world(folder: Path) -> Iterator[World]:
    """A world in `folder`, for as long as the context is open."""
    place = Place(folder=folder)
    make_repositories(place)
    broken = _first_flows(place)
    port = free_port()
    write_config(place, port)
    with running(place.config, port=port, log=folder / "daemon.log") as daemon:
        found = World(place=place, daemon=daemon)
        daemon.wait(lambda: daemon.get("/api/v1/flows/search?size=1")["total"] >= 7, what="the flows to be deployed", timeout_s=60)
        _changes(found, broken)
        _executions(found)
        _outside(found)
        yield found


def _first_flows(place: Place) -> str:
    """A first push; the text of the broken flow, which is pushed later."""
    place.git("checkout", "--quiet", "-B", "main")
    shutil.copytree(FLOWS, place.clone, dirs_exist_ok=True)
    broken = (place.clone / BROKEN).read_text("utf-8")
    (place.clone / BROKEN).unlink()
    _commit(place, 0, "Flows of analytics, platform and machine learning")
    place.git("push", "--quiet", "origin", "main")
    return broken


def _changes(found: World, broken: str) -> None:
    """Pushes of several people. The last has a broken flow: what a repository without our hooks would let in."""
    place, daemon = found.place, found.daemon
    for person, (old, new) in enumerate(CHANGES, 1):
        path = place.clone / SALES
        path.write_text(path.read_text("utf-8").replace(old, new), "utf-8")
        _commit(place, person, f"daily_sales: {new.lstrip('# ')}")
        place.git("push", "--quiet", "origin", "main")
        daemon.wait(lambda revision=person + 1: daemon.get(DEPLOYED)["revision"] == revision, what="the change to be deployed", timeout_s=60)
    run("git", "config", "core.hooksPath", "/dev/null", cwd=place.bare)
    (place.clone / BROKEN).write_text(broken, "utf-8")
    _commit(place, 2, "A first try")
    place.git("push", "--quiet", "origin", "main")
    run("git", "config", "--unset", "core.hooksPath", cwd=place.bare)
    daemon.call("POST", "/api/v1/hooks/main", {})
    daemon.wait(lambda: daemon.get("/api/v1/sources/rejected"), what="the broken flow to be refused", timeout_s=60)


def _commit(place: Place, person: int, message: str) -> None:
    name, email = PEOPLE[person]
    place.git("add", "--all")
    place.git("-c", f"user.name={name}", "-c", f"user.email={email}", "-c", "commit.gpgsign=false", "commit", "--quiet", "--message", message)


def _executions(found: World) -> None:
    for number in range(5):
        found.start("success", "company.analytics", "daily_sales", {"day": f"2026-01-0{number + 1}"}, wait=True)
    found.start("dag", "company.ml", "features", wait=True)
    for what in ("logs", "files", "all"):
        found.start("warning" if what == "files" else what, "company.platform", "cleanup", {"what": what}, wait=True)
    found.start("many", "company.ml", "train", wait=True)
    found.start("failed", "company.analytics", "quality", wait=True)
    found.start("paused", "company.analytics", "report")
    found.until("paused", "PAUSED")
    found.start("killed", "company.platform", "backup")
    found.until("killed", "RUNNING")
    with contextlib.suppress(urllib.error.HTTPError):
        found.daemon.call("DELETE", f"/api/v1/executions/{found.ids['killed']}/kill")
    found.until("killed", *TERMINAL)
    found.start("running", "company.platform", "backup")
    found.until("running", "RUNNING")
    found.start("queued", "company.platform", "backup")


def _outside(found: World) -> None:
    """What others send and store."""
    daemon, place = found.daemon, "/api/v1/executions/webhook/company.analytics/daily_sales"
    for key, body in (("orders-of-the-shop", {"order": 17, "password": "hunter2"}), ("wrong", {"order": 18})):
        with contextlib.suppress(urllib.error.HTTPError):
            daemon.call("POST", f"{place}/{key}", body)
    for key, value in (("last_day", "2026-01-05"), ("limits", {"north": 10, "south": 20}), ("enabled", True)):
        daemon.call("PUT", f"/api/v1/namespaces/company.analytics/kv/{key}", value)
    deliveries = daemon.wait(lambda: daemon.get("/api/v1/deliveries")["results"], what="the deliveries to be noted", timeout_s=30)
    found.ids["delivery"] = deliveries[0]["id"]
    found.ids["commit"] = daemon.get("/api/v1/syncs")[0]["commit"]
    now = SystemClock().now().replace(microsecond=0)
    backfill = {"start": (now - timedelta(days=20)).isoformat(), "end": now.isoformat()}
    daemon.call(
        "PUT", "/api/v1/triggers",
        {"namespace": "company.platform", "flowId": "backup", "triggerId": "nightly", "backfill": backfill},
    )
    unpushed = lambda: daemon.get("/health").get("unpushed", {}).get("count", 0) == 0  # noqa: E731 - asked in the next line only
    daemon.wait(unpushed, what="the records to be pushed", timeout_s=60)


if __name__ == "__main__":  # a world to look at with one's own browser
    with tempfile.TemporaryDirectory(prefix="podium-world-") as folder, world(Path(folder)) as made:
        sys.stdout.write(f"{made.daemon.url} {json.dumps(made.ids, indent=1)}\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                time.sleep(3600)
