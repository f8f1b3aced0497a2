"""The values of inputs and the checks of a flow: when an execution starts, is replayed with other inputs, or a waiting task is answered.

Called by starting and by the orchestrator. Templates and files are worked on in threads. Source: flow-language 1.9, 2.3; ruling 3.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from podium.base.errors import InputError, PodiumError
from podium.base.ports import FlowRevision
from podium.base.redact import Redactor
from podium.base.system.ids import new_id
from podium.expressions.compile import truthy
from podium.expressions.text import to_json
from podium.flows.inputs import InputProblem, ResolvedInput, examine_inputs, flatten, resolve_inputs, undeclared_names, values_of
from podium.flows.model import Check, Flow
from podium.rendering.renderer import Renderer
from podium.rendering.scope import Scope
from podium.storage.crypto import Cipher, reveal
from podium.storage.files import FileStorage
from podium.storage.uris import input_file_uri


class Forms:
    """What is asked of a person or a caller before something goes on."""

    def __init__(
        self, *, renderer: Renderer, files: FileStorage, cipher: Cipher, commit_of: Callable[[FlowRevision], str],
        allowed_paths: Sequence[Path] | None,
    ) -> None:
        """commit_of: the commit whose files templates read. allowed_paths: see Starter."""
        self._renderer = renderer
        self._files = files
        self._cipher = cipher
        self._commit_of = commit_of
        self._allowed_paths = None if allowed_paths is None else [each.resolve() for each in allowed_paths]

    async def inputs(
        self, revision: FlowRevision, execution_id: str, supplied: Mapping[str, Any], redactor: Redactor | None = None
    ) -> dict[str, Any]:
        """The inputs of a new execution. Raises InputError naming the first that is wrong; `facts["problems"]` has all.

        redactor: masks the values, and learns the secrets that defaults and expressions use.
        """
        flow: Flow = revision.model
        hint = f"look at the inputs of {revision.namespace}.{revision.flow_id}"
        return await self._resolved(flow.inputs, revision, execution_id, supplied, hint=hint, redactor=redactor) if flow.inputs else {}

    async def answers(
        self, declared: Any, revision: FlowRevision, execution_id: str, supplied: Mapping[str, Any], redactor: Redactor | None = None
    ) -> dict[str, Any]:
        """The values that a waiting task asks for. Raises InputError. redactor: as in `inputs`."""
        hint = "give the inputs that the waiting task asks for"
        return await self._resolved(declared, revision, execution_id, supplied, hint=hint, redactor=redactor)

    async def changed(
        self, revision: FlowRevision, execution_id: str, former: Mapping[str, Any], given: Mapping[str, Any], redactor: Redactor
    ) -> dict[str, Any]:
        """The inputs of a replay: those given, the others as they were. Raises InputError. redactor: as in `inputs`."""
        plain = reveal(dict(former), self._cipher, lambda _text: None)
        values: dict[str, Any] = {}
        for name, declared in flatten(revision.model.inputs):
            value = plain
            for part in name.split("."):
                value = value.get(part) if isinstance(value, Mapping) else None
            if value is not None:
                values[name] = to_json(value) if declared.type in ("JSON", "YAML", "ION") else value
        return await self.inputs(revision, execution_id, {**values, **given}, redactor)

    async def _resolved(
        self, declared: Any, revision: FlowRevision, execution_id: str, supplied: Mapping[str, Any], *, hint: str, redactor: Redactor | None
    ) -> dict[str, Any]:
        redactor = Redactor() if redactor is None else redactor
        render = self._render(revision, execution_id, redactor)

        def resolve() -> tuple[dict[str, Any], list[InputProblem]]:
            return resolve_inputs(
                declared, supplied, render, encrypt=self._cipher.seal,
                store_file=lambda input_id, source: self._store(revision, execution_id, input_id, source),
            )

        values, problems = await asyncio.to_thread(resolve)
        if problems:
            messages = [redactor.text(each.message) for each in problems]
            raise InputError(
                "; ".join(messages), hint=hint, input=problems[0].id,
                problems=[{"input": each.id, "message": message} for each, message in zip(problems, messages, strict=True)],
            )
        return values

    async def examine(self, revision: FlowRevision, supplied: Mapping[str, Any], declared: Any = None) -> list[ResolvedInput]:
        """What would become of each input (of the flow, or of those declared), for forms: nothing is stored."""
        redactor = Redactor()
        render = self._render(revision, new_id(), redactor)
        wanted = revision.model.inputs if declared is None else declared
        return await asyncio.to_thread(
            examine_inputs, wanted, supplied, render, encrypt=self._cipher.seal, store_file=lambda _input_id, source: source
        )

    async def examine_checks(self, revision: FlowRevision, found: Sequence[ResolvedInput]) -> list[Check]:
        """The checks that values would fail; none while a value is wrong."""
        if any(each.problems for each in found):
            return []
        return await self.failing_checks(revision, new_id(), values_of(found))

    async def failing_checks(self, revision: FlowRevision, execution_id: str, inputs: Mapping[str, Any]) -> list[Check]:
        """The checks of the flow that do not hold. Raises InputError when one cannot be evaluated."""
        flow: Flow = revision.model
        failing = []
        variables = {"inputs": inputs, "vars": dict(flow.variables), "flow": {"id": flow.id, "namespace": flow.namespace},
                     "namespace": dict(flow.given_variables)}
        for check in flow.checks:
            try:
                holds = truthy(await asyncio.to_thread(self._renderer.value, check.condition, variables, self._scope(revision, execution_id)))
            except PodiumError as error:
                raise InputError(f"a check of the flow cannot be evaluated: {error.what}", hint="fix its condition", input="") from error
            if not holds:
                failing.append(check)
        return failing

    def _render(self, revision: FlowRevision, execution_id: str, redactor: Redactor) -> Callable[[Any, Mapping[str, Any]], Any]:
        """Renders defaults, conditions and expressions of inputs."""
        scope = self._scope(revision, execution_id, redactor)
        base = {"flow": {"id": revision.flow_id, "namespace": revision.namespace, "revision": revision.revision},
                "vars": dict(revision.model.variables), "namespace": dict(revision.model.given_variables)}
        return lambda template, variables: self._renderer.value(template, {**base, **variables}, scope, typed=True)

    def _store(self, revision: FlowRevision, execution_id: str, input_id: str, source: str) -> str:
        """Copy a FILE input into internal storage: a local path, or a namespace file."""
        if source.startswith("nsfile:"):
            name = source.removeprefix("nsfile://").lstrip("/")
            data: Path | bytes = self._renderer.namespace_file(self._scope(revision, execution_id), name)
        else:
            path = Path(source.removeprefix("file://")).resolve()
            if self._allowed_paths is not None and not any(path.is_relative_to(each) for each in self._allowed_paths):
                raise InputError(
                    f"the file '{source}' of this machine may not be read", hint="upload it, or list its directory in security.allowed_paths",
                    input=input_id,
                )
            if not path.is_file():
                raise InputError(f"there is no file '{source}'", hint="give the path of a file, or a kestra:// URI", input=input_id)
            name, data = path.name, path
        uri = input_file_uri(revision.namespace, revision.flow_id, execution_id, input_id=input_id, name=name)
        return self._files.put(uri, data)

    def _scope(self, revision: FlowRevision, execution_id: str, redactor: Redactor | None = None) -> Scope:
        return Scope(
            namespace=revision.namespace, flow_id=revision.flow_id, execution_id=execution_id, task_run_id=None, source=revision.source,
            commit=self._commit_of(revision), dialect=revision.model.dialect, redactor=Redactor() if redactor is None else redactor,
        )


def stopped_by(failing: Sequence[Check]) -> str | None:
    """Why an execution is created FAILED. Raises InputError when a check blocks it: the strictest wins."""
    for check in failing:
        if check.behavior == "BLOCK_EXECUTION":
            raise InputError(check.message, hint="this flow refuses such a start: see its checks", input="", check=check.condition)
    return next((check.message for check in failing if check.behavior == "FAIL_EXECUTION"), None)


def undeclared(revision: FlowRevision, supplied: Mapping[str, Any]) -> list[str]:
    """A line for the log for each value that the flow does not ask for: it is ignored."""
    name = f"{revision.namespace}.{revision.flow_id}"
    return [f"the input '{each}' is ignored: the flow {name} declares no such input" for each in undeclared_names(revision.model.inputs, supplied)]


def as_seen(each: ResolvedInput) -> dict[str, Any]:
    """What became of an input, as callers see it."""
    found = {"input": each.id, "value": each.value, "enabled": each.enabled, "errors": [{"message": problem.message} for problem in each.problems]}
    return {**found, "choices": each.choices} if each.choices is not None else found
