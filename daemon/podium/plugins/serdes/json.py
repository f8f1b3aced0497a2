"""serdes.json.JsonToIon, IonToJson and JsonToJsonl. Source: plugins 4."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from pathlib import Path
from typing import Any

from podium.plugin import Dyn, RunContext, TaskFailed
from podium.plugins.core.files.records import read_records, write_records
from podium.plugins.serdes.common import PREFIX, Conversion, encoding_of, zone_for
from podium.plugins.sql.cells import as_output


class JsonToIon(Conversion):
    """Reads JSON into records: one value a line, or with `newLine: false` the items of one list. Outputs: uri, size. Metric: records."""

    TYPE = PREFIX + "json.JsonToIon"
    ALIASES = (PREFIX + "json.JsonReader",)
    charset: Dyn[str] = "UTF-8"
    new_line: Dyn[bool] = True

    def convert(self, ctx: RunContext, source: Path, target: Path) -> int:
        """See Conversion."""
        return write_records(target, _values(source, self.charset, new_line=self.new_line))


class IonToJson(Conversion):
    """Writes records as JSON: one a line, or with `newLine: false` as one list. Outputs: uri, size. Metric: records."""

    TYPE = PREFIX + "json.IonToJson"
    ALIASES = (PREFIX + "json.JsonWriter",)
    charset: Dyn[str] = "UTF-8"
    new_line: Dyn[bool] = True
    time_zone_id: Dyn[str] | None = None
    should_keep_annotations: Dyn[bool] = False

    def suffix(self) -> str:
        """See Conversion."""
        return ".jsonl" if self.new_line else ".json"

    def convert(self, ctx: RunContext, source: Path, target: Path) -> int:
        """See Conversion."""
        zone = zone_for(ctx, self.time_zone_id)
        count = 0
        with target.open("w", encoding=encoding_of(self.charset), newline="") as out:
            if not self.new_line:
                out.write("[")
            for record, _ in read_records(source):
                text = json_text(record, zone)
                out.write(f"{text}\n" if self.new_line else f",{text}" if count else text)
                count += 1
            if not self.new_line:
                out.write("]")
        return count


class JsonToJsonl(Conversion):
    """Writes each item of a JSON list on a line of its own. Outputs: uri, size. Metric: records."""

    TYPE = PREFIX + "json.JsonToJsonl"
    SUFFIX = ".jsonl"
    charset: Dyn[str] = "UTF-8"

    def convert(self, ctx: RunContext, source: Path, target: Path) -> int:
        """See Conversion."""
        count = 0
        with target.open("w", encoding=encoding_of(self.charset), newline="") as out:
            for value in _values(source, self.charset, new_line=False):
                out.write(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n")
                count += 1
        return count


def json_text(value: Any, zone: tzinfo) -> str:
    """A record as JSON on one line: moments with a zone in `zone`, decimals with every digit, bytes in Base64."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError):
        return _written(value, zone)


def _written(value: Any, zone: tzinfo) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(str(key), ensure_ascii=False)}:{_written(item, zone)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(_written(item, zone) for item in value) + "]"
    if isinstance(value, Decimal) and value.is_finite():
        return format(value, "f") if -20 < value.adjusted() < 20 else str(value)
    if isinstance(value, datetime) and value.tzinfo not in (None, UTC):
        value = value.astimezone(zone)
    return json.dumps(as_output(value), ensure_ascii=False)


def _values(source: Path, charset: str, *, new_line: bool) -> Iterator[Any]:
    """The values of a JSON file. Raises TaskFailed naming the line that is none."""
    with source.open(encoding=encoding_of(charset, reading=True)) as stream:
        try:
            if not new_line:
                whole = json.load(stream, parse_constant=_no_number)
                yield from whole if isinstance(whole, list) else [whole]
                return
            for number, line in enumerate(stream, 1):
                if not line.strip():
                    continue
                try:
                    yield json.loads(line, parse_constant=_no_number)
                except ValueError as error:
                    hint = " (one value a line is expected: is `newLine: false` meant?)" if number == 1 else ""
                    raise TaskFailed(f"line {number} is not JSON: {error}{hint}") from error
        except UnicodeDecodeError as error:
            raise TaskFailed(f"the file is no {charset} text: {error}") from error
        except ValueError as error:
            raise TaskFailed(f"the file is not JSON: {error}") from error


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")
