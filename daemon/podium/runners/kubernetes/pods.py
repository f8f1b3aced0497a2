"""What a cluster says of an attempt, from its Job and Pods, in the runner's words. Pure.

What always holds: whatever is not known for certain to be an end is waited for; a Pod that cannot start is given up only when the cluster
says so for good, or after the time that the task gives it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from podium.runners.kubernetes.manifest import MAIN
from podium.runners.remote.runner import STARTED_BEFORE, Phase, Seen

Thing = Mapping[str, Any]
_NEVER_STARTS = frozenset({"InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError"})
_IMAGE_TROUBLE = frozenset({"ErrImagePull", "ImagePullBackOff", "ImageInspectError", "RegistryUnavailable"})
_FOR_GOOD = ("not found", "notfound", "does not exist", "denied", "unauthorized", "forbidden", "manifest unknown", "no match for platform")
_START_TROUBLE = frozenset({"CreateContainerError", "RunContainerError", "ContainerCannotRun", "StartError"})
_ORDER: Sequence[Phase] = ("running", "waiting", "away", "ended")


def judge(job: Thing | None, pods: Sequence[Thing], *, told: str = "", late: bool = False) -> Seen:
    """job: None when there is none (any more). told: what events say while there is nothing better. late: it should have started by now."""
    if job is None and not pods:
        return Seen(phase="absent", reason="its Job was removed")
    found = [_of_pod(pod, told=told, late=late) for pod in sorted(pods, key=_created, reverse=True)]
    # Should the cluster ever start a second Pod, it gets no files and ends with this status: the first one counts.
    real = [each for each in found if each.exit_code != STARTED_BEFORE] or found
    over = _job_over(job)
    if not real:
        if over:
            return Seen(phase="ended", reason=over)
        return Seen(phase="waiting", reason=told, refused=False) if not late else _given_up(told, {})
    seen = min(real, key=lambda each: _ORDER.index(each.phase))
    if seen.phase == "ended" and "DeadlineExceeded" in over:
        return Seen(phase="ended", reason="waitUntilCompletion is over", exit_code=seen.exit_code, facts=seen.facts)
    return seen


def _of_pod(pod: Thing, *, told: str, late: bool) -> Seen:
    status = pod.get("status") or {}
    facts = _facts(pod)
    main = next((each for each in status.get("containerStatuses") or () if each.get("name") == MAIN), None)
    state = (main or {}).get("state") or {}
    if "terminated" in state:
        ended = state["terminated"]
        reason = _why(status) or _words(ended, skip=("Completed", "Error"))
        broken = ended.get("reason") in _START_TROUBLE
        oom = {"oomKilled": True} if ended.get("reason") == "OOMKilled" else {}
        code = ended.get("exitCode")
        return Seen(phase="ended", reason=reason or f"exit code {code}", refused=broken, exit_code=code, facts=facts | oom)
    if status.get("phase") in ("Succeeded", "Failed"):
        return Seen(phase="ended", reason=_why(status) or _words(status) or str(status["phase"]), facts=facts)
    if pod.get("podium/deleted"):
        return Seen(phase="ended", reason=_why(status) or "its Pod was removed", facts=facts)
    if "running" in state:
        return Seen(phase="away" if _node_is_away(status, main) else "running", reason=_why(status), facts=facts)
    trouble = next(_troubles(status), None)
    if trouble is not None:
        reason, text = trouble
        no_image = reason in _IMAGE_TROUBLE and any(word in text.lower() for word in _FOR_GOOD)
        if no_image or reason in _NEVER_STARTS or reason in _START_TROUBLE:
            return Seen(phase="ended", reason=f"{reason}: {text}", refused=True, facts=facts)
        told = f"{reason}: {text}"
    waits = _unscheduled(status) or told
    return _given_up(waits, facts) if late else Seen(phase="waiting", reason=waits, facts=facts)


def _given_up(reason: str, facts: Mapping[str, Any]) -> Seen:
    return Seen(phase="ended", reason=f"it did not start within waitUntilRunning{f' ({reason})' if reason else ''}", refused=True, facts=facts)


def _troubles(status: Thing) -> Iterator[tuple[str, str]]:
    """Why containers of a Pod do not start: reason and text."""
    for each in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]:
        waiting = (each.get("state") or {}).get("waiting") or {}
        reason = str(waiting.get("reason") or "")
        if reason and reason not in ("ContainerCreating", "PodInitializing"):
            yield reason, str(waiting.get("message") or f"container {each.get('name')}")


def _unscheduled(status: Thing) -> str:
    for each in status.get("conditions") or ():
        if each.get("type") == "PodScheduled" and each.get("status") == "False":
            return str(each.get("message") or each.get("reason") or "")
    return ""


def _why(status: Thing) -> str:
    """Why the cluster ended a Pod, if it did."""
    for each in status.get("conditions") or ():
        if each.get("type") == "DisruptionTarget" and each.get("status") == "True":
            return _words(each)
    return _words(status) if status.get("reason") else ""


def _words(thing: Thing, *, skip: Sequence[str] = ()) -> str:
    parts = [str(thing[key]) for key in ("reason", "message") if thing.get(key) and thing[key] not in skip]
    return ": ".join(parts)[:1000]


def _node_is_away(status: Thing, main: Thing | None) -> bool:
    """The node does not report: the cluster calls the Pod not ready, though the container was."""
    ready: Thing = next((each for each in status.get("conditions") or () if each.get("type") == "Ready"), {})
    return ready.get("status") in ("False", "Unknown") and bool((main or {}).get("ready")) and all(
        each.get("ready") for each in status.get("containerStatuses") or ()
    )


def _facts(pod: Thing) -> dict[str, Any]:
    """For the record."""
    status = pod.get("status") or {}
    main: Thing = next((each for each in status.get("containerStatuses") or () if each.get("name") == MAIN), {})
    found = {
        "pod": pod["metadata"]["name"], "kubernetesNamespace": pod["metadata"].get("namespace"), "node": (pod.get("spec") or {}).get("nodeName"),
        "containerId": str(main.get("containerID") or "").rpartition("://")[2], "imageId": main.get("imageID"),
    }
    return {key: value for key, value in found.items() if value}


def _job_over(job: Thing | None) -> str:
    """The cluster's words when the Job has ended, or is gone."""
    if job is None:
        return "its Job was removed"
    for each in (job.get("status") or {}).get("conditions") or ():
        if each.get("type") in ("Failed", "Complete") and each.get("status") == "True":
            return _words(each) or str(each["type"])
    return ""


def _created(pod: Thing) -> str:
    return str(pod["metadata"].get("creationTimestamp") or "")
