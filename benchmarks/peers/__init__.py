"""Other systems, doing the same job beside Podium in the same run. `python -m benchmarks --only peers [--peers yes]`.

Each peer is installed from its registry into a folder of its own outside the tree (kept from run to run), runs in its documented
quick way, and is optional: what cannot be installed or does not answer is a line that says why. README.md has the settings.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial

from benchmarks.measure import Measured
from benchmarks.peers.airflow import Airflow
from benchmarks.peers.common import Absent, Peer, measure, podium_figures
from benchmarks.peers.prefect import Prefect

ELSEWHERE = {
    "Dagu": "the Go module proxy and npm do not offer it here; measured once by hand, 2.14: 83 ms a run, 15 runs/s, 500 parallel steps 21.6 s",
    "Kestra": "Maven Central holds no package that can be run here; measured once by hand, 0.20.7: 135 ms a run, 39 runs/s, 100 values 13.8 s",
}
PEERS: dict[str, Callable[..., Peer]] = {"Prefect": Prefect, "Airflow": Airflow}


def peers(install: str = "auto", seconds: float = 300) -> Iterator[Measured]:
    """Podium first, then each peer against it. install: yes, no (measure none), or auto (those that are there).

    seconds: for all of them together; what has no time left is a line that says so.
    """
    if install == "no":
        yield Measured(name="peers", figure="left out", budget="", good=True, detail="--peers no")
        return
    end = time.monotonic() + seconds
    ours, lines = podium_figures()
    yield from lines
    best = 0.0
    for number, (name, peer) in enumerate(PEERS.items()):
        if end - time.monotonic() < 30:
            yield Measured(name=name, figure="no time left", budget="", good=True, detail="the peers before it took all of it")
            continue
        try:
            make, until = partial(peer, install=install == "yes"), min(end, time.monotonic() + (end - time.monotonic()) / (len(PEERS) - number))
            for line, rate in measure(make, name=name, ours=ours, end=until):
                best = max(best, rate)
                yield line
        except Absent as reason:
            yield Measured(name=name, figure="absent", budget="", good=True, detail=str(reason))
    for name, reason_text in ELSEWHERE.items():
        yield Measured(name=name, figure="absent", budget="", good=True, detail=reason_text)
    if best:
        ratio = ours["rate"] / best
        detail = f"{ours['rate']:.0f}/s in process against {best:.1f}/s of the best peer in this run"
        yield Measured(name="executions/s, against best peer", figure=f"{ratio:.0f} ×", budget="≥ 10 ×", good=ratio >= 10, detail=detail)
