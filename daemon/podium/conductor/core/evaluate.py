"""Answers the engine's questions by rendering. At once, in the same batch, unless the expression would have to wait for the outside."""

from __future__ import annotations

import asyncio
import contextvars
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from podium.base.errors import PodiumError, TakesLong
from podium.base.limits import LAUNCHED_BYTES_MAX, LAUNCHED_ITEMS_MAX, QUESTIONS_AT_ONCE_MAX
from podium.base.system.log import get_logger
from podium.conductor.core.stream import Stream
from podium.engine.commands import Answer
from podium.engine.questions import Question, StoredLines, question, too_large
from podium.engine.shape.view import execution_view
from podium.expressions.compile import compile_template
from podium.expressions.text import to_json
from podium.flows.inputs import coerce_output
from podium.plugins.core.files.records import read_records
from podium.rendering.conditions import conditions_hold
from podium.rendering.renderer import Renderer
from podium.rendering.scope import Scope
from podium.storage.uris import task_file_uri

log = get_logger(__name__)
_STORED = ("kestra://", "nsfile://", "file://")
_SLOW = frozenset({"http", "subflow", "errorLogs"})
"""Functions that may take longer than a look into memory or one indexed query."""


def is_slow(value: Any, dialect: str) -> bool:
    """Whether rendering `value` may wait for the outside."""
    if isinstance(value, str):
        if "{" not in value:
            return False
        try:
            return bool(compile_template(value, dialect=dialect).functions & _SLOW)
        except PodiumError:
            return False
    if isinstance(value, Mapping):
        return any(is_slow(key, dialect) or is_slow(item, dialect) for key, item in value.items())
    return isinstance(value, Sequence) and any(is_slow(item, dialect) for item in value)


def _base(stream: Stream, asked: Question) -> str:
    """The folder of the files that this task run stores."""
    state, run = stream.state, asked.run
    assert run is not None
    uri = task_file_uri(state.namespace, state.flow_id, state.id, task_id=run.task_id, task_run_id=run.id, path="x")
    return uri.removesuffix("/x")


def _storable(answer: Answer) -> Answer:
    """The answer, if it can be written down. Raises ValueError or TypeError (half a surrogate pair, a number that is none)."""
    msgspec.json.encode(answer.value)
    return answer


class Evaluator:
    """Renders questions over the variables of a stream."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer
        self._threads = ThreadPoolExecutor(QUESTIONS_AT_ONCE_MAX, thread_name_prefix="podium-question")
        """Of their own: expressions that wait for the outside must not keep files, Git and HTTP from threads."""

    def answer_now(self, stream: Stream, key: str) -> Answer | None:
        """The answer, or None when the expression may have to wait (then `answer_later`)."""
        asked = question(stream.tree, stream.state, key)
        if asked is None:
            return Answer(key=key, error="the task is not in this revision of the flow any more")
        if asked.lines or is_slow(asked.template, stream.tree.flow.dialect):
            return None
        try:
            return self._answer(stream, key, asked, stream.variables(asked.run), brisk=True)
        except TakesLong:
            return None

    async def answer_later(self, stream: Stream, key: str) -> Answer:
        """The answer, found on a worker thread."""
        asked = question(stream.tree, stream.state, key)
        if asked is None:
            return Answer(key=key, error="the task is not in this revision of the flow any more")
        work = partial(contextvars.copy_context().run, self._answer, stream, key, asked, stream.variables(asked.run))
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _answer(self, stream: Stream, key: str, asked: Question, variables: Mapping[str, Any], *, brisk: bool = False) -> Answer:
        """brisk: raises TakesLong instead of taking long."""
        scope = replace(stream.scope(asked.run), brisk=brisk)
        try:
            if key == ":outputs":
                return _storable(Answer(key=key, value=self._outputs(stream, asked, variables, scope)))
            if key.startswith(":listener:"):
                return Answer(key=key, value=self._listener(stream, int(key.removeprefix(":listener:")), variables, scope))
            if asked.extra:
                variables = {**variables, **{name: {**variables.get(name, {}), **more} for name, more in asked.extra.items()}}
            rendered = self._renderer.value(asked.template, variables, scope, typed=asked.typed)
            if asked.lines:
                rendered = {**rendered, "values": self._lines(stream, asked, rendered["values"], variables), "base": _base(stream, asked)}
            return _storable(Answer(key=key, value=asked.finish(rendered)))
        except TakesLong:
            raise
        except (PodiumError, ValueError, TypeError, ArithmeticError) as error:
            what = error.what if isinstance(error, PodiumError) else str(error)
            return Answer(key=key, error=stream.redactor.text(what))
        except Exception as error:  # a mistake of ours: the execution must hear of it and go on
            log.error("evaluation_failed", execution_id=stream.state.id, key=key, exc_info=error)
            return Answer(key=key, error=f"internal error: {type(error).__name__}")

    def _lines(self, stream: Stream, asked: Question, values: Any, variables: Mapping[str, Any]) -> Any:
        """The lines of the file that `values` names; what is no URI stays, unless only a file will do."""
        if not (isinstance(values, str) and values.strip().startswith(_STORED)):
            if asked.lines == "text":
                raise ValueError(f"Unable to split the items from {values}, this is not an internal storage URI!")
            return values
        reader, scope = self._renderer.file_reader, self._renderer.file_scope(stream.scope(asked.run), variables)
        with tempfile.TemporaryDirectory(prefix="podium-items-") as folder:
            copy = Path(folder) / "items"
            reader.copy_to(values.strip(), scope, copy)
            if asked.lines == "text":
                with copy.open(encoding="utf-8") as source:
                    return StoredLines(islice((line.strip() for line in source if line.strip()), LAUNCHED_ITEMS_MAX + 1))
            found, size = StoredLines(), 0
            for value, _ in islice(read_records(copy), LAUNCHED_ITEMS_MAX + 1):
                if value is None:
                    raise ValueError("Found a null value in the ION file")
                found.append(value if isinstance(value, str) else to_json(value))
                size += len(found[-1])
                if size > LAUNCHED_BYTES_MAX:
                    raise ValueError(too_large())
            return found

    def _listener(self, stream: Stream, index: int, variables: Mapping[str, Any], scope: Scope) -> bool:
        conditions = stream.tree.flow.listeners[index].conditions
        return conditions_hold(conditions, variables, scope, self._renderer, execution=execution_view(stream.state))

    def _outputs(self, stream: Stream, asked: Question, variables: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
        """The flow's outputs, each rendered and made what its type says. Source: flow-language 3."""
        values: dict[str, Any] = {}
        for output in stream.tree.flow.outputs:
            try:
                rendered = self._renderer.value(output.value, variables, scope, typed=True)
                value = coerce_output(output, rendered)
            except TakesLong:
                raise
            except (PodiumError, ValueError, TypeError):
                if output.id in asked.optional:
                    continue
                raise
            values[output.id] = stream.cipher.seal(value) if str(output.type) == "SECRET" and value is not None else value
        return values
