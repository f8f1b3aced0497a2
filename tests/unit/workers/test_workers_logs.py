"""The log of an attempt, and the output of a command, with everything that a crash may do to them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from podium.base.errors import LimitError
from podium.base.limits import LOG_LINE_CHARS_MAX
from podium.base.ports import LogLine
from podium.base.redact import Redactor
from podium.base.system.clock import SystemClock
from podium.runners.port import Line
from podium.workers.commands.output import CommandOutput
from podium.workers.logs import AttemptLog, FileLog
from podium.workers.values import plain

NOW = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)


class Journal:
    def __init__(self) -> None:
        self.lines: list[LogLine] = []
        self.at: str | None = None

    async def append(self, lines: Sequence[LogLine], *, cursor: str | None = None) -> None:
        self.lines += lines
        self.at = cursor if cursor is not None else self.at

    async def cursor(self) -> str | None:
        return self.at


def attempt_log(journal: Any, *secrets: str, **more: Any) -> AttemptLog:
    return AttemptLog(journal, Redactor(secrets), SystemClock(), **more)


async def test_a_secret_is_masked_before_a_line_is_cut() -> None:
    """Cut first, and the two halves of a secret at a seam would both be shown."""
    journal = Journal()
    log = attempt_log(journal, "s3cr3t-token")
    log.log("INFO", "".join(["x" * (LOG_LINE_CHARS_MAX - 5), "s3cr3t-token", "y"]))
    await log.flush()
    text = "".join(line.message for line in journal.lines)
    assert "s3cr" not in text
    assert len(journal.lines) == 2
    assert max(len(line.message) for line in journal.lines) == LOG_LINE_CHARS_MAX


async def test_levels() -> None:
    journal = Journal()
    log = attempt_log(journal, min_level="WARN")
    for level in ("ERROR", "WARN", "INFO", "DEBUG", "TRACE", "ODD"):
        log.log(level, level)
    await log.flush()
    assert [line.level for line in journal.lines] == ["ERROR", "WARN"]
    log = attempt_log(journal)
    log.log("ODD", "x")
    await log.flush()
    assert journal.lines[-1].level == "INFO"


async def test_a_log_without_end_is_cut_off_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podium.workers.logs.COMMAND_OUTPUT_BYTES_MAX", 500)
    log = attempt_log(Journal())
    for _ in range(20):
        log.log("INFO", "x" * 30)
    assert log.full.is_set()
    assert log.waiting == 5


async def test_a_log_file_holds_each_entry_once_after_a_crash(tmp_path: Path) -> None:
    journal = Journal()
    first = FileLog(tmp_path / "log.txt", journal)
    await first.append([LogLine(at=NOW, level="INFO", message="one")], cursor="1")
    await first.append([LogLine(at=NOW, level="WARN", message="after the cursor: comes again")])
    second = FileLog(tmp_path / "log.txt", journal)
    assert await second.cursor() == "1"
    await second.append([LogLine(at=NOW, level="WARN", message="two")], cursor="2")
    assert (tmp_path / "log.txt").read_text() == "2026-01-05T08:00:00.000Z INFO one\n2026-01-05T08:00:00.000Z WARN two\n"
    assert journal.lines == []


def lines(*texts: str, stream: str = "stdout") -> list[Line]:
    return [Line(stream, NOW, text) for text in texts]


async def test_messages_before_a_crash_count_and_those_after_the_cursor_come_again(tmp_path: Path) -> None:
    journal = Journal()
    first = CommandOutput(journal, attempt_log(journal), tmp_path / "messages")
    await first.lines(lines("a", '::{"outputs":{"x":1}}::', "b"), cursor="1")
    stored = journal.at
    await first.lines(lines('::{"outputs":{"x":2,"y":2}}::'), cursor="2")
    journal.at = stored
    second = CommandOutput(journal, attempt_log(journal), tmp_path / "messages")
    assert await second.cursor() == "1"
    assert second.said.vars == {"x": 1}
    await second.lines(lines('::{"outputs":{"y":3}}::'), cursor="2")
    third = CommandOutput(journal, attempt_log(journal), tmp_path / "messages")
    assert await third.cursor() == "2"
    assert third.said.vars == {"x": 1, "y": 3}
    assert [line.message for line in journal.lines] == ["a", "b"]


async def test_a_message_whose_cursor_was_never_stored_is_forgotten(tmp_path: Path) -> None:
    journal = Journal()
    first = CommandOutput(journal, attempt_log(journal), tmp_path / "messages")
    await first.lines(lines('::{"outputs":{"x":1}}::'), cursor="1")
    journal.at = None
    second = CommandOutput(journal, attempt_log(journal), tmp_path / "messages")
    assert await second.cursor() is None
    assert second.said.vars == {}


async def test_streams_have_their_levels(tmp_path: Path) -> None:
    journal = Journal()
    output = CommandOutput(journal, attempt_log(journal), tmp_path / "messages")
    await output.lines(lines("o") + lines("e", stream="stderr") + lines("::{}::", stream="runner"), cursor="1")
    assert [(line.level, line.message, line.at) for line in journal.lines] == [
        ("INFO", "o", NOW), ("ERROR", "e", NOW), ("WARN", "::{}::", NOW),
    ]


async def test_output_without_end_is_refused_by_name(tmp_path: Path) -> None:
    journal = Journal()
    output = CommandOutput(journal, attempt_log(journal), tmp_path / "messages", bytes_max=500)
    with pytest.raises(LimitError, match="COMMAND_OUTPUT_BYTES_MAX"):
        await output.lines(lines(*["x" * 30] * 20), cursor="1")
    assert len(journal.lines) == 5


class Colour(Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None), (True, True), (2**70, 2**70), (1.5, 1.5), ("é", "é"), ("\ud800x", "?x"), (b"raw\xff", "raw\ufffd"), ((1, [2]), [1, [2]]),
        ({1: {"a": Colour.RED}}, {"1": {"a": "red"}}), (frozenset({1}), [1]), (NOW, "2026-01-05T08:00:00.000Z"),
        (NOW.replace(tzinfo=None), "2026-01-05T08:00:00"), (date(2026, 1, 5), "2026-01-05"), (timedelta(seconds=90), "PT1M30S"),
        (Decimal("2.50"), 2.5), (Decimal("1E+3"), 1000), (Path("/a/b"), "/a/b"), (range(2), [0, 1]),
    ],
)
def test_values_become_plain(value: Any, expected: Any) -> None:
    assert plain(value) == expected
