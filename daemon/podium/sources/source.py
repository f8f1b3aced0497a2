"""What a source is: a branch of a repository, or a directory, whose flows are deployed. Plain data, made by app from the settings."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from podium.base.errors import SettingsError
from podium.base.moments import to_text
from podium.base.redact import redact_url
from podium.git.credentials import Credentials
from podium.sources.links import forge_at

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where flows come from.

    url: a path, ssh or https URL. path: folder of the flow files and root of the namespace files, "." for all.
    poll_interval_s: 0 looks only when told. directory: if set, this work tree is deployed as it is on disk, and url is not used.
    hook_secrets: secrets of the forge's push webhook, current and previous; without one a call must be trusted by other means.
    """

    name: str
    url: str = ""
    branch: str = "main"
    path: str = "."
    poll_interval_s: float = 60.0
    credentials: Credentials | None = None
    directory: Path | None = None
    hook_secrets: tuple[str, ...] = ()
    fetch_timeout_s: float = 120.0
    defines_access: bool = False
    """Whether its podium.yaml says who may do what."""
    forge: str | None = None
    """github, gitlab, gitea, forgejo or bitbucket, where the host's name does not tell."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise SettingsError(f"'{self.name}' is no name for a source", hint="use letters, digits, - and _")
        if not self.url and self.directory is None:
            raise SettingsError(f"source '{self.name}' has neither url nor directory", hint=f"set sources.{self.name}.url")
        if self.path.startswith("/") or ".." in self.path.split("/"):
            raise SettingsError(f"path of source '{self.name}' leaves the repository: {self.path}", hint="give a folder inside it")

    @property
    def folder(self) -> str:
        """`path` without slashes around it; "." for the whole repository."""
        return self.path.strip("/").removeprefix("./") or "."

    def shown_url(self) -> str:
        """The url, or the directory, without a password."""
        return str(self.directory) if self.directory is not None else redact_url(self.url)


@dataclass(slots=True, kw_only=True)
class SourceState:
    """What is known of a source at this moment. Dates are UTC."""

    commit: str | None = None
    """The commit deployed last."""
    fetched_at: datetime | None = None
    """When the source was last read without an error."""
    error: str | None = None
    hint: str | None = None
    failures: int = 0
    """How often reading failed in a row."""
    held: str | None = None
    dirty: bool = False
    flows: int = 0
    rejected: list[dict[str, Any]] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)

    def as_dict(self, source: Source) -> dict[str, Any]:
        """The state as pages and the health check show it."""
        facts: dict[str, Any] = {
            "name": source.name, "url": source.shown_url(), "branch": source.branch, "path": source.folder,
            "pollIntervalS": source.poll_interval_s, "flows": self.flows, "rejected": len(self.rejected), "dirty": self.dirty,
        }
        forge = forge_at(source.url, source.forge) if source.directory is None else None
        optional: dict[str, Any] = {
            "page": forge.page if forge else None, "commitPage": forge.commit("{commit}") if forge else None,
            "directory": True if source.directory is not None else None, "commit": self.commit,
            "fetchedAt": to_text(self.fetched_at) if self.fetched_at else None,
            "error": self.error, "hint": self.hint, "held": self.held, "failures": self.failures or None, "ignored": self.ignored or None,
        }
        return facts | {key: value for key, value in optional.items() if value is not None}
