"""An execution in flight, as the conductor keeps it in memory: its state, its flow and its secrets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from podium.base.errors import NotFound
from podium.base.redact import Redactor
from podium.conductor.library import Library
from podium.conductor.limits.slots import Place
from podium.engine import codec
from podium.engine.context import variables
from podium.engine.events import Event, ExecutionRestored, SecretsUsed
from podium.engine.state import Execution, TaskRun, fold
from podium.engine.tree import FlowTree
from podium.expressions.text import encodable
from podium.rendering.scope import Scope
from podium.storage.crypto import Cipher, is_sealed, reveal
from podium.store.journal import Journal


@dataclass(slots=True)
class Stream:
    """One execution in flight. Only the conductor's loop touches it."""

    state: Execution
    tree: FlowTree
    cipher: Cipher
    redactor: Redactor = field(default_factory=Redactor)
    sealed: bool = False
    """Whether an input or output of it is encrypted, so that variables must be revealed."""
    indexed: tuple[str, bool, Mapping[str, str]] | None = None
    """What the row for lists said last, so that it is written only when it changes."""
    born: int = 0
    """The number of the round in which it was made: while that is going on, the journal has nothing of it."""
    reopened_at: int = 0
    """The version of an ended execution that was read back from the journal, until its next events are written."""
    inherited: Mapping[str, Any] = field(default_factory=dict)
    """An iteration of a Loop: the outputs by task of the execution that holds the Loop, as they were when this one was begun or read."""
    unwritten: list[Event] = field(default_factory=list)
    """What it was restored from, not in the journal yet: written with its first decision."""
    _plain_inputs: Mapping[str, Any] | None = None
    _kept: set[str] = field(default_factory=set)
    """Secrets that are in the journal, encrypted: among the inputs, or noted by SecretsUsed."""

    @property
    def place(self) -> Place:
        """Whose jobs its jobs are."""
        return Place((self.state.namespace, self.state.flow_id), self.state.id)

    def inputs(self) -> Mapping[str, Any]:
        """The inputs with secrets in plain text; those are masked everywhere from then on."""
        if self._plain_inputs is None:
            self._plain_inputs = reveal(self.state.inputs, self.cipher, self._known)
            self.sealed = self.sealed or self._plain_inputs is not self.state.inputs or holds_sealed(self.state.trigger)
        return self._plain_inputs

    def _known(self, secret: str) -> None:
        self._kept.add(secret)
        self.redactor.add([secret])

    def recall(self) -> None:
        """Mask what was noted by SecretsUsed. Of an execution that was just read."""
        for sealed in self.state.secrets:
            self._known(self.cipher.decrypt(sealed))

    def secrets_used(self, at: datetime) -> SecretsUsed | None:
        """The event that keeps the secrets which became known since the last one; None when none did.

        It goes with the first decision after that: a value that holds one enters the journal with a decision too.
        """
        new = [secret for secret in self.redactor.given if secret not in self._kept]
        if not new:
            return None
        self._kept.update(new)
        return SecretsUsed(at=at, sealed=[self.cipher.encrypt(encodable(secret)) for secret in new])

    def inherit(self, above: Stream) -> None:
        """Take over the outputs of the execution that holds the Loop of this one; what is above wins. Source: flow-language-2 3."""
        self.inherited = {**above.inherited, **above.state.share_outputs()}
        self.sealed = self.sealed or above.sealed

    def saw_outputs(self, outputs: Any) -> None:
        """Note whether new outputs hold something encrypted."""
        self.sealed = self.sealed or holds_sealed(outputs)

    def variables(self, run: TaskRun | None) -> dict[str, Any]:
        """What expressions of `run` (None: of the flow) see."""
        seen = variables(self.tree, self.state, run, inputs=self.inputs())
        if self.inherited:
            seen["outputs"] = {**seen["outputs"], **self.inherited}
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


def holds_sealed(value: Any) -> bool:
    """Whether an encrypted value is anywhere inside."""
    if is_sealed(value):
        return True
    if isinstance(value, Mapping):
        return any(holds_sealed(item) for item in value.values())
    return isinstance(value, list) and any(holds_sealed(item) for item in value)


class Loader:
    """Brings executions into memory. restored: the first event of one whose own events were dropped."""

    def __init__(
        self, journal: Journal, library: Library, cipher: Cipher, restored: Callable[[str], Awaitable[ExecutionRestored]]
    ) -> None:
        self._journal = journal
        self._library = library
        self._cipher = cipher
        self._restored = restored

    async def load(self, execution_id: str) -> Stream:
        """An execution from its events. Raises NotFound."""
        bodies = await self._journal.stream(execution_id)
        if not bodies:
            raise NotFound(f"there are no events of execution '{execution_id}'", hint="it was never begun, or its record is on the branch")
        return self._stream_of(fold(map(codec.decode, bodies)))

    async def reopened(self, execution_id: str) -> Stream:
        """An execution that ended, from its events, or from its record when those were dropped. Raises NotFound."""
        bodies = await self._journal.stream(execution_id)
        if bodies:
            stream = self._stream_of(fold(map(codec.decode, bodies)))
            stream.reopened_at = stream.state.version
            return stream
        restored = await self._restored(execution_id)
        stream = self._stream_of(fold([restored]))
        stream.unwritten = [restored]
        return stream

    def _stream_of(self, state: Execution) -> Stream:
        tree = self._library.tree(state.namespace, state.flow_id, state.revision, loop=state.loop)
        stream = Stream(state=state, tree=tree, cipher=self._cipher)
        stream.saw_outputs(state.inputs)
        for run in state.runs.values():
            stream.saw_outputs(run.outputs)
        stream.inputs()
        stream.recall()
        return stream
