"""A daemon house under load with a ledger outside of it: what was acknowledged, and every effect that a task had.

The ledger never asks the daemon what it believes: acknowledgements are answers that arrived, effects are lines that commands append to
a file of the test, requests that a server of the test took, and containers that the engine says it started.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from daemon_house import PODIUM, DaemonHouse, wait_for
from fault_flows import ASKS, WEIGHTS, flows

SHIMS = Path(__file__).parent / "shims"
OPEN = "CREATED,QUEUED,RUNNING,PAUSED,RESTARTED,KILLING,RETRYING,SUBMITTED"


class Rounds:
    """How often something is done to a daemon: `wanted` times, but no longer than the budget of time, and at least `least` times all the same."""

    def __init__(self, wanted: int, *, least: int) -> None:
        self.done, self._wanted, self._least = 0, wanted, min(least, wanted)
        self._end = time.monotonic() + 60 * float(os.environ.get("FAULTS_MINUTES") or 25)

    def more(self) -> bool:
        """Whether there is one more."""
        more = self.done < self._least or (self.done < self._wanted and time.monotonic() < self._end)
        self.done += more
        return more


class Sink:
    """An HTTP server that counts what was posted to which path."""

    def __init__(self) -> None:
        self.taken: Counter[str] = Counter()
        taken = self.taken

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                taken[self.path] += 1
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_arguments: Any) -> None:
                """Says nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Ledger:
    """What the outside knows."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.acknowledged: dict[str, str] = {}
        """Execution → flow."""
        self.unanswered: Counter[str] = Counter()
        """Flow → starts whose answer did not arrive: they may be executions or not."""
        self.deliveries: dict[str, str] = {}
        """Webhook delivery → execution. A delivery is repeated until it is answered."""
        self.answered: set[str] = set()
        """Executions that waited for somebody and were answered."""
        self.restarted: set[str] = set()
        """Executions whose restart was acknowledged: there must be a second record."""
        self.refused: list[str] = []
        """Answers that were errors."""


class FaultHouse(DaemonHouse):
    """See the module's docstring. faults: name of a planted bug (shims/sitecustomize.py)."""

    def __init__(self, root: Path, port: int, settings: str = "", *, plant: str = "", kinds: Mapping[str, float] | None = None) -> None:
        super().__init__(root, port, settings)
        self.ledger, self.sink = Ledger(), Sink()
        self.effects, self.marks = root / "effects", root / "marks"
        self.effects.touch()
        self.marks.mkdir()
        self.kinds = dict(kinds or WEIGHTS)
        self.environ = {"PYTHONPATH": os.pathsep.join(filter(None, [str(SHIMS), os.environ.get("PYTHONPATH", "")])), "FAULT_PLANT": plant}
        self.environ["FAULT_DURABLE"] = str(root / "durable")
        self.kills = 0
        self.container_starts: Counter[tuple[str, str]] = Counter()
        """(instance, container) → how often the engine started it."""
        self.watching: Any = None

    def watch(self, docker: Any) -> None:
        """Write down every start of a container from now on, as the engine tells it: it keeps only its last 256 events."""
        events = docker.events(decode=True, filters={"event": "start", "type": "container"})

        def listen() -> None:
            with contextlib.suppress(Exception):  # closed at the end
                for event in events:
                    attributes = event["Actor"]["Attributes"]
                    self.container_starts[attributes.get("podium.instance", ""), attributes["name"]] += 1

        self.watching = events
        threading.Thread(target=listen, daemon=True).start()

    def begin(self) -> None:
        """Start the daemon with every flow deployed."""
        self.push(flows(self.effects, self.marks, self.sink.url))
        self.start(**self.environ)
        for name in ("one", "tick"):
            self.deployed("load", name)

    def again(self) -> None:
        """Start after a crash."""
        self.start(**self.environ)

    def again_elsewhere(self) -> None:
        """Start on a port that the daemon chooses (`port = 0` in its settings)."""
        from_here = len(self.log.read_bytes())
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*PODIUM, "serve", "--config", str(self.config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={**os.environ, **self.environ},
            )
        url = wait_for(lambda: re.search(rb"Podium serves at http://127.0.0.1:(\d+)", self.log.read_bytes()[from_here:]), "the daemon to serve", 60)
        self.port = int(url[1])

    def killed_at_start(self, after_s: float) -> None:
        """Start, and kill -9 before it is known whether it serves."""
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [*PODIUM, "serve", "--config", str(self.config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={**os.environ, **self.environ},
            )
        time.sleep(after_s)
        process.kill()
        process.wait()
        self.kills += 1

    def crash(self) -> None:
        """kill -9."""
        self.kill()
        self.kills += 1

    def close(self) -> None:
        super().close()
        if self.watching is not None:
            self.watching.close()
        self.sink.close()
        for pid in self.marked_processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    # ---- load
    def start_one(self, flow: str) -> str | None:
        """Ask for an execution and note the answer."""
        try:
            made = str(self.call("POST", f"/api/v1/executions/load/{flow}")["id"])
        except urllib.error.HTTPError as error:
            with self.ledger.lock:
                self.ledger.refused.append(f"{error.code} {error.read().decode(errors='replace')[:300]}")
            return None
        except (OSError, ValueError, urllib.error.URLError) as error:
            refused = isinstance(getattr(error, "reason", error), ConnectionRefusedError)
            with self.ledger.lock:
                self.ledger.unanswered[flow] += not refused
            return None
        with self.ledger.lock:
            self.ledger.acknowledged[made] = flow
        return made

    def deliver(self, name: str) -> bool:
        """Post a webhook delivery; whether it was answered."""
        request = {"X-Delivery": name}
        try:
            with self.opened("POST", "/api/v1/executions/webhook/load/hook/sesame", b"{}", request) as answer:
                made = answer.headers.get("Podium-Execution")
        except (OSError, ValueError):
            return False
        with self.ledger.lock:
            self.ledger.deliveries[name] = made
            self.ledger.acknowledged[made] = "hook"
        return True

    def opened(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Any:
        """The open answer to a request."""
        import urllib.request

        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data=body, method=method)
        for name, value in {"Content-Type": "application/json", "X-Podium-Client": "test", **headers}.items():
            request.add_header(name, value)
        return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30)

    def restart_failed(self, execution_id: str) -> bool:
        """Let a flaky execution succeed and restart it; whether that was acknowledged."""
        (self.marks / execution_id).touch()
        try:
            self.call("POST", f"/api/v1/executions/{execution_id}/restart")
        except urllib.error.HTTPError as error:
            if error.code == 409 and self.execution_or_none(execution_id) not in (None, "FAILED"):
                self.ledger.restarted.add(execution_id)  # an earlier one got through and its answer was lost
                return True
            return False
        except (OSError, ValueError):
            return False
        self.ledger.restarted.add(execution_id)
        return True

    def answer_all(self) -> None:
        """Resume and approve what waits for somebody, also what was started without our being told."""
        try:
            waiting = self.call("GET", "/api/v1/executions/search?namespace=load&state=PAUSED&size=200")["results"]
        except (OSError, ValueError):
            return
        for each in waiting:
            if each["flowId"] not in ASKS:
                continue
            try:
                if each["flowId"] == "paused":
                    self.call("POST", f"/api/v1/executions/{each['id']}/resume")
                else:
                    self.call("POST", f"/api/v1/executions/{each['id']}/review", {"decision": "APPROVED", "by": "the test"})
            except (OSError, ValueError):  # asked again when it still waits
                continue
            self.ledger.answered.add(each["id"])

    def _answer_until(self, stop: threading.Event) -> None:
        while not stop.wait(0.3):
            self.answer_all()

    def execution_or_none(self, execution_id: str) -> str | None:
        """The state of an execution, if the daemon answers."""
        try:
            return str(self.execution(execution_id)["state"]["current"])
        except (OSError, ValueError):
            return None

    @contextlib.contextmanager
    def load(self, rng: random.Random, pause_s: float = 0.08) -> Iterator[None]:
        """Post executions, deliveries and restarts while the context is open, whatever the daemon does."""
        stop = threading.Event()
        names, weights = list(self.kinds), list(self.kinds.values())

        def starts(mine: random.Random) -> None:
            while not stop.is_set():
                if self.start_one(mine.choices(names, weights)[0]) is None:
                    stop.wait(0.2)
                stop.wait(mine.uniform(0, 2 * pause_s))

        def deliveries(mine: random.Random) -> None:
            number = 0
            while not stop.is_set():
                name = f"{mine.random()}-{number}"
                number += 1
                while not self.deliver(name):  # answered in the end: a sender that gives up leaves nothing to check
                    if stop.wait(0.3):
                        break
                stop.wait(mine.uniform(0.2, 0.8))

        def restarts() -> None:
            while not stop.wait(0.5):
                with self.ledger.lock:
                    open_ones = [each for each, flow in self.ledger.acknowledged.items() if flow == "flaky" and each not in self.ledger.restarted]
                for each in open_ones:
                    if self.execution_or_none(each) == "FAILED":
                        self.restart_failed(each)

        threads = [
            threading.Thread(target=self._answer_until, args=(stop,)), threading.Thread(target=starts, args=(random.Random(rng.random()),)),
            threading.Thread(target=deliveries, args=(random.Random(rng.random()),)), threading.Thread(target=restarts),
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def settle(self, timeout_s: float = 120) -> None:
        """Let everything that is open end and its records reach the branch."""
        self.call("PUT", "/api/v1/triggers/set-disabled", {"namespace": "load", "flowId": "tick", "triggerId": "second", "disabled": True})
        wait_for(self._at_rest, "every execution to end", timeout_s)
        wait_for(lambda: self.call("GET", "/health")["unpushed"]["count"] == 0, "every record to reach the branch", 60)
        # A flow trigger may have started one more.
        wait_for(self._at_rest, "every execution to end", timeout_s)
        wait_for(lambda: self.call("GET", "/health")["unpushed"]["count"] == 0, "every record to reach the branch", 60)

    def _at_rest(self) -> bool:
        self.answer_all()
        return self.open_count() == 0

    def open_count(self) -> int:
        """Executions that have not ended, as the daemon lists them."""
        states = "&".join(f"state={state}" for state in OPEN.split(",")[:7])
        return int(self.call("GET", f"/api/v1/executions/search?{states}&size=1")["total"])

    # ---- what is left
    @property
    def instance(self) -> str:
        return (self.home / "instance").read_text().strip()

    def marked_processes(self) -> list[int]:
        """Processes of this daemon's tasks."""
        try:
            mark = f"PODIUM_ATTEMPT={self.instance}:".encode()
        except OSError:
            return []
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    if mark in (entry / "environ").read_bytes():
                        found.append(int(entry.name))
        return found

    def say(self, text: str) -> None:
        """A line of progress, shown with -s or on failure."""
        sys.stdout.write(f"{text}\n")

    def branch_files(self) -> dict[str, bytes]:
        """Every file of executions/ on the results branch of the remote."""
        listed = self.git("ls-tree", "-r", "results", "executions/", cwd=self.bare, check=False).stdout.splitlines()
        entries = [(line.split("\t")[1], line.split()[2]) for line in listed]
        done = subprocess.run(
            ["git", "cat-file", "--batch"], cwd=self.bare, input="\n".join(blob for _, blob in entries).encode() + b"\n", capture_output=True, check=True,
        )
        found, rest = {}, done.stdout
        for path, _ in entries:
            head, _, rest = rest.partition(b"\n")
            size = int(head.split()[2])
            found[path], rest = rest[:size], rest[size + 1 :]
        return found


def loaded(body: bytes) -> Any:
    """JSON."""
    return json.loads(body)


@contextlib.contextmanager
def fault_house(root: Path, port: int, settings: str = "", *, plant: str = "", kinds: Mapping[str, float] | None = None) -> Iterator[FaultHouse]:
    root.mkdir(parents=True, exist_ok=True)
    house = FaultHouse(root, port, settings, plant=plant, kinds=kinds)
    try:
        yield house
    finally:
        house.close()
