"""An execution in flight, as the conductor keeps it in memory: its state, its flow, its secrets, and who waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from podium.base.redact import Redactor
from podium.engine.context import variables
from podium.engine.state import Execution, TaskRun
from podium.engine.tree import FlowTree
from podium.rendering.scope import Scope
from podium.storage.crypto import Cipher, is_sealed, reveal


@dataclass(slots=True)
class Stream:
    """One execution in flight. Only the conductor's loop touches it."""

    state: Execution
    tree: FlowTree
    cipher: Cipher
    redactor: Redactor = field(default_factory=Redactor)
    waiters: list[asyncio.Future[None]] = field(default_factory=list)
    sealed: bool = False
    """Whether an input or output of it is encrypted, so that variables must be revealed."""
    indexed: tuple[str, bool, Mapping[str, str]] | None = None
    """What the row for lists said last, so that it is written only when it changes."""
    _plain_inputs: Mapping[str, Any] | None = None

    def inputs(self) -> Mapping[str, Any]:
        """The inputs with secrets in plain text; those are masked everywhere from then on."""
        if self._plain_inputs is None:
            self._plain_inputs = reveal(self.state.inputs, self.cipher, lambda secret: self.redactor.add([secret]))
            self.sealed = self.sealed or self._plain_inputs is not self.state.inputs
        return self._plain_inputs

    def saw_outputs(self, outputs: Any) -> None:
        """Note whether new outputs hold something encrypted."""
        self.sealed = self.sealed or holds_sealed(outputs)

    def variables(self, run: TaskRun | None) -> dict[str, Any]:
        """What expressions of `run` (None: of the flow) see."""
        seen = variables(self.tree, self.state, run, inputs=self.inputs())
        if self.sealed:
            for name in ("outputs", "parents", "parent", "trigger", "vars"):
                if name in seen:
                    seen[name] = reveal(seen[name], self.cipher, lambda secret: self.redactor.add([secret]))
        return seen

    def scope(self, run: TaskRun | None) -> Scope:
        """Where an expression of `run` stands."""
        return Scope(
            namespace=self.state.namespace, flow_id=self.state.flow_id, execution_id=self.state.id, task_run_id=run.id if run else None,
            source=self.state.source, commit=self.state.commit, dialect=self.tree.flow.dialect, redactor=self.redactor,
        )

    def wake(self) -> None:
        """Tell everybody who waits that it is closed."""
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(None)
        self.waiters.clear()


def holds_sealed(value: Any) -> bool:
    """Whether an encrypted value is anywhere inside."""
    if is_sealed(value):
        return True
    if isinstance(value, Mapping):
        return any(holds_sealed(item) for item in value.values())
    return isinstance(value, list) and any(holds_sealed(item) for item in value)
