"""From a Job and the task runner's properties to the objects that a cluster is asked for. Pure.

What always holds: one Pod that is never started again; no capability but those asked for and allowed; nothing of a node (its disk, network,
processes) unless the operator allows it; the token stands in a Secret that goes with the Job; the task's environment is in none of them.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from podium.base.durations import parse_duration
from podium.base.errors import PodiumError, RunnerRefused
from podium.base.system import base62
from podium.runners.docker.config import LABEL_ATTEMPT, LABEL_INSTANCE, LABEL_KEEP, USUAL_CAPABILITIES, size
from podium.runners.port import Job
from podium.runners.remote.program import TARGET, Program

HOME, MAIN = "/podium", "main"
TOKEN_FILE = "/podium-secret/token"  # noqa: S105 -- its place
WAIT_UNTIL_RUNNING = "podium.wait-until-running-s"
"""Annotation of a Job: seconds after which a Pod that does not start is given up."""
LAUNCH = "podium.launch"
"""Annotation of a Job: which call made it. Its Secret is named after it too."""
_KEPT_S = 24 * 3600
"""After its end a Job that nobody removed (its daemon is gone for good) is removed by the cluster."""
_WAIT_S = 600.0
_STOP_S = 10
_PULL = {"IF_NOT_PRESENT": "IfNotPresent", "ALWAYS": "Always", "NEVER": "Never"}
_BY_NAME = frozenset({"containers", "initContainers", "ephemeralContainers", "volumes", "env", "imagePullSecrets"})
_BY_PATH = frozenset({"volumeMounts"})
_OF_THE_NODE = ("hostNetwork", "hostPID", "hostIPC")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the operator has set. memory: bytes. pod: what every Pod's spec has, unless the task says otherwise."""

    cpus: float | None = None
    memory: int | None = None
    service_account: str | None = None
    image_pull_secrets: Sequence[str] = ()
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: Sequence[Mapping[str, Any]] = ()
    allow_node_access: bool = False


def toleration(text: str) -> dict[str, str]:
    """`key[=value][:effect]`, as taints are written, as a Pod tolerates it."""
    taint, _, effect = text.rpartition(":") if ":" in text else (text, "", "")
    key, is_valued, value = taint.partition("=")
    found = {"key": key, "operator": "Equal" if is_valued else "Exists"} | ({"value": value} if is_valued else {})
    return found | ({"effect": effect} if effect else {})


def job_name(attempt_id: str) -> str:
    """The one name that an attempt's Job can have. Names know no capitals, ids do: it is the number of the task run's id, and which attempt."""
    task_run_id, _, attempt = attempt_id.partition("-")
    return f"podium-{base62.decode(task_run_id):033x}{f'-{attempt}' if attempt else ''}"


def program_map(program: Program, instance: str) -> dict[str, Any]:
    """The ConfigMap with podium-transfer: one for an instance, version and namespace."""
    labels = {LABEL_INSTANCE: instance}
    name = f"podium-transfer-{program.version}-{_plain(instance)}"[:63].rstrip("-.")
    content = base64.b64encode(program.content).decode()
    return {"metadata": {"name": name, "labels": labels}, "immutable": True, "binaryData": {"podium-transfer": content}}


def secret(job: Mapping[str, Any], token: str) -> dict[str, Any]:
    """The Secret of a Job that the cluster has made: it belongs to the Job and goes with it."""
    made = job["metadata"]
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": made["name"], "uid": made["uid"], "blockOwnerDeletion": False}
    content = {"token": base64.b64encode(token.encode()).decode()}
    name = f"{made['name']}-{made['annotations'][LAUNCH]}"
    return {"metadata": {"name": name, "labels": dict(made["labels"]), "ownerReferences": [owner]}, "immutable": True, "data": content}


def kubernetes_job(job: Job, *, instance: str, argv: Sequence[str], launch: str, program: str, rules: Rules) -> dict[str, Any]:
    """The Job of an attempt. argv: of podium-transfer. launch: names this launch. program: name of its ConfigMap.

    Raises RunnerRefused for what is not allowed.
    """
    options, name = job.options, job_name(job.attempt_id)
    ours = {LABEL_INSTANCE: instance, LABEL_ATTEMPT: job.attempt_id} | ({LABEL_KEEP: "true"} if options.get("delete") is False else {})
    labels = _labels({**job.labels, **_texts(options.get("labels"), "labels")}) | ours
    pod = _pod(job, argv=argv, program=program, secret_name=f"{name}-{launch}", rules=rules)
    _check(pod, rules)
    spec: dict[str, Any] = {
        "completions": 1, "parallelism": 1, "backoffLimit": 0, "ttlSecondsAfterFinished": _KEPT_S,
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }
    if options.get("waitUntilCompletion"):
        spec["activeDeadlineSeconds"] = max(1, math.ceil(_seconds(options, "waitUntilCompletion", 0.0)))
    wait = f"{_seconds(options, 'waitUntilRunning', _WAIT_S):g}"
    return {"metadata": {"name": name, "labels": labels, "annotations": {WAIT_UNTIL_RUNNING: wait, LAUNCH: launch}}, "spec": spec}


def _pod(job: Job, *, argv: Sequence[str], program: str, secret_name: str, rules: Rules) -> dict[str, Any]:
    options = job.options
    container: dict[str, Any] = _container(job, rules)
    for name in ("containerDefaultSpec", "containerSpec"):
        container = merged(container, _map(options.get(name), name))
    account = options.get("serviceAccountName") or rules.service_account
    base: dict[str, Any] = {
        "automountServiceAccountToken": bool(account), "enableServiceLinks": False, "terminationGracePeriodSeconds": _STOP_S,
        "nodeSelector": {"kubernetes.io/os": "linux", **rules.node_selector, **_texts(options.get("nodeSelector"), "nodeSelector")},
        "imagePullSecrets": [{"name": each} for each in rules.image_pull_secrets],
        "tolerations": list(rules.tolerations),
        "containers": [container],
        "volumes": [
            {"name": "podium-home", "emptyDir": {}},
            {"name": "podium-program", "configMap": {"name": program, "defaultMode": 0o555}},
            {"name": "podium-token", "secret": {"secretName": secret_name, "defaultMode": 0o444}},
        ],
    }
    if account:
        base["serviceAccountName"] = str(account)
    pod: dict[str, Any] = merged({key: value for key, value in base.items() if value != []}, _map(options.get("podSpec"), "podSpec"))
    main = next(each for each in pod["containers"] if each.get("name") == MAIN)
    main |= {"command": list(argv), "args": [], "stdin": False, "tty": False, "workingDir": "/"}
    mounts = [each for each in main.get("volumeMounts") or () if each.get("mountPath") not in (HOME, TARGET, "/podium-secret")]
    main["volumeMounts"] = [
        *mounts,
        {"name": "podium-home", "mountPath": HOME},
        {"name": "podium-program", "mountPath": TARGET, "subPath": "podium-transfer", "readOnly": True},
        {"name": "podium-token", "mountPath": "/podium-secret", "readOnly": True},
    ]
    pod["restartPolicy"] = "Never"
    return pod


def _container(job: Job, rules: Rules) -> dict[str, Any]:
    options = job.options
    policy = str(options.get("pullPolicy") or "IF_NOT_PRESENT")
    if policy not in _PULL:
        raise RunnerRefused(f"'{policy}' is not a pull policy", hint=f"use one of {', '.join(_PULL)}", image=job.image)
    return {
        "name": MAIN, "image": job.image, "imagePullPolicy": _PULL[policy],
        "resources": _resources(_map(options.get("resources"), "resources"), rules),
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }


def _resources(given: Mapping[str, Any], rules: Rules) -> dict[str, Any]:
    """`{request: {cpu, memory}, limit: {cpu, memory}}` as the cluster has it; the settings' limits where the task names none."""
    unknown = sorted(set(given) - {"request", "limit"})
    if unknown:
        raise RunnerRefused(f"taskRunner.resources has {', '.join(unknown)}", hint="write {request: {cpu, memory}, limit: {cpu, memory}}")
    limits = {key: str(value) for key, value in (given.get("limit") or {}).items()}
    requests = {key: str(value) for key, value in (given.get("request") or {}).items()}
    if rules.cpus is not None:
        limits.setdefault("cpu", f"{rules.cpus:g}")
    if rules.memory is not None:
        limits.setdefault("memory", str(rules.memory))
    for each in (limits, requests):
        if each.get("memory", "")[-1:] in ("b", "B"):  # 512MB, as the other runners have it
            each["memory"] = str(size(each["memory"], where="resources"))
    return {key: value for key, value in (("limits", limits), ("requests", requests)) if value}


def _check(pod: Mapping[str, Any], rules: Rules) -> None:
    """What a task may not have, whoever asks for it. Raises RunnerRefused."""
    if pod.get("shareProcessNamespace") or pod.get("hostPID"):
        raise RunnerRefused(
            "the task's Pod would share its processes, and the end of the command ends all that it sees",
            hint="drop shareProcessNamespace and hostPID",
        )
    if rules.allow_node_access:
        return
    asked = [key for key in _OF_THE_NODE if pod.get(key)]
    asked += [f"hostPath {each['hostPath'].get('path')}" for each in pod.get("volumes") or () if each.get("hostPath")]
    for container in [*(pod.get("containers") or ()), *(pod.get("initContainers") or ())]:
        context = container.get("securityContext") or {}
        asked += ["privileged"] if context.get("privileged") else []
        added = {str(each).upper().removeprefix("CAP_") for each in (context.get("capabilities") or {}).get("add") or ()}
        asked += [f"capability {each}" for each in sorted(added - USUAL_CAPABILITIES)]
        asked += [f"hostPort {each['hostPort']}" for each in container.get("ports") or () if each.get("hostPort")]
    if asked:
        raise RunnerRefused(
            f"the task's Pod asks for {', '.join(asked)}, which this instance does not allow",
            hint="drop it from podSpec or containerSpec, or have the operator set runner.kubernetes.allow_node_access",
        )


def merged(base: Any, over: Any, *, key: str = "") -> Any:
    """`over` laid on `base`: maps key by key, lists of named things by name (mounts by path), other lists and values as `over` has them."""
    if isinstance(base, Mapping) and isinstance(over, Mapping):
        both = {name: merged(base[name], over[name], key=name) for name in base if name in over}
        return {**base, **over, **both}
    by = "name" if key in _BY_NAME else "mountPath" if key in _BY_PATH else ""
    if by and isinstance(base, list) and isinstance(over, list):
        names = [each.get(by) for each in base]
        added = [each for each in over if each.get(by) not in names]
        told = {each.get(by): each for each in over}
        return [merged(each, told[each.get(by)]) if each.get(by) in told else each for each in base] + added
    return over


def _map(value: Any, where: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise RunnerRefused(f"taskRunner.{where} is not a map", hint="write it as the API of Kubernetes has it")
    return value


def _texts(value: Any, where: str) -> dict[str, str]:
    return {str(key): str(each) for key, each in _map(value, where).items()}


def _labels(given: Mapping[str, str]) -> dict[str, str]:
    """Only what the cluster takes as a label's value: at most 63 letters, digits, `-`, `_`, `.`, and at both ends a letter or digit."""
    cut = {key: "".join(each if each.isascii() and (each.isalnum() or each in "-_.") else "_" for each in value)[:63] for key, value in given.items()}
    return {key: value.strip("-_.") for key, value in cut.items()}


def _plain(text: str) -> str:
    return "".join(each if each.isascii() and each.isalnum() else "-" for each in text.lower()).strip("-")


def _seconds(options: Mapping[str, Any], name: str, default: float) -> float:
    given = options.get(name)
    if given is None:
        return default
    if isinstance(given, timedelta):
        return given.total_seconds()
    try:
        return parse_duration(given).total_seconds()
    except (PodiumError, ValueError) as exc:
        raise RunnerRefused(f"'{given}' of taskRunner.{name} is no duration", hint="write PT10M") from exc
