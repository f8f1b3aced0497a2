"""What tasks get that run in the daemon: inline tasks, and command tasks while they say what is to be run."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import tzinfo
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from podium.base.errors import StorageError
from podium.base.ports import Reads
from podium.plugin import TaskFailed
from podium.rendering.renderer import Renderer, Scope
from podium.runners.port import Places
from podium.storage.task_files import TaskFiles
from podium.workers.logs import AttemptLog
from podium.workers.work import Work

_QUERIES = frozenset({"kv", "kv_keys", "kv_entries", "logs", "execution", "purgeable"})
_URI = re.compile(r"kestra://[-\w.~%/!$&'()*+,;=:@#]*")
_PLAIN_URI = re.compile(r"kestra://[-\w.~%/+=:@#]*")
_ODD = frozenset("!$&'()*,;.:")
_TRIES_MAX = 50


class Context:
    """See plugin.RunContext."""

    def __init__(
        self, work: Work, *, renderer: Renderer, scope: Scope, log: AttemptLog, files: TaskFiles, directory: Callable[[], Path],
        reads: Reads,
    ) -> None:
        self._work = work
        self._renderer = renderer
        self._scope = scope
        self._directory = directory
        self._reads = reads
        self.log = log
        self.files = files
        self.execution_id = work.execution_id
        self.task_run_id = work.task_run_id
        self.attempt = work.attempt
        self.namespace = work.namespace
        self.flow_id = work.flow_id
        self.variables: Mapping[str, Any] = work.variables

    @property
    def working_dir(self) -> Path:
        """See RunContext."""
        directory = self._directory()
        directory.mkdir(parents=True, exist_ok=True)
        return directory

    @property
    def zone(self) -> tzinfo:
        """See RunContext."""
        return self._renderer.zone

    def render(self, template: Any, extra: Mapping[str, Any] | None = None) -> Any:
        """See RunContext."""
        return self._renderer.value(template, self.variables, self._scope, extra=extra)

    def query(self, what: str, **arguments: Any) -> Any:
        """See RunContext."""
        if what == "state":
            return self._reads.document("state", **arguments)
        if what == "executions":
            return self._reads.count_executions(**arguments)
        if what not in _QUERIES:
            raise TaskFailed(f"there is no query '{what}'")
        return getattr(self._reads, what)(**arguments)


class RunnerContext(Context):
    """See plugin.CommandContext. private: the host directory that the command sees as `places.private`."""

    def __init__(self, *arguments: Any, places: Places, runner_type: str, private: Path, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.places = places
        self.runner_type = runner_type
        self._private = private
        self._copies: dict[str, str] = {}

    def local_copies(self, text: str) -> str:
        """See CommandContext."""
        return _URI.sub(lambda match: self._local(match[0]), text) if "kestra://" in text else text

    def _local(self, found: str) -> str:
        """The path that stands for a URI. Signs that a file name may hold, and a sentence or shell too, belong to it only if such a file is."""
        uri = self._existing(found)
        if uri not in self._copies:
            name = re.sub(r"[^\w.-]", "_", unquote(PurePosixPath(uri).name)) or "file"
            place = f"files/{len(self._copies)}/{name}"
            self.files.fetch(uri, self._private / place)
            self._copies[uri] = f"{self.places.private}/{place}"
        return self._copies[uri] + found[len(uri) :]

    def _existing(self, found: str) -> str:
        plain = _PLAIN_URI.match(found)
        assert plain is not None
        least = len(plain[0].rstrip(".:"))
        ends = [len(found), *(at for at in range(len(found) - 1, least, -1) if found[at] in _ODD), least]
        if len(ends) == 2 and ends[0] == ends[1]:
            return found
        return next((found[:end] for end in ends[:_TRIES_MAX] if self._is_there(found[:end])), plain[0])

    def _is_there(self, uri: str) -> bool:
        try:
            return self.files.exists(uri)
        except StorageError:
            return False
