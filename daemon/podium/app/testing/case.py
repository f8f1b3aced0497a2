"""Runs one case: a house of its own with the flows deployed, fixtures put in, one execution to its end, and the assertions judged.

Called by session. What always holds: nothing of a case is left when it returns, and nothing of another case is seen in it.
"""

from __future__ import annotations

import asyncio
import base64
import os
import re
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from podium.app.settings import Settings
from podium.app.testing.found import Found
from podium.app.testing.judge import judge
from podium.app.testing.mocks import Mocks
from podium.app.testing.results import CaseResult, Outcome
from podium.app.testing.stuck import until_stuck
from podium.app.wiring.core import Core, open_core, secrets_of
from podium.app.wiring.foreground import SOURCE, deployment_of, throw_away
from podium.base.errors import ConflictError, InputError, NotFound, PodiumError
from podium.base.limits import UPLOAD_BYTES_MAX
from podium.base.redact import Redactor
from podium.conductor.core.stream import Stream
from podium.conductor.port import StartRequest
from podium.flows.inputs import flatten
from podium.flows.model import Flow
from podium.flows.suites.model import Case, TriggerFixture
from podium.rendering.renderer import Scope
from podium.storage.namespace import WorkTreeFiles
from podium.storage.secrets import Secrets

_FILE_URI = re.compile(r"\s*\{\{\s*fileURI\([^{}]*\)\s*\}\}\s*")
_KILL_S_MAX = 30.0
_LOG_LINES_MAX, _LOG_CHARS_MAX = 20, 500


class _Broken(Exception):
    """The case cannot be judged."""

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


class Runner:
    """Runs cases. timeout_s: for those that name none."""

    def __init__(self, settings: Settings, *, secrets_file: Path | None, timeout_s: float) -> None:
        self._settings = settings
        self._secrets_file = secrets_file
        self._timeout_s = timeout_s
        self._opened = 0

    async def run(self, found: Found, index: int, interrupted: asyncio.Event) -> CaseResult:
        """One case of a suite. Never raises for what the case does; asyncio's cancellation goes through."""
        assert found.parsed.suite is not None
        case = found.parsed.suite.test_cases[index]
        at = found.parsed.at("testCases", index, "id")
        if case.disabled:
            return _result(case, at, "skipped", reason="disabled")
        began = asyncio.get_running_loop().time()
        run = _Run(self, found, index, case, interrupted)
        try:
            result = await run.to_the_end()
        except _Broken as broken:
            result = run.result("error", reason=broken.reason, hint=broken.hint)
        except PodiumError as error:
            result = run.result("error", reason=error.what, hint=error.hint)
        return replace(result, duration_s=asyncio.get_running_loop().time() - began)

    def timeout_s(self, case: Case) -> float:
        """How long a case may take, in seconds."""
        return case.timeout.total_seconds() if case.timeout is not None else self._timeout_s

    @asynccontextmanager
    async def open(self, found: Found, case: Case, mocks: Mocks) -> AsyncIterator[Core]:
        """The middle of the house for one case."""
        self._opened += 1
        with tempfile.TemporaryDirectory(prefix="podium-test-", ignore_cleanup_errors=True) as folder:
            settings = throw_away(self._settings, Path(folder), f"test-{os.getpid()}-{self._opened}")
            files = WorkTreeFiles(found.files)
            async with open_core(settings, namespace_files=files, secrets=self.secrets(case), results=False, mocks=mocks) as core:
                await core.podium.deploy(deployment_of(found.root.texts, core.clock.now()))
                yield core

    def secrets(self, case: Case) -> Secrets:
        """What `secret()` gives: the case's own before those of the environment."""
        own = {f"SECRET_{name.upper()}": base64.b64encode(value.encode()).decode() for name, value in case.fixtures.secrets.items()}
        return secrets_of(self._settings, {**os.environ, **own}, self._secrets_file)


class _Run:
    """One case under way."""

    def __init__(self, runner: Runner, found: Found, index: int, case: Case, interrupted: asyncio.Event) -> None:
        assert found.parsed.suite is not None
        assert found.flow.parsed.flow is not None
        self._runner, self._found, self._index, self._case, self._interrupted = runner, found, index, case, interrupted
        self._flow: Flow = found.flow.parsed.flow
        self._mocks = Mocks(namespace=self._flow.namespace, flow_id=self._flow.id, fixtures=case.fixtures.tasks)
        self._view: Mapping[str, Any] = {}
        self._log: tuple[str, ...] = ()
        self._reached: frozenset[str] = frozenset()

    def result(self, outcome: Outcome, **more: Any) -> CaseResult:
        """What is known of the case so far."""
        state = (self._view.get("state") or {}).get("current")
        log = self._log if outcome in ("failed", "error") else ()
        return _result(
            self._case, self._found.parsed.at("testCases", self._index, "id"), outcome, execution_id=self._view.get("id"), state=state, log=log,
            reached=self._reached, **more,
        )

    async def to_the_end(self) -> CaseResult:
        """Open a house, run, judge, close."""
        async with self._runner.open(self._found, self._case, self._mocks) as core:
            try:
                view = await self._start(core)
            except InputError as error:
                return self._refused(error)
            self._view = view
            if self._case.refused:
                await self._end(core, view["id"])
                return self.result("failed", reason="the start should have been refused, and was not")
            return await self._judged(core, view["id"])

    # ---- beginning

    async def _start(self, core: Core) -> dict[str, Any]:
        fixtures, flow = self._case.fixtures, self._flow
        for name, content in fixtures.files.items():
            self._mocks.files[name] = await self._file(core, name, content)
        for key, value in fixtures.kv.items():
            await core.podium.kv_put(flow.namespace, key, value)
        inputs = {name: self._path(name, value) for name, value in (await self._rendered(core, fixtures.inputs)).items()}
        return await core.podium.start(StartRequest(
            namespace=flow.namespace, flow_id=flow.id, inputs=inputs, labels={key: str(value) for key, value in fixtures.labels.items()},
            trigger=await self._trigger(core, fixtures.trigger) if fixtures.trigger is not None else None,
        ))

    async def _trigger(self, core: Core, fixture: TriggerFixture) -> dict[str, Any]:
        written = next((each.type for each in self._flow.triggers if each.id == fixture.id), "")
        return {"id": fixture.id, "type": fixture.type or written, "variables": await self._rendered(core, fixture.variables)}

    async def _rendered(self, core: Core, value: dict[str, Any]) -> dict[str, Any]:
        """Fixtures are rendered before there is an execution: they see its flow, variables and files."""
        flow = self._flow
        scope = Scope(
            namespace=flow.namespace, flow_id=flow.id, execution_id="", source=SOURCE, commit="", dialect=flow.dialect, redactor=Redactor(),
        )
        variables = {"files": self._mocks.files, "vars": dict(flow.variables), "flow": {"id": flow.id, "namespace": flow.namespace, "revision": 1},
                     "namespace": dict(flow.given_variables)}
        try:
            rendered: dict[str, Any] = await asyncio.to_thread(core.renderer.value, value, variables, scope, typed=True)
        except PodiumError as error:
            raise _Broken(f"a fixture cannot be rendered: {error.what}", error.hint) from None
        return rendered

    def _path(self, name: str, value: Any) -> Any:
        """A path given for a FILE input is seen from the test file."""
        files = {each for each, declared in flatten(self._flow.inputs) if declared.type == "FILE"}
        if name in files and isinstance(value, str) and "://" not in value:
            beside = self._found.path.resolve().parent / value
            return str(beside) if beside.is_file() else value
        return value

    async def _file(self, core: Core, name: str, content: str) -> str:
        """The URI of a fixture file: stored from its content or from a file beside the test, or of a namespace file."""
        if _FILE_URI.fullmatch(content):
            return str((await self._rendered(core, {"uri": content.strip()}))["uri"])
        one_line = content.strip()
        if one_line.startswith(("nsfile://", "kestra://")) and "\n" not in one_line:
            return one_line
        data: bytes | Path = content.encode()
        if one_line.startswith("file://") and "\n" not in one_line:
            data = (self._found.path.resolve().parent / one_line.removeprefix("file://")).resolve()
            if not data.is_file() or data.stat().st_size > UPLOAD_BYTES_MAX:
                raise _Broken(f"there is no file '{data}' for the fixture '{name}'", "its path is seen from the test file: file://data/orders.csv")
        return await core.podium.store_upload(self._flow.namespace, self._flow.id, "fixtures", name, data)

    def _refused(self, error: InputError) -> CaseResult:
        refused = self._case.refused
        if not refused:
            return self.result("error", reason=f"the start was refused: {error.what}", hint=error.hint or "expect it with refused: true")
        if isinstance(refused, str) and refused not in error.what:
            return self.result("failed", reason=f"the start was refused, but for another reason than '{refused}': {error.what}")
        return self.result("passed")

    # ---- end

    async def _judged(self, core: Core, execution_id: str) -> CaseResult:
        ended = await self._until_ended(core, execution_id)
        stream = await core.conductor.read_back(execution_id)
        stream.redactor.add(self._secret_values())
        logs = await core.podium.logs(execution_id)
        checks = await judge(core.renderer, stream, self._found.parsed, self._index, logs=logs, files=self._mocks.files)
        state = stream.state.state
        if not ended:
            await self._end(core, execution_id)
        self._view = {**self._view, "state": {"current": state}}
        self._log = _last_lines(logs)
        self._reached = self._tasks_of(stream)
        failed = any(not each.ok for each in checks)
        return self.result("failed" if failed else "passed", checks=checks)

    async def _until_ended(self, core: Core, execution_id: str) -> bool:
        """Wait for the end, or (False) until the execution waits for a person. Raises _Broken when it takes too long or is interrupted."""
        timeout_s = self._runner.timeout_s(self._case)
        closed = asyncio.ensure_future(core.podium.wait(execution_id))
        stuck = asyncio.ensure_future(until_stuck(core, timed="PAUSED" in self._case.states))
        asked = asyncio.ensure_future(self._interrupted.wait())
        await asyncio.wait({closed, stuck, asked}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        for each in (stuck, asked):
            each.cancel()
        if closed.done():
            self._view = closed.result()
            return True
        closed.cancel()
        if stuck.done() and not stuck.cancelled():
            if "PAUSED" in self._case.states:
                return False
            await self._end(core, execution_id)
            raise _Broken(
                f"the execution is paused and nobody resumes it (task '{stuck.result()}')", "mock the task that pauses, or expect it: state: PAUSED"
            )
        await self._end(core, execution_id)
        if self._interrupted.is_set():
            raise _Broken("interrupted")
        raise _Broken(f"it did not end within {timeout_s:g} seconds", "mock what takes so long, or give the case a longer timeout")

    async def _end(self, core: Core, execution_id: str) -> None:
        """Kill what still runs, and wait until it is gone."""
        try:
            await core.podium.kill(execution_id)
        except (ConflictError, NotFound):
            return
        self._view = await core.podium.wait(execution_id, timeout_s=_KILL_S_MAX)
        self._log = _last_lines(await core.podium.logs(execution_id))
        self._reached = self._tasks_of(await core.conductor.read_back(execution_id))

    def _secret_values(self) -> list[str]:
        """Secrets that the execution may have used: what it told its own redactor is gone with it."""
        secrets = self._runner.secrets(self._case)
        values = []
        for name in secrets.names(self._flow.namespace):
            try:
                values.append(secrets.get(self._flow.namespace, name))
            except PodiumError:
                continue
        return values

    def _tasks_of(self, stream: Stream) -> frozenset[str]:
        """Tasks that were run or mocked, iterations that are executions of their own included."""
        found = {run.task_id for run in stream.state.runs.values() if run.state != "SKIPPED"}
        return frozenset(found | self._mocks.reached)


def _last_lines(logs: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    lines = [f"{each['level']} {each.get('taskId') or 'execution'}: {each['message']}" for each in logs[-_LOG_LINES_MAX:]]
    return tuple(line if len(line) <= _LOG_CHARS_MAX else f"{line[:_LOG_CHARS_MAX]}…" for line in lines)


def _result(case: Case, at: Any, outcome: Outcome, **more: Any) -> CaseResult:
    return CaseResult(id=case.id, line=at.line, column=at.column, outcome=outcome, description=case.description or "", **more)
