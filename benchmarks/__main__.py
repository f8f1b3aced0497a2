"""`python -m benchmarks [--only NAME]…`: run the measurements and print the table."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from dataclasses import asdict

from benchmarks.suite import SUITE
from podium.base.system.clock import SystemClock
from podium.base.system.log import configure_logging
from tools.harness import ROOT, run

TREND = ROOT / ".podium" / "bench.jsonl"


def main() -> int:
    """Print each line as it is measured; keep all of them for the trend. 0 always, but for a measurement that could not be made."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", choices=sorted(SUITE), help="measure this one")
    configure_logging(level="WARNING")
    chosen = parser.parse_args().only or list(SUITE)
    machine = {"cores": os.cpu_count(), "machine": platform.machine(), "kernel": platform.release(), "python": platform.python_version()}
    machine["commit"] = run("git", "rev-parse", "--short", "HEAD", check=False)
    sys.stdout.write(f"{'what':<28} {'measured':>10}  {'budget':<10}    made of\n")
    for name in chosen:
        for line in SUITE[name]():
            sys.stdout.write(f"{line.name:<28} {line.figure:>10}  {line.budget:<10} {' ' if line.good else '✗'}  {line.detail}\n")
            sys.stdout.flush()
            TREND.parent.mkdir(exist_ok=True)
            with TREND.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"at": SystemClock().now().isoformat(), **machine, **asdict(line)}, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
