"""What the daemon knows of itself beside its work: settings with their origin, the process, the machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class InstanceReads(Protocol):
    """Implemented by app/wiring/about."""

    async def settings(self) -> Sequence[Mapping[str, Any]]:
        """Every setting in force: {key, section, value (secrets masked), origin, changed: whether it is no default, about, kind}."""
        ...

    def places(self) -> Mapping[str, Any]:
        """Where settings can be written: {file: the one in use or None, looked: [files that would be read], variable: prefix of variables}."""
        ...

    async def facts(self) -> Mapping[str, Any]:
        """{process: {pid, startedAt, uptimeSeconds, residentBytes, threads, openFiles, openFilesMax}, home: {path, journalBytes, walBytes,
        freeBytes, totalBytes}, lock: {owner, standby}, runner: {type, warm, pool}, versions: {name: version}, machine: {…}}."""
        ...

    async def checks(self) -> Sequence[Mapping[str, str]]:
        """What `podium doctor` finds: [{check, status: ok|warning|error, found, todo}]. Takes seconds."""
        ...
