"""What rooms offer each other without importing upward: the lower room calls a port, `app/wiring` passes in who implements it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from podium.base.inbound.deliveries import Judged
from podium.base.limits import COMMIT_BYTES_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One entry of a task's log. at: aware, UTC."""

    at: datetime
    level: str
    message: str


class LogSink(Protocol):
    """Where the lines of one task attempt go. Appending is durable when the call returns."""

    async def append(self, lines: Sequence[LogLine], *, cursor: str | None = None) -> None:
        """Store lines, and with them (same transaction) how far the source has been read."""
        ...

    async def cursor(self) -> str | None:
        """The cursor stored last, after a restart."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedFile:
    """A file to be committed to the results branch. kind: execution | log | sync | state. seq: order of queueing."""

    seq: int
    path: str
    body: bytes
    kind: str
    summary: Mapping[str, Any] = field(default_factory=dict)
    """For an execution: id, namespace, flowId, state."""


class RecordQueue(Protocol):
    """Files on their way to the results branch. They stay queued until they are on the remote."""

    async def pending(self, *, after_seq: int, limit: int, bytes_max: int = COMMIT_BYTES_MAX) -> list[QueuedFile]:
        """Files not committed yet, in order: up to `limit`, and none after those that have `bytes_max` bytes together."""
        ...

    async def reopen(self) -> int:
        """Called once at start: what is committed but not pushed is pending again (should the local branch be lost; what it has is found).

        The newest seq there is: what is queued later was never committed.
        """
        ...

    async def committed(self, seqs: Sequence[int], commit: str) -> None:
        """These files are in `commit` on the local branch. Called again with another commit when commits were put on a new tip."""
        ...

    async def pushed(self, up_to_commit: str) -> None:
        """The files of `up_to_commit` and of all commits before it (lower seqs) are on the remote; forget them."""
        ...

    async def unpushed(self) -> tuple[int, datetime | None]:
        """How many files are not on the remote, and since when the oldest waits."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFlow:
    """The newest revision of a flow that the daemon knows."""

    namespace: str
    flow_id: str
    revision: int
    source: str
    commit: str
    path: str
    blob: str
    deleted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowRevision:
    """One accepted text of a flow. parse: gives its podium.flows.model.Flow, with all defaults; asked once, when somebody wants it."""

    namespace: str
    flow_id: str
    revision: int
    source: str
    commit: str
    path: str
    blob: str
    text: str
    parse: Callable[[], Any] = field(repr=False, compare=False)
    deployed_at: datetime
    defaults: Sequence[Mapping[str, Any]] = ()
    """Plug-in defaults of podium.yaml in force when `text` was parsed; whoever parses it again must give these to `parse_flows`."""
    templates: Sequence[Mapping[str, str]] = ()
    """The templates that stand in the flow, {namespace, id, path, blob, text}; they too must be given to `parse_flows`."""
    _parsed: Any = field(default=None, init=False, repr=False, compare=False)

    @property
    def model(self) -> Any:
        """The flow. Raises FlowNotFound for one that can no longer be read."""
        if self._parsed is None:
            object.__setattr__(self, "_parsed", self.parse())
        return self._parsed


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What one commit of one source changes. Applied as one transaction; the sync file is queued with it.

    accepted: new revisions. moved: known revisions with a new place (path, blob, source) or new defaults. removed: as they were last;
    their tombstones are the next revision.

    rejected: [{path, blob, problems: [{file, line, column, path, code, message, hint}]}].
    dashboards: all of the source from now on, {id, source, path, blob, commit, text}; None: as before.
    held: why nothing was removed although files vanished (over half of the flows), or None.
    """

    source: str
    commit: str
    previous_commit: str | None
    accepted: Sequence[FlowRevision]
    removed: Sequence[KnownFlow]
    moved: Sequence[FlowRevision]
    rejected: Sequence[Mapping[str, Any]]
    held: str | None
    sync_path: str
    sync_body: bytes
    at: datetime
    dashboards: Sequence[Mapping[str, Any]] | None = None


class Reads(Protocol):
    """Reads of the orchestrator's state that expressions and inline tasks need. Answered from memory or one indexed query."""

    def kv(self, namespace: str, key: str) -> Mapping[str, Any] | None:
        """{key, value, type, creationDate, updateDate, expirationDate?}; None when missing or expired."""
        ...

    def kv_keys(self, namespace: str, prefix: str = "") -> list[str]: ...

    def document(self, kind: str, namespace: str, key: str) -> Any:
        """The JSON document of that kind (state: what state.Set stored), or None."""
        ...

    def logs(
        self, execution_id: str, *, min_level: str = "TRACE", task_ids: Sequence[str] = (), attempt: int | None = None, limit: int = 10_000
    ) -> list[dict[str, Any]]:
        """Log entries, oldest first, as flow-language 9.2."""
        ...

    def count_executions(
        self, *, namespace: str | None, flow_id: str | None, states: Sequence[str], start: datetime, end: datetime | None
    ) -> int: ...
    def kv_entries(self, namespace: str | None, *, children: bool = False, expired: bool = False) -> list[dict[str, Any]]:
        """{namespace, key, updateDate, expirationDate?} of a namespace (and those below it), or of all. expired: missing ones too."""
        ...

    def execution(self, execution_id: str) -> Mapping[str, Any] | None:
        """{id, namespace, flowId, state: {current}} of an execution, or None when there is none."""
        ...

    def purgeable(
        self, *, namespace: str | None, flow_id: str | None, states: Sequence[str], levels: Sequence[str], start: datetime | None,
        end: datetime, lines: bool = False,
    ) -> Mapping[str, int]:
        """{executions, logs, metrics, files}: what purge_executions, or (lines) purge_logs would remove. Takes as long as there is much: for a
        thread. Without flow_id, namespace is a prefix."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One HTTP request to a webhook trigger, exactly as it arrived. Made by web, judged by `triggers.webhook.accept`.

    headers, query: in order, repeated names kept. body: the raw bytes (signatures are over these).
    path: what follows the key in the URL, without the slash. remote: the peer's address.
    trigger_id: of what a person sends from a page: that trigger, whatever the key; no signature is asked for, and it counts anew.
    """

    namespace: str
    flow_id: str
    key: str
    method: str = "POST"
    headers: Sequence[tuple[str, str]] = ()
    query: Sequence[tuple[str, str]] = ()
    body: bytes = b""
    path: str = ""
    remote: str | None = None
    trigger_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What to answer over HTTP. body: JSON-like data, or text or bytes to be sent as they are, or None for an empty body.

    judged: of a webhook's delivery, what was found out about it.
    """

    status: int
    body: Any = None
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    judged: Judged | None = None


class TriggerControls(Protocol):
    """What a person may do to a trigger. Implemented by triggers, called by web. Each call is durable when it returns.

    The state of a trigger is a document: {nextExecutionDate?, date? (last fired), disabled?, executionId?, updatedDate?,
    backfill?: {start, end, currentDate, paused, inputs, labels, previousNextExecutionDate}, windows?: of a Flow trigger, [{id, start?,
    end?, needed, met: [{condition, executionId, namespace, flowId, at}], missing: [condition]}]}; dates are ISO text, UTC.
    Each call gives that document and raises FlowNotFound (no such flow or trigger) or ConflictError (not possible for this type or now).
    """

    async def set_disabled(self, namespace: str, flow_id: str, trigger_id: str, *, disabled: bool) -> dict[str, Any]: ...
    async def backfill(
        self, namespace: str, flow_id: str, trigger_id: str, *, start: datetime, end: datetime | None = None,
        inputs: Mapping[str, Any] | None = None, labels: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Run the dates from start to end (default now), one at a time."""
        ...

    async def pause_backfill(self, namespace: str, flow_id: str, trigger_id: str, *, paused: bool) -> dict[str, Any]: ...
    async def delete_backfill(self, namespace: str, flow_id: str, trigger_id: str) -> dict[str, Any]: ...
    async def unlock(self, namespace: str, flow_id: str, trigger_id: str) -> dict[str, Any]:
        """Forget that an evaluation or execution of this trigger is under way."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitFacts:
    """Who made a commit, and why. at: when it was written, aware, UTC. subject: the first line of message."""

    author: str
    email: str
    at: datetime
    committer: str
    subject: str
    message: str
    parents: tuple[str, ...] = ()


class SourceControls(Protocol):
    """What a caller may ask of the sources. Implemented by sources, called by web."""

    async def notify(self, name: str, headers: Sequence[tuple[str, str]], body: bytes, *, trusted: bool = False) -> Answer:
        """A forge or hook says that `name` was pushed to: fetch soon. trusted: the caller came by the daemon's own socket or token,
        so no signature is asked for. Raises NotFound (no such source), AuthError."""
        ...

    async def confirm(self, name: str, *, commit: str | None = None) -> dict[str, Any]:
        """Apply the removals that the newest deployment of `name` holds back. Raises NotFound, ConflictError (nothing is held)."""
        ...

    async def commits(self, name: str, commits: Sequence[str]) -> dict[str, CommitFacts]:
        """Of these commits of a source those that its repository has; none of a source that is not there. Kept, so it costs little."""
        ...

    def status(self) -> list[dict[str, Any]]:
        """Per source: {name, url (no password), branch, path, commit?, fetchedAt?, error?, held?, pollIntervalS,
        page? (of the repository at its forge), commitPage? (of a commit there, with `{commit}` in its place)}."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """One file of a commit to be made. path: from the root of the repository. data: its new bytes; None removes it.

    blob: the blob that the person saw (""  for a file that must not be there yet); None puts it in the place of whatever is there.
    """

    path: str
    data: bytes | None
    blob: str | None = None
    executable: bool | None = None
    """None: as the file that is there; a new one is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Who makes a commit, as Git names people."""

    name: str
    email: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A commit that is on the remote. url: its page at the forge, or None where that is not known; review: where a merge request for it is opened."""

    commit: str
    branch: str
    url: str | None = None
    review: str | None = None


class EditControls(Protocol):
    """Writing to the repositories of the sources (ruling 14). Implemented by sources/, called by web; nothing is ever overwritten or forced."""

    def editable(self, source: str) -> str | None:
        """Why `source` cannot be written to (a directory, no right to push), or None when it can. Raises NotFound."""
        ...

    async def branches(self, source: str) -> dict[str, str]:
        """Branch → commit as the remote has them now; the deployed branch first."""
        ...

    async def tree(self, source: str, ref: str | None = None) -> list[dict[str, Any]]:
        """{path, blob, size, kind: flow|test|dashboard|settings|file|link|submodule, executable?} of a commit or branch.

        ref None: the deployed branch's newest commit. Raises NotFound.
        """
        ...

    async def head(self, source: str, ref: str | None = None) -> str:
        """The commit that a branch (None: the deployed one) or an id names; "" for a repository without a commit. Raises NotFound."""
        ...

    async def read(self, source: str, path: str, ref: str | None = None) -> dict[str, Any]:
        """{path, blob, commit, branch, data: bytes, size}. Raises NotFound."""
        ...

    async def publish(
        self, source: str, changes: Sequence[FileChange], *, base: str, message: str, author: Author, branch: str | None = None,
        new_branch: bool = False,
    ) -> Published:
        """Commit and push. base: the commit that the person saw. branch: None for the deployed one; new_branch: make it, from base.

        Where the branch moved on meanwhile, changes go on top of it if they touch no file that it changed. Raises EditConflict with
        {conflicts: [{path, base, theirs, ours}], head}, AuthError, GitError (the remote's hook refused it, with its words).
        """
        ...

    async def check(self, source: str, changes: Sequence[FileChange], ref: str | None = None) -> list[dict[str, Any]]:
        """What is wrong with these files as flows, podium.yaml or templates of that source: problems as in `podium validate --output json`."""
        ...

    async def deployed(self, source: str, commit: str, *, timeout_s: float) -> dict[str, Any]:
        """Wait until a commit of the deployed branch is deployed, or the time is up: {deployed, commit (that is deployed now), rejected:
        [{path, problems}], held?, error?, hint?}."""
        ...

    def home(self, namespace: str) -> str | None:
        """The source that a namespace belongs to, or would: of its flows, of the nearest namespace above, else the first; None without any."""
        ...

    async def in_force(self, source: str, namespace: str) -> list[dict[str, Any]]:
        """What podium.yaml of the deployed commit gives a namespace, the nearest first: [{kind: pluginDefaults|variables|labels, name,
        value, forced?, namespace (that says so; "" for all), path, line}]."""
        ...

    async def places(self, flows: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
        """As `place` of each (namespace, flow id), with no two new ones in the same file."""
        ...

    async def place(self, namespace: str, flow_id: str) -> dict[str, Any]:
        """{source, path, commit, blob?} of a flow's file; for a flow that is not there, the place it would get. Raises NotFound (no source)."""
        ...


class CopilotControls(Protocol):
    """Flows written by a model. Implemented by copilot/, called by web. What comes back is text to look at, never run."""

    @property
    def model(self) -> str:
        """The name of the model that is asked."""
        ...

    async def prepare(self, ask: Mapping[str, Any], *, mask: bool = False) -> AsyncIterator[dict[str, Any]]:
        """Look at what is asked, and begin. ask: {prompt, flow? (the present text), namespace?, flows? and secrets? (names), turns?:
        [[request, answer]]}.

        mask: put placeholders in the place of what looks like a secret; without it that is refused. Raises LimitError, and an error with the code
        secret-in-prompt. The events: {kind: context, types, tokens, masked}, {kind: round, round, of}, {kind: text, round, chars}, {kind: checked,
        round, problems}, and last {kind: end, source, problems, rounds, said, model}; iterating raises an error with the code copilot-provider.
        """
        ...
