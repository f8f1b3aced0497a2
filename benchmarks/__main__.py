"""`python -m benchmarks [--only NAME]… [--peers yes|no|auto]`: run the measurements, print the table and keep it.

A part that fails or takes too long is a line of the table, not the end of the run.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from types import FrameType

from benchmarks.machine import facts, load
from benchmarks.measure import Measured
from benchmarks.suite import SUITE, Part
from podium.base.system.clock import SystemClock
from podium.base.system.log import configure_logging
from tools.harness import ROOT

RESULTS = ROOT / "benchmarks" / "results"
TREND = ROOT / ".podium" / "bench.jsonl"


LEAST_S = 15


class TooLong(Exception):
    """A part did not end in its time."""


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Raise TooLong in here after so many seconds."""

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise TooLong(f"not done after {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _lines(name: str, part: Part, left_s: float) -> Iterator[Measured]:
    """The lines of a part; when it fails, what there was of it and a line that says why."""
    if left_s < LEAST_S:
        yield Measured(name=name, figure="no time left", budget="", good=True, detail="--minutes gives more")
        return
    try:
        with _at_most(min(part.seconds_max, left_s)):
            yield from part.load()()
    except Exception as error:  # noqa: BLE001 - whatever went wrong with one part, the others are measured
        reason = f"{type(error).__name__}: {str(error).strip() or 'no word'}"
        yield Measured(name=name, figure="not measured", budget="", good=False, detail=" ".join(reason.split())[:300])


def _show(line: Measured) -> str:
    share = line.of_budget()
    verdict = "" if not line.budget else "kept" if line.good else "MISSED"
    return f"{line.name:<34} {line.figure:>14}  {line.budget:<12} {f'{share:.2f}' if share is not None else '':>6}  {verdict:<7} {line.detail}\n"


def main() -> int:
    """Print each line as it is measured. 1 if a part could not be measured, else 0: nothing fails because of a number."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", choices=sorted(SUITE), help="measure this one")
    parser.add_argument("--peers", choices=("yes", "no", "auto"), default="auto", help="other systems: install them, leave them out, those there are")
    parser.add_argument("--keep", action="store_true", help="write the results into benchmarks/results")
    parser.add_argument("--minutes", type=float, default=11.5, help="how long all of it may take, 11.5 if not said")
    asked = parser.parse_args()
    configure_logging(level="ERROR")
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(143))  # what was started is ended on the way out
    chosen = asked.only or [name for name, part in SUITE.items() if part.usual]
    begun, at = time.monotonic(), SystemClock().now()
    kept: dict[str, object] = {"at": at.isoformat(timespec="seconds"), "machine": facts(), "loadBefore": load()}
    lines: list[dict[str, object]] = []
    sys.stdout.write(f"{'what':<34} {'measured':>14}  {'budget':<12} {'share':>6}  {'':<7} made of\n")
    for name in chosen:
        started = time.monotonic()
        left_s = begun + asked.minutes * 60 - started
        if name == "peers":
            SUITE[name].options.update(install=asked.peers, seconds=min(left_s, SUITE[name].seconds_max) - LEAST_S)
        for line in _lines(name, SUITE[name], left_s):
            sys.stdout.write(_show(line))
            sys.stdout.flush()
            share = line.of_budget()
            lines.append({"part": name, **asdict(line), "share": None if share is None else round(share, 3)})
        kept[f"seconds.{name}"] = round(time.monotonic() - started, 1)
    kept |= {"seconds": round(time.monotonic() - begun, 1), "loadAfter": load(), "lines": lines}
    TREND.parent.mkdir(exist_ok=True)
    with TREND.open("a", encoding="utf-8") as file:
        file.write(json.dumps(kept, ensure_ascii=False) + "\n")
    if asked.keep:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{at:%Y-%m-%d}.json").write_text(json.dumps(kept, ensure_ascii=False, indent=1) + "\n", "utf-8")
    return int(any(line["figure"] == "not measured" for line in lines))


if __name__ == "__main__":
    sys.exit(main())
