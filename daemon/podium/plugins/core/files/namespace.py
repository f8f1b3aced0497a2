"""namespace.UploadFiles, DownloadFiles, DeleteFiles, PurgeFiles. Source: flow-language 6.8, ruling 14.

Namespace files are the repository's at the pinned commit. A task never writes the repository: what it uploads lies in storage,
over the repository's files, marked as not in Git.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from podium.plugin import Dyn, Metric, Model, NamespaceFile, Result, RunContext, Task, TaskFailed
from podium.plugins.core.fields import json_value
from podium.plugins.core.files.workfiles import fetched, matching_files
from podium.storage.uris import check_path

_NAMESPACE = "io.kestra.plugin.core.namespace."


class UploadFiles(Task):
    """Uploads files of the working directory, or stored ones, to a namespace. Output: files, path → URI."""

    TYPE = _NAMESPACE + "UploadFiles"
    KIND = "process"
    IDEMPOTENT = True
    namespace: Dyn[str] | None = None
    files: Dyn[list[str] | dict[str, Any] | str] = []
    files_map: Dyn[dict[str, Any] | str] = {}
    destination: Dyn[str] = "/"
    conflict: Dyn[Literal["OVERWRITE", "ERROR", "SKIP"]] = "OVERWRITE"

    def run(self, ctx: RunContext) -> Result:
        """Upload."""
        namespace = self.namespace or ctx.namespace
        given = json_value(self.files_map, "filesMap") if self.files_map else {}
        files = json_value(self.files, "files") if isinstance(self.files, str) and self.files.lstrip()[:1] in ("[", "{") else self.files
        if isinstance(files, dict):
            given, files = {**files, **given}, []
        if not isinstance(given, dict):
            raise TaskFailed("filesMap: a map of path → URI is expected")
        patterns = [files] if isinstance(files, str) else [str(each) for each in files]
        found = matching_files(ctx.working_dir, [each.lstrip("/") for each in patterns]) if patterns else {}
        if not found and not given:
            raise TaskFailed("No files to upload: `files` matches nothing and `filesMap` is empty")
        target = _Target(ctx, namespace, self.conflict)
        for name, place in found.items():
            target.upload(_below(self.destination, name), place)
        for name, uri in given.items():
            with fetched(ctx, str(uri)) as copy:
                target.upload(_below(self.destination, str(name)), copy)
        return Result(outputs={"files": target.uploaded})


class _Target:
    """A namespace that takes uploads, and what it has taken."""

    def __init__(self, ctx: RunContext, namespace: str, conflict: str) -> None:
        self._ctx = ctx
        self._namespace = namespace
        self._conflict = conflict
        self._present = {each.path: each for each in ctx.files.namespace_list(namespace)}
        self.uploaded: dict[str, str] = {}

    def upload(self, path: str, source: Path) -> None:
        """Take one file, as `conflict` says when there is one of that path."""
        present = self._present.get(path)
        if present and self._conflict == "ERROR":
            raise TaskFailed(f"File {path} already exists in the namespace '{self._namespace}' and conflict is set to ERROR")
        if present and self._conflict == "SKIP":
            self._ctx.log.log("INFO", f"File {path} already exists in the namespace '{self._namespace}' and conflict is set to SKIP")
            return
        self.uploaded[path] = self._ctx.files.namespace_put(self._namespace, path, source)
        over = " over the one in Git" if present and present.in_git else ""
        self._ctx.log.log("INFO", f"File {path} uploaded to the namespace '{self._namespace}'{over}; it is not in Git")


class DownloadFiles(Task):
    """Stores files of a namespace as files of the execution. Output: files, path → URI. Metric: downloaded."""

    TYPE = _NAMESPACE + "DownloadFiles"
    KIND = "process"
    IDEMPOTENT = True
    namespace: Dyn[str] | None = None
    files: Dyn[list[str] | str]
    destination: Dyn[str] = ""

    def run(self, ctx: RunContext) -> Result:
        """Copy them."""
        namespace = self.namespace or ctx.namespace
        stored = {}
        for each in _chosen(ctx, namespace, self.files):
            with fetched(ctx, each.uri) as copy:
                stored[each.path] = ctx.files.put(copy, _below(self.destination, each.path))
        if not stored:
            ctx.log.log("WARN", f"no file of the namespace '{namespace}' matches")
        return Result(outputs={"files": stored}, metrics=[Metric(name="downloaded", type="counter", value=len(stored))])


class DeleteFiles(Task):
    """Removes uploaded files from a namespace. Output: files, path → URI of those removed. Metric: deleted.

    Files that are in Git stay, with a warning: a commit removes them.
    """

    TYPE = _NAMESPACE + "DeleteFiles"
    KIND = "process"
    IDEMPOTENT = True
    namespace: Dyn[str] | None = None
    files: Dyn[list[str] | str]

    def run(self, ctx: RunContext) -> Result:
        """Remove them."""
        namespace = self.namespace or ctx.namespace
        removed = {}
        for each in _chosen(ctx, namespace, self.files):
            if each.in_git:
                ctx.log.log("WARN", f"File {each.path} is in Git and stays: remove it with a commit")
            elif ctx.files.namespace_delete(namespace, each.path):
                removed[each.path] = each.uri
        return Result(outputs={"files": removed}, metrics=[Metric(name="deleted", type="counter", value=len(removed))])


class VersionsToPurge(Model):
    """Which versions would go."""

    type: Literal["version"] = "version"
    before: Dyn[str] | None = None
    keep_amount: Dyn[int] | None = None


class PurgeFiles(Task):
    """Removes older versions of namespace files. One version of an upload is kept here (the others are in Git), so size is 0."""

    TYPE = _NAMESPACE + "PurgeFiles"
    KIND = "inline"
    IDEMPOTENT = True
    namespaces: Dyn[list[str]] = []
    namespace_pattern: Dyn[str] | None = None
    file_pattern: Dyn[str] | None = None
    include_child_namespaces: Dyn[bool] = True
    behavior: VersionsToPurge = VersionsToPurge()

    def run(self, ctx: RunContext) -> Result:
        """Say that there is nothing to remove."""
        ctx.log.log("INFO", "older versions of namespace files are in Git: nothing to remove")
        return Result(outputs={"size": 0})


def _chosen(ctx: RunContext, namespace: str, files: list[str] | str) -> list[NamespaceFile]:
    from podium.storage.namespace import selection

    given = json_value(files, "files") if isinstance(files, str) and files.lstrip().startswith("[") else files
    patterns = [str(each) for each in ([given] if isinstance(given, str) else given)]
    wanted = selection(patterns, ())
    return [each for each in ctx.files.namespace_list(namespace) if patterns and wanted(each.path)]


def _below(folder: str, name: str) -> str:
    return check_path(f"{folder.strip('/')}/{name.lstrip('/')}" if folder.strip("/") else name)
