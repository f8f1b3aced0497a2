"""What a peer must offer to be measured, and the measuring: start-up, memory at rest, one run, runs a second, 100 and 500 values at once."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from benchmarks.bench_core import rate_in_process
from benchmarks.measure import NAMESPACE, Measured, place
from tools.harness import Daemon

CACHE = Path(os.environ.get("PODIUM_PEERS", Path.home() / ".cache" / "podium-peers"))
RUNS = 5
FANS = (100, 500)
FAN = """id: fan-{count}
namespace: bench
tasks:
  - id: each
    type: io.kestra.plugin.core.flow.ForEach
    concurrencyLimit: 0
    values: "{{{{ range(1, {count}) }}}}"
    tasks: [{{id: say, type: io.kestra.plugin.core.debug.Return, format: "{{{{ taskrun.value }}}}"}}]
"""


class Absent(Exception):
    """The peer cannot be had or does not start here; the text says why."""


class Peer(Protocol):
    """A system that can be measured. Its making installs it if asked. Raises Absent."""

    what: str
    """Version and settings."""

    def start(self, end: float) -> float:
        """Start it; seconds until it takes work. end: when to give up, on the monotonic clock."""
        ...

    def resident_mb(self) -> float:
        """Memory of all its processes."""
        ...

    def one(self) -> float:
        """Seconds of a run of one step that does nothing, from asking for it to knowing that it has ended."""
        ...

    def rate(self, end: float) -> tuple[float, int]:
        """Such runs a second when many are asked for at once, and how many were."""
        ...

    def fan(self, count: int, end: float) -> float | None:
        """Seconds of a run of so many steps at once; None when it had not ended at `end`."""
        ...

    def stop(self) -> None:
        """End every process of it."""
        ...


class Processes:
    """A command that leads a session of its own: everything that it starts is counted and ended with it, and nothing else."""

    def __init__(self, *argv: str | Path, env: dict[str, str], log: Path) -> None:
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                [str(each) for each in argv], env={**os.environ, **env}, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True,
                cwd=log.parent,
            )

    def ended(self) -> bool:
        return self._process.poll() is not None

    def tree(self) -> list[int]:
        """Our child and all below it."""
        parents: dict[int, list[int]] = {}
        for entry in Path("/proc").iterdir():
            with suppress(OSError, ValueError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                parents.setdefault(int(fields[1]), []).append(int(entry.name))
        found = [self._process.pid]
        for each in found:
            found += parents.get(each, [])
        return found

    def resident_mb(self) -> float:
        """Proportional shares, so that what processes share counts once."""
        total = 0
        for pid in self.tree():
            with suppress(OSError):
                total += sum(int(line.split()[1]) for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines() if line.startswith("Pss:"))
        return total / 1024

    def stop(self) -> None:
        """In order, and after ten seconds by force."""
        pids = self.tree()
        if not self.ended():
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(10)
        for pid in pids:
            if Path(f"/proc/{pid}").exists() and pid != self._process.pid:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        if not self.ended():
            self._process.kill()
        self._process.wait()


def venv(name: str, package: str, *, install: bool) -> Path:
    """The bin folder of a virtual environment with that package from PyPI. Raises Absent."""
    folder = CACHE / name
    if (folder / "bin" / name).exists():
        return folder / "bin"
    if not install:
        raise Absent(f"not installed: --peers yes does it, from PyPI ({package})")
    for argv in (["python3", "-m", "venv", str(folder)], [str(folder / "bin" / "pip"), "install", "--quiet", package]):
        done = subprocess.run(argv, check=False, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode:
            shutil.rmtree(folder, ignore_errors=True)
            raise Absent(f"cannot be installed: {done.stdout.strip().splitlines()[-1] if done.stdout.strip() else done.returncode}")
    return folder / "bin"


def podium_figures() -> tuple[dict[str, float], list[Measured]]:
    """The same job by Podium: a daemon asked through HTTP; runs a second in process, too."""
    figures: dict[str, float] = {}
    with place(1) as where:
        for count in FANS:
            where.write(f"fan-{count}", FAN.format(count=count))
        where.push("flows")
        with where.daemon():
            pass
        with where.daemon() as daemon:
            figures["start"] = daemon.start_s
            time.sleep(1)
            assert daemon.process is not None
            figures["memory"] = _pss_mb(daemon.process.pid)
            figures["one"] = statistics.median(_run(daemon, "flow-0000") for _ in range(RUNS))
            for count in FANS:
                figures[f"fan {count}"] = _run(daemon, f"fan-{count}")
    folder = Path(tempfile.mkdtemp(prefix="podium-bench-"))
    try:
        figures["rate"] = asyncio.run(rate_in_process(folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return figures, list(_table("Podium", "through HTTP; runs a second in process", figures, None))


def _pss_mb(pid: int) -> float:
    return sum(int(line.split()[1]) for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines() if line.startswith("Pss:")) / 1024


def _run(daemon: Daemon, flow: str) -> float:
    started = time.perf_counter()
    ended = daemon.call("POST", f"/api/v1/executions/{NAMESPACE}/{flow}?wait=true")
    assert ended["state"]["current"] == "SUCCESS", ended["state"]
    return time.perf_counter() - started


_TEXTS = {
    "start": ("start-up", "{:.2f} s"), "memory": ("memory at rest", "{:.0f} MB"), "one": ("one-step run", "{:.3f} s"),
    "rate": ("one-step runs", "{:.1f}/s"), "fan 100": ("100 at once", "{:.2f} s"), "fan 500": ("500 at once", "{:.2f} s"),
}


def _table(name: str, what: str, figures: dict[str, float], ours: dict[str, float] | None) -> Iterator[Measured]:
    for key, value in figures.items():
        title, text = _TEXTS[key]
        detail = what
        if ours is not None and value and ours.get(key):
            ratio = ours[key] / value if key == "rate" else value / ours[key]
            detail = f"Podium is better by {ratio:.1f} ×; {what}" if ratio >= 1 else f"Podium is worse by {1 / ratio:.1f} ×; {what}"
        yield Measured(name=f"{name}: {title}", figure=text.format(value), budget="", good=True, detail=detail)


def measure(make: Callable[[], Peer], *, name: str, ours: dict[str, float], end: float) -> Iterator[tuple[Measured, float]]:
    """The lines of a peer, each with its runs a second if that is what it is about. Raises Absent when it does not even start."""
    peer = make()
    try:
        for key, ask in _steps(peer, end):
            if time.monotonic() > end - 5:
                yield Measured(name=f"{name}: {_TEXTS[key][0]}", figure="no time left", budget="", good=True, detail=peer.what), 0.0
                continue
            try:
                value, word = ask()
            except (OSError, ValueError, KeyError, AssertionError) as error:
                detail = f"{type(error).__name__}: {str(error)[:150]}; {peer.what}"
                yield Measured(name=f"{name}: {_TEXTS[key][0]}", figure="failed", budget="", good=True, detail=detail), 0.0
                if key == "start":
                    return
                continue
            if value is None:
                yield Measured(name=f"{name}: {_TEXTS[key][0]}", figure="not ended", budget="", good=True, detail=f"given up; {peer.what}"), 0.0
                continue
            for line in _table(name, f"{word}{peer.what}", {key: value}, ours):
                yield line, value if key == "rate" else 0.0
    finally:
        peer.stop()


def _steps(peer: Peer, end: float) -> list[tuple[str, Callable[[], tuple[float | None, str]]]]:
    def rate() -> tuple[float | None, str]:
        found, count = peer.rate(end)
        return found, f"{count} runs; "

    def rest() -> tuple[float | None, str]:
        time.sleep(1)
        return peer.resident_mb(), ""

    return [
        ("start", lambda: (peer.start(end), "")), ("memory", rest), ("one", lambda: (statistics.median(peer.one() for _ in range(RUNS)), "")),
        ("rate", rate), ("fan 100", lambda: (peer.fan(100, end), "")), ("fan 500", lambda: (peer.fan(500, end), "")),
    ]
