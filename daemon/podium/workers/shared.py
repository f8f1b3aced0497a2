"""The shared directory of a WorkingDirectory: opened before its first child, closed after its last. Source: flow-language 5.10.

Opening and closing may be repeated after a crash: what was done is not done again. All of it blocks; `worker` calls it in threads.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from podium.base.durations import parse_duration
from podium.base.errors import ExpressionError, StorageError
from podium.base.globs import compile_globs
from podium.base.limits import RESULT_BYTES_MAX
from podium.base.system.clock import Clock
from podium.base.system.log import get_logger
from podium.flows.model import NamespaceFiles
from podium.rendering.renderer import Renderer, Scope
from podium.runners.collect import Budget, copy_matching, inside
from podium.storage.files import FileStorage
from podium.storage.namespace import write_below
from podium.storage.task_files import TaskFiles
from podium.storage.uris import cache_uri
from podium.workers.work import WorkspaceWork
from podium.workers.workspace import Folders, copy_namespace_files, keep_only, remove, store_results, write_files

log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """One shared directory and what is needed to fill and empty it."""

    work: WorkspaceWork
    folders: Folders
    renderer: Renderer
    scope: Scope
    task_files: TaskFiles
    storage: FileStorage
    clock: Clock

    @property
    def _base(self) -> Path:
        return self.folders.shared(self.work.task_run_id).parent

    @property
    def _files(self) -> Path:
        return self.folders.shared(self.work.task_run_id)

    # ---- opening

    def open(self) -> None:
        """Make the directory with the cache, namespace files and input files in it. Raises StorageError, ExpressionError, NotFound."""
        ready = self._base / "ready.json"
        if ready.exists():
            return
        remove(self._base)
        self._files.mkdir(parents=True, mode=0o700)
        task = self.work.task
        restored = self._restore_cache()
        if task.namespace_files is not None:
            rules = self.renderer.model(
                NamespaceFiles.model_validate(task.namespace_files), self.work.variables, self.scope, path=f"tasks.{task.id}.namespaceFiles"
            )
            scope = self.renderer.file_scope(self.scope, self.work.variables)
            for warning in copy_namespace_files(self._files, rules, self.renderer.file_reader, scope):
                log.warning("namespace_file_kept", execution_id=self.work.execution_id, task=task.id, warning=warning)
        write_files(self._files, self._input_files(), self.task_files.fetch)
        draft = ready.with_suffix(".draft")
        draft.write_text(json.dumps({"restored": restored}))
        draft.rename(ready)

    def _input_files(self) -> Mapping[str, Any]:
        found = self._rendered(self.work.task.input_files)
        if isinstance(found, str):
            try:
                found = json.loads(found) if found.strip() else None
            except ValueError as error:
                raise self._wrong("inputFiles", "is not a JSON map of names and contents") from error
        if found is None:
            return {}
        if not isinstance(found, Mapping):
            raise self._wrong("inputFiles", "is not a map of names and contents")
        return found

    def _output_patterns(self) -> list[str]:
        found = self._rendered(self.work.task.output_files)
        if isinstance(found, str):
            found = json.loads(found) if found.strip().startswith("[") else [found]
        return [str(each) for each in found or []]

    def _rendered(self, value: Any) -> Any:
        return self.renderer.value(value, self.work.variables, self.scope, typed=isinstance(value, str))

    def _wrong(self, name: str, what: str) -> ExpressionError:
        where = f"tasks.{self.work.task.id}.{name}"
        return ExpressionError(f"{where}: {what}", hint="write name: content, or name: kestra:///…", property=where)

    # ---- closing

    def close(self, *, collect: bool) -> dict[str, Any]:
        """Keep the output files and the cache if `collect`, then remove the directory. The outputs; the same when asked again."""
        outputs_file = self._base / "outputs.json"
        if not collect:
            remove(self._base)
            return {}
        if outputs_file.exists():
            found: dict[str, Any] = json.loads(outputs_file.read_text())
            keep_only(outputs_file)
            return found
        if not self._files.exists():
            raise StorageError(
                "the shared directory of a WorkingDirectory is gone", hint="was the daemon's home changed? Restart the execution"
            )
        outputs = {"outputFiles": self._store_outputs()}
        self._save_cache()
        draft = outputs_file.with_suffix(".draft")
        draft.write_text(json.dumps(outputs))
        draft.rename(outputs_file)
        keep_only(outputs_file)
        return outputs

    def _store_outputs(self) -> dict[str, str]:
        patterns = self._output_patterns()
        if not patterns:
            return {}
        results = self._base / "results"
        remove(results)
        copy_matching(self._files, results, patterns)
        return store_results(results, self.task_files)

    # ---- the cache

    def _cache(self) -> tuple[str, list[str], float | None] | None:
        """URI, patterns and seconds to live of the cache, or None when there is none."""
        cache = self._rendered(self.work.task.cache)
        if not cache:
            return None
        taskrun = self.work.variables.get("taskrun") or {}
        value = taskrun.get("value")
        value_hash = hashlib.sha256(str(value).encode()).hexdigest()[:32] if value is not None else ""
        uri = cache_uri(self.work.namespace, self.work.flow_id, self.work.task.id, value_hash=value_hash)
        ttl = parse_duration(cache["ttl"]).total_seconds() if cache.get("ttl") else None
        return uri, [str(each) for each in cache["patterns"]], ttl

    def _restore_cache(self) -> dict[str, str]:
        """Unpack the cache unless it is too old; path → digest of what was restored."""
        found = self._cache()
        if found is None or not self.storage.exists(found[0]):
            return {}
        uri, _, ttl_s = found
        packed = self._base / "cache.zip"
        self.storage.copy_to(uri, packed)
        restored: dict[str, str] = {}
        try:
            with zipfile.ZipFile(packed) as archive:
                made_at = datetime.fromisoformat(archive.comment.decode())
                if ttl_s is not None and (self.clock.now() - made_at).total_seconds() > ttl_s:
                    return {}
                budget = Budget()
                for entry in archive.infolist():
                    budget.take(entry.filename, entry.file_size)
                    body = archive.read(entry)
                    write_below(self._files, entry.filename, body)
                    (self._files / entry.filename).chmod((entry.external_attr >> 16) & 0o777 | 0o600)
                    restored[entry.filename] = hashlib.sha256(body).hexdigest()
        except (zipfile.BadZipFile, ValueError) as error:
            log.warning("cache_unreadable", uri=uri, reason=str(error))
            return {}
        finally:
            packed.unlink()
        return restored

    def _save_cache(self) -> None:
        """Pack the files that match, if one of them is new or changed since the cache was restored."""
        found = self._cache()
        if found is None:
            return
        uri, patterns, _ = found
        restored = json.loads((self._base / "ready.json").read_text())["restored"]
        matching = self._matching(patterns)
        if all(restored.get(name) == digest for name, digest in matching.items()):
            return
        packed = self._base / "cache.zip"
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.comment = self.clock.now().isoformat().encode()
            for name in sorted(matching):
                archive.write(self._files / name, name)
        self.storage.put(uri, packed)

    def _matching(self, patterns: list[str]) -> dict[str, str]:
        is_wanted = compile_globs(patterns)
        digests: dict[str, str] = {}
        left = RESULT_BYTES_MAX
        for folder, _, names in os.walk(self._files):
            for name in names:
                place = Path(folder) / name
                path = place.relative_to(self._files).as_posix()
                if not is_wanted(path) or not place.is_file() or not inside(self._files, place):
                    continue
                left -= place.stat().st_size
                if left < 0:
                    raise StorageError(f"the cache is larger than {RESULT_BYTES_MAX} bytes", hint="use narrower patterns in cache")
                with place.open("rb") as file:
                    digests[path] = hashlib.file_digest(file, "sha256").hexdigest()
        return digests
