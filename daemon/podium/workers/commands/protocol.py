"""The lines by which a command speaks to Podium: `::{"outputs": …, "metrics": …, "logs": …}::`. Source: flow-language 8.3.

Pure. Called for every line that a command prints. A line counts only when it is such a message as a whole and is JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from podium.base.durations import parse_duration
from podium.base.limits import METRICS_MAX, OUTPUT_BYTES_MAX
from podium.plugin import Metric
from podium.workers.values import plain

_MESSAGE = re.compile(r"::(\{.*\})::", re.DOTALL)
_LEVELS = frozenset({"ERROR", "WARN", "INFO", "DEBUG", "TRACE"})


@dataclass(slots=True)
class Said:
    """What all messages of one attempt say together. logs: (level, message) of the last one taken, warnings included."""

    vars: dict[str, Any] = field(default_factory=dict)
    secret_vars: dict[str, Any] = field(default_factory=dict)
    metrics: list[Metric] = field(default_factory=list)
    size: int = 0

    @property
    def too_large(self) -> bool:
        """Whether more was said than outputs may hold."""
        return self.size > OUTPUT_BYTES_MAX

    def take(self, line: str) -> list[tuple[str, str]] | None:
        """The log entries that `line` stands for when it is a message; None when it is an ordinary line."""
        if not line.startswith("::{"):
            return None
        match = _MESSAGE.fullmatch(line)
        if match is None:
            if len(line) > OUTPUT_BYTES_MAX:  # the beginning of a message that was cut because no line may be that long
                self.size += len(line)
            return None
        try:
            message = json.loads(match[1])
        except (ValueError, RecursionError):
            return [("WARN", f"Invalid outputs '{match[1][:1000]}'")]
        self.size += len(line)
        entries: list[tuple[str, str]] = []
        if not self.too_large:
            self._outputs(message.get("outputs"), self.vars, entries)
            self._outputs(message.get("encryptedOutputs"), self.secret_vars, entries)
        self._metrics(message.get("metrics"), entries)
        self._logs(message.get("logs"), entries)
        return entries

    @staticmethod
    def _outputs(outputs: Any, into: dict[str, Any], entries: list[tuple[str, str]]) -> None:
        if isinstance(outputs, Mapping):
            into.update(outputs)
        elif outputs is not None:
            entries.append(("WARN", f"Invalid outputs '{json.dumps(outputs)[:1000]}': a map is expected"))

    def _metrics(self, metrics: Any, entries: list[tuple[str, str]]) -> None:
        for each in _items(metrics, "metrics", entries):
            try:
                metric = _metric(each)
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                entries.append(("WARN", f"Invalid metric '{json.dumps(each)[:1000]}': {error}"))
                continue
            if len(self.metrics) < METRICS_MAX:
                self.metrics.append(metric)
                if len(self.metrics) == METRICS_MAX:
                    entries.append(("WARN", f"Metrics beyond the first {METRICS_MAX} of an attempt are dropped (METRICS_MAX)"))

    @staticmethod
    def _logs(logs: Any, entries: list[tuple[str, str]]) -> None:
        for each in _items(logs, "logs", entries):
            if not isinstance(each, Mapping):
                entries.append(("WARN", f"Invalid log '{json.dumps(each)[:1000]}'"))
                continue
            level = str(each.get("level") or "INFO").upper()
            entries.append((level if level in _LEVELS else "INFO", str(each.get("message", ""))))


def _items(value: Any, what: str, entries: list[tuple[str, str]]) -> list[Any]:
    if value is None or isinstance(value, list):
        return value or []
    entries.append(("WARN", f"Invalid {what} '{json.dumps(value)[:1000]}': a list is expected"))
    return []


def _metric(raw: Mapping[str, Any]) -> Metric:
    kind = str(raw["type"]).lower()
    value = raw["value"]
    if kind == "timer":
        number = parse_duration(value).total_seconds()
    elif kind in ("counter", "gauge"):
        number = float(value)
    else:
        raise ValueError("its type is not counter, timer or gauge")
    tags = {str(key): str(plain(item)) for key, item in (raw.get("tags") or {}).items()}
    return Metric(name=str(raw["name"]), type=kind, value=number, tags=tags)  # type: ignore[arg-type]  # checked above
