"""Runs one task in a child process: builds its RunContext, which asks the daemon for everything, and sends how it ended.

Called by the fork server in a freshly forked process. Nothing of the orchestrator is here but the channel.
"""

from __future__ import annotations

import os
import pickle
import socket
import sys
import traceback
from collections.abc import Mapping
from datetime import tzinfo
from pathlib import Path
from typing import Any

import msgspec

from podium.base import errors
from podium.base.errors import PodiumError
from podium.base.system.zone import zone_of
from podium.plugin import NamespaceFile, Result, RunContext, Task, TaskFailed
from podium.workers.children.wire import Channel, RemoteError
from podium.workers.values import plain


class ChildContext:
    """See plugin.RunContext."""

    def __init__(self, channel: Channel, facts: Mapping[str, Any]) -> None:
        self._channel = channel
        self._facts = facts
        self._variables: Mapping[str, Any] | None = None
        self.log = ChildLog(channel)
        self.state: dict[str, Any] = {}
        """What a trigger remembers, when this is a poll."""
        self.files = ChildFiles(channel)

    @property
    def execution_id(self) -> str:
        return str(self._facts["execution_id"])

    @property
    def task_run_id(self) -> str:
        return str(self._facts["task_run_id"])

    @property
    def attempt(self) -> int:
        return int(self._facts["attempt"])

    @property
    def namespace(self) -> str:
        return str(self._facts["namespace"])

    @property
    def flow_id(self) -> str:
        return str(self._facts["flow_id"])

    @property
    def working_dir(self) -> Path:
        """See RunContext."""
        path = Path(self._facts["working_dir"])
        path.mkdir(parents=True, exist_ok=True)
        return path

    @property
    def variables(self) -> Mapping[str, Any]:
        """See RunContext. Fetched when first asked for."""
        if self._variables is None:
            found: Mapping[str, Any] = _ask(self._channel, "variables")
            self._variables = found
        return self._variables

    @property
    def zone(self) -> tzinfo:
        """See RunContext."""
        return zone_of(str(_ask(self._channel, "zone")))

    def render(self, template: Any, extra: Mapping[str, Any] | None = None) -> Any:
        """See RunContext."""
        return _ask(self._channel, "render", plain(template), plain(extra) if extra else None)

    def query(self, what: str, **arguments: Any) -> Any:
        """Not here: see RunContext."""
        raise TaskFailed(f"a task that runs in a process of its own cannot query '{what}'")


class ChildLog:
    """See plugin.Logger."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def log(self, level: str, message: str) -> None:
        """See Logger."""
        self._channel.send({"log": level, "message": message})


class ChildFiles:
    """See plugin.FileStore."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def put(self, source: Path, name: str) -> str:
        return str(_ask(self._channel, "put", str(Path(source).absolute()), name))

    def fetch(self, uri: str, target: Path) -> None:
        _ask(self._channel, "fetch", uri, str(Path(target).absolute()))

    def size(self, uri: str) -> int:
        return int(_ask(self._channel, "size", uri))

    def exists(self, uri: str) -> bool:
        return bool(_ask(self._channel, "exists", uri))

    def delete(self, uri: str) -> bool:
        return bool(_ask(self._channel, "delete", uri))

    def own_files(self) -> list[str]:
        return list(_ask(self._channel, "own_files"))

    def namespace_list(self, namespace: str) -> list[NamespaceFile]:
        return [NamespaceFile(**each) for each in _ask(self._channel, "namespace_list", namespace)]

    def namespace_put(self, namespace: str, path: str, source: Path) -> str:
        return str(_ask(self._channel, "namespace_put", namespace, path, str(Path(source).absolute())))

    def namespace_delete(self, namespace: str, path: str) -> bool:
        return bool(_ask(self._channel, "namespace_delete", namespace, path))


def _ask(channel: Channel, method: str, *arguments: Any) -> Any:
    """The daemon's answer; its errors come out as the classes they were there."""
    try:
        return channel.ask(method, *arguments)
    except RemoteError as error:
        kind = getattr(errors, error.kind, PodiumError)
        if not (isinstance(kind, type) and issubclass(kind, PodiumError)):
            kind = PodiumError
        raise kind(error.what, hint=error.hint) from None


def run(connection: socket.socket) -> None:
    """Take the order, run the task, send the end."""
    channel = Channel(connection)
    order = channel.receive()
    try:
        task: Task = pickle.loads(order["task"])  # noqa: S301 -- the daemon sent it
        context: RunContext = ChildContext(channel, order["facts"])
        end = ended(task.run(context))  # type: ignore[attr-defined]  # tasks of this kind are Runnable
    except BaseException as error:  # noqa: BLE001 -- whatever it is ends the task, and nothing but the task
        end = failure(error)
    sys.stdout.flush()
    sys.stderr.flush()
    channel.send({"end": msgspec.json.encode(end)})
    os._exit(0)


def ended(result: Result) -> dict[str, Any]:
    """A result as a message."""
    return {
        "state": result.state,
        "outputs": plain(result.outputs),
        "metrics": [
            {"name": each.name, "type": each.type, "value": each.value, "tags": plain(each.tags)} for each in result.metrics
        ],
        "requests": [{"kind": each.kind, "body": plain(each.body)} for each in result.requests],
        "facts": plain(result.facts),
        "secret_outputs": list(result.secret_outputs),
    }


def failure(error: BaseException) -> dict[str, Any]:
    """An error as a message. trace: where it happened, for an error that nobody meant."""
    if isinstance(error, TaskFailed):
        return {"state": "FAILED", "error": str(error), "outputs": plain(error.outputs)}
    if isinstance(error, PodiumError):
        return {"state": "FAILED", "error": f"{error.what} ({error.hint})" if error.hint else error.what, "outputs": {}}
    trace = "".join(traceback.format_exception(error))
    return {"state": "FAILED", "error": f"{type(error).__name__}: {error}", "outputs": {}, "trace": trace}
