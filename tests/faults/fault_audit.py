"""The auditor: compares the results branch with the ledger kept outside. Every finding is one broken promise."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any

from daemon_house import TERMINAL, wait_for
from fault_flows import CHILDREN, EXPECTED, LINES
from fault_house import FaultHouse

from podium.records.layout import parse


@dataclass
class Findings:
    """What is wrong, and the figures of what was looked at."""

    wrong: list[str] = field(default_factory=list)
    figures: Counter[str] = field(default_factory=Counter)

    def check(self, right: bool, what: str) -> None:
        if not right:
            self.wrong.append(what)


class Branch:
    """The records and logs on the branch, by execution."""

    def __init__(self, house: FaultHouse) -> None:
        self.records: dict[str, dict[int, dict[str, Any]]] = defaultdict(dict)
        self.logs: dict[str, dict[int, list[str]]] = defaultdict(dict)
        for path, body in house.branch_files().items():
            place = parse(path)
            assert place is not None, path
            if place.flow_id not in EXPECTED:  # a flow of the test's own, which it judges itself
                continue
            if place.kind == "json":
                assert place.amend not in self.records[place.execution_id], f"two records: {path}"
                self.records[place.execution_id][place.amend] = json.loads(body)["execution"]
            else:
                self.logs[place.execution_id][place.amend] = [json.loads(line)["message"] for line in body.splitlines()]

    def newest(self) -> Iterable[tuple[str, dict[str, Any]]]:
        """Each execution as its last record tells it."""
        for execution_id, runs in self.records.items():
            yield execution_id, runs[max(runs)]


def audit(house: FaultHouse, *, lost_allowed: bool = False, docker: Any = None) -> Findings:
    """Stop the daemon and look at everything that must hold once nothing is open. lost_allowed: the machine was lost too, so that running tasks may be FAILED."""
    found = Findings()
    _left_behind(house, found, docker)
    if house.process is not None:
        found.check(house.stop() == 0, "the daemon did not stop in order")
    branch = Branch(house)
    found.figures.update(
        acknowledged=len(house.ledger.acknowledged), records=sum(map(len, branch.records.values())), restarts=len(house.ledger.restarted),
        deliveries=len(house.ledger.deliveries), answered=len(house.ledger.answered), kills=house.kills, unanswered=sum(house.ledger.unanswered.values()),
    )
    _acknowledged(house, branch, found)
    _ends(branch, found, lost_allowed=lost_allowed)
    _families(house, branch, found, lost_allowed=lost_allowed)
    _dates(branch, found)
    _effects(house, branch, found)
    _lines(branch, found)
    if house.watching is not None:
        _containers(house, branch, found)
    fsck = house.git("fsck", "--strict", cwd=house.bare, check=False)
    found.check(fsck.returncode == 0 and "error" not in fsck.stderr, f"git fsck ({fsck.returncode}): {fsck.stdout[:500]}{fsck.stderr[:500]}")
    verified = house.podium("results", "--repo", str(house.bare), "verify", check=False)
    found.check(verified.returncode == 0, f"results verify: {verified.stdout[-500:]}{verified.stderr[-500:]}")
    return found


def _acknowledged(house: FaultHouse, branch: Branch, found: Findings) -> None:
    for execution_id, flow in house.ledger.acknowledged.items():
        found.check(execution_id in branch.records, f"acknowledged and lost: {flow} {execution_id}")
    for execution_id in house.ledger.restarted:
        found.check(1 in branch.records.get(execution_id, ()), f"an acknowledged restart has no record: {execution_id}")
    for execution_id, runs in branch.records.items():
        found.check(sorted(runs) == list(range(len(runs))), f"amends with a gap: {execution_id} {sorted(runs)}")
    asked = {flow for flow in house.kinds if flow not in ("child", "batch", "chained", "tick")}
    strange: Counter[str] = Counter()
    for execution_id, view in branch.newest():
        flow = view["flowId"]
        if flow in asked and execution_id not in house.ledger.acknowledged and not _parent(view):
            strange[flow] += 1
    for flow, count in strange.items():
        found.check(count <= house.ledger.unanswered[flow], f"{count} executions of {flow} nobody asked for (unanswered: {house.ledger.unanswered[flow]})")
    hooks = [each for each, view in branch.newest() if view["flowId"] == "hook"]
    found.check(len(set(house.ledger.deliveries.values())) == len(house.ledger.deliveries), "two deliveries share an execution")
    found.check(len(hooks) <= len(house.ledger.deliveries) + 1, f"{len(hooks)} executions of {len(house.ledger.deliveries)} deliveries")


def _ends(branch: Branch, found: Findings, *, lost_allowed: bool) -> None:
    for execution_id, runs in branch.records.items():
        for view in runs.values():
            flow, state = view["flowId"], view["state"]["current"]
            found.check(state in TERMINAL, f"a record that is not terminal: {execution_id} {state}")
            allowed = EXPECTED[flow] | ({"FAILED"} if lost_allowed else set())
            found.check(state in allowed, f"{flow} {execution_id} ended {state}: {branch.logs[execution_id]}")
            if flow == "request" and state == "FAILED":
                found.figures["requests given up"] += 1


def _parent(view: dict[str, Any]) -> str | None:
    """The execution that started this one."""
    loop = view.get("loopRun")
    if loop:
        return str(loop["executionId"])
    variables = (view.get("trigger") or {}).get("variables") or {}
    return variables.get("executionId")


def _families(house: FaultHouse, branch: Branch, found: Findings, *, lost_allowed: bool) -> None:
    children: dict[str, Counter[str]] = defaultdict(Counter)
    for _, view in branch.newest():
        parent = _parent(view)
        if parent:
            children[parent][view["flowId"]] += 1
            found.check(parent in branch.records, f"a child without its parent: {view['id']} of {parent}")
    for execution_id, view in branch.newest():
        wanted = CHILDREN.get(view["flowId"])
        if wanted is None or _parent(view) in branch.records:
            continue
        if lost_allowed and view["state"]["current"] != "SUCCESS":
            continue
        found.check(dict(children[execution_id]) == wanted, f"{view['flowId']} {execution_id} started {dict(children[execution_id])}, not {wanted}")


def _dates(branch: Branch, found: Findings) -> None:
    dates = sorted(datetime.fromisoformat(view["trigger"]["variables"]["date"]) for _, view in branch.newest() if view["flowId"] == "tick")
    found.figures["schedule dates"] = len(dates)
    for before, after in pairwise(dates):
        found.check((after - before).total_seconds() == 2, f"schedule dates {before} and {after}")


def _effects(house: FaultHouse, branch: Branch, found: Findings) -> None:
    told: Counter[str] = Counter()
    for line in house.effects.read_text().splitlines():
        mark, run, attempt = line.split()
        found.check(mark == "E", f"a broken line: {line}")
        told[run] += 1
        found.check(attempt.isdigit(), f"a broken line: {line}")
        found.figures["effects"] += 1
    ours = set()
    for _, view in branch.newest():
        for run in view.get("taskRunList") or ():
            if run["taskId"] not in ("work", "first", "second") or view["flowId"] == "container":
                continue
            ours.add(run["id"])
            attempts = len(run.get("attempts") or ())
            found.check(told[run["id"]] <= attempts, f"{view['flowId']}: {told[run['id']]} effects of {attempts} attempts of {run['id']}")
            if run["state"]["current"] == "SUCCESS":
                found.check(told[run["id"]] >= 1, f"{view['flowId']}: no effect of {run['id']}, which ended SUCCESS")
                found.check(told[run["id"]] == attempts or view["flowId"] != "shell", f"shell: {told[run['id']]} effects of {attempts} attempts")
    for run_id in told.keys() - ours:
        found.check(False, f"an effect of a task run that no record has: {run_id}")
    for path, count in house.sink.taken.items():
        found.figures["requests"] += count
        found.check(count == 1, f"{count} requests to {path}")
    posted = {path.split("/")[1] for path in house.sink.taken}
    for _, view in branch.newest():
        if view["flowId"] in ("request", "container") and view["state"]["current"] == "SUCCESS":
            found.check(view["taskRunList"][0]["id"] in posted, f"a request that ended SUCCESS and was never made: {view['id']}")


def _lines(branch: Branch, found: Findings) -> None:
    for execution_id, view in branch.newest():
        printed: dict[str, list[str]] = defaultdict(list)
        for amend in branch.logs[execution_id]:
            if amend != max(branch.logs[execution_id]):
                continue
            for message in branch.logs[execution_id][amend]:
                if message.startswith("L "):
                    _, run, number = message.split()
                    printed[run].append(number)
        for run in view.get("taskRunList") or ():
            attempts = run.get("attempts") or ()
            if run["taskId"] not in ("work", "first", "second") or run["state"]["current"] != "SUCCESS":
                continue
            wanted = [str(number) for number in range(1, LINES + 1)]
            got = printed[run["id"]]
            found.figures["lines"] += len(got)
            found.check(
                len(got) % LINES == 0 and got == wanted * (len(got) // LINES) and 1 <= len(got) // LINES <= len(attempts),
                f"{view['flowId']} {execution_id}: lines {got} of {len(attempts)} attempts",
            )


def _left_behind(house: FaultHouse, found: Findings, docker: Any) -> None:
    def folders() -> list[str]:
        attempts = [str(each) for each in (house.home / "attempts").glob("*")]
        shared = [str(each) for each in (house.home / "workspaces").glob("*/*") if each.name != "outputs.json"]
        return attempts + shared

    for what, look in (
        ("processes", house.marked_processes), ("folders", folders), *((("containers", lambda: containers_of(house, docker)),) if docker else ()),
    ):
        try:
            wait_for(lambda look=look: not look(), "", 60)  # type: ignore[misc]
        except AssertionError:
            found.check(False, f"{what} left behind: {look()[:5]}")


def containers_of(house: FaultHouse, docker: Any) -> list[str]:
    """Names of this daemon's containers."""
    return [each.name for each in docker.containers.list(all=True, filters={"label": f"podium.instance={house.instance}"}, ignore_removed=True)]


def _containers(house: FaultHouse, branch: Branch, found: Findings) -> None:
    """The engine's own events say how often each container was started. What ran in one tells the sink: see _effects."""
    starts = {name: count for (instance, name), count in house.container_starts.items() if instance == house.instance}
    found.figures["containers"] = len(starts)
    for name, count in starts.items():
        found.check(count == 1, f"container {name} was started {count} times")
    ran = sum(view["flowId"] == "container" and view["state"]["current"] == "SUCCESS" for _, view in branch.newest())
    found.check(len(starts) >= ran, f"{len(starts)} containers were started for {ran} executions")
