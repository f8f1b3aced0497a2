"""Airflow: `airflow standalone` with SQLite and the LocalExecutor, asked through its REST API as the web page does it."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.peers.common import Absent, Processes, venv
from tools.harness import free_port, run

DAGS = """
from airflow.sdk import dag, task

@dag(schedule=None, catchup=False, is_paused_upon_creation=False, max_active_runs=64)
def one():
    @task
    def say():
        return 1
    say()
one()

def fans(count):
    @dag(dag_id=f"fan-{count}", schedule=None, catchup=False, is_paused_upon_creation=False, max_active_tasks=500)
    def fan():
        @task
        def double(n):
            return 2 * n
        double.expand(n=list(range(count)))
    fan()

fans(100)
fans(500)
"""
RATE_RUNS = 10
POLL_S = 0.1


class Airflow:
    """See Peer."""

    def __init__(self, *, install: bool) -> None:
        self._bin = venv("airflow", "apache-airflow", install=install)
        self._folder = Path(tempfile.mkdtemp(prefix="podium-bench-"))
        (self._folder / "dags").mkdir()
        (self._folder / "dags" / "bench.py").write_text(DAGS, "utf-8")
        self._port = free_port()
        self._env = {
            "AIRFLOW_HOME": str(self._folder), "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "AIRFLOW__API__PORT": str(self._port),
            "AIRFLOW__API__HOST": "127.0.0.1", "AIRFLOW__API__WORKERS": "1", "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "32", "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{self._port}/execution/",
            "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{self._port}", "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1", "PATH": f"{self._bin}:/usr/bin:/bin",
        }
        self._token = ""
        self._all: Processes | None = None
        word = run(self._bin / "airflow", "version", env=self._env, check=False).splitlines()
        self.what = f"Airflow {word[-1] if word else ''}, standalone, SQLite, LocalExecutor, parallelism 32, scheduler asleep 0.1 s at most"

    def start(self, end: float) -> float:
        """See Peer: until its flows can be asked for. The database is made before, and not counted."""
        run(self._bin / "airflow", "db", "migrate", env=self._env)
        started = time.perf_counter()
        self._all = Processes(self._bin / "airflow", "standalone", env=self._env, log=self._folder / "standalone.log")
        while True:
            with suppress(OSError, ValueError, KeyError):
                if not self._token:
                    self._token = str(self._call("GET", "/auth/token")["access_token"])
                if int(self._call("GET", "/api/v2/dags")["total_entries"]) == 3:
                    return time.perf_counter() - started
            if self._all.ended() or time.monotonic() > end - 5:
                word = (self._folder / "standalone.log").read_text("utf-8", "replace").strip().splitlines()
                raise Absent(f"{self.what} takes no work after {time.perf_counter() - started:.0f} s: {word[-1][-150:] if word else 'no word'}")
            time.sleep(POLL_S)

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {self._token}"} if self._token else {})
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self._port}{path}", data=data, method=method, headers=headers)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
            return json.loads(answer.read())

    def _ask(self, dag: str) -> str:
        return str(self._call("POST", f"/api/v2/dags/{dag}/dagRuns", {"logical_date": None})["dag_run_id"])

    def _ended(self, dag: str, found: str, end: float) -> bool:
        """Wait for the end of a run; False when it had none by then."""
        while time.monotonic() < end:
            state = ""
            with suppress(TimeoutError):  # it answers late while it is busy; the run's time goes on
                state = self._call("GET", f"/api/v2/dags/{dag}/dagRuns/{found}")["state"]
            if state in ("success", "failed"):
                assert state == "success", (dag, state)
                return True
            time.sleep(POLL_S)
        return False

    def resident_mb(self) -> float:
        """See Peer."""
        return self._all.resident_mb() if self._all else 0.0

    def one(self) -> float:
        """See Peer."""
        started = time.perf_counter()
        assert self._ended("one", self._ask("one"), time.monotonic() + 60), "a run of one step had not ended after a minute"
        return time.perf_counter() - started

    def rate(self, end: float) -> tuple[float, int]:
        """See Peer. Counted are those that ended in time."""
        started = time.perf_counter()
        ended = [each for each in [self._ask("one") for _ in range(RATE_RUNS)] if self._ended("one", each, end)]
        return len(ended) / (time.perf_counter() - started), len(ended)

    def fan(self, count: int, end: float) -> float | None:
        """See Peer."""
        started = time.perf_counter()
        return time.perf_counter() - started if self._ended(f"fan-{count}", self._ask(f"fan-{count}"), end) else None

    def stop(self) -> None:
        """See Peer."""
        if self._all is not None:
            self._all.stop()
        shutil.rmtree(self._folder, ignore_errors=True)
