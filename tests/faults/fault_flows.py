"""The flows under load: every kind of task that goes on over a crash. Each command tells the ledger once that it ran, and prints five lines.

`EXPECTED` says how an execution of a flow may end, `CHILDREN` how many executions one of it starts.
"""

from __future__ import annotations

from pathlib import Path

EXPECTED: dict[str, set[str]] = {
    "one": {"SUCCESS"}, "shell": {"SUCCESS"}, "retried": {"SUCCESS"}, "parent": {"SUCCESS"}, "child": {"SUCCESS"}, "each": {"SUCCESS"},
    "loop": {"SUCCESS"}, "items": {"SUCCESS"}, "batch": {"SUCCESS"}, "shared": {"SUCCESS"}, "hook": {"SUCCESS"}, "chained": {"SUCCESS"},
    "tick": {"SUCCESS"}, "container": {"SUCCESS"}, "flaky": {"FAILED", "SUCCESS"}, "request": {"SUCCESS", "FAILED"},
    "paused": {"SUCCESS"}, "review": {"SUCCESS"}, "hungry": {"FAILED"},
}
CHILDREN = {"parent": {"child": 1}, "loop": {"loop": 4}, "items": {"batch": 3}, "hook": {"chained": 1}}
"""Flow → the executions that each of its executions starts."""
LINES = 5
WEIGHTS = {
    "one": 8, "shell": 5, "retried": 2, "parent": 3, "each": 2, "loop": 2, "items": 2, "shared": 2, "request": 3, "container": 1, "flaky": 1,
    "paused": 2, "review": 2, "hungry": 0.3,
}
ASKS = ("paused", "review")
"""Flows that wait for somebody. The house answers them, again and again until it is told that it was heard."""
_COMMAND = (
    'echo "E {{ taskrun.id }} {{ taskrun.attemptsCount }}" >> LEDGER; for i in 1 2 3 4 5; do echo "L {{ taskrun.id }} $i"; sleep 0.0$i; done'
)


def _task(name: str = "work", command: str = _COMMAND, more: str = "", indent: int = 2) -> str:
    lines = [
        f"- id: {name}", "  type: scripts.shell.Commands", *([f"  {more}"] if more else []), "  commands:", "    - |-", f"      {command}",
    ]
    return "\n".join(" " * indent + line for line in lines) + "\n"


def _flow(name: str, tasks: str, rest: str = "", head: str = "") -> str:
    return f"id: {name}\nnamespace: load\n{head}tasks:\n{tasks}{rest}"


def flows(ledger: Path, marks: Path, sink: str) -> dict[str, str]:
    """File name → text. ledger: the file that commands append to. marks: a folder: flaky executions named there succeed. sink: URL."""
    texts = {
        "one": _flow("one", "  - {id: say, type: core.log.Log, message: hello}\n"),
        "shell": _flow("shell", _task()),
        "retried": _flow(
            "retried", _task(command=_COMMAND + "; test $(grep -c 'E {{ taskrun.id }} ' LEDGER) -ge 2",
                             more="retry: {type: constant, interval: PT0.2S, maxAttempts: 4}"),
        ),
        "parent": _flow("parent", "  - {id: down, type: core.flow.Subflow, namespace: load, flowId: child, wait: true}\n"),
        "child": _flow("child", _task()),
        "each": _flow(
            "each", "  - id: all\n    type: core.flow.ForEach\n    values: [1, 2, 3, 4]\n    concurrencyLimit: 2\n    tasks:\n"
            + _task(indent=6) + "      - {id: note, type: core.debug.Return, format: '{{ taskrun.value }}'}\n",
        ),
        "loop": _flow(
            "loop", "  - id: all\n    type: core.flow.Loop\n    values: [1, 2, 3, 4]\n    concurrencyLimit: 2\n    tasks:\n" + _task(indent=6),
        ),
        "items": _flow(
            "items", "  - id: lines\n    type: core.storage.Write\n    content: \"1\\n2\\n3\\n4\\n5\\n\"\n"
            "  - {id: all, type: core.flow.ForEachItem, items: '{{ outputs.lines.uri }}', batch: {rows: 2}, namespace: load, flowId: batch,"
            " inputs: {file: '{{ taskrun.items }}'}}\n",
        ),
        "batch": _flow("batch", _task(), head="inputs: [{id: file, type: FILE}]\n"),
        "shared": _flow(
            "shared", "  - id: room\n    type: core.flow.WorkingDirectory\n    tasks:\n"
            + _task("first", _COMMAND + "; echo kept > file", indent=6) + _task("second", _COMMAND + "; test \"$(cat file)\" = kept", indent=6),
        ),
        "hook": _flow(
            "hook", _task(), "triggers:\n  - {id: in, type: core.trigger.Webhook, key: sesame, verify: {dedupe: x-delivery}}\n"
        ),
        "chained": _flow(
            "chained", "  - {id: say, type: core.log.Log, message: '{{ trigger.executionId }}'}\n",
            "triggers:\n  - {id: up, type: core.trigger.Flow, states: [SUCCESS], preconditions: {id: p, flows: [{namespace: load, flowId: hook}]}}\n",
        ),
        "tick": _flow(
            "tick", "  - {id: say, type: core.log.Log, message: '{{ trigger.date }}'}\n",
            "triggers:\n  - {id: second, type: core.trigger.Schedule, cron: '*/2 * * * * *', withSeconds: true, recoverMissedSchedules: ALL}\n",
        ),
        "flaky": _flow("flaky", _task(command=_COMMAND + f"; test -e {marks}/{{{{ execution.id }}}}")),
        "request": _flow(
            "request", f"  - {{id: post, type: core.http.Request, method: POST, uri: '{sink}/{{{{ taskrun.id }}}}/{{{{ taskrun.attemptsCount }}}}'}}\n",
        ),
        "paused": _flow("paused", "  - {id: wait, type: core.flow.Pause}\n" + _task()),
        "review": _flow("review", "  - id: ask\n    type: core.flow.Approval\n    onApprove:\n" + _task(indent=6)),
        "hungry": _flow(
            "hungry", _task(
                "eat", "echo before; x=$(head -c 200000000 /dev/zero | tr '\\0' x); echo after",
                "containerImage: busybox:latest\n    taskRunner: {type: scripts.runner.docker.Docker, memory: {memory: 16MB}}",
            ),
        ),
        "container": _flow(
            "container", _task(
                command=f"wget -q -O /dev/null --post-data= {sink}/{{{{ taskrun.id }}}}/{{{{ taskrun.attemptsCount }}}}; "
                'for i in 1 2 3 4 5; do echo "L {{ taskrun.id }} $i"; sleep 0.1; done',
                more="containerImage: busybox:latest\n    taskRunner: {type: scripts.runner.docker.Docker, networkMode: host}",
            ),
        ),
    }
    return {f"{name}.yaml": text.replace("LEDGER", str(ledger)) for name, text in texts.items()}
