"""What the daemon says of itself on the pages Settings and System. Made by daemon, read by web (web/api/instance/port).

What always holds: secrets are masked before they leave this module; nothing here holds up the loop.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
import platform
import shutil
import sys
import textwrap
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from podium.app import layers
from podium.app.layers import Layer
from podium.app.settings import Settings
from podium.app.wiring.core import Core
from podium.base.moments import to_text
from podium.base.system.clock import monotonic_s
from podium.store.db import SQLITE_VERSION

_SHOWN_PACKAGES = ("podium", "aiohttp", "pydantic", "msgspec", "jinja2", "apscheduler", "docker", "gitpython", "argon2-cffi")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_NOT_FROM_WITHIN = frozenset({"port"})
"""Checks that make sense before the daemon runs only."""


class About:
    """See InstanceReads."""

    def __init__(self, core: Core, settings: Settings, origins: tuple[Layer, ...]) -> None:
        """origins: the layers the settings were made of, strongest first."""
        self._core = core
        self._settings = settings
        self._origins = origins
        self._began_s = monotonic_s()
        self._began = core.clock.now()

    async def settings(self) -> Sequence[Mapping[str, Any]]:
        """See InstanceReads."""
        return await asyncio.to_thread(self._rows)

    def _rows(self) -> list[dict[str, Any]]:
        meanings = dict(_meanings(Settings))
        rows: list[dict[str, Any]] = []
        for key, value in layers.leaves(layers.shown(self._settings)):
            origin = layers.origin_of(key, self._origins)
            named = (key[0], *key[2:]) if key[0] in ("sources", "pools") else key
            rows.append({
                "key": ".".join(key), "section": ".".join(key[:2] if key[0] in ("sources", "pools") else key[:-1]), "value": value, "origin": origin,
                "changed": origin != "default", "about": meanings.get(named) or meanings.get(named[:-1], ""),
            })
        return rows

    def places(self) -> Mapping[str, Any]:
        """See InstanceReads."""
        written = next((each.origins.values() for each in self._origins if each.kind == "file"), ())
        found = next((origin.rpartition(":")[0] if origin.rpartition(":")[2].isdigit() else origin for origin in written), None)
        return {"file": found, "looked": [str(each) for each in layers.config_places(os.environ)], "variable": "PODIUM_"}

    async def facts(self) -> Mapping[str, Any]:
        """See InstanceReads."""
        return await asyncio.to_thread(self._facts)

    def _facts(self) -> dict[str, Any]:
        home = self._settings.home
        disk = shutil.disk_usage(home)
        soft, _ = _open_files_max()
        return {
            "process": {
                "pid": os.getpid(), "startedAt": to_text(self._began), "uptimeSeconds": round(monotonic_s() - self._began_s, 1),
                "residentBytes": _resident_bytes(), "threads": threading.active_count(), "openFiles": sum(1 for _ in Path("/proc/self/fd").iterdir()),
                "openFilesMax": soft,
            },
            "home": {
                "path": str(home), "journalBytes": _size(home / "journal.db"), "walBytes": _size(home / "journal.db-wal"), "freeBytes": disk.free,
                "totalBytes": disk.total,
            },
            "lock": {"owner": os.getpid(), "standby": self._core.podium.standby()},
            "runner": {
                "type": self._settings.runner.type, "warm": self._core.worker.warm, "pool": self._settings.runner.pool,
                "supervised": self._settings.runner.supervise,
            },
            "versions": _versions(),
            "machine": {
                "system": platform.platform(terse=True), "host": platform.node(), "cpus": os.cpu_count() or 1, "load": list(os.getloadavg()),
                "zone": str(self._core.zone),
            },
            "now": to_text(self._began + timedelta(seconds=monotonic_s() - self._began_s)),
        }

    async def checks(self) -> Sequence[Mapping[str, str]]:
        """See InstanceReads."""
        from podium.app.doctor import examine

        found = await asyncio.to_thread(examine, self._settings, self._core.clock)
        return [each.as_dict() for each in found if each.check not in _NOT_FROM_WITHIN]


@lru_cache(maxsize=1)
def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "sqlite": SQLITE_VERSION}
    for name in _SHOWN_PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return {"podium": found.pop("podium", "?"), **found}


def _resident_bytes() -> int:
    try:
        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * _PAGE_BYTES
    except (OSError, ValueError, IndexError):
        return 0


def _open_files_max() -> tuple[int, int]:
    import resource

    return resource.getrlimit(resource.RLIMIT_NOFILE)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _meanings(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """(key, what the text below the field says) of a model and those in it."""
    if sys.flags.optimize > 1:
        return
    for name, said in meanings_of(model).items():
        yield (*path, name), said
    for name, field in model.model_fields.items():
        named = (field.annotation, *get_args(field.annotation))
        inner = next((each for each in named if isinstance(each, type) and issubclass(each, BaseModel)), None)
        if inner is not None:
            yield from _meanings(inner, (*path, name))


@lru_cache(maxsize=64)
def meanings_of(model: type[BaseModel]) -> dict[str, str]:
    """What the text below each field says. Not left to pydantic, which would read the source of the settings at every start."""
    try:
        body = ast.parse(textwrap.dedent(inspect.getsource(model))).body[0]
    except OSError:
        return {}
    assert isinstance(body, ast.ClassDef)
    found: dict[str, str] = {}
    for field, text in pairwise(body.body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
            found[field.target.id] = inspect.cleandoc(ast.literal_eval(text.value))
    return found
