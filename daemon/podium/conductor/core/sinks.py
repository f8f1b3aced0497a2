"""Where the log lines of an attempt go: into the round that runs it, or durably on their own (base/ports.LogSink)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from podium.base.errors import StoreError
from podium.base.ports import LogLine
from podium.base.system.log import get_logger
from podium.conductor.core.round import Round
from podium.conductor.core.stream import Stream
from podium.engine.decide.decision import attempt_id
from podium.engine.state import TaskRun
from podium.store.journal import LogRow
from podium.store.logs import Logs

if TYPE_CHECKING:
    from podium.conductor.core.conductor import Conductor

log = get_logger(__name__)


def _rows(stream: Stream, run: TaskRun, number: int, lines: Sequence[LogLine]) -> list[LogRow]:
    state = stream.state
    return [
        LogRow(
            execution_id=state.id, namespace=state.namespace, flow_id=state.flow_id, at=line.at, level=line.level,
            message=stream.redactor.text(line.message), task_id=run.task_id, task_run_id=run.id, attempt=number - 1,
        )
        for line in lines
    ]


class RoundSink:
    """Lines of an inline task: they enter the journal with its end."""

    def __init__(self, turn: Round, stream: Stream, run: TaskRun, number: int) -> None:
        self._turn, self._stream, self._run, self._number = turn, stream, run, number

    async def append(self, lines: Sequence[LogLine], *, cursor: str | None = None) -> None:
        self._turn.batch.logs.extend(_rows(self._stream, self._run, self._number, lines))

    async def cursor(self) -> str | None:
        return None


class AttemptSink:
    """Lines of a running attempt: on disk, with the cursor, when `append` returns; then listeners are told. A full disk is waited for."""

    def __init__(self, logs: Logs, conductor: Conductor, stream: Stream, run: TaskRun, number: int) -> None:
        self._logs, self._conductor = logs, conductor
        self._stream, self._run, self._number = stream, run, number

    async def append(self, lines: Sequence[LogLine], *, cursor: str | None = None) -> None:
        if not lines and cursor is None:
            return
        where = (attempt_id(self._run.id, self._number), cursor) if cursor is not None else None
        await self._insist(_rows(self._stream, self._run, self._number, lines), where)
        if lines:
            state = self._stream.state
            self._conductor.live.publish([
                {"kind": "logs", "executionId": state.id, "namespace": state.namespace, "flowId": state.flow_id, "state": state.state}
            ])

    async def _insist(self, rows: list[LogRow], where: tuple[str, str] | None) -> None:
        """Enter the lines, however long a full disk makes that take: the attempt waits, it is not lost."""
        delay = 0.05
        while True:
            try:
                await self._logs.append(rows, cursor=where)
            except StoreError as error:
                log.warning("log_lines_wait", attempt=attempt_id(self._run.id, self._number), error=error.what)
                await asyncio.sleep(delay)
                delay = min(delay * 2, 5.0)
            else:
                return

    async def cursor(self) -> str | None:
        return await self._logs.cursor(attempt_id(self._run.id, self._number))
