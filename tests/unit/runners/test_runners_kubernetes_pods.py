"""What answers of a cluster mean. Those of tests/golden/kubernetes are recorded from the cluster of `make kubernetes` (1.33)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from podium.base.errors import RunnerError
from podium.runners.kubernetes.board import DELETED, Shelf
from podium.runners.kubernetes.cluster import ClusterAnswer
from podium.runners.kubernetes.pods import judge

GOLDEN = Path(__file__).parents[2] / "golden/kubernetes"
ANSWERS: dict[str, dict[str, Any]] = {path.stem: json.loads(path.read_text()) for path in sorted(GOLDEN.glob("*.json"))}
JOB: dict[str, Any] = {"metadata": {"name": "j"}, "status": {"active": 1}}


def pod(*, phase: str = "Pending", state: dict[str, Any] | None = None, ready: bool = False, conditions: list[dict[str, str]] | None = None, **more: Any) -> Any:
    containers = [{"name": "main", "state": state, "ready": ready}] if state is not None else []
    status = {"phase": phase, "containerStatuses": containers, "conditions": conditions or [], **more}
    return {"metadata": {"name": "p", "uid": "1", "creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": {"nodeName": "n"}, "status": status}


@pytest.mark.parametrize("name", sorted(ANSWERS))
def test_recorded_answers(name: str) -> None:
    recorded = ANSWERS[name]
    seen = judge(recorded["job"], recorded["pods"])
    found = {"phase": seen.phase, "refused": seen.refused, "exit_code": seen.exit_code, "oom": bool(seen.facts.get("oomKilled"))}
    assert found == {key: recorded["means"][key] for key in found}
    assert recorded["means"]["says"] in seen.reason


def test_there_are_recorded_answers() -> None:
    assert len(ANSWERS) >= 5


def test_no_job_and_no_pod_is_absent_and_no_pod_yet_is_waiting() -> None:
    assert judge(None, []).phase == "absent"
    assert judge(JOB, [], told="FailedCreate: quota").reason == "FailedCreate: quota"
    late = judge(JOB, [], told="FailedCreate: quota", late=True)
    assert (late.phase, late.refused) == ("ended", True)
    assert "quota" in late.reason


@pytest.mark.parametrize(("reason", "text", "refused"), [
    ("ErrImagePull", "rpc error: failed to pull: dial tcp: i/o timeout", False),
    ("ImagePullBackOff", "Back-off pulling image", False),
    ("ErrImagePull", "manifest for x:1 not found: manifest unknown", True),
    ("ErrImagePull", "pull access denied, repository does not exist or may require authorization", True),
    ("InvalidImageName", "couldn't parse image", True),
    ("CreateContainerConfigError", 'secret "x" not found', True),
    ("RunContainerError", "exec: no such file", True),
])
def test_only_what_is_for_good_is_given_up(reason: str, text: str, refused: bool) -> None:
    seen = judge(JOB, [pod(state={"waiting": {"reason": reason, "message": text}})])
    assert (seen.phase, seen.refused) == (("ended", True) if refused else ("waiting", False))
    assert text in seen.reason


def test_a_pod_that_is_late_is_given_up_with_the_last_reason() -> None:
    seen = judge(JOB, [pod(state={"waiting": {"reason": "ImagePullBackOff", "message": "no route"}})], late=True)
    assert (seen.phase, seen.refused) == ("ended", True)
    assert "no route" in seen.reason


def test_a_running_pod_is_never_late() -> None:
    assert judge(JOB, [pod(phase="Running", state={"running": {}}, ready=True)], late=True).phase == "running"


def test_a_node_that_does_not_report() -> None:
    """The container was ready, and the cluster calls the Pod not ready."""
    away = pod(phase="Running", state={"running": {}}, ready=True, conditions=[{"type": "Ready", "status": "False"}])
    assert judge(JOB, [away]).phase == "away"


def test_a_pod_that_was_evicted_says_so() -> None:
    gone = pod(phase="Failed", reason="Evicted", message="The node was low on resource: memory.")
    assert judge(JOB, [gone]).reason == "Evicted: The node was low on resource: memory."
    preempted = pod(phase="Failed", conditions=[{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}])
    assert judge(JOB, [preempted]).reason == "PreemptionByScheduler"


def test_a_removed_pod_has_ended_whatever_it_did_last() -> None:
    assert judge(JOB, [pod(phase="Running", state={"running": {}}) | {DELETED: True}]).phase == "ended"


def test_a_second_pod_does_not_hide_how_the_first_one_does() -> None:
    """It gets no files and ends with 75."""
    first = pod(phase="Running", state={"running": {}}, ready=True)
    second = pod(phase="Failed", state={"terminated": {"exitCode": 75, "reason": "Error"}})
    second["metadata"]["creationTimestamp"] = "2026-01-01T00:00:09Z"
    assert judge(JOB, [first, second]).phase == "running"
    over = pod(phase="Failed", state={"terminated": {"exitCode": 3, "reason": "Error"}})
    assert judge(JOB, [second, over]).exit_code == 3


def line(kind: str, thing: dict[str, Any]) -> bytes:
    return json.dumps({"type": kind, "object": thing}).encode()


def thing(uid: str, *, attempt: str = "a", version: str = "1") -> dict[str, Any]:
    return {"metadata": {"uid": uid, "resourceVersion": version, "labels": {"podium.attempt": attempt}}}


def test_a_shelf_follows_a_watch() -> None:
    shelf = Shelf()
    shelf.fill([thing("1")], "5")
    assert shelf.change(line("ADDED", thing("2", version="6")))
    assert shelf.change(line("BOOKMARK", {"metadata": {"resourceVersion": "9"}}))
    assert [each["metadata"]["uid"] for each in shelf.of("a")] == ["1", "2"]
    assert shelf.version == "9"


def test_what_is_removed_is_remembered_while_somebody_asks_for_it() -> None:
    shelf = Shelf()
    shelf.fill([thing("1"), thing("2", attempt="b")], "5")
    shelf.of("a")
    shelf.change(line("DELETED", thing("1")))
    shelf.change(line("DELETED", thing("2", attempt="b")))
    assert [DELETED in each for each in shelf.of("a")] == [True]
    shelf.forget("a")
    assert shelf.of("a") == shelf.of("b") == []


def test_what_vanished_while_the_watch_was_away_counts_as_removed() -> None:
    shelf = Shelf()
    shelf.fill([thing("1"), thing("2")], "5")
    shelf.of("a")
    shelf.fill([thing("2")], "8")
    assert {each["metadata"]["uid"]: DELETED in each for each in shelf.of("a")} == {"1": True, "2": False}


def test_nothing_is_kept_of_attempts_that_are_over() -> None:
    """Whatever order removal and the cluster's word of it come in: a daemon that runs for a year keeps nothing (I8)."""
    shelf = Shelf()
    for number in range(1_000):
        attempt = f"a{number}"
        shelf.change(line("ADDED", thing(attempt, attempt=attempt)))
        shelf.of(attempt)
        if number % 2:
            shelf.forget(attempt)
        shelf.change(line("DELETED", thing(attempt, attempt=attempt)))
        shelf.forget(attempt)
    assert not shelf._things
    assert not shelf._wanted


def test_a_watch_that_is_too_old_begins_anew_and_other_errors_are_said() -> None:
    shelf = Shelf()
    assert not shelf.change(line("ERROR", {"code": 410, "reason": "Expired", "message": "too old resource version"}))
    with pytest.raises(RunnerError, match="nobody may") as error:
        shelf.change(line("ERROR", {"code": 403, "message": "nobody may"}))
    assert isinstance(error.value, ClusterAnswer)
    assert "Role" in error.value.hint
