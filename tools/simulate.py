"""`make simulate SEEDS=2000`: many worlds from seeds, on all cores; `make simulate SEED=7`: one, made smaller if it fails.

Says how fast it goes and which seeds fail. The worlds themselves: tests/simulation.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from podium.base.system.log import configure_logging
from tools.harness import ROOT

sys.path.insert(0, str(ROOT / "tests" / "simulation"))
CHUNK = 10
SHOWN_EVERY = 200


def _judge(seed: int) -> tuple[int, str | None, int, int, int]:
    from sim_shrink import judge

    found = judge(seed)
    return found.seed, found.wrong, found.events, found.lives, found.executions


def one(seed: int) -> int:
    """Run a seed; if it fails, print the smallest world in which it still does."""
    from sim_shrink import judge, smaller

    verdict = judge(seed)
    if verdict.wrong is None:
        sys.stdout.write(f"seed {seed} is fine: {verdict.executions} executions, {verdict.events} events, {verdict.lives} lives of the daemon\n")
        return 0
    sys.stdout.write(f"seed {seed} fails: {verdict.wrong}\nmaking it smaller …\n")
    setup, wrong = smaller(seed)
    sys.stdout.write(f"{wrong}\nwith {', '.join(sorted(setup.faults)) or 'no trouble at all'}, order {setup.order}, and these flows:\n")
    for each in setup.flows:
        sys.stdout.write(json.dumps(json.loads(each), indent=2) + "\n")
    return 1


def many(first: int, count: int, jobs: int, *, stop: bool) -> int:
    """Run seeds first … first + count - 1; 1 if any fails. stop: at the first that does."""
    began, done, failed, events, lives, executions = time.perf_counter(), 0, 0, 0, 0, 0
    with ProcessPoolExecutor(jobs) if jobs > 1 else contextlib.nullcontext() as pool:
        seeds = range(first, first + count)
        for seed, wrong, some, ends, ran in map(_judge, seeds) if pool is None else pool.map(_judge, seeds, chunksize=CHUNK):
            done, events, lives, executions = done + 1, events + some, lives + ends, executions + ran
            if wrong is not None:
                failed += 1
                sys.stdout.write(f"seed {seed} fails: {wrong[:500]}\n  again: make simulate SEED={seed}\n")
                if stop:
                    return 1
            if done % SHOWN_EVERY == 0 or done == count:
                took = time.perf_counter() - began
                sys.stdout.write(f"{done} seeds, {failed} failed, {done / took:.1f} seeds/s, {took:.0f} s\n")
            sys.stdout.flush()
    sys.stdout.write(f"{executions} executions, {events} events, {lives} lives of a daemon\n")
    return 1 if failed else 0


def main() -> int:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--stop", action="store_true", help="end at the first seed that fails")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    configure_logging(level="ERROR")  # an error that the daemon logs is one here too
    return one(asked.seed) if asked.seed is not None else many(asked.first, asked.seeds, asked.jobs, stop=asked.stop)


if __name__ == "__main__":
    sys.exit(main())
