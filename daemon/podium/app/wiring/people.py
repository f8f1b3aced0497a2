"""Who may do what, as the daemon knows it: taken from the source or file that the settings name, kept in the home for when neither can be read.

Called by daemon. What always holds: a text with a mistake changes nothing, so that nobody is locked out by it; what was last good outlives a
restart; the socket of the home and server.token are admins whatever the text says.
"""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import replace
from typing import Any

from podium.app.settings import Settings
from podium.base.access.people import People, Roster
from podium.base.system.log import get_logger
from podium.sources.reading.access import ReadAccess, as_dicts, parse_access
from podium.web.people.access import Access
from podium.web.people.identify import Door
from podium.web.people.sessions import Sessions
from podium.web.people.throttle import Buckets

log = get_logger(__name__)
FILE_LOOK_S = 2.0
BURST = 5.0
"""Calls at once, as seconds of the rate."""


class PeopleKeeper:
    """Keeps the roster of one home."""

    def __init__(self, settings: Settings) -> None:
        self.roster = Roster()
        self._source = settings.security.access_source
        self._file = settings.security.access_file
        self._kept = settings.home / "access.json"
        self._seen: tuple[int, int] | None = None
        if self._file is not None:
            self.roster.origin = str(self._file)
        elif self._source:
            self.roster.origin = f"podium.yaml of source '{self._source}'"

    def open(self) -> None:
        """What was last good, then the file if there is one. Blocking."""
        if not self.roster.origin:
            return
        kept = self._read_kept()
        if kept is not None:
            self.roster.change(kept)
        if self._file is not None:
            self.look()

    def look(self) -> None:
        """Read the file again if it changed. Blocking."""
        assert self._file is not None
        try:
            found = self._file.stat()
            body = self._file.read_bytes() if (found.st_mtime_ns, found.st_size) != self._seen else None
        except OSError as error:
            if self._seen is not None or not self.roster.problems:
                self._seen = None
                self._told(({"file": str(self._file), "line": 1, "column": 1, "message": f"cannot be read: {error.strerror}", "hint": ""},))
            return
        if body is not None:
            self._seen = (found.st_mtime_ns, found.st_size)
            self._take(parse_access(body, path=str(self._file), alone=True), body.decode("utf-8", "replace"), commit="")

    def taken(self, commit: str, access: ReadAccess) -> None:
        """What a commit of the source says. Blocking."""
        if self._file is None:
            self._take(access, None, commit=commit)

    def _take(self, access: ReadAccess, text: str | None, *, commit: str) -> None:
        if access.people is None:
            self._told(as_dicts(access.problems))
            return
        self.roster.problems = ()
        people = replace(access.people, source=self._source, commit=commit)
        changed = self.roster.change(people)
        if changed:
            log.info("access_changed", origin=self.roster.origin, commit=commit or None, users=len(people.persons), tokens=len(people.tokens))
        if changed or not self._kept.exists():
            self._keep(people)
        for each in as_dicts(access.warnings):
            log.warning("access_odd", **{key: each.get(key) for key in ("file", "line", "column", "message")})

    def _told(self, problems: tuple[dict[str, Any], ...]) -> None:
        if problems != self.roster.problems:
            for each in problems:
                log.error("access_refused", **{key: each.get(key) for key in ("file", "line", "column", "message", "hint")})
        self.roster.problems = problems

    # ---- what was last good

    def _keep(self, people: People) -> None:
        body = json.dumps({"origin": self.roster.origin, "commit": people.commit, "text": as_yaml(people), "path": people.path})
        beside = self._kept.with_suffix(".new")
        try:
            beside.unlink(missing_ok=True)
            handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(body)
            beside.replace(self._kept)
        except OSError as error:
            log.warning("access_not_kept", error=error.strerror)

    def _read_kept(self) -> People | None:
        try:
            found = json.loads(self._kept.read_text("utf-8"))
            if found["origin"] != self.roster.origin:
                return None
            read = parse_access(str(found["text"]).encode(), path=str(found["path"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("access_not_remembered", error=type(error).__name__)
            return None
        return replace(read.people, source=self._source, commit=str(found["commit"])) if read.people is not None else None

    async def run(self) -> None:
        """Follow the file until cancelled; at once done where there is none."""
        while self._file is not None:
            await asyncio.sleep(FILE_LOOK_S)
            await asyncio.to_thread(self.look)


def as_yaml(people: People) -> str:
    """The rules as a text that reads back to them (JSON is YAML)."""
    roles: dict[str, Any] = {}
    for grant in people.grants:
        of_role = roles.setdefault(grant.role.name.lower(), {})
        of_role.setdefault(grant.namespace, []).append(grant.who)
    tokens = [
        {"name": each.name, "hash": each.digest, "role": each.role.name.lower()} | ({"namespaces": list(each.namespaces)} if each.namespaces else {})
        | ({"expires": each.expires.isoformat()} if each.expires else {}) | ({"user": each.user} if each.user else {})
        for each in people.tokens
    ]
    users = [
        {"name": each.name, "email": each.email, "title": each.title, "password": each.password, "disabled": each.disabled}
        for each in people.persons.values()
    ]
    return json.dumps({"users": users, "groups": {name: list(members) for name, members in people.groups.items()}, "roles": roles, "tokens": tokens})


def door_of(settings: Settings, keeper: PeopleKeeper, *, instance: str) -> Door:
    """The door of the daemon. Blocking."""
    server = settings.server
    access = Access.of([*server.allowed_hosts, server.host], cors_origins=server.cors_origins, trusted_proxies=server.trusted_proxies)
    return Door(
        access=access, roster=keeper.roster, token=settings.token(), local_login=settings.security.local_login, instance=instance,
        sessions=Sessions(settings.home / "sessions.json", length_s=settings.security.session_hours * 3600),
    )


def calls_of(settings: Settings) -> Buckets | None:
    """How often one caller may change something."""
    rate = settings.server.rate_limit
    return Buckets(rate, max(1.0, rate * BURST)) if rate else None
