"""serdes.csv.CsvToIon and IonToCsv. Source: plugins 4.

What always holds: a file is read and written row by row; an error names the line.
"""

from __future__ import annotations

import csv
import re
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, tzinfo
from pathlib import Path
from typing import Any, Literal

from podium.expressions.datetimes.names import names_of
from podium.expressions.datetimes.patterns import parse_pattern
from podium.expressions.datetimes.printing import Moment, print_moment
from podium.expressions.runtime import Fault
from podium.expressions.text import java_text
from podium.plugin import Dyn, RunContext, TaskFailed
from podium.plugins.core.fields import Text
from podium.plugins.core.files.records import read_records, write_records
from podium.plugins.serdes.common import PREFIX, Conversion, encoding_of, one_character, zone_for

_FIELD_CHARS_MAX = 16 * 1024 * 1024
_NULL = "\\N"
_ZONED_PART = re.compile(r"\[[^\[\]]*[XxZzVO][^\[\]]*\]")
_NEEDS_QUOTES = ("\n", "\r")
_EPOCH_DAY = date(1970, 1, 1)


class CsvToIon(Conversion):
    """Reads CSV into records: maps with the header's names, or lists without one. All values are text; `\\N` is null.

    Outputs: uri, size. Metric: records.
    """

    TYPE = PREFIX + "csv.CsvToIon"
    ALIASES = (PREFIX + "csv.CsvReader",)
    header: Dyn[bool] = True
    field_separator: Dyn[Text] = ","
    text_delimiter: Dyn[Text] = '"'
    skip_empty_rows: Dyn[bool] = False
    skip_rows: Dyn[int] = 0
    on_bad_lines: Dyn[Literal["ERROR", "WARN", "SKIP"]] = "ERROR"
    on_empty_header: Dyn[Literal["DROP", "RENAME"]] = "DROP"
    error_on_different_field_count: Dyn[bool] | None = None
    charset: Dyn[str] = "UTF-8"
    max_buffer_size: Dyn[int] | None = None
    max_field_size: Dyn[int] = _FIELD_CHARS_MAX
    allow_extra_chars_after_closing_quote: Dyn[bool] = False

    def convert(self, ctx: RunContext, source: Path, target: Path) -> int:
        """See Conversion."""
        csv.field_size_limit(max(self.max_field_size, 1))
        with source.open(encoding=encoding_of(self.charset, reading=True), newline="") as stream:
            reader = csv.reader(
                stream, delimiter=one_character(self.field_separator, "fieldSeparator"),
                quotechar=one_character(self.text_delimiter, "textDelimiter"), strict=not self.allow_extra_chars_after_closing_quote,
            )
            try:
                return write_records(target, self._records(ctx, reader))
            except csv.Error as error:
                raise TaskFailed(f"line {reader.line_num}: {error}") from error
            except UnicodeDecodeError as error:
                raise TaskFailed(f"the file is no {self.charset} text: {error}") from error

    def _records(self, ctx: RunContext, reader: Any) -> Iterator[Any]:
        rows: Iterator[list[str]] = (row for row in reader if row or not self.skip_empty_rows)
        names = self._names(next(rows, [])) if self.header else None
        width = len(names) if names is not None else None
        skipped = 0
        for row in rows:
            fields = row or [""]
            if skipped < self.skip_rows:
                skipped += 1
                continue
            width = len(fields) if width is None else width
            if len(fields) != width:
                self._bad(ctx, f"line {reader.line_num} has {len(fields)} fields, {width} are expected")
                continue
            values = [None if field == _NULL else field for field in fields]
            yield values if names is None else {name: value for name, value in zip(names, values, strict=True) if name is not None}

    def _names(self, row: Sequence[str]) -> list[str | None]:
        """The columns' names; None for one that is dropped."""
        if self.on_empty_header == "DROP":
            return [name or None for name in row]
        return [name or f"column_{number}" for number, name in enumerate(row, 1)]

    def _bad(self, ctx: RunContext, what: str) -> None:
        if self.error_on_different_field_count or (self.on_bad_lines == "ERROR" and self.error_on_different_field_count is None):
            raise TaskFailed(f"{what} (onBadLines: WARN or SKIP leaves such lines out)")
        if self.on_bad_lines != "SKIP":
            ctx.log.log("WARN", f"{what}: left out")


class IonToCsv(Conversion):
    """Writes records as CSV; the header is made of the first record's names. Outputs: uri, size. Metric: records."""

    TYPE = PREFIX + "csv.IonToCsv"
    ALIASES = (PREFIX + "csv.CsvWriter",)
    SUFFIX = ".csv"
    header: Dyn[bool] = True
    field_separator: Dyn[Text] = ","
    text_delimiter: Dyn[Text] = '"'
    line_delimiter: Dyn[Text] = "\n"
    always_delimit_text: Dyn[bool] = False
    quote_mode: Dyn[Literal["ALWAYS", "REQUIRED", "NON_NUMERIC"]] | None = None
    charset: Dyn[str] = "UTF-8"
    date_format: Dyn[str] = "yyyy-MM-dd"
    time_format: Dyn[str] = "HH:mm:ss[XXX]"
    date_time_format: Dyn[str] = "yyyy-MM-dd'T'HH:mm:ss.SSS[XXX]"
    time_zone_id: Dyn[str] | None = None

    def convert(self, ctx: RunContext, source: Path, target: Path) -> int:
        """See Conversion."""
        separator, quote = one_character(self.field_separator, "fieldSeparator"), one_character(self.text_delimiter, "textDelimiter")
        mode = self.quote_mode or ("ALWAYS" if self.always_delimit_text else "REQUIRED")
        text_of = self._texts(zone_for(ctx, self.time_zone_id))
        wrong = (separator, quote, *_NEEDS_QUOTES)

        def line(values: Sequence[Any]) -> str:
            fields = []
            for value in values:
                text = "" if value is None else text_of(value)
                number = isinstance(value, (int, float)) and not isinstance(value, bool)
                if mode == "ALWAYS" or (mode == "NON_NUMERIC" and not number) or any(sign in text for sign in wrong):
                    text = f"{quote}{text.replace(quote, quote * 2)}{quote}"
                fields.append(text)
            return separator.join(fields) + self.line_delimiter

        count = 0
        with target.open("w", encoding=encoding_of(self.charset), newline="") as out:
            try:
                for record, _ in read_records(source):
                    if isinstance(record, Mapping):
                        if count == 0 and self.header:
                            out.write(line(list(record)))
                        out.write(line(list(record.values())))
                    elif isinstance(record, (list, tuple)):
                        if self.header:
                            raise TaskFailed("Invalid data of type List with header: set `header: false`")
                        out.write(line(record))
                    else:
                        raise TaskFailed(f"row {count + 1} is neither a map nor a list")
                    count += 1
            except UnicodeEncodeError as error:
                raise TaskFailed(f"row {count + 1} cannot be written in {self.charset}: {error}") from error
        return count

    def _texts(self, zone: tzinfo) -> Callable[[Any], str]:
        """How values are written: moments by the formats, everything else as Java has it."""
        try:
            day, clock, moment = _printer(self.date_format), _printer(self.time_format), _printer(self.date_time_format)
        except Fault as error:
            raise TaskFailed(f"dateFormat, timeFormat, dateTimeFormat: {error.what}") from error

        def text_of(value: Any) -> str:
            if isinstance(value, str):
                return value
            if isinstance(value, datetime):
                return moment(value if value.tzinfo in (None, UTC) else value.astimezone(zone))
            if isinstance(value, date):
                return day(datetime.combine(value, time()))
            if isinstance(value, time):
                return clock(datetime.combine(_EPOCH_DAY, value))
            return b64encode(value).decode() if isinstance(value, (bytes, bytearray)) else java_text(value)

        return text_of


def _printer(pattern: str) -> Callable[[datetime], str]:
    """Writes moments by a Java pattern; what knows no zone is written without the optional parts that need one."""
    whole, local, names = parse_pattern(pattern), parse_pattern(_ZONED_PART.sub("", pattern)), names_of(None)

    def text(moment: datetime) -> str:
        known = moment.tzinfo is not None
        return print_moment(Moment.of(moment if known else moment.replace(tzinfo=UTC)), whole if known else local, names)

    return text
