"""kv.Get, Set, Delete, GetKeys, PurgeKV: values kept by namespace and key. Source: flow-language 6.5."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import Field

from podium.base.durations import format_duration, parse_duration
from podium.base.globs import compile_globs
from podium.base.moments import from_text
from podium.base.system.clock import SystemClock
from podium.expressions.text import java_text
from podium.plugin import Duration, Dyn, Model, Request, Result, RunContext, Task, TaskFailed
from podium.plugins.core.fields import Text

_KV = "io.kestra.plugin.core.kv."
_KEY = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]*")
KvType = Literal["STRING", "NUMBER", "BOOLEAN", "DATETIME", "DATE", "DURATION", "JSON"]


class Get(Task):
    """Reads a value. A key that the flow's own namespace lacks is looked for in its parents. Output: value, null if missing."""

    TYPE = _KV + "Get"
    KIND = "inline"
    IDEMPOTENT = True
    key: Dyn[Text]
    namespace: Dyn[str] | None = None
    error_on_missing: Dyn[bool] = False

    def run(self, ctx: RunContext) -> Result:
        """Read."""
        namespace, key = self.namespace or ctx.namespace, checked_key(self.key)
        parts = namespace.split(".")
        places = [".".join(parts[:count]) for count in range(len(parts), 0, -1)] if namespace == ctx.namespace else [namespace]
        for place in places:
            found = ctx.query("kv", namespace=place, key=key)
            if found is not None:
                return Result(outputs={"value": found["value"]})
        if self.error_on_missing:
            raise TaskFailed(_missing(key, namespace))
        return Result(outputs={"value": None})


class Set(Task):
    """Stores a value of any type; `ttl` makes it expire. No outputs."""

    TYPE = _KV + "Set"
    KIND = "inline"
    IDEMPOTENT = True
    key: Dyn[Text]
    value: Dyn[Any]
    namespace: Dyn[str] | None = None
    overwrite: Dyn[bool] = True
    ttl: Dyn[Duration] | None = None
    kv_type: Dyn[KvType] | None = None
    kv_description: Dyn[Text] | None = None

    def run(self, ctx: RunContext) -> Result:
        """Ask for it."""
        namespace, key = self.namespace or ctx.namespace, checked_key(self.key)
        if not self.overwrite and ctx.query("kv", namespace=namespace, key=key) is not None:
            raise TaskFailed(f"Cannot set value for key '{key}'. Key already exists and `overwrite` is set to `false`.")
        value, kind = typed_value(self.value, self.kv_type)
        body: dict[str, Any] = {"namespace": namespace, "key": key, "value": value, "type": kind}
        body["ttl_s"] = self.ttl.total_seconds() if self.ttl is not None else None
        if self.kv_description is not None:
            body["description"] = self.kv_description
        return Result(requests=[Request(kind="kv_put", body=body)])


class Delete(Task):
    """Removes a key. Output: deleted, whether it was there."""

    TYPE = _KV + "Delete"
    KIND = "inline"
    IDEMPOTENT = True
    key: Dyn[Text]
    namespace: Dyn[str] | None = None
    error_on_missing: Dyn[bool] = False

    def run(self, ctx: RunContext) -> Result:
        """Ask for it."""
        namespace, key = self.namespace or ctx.namespace, checked_key(self.key)
        there = ctx.query("kv", namespace=namespace, key=key) is not None
        if not there and self.error_on_missing:
            raise TaskFailed(_missing(key, namespace))
        requests = [Request(kind="kv_delete", body={"namespace": namespace, "key": key})] if there else []
        return Result(outputs={"deleted": there}, requests=requests)


class GetKeys(Task):
    """Lists keys. Output: keys, sorted."""

    TYPE = _KV + "GetKeys"
    KIND = "inline"
    IDEMPOTENT = True
    prefix: Dyn[Text] = ""
    namespace: Dyn[str] | None = None

    def run(self, ctx: RunContext) -> Result:
        """Read."""
        keys = ctx.query("kv_keys", namespace=self.namespace or ctx.namespace, prefix=self.prefix)
        return Result(outputs={"keys": sorted(keys)})


class PurgeKeys(Model):
    """Removes keys: the expired ones, or all."""

    type: Literal["key"] = "key"
    expired_only: Dyn[bool] = True


class PurgeVersions(Model):
    """Removes older versions of keys. One version of a key is kept here (its history is in Git), so nothing is removed."""

    type: Literal["version"]
    before: Dyn[str] | None = None
    keep_amount: Dyn[int] | None = None


class PurgeKV(Task):
    """Removes keys of namespaces. Output: size, how many."""

    TYPE = _KV + "PurgeKV"
    KIND = "inline"
    IDEMPOTENT = True
    namespaces: Dyn[list[str]] = []
    namespace_pattern: Dyn[str] | None = None
    key_pattern: Dyn[str] | None = None
    include_child_namespaces: Dyn[bool] = True
    behavior: Annotated[PurgeKeys | PurgeVersions, Field(discriminator="type")] = PurgeKeys()
    expired_only: Dyn[bool] | None = None

    def run(self, ctx: RunContext) -> Result:
        """Find them and ask for their removal."""
        if bool(self.namespaces) == bool(self.namespace_pattern):
            raise TaskFailed("Exactly one of `namespaces` and `namespacePattern` must be set")
        if isinstance(self.behavior, PurgeVersions):
            return Result(outputs={"size": 0})
        expired_only = self.behavior.expired_only if self.expired_only is None else self.expired_only
        now = SystemClock().now()
        chosen = [each for each in self._entries(ctx) if not expired_only or _expired(each, now)]
        requests = [Request(kind="kv_delete", body={"namespace": each["namespace"], "key": each["key"]}) for each in chosen]
        return Result(outputs={"size": len(chosen)}, requests=requests)

    def _entries(self, ctx: RunContext) -> list[Mapping[str, Any]]:
        wanted_key = compile_globs([self.key_pattern]) if self.key_pattern else lambda _key: True
        if self.namespaces:
            found = [
                each
                for namespace in dict.fromkeys(self.namespaces)
                for each in ctx.query("kv_entries", namespace=namespace, children=self.include_child_namespaces, expired=True)
            ]
        else:
            matches = compile_globs([self.namespace_pattern or ""])
            everything = ctx.query("kv_entries", namespace=None, children=True, expired=True)
            found = [each for each in everything if any(map(matches, self._with_parents(each["namespace"])))]
        once = {(each["namespace"], each["key"]): each for each in found if wanted_key(each["key"])}
        return list(once.values())

    def _with_parents(self, namespace: str) -> list[str]:
        parts = namespace.split(".")
        return [".".join(parts[:count]) for count in range(1, len(parts) + 1)] if self.include_child_namespaces else [namespace]


def checked_key(key: str) -> str:
    """`key` if it can be one. Raises TaskFailed."""
    if not _KEY.fullmatch(key):
        raise TaskFailed(f"'{key}' is not a key: it begins with a letter or digit and holds letters, digits, dots, hyphens and underscores")
    return key


def typed_value(value: Any, kind: KvType | None) -> tuple[Any, KvType]:
    """The value as JSON can hold it, and its type: what the value is, or for text the type asked for. Raises TaskFailed."""
    if isinstance(value, str):
        return _from_text(value, kind or "STRING"), kind or "STRING"
    if isinstance(value, bool):
        return value, "BOOLEAN"
    if isinstance(value, (int, float)):
        return value, "NUMBER"
    if isinstance(value, datetime):
        return java_text(value if value.tzinfo else value.replace(tzinfo=UTC)), "DATETIME"
    if isinstance(value, date):
        return value.isoformat(), "DATE"
    if isinstance(value, timedelta):
        return format_duration(value), "DURATION"
    try:
        return json.loads(json.dumps(value, default=str)), "JSON"
    except (TypeError, ValueError) as error:
        raise TaskFailed(f"the value cannot be stored: {error}") from error


def _from_text(text: str, kind: KvType) -> Any:
    try:
        match kind:
            case "NUMBER":
                return int(text) if re.fullmatch(r"\s*[-+]?\d+\s*", text) else float(text)
            case "BOOLEAN":
                return text.strip().lower() == "true"
            case "DATETIME":
                return java_text(from_text(text.strip()))
            case "DATE":
                return date.fromisoformat(text.strip()).isoformat()
            case "DURATION":
                return format_duration(parse_duration(text))
            case "JSON":
                return json.loads(text)
            case _:
                return text
    except ValueError as error:
        raise TaskFailed(f"the value {text[:200]!r} is not of kvType {kind}") from error


def _expired(entry: Mapping[str, Any], now: datetime) -> bool:
    expires = entry.get("expirationDate")
    return expires is not None and (from_text(expires) if isinstance(expires, str) else expires) <= now


def _missing(key: str, namespace: str) -> str:
    return f"No value found for key '{key}' in namespace '{namespace}' and `errorOnMissing` is set to true"
