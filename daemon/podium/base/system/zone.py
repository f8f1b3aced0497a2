"""The time zone of this machine, for schedules and dates that name none."""

from __future__ import annotations

from datetime import UTC, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from podium.base.errors import SettingsError


def zone_of(name: str) -> tzinfo:
    """The zone of that name; for an empty one the machine's. Raises SettingsError for a name that is none."""
    if name:
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise SettingsError(f"'{name}' is not a time zone", hint="write one like Europe/Paris or UTC", timezone=name) from error
    return _machine()


def _machine() -> tzinfo:
    """What /etc/localtime points to, else what /etc/timezone says, else UTC."""
    for read in (_linked, _named):
        try:
            return ZoneInfo(read())
        except (OSError, ValueError, ZoneInfoNotFoundError):
            continue
    return UTC


def _linked() -> str:
    return str(Path("/etc/localtime").resolve()).partition("zoneinfo/")[2] or "-"


def _named() -> str:
    return Path("/etc/timezone").read_text("utf-8").strip()
