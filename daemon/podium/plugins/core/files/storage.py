"""Tasks about stored files: Concat, Delete, LocalFiles, PurgeCurrentExecutionFiles, Reverse, Size, Split, Write.

Source: flow-language 6.7.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from pydantic import Field

from podium.plugin import Dyn, Result, RunContext, Task, TaskFailed
from podium.plugins.core.fields import Text, json_value
from podium.plugins.core.files.workfiles import (
    byte_count,
    fetched,
    is_stored,
    matching_files,
    reverse_file,
    split_file,
    stored_from,
    write_inputs,
)
from podium.storage.uris import file_name

_STORAGE = "io.kestra.plugin.core.storage."
_OLD = "io.kestra.core.tasks.storages."


class Concat(Task):
    """Joins files into one; the separator is written after each. Output: uri."""

    TYPE = _STORAGE + "Concat"
    ALIASES = (_OLD + "Concat",)
    KIND = "process"
    IDEMPOTENT = True
    files: Dyn[list[str] | str]
    separator: Dyn[str] | None = None
    extension: Dyn[str] = ".tmp"

    def run(self, ctx: RunContext) -> Result:
        """Join and store."""
        uris = _uris(self.files, "files")
        with stored_from(ctx) as draft:
            with draft.open("wb") as out:
                for uri in uris:
                    with fetched(ctx, uri) as copy, copy.open("rb") as source:
                        shutil.copyfileobj(source, out, 1024 * 1024)
                    out.write((self.separator or "").encode())
            return Result(outputs={"uri": ctx.files.put(draft, f"concat{self.extension}")})


class Delete(Task):
    """Removes a file of the execution. Outputs: uri, deleted (whether it was there)."""

    TYPE = _STORAGE + "Delete"
    ALIASES = (_OLD + "Delete",)
    KIND = "process"
    IDEMPOTENT = True
    uri: Dyn[str]
    error_on_missing: Dyn[bool] = False

    def run(self, ctx: RunContext) -> Result:
        """Remove it."""
        deleted = ctx.files.delete(self.uri)
        if not deleted and self.error_on_missing:
            raise TaskFailed(f"Unable to find the file '{self.uri}'")
        return Result(outputs={"uri": self.uri, "deleted": deleted})


class LocalFiles(Task):
    """Puts files into the working directory, and stores files of it. Output: uris, path → URI of what `outputs` names."""

    TYPE = _STORAGE + "LocalFiles"
    ALIASES = (_OLD + "LocalFiles",)
    DEPRECATED = "use inputFiles and outputFiles of the tasks that need the files"
    KIND = "process"
    IDEMPOTENT = True
    inputs: Dyn[dict[str, Any] | str] = {}
    outputs: Dyn[list[str]] = []

    def run(self, ctx: RunContext) -> Result:
        """Write, then store."""
        inputs = json_value(self.inputs, "inputs") if self.inputs else {}
        if not isinstance(inputs, dict):
            raise TaskFailed("inputs: a map of path → content or URI is expected")
        write_inputs(ctx, inputs)
        found = matching_files(ctx.working_dir, self.outputs) if self.outputs else {}
        return Result(outputs={"uris": {path: ctx.files.put(place, path) for path, place in found.items()}})


class PurgeCurrentExecutionFiles(Task):
    """Removes all files of the execution. Output: uris, those removed."""

    TYPE = _STORAGE + "PurgeCurrentExecutionFiles"
    ALIASES = (_OLD + "PurgeExecution", _STORAGE + "PurgeExecution")
    KIND = "process"
    IDEMPOTENT = True

    def run(self, ctx: RunContext) -> Result:
        """Remove them."""
        return Result(outputs={"uris": [uri for uri in ctx.files.own_files() if ctx.files.delete(uri)]})


class Reverse(Task):
    """Writes the rows of a file from last to first. Output: uri."""

    TYPE = _STORAGE + "Reverse"
    ALIASES = (_OLD + "Reverse",)
    KIND = "process"
    IDEMPOTENT = True
    from_: Dyn[str] = Field(alias="from")
    separator: Dyn[str] = "\n"
    charset: Dyn[str] = "UTF-8"

    def run(self, ctx: RunContext) -> Result:
        """Reverse and store."""
        try:
            separator = self.separator.encode(self.charset)
        except LookupError as error:
            raise TaskFailed(f"charset: {self.charset!r} is not known") from error
        with fetched(ctx, self.from_) as source, stored_from(ctx) as draft:
            reverse_file(source, draft, separator)
            return Result(outputs={"uri": ctx.files.put(draft, f"reversed{_extension(self.from_)}")})


class Size(Task):
    """Tells how large a file is. Output: size, in bytes."""

    TYPE = _STORAGE + "Size"
    ALIASES = (_OLD + "Size",)
    KIND = "process"
    IDEMPOTENT = True
    uri: Dyn[str]

    def run(self, ctx: RunContext) -> Result:
        """Ask the storage."""
        if not is_stored(self.uri):
            raise TaskFailed(f"uri: {self.uri[:200]!r} is not an internal storage URI")
        return Result(outputs={"size": ctx.files.size(self.uri)})


class Split(Task):
    """Cuts a file into several, between rows: by bytes, else into partitions, else by rows. Output: uris."""

    TYPE = _STORAGE + "Split"
    ALIASES = (_OLD + "Split",)
    KIND = "process"
    IDEMPOTENT = True
    from_: Dyn[str] = Field(alias="from")
    bytes: Dyn[int | str] | None = None
    partitions: Dyn[int] | None = None
    rows: Dyn[int] | None = None
    separator: Dyn[str] = "\n"

    def run(self, ctx: RunContext) -> Result:
        """Cut and store."""
        limit = byte_count(self.bytes, "bytes") if self.bytes is not None else None
        with fetched(ctx, self.from_) as source, tempfile.TemporaryDirectory(dir=ctx.working_dir, prefix=".split-") as folder:
            named = source.rename(source.with_name(source.name + _extension(self.from_)))
            try:
                parts = split_file(
                    named, Path(folder), bytes_max=limit, partitions=self.partitions, rows=self.rows, separator=self.separator
                )
                return Result(outputs={"uris": [ctx.files.put(part, part.name) for part in parts]})
            finally:
                named.unlink()


class Write(Task):
    """Stores a text as a file. Output: uri."""

    TYPE = _STORAGE + "Write"
    KIND = "process"
    IDEMPOTENT = True
    content: Dyn[Text]
    extension: Dyn[str] | None = None

    def run(self, ctx: RunContext) -> Result:
        """Store it."""
        with stored_from(ctx) as draft:
            draft.write_text(self.content, encoding="utf-8", newline="")
            extension = self.extension or ""
            dotted = extension if extension.startswith(".") or not extension else f".{extension}"
            return Result(outputs={"uri": ctx.files.put(draft, file_name(f"content{dotted}"))})


def _uris(value: list[str] | str, what: str) -> list[str]:
    uris = json_value(value, what)
    if not isinstance(uris, list) or not all(isinstance(each, str) for each in uris):
        raise TaskFailed(f"{what}: a list of storage URIs, or a JSON text of one, is expected")
    return uris


def _extension(uri: str) -> str:
    suffix = Path(file_name(uri)).suffix
    return suffix if len(suffix) <= 16 else ""
